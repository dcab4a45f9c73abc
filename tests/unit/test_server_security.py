"""The doors: names, origins, keys, rates; and bodies before any route sees them."""

import asyncio
import base64
import errno
import json
import stat
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Message

from agent.factors import Settlements
from agent.settings import Settings
from agent.trace import Trace
from cli.main import main
from geo.errors import ConfigError, InputError, UnavailableError
from server.security import DEFAULT_HEADERS, check_binding
from server.security_keys import KeyRing
from server.security_rates import Rates
from tests.unit.server_samples import JPEG, PHOTO, Served, refused, serving

REBOUND = {"host": "evil.example"}


@pytest.fixture
async def served(tmp_path: Path, settlements: Settlements) -> AsyncIterator[Served]:
    async with serving(
        tmp_path, settlements, hosts=("geo.example",), origins=("https://chat.example",),
        body_bytes=100_000, memory_bytes=400_000,
    ) as found:  # fmt: skip
        yield found


# Names


async def test_only_names_of_this_server_are_answered(served: Served) -> None:
    for host in (
        "localhost",
        "localhost:8123",
        "127.0.0.1",
        "[::1]:9",
        "GEO.example",
        "geo.example.:80",
    ):
        assert (await served.http.get("/health", headers={"host": host})).status_code == 200, host
    for host in (
        "evil.example", "localhost.evil.example", "", "10.0.0.1", "a@localhost", "localhost/x",
        "xlocalhost", "[", "127.0.0.1.evil.example", "ｌocalhost",
    ):  # fmt: skip
        reply = await served.http.get("/health", headers=[(b"host", host.encode())])
        assert "GRATICULE_SERVER__HOSTS" in refused(reply, 421, "unknown_host")["detail"]


async def test_an_address_stands_for_a_name_where_there_are_keys(served: Served) -> None:
    refused(await served.http.get("/health", headers={"host": "10.0.0.1"}), 421)
    KeyRing(served.sessions.settings.home).create("bob")
    assert (await served.http.get("/health", headers={"host": "10.0.0.1"})).status_code == 200
    refused(await served.http.get("/health", headers=REBOUND), 421)


# Origins


async def test_pages_from_elsewhere_are_refused(served: Served) -> None:
    for origin in (
        "https://evil.example", "null", "http://localhost:3000", "http://geo.example.evil",
        "file://", "https://chat.example.evil", "http://chat.example", "",
    ):  # fmt: skip
        for method, path in (
            ("POST", "/v1/locate"),
            ("GET", "/v1/sessions"),
            ("OPTIONS", "/v1/locate"),
        ):
            reply = await served.http.request(method, path, headers={"origin": origin})
            if origin or method != "GET":
                refused(reply, 403, "foreign_origin")
            assert "access-control-allow-origin" not in reply.headers
    embedded = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    refused(await served.http.get("/v1/sessions", headers=embedded), 403, "foreign_origin")
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert (await served.http.get("/v1/sessions", headers=followed)).status_code == 200


async def test_this_server_and_configured_pages_may_call(served: Served) -> None:
    same = await served.http.get("/v1/sessions", headers={"origin": "http://localhost"})
    assert same.status_code == 200
    assert "access-control-allow-origin" not in same.headers
    page = {"origin": "https://chat.example"}
    asked = await served.http.options(
        "/v1/locate", headers={**page, "access-control-request-method": "POST",
                               "access-control-request-headers": "x-api-key"},
    )  # fmt: skip
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == "https://chat.example"
    assert "x-api-key" in asked.headers["access-control-allow-headers"]
    reply = await served.http.get("/v1/sessions/x", headers=page)
    refused(reply, 404)
    assert reply.headers["access-control-allow-origin"] == "https://chat.example"
    assert "access-control-allow-credentials" not in reply.headers


async def opened(served: Served, **headers: str) -> str:
    """Return what becomes of a websocket: `closed`, or that it reached the application."""
    sent: list[Message] = []
    scope: dict[str, Any] = {
        "type": "websocket", "path": "/_ws/socket.io/", "raw_path": b"", "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode())
                    for name, value in {"host": "localhost", **headers}.items()],
        "client": ("127.0.0.1", 1), "server": ("localhost", 80), "scheme": "ws", "subprotocols": [],
        "root_path": "", "app": served.app,
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await served.app(scope, receive, send)
    return f"{sent[0]['type']} {sent[0].get('reason', '')}"


