"""Distances of all photos, and every figure that they come to, with its intervals."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import Interval, Resamples, author_clusters, resample
from evaluation.figures import Figure, Named, Slice, Spent, Within, scaled
from evaluation.metrics import Distance, Operator, errors_km, geoscores, within
from evaluation.pairing import Paired
from evaluation.place_names import NameKind, matches
from evaluation.slices import slice_members
from geo.sphere import FloatArray

LEVEL = 0.95
"""Of all intervals."""


class Measured:
    """Distances of all photos, and the columns whose sums every figure is a ratio of."""

    def __init__(
        self,
        paired: Paired,
        thresholds: tuple[float, ...],
        distance: Distance,
        operator: Operator,
        names: tuple[NameKind, ...],
    ) -> None:
        self.truths, self.thresholds, self.kinds = paired.truths, thresholds, names
        self.errors = errors_km(paired.truths.points, paired.points, distance)
        self.answered = np.isfinite(self.errors)
        self.hits = within(self.errors, thresholds, operator)
        self.scores = geoscores(self.errors)
        self.matches = [matches(kind, paired.truths, paired.points) for kind in names]
        self.naive: Resamples | None = None
        self.clustered: Resamples | None = None

    def resample(self, resamples: int, seed: int) -> None:
        """Draw photos, and authors; nothing where 0 resamples are asked for."""
        if not resamples:
            return
        # Taken in an order of their own, photos come out the same whatever the table's order is.
        self.order = np.lexsort((np.array(self.truths.authors), self.errors))
        self.clusters = author_clusters(self.truths.authors, self.order)
        columns = self._columns()[self.order]
        errors = self.errors[self.order, None]
        alone = np.arange(len(columns))
        draw = partial(resample, columns, resamples=resamples, level=LEVEL, medians=errors)
        self.naive = draw(alone, seed=seed)
        self.clustered = draw(self.clusters[self.order], seed=seed)

    def _columns(self) -> FloatArray:
        """`[N, 4 + T + 2 x names]`: one, answered, km, GeoScore, hits, names right and known."""
        ones = np.ones(len(self.errors))
        named = [column for one in self.matches for column in (one.right, one.known)]
        km = np.nan_to_num(self.errors)
        return np.stack([ones, self.answered, km, self.scores, *self.hits.T, *named], axis=1)

    def _intervals(self, top: int, bottom: int, scale: float = 1.0) -> dict[str, Interval | None]:
        drawn = {"naive": self.naive, "clustered": self.clustered}
        return {name: share(one, top, bottom, scale) for name, one in drawn.items()}

    def accuracies(self) -> tuple[Within, ...]:
        """Return the share of all photos within each threshold."""
        return tuple(
            Within(
                threshold_km=threshold,
                hits=int(hits.sum()),
                value=100 * float(hits.mean()),
                unit="percent",
                photos=len(hits),
                **self._intervals(4 + number, 0, 100.0),
            )
            for number, (threshold, hits) in enumerate(
                zip(self.thresholds, self.hits.T, strict=True)
            )
        )

    def mean(self) -> Figure:
        """Return the mean distance of answered photos."""
        count = int(self.answered.sum())
        value = float(self.errors[self.answered].mean()) if count else None
        return Figure(value=value, unit="km", photos=count, **self._intervals(2, 1))

    def median(self) -> Figure:
        """Return the median distance of answered photos."""
        count = int(self.answered.sum())
        return Figure(
            value=float(np.median(self.errors[self.answered])) if count else None,
            unit="km",
            photos=count,
            naive=self.naive.median() if self.naive else None,
            clustered=self.clustered.median() if self.clustered else None,
        )

    def geoscore(self) -> Figure:
        """Return the mean GeoScore of all photos."""
        value = float(self.scores.mean())
        intervals = self._intervals(3, 0)
        return Figure(value=value, unit="points", photos=len(self.scores), **intervals)

    def named(self) -> tuple[Named, ...]:
        """Return the share of photos that are named right, of those that have such a name."""
        first, found = 4 + len(self.thresholds), []
        for number, (kind, one) in enumerate(zip(self.kinds, self.matches, strict=True)):
            hits, photos = int(one.right.sum()), int(one.known.sum())
            top = first + 2 * number
            found.append(
                Named(
                    kind=kind,
                    hits=hits,
                    value=100 * hits / photos if photos else None,
                    unit="percent",
                    photos=photos,
                    **self._intervals(top, top + 1, 100.0),
                )
            )
        return tuple(found)

    def sliced(self, column: str, resamples: int, seed: int) -> tuple[Slice, ...]:
        """Return the scores of the photos of each label, with intervals over authors."""
        members = slice_members(self.truths, column)
        drawn = None
        if resamples:
            width = [
                np.column_stack([mask, self.hits * mask[:, None]]) for mask in members.values()
            ]
            columns = np.concatenate(width, axis=1)[self.order]
            clusters = self.clusters[self.order]
            drawn = resample(columns, clusters, resamples=resamples, seed=seed, level=LEVEL)
        step = 1 + len(self.thresholds)
        return tuple(
            self._slice(label, mask, drawn and self._only(drawn, mask, number * step))
            for number, (label, mask) in enumerate(members.items())
        )

    def _only(self, drawn: Resamples, mask: NDArray[np.bool_], first: int) -> Resamples:
        """Return the columns of one slice, with the clusters that it is of."""
        sums = drawn.sums[:, first : first + 1 + len(self.thresholds)]
        return replace(drawn, sums=sums, clusters=len(np.unique(self.clusters[mask])))

    def _slice(self, label: str, mask: NDArray[np.bool_], drawn: Resamples | None) -> Slice:
        known = self.errors[mask & self.answered]
        return Slice(
            label=label,
            photos=int(mask.sum()),
            answered=len(known),
            median_km=float(np.median(known)) if len(known) else None,
            geoscore=float(self.scores[mask].mean()),
            accuracies=tuple(
                Within(
                    threshold_km=threshold,
                    hits=int(hits.sum()),
                    value=100 * float(hits.mean()),
                    unit="percent",
                    photos=len(hits),
                    clustered=share(drawn, 1 + number, 0, 100.0),
                )
                for number, (threshold, hits) in enumerate(
                    zip(self.thresholds, self.hits[mask].T, strict=True)
                )
            ),
        )


def share(drawn: Resamples | None, top: int, bottom: int, scale: float = 1.0) -> Interval | None:
    """Return the interval of the ratio of two columns; None where nothing was resampled."""
    return scaled(drawn.ratio(top, bottom), scale) if drawn else None


def spent(paired: Paired, price: float | None) -> Spent:
    """Return what predictions took; `price` is that of a million tokens."""
    found: dict[str, float | int | None] = {"price": price}
    if paired.seconds is not None:
        found |= {"seconds": float(np.nansum(paired.seconds))}
        found |= {"timed": int(np.isfinite(paired.seconds).sum())}
    if paired.tokens is not None:
        tokens = int(np.nansum(paired.tokens))
        found |= {"tokens": tokens, "counted": int(np.isfinite(paired.tokens).sum())}
        found |= {"cost": None if price is None else tokens * price / 1e6}
    return Spent.model_validate(found)
