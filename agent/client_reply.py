"""One message from the pieces that came, its text apart from its thoughts; nothing is trusted."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    InvalidToolCall,
    ToolCall,
    ToolCallChunk,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call
from pydantic import JsonValue

from agent.asking import Reply
from agent.client_stream import Received
from agent.client_wire import mend
from agent.thinking import split_thinking

_FINISHES: dict[str, Literal["stop", "length", "tool_calls", "content_filter"]] = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls",
    "refusal": "content_filter", "safety": "content_filter", "function_call": "tool_calls",
}  # fmt: skip
"""What other providers call the finish reasons of the OpenAI protocol."""


def make_reply(got: Received, asked_model: str, attempts: int) -> Reply:
    """Return the reply that was received."""
    message = assemble(got.messages)
    said, thought = _spoken(message.content)
    text, aloud = split_thinking(said)
    reasoning = message.additional_kwargs.get("reasoning_content")
    thinking = [part for part in (reasoning, thought, aloud) if isinstance(part, str) and part]
    usage = message.usage_metadata
    told = message.response_metadata
    return Reply(
        message=message,
        text=mend(text),
        thinking=mend("\n".join(thinking)),
        finish="time" if got.cut else _finish(told),
        model=mend(str(told.get("model_name") or told.get("model") or asked_model)),
        tokens_in=usage["input_tokens"] if usage else 0,
        tokens_out=usage["output_tokens"] if usage else 0,
        seconds=round(got.seconds, 4),
        first_token_s=None if got.first_token_s is None else round(got.first_token_s, 4),
        attempts=attempts,
    )


def assemble(pieces: Sequence[AIMessage]) -> AIMessage:
    """Join pieces into one message, whose tool calls are those with whole JSON objects.

    LangChain completes broken arguments by guessing; here they stay as they came, among
    `invalid_tool_calls`, for a reader that says so when it repairs them.
    """
    chunks = [piece for piece in pieces if isinstance(piece, AIMessageChunk)]
    if not chunks:
        return pieces[-1] if pieces else AIMessage("")
    merged = chunks[0] + chunks[1:] if len(chunks) > 1 else chunks[0]
    assert isinstance(merged, AIMessageChunk)
    calls, invalid = _calls(merged.tool_call_chunks)
    return AIMessage(
        content=mend(merged.content) if isinstance(merged.content, str) else merged.content,
        additional_kwargs=merged.additional_kwargs,
        response_metadata=merged.response_metadata,
        usage_metadata=merged.usage_metadata,
        tool_calls=calls,
        invalid_tool_calls=invalid,
        id=merged.id,
    )


def raw_calls(message: AIMessage) -> list[JsonValue]:
    """Return a message's tool calls for the trace, arguments as they came."""
    listed: list[JsonValue] = []
    for call in (*message.tool_calls, *message.invalid_tool_calls):
        arguments = call["args"]
        shown = arguments if isinstance(arguments, str) else _plain(arguments)
        listed.append({"id": call["id"], "name": call["name"], "args": shown})
    return listed


def exact_message(reply: Reply) -> str:
    """Return the message as JSON in ASCII, where the trace's plain fields would lose some of it.

    Thoughts inside the text, numbers that JSON cannot say, a provider's own fields: what reads a
    reply reads them, so a replay needs them, too.
    """
    exact, plain = _message_json(reply.message), message_of(reply.text, raw_calls(reply.message))
    return "" if exact == _message_json(plain) else exact


def message_of(text: str, calls: Sequence[JsonValue], exact: str = "") -> AIMessage:
    """Return the message of a recorded reply; see `raw_calls` and `exact_message`."""
    if exact:
        return AIMessage(**json.loads(exact))
    made: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for call in calls:
        assert isinstance(call, dict)
        name, args, id_ = call["name"], call["args"], call["id"]
        named, known = str(name or ""), id_ if isinstance(id_, str) else None
        if isinstance(args, dict):
            made.append(tool_call(name=named, args=args, id=known))
        else:
            text_ = args if isinstance(args, str) else None
            invalid.append(invalid_tool_call(name=named, args=text_, id=known, error=None))
    return AIMessage(text, tool_calls=made, invalid_tool_calls=invalid)


def _message_json(message: AIMessage) -> str:
    read = {
        "content": message.content,
        "additional_kwargs": message.additional_kwargs,
        "tool_calls": [tool_call(name=c["name"], args=c["args"], id=c["id"])
                       for c in message.tool_calls],
        "invalid_tool_calls": [
            invalid_tool_call(name=c["name"], args=c["args"], id=c["id"], error=None)
            for c in message.invalid_tool_calls
        ],
    }  # fmt: skip
    return json.dumps(read, default=str)


def _calls(
    chunks: Sequence[ToolCallChunk],
) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for chunk in chunks:
        name, text, id_ = chunk["name"], chunk["args"] or "", chunk["id"]
        try:
            arguments = _arguments(text)
        except (ValueError, RecursionError) as error:
            said = f"arguments are no JSON object: {error}"[:200]
            invalid.append(invalid_tool_call(name=name, args=text, id=id_, error=said))
        else:
            calls.append(tool_call(name=name or "", args=arguments, id=id_))
    return calls, invalid


def _arguments(text: str) -> dict[str, Any]:
    """Return arguments that are one JSON object; a call without any is an empty one."""
    if not text.strip():
        return {}
    arguments = json.loads(text, parse_constant=_refuse_constant)
    if not isinstance(arguments, dict):
        raise ValueError(f"a {type(arguments).__name__}")
    plain = json.dumps(arguments, ensure_ascii=False)
    mended: dict[str, Any] = arguments if plain.isascii() else json.loads(mend(plain))
    return mended


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _plain(value: object) -> JsonValue:
    """Return a value as JSON, with numbers that JSON cannot say as text."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    plain: JsonValue = json.loads(mend(text), parse_constant=str)
    return plain


def _spoken(content: str | list[str | dict[Any, Any]]) -> tuple[str, str]:
    """Return text and thoughts of a message's content."""
    if isinstance(content, str):
        return content, ""
    said, thought = "", ""
    for block in content:
        if isinstance(block, str):
            said += block
        elif block.get("type") in ("thinking", "reasoning"):
            thought += str(block.get("thinking") or block.get("reasoning") or "")
        else:
            said += str(block.get("text") or "")
    return said, thought


def _finish(told: dict[str, Any]) -> str:
    names = ("finish_reason", "stop_reason", "done_reason")
    finish = next((str(told[name]).lower() for name in names if told.get(name)), "")
    return _FINISHES.get(finish, finish)
