"""Plays a recorded leg back: hands out what was recorded, and notes what goes otherwise."""

import json
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import cast

from pydantic import JsonValue

from agent.budget import Spent
from agent.listening import TRAJECTORY
from agent.replay_record import Answered, Data, Leg, Node, Request
from agent.trace import Event, EventKind
from geo.errors import GeolocationError

SHOWN_LETTERS = 160
MEASURED = frozenset({"seconds", "spent", "checkpoint"})
"""What of a `node` event is another each time: the record's is taken."""


class ReplayDivergedError(GeolocationError):
    """The run goes otherwise than it was recorded; names the event."""


class LegEndsError(Exception):
    """The record ends here: the run was stopped or killed before this node ended."""


@dataclass
class Playback:
    """One trace that is played back; shared by all machines of the replay.

    Attributes:
        leg: that runs now.
        node: that runs now.
        diverged: what went otherwise, one line each.
        tell: gets what the replayed run announces.
    """

    leg: Leg | None = None
    node: Node | None = None
    diverged: list[str] = field(default_factory=list)
    _nodes: "deque[Node]" = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, leg: Leg) -> None:
        """Begin a leg."""
        self.leg, self.node, self._nodes = leg, None, deque(leg.nodes)

    def end(self) -> None:
        """End a leg, and note the first node that was recorded in it and did not run."""
        if self._nodes and not self.diverged:
            missed = self._nodes[0]
            self.differ(f"event {missed.end.number} (node): {missed.name!r} ran, and now does not")

    def enter(self, name: str) -> Node | None:
        """Return the record of the node that is about to run.

        Returns:
            None for the one that asks the analyst: the run waits in it.

        Raises:
            LegEndsError: the run was stopped or killed here.
            ReplayDivergedError: another node ran.
        """
        assert self.leg is not None
        if not self._nodes:
            self.node = None
            if name == "ask" and self.leg.end is not None and self.leg.end.kind == "question":
                return None
            raise LegEndsError
        node = self._nodes.popleft()
        if node.name != name:
            raise ReplayDivergedError(
                f"event {node.end.number} (node): {node.name!r} ran, and now {name!r} would"
            )
        self.node = node
        return node

    def now(self, what: str) -> Node:
        """Return the node that runs.

        Raises:
            ReplayDivergedError: the record holds none.
        """
        if self.node is None:
            raise ReplayDivergedError(f"{what} is asked where the record holds nothing")
        return self.node

    def request(self, purpose: str, seed: int | None, *, done: bool) -> Request:
        """Return the recorded request; `done` takes it off.

        Raises:
            ReplayDivergedError: there is none.
        """
        lane = TRAJECTORY.get()
        node = self.now(f"the model ({purpose})")
        with self._lock:
            waiting = node.requests.get((lane, purpose, seed or 0))
            if not waiting:
                raise ReplayDivergedError(
                    f"{_before(node)}: the model is asked for {purpose!r} with seed {seed}, which "
                    "was not recorded"
                )
            return waiting.popleft() if done else waiting[0]

    def answered(self, call_id: str, tool: str) -> Answered:
        """Return the recorded tool call of an id.

        Raises:
            ReplayDivergedError: there is none.
        """
        node = self.now(f"tool {tool!r}")
        with self._lock:
            waiting = node.calls.get((TRAJECTORY.get(), call_id))
            if not waiting or waiting[0].result is None:
                raise ReplayDivergedError(
                    f"{_before(node)}: {tool!r} is called ({call_id}), which was not recorded"
                )
            return waiting.popleft()

    def evidence(self, call_id: str, count: int) -> list[Data]:
        """Return the evidence that a tool call found."""
        node = self.now("evidence")
        with self._lock:
            held = node.evidence.get((TRAJECTORY.get(), call_id)) or deque()
            if len(held) < count:
                raise ReplayDivergedError(
                    f"{_before(node)}: call {call_id} found {count} pieces of evidence, and the "
                    f"trace holds {len(held)}"
                )
            return [held.popleft() for _ in range(count)]

    def result_of(self, tool: str) -> Data:
        """Return the data of a step that was no tool call; empty where there is none."""
        node = self.now(f"step {tool!r}")
        return next((e.data for e in node.results if e.data["tool"] == tool), {})

    def repeats(self, photo_id: str) -> tuple[str, str]:
        """Return how a further photo repeated another one (`other` if not), and which."""
        node = self.now("a further photo")
        for event in node.results:
            arguments = cast(Data, event.data["arguments"])
            data = cast(Data, event.data["data"])
            if arguments.get("photo_id") == photo_id and data.get("repeats"):
                return str(data["repeats"]), str(data["photo"])
        return "other", ""

    def decision(self) -> Event:
        """Return what a foreign driver decided.

        Raises:
            ReplayDivergedError: it decided nothing here.
        """
        node = self.now("the driver")
        if not node.decisions:
            raise ReplayDivergedError(f"{_before(node)}: the driver's decision was not recorded")
        return node.decisions.popleft()

    def spent(self, name: str, measured: Spent | None) -> Spent | None:
        """Return what was spent by a node's end: as it is now, but for the clock's time."""
        lane, node = TRAJECTORY.get(), self.now(name)
        end = node.end
        if lane:
            with self._lock:
                inner = node.inner.get(lane)
                if not inner:
                    raise ReplayDivergedError(
                        f"{_before(node)}: investigation {lane} goes on with {name!r}, which was "
                        "not recorded"
                    )
                end = inner.popleft()
        recorded = end.data["spent"]
        if measured is None or not isinstance(recorded, dict):
            return measured
        then = Spent.model_validate_json(json.dumps(recorded))
        now = measured.model_copy(update={"seconds": then.seconds})
        if now != then:
            self.differ(f"event {end.number} (node {name}): spent {then}, and now {now}")
        return now

    def compare(self, node: Node, told: list[tuple[EventKind, Data]]) -> None:
        """Note what a node announced otherwise than it did; parallel events have no order."""
        before = Counter(_key(event.kind, event.data) for event in node.events)
        after = Counter(_key(kind, data) for kind, data in told)
        for event in node.events:
            key = _key(event.kind, event.data)
            if before[key] > after[key]:
                others = [one for one in after - before if one[0] == event.kind]
                instead = f"; now {_shown(others[0][1])}" if others else "; now it is missing"
                was = f"event {event.number} ({event.kind}) was {_shown(key[1])}"
                self.differ(was + instead)
                return
        for kind, text in after - before:
            self.differ(f"{_before(node)}: a {kind} that was not recorded: {_shown(text)}")
            return

    def differ(self, what: str) -> None:
        """Note a difference."""
        with self._lock:
            self.diverged.append(what)


def _key(kind: str, data: Data) -> tuple[str, str]:
    kept: JsonValue = data
    if kind == "node":
        kept = {name: value for name, value in data.items() if name not in MEASURED}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, default=str)
    return kind, text.encode(errors="replace").decode()


def _before(node: Node) -> str:
    return f"before event {node.end.number} (node {node.name})"


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_LETTERS else f"{text[:SHOWN_LETTERS]} ..."


def lines_of(before: JsonValue, after: JsonValue, at: str = "") -> list[str]:
    """Return where two JSON values differ, one line each, at most a few."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = dict.fromkeys((*before, *after))
        parts = [(f"{at}.{key}".strip("."), before.get(key), after.get(key)) for key in keys]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        parts = [(f"{at}[{number}]", one, other) for number, (one, other) in pairs]
    else:
        same = before == after and type(before) is type(after)
        left, right = (_shown(json.dumps(v, default=str)) for v in (before, after))
        return [] if same else [f"{at}: {left} was recorded, {right} now"]
    return [line for name, one, other in parts for line in lines_of(one, other, name)]
