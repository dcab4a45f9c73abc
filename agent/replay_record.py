"""A trace as a replay needs it: its legs, the nodes that ended in each, and what they announced.

A leg is one call of the graph: it begins with what a person says, with their reply to a question,
or with nothing where a run goes on, and ends with an answer, a question, a stop, or a kill.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import cast

from pydantic import JsonValue

from agent.trace import Event
from geo.errors import InputError

ENDS = frozenset({"answer", "question", "stopped", "error"})
SPOKEN = frozenset({"message", "resumed", "reply"})
MODEL = frozenset({"context", "model_call", "retry", "notice", "model_reply", "model_error"})
"""Events of one request to a model; they share `call`."""
INPUT_STEPS = 3
"""From the last checkpoint to the first node: one holds the input, one what begins with it."""
Data = dict[str, JsonValue]


@dataclass
class Request:
    """One request to a model, with all that was announced of it."""

    events: list[Event] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Of its first event."""
        return self.events[0].number

    def of(self, *kinds: str) -> Data:
        """Return the data of its last event of these kinds; empty without one."""
        return next((e.data for e in reversed(self.events) if e.kind in kinds), {})


@dataclass
class Answered:
    """One tool call, with what was announced inside of it and what came back."""

    call: Event | None = None
    inside: list[Event] = field(default_factory=list)
    result: Event | None = None


class Node:
    """One node that ended, with what it announced until then.

    Args:
        end: its `node` event.
        events: all before it, of this node.
    """

    def __init__(self, end: Event, events: Sequence[Event]) -> None:
        self.end, self.events = end, tuple(events)
        self.name = str(end.data["node"])
        self.step = int(str(end.data["step"]))
        self.requests: dict[tuple[int, str, int], deque[Request]] = {}
        self.calls: dict[tuple[int, str], deque[Answered]] = {}
        self.evidence: dict[tuple[int, str], deque[Data]] = {}
        self.inner: dict[int, deque[Event]] = {}
        self.results: deque[Event] = deque()
        """Of steps that are no tool calls, such as a set of short answers."""
        self.decisions: deque[Event] = deque()
        self._sort()

    def _sort(self) -> None:
        asked: dict[str, Request] = {}
        for event in self.events:
            data, lane = event.data, lane_of(event)
            if "inside" in data:
                self._answered(lane, str(data["inside"])).inside.append(event)
            elif event.kind in MODEL and "call" in data:
                asked.setdefault(str(data["call"]), Request()).events.append(event)
            elif event.kind == "tool_call":
                answered = Answered(event)
                self.calls.setdefault((lane, str(data["id"])), deque()).append(answered)
            elif event.kind == "tool_result":
                key = lane, str(data["call_id"])
                if key in self.calls:
                    self._answered(*key).result = event
                else:
                    self.results.append(event)
            elif event.kind == "evidence":
                self.evidence.setdefault((lane, str(data["call_id"])), deque()).append(data)
            elif event.kind == "node":
                self.inner.setdefault(lane, deque()).append(event)
            elif event.kind == "decision":
                self.decisions.append(event)
        for request in asked.values():
            key3 = (lane_of(request.events[0]), *asked_for(request))
            self.requests.setdefault(key3, deque()).append(request)

    def _answered(self, lane: int, call_id: str) -> Answered:
        """Return the call of this id that has no result yet."""
        waiting = self.calls.get((lane, call_id)) or deque([Answered()])
        return next((one for one in waiting if one.result is None), waiting[-1])


def asked_for(request: Request) -> tuple[str, int]:
    """Return what a request was for, and its seed."""
    data = request.of("model_call", "model_error")
    return str(data.get("purpose")), int(str(data.get("seed") or 0))


def lane_of(event: Event) -> int:
    """Return which of several parallel investigations an event is of; 0 outside of them."""
    return cast(int, event.data.get("trajectory") or 0) if event.kind != "trajectory" else 0


