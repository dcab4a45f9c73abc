"""LangGraph's threads: sessions under the names that its clients speak."""

import contextlib
import itertools
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from langgraph.errors import InvalidUpdateError
from pydantic import BaseModel, Field, JsonValue
from starlette.responses import Response

from agent.session_records import SessionBusyError, SessionInfo
from agent.sessions import Sessions
from geo.errors import InputError
from server.assistants import reading_graph
from server.context import context_of
from server.plain import PlainResponse, PlainRoute
from server.problems import ProblemError, problems
from server.run_requests import CheckpointName, person_says
from server.runs import runs_of
from server.storable import Kept
from server.thread_views import STATUSES, state_of, thread_of, thread_row

router = APIRouter(route_class=PlainRoute, tags=["threads"])
REFUSED = problems(404, 409, 415, 422, 503)
ThreadStatus = Literal["idle", "busy", "interrupted", "error"]


class NewThread(BaseModel):
    """A thread to be."""

    thread_id: str | None = Field(default=None, max_length=60)
    metadata: Annotated[dict[str, JsonValue], Kept] | None = None
    if_exists: Literal["raise", "do_nothing"] = "raise"
    supersteps: list[Any] | None = None
    ttl: Any = None


class ThreadPatch(BaseModel):
    """What to change about a thread."""

    metadata: Annotated[dict[str, JsonValue], Kept] = Field(default_factory=dict)
    ttl: Any = None


class ThreadSearch(BaseModel):
    """Which threads to list."""

    metadata: dict[str, Any] | None = None
    values: dict[str, Any] | None = None
    ids: list[str] | None = None
    status: ThreadStatus | None = None
    limit: int = Field(default=10, ge=1, le=1000)
    offset: int = Field(default=0, ge=0)
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] = (
        "updated_at"
    )
    sort_order: Literal["asc", "desc"] = "desc"
    select: list[str] | None = None
    extract: dict[str, str] | None = None


class ThreadPrune(BaseModel):
    """Threads to delete."""

    thread_ids: list[str] = Field(max_length=1000)
    strategy: Literal["delete", "keep_latest"] = "delete"


class StateRequest(BaseModel):
    """Which state to return."""

    checkpoint: CheckpointName | None = None
    subgraphs: bool = False
    select: list[str] | None = None


class StateUpdate(BaseModel):
    """What a person changes about a thread's state."""

    values: dict[str, Any] | list[dict[str, Any]] | None = None
    as_node: str | None = None
    checkpoint: CheckpointName | None = None
    checkpoint_id: str | None = Field(default=None, max_length=100)


class HistoryRequest(BaseModel):
    """Which states to return, the latest first."""

    limit: int = Field(default=10, ge=1, le=1000)
    before: str | CheckpointName | dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    checkpoint: CheckpointName | None = None
    select: list[str] | None = None


def sessions_of(request: Request) -> Sessions:
    """Return the application's sessions."""
    return context_of(request).sessions


def _shown(request: Request, info: SessionInfo, select: list[str] | None = None) -> dict[str, Any]:
    busy = bool(runs_of(request).unfinished(info.id))
    return thread_of(sessions_of(request), info, select, busy)


@router.post("/threads", responses=REFUSED)
def create_thread(asked: NewThread, request: Request) -> Response:
    """Make a thread; its first run brings the photo."""
    sessions = sessions_of(request)
    _refuse(supersteps=asked.supersteps, ttl=asked.ttl)
    thread_id = (asked.thread_id or "").lower()
    if thread_id and (held := _held(sessions, thread_id)) is not None:
        if asked.if_exists == "raise":
            raise ProblemError(
                409, "thread_exists", f"there is a thread {thread_id[:60]} already; leave the id "
                "out, or say if_exists do_nothing"
            )  # fmt: skip
        return PlainResponse(_shown(request, held))
    info = sessions.create(session_id=thread_id, metadata=asked.metadata)
    return PlainResponse(_shown(request, info))


