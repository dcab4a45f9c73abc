"""A trace is run again without model, tools or pixels, and comes to the same answers."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from agent.factors import Settlements
from agent.replay import ChangedError, Replayed, replay
from agent.trace import Trace, read_trace
from geo.errors import InputError
from tests.fakes import FakeGazetteer
from tests.unit.replay_samples import SHAPES, record

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def replayed(path: Path, settlements: Settlements, **options: Any) -> Replayed:
    return replay(path, open_gazetteer=lambda: FakeGazetteer(settlements), **options)


def assert_identical(found: Replayed, path: Path) -> None:
    told = [line for one in found.answers for line in one.differs]
    assert found.identical, f"{path}: {found.diverged[:3]} {told[:3]}"
    answers = [event for event in read_trace(path) if event.kind == "answer"]
    assert [one.event for one in found.answers] == [event.number for event in answers]


@pytest.mark.parametrize("number", range(2, len(SHAPES)))
def test_runs_of_every_shape_come_to_the_same_answers(
    number: int, tmp_path: Path, settlements: Settlements, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(number, tmp_path / "home", settlements)
    moved = tmp_path / "trace.jsonl"
    shutil.copy(path, moved)
    shutil.rmtree(tmp_path / "home")  # no photo, no checkpoint
    monkeypatch.setattr(socket.socket, "connect", None)
    assert_identical(replayed(moved, settlements), moved)


@pytest.mark.slow
def test_a_hundred_recorded_sessions_come_to_a_hundred_identical_answers(
    tmp_path: Path, settlements: Settlements
) -> None:
    answers = 0
    for number in range(100):
        path = record(number, tmp_path / str(number), settlements)
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
    path = record(4, tmp_path / "home", settlements)
    found = next(e for e in read_trace(path) if e.kind == "evidence" and e.data["weight"])

    def lighter(event: Any, data: Any) -> None:
        if event.number == found.number:
            data["weight"] /= 2

    told = replayed(rewritten(path, tmp_path / "changed.jsonl", lighter), settlements)
    assert not told.identical
    assert told.diverged[0].startswith(f"event {found.number} (evidence) was ")


def test_a_changed_reply_is_found(tmp_path: Path, settlements: Settlements) -> None:
    path = record(2, tmp_path / "home", settlements)
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
    path = record(0, tmp_path / "home", settlements)
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
    path = record(4, tmp_path / "home", settlements)
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
    whole = record(0, tmp_path / "home", settlements)
    lines = whole.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:4]) + b"\n")
    with pytest.raises(InputError, match="no answer"):
        replayed(path, settlements)
