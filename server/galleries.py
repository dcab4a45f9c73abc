"""Which galleries are open and what they hold, which recipes run here, and stored photos."""

import io
from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import NonNegativeInt
from starlette.responses import FileResponse, Response

from agent.availability import Availability, availability
from agent.sessions import Sessions
from server.context import context_of
from server.problems import ProblemError, problems
from tools.evidence import Record, ToolError
from tools.photo_store import Photo, PhotoStore

SIDES = (64, 1600)
"""Longest side of a thumbnail, in pixels: the least and the most."""
JPEG_QUALITY = 85
CACHED = "private, max-age=31536000, immutable"
"""A photo is known by its content: under its id it never changes."""
JPEG = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
PhotoId = Annotated[str, Path(description="SHA-256 of the photo's bytes, or its first 8 digits.")]

router = APIRouter(tags=["galleries"])


class OpenGallery(Record):
    """A gallery that sessions may search.

    Attributes:
        kind: what its points are: photos, places or cells.
        points: how many.
        encoder, fingerprint: what made its vectors.
        encoder_licence: of the encoder's weights.
        licences: how many points are under which licence; "" counts those that state none.
        sources: how many points come from where.
    """

    name: str
    kind: str
    points: NonNegativeInt
    encoder: str
    fingerprint: str
    encoder_licence: str = ""
    licences: dict[str, NonNegativeInt] = {}  # noqa: RUF012  # pydantic copies it
    sources: dict[str, NonNegativeInt] = {}  # noqa: RUF012
    countries: dict[str, NonNegativeInt] = {}  # noqa: RUF012


class GalleryList(Record):
    """The galleries that are open."""

    galleries: tuple[OpenGallery, ...]


class RecipeList(Record):
    """The recipes, and which of them can run here."""

    recipes: tuple[Availability, ...]


@router.get("/v1/galleries")
def list_galleries(request: Request) -> GalleryList:
    """List the open galleries: what they hold, what made them, under which licences."""
    return GalleryList(galleries=tuple(_galleries(context_of(request).sessions)))


@router.get("/v1/recipes")
def list_recipes(request: Request) -> RecipeList:
    """List the recipes: what each needs, what of that is missing here and how to get it."""
    context = context_of(request)
    held = context.sessions.geolocators.galleries
    places = [gallery.path for gallery in held if gallery.path is not None]
    rows = availability(context.settings, places)
    return RecipeList(recipes=tuple(rows))


@router.get("/v1/photos/{photo_id}/facts", responses=problems(404))
def photo_facts(photo_id: PhotoId, request: Request) -> Photo:
    """Give what is known of a photo; claims of its metadata are marked as such."""
    return _known(context_of(request).sessions.photos, photo_id)


@router.get(
    "/v1/photos/{photo_id}",
    response_class=Response,
    responses={200: {"description": "A JPEG.", "content": JPEG}, **problems(404, 422)},
)
def get_photo(
    photo_id: PhotoId,
    request: Request,
    side: Annotated[int | None, Query(ge=SIDES[0], le=SIDES[1])] = None,
) -> Response:
    """Give a photo's pixels, upright and without any metadata; `side` scales them down."""
    photos = context_of(request).sessions.photos
    photo = _known(photos, photo_id)
    tag = f'"{photo.id[:32]}-{side or 0}"'
    headers = {"etag": tag, "cache-control": CACHED}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    path = photos.path(photo.id)
    if not path.is_file():
        raise ProblemError(404, "unknown_photo", f"the pixels of photo {photo.id[:12]} are gone")
    if side is None or side >= max(photo.width, photo.height):
        return FileResponse(path, media_type="image/jpeg", headers=headers)
    return Response(_thumbnail(photos, photo.id, side), media_type="image/jpeg", headers=headers)


@lru_cache(maxsize=256)
def _thumbnail(photos: PhotoStore, photo_id: str, side: int) -> bytes:
    """Return a JPEG whose longest side is `side` pixels."""
    image = photos.image(photo_id)
    image.thumbnail((side, side))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()


def _known(photos: PhotoStore, photo_id: str) -> Photo:
    try:
        return photos.get(photo_id)
    except ToolError as error:
        raise ProblemError(404, "unknown_photo", str(error)) from None


def _galleries(sessions: Sessions) -> list[OpenGallery]:
    rows = []
    for gallery in sessions.geolocators.galleries:
        manifest = gallery.manifest
        rows.append(
            OpenGallery(
                name=gallery.name,
                kind=manifest.kind,
                points=len(gallery),
                encoder=manifest.encoder.name,
                fingerprint=manifest.encoder.fingerprint,
                encoder_licence=manifest.encoder.licence,
                licences=dict(manifest.counts.licences),
                sources=dict(manifest.counts.sources),
                countries=dict(manifest.counts.countries),
            )
        )
    return rows
