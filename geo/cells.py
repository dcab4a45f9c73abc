"""Cells of the S2 hierarchy: six squares on the sphere, each cut into four, thirty times over.

Cells are their 64-bit numbers (`uint64`), in which the level is written; see s2geometry.io for
the curve behind them. Level 15 cells are about 281 m wide, level 16 about 140 m. Points become
cells through Google's own library; what is pure arithmetic of the number (parents, children,
levels) is done here for whole arrays. This module knows no places.

A pole has one cell, whatever its longitude, and so has the meridian of +-180 at each latitude.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from geo.errors import InputError
from geo.sphere import EARTH_RADIUS_KM, FloatArray, wrap_longitude

CellIds = npt.NDArray[np.uint64]

LEVELS = 30
"""The finest level: about a centimetre."""

_ONE = np.uint64(1)
# A cell's lowest set bit says its level, and stands on one of these places.
_LOWEST_BITS = np.uint64(0x1555555555555555)
_FACE_BIT = np.uint64(61)
_FACES = np.uint64(6)
_MOST_CHILDREN = 4**12


@cache
def _s2() -> Any:
    import s2geometry

    return s2geometry


def cell_ids(points: npt.ArrayLike, level: int) -> CellIds:
    """Return the cell of each point `[N, 2]` (latitude, longitude in degrees) as `[N]` numbers.

    Raises:
        InputError: a level outside 0 to 30; points of another shape, not finite or impossible.
    """
    _check_level(level)
    latitudes, longitudes = _checked(points).T
    # To the library +180 and -180 lie in different cells.
    longitudes = wrap_longitude(longitudes)
    s2 = _s2()
    cell, point = s2.S2CellId, s2.S2LatLng.FromDegrees
    pairs = zip(latitudes.tolist(), longitudes.tolist(), strict=True)
    leaves = (cell(point(latitude, longitude)).id() for latitude, longitude in pairs)
    return _at_level(np.fromiter(leaves, np.uint64, len(latitudes)), level)


def levels(ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the level of each cell, `[N]`, 0 (a sixth of the globe) to 30.

    Raises:
        InputError: a number that is no cell's.
    """
    checked = check_cells(ids)
    halvings = np.bitwise_count(_lowest_bit(checked) - _ONE)
    found: npt.NDArray[np.int64] = LEVELS - halvings.astype(np.int64) // 2
    return found


def parents(ids: npt.ArrayLike, level: int) -> CellIds:
    """Return the cell of `level` that holds each cell, `[N]`; a cell of that level holds itself.

    Raises:
        InputError: a level outside 0 to 30 or finer than a cell's own, or no cell's number.
    """
    _check_level(level)
    checked, own = check_cells(ids), levels(ids)
    if len(own) and own.min() < level:
        raise InputError(
            f"a cell of level {own.min()} has no parent of level {level}; give a level up to "
            f"{own.min()}"
        )
    return _at_level(checked, level)


def children(ids: npt.ArrayLike, level: int) -> CellIds:
    """Return the cells of `level` inside each cell, `[N, 4^n]`, in the order of the curve.

    Args:
        ids: `[N]` cells of one level.
        level: theirs or finer, by up to 12.

    Raises:
        InputError: cells of several levels, a level coarser than theirs or too fine.
    """
    _check_level(level)
    checked, own = check_cells(ids), levels(ids)
    if not len(own):
        return np.empty((0, 1), np.uint64)
    if own.min() != own.max():
        raise InputError(f"cells of levels {own.min()} to {own.max()}; give cells of one level")
    count = 4 ** max(level - int(own[0]), 0)
    if level < own[0] or count > _MOST_CHILDREN:
        raise InputError(
            f"children of level {level} of cells of level {own[0]}; give a level from {own[0]} to "
            f"{min(own[0] + 12, LEVELS)}"
        )
    bit = _ONE << np.uint64(2 * (LEVELS - level))
    first = checked - _lowest_bit(checked) + bit
    steps = np.arange(count, dtype=np.uint64) * (bit << _ONE)
    inside: CellIds = first[:, None] + steps
    return inside


def centres(ids: npt.ArrayLike) -> FloatArray:
    """Return the centre of each cell, `[N, 2]` latitude, longitude in degrees.

    Raises:
        InputError: a number that is no cell's.
    """
    cell = _s2().S2CellId
    places = (cell(number).ToLatLng() for number in check_cells(ids).tolist())
    pairs = [(place.lat().degrees(), place.lng().degrees()) for place in places]
    found = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    found[:, 1] = wrap_longitude(found[:, 1])
    return found


