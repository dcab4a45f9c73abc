"""Intervals of shares, means and curves over photos whose authors are resampled.

On `evaluation.bootstrap`; what is here besides is for figures that are no ratio of sums.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import Interval, Resamples, resample
from geo.sphere import FloatArray

RESAMPLES = 1000
SEED = 20_260
LEVEL = 0.95
_Z = 1.959963984540054
"""Quantile of the normal distribution at `(1 + LEVEL) / 2`."""


def photo_counts(cluster: NDArray[np.intp], resamples: int = RESAMPLES) -> Iterator[FloatArray]:
    """Yield how often each photo is in each resample of authors, `[N]`; the same every time.

    Args:
        cluster: `[N]` number of each photo's author, from 0 without gaps.
        resamples: how many.
    """
    authors = int(cluster.max()) + 1 if len(cluster) else 0
    generator = np.random.default_rng(SEED)
    for _ in range(resamples if authors else 0):
        drawn = generator.integers(authors, size=authors)
        yield np.bincount(drawn, minlength=authors)[cluster].astype(np.float64)


def mean_interval(values: FloatArray, cluster: NDArray[np.intp]) -> Interval | None:
    """Return the 95 % interval of the mean of `[N]` values, authors resampled; None for none."""
    if not len(values):
        return None
    _, number = np.unique(cluster, return_inverse=True)
    columns = np.stack([values, np.ones(len(values))], axis=1)
    return resample(columns, number, resamples=RESAMPLES, seed=SEED, level=LEVEL).ratio(0, 1)


def interval_of(figures: FloatArray, cluster: NDArray[np.intp]) -> Interval | None:
    """Return the 95 % interval of a figure computed of every resample, `[B]`."""
    nothing = np.empty((len(figures), 0))
    return Resamples(nothing, nothing, int(cluster.max()) + 1, LEVEL).interval(figures)


def wilson(right: int, count: int) -> tuple[float, float] | None:
    """Return the 95 % score interval of a share (Wilson, JASA 22 (1927)); None for 0 of 0."""
    if not count:
        return None
    share, squared = right / count, _Z**2
    middle = share + squared / (2 * count)
    half = _Z * float(np.sqrt(share * (1 - share) / count + squared / (4 * count**2)))
    whole = 1 + squared / count
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)
