"""The `search_places` tool: where in the world places look like this photo to an encoder.

The photo's vector is compared with those of some hundred thousand places. Places that lie
together are one candidate.

What that is worth is known on average only. GeoCLIP (Vivanco Cepeda et al., NeurIPS 2023,
table 1) finds 14.1 / 34.5 / 50.7 / 69.7 / 83.8 % of the photos of IM2GPS3k within 1 / 25 / 200 /
750 / 2500 km of its best place. `REACHES` and `SEARCH_WEIGHT` give belief that very row after a
search with one candidate and no other evidence. It is the publication's average over photos: a
famous sight deserves more and an empty field less, and nothing here is calibrated per photo.
Several candidates share the weight by their probabilities, which makes belief wider than the
publication's average. An encoder whose weights nobody published, one just trained, has the same
reach and much less weight: how often it is right is not known. What a search inside a region
weighs, `tools.presupposed` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from index_builder.points import EVERYWHERE, Where
from tools.arguments import (
    PHOTO_ID,
    Countries,
    NearLatitude,
    NearLongitude,
    PhotoId,
    WithinKm,
    region_text,
    where_of,
)
from tools.evidence import Candidate, Evidence, Reach, ToolError, ToolOutcome, ToolReply
from tools.presupposed import inside_region, presupposed

if TYPE_CHECKING:
    from encoders.base import EncoderCard
    from index_builder.places import PlaceHits, Places
    from tools.workbench import Workbench

HITS = 500
"""Places that are looked at; their probabilities fall off long before."""
MERGE_KM = 25.0
CANDIDATES = 8
SEARCH_WEIGHT = 0.85
UNMEASURED_WEIGHT = 0.2
"""Of a search with weights that no publication measured: a choice of caution, not a figure."""
REACHES = (
    Reach(radius_km=0.72, share=0.251),
    Reach(radius_km=15.5, share=0.210),
    Reach(radius_km=229.0, share=0.295),
    Reach(radius_km=1046.0, share=0.244),
)
"""The truth's distance from the best place, if the search is right: fitted to five published
numbers, with the prior of belief taking what `SEARCH_WEIGHT` leaves."""
HALF_WITHIN_KM = 91.0
"""Median of `REACHES`."""
SOURCE = "places"
DESCRIPTION = (
    "Compare the photo with places all over the world, by the vector that an encoder gives it. "
    "Returns regions that look alike, with probabilities. On average half of the photos lie "
    "within 200 km of the best place and one in seven within 1 km; use it to choose where to "
    "look closer, and prefer text and verified matches where they disagree. Inside a circle or "
    "countries it says where there, not whether: probabilities then sum to 1 inside; of a circle "
    "they are shown without weight."
)


class PlacesArguments(BaseModel):
    """Arguments of `search_places`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    photo_id: PhotoId = Field(description=PHOTO_ID)
    limit: int = Field(
        default=CANDIDATES, description="How many regions to return at most", ge=1, le=50
    )
    near_latitude: NearLatitude = None
    near_longitude: NearLongitude = None
    within_km: WithinKm = None
    countries: Countries = None


@dataclass(frozen=True)
class PlaceCluster:
    """Places that lie together.

    Attributes:
        index: row of the one most like the photo, which stands for all.
        cosine: of that one.
        probability: of all of them together.
        members: how many they are.
    """

    index: int
    cosine: float
    probability: float
    members: int


def make_search_places(bench: "Workbench") -> BaseTool:
    """Return the `search_places` tool over the places of `bench`."""

    def search_places(
        photo_id: str,
        limit: int = CANDIDATES,
        near_latitude: float | None = None,
        near_longitude: float | None = None,
        within_km: float | None = None,
        countries: list[str] | None = None,
    ) -> ToolReply:
        where = where_of(near_latitude, near_longitude, within_km, countries)
        places = bench.places
        if places is None:
            raise ToolError("no gallery of places is open, 1 is needed; use other evidence")
        vector = bench.photo_vector(photo_id)
        if not vector.any():
            return "The encoder sees nothing in this photo; no place is like it.", ToolOutcome()
        hits = places.search(vector, HITS, inside_region(places.coordinates, where))
        if not hits.searched:
            raise ToolError(
                f"none of {len(places):,} places lies {region_text(where)}; widen the region"
            )
        clusters = merge_hits(places, hits)[:limit]
        return _reply(bench, places, hits, clusters, where)

    return StructuredTool.from_function(
        search_places,
        name="search_places",
        description=DESCRIPTION,
        args_schema=PlacesArguments,
        response_format="content_and_artifact",
    )


def merge_hits(places: "Places", hits: "PlaceHits") -> list[PlaceCluster]:
    """Return the hits as clusters, the most probable first.

    The best hit takes every other within 25 km, then the best of the rest, and so on; a cluster
    stands where its best hit does, so that it never drifts along a coast of hits.
    """
    from geo.sphere import haversine_km

    points = places.coordinates[hits.indices]
    left = np.arange(len(points))
    clusters = []
    while len(left):
        best = left[0]
        away = haversine_km(points[best, 0], points[best, 1], points[left, 0], points[left, 1])
        near = away <= MERGE_KM
        clusters.append(
            PlaceCluster(
                index=int(hits.indices[best]),
                cosine=float(hits.cosines[best]),
                probability=min(1.0, float(hits.probabilities[left[near]].sum())),
                members=int(near.sum()),
            )
        )
        left = left[~near]
    return sorted(clusters, key=lambda cluster: (-cluster.probability, cluster.index))


