"""What a search inside a region is worth: it says where inside, never whether.

Belief can presuppose countries (`Evidence.given_countries`), not circles. So:

* Inside countries there is one evidence for each of them, in a group of its own: within that
  country belief follows the places found, and the country as a whole gains nothing, neither
  against the world nor against the others that were asked for. How often the best place of a
  country is near the truth no publication measured, so it weighs what an unmeasured search
  does and reaches `REGION_KM`; and the more of the search of the whole world lies in the region
  anyway, the less it weighs: that search says the same already, and what one encoder says twice
  is not two opinions.
* Inside a circle the evidence has no weight. A circle is not the land of its countries: to
  presuppose those would move belief from the rest of the country into the circle, because
  somebody drew it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from encoders.base import Points
from index_builder.points import Where
from tools.arguments import region_text
from tools.evidence import Candidate, Evidence

if TYPE_CHECKING:
    import numpy.typing as npt

REGION_KM = 200.0
"""Median distance of the truth from the right candidate: of a region, as in `tools.verify`."""


def presupposed(
    evidence: Evidence, where: Where, *, who: str, weight: float, known: float
) -> tuple[Evidence, ...]:
    """Return what evidence of a search says where a region was presupposed.

    Args:
        evidence: of the search, with candidates; returned as it is where it was of the world.
        where: region that the search was limited to.
        who: what searched, to begin a sentence with.
        weight: of a search inside countries, where the search of the world says nothing there.
        known: share of the same search of the whole world that lies in that region, 0 to 1.
    """
    if not where:
        return (evidence,)
    if where.circle:
        note = f" Searched only {region_text(where)}, as asked: shown, without weight."
        return (evidence.model_copy(update={"weight": 0.0, "summary": evidence.summary + note}),)
    # Two digits: where the world's search says nearly all of it, nothing is left to weigh.
    weighed = round(weight * (1 - min(1.0, max(0.0, known))), 2)
    parts = (_inside(evidence, code, who, weighed) for code in where.countries)
    return tuple(part for part in parts if part)


def _inside(evidence: Evidence, code: str, who: str, weight: float) -> Evidence | None:
    """Return the evidence as it speaks of one country; None where it names nothing there."""
    inside = [one for one in evidence.candidates if one.country == code]
    if not inside:
        return None
    best = inside[0]
    return evidence.model_copy(
        update={
            "candidates": _shared_out(inside),
            "given_countries": (code,),
            "group": f"{evidence.group}:in:{code}",
            "weight": weight,
            "summary": f"{who}, asked for {code} alone, finds nothing there more alike than "
            f"{best.label} ({best.latitude:.3f}, {best.longitude:.3f}). It says where in {code}, "
            "not whether.",
        }
    )


def _shared_out(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    total = sum(one.score for one in candidates)
    return tuple(
        one.model_copy(
            update={
                "rank": rank,
                "score": one.score / total if total else 1 / len(candidates),
                "radius_km": REGION_KM,
                "reaches": (),
            }
        )
        for rank, one in enumerate(candidates, start=1)
    )


def inside_region(points: Points, where: Where) -> "npt.NDArray[np.bool_] | None":
    """Return which of `[N, 2]` latitude, longitude lie in a region, `[N]`; None for everywhere."""
    from geo.regions import country_at
    from geo.sphere import haversine_km

    if not where:
        return None
    inside: npt.NDArray[np.bool_] = np.ones(len(points), dtype=np.bool_)
    if where.circle:
        latitude, longitude, radius_km = where.circle
        inside &= haversine_km(points[:, 0], points[:, 1], latitude, longitude) <= radius_km
    if where.countries:
        inside[inside] = np.isin(country_at(points[inside]), list(where.countries))
    return inside
