"""How honest radii and confidences are: coverage, sharpness, calibration error, scores.

Honest and sharp are two things: radii of 20,000 km hold every truth and say nothing. So coverage
never stands alone here; proper scores reward both at once (Gneiting, Balabdaoui and Raftery,
Probabilistic forecasts, calibration and sharpness, JRSS B 69 (2007)).
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from evaluation.assessed import Assessed, assess
from evaluation.belief_scores import LEVELS, Floats
from evaluation.bootstrap import Interval
from evaluation.calibration_error import CalibrationError, calibration_error
from evaluation.cluster_resamples import mean_interval, wilson
from evaluation.risk_coverage import AurcDifference, RiskCoverage, risk_coverage
from tools.evidence import Record, Share

__all__ = ["Assessed", "Honesty", "assess", "honesty_of"]

DECILES = 10
FLOOR_KM = 0.001
"""Distances below a metre count as one where a logarithm is taken."""


class Coverage(Record):
    """How many truths lie inside the radii of one level.

    Attributes:
        nominal: share that should.
        photos: with a radius; the share is of these.
        inside: truths within their radius.
        wilson: 95 % interval of the share, photos taken as independent.
        clustered: the same, authors resampled.
        of_all: `inside` over all photos, those without a radius counted as outside.
    """

    nominal: Share
    photos: int = Field(ge=0)
    inside: int = Field(ge=0)
    share: Share | None
    wilson: tuple[float, float] | None
    clustered: Interval | None
    of_all: Share | None


class Sharpness(Record):
    """How small the radii of one level are, over photos that have one; km.

    Attributes:
        geometric_km: exp of the mean log radius.
        interval_score_km: mean of r + max(0, d - r) / (1 - level), d being the distance to the
            truth: least, on average, where r is the level's quantile of d and the point is the
            one around which such discs are best (Gneiting and Raftery, JASA 102 (2007), 6.2;
            Rockafellar and Uryasev, Journal of Risk 2 (2000)). Far misses rule it.
        log_pinball: the quantile's pinball loss on log d and log r: the same, blind to scale.
    """

    nominal: Share
    median_km: float | None
    mean_km: float | None
    geometric_km: float | None
    interval_score_km: float | None
    log_pinball: float | None


class PitSummary(Record):
    """Share of belief that lies closer to the answer than the truth does; even if honest.

    Attributes:
        deciles: share of photos in each tenth: high at the end, radii are too small.
        deviation: largest distance to the even distribution (Kolmogorov and Smirnov).
    """

    photos: int = Field(ge=0)
    from_belief: int = Field(ge=0)
    mean: Share | None
    deciles: tuple[Share, ...]
    deviation: Share | None


class Honesty(Record):
    """Everything that is measured of a run's radii and confidences.

    Attributes:
        photos: all of them.
        answered: with a coordinate.
        with_radii: answered ones that state radii.
        conditions: distance and operator.
        within_km: what "right" means for confidence.
        log_score: mean, nats over an even globe; energy score: mean, km; both over the
            `scored` photos whose belief could be made again.
        verbal: calibration of the model's own word; None where no photo has one.
        differences: of the area under belief's risk-coverage curve to the others'.
    """

    photos: int = Field(ge=0)
    answered: int = Field(ge=0)
    with_radii: int = Field(ge=0)
    conditions: str
    within_km: float
    right: int = Field(ge=0)
    coverage: tuple[Coverage, ...]
    sharpness: tuple[Sharpness, ...]
    pit: PitSummary
    confidence: CalibrationError
    verbal: CalibrationError | None
    risk: tuple[RiskCoverage, ...]
    differences: tuple[AurcDifference, ...]
    scored: int = Field(ge=0)
    log_score: float | None
    energy_km: float | None


def honesty_of(assessed: Assessed, within_km: float = 25.0) -> Honesty:
    """Return how honest the answers of a run are; see `Honesty`.

    Args:
        assessed: with confidence within `within_km`.
        within_km: an answer is right within this distance of the truth, km.

    Raises:
        InputError: confidence within that distance was not assessed.
    """
    confidences = named_confidences(assessed, within_km)
    right = assessed.within(within_km)
    risk, differences = risk_coverage(
        confidences, (~right).astype(np.float64), assessed.answered, assessed.cluster
    )
    errors = [
        calibration_error(name, values, right) for name, values in list(confidences.items())[:2]
    ]
    has_radii = np.isfinite(assessed.radii_km).all(axis=1)
    scored = np.isfinite(assessed.log_score)
    return Honesty(
        photos=len(assessed),
        answered=int(assessed.answered.sum()),
        with_radii=int(has_radii.sum()),
        conditions=assessed.conditions(),
        within_km=within_km,
        right=int(right.sum()),
        coverage=tuple(coverage_at(assessed, column) for column in range(3)),
        sharpness=tuple(sharpness_at(assessed, column) for column in range(3)),
        pit=pit_summary(assessed),
        confidence=errors[0],
        verbal=errors[1] if len(errors) > 1 else None,
        risk=risk,
        differences=differences,
        scored=int(scored.sum()),
        log_score=_mean(assessed.log_score[scored]),
        energy_km=_mean(assessed.energy_km[scored]),
    )


def named_confidences(assessed: Assessed, within_km: float) -> dict[str, Floats]:
    """Return what photos can be ordered by, `[N]` each: belief, then the model's word if any."""
    confidences = {"belief": assessed.confidence_at(within_km)}
    if np.isfinite(assessed.verbal).any():
        confidences["verbal"] = assessed.verbal
    return confidences


