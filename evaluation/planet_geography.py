"""The latent geography of a rendered planet: climate, countries, names and what stands where.

Climate varies smoothly over the sphere, country style jumps at borders, the layout of a place
and its landmark follow from its position alone. A planet has no seas: every point is land.
Everything is drawn from the planet's seed, so that two processes agree on every place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from evaluation.planet_layout import Colour, Layout, draw_layout

Array = npt.NDArray[np.float64]

COUNTRIES = 48
STATES = 5
"""States of a country, on average."""
KEY = 1000
"""Positions are rounded to 1 / KEY degree: two nearer than that are the same place."""
SIGN_SHAPES = ("round", "triangular", "square", "diamond")
SIGN_COLOURS = (("white", "red"), ("yellow", "black"), ("blue", "white"), ("green", "white"))
POLES = ("wooden", "concrete", "steel")
LINES = ("dashed white", "dashed yellow", "solid white", "double yellow", "no")
KERBS = ("grey", "white", "striped red", "striped yellow", "striped blue")
ROOFS = ("gabled", "flat", "hipped", "round")
ROOF_COLOURS: dict[str, Colour] = {
    "red": (168, 72, 52),
    "slate": (84, 90, 104),
    "brown": (112, 80, 60),
    "green": (74, 112, 84),
    "blue": (70, 104, 156),
    "straw": (190, 164, 100),
}
WALLS: dict[str, tuple[Colour, ...]] = {
    "white": ((232, 230, 222), (222, 214, 200), (240, 238, 234)),
    "brick": ((158, 92, 74), (142, 78, 66), (176, 110, 88)),
    "ochre": ((214, 178, 112), (204, 160, 96), (222, 194, 140)),
    "pastel": ((226, 182, 170), (178, 208, 196), (186, 196, 224)),
    "grey": ((158, 158, 156), (138, 142, 148), (176, 174, 168)),
}
_ONSETS: tuple[str, ...] = ("b", "br", "d", "dr", "f", "g", "gr", "h", "k", "kl", "l", "m", "n")
_ONSETS += ("p", "r", "s", "st", "t", "tr", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea")
_CODAS = ("", "", "l", "n", "r", "s", "m")


@dataclass(frozen=True)
class Country:
    """What its border changes: names, signs, furniture of the road, roofs and walls."""

    name: str
    sign_shape: str
    sign_colours: tuple[str, str]
    pole: str
    line: str
    kerb: str
    roof: str
    roof_colour: str
    walls: str
    drives_left: bool


@dataclass(frozen=True)
class Climate:
    """Of one position; all vary smoothly. `warmth` and `wetness` are about 0 to 1."""

    warmth: float
    wetness: float
    redness: float
    relief: float

    @property
    def name(self) -> str:
        """In words: seven climates."""
        if self.warmth < 0.22:
            return "polar"
        if self.warmth < 0.45:
            return "boreal" if self.wetness > 0.4 else "steppe"
        if self.warmth < 0.72:
            return "temperate" if self.wetness > 0.4 else "dry"
        return "tropical" if self.wetness > 0.45 else "desert"

    @property
    def tree(self) -> str:
        """The tree that grows there."""
        return {
            "polar": "low shrubs",
            "boreal": "conifers",
            "steppe": "low shrubs",
            "temperate": "broadleaf trees",
            "dry": "umbrella trees",
            "tropical": "palms",
            "desert": "cacti",
        }[self.name]


@dataclass(frozen=True)
class Setting:
    """Everything about a place that neither light, season nor viewpoint changes."""

    latitude: float
    longitude: float
    city: str
    state: str
    country: Country
    climate: Climate
    layout: Layout


class Geography:
    """The sphere's latent fields and partitions.

    Args:
        seed: of the planet.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        rng = np.random.default_rng([seed, 1])
        self._waves = rng.standard_normal((4, 12, 3)) * rng.uniform(1.5, 4.5, (4, 12, 1))
        self._phases = rng.uniform(0, 2 * math.pi, (4, 12))
        self._gains = rng.uniform(0.5, 1.0, (4, 12))
        self._gains /= np.sqrt((self._gains**2).sum(axis=1, keepdims=True) / 2)
        self._capitals = _spread(rng, COUNTRIES)
        self._seats = _spread(rng, COUNTRIES * STATES)
        self.countries = tuple(_country(rng) for _ in range(COUNTRIES))
        self._states = tuple(_name(rng, 2) for _ in self._seats)

    def fields(self, points: npt.ArrayLike) -> Array:
        """Return warmth, wetness, redness, relief `[N, 4]` and sparsity as a fifth column."""
        points = np.atleast_2d(np.asarray(points, np.float64))
        sphere = directions(points)
        phase = np.einsum("nd,fwd->nfw", sphere, self._waves) + self._phases
        waves = (np.cos(phase) * self._gains).sum(axis=2)
        warmth = 1.02 - 1.0 * np.abs(sphere[:, 2]) ** 1.3 + 0.10 * waves[:, 0]
        band = np.cos(4 * np.radians(points[:, 0]))
        wetness = 0.5 + 0.12 * band + 0.22 * waves[:, 1]
        redness = 0.5 + 0.25 * waves[:, 2]
        relief = 0.5 + 0.25 * waves[:, 3]
        sparsity = 0.5 + 0.3 * waves[:, [0, 3]].sum(axis=1) / math.sqrt(2)
        every = np.stack((warmth, wetness, redness, relief, sparsity), axis=1)
        return np.asarray(np.clip(every, 0.0, 1.0))

    def country_of(self, points: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the row of each point's country `[N]`: the nearest capital's."""
        sphere = directions(np.atleast_2d(np.asarray(points, np.float64)))
        return np.asarray((sphere @ self._capitals.T).argmax(axis=1))

    def setting(self, latitude: float, longitude: float, twin: int | None = None) -> Setting:
        """Return what is there. `twin` numbers a group of look-alikes that shares its layout."""
        point = np.asarray([[latitude, longitude]])
        row = int(self.country_of(point)[0])
        state = int((directions(point) @ self._seats.T).argmax())
        where = (round(latitude * KEY) + 90 * KEY, round(longitude * KEY) + 180 * KEY)
        key = (4, *where) if twin is None else (5, twin)
        layout = draw_layout(np.random.default_rng([self.seed, *key]))
        climate = Climate(*(float(value) for value in self.fields(point)[0, :4]))
        city = _name(np.random.default_rng([self.seed, 6, *where]), 3)
        country = self.countries[row]
        return Setting(latitude, longitude, city, self._states[state], country, climate, layout)


def directions(points: Array) -> Array:
    """Return unit vectors `[N, 3]` of `[N, 2]` latitude, longitude in degrees."""
    latitude, longitude = np.radians(points[:, 0]), np.radians(points[:, 1])
    flat = np.cos(latitude)
    return np.stack((flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)), 1)


def random_points(rng: np.random.Generator, count: int) -> Array:
    """Return `[N, 2]` degrees, evenly spread over the sphere between 75 south and 75 north."""
    limit = math.sin(math.radians(75))
    latitude = np.degrees(np.arcsin(rng.uniform(-limit, limit, count)))
    points = np.stack((latitude, rng.uniform(-180, 180, count)), axis=1)
    return np.asarray(np.round(points * KEY) / KEY)


def _spread(rng: np.random.Generator, count: int) -> Array:
    """Return unit vectors `[N, 3]`, each the farthest of a few from those before it."""
    chosen = directions(random_points(rng, 1))
    for _ in range(count - 1):
        offered = directions(random_points(rng, 4))
        nearest = (offered @ chosen.T).max(axis=1)
        chosen = np.concatenate((chosen, offered[[nearest.argmin()]]))
    return chosen


def _country(rng: np.random.Generator) -> Country:
    def one(options: Sequence[str]) -> str:
        return str(options[int(rng.integers(len(options)))])

    return Country(
        name=_name(rng, 2) + "ia",
        sign_shape=one(SIGN_SHAPES),
        sign_colours=SIGN_COLOURS[rng.integers(len(SIGN_COLOURS))],
        pole=one(POLES),
        line=one(LINES),
        kerb=one(KERBS),
        roof=one(ROOFS),
        roof_colour=one(list(ROOF_COLOURS)),
        walls=one(list(WALLS)),
        drives_left=bool(rng.integers(2)),
    )


def _name(rng: np.random.Generator, syllables: int) -> str:
    parts = [
        _ONSETS[rng.integers(len(_ONSETS))] + _VOWELS[rng.integers(len(_VOWELS))]
        for _ in range(syllables)
    ]
    return ("".join(parts) + _CODAS[rng.integers(len(_CODAS))]).capitalize()


@lru_cache(maxsize=4)
def geography(seed: int) -> Geography:
    """Return the geography of a planet; kept, for it is asked for at every look."""
    return Geography(seed)