@router.post("/threads/search", responses=REFUSED)
def search_threads(asked: ThreadSearch, request: Request) -> Response:
    """List threads, the latest first; also those that were begun elsewhere."""
    _refuse(extract=asked.extract)
    sessions, end = sessions_of(request), asked.offset + asked.limit
    found = list(_matching(request, asked))
    rows = found[asked.offset : end]
    headers = {"X-Pagination-Total": str(len(found))}
    if end < len(found):
        headers["X-Pagination-Next"] = str(end)
    shown = [thread_of(sessions, one, asked.select) for one in rows]
    return PlainResponse(shown, headers=headers)


@router.post("/threads/count", responses=REFUSED)
def count_threads(asked: ThreadSearch, request: Request) -> int:
    """Count threads."""
    return len(list(_matching(request, asked)))


@router.post("/threads/prune", responses=REFUSED)
def prune_threads(asked: ThreadPrune, request: Request) -> dict[str, int]:
    """Delete several threads."""
    _refuse(keep_latest=asked.strategy == "keep_latest")
    for thread_id in asked.thread_ids:
        delete_thread(thread_id, request)
    return {"pruned_count": len(asked.thread_ids)}


@router.get("/threads/{thread_id}", responses=REFUSED)
def get_thread(thread_id: str, request: Request) -> Response:
    """Return a thread with its values and what it waits with."""
    return PlainResponse(_shown(request, sessions_of(request).get(thread_id.lower())))


@router.patch("/threads/{thread_id}", responses=REFUSED)
def update_thread(
    thread_id: str, asked: ThreadPatch, request: Request, prefer: Annotated[str, Header()] = ""
) -> Response:
    """Add to a thread's metadata; `name` renames the session."""
    _refuse(ttl=asked.ttl)
    sessions = sessions_of(request)
    info = sessions.get(thread_id.lower())
    name = asked.metadata.get("name")
    info = sessions.update(
        info.id,
        metadata={**info.metadata, **asked.metadata},
        name=name if isinstance(name, str) else None,
    )
    if "return=minimal" in prefer:
        return Response(status_code=204)
    return PlainResponse(_shown(request, info))


@router.delete("/threads/{thread_id}", status_code=204, responses=REFUSED)
def delete_thread(thread_id: str, request: Request) -> None:
    """Delete a thread: its states, its trace, and photos that no other has."""
    sessions, runs = sessions_of(request), runs_of(request)
    info = sessions.get(thread_id.lower())
    if runs.unfinished(info.id):
        raise SessionBusyError(f"thread {info.id} is busy; cancel its runs first", retryable=True)
    sessions.delete(info.id)
    runs.forget_thread(info.id)


@router.post("/threads/{thread_id}/copy", responses=REFUSED)
def copy_thread(thread_id: str, request: Request) -> Response:
    """Branch off a thread as it stands: a new one with the same past."""
    sessions = sessions_of(request)
    info = sessions.get(thread_id.lower())
    if sessions.snapshot(info.id).created_at is None:
        copy = sessions.create(name=info.name, options=info.options, metadata=info.metadata)
    else:
        copy = sessions.update(sessions.fork(info.id).id, metadata=info.metadata)
    return PlainResponse(_shown(request, copy))


