"""A loopback server of the OpenAI chat protocol that replies, and misbehaves, as it is told.

    with OpenAIStub([says("hello"), calls(Call("zoom", {"photo_id": "p"})), fails(500)]) as stub:
        settings = stub.settings(retries=2)         # ModelSettings that point at it
        ...
        stub.bodies[0]["messages"]                  # what was asked, request by request

The script is a list of `Behaviour`s, one for each chat request in order of arrival (the last one
repeats), or a function from the request's body and its number (from 0) to a `Behaviour`. Without a
script every request is answered from its own schema: a call of each required tool with the
smallest valid arguments, JSON that fits `response_format`, or "ok".

Requests of the capability probe (`agent.probe.MARK`) are kept apart: they are answered from their
own schema (or by `on_probe`), recorded in `probes`, and take nothing from the script.

Helpers: `says` (text), `calls` (tool calls), `thinks` (reasoning), `fails` (HTTP error),
`rate_limited`, `overflows`, `refuses_images`, `refuses_tools`, `refuses_part`, `dies` (cut in the
middle), `hangs` (silent for ever), `raw` (bytes as they are). `MALFORMATIONS` names every kind of
broken reply, each a `Behaviour` that any request may meet.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from agent.model_settings import ModelSettings
from agent.probe import MARK

MODEL = "stub-vl"
API_KEY = "sk-correct-horse-battery"
HANG_S = 60.0
"""Silence ends then, or when the stub stops."""


@dataclass(frozen=True)
class Call:
    """One tool call as it is sent; `arguments` as text goes over the wire unchanged."""

    name: str
    arguments: Mapping[str, Any] | str
    id: str | None = None
    """None makes one; an empty string sends none."""

    @property
    def text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


@dataclass(frozen=True)
class Behaviour:
    """What one request meets.

    Attributes:
        thinking: reasoning, sent before the text as `thinking_as` says.
        finish: finish reason; None takes the one that fits, an empty string sends none.
        model: another model's name.
        usage: whether tokens are counted.
        whole: answer in one piece although a stream was asked for.
        status: other than 200 sends `body` as an error.
        delay_s: before the first byte; `token_s` before every piece.
        dies_after: pieces after which the connection is cut.
        hangs_after: pieces after which it is silent.
        keepalive: comments are sent during the silence.
        endless: pieces are repeated until the client hangs up.
        same_index: all calls carry index 0; `no_index`: none carries one.
        raw_body: sent as it is, instead of a reply.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    thinking_as: Literal["reasoning_content", "reasoning", "tags"] = "reasoning_content"
    refusal: str = ""
    finish: str | None = None
    model: str = MODEL
    usage: bool = True
    whole: bool = False
    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0
    token_s: float = 0.0
    dies_after: int | None = None
    hangs_after: int | None = None
    keepalive: bool = False
    endless: bool = False
    same_index: bool = False
    no_index: bool = False
    raw_body: bytes | None = None
    content_type: str = "text/event-stream"

    @property
    def finish_reason(self) -> str:
        if self.finish is not None:
            return self.finish
        return "tool_calls" if self.calls else "stop"


Script = Sequence[Behaviour] | Callable[[dict[str, Any], int], Behaviour]


def says(text: str, **more: Any) -> Behaviour:
    """Return a reply of text."""
    return Behaviour(text=text, **more)


def calls(*made: Call, **more: Any) -> Behaviour:
    """Return a reply that calls tools."""
    return Behaviour(calls=made, **more)


def thinks(thinking: str, text: str = "", **more: Any) -> Behaviour:
    """Return a reply with reasoning before its text."""
    return Behaviour(thinking=thinking, text=text, **more)


def fails(status: int, message: str = "something broke", **more: Any) -> Behaviour:
    """Return an HTTP error in OpenAI's form."""
    error = {"message": message, "type": "error", "param": None, "code": status}
    return Behaviour(status=status, body={"error": error}, **more)


def rate_limited(retry_after: str = "0.05") -> Behaviour:
    """Return a 429 that says how long to wait: seconds, or an HTTP date."""
    return fails(429, "Rate limit reached", headers=(("Retry-After", retry_after),))


