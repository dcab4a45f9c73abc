"""The `search_similar_photos` tool: photos of the user's galleries that show the same scene.

Looking alike is not being there: a shortlist by VLAD only says what is worth comparing, and a
coordinate comes from geometry alone. Nothing found says nothing about the place.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from encoders.local_features import LocalFeatures, extract_features
from index_builder.points import Circle
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
    from tools.workbench import Workbench

SHORTLIST = 60
DESCRIPTION = (
    "Search the user's photo galleries for photos of the same scene. Looks are only used to "
    "choose what to compare; a candidate is returned only where point-by-point geometry "
    "verifies that both photos show the same thing. Finding nothing says nothing about where "
    "the photo was taken. Unverified look-alikes are named without coordinates."
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
        if not bench.galleries:
            raise ToolError("no gallery is open, 1 is needed; use other evidence, or ask for one")
        within = _circle(near_latitude, near_longitude, within_km)
        photo = bench.photos.get(photo_id)
        features = extract_features(bench.photos.image(photo.id))
        texts, outcomes = [], []
        for gallery in bench.galleries:
            found = search_gallery(gallery, features, limit=limit, within=within, photo_id=photo.id)
            text, outcome = report(gallery, found)
            pictures = _best_picture(bench, photo.id, features, gallery, found)
            texts.append(text)
            outcomes.append(outcome.model_copy(update={"pictures": pictures}))
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


def search_gallery(
    gallery: "Gallery",
    features: LocalFeatures,
    *,
    limit: int = SHORTLIST,
    exclude_ids: Collection[str] = (),
    within: Circle | None = None,
    photo_id: str = "",
) -> list[Compared]:
    """Compare the `limit` most similar photos of a gallery point by point.

    Args:
        gallery: where to search.
        features: of the photo to locate.
        limit: length of the shortlist.
        exclude_ids: gallery photos left out.
        within: only gallery photos taken inside this circle.
        photo_id: SHA-256 of the photo to locate, to know it where the gallery has it.

    Returns:
        The shortlist, verified photos first, by inliers, then by similarity.
    """
    (vectors,) = gallery.encoder.encode_features([features]).values()
    if not vectors[0].any():
        return []
    compared = []
    for hit in gallery.search(vectors[0], limit, exclude_ids=exclude_ids, within=within):
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
