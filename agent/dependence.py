"""What a model's answer repeats of what it was shown: it is no second opinion on it.

Belief multiplies what groups of evidence say. A model that is told of places and names one of them
has chosen; that the place came up at all is the search's word, which counts already. So an answer
within `COPIED_KM` of such a place joins the group of the evidence that it repeats, where it is
averaged: it says which of the places found, and it reaches as far as that place does, or as far as
the model itself says, whichever is more. An answer that the model gave before stays its own.
"""

from collections.abc import Sequence

import numpy as np

from geo.sphere import haversine_km
from tools.evidence import Candidate, Evidence
from tools.opinion import GROUP, REACHES
from tools.references import Reference

COPIED_KM = 1.0
"""Haversine, <=. Answers have four decimals, 11 m; the next building is inside."""
REPEATS = frozenset({"verify_locations", "cluster_candidates"})
"""Tools whose candidates somebody else proposed."""

Source = tuple[Evidence, Candidate]


def adopted(item: Evidence, held: Sequence[Evidence]) -> Evidence:
    """Return a model's answer in the group of what it repeats; any other evidence as it is.

    Args:
        item: with one candidate where a driver named a coordinate.
        held: what the driver was told before.
    """
    if item.group != GROUP or len(item.candidates) != 1:
        return item
    (answer,) = item.candidates
    shown = [one for one in held if one.kind != "model" and one.tool not in REPEATS]
    source = None if is_own(answer, held) else source_of(answer, shown)
    if source is None:
        return item
    found, _ = source
    told = f" It repeats what {found.tool} found, and counts as a part of that."
    return item.model_copy(
        update={
            "candidates": (repeated(answer, source),),
            "group": found.group,
            "summary": item.summary + told,
        }
    )


def is_own(answer: Candidate, held: Sequence[Evidence]) -> bool:
    """Whether the model named this place before by itself."""
    mine = [c for one in held if one.group == GROUP for c in one.candidates]
    return _nearest(answer, mine) is not None


def is_shown(latitude: float, longitude: float, references: Sequence[Reference]) -> bool:
    """Whether a place is one of the references."""
    points = np.array([(one.latitude, one.longitude) for one in references]).reshape(-1, 2)
    away = haversine_km(points[:, 0], points[:, 1], latitude, longitude)
    return bool((away <= COPIED_KM).any())


def source_of(answer: Candidate, shown: Sequence[Evidence]) -> Source | None:
    """Return the evidence whose candidate an answer repeats: the nearest, then the heaviest.

    What has no weight is no opinion, and what presupposed a country does not say whether.
    """
    counted = [one for one in shown if one.weight > 0 and not one.given_countries]
    pairs = [(one, c) for one in counted for c in one.candidates]
    near = _nearest(answer, [c for _, c in pairs])
    if near is None:
        return None
    same = [pair for pair in pairs if _at(pair[1]) == _at(near)]
    return min(same, key=lambda pair: (-pair[0].weight, pair[0].id))


def repeated(answer: Candidate, source: Source) -> Candidate:
    """Return an answer that reaches as far as what it repeats, or as far as the model says."""
    _, found = source
    least = min((reach.radius_km for reach in answer.reaches), default=0.0)
    stated = least if least > REACHES[0].radius_km else 0.0
    reaches = tuple(
        reach.model_copy(update={"radius_km": max(reach.radius_km, stated)})
        for reach in found.reaches
    )
    radius_km = max(found.radius_km, stated)
    return answer.model_copy(update={"radius_km": radius_km, "reaches": reaches})


def _at(one: Candidate) -> tuple[float, float]:
    return one.latitude, one.longitude


def _nearest(answer: Candidate, others: Sequence[Candidate]) -> Candidate | None:
    """Return the nearest candidate within `COPIED_KM`."""
    if not others:
        return None
    points = np.array([_at(one) for one in others])
    away = haversine_km(points[:, 0], points[:, 1], answer.latitude, answer.longitude)
    row = int(np.argmin(away))
    return others[row] if away[row] <= COPIED_KM else None
