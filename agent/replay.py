"""Replay: the whole graph runs again on what a trace holds, and must come to the same answers.

No network, no model, no gallery, no encoder, no pixels: models and tools are answered from the
record, time is taken from it, and the rest is computed anew: who is asked what, what evidence
comes to, and every field of the answer. The gazetteer is local data, and used.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import JsonValue

import prompts
from agent.answer import Answer
from agent.follow_up import FOLLOW_UP
from agent.graph import Graph, compile_graph, run_config
from agent.listening import listening
from agent.opening import tool_hashes
from agent.replay_machine import ReplayMachine, machine_of
from agent.replay_playback import LegEndsError, Playback, ReplayDivergedError, lines_of
from agent.replay_record import Data, Leg, legs_of
from agent.replay_stand_ins import RecordedPhotos
from agent.run_setup import package_versions
from agent.session_run import Asked
from agent.state import InputState
from agent.trace import Event, EventKind, Trace, check_trace, read_trace
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError
from geo.gazetteer import Gazetteer
from tools.photo_store import Photo

THREAD = "replay"
ANSWERS_DIFFER = 12
"""Lines that are kept of what differs in one answer."""


class ChangedError(GeolocationError):
    """Prompts, tools or packages are other ones than those that were recorded."""

    exit_code = 1


@dataclass(frozen=True)
class ReplayedAnswer:
    """One answer of a trace, found again.

    Attributes:
        event: number of the recorded one.
        answer: as it is now; None where the replay came to none.
        differs: its fields that are not what they were, in words; empty where it is identical.
    """

    event: int
    answer: Answer | None
    differs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Replayed:
    """What a replay came to.

    Attributes:
        legs: calls of the graph that were replayed.
        nodes: that ran.
        answers: all of the trace, in order.
        diverged: what went otherwise than recorded; each names the event.
        changed: prompts, tools and packages that are not what they were.
    """

    legs: int
    nodes: int
    answers: tuple[ReplayedAnswer, ...]
    diverged: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether everything came out as it was recorded."""
        return not self.diverged and not any(one.differs for one in self.answers)


def replay(
    path: Path,
    *,
    anyway: bool = False,
    out: Path | None = None,
    open_gazetteer: Callable[[], Gazetteer] = Gazetteer.open,
) -> Replayed:
    """Run a trace again and compare.

    Args:
        path: the trace.
        anyway: go on where prompts, tools or packages have changed since; what an answer says of
            their versions is not compared then.
        out: file for the trace of the replay.
        open_gazetteer: opens local data about places.

    Raises:
        InputError: the trace was edited, or cannot be replayed.
        ChangedError: something has changed since, and `anyway` is not given.
    """
    check_trace(path)
    events = list(read_trace(path))
    legs = legs_of(events)
    if not any(leg.end is not None and leg.end.kind == "answer" for leg in legs):
        raise InputError(
            f"trace '{printable(str(path))}' holds no answer that a replay could come to; replay "
            "one of a run that answered"
        )
    with _Player(events, open_gazetteer, Trace(out)) as player:
        changed = tuple(dict.fromkeys(line for leg in legs for line in player.changes(leg)))
        if changed and not anyway:
            raise ChangedError(
                f"not what ran then: {'; '.join(changed)}; go back to that version, or compare "
                "anyway with --anyway"
            )
        for leg in legs:
            player.play(leg, versions=not changed)
        return Replayed(
            len(legs), sum(len(leg.nodes) for leg in legs), tuple(player.answers),
            tuple(player.playback.diverged), changed,
        )  # fmt: skip


