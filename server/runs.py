"""LangGraph's runs and their streams."""

import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from geo.errors import InputError
from server.context import context_of
from server.event_stream import EventStream, LateJson, event_number
from server.plain import PlainResponse, PlainRoute
from server.problems import problems
from server.run_events import StreamMode
from server.run_queue import Run, Runs
from server.run_requests import RunRequest
from server.thread_stream import ThreadMode, ThreadStream

router = APIRouter(route_class=PlainRoute, tags=["runs"])
REFUSED = problems(404, 409, 415, 422, 503)
MOST_AT_ONCE = 100
Modes = Annotated[list[StreamMode | Literal[""]] | None, Query()]
"""Python's client sends an empty one for none."""


class CancelRequest(BaseModel):
    """Which runs to cancel."""

    thread_id: str | None = None
    run_ids: list[str] | None = None
    status: Literal["pending", "running", "all"] | None = None


def runs_of(request: Request) -> Runs:
    """Return the application's runs."""
    found = request.app.state.runs
    assert isinstance(found, Runs)
    return found


@router.post("/threads/{thread_id}/runs", responses=REFUSED)
def create_run(thread_id: str, asked: RunRequest, request: Request) -> Response:
    """Begin a run that goes on by itself."""
    run = runs_of(request).create(thread_id, asked)
    return PlainResponse(run.shown(), headers=_located(run))


@router.post("/threads/{thread_id}/runs/stream", responses=REFUSED)
def stream_run(thread_id: str, asked: RunRequest, request: Request) -> Response:
    """Begin a run and follow its events."""
    runs = runs_of(request)
    return _stream(runs, runs.create(thread_id, asked))


@router.post("/threads/{thread_id}/runs/wait", responses=REFUSED)
def wait_for_run(thread_id: str, asked: RunRequest, request: Request) -> Response:
    """Begin a run and return the state that it ends with."""
    runs = runs_of(request)
    return _wait(runs, runs.create(thread_id, asked))


