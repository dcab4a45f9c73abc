"""Two traces side by side: what was found, asked, replied and spent in only one of them."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import JsonValue

from agent.event_words import line, words_of
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
        shared: events that both begin with, as a branch does and the session it left; not
            compared.
        answers: fields of their answers, one by one.
        setups: what shaped their runs: recipe, budget, model, prompts, tools, versions.
        evidence, calls, replies: what only one holds.
        spent: what each took, by what.
    """

    shared: int
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
        plain = {"shared": self.shared, "answers": self.answers, "setups": self.setups,
                 "spent": self.spent}  # fmt: skip
        found: dict[str, JsonValue] = json.loads(json.dumps({"same": self.same, **plain, **told}))
        return found


_ONLY = ("evidence", "calls", "replies")


def difference(first: Path, second: Path) -> TraceDifference:
    """Compare two traces.

    Raises:
        InputError: one cannot be read.
    """
    left, right = list(read_trace(first)), list(read_trace(second))
    shared = _shared(left, right)
    return TraceDifference(
        shared=shared,
        answers=tuple(_answers(left, right)),
        setups=tuple(_setups(left, right, shared)),
        evidence=_only(left, right, "evidence", _evidence),
        calls=_only(left, right, "tool_result", _call),
        replies=_only(left, right, "model_reply", _reply),
        spent=_spent(left, right),
    )


def _shared(left: Sequence[Event], right: Sequence[Event]) -> int:
    """Return how many events both begin with: the chain makes the last of them stand for all."""
    pairs = zip(left, right, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].hash == pair[1].hash, pairs))


def _of(events: Sequence[Event], kind: str) -> list[dict[str, JsonValue]]:
    return [event.data for event in events if event.kind == kind]


def _answers(left: Sequence[Event], right: Sequence[Event]) -> list[str]:
    first, second = (
        [event for event in events if event.kind == "answer"] for events in (left, right)
    )
    rows = []
    for number, (one, other) in enumerate(zip_longest(first, second), start=1):
        if one is None or other is None:
            which, only = ("second", other) if one is None else ("first", one)
            rows.append(f"answer {number}, only in the {which}: {words_of(only)}")
            continue
        pair = [{key: each.data.get(key) for key in (*WORDS, "radii")} for each in (one, other)]
        rows += [f"answer {number}, {_apart(told)}" for told in lines_of(pair[0], pair[1])]
    return rows


def _apart(told: str) -> str:
    return told.replace(" was recorded, ", " and ").removesuffix(" now")


def _setups(left: Sequence[Event], right: Sequence[Event], shared: int) -> list[str]:
    """Return what shaped runs otherwise, run by run, from where the traces part."""
    one, other = (_shapes(events, shared) for events in (left, right))
    rows = list[str]()
    for number in range(max(len(one), len(other))):
        pair = [held[min(number, len(held) - 1)] for held in (one, other)]
        rows += [_shaped(told) for told in lines_of(pair[0], pair[1])]
    return list(dict.fromkeys(rows))


def _shaped(told: str) -> str:
    """Return a difference in words; a hash says nothing but that it is another one."""
    where, _, values = _apart(told).partition(": ")
    kind, _, name = where.partition(".")
    if kind not in ("tools", "prompts"):
        return f"{where}: {values}"
    first, _, second = values.partition(" and ")
    apart = {first: "only in the second", second: "only in the first"}
    return f"{kind[:-1]} {name}: {apart.get('null', 'worded otherwise')}"


def _shapes(events: Sequence[Event], shared: int) -> list[dict[str, JsonValue]]:
    """Return what shapes the runs after the shared events, or the one that goes on there."""
    setups = [event for event in events if event.kind == "setup"]
    kept = [event for event in setups if event.number > shared] or setups[-1:]
    shapes = [{key: event.data.get(key) for key in SHAPING} for event in kept]
    return shapes or [dict.fromkeys(SHAPING)]


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
