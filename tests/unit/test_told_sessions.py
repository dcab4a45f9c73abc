"""No face tells more than the operator allows: everything that leaves a server is searched."""

import asyncio
import base64
import inspect
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI

from agent.session_records import Assessment, SessionOptions
from agent.session_run import SessionRun
from agent.sessions import Sessions
from agent.settings import Settings
from agent.told_photos import ToldPhotos
from agent.told_runs import ToldFeed, ToldGraph, ToldRun
from agent.told_sessions import ToldSessions, told
from cli.main import main
from cli.run import locate_with_output
from server.app import make_app
from server.context import Context
from tests.unit.leak_samples import (
    FILE_NAME,
    LATITUDE,
    LONGITUDE,
    PHOTO,
    SECRETS,
    TOWN,
    secrets_in,
    telling_sessions,
)
from tests.unit.photo_samples import encoded, picture
from tests.unit.test_mcp import connected
from tools.photo_store import PhotoStore

SERVER = Path(__file__).parents[2] / "server"
BASE64 = base64.b64encode(PHOTO).decode()
OTHER = base64.b64encode(encoded(picture(320, 240, seed=9))).decode()
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{BASE64}"}}
SAID = [{"role": "user", "content": [{"type": "text", "text": "where?"}, IMAGE]}]
RUN = {"assistant_id": "graticule", "input": {"messages": [{"type": "human", "content": "so?"}]}}
Json = dict[str, Any]


class Asked(NamedTuple):
    """A server about a session that has answered, and everything that it has said."""

    level: str
    sessions: Sessions
    app: FastAPI
    http: httpx.AsyncClient
    session: str
    heard: dict[str, httpx.Response]

    async def ask(self, method: str, path: str, **named: Any) -> httpx.Response:
        found = await self.http.request(method, path, **named)
        self.heard[f"{method} {path} {len(self.heard)}"] = found
        return found

    def leaks(self) -> dict[str, list[str]]:
        """Return what was told that must not be, by who told it."""
        ids = {
            str(event.data["id"]) for info in self.sessions.search()
            for event in self.sessions.events(info.id) if event.kind == "evidence"
        }  # fmt: skip
        assert ids
        found = {}
        for name, reply in self.heard.items():
            text = f"{reply.headers} {reply.text}"
            leaks = secrets_in(text, self.level) + [one for one in ids if one in text]
            if leaks:
                found[name] = leaks[:3]
        return found


@asynccontextmanager
async def asked(home: Path, level: str) -> AsyncIterator[Asked]:
    settings = Settings.model_validate({"home": home, "disclosure": level})
    with telling_sessions(settings) as sessions:
        options = SessionOptions(trust_metadata=True)
        info = sessions.create(PHOTO, name=FILE_NAME, options=options)
        answer = sessions.send(info.id).wait(30)
        assert answer is not None
        assert answer.latitude == pytest.approx(LATITUDE, abs=1e-3)
        assert answer.place == TOWN
        verdict = Assessment(verdict="wrong", revision=1, notes=f"never {TOWN}", latitude=LATITUDE,
                             longitude=LONGITUDE)  # fmt: skip
        sessions.assess(info.id, verdict)
        app = make_app(sessions)
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 40_000))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=60
        ) as http:
            yield Asked(level, sessions, app, http, info.id, {})


LEVELS = ["country", *(pytest.param(one, marks=pytest.mark.slow) for one in (
    "city", "region", "none"))]  # fmt: skip


@pytest.fixture(params=LEVELS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Asked]:
    async with asked(tmp_path, request.param) as found:
        yield found


async def test_plain_routes_tell_no_more(server: Asked) -> None:
    ask, session = server.ask, f"/v1/sessions/{server.session}"
    begun = await ask("POST", "/v1/locate", json={"image": BASE64})
    assert begun.json()["answer"]["versions"]["disclosure"] == server.level
    stream = {"accept": "text/event-stream"}
    told = await ask("POST", "/v1/locate", json={"image": OTHER}, headers=stream)
    assert "event: answer" in told.text
    assert "withheld: this server discloses" in told.text
    events = await ask("GET", f"{session}/events", headers=stream)
    assert "event: end" in events.text
    kinds = {one["kind"] for one in (await ask("GET", f"{session}/events")).json()["events"]}
    assert {"setup", "notice", "node", "answer"} <= kinds
    assert kinds.isdisjoint({"evidence", "belief", "tool_call", "model_call", "rejection"})
    found = await ask("POST", f"{session}/messages", json={"text": "look again"})
    assert found.json()["answer"]["revision"] == 2
    listed = (await ask("GET", "/v1/sessions")).json()["sessions"]
    assert all(one["headline"] and not one["error"] for one in listed)
    assert (await ask("GET", "/v1/sessions", params={"query": TOWN[:5]})).json()["sessions"] == []
    for path in ("", "/answer", "/answers", "/answers/1", "/history", "/assessments",
                 "/export/html", "/export/geojson", "/export/kml", "/export/csv", "/export/md",
                 "/export/json", "/export/zip"):  # fmt: skip
        assert (await ask("GET", session + path)).status_code == 200
    assert (await ask("GET", f"{session}/export/trace")).status_code == 422
    assert server.leaks() == {}
    kept = server.sessions.answer(server.session)
    assert kept is not None
    assert kept.place == TOWN, "what is stored stays exact"
    assert TOWN in server.sessions.get(server.session).headline


