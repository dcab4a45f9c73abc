"""What evidence does to an answer, and where belief lies, in words for people."""

from collections.abc import Mapping, Sequence

from agent.contributions import Contribution
from agent.report_format import percent

LEAST_BITS = 0.05
"""A smaller effect is none to speak of."""


def effect_words(bits: float) -> str:
    """Return what a piece of evidence does to the answer, by `Contribution.bits`."""
    if bits >= LEAST_BITS:
        return f"speaks for it: {bits:.1f} bits"
    return f"speaks against it: {-bits:.1f} bits" if bits <= -LEAST_BITS else "no effect"


def within_words(within: Mapping[str, float]) -> str:
    """Return how much of belief lies near the answer: `12 % within 1 km, 78 % within 25 km`."""
    return ", ".join(f"{percent(share)} within {radius} km" for radius, share in within.items())


def effect_lines(
    contributions: Sequence[Contribution], names: Mapping[str, str], most: int
) -> list[str]:
    """Return what evidence does, a line each, the largest effect first.

    Args:
        contributions: of an answer.
        names: evidence id to what it is called.
        most: lines; what else has an effect is counted, as is what has none.
    """
    felt = [one for one in contributions if abs(one.bits) >= LEAST_BITS]
    lines = [
        f"{names.get(one.evidence_id, 'evidence')} [{one.evidence_id}] {effect_words(one.bits)}"
        for one in felt[:most]
    ]
    rest = {"with less": len(felt) - most, "without effect": len(contributions) - len(felt)}
    told = [f"{count} {words}" for words, count in rest.items() if count > 0]
    return [*lines, ", ".join(told)] if told else lines
