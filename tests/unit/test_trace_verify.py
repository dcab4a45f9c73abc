"""Whatever byte of a trace is edited, `verify` fails and names the event."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.factors import Settlements
from agent.trace import EventKind, Trace, check_trace, follow_traces, read_trace
from geo.errors import InputError
from tests.unit.replay_samples import recorded_once


@pytest.fixture(scope="module")
def recorded(settlements: Settlements) -> Path:
    return recorded_once(4, settlements)


def named(path: Path) -> int:
    """Return the number of the event that is named as edited."""
    with pytest.raises(InputError, match=r"event|line") as refused:
        check_trace(path)
    words = str(refused.value).replace(",", " ").split()
    at = next(index for index, word in enumerate(words) if word in ("event", "line"))
    return int(words[at + 1])


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_flipped_byte_is_found(recorded: Path, tmp_path: Path, where: float, flip: int) -> None:
    data = bytearray(recorded.read_bytes())
    index = int(where * len(data))
    number = data[:index].count(b"\n") + 1
    data[index] ^= flip
    edited = tmp_path / "edited.jsonl"
    edited.write_bytes(data)
    assert named(edited) == number


@pytest.mark.slow
def test_every_single_byte_counts(recorded: Path, tmp_path: Path) -> None:
    whole = recorded.read_bytes()
    lines = whole.split(b"\n")[:-1]
    edited = tmp_path / "edited.jsonl"
    start = b"\n".join(lines[:3]) + b"\n"
    for index in range(len(start)):
        for flip in (1, 32, 128):
            data = bytearray(start)
            data[index] ^= flip
            edited.write_bytes(data)
            assert named(edited) == start[:index].count(b"\n") + 1


def rewritten(line: bytes, how: str) -> bytes:
    event = json.loads(line)
    if how == "spaces":
        return json.dumps(event, ensure_ascii=False).encode()
    if how == "keys":
        event["data"] = dict(reversed(event["data"].items()))
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    if how == "number":
        return line.replace(b".", b".0", 1) if b"." in line else line.replace(b"1", b"1.0", 1)
    if how == "twice":
        return line.replace(b'"data":{', b'"data":{"z":1,"z":2,', 1)
    if how == "escaped":
        return line.replace(b'"kind"', b'"k\\u0069nd"', 1)
    return line + b"\r"


@pytest.mark.parametrize("how", ["spaces", "keys", "number", "twice", "escaped", "ending"])
def test_an_edit_of_the_form_alone_is_found(how: str, recorded: Path, tmp_path: Path) -> None:
    lines = recorded.read_bytes().split(b"\n")
    lines[2] = rewritten(lines[2], how)
    edited = tmp_path / "edited.jsonl"
    edited.write_bytes(b"\n".join(lines))
    assert named(edited) == 3


@pytest.mark.parametrize("ending", [b"\r", b" ", b"\x00", b"x", b"}"])
def test_an_edited_last_line_ending_is_no_stop(
    ending: bytes, recorded: Path, tmp_path: Path
) -> None:
    whole = recorded.read_bytes()
    edited = tmp_path / "edited.jsonl"
    edited.write_bytes(whole[:-1] + ending)
    assert named(edited) == whole.count(b"\n")
    edited.write_bytes(whole[:-1])  # stopped before its very last byte
    assert check_trace(edited).cut


def test_an_event_knows_its_own_line(recorded: Path) -> None:
    whole = recorded.read_bytes()
    assert b"".join(event.line for event in read_trace(recorded)) == whole


def test_who_follows_traces_is_told_what_was_added(tmp_path: Path) -> None:
    told: list[tuple[Path, int]] = []
    path = tmp_path / "trace.jsonl"
    end = follow_traces(lambda file, before: told.append((file, before)))
    for _ in range(2):
        with Trace(path, onward=True) as trace:
            trace.append("notice", {"text": "a"})
    end()
    with Trace(path, onward=True) as trace:
        trace.append("notice", {"text": "b"})
        trace.close()
    assert told == [(path, 0), (path, 1)]


def test_the_ten_lines_of_the_documentation_check_a_trace(recorded: Path, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/traces.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    script = tmp_path / "check.py"
    script.write_text(code, encoding="utf-8")

    def checked(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "ignore", script, path],
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert list(read_trace(recorded))[-1].hash in checked(recorded).stdout
    lines = recorded.read_bytes().split(b"\n")
    lines[4] = lines[4].replace(b"1", b"2", 1)
    edited = tmp_path / "edited.jsonl"
    edited.write_bytes(b"\n".join(lines))
    assert "event 5" in checked(edited).stderr


def test_the_documentation_names_every_kind_of_event() -> None:
    text = (Path(__file__).parents[2] / "docs/traces.md").read_text(encoding="utf-8")
    for kind in get_args(EventKind):
        assert f"`{kind}`" in text