@router.get("/threads/{thread_id}/state", responses=REFUSED)
def get_state(
    thread_id: str,
    request: Request,
    subgraphs: bool = False,
    select: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """Return the latest state."""
    state = sessions_of(request).snapshot(thread_id.lower())
    return PlainResponse(state_of(state, select))


@router.get("/threads/{thread_id}/state/{checkpoint_id}", responses=REFUSED)
def get_state_at(
    thread_id: str,
    checkpoint_id: str,
    request: Request,
    subgraphs: bool = False,
    select: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """Return the state of a checkpoint."""
    state = sessions_of(request).snapshot(thread_id.lower(), checkpoint_id)
    return PlainResponse(state_of(state, select))


@router.post("/threads/{thread_id}/state/checkpoint", responses=REFUSED)
def get_state_of(thread_id: str, asked: StateRequest, request: Request) -> Response:
    """Return the state of a checkpoint, or the latest where none is named."""
    named = (asked.checkpoint and asked.checkpoint.checkpoint_id) or ""
    state = sessions_of(request).snapshot(thread_id.lower(), named)
    return PlainResponse(state_of(state, asked.select))


@router.post("/threads/{thread_id}/state", responses=REFUSED)
def update_state(thread_id: str, asked: StateUpdate, request: Request) -> Response:
    """Change what a person may say in a state, as a checkpoint of its own."""
    sessions = sessions_of(request)
    info = sessions.get(thread_id.lower())
    if isinstance(asked.values, list):
        raise InputError("values: a list cannot be written; send an object")
    values = None if asked.values is None else person_says(sessions, asked.values)
    named = asked.checkpoint_id or (asked.checkpoint and asked.checkpoint.checkpoint_id) or ""
    at = sessions.snapshot(info.id, named).config if named else _latest(info.id)
    with _written_by_us(sessions, info.id):
        try:
            config = reading_graph(request).update_state(at, values, as_node=asked.as_node)
        except (ValueError, InvalidUpdateError) as error:  # no such node, or it is ambiguous
            raise InputError(f"state not changed: {error}") from None
    held = config["configurable"]
    where = {key: held[key] for key in ("thread_id", "checkpoint_ns", "checkpoint_id")}
    told = {"checkpoint": where, "configurable": where, "checkpoint_id": where["checkpoint_id"]}
    return PlainResponse(told)


@router.get("/threads/{thread_id}/history", responses=REFUSED)
def get_history(
    thread_id: str,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 10,
    before: str | None = None,
) -> Response:
    """Return the states of a thread, the latest first."""
    return find_history(thread_id, HistoryRequest(limit=limit, before=before), request)


@router.post("/threads/{thread_id}/history", responses=REFUSED)
def find_history(thread_id: str, asked: HistoryRequest, request: Request) -> Response:
    """Return those states of a thread that fit, the latest first."""
    info = sessions_of(request).get(thread_id.lower())
    config = _latest(info.id)
    if asked.checkpoint and asked.checkpoint.checkpoint_id:
        config["configurable"]["checkpoint_id"] = asked.checkpoint.checkpoint_id
    states = reading_graph(request).get_state_history(
        config, filter=asked.metadata, before=_before(info.id, asked.before), limit=asked.limit
    )
    return PlainResponse([state_of(one, asked.select) for one in states])


def _latest(thread_id: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}


def _before(thread_id: str, given: Any) -> dict[str, Any] | None:
    named = given
    if isinstance(given, CheckpointName):
        named = given.checkpoint_id
    if isinstance(given, dict):
        named = given.get("configurable", given).get("checkpoint_id")
    if not named:
        return None
    config = _latest(thread_id)
    config["configurable"]["checkpoint_id"] = str(named)
    return config


def _held(sessions: Sessions, thread_id: str) -> SessionInfo | None:
    with contextlib.suppress(InputError):
        return sessions.get(thread_id)
    return None


def _matching(request: Request, asked: ThreadSearch) -> "itertools.chain[SessionInfo]":
    sessions, wanted = sessions_of(request), asked.metadata or {}
    found = [
        info for info in sessions.search()
        if asked.status in (None, STATUSES[info.status])
        and (asked.ids is None or info.id in asked.ids)
        and _within(wanted, thread_row(info)["metadata"])
        and (not asked.values or _within(asked.values, _values(sessions, info)))
    ]  # fmt: skip
    key = asked.sort_by
    found.sort(key=lambda one: str(thread_row(one)[key]), reverse=asked.sort_order == "desc")
    return itertools.chain(found)


def _values(sessions: Sessions, info: SessionInfo) -> dict[str, Any]:
    return thread_of(sessions, info, ["values"])["values"] or {}


def _within(wanted: dict[str, Any], held: dict[str, Any]) -> bool:
    return all(key in held and held[key] == value for key, value in wanted.items())


def _refuse(**given: Any) -> None:
    """Refuse what is not kept here, rather than leave it aside.

    Raises:
        InputError: something of it was asked for.
    """
    for name, value in given.items():
        if value:
            raise InputError(f"{name}: not supported; threads are kept until they are deleted")


@contextlib.contextmanager
def _written_by_us(sessions: Sessions, session_id: str) -> Any:
    """Hold a session's lock.

    Raises:
        SessionBusyError: somebody else writes to it.
    """
    lock = sessions.store.lock(session_id)
    if lock is None:
        raise SessionBusyError(f"thread {session_id} is busy; cancel its run first", retryable=True)
    with contextlib.closing(lock):
        yield
