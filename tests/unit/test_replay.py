"""A trace is run again without model, tools or pixels, and comes to the same answers."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from agent.factors import Settlements
from agent.replay import ChangedError, Replayed, replay
from agent.state import InputState
from agent.trace import Trace, check_trace, read_trace
from geo.errors import InputError
from tests.fakes import FakeGazetteer
from tests.unit.replay_samples import PHOTOS, SHAPES, record, recorded_once, saying
from tests.unit.session_samples import Steady, quick_sessions

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def replayed(path: Path, settlements: Settlements, **options: Any) -> Replayed:
    return replay(path, open_gazetteer=lambda: FakeGazetteer(settlements), **options)


def assert_identical(found: Replayed, path: Path) -> None:
    told = [line for one in found.answers for line in one.differs]
    assert found.identical, f"{path}: {found.diverged[:3]} {told[:3]}"
    answers = [event for event in read_trace(path) if event.kind == "answer"]
    assert [one.event for one in found.answers] == [event.number for event in answers]


FAST = (2, 3, 4, 8)
"""Shapes that other tests read, too; all of them are in the slow test of a hundred."""


@pytest.mark.parametrize("number", FAST)
def test_runs_of_many_shapes_come_to_the_same_answers(
    number: int, tmp_path: Path, settlements: Settlements, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "trace.jsonl"  # no photo, no checkpoint beside it
    shutil.copy(recorded_once(number, settlements), moved)
    monkeypatch.setattr(socket.socket, "connect", None)
    assert_identical(replayed(moved, settlements), moved)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_runs_of_every_shape_come_to_the_same_answers_without_their_home(
    number: int, tmp_path: Path, settlements: Settlements, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(number, tmp_path / "home", settlements)
    moved = tmp_path / "trace.jsonl"
    shutil.copy(path, moved)
    shutil.rmtree(tmp_path / "home")
    monkeypatch.setattr(socket.socket, "connect", None)
    assert_identical(replayed(moved, settlements), moved)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_recorded_sessions_come_to_a_hundred_identical_answers(
    tmp_path: Path, settlements: Settlements
) -> None:
    answers = 0
    for number in range(100):
        path = record(number, tmp_path / str(number), settlements)
        check_trace(path)
        found = replayed(path, settlements)
        assert_identical(found, path)
        answers += bool(found.answers)
    assert answers == 100


def rewritten(path: Path, target: Path, change: Any) -> Path:
    """Write a trace whose events were changed by somebody who chains them anew."""
    with Trace(target) as trace:
        for event in read_trace(path):
            data = json.loads(json.dumps(event.data))
            change(event, data)
            trace.append(event.kind, data)
    return target


def test_a_changed_result_is_found_and_the_event_named(
    tmp_path: Path, settlements: Settlements
) -> None:
    path = recorded_once(4, settlements)
    found = next(e for e in read_trace(path) if e.kind == "evidence" and e.data["weight"])

    def lighter(event: Any, data: Any) -> None:
        if event.number == found.number:
            data["weight"] /= 2

    told = replayed(rewritten(path, tmp_path / "changed.jsonl", lighter), settlements)
    assert not told.identical
    assert told.diverged[0].startswith(f"event {found.number} (evidence) was ")


def test_a_changed_reply_is_found(tmp_path: Path, settlements: Settlements) -> None:
    path = recorded_once(2, settlements)
    numbers = [e.number for e in read_trace(path) if e.kind == "model_reply"]

    def another(event: Any, data: Any) -> None:
        if event.number == numbers[-1]:
            data["tool_calls"], data["exact"] = [], ""
            data["text"] = "It is at 10.5, 20.25."

    told = replayed(rewritten(path, tmp_path / "changed.jsonl", another), settlements)
    assert not told.identical
    assert told.diverged[0].startswith(("event", "before event"))


@pytest.mark.parametrize("key", ["prompts", "tools", "versions"])
def test_what_has_changed_since_is_told_before_anything_runs(
    key: str, tmp_path: Path, settlements: Settlements
) -> None:
    path = recorded_once(2, settlements)
    name = {"prompts": "system", "tools": "find_place", "versions": "numpy"}[key]

    def older(event: Any, data: Any) -> None:
        if event.kind == "setup":
            data[key][name] = "0.9-older"

    old = rewritten(path, tmp_path / "old.jsonl", older)
    with pytest.raises(ChangedError, match=f"{name} was 0.9-older"):
        replayed(old, settlements)
    found = replayed(old, settlements, anyway=True)
    assert found.changed
    assert not [line for one in found.answers for line in one.differs]


def test_the_replay_leaves_a_trace_of_its_own(tmp_path: Path, settlements: Settlements) -> None:
    path = recorded_once(8, settlements)
    out = tmp_path / "out.jsonl"
    assert_identical(replayed(path, settlements, out=out), path)
    before = [e.data for e in read_trace(path) if e.kind == "answer"]
    assert [e.data for e in read_trace(out) if e.kind == "answer"] == before
    assert_identical(replayed(out, settlements), out)


def test_what_cannot_be_replayed_says_why(tmp_path: Path, settlements: Settlements) -> None:
    path = tmp_path / "trace.jsonl"
    with Trace(path) as trace:
        trace.append("notice", {"text": "hello"})
    with pytest.raises(InputError, match=r"event 1 .notice."):
        replayed(path, settlements)
    whole = recorded_once(2, settlements)
    lines = whole.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:4]) + b"\n")
    with pytest.raises(InputError, match="no answer"):
        replayed(path, settlements)


def test_a_trace_that_waits_says_so(tmp_path: Path, settlements: Settlements) -> None:
    path = tmp_path / "trace.jsonl"
    with Trace(path) as trace:
        for event in read_trace(recorded_once(2, settlements)):
            if event.kind == "answer":
                trace.append("error", {"type": "UnavailableError", "message": "no more disk"})
            else:
                trace.append(event.kind, event.data)
    with pytest.raises(InputError, match=r"no answer.*\(error\) no more disk; replay one"):
        replayed(path, settlements)


def test_an_event_of_another_kind_of_trace_is_named(
    tmp_path: Path, settlements: Settlements
) -> None:
    def strange(event: Any, data: Any) -> None:
        if event.kind == "model_reply":
            del data["tokens_in"]

    path = recorded_once(2, settlements)
    number = next(e.number for e in read_trace(path) if e.kind == "model_reply")
    with pytest.raises(InputError, match=rf"event {number} \(model_reply\) .* tokens_in"):
        replayed(rewritten(path, tmp_path / "strange.jsonl", strange), settlements)


def told_apart(found: Replayed) -> list[bool]:
    return [not one.differs for one in found.answers]


def test_what_a_trace_does_not_tell_is_named_and_what_came_before_is_replayed(
    tmp_path: Path, settlements: Settlements
) -> None:
    with quick_sessions(tmp_path, settlements, Steady(1)) as sessions:
        info = sessions.create(PHOTOS[0])
        sessions.send(info.id, "48.2, 16.37").wait(30)
        sessions.run(info.id, Command(goto="conclude")).wait(30)
        commanded = sessions.trace_path(info.id)
        other = sessions.create(PHOTOS[1])
        sessions.send(other.id).wait(30)
        graph = sessions.graph(sessions.geolocators.get(other.options))
        at = sessions.snapshot(other.id).config
        graph.update_state(at, InputState(hint="Rome"), as_node="conclude")
        sessions.run(other.id, saying("It is in Germany")).wait(30)
        written = sessions.trace_path(other.id)
    for path, why in ((commanded, "(reply): its run began with a command"),
                      (written, "(setup): its run goes on from step")):  # fmt: skip
        found = replayed(path, settlements)
        assert why in found.untold
        assert told_apart(found) == [True, False]
        assert not found.identical
        number = int(found.untold.split()[1])
        assert list(read_trace(path))[number - 1].kind == why[1:6]


def test_branches_where_words_came_in_that_no_node_has_heard_are_replayed(
    tmp_path: Path, settlements: Settlements
) -> None:
    unheard = {("__start__",), ("observe",), ("follow_up",)}
    with quick_sessions(tmp_path, settlements, Steady(1)) as sessions:
        info = sessions.create(PHOTOS[0])
        sessions.send(info.id, "48.2, 16.37").wait(30)
        sessions.send(info.id, "It is in Germany").wait(30)
        paths = []
        moments = [one for one in sessions.history(info.id) if one.next in unheard]
        for moment in moments:
            branch = sessions.fork(info.id, moment.checkpoint_id)
            answer = sessions.resume(branch.id).wait(30)
            assert answer is not None
            assert answer.revision == (2 if "It is in Germany" in str(answer.steps) else 1)
            sessions.send(branch.id, "48.14, 11.58").wait(30)
            paths.append(sessions.trace_path(branch.id))
    assert len(moments) == 4
    assert {one.next for one in moments} == unheard
    for path in paths:
        assert_identical(replayed(path, settlements), path)


def test_a_follow_up_that_was_stopped_before_it_was_heard_is_replayed(
    tmp_path: Path, settlements: Settlements
) -> None:
    with quick_sessions(tmp_path, settlements, Steady(1)) as sessions:
        info = sessions.create(PHOTOS[0])
        sessions.send(info.id, "48.2, 16.37").wait(30)
        sessions.observers.append(lambda run: run.stop())
        run = sessions.send(info.id, "It is in Germany")
        run.wait(30)
        assert run.status == "stopped"
        assert sessions.snapshot(info.id).next == ("__start__",)
        sessions.observers.clear()
        sessions.resume(info.id).wait(30)
        path = sessions.trace_path(info.id)
    assert_identical(replayed(path, settlements), path)


def test_a_run_that_failed_is_replayed_up_to_its_error(settlements: Settlements) -> None:
    path = recorded_once(13, settlements)
    found = replayed(path, settlements)
    assert_identical(found, path)
    (one,) = found.unanswered
    assert one.why == "error"
    assert one.words == "the driver is out"
    assert next(e for e in read_trace(path) if e.kind == "error").number == one.event
    assert found.runs == len(found.answers) + 1
