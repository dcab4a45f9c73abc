"""What a person reads while a run goes on, and of its trace: words, one line, nothing hostile."""

import io
import re
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner
from pydantic import JsonValue
from rich.console import Console

from agent.event_words import MISHAPS, mishap, words_of
from agent.trace import Event, EventKind, Trace
from cli.main import cli
from cli.steps import Steps

HOSTILE = "\x1b[2J\u202e[bold]<script>{}\n" + "x" * 5000
SAMPLES: dict[str, dict[str, JsonValue]] = {
    "photo": {"name": HOSTILE, "width": 1, "height": 2, "recipe": "agentic", "driver": HOSTILE},
    "tool_call": {"id": "c1", "tool": HOSTILE, "args": {"name": HOSTILE}},
    "tool_result": {
        "call_id": "c1", "tool": HOSTILE, "outcome": "ok", "seconds": 1.0, "text": HOSTILE,
        "data": {},
    },
    "evidence": {"id": "e1", "tool": HOSTILE, "weight": 0.5, "summary": HOSTILE},
    "belief": {"status": "located", "km_80": 3.0},
    "rejection": {"value": HOSTILE, "reason": HOSTILE},
    "budget": {"exhausted": "steps: 12 of 12"},
    "answer": {
        "status": "located", "latitude": 1.0, "longitude": 2.0, "place": HOSTILE,
        "stopped_because": HOSTILE,
    },
    "error": {"type": "InputError", "message": HOSTILE},
    "model_call": {"purpose": "decide", "model": HOSTILE, "images": ["a"], "tools": ["zoom"]},
    "model_reply": {
        "purpose": "decide", "model": HOSTILE, "text": HOSTILE, "seconds": 0.5, "tokens_in": 100,
        "tokens_out": 7, "tool_calls": [{"name": HOSTILE}],
    },
    "model_error": {"purpose": "decide", "model": HOSTILE, "message": HOSTILE},
    "decision": {"driver": HOSTILE, "calls": [{"id": "c", "name": HOSTILE, "args": {}}]},
    "malformed": {"kind": "text-call", "detail": HOSTILE, "action": "repaired"},
    "retry": {"wait_s": 1, "error": HOSTILE},
    "context": {"dropped": [], "why": HOSTILE},
    "conflict": {"first_text": HOSTILE, "second_text": HOSTILE, "distance_km": 412.0},
    "question": {"action": "ask_analyst", "args": {"question": HOSTILE}},
    "notice": {"text": HOSTILE},
    "setup": {"at": "2026-01-02T03:04:05+00:00", "recipe": {"name": HOSTILE}},
    "message": {
        "text": HOSTILE, "photos": ["a"], "region": {"type": "Polygon"}, "withdraw": ["e1"],
        "restore": [HOSTILE],
    },
    "node": {"node": "act", "step": 4, "seconds": 0.2, "spent": None},
    "reply": {"reply": HOSTILE},
    "stopped": {"why": HOSTILE},
    "resumed": {"step": 4, "checkpoint": HOSTILE},
    "fork": {"session": HOSTILE, "checkpoint": "c", "events": 3},
    "trajectory": {
        "number": 2, "start": "the photo alone", "latitude": 1.0, "longitude": 2.0, "chosen": True,
        "why": HOSTILE,
    },
}  # fmt: skip
PRIOR: dict[str, JsonValue] = {
    "guess": {
        "latitude": 46.05, "longitude": 14.5, "radius_km": 40.0, "place": "Ljubljana",
        "country": "Slovenia", "confidence": 0.4, "reason": "plaster",
        "clues": [{"what": "shutters", "box": None}, {"what": "paving", "box": None}],
    },
}  # fmt: skip


def event(kind: str, data: dict[str, JsonValue]) -> Event:
    return Trace(None).append(kind, data)  # type: ignore[arg-type]  # the samples' keys are kinds


def printed(*events: Event, width: int = 80) -> str:
    steps, told = Steps(), io.StringIO()
    console = Console(file=told, width=width, highlight=False)
    for one in events:
        if (row := steps.row(one)) is not None:
            console.print(row)
    return told.getvalue()


def test_every_kind_of_event_has_a_sample() -> None:
    assert set(SAMPLES) == set(get_args(EventKind))


