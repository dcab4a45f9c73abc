"""S2 cells as arrays of face, column, row and level: whole meshes without a library call each.

The same cells as `geo.cells` (quadratic projection), which speaks of them one by one and by the
numbers and names that others know them by. Source: the S2 geometry library, `s2coords.h`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geo.sphere import EARTH_RADIUS_KM, FloatArray

Ints = NDArray[np.int64]
FACES = 6
EXACT_LEVELS = 6
"""Down to this level areas are exact; the midpoint rule of finer cells errs by less than 0.1 %."""


@dataclass(frozen=True)
class Quads:
    """`N` cells of the cube's six faces, any levels, `[N]` each."""

    face: Ints
    column: Ints
    row: Ints
    level: Ints

    def __len__(self) -> int:
        return len(self.face)

    @classmethod
    def globe(cls) -> Self:
        """Return the six faces."""
        zero = np.zeros(FACES, dtype=np.int64)
        return cls(np.arange(FACES, dtype=np.int64), zero, zero, zero)

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Return the cells of all parts."""
        fields = ("face", "column", "row", "level")
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in fields))

    def taken(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Quads":
        """Return the cells of these rows."""
        return Quads(self.face[rows], self.column[rows], self.row[rows], self.level[rows])

    def ids(self) -> Ints:
        """Return a number for each that no other cell down to level 28 has, `[N]`."""
        return (self.level << 59) | (self.face << 56) | (self.column << 28) | self.row

    @classmethod
    def of_ids(cls, ids: Ints) -> Self:
        """Return the cells of these numbers, as `ids` gives them."""
        low = (1 << 28) - 1
        return cls((ids >> 56) & 7, (ids >> 28) & low, ids & low, (ids >> 59) & 31)

    def find(self, others: "Quads") -> NDArray[np.intp]:
        """Return which of these, all of one level, each of the others of that level is; -1: none.

        Shape `[M]` for `M` others.
        """
        own, asked = self._keys(), others._keys()
        order = np.argsort(own)
        if not len(order):
            return np.full(len(asked), -1, dtype=np.intp)
        near = order[np.minimum(np.searchsorted(own[order], asked), len(order) - 1)]
        return np.where(own[near] == asked, near, -1)

    def _keys(self) -> Ints:
        return (self.face << 60) | (self.column << 30) | self.row

    def children(self) -> "Quads":
        """Return the four children of each, `[4 N]`, those of one cell side by side."""
        column = (2 * self.column[:, None] + (0, 1, 0, 1)).ravel()
        row = (2 * self.row[:, None] + (0, 0, 1, 1)).ravel()
        return Quads(np.repeat(self.face, 4), column, row, np.repeat(self.level + 1, 4))

    def at_level(self, level: int) -> "Quads":
        """Return the cells of one level that hold the centres of these."""
        finer, coarser = np.maximum(self.level - level, 0), np.maximum(level - self.level, 0)
        middle = (1 << coarser) >> 1
        column, row = (((one >> finer) << coarser) + middle for one in (self.column, self.row))
        return Quads(self.face, column, row, np.full_like(self.level, level))

    def unit_vectors(self) -> FloatArray:
        """Return the centre of each as a unit vector, `[N, 3]`."""
        side = 0.5**self.level
        u, v = _uv((self.column + 0.5) * side), _uv((self.row + 0.5) * side)
        return _towards(self.face, u, v)

    def area_km2(self) -> FloatArray:
        """Return the area of each, `[N]`, on a sphere of 6371 km."""
        side = 0.5**self.level
        west, east = _uv(self.column * side), _uv((self.column + 1) * side)
        south, north = _uv(self.row * side), _uv((self.row + 1) * side)
        u, v = _uv((self.column + 0.5) * side), _uv((self.row + 0.5) * side)
        area = (east - west) * (north - south) / (1 + u * u + v * v) ** 1.5
        coarse = self.level <= EXACT_LEVELS
        if coarse.any():
            edges = (one[coarse] for one in (west, east, south, north))
            area[coarse] = _solid_angle(*edges)
        return np.asarray(area * EARTH_RADIUS_KM**2, dtype=np.float64)


def quads_at(unit: FloatArray, level: int) -> Quads:
    """Return the cell of a level that each unit vector `[N, 3]` points into."""
    return quads_of(*places_at(unit), level)


def places_at(unit: FloatArray) -> tuple[Ints, FloatArray, FloatArray]:
    """Return the face that each vector `[N, 3]` points into, and where on it, 0 to 1."""
    face, u, v = _projected(unit)
    return face, _st(u), _st(v)


def quads_of(face: Ints, s: FloatArray, t: FloatArray, level: int) -> Quads:
    """Return the cells of a level at places `[N]` as `places_at` gives them."""
    last = 2**level - 1
    column, row = (np.clip((one * 2**level).astype(np.int64), 0, last) for one in (s, t))
    return Quads(face, column, row, np.full(len(face), level, dtype=np.int64))


def _uv(st: FloatArray) -> FloatArray:
    """Return the position on a face's plane, -1 to 1, of one along its cells, 0 to 1."""
    upper = (4 * st * st - 1) / 3
    return np.asarray(np.where(st >= 0.5, upper, (1 - 4 * (1 - st) ** 2) / 3), dtype=np.float64)


def _st(uv: FloatArray) -> FloatArray:
    """Return the inverse of `_uv`."""
    upper = 0.5 * np.sqrt(np.maximum(1 + 3 * uv, 0))
    lower = 1 - 0.5 * np.sqrt(np.maximum(1 - 3 * uv, 0))
    return np.asarray(np.where(uv >= 0, upper, lower), dtype=np.float64)


_FRAMES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
        [[0, -1, 0], [0, 0, -1], [1, 0, 0]],
        [[-1, 0, 0], [0, 0, -1], [0, -1, 0]],
        [[0, 0, 1], [-1, 0, 0], [0, -1, 0]],
        [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
    ],
    dtype=np.float64,
)
"""Rows of each face: what x, y and z are of 1, u and v."""


def _towards(face: Ints, u: FloatArray, v: FloatArray) -> FloatArray:
    frame = _FRAMES[face]
    rows = frame[:, :, 0] + frame[:, :, 1] * u[:, None] + frame[:, :, 2] * v[:, None]
    return np.asarray(rows / np.sqrt(1 + u * u + v * v)[:, None], dtype=np.float64)


def _projected(unit: FloatArray) -> tuple[Ints, FloatArray, FloatArray]:
    """Return the face of each unit vector and its position on that face's plane."""
    axis = np.abs(unit).argmax(axis=1)
    main = unit[np.arange(len(unit)), axis]
    face = np.where(main > 0, axis, axis + 3)
    x, y, z = (unit / np.abs(main)[:, None]).T
    u = np.choose(face, (y, -x, -x, -z, -z, y))
    v = np.choose(face, (z, z, -y, -y, x, x))
    return face, u, v


def _solid_angle(
    west: FloatArray, east: FloatArray, south: FloatArray, north: FloatArray
) -> FloatArray:
    """Return the solid angle of rectangles on the plane at distance 1, `[N]` steradians."""

    def corner(u: FloatArray, v: FloatArray) -> FloatArray:
        return np.arctan(u * v / np.sqrt(1 + u * u + v * v))

    return corner(east, north) - corner(west, north) - corner(east, south) + corner(west, south)
