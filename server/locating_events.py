"""A session's trace as server-sent events: with ids, resumable, with an explicit end.

Ids are the numbers of events in the trace, so a client that was cut off goes on where it was,
with another process, another day, too.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from agent.sessions import Sessions
from agent.trace import Event
from geo.errors import InputError
from server.problems import problem_of
from server.schemas import EVENTS

Begin = Callable[[], Awaitable[object]]
POLL_S = 0.5
"""How often a run of another process is looked at."""
PING_S = 15
SEND_S = 30.0
"""How long a client may take nothing before it counts as gone."""


def wants_events(request: Request) -> bool:
    """Whether a client asks for a stream instead of one document."""
    return EVENTS in request.headers.get("accept", "")


def last_seen(request: Request, after: int) -> int:
    """Return the number of the last event that a client has: its `Last-Event-ID`, or `after`.

    Raises:
        InputError: the header is no number.
    """
    text = request.headers.get("last-event-id", "").strip()
    if not text:
        return after
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InputError(f"Last-Event-ID {text!r:.40} is no number of an event; leave it out")
    return max(after, int(text))


def events_response(
    sessions: Sessions, session_id: str, after: int, begin: Begin | None = None
) -> EventSourceResponse:
    """Return a session's events after a number, until its run ends.

    Args:
        sessions: that have it.
        session_id: whose.
        after: number of the last event that is known already.
        begin: begins the session and its run, after the first event is on its way: decoding and
            storing a large photo takes longer than a person waits for a sign. What it raises is
            told by the event `error`, with a problem document.
    """
    headers = {"content-location": f"/v1/sessions/{session_id}"}
    return EventSourceResponse(
        _frames(sessions, session_id, after, begin),
        headers=headers, ping=PING_S, sep="\n", send_timeout=SEND_S,
    )  # fmt: skip


async def follow(sessions: Sessions, session_id: str, after: int) -> AsyncIterator[Event]:
    """Yield the events of a session after a number: those written, then those that happen.

    Nothing falls between both: what a run tells is written before it is told.
    """
    while True:
        run = sessions.running(session_id)
        live = run is not None and not run.parts.closed
        info = await run_in_threadpool(sessions.get, session_id)
        for event in await run_in_threadpool(_written, sessions, session_id, after):
            after = event.number
            yield event
        if run is not None and live:
            async for event in run.aevents(after):
                after = event.number
                yield event
        if live or info.status != "busy":
            return
        await asyncio.sleep(POLL_S)  # another process runs it


def _written(sessions: Sessions, session_id: str, after: int) -> list[Event]:
    return list(sessions.events(session_id, after))


async def _frames(
    sessions: Sessions, session_id: str, after: int, begin: Begin | None
) -> AsyncIterator[ServerSentEvent]:
    yield _frame("session", {"session_id": session_id})
    if begin is not None:
        try:
            await begin()
        except Exception as error:  # as a route's: told, and logged where it is a fault of ours
            told = {"session_id": session_id, "status": "error", "revision": 0, "last_event": 0}
            yield _frame("error", json.loads(bytes(problem_of(error).body)))
            yield _frame("end", told)
            return
    async for event in follow(sessions, session_id, after):
        after = event.number
        yield _frame(event.kind, event.model_dump(mode="json"), after)
    info = await run_in_threadpool(sessions.get, session_id)
    ended = {"session_id": session_id, "status": info.status, "revision": info.revision}
    yield _frame("end", {**ended, "last_event": after})


def _frame(name: str, data: Mapping[str, object], number: int | None = None) -> ServerSentEvent:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    number_text = None if number is None else str(number)
    return ServerSentEvent(text, event=name, id=number_text, sep="\n")
