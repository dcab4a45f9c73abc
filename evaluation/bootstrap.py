"""How much figures would differ on other photos: bootstrap over photos and over authors.

Photos of one author are alike: of the same journeys, cameras, subjects. Resampling photos one by
one ("naive") takes them for independent and makes intervals too narrow; resampling authors with
all their photos does not (cluster bootstrap: Davison and Hinkley, Bootstrap Methods, 1997, 3.8;
Field and Welsh, JRSS B 69(3), 2007). Intervals are percentile intervals (Efron, 1979).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from geo.errors import InputError
from geo.sphere import FloatArray
from tools.evidence import Record

IndexArray = NDArray[np.intp]
MAX_RESAMPLES = 100_000
_BLOCK = 500_000
"""Counts drawn at once: 2 MB, which caches hold."""


class Interval(Record):
    """How far a figure is to be trusted.

    Attributes:
        standard_error: standard deviation of the figure over the resamples.
        low: percentile interval of the stated level; `high` its other end.
        clusters: how many units were drawn from: photos, or authors.
    """

    standard_error: float = Field(ge=0)
    low: float
    high: float
    clusters: int = Field(ge=1)


@dataclass(frozen=True)
class Resamples:
    """The same quantities over many resamples.

    Attributes:
        sums: `[B, K]` of the columns, each photo as often as it was drawn.
        medians: `[B, M]`; NaN where no photo that has a value was drawn.
        clusters: how many units were drawn from.
        level: of the intervals, such as 0.95.
    """

    sums: FloatArray
    medians: FloatArray
    clusters: int
    level: float

    def ratio(self, top: int, bottom: int) -> Interval | None:
        """Return the interval of the ratio of two sums; None where it is never defined."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.interval(self.sums[:, top] / self.sums[:, bottom])

    def median(self, number: int = 0) -> Interval | None:
        """Return the interval of a median; None where it is never defined."""
        return self.interval(self.medians[:, number])

    def interval(self, figures: FloatArray) -> Interval | None:
        """Return the interval of a figure computed of every resample `[B]`.

        None where it is never defined, and of one cluster alone, which tells nothing of others.
        """
        found = figures[np.isfinite(figures)]
        if len(found) < 2 or self.clusters < 2:
            return None
        tail = 50 * (1 - self.level)
        low, high = np.percentile(found, [tail, 100 - tail])
        return Interval(
            standard_error=float(found.std(ddof=1)),
            low=float(low),
            high=float(high),
            clusters=self.clusters,
        )


def author_clusters(authors: Sequence[str], order: IndexArray | None = None) -> IndexArray:
    """Return the number of each photo's cluster `[N]`; one without an author has its own.

    Args:
        authors: `[N]`, "" where unknown.
        order: `[N]` in which photos are taken, where their numbers are to depend on it.
    """
    taken = range(len(authors)) if order is None else order.tolist()
    known = {name: number for number, name in enumerate(sorted({*authors} - {""}))}
    clusters = np.empty(len(authors), dtype=np.intp)
    spare = len(known)
    for place in taken:
        if authors[place]:
            clusters[place] = known[authors[place]]
        else:
            clusters[place] = spare
            spare += 1
    return clusters


def resample(
    columns: FloatArray,
    clusters: IndexArray,
    *,
    resamples: int,
    seed: int,
    level: float = 0.95,
    medians: FloatArray | None = None,
) -> Resamples:
    """Return sums and medians over resamples of whole clusters, drawn with replacement.

    A resample is how often each cluster was drawn, so the sums are one matrix product of these
    counts with the sums of each cluster, and a median is that of the photos weighted by them.

    Args:
        columns: `[N, K]` of each photo.
        clusters: `[N]` numbers from 0; see `author_clusters`.
        resamples: how many, 2 to 100,000.
        seed: equal seeds draw equal resamples.
        level: of the intervals.
        medians: `[N, M]`, NaN where a photo has no value.

    Raises:
        InputError: no photos, or a number of resamples out of range.
    """
    if not 2 <= resamples <= MAX_RESAMPLES:
        raise InputError(f"{resamples!r} resamples: give 2 to {MAX_RESAMPLES:,}, or 0 for none")
    if not len(columns):
        raise InputError("0 photos cannot be resampled: give at least 1")
    number = int(clusters.max()) + 1
    totals = np.stack(
        [np.bincount(clusters, weights=column, minlength=number) for column in columns.T], axis=1
    )
    ranks = [_Ranked(column, clusters) for column in (medians.T if medians is not None else ())]
    sums, middles = [], []
    for counts in _draws(number, resamples, seed):
        sums.append(counts.astype(np.float64) @ totals)
        middles.append(np.stack([one.medians(counts) for one in ranks], axis=1) if ranks else None)
    found = [one for one in middles if one is not None]
    empty = np.empty((resamples, 0))
    return Resamples(np.concatenate(sums), np.concatenate(found) if found else empty, number, level)


def _draws(clusters: int, resamples: int, seed: int) -> Iterator[NDArray[np.int32]]:
    """Yield how often each cluster is drawn `[b, C]`, in blocks; rows are multinomial."""
    generator = np.random.default_rng(seed)
    most = max(1, _BLOCK // clusters)
    for start in range(0, resamples, most):
        rows = min(most, resamples - start)
        drawn = generator.integers(0, clusters, size=(rows, clusters), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * np.int32(clusters)
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield counts.reshape(rows, clusters).astype(np.int32)


class _Ranked:
    """Values in rising order with their clusters, so that each resample's median is a search."""

    def __init__(self, values: FloatArray, clusters: IndexArray) -> None:
        known = np.flatnonzero(np.isfinite(values))
        order = known[np.argsort(values[known], kind="stable")]
        self.values, self.clusters = values[order], clusters[order]

    def medians(self, counts: NDArray[np.int32]) -> FloatArray:
        """Return `[b]`, exactly the median of each photo repeated as often as it was drawn."""
        found = np.full(len(counts), np.nan)
        if not len(self.values):
            return found
        weights = np.cumsum(counts[:, self.clusters], axis=1, dtype=np.int32)
        halves, odd = np.divmod(weights[:, -1], 2)
        for row in np.flatnonzero(weights[:, -1]):
            below = weights[row].searchsorted(halves[row] + odd[row])
            above = weights[row].searchsorted(halves[row], "right")
            found[row] = (self.values[below] + self.values[above]) / 2
        return found
