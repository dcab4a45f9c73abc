"""A small canvas that paints a picture, its segmentation map and what glows, all at once.

Polygons are in pixels of the finished picture; it is painted at twice the size and averaged.
Colours are those of noon; light and season come after, so that they never touch the map.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum

import cv2
import numpy as np
import numpy.typing as npt

from evaluation.planet_layout import Colour

Picture = npt.NDArray[np.uint8]
OVER = 2
"""Painted pixels a side of each finished one."""
_BITS = 4
"""OpenCV's fixed point: sixteenths of a painted pixel."""
_FAR = 6_000.0
_LIMIT = _FAR * OVER * 2**_BITS


class Segment(IntEnum):
    """Classes of the segmentation map; a class says what a thing is, not what it looks like."""

    SKY = 0
    HILLS = 1
    GROUND = 2
    ROAD = 3
    MARKING = 4
    KERB = 5
    WALL = 6
    ROOF = 7
    OPENING = 8
    TREE = 9
    POLE = 10
    SIGN = 11
    LANDMARK = 12
    VEHICLE = 13


class Canvas:
    """A square picture while it is painted."""

    def __init__(self, side: int, colour: Colour, segment: Segment, *, mapped: bool = True) -> None:
        self.side = side
        size = side * OVER
        self._paint = np.empty((size, size, 3), np.uint8)
        self._paint[:] = colour
        self._map = np.full((side, side), int(segment), np.uint8)
        self._glow = np.zeros((size, size), np.uint8)
        self._mapped, self._glows = mapped, False

    def polygon(
        self,
        corners: Iterable[tuple[float, float]],
        colour: Sequence[float],
        segment: Segment,
        glow: int = 0,
    ) -> None:
        """Fill a polygon; what it covers stops glowing unless it glows (0 to 255) itself."""
        fine = _fixed(corners)
        cv2.fillPoly(self._paint, [fine], tuple(colour), cv2.LINE_AA, _BITS)
        if self._mapped:
            cv2.fillPoly(self._map, [(fine - 8) >> 1], int(segment), cv2.LINE_8, _BITS)
        self._glows = self._glows or glow > 0
        if self._glows:
            cv2.fillPoly(self._glow, [fine], glow, cv2.LINE_8, _BITS)

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        colour: Sequence[float],
        segment: Segment,
    ) -> None:
        """Fill an upright ellipse; it does not glow."""
        if min(radii) < 0.2 or max(map(abs, centre)) > _FAR:
            return
        for target, scale, value, line in (
            (self._paint, OVER, tuple(colour), cv2.LINE_AA),
            (self._map, 1, int(segment), cv2.LINE_8),
            (self._glow, OVER, 0, cv2.LINE_8),
        ):
            middle = tuple(round((c * scale - 0.5) * 2**_BITS) for c in centre)
            axes = tuple(max(1, round(r * scale * 2**_BITS)) for r in radii)
            cv2.ellipse(target, middle, axes, 0, 0, 360, value, -1, line, _BITS)

    def texture(
        self,
        corners: Iterable[tuple[float, float]],
        box: tuple[float, float, float, float],
        texture: Picture,
        segment: Segment,
    ) -> None:
        """Fill a polygon with a texture stretched over `box`: left, top, right, bottom."""
        fine = _fixed(corners)
        left, top, right, bottom = (round(edge * OVER) for edge in box)
        size = self.side * OVER
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, size), min(bottom, size)
        if x1 - x0 < 1 or y1 - y0 < 1:
            return
        rows = (np.arange(y0, y1) - top) * len(texture) // (bottom - top)
        columns = (np.arange(x0, x1) - left) * texture.shape[1] // (right - left)
        offset = np.array((x0 << _BITS, y0 << _BITS), np.int32)
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [fine - offset], 255, cv2.LINE_8, _BITS)
        inside = mask > 0
        self._paint[y0:y1, x0:x1][inside] = texture[rows[:, None], columns][inside]
        self._glow[y0:y1, x0:x1][inside] = 0
        cv2.fillPoly(self._map, [(fine - 8) >> 1], int(segment), cv2.LINE_8, _BITS)

    def finish(self) -> tuple[Picture, Picture, Picture]:
        """Return the picture `[S, S, 3]`, its map `[S, S]` and its glow `[S, S]`."""
        size = (self.side, self.side)
        paint = cv2.resize(self._paint, size, interpolation=cv2.INTER_AREA)
        glow = cv2.resize(self._glow, size, interpolation=cv2.INTER_AREA)
        return np.asarray(paint, np.uint8), self._map, np.asarray(glow, np.uint8)


def _fixed(corners: Iterable[tuple[float, float]]) -> npt.NDArray[np.int32]:
    """Return corners `[N, 2]` in sixteenths of a painted pixel."""
    points = np.array(list(corners), np.float64)
    points *= OVER * 2**_BITS
    points -= 2 ** (_BITS - 1)
    np.maximum(np.minimum(points, _LIMIT, out=points), -_LIMIT, out=points)
    return points.astype(np.int32)
