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
_BLOCK = 100_000
"""Counts drawn at once: under 1 MB, which caches hold."""
_NEAR, _AT_LEAST = 12, 64
"""Medians are looked for within a twelfth of all photos on either side, at least 64."""


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
        sums.append(counts @ totals)
        found = [one.medians(counts) for one in ranks]
        middles.append(np.stack(found, axis=1) if found else np.empty((len(counts), 0)))
    return Resamples(np.concatenate(sums), np.concatenate(middles), number, level)


def _draws(clusters: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yield how often each cluster is drawn `[b, C]`, in blocks; rows are multinomial."""
    generator = np.random.default_rng(seed)
    most = max(1, _BLOCK // clusters)
    for start in range(0, resamples, most):
        rows = min(most, resamples - start)
        drawn = generator.integers(0, clusters, size=(rows, clusters), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * np.int32(clusters)
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield counts.reshape(rows, clusters).astype(np.float64)


class _Ranked:
    """Values in rising order with their clusters, so that each resample's median is a search.

    Nearly all medians of resamples lie near that of the sample, so the search begins there; a
    resample whose median does not is searched whole.
    """

    def __init__(self, values: FloatArray, clusters: IndexArray) -> None:
        known = np.flatnonzero(np.isfinite(values))
        order = known[np.argsort(values[known], kind="stable")]
        self.values, self.clusters = values[order], clusters[order]
        middle, reach = len(order) // 2, max(len(order) // _NEAR, _AT_LEAST)
        self.near = slice(max(middle - reach, 0), middle + reach)
        size = int(clusters.max()) + 1
        before = np.bincount(self.clusters[: self.near.start], minlength=size)
        self.sizes = np.stack([before, np.bincount(self.clusters, minlength=size)], axis=1)

    def medians(self, counts: FloatArray) -> FloatArray:
        """Return `[b]`, exactly the median of each photo repeated as often as it was drawn."""
        found = np.full(len(counts), np.nan)
        before, total = (counts @ self.sizes.astype(np.float64)).T
        halves, after = np.floor(total / 2), np.floor(total / 2) + 1
        halves = np.where(total % 2 == 1, after, halves)
        if not len(self.values):
            return found
        reached = np.cumsum(counts[:, self.clusters[self.near]], axis=1) + before[:, None]
        near = (before < halves) & (reached[:, -1] >= after)
        for row in np.flatnonzero(near & (total > 0)):
            found[row] = self._middle(reached[row], halves[row], after[row], self.near.start)
        for row in np.flatnonzero(~near & (total > 0)):
            whole = np.cumsum(counts[row, self.clusters])
            found[row] = self._middle(whole, halves[row], after[row], 0)
        return found

    def _middle(self, reached: FloatArray, half: float, after: float, first: int) -> float:
        """Return the mean of the values drawn as number `half` and `after`, from 1."""
        below, above = first + reached.searchsorted(half), first + reached.searchsorted(after)
        return float(self.values[below] + self.values[above]) / 2
