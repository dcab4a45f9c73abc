"""An adaptive mesh of S2 cells: coarse everywhere, fine where evidence is.

The kernels of belief are bivariate Student t with two degrees of freedom (`agent.belief`), whose
scale is their `radius_km`, `r`. At a distance `d` from one, a cell may have the area
`a r^2 (1 + d^2 / r^2)^(3/2)`, where `a` is finer for a kernel of a larger share: rings that hold
the same mass have about as many cells, and their sum is bounded. A cell is split where any kernel
asks for it, so the mesh depends neither on the order of the kernels nor on how often one comes.
"""

from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from geo.quads import Ints, Quads, places_at, quads_of
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


def mesh_of(
    unit: FloatArray,
    radius_km: FloatArray,
    share: FloatArray,
    first: NDArray[np.intp] | None = None,
    split: Ints | None = None,
) -> Quads:
    """Return the cells that kernels need to be seen; together they cover the globe once.

    What each group of kernels asks for is kept for a while: evidence that was there before costs
    little. The cells, and their order, are the same without that.

    Args:
        unit: `[K, 3]` centres.
        radius_km: `[K]` scales.
        share: `[K]` of all mass, 0 to 1: lighter kernels are seen less finely.
        first: `[G]` the first kernel of each group; None for one group of all.
        split: cells that must be split as well, by number, each with all that it lies in.
    """
    starts = [0] if first is None else first.tolist()
    table = np.column_stack([unit, radius_km, share])
    groups = [slice(a, b) for a, b in pairwise([*starts, len(unit)])]
    keys = [table[rows].tobytes() for rows in groups]
    found = {key: _kept.get(key) for key in keys}
    missing = [g for g, key in enumerate(keys) if found[key] is None]
    if missing:
        owner = np.repeat(
            np.arange(len(missing)), [groups[g].stop - groups[g].start for g in missing]
        )
        rows = np.concatenate([np.arange(groups[g].start, groups[g].stop) for g in missing])
        for g, own in zip(missing, _splits(*_columns(table[rows]), owner), strict=True):
            found[keys[g]] = own
            _kept.put(keys[g], own)
    more = FACE_IDS[:0] if split is None else split
    return _leaves(_distinct(np.concatenate([more, *found.values()])))


def _columns(table: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    return table[:, :3], table[:, 3], table[:, 4]


def _splits(
    unit: FloatArray, radius_km: FloatArray, share: FloatArray, owner: NDArray[np.intp]
) -> list[Ints]:
    """Return the numbers of the cells that each owner's kernels split, sorted."""
    area = FINENESS / np.sqrt(np.clip(share, 1e-6, 1.0)) * radius_km**2
    reach = REACH_OF_CELL * np.minimum(4 * np.sqrt(share), 1.0)
    cells, at = Quads.globe(), _around(unit, int((area.min() < SIDE_KM**2).sum()))
    count = int(owner[-1]) + 1
    asked_by, asked_for = [np.empty(0, dtype=np.intp)], [FACE_IDS[:0]]
    # Pairs of a kernel and a cell that it has a say on: its own branch of the tree.
    kernel = np.repeat(np.arange(len(unit)), len(cells))
    cell = np.tile(np.arange(len(cells)), len(unit))
    for level in range(MAX_LEVEL):
        apart = cells.unit_vectors()[cell]
        apart -= unit[kernel]
        away_km2 = np.einsum("ij,ij->i", apart, apart) * EARTH_RADIUS_KM**2
        asked = away_km2 < (_reach_km(level, area, radius_km, reach) ** 2)[kernel]
        coarse = SIDE_KM[level] ** 2 > area
        if coarse.any():
            held = cells.find(at(level)).reshape(5, -1)
            asked |= (held[:, kernel] == cell).any(axis=0) & coarse[kernel]
        split = np.zeros(len(cells), dtype=np.bool_)
        split[cell[asked]] = True
        if not split.any():
            break
        asked_by.append(owner[kernel[asked]])
        asked_for.append(cells.ids()[cell[asked]])
        kept = np.cumsum(split) - 1
        kernel = np.repeat(kernel[asked], 4)
        cell = (4 * kept[cell[asked]][:, None] + np.arange(4)).ravel()
        cells = cells.taken(split).children()
    whose, ids = np.concatenate(asked_by), np.concatenate(asked_for)
    order = np.argsort(whose, kind="stable")
    parts = np.split(ids[order], np.searchsorted(whose[order], np.arange(1, count)))
    return [_distinct(part) for part in parts]


def _leaves(split: Ints) -> Quads:
    """Return the cells that remain where these are split, by their numbers `[N]`, sorted."""
    ids = np.concatenate([FACE_IDS, Quads.of_ids(split).children().ids()])
    ids.sort()
    if not len(split):
        return Quads.of_ids(ids)
    near = np.minimum(np.searchsorted(split, ids), len(split) - 1)
    return Quads.of_ids(ids[split[near] != ids])


def _distinct(ids: Ints) -> Ints:
    """Return the distinct numbers, sorted; `np.unique` would take longer to begin."""
    ids = np.sort(ids)
    fresh = np.ones(len(ids), dtype=np.bool_)
    np.not_equal(ids[1:], ids[:-1], out=fresh[1:])
    return ids[fresh]


class Kept:
    """What groups of kernels asked for lately; threads may share it."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, OrderedDict[bytes, Ints]()
        self._lock, self.size = Lock(), 0

    def get(self, key: bytes) -> Ints | None:
        """Return what is kept for a key."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: bytes, split: Ints) -> None:
        """Keep what belongs to a key; what was not asked for longest goes first."""
        with self._lock:
            if key in self._held:
                return
            self._held[key] = split
            self.size += len(split) + len(key) // 8
            while self.size > self._most:
                old, gone = self._held.popitem(last=False)
                self.size -= len(gone) + len(old) // 8

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self.size = 0


MOST_KEPT = 1_000_000
"""Numbers kept at once, 8 MB."""
_kept = Kept(MOST_KEPT)


def forget() -> None:
    """Forget what groups of kernels asked for: the next mesh takes longer and is the same."""
    _kept.clear()


FACE_IDS = Quads.globe().ids()


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


def _around(unit: FloatArray, levels: int) -> Callable[[int], Quads]:
    """Return what gives the cells of a level at the points `[K, 3]` and four around each, `[5 K]`.

    The four are `NEAR_EDGE` of a side away.
    """
    angle = np.minimum(NEAR_EDGE * SIDE_KM[:levels] / EARTH_RADIUS_KM, 1.0)
    found = unit + angle[:, None, None, None] * _across(unit)
    face, s, t = places_at(found.reshape(-1, 3))
    count = 5 * len(unit)

    def at(level: int) -> Quads:
        rows = slice(level * count, (level + 1) * count)
        return quads_of(face[rows], s[rows], t[rows], level)

    return at
