"""What `make test-vllm` leans on: it must be able to fail, and to stop what it started."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from pydantic import JsonValue

from agent.trace import Event, EventKind, Trace, read_trace
from geo.errors import UnavailableError
from tests.vllm import server
from tests.vllm.environment import ensure_environment, is_ready
from tests.vllm.judge import hear, troubles, troubles_of, unaccounted
from tests.vllm.wiretap import Exchange, tapped

CALL: dict[str, JsonValue] = {"purpose": "decide", "tools": ["zoom"], "schema": False}
GOOD: list[JsonValue] = [{"id": "c1", "name": "zoom", "args": {"left": 1}}]


def reply(calls: list[JsonValue], text: str = "") -> dict[str, JsonValue]:
    return {"purpose": "decide", "text": text, "tool_calls": calls}


def events(tmp_path: Path, *told: tuple[EventKind, dict[str, JsonValue]]) -> list[Event]:
    with Trace(tmp_path / "trace.jsonl") as trace:
        for kind, data in told:
            trace.append(kind, data)
    return list(read_trace(tmp_path / "trace.jsonl"))


@pytest.mark.parametrize(
    ("calls", "text", "schema", "wrong"),
    [
        ([("zoom", {"left": 1})], "", False, ""),
        ([("zoom", '{"left": 1}')], "look:", False, ""),
        ([], "<tool_call>", False, "no tool call"),
        ([("fly", {})], "", False, "no tool 'fly'"),
        ([("zoom", '{"left": ')], "", False, "no JSON object"),
        ([("zoom", [1])], "", False, "no JSON object"),
        ([("zoom", {})], "not JSON", True, "no JSON object: 'not JSON'"),
    ],
)
def test_the_judge_sees_what_is_wrong_with_a_reply(
    calls: list[tuple[str, object]], text: str, schema: bool, wrong: str
) -> None:
    found = troubles(text, calls, ["zoom"], schema=schema)
    assert (wrong in found[0]) if wrong else (found == [])


def test_a_troubled_reply_without_an_account_is_found(tmp_path: Path) -> None:
    told: list[tuple[EventKind, dict[str, JsonValue]]] = [
        ("model_call", CALL), ("model_reply", reply(GOOD)),
        ("model_call", CALL), ("model_reply", reply([], "far too long")),
    ]  # fmt: skip
    assert unaccounted(events(tmp_path, *told)) == ["decide: 1 troubled replies, 0 accounted for"]
    elsewhere: dict[str, JsonValue] = {"purpose": "prior", "kind": "empty"}
    assert unaccounted(events(tmp_path, *told, ("malformed", elsewhere)))
    here: dict[str, JsonValue] = {"purpose": "decide", "kind": "empty"}
    assert unaccounted(events(tmp_path, *told, ("malformed", here))) == []


def test_a_streamed_reply_is_put_together_as_it_came() -> None:
    pieces = [
        {"choices": [{"delta": {"role": "assistant", "content": "I "}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "zoom"}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}}]},
        {"choices": [{"delta": {}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}},
    ]
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"
    request: dict[str, Any] = {"tools": [{"function": {"name": "zoom"}}]}
    exchange = Exchange("/v1/chat/completions", request, 200, "text/event-stream", body.encode())
    heard = hear(exchange)
    assert (heard.text, heard.calls, heard.finish) == ("I ", [["zoom", "{"]], "length")
    assert (heard.tokens, heard.pieces) == ((7, 5), 5)
    assert troubles_of(exchange) == ["zoom: arguments are no JSON object: '{'"]


class Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(418)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_the_tap_passes_on_what_it_keeps() -> None:
    upstream = HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    body = json.dumps({"model": "m"}).encode()
    try:
        with tapped(f"http://127.0.0.1:{upstream.server_address[1]}/v1") as tap:
            request = Request(tap.url + "/chat/completions", data=body, method="POST")
            with pytest.raises(OSError, match="418") as caught:
                urlopen(request, timeout=10)
            assert caught.value.read() == body[::-1]  # type: ignore[attr-defined]
            (seen,) = tap.chats()
    finally:
        upstream.shutdown()
        upstream.server_close()
    assert (seen.request, seen.status, seen.reply) == ({"model": "m"}, 418, body[::-1])
    assert seen.path == "/v1/chat/completions"


def test_a_server_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    with (
        pytest.raises(UnavailableError, match=r"ended with \d+.*No module named|vllm"),
        server.serving(Path(sys.executable), tmp_path, tmp_path / "log", print),
    ):
        pytest.fail("it cannot be served here")


def test_a_server_is_stopped_with_its_children_even_if_it_will_not(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "os.write(1, b'%d\\n' % os.getpid())\n"  # in one piece: both write here
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    numbers = [int(process.stdout.readline()) for _ in range(2)]
    server.stop(process, patience_s=0.3)
    assert process.returncode == -9
    process.stdout.read()  # ends only when nobody holds its other end: the child is gone, too
    process.stdout.close()
    assert len(set(numbers)) == 2


def test_an_environment_that_cannot_be_made_says_what_the_installer_said(tmp_path: Path) -> None:
    assert not is_ready(tmp_path / "bin" / "python")
    assert not is_ready(Path(sys.executable)), "the server has an environment of its own"
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="ended with 1"):
        ensure_environment(tmp_path / "file", print)