@pytest.mark.parametrize("kind", SAMPLES)
def test_no_event_moves_the_cursor_or_floods_the_terminal(kind: str) -> None:
    one = event(kind, SAMPLES[kind])
    told = words_of(one)
    assert told.isprintable()
    assert 0 < len(told) <= 600
    shown = printed(one)
    assert "".join(shown.split()).isprintable()
    assert len(shown) < 2500
    assert all(len(row) <= 80 for row in shown.splitlines())


@pytest.mark.parametrize("kind", sorted(set(SAMPLES) - {"tool_call", "error"}))
def test_no_json_is_shown_as_words(kind: str) -> None:
    assert '{"' not in words_of(event(kind, SAMPLES[kind]))


def test_the_prior_is_told_with_what_was_seen() -> None:
    data = {**SAMPLES["tool_result"], "tool": "prior", "text": "t", "data": PRIOR}
    shown = printed(event("tool_result", data))
    assert "Ljubljana, Slovenia (46.0500, 14.5000)" in shown
    assert "40 km" in " ".join(shown.split())
    assert "'shutters'" in shown
    assert "'paving'" in shown


def test_a_conflict_is_told_with_both_sides() -> None:
    data: dict[str, JsonValue] = {
        "first_text": "here [e1]", "second_text": "there [e2]", "distance_km": 412.0,
    }  # fmt: skip
    assert [row.rstrip() for row in printed(event("conflict", data)).splitlines()] == [
        "≠ Two findings disagree, 412 km apart:", "  – here [e1]", "  – there [e2]",
    ]  # fmt: skip


def test_trajectories_are_told_apart_and_their_turns_counted_each() -> None:
    reply = SAMPLES["model_reply"] | {"text": "", "tool_calls": [], "model": "m"}
    shown = printed(*(event("model_reply", {**reply, "trajectory": n}) for n in (1, 2, 1)))
    first, second, third = shown.splitlines()
    assert first.startswith("1│ • turn 1 m")
    assert second.startswith("2│ • turn 1 m")
    assert third.startswith("1│ • turn 2 m")
    assert printed(event("tool_result", {**SAMPLES["tool_result"], "trajectory": 0}))[0] == "✓"


def test_every_kind_of_malformed_reply_has_words() -> None:
    folder = Path(__file__).parents[2] / "agent"
    found: set[str] = set()
    for path in folder.glob("*.py"):
        text = path.read_text("utf-8")
        found |= set(re.findall(r'(?:_problem\(|Problem\(\s*kind=|"kind": )"([a-z-]+)"', text))
    assert len(found) > 10
    assert found <= set(MISHAPS)
    assert mishap("never\x1bseen-before").isprintable()


def test_what_is_waited_for_is_named() -> None:
    steps = Steps()
    asked = event("model_call", SAMPLES["model_call"] | {"model": "m"})
    assert steps.waiting(asked) == "Waiting for m (next step) ..."
    assert steps.waiting(event("notice", {"text": "t"})) is None
    call = event("tool_call", {"id": "c1", "tool": "zoom", "args": {}})
    steps.waiting(event("model_reply", SAMPLES["model_reply"]))
    assert steps.waiting(call) == "Running zoom ..."
    assert "evidence" in str(steps.waiting(event("tool_result", SAMPLES["tool_result"])))


def test_a_trace_is_shown_in_words_and_verified(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with Trace(path) as trace:
        for kind, data in SAMPLES.items():
            trace.append(kind, data)  # type: ignore[arg-type]
    shown = CliRunner().invoke(cli, ["trace", "show", str(path)])
    assert shown.exit_code == 0
    rows = shown.output.splitlines()
    numbered = [row for row in rows if re.match(r" *\d+ \d+\.\d+ s ", row)]
    assert [int(row.split()[0]) for row in numbered] == list(range(1, len(SAMPLES) + 1))
    assert all(row.isprintable() for row in rows)
    assert "a tool call written as text" in shown.output
    assert "412 km apart" in shown.output
    checked = CliRunner().invoke(cli, ["trace", "verify", str(path)])
    assert f"{len(SAMPLES)} events, chain unbroken" in checked.output
