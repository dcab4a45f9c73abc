"""What each piece of evidence does to the answer: belief with it beside belief without it."""

from collections.abc import Callable, Sequence

import numpy as np
from pydantic import Field

from agent.belief import Belief
from geo import sphere
from tools.evidence import Evidence, Record, Share

MOST = 40
"""Pieces of evidence that are left out in turn, the weightiest; each costs a belief."""


class Contribution(Record):
    """The effect of one piece of evidence on an answer.

    Attributes:
        bits: log2 of belief within the answer's 50 % radius over what it would be without this
            piece: positive where it speaks for the answer, negative where it speaks against it.
        without: that belief without it.
        moved_km: how far belief's own point would lie from where it is.
    """

    evidence_id: str
    bits: float
    without: Share
    moved_km: float = Field(ge=0)


def contributions(
    evidence: Sequence[Evidence],
    belief: Belief,
    point: tuple[float, float],
    radius_km: float,
    believe: Callable[[Sequence[Evidence]], Belief],
) -> tuple[Contribution, ...]:
    """Return what each piece of evidence does, the largest effect first.

    Args:
        evidence: all of it; what has no weight does nothing and is left out.
        belief: with all of it.
        point: the answer, latitude and longitude in degrees.
        radius_km: within which belief is compared.
        believe: how belief follows from evidence.
    """
    unique = {item.id: item for item in evidence if item.weight > 0}
    held = sorted(unique.values(), key=lambda item: (-item.weight, item.id))[:MOST]
    whole = _within(belief, point, radius_km)
    found = []
    for item in held:
        rest = believe([other for other in unique.values() if other.id != item.id])
        without = _within(rest, point, radius_km)
        moved = sphere.haversine_km(*belief.centre, *rest.centre)
        found.append(
            Contribution(
                evidence_id=item.id,
                bits=round(float(np.log2(max(whole, LEAST) / max(without, LEAST))), 4),
                without=min(1.0, without),
                moved_km=round(float(moved), 3),
            )
        )
    return tuple(sorted(found, key=lambda one: (-abs(one.bits), one.evidence_id)))


LEAST = 1e-12
WIDER = 4.0 ** np.arange(9)


def _within(belief: Belief, point: tuple[float, float], radius_km: float) -> float:
    """Return belief within a radius, at least what an even spread over some wider disc leaves it.

    A vague belief is kept in masses that are coarser than a radius of some metres: all of them may
    lie beyond it, which does not mean that nothing is there.
    """
    radii = radius_km * WIDER
    return float(np.max(belief.mass_within(radii.tolist(), *point) / WIDER**2))