def overflows(limit: int = 4096) -> Behaviour:
    """Return vLLM's refusal of what is longer than the context."""
    return fails(
        400,
        f"This model's maximum context length is {limit} tokens. However, your request has "
        f"{limit + 100} input tokens. Please reduce the length of the input messages.",
    )


def refuses_images() -> Behaviour:
    """Return vLLM's refusal of images by a model without eyes."""
    return fails(400, f"{MODEL} is not a multimodal model")


def refuses_tools() -> Behaviour:
    """Return vLLM's refusal of tools where no parser was chosen."""
    return fails(
        400,
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    )


def refuses_part(part: str) -> Behaviour:
    """Return a refusal of one parameter of the request."""
    return fails(400, f"Unsupported parameter: '{part}' is not supported with this model.")


def dies(after: int = 2, text: str = "a reply that is never finished") -> Behaviour:
    """Return a reply whose connection is cut after some pieces."""
    return Behaviour(text=text, dies_after=after)


def hangs(
    after: int = 0, text: str = "a reply that stops", *, keepalive: bool = False
) -> Behaviour:
    """Return a reply that falls silent after some pieces, with comments if `keepalive`."""
    return Behaviour(text="a reply that stops", hangs_after=after, keepalive=keepalive)


def raw(body: bytes, content_type: str = "text/event-stream") -> Behaviour:
    """Return bytes in place of a reply."""
    return Behaviour(raw_body=body, content_type=content_type)


