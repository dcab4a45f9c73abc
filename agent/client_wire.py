"""The OpenAI chat protocol as servers really speak it, turned into message chunks.

Read here rather than by the client library because that one drops reasoning fields, joins calls
whose server numbers them all 0, waits on keep-alive comments for ever, and takes a stream that
breaks off between two events for a whole one.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from agent.client_stream import LEFT_BEHIND

REPLY_BYTES = 16 * 1024 * 1024
"""Longest reply that is read, with all its wrapping; 2,048 tokens take about 0.5 MB."""
_FIELDS = ("data:", ":", "event:", "id:", "retry:")
_QUOTED = 120


class WireError(Exception):
    """A reply that breaks the protocol, or carries an error instead of one.

    Attributes:
        status_code: of an error sent within a stream.
        body: that error.
    """

    def __init__(self, message: str, *, status_code: int | None = None, body: object = None):
        super().__init__(message)
        self.status_code = status_code
        self.body = body


def read_reply(pieces: Iterable[bytes]) -> Iterator[AIMessageChunk]:
    """Yield a reply's chunks from the bytes of a response, streamed or whole.

    The last chunk carries finish reason, model name, usage and `streamed`.

    Raises:
        WireError: no JSON, no reply in it, an error in its place, cut off, or too long.
    """
    lines = (line for line in _lines(pieces) if line.strip())
    first = next(lines, "")
    if not first:
        raise WireError("an empty reply")
    reply = _Reply()
    if first.startswith(_FIELDS):
        yield from _streamed(chain((first,), lines), reply)
    else:
        yield reply.add(_parsed("".join((first, *lines))), "message")
    if not reply.finish and not reply.done:
        raise WireError(f"the reply broke off after {reply.events} events")
    yield reply.last(streamed=first.startswith(_FIELDS))


def _streamed(lines: Iterable[str], reply: "_Reply") -> Iterator[AIMessageChunk]:
    for line in lines:
        if not line.startswith(_FIELDS):
            raise WireError(f"no event stream: {line[:_QUOTED]!r}")
        data = line[5:].strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            reply.done = True
            return
        if data:
            yield reply.add(_parsed(data), "delta")


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield lines; stops where nobody waits any more, and refuses what has no end."""
    left = LEFT_BEHIND.get()
    pending, total = b"", 0
    for piece in pieces:
        if left is not None and left.is_set():
            return
        total += len(piece)
        if total > REPLY_BYTES:
            raise WireError(f"a reply of more than {REPLY_BYTES} bytes")
        *whole, pending = (pending + piece).split(b"\n")
        for line in whole:
            yield line.rstrip(b"\r").decode("utf-8", "replace")
    yield pending.decode("utf-8", "replace")


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise WireError(f"no JSON: {text[:_QUOTED]!r}") from None
    if not isinstance(data, dict):
        raise WireError(f"no JSON object: {text[:_QUOTED]!r}")
    error = data.get("error")
    if error or data.get("object") == "error":
        raise _told(error or data)
    return data


def _told(error: Any) -> WireError:
    body = error if isinstance(error, Mapping) else {"message": str(error)}
    code = str(body.get("code"))
    status = int(code) if re.fullmatch("[45][0-9][0-9]", code) else None
    return WireError(str(body.get("message"))[:1000], status_code=status, body=body)