def evidence_group(card: "EncoderCard") -> str:
    """Return the group of all evidence that rests on this encoder: it is dependent."""
    return f"alignment:{card.fingerprint[:12]}"


def _reply(
    bench: "Workbench",
    places: "Places",
    hits: "PlaceHits",
    clusters: Sequence[PlaceCluster],
    where: Where = EVERYWHERE,
) -> ToolReply:
    card = places.card
    candidates = _candidates(bench, places, clusters)
    found = _evidence(card, candidates, hits, clusters[0].probability)
    evidence = presupposed(
        found,
        where,
        who=f"Encoder {card.name} among places",
        weight=UNMEASURED_WEIGHT,
        known=hits.inside,
    )
    lines = [
        f"{place.rank}. {place.label}: {place.latitude:.4f}, {place.longitude:.4f}, "
        f"probability {cluster.probability:.1%} ({cluster.members} places, "
        f"cosine {cluster.cosine:.3f})"
        for place, cluster in zip(candidates, clusters, strict=True)
    ]
    said = [_weighed(one) for one in evidence]
    text = "\n".join([_head(len(clusters), hits, where), *lines, *said])
    data = _data(places, hits, clusters, where)
    return text, ToolOutcome(evidence=evidence, data=data)


def _head(regions: int, hits: "PlaceHits", where: Where) -> str:
    if not where:
        return f"{regions} regions of {hits.searched:,} places, the most probable first:"
    return (
        f"{regions} regions of {hits.searched:,} places {region_text(where)}, the most probable "
        f"first. Probabilities sum to 1 inside; of the whole world's, {hits.inside:.2%} lies there:"
    )


def _weighed(evidence: Evidence) -> str:
    given = ", ".join(evidence.given_countries)
    where = f", where in {given}, not whether" if given else ""
    return f"Evidence {evidence.id}, weight {evidence.weight:.3g}{where}."


def _evidence(
    card: "EncoderCard", candidates: tuple[Candidate, ...], hits: "PlaceHits", probability: float
) -> Evidence:
    best = candidates[0]
    return Evidence(
        tool="search_places",
        kind="alignment",
        summary=f"Of {hits.searched:,} places, encoder {card.name} finds none more like "
        f"the photo than one {best.label} ({best.latitude:.3f}, {best.longitude:.3f}), probability "
        f"{probability:.1%}.{_doubt(card)}",
        candidates=candidates,
        weight=SEARCH_WEIGHT if card.published else UNMEASURED_WEIGHT,
        group=evidence_group(card),
    )


def _data(
    places: "Places", hits: "PlaceHits", clusters: Sequence[PlaceCluster], where: Where
) -> dict[str, JsonValue]:
    card, points = places.card, places.coordinates
    return {
        "encoder": {"name": card.name, "fingerprint": card.fingerprint},
        "places": hits.searched,
        "region": region_text(where),
        "probability_of_region": round(hits.inside, 9),
        "merged_within_km": MERGE_KM,
        "probability_of_all_returned": round(sum(c.probability for c in clusters), 6),
        "candidates": [
            {
                "place": cluster.index,
                "latitude": float(points[cluster.index, 0]),
                "longitude": float(points[cluster.index, 1]),
                "cosine": round(cluster.cosine, 6),
                "probability": round(cluster.probability, 6),
                "members": cluster.members,
            }
            for cluster in clusters
        ],
        "best_places": [
            [*points[index].tolist(), round(float(share), 6)]
            for index, share in zip(hits.indices[:20], hits.probabilities[:20], strict=True)
        ],
    }


def _doubt(card: "EncoderCard") -> str:
    return "" if card.published else " How often this encoder is right was never measured."


def _candidates(
    bench: "Workbench", places: "Places", clusters: Sequence[PlaceCluster]
) -> tuple[Candidate, ...]:
    from geo.regions import country_at

    points = places.coordinates[[cluster.index for cluster in clusters]]
    total = sum(cluster.probability for cluster in clusters)
    return tuple(
        Candidate(
            latitude=float(point[0]),
            longitude=float(point[1]),
            radius_km=HALF_WITHIN_KM,
            reaches=REACHES,
            score=cluster.probability / total if total else 1 / len(clusters),
            rank=rank,
            source=SOURCE,
            kind="compared_place",
            label=place_name(bench, float(point[0]), float(point[1]), country),
            reference=f"place {cluster.index}",
            country=country,
        )
        for rank, (point, cluster, country) in enumerate(
            zip(points, clusters, country_at(points), strict=True), start=1
        )
    )


def place_name(bench: "Workbench", latitude: float, longitude: float, country: str) -> str:
    """Return what a person would call a coordinate: its nearest settlement, or the sea."""
    if not country:
        return "at sea"
    found = bench.gazetteer.nearest(latitude, longitude, country=country)
    return f"near {found[0][0].name}, {country}" if found else f"in {country}"
