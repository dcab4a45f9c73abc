"""What stands where at a place of a rendered planet: road, houses, trees and its landmark.

Metres: x to the right of the road's middle, z ahead, y up.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]
Outline = tuple[tuple[float, float], ...]

HUES: dict[str, Colour] = {
    "red": (196, 44, 40),
    "orange": (232, 128, 36),
    "yellow": (236, 206, 58),
    "lime": (150, 196, 60),
    "green": (38, 122, 64),
    "teal": (40, 156, 156),
    "blue": (44, 84, 184),
    "violet": (122, 62, 160),
    "pink": (226, 128, 168),
    "brown": (118, 76, 48),
    "white": (236, 236, 232),
    "black": (38, 38, 42),
}


def _arc(centre: float, across: float, up: float, start: float, stop: float) -> Outline:
    """Return points of an ellipse between two angles in radians."""
    turns = np.linspace(start, stop, 15)
    return tuple((across * math.cos(t), centre + up * math.sin(t)) for t in turns.tolist())


OUTLINES: dict[str, Outline] = {
    "obelisk": ((-0.45, 0), (-0.32, 0.85), (0, 1), (0.32, 0.85), (0.45, 0)),
    "dome": ((1, 0), *_arc(0.3, 1, 0.5, 0, math.pi), (-1, 0)),
    "arch": (
        *((-1, 0), (-1, 0.85), (1, 0.85), (1, 0)),
        *((0.5, 0), (0.35, 0.5), (-0.35, 0.5), (-0.5, 0)),
    ),
    "pyramid": ((-1.1, 0), (0, 1), (1.1, 0)),
    "drum": ((-0.8, 0), (-0.8, 0.75), (0.8, 0.75), (0.8, 0)),
    "steps": (
        *((-1.1, 0), (-1.1, 0.3), (-0.7, 0.3), (-0.7, 0.6), (-0.35, 0.6), (-0.35, 0.9)),
        *((0.35, 0.9), (0.35, 0.6), (0.7, 0.6), (0.7, 0.3), (1.1, 0.3), (1.1, 0)),
    ),
    "slab": ((-0.4, 0), (-0.4, 1.05), (0.4, 0.9), (0.4, 0)),
    "globe": ((0.12, 0), (0.12, 0.25), *_arc(0.6, 0.75, 0.4, -1.4, 4.54), (-0.12, 0)),
}
"""Of landmarks: half widths across, heights up."""
MONUMENTS = tuple(OUTLINES)
PATTERNS = ("striped", "banded", "chequered", "diagonal", "spotted", "framed")
TILE = 24


@dataclass(frozen=True)
class House:
    """A box beside the road: metres right of and ahead of the middle of the layout."""

    x: float
    z: float
    width: float
    depth: float
    height: float
    wall: int
    tint: float


@dataclass(frozen=True)
class Landmark:
    """The one thing of its kind, but for look-alikes."""

    shape: str
    pattern: str
    colours: tuple[str, str]
    x: float
    z: float
    width: float
    height: float
    stripes: int


@dataclass(frozen=True)
class Layout:
    """What stands where at a place; shared by look-alikes."""

    road_width: float
    bend: float
    crossing: float
    """Metres ahead of a crossing road; 0 for none."""
    houses: tuple[House, ...]
    trees: tuple[tuple[float, float, float], ...]
    """x, z and size of every tree; how many of them grow depends on the climate."""
    hills: tuple[float, ...]
    landmark: Landmark
    field: float
    """Direction of the fields as seen from above, radians."""


def draw_layout(rng: np.random.Generator) -> Layout:
    """Return the layout of one place, or of a group of look-alikes."""
    road = float(rng.uniform(5, 8))
    side = int(rng.choice((-1, 1)))
    landmark = _landmark(rng, side * float(rng.uniform(road / 2 + 1.2, road / 2 + 2.2)))
    houses = []
    for left in (-1, 1):
        for z in (7.0, 14.0, 22.0):
            hides = left == side and (z > 10 or rng.random() < 0.6)
            if hides or rng.random() < 0.25:
                continue
            width = float(rng.uniform(4.5, 7))
            x = left * (road / 2 + 2.2 + width / 2 + float(rng.uniform(0, 2)))
            depth, height = float(rng.uniform(4, 6)), float(rng.uniform(2.8, 5.5))
            tint = float(rng.uniform(-1, 1))
            houses.append(House(x, z, width, depth, height, int(rng.integers(3)), tint))
    trees = tuple(
        (
            float(rng.choice((-1, 1)) * rng.uniform(road / 2 + 1.2, 14)),
            float(rng.uniform(5, 28)),
            float(rng.uniform(0.75, 1.3)),
        )
        for _ in range(10)
    )
    return Layout(
        road_width=road,
        bend=float(rng.choice((0.0, rng.uniform(-5, 5)))),
        crossing=float(rng.choice((0.0, 0.0, 11.0, 18.0))),
        houses=tuple(houses),
        trees=trees,
        hills=tuple(float(h) for h in rng.uniform(0.2, 1.0, 7)),
        landmark=landmark,
        field=float(rng.uniform(0, math.pi)),
    )


def _landmark(rng: np.random.Generator, x: float) -> Landmark:
    first, second = (str(hue) for hue in rng.choice(list(HUES), 2, replace=False))
    return Landmark(
        shape=MONUMENTS[rng.integers(len(MONUMENTS))],
        pattern=PATTERNS[rng.integers(len(PATTERNS))],
        colours=(first, second),
        x=x,
        z=float(rng.uniform(15, 19)),
        width=float(rng.uniform(8, 10)),
        height=float(rng.uniform(11, 15)),
        stripes=int(rng.integers(3, 7)),
    )


def landmark_texture(landmark: Landmark) -> npt.NDArray[np.uint8]:
    """Return the landmark's pattern, `[24, 24, 3]`."""
    rows, columns = np.mgrid[0:24, 0:24]
    cell = 24 / landmark.stripes
    across, down = (columns / cell).astype(int), (rows / cell).astype(int)
    second = {
        "striped": across % 2,
        "banded": down % 2,
        "chequered": (across + down) % 2,
        "diagonal": ((rows + columns) / cell).astype(int) % 2,
        "spotted": ((columns % cell - cell / 2) ** 2 + (rows % cell - cell / 2) ** 2) < cell**2 / 8,
        "framed": np.minimum.reduce((rows, columns, 23 - rows, 23 - columns)) > 4,
    }[landmark.pattern].astype(bool)
    first, other = (HUES[name] for name in landmark.colours)
    return np.asarray(np.where(second[..., None], other, first), np.uint8)
