"""Replay: the whole graph runs again on what a trace holds, and must come to the same answers.

No network, no model, no gallery, no encoder, no pixels: models and tools are answered from the
record, time is taken from it, and the rest is computed anew: who is asked what, what evidence
comes to, and every field of the answer. The gazetteer is local data, and used.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from langgraph.checkpoint.memory import InMemorySaver
from pydantic import ValidationError

import prompts
from agent.answer import Answer
from agent.checkpoints import knowing_records
from agent.graph import Graph, compile_graph, run_config
from agent.listening import listening
from agent.opening import tool_hashes
from agent.replay_input import asked_of
from agent.replay_machine import ReplayMachine, machine_of
from agent.replay_moments import Moments, UntoldError
from agent.replay_playback import LegEndsError, Playback, ReplayDivergedError, lines_of
from agent.replay_record import Data, Leg, legs_of
from agent.replay_results import Replayed as Replayed
from agent.replay_results import ReplayedAnswer, unanswered_of
from agent.replay_stand_ins import RecordedPhotos
from agent.run_setup import package_versions
from agent.session_fork import copied_checkpoints
from agent.trace import Event, EventKind, Trace, check_trace, read_trace
from agent.trace_events import payload_of
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError
from geo.gazetteer import Gazetteer
from tools.photo_store import Photo

THREAD = "replay"
OF_ONE_RUN = frozenset({"at", "session", "run", "checkpoint", "step"})
"""Parts of a setup that shape no machine."""
ANSWERS_DIFFER = 12
"""Lines that are kept of what differs in one answer."""


class ChangedError(GeolocationError):
    """Prompts, tools or packages are other ones than those that were recorded."""

    exit_code = 1


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
    unanswered = tuple(unanswered_of(legs))
    if not any(leg.end is not None and leg.end.kind == "answer" for leg in legs):
        why = "".join(f"; event {one.event} ({one.why}) {one.words}" for one in unanswered[-1:])
        raise InputError(
            f"trace '{printable(str(path))}' holds no answer that a replay could come to"
            f"{printable(why, 300).rstrip()}; replay one of a run that answered"
        )
    with _Player(events, open_gazetteer, Trace(out)) as player, _understood(events):
        changed = tuple(dict.fromkeys(line for leg in legs for line in player.changes(leg)))
        if changed and not anyway:
            raise ChangedError(
                f"not what ran then: {'; '.join(changed)}; go back to that version, or compare "
                "anyway with --anyway"
            )
        for leg in legs:
            player.play(leg, versions=not changed)
        return Replayed(
            len({leg.setup.number for leg in legs}), sum(len(leg.nodes) for leg in legs),
            tuple(player.answers), tuple(player.playback.diverged), changed, unanswered,
            player.untold,
        )  # fmt: skip


@contextlib.contextmanager
def _understood(events: Sequence[Event]) -> Iterator[None]:
    """Have what fails for an event that holds something else than its kind does say so.

    Raises:
        InputError: there is such an event.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError):
        for event in events:
            try:
                payload_of(event)
            except ValidationError as error:
                told = error.errors()[0]
                where = ".".join(str(one) for one in told["loc"])
                raise InputError(
                    f"event {event.number} ({event.kind}) cannot be replayed: {where}: "
                    f"{told['msg']}; the trace is of another version, or no trace of ours"
                ) from None
        raise


