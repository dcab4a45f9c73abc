"""What a model did in a run, summed up for people: the small record that an answer carries.

Nodes announce what happens; `counted` wraps a node so that what it announced is also summed up in
the state, in one place for all nodes and however the graph is run. The trace holds everything
whole; here are counts, a model's own words cut short, and who disagreed with whom.
"""

import functools
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar

from pydantic import Field, JsonValue

from encoders.photo_file import printable
from tools.evidence import Latitude, Longitude, Record

SAID_LETTERS = 400
NOTICE_LETTERS = 300
MOST_REPLIES, MOST_ROWS, MOST_NOTICES = 200, 60, 20
"""Rows kept; counts go on."""
LONGEST_READ = 20_000
DECIDING = ("decide", "commit")
"""Purposes of the calls that take a turn of the loop."""


class ModelReply(Record):
    """One reply of the model.

    Attributes:
        purpose: what it was asked for: `prior`, `decide`, `commit`, `diversify`, `same-place`,
            `verifier`.
        turn: of the loop, from 1; 0 outside of it.
        trajectory: from 1; 0 where there is only one loop.
        attempts: 1, and one for each time it had to be asked again.
        said: what it wrote beside its tool calls, cut; only in the loop. Unchecked.
    """

    purpose: str
    turn: int = Field(default=0, ge=0)
    trajectory: int = Field(default=0, ge=0)
    tokens_in: int = Field(default=0, ge=0)
    tokens_out: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    attempts: int = Field(default=1, ge=1)
    said: str = ""


class Mishap(Record):
    """One kind of malformed reply, and what became of it; `example` is the first, cut."""

    kind: str
    action: str
    """`repaired`, `answered` or `rejected`, see `agent.asking.Problem`."""
    count: int = Field(default=1, ge=1)
    example: str = ""


class StatedConflict(Record):
    """A conflict of two pieces of evidence, by id, that was stated to the model.

    Attributes:
        turn: after which it was stated; 0 before the first.
    """

    first: str
    second: str
    distance_km: float | None = None
    turn: int = Field(default=0, ge=0)
    trajectory: int = Field(default=0, ge=0)


class TrajectoryEnd(Record):
    """How one of several parallel investigations ended; no coordinate where it could not tell.

    Attributes:
        start: what it began with.
        why: its own reason, without numbers that no tool reported, or what stopped it.
        chosen: whether the verifier chose it.
        verdict: the verifier's reason, at the chosen one; the model's words, unchecked.
    """

    number: int = Field(ge=1)
    start: str
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    why: str = ""
    chosen: bool = False
    verdict: str = ""