async def test_websockets_pass_the_same_doors(served: Served) -> None:
    assert "may not call" not in await opened(served)
    assert "may not call" in await opened(served, origin="https://evil.example")
    assert "not called" in await opened(served, host="evil.example")
    key = KeyRing(served.sessions.settings.home).create("bob")[1]
    assert "no key" in await opened(served)
    basic = base64.b64encode(f"bob:{key}".encode()).decode()
    assert "no key" not in await opened(served, authorization=f"Basic {basic}")


# Keys


async def test_a_key_is_needed_once_there_is_one(served: Served) -> None:
    http, ring = served.http, KeyRing(served.sessions.settings.home)
    assert (await http.get("/v1/sessions")).status_code == 200
    _, token = ring.create("bob")
    reply = await http.get("/v1/sessions")
    refused(reply, 401, "no_key")
    assert reply.headers["www-authenticate"] == "Bearer"
    page = await http.get("/v1/sessions", headers={"accept": "text/html"})
    assert page.headers["www-authenticate"].startswith("Basic ")
    basic = base64.b64encode(f"x:{token}".encode()).decode()
    for headers in (
        {"x-api-key": token}, {"authorization": f"Bearer {token}"},
        {"authorization": f"bearer  {token}"}, {"authorization": f"Basic {basic}"},
    ):  # fmt: skip
        assert (await http.get("/v1/sessions", headers=headers)).status_code == 200, headers
    for headers in (
        {"x-api-key": token[:-1]}, {"x-api-key": token + "x"}, {"authorization": "Bearer"},
        {"authorization": "Basic ???"}, {"authorization": token}, {"cookie": token},
        {"x-api-key": "graticule_"},
    ):  # fmt: skip
        refused(await http.get("/v1/sessions", headers=headers), 401)
    refused(await http.get("/v1/sessions", params={"key": token}), 401)
    for path in ("/health", "/ready"):
        assert (await http.get(path)).status_code in (200, 503)
    ring.revoke("bob")
    assert (await http.get("/v1/sessions")).status_code == 200


async def test_what_a_key_may_do(served: Served) -> None:
    ring = KeyRing(served.sessions.settings.home)
    read, write, operate = (
        {"x-api-key": ring.create(one, scopes=(one,))[1]} for one in ("read", "write", "operate")
    )
    http = served.http
    assert (await http.get("/v1/sessions", headers=read)).status_code == 200
    detail = refused(await http.post("/v1/locate", headers=read), 403, "scope")["detail"]
    assert "read" in detail
    refused(await http.get("/v1/sessions", headers=write), 403)
    refused(await http.get("/metrics", headers=read), 403)
    assert (await http.get("/metrics", headers=operate)).status_code == 200


async def test_other_machines_need_a_key(tmp_path: Path, settlements: Settlements) -> None:
    async with serving(tmp_path, settlements, address="192.0.2.7") as served:
        refused(await served.http.get("/v1/sessions"), 403, "no_keys")
        token = KeyRing(tmp_path).create("bob")[1]
        assert (
            await served.http.get("/v1/sessions", headers={"x-api-key": token})
        ).status_code == 200


