"""A coordinate that a model names, as evidence: what that is worth is known on average only.

GLOBE (NeurIPS 2025, arXiv:2506.14674), an open 7B model trained to locate photos, has 9.8 / 40.2 /
56.2 / 71.5 / 82.4 % of IM2GPS3k within 1 / 25 / 200 / 750 / 2500 km. `REACHES` at a weight of 0.85
give belief that row. Which model answers here nobody measured, so its weight is a setting
(`GRATICULE_MODEL__WEIGHT`), lower by default. All answers of one model are one group: they are
averaged, never multiplied.
"""

from tools.evidence import Candidate, Evidence, Reach

WEIGHT = 0.7
"""Where the run has no setting of its own."""
GROUP = "model"
REACHES = (
    Reach(radius_km=1.75, share=0.469),
    Reach(radius_km=195.0, share=0.367),
    Reach(radius_km=1815.0, share=0.164),
)
HALF_WITHIN_KM = 60.0
"""Median of `REACHES`."""
SUMMARY_LETTERS = 300


def opinion(
    tool: str,
    summary: str,
    latitude: float,
    longitude: float,
    *,
    radius_km: float | None = None,
    label: str = "",
    source: str = "driver",
    weight: float = WEIGHT,
) -> Evidence:
    """Return a model's answer as evidence.

    Args:
        tool: the call it came from.
        summary: one sentence for people; cut to 300 letters.
        latitude: degrees north.
        longitude: degrees east.
        radius_km: what the model says holds the truth half of the time; a model may be less sure
            than the published average, never surer.
        label: the name of the place, as the model writes it.
        source: the model's name.
        weight: how often its answers are taken to be right.
    """
    least = radius_km or 0.0
    reaches = tuple(
        Reach(radius_km=max(reach.radius_km, least), share=reach.share) for reach in REACHES
    )
    candidate = Candidate(
        latitude=latitude,
        longitude=longitude,
        radius_km=max(HALF_WITHIN_KM, least),
        reaches=reaches,
        score=1.0,
        rank=1,
        source=source,
        kind="model_answer",
        label=label,
    )
    return Evidence(
        tool=tool,
        kind="model",
        summary=summary[:SUMMARY_LETTERS],
        candidates=(candidate,),
        weight=weight,
        group=GROUP,
    )