class ModelUse(Record):
    """What a model did in a run.

    Attributes:
        replies: in order of arrival, at most 200.
        calls, tokens_in, tokens_out, seconds: sums over all replies; `seconds` of replies that
            came in parallel add up to more than the clock's.
        retries: requests that had to be made again.
        notices: what was left out or went otherwise than planned, in words.
    """

    calls: int = Field(default=0, ge=0)
    tokens_in: int = Field(default=0, ge=0)
    tokens_out: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    retries: int = Field(default=0, ge=0)
    replies: tuple[ModelReply, ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    conflicts: tuple[StatedConflict, ...] = ()
    trajectories: tuple[TrajectoryEnd, ...] = ()
    notices: tuple[str, ...] = ()

    def plus(self, other: "ModelUse") -> "ModelUse":
        """Return both together; this is how the state merges what its nodes add."""
        notices = tuple(dict.fromkeys((*self.notices, *other.notices)))
        return ModelUse(
            calls=self.calls + other.calls,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            seconds=self.seconds + other.seconds,
            retries=self.retries + other.retries,
            replies=(*self.replies, *other.replies)[:MOST_REPLIES],
            mishaps=_joined((*self.mishaps, *other.mishaps)),
            conflicts=(*self.conflicts, *other.conflicts)[:MOST_ROWS],
            trajectories=(*self.trajectories, *other.trajectories),
            notices=notices[:MOST_NOTICES],
        )


_CALLS = re.compile(r"<(tool_call|function)\b.*?(?:</\1>|$)", re.DOTALL)
Heard = tuple[str, Mapping[str, JsonValue]]


class _Hearing(list[Heard]):
    """What the running node announced; one at a time is heard and told of."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = threading.RLock()


_heard: ContextVar[_Hearing | None] = ContextVar("heard", default=None)
_ALONE = nullcontext()
N = TypeVar("N", bound=Callable[..., dict[str, Any]])


def hear(kind: str, data: Mapping[str, JsonValue]) -> None:
    """Take note of an event that the running node announces; outside of a node, do nothing."""
    heard = _heard.get()
    if heard is not None and kind in _NOTED:
        heard.append((kind, data))


def in_order() -> AbstractContextManager[object]:
    """Return what keeps the order in which things are heard that in which they are told."""
    heard = _heard.get()
    return _ALONE if heard is None else heard.turn


def hear_again(events: Sequence[Heard]) -> None:
    """Have the running node have announced these events instead, in their order.

    What ran in parallel came in an order of its own; a replay sums it up in that order again.
    """
    heard = _heard.get()
    if heard is not None:
        heard[:] = [(kind, data) for kind, data in events if kind in _NOTED]


def counted(node: N) -> N:
    """Return the node, whose update also says what the model did in it, under `use`."""

    @functools.wraps(node)
    def run(state: Any) -> dict[str, Any]:
        heard = _Hearing()  # threads of the node share it: their context is a copy
        token = _heard.set(heard)
        try:
            update = node(state)
        finally:
            _heard.reset(token)
        spent = state.get("spent")
        return {**update, "use": summed(heard, spent.steps if spent else 0)} if heard else update

    return run  # type: ignore[return-value]  # it takes and returns what the node does


def summed(heard: Sequence[Heard], turn: int = 0) -> ModelUse:
    """Sum events up.

    Args:
        heard: kinds and data, as they were announced.
        turn: of the loop before them; that of a trajectory begins at 0.
    """
    use, turns = ModelUse(), {0: turn}
    for kind, data in heard:
        one = _number(data.get("trajectory"))
        if kind == "model_reply" and data.get("purpose") in DECIDING:
            turns[one] = turns.get(one, 0) + 1
        use = use.plus(_NOTED[kind](data, turns.get(one, 0)))
    return use


def _reply(data: Mapping[str, JsonValue], turn: int) -> ModelUse:
    decides = data.get("purpose") in DECIDING
    reply = ModelReply(
        purpose=_text(data.get("purpose"), 40),
        turn=turn if decides else 0,
        trajectory=_number(data.get("trajectory")),
        tokens_in=_number(data.get("tokens_in")),
        tokens_out=_number(data.get("tokens_out")),
        seconds=_seconds(data.get("seconds")),
        attempts=max(1, _number(data.get("attempts"))),
        said=said_of(data.get("text")) if decides else "",
    )
    return ModelUse(
        calls=1,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        seconds=reply.seconds,
        replies=(reply,),
    )


def _mishap(data: Mapping[str, JsonValue], turn: int) -> ModelUse:
    example = _text(data.get("detail"), 160)
    kind, action = _text(data.get("kind"), 40), _text(data.get("action"), 20)
    return ModelUse(mishaps=(Mishap(kind=kind, action=action, example=example),))


def _conflict(data: Mapping[str, JsonValue], turn: int) -> ModelUse:
    apart = data.get("distance_km")
    stated = StatedConflict(
        first=_text(data.get("first"), 20),
        second=_text(data.get("second"), 20),
        distance_km=float(apart) if isinstance(apart, int | float) else None,
        turn=turn,
        trajectory=_number(data.get("trajectory")),
    )
    return ModelUse(conflicts=(stated,))


def _trajectory(data: Mapping[str, JsonValue], turn: int) -> ModelUse:
    ended = "why" in data  # its beginning is announced, too
    return ModelUse(trajectories=(TrajectoryEnd.model_validate(data),) if ended else ())


def _notice(data: Mapping[str, JsonValue], turn: int) -> ModelUse:
    return ModelUse(notices=(_text(data.get("text", data.get("why")), NOTICE_LETTERS),))


def _retry(data: Mapping[str, JsonValue], turn: int) -> ModelUse:
    return ModelUse(retries=1)


_NOTED: dict[str, Callable[[Mapping[str, JsonValue], int], ModelUse]] = {
    "model_reply": _reply,
    "malformed": _mishap,
    "conflict": _conflict,
    "trajectory": _trajectory,
    "notice": _notice,
    "context": _notice,
    "retry": _retry,
}


def _joined(mishaps: Sequence[Mishap]) -> tuple[Mishap, ...]:
    rows: dict[tuple[str, str], Mishap] = {}
    for one in mishaps:
        key = one.kind, one.action
        held = rows.get(key)
        count = held.count + one.count if held else one.count
        rows[key] = (held or one).model_copy(update={"count": count})
    return tuple(list(rows.values())[:MOST_ROWS])


def said_of(text: JsonValue) -> str:
    """Return a reply's words on one line, cut, without the calls it may hold as text."""
    words = _CALLS.sub(" ", text[:LONGEST_READ]) if isinstance(text, str) else ""
    if (start := words.find("{")) >= 0:
        try:
            found = json.loads(words[start : words.rfind("}") + 1])
        except (ValueError, RecursionError):
            found = None
        said = found.get("thought", "") if isinstance(found, dict) else ""
        words = said if isinstance(said, str) else ""
    return _text(words, SAID_LETTERS)


def _text(value: JsonValue, letters: int) -> str:
    return printable(" ".join(value.split()), letters) if isinstance(value, str) else ""


def _number(value: JsonValue) -> int:
    return max(0, int(value)) if isinstance(value, int | float) else 0


def _seconds(value: JsonValue) -> float:
    return round(max(0.0, float(value)), 4) if isinstance(value, int | float) else 0.0