async def test_photos_that_show_the_place_are_not_shown(server: Asked) -> None:
    photo = server.sessions.get(server.session).photos[0]
    image = server.sessions.photos.image(photo)
    drawn = server.sessions.photos.add_image(image.rotate(90), f"map of {TOWN}", parent=photo)
    for path in ("", "/facts"):
        assert (await server.ask("GET", f"/v1/photos/{photo}{path}")).status_code == 200
        assert (await server.ask("GET", f"/v1/photos/{drawn.id}{path}")).status_code == 404
    assert (await server.ask("GET", f"/page/files/photos/{drawn.id}")).status_code >= 400
    assert (await server.ask("GET", f"/page/files/photos/{photo}")).status_code == 200
    facts = (await server.ask("GET", f"/v1/photos/{photo}/facts")).json()
    assert facts["name"] == ""
    assert server.leaks() == {}


@pytest.mark.slow
async def test_langgraphs_routes_tell_no_more(server: Asked) -> None:
    ask, thread = server.ask, f"/threads/{server.session}"
    for modes in (["values", "updates", "messages-tuple", "custom"], ["messages"]):
        found = await ask("POST", f"{thread}/runs/stream", json={**RUN, "stream_mode": modes})
        assert found.status_code == 200
        assert "event: end" in found.text
        assert "lead" in found.text  # the caution of the final message
    for mode in ("debug", "tasks", "checkpoints", "events"):
        refused = await ask("POST", f"{thread}/runs/stream", json={**RUN, "stream_mode": [mode]})
        assert refused.status_code == 422
        assert "withheld: this server discloses" in refused.json()["detail"]
    values = (await ask("POST", f"{thread}/runs/wait", json=RUN)).json()
    assert [one["type"] for one in values["messages"]] == ["human", "ai"] * 3 or [
        one["type"] for one in values["messages"]
    ] == ["ai", *(["human", "ai"] * 3)]
    state = (await ask("GET", f"{thread}/state")).json()
    assert state["values"]["answer"]["versions"]["disclosure"] == server.level
    states = (await ask("GET", f"{thread}/history", params={"limit": 1000})).json()
    assert len(states) > 20
    assert (await ask("GET", f"{thread}/state/{states[9]['checkpoint_id']}")).status_code == 200
    named = {"checkpoint": {"checkpoint_id": states[9]["checkpoint_id"]}}
    await ask("POST", f"{thread}/state/checkpoint", json=named)
    again = {**RUN, "checkpoint_id": states[-1]["checkpoint_id"], "input": None}
    assert (await ask("POST", f"{thread}/runs/wait", json=again)).status_code == 200
    fork = {"checkpoint_id": states[9]["checkpoint_id"]}
    assert (await ask("POST", f"/v1/sessions/{server.session}/fork", json=fork)).status_code == 201
    await ask("POST", f"{thread}/copy")
    await ask("GET", thread)
    await ask("POST", "/threads/search", json={"limit": 100})
    for run in (await ask("GET", f"{thread}/runs")).json():
        for path in ("", "/join", "/stream"):
            await ask("GET", f"{thread}/runs/{run['run_id']}{path}")
    made = {**RUN, "input": {"messages": [{"type": "human", "content": [
        {"type": "text", "text": "where?"}, IMAGE]}]}}  # fmt: skip
    await ask("POST", "/runs/stream", json={**made, "stream_mode": "values"})
    assert server.leaks() == {}


