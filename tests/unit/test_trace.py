"""The trace keeps its order and shows every edit."""

from pathlib import Path

import pytest

from agent.trace import Trace, read_trace, verify_trace
from geo.errors import InputError


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
    path.write_text(lines[0] + "\n" + lines[1][:40], encoding="utf-8")
    with pytest.raises(InputError, match="line 2 is not an event"):
        verify_trace(path)


def test_a_trace_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write the trace"):
        Trace(tmp_path / "file" / "trace.jsonl")
