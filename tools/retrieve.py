"""The `search_similar_photos` tool: photos of the user's galleries that show the same scene.

Looking alike is not being there: a shortlist says what is worth comparing, and a sure coordinate
comes from geometry alone. Where a learned encoder made the gallery, look-alikes that geometry
does not confirm are weak evidence of their region (`tools.alike`); the encoder `embedded` knows
nothing of the world, and its look-alikes are none. Nothing found says nothing about the place.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from encoders.local_features import LocalFeatures
from index_builder.points import EVERYWHERE, Where
from tools.alike import alike_evidence, worth_inside
from tools.arguments import (
    PHOTO_ID,
    PLAIN,
    Countries,
    Crop,
    NearLatitude,
    NearLongitude,
    PhotoId,
    WithinKm,
    region_text,
    where_of,
)
from tools.evidence import Evidence, Picture, ToolOutcome, ToolReply
from tools.found import hit_records, learned, search_each, searchable
from tools.matched import Compared, agreeing, describe_match, match_evidence
from tools.matching import PairMatch, verify_pair
from tools.presupposed import presupposed
from tools.queries import (
    TEXT_LETTERS,
    PhotoQuery,
    TextQuery,
    query_of,
    vectors_of,
)

if TYPE_CHECKING:
    from index_builder.gallery import Gallery
    from index_builder.gallery_photo import Hit
    from tools.workbench import Workbench

SHORTLIST = 60
COMPARED_ANEW = 20
"""Hits that are compared where a gallery keeps no local features: finding them takes 50 ms each."""
DESCRIPTION = (
    "Search the user's galleries for photos of the same scene, by a photo, a part of one "
    "(crop), or words (text, where a gallery's encoder reads them; then without photo_id). Looks "
    "choose what to compare; where point-by-point geometry verifies that both photos show the "
    "same thing, the position is a strong candidate. Galleries of learned encoders also return "
    "regions of look-alikes that geometry does not confirm, as weak candidates. Inside a circle "
    "or countries look-alikes say where there, not whether. Finding nothing says nothing about "
    "where the photo was taken."
)


class SearchArguments(BaseModel):
    """Arguments of `search_similar_photos`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    photo_id: PhotoId | None = Field(
        default=None, description=f"{PHOTO_ID}; needed unless text is given"
    )
    crop: Crop | None = Field(default=None, description="Search by this part of the photo only")
    text: str | None = Field(
        default=None,
        description="Search by these words instead of a photo: a short description of what "
        "photos show, in English",
        min_length=1,
        max_length=TEXT_LETTERS,
        pattern=PLAIN,
    )
    limit: int = Field(
        default=SHORTLIST, description="How many look-alikes to compare, per gallery", ge=1, le=200
    )
    near_latitude: NearLatitude = None
    near_longitude: NearLongitude = None
    within_km: WithinKm = None
    countries: Countries = None


def make_search_similar_photos(bench: "Workbench") -> BaseTool:
    """Return the `search_similar_photos` tool over the galleries of `bench`."""

    def search_similar_photos(
        photo_id: str | None = None,
        crop: Crop | None = None,
        text: str | None = None,
        limit: int = SHORTLIST,
        near_latitude: float | None = None,
        near_longitude: float | None = None,
        within_km: float | None = None,
        countries: list[str] | None = None,
    ) -> ToolReply:
        searched = searchable(bench)
        where = where_of(near_latitude, near_longitude, within_km, countries)
        query = query_of(bench, photo_id, crop, text)
        texts, outcome = search_each(
            searched, lambda gallery: _searched(bench, gallery, query, limit, where)
        )
        words = [f"{query.words}."] if query.words else []
        return "\n".join([*words, *texts]), outcome

    return StructuredTool.from_function(
        search_similar_photos,
        name="search_similar_photos",
        description=DESCRIPTION,
        args_schema=SearchArguments,
        response_format="content_and_artifact",
    )


