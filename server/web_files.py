"""What the page fetches beside its elements: its own files, photos, outlines, towns."""

import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from PIL import Image

from encoders.photo_file import printable
from geo.errors import InputError
from server.context import context_of

router = APIRouter(prefix="/page/files", include_in_schema=False)
STATIC = Path(__file__).parent / "static"
STATIC_NAMES = ("page.css", "page.js", "map.js", "mark.svg")
SIDES_PX = (160, 480, 1400, 4096)
MOST_TOWNS = 60
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
"""A photo's id is the hash of its content."""
BRIEFLY = {"cache-control": "no-cache"}
COARSEST_DEG = 0.2
"""Of outlines of the whole world: 170 kB before compression."""


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Return one of the page's own files."""
    if name not in STATIC_NAMES:
        raise InputError(f"there is no file {printable(name, 60)!r} of the page")
    return FileResponse(STATIC / name, headers=BRIEFLY)


@router.get("/photos/{photo_id}")
def photo(request: Request, photo_id: str, side: int = 1400) -> Response:
    """Return a photo of the store as a JPEG without metadata, made small."""
    side = next((one for one in SIDES_PX if one >= side), SIDES_PX[-1])
    photos = context_of(request).sessions.photos
    held = photos.get(photo_id)
    if max(held.width, held.height) <= side:
        return FileResponse(photos.path(held.id), media_type="image/jpeg", headers=FOREVER)
    image = photos.image(held.id)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=84)
    return Response(buffer.getvalue(), media_type="image/jpeg", headers=FOREVER)


@router.get("/outlines")
def outlines(
    south: Annotated[float, Query(ge=-90, le=90)] = -90,
    west: Annotated[float, Query(ge=-180, le=180)] = -180,
    north: Annotated[float, Query(ge=-90, le=90)] = 90,
    east: Annotated[float, Query(ge=-180, le=180)] = 180,
    tolerance: Annotated[float, Query(ge=0.002, le=10)] = COARSEST_DEG,
) -> Response:
    """Return land inside bounds: `[[code, [latitude, longitude, ...]], ...]`, degrees."""
    wide = (east - west) * (north - south)
    bounds = None if wide > 360 * 170 else (south, west, north, east)
    body = _outlines(max(tolerance, (wide / 4e6) ** 0.5 if bounds else COARSEST_DEG), bounds)
    return Response(body, media_type="application/json", headers={"cache-control": "max-age=3600"})


@lru_cache(maxsize=64)
def _outlines(tolerance: float, bounds: tuple[float, float, float, float] | None) -> bytes:
    from geo.outlines import outlines as rings

    found = [(code, ring.round(3).ravel().tolist()) for code, ring in rings(tolerance, bounds)]
    return json.dumps(found, separators=(",", ":")).encode()


@router.get("/towns")
def towns(
    south: Annotated[float, Query(ge=-90, le=90)],
    west: Annotated[float, Query(ge=-180, le=180)],
    north: Annotated[float, Query(ge=-90, le=90)],
    east: Annotated[float, Query(ge=-180, le=180)],
) -> Response:
    """Return the largest towns inside bounds: `[[name, latitude, longitude, people], ...]`."""
    from geo.towns import towns_in

    found = [list(one) for one in towns_in((south, west, north, east), MOST_TOWNS)]
    return JSONResponse(found, headers={"cache-control": "max-age=3600"})
