"""The `search_similar_photos` tool: photos of the user's galleries that show the same scene.

Looking alike is not being there: a shortlist says what is worth comparing, and a sure coordinate
comes from geometry alone. Where a learned encoder made the gallery, look-alikes that geometry
does not confirm are weak evidence of their region (`tools.alike`); the encoder `embedded` knows
nothing of the world, and its look-alikes are none. Nothing found says nothing about the place.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from encoders.local_features import LocalFeatures, extract_features
from geo.errors import UnavailableError
from index_builder.points import EVERYWHERE, Circle, Vector, Where
from tools.alike import alike_evidence
from tools.evidence import (
    Picture,
    ToolError,
    ToolOutcome,
    ToolReply,
)
from tools.matched import Compared, agreeing, describe_match, match_evidence
from tools.matching import PairMatch, verify_pair

if TYPE_CHECKING:
    from index_builder.gallery import Gallery
    from index_builder.gallery_photo import Hit
    from tools.workbench import Workbench

SHORTLIST = 60
COMPARED_ANEW = 20
"""Hits that are compared where a gallery keeps no local features: finding them takes 50 ms each."""
DESCRIPTION = (
    "Search the user's galleries for photos of the same scene. Looks choose what to compare; "
    "where point-by-point geometry verifies that both photos show the same thing, the position "
    "is a strong candidate. Galleries of learned encoders also return regions of look-alikes "
    "that geometry does not confirm, as weak candidates. Finding nothing says nothing about "
    "where the photo was taken."
)


class SearchArguments(BaseModel):
    """Arguments of `search_similar_photos`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    photo_id: str = Field(
        description="Id of the photo, or its first 8 digits or more", min_length=8, max_length=64
    )
    limit: int = Field(
        default=SHORTLIST, description="How many look-alikes to compare, per gallery", ge=1, le=200
    )
    near_latitude: float | None = Field(
        default=None, description="Centre of the area to search, degrees", ge=-90, le=90
    )
    near_longitude: float | None = Field(
        default=None, description="Centre of the area to search, degrees", ge=-180, le=180
    )
    within_km: float | None = Field(
        default=None, description="Radius of the area to search, km", gt=0, le=20_000
    )


def make_search_similar_photos(bench: "Workbench") -> BaseTool:
    """Return the `search_similar_photos` tool over the galleries of `bench`."""

    def search_similar_photos(
        photo_id: str,
        limit: int = SHORTLIST,
        near_latitude: float | None = None,
        near_longitude: float | None = None,
        within_km: float | None = None,
    ) -> ToolReply:
        searched = [g for g in bench.galleries if g.manifest.kind != "cells"]
        if not searched:
            raise ToolError("no gallery is open, 1 is needed; use other evidence, or ask for one")
        within = _circle(near_latitude, near_longitude, within_km)
        photo = bench.photos.get(photo_id)
        features = extract_features(bench.photos.image(photo.id))
        texts, outcomes = [], []
        failed: UnavailableError | None = None
        for gallery in searched:
            try:
                text, outcome = _searched(bench, gallery, photo.id, features, limit, within)
            except UnavailableError as error:
                failed = error
                texts.append(f"Gallery {gallery.name!r} was not searched: {error}")
                continue
            texts.append(text)
            outcomes.append(outcome)
        if failed and not outcomes:
            raise failed
        return "\n".join(texts), _joined(outcomes)

    return StructuredTool.from_function(
        search_similar_photos,
        name="search_similar_photos",
        description=DESCRIPTION,
        args_schema=SearchArguments,
        response_format="content_and_artifact",
    )


def _circle(
    latitude: float | None, longitude: float | None, radius_km: float | None
) -> Circle | None:
    if latitude is None and longitude is None and radius_km is None:
        return None
    if latitude is None or longitude is None or radius_km is None:
        raise ToolError(
            "an area needs all of near_latitude, near_longitude and within_km; give three or none"
        )
    return Circle(latitude, longitude, radius_km)


def _searched(
    bench: "Workbench",
    gallery: "Gallery",
    photo_id: str,
    features: LocalFeatures,
    limit: int,
    within: Circle | None,
) -> ToolReply:
    """Search one gallery; return what was found in words and as an outcome.

    Raises:
        UnavailableError: the encoder that made it, or its server, is not there.
    """
    query = query_of(bench, gallery, photo_id, features)
    if query is None:
        text = f"Gallery {gallery.name!r}: its encoder sees nothing in this photo."
        return text, ToolOutcome(data={"gallery": gallery.name})
    hits = gallery.search(query, limit, where=Where(circle=within))
    compared = hits if gallery.codebook_encoder else hits[:COMPARED_ANEW]
    found = compare_hits(gallery, features, compared, photo_id=photo_id)
    text, outcome = report(gallery, found)
    if not outcome.evidence and hits and gallery.codebook_encoder is None:
        alike = alike_evidence(gallery, hits)
        text += f" {alike.summary}"
        outcome = outcome.model_copy(update={"evidence": (alike,)})
    pictures = _best_picture(bench, photo_id, features, gallery, found)
    return text, outcome.model_copy(update={"pictures": pictures})


