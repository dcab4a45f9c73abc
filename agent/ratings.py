"""What an answer is worth to a truth at some distance: ratings, looked up instead of computed.

A belief tries a few hundred points against a few thousand truths at every step; five exponentials,
a root and an arc for each pair would take longer than all the rest.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from geo.sphere import EARTH_RADIUS_KM

Floats = NDArray[np.float64]
LOSS_SCALES_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""The field's thresholds; the reported point maximises the mean of exp(-distance / scale)."""
_DROPPED = 14
"""Bits of a squared half chord in single precision that do not count: 9 of its mantissa do, so
distances are told apart to 1 in 1,000 and rounded by half of that."""
_LEAST = np.float32(2.0**-50)
"""Squared half chord of 40 cm."""
_FIRST = int(_LEAST.view(np.int32)) >> _DROPPED
_LAST = int(np.float32(1.0).view(np.int32)) >> _DROPPED


def score(away_km: Floats) -> Floats:
    """Return the mean of exp(-distance / scale) over the field's thresholds, for distances."""
    parts = [np.exp(-away_km / scale) for scale in LOSS_SCALES_KM]
    return np.asarray(np.mean(parts, axis=0), dtype=np.float64)


def nearness(away_km: Floats) -> Floats:
    """Return the distance, less being better."""
    return -away_km


Rated = Callable[[Floats], Floats]


def truths(unit: Floats, spread_km: Floats) -> Floats:
    """Return what `expected` multiplies by, `[4, N]`.

    Args:
        unit: `[N, 3]` unit vectors.
        spread_km: `[N]` root of the mean squared distance of each truth from there.
    """
    more = 0.5 + (spread_km / (2 * EARTH_RADIUS_KM)) ** 2
    return np.concatenate([unit.T * -0.5, [more]])


def expected(
    tried: Floats, others: Floats, mass: NDArray[np.float32], rated: Rated
) -> NDArray[np.float32]:
    """Return the expected rating of each point tried, `[B]`, were the others the truth.

    Args:
        tried: `[B, 3]` unit vectors; a few, so that what is computed stays in the processor's cache
            and the product is too small for the threads of a BLAS, which would wait for each other.
        others: `[4, N]` from `truths`.
        mass: `[N]`.
        rated: what a truth at a distance is worth.
    """
    # Cosines in double precision keep a metre; the rest needs three digits.
    places = np.concatenate([tried, np.ones((len(tried), 1))], axis=1)
    half = (places @ others).astype(np.float32)
    index = half.view(np.int32)
    np.right_shift(index, _DROPPED, out=index)
    worth = _table(rated).take(index, mode="clip")
    held: NDArray[np.float32] = np.einsum("ij,j->i", worth, mass)
    return held


@cache
def _table(rated: Rated) -> NDArray[np.float32]:
    """Return the ratings of squared half chords from 0, which counts as `_LEAST`, to 1."""
    steps = np.maximum(np.arange(_LAST + 1, dtype=np.int32), _FIRST)
    middle = (steps << _DROPPED) + (1 << (_DROPPED - 1))
    half = np.sqrt(np.minimum(middle.astype(np.int32).view(np.float32).astype(np.float64), 1.0))
    return rated(np.arcsin(half) * (2 * EARTH_RADIUS_KM)).astype(np.float32)
