"""Where on Earth a run errs: every truth as a dot by its error, lines to the worst answers.

Pure functions from coordinates to SVG paths; the land and the projection are those of
`agent.report_map`. All dots of one colour are one path, so that 25,600 of them stay small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.report_shapes import WORLD_HEIGHT, WORLD_WIDTH, equal_earth

if TYPE_CHECKING:
    from agent.report_map import MapView

FloatArray = NDArray[np.float64]
BAND_KM = (25.0, 200.0, 750.0, 2500.0)
BAND_WORDS = (
    "up to 25 km", "25 to 200 km", "200 to 750 km", "750 to 2,500 km", "farther", "no answer",
)  # fmt: skip
MOST_DOTS = 6_000
_TURNS = 8
_TOLERANCE_DEG = 0.35
_PIXEL = 1.5
"""SVG units: dots of one colour closer than that cannot be told apart."""


class Band(NamedTuple):
    """One colour: from 0 for the smallest errors, what it means, and of how many photos."""

    number: int
    words: str
    photos: int


class Layer(NamedTuple):
    """Dots of one colour: an SVG path of segments without length, which round caps make dots."""

    band: int
    path: str


@dataclass(frozen=True)
class ErrorMap:
    """The map of one run.

    Attributes:
        bands: smallest error first.
        layers: in the order of drawing; colours take turns, so that none hides the others.
        lines: SVG path from truth to answer for the worst, great circles.
        ends: SVG path of dots at those answers.
        drawn: dots drawn; fewer than `photos` where some lie on each other or too many.
    """

    bands: tuple[Band, ...]
    layers: tuple[Layer, ...]
    lines: str
    ends: str
    drawn: int
    photos: int
    lined: int

    @property
    def width(self) -> int:
        """SVG units."""
        return int(WORLD_WIDTH)

    @property
    def height(self) -> int:
        """SVG units."""
        return int(WORLD_HEIGHT)


@lru_cache(maxsize=1)
def land() -> "MapView":
    """Return land, sea and graticule, which all maps of a page share."""
    from agent.report_map import world_map
    from geo.outlines import outlines

    return world_map(outlines(_TOLERANCE_DEG))


def error_map(
    truths: FloatArray, error_km: FloatArray, worst: Sequence[tuple[FloatArray, FloatArray]]
) -> ErrorMap:
    """Return the map of where errors are.

    Args:
        truths: `[N, 2]` latitude, longitude in degrees.
        error_km: `[N]` distance of each answer; infinite where there is none.
        worst: truth `[2]` and answer `[2]` of the photos to draw lines for.
    """
    band = np.searchsorted(BAND_KM, error_km, side="left")
    band[np.isinf(error_km)] = len(BAND_KM) + 1
    points = equal_earth(truths) if len(truths) else np.empty((0, 2))
    shown = _thinned(points, band)
    bands = tuple(
        Band(index, words, int((band == index).sum())) for index, words in enumerate(BAND_WORDS)
    )
    ends = equal_earth(np.array([answer for _, answer in worst])) if worst else np.empty((0, 2))
    return ErrorMap(
        bands=bands,
        layers=_layers(points, band, shown),
        lines="".join(_line(truth, answer) for truth, answer in worst),
        ends=dots(ends),
        drawn=int(shown.sum()),
        photos=len(truths),
        lined=len(worst),
    )


def _thinned(points: FloatArray, band: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which dots to draw `[N]`: one of those that coincide, then evenly among the rest."""
    cells = np.column_stack((np.floor(points / _PIXEL).astype(np.int64), band))
    _, first = np.unique(cells, axis=0, return_index=True)
    if len(first) > MOST_DOTS:
        first = first[np.linspace(0, len(first) - 1, MOST_DOTS).astype(np.intp)]
    shown = np.zeros(len(points), dtype=bool)
    shown[first] = True
    return shown


def _layers(
    points: FloatArray, band: NDArray[np.intp], shown: NDArray[np.bool_]
) -> tuple[Layer, ...]:
    turn = np.arange(len(points)) % _TURNS
    paths = (
        Layer(index, dots(points[shown & (band == index) & (turn == number)]))
        for number in range(_TURNS)
        for index in range(len(BAND_WORDS))
    )
    return tuple(layer for layer in paths if layer.path)


def dots(points: FloatArray) -> str:
    """Return the SVG path of a dot at each of `[N, 2]` points."""
    return "".join(f"M{x:g} {y:g}h0" for x, y in np.round(points, 1).tolist())


def _line(truth: FloatArray, answer: FloatArray) -> str:
    """Return the SVG path of the great circle between two points, lifted at the map's edge."""
    from geo.sphere import points_of, unit_vectors

    start, end = unit_vectors(np.array([truth, answer]))
    angle = float(np.arctan2(np.linalg.norm(np.cross(start, end)), start @ end))
    share = np.linspace(0.0, 1.0, max(2, int(np.degrees(angle) / 3) + 1))[:, None]
    across = end - np.cos(angle) * start
    length = float(np.linalg.norm(across))
    if length < 1e-9:  # the same point, or the antipode, where every great circle will do
        return ""
    arc = np.cos(angle * share) * start + np.sin(angle * share) * across / length
    path = points_of(arc)
    cuts = np.flatnonzero(np.abs(np.diff(path[:, 1])) > 180) + 1
    pieces = (equal_earth(piece) for piece in np.split(path, cuts) if len(piece) > 1)
    return "".join(
        "M" + "L".join(f"{x:g} {y:g}" for x, y in np.round(piece, 1).tolist()) for piece in pieces
    )
