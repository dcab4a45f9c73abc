"""Season and light of a rendered planet: what they do to colours, and to nothing else."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.planet_geography import Climate
from evaluation.planet_layout import Colour

GRASS: Colour = (112, 150, 66)
SAND: Colour = (216, 190, 136)
SOIL: Colour = (176, 104, 66)
TUNDRA: Colour = (140, 142, 112)
STRAW: Colour = (190, 172, 96)
SNOW: Colour = (236, 240, 246)
LEAVES: dict[str, Colour] = {
    "low shrubs": (128, 132, 84),
    "conifers": (42, 84, 58),
    "broadleaf trees": (74, 122, 48),
    "umbrella trees": (112, 128, 56),
    "palms": (58, 138, 62),
    "cacti": (82, 134, 88),
}
AUTUMN: tuple[Colour, ...] = ((204, 120, 40), (184, 76, 38), (216, 172, 60))
TWIGS: Colour = (122, 108, 96)
SEASONS = ("spring", "summer", "autumn", "winter")


@dataclass(frozen=True)
class Season:
    """What the time of year does at one place."""

    name: str
    snow: float
    """0 for none to 1 for a white land."""
    autumn: float
    bare: float
    dry: float


@dataclass(frozen=True)
class Light:
    """What the time of day and the weather do to a picture."""

    name: str
    gain: tuple[float, float, float]
    sky: tuple[Colour, Colour]
    """At the zenith and at the horizon."""
    glow: float
    """0 by day to 1 by night: how bright windows and lamps are."""


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return `one` with `share` of `other` in it."""
    (r, g, b), (x, y, z) = one, other
    return round(r + (x - r) * share), round(g + (y - g) * share), round(b + (z - b) * share)


def season_at(latitude: float, climate: Climate, season: float) -> Season:
    """Return the season at a latitude.

    Args:
        latitude: degrees; south of the equator the year is shifted by half.
        climate: of the place.
        season: share of the year passed, 0 to 1; 0.5 is the northern midsummer.
    """
    local = (season + (0.5 if latitude < 0 else 0.0)) % 1.0
    strength = min(1.0, abs(latitude) / 35)
    cold = 0.5 + 0.5 * math.cos(2 * math.pi * local)
    warmth = climate.warmth - 0.42 * strength * cold
    snow = float(np.clip((0.12 - warmth) / 0.12, 0, 1)) * (0.5 + 0.5 * min(1, 2 * climate.wetness))
    fall = math.exp(-(((local - 0.80) / 0.09) ** 2)) * strength
    name = SEASONS[int((local + 0.125 - 0.25) % 1.0 * 4)]
    dry = (1 - strength) * max(0.0, math.sin(2 * math.pi * local)) * (1 - climate.wetness)
    return Season(name, snow, fall, strength * float(cold > 0.72), dry + 0.4 * fall)


def ground_colour(climate: Climate, season: Season) -> Colour:
    """Return the colour of open ground at noon."""
    bare = mix(SAND, SOIL, float(np.clip(2.5 * (climate.redness - 0.4), 0, 1)))
    lush = float(np.clip(1.8 * climate.wetness - 0.25, 0, 1))
    colour = mix(bare, GRASS, lush)
    colour = mix(colour, TUNDRA, float(np.clip((0.42 - climate.warmth) / 0.3, 0, 1)))
    colour = mix(colour, STRAW, min(1.0, season.dry))
    return mix(colour, SNOW, 0.95 * season.snow)


def leaf_colour(climate: Climate, season: Season, which: int) -> Colour:
    """Return the colour of a crown; `which` tells trees of one place apart."""
    colour = LEAVES[climate.tree]
    if climate.tree == "broadleaf trees":
        colour = mix(colour, AUTUMN[which % 3], min(1.0, 1.3 * season.autumn))
        colour = mix(colour, TWIGS, 0.85 * season.bare)
    elif climate.tree in ("umbrella trees", "low shrubs"):
        colour = mix(colour, STRAW, 0.6 * min(1.0, season.dry))
    hold = 0.5 if climate.tree in ("conifers", "broadleaf trees") else 0.8
    return mix(colour, SNOW, hold * season.snow)


def light_at(hour: float) -> Light:
    """Return the light of a clear day; dawn and dusk are warm, night is blue.

    Args:
        hour: local solar time, 0 to 24.
    """
    height = math.cos((hour - 12) / 12 * math.pi)
    if height < -0.2:
        return Light("night", (0.27, 0.31, 0.46), ((12, 16, 42), (32, 40, 78)), 1.0)
    if height < 0.2:
        return Light("dusk", (0.82, 0.58, 0.46), ((92, 86, 132), (236, 150, 92)), 0.6)
    noon = (1.0, 0.99, 0.97) if height > 0.5 else (1.02, 0.92, 0.80)
    return Light("day", noon, ((96, 146, 210), (190, 212, 232)), 0.0)


def expose(
    paint: npt.NDArray[np.uint8],
    glow: npt.NDArray[np.uint8],
    sky: npt.NDArray[np.bool_],
    light: Light,
    rng: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """Return the photo `[S, S, 3]`: painted colours under a light, with a camera's own shifts.

    Args:
        paint: `[S, S, 3]` colours at noon; the sky is already that of the hour.
        glow: `[S, S]` how much a pixel shines by itself, 0 to 255.
        sky: `[S, S]` where the sky is.
        light: of the hour.
        rng: of the view: exposure, white balance, haze, noise.
    """
    exposure, haze = rng.uniform(0.86, 1.14), rng.uniform(0, 0.22)
    cast = rng.uniform(0.95, 1.05, 3)
    gain = np.asarray(light.gain, np.float32) * (exposure * cast).astype(np.float32)
    lit = paint.astype(np.float32)
    lit *= np.where(sky[..., None], np.float32(exposure), gain)
    veil = np.asarray(light.sky[1], np.float32)
    lit += np.float32(haze) * (veil - lit)
    if light.glow:
        shine = (glow * np.float32(light.glow / 255))[..., None]
        lit += shine * (np.asarray((255, 214, 140), np.float32) - lit)
    lit += rng.standard_normal(lit.shape, dtype=np.float32) * np.float32(3.5)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)