@router.get("/threads/{thread_id}/runs", responses=REFUSED)
def list_runs(
    thread_id: str,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 10,
    offset: Annotated[int, Query(ge=0)] = 0,
    status: str | None = None,
    select: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """List the runs of a thread since the server began, the latest first."""
    info = context_of(request).sessions.get(thread_id.lower())
    rows = [run.shown() for run in runs_of(request).of_thread(info.id)]
    rows = [row for row in rows if status in (None, row["status"])][offset : offset + limit]
    if select:
        rows = [{key: row[key] for key in select if key in row} for row in rows]
    return PlainResponse(rows)


@router.get("/threads/{thread_id}/runs/{run_id}", responses=REFUSED)
def get_run(thread_id: str, run_id: str, request: Request) -> Response:
    """Return a run."""
    return PlainResponse(runs_of(request).get(thread_id, run_id).shown())


@router.delete("/threads/{thread_id}/runs/{run_id}", status_code=204, responses=REFUSED)
def delete_run(thread_id: str, run_id: str, request: Request) -> None:
    """Take an ended run from the list; what it found stays with the thread."""
    runs = runs_of(request)
    runs.forget(runs.get(thread_id, run_id))


@router.get("/threads/{thread_id}/runs/{run_id}/join", responses=REFUSED)
def join_run(thread_id: str, run_id: str, request: Request) -> Response:
    """Wait for a run and return the state that it ends with."""
    runs = runs_of(request)
    return _wait(runs, runs.get(thread_id, run_id), joined=True)


@router.get("/threads/{thread_id}/runs/{run_id}/stream", responses=REFUSED)
def join_stream(
    thread_id: str,
    run_id: str,
    request: Request,
    stream_mode: Modes = None,
    cancel_on_disconnect: bool = False,
    last_event_id: Annotated[str, Header()] = "",
) -> Response:
    """Follow a run's events, from its beginning or after the event that `Last-Event-ID` names."""
    runs = runs_of(request)
    run = runs.get(thread_id, run_id)
    after = 0 if run.forgotten else event_number(last_event_id)
    return _stream(runs, run, after=after, modes=stream_mode, cancel=cancel_on_disconnect)


@router.get("/threads/{thread_id}/stream", responses=REFUSED)
def join_thread(
    thread_id: str,
    request: Request,
    stream_mode: Annotated[list[ThreadMode] | None, Query()] = None,
    last_event_id: Annotated[str, Header()] = "",
) -> Response:
    """Follow the events of all runs of a thread, those to come too."""
    info = context_of(request).sessions.get(thread_id.lower())
    return ThreadStream(runs_of(request), info.id, last_event_id, stream_mode or ["run_modes"])


@router.get("/runs/{run_id}/stream", responses=REFUSED)
def join_stateless_stream(
    run_id: str,
    request: Request,
    stream_mode: Modes = None,
    cancel_on_disconnect: bool = False,
    last_event_id: Annotated[str, Header()] = "",
) -> Response:
    """Follow the events of a run without a thread of the client's."""
    runs = runs_of(request)
    thread_id = runs.thread_of(run_id)
    return join_stream(thread_id, run_id, request, stream_mode, cancel_on_disconnect, last_event_id)


@router.post("/threads/{thread_id}/runs/{run_id}/cancel", responses=REFUSED)
def cancel_run(
    thread_id: str,
    run_id: str,
    request: Request,
    wait: bool = False,
    action: Literal["interrupt", "rollback"] = "interrupt",
) -> Response:
    """Have a run stop after its present step; what it found until then is kept."""
    _check_action(action)
    runs = runs_of(request)
    run = runs.get(thread_id, run_id)
    runs.cancel(run)
    if wait:
        run.done.wait()
    return Response(status_code=204 if wait else 202)


@router.post("/runs/cancel", status_code=204, responses=REFUSED)
def cancel_runs(
    asked: CancelRequest, request: Request, action: Literal["interrupt", "rollback"] = "interrupt"
) -> None:
    """Cancel several runs."""
    _check_action(action)
    runs = runs_of(request)
    if asked.thread_id is None:
        raise InputError("thread_id: name the thread whose runs to cancel")
    for run in runs.of_thread(asked.thread_id.lower()):
        named = asked.run_ids is None or run.id in asked.run_ids
        if named and asked.status in (None, "all", run.status):
            runs.cancel(run)


@router.post("/runs", responses=REFUSED)
def create_stateless_run(asked: RunRequest, request: Request) -> Response:
    """Begin a run in a thread of its own, which is deleted at the end unless it is to be kept."""
    run = _stateless(asked, request)
    return PlainResponse(run.shown(), headers=_located(run))


@router.post("/runs/stream", responses=REFUSED)
def stream_stateless_run(asked: RunRequest, request: Request) -> Response:
    """Begin a run in a thread of its own and follow its events."""
    return _stream(runs_of(request), _stateless(asked, request))


@router.post("/runs/wait", responses=REFUSED)
def wait_for_stateless_run(asked: RunRequest, request: Request) -> Response:
    """Begin a run in a thread of its own and return the state that it ends with."""
    return _wait(runs_of(request), _stateless(asked, request))


@router.post("/runs/batch", responses=REFUSED)
def create_stateless_runs(asked: list[RunRequest], request: Request) -> Response:
    """Begin several runs in threads of their own."""
    if len(asked) > MOST_AT_ONCE:
        raise InputError(f"{len(asked)} runs at once, limit {MOST_AT_ONCE}; send fewer")
    return PlainResponse([_stateless(one, request).shown() for one in asked])


def _stateless(asked: RunRequest, request: Request) -> Run:
    runs = runs_of(request)
    if asked.input is None:
        raise InputError("input: a run without a thread begins with one")
    thread_id = str(uuid.uuid4())
    made = asked.model_copy(update={"if_not_exists": "create"})
    try:
        return runs.create(thread_id, made, temporary=True)
    except BaseException:
        runs.delete_thread(thread_id)
        raise


def _check_action(action: str) -> None:
    if action == "rollback":
        raise InputError(
            "action rollback: what was traced is not taken back; interrupt, then run again from an "
            "earlier checkpoint_id"
        )


def _stream(
    runs: Runs,
    run: Run,
    after: int = 0,
    modes: Sequence[str] | None = None,
    cancel: bool = False,
) -> Response:
    gone = cancel or run.request.on_disconnect == "cancel"
    return EventStream(
        run.feed,
        after=after,
        modes=[one for one in modes or () if one] or None,
        gone=(lambda: runs.cancel(run)) if gone else lambda: None,
        headers={**_located(run), "Location": f"{run.path}/stream"},
    )


def _wait(runs: Runs, run: Run, joined: bool = False) -> Response:
    async def body() -> bytes:
        async for _ in run.feed.afollow(1 << 60):
            pass
        return run.values

    gone = not joined and run.request.on_disconnect == "cancel"
    return LateJson(
        body,
        gone=(lambda: runs.cancel(run)) if gone else lambda: None,
        headers={**_located(run), "Location": f"{run.path}/join"},
    )


def _located(run: Run) -> dict[str, str]:
    return {"Content-Location": run.path}