class _Player:
    """Plays the legs of one trace on one thread of checkpoints."""

    def __init__(
        self, events: Sequence[Event], open_gazetteer: Callable[[], Gazetteer], out: Trace
    ) -> None:
        self.playback, self.answers = Playback(), list[ReplayedAnswer]()
        self._photos = RecordedPhotos(list(_photos(events)), self.playback)
        self._open_gazetteer, self._out = open_gazetteer, out
        self._saver = InMemorySaver()
        self._made: dict[str, tuple[ReplayMachine, Graph]] = {}
        self._begun = False

    def machine(self, leg: Leg) -> tuple[ReplayMachine, Graph]:
        """Return the machine of a leg, and its graph; legs of one setup share them."""
        told = {k: v for k, v in leg.setup.data.items() if k not in ("at", "session", "run")}
        key = json.dumps(told, sort_keys=True)
        if key not in self._made:
            data = leg.setup.data
            made = machine_of(data, self.playback, self._photos, self._open_gazetteer)
            self._made[key] = made, compile_graph(made, self._saver)
        return self._made[key]

    def changes(self, leg: Leg) -> Iterator[str]:
        """Yield what is not as it was when a leg was recorded."""
        machine, _ = self.machine(leg)
        now: dict[str, dict[str, str]] = {
            "package": package_versions(),
            "tool": dict(tool_hashes(machine.tools)),
            "prompt": {name: prompts.load(name).sha256 for name in prompts.names()},
        }
        kinds = {"package": "versions", "tool": "tools", "prompt": "prompts"}
        for kind, key in kinds.items():
            then = cast(dict[str, str], leg.setup.data[key])
            for name in sorted(then.keys() | now[kind].keys()):
                before, after = (held.get(name, "absent") for held in (then, now[kind]))
                if before != after:
                    yield f"{kind} {name} was {before[:12]}, is {after[:12]}"

    def play(self, leg: Leg, *, versions: bool) -> None:
        """Play a leg and compare what it ends with."""
        machine, graph = self.machine(leg)
        self.playback.begin(leg)
        config = run_config(machine.budget.steps)
        config["configurable"] = {"thread_id": THREAD, "checkpoint_ns": ""}
        self._copied(leg)
        asked = self._asked(leg)
        self._rewind(leg, graph, config)
        answer: Answer | None = None
        question: Any = None
        try:
            with listening(self._tell):
                parts: Iterator[Any] = graph.stream(
                    asked, config, stream_mode=["values"], durability="sync",
                    version="v2",
                )  # fmt: skip
                for part in parts:
                    answer = part["data"].get("answer")
                    if part["interrupts"]:
                        question = part["interrupts"][0].value["action_request"]
        except LegEndsError:
            answer = None
        except ReplayDivergedError as error:
            self.playback.differ(str(error))
            answer = None
        self._ended(leg, answer, question, versions=versions)

    def _rewind(self, leg: Leg, graph: Graph, config: RunnableConfig) -> None:
        """Begin where the leg began, if that is no longer the latest checkpoint."""
        at, step = graph.get_state(config), leg.begins_after
        if step is None or at.metadata is None or at.metadata.get("step") == step:
            return
        for moment in graph.get_state_history(config):
            if moment.metadata and moment.metadata.get("step") == step:
                config["configurable"] = moment.config["configurable"]
                return

    def _ended(self, leg: Leg, answer: Answer | None, question: Any, *, versions: bool) -> None:
        end = leg.end
        if end is None:
            return
        if end.kind == "answer":
            told: Data = json.loads(answer.model_dump_json()) if answer else {}
            self.answers.append(_compared(end, answer, told, versions=versions))
            told["trace_path"] = end.data.get("trace_path", "")
            self._out.write("answer", told)
        elif end.kind == "question":
            if lines := lines_of(end.data, question):
                self.playback.differ(f"event {end.number} (question): {lines[0]}")
            self._out.write("question", question or {})
        else:
            self._out.write(end.kind, end.data)

    def _copied(self, leg: Leg) -> None:
        """Write what only the record can tell of a leg's beginning."""
        self._out.write("setup", leg.setup.data)
        if leg.spoken is not None:
            self._out.write(leg.spoken.kind, leg.spoken.data)

    def _tell(self, kind: EventKind, data: Data) -> None:
        self._out.write(kind, data)

    def _asked(self, leg: Leg) -> Asked:
        if leg.goes_on and self._begun:
            return None
        self._begun = True  # a branch may hold no more of its past than this
        if leg.replies:
            assert leg.spoken is not None
            return Command(resume=leg.spoken.data["reply"])
        return input_of(leg)

    def __enter__(self) -> "_Player":
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()
        for machine, _graph in self._made.values():
            with contextlib.suppress(GeolocationError):
                machine.bench.close()


def input_of(leg: Leg) -> InputState:
    """Return what a leg began with: the photo, or what was said after an answer."""
    said = leg.said
    views = [str(one) for one in cast(list[JsonValue], said.get("photos") or [])]
    first = leg.nodes[0].name if leg.nodes else "observe"
    begun = leg.nodes[0].events if leg.nodes else leg.left
    asked = InputState(views=views)
    if first == "observe":
        photo: Data = next((event.data for event in begun if event.kind == "photo"), {})
        asked["photo_id"] = str(photo.get("photo_id") or (views[0] if views else ""))
        asked["hint"] = str(photo.get("hint", said.get("text") or ""))
        asked["trust_metadata"] = photo.get("trust_metadata") is True
        asked["views"], asked["anew"] = views[1:], True
    else:
        steps = [e.data for e in begun if e.kind == "tool_result" and e.data["tool"] == FOLLOW_UP]
        given = [cast(Data, step["arguments"]) for step in steps]
        words = [str(one["message"]) for one in given if "message" in one]
        if said:
            words = [str(said["text"])] if str(said.get("text") or "").strip() else []
        asked["messages"] = [HumanMessage(one) for one in words]
        asked["views"] = views or [str(one["photo_id"]) for one in given if "photo_id" in one]
        asked["trust_metadata"] = bool(leg.end and leg.end.data.get("trusted_metadata"))
    asked["region"] = cast(Data | None, said.get("region"))
    for key in ("withdraw", "restore"):
        asked[key] = [str(one) for one in cast(list[JsonValue], said.get(key) or [])]
    return asked


def _compared(end: Event, answer: Answer | None, told: Data, *, versions: bool) -> ReplayedAnswer:
    if answer is None:
        return ReplayedAnswer(end.number, None, ("the replay came to no answer",))
    apart = {"trace_path"} if versions else {"trace_path", "versions"}
    then, now = ({k: v for k, v in one.items() if k not in apart} for one in (end.data, told))
    return ReplayedAnswer(end.number, answer, tuple(lines_of(then, now)[:ANSWERS_DIFFER]))


def _photos(events: Sequence[Event]) -> Iterator[Photo]:
    for event in events:
        data = event.data
        if event.kind == "photo":
            yield Photo(
                id=str(data["photo_id"]), width=int(str(data["width"])),
                height=int(str(data["height"])), mime="image/jpeg", name=str(data["name"]),
            )  # fmt: skip