def query_of(
    bench: "Workbench", gallery: "Gallery", photo_id: str, features: LocalFeatures
) -> "Mapping[str, Vector] | None":
    """Return the vectors that search a gallery for a photo; None where nothing is seen in it.

    Raises:
        InputError: the encoder that made the gallery is another by now.
        UnavailableError: that encoder cannot be loaded.
    """
    if gallery.codebook_encoder is not None:
        found = gallery.codebook_encoder.encode_features([features])
        query = {space: rows[0] for space, rows in found.items()}
    else:
        encoder = bench.encoder_of(gallery)
        vectors = bench.photo_vectors(photo_id, encoder)
        query = {space: vectors[space] for space in gallery.manifest.encoder.retrieval}
    return query if all(vector.any() for vector in query.values()) else None


def search_gallery(
    gallery: "Gallery",
    features: LocalFeatures,
    *,
    limit: int = SHORTLIST,
    where: Where = EVERYWHERE,
    photo_id: str = "",
) -> list[Compared]:
    """Compare the `limit` most similar photos of a gallery of the encoder `embedded`.

    Args:
        gallery: where to search.
        features: of the photo to locate.
        limit: length of the shortlist.
        where: only these gallery photos.
        photo_id: SHA-256 of the photo to locate, to know it where the gallery has it.

    Returns:
        See `compare_hits`.
    """
    (vectors,) = gallery.encoder.encode_features([features]).values()
    if not vectors[0].any():
        return []
    hits = gallery.search(vectors[0], limit, where=where)
    return compare_hits(gallery, features, hits, photo_id=photo_id)


def compare_hits(
    gallery: "Gallery", features: LocalFeatures, hits: "Sequence[Hit]", *, photo_id: str = ""
) -> list[Compared]:
    """Compare hits with a photo point by point, where the gallery has a copy of them.

    Returns:
        Verified photos first, by inliers, then by similarity.
    """
    compared = []
    for hit in hits:
        if not gallery.has_image(hit.photo.id):
            continue
        theirs = gallery.features(hit.photo.id)
        if hit.photo.id == photo_id:
            match = PairMatch(same_photo=True)
        else:
            match = verify_pair(features, theirs)
        compared.append(Compared(hit.photo, hit.score, theirs, match))
    return sorted(
        compared,
        key=lambda c: (c.match.same_photo, c.match.verified, c.match.inliers, c.similarity),
        reverse=True,
    )


def report(gallery: "Gallery", found: Sequence[Compared]) -> tuple[str, ToolOutcome]:
    """Return what was found in a gallery, in words and as an outcome."""
    matched, rejected = agreeing(found)
    data: dict[str, JsonValue] = {
        "gallery": gallery.name,
        "photos": len(gallery),
        "compared": [_described(one) for one in found],
        "note": "unverified photos may just share light or day; they are no evidence of place",
    }
    head = f"Gallery {gallery.name!r} ({len(gallery)} photos, {len(found)} compared): "
    if not matched:
        why = f" {rejected[0].reason}." if rejected else ""
        text = f"no photo of the same scene verified.{why} This says nothing about the place."
        return head + text + _look_alikes(found), ToolOutcome(rejected=tuple(rejected), data=data)
    evidence = match_evidence("search_similar_photos", gallery, matched)
    outcome = ToolOutcome(evidence=(evidence,), rejected=tuple(rejected), data=data)
    return head + evidence.summary, outcome


def _look_alikes(found: Sequence[Compared]) -> str:
    names = ", ".join(repr(one.photo.name) for one in found[:3])
    return f" Visually similar, may just be the same light or day: {names}." if names else ""


def _described(one: Compared) -> dict[str, JsonValue]:
    """Return one comparison as JSON, without a coordinate unless it is verified."""
    described: dict[str, JsonValue] = {
        "id": one.photo.id,
        "name": one.photo.name,
        "similarity": round(one.similarity, 4),
        "inliers": one.match.inliers,
        "needed": one.match.needed,
        "model": one.match.model,
        "same_photo": one.match.same_photo,
        "verified": one.match.verified,
        "doubt": one.match.doubt,
    }
    if one.match.verified:
        described |= {"latitude": one.photo.latitude, "longitude": one.photo.longitude}
    return described


def _best_picture(
    bench: "Workbench",
    photo_id: str,
    features: LocalFeatures,
    gallery: "Gallery",
    found: Sequence[Compared],
) -> tuple[Picture, ...]:
    """Draw the best verified pair and keep it in the photo store."""
    from tools.pair_picture import draw_pair

    matched, _ = agreeing(found)
    if not matched:
        return ()
    best = matched[0]
    left, right = bench.photos.image(photo_id), gallery.image(best.photo.id)
    canvas = draw_pair(left, right, (features, best.features), best.match)
    caption = f"{describe_match(best)}."
    drawn = bench.photos.add_image(canvas, "matched pair", parent=photo_id)
    return (Picture(photo_id=drawn.id, caption=caption),)


def _joined(outcomes: Sequence[ToolOutcome]) -> ToolOutcome:
    return ToolOutcome(
        evidence=tuple(e for o in outcomes for e in o.evidence),
        rejected=tuple(r for o in outcomes for r in o.rejected),
        pictures=tuple(p for o in outcomes for p in o.pictures),
        data={"galleries": [dict(o.data) for o in outcomes]},
    )
