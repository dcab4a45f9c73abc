"""What the page fetches beside its elements: photos, outlines; and where it sends what is said."""

import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from agent.session_records import SessionOptions
from agent.sessions import Sessions
from encoders.photo_file import printable
from geo.errors import InputError
from server.context import context_of

router = APIRouter(prefix="/page/files", include_in_schema=False)
STATIC = Path(__file__).parent / "static"
STATIC_NAMES = ("page.css", "page.js", "map.js", "mark.svg")
SIDES_PX = (160, 480, 1400, 4096)
MOST_PHOTOS = 8
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


@router.post("/say")
async def say(request: Request) -> Response:
    """Begin a session with a photo, or say something in one; its run is followed elsewhere.

    Form: `session` (empty for a new one), `text`, `photos` (files), `region` (GeoJSON),
    `options` (JSON of `SessionOptions`).
    """
    sessions = context_of(request).sessions
    async with request.form(max_files=MOST_PHOTOS, max_fields=12) as form:
        photos = [
            (one.filename or "", await one.read())
            for one in form.getlist("photos")
            if isinstance(one, UploadFile)
        ]
        told = await run_in_threadpool(_said, sessions, form, photos)
    return JSONResponse(told)


def _said(sessions: Sessions, form: FormData, photos: list[tuple[str, bytes]]) -> dict[str, Any]:
    text, session = _field(form, "text"), _field(form, "session")
    region = json.loads(_field(form, "region") or "null")
    named = [sessions.photos.add(data, name) for name, data in photos]
    data = [one for _, one in photos]
    if not session:
        if not named:
            raise InputError("no photo was given; choose, drop or paste one")
        options = SessionOptions.model_validate_json(_field(form, "options") or "{}")
        info = sessions.create(data[0], name=named[0].name, options=options)
        session, data = info.id, data[1:]
    run = sessions.send(session, text, photos=data, region=region)
    return {"session": session, "run": run.id}


def _field(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""