def coverage_at(assessed: Assessed, column: int) -> Coverage:
    """Return how many truths lie inside the radii of a column of `radii_km`."""
    radius = assessed.radii_km[:, column]
    has = np.isfinite(radius)
    inside = assessed.within(radius)
    count, held = int(has.sum()), int(inside.sum())
    return Coverage(
        nominal=LEVELS[column],
        photos=count,
        inside=held,
        share=held / count if count else None,
        wilson=wilson(held, count),
        clustered=mean_interval(inside[has].astype(np.float64), assessed.cluster[has]),
        of_all=held / len(assessed) if len(assessed) else None,
    )


def sharpness_at(assessed: Assessed, column: int) -> Sharpness:
    """Return how small the radii of a column of `radii_km` are."""
    has = np.isfinite(assessed.radii_km[:, column])
    radius, away = assessed.radii_km[has, column], assessed.distance_km[has]
    level = LEVELS[column]
    apart = np.log(np.maximum(away, FLOOR_KM)) - np.log(radius)
    return Sharpness(
        nominal=level,
        median_km=float(np.median(radius)) if len(radius) else None,
        mean_km=_mean(radius),
        geometric_km=float(np.exp(np.log(radius).mean())) if len(radius) else None,
        interval_score_km=_mean(radius + np.maximum(0.0, away - radius) / (1 - level)),
        log_pinball=_mean(np.maximum(level * apart, (level - 1) * apart)),
    )


def pit_summary(assessed: Assessed) -> PitSummary:
    """Return how evenly truths are spread over belief, by closeness to the answer."""
    known = np.isfinite(assessed.pit)
    pit = np.sort(assessed.pit[known])
    count = len(pit)
    tenths = np.bincount(np.minimum((pit * DECILES).astype(int), DECILES - 1), minlength=DECILES)
    steps = np.arange(count + 1) / max(1, count)
    apart = np.maximum(steps[1:] - pit, pit - steps[:-1])
    return PitSummary(
        photos=count,
        from_belief=int((known & assessed.from_belief).sum()),
        mean=_mean(pit),
        deciles=tuple(float(one) / count for one in tenths) if count else (),
        deviation=float(apart.max()) if count else None,
    )


def _mean(values: Sequence[float] | Floats) -> float | None:
    return float(np.mean(values)) if len(values) else None
