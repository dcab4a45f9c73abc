"""Two traces side by side: what was found, asked, replied and spent in only one of them."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import JsonValue

from agent.event_words import line
from agent.replay_playback import lines_of
from agent.trace import Event, read_trace
from agent.trace_summary import taken

WORDS = ("status", "latitude", "longitude", "country_name", "admin1", "place", "driver", "recipe",
         "calibration", "stopped_because", "picked_by")  # fmt: skip
"""Fields of an answer that say what it comes to."""
SHAPING = ("recipe", "budget", "trajectories", "analyst", "driver", "model", "abstain",
           "calibration", "galleries", "encoder", "missing", "tools", "prompts",
           "versions")  # fmt: skip
"""Parts of a `setup` event that shape a run."""
SHOWN = 200


class Only(NamedTuple):
    """What only one of two traces holds, in words."""

    first: tuple[str, ...]
    second: tuple[str, ...]


class TraceDifference(NamedTuple):
    """How two traces differ; all empty where they tell the same.

    Attributes:
        answers: fields of their answers, revision by revision.
        setups: what shaped their runs: recipe, budget, model, prompts, tools, versions.
        evidence, calls, replies: what only one holds.
        spent: what each took, by what.
    """

    answers: tuple[str, ...]
    setups: tuple[str, ...]
    evidence: Only
    calls: Only
    replies: Only
    spent: dict[str, tuple[float, float]]

    @property
    def same(self) -> bool:
        """Whether they found, asked and were told the same; times aside."""
        apart = (self.evidence, self.calls, self.replies)
        return not (self.answers or self.setups or any(any(one) for one in apart))

    def json(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        told = {name: one._asdict() for name, one in self._asdict().items() if name in _ONLY}
        plain = {"answers": self.answers, "setups": self.setups, "spent": self.spent}
        found: dict[str, JsonValue] = json.loads(json.dumps({"same": self.same, **plain, **told}))
        return found


_ONLY = ("evidence", "calls", "replies")


def difference(first: Path, second: Path) -> TraceDifference:
    """Compare two traces.

    Raises:
        InputError: one cannot be read.
    """
    left, right = list(read_trace(first)), list(read_trace(second))
    return TraceDifference(
        answers=tuple(_answers(left, right)),
        setups=tuple(_setups(left, right)),
        evidence=_only(left, right, "evidence", _evidence),
        calls=_only(left, right, "tool_result", _call),
        replies=_only(left, right, "model_reply", _reply),
        spent=_spent(left, right),
    )


def _of(events: Sequence[Event], kind: str) -> list[dict[str, JsonValue]]:
    return [event.data for event in events if event.kind == kind]


def _answers(left: Sequence[Event], right: Sequence[Event]) -> list[str]:
    first, second = _of(left, "answer"), _of(right, "answer")
    rows = []
    for number in range(max(len(first), len(second))):
        if number >= len(first) or number >= len(second):
            which = "second" if number >= len(first) else "first"
            rows.append(f"answer {number + 1}: only in the {which}")
            continue
        pair = [{key: one.get(key) for key in (*WORDS, "radii")} for one in
                (first[number], second[number])]  # fmt: skip
        rows += [f"answer {number + 1}, {_apart(one)}" for one in lines_of(pair[0], pair[1])]
    return rows


def _apart(told: str) -> str:
    return told.replace(" was recorded, ", " and ").removesuffix(" now")


def _setups(left: Sequence[Event], right: Sequence[Event]) -> list[str]:
    first, second = (_of(events, "setup")[:1] for events in (left, right))
    pair = [{key: one[0].get(key) for key in SHAPING} if one else {} for one in (first, second)]
    return [_apart(one) for one in lines_of(pair[0], pair[1])]


def _only(left: Sequence[Event], right: Sequence[Event], kind: str, words: Any) -> Only:
    """Return what each holds more often than the other, in its order."""
    counts = [Counter(words(data) for data in _of(events, kind)) for events in (left, right)]
    first, second = counts[0] - counts[1], counts[1] - counts[0]
    return Only(tuple(first.elements()), tuple(second.elements()))


def _evidence(data: dict[str, JsonValue]) -> str:
    return line(f"{data['id']} of {data['tool']}, weight {data['weight']}: {data['summary']}")


def _call(data: dict[str, JsonValue]) -> str:
    args = json.dumps(data["arguments"], sort_keys=True, ensure_ascii=False)
    return line(f"{data['tool']} {args:.{SHOWN}}: {data['outcome']}, {data['text']}")


def _reply(data: dict[str, JsonValue]) -> str:
    calls = cast(list[Any], data["tool_calls"])
    named = [
        f"{one['name']} {json.dumps(one['args'], ensure_ascii=False):.{SHOWN}}" for one in calls
    ]
    said = str(data["text"])[:SHOWN]
    return line(
        f"{data['purpose']}: {'; '.join(named) or 'no call'}{f': {said!r}' if said else ''}"
    )


def _spent(left: Sequence[Event], right: Sequence[Event]) -> dict[str, tuple[float, float]]:
    sums = [_sums(events) for events in (left, right)]
    return {key: (sums[0][key], sums[1][key]) for key in sums[0]}


def _sums(events: Sequence[Event]) -> dict[str, float]:
    rows = taken(events)
    return {
        "runs": float(len(_of(events, "setup"))),
        "steps": float(len(rows)),
        "seconds": round(sum(row.seconds for row in rows), 4),
        "tool calls": float(sum(row.calls for row in rows)),
        "model replies": float(sum(row.asked for row in rows)),
        "tokens in": float(sum(row.tokens_in for row in rows)),
        "tokens out": float(sum(row.tokens_out for row in rows)),
    }
