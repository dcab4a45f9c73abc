"""Two sets of distances to the truth of the same photos, and every difference of figures."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evaluation.bootstrap import Resamples, author_clusters, resample
from evaluation.figures import Figure
from evaluation.measured import LEVEL, share
from evaluation.metrics import Distance, Operator, errors_km, geoscores, within
from evaluation.pairing import Paired
from evaluation.slices import slice_members
from evaluation.tables import Truths
from geo.sphere import FloatArray
from tools.evidence import Record


class Difference(Figure):
    """B's accuracy less A's, in points of a percent, and the photos behind it.

    Attributes:
        a: accuracy of A, in percent; `b` likewise.
        won: photos that B alone has right; `lost`: that A alone has.
        p: of McNemar's exact test, two-sided; 1 where none is won or lost.
    """

    threshold_km: float
    a: float
    b: float
    won: int = Field(ge=0)
    lost: int = Field(ge=0)
    p: float = Field(ge=0, le=1)


class Moved(Record):
    """A photo and how far both are off; None where there is no answer."""

    image_id: str
    a_km: float | None
    b_km: float | None


class SliceDifference(Record):
    """The photos of one label."""

    label: str
    photos: int
    differences: tuple[Difference, ...]


class Side:
    """One of the two: its distances, hits `[N, T]` and GeoScores."""

    def __init__(
        self, paired: Paired, distance: Distance, operator: Operator, thresholds: Sequence[float]
    ) -> None:
        self.errors = errors_km(paired.truths.points, paired.points, distance)
        self.answered: NDArray[np.bool_] = ~np.isnan(self.errors)
        self.hits = within(self.errors, thresholds, operator)
        self.scores = geoscores(self.errors)
        self.notes = paired.notes

    def median(self) -> float | None:
        """Return the median distance of what it answered."""
        return float(np.median(self.errors[self.answered])) if self.answered.any() else None


class Compared:
    """B less A, photo by photo, and what that comes to."""

    def __init__(self, truths: Truths, a: Side, b: Side, thresholds: Sequence[float]) -> None:
        self.truths, self.a, self.b, self.thresholds = truths, a, b, thresholds
        self.both = a.answered & b.answered
        self.gained = b.hits - a.hits
        self.further = b.errors - a.errors
        # Taken in an order of their own, photos come out the same whatever the table's order is.
        self.order = np.lexsort((np.array(truths.authors), b.errors, a.errors))
        self.clusters = author_clusters(truths.authors, self.order)[self.order]
        self.naive: Resamples | None = None
        self.clustered: Resamples | None = None

    def resample(self, resamples: int, seed: int) -> None:
        """Draw photos, and authors; nothing where 0 resamples are asked for."""
        if not resamples:
            return
        ones, more = np.ones(len(self.order)), self.b.scores - self.a.scores
        columns = np.column_stack([ones, more, self.gained])[self.order]
        further = self.further[self.order, None]
        draw = partial(
            resample, columns, resamples=resamples, seed=seed, level=LEVEL, medians=further
        )
        self.naive = draw(np.arange(len(columns)))
        self.clustered = draw(self.clusters)

    def differences(self) -> tuple[Difference, ...]:
        """Return the difference of accuracies at each threshold."""
        everything = np.ones(len(self.gained), dtype=np.bool_)
        return self._differences(everything, self.naive, self.clustered, 0, 2)

    def geoscore(self) -> Figure:
        """Return the difference of the mean GeoScores."""
        return Figure(
            value=float((self.b.scores - self.a.scores).mean()),
            unit="points",
            photos=len(self.gained),
            naive=share(self.naive, 1, 0),
            clustered=share(self.clustered, 1, 0),
        )

    def median(self) -> Figure:
        """Return the median of B's distance less A's, over photos that both answered."""
        return Figure(
            value=float(np.median(self.further[self.both])) if self.both.any() else None,
            unit="km",
            photos=int(self.both.sum()),
            naive=self.naive.median() if self.naive else None,
            clustered=self.clustered.median() if self.clustered else None,
        )

    def sliced(self, column: str, resamples: int, seed: int) -> tuple[SliceDifference, ...]:
        """Return the differences of the photos of each label, with intervals over authors."""
        members = slice_members(self.truths, column)
        drawn = None
        if resamples:
            width = [np.column_stack([m, self.gained * m[:, None]]) for m in members.values()]
            columns = np.concatenate(width, axis=1)[self.order]
            drawn = resample(columns, self.clusters, resamples=resamples, seed=seed, level=LEVEL)
        step = 1 + len(self.thresholds)
        return tuple(
            SliceDifference(
                label=label,
                photos=int(mask.sum()),
                differences=self._differences(
                    mask, None, self._only(drawn, mask), number * step, number * step + 1
                ),
            )
            for number, (label, mask) in enumerate(members.items())
        )

    def moved(self, most: int) -> tuple[Moved, ...]:
        """Return the photos whose GeoScore differs most, first the one that differs most."""
        apart = np.abs(self.b.scores - self.a.scores)
        ranked = np.lexsort((np.array(self.truths.ids), -apart))[:most]
        return tuple(
            Moved(
                image_id=self.truths.ids[n],
                a_km=_known(self.a.errors[n]),
                b_km=_known(self.b.errors[n]),
            )
            for n in ranked.tolist()
            if apart[n] > 0
        )

    def _only(self, drawn: Resamples | None, mask: NDArray[np.bool_]) -> Resamples | None:
        """Return the resamples where a slice is of several authors; None where it is not."""
        several = len(np.unique(self.clusters[mask[self.order]])) > 1
        return drawn if several else None

    def _differences(
        self,
        mask: NDArray[np.bool_],
        naive: Resamples | None,
        clustered: Resamples | None,
        bottom: int,
        first: int,
    ) -> tuple[Difference, ...]:
        return tuple(
            difference(
                self.a.hits[mask, number],
                self.b.hits[mask, number],
                threshold_km=threshold,
                naive=share(naive, first + number, bottom, 100.0),
                clustered=share(clustered, first + number, bottom, 100.0),
            )
            for number, threshold in enumerate(self.thresholds)
        )


def difference(a: FloatArray, b: FloatArray, **given: object) -> Difference:
    """Return B's accuracy less A's; `a` and `b` are `[N]` of 1 where right and 0 where not."""
    won, lost = int(((b > 0) & (a == 0)).sum()), int(((a > 0) & (b == 0)).sum())
    figures = {
        "a": 100 * float(a.mean()),
        "b": 100 * float(b.mean()),
        "value": 100 * (won - lost) / len(a),
        "unit": "percent",
        "photos": len(a),
    }
    counts = {"won": won, "lost": lost, "p": mcnemar(won, lost)}
    return Difference.model_validate({**figures, **counts, **given})


def mcnemar(won: int, lost: int) -> float:
    """Return the two-sided p of McNemar's exact test: as uneven or more, if either were as likely.

    Method: McNemar, Psychometrika 12 (1947); exact by the binomial distribution.
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(won, lost), won + lost, 0.5))) if won + lost else 1.0


def _known(errors: float) -> float | None:
    return None if np.isnan(errors) else float(errors)
