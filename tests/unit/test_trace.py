"""The trace keeps its order and shows every edit."""

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from agent.trace import Trace, TraceCheck, check_trace, read_trace, verify_trace
from geo.errors import InputError, UnavailableError


def write(path: Path, events: int = 4) -> list[str]:
    with Trace(path) as trace:
        for number in range(events):
            trace.append("tool_result", {"number": number, "text": "Straße \u2028 東京"})
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def test_chain_of_a_whole_trace_holds(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    write(path)
    assert verify_trace(path) == 4
    assert [event.data["number"] for event in read_trace(path)] == [0, 1, 2, 3]


def test_a_line_is_sealed_as_it_is_written_and_keeps_its_own_order(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    data: dict[str, JsonValue] = {"z": 1e-7, "a": {"b": [True, None, 0.1], "ö": "\ud800"}}
    with Trace(path) as trace:
        trace.append("belief", data)
    (event,) = read_trace(path)
    assert list(event.data) == ["z", "a"]
    assert event.data["a"] == {"b": [True, None, 0.1], "ö": "?"}
    body, _, end = path.read_bytes().rpartition(b',"hash":"')
    assert end == f'{event.hash}"}}\n'.encode()
    assert event.hash == hashlib.sha256(body).hexdigest() == event.computed_hash()
    assert event.line == path.read_bytes()


def test_threads_share_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with Trace(path) as trace, ThreadPoolExecutor(8) as pool:
        for number in range(400):
            pool.submit(trace.write, "notice", {"text": str(number)})
    assert verify_trace(path) == 400


@pytest.mark.parametrize(("kind", "data"), [("rumour", {}), ("notice", {"km": math.nan})])
def test_what_is_no_event_is_refused(kind: Any, data: dict[str, JsonValue]) -> None:
    with pytest.raises(ValueError, match=r"rumour|not JSON compliant"):
        Trace(None).append(kind, data)


def test_every_edited_byte_of_a_value_is_found(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    lines = write(path)
    edited = lines[1].replace('"number":1', '"number":7', 1)
    assert edited != lines[1]
    path.write_text("\n".join([lines[0], edited, *lines[2:]]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="event"):
        verify_trace(path)


@pytest.mark.parametrize("order", [[0, 2, 3], [1, 0, 2, 3], [0, 1, 1, 2, 3], [1, 2, 3]])
def test_dropped_moved_and_doubled_lines_are_found(tmp_path: Path, order: list[int]) -> None:
    path = tmp_path / "trace.jsonl"
    lines = write(path)
    path.write_text("\n".join(lines[i] for i in order) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="does not follow"):
        verify_trace(path)


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    lines = write(path)
    path.write_text(lines[0] + "\n" + lines[1][:40] + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2 is not an event"):
        verify_trace(path)


@pytest.mark.parametrize("kept", [1, 40, 200])
def test_a_line_cut_by_a_kill_is_told_from_an_edit(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "trace.jsonl"
    lines = write(path)
    path.write_text(lines[0] + "\n" + lines[1][:kept], encoding="utf-8")
    assert check_trace(path) == TraceCheck(events=1, finished=False, cut=True)
    assert len(list(read_trace(path))) == 1


def test_a_trace_that_lost_its_end_is_unfinished(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with Trace(path) as trace:
        trace.append("photo", {})
        trace.append("answer", {})
    assert check_trace(path) == TraceCheck(events=2, finished=True, cut=False)
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")
    assert check_trace(path) == TraceCheck(events=1, finished=False, cut=False)


def test_an_empty_trace_and_a_device_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.touch()
    with pytest.raises(InputError, match="empty"):
        check_trace(path)
    with pytest.raises(InputError, match="no regular file"):
        check_trace(Path("/dev/zero"))


def test_a_full_disk_is_one_actionable_error() -> None:
    with Trace(Path("/dev/full")) as trace, pytest.raises(UnavailableError, match="free space"):
        trace.append("photo", {})


def test_a_trace_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write the trace"):
        Trace(tmp_path / "file" / "trace.jsonl")
