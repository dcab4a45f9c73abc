"""Photos that are the same as others: equal vectors, equal or nearly equal difference hashes.

Nearly equal hashes are found without comparing all with all: of 64 bits cut into 4 bands of 16,
two hashes that differ in at most 6 bits differ in at most 1 in some band, so that 17 look-ups a
band find every such pair (multi-index hashing, Norouzi, Punjani and Fleet, CVPR 2012). Bands
take every fourth bit: neighbours in a hash are alike, and equal bands would be crowded.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo.sphere import haversine_km
from index_builder.search import SAME_HASH_BITS

BANDS, BAND_BITS = 4, 16
MAX_COMPARISONS = 3_000_000_000
"""Beyond, hashes are compared for equality alone: about a minute on one core."""
_AT_ONCE = 2_000_000
Hashes = npt.NDArray[np.uint64]
Pairs = npt.NDArray[np.intp]


class Alike(NamedTuple):
    """Pairs of equal or nearly equal things."""

    pairs: Pairs
    """`[P, 2]` positions in what was compared, the smaller first."""
    complete: bool
    """Whether nearly equal ones were looked for too."""


def equal_pairs(keys: Hashes) -> Pairs:
    """Return each entry that has an equal one before it, with the first such, `[P, 2]`."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    before = first[inverse]
    number = np.arange(len(keys))
    later = before != number
    return np.column_stack([before[later], number[later]])


def near_pairs(hashes: Hashes, bits: int = SAME_HASH_BITS) -> Alike:
    """Return all pairs of distinct hashes that differ in at most so many bits.

    Args:
        hashes: `[N]`, each different from the others.
        bits: 7 at most, for which one differing bit a band is enough.
    """
    assert bits < 2 * BANDS
    banded = [_band(hashes, band) for band in range(BANDS)]
    if sum(_comparisons(band) for band in banded) > MAX_COMPARISONS:
        return Alike(np.empty((0, 2), np.intp), False)
    found = [_in_band(hashes, band, bits) for band in banded]
    return Alike(np.unique(np.concatenate(found), axis=0), True)


def _band(hashes: Hashes, band: int) -> npt.NDArray[np.intp]:
    """Return bits band, band + 4, band + 8, ... of each hash as a number below 65,536."""
    value = np.zeros(len(hashes), np.intp)
    for place in range(BAND_BITS):
        bit = (hashes >> np.uint64(band + BANDS * place)) & np.uint64(1)
        value |= bit.astype(np.intp) << place
    return value


def _comparisons(band: npt.NDArray[np.intp]) -> int:
    sizes = np.bincount(band, minlength=1 << BAND_BITS)
    keys = np.arange(1 << BAND_BITS)
    across = sum(int(sizes @ sizes[keys ^ (1 << place)]) for place in range(BAND_BITS)) // 2
    return int(sizes @ sizes) + across


def _in_band(hashes: Hashes, band: npt.NDArray[np.intp], bits: int) -> Pairs:
    """Return the pairs whose values in a band differ in one bit or none."""
    order = np.argsort(band, kind="stable")
    starts = np.searchsorted(band[order], np.arange((1 << BAND_BITS) + 1))
    found = [np.empty((0, 2), np.intp)]
    for mask in (0, *(1 << place for place in range(BAND_BITS))):
        # Of two values that differ in a bit, the one without it does the looking.
        asking = np.flatnonzero((band & mask) == 0)
        other = band[asking] ^ mask
        first, count = starts[other], starts[other + 1] - starts[other]
        for part in _portions(count):
            left = np.repeat(asking[part], count[part])
            ends = np.cumsum(count[part])
            within = np.arange(len(left)) - np.repeat(ends - count[part], count[part])
            right = order[np.repeat(first[part], count[part]) + within]
            close = np.bitwise_count(hashes[left] ^ hashes[right]) <= bits
            close &= left != right
            pairs = np.column_stack([left[close], right[close]])
            found.append(np.sort(pairs, axis=1))
    return np.concatenate(found)


def _portions(count: npt.NDArray[np.intp]) -> list[slice]:
    """Cut askers into runs that together look at two million others or so."""
    total = np.cumsum(count)
    if not len(total) or not total[-1]:
        return []
    edges = np.searchsorted(total, np.arange(_AT_ONCE, int(total[-1]), _AT_ONCE))
    cuts = np.unique(np.concatenate([[0], edges, [len(count)]]))
    return [slice(int(a), int(b)) for a, b in pairwise(cuts)]


def distances_km(positions: npt.NDArray[np.float64], pairs: Pairs) -> npt.NDArray[np.float64]:
    """Return how far the two of each pair are apart, `[P]` km on the sphere.

    Args:
        positions: `[N, 2]` latitude, longitude in degrees.
        pairs: `[P, 2]`.
    """
    if not len(pairs):
        return np.empty(0)
    first, second = positions[pairs[:, 0]], positions[pairs[:, 1]]
    return haversine_km(first[:, 0], first[:, 1], second[:, 0], second[:, 1])