@dataclass
class _Reply:
    """What a reply has told so far that is not text."""

    finish: str = ""
    model: str = ""
    usage: UsageMetadata | None = None
    done: bool = False
    events: int = 0
    calls: "_Calls" = field(default_factory=lambda: _Calls())

    def add(self, data: dict[str, Any], part: str) -> AIMessageChunk:
        """Return what one event adds to the message."""
        self.events += 1
        if isinstance(name := data.get("model"), str):
            self.model = name or self.model
        self.usage = _usage(data.get("usage")) or self.usage
        choices = data.get("choices")
        if choices is not None and not isinstance(choices, list):
            raise WireError(f"`choices` is no list: {str(choices)[:_QUOTED]!r}")
        if not choices:
            if part == "message":
                raise WireError("no `choices` in the reply")
            return AIMessageChunk(content="")
        choice = choices[0] if isinstance(choices[0], dict) else {}
        if finish := choice.get("finish_reason"):
            self.finish = str(finish)
        delta = choice.get(part) or choice.get("delta") or choice.get("message")
        if part == "message":
            self.done = isinstance(delta, dict)  # a whole reply needs no finish reason
        return self._chunk(delta if isinstance(delta, dict) else {})

    def _chunk(self, delta: dict[str, Any]) -> AIMessageChunk:
        content = delta.get("content")
        told = {
            "reasoning_content": delta.get("reasoning_content") or delta.get("reasoning"),
            "refusal": delta.get("refusal"),
        }
        calls = delta.get("tool_calls") or []
        return AIMessageChunk(
            content=_blocks(content) if isinstance(content, list) else mend(_string(content)),
            additional_kwargs={k: mend(v) for k, v in told.items() if v and isinstance(v, str)},
            tool_call_chunks=self.calls.add(calls if isinstance(calls, list) else [calls]),
        )

    def last(self, *, streamed: bool) -> AIMessageChunk:
        """Return the chunk that ends the message."""
        told = {
            "finish_reason": self.finish,
            "model_name": mend(self.model),
            "model_provider": "openai",
            "streamed": streamed,
        }
        return AIMessageChunk(
            content="", response_metadata=told, usage_metadata=self.usage, chunk_position="last"
        )


@dataclass
class _Calls:
    """Gives every tool call a number of its own.

    Servers leave the index out, give all calls index 0 under different ids, or repeat the name
    with every piece.
    """

    ids: dict[int, str] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)
    slots: dict[int, int] = field(default_factory=dict)
    """The server's index -> our number of the call it means now."""
    count: int = 0

    def add(self, calls: list[Any]) -> list[ToolCallChunk]:
        """Return the chunks of one event's calls."""
        return [self._one(call) for call in calls if call]

    def _one(self, call: Any) -> ToolCallChunk:
        if not isinstance(call, dict):
            return tool_call_chunk(args=_json(call), index=self._new(None, ""))
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        name, id_ = _string(function.get("name")), _string(call.get("id"))
        slot = self._slot(call.get("index"), id_, name)
        first = slot not in self.named
        if name:
            self.named.add(slot)
        arguments = function.get("arguments")
        return tool_call_chunk(
            name=mend(name) if name and first else None,
            args=mend(arguments if isinstance(arguments, str) else _json(arguments)),
            id=id_ or None,
            index=slot,
        )

    def _slot(self, index: object, id_: str, name: str) -> int:
        key = index if isinstance(index, int) else None
        if key is None and id_ in self.ids.values():
            return next(slot for slot, known in self.ids.items() if known == id_)
        current = self.slots.get(key) if key is not None else self.count - 1
        if current is None or current < 0:
            return self._new(key, id_)
        other_id = bool(id_) and self.ids.get(current, id_) != id_
        next_call = key is None and bool(name) and current in self.named
        if other_id or next_call:
            return self._new(key, id_)
        if id_:
            self.ids[current] = id_
        return current

    def _new(self, key: int | None, id_: str) -> int:
        slot, self.count = self.count, self.count + 1
        if key is not None:
            self.slots[key] = slot
        if id_:
            self.ids[slot] = id_
        return slot


def mend(text: str) -> str:
    """Return text without halves of surrogate pairs, which JSON can escape and UTF-8 cannot say."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _blocks(content: list[Any]) -> list[str | dict[str, Any]]:
    return [
        mend(block) if isinstance(block, str) else block
        for block in content
        if isinstance(block, str | dict)
    ]


def _string(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else _json(value)


def _json(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _usage(usage: object) -> UsageMetadata | None:
    if not isinstance(usage, Mapping):
        return None
    counts = [usage.get(key) for key in ("prompt_tokens", "completion_tokens")]
    tokens = [n if isinstance(n, int) and 0 <= n < 10**9 else 0 for n in counts]
    if not any(tokens):
        return None
    return UsageMetadata(input_tokens=tokens[0], output_tokens=tokens[1], total_tokens=sum(tokens))