@pytest.mark.slow
async def test_every_operation_is_searched(server: Asked) -> None:
    """Ask all that OpenAPI names, with whatever fits, so that a new route is searched, too."""
    photo = server.sessions.get(server.session).photos[0]
    run = (await server.ask("POST", f"/threads/{server.session}/runs/wait", json=RUN)).headers
    parts = {
        "session_id": server.session, "thread_id": server.session, "photo_id": photo,
        "revision": "1", "format": "md", "name": "graticule", "assistant": "graticule",
        "namespace": "x", "run_id": run["content-location"].rpartition("/")[2],
        "checkpoint_id": server.sessions.history(server.session)[0].checkpoint_id,
    }  # fmt: skip
    bodies: Json = {
        "/v1/chat/completions": {"model": "graticule", "messages": SAID},
        "/v1/locate": {"image": BASE64}, "/v1/sessions/{session_id}/messages": {"text": "so?"},
    }  # fmt: skip
    answered = 0
    for path, item in server.app.openapi()["paths"].items():
        if path == "/threads/{thread_id}/stream":
            continue  # goes on for ever
        for method in sorted(set(item) - {"delete", "put"}):
            body = bodies.get(path, RUN if "runs" in path else {})
            given = {} if method == "get" else {"json": body}
            reply = await server.ask(method.upper(), path.format(**parts), **given)
            answered += reply.status_code < 400
    assert answered > 45
    assert server.leaks() == {}


@pytest.mark.slow
async def test_streams_of_threads_tell_no_more(server: Asked) -> None:
    heard: list[bytes] = []
    path = f"/threads/{server.session}/stream"
    await server.ask("POST", f"/threads/{server.session}/runs/wait", json=RUN)
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": b"", "headers": [(b"host", b"localhost"), (b"last-event-id", b"x_0")],
        "client": ("127.0.0.1", 1), "server": ("localhost", 80), "scheme": "http",
        "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip

    async def receive() -> Json:
        await asyncio.sleep(0.5 if heard else 0)
        return {"type": "http.disconnect" if heard else "http.request", "body": b""}

    async def send(message: Any) -> None:
        heard.append(message.get("body", b"."))

    await asyncio.wait_for(server.app(scope, receive, send), 20)
    assert secrets_in(b"".join(heard).decode(), server.level) == []


@pytest.mark.slow
async def test_assistants_and_chat_clients_are_told_no_more(server: Asked) -> None:
    body = {"model": "graticule", "messages": SAID, "steps": "content"}
    for more in ({}, {"stream": True}):
        found = await server.ask("POST", "/v1/chat/completions", json={**body, **more})
        assert found.status_code == 200
    steps: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        steps.append(message or "")

    async with connected(server.sessions) as client:
        given = {"image_base64": BASE64}
        result = await client.call_tool("locate_photo", given, progress_callback=hear)
        listed = await client.list_resources()
        read = [await client.read_resource(str(one.uri)) for one in listed.resources]
    text = " ".join([*steps, *(one.model_dump_json() for one in (result, listed, *read))])
    assert len(steps) > 3
    assert secrets_in(text, server.level) == []
    assert server.leaks() == {}


@pytest.mark.slow
async def test_failures_and_questions_are_told_without_their_words(server: Asked) -> None:
    failed = await server.ask("POST", f"/v1/sessions/{server.session}/messages",
                              json={"text": "break it"})  # fmt: skip
    assert failed.status_code == 500
    assert (await server.ask("GET", f"/v1/sessions/{server.session}")).json()["status"] == "error"
    asking = server.sessions.create(PHOTO)  # begun by the operator, where a model may ask
    waiting = server.sessions.send(asking.id, "please ask")
    waiting.wait(30)
    assert waiting.status == "waiting"
    for path in (f"/threads/{asking.id}", f"/threads/{asking.id}/state",
                 f"/v1/sessions/{asking.id}/events"):  # fmt: skip
        assert "withheld" in (await server.ask("GET", path)).text
    reply = await server.ask("POST", f"/v1/sessions/{asking.id}/resume", json={"reply": "no"})
    assert reply.json()["answer"]["revision"] == 1
    begun = await server.ask("POST", "/v1/locate", json={"image": OTHER, "ask": True,
                                                         "hint": "please ask"})  # fmt: skip
    assert begun.json()["status"] == "idle", "no model may ask what could not be told"
    for path in ("/metrics", "/v1/sessions", "/ready"):
        await server.ask("GET", path)
    assert server.leaks() == {}


