"""State in words, for prompts and for people: evidence, belief, conclusions."""

from collections.abc import Sequence

from agent.answer import Answer
from agent.belief import BeliefSummary
from tools.evidence import Evidence

LISTED = 30
"""Pieces of evidence that a prompt lists, the heaviest."""


def evidence_text(evidence: Sequence[Evidence]) -> str:
    """Return evidence as lines of id, weight and summary, the heaviest first.

    What has no weight is left out: a position that a file claims is not for the model to see.
    """
    weighed = [item for item in evidence if item.weight > 0]
    ordered = sorted(weighed, key=lambda item: -item.weight)[:LISTED]
    lines = [f"{item.id} (weight {item.weight:g}): {item.summary[:200]}" for item in ordered]
    return "\n".join(lines) or "none yet"


def belief_text(belief: BeliefSummary | None) -> str:
    """Return belief in one line."""
    if belief is None:
        return "nothing is known yet"
    named = ", ".join(f"{code} {share:.0%}" for code, share in list(belief.countries.items())[:4])
    return (
        f"{belief.status}: best point {belief.latitude:.4f}, {belief.longitude:.4f}; half within "
        f"{_km(belief.km_50)} km, 80 % within {_km(belief.km_80)} km; countries: {named or 'none'}"
    )


def answer_text(answer: Answer) -> str:
    """Return the answer as the last word of a conversation."""
    if answer.latitude is None or answer.longitude is None or answer.radii is None:
        return f"{answer.explanation}\n\n{answer.caution}"
    named = ", ".join(filter(None, (answer.place, answer.admin1, answer.country_name)))
    point = f"{answer.latitude:.5f}, {answer.longitude:.5f}"
    radii = f"half of belief within {_km(answer.radii.km_50)} km, 95 % within "
    where = f"{named or 'No place is named'} ({point}; {radii}{_km(answer.radii.km_95)} km)."
    return f"{where}\n\n{answer.explanation}\n\n{answer.caution}"


def _km(length_km: float) -> str:
    """Return a length to three digits, as people write it."""
    return f"{float(f'{length_km:.3g}'):,g}"