@dataclass
class Leg:
    """One call of the graph, as it was recorded.

    Attributes:
        setup: what shaped it.
        spoken: what it began with: `message`, `reply` or `resumed`; None where nothing was told.
        nodes: that ended in it, and were kept in the checkpoints.
        left: announced by a node that did not end.
        end: `answer`, `question`, `stopped` or `error`; None where it was killed.
        fork: the `fork` event before it, in a branch.
        opening: the first node that dealt with what it began with, in this leg or, where that was
            stopped before, in one that went on.
    """

    setup: Event
    spoken: Event | None = None
    nodes: list[Node] = field(default_factory=list)
    left: list[Event] = field(default_factory=list)
    end: Event | None = None
    fork: Event | None = None
    opening: Node | None = None

    @property
    def checkpoint(self) -> str:
        """Id of the checkpoint that it was told to go on from; empty where it was the latest."""
        held = {**self.setup.data, **(self.spoken.data if self.goes_on and self.spoken else {})}
        return str(held.get("checkpoint") or "")

    @property
    def goes_on(self) -> bool:
        """Whether it takes up where the leg before was stopped."""
        return self.spoken is not None and self.spoken.kind == "resumed"

    @property
    def begins_after(self) -> int | None:
        """LangGraph's step of the checkpoint it begins from; None where that is not known."""
        told = self.spoken.data if self.goes_on and self.spoken else self.setup.data
        if "step" in told:
            return int(str(told["step"]))
        if not self.nodes or self.replies:
            return None
        return self.nodes[0].step - INPUT_STEPS

    @property
    def replies(self) -> bool:
        """Whether it begins with the reply to a question."""
        return self.spoken is not None and self.spoken.kind == "reply"

    @property
    def said(self) -> Data:
        """What the person said; empty where nothing was told."""
        told = self.spoken is not None and self.spoken.kind == "message"
        return self.spoken.data if told and self.spoken else {}


def legs_of(events: Sequence[Event]) -> list[Leg]:
    """Return the legs of a trace, without the nodes that no checkpoint kept.

    Raises:
        InputError: it begins without saying what shaped its runs.
    """
    legs: list[Leg] = []
    fork: Event | None = None
    for event in events:
        if event.kind == "fork":
            fork = event
        elif event.kind == "setup":
            legs.append(Leg(event, fork=fork))
            fork = None
        elif not legs or "driver" not in legs[-1].setup.data:
            raise InputError(
                f"event {event.number} ({event.kind}) comes before what shapes its run is told: "
                "the trace is of an older version, or was cut; only whole ones can be replayed"
            )
        elif event.kind in SPOKEN:
            if legs[-1].end is not None:  # an answered question, within one run
                legs.append(Leg(legs[-1].setup))
            legs[-1].spoken = event
        elif event.kind in ENDS:
            legs[-1].end = event
        else:
            _grow(legs[-1], event)
    for number, leg in enumerate(legs):
        step = leg.begins_after
        if step is not None and not leg.checkpoint and leg.fork is None:
            _drop_unkept(legs[:number], step)
    for number, leg in enumerate(legs):
        leg.opening = _opening(leg, legs[number + 1 :])
    return legs


def _opening(leg: Leg, later: Sequence[Leg]) -> Node | None:
    for one in (leg, *takewhile(lambda other: other.goes_on, later)):
        if one.nodes:
            return one.nodes[0]
    return None


def _grow(leg: Leg, event: Event) -> None:
    if event.kind == "node" and not lane_of(event):
        leg.nodes.append(Node(event, leg.left))
        leg.left = []
    else:
        leg.left.append(event)


def _drop_unkept(legs: Sequence[Leg], step: int) -> None:
    """Drop nodes of killed runs that ended after the step that the latest checkpoint was of."""
    for leg in reversed(legs):
        if leg.end is not None and leg.end.kind == "answer":
            return
        while leg.nodes and leg.nodes[-1].step > step:
            leg.nodes.pop()
        if leg.nodes:
            return