async def test_evidence_is_withdrawn_by_the_name_that_it_was_told_under(server: Asked) -> None:
    path = f"/v1/sessions/{server.session}"
    before = (await server.ask("GET", f"{path}/answer")).json()
    one = next(step["evidence_ids"][0] for step in before["steps"] if step["evidence_ids"])
    found = await server.ask("POST", f"{path}/messages", json={"withdraw": [one]})
    assert found.json()["answer"]["withdrawn"] == [one]
    held = server.sessions.answer(server.session)
    assert held is not None
    assert one not in {item.id for item in held.evidence}
    assert held.withdrawn == (held.evidence[0].id,)
    refused = await server.ask("POST", f"{path}/messages",
                               json={"withdraw": [held.evidence[0].id]})  # fmt: skip
    assert refused.status_code == 422
    server.heard.popitem()  # it repeats what was asked
    assert server.leaks() == {}


def names_of(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


def test_nothing_of_sessions_runs_and_photos_is_handed_on_unseen(settings: Settings) -> None:
    assert names_of(Sessions) <= set(vars(ToldSessions)), "new methods must say what they tell"
    assert names_of(PhotoStore) <= set(vars(ToldPhotos))
    assert names_of(SessionRun) | {"answer", "error", "question"} <= set(vars(ToldRun))
    assert names_of(ToldFeed) == {"closed", "follow", "afollow"}
    assert names_of(ToldGraph) == {"get_state_history"}
    coarse = settings.model_copy(update={"disclosure": "region"})
    with telling_sessions(coarse) as sessions:
        held = set(vars(sessions)) - {"_told"}
        assert {name for name in held if not name.startswith("_")} <= set(vars(told(sessions)))
        assert told(sessions) is told(sessions) is told(told(sessions))
        assert isinstance(Context(sessions, coarse).sessions, ToldSessions)
    with telling_sessions(settings) as sessions:
        assert told(sessions) is sessions


WAYS_ROUND = {
    r"\bexact\(": {"exports.py", "telling.py"},
    r"\.behind\b|\._behind\b": set(),
    r"\.saver\b": set(),
    r"trace_path\(": {"exports.py", "telling.py", "web_room.py"},
    r"\.folder\(": set(),
    r"\bSessions\(": {"measured.py"},
    r"case_of_session\(": {"exports.py", "telling.py"},
}  # fmt: skip
"""What reaches behind told sessions, and the modules of which it is known what they do with it."""


@pytest.mark.parametrize("way", sorted(WAYS_ROUND))
def test_no_face_goes_round_what_may_be_told(way: str) -> None:
    found = {one.name for one in SERVER.glob("*.py") if re.search(way, one.read_text("utf-8"))}
    assert found <= WAYS_ROUND[way], "ask agent.told_sessions, or coarsen there and say so here"


def test_everything_that_makes_a_face_asks_what_may_be_told() -> None:
    assert "sessions = app.state.context.sessions" in (SERVER / "app.py").read_text("utf-8")
    assert "sessions = told(sessions)" in (SERVER / "mcp.py").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("level", ["country", "none"])
def test_the_terminal_tells_no_more_and_the_trace_keeps_all(
    level: str, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, report, trace = (tmp_path / name for name in ("photo.jpg", "report.html", "t.jsonl"))
    photo.write_bytes(PHOTO)
    coarse = settings.model_copy(update={"disclosure": level})
    with telling_sessions(coarse) as sessions:
        geolocator = sessions.geolocators.get(SessionOptions())
        answer = locate_with_output(
            geolocator, photo, trust_metadata=True, trace=trace, report=report
        )
    printed = capsys.readouterr().out
    assert "withheld" in printed
    for text in (printed, report.read_text("utf-8"), answer.model_dump_json()):
        assert secrets_in(text, level) == []
    assert secrets_in(trace.read_text("utf-8"), level)


@pytest.mark.parametrize(
    "command", [("batch", ".", "--out", "t.csv"), ("locate", "p.jpg", "--ask")]
)
def test_commands_that_cannot_tell_less_refuse(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "p.jpg").write_bytes(PHOTO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRATICULE_DISCLOSURE", "region")
    assert main(list(command)) == 2
    assert "GRATICULE_DISCLOSURE is region" in capsys.readouterr().err


@pytest.fixture
def exact(settings: Settings) -> Iterator[Sessions]:
    with telling_sessions(settings) as sessions:
        yield sessions


def test_the_canary_sings_where_everything_may_be_told(exact: Sessions) -> None:
    info = exact.create(PHOTO, name=FILE_NAME, options=SessionOptions(trust_metadata=True))
    exact.send(info.id).wait(30)
    text = json.dumps([event.model_dump(mode="json") for event in exact.events(info.id)])
    assert all(re.search(secret, text, re.IGNORECASE) for secret in SECRETS["none"])
