"""Runs and graphs as faces may follow them, see `agent.told_sessions`."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

from langgraph.types import StateSnapshot
from pydantic import JsonValue

from agent.answer import Answer
from agent.feed import Feed
from agent.graph import Graph
from agent.session_run import Part, RunStatus, SessionRun
from agent.telling import NOTHING, Teller
from agent.trace import Event


class ToldRun:
    """A run as faces may follow it; every public name of `SessionRun` is one of these."""

    def __init__(self, behind: SessionRun, teller: Teller) -> None:
        self._behind, self._teller = behind, teller
        self.id, self.session_id = behind.id, behind.session_id
        self.parts = cast(Feed[Part], ToldFeed(behind, teller))

    @property
    def status(self) -> RunStatus:
        """What became of it."""
        return self._behind.status

    @property
    def photos(self) -> tuple[str, ...]:
        """Ids of the photos that it is about."""
        return self._behind.photos

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._behind.stopping

    @property
    def answer(self) -> Answer | None:
        """The answer as it may be told."""
        found = self._behind.answer
        return self._teller.answer(self.session_id, found) if found else None

    @property
    def question(self) -> dict[str, Any] | None:
        """That something is asked."""
        found = self._behind.question
        return self._teller.question(found) if found else None

    @property
    def error(self) -> Exception | None:
        """What kind of failure it was."""
        found = self._behind.error
        return self._teller.error(found) if found else None

    def start(self) -> "ToldRun":
        """Begin; see `SessionRun.start`."""
        self._behind.start()
        return self

    def stop(self, why: str = "stopped by the person") -> None:
        """Stop after the present step."""
        self._behind.stop(why)

    def wait(self, timeout_s: float | None = None) -> Answer | None:
        """Wait for the end; see `SessionRun.wait`."""
        try:
            self._behind.wait(timeout_s)
        except Exception:
            if self.error is None:  # it has not ended
                raise
        if self.error is not None:
            raise self.error
        return self.answer

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield what may be told of events as they happen."""
        for event in self._behind.events(after):
            if (found := self._teller.event(self.session_id, event)) is not None:
                yield found

    async def aevents(self, after: int = 0) -> AsyncIterator[Event]:
        """Yield events as `events` does, without blocking the event loop."""
        async for event in self._behind.aevents(after):
            if (found := self._teller.event(self.session_id, event)) is not None:
                yield found

    def tell(self, kind: Any, data: dict[str, JsonValue]) -> Event:
        """Write an event to the trace; see `SessionRun.tell`."""
        return self._behind.tell(kind, data)


class ToldFeed:
    """The parts of a run as they may be told, under the same numbers."""

    def __init__(self, behind: SessionRun, teller: Teller) -> None:
        self._parts: Feed[Part] = behind.parts
        self._tell: Callable[[Part], Part] = lambda part: teller.part(behind.session_id, part)

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more."""
        return self._parts.closed

    def follow(self, after: int = 0) -> Iterator[tuple[int, Part]]:
        """Yield parts with their numbers, without those of which nothing is told."""
        for number, part in self._parts.follow(after):
            if (found := self._tell(part)) is not NOTHING:
                yield number, found

    async def afollow(self, after: int = 0) -> AsyncIterator[tuple[int, Part]]:
        """Yield parts as `follow` does, without blocking the event loop."""
        async for number, part in self._parts.afollow(after):
            if (found := self._tell(part)) is not NOTHING:
                yield number, found


class ToldGraph:
    """A graph that draws itself and reads states as they may be told; it runs nothing."""

    def __init__(self, behind: Graph, teller: Teller) -> None:
        self._behind, self._teller = behind, teller
        self.get_graph = behind.get_graph
        self.get_input_jsonschema = behind.get_input_jsonschema
        self.get_output_jsonschema = behind.get_output_jsonschema
        self.update_state = behind.update_state

    def get_state_history(self, config: Any, **named: Any) -> Iterator[StateSnapshot]:
        """Yield states, the latest first; see LangGraph's."""
        session_id = str(config["configurable"]["thread_id"])
        for found in self._behind.get_state_history(config, **named):
            yield self._teller.snapshot(session_id, found)
