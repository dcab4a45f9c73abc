"""Bytes of a reply, whole and in pieces, honest and not."""

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from agent.client_reply import assemble
from agent.client_wire import REPLY_BYTES, WireError, read_reply


def _event(finish: str | None = None, **delta: Any) -> bytes:
    choice = {"delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "m", "choices": [choice]}).encode() + b"\n\n"


def _read(*pieces: bytes) -> AIMessage:
    return assemble(list(read_reply(pieces)))


def _called(arguments: str, **more: Any) -> dict[str, Any]:
    return {"function": {"name": "zoom", "arguments": arguments}, **more}


REPLY = (
    b": hello\r\n\r\n"
    + _event(content="Größe ")
    + b"event: message\n"
    + _event(content="42 km")
    + _event("stop")
    + b"data: [DONE]\n\n"
)


@given(st.lists(st.integers(0, len(REPLY)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_where_the_bytes_are_cut_does_not_matter(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(REPLY)]
    pieces = [REPLY[a:b] for a, b in pairwise(edges)]
    assert _read(*pieces).content == "Größe 42 km"


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_reply_or_a_wire_error(data: bytes) -> None:
    for bytes_ in (data, b"data: " + data, b'data: {"choices": [{"delta": ' + data):
        with suppress(WireError):
            str(_read(bytes_).content).encode()


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "delta", "message", "content", "tool_calls", "function", "name", "model",
             "arguments", "id", "index", "usage", "error", "finish_reason", "prompt_tokens"]
        ), inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSONISH)
@settings(max_examples=150, deadline=None)
def test_any_json_is_a_reply_or_a_wire_error(data: Any) -> None:
    text = json.dumps(data)
    for sent in (text, f"data: {text}\n\ndata: [DONE]\n", json.dumps({"choices": [data]}),
                 json.dumps({"choices": [{"message": data}]})):  # fmt: skip
        try:
            message = _read(sent.encode())
        except WireError:
            continue
        str(message.content).encode()


def test_calls_that_share_index_0_under_their_own_ids() -> None:
    message = _read(
        _event(tool_calls=[_called('{"a": 1}', index=0, id="x")]),
        _event(tool_calls=[_called('{"a": 2}', index=0, id="y")]),
        _event("tool_calls"),
    )
    assert [call["args"] for call in message.tool_calls] == [{"a": 1}, {"a": 2}]


def test_calls_without_index_or_id() -> None:
    message = _read(
        _event(tool_calls=[_called('{"a": 1}'), _called('{"a": 2}')]),
        _event(tool_calls=[_called('{"a": 3}')]),
        _event("tool_calls"),
    )
    assert [call["args"]["a"] for call in message.tool_calls] == [1, 2, 3]


def test_a_name_and_id_repeated_with_every_piece() -> None:
    message = _read(
        _event(tool_calls=[_called('{"a":', index=0, id="x")]),
        _event(tool_calls=[_called(" 1}", index=0, id="x")]),
        _event("tool_calls"),
    )
    (call,) = message.tool_calls
    assert (call["name"], call["args"], call["id"]) == ("zoom", {"a": 1}, "x")


def test_two_calls_of_one_id_stay_two() -> None:
    message = _read(
        _event(tool_calls=[_called('{"a": 1}', index=0, id="x")]),
        _event(tool_calls=[_called('{"a": 2}', index=1, id="x")]),
        _event("tool_calls"),
    )
    assert [call["args"]["a"] for call in message.tool_calls] == [1, 2]


def test_arguments_as_an_object() -> None:
    call = {"function": {"name": "zoom", "arguments": {"a": 1}}}
    body = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    assert _read(json.dumps(body).encode()).tool_calls[0]["args"] == {"a": 1}


@pytest.mark.parametrize("arguments", ['{"a": NaN}', '{"a": 1', "[1]", '"{}"', '{"a": 1} {"b": 2}'])
def test_arguments_are_never_guessed(arguments: str) -> None:
    message = _read(_event(tool_calls=[_called(arguments, index=0)]), _event("tool_calls"))
    assert not message.tool_calls
    assert message.invalid_tool_calls[0]["args"] == arguments


def test_half_characters_are_replaced_and_pairs_joined() -> None:
    body = r'{"choices": [{"message": {"content": "a\ud83d b\ud83d\ude00"}, "finish_reason": "x"}]}'
    assert _read(body.encode()).content == "a\ufffd b\U0001f600"
    call = _read(_event(tool_calls=[_called(r'{"a": "\udc00"}', index=0)]), _event("tool_calls"))
    assert call.tool_calls[0]["args"] == {"a": "\ufffd"}


def test_usage_that_is_none() -> None:
    for usage in ({"prompt_tokens": -5}, {"prompt_tokens": "many"}, [1], {"prompt_tokens": 1e3}):
        body = {"choices": [{"message": {"content": "x"}}], "usage": usage}
        assert _read(json.dumps(body).encode()).usage_metadata is None


def test_nothing_is_read_without_end() -> None:
    def endless() -> Any:
        while True:
            yield b"x" * 1_000_000

    with pytest.raises(WireError, match=str(REPLY_BYTES)):
        list(read_reply(endless()))


def test_a_code_within_the_stream_is_a_status() -> None:
    with pytest.raises(WireError, match="too long") as caught:
        _read(b'data: {"error": {"message": "too long", "code": "400"}}\n\n')
    assert caught.value.status_code == 400