def test_other_machines_are_not_let_in_at_start(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert check_binding("127.0.0.1", settings)
    assert check_binding("::1", settings)
    assert check_binding("localhost", settings)
    for host in ("0.0.0.0", "::", "192.0.2.7", "geo.example", ""):
        with pytest.raises(InputError, match="keys create"):
            check_binding(host, settings)
    KeyRing(tmp_path).create("bob")
    assert not check_binding("0.0.0.0", settings)


def test_keys_are_kept_as_hashes(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    key, token = ring.create("bob", rate_per_minute=5, body_bytes=7)
    text = ring.path.read_text()
    assert token not in text
    assert token.removeprefix("graticule_") not in text
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o600
    assert KeyRing(tmp_path).find(token) == key
    assert ring.find(token.upper()) is None
    assert ring.find("") is None
    assert ring.find("\udcff") is None
    with pytest.raises(InputError, match="already"):
        ring.create(" bob ")
    with pytest.raises(InputError, match="needs a name"):
        ring.create(" ")
    with pytest.raises(InputError, match="no key"):
        ring.revoke(token)
    other = ring.create("al")[1]
    assert ring.revoke(key.id) == key
    assert ring.find(token) is None
    assert ring.find(other)
    assert {path.name for path in tmp_path.iterdir()} == {"keys.json", "keys.lock"}


def test_keys_made_at_once_are_all_kept(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=KeyRing(tmp_path).create, args=(f"k{n}",)) for n in range(16)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(KeyRing(tmp_path).keys()) == 16


def test_a_damaged_file_of_keys_opens_nothing(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    ring.create("bob")
    whole = ring.path.read_text()
    for text in ("", "{", "[]", whole[:-20], whole.replace("sha256", "sha"), '{"keys": [1]}'):
        ring.path.write_text(text)
        with pytest.raises(ConfigError, match="restore it"):
            ring.keys()
    ring.path.write_text(whole)
    assert ring.keys()
    ring.path.chmod(0o666)
    with pytest.raises(ConfigError, match="chmod 600"):
        KeyRing(tmp_path).keys()


async def test_a_damaged_file_of_keys_lets_nobody_in(served: Served) -> None:
    (served.sessions.settings.home / "keys.json").write_text("{")
    refused(await served.http.get("/v1/sessions"), 500, "misconfigured")


def test_a_full_disk_keeps_the_keys_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing(tmp_path)
    token = ring.create("bob")[1]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UnavailableError, match="No space left"):
        ring.create("al")
    assert ring.find(token)
    assert {path.name for path in tmp_path.iterdir()} == {"keys.json", "keys.lock"}


def test_keys_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path))
    assert main(["keys", "create", "bob", "--scopes", "read", "--rate", "5"]) == 0
    told = capsys.readouterr()
    token = told.out.strip()
    assert token.startswith("graticule_")
    assert "shown this once" in told.err
    assert main(["keys", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["scopes"], row["rate_per_minute"]) == ("bob", ["read"], 5)
    assert "sha256" not in row
    assert main(["keys", "create", "al", "--scopes", "all"]) == 2
    assert main(["keys", "revoke", "bob"]) == 0
    assert main(["keys", "revoke", "bob"]) == 2
    assert "only this machine" in capsys.readouterr().err


# Rates


async def test_a_key_may_not_ask_too_often(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing(served.sessions.settings.home)
    bob, al = ({"x-api-key": ring.create(n, rate_per_minute=3)[1]} for n in ("bob", "al"))
    left = []
    for jump in (0.0, 1e6, -1e6):  # the wall clock jumps; rates do not notice
        monkeypatch.setattr(time, "time", lambda jump=jump: 1_700_000_000.0 + jump)
        reply = await served.http.get("/v1/sessions", headers=bob)
        assert reply.status_code == 200
        assert reply.headers["ratelimit-policy"] == '"key";q=3;w=60'
        left.append(reply.headers["ratelimit"].split(";")[1])
    assert left == ["r=2", "r=1", "r=0"]
    reply = await served.http.get("/v1/sessions", headers=bob)
    refused(reply, 429, "rate")
    assert 1 <= int(reply.headers["retry-after"]) <= 20
    assert (await served.http.get("/v1/sessions", headers=al)).status_code == 200


@given(st.integers(1, 1000), st.lists(st.floats(0, 90, allow_nan=False), max_size=60))
def test_a_bucket_never_gives_more_than_its_rate(rate: int, waits: list[float]) -> None:
    now = 0.0
    rates = Rates(lambda: now)
    given_at: list[float] = []
    for wait in waits:
        now += wait
        turn = rates.take("bob", rate)
        if turn.allowed:
            given_at.append(now)
        else:
            assert turn.wait_s >= 1
        assert 0 <= turn.left <= rate
    for begin in given_at:
        within = [at for at in given_at if begin <= at < begin + 60]
        assert len(within) <= 2 * rate  # what was saved up, and what came back meanwhile


def test_who_waits_as_told_is_served() -> None:
    now = 0.0
    rates = Rates(lambda: now)
    for _ in range(7):
        assert rates.take("bob", 7).allowed
    turn = rates.take("bob", 7)
    assert not turn.allowed
    now += turn.wait_s
    assert rates.take("bob", 7).allowed


# Bodies


async def slowly(*parts: bytes, wait_s: float = 0.0) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(wait_s)


async def test_large_bodies_are_refused_before_they_are_read(served: Served) -> None:
    declared = {**JPEG, "content-length": "100001"}
    refused(await served.http.post("/v1/locate", content=b"x", headers=declared), 413, "bad_body")
    chunked = slowly(*[b"x" * 30_000] * 5)
    refused(await served.http.post("/v1/locate", content=chunked, headers=JPEG), 413)
    assert served.sessions.search() == []


async def test_a_key_may_have_a_smaller_limit(served: Served) -> None:
    token = KeyRing(served.sessions.settings.home).create("bob", body_bytes=100)[1]
    reply = await served.http.post(
        "/v1/locate", content=b"x" * 101, headers={**JPEG, "x-api-key": token}
    )
    assert "limit 100" in refused(reply, 413)["detail"]


async def test_slow_bodies_are_not_waited_for(tmp_path: Path, settlements: Settlements) -> None:
    async with serving(tmp_path, settlements, receive_s=0.3) as served:
        began = time.monotonic()
        body = slowly(*[b"x"] * 100, wait_s=0.05)
        reply = await served.http.post("/v1/locate", content=body, headers=JPEG)
        assert "0.3 s" in refused(reply, 408)["detail"]
        assert reply.headers["connection"] == "close"
        assert time.monotonic() - began < 4


async def test_bodies_of_all_requests_share_their_memory(served: Served) -> None:
    going = [
        asyncio.create_task(
            served.http.post(
                "/v1/locate", content=slowly(b"x" * 90_000, b"x", wait_s=0.1), headers=JPEG
            )
        )
        for _ in range(6)
    ]
    found = [one.status_code for one in await asyncio.gather(*going)]
    assert set(found) == {422, 503}, found
    again = await served.http.post("/v1/locate", content=PHOTO, headers=JPEG)
    assert again.status_code == 200, "memory was not given back"


async def test_packed_bodies_are_not_unpacked(served: Served) -> None:
    reply = await served.http.post(
        "/v1/locate", content=b"\x1f\x8b", headers={**JPEG, "content-encoding": "gzip"}
    )
    refused(reply, 415, "encoded")


async def test_a_client_that_vanishes_leaves_nothing(served: Served) -> None:
    messages: Iterator[Message] = iter(
        [
            {"type": "http.request", "body": PHOTO[:100], "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Message] = []
    scope = {
        "type": "http", "method": "POST", "path": "/v1/locate", "raw_path": b"/v1/locate",
        "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1",
        "headers": [(b"host", b"localhost"), (b"content-type", b"image/jpeg"),
                    (b"content-length", b"5000")],
        "client": ("127.0.0.1", 1), "server": ("localhost", 80),
    }  # fmt: skip

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    await served.app(scope, receive, send)
    assert sent == []
    assert served.sessions.search() == []
    assert not (served.sessions.settings.home / "photos").exists()


async def test_streams_are_not_held_up(tmp_path: Path, settlements: Settlements) -> None:
    seen: list[float] = []

    def prepare(app: Any) -> None:
        async def slow(_: Request) -> StreamingResponse:
            return StreamingResponse(slowly(b"a", b"b", wait_s=0.05), media_type="text/plain")

        app.add_route("/slow", slow)

    async with serving(tmp_path, settlements, prepare=prepare) as served:

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                seen.append(time.monotonic())

        async def receive() -> Message:
            await asyncio.sleep(10)
            return {"type": "http.disconnect"}

        scope = {
            "type": "http", "method": "GET", "path": "/slow", "raw_path": b"/slow",
            "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1",
            "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
        }  # fmt: skip
        await served.app(scope, receive, send)
    assert seen[1] - seen[0] > 0.03


async def test_every_answer_carries_the_headers(served: Served) -> None:
    for reply in (
        await served.http.get("/health"),
        await served.http.get("/none"),
        await served.http.get("/health", headers=REBOUND),
        await served.http.post("/v1/locate", content=b"x", headers=JPEG),
    ):
        for name, value in DEFAULT_HEADERS.items():
            assert reply.headers[name] == value
        assert "server" not in reply.headers


async def test_a_fault_of_the_program_says_no_details(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(*_: object, **__: object) -> None:
        raise RuntimeError("secret at /home/bob")

    monkeypatch.setattr(served.sessions, "search", fault)
    reply: httpx.Response = await served.http.get("/v1/sessions")
    assert "secret" not in json.dumps(refused(reply, 500, "fault"))
    assert "secret at /home/bob" in caplog.text


async def test_a_full_disk_keeps_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tools.photo_store.os.replace", full)
        reply = await served.http.post("/v1/locate", content=PHOTO, headers=JPEG)
        refused(reply, 507, "disk_full")
    home = served.sessions.settings.home
    assert not list((home / "photos").glob("*"))
    assert served.sessions.search() == []

    def full_trace(trace: Trace, _: bytes) -> None:
        trace.close()
        full()

    with monkeypatch.context() as patch:
        patch.setattr("agent.trace.Trace._write", full_trace)
        refused(await served.http.post("/v1/locate", content=PHOTO, headers=JPEG), 507)
    assert served.sessions.search() == []
    assert not list((home / "photos").glob("*.jpg"))
    assert not list((home / "sessions").glob("*"))
    assert (await served.http.post("/v1/locate", content=PHOTO, headers=JPEG)).status_code == 200