def _event(**delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return b"data: " + json.dumps({"model": MODEL, "choices": [choice]}).encode() + b"\n\n"


_CALL = Call("search_places", {"name": "Lyon"})
_HERE = '{"latitude": 45.76, "longitude": 4.84, "place": "Lyon"}'

MALFORMATIONS: list[tuple[str, Behaviour]] = [
    ("empty reply", says("")),
    ("only white space", says(" \n\n ")),
    ("fenced json", says(f"```json\n{_HERE}\n```")),
    ("prose around json", says(f"Looking at it I would say {_HERE}. That is my answer.")),
    ("coordinates as text", says('{"latitude": "45.76° N", "longitude": "4,84"}')),
    ("degrees and minutes", says("It is at 45°45'50\"N 4°50'10\"E, in Lyon.")),
    ("null island", says('{"latitude": 0, "longitude": 0}')),
    ("latitude out of range", says('{"latitude": 97.1, "longitude": 4.84}')),
    ("not a number", says('{"latitude": NaN, "longitude": Infinity}')),
    ("placeholder values", says('{"latitude": <latitude>, "longitude": <longitude>}')),
    ("refusal in words", says("I'm sorry, but I can't help identify where this was taken.")),
    ("refusal field", Behaviour(refusal="I can't help with that.")),
    ("content filter", says("It looks like", finish="content_filter")),
    ("cut at the limit", says('{"latitude": 45.76, "longi', finish="length")),
    ("calls without calls", says(
        '<tool_call>{"name": "search_places", "arguments": {"name": "Ly\non"}}</tool_call>',
        finish="tool_calls",
    )),
    ("call as json text", says('{"name": "search_places", "arguments": {"name": "Lyon"}}')),
    ("call in tags", says(
        '<tool_call>\n{"name": "search_places", "arguments": {"name": "Lyon"}}\n</tool_call>'
    )),
    ("unknown tool", calls(Call("launch_rocket", {"to": "moon"}))),
    ("no tool name", calls(Call("", {"name": "Lyon"}))),
    ("wrong types", calls(Call("search_places", {"name": ["Lyon"], "limit": "many"}))),
    ("unknown arguments", calls(Call("search_places", {"name": "Lyon", "colour": "blue"}))),
    ("missing arguments", calls(Call("search_places", {}))),
    ("arguments cut off", calls(Call("search_places", '{"name": "Ly'), finish="length")),
    ("arguments not json", calls(Call("search_places", "name=Lyon"))),
    ("arguments twice encoded", calls(Call("search_places", json.dumps('{"name": "Lyon"}')))),
    ("arguments a list", calls(Call("search_places", '["Lyon"]'))),
    ("arguments not a number", calls(Call("measure", '{"points": [[NaN, Infinity]]}'))),
    ("arguments empty", calls(Call("search_places", ""))),
    ("control characters", calls(Call("search_places", '{"name": "Ly\x01on"}'))),
    ("half a character", calls(Call("search_places", '{"name": "Ly\\ud83d"}'))),
    ("repeated calls", calls(_CALL, _CALL, _CALL)),
    ("too many calls", calls(*[Call("search_places", {"name": f"Town {n}"}) for n in range(40)])),
    ("calls of one id", calls(_same := replace(_CALL, id="same"), _same)),
    ("calls of one index", calls(_CALL, Call("search_places", {"name": "Paris"}), same_index=True)),
    ("calls without index", calls(_CALL, Call("search_places", {"name": "Paris"}), no_index=True)),
    ("calls without id", calls(replace(_CALL, id=""))),
    ("commit without evidence", calls(Call(
        "commit_location", {"evidence_ids": ["e000000000"], "reason": "I know it."}
    ))),
    ("endless thinking", Behaviour(thinking="hmm ", endless=True, token_s=0.002)),
    ("endless thinking in tags", Behaviour(
        thinking="hmm ", thinking_as="tags", endless=True, token_s=0.002
    )),
    ("thinking only", thinks("It may be Lyon.", finish="length")),
    ("thinking not closed", says("<think>It may be Lyon. The river")),
    ("endless text", Behaviour(text="and then ", endless=True, token_s=0.002)),
    ("another model", says("ok", model="somebody-else")),
    ("no usage", says("ok", usage=False)),
    ("no finish reason", says("ok", finish="")),
    ("whole though streamed", says("ok", whole=True)),
    ("error in the stream", raw(
        b'data: {"error": {"message": "the engine is dead", "code": 500}}\n\ndata: [DONE]\n\n'
    )),
    ("dies at once", dies(0)),
    ("dies in the middle", dies(2)),
    ("ends without an end", raw(_event(content="half a re"))),
    ("silent from the start", hangs(0)),
    ("silent in the middle", hangs(2)),
    ("kept alive for ever", hangs(2, keepalive=True)),
    ("garbage bytes", raw(bytes(range(256)) * 4)),
    ("broken events", raw(b'data: {"choices": [{"delta"\n\ndata: [DONE]\n\n')),
    ("html", raw(b"<html><body>Bad gateway</body></html>", "text/html")),
    ("nothing at all", raw(b"")),
    ("only done", raw(b"data: [DONE]\n\n")),
    ("choices null", raw(b'{"choices": null}', "application/json")),
    ("choices of strings", raw(b'{"choices": ["yes"]}', "application/json")),
    ("calls of strings", raw(
        _event(tool_calls=["search_places"]) + b'data: {"choices": [{"delta": {}, '
        b'"finish_reason": "tool_calls"}]}\n\ndata: [DONE]\n\n'
    )),
    ("content of numbers", raw(_event(content=42) + b"data: [DONE]\n\n")),
    ("rate limit", rate_limited()),
    ("server error", fails(500)),
    ("overloaded", fails(503, "overloaded", headers=(("Retry-After", "0.05"),))),
    ("context too long", overflows()),
    ("images refused", refuses_images()),
    ("tools refused", refuses_tools()),
    ("schema refused", refuses_part("response_format")),
    ("key refused", fails(401, f"Incorrect API key provided: {API_KEY}")),
    ("unknown model", fails(404, "The model `x` does not exist.")),
]  # fmt: skip
"""Every kind of reply that a run must survive: name and behaviour."""


class OpenAIStub:
    """The server; a context manager. `url` ends in `/v1`."""

    def __init__(
        self,
        script: Script = (),
        *,
        models: Sequence[str] = (MODEL,),
        context_tokens: int | None = 8192,
        api_key: str = "",
        on_probe: Callable[[dict[str, Any]], Behaviour] | None = None,
    ) -> None:
        self.script, self.on_probe, self.api_key = script, on_probe, api_key
        self.models, self.context_tokens = models, context_tokens
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.probes: list[dict[str, Any]] = []
        self.lists = 0
        self.hung_up = 0
        """Replies whose client went away before their end."""
        self.busiest = 0
        """Most chat requests at one time."""
        self._busy = 0
        self._lock, self._stopped = threading.Lock(), threading.Event()
        stub = self

        class Handler(_Handler):
            owner = stub

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hung up is what the tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def settings(self, **more: Any) -> ModelSettings:
        """Return settings that point here."""
        given: dict[str, Any] = {"url": self.url, "name": MODEL, "timeout_s": 5.0, **more}
        return ModelSettings.model_validate(given)

    def __enter__(self) -> Self:
        serve = self._server.serve_forever
        threading.Thread(target=serve, args=(0.02,), daemon=True, name="openai-stub").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def behaviour(self, body: dict[str, Any], headers: dict[str, str]) -> Behaviour:
        """Return what this request meets, and record it."""
        if MARK in json.dumps(body.get("messages")):
            with self._lock:
                self.probes.append(body)
            return self.on_probe(body) if self.on_probe else obedient(body)
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.headers.append(headers)
        if callable(self.script):
            return self.script(body, number)
        return self.script[min(number, len(self.script) - 1)] if self.script else obedient(body)

    @contextlib.contextmanager
    def counted(self) -> Any:
        """Count the chat requests that run."""
        with self._lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    def silence(self) -> None:
        """Wait until the stub stops."""
        self._stopped.wait(HANG_S)


def obedient(body: dict[str, Any]) -> Behaviour:
    """Return the reply that a request asks for by its own schema."""
    if tools := body.get("tools"):
        made = [
            Call(tool["function"]["name"], smallest(tool["function"].get("parameters") or {}))
            for tool in tools
        ]
        return calls(*(made if body.get("parallel_tool_calls") else made[:1]))
    wanted = body.get("response_format") or {}
    if schema := wanted.get("json_schema"):
        return says(json.dumps(smallest(schema["schema"])))
    return says("ok")


def smallest(schema: Mapping[str, Any]) -> Any:
    """Return a small value that fits a JSON schema: enough for tools of ours."""
    if "enum" in schema or "const" in schema:
        return schema["enum"][0] if "enum" in schema else schema["const"]
    for union in ("anyOf", "oneOf", "allOf"):
        if options := schema.get(union):
            return smallest(options[0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        parts = schema.get("properties", {})
        return {name: smallest(parts.get(name, {})) for name in schema.get("required", ())}
    if kind == "array":
        return [smallest(schema.get("items", {}))] * int(schema.get("minItems", 0))
    if kind in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        return least + 1 if "exclusiveMinimum" in schema else least
    return {"boolean": False, "null": None}.get(str(kind), "a" * int(schema.get("minLength", 1)))


class _Handler(BaseHTTPRequestHandler):
    owner: OpenAIStub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Tests print enough."""

    def do_GET(self) -> None:
        if not self._allowed():
            return
        if self.path != "/v1/models":
            return self._json(404, {"detail": "Not Found"})
        self.owner.lists += 1
        length = self.owner.context_tokens
        more = {"max_model_len": length} if length else {}
        rows = [{"id": name, "object": "model", **more} for name in self.owner.models]
        self._json(200, {"object": "list", "data": rows})

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._allowed():
            return
        if self.path != "/v1/chat/completions":
            return self._json(404, {"detail": "Not Found"})
        body = json.loads(data)
        told = self.owner.behaviour(body, {k.lower(): v for k, v in self.headers.items()})
        with self.owner.counted():
            try:
                self._answer(told, body)
            except (BrokenPipeError, ConnectionResetError):
                self.owner.hung_up += 1
                self.close_connection = True

    def _allowed(self) -> bool:
        if self.owner.api_key and self.headers.get("Authorization") != (
            f"Bearer {self.owner.api_key}"
        ):
            self._json(401, {"error": {"message": "Incorrect API key provided", "code": 401}})
            return False
        return True

    def _answer(self, told: Behaviour, body: dict[str, Any]) -> None:
        time.sleep(told.delay_s)
        if told.status != 200:
            self._json(told.status, told.body, told.headers)
        elif told.raw_body is not None:
            self._send(200, told.raw_body, told.content_type, told.headers)
        elif told.whole or not body.get("stream"):
            self._whole(told)
        else:
            self._stream(told, body)

    def _whole(self, told: Behaviour) -> None:
        if told.hangs_after is not None or told.endless:
            return self.owner.silence()
        if told.dies_after is not None:
            return self._cut()
        text, message = told.text, {"role": "assistant"}
        if told.thinking and told.thinking_as == "tags":
            text = f"<think>{told.thinking}</think>{text}"
        elif told.thinking:
            message[told.thinking_as] = told.thinking
        listed = [_call(call, n, told) for n, call in enumerate(told.calls)]
        full: dict[str, Any] = {**message, "content": text or None, "tool_calls": listed}
        if told.refusal:
            full["refusal"] = told.refusal
        choice = {"index": 0, "message": full, "finish_reason": told.finish_reason or None}
        usage = {"usage": _usage(told)} if told.usage else {}
        self._json(200, {"model": told.model, "choices": [choice], **usage})

    def _stream(self, told: Behaviour, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, delta in enumerate(_deltas(told)):
            if number == told.dies_after:
                return self._cut()
            if number == told.hangs_after:
                return self._silence(told)
            time.sleep(told.token_s)
            self._piece(told, {"index": 0, "delta": delta, "finish_reason": None})
        if told.finish_reason:
            self._piece(told, {"index": 0, "delta": {}, "finish_reason": told.finish_reason})
        if told.usage and (body.get("stream_options") or {}).get("include_usage"):
            self._data({"model": told.model, "choices": [], "usage": _usage(told)})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _piece(self, told: Behaviour, choice: dict[str, Any]) -> None:
        self._data({"id": "chatcmpl-1", "model": told.model, "choices": [choice]})

    def _data(self, data: dict[str, Any]) -> None:
        self._chunk(b"data: " + json.dumps(data).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _silence(self, told: Behaviour) -> None:
        ends = time.monotonic() + HANG_S
        while told.keepalive and time.monotonic() < ends and not self.owner._stopped.is_set():
            self._chunk(b": still here\n\n")
            time.sleep(0.02)
        if not told.keepalive:
            self.owner.silence()
        self.close_connection = True

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def _json(self, status: int, data: Any, headers: Sequence[tuple[str, str]] = ()) -> None:
        self._send(status, json.dumps(data).encode(), "application/json", headers)

    def _send(
        self, status: int, data: bytes, kind: str, headers: Sequence[tuple[str, str]]
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _deltas(told: Behaviour) -> Any:
    """Yield the pieces of a reply, for ever where it is endless."""
    yield {"role": "assistant", "content": ""}
    if told.thinking_as == "tags" and told.thinking:
        yield {"content": "<think>"}
    field = "content" if told.thinking_as == "tags" else told.thinking_as
    while told.endless:
        yield {field: told.thinking} if told.thinking else {"content": told.text}
    for piece in _words(told.thinking):
        yield {field: piece}
    if told.thinking_as == "tags" and told.thinking:
        yield {"content": "</think>"}
    for piece in _words(told.text):
        yield {"content": piece}
    for piece in _words(told.refusal):
        yield {"refusal": piece}
    for number, call in enumerate(told.calls):
        yield from _call_deltas(call, number, told)


def _call_deltas(call: Call, number: int, told: Behaviour) -> Any:
    if told.no_index:  # servers that leave it out send calls whole
        whole = _call(call, number, told)
        yield {"tool_calls": [{k: v for k, v in whole.items() if k != "index"}]}
        return
    half = len(call.text) // 2
    first = _call(replace(call, arguments=call.text[:half]), number, told)
    yield {"tool_calls": [first]}
    rest = {"arguments": call.text[half:]}
    yield {"tool_calls": [{"index": first["index"], "function": rest}]}


def _call(call: Call, number: int, told: Behaviour) -> dict[str, Any]:
    id_ = f"call_{number}" if call.id is None else call.id
    named = {"id": id_} if id_ else {}
    function = {"name": call.name, "arguments": call.text}
    index = 0 if told.same_index else number
    return {"index": index, "type": "function", "function": function, **named}


def _words(text: str) -> list[str]:
    """Return text cut after its spaces."""
    return [word + " " for word in text.split(" ")[:-1]] + [w for w in text.split(" ")[-1:] if w]


def _usage(told: Behaviour) -> dict[str, int]:
    out = len(_words(told.text)) + len(_words(told.thinking)) + 10 * len(told.calls)
    return {"prompt_tokens": 100, "completion_tokens": out, "total_tokens": 100 + out}
