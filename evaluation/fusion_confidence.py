"""How far fused answers can be trusted: coverage of their radii, and confidences that order them.

Radii are judged on photos that have one. Confidence is judged by risk-coverage curves: answers are
given from the surest on, and risk is the share of them that is farther than 25 km from the truth;
a photo without an answer comes last and is wrong. Answers of equal confidence have no order, so the
exact mean over all orders is taken (`evaluation.risk_coverage`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evaluation.answer_panel import Panel
from evaluation.bootstrap import resample
from evaluation.cluster_resamples import photo_counts
from evaluation.fusion import RIGHT_KM, Crossed
from evaluation.risk_coverage import area_under, risk_curve, tie_groups
from geo.sphere import FloatArray
from tools.evidence import Record, Share

RESAMPLES = 2000
CURVE_RESAMPLES = 400
LEVELS = (0.5, 0.8, 0.95)
ANSWERED = (0.25, 0.5, 0.75, 1.0)
BINS = 5
OWN: Mapping[str, str] = {
    "agreement": "medoid of the largest cluster",
    "stated by the best model": "best model",
    "highest stated": "verbal confidence",
}
"""The rule whose answers a confidence is read with; belief's are ordered by all of them too."""


class Figure(Record):
    """A figure, and how much it would differ on other photos of the same kind."""

    value: float
    standard_error: float = Field(ge=0)


class RadiusCoverage(Record):
    """How often the truth is within a radius, of the answers that have one."""

    rule: str
    nominal: Share
    coverage: Figure
    median_km: float


class Signal(Record):
    """A confidence, and how well it orders answers by whether they are right within 25 km.

    Attributes:
        ranks: whose answers it orders.
        aurc: area under the risk-coverage curve; less is better.
        minus_belief: paired difference to the area of belief over its own answers; None for that.
        belief_below: share of all coverages at which belief's curve is not above this one.
        risk_at: share of photos answered to the share of them that are wrong.
    """

    name: str
    ranks: str
    aurc: Figure
    minus_belief: Figure | None
    belief_below: Share | None
    risk_at: dict[str, Share]


class AgreementBin(Record):
    """Photos by the share of the models asked that are in the main 50 km cluster.

    Attributes:
        low: exclusive, but for 0, which is photos without any answer or up to a share of `high`.
        photos: their mean number over the repeats.
        cluster_medoid: share of them that the medoid of that cluster has within 25 km.
        belief: share of them that belief has within 25 km.
    """

    low: Share
    high: Share
    photos: float
    cluster_medoid: Share
    belief: Share


@dataclass(frozen=True)
class Curve:
    """A confidence over somebody's answers: shares answered and risks, mean of the repeats."""

    name: str
    ranks: str
    answered: FloatArray
    risk: FloatArray


def cluster_errors(columns: FloatArray, clusters: NDArray[np.intp]) -> FloatArray:
    """Return the standard error of the mean of each column `[P, K]`, clusters resampled.

    NaN in a column is a photo that does not count there.
    """
    known = np.isfinite(columns)
    both = np.concatenate([np.where(known, columns, 0.0), known.astype(np.float64)], axis=1)
    sums = resample(both, clusters, resamples=RESAMPLES, seed=0).sums
    total, count = np.split(sums, 2, axis=1)
    means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return np.asarray(np.nan_to_num(np.nanstd(means, axis=0)), dtype=np.float64)


def has_radii(crossed: Crossed, rule: str) -> bool:
    """Tell whether a rule states radii at all."""
    return bool(np.isfinite(crossed.outcomes[rule].radii_km).any())


def coverages(panel: Panel, crossed: Crossed) -> Iterator[RadiusCoverage]:
    """Yield how often the truth is within the radii of every rule that states any."""
    for name in crossed.outcomes:
        if not has_radii(crossed, name):
            continue
        outcome = crossed.outcomes[name]
        known = np.isfinite(outcome.radii_km)
        within = outcome.km(panel.truth)[..., None] <= outcome.radii_km
        counted = known.sum(axis=0)
        share = np.divide(
            (within & known).sum(axis=0), counted, out=np.full(counted.shape, np.nan),
            where=counted > 0,
        )  # fmt: skip
        errors = cluster_errors(share, panel.clusters)
        for column, nominal in enumerate(LEVELS):
            yield RadiusCoverage(
                rule=name,
                nominal=nominal,
                coverage=Figure(
                    value=float(np.nanmean(share[:, column])), standard_error=float(errors[column])
                ),
                median_km=float(np.nanmedian(outcome.radii_km[..., column])),
            )


