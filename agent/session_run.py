"""One run of a session: the graph in a thread of its own, followed by whoever wants to.

What happens is written to the session's trace on the spot, before the checkpoint that follows
from it, so that a run killed at any moment leaves a trace that is never behind its checkpoints.
"""

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command, StreamMode
from pydantic import JsonValue

from agent.answer import Answer
from agent.feed import Feed
from agent.graph import Graph
from agent.listening import listening
from agent.session_store import STORAGE_ERRORS
from agent.state import InputState
from agent.stopping import STOPPING, Stopping
from agent.trace import Event, EventKind, Trace
from geo.errors import GeolocationError, UnavailableError

RunStatus = Literal["busy", "idle", "waiting", "stopped", "error"]
Asked = InputState | Command[Any] | None
"""What a run begins with: what a person says, the reply to a question, or nothing: go on."""


class Part(NamedTuple):
    """One thing that happened in a run.

    Attributes:
        mode: `event` for an event of the trace, otherwise LangGraph's stream mode.
        data: an `Event`, or what LangGraph streams.
    """

    mode: str
    data: Any


class SessionRun:
    """A run that goes on in its own thread, whoever follows it.

    Args:
        run_id: names it.
        session_id: whose run it is.
        graph: with the session's checkpointer.
        asked: what it begins with.
        config: with the thread's id.
        trace: of the session; closed at the end.
        modes: of LangGraph's streaming that are kept beside the trace's events.
        ended: called once at the end, before followers come to theirs.
        limits: further arguments of the graph's stream, such as `interrupt_before`.
    """

    def __init__(
        self,
        run_id: str,
        session_id: str,
        graph: Graph,
        asked: Asked,
        config: RunnableConfig,
        trace: Trace,
        *,
        modes: Sequence[StreamMode] = (),
        ended: Callable[["SessionRun"], object] = lambda run: None,
        limits: dict[str, Any] | None = None,
    ) -> None:
        self.id, self.session_id = run_id, session_id
        self.status: RunStatus = "busy"
        self.answer: Answer | None = None
        self.photos: tuple[str, ...] = ()
        self.question: dict[str, Any] | None = None
        self.error: Exception | None = None
        self.parts: Feed[Part] = Feed()
        self._graph, self._asked, self._config, self._trace = graph, asked, config, trace
        self._modes, self._ended, self._limits = tuple(modes), ended, limits or {}
        self._control, self._stopping = RunControl(), Stopping()
        self._thread = threading.Thread(target=self._run, name=f"run-{run_id[:8]}", daemon=True)

    def start(self) -> "SessionRun":
        """Begin, and return itself."""
        self._thread.start()
        return self

    def stop(self, why: str = "stopped by the person") -> None:
        """Stop after the step that runs now, or at once where it waits for a model.

        What earlier steps found is kept.
        """
        self._control.request_drain(why)
        self._stopping.request(why)

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._control.drain_requested

    def wait(self, timeout_s: float | None = None) -> Answer | None:
        """Wait for the end and return the answer; None where it waits, was stopped or failed.

        Raises:
            GeolocationError: what made the run fail.
            TimeoutError: it has not ended in time.
        """
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"run {self.id} has not ended after {timeout_s} s")
        if self.error is not None:
            raise self.error
        return self.answer

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield the events of the trace as they happen, those until now first.

        Args:
            after: number in the trace of the last event that is known already.
        """
        for _, part in self.parts.follow():
            if part.mode == "event" and part.data.number > after:
                yield part.data

    async def aevents(self, after: int = 0) -> AsyncIterator[Event]:
        """Yield events as `events` does, without blocking the event loop."""
        async for _, part in self.parts.afollow():
            if part.mode == "event" and part.data.number > after:
                yield part.data

    def tell(self, kind: EventKind, data: dict[str, JsonValue]) -> Event:
        """Write an event to the trace and to whoever follows."""
        event = self._trace.append(kind, data)
        self.parts.append(Part("event", event))
        if "custom" in self._modes:
            self.parts.append(Part("custom", {"kind": kind, "data": data}))
        return event

    def _run(self) -> None:
        try:
            STOPPING.set(self._stopping)  # of this thread, and of those that it starts
            with listening(self.tell):
                self._go()
        except GraphDrained as drained:
            self.status = "stopped"
            self.tell("stopped", {"why": drained.reason})
        except Exception as error:  # the thread's outer edge: told, kept, and raised by `wait`
            self._fail(error)
        finally:
            self._trace.close()
            try:
                self._ended(self)
            finally:
                self.parts.close()

    def _go(self) -> None:
        """Run the graph to its end, a question or a stop."""
        modes: list[StreamMode] = list(dict.fromkeys(("values", *self._modes)))
        modes = [mode for mode in modes if mode != "custom"]  # the listener tells of it
        answer: Answer | None = None
        stream = self._graph.stream(
            self._asked, self._config, stream_mode=modes, durability="sync",
            control=self._control, version="v2", **self._limits,
        )  # fmt: skip
        for part in stream:
            if part["type"] == "values":
                answer = part["data"].get("answer")
                self.photos = tuple(part["data"].get("photos") or ())
                if waiting := part["interrupts"]:
                    self.question = waiting[0].value
            if part["type"] in self._modes:
                self.parts.append(Part(part["type"], part))
        if self.question is not None:
            self.status = "waiting"
            self.tell("question", self.question["action_request"])
            return
        halted = bool(self._graph.get_state(self._config).next) if self._limits else False
        self.status = "stopped" if halted else "idle"
        self.answer = None if halted else answer
        if self.answer is not None:
            self.tell("answer", json.loads(self.answer.model_dump_json()))

    def _fail(self, error: Exception) -> None:
        error = _explained(error)
        self.status, self.error = "error", error
        ours = isinstance(error, GeolocationError)
        message = str(error) if ours else f"a fault in the program: {type(error).__name__}: {error}"
        # Where the trace's own disk is full, `wait` tells of the first error.
        with suppress(GeolocationError):
            self.tell("error", {"type": type(error).__name__, "message": message[:2000]})


def _explained(error: Exception) -> Exception:
    """Return an error of what keeps the sessions as one that says what to do."""
    if type(error).__module__.partition(".")[0] not in STORAGE_ERRORS:
        return error
    return UnavailableError(
        f"the session cannot be kept ({error}); free the disk or start the database, then resume",
        retryable=True,
    )
