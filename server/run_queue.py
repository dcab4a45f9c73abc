"""Runs as LangGraph's clients see them: one after another in a thread, each with its events.

A run that is asked for while its thread is busy waits, unless the client says otherwise. What a
run sends is kept for a while after its end, so that who was cut off loses nothing.
"""

import contextlib
import itertools
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from langgraph.types import Command
from pydantic import JsonValue

from agent.feed import Feed
from agent.session_records import SessionBusyError, SessionInfo
from agent.session_run import Asked, SessionRun
from agent.session_shelf import now
from agent.sessions import Sessions
from geo.errors import GeolocationError, InputError, UnavailableError
from server.assistants import DEFAULT, assistant_id, assistant_name
from server.event_stream import Sent
from server.plain import packed
from server.problems import ProblemError
from server.run_events import RunEvents, failure, graph_modes, sent, the_end
from server.run_requests import (
    Received,
    RunInput,
    RunRequest,
    check_request,
    command_of,
    received,
    said_of,
    with_options,
    with_photos,
)

logger = logging.getLogger(__name__)
RunStatus = Literal["pending", "running", "success", "error", "interrupted"]
STREAMS_BYTES = 256_000_000
"""Of ended runs' events that are kept; the oldest go first."""
MOST_RUNS = 10_000
AGAIN_S = 0.3
"""How often a run in the queue tries whether another process has let go of its session."""


@dataclass
class Run:
    """One run; `feed` is closed once it has ended."""

    id: str
    thread_id: str
    assistant: str
    request: RunRequest
    said: Received | None
    created: str
    temporary: bool = False
    updated: str = ""
    status: RunStatus = "pending"
    feed: Feed[Sent] = field(default_factory=Feed)
    values: bytes = b"null"
    """The state it ended with, or `__error__`, as JSON."""
    session_run: SessionRun | None = None
    bytes_sent: int = 0
    forgotten: bool = False
    due: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def send(self, item: Sent) -> None:
        """Send an event to whoever follows."""
        self.bytes_sent += len(item.data)
        self.feed.append(item)

    @property
    def path(self) -> str:
        """Where it is found."""
        return f"/threads/{self.thread_id}/runs/{self.id}"

    def shown(self) -> dict[str, Any]:
        """Return it as LangGraph's clients know it."""
        said = self.said
        given = None if said is None else {"messages": said.messages, "photo_id": said.photo_id}
        about = {"graph_id": self.assistant, "assistant_id": assistant_id(self.assistant)}
        return {
            "run_id": self.id,
            "thread_id": self.thread_id,
            "assistant_id": assistant_id(self.assistant),
            "created_at": self.created,
            "updated_at": self.updated or self.created,
            "status": self.status,
            "metadata": {"created_by": "system", **about, **(self.request.metadata or {})},
            "multitask_strategy": self.request.multitask_strategy,
            "kwargs": {
                **self.request.model_dump(mode="json", exclude={"input", "metadata"}),
                "stream_mode": self.request.modes,
                "input": given,
            },
        }


