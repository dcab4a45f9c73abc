"""Photos or places that look like a photo to a learned encoder, as weak evidence of place.

Geometry says that two photos show one scene; a learned encoder only says that they resemble each
other, and how often that means nearness depends on what the gallery covers, which nobody
measured. The hits that lie together are one candidate, worth the sum of 1 / rank of its hits: an
agreement of several counts more than a single best one (DualGeo's clusters and G3's ranks
together; a choice of ours, not a figure).
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tools.evidence import Candidate, Evidence
from tools.places import HALF_WITHIN_KM, MERGE_KM, REACHES, UNMEASURED_WEIGHT

if TYPE_CHECKING:
    from index_builder.gallery import Gallery
    from index_builder.gallery_photo import Hit

REGIONS = 8


def alike_evidence(gallery: "Gallery", hits: Sequence["Hit"], query: str = "") -> Evidence:
    """Return the evidence of look-alikes, best first.

    Args:
        gallery: that was searched.
        hits: 1 or more, best first.
        query: what was searched for, in words, where that is not the photo.
    """
    from geo.regions import country_at

    made = gallery.manifest.encoder
    clusters = sorted(_clusters(hits), key=lambda c: -c[1])[:REGIONS]
    total = sum(worth for _, worth, _ in clusters)
    points = np.array([(hit.photo.latitude, hit.photo.longitude) for hit, _, _ in clusters])
    candidates = tuple(
        Candidate(
            latitude=hit.photo.latitude,
            longitude=hit.photo.longitude,
            radius_km=HALF_WITHIN_KM,
            reaches=REACHES,
            score=worth / total,
            rank=rank,
            source=f"gallery:{gallery.name}",
            kind="compared_place",
            label=f"{members} of {len(hits)} look-alikes, best {hit.photo.name!r}",
            reference=hit.photo.id,
            country=country,
        )
        for rank, ((hit, worth, members), country) in enumerate(
            zip(clusters, country_at(points), strict=True), start=1
        )
    )
    best = candidates[0]
    return Evidence(
        tool="search_similar_photos",
        kind="alignment",
        summary=f"{query + ': encoder' if query else 'Encoder'} {made.name} finds {best.label} "
        f"near {best.latitude:.3f}, {best.longitude:.3f}; looks alone, no geometry agrees. How "
        "often this gallery is right was never measured.",
        candidates=candidates,
        weight=UNMEASURED_WEIGHT,
        group=f"alignment:{made.fingerprint[:12]}",
    )


def worth_inside(hits: Sequence["Hit"], countries: Collection[str]) -> float:
    """Return the share of the worth of hits, best first, that lies in some countries."""
    worth = 1.0 / np.arange(1, len(hits) + 1)
    inside = np.array([hit.photo.country in countries for hit in hits], dtype=np.bool_)
    return float(worth[inside].sum() / worth.sum()) if len(hits) else 0.0


def _clusters(hits: Sequence["Hit"]) -> list[tuple["Hit", float, int]]:
    """Return the best hit of each cluster, its worth and how many hits it has.

    The best hit takes every other within 25 km, then the best of the rest, and so on.
    """
    from geo.sphere import haversine_km

    points = np.array([(hit.photo.latitude, hit.photo.longitude) for hit in hits])
    worth = 1.0 / np.arange(1, len(hits) + 1)
    left = np.arange(len(hits))
    clusters = []
    while len(left):
        best = left[0]
        away = haversine_km(points[best, 0], points[best, 1], points[left, 0], points[left, 1])
        near = away <= MERGE_KM
        clusters.append((hits[best], float(worth[left[near]].sum()), int(near.sum())))
        left = left[~near]
    return clusters
