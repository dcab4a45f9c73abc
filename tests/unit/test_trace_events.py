"""What is written into traces is what is told of it, kind by kind."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.factors import Settlements
from agent.trace import Trace, read_trace
from agent.trace_events import PAYLOADS, ToolCallPayload, payload_of
from tests.unit.replay_samples import SHAPES, record, recorded_once

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def check(path: Path) -> set[str]:
    kinds: set[str] = set()
    for event in read_trace(path):
        payload = payload_of(event)
        assert isinstance(payload, PAYLOADS[event.kind])
        told = json.loads(payload.model_dump_json(by_alias=True))
        for key, value in event.data.items():
            assert told[key] == value, f"event {event.number} ({event.kind}), {key}"
        kinds.add(event.kind)
    return kinds


@pytest.mark.parametrize("number", [2, 3, 4, 8])
def test_every_event_is_what_its_kind_holds(number: int, settlements: Settlements) -> None:
    kinds = check(recorded_once(number, settlements))
    assert kinds >= {"setup", "photo", "tool_call", "tool_result", "node", "answer"}


@pytest.mark.slow
def test_every_event_of_many_runs_is_what_its_kind_holds(
    tmp_path: Path, settlements: Settlements
) -> None:
    kinds: set[str] = set()
    for number in (*range(3 * len(SHAPES)), *range(3, 150, len(SHAPES))):  # models that err, too
        kinds |= check(record(number, tmp_path / str(number), settlements))
    assert kinds >= set(PAYLOADS) - {"retry", "context"}


def test_what_is_another_thing_is_refused() -> None:
    call = Trace(None).append("tool_call", {"id": "c1", "tool": "zoom", "args": {}})
    assert payload_of(call) == ToolCallPayload(id="c1", tool="zoom", args={})
    for wrong in ({"id": 1, "tool": "zoom", "args": {}}, {"id": "c1", "tool": "x", "more": 1}):
        with pytest.raises(ValidationError):
            payload_of(Trace(None).append("tool_call", json.loads(json.dumps(wrong))))