class Runs:
    """The runs of all threads.

    Args:
        sessions: what they run in.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.draining = False
        self._rows: dict[str, Run] = {}
        self._lock = threading.Lock()

    def create(self, thread_id: str, request: RunRequest, *, temporary: bool = False) -> Run:
        """Begin a run, or put it in its thread's queue.

        Args:
            thread_id: whose.
            request: what is to be done.
            temporary: the thread is deleted once it has ended.

        Raises:
            GeolocationError: it cannot begin: see `Sessions.run`.
            ProblemError: there is no such assistant, or the server ends.
        """
        if self.draining:
            raise UnavailableError("the server ends; ask again in a moment", retryable=True)
        check_request(request)
        name = assistant_name(request.assistant_id)
        thread_id = self._thread(thread_id, request)
        said = None if request.input is None else received(self.sessions, request.input)
        run = Run(
            str(uuid.uuid4()), thread_id, name,
            request.model_copy(update={"input": None}),  # photos came in it, which are stored now
            said, now(), temporary=temporary,
            due=time.monotonic() + (request.after_seconds or 0),
        )  # fmt: skip
        run.send(RunEvents(run.id, ()).first())
        before = self._enter(run)
        if before or request.after_seconds or not self._started(run):
            threading.Thread(target=self._wait, args=(run,), name=f"wait-{run.id[:8]}").start()
        return run

    def get(self, thread_id: str, run_id: str) -> Run:
        """Return a run.

        Raises:
            ProblemError: there is none of this id in this thread.
        """
        run = self._rows.get(run_id.lower())
        if run is None or run.thread_id != thread_id.lower():
            raise ProblemError(
                404, "unknown_run", f"there is no run {run_id[:60]!r} in this thread; its list "
                "shows those there are"
            )  # fmt: skip
        return run

    def thread_of(self, run_id: str) -> str:
        """Return the thread of a run; empty where there is no such run."""
        run = self._rows.get(run_id.lower())
        return run.thread_id if run else ""

    def of_thread(self, thread_id: str) -> list[Run]:
        """Return the runs of a thread, the latest first."""
        with self._lock:
            return [one for one in reversed(self._rows.values()) if one.thread_id == thread_id]

    def cancel(self, run: Run) -> None:
        """Have a run stop after its present step, or never begin; one that ended stays as it is."""
        run.stopping.set()
        if (held := run.session_run) is not None:
            held.stop("cancelled by the client")

    def forget(self, run: Run) -> None:
        """Take an ended run from the list.

        Raises:
            SessionBusyError: it has not ended.
        """
        if not run.done.is_set():
            raise SessionBusyError(f"run {run.id} has not ended; cancel it first", retryable=True)
        with self._lock:
            self._rows.pop(run.id, None)

    def forget_thread(self, thread_id: str) -> None:
        """Take all runs of a deleted thread from the list."""
        with self._lock:
            for run_id in [one.id for one in self._rows.values() if one.thread_id == thread_id]:
                del self._rows[run_id]

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread, whether or not it was made."""
        with contextlib.suppress(GeolocationError):
            self.sessions.delete(thread_id)
        self.forget_thread(thread_id)

    def drain(self, why: str = "the server ends") -> None:
        """Have all runs stop after their present steps, and take no more."""
        self.draining = True
        for run in list(self._rows.values()):
            run.stopping.set()
            if (held := run.session_run) is not None and not run.done.is_set():
                held.stop(why)

    def unfinished(self, thread_id: str) -> list[Run]:
        """Return the runs of a thread that run or could, in the order in which they will."""
        at = time.monotonic()
        with self._lock:
            return [
                one for one in self._rows.values()
                if one.thread_id == thread_id and not one.done.is_set() and one.due <= at
            ]  # fmt: skip

    def _thread(self, thread_id: str, request: RunRequest) -> str:
        """Return the thread's id, as it is written, of one that is there by now."""
        thread_id = thread_id.lower()
        if request.if_not_exists == "create" and self._missing(thread_id):
            with contextlib.suppress(InputError):  # another has just made it
                self.sessions.create(session_id=thread_id)
        return self.sessions.get(thread_id).id

    def _missing(self, thread_id: str) -> bool:
        try:
            self.sessions.get(thread_id)
        except InputError:
            return True
        return False

    def _enter(self, run: Run) -> list[Run]:
        """Put a run in the list and return those before it, which the client's strategy allows."""
        before = self.unfinished(run.thread_id)
        strategy = run.request.multitask_strategy
        if before and strategy in ("reject", "rollback"):
            told = "wait for it, or choose another multitask strategy"
            if strategy == "rollback":
                told = (
                    "what was traced is not taken back: choose interrupt, and go on from an "
                    "earlier checkpoint_id"
                )
            raise SessionBusyError(f"thread {run.thread_id} is busy; {told}", retryable=True)
        with self._lock:
            self._trim()
            self._rows[run.id] = run
        if strategy == "interrupt":
            for one in before:
                self.cancel(one)
        return before

    def _started(self, run: Run) -> bool:
        """Start a run now; whether the session was free.

        Raises:
            SessionBusyError: it was not, and the client does not want to wait.
        """
        try:
            self._start(run)
        except SessionBusyError:
            strategy = run.request.multitask_strategy
            here = strategy == "interrupt" and self.sessions.stop(run.thread_id)
            if strategy == "enqueue" or here:
                return False
            self._rows.pop(run.id, None)
            raise
        except BaseException:
            self._rows.pop(run.id, None)
            raise
        return True

    def _wait(self, run: Run) -> None:
        """Wait for a run's turn, and start it."""
        run.stopping.wait(max(0.0, run.due - time.monotonic()))
        for before in itertools.takewhile(lambda one: one is not run, self._ahead(run)):
            while not before.done.wait(AGAIN_S) and not run.stopping.is_set():
                pass
        while not run.stopping.is_set():
            try:
                return self._start(run)
            except SessionBusyError:
                run.stopping.wait(AGAIN_S)
            except Exception as error:
                return self._fail(run, error)
        self._end(run, "interrupted")

    def _ahead(self, run: Run) -> Iterator[Run]:
        with self._lock:
            rows = list(self._rows.values())
        return (one for one in rows if one.thread_id == run.thread_id and one.due <= run.due)

    def _start(self, run: Run) -> None:
        """Begin a run in its session.

        Raises:
            SessionBusyError: the session is running.
            GeolocationError: it cannot begin.
        """
        info = self.sessions.get(run.thread_id)
        state = self.sessions.snapshot(info.id, run.request.at)
        recipe = "" if run.assistant == DEFAULT else run.assistant
        info = with_options(self._known(info, run), run.request, recipe)
        asked, told = self._asked(run, info, bool(state.values.get("photos")))
        if asked is None and not state.next:
            run.values = packed(state.values)
            run.send(sent("values", "values", state.values))
            return self._end(run, "success")
        if isinstance(asked, dict):
            info = with_photos(info, asked)
        run.session_run = self.sessions.run(
            info.id, asked, info=info, said=told, checkpoint_id=run.request.at, run_id=run.id,
            modes=graph_modes(run.request.modes), limits=run.request.limits,
        )  # fmt: skip
        run.status, run.updated = "running", now()
        if run.stopping.is_set():
            self.cancel(run)
        threading.Thread(
            target=self._follow, args=(run, run.session_run), name=f"send-{run.id[:8]}"
        ).start()
        return None

    def _known(self, info: SessionInfo, run: Run) -> SessionInfo:
        """Return what is known of a session, with what LangGraph's clients look threads up by."""
        about = {"graph_id": run.assistant, "assistant_id": assistant_id(run.assistant)}
        photos = run.said.photos if run.said else []
        name = info.name
        if not name and photos:
            name = self.sessions.photos.get(photos[0]).name
        more = {"name": name, "metadata": {**info.metadata, **about}}
        return info.model_copy(update=more)

    def _asked(
        self, run: Run, info: SessionInfo, begun: bool
    ) -> tuple[Asked, dict[str, JsonValue] | None]:
        command = run.request.command
        if command is not None:
            made: Command[Any] = command_of(self.sessions, command)
            return made, None
        said = run.said
        if said is None and not begun and info.photos:
            said = received(self.sessions, RunInput())
        if said is None:
            return None, None
        asked = said.asked(info, begun)
        return asked, said_of(asked)

    def _follow(self, run: Run, session_run: SessionRun) -> None:
        """Send what a run streams, in a thread of its own, to its end."""
        events = RunEvents(run.id, run.request.modes)
        try:
            for _, part in session_run.parts.follow():
                for item in events.of(part):
                    run.send(item)
            if session_run.error is not None:
                return self._fail(run, session_run.error)
            run.values = packed(events.values)
            self._end(run, "interrupted" if session_run.status == "stopped" else "success")
        except Exception as error:
            self._fail(run, error)

    def _fail(self, run: Run, error: Exception) -> None:
        kind, message = type(error).__name__, str(error)
        if not isinstance(error, GeolocationError | ProblemError):
            logger.error("run %s failed", run.id, exc_info=error)
            message = f"a fault in the program ({kind}); the server's log says more"
        run.values = packed({"__error__": {"error": kind, "message": message}})
        run.send(failure(kind, message))
        self._end(run, "error")

    def _end(self, run: Run, status: RunStatus) -> None:
        run.status, run.updated = status, now()
        if run.temporary and run.request.on_completion == "delete":
            try:
                self.sessions.delete(run.thread_id)
            except GeolocationError as error:
                logger.warning("thread %s is left behind: %s", run.thread_id, error)
        run.session_run = None  # all that happened in it hangs on it
        run.send(the_end())
        run.done.set()
        run.feed.close()

    def _trim(self) -> None:
        """Forget what the oldest ended runs sent, and at last the runs themselves."""
        ended = [one for one in self._rows.values() if one.done.is_set()]
        held = sum(one.bytes_sent for one in ended)
        for one in ended:
            if held <= STREAMS_BYTES:
                break
            held -= one.bytes_sent
            one.feed, one.bytes_sent, one.forgotten = _closed(one), 0, True
        for one in ended[: max(0, len(self._rows) - MOST_RUNS)]:
            del self._rows[one.id]


def _closed(run: Run) -> Feed[Sent]:
    """Return what is left of a run's events: how it ended."""
    feed: Feed[Sent] = Feed()
    feed.append(RunEvents(run.id, ()).first())
    feed.append(Sent("values", "values", run.values))
    feed.append(the_end())
    feed.close()
    return feed