def tokens(ids: npt.ArrayLike) -> list[str]:
    """Return each cell's token: its number in hexadecimal without trailing zeros.

    Raises:
        InputError: a number that is no cell's.
    """
    return [f"{number:016x}".rstrip("0") for number in check_cells(ids).tolist()]


def from_tokens(names: Sequence[str]) -> CellIds:
    """Return the cells `[N]` of tokens; the inverse of `tokens`.

    Raises:
        InputError: a text that is no cell's token.
    """
    numbers = np.empty(len(names), np.uint64)
    for row, name in enumerate(names):
        hexadecimal = name.isascii() and name.isalnum() and len(name) <= 16
        try:
            numbers[row] = int(name.ljust(16, "0"), 16) if hexadecimal else 0
        except ValueError:
            numbers[row] = 0
        if not _are_cells(numbers[row : row + 1])[0]:
            raise InputError(
                f"{name[:40]!r} is no S2 cell's token; give up to 16 hexadecimal digits, such as "
                "47e66e2c"
            )
    return numbers


def polygon(cell: int | np.uint64) -> FloatArray:
    """Return a cell's corners `[5, 2]` in degrees, counterclockwise, the first once more.

    The edges are geodesics. Longitudes are in [-180, 180): the ring of a cell over the
    antimeridian jumps there, and that of a polar cell runs around the pole.

    Raises:
        InputError: a number that is no cell's.
    """
    s2 = _s2()
    number = int(check_cells([int(cell)])[0])
    square = s2.S2Cell(s2.S2CellId(number))
    corners = [s2.S2LatLng(square.GetVertex(corner % 4)) for corner in range(5)]
    ring = np.array([(corner.lat().degrees(), corner.lng().degrees()) for corner in corners])
    ring[:, 1] = wrap_longitude(ring[:, 1])
    return ring


def area_km2(ids: npt.ArrayLike) -> FloatArray:
    """Return each cell's area `[N]` in square kilometres, on a sphere of 6371 km.

    Raises:
        InputError: a number that is no cell's.
    """
    s2 = _s2()
    squares = (s2.S2Cell(s2.S2CellId(number)) for number in check_cells(ids).tolist())
    return np.array([square.ExactArea() for square in squares]) * EARTH_RADIUS_KM**2


def check_cells(ids: npt.ArrayLike) -> CellIds:
    """Return `[N]` cell numbers as uint64; signed ones are read as their bits.

    Raises:
        InputError: not a list of whole numbers, or one that is no cell's.
    """
    try:
        given = np.asarray(ids)
    except (TypeError, ValueError, OverflowError):
        given = np.empty((0, 0))
    if given.size == 0 and given.ndim == 1:
        return np.empty(0, np.uint64)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise InputError(
            f"cells are an array of {given.dtype} of shape {given.shape}; give [N] whole numbers"
        )
    numbers = given.astype(np.int64).view(np.uint64) if given.dtype.kind == "i" else given
    numbers = numbers.astype(np.uint64)
    good = _are_cells(numbers)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(
            f"number {numbers[row]} in row {row} is no S2 cell's; make cells with geo.cells"
        )
    return numbers


def _are_cells(numbers: CellIds) -> npt.NDArray[np.bool_]:
    in_a_face = numbers >> _FACE_BIT < _FACES
    good: npt.NDArray[np.bool_] = in_a_face & (_lowest_bit(numbers) & _LOWEST_BITS != 0)
    return good


def _lowest_bit(numbers: CellIds) -> CellIds:
    lowest: CellIds = numbers & (~numbers + _ONE)
    return lowest


def _at_level(ids: CellIds, level: int) -> CellIds:
    """The number's first bits up to the level, and the bit that says it ends there."""
    bit = _ONE << np.uint64(2 * (LEVELS - level))
    at_level: CellIds = (ids & (~bit + _ONE)) | bit
    return at_level


def _check_level(level: int) -> None:
    if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= LEVELS:
        raise InputError(f"S2 level {level!r}, limits 0 to {LEVELS}; give a whole number there")


def _checked(points: npt.ArrayLike) -> FloatArray:
    array = np.asarray(points, dtype=np.float64)
    if array.size == 0:
        return np.empty((0, 2))
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(
            f"points of shape {list(array.shape)}: give [N, 2], latitude and longitude in degrees"
        )
    latitudes, longitudes = array.T
    if not np.isfinite(array).all() or np.abs(latitudes).max() > 90:
        bad = ~np.isfinite(array).all(axis=1) | ~(np.abs(latitudes) <= 90)
        row = int(np.argmax(bad))
        raise InputError(
            f"point {row} is ({latitudes[row]}, {longitudes[row]}), latitude limits -90 to 90 "
            "degrees; leave it out or correct it"
        )
    return array
