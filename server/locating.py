"""One photo in, one answer out; and what may be said in the session that it began."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from agent.session_records import SessionOptions
from agent.session_run import SessionRun
from agent.sessions import Sessions
from encoders.wire import declared_pixels
from geo.errors import InputError
from server import locating_sessions
from server.context import Context, context_of
from server.fetching import fetch_photo
from server.intake import File, Intake, read_request
from server.locating_events import events_response, last_seen, wants_events
from server.locating_sessions import Known
from server.locating_words import (
    Events,
    LocateWords,
    MessageWords,
    Outcome,
    ResumeWords,
    Stopped,
)
from server.problems import problems
from server.schemas import FORM, JSON, gives_events, json_body, takes

PHOTO_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"photo": {"type": "string", "format": "binary"}},
}
BYTES = {"type": "string", "format": "binary"}

router = APIRouter(tags=["locate"])
router.include_router(locating_sessions.router)


def intake_of(request: Request) -> Intake:
    """Return the application's intake of photos."""
    state = request.app.state
    if not hasattr(state, "intake"):
        state.intake = Intake(context_of(request).sessions)
    found = state.intake
    assert isinstance(found, Intake)
    return found


@router.post(
    "/v1/locate",
    responses={200: gives_events(Outcome), **problems(409, 422)},
    openapi_extra=takes(LocateWords, {FORM: PHOTO_FORM, "image/jpeg": BYTES, "image/png": BYTES}),
)
async def locate(request: Request) -> Response:
    """Locate a photo: a form with a file, JSON with base64, or the file itself.

    The answer is a lead with a stated uncertainty, not proof. With `Accept: text/event-stream`
    the steps come as they happen, and the event `end` after the last.
    """
    context, intake = context_of(request), intake_of(request)
    words, files = await read_request(request, LocateWords, "image")
    files += await _fetched(words.url, context)
    if len(files) != 1:
        raise InputError(f"{len(files)} photos, exactly 1 is located; send others as messages")
    await run_in_threadpool(_check, context.sessions, words.options, files[0])
    session_id = str(uuid.uuid4())

    async def begin() -> SessionRun:
        async with intake.taken(files):
            return await run_in_threadpool(_begin, context.sessions, session_id, files[0], words)

    if wants_events(request):
        return events_response(context.sessions, session_id, 0, begin)
    return await _outcome(request, context.sessions, await begin())


@router.post(
    "/v1/sessions/{session_id}/messages",
    responses={200: gives_events(Outcome), **problems(404, 409, 422)},
    openapi_extra=takes(MessageWords, {FORM: PHOTO_FORM}),
)
async def say(session_id: Known, request: Request) -> Response:
    """Say something in a session: words, photos, a region, evidence that shall not count."""
    context, intake = context_of(request), intake_of(request)
    words, files = await read_request(request, MessageWords, "images")
    files += await _fetched(words.url, context)

    def send() -> SessionRun:
        return context.sessions.send(
            session_id, words.text, photos=[file.data for file in files], region=words.region,
            withdraw=words.withdraw, restore=words.restore,
        )  # fmt: skip

    async with intake.taken(files):
        run = await run_in_threadpool(send)
    return await _outcome(request, context.sessions, run)


@router.post(
    "/v1/sessions/{session_id}/resume",
    responses={200: gives_events(Outcome), **problems(404, 409, 422)},
    openapi_extra=takes(ResumeWords, required=False),
)
async def resume(session_id: Known, request: Request) -> Response:
    """Answer what a session asked, or have it go on where it stopped."""
    words = ResumeWords()
    if await request.body():
        words = await json_body(request, ResumeWords)
    sessions = context_of(request).sessions
    run = await run_in_threadpool(sessions.resume, session_id, words.reply)
    return await _outcome(request, sessions, run)


@router.post("/v1/sessions/{session_id}/stop", responses=problems(404))
def stop(session_id: Known, request: Request) -> Stopped:
    """Have a run stop after its present step; what was found until then is kept."""
    stopping = context_of(request).sessions.stop(session_id)
    return Stopped(session_id=session_id, stopping=stopping)


@router.get(
    "/v1/sessions/{session_id}/events",
    responses={200: gives_events(Events), **problems(404, 422)},
)
async def events(
    session_id: Known,
    request: Request,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:
    """Give the trace of a session, or follow it: `Last-Event-ID` goes on where one was cut off."""
    sessions = context_of(request).sessions
    after = last_seen(request, after)
    if wants_events(request):
        return events_response(sessions, session_id, after)
    found = await run_in_threadpool(lambda: tuple(sessions.events(session_id, after)))
    return _document(Events(events=found))


def _check(sessions: Sessions, options: SessionOptions, file: File) -> None:
    """Refuse what cannot run, and what is no photo by its first bytes, before anything is kept."""
    sessions.geolocators.get(options)
    declared_pixels([file.data], sessions.photos.limits)


def _begin(sessions: Sessions, session_id: str, file: File, words: LocateWords) -> SessionRun:
    """Begin a session and its first run; none is left where the run does not begin."""
    info = sessions.create(file.data, name=words.name, options=words.options, session_id=session_id)
    try:
        return sessions.send(info.id, words.hint)
    except BaseException:
        sessions.delete(info.id)
        raise


async def _fetched(url: str, context: Context) -> list[File]:
    return [File(*await fetch_photo(url, context.settings.server))] if url else []


async def _outcome(request: Request, sessions: Sessions, run: SessionRun) -> Response:
    """Stream a run's events or wait for its end, as the client asks."""
    if wants_events(request):
        before = next(run.events()).number - 1  # its setup, told before it began
        return events_response(sessions, run.session_id, before)
    async for _ in run.aevents():
        pass
    if run.error is not None:
        raise run.error
    return _document(Outcome.of(run), {"content-location": f"/v1/sessions/{run.session_id}"})


def _document(found: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(found.model_dump_json(), headers=headers, media_type=JSON)
