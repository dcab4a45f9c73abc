"""An independent reader of raw replies: it says what was wrong, whatever the product says of it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.trace import Event
from tests.vllm.wiretap import Exchange


@dataclass
class Heard:
    """A reply put together from what went over the wire."""

    text: str = ""
    finish: str = ""
    calls: list[list[str]] = field(default_factory=list)
    """Name and arguments, as text."""
    tokens: tuple[int, int] = (0, 0)
    pieces: int = 0


def hear(exchange: Exchange) -> Heard:
    """Return the reply of a chat request that was answered."""
    heard = Heard()
    for data in _documents(exchange):
        heard.pieces += 1
        if usage := data.get("usage"):
            heard.tokens = usage["prompt_tokens"], usage["completion_tokens"]
        for choice in data.get("choices", [])[:1]:
            heard.finish = choice.get("finish_reason") or heard.finish
            part = choice.get("delta") or choice.get("message") or {}
            heard.text += part.get("content") or ""
            for number, call in enumerate(part.get("tool_calls") or []):
                _add_call(heard.calls, call.get("index", number), call["function"])
    return heard


def _add_call(calls: list[list[str]], index: int, function: Mapping[str, Any]) -> None:
    while len(calls) <= index:
        calls.append(["", ""])
    calls[index][0] += function.get("name") or ""
    calls[index][1] += function.get("arguments") or ""


def _documents(exchange: Exchange) -> Iterator[dict[str, Any]]:
    if not exchange.streamed:
        yield json.loads(exchange.reply)
        return
    for line in exchange.reply.split(b"\n"):
        data = line.removeprefix(b"data:").strip()
        if line.startswith(b"data:") and data != b"[DONE]":
            yield json.loads(data)


def troubles(
    text: str, calls: Sequence[tuple[str, object]], offered: Sequence[str], *, schema: bool
) -> list[str]:
    """Return what is wrong with a reply to a request that offered tools or demanded JSON.

    Args:
        text: of the reply.
        calls: names with arguments, as text or parsed.
        offered: names of the tools of the request.
        schema: whether the text must be a JSON object.
    """
    found = []
    if offered and not calls:
        found.append("no tool call")
    for name, arguments in calls:
        if name not in offered:
            found.append(f"no tool {name!r:.40} was offered")
        elif not isinstance(_value(arguments), dict):
            found.append(f"{name}: arguments are no JSON object: {arguments!r:.60}")
    if schema and not isinstance(_value(text), dict):
        found.append(f"no JSON object: {text!r:.60}")
    return found


def _value(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError:
        return None


def troubles_of(exchange: Exchange) -> list[str]:
    """Return what was wrong with the reply to a chat request."""
    heard = hear(exchange)
    offered = [tool["function"]["name"] for tool in exchange.request.get("tools", [])]
    calls = [(name, arguments) for name, arguments in heard.calls]
    schema = exchange.request.get("response_format", {}).get("type") == "json_schema"
    return troubles(heard.text, calls, offered, schema=schema)


def unaccounted(events: Sequence[Event]) -> list[str]:
    """Return the purposes whose troubled replies a trace does not account for.

    Each troubled reply needs a `malformed` event of its own purpose: replies of one purpose may
    come in parallel, so they are counted, not paired.
    """
    troubled, accounted = Counter[str](), Counter[str]()
    asked: dict[str, list[Event]] = {}
    for event in events:
        purpose = str(event.data.get("purpose", ""))
        if event.kind == "model_call":
            asked.setdefault(purpose, []).append(event)
        elif event.kind == "malformed":
            accounted[purpose] += 1
        elif event.kind == "model_reply" and troubles_in_trace(event, asked[purpose][-1]):
            troubled[purpose] += 1
    return [
        f"{purpose}: {count} troubled replies, {accounted[purpose]} accounted for"
        for purpose, count in troubled.items()
        if accounted[purpose] < count
    ]


def troubles_in_trace(reply: Event, call: Event) -> list[str]:
    """Return what was wrong with a reply, by what its trace kept of it."""
    raw: Any = reply.data["tool_calls"]
    calls = [(one["name"], one["args"]) for one in raw]
    offered: Any = call.data["tools"]
    return troubles(str(reply.data["text"]), calls, offered, schema=bool(call.data["schema"]))