class _Player:
    """Plays the legs of one trace on threads of checkpoints: one, and one more for each branch."""

    def __init__(
        self, events: Sequence[Event], open_gazetteer: Callable[[], Gazetteer], out: Trace
    ) -> None:
        self.playback, self.answers = Playback(), list[ReplayedAnswer]()
        self.untold = ""
        self._photos = RecordedPhotos(list(_photos(events)), self.playback)
        self._open_gazetteer, self._out = open_gazetteer, out
        self._saver = knowing_records(InMemorySaver())
        self._moments, self._threads = Moments(), 1
        self._made: dict[str, tuple[ReplayMachine, Graph]] = {}
        self._written: Event | None = None

    def machine(self, leg: Leg) -> tuple[ReplayMachine, Graph]:
        """Return the machine of a leg, and its graph; legs of one setup share them."""
        told = {key: value for key, value in leg.setup.data.items() if key not in OF_ONE_RUN}
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
        """Play a leg and compare what it ends with; not after one that cannot be played."""
        _, graph = self.machine(leg)
        self.playback.begin(leg)
        self._copied(leg)
        answer: Answer | None = None
        question: Any = None
        try:
            if self.untold:
                raise UntoldError(self.untold)
            for part in self._parts(leg, graph):
                answer = part["data"].get("answer")
                if part["interrupts"]:
                    question = part["interrupts"][0].value["action_request"]
        except LegEndsError:
            pass  # it was stopped, or failed, before the next node ended
        except ReplayDivergedError as error:
            self.playback.differ(str(error))
            answer = None
        except UntoldError as error:
            self.untold = str(error)
            self._ended(leg, None, None, versions=versions)
            return
        self.playback.end()
        self._ended(leg, answer, question, versions=versions)

    def _parts(self, leg: Leg, graph: Graph) -> Iterator[Any]:
        """Yield what the graph streams of a leg."""
        machine, _ = self.machine(leg)
        config = run_config(machine.budget.steps)
        config["configurable"] = self._thread
        if leg.fork is not None:
            config["configurable"] = self._branched(leg, graph)
        history = list(graph.get_state_history(config))
        if begins := self._moments.begin(leg, history):
            config["configurable"] = begins["configurable"]
        asked = asked_of(leg, begun=bool(history))
        with listening(self._tell):
            yield from graph.stream(
                asked, config, stream_mode=["values"], durability="sync", version="v2"
            )

    @property
    def _thread(self) -> dict[str, Any]:
        return {"thread_id": f"{THREAD}-{self._threads}", "checkpoint_ns": ""}

    def _branched(self, leg: Leg, graph: Graph) -> dict[str, Any]:
        """Branch off where a session did: on a new thread with the same past."""
        before = self._thread
        history = list(graph.get_state_history({"configurable": before}))
        where = self._moments.of(leg, history)
        self._threads += 1
        if where:
            copied_checkpoints(self._saver, before["thread_id"], self._thread["thread_id"], where)
        return self._thread

    def _ended(self, leg: Leg, answer: Answer | None, question: Any, *, versions: bool) -> None:
        end = leg.end
        if end is None:
            return
        if end.kind == "answer":
            told: Data = json.loads(answer.model_dump_json()) if answer else {}
            self.answers.append(self._compared(end, answer, told, versions=versions))
            told["trace_path"] = end.data.get("trace_path", "")
            self._out.write("answer", told)
        elif end.kind == "question":
            if not self.untold and (lines := lines_of(end.data, question)):
                self.playback.differ(f"event {end.number} (question): {lines[0]}")
            self._out.write("question", question or {})
        else:
            self._out.write(end.kind, end.data)

    def _compared(
        self, end: Event, answer: Answer | None, told: Data, *, versions: bool
    ) -> ReplayedAnswer:
        if answer is None:
            why = "it could not be replayed" if self.untold else "the replay came to no answer"
            return ReplayedAnswer(end.number, None, (why,))
        apart = {"trace_path"} if versions else {"trace_path", "versions"}
        then, now = ({k: v for k, v in one.items() if k not in apart} for one in (end.data, told))
        return ReplayedAnswer(end.number, answer, tuple(lines_of(then, now)[:ANSWERS_DIFFER]))

    def _copied(self, leg: Leg) -> None:
        """Write what only the record can tell of a leg's beginning."""
        if leg.fork is not None:
            self._out.write("fork", leg.fork.data)
        if leg.setup is not self._written:
            self._out.write("setup", leg.setup.data)
        self._written = leg.setup
        if leg.spoken is not None:
            self._out.write(leg.spoken.kind, leg.spoken.data)

    def _tell(self, kind: EventKind, data: Data) -> None:
        then = self.playback.node.end.data if self.playback.node is not None else {}
        if kind == "node" and "checkpoint" in then and "checkpoint" in data:
            self._moments.met(str(then["checkpoint"]), str(data["checkpoint"]))
            data = {**data, "checkpoint": then["checkpoint"]}
        self._out.write(kind, data)

    def __enter__(self) -> "_Player":
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()
        for machine, _graph in self._made.values():
            with contextlib.suppress(GeolocationError):
                machine.bench.close()


def _photos(events: Sequence[Event]) -> Iterator[Photo]:
    for event in events:
        data = event.data
        if event.kind == "photo":
            yield Photo(
                id=str(data["photo_id"]), width=int(str(data["width"])),
                height=int(str(data["height"])), mime="image/jpeg", name=str(data["name"]),
            )  # fmt: skip
