"""How accurate fusing rules are: shares within the thresholds, and paired differences to belief.

Standard errors are from a bootstrap over clusters (authors, or true coordinates); over several
repeats a photo counts with the mean of its outcomes, so repeats do not pass for photos. Distances
are haversine on 6371 km, and a photo is within a threshold at distance <= threshold.
"""

from typing import Literal

import numpy as np

from evaluation.answer_panel import Panel
from evaluation.fusion import By, Crossed, Subset, members
from evaluation.fusion_confidence import (
    AgreementBin,
    Figure,
    RadiusCoverage,
    Signal,
    agreement_bins,
    cluster_errors,
    coverages,
    has_radii,
    signals,
)
from evaluation.metrics import THRESHOLDS_KM
from geo.sphere import FloatArray
from tools.evidence import Record, Share

CONDITIONS = "haversine (6371 km), <="
ORACLE, HINDSIGHT, EACH = (
    "oracle: nearest answer of any model",
    "best model, chosen in hindsight",
    "best model of each threshold, in hindsight",
)
RuleKind = Literal["rule", "belief", "model", "hindsight"]


class RuleScore(Record):
    """How accurate one rule is.

    Attributes:
        kind: `model` for a single one, `hindsight` for what knew the truth.
        accuracy: threshold in km to share of all photos within it, missing answers missed.
        minus_belief: paired difference to the belief that is compared with; None for itself.
        range: threshold to the least and greatest share over the repeats.
        answered: share of photos with an answer; None where it differs by threshold.
        median_km: over the answered ones.
    """

    name: str
    kind: RuleKind
    accuracy: dict[str, Figure]
    minus_belief: dict[str, Figure] | None
    range: dict[str, tuple[Share, Share]]
    answered: Share | None
    median_km: float | None


class Comparison(Record):
    """One way of splitting, one set of models."""

    by: By
    subset: Subset
    models: int
    belief: str
    rules: tuple[RuleScore, ...]
    coverage: tuple[RadiusCoverage, ...]
    signals: tuple[Signal, ...]
    agreement: tuple[AgreementBin, ...]
    strongest_in_training: dict[str, int]


def compare(panel: Panel, crossed: Crossed, belief: str) -> Comparison:
    """Return what cross-validated rules come to, each beside the belief of that name."""
    hits = {name: _hits(one.km(panel.truth)) for name, one in crossed.outcomes.items()}
    kms: dict[str, FloatArray | None] = {}
    kms |= {name: one.km(panel.truth) for name, one in crossed.outcomes.items()}
    kinds: dict[str, RuleKind] = dict.fromkeys(hits, "rule")
    kinds |= {name: "belief" for name in hits if has_radii(crossed, name)}
    for name, km, kind in _others(panel, crossed):
        hits[name], kms[name], kinds[name] = _hits(km), km, kind
    hits[EACH], kms[EACH], kinds[EACH] = _best_of_each(panel, crossed), None, "hindsight"
    rules = tuple(
        _rule_score(name, kinds[name], hits[name], kms[name], hits[belief], panel, name == belief)
        for name in hits
    )
    return Comparison(
        by=crossed.by,
        subset=crossed.subset,
        models=crossed.models,
        belief=belief,
        rules=rules,
        coverage=tuple(coverages(panel, crossed)),
        signals=tuple(signals(panel, crossed, belief)),
        agreement=tuple(agreement_bins(panel, crossed, belief)),
        strongest_in_training=dict(sorted(crossed.chosen.items(), key=lambda pair: -pair[1])),
    )


def _hits(km: FloatArray) -> FloatArray:
    """Return 1 for each of `[S, P]` distances within each threshold, `[S, P, T]`."""
    return (km[..., None] <= THRESHOLDS_KM).astype(np.float64)


def _others(panel: Panel, crossed: Crossed) -> list[tuple[str, FloatArray, RuleKind]]:
    """Return distances `[S, P]` of what is no rule: single models, and who knew the truth."""
    columns = {name: panel.km[None, :, j] for j, name in enumerate(panel.models)}
    found: list[tuple[str, FloatArray, RuleKind]] = []
    if crossed.subset == "all":
        found += [(panel.models[j], columns[panel.models[j]], "model") for j in panel.ranking]
    found.append((HINDSIGHT, columns[crossed.hindsight], "hindsight"))
    found.append((ORACLE, crossed.oracle_km, "hindsight"))
    return found


def _best_of_each(panel: Panel, crossed: Crossed) -> FloatArray:
    """Return the hits `[1, P, T]` of whichever model of the set has most of each threshold."""
    within = _hits(panel.km[:, members(panel.ranking, crossed.subset)])
    best = within.mean(axis=0).argmax(axis=0)
    return np.stack([within[:, j, t] for t, j in enumerate(best)], axis=1)[None]


def _rule_score(
    name: str,
    kind: RuleKind,
    hits: FloatArray,
    km: FloatArray | None,
    against: FloatArray,
    panel: Panel,
    is_belief: bool,
) -> RuleScore:
    mine, apart = hits.mean(axis=0), hits.mean(axis=0) - against.mean(axis=0)
    errors = cluster_errors(np.concatenate([mine, apart], axis=1), panel.clusters)
    each = hits.mean(axis=1)
    given = None if km is None else km[np.isfinite(km)]
    return RuleScore(
        name=name,
        kind=kind,
        accuracy=_figures(mine.mean(axis=0), errors),
        minus_belief=None if is_belief else _figures(apart.mean(axis=0), errors[mine.shape[1] :]),
        range={
            f"{km:g}": (float(low), float(high))
            for km, low, high in zip(THRESHOLDS_KM, each.min(0), each.max(0), strict=True)
        },
        answered=None if given is None or km is None else given.size / km.size,
        median_km=None if given is None or not given.size else float(np.median(given)),
    )


def _figures(values: FloatArray, errors: FloatArray) -> dict[str, Figure]:
    return {
        f"{km:g}": Figure(value=float(value), standard_error=float(error))
        for km, value, error in zip(THRESHOLDS_KM, values, errors, strict=False)
    }