def _searched(
    bench: "Workbench",
    gallery: "Gallery",
    query: PhotoQuery | TextQuery,
    limit: int,
    where: Where,
) -> ToolReply:
    """Search one gallery; return what was found in words and as an outcome.

    Raises:
        ToolError: it cannot be searched by words.
        InputError: the encoder that made it is another by now, or cannot take this photo.
        UnavailableError: that encoder, or its server, is not there.
    """
    vectors = vectors_of(bench, gallery, query)
    if vectors is None:
        thing = "these words" if isinstance(query, TextQuery) else "this photo"
        text = f"Gallery {gallery.name!r}: its encoder sees nothing in {thing}."
        return text, ToolOutcome(data={"gallery": gallery.name})
    hits = gallery.search(vectors, limit, where=where)
    if isinstance(query, TextQuery):
        text, outcome = _by_words(gallery, hits)
    else:
        text, outcome = _by_looks(bench, gallery, query, hits)
    data = dict(outcome.data) | {"query": query.record, "region": region_text(where)}
    if where and not hits:
        text = f"Gallery {gallery.name!r} has no photo {region_text(where)}."
    if gallery.codebook_encoder is not None:
        return text, outcome.model_copy(update={"data": data})
    data |= learned(gallery) | {"hits": hit_records(hits)}
    evidence = outcome.evidence
    if hits and not evidence:
        known = 0.0
        if where.countries and not where.circle:
            known = worth_inside(gallery.search(vectors, limit), where.countries)
        evidence = _alike(gallery, query, hits, where, known)
        text += "".join(f" {one.summary}" for one in evidence)
    return text, outcome.model_copy(update={"data": data, "evidence": evidence})


def _by_words(gallery: "Gallery", hits: "Sequence[Hit]") -> ToolReply:
    text = f"Gallery {gallery.name!r} ({len(gallery)} photos, {len(hits)} found):"
    return text, ToolOutcome(data={"gallery": gallery.name, "photos": len(gallery)})


def _by_looks(
    bench: "Workbench", gallery: "Gallery", query: PhotoQuery, hits: "Sequence[Hit]"
) -> ToolReply:
    """Compare the hits of a photo point by point and report what that found."""
    listed = hits if gallery.codebook_encoder else hits[:COMPARED_ANEW]
    kept = [hit for hit in listed if gallery.has_image(hit.photo.id)]
    found = compare_hits(gallery, query.features, kept, photo_id=query.photo_id) if kept else []
    text, outcome = report(gallery, found)
    evidence = tuple(one.model_copy(update={"box": query.box}) for one in outcome.evidence)
    pictures = _best_picture(bench, query, gallery, found)
    return text, outcome.model_copy(update={"evidence": evidence, "pictures": pictures})


def _alike(
    gallery: "Gallery",
    query: PhotoQuery | TextQuery,
    hits: "Sequence[Hit]",
    where: Where,
    known: float,
) -> tuple[Evidence, ...]:
    """Return the evidence of look-alikes, as far as the region that was asked for allows."""
    found = alike_evidence(gallery, hits, query.words if isinstance(query, TextQuery) else "")
    if isinstance(query, PhotoQuery):
        found = found.model_copy(update={"box": query.box})
    who = f"Encoder {gallery.manifest.encoder.name} in gallery {gallery.name!r}"
    return presupposed(found, where, who=who, weight=found.weight, known=known)


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
    bench: "Workbench", query: PhotoQuery, gallery: "Gallery", found: Sequence[Compared]
) -> tuple[Picture, ...]:
    """Draw the best verified pair and keep it in the photo store."""
    from tools.pair_picture import draw_pair

    matched, _ = agreeing(found)
    if not matched:
        return ()
    best = matched[0]
    left, right = bench.photos.image(query.photo_id), gallery.image(best.photo.id)
    canvas = draw_pair(left, right, (query.features, best.features), best.match)
    caption = f"{describe_match(best)}."
    drawn = bench.photos.add_image(canvas, "matched pair", parent=query.photo_id)
    return (Picture(photo_id=drawn.id, caption=caption),)
