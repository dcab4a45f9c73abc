"""Where the page sends what is written in it: words, photos, a drawn area."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field, JsonValue
from starlette.concurrency import run_in_threadpool

from agent.session_records import SessionOptions
from agent.session_run import SessionRun
from agent.sessions import Sessions
from encoders.wire import declared_pixels
from geo.errors import InputError
from server.context import context_of
from server.intake import File, base_name, read_request
from server.locating import intake_of
from server.locating_words import LONGEST_WORDS
from server.storable import Kept
from tools.evidence import Record

router = APIRouter(prefix="/page/files", include_in_schema=False)


class PageWords(Record):
    """What the page's composer sends.

    Attributes:
        session: id; empty begins one.
        text: what the person wrote.
        images: base64, for those who send JSON; the page sends files.
        region: GeoJSON feature that the person drew.
        options: of a session that begins.
    """

    session: str = Field(default="", max_length=100)
    text: str = Field(default="", max_length=LONGEST_WORDS)
    images: tuple[str, ...] = Field(default=(), max_length=8)
    region: Annotated[dict[str, JsonValue], Kept] | None = None
    options: SessionOptions = SessionOptions()


@router.post("/say")
async def say(request: Request) -> dict[str, str]:
    """Begin a session with a photo, or say something in one; its run is followed elsewhere."""
    sessions, intake = context_of(request).sessions, intake_of(request)
    words, files = await read_request(request, PageWords, "images")
    send = _said if words.session else _begun
    if not words.session:
        await run_in_threadpool(_check, sessions, words, files)
    async with intake.taken(files):
        run = await run_in_threadpool(send, sessions, words, files)
    return {"session": run.session_id, "run": run.id}


def _check(sessions: Sessions, words: PageWords, files: list[File]) -> None:
    """Refuse what cannot begin before anything is kept."""
    if not files:
        raise InputError("no photo was given; choose, drop or paste one")
    sessions.geolocators.get(words.options)
    declared_pixels([file.data for file in files], sessions.photos.limits)


def _said(sessions: Sessions, words: PageWords, files: list[File]) -> SessionRun:
    photos = [file.data for file in files]
    return sessions.send(words.session, words.text, photos=photos, region=words.region)


def _begun(sessions: Sessions, words: PageWords, files: list[File]) -> SessionRun:
    """Begin a session and its first run; none is left where the run does not begin."""
    first, *others = files
    info = sessions.create(first.data, name=base_name(first.name), options=words.options)
    try:
        photos = [file.data for file in others]
        return sessions.send(info.id, words.text, photos=photos, region=words.region)
    except BaseException:
        sessions.delete(info.id)
        raise
