"""Risk-coverage curves: if only the surest photos are answered, how often is the answer wrong?

El-Yaniv and Wiener, On the foundations of noise-free selective classification, JMLR 11 (2010). The
area under the curve (AURC) and its excess over that of a perfect order: Geifman, Uziel and
El-Yaniv, Bias-reduced uncertainty estimation, ICLR 2019.

Photos of equal confidence have no order. Everything here is the exact mean over all orders of
theirs, so a coarse scale, such as a model's word from 1 to 5, is neither lucky nor unlucky.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evaluation.belief_scores import Floats
from evaluation.bootstrap import Interval
from evaluation.cluster_resamples import interval_of, photo_counts
from geo.errors import InputError
from tools.evidence import Record, Share

AT = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of photos answered at which the risk is told."""


class RiskCoverage(Record):
    """A risk-coverage curve, summed up.

    Attributes:
        name: of the confidence.
        photos: all of them, answered or not: the denominator.
        unanswered: photos without an answer; they rank last, with risk 1.
        unranked: answered photos without this confidence; they rank after all that have it.
        levels: how many different confidences there are; few make a coarse order.
        aurc: area under the curve: mean over all coverages of the risk, 0 is best; None for no
            photo, as are the others.
        aurc_interval: 95 %, authors resampled.
        excess: area over that of the best possible order of the same answers.
        risk_at: share of photos answered -> risk among them.
    """

    name: str
    photos: int = Field(ge=0)
    unanswered: int = Field(ge=0)
    unranked: int = Field(ge=0)
    levels: int = Field(ge=0)
    aurc: float | None
    aurc_interval: Interval | None
    excess: float | None
    risk_at: dict[str, Share | None]


class AurcDifference(Record):
    """How much smaller or larger one area is than another on the same photos.

    Attributes:
        difference: area of `name` less that of `against`; below 0, `name` orders better.
        interval: 95 %, authors resampled, both curves on the same photos each time.
        share_below: share of resamples in which `name` is the better one.
    """

    name: str
    against: str
    difference: float | None
    interval: Interval | None
    share_below: Share | None


def tie_groups(confidence: Floats, answered: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the rank of each photo, `[N]`, 0 the surest; equal confidences share one.

    Args:
        confidence: `[N]`, any scale, higher is surer; NaN where there is none: these share the
            rank after all that have one.
        answered: `[N]`; photos without an answer share the last rank, whatever their confidence.

    Raises:
        InputError: a confidence is infinite, or the two differ in length.
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    if confidence.shape != answered.shape:
        raise InputError(
            f"{confidence.size} confidences for {answered.size} photos: give one for each"
        )
    if np.isinf(confidence).any():
        raise InputError("a confidence is infinite: give numbers, or NaN where there is none")
    tier = np.where(~answered, 2.0, np.where(np.isnan(confidence), 1.0, 0.0))
    keys = np.stack([tier, np.where(tier == 0, -confidence, 0.0)], axis=1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    return np.asarray(group, dtype=np.intp).reshape(-1)


def risk_curve(group: NDArray[np.intp], loss: Floats) -> tuple[Floats, Floats]:
    """Return shares of photos answered and the mean loss among them, `[N]` each.

    Args:
        group: `[N]` from `tie_groups`.
        loss: `[N]`; 1 for photos without an answer.
    """
    count = np.bincount(group)
    inside = np.bincount(group, weights=loss) / np.maximum(count, 1)
    reached = np.arange(1, len(group) + 1)
    risk = np.cumsum(np.repeat(inside, count)) / reached
    return reached / max(1, len(group)), np.clip(risk, 0.0, None)


def area_under(group: NDArray[np.intp], loss: Floats, counts: Floats | None = None) -> float:
    """Return the area under the risk-coverage curve: the mean of its risk over all coverages.

    Args:
        group: `[N]` from `tie_groups`.
        loss: `[N]`.
        counts: `[N]` how often each photo is there, whole numbers; None is once. Copies of a
            photo are ties.

    Raises:
        InputError: there is no photo.
    """
    weights = np.ones(len(group)) if counts is None else counts
    size = np.bincount(group, weights=weights)
    if not size.sum():
        raise InputError("0 photos have no risk-coverage curve: give at least 1")
    total = np.bincount(group, weights=weights * loss)
    mean = np.divide(total, size, out=np.zeros_like(total), where=size > 0)
    last = np.cumsum(size)
    before, lost_before = last - size, np.cumsum(total) - total
    # Within a rank the expected loss of the first k photos is a line in k; its mean over k is
    # a sum of 1 / k, taken from the table of harmonic numbers.
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1.0, last[-1] + 1))])
    ones = harmonic[last.astype(np.intp)] - harmonic[before.astype(np.intp)]
    return float((mean * size + (lost_before - before * mean) * ones).sum() / last[-1])


