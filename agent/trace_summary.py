"""What a trace took: seconds and tokens, node by node and model by model."""

from collections.abc import Iterable
from typing import NamedTuple, cast

from agent.trace import Event


class Taken(NamedTuple):
    """What one node took in one run.

    Attributes:
        run: counted from 1.
        step: LangGraph's; 0 for what no node's end was told of.
        node: its name.
        seconds: of the clock.
        calls: tool calls.
        asked: requests to a model that were answered.
        tokens_in, tokens_out: of those.
    """

    run: int
    step: int
    node: str
    seconds: float = 0.0
    calls: int = 0
    asked: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


def taken(events: Iterable[Event]) -> list[Taken]:
    """Return what each node took, in order."""
    rows: list[Taken] = []
    run = 0
    open_ = Taken(0, 0, "")
    for event in events:
        data = event.data
        if event.kind == "setup":
            rows += [open_._replace(node="not ended")] if open_.calls or open_.asked else []
            run += 1
            open_ = Taken(run, 0, "")
        elif event.kind == "tool_result":
            open_ = open_._replace(calls=open_.calls + 1)
        elif event.kind == "model_reply":
            tokens_in = open_.tokens_in + _int(data["tokens_in"])
            tokens_out = open_.tokens_out + _int(data["tokens_out"])
            open_ = open_._replace(
                asked=open_.asked + 1, tokens_in=tokens_in, tokens_out=tokens_out
            )
        elif event.kind == "node" and not data.get("trajectory"):
            seconds = float(str(data["seconds"]))
            ended = open_._replace(
                step=_int(data["step"]), node=str(data["node"]), seconds=seconds, run=max(run, 1)
            )
            rows.append(ended)
            open_ = Taken(run, 0, "")
    return rows


def steps_of(events: Iterable[Event]) -> list[tuple[Event, int]]:
    """Return each event with the number of the graph's step it is of; 0 for those around runs."""
    held = list(events)
    steps = [0] * len(held)
    step = 0
    for index in range(len(held) - 1, -1, -1):
        event = held[index]
        if event.kind == "node" and not event.data.get("trajectory"):
            step = _int(event.data["step"])
        elif event.kind in ("setup", "message", "answer", "question", "error", "stopped", "fork",
                            "reply", "resumed"):  # fmt: skip
            step = 0
        steps[index] = step
    return list(zip(held, steps, strict=True))


def pictures_of(event: Event) -> list[tuple[str, str]]:
    """Return the pictures of an event: id and what they show."""
    held = event.data.get("pictures")
    rows = held if isinstance(held, list) else []
    found = [
        (str(one.get("photo_id")), str(one.get("caption"))) for one in rows if isinstance(one, dict)
    ]
    if event.kind == "photo":
        found.append((str(event.data["photo_id"]), str(event.data["name"])))
    return found


def _int(value: object) -> int:
    return int(cast(float, value)) if isinstance(value, int | float) else 0