class _Ordered:
    """Answers of one rule under one confidence, in every repeat."""

    def __init__(self, confidence: FloatArray, km: FloatArray) -> None:
        self.loss = (km > RIGHT_KM).astype(np.float64)
        given = np.isfinite(km)
        self.groups = [tie_groups(*one) for one in zip(confidence, given, strict=True)]

    def area(self, counts: FloatArray | None) -> float:
        pairs = zip(self.groups, self.loss, strict=True)
        return float(np.mean([area_under(group, loss, counts) for group, loss in pairs]))

    def curve(self) -> tuple[FloatArray, FloatArray]:
        curves = [risk_curve(*one) for one in zip(self.groups, self.loss, strict=True)]
        return curves[0][0], np.mean([risk for _, risk in curves], axis=0)


def signals(panel: Panel, crossed: Crossed, belief: str) -> list[Signal]:
    """Return how well each confidence orders belief's answers, and its own; belief's first."""
    ordered = _ordered(panel, crossed, belief)
    drawn = np.array(
        [
            [one.area(counts) for one in ordered.values()]
            for counts in photo_counts(panel.clusters, CURVE_RESAMPLES)
        ]
    )
    errors, apart = drawn.std(axis=0), (drawn - drawn[:, :1]).std(axis=0)
    found = []
    first = next(iter(ordered.values()))
    for column, ((name, rule), one) in enumerate(ordered.items()):
        area, (reached, risk) = one.area(None), one.curve()
        difference = Figure(
            value=area - first.area(None), standard_error=float(apart[column])
        )  # fmt: skip
        steps = {share: max(1, int(np.ceil(share * len(reached)))) - 1 for share in ANSWERED}
        below = float((first.curve()[1] <= risk + 1e-12).mean())
        found.append(
            Signal(
                name=name,
                ranks=rule,
                aurc=Figure(value=area, standard_error=float(errors[column])),
                minus_belief=difference if column else None,
                belief_below=below if column else None,
                risk_at={f"{share:g}": min(1.0, float(risk[i])) for share, i in steps.items()},
            )
        )
    return found


def curves(panel: Panel, crossed: Crossed, belief: str) -> list[Curve]:
    """Return the risk-coverage curves behind `signals`."""
    ordered = _ordered(panel, crossed, belief)
    return [Curve(name, rule, *one.curve()) for (name, rule), one in ordered.items()]


def _ordered(panel: Panel, crossed: Crossed, belief: str) -> dict[tuple[str, str], _Ordered]:
    """Return (confidence, rule) to answers in order, belief's own first; `[S, P]` inside."""
    confidences = {"belief": crossed.outcomes[belief].confidence}
    confidences |= {"agreement": crossed.agreement, **crossed.stated}
    kms = {name: crossed.outcomes[name].km(panel.truth) for name in (belief, *OWN.values())}
    pairs = [(name, belief) for name in confidences] + list(OWN.items())
    found = {(name, rule): _Ordered(confidences[name], kms[rule]) for name, rule in pairs}
    if crossed.subset == "all":
        for column in panel.ranking:
            own = _Ordered(panel.stated[None, :, column], panel.km[None, :, column])
            found["stated", panel.models[column]] = own
    return found


def agreement_bins(panel: Panel, crossed: Crossed, belief: str) -> Iterator[AgreementBin]:
    """Yield how often answers are right by how many models agree, fewest first."""
    kms = [crossed.outcomes[name].km(panel.truth) for name in (OWN["agreement"], belief)]
    medoid, believed = (km <= RIGHT_KM for km in kms)
    place = np.clip(np.ceil(crossed.agreement * BINS - 1e-9).astype(int) - 1, 0, BINS - 1)
    for number in range(BINS):
        inside = place == number
        if inside.any():
            yield AgreementBin(
                low=number / BINS,
                high=(number + 1) / BINS,
                photos=float(inside.sum() / len(inside)),
                cluster_medoid=float(medoid[inside].mean()),
                belief=float(believed[inside].mean()),
            )
