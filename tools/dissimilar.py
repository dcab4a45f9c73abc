"""The `search_dissimilar_photos` tool: gallery photos that look least like a photo.

They are shown as places that it does not look like, as Img2Loc and G3 do in their prompts (Zhou et
al., SIGIR 2024; Jia et al., NeurIPS 2024: a search by the negated vector). They are no evidence:
what looks least alike may lie next door, by night or from inside.
"""

from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field

from index_builder.points import Where
from tools.arguments import (
    PHOTO_ID,
    Countries,
    Crop,
    NearLatitude,
    NearLongitude,
    PhotoId,
    WithinKm,
    region_text,
    where_of,
)
from tools.evidence import ToolError, ToolOutcome, ToolReply
from tools.found import hit_records, learned, search_each, searchable
from tools.queries import PhotoQuery, photo_query, vectors_of

if TYPE_CHECKING:
    from index_builder.gallery import Gallery
    from index_builder.gallery_photo import Hit
    from tools.workbench import Workbench

HITS = 20
SHOWN = 5
DESCRIPTION = (
    "Find the photos of the user's galleries that look least like a photo, to a learned encoder: "
    "places that it does not look like. Information, no evidence."
)


class DissimilarArguments(BaseModel):
    """Arguments of `search_dissimilar_photos`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    photo_id: PhotoId = Field(description=PHOTO_ID)
    crop: Crop | None = Field(default=None, description="Search by this part of the photo only")
    limit: int = Field(default=HITS, description="How many to return, per gallery", ge=1, le=200)
    near_latitude: NearLatitude = None
    near_longitude: NearLongitude = None
    within_km: WithinKm = None
    countries: Countries = None


def make_search_dissimilar_photos(bench: "Workbench") -> BaseTool:
    """Return the `search_dissimilar_photos` tool over the galleries of `bench`."""

    def search_dissimilar_photos(
        photo_id: str,
        crop: Crop | None = None,
        limit: int = HITS,
        near_latitude: float | None = None,
        near_longitude: float | None = None,
        within_km: float | None = None,
        countries: list[str] | None = None,
    ) -> ToolReply:
        galleries = searchable(bench)
        where = where_of(near_latitude, near_longitude, within_km, countries)
        query = photo_query(bench, photo_id, crop)
        texts, outcome = search_each(
            galleries, lambda gallery: _searched(bench, gallery, query, limit, where)
        )
        return "\n".join([*texts, "No evidence: nothing weighs."]), outcome

    return StructuredTool.from_function(
        search_dissimilar_photos,
        name="search_dissimilar_photos",
        description=DESCRIPTION,
        args_schema=DissimilarArguments,
        response_format="content_and_artifact",
    )


def _searched(
    bench: "Workbench", gallery: "Gallery", query: PhotoQuery, limit: int, where: Where
) -> ToolReply:
    """Search one gallery.

    Raises:
        ToolError: the encoder `embedded` made it.
        InputError: another encoder made it than the one its manifest names.
        UnavailableError: that encoder, or its server, is not there.
    """
    if gallery.codebook_encoder is not None:
        raise ToolError(
            f"gallery {gallery.name!r} was built by {gallery.manifest.encoder.name!r}, which knows "
            "nothing of the world: what looks least alike to it means nothing; use "
            "search_similar_photos, or a gallery of a learned encoder"
        )
    vectors = vectors_of(bench, gallery, query)
    if vectors is None:
        text = f"Gallery {gallery.name!r}: its encoder sees nothing in this photo."
        return text, ToolOutcome(data={"gallery": gallery.name})
    hits = gallery.search(vectors, limit, where=where, dissimilar=True)
    data = {
        "gallery": gallery.name,
        "photos": len(gallery),
        "dissimilar": True,
        "query": query.record,
        "region": region_text(where),
        **learned(gallery),
        "hits": hit_records(hits),
    }
    return _told(gallery, hits, where), ToolOutcome(data=data)


def _told(gallery: "Gallery", hits: "list[Hit]", where: Where) -> str:
    head = f"Gallery {gallery.name!r}"
    if not hits:
        return f"{head} has no photo {region_text(where) or 'at all'}."
    lines = [
        f"{rank}. {hit.photo.latitude:.4f}, {hit.photo.longitude:.4f} "
        f"({hit.photo.country or 'at sea'}), similarity {hit.score:.3f}"
        for rank, hit in enumerate(hits[:SHOWN], start=1)
    ]
    first = f"{head}, {len(hits)} photos that look least like it, the least first:"
    return "\n".join([first, *lines])