def risk_coverage(
    confidences: Mapping[str, Floats],
    loss: Floats,
    answered: NDArray[np.bool_],
    cluster: NDArray[np.intp],
) -> tuple[tuple[RiskCoverage, ...], tuple[AurcDifference, ...]]:
    """Return the curve of each confidence, and how the first differs from each other one.

    Args:
        confidences: name -> `[N]`, NaN where a photo has none.
        loss: `[N]` from 0 to 1 for photos with an answer; those without count as 1.
        answered: `[N]`.
        cluster: `[N]` number of each photo's author.
    """
    loss = np.where(answered, loss, 1.0)
    groups = {name: tie_groups(values, answered) for name, values in confidences.items()}
    drawn = _drawn_areas(groups, loss, cluster)
    intervals = {name: interval_of(figures, cluster) for name, figures in drawn.items()}
    curves = tuple(
        _summed_up(name, confidences[name], group, loss, answered, intervals.get(name))
        for name, group in groups.items()
    )
    first = next(iter(groups), "")
    others = [name for name in groups if name != first]
    areas = {curve.name: curve.aurc for curve in curves}
    return curves, tuple(_difference(first, other, areas, drawn, cluster) for other in others)


def _drawn_areas(
    groups: Mapping[str, NDArray[np.intp]],
    loss: Floats,
    cluster: NDArray[np.intp],
) -> dict[str, Floats]:
    if not len(loss):
        return {}
    areas: dict[str, list[float]] = {name: [] for name in groups}
    for counts in photo_counts(cluster):
        for name, group in groups.items():
            areas[name].append(area_under(group, loss, counts))
    return {name: np.array(values) for name, values in areas.items()}


def _summed_up(
    name: str,
    confidence: Floats,
    group: NDArray[np.intp],
    loss: Floats,
    answered: NDArray[np.bool_],
    interval: Interval | None,
) -> RiskCoverage:
    has = np.isfinite(confidence) & answered
    best = tie_groups(-loss, answered)
    area = area_under(group, loss) if len(loss) else None
    _, risk = risk_curve(group, loss)
    steps = {share: max(1, int(np.ceil(share * len(loss)))) - 1 for share in AT}
    return RiskCoverage(
        name=name,
        photos=len(loss),
        unanswered=int((~answered).sum()),
        unranked=int((answered & ~has).sum()),
        levels=len(np.unique(confidence[has])),
        aurc=area,
        aurc_interval=interval,
        excess=None if area is None else max(0.0, area - area_under(best, loss)),
        risk_at={
            f"{share:g}": min(1.0, float(risk[step])) if len(loss) else None
            for share, step in steps.items()
        },
    )


def _difference(
    name: str,
    against: str,
    areas: Mapping[str, float | None],
    drawn: Mapping[str, Floats],
    cluster: NDArray[np.intp],
) -> AurcDifference:
    ours, theirs = areas[name], areas[against]
    if ours is None or theirs is None:
        return AurcDifference(
            name=name, against=against, difference=None, interval=None, share_below=None
        )
    apart = drawn[name] - drawn[against]
    return AurcDifference(
        name=name,
        against=against,
        difference=ours - theirs,
        interval=interval_of(apart, cluster),
        share_below=float((apart < 0).mean()),
    )
