"""`cluster_candidates`: tells the driver where candidates agree and which stand alone."""

from typing import Literal

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tools.clustering import (
    EPS_KM,
    TOP,
    Clustering,
    DualGeoRanking,
    dualgeo_rule,
    robust_clusters,
)
from tools.evidence import (
    Latitude,
    Longitude,
    Share,
    ToolOutcome,
    ToolReply,
)
from tools.workbench import Workbench

MAXIMUM_CANDIDATES = 100


class ListedCandidate(BaseModel):
    """One candidate given to `cluster_candidates`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    latitude: Latitude = Field(description="Degrees north.")
    longitude: Longitude = Field(description="Degrees east.")
    score: Share = Field(default=1.0, description="How much its source believes in it, 0 to 1.")
    label: str = Field(default="", max_length=80, description="What to call it.")
    source: str = Field(
        default="", max_length=80, description="Who proposes it: each source has one vote a place."
    )


class ClusterArguments(BaseModel):
    """Arguments of `cluster_candidates`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    candidates: list[ListedCandidate] = Field(
        min_length=1, max_length=MAXIMUM_CANDIDATES, description="Candidates, best first."
    )
    eps_km: float = Field(
        default=EPS_KM, gt=0, le=2500, description="Candidates this close support each other."
    )
    rule: Literal["robust", "dualgeo"] = Field(
        default="robust",
        description="robust: medoid centre, safe everywhere. dualgeo: the published rule, "
        "which averages degrees and uses the first 20 only.",
    )


def make_cluster_candidates(bench: Workbench) -> BaseTool:
    """Make the tool that groups candidates; it needs nothing of the workbench."""
    return StructuredTool.from_function(
        cluster_candidates,
        name="cluster_candidates",
        description="Group candidate coordinates that lie close together and say where most "
        "agree. Information about evidence already given, no new evidence: it has no weight.",
        args_schema=ClusterArguments,
        response_format="content_and_artifact",
    )


def cluster_candidates(
    candidates: list[ListedCandidate],
    eps_km: float = EPS_KM,
    rule: Literal["robust", "dualgeo"] = "robust",
) -> ToolReply:
    """Return the clusters of candidates as information; see `ClusterArguments`.

    No evidence: what it says was counted already, and a lone candidate is not thereby wrong.
    """
    points = [(one.latitude, one.longitude) for one in candidates]
    if rule == "dualgeo":
        return _dualgeo_reply(candidates, dualgeo_rule(points, eps_km), eps_km)
    scores = [one.score for one in candidates]
    found = robust_clusters(points, scores, [one.source for one in candidates], eps_km)
    return _robust_reply(candidates, found, eps_km)


def _robust_reply(candidates: list[ListedCandidate], found: Clustering, eps_km: float) -> ToolReply:
    counted = len(candidates) - len(found.duplicates)
    left_out = [
        f"{_name(candidates, i)}: no other candidate within {eps_km:g} km" for i in found.alone
    ] + [
        f"{_name(candidates, i)}: repeats {_name(candidates, first)}"
        for i, first in found.duplicates.items()
    ]
    lines = [
        f"{len(c.members)} of {counted} ({len(c.members) / counted:.0%}) around "
        f"{_name(candidates, c.medoid)}, half within {c.radius_km:.3g} km"
        for c in found.clusters
    ] or [f"no two of {counted} within {eps_km:g} km; the best is {_name(candidates, found.best)}"]
    lines += [f"left out: {one}" for one in left_out]
    data: dict[str, JsonValue] = {
        "rule": "robust",
        "eps_km": eps_km,
        "best": found.best,
        "clusters": [
            {"medoid": c.medoid, "members": list(c.members), "radius_km": c.radius_km}
            for c in found.clusters
        ],
        "alone": list(found.alone),
        "duplicates": {str(i): first for i, first in found.duplicates.items()},
        "left_out": list(left_out),
    }
    return "\n".join(lines), ToolOutcome(data=data)


def _dualgeo_reply(
    candidates: list[ListedCandidate], ranking: DualGeoRanking, eps_km: float
) -> ToolReply:
    latitude, longitude = ranking.centre
    basis = "the largest cluster" if ranking.agreed else "all, as no two are close,"
    order = "; ".join(_name(candidates, i) for i in ranking.order[:5])
    text = f"DualGeo's centre of {basis} is {latitude:.4f}, {longitude:.4f}. Nearest first: {order}"
    left_out = [
        f"{_name(candidates, i)}: beyond the first {TOP} candidates"
        for i in range(TOP, len(candidates))
    ]
    data: dict[str, JsonValue] = {
        "rule": "dualgeo",
        "eps_km": eps_km,
        "centre": [latitude, longitude],
        "order": list(ranking.order),
        "labels": list(ranking.labels),
        "agreed": ranking.agreed,
        "left_out": list(left_out),
    }
    return text, ToolOutcome(data=data)


def _name(candidates: list[ListedCandidate], index: int) -> str:
    """Return what a person or driver recognises a candidate by; labels are quoted data."""
    one = candidates[index]
    label = f" {one.label!r}" if one.label else ""
    return f"#{index + 1}{label} ({one.latitude:.4f}, {one.longitude:.4f})"
