"""An adaptive mesh of S2 cells: coarse everywhere, fine where evidence is.

The kernels of belief are bivariate Student t with two degrees of freedom (`agent.belief`), whose
scale is their `radius_km`, `r`. At a distance `d` from one, a cell may have the area
`a r^2 (1 + d^2 / r^2)^(3/2)`, where `a` is finer for a kernel of a larger share: rings that hold
the same mass have about as many cells, and their sum is bounded. A cell is split where any kernel
asks for it, so the mesh depends neither on the order of the kernels nor on how often one comes.
"""

import numpy as np
from numpy.typing import NDArray

from geo.quads import Quads, quads_at
from geo.sphere import EARTH_RADIUS_KM, FloatArray

MAX_LEVEL = 22
"""Cells of two metres: finer than any evidence."""
FINENESS = 0.3
"""The factor `a` of a kernel that has all mass."""
REACH_OF_CELL = 0.35
"""How much nearer than its centre a cell's mass is taken to be, in its own sides; less for
kernels of a small share."""
NEAR_EDGE = 0.3
"""A kernel so near to the edge of the cell that holds it, in sides, asks the neighbour as well."""
SIDE_KM = np.sqrt(4 * np.pi / 6) * EARTH_RADIUS_KM * 0.5 ** np.arange(MAX_LEVEL + 1)
"""Mean side of the cells of each level."""


def mesh_of(unit: FloatArray, radius_km: FloatArray, share: FloatArray) -> Quads:
    """Return the cells that kernels need to be seen; together they cover the globe once.

    Args:
        unit: `[K, 3]` centres.
        radius_km: `[K]` scales.
        share: `[K]` of all mass, 0 to 1: lighter kernels are seen less finely.
    """
    area = FINENESS / np.sqrt(np.clip(share, 1e-6, 1.0)) * radius_km**2
    reach = REACH_OF_CELL * np.minimum(4 * np.sqrt(share), 1.0)
    leaves, cells, across = [], Quads.globe(), _across(unit)
    # Pairs of a kernel and a cell that it has a say on: its own branch of the tree.
    kernel = np.repeat(np.arange(len(unit)), len(cells))
    cell = np.tile(np.arange(len(cells)), len(unit))
    for level in range(MAX_LEVEL):
        around = _around(unit, across, NEAR_EDGE * SIDE_KM[level])
        away_km = EARTH_RADIUS_KM * _chords(cells.unit_vectors()[cell], unit[kernel])
        asked = away_km < _reach_km(level, area, radius_km, reach)[kernel]
        holds = (cells.find(quads_at(around, level)).reshape(5, -1)[:, kernel] == cell).any(axis=0)
        asked |= holds & (SIDE_KM[level] ** 2 > area[kernel])
        split = np.zeros(len(cells), dtype=np.bool_)
        split[cell[asked]] = True
        leaves.append(cells.taken(~split))
        if not split.any():
            return Quads.joined(leaves)
        kept = np.cumsum(split) - 1
        kernel = np.repeat(kernel[asked], 4)
        cell = (4 * kept[cell[asked]][:, None] + np.arange(4)).ravel()
        cells = cells.taken(split).children()
    return Quads.joined([*leaves, cells])


def _reach_km(level: int, area: FloatArray, radius_km: FloatArray, reach: FloatArray) -> FloatArray:
    """Return how near to a kernel cells of a level are too coarse for it, `[K]`; 0 for nowhere."""
    widened = (SIDE_KM[level] ** 2 / area) ** (2 / 3) - 1
    away = radius_km * np.sqrt(np.maximum(widened, 0)) + reach * SIDE_KM[level]
    return np.asarray(np.where(widened > 0, away, 0.0), dtype=np.float64)


def _across(unit: FloatArray) -> FloatArray:
    """Return four directions along the ground at each of `[K, 3]` points, `[5, K, 3]`, and none."""
    least = np.eye(3)[np.abs(unit).argmin(axis=1)]
    first = np.cross(unit, least)
    first /= np.linalg.norm(first, axis=1)[:, None]
    second = np.cross(unit, first)
    one, other = first + second, first - second  # across the edges of cells at special places
    across = np.stack([0 * one, one, -one, other, -other]) / np.sqrt(2)
    return np.asarray(across, dtype=np.float64)


def _around(unit: FloatArray, across: FloatArray, away_km: float) -> FloatArray:
    """Return the points `[K, 3]` themselves and four around each, `[5 K, 3]`."""
    found = (unit + min(away_km / EARTH_RADIUS_KM, 1.0) * across).reshape(-1, 3)
    length = np.sqrt(np.einsum("ij,ij->i", found, found))
    return np.asarray(found / length[:, None], dtype=np.float64)


def _chords(some: FloatArray, others: FloatArray) -> FloatArray:
    squared: NDArray[np.float64] = np.square(some - others).sum(axis=1)
    return np.sqrt(squared)
