"""The server killed, crowded, out of space and out of time, as a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.protocol_samples import events_in, photo, shown

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LOOKS = 9
ANSWERED = LOOKS + 1
"""Steps of a whole run: the looks, and the commit."""
CHILD = """
import os, resource, sys, time
sys.path.insert(0, {root!r})
import numpy as np
from pathlib import Path
import agent.geolocator, cli.main, cli.session_options
from tests.protocol_samples import Talker, make_sessions
world = np.array([[52.52, 13.405], [48.857, 2.352]]), np.array([3.7e6, 2.1e6]), ["DE", "FR"]
cli.session_options.open_sessions = lambda *_, **__: make_sessions(
    Path({home!r}), world, Talker(looks={looks}, pause_s={pause})
)
agent.geolocator.Geolocator.warm = lambda _: None
{also}
sys.exit(cli.main.main())
"""
JUMPING = """
real, begun = time.time, time.time()
# An hour back, then a day ahead, then back again: every second another.
time.time = lambda: real() + (-3600, 86_400, 0)[int(real() - begun) % 3]
"""
SMALL_FILES = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
held = Path({home!r}) / "full"
def limited():
    import threading
    while True:
        now = 300_000 if held.exists() else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (now, resource.RLIM_INFINITY))
        time.sleep(0.05)
import threading
threading.Thread(target=limited, daemon=True).start()
"""


@contextlib.contextmanager
def begun(
    home: Path, pause_s: float = 0.3, also: str = ""
) -> Iterator[tuple["subprocess.Popen[str]", httpx.Client]]:
    """Run the server as a process of its own; yield it and a client of it."""
    code = CHILD.format(
        root=str(ROOT), home=str(home), looks=LOOKS, pause=pause_s,
        also=also.replace("{home!r}", repr(str(home))),
    )  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", "0"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "GRATICULE_HOME": str(home)},
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert "serving on http://127.0.0.1:" in line, line + process.stderr.read()
            url = next(word for word in line.split() if word.startswith("http")).rstrip(";")
            with httpx.Client(base_url=url, timeout=60) as client:
                yield process, client
        finally:
            process.kill()


def new_thread(client: httpx.Client) -> str:
    return str(client.post("/threads", json={}).json()["thread_id"])


def asking(seed: int = 1, **more: Any) -> dict[str, Any]:
    return {"assistant_id": "graticule", "input": shown(photo(seed)), **more}


def go_on(client: httpx.Client, thread: str) -> dict[str, Any]:
    asked = {"assistant_id": "graticule", "input": None}
    ended = client.post(f"/threads/{thread}/runs/wait", json=asked)
    assert ended.status_code == 200, ended.text
    found: dict[str, Any] = ended.json()
    return found


def told(values: dict[str, Any]) -> dict[str, Any]:
    """Return what an answer says of the world, without what it took."""
    answer = values["answer"]
    return {key: answer[key] for key in ("status", "latitude", "longitude", "countries", "radii_km")
            if key in answer}  # fmt: skip


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it has not come to that"
        time.sleep(0.05)


def has_steps(client: httpx.Client, thread: str, least: int) -> bool:
    values = client.get(f"/threads/{thread}").json()["values"]
    return len((values or {}).get("steps") or ()) >= least


def test_killed_in_the_middle_it_goes_on_to_the_same_answer(tmp_path: Path) -> None:
    with begun(tmp_path / "whole", 0.0) as (_, client):
        whole = client.post(f"/threads/{new_thread(client)}/runs/wait", json=asking()).json()
    with begun(tmp_path / "cut") as (process, client):
        thread = new_thread(client)
        client.post(f"/threads/{thread}/runs", json=asking())
        eventually(lambda: has_steps(client, thread, 3))
        process.kill()
        process.wait(30)
    with begun(tmp_path / "cut", 0.0) as (process, client):
        seen = client.get(f"/threads/{thread}").json()
        assert seen["status"] == "interrupted"
        assert 3 <= len(seen["values"]["steps"]) < ANSWERED
        assert client.get(f"/v1/sessions/{thread}").json()["status"] == "stopped"
        ended = go_on(client, thread)
        assert told(ended) == told(whole)
        assert len(ended["steps"]) == len(whole["steps"]) == ANSWERED
        assert client.get(f"/threads/{thread}").json()["status"] == "idle"


def test_told_to_end_it_stops_at_a_step_and_can_go_on(tmp_path: Path) -> None:
    with begun(tmp_path) as (process, client):
        threads = [new_thread(client) for _ in range(4)]
        for number, thread in enumerate(threads):
            client.post(f"/threads/{thread}/runs", json=asking(number))
        eventually(lambda: all(has_steps(client, thread, 1) for thread in threads))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 5, "a step takes 0.3 s"
    with begun(tmp_path, 0.0) as (process, client):
        for thread in threads:
            assert client.get(f"/threads/{thread}").json()["status"] == "interrupted"
            assert len(go_on(client, thread)["steps"]) == ANSWERED


def test_two_servers_of_one_home_write_to_different_sessions_at_once(tmp_path: Path) -> None:
    with begun(tmp_path) as (_, one), begun(tmp_path) as (_, other):
        shared, apart = new_thread(one), new_thread(other)
        run = one.post(f"/threads/{shared}/runs", json=asking()).json()
        eventually(lambda: has_steps(one, shared, 1))
        refused = other.post(f"/v1/sessions/{shared}/messages", json={"text": "it is not Spain"})
        assert refused.status_code == 409, refused.text
        assert refused.json()["code"] == "session_busy"
        assert other.get(f"/threads/{shared}").json()["status"] == "busy"
        ended = other.post(f"/threads/{apart}/runs/wait", json=asking(2)).json()
        assert len(ended["steps"]) == ANSWERED
        assert one.get(f"/threads/{shared}/runs/{run['run_id']}/join").status_code == 200
        assert len(other.get(f"/threads/{shared}").json()["values"]["steps"]) == ANSWERED


@pytest.mark.parametrize("then", ["cancel", "continue"])
def test_a_client_that_vanishes(tmp_path: Path, then: str) -> None:
    with begun(tmp_path, 0.2) as (_, client):
        thread = new_thread(client)
        asked = asking(stream_mode="custom", on_disconnect=then)
        with client.stream("POST", f"/threads/{thread}/runs/stream", json=asked) as stream:
            text = ""
            for chunk in stream.iter_text():
                text += chunk
                if "tool_result" in text:
                    break
        wanted = {"cancel": "interrupted", "continue": "idle"}[then]
        eventually(lambda: client.get(f"/threads/{thread}").json()["status"] == wanted)
        steps = len(client.get(f"/threads/{thread}").json()["values"]["steps"])
        assert steps == ANSWERED if then == "continue" else steps < ANSWERED
        if then == "cancel":
            assert len(go_on(client, thread)["steps"]) == ANSWERED


def test_a_clock_that_jumps(tmp_path: Path) -> None:
    with begun(tmp_path, 0.2, JUMPING) as (_, client):
        for number in range(3):
            ended = client.post("/v1/locate", json={"image": _base64(number), "name": str(number)})
            assert ended.status_code == 200, ended.text
            session = ended.json()["session_id"]
            events = client.get(f"/v1/sessions/{session}/events").json()["events"]
            assert [one["number"] for one in events] == list(range(1, len(events) + 1))
            seconds = [one["seconds"] for one in events]
            assert seconds == sorted(seconds)
            assert 0 <= seconds[-1] < 60
            assert ended.json()["answer"]["budget_spent"]["seconds"] < 60
        assert len(client.get("/v1/sessions").json()["sessions"]) == 3


def _base64(seed: int) -> str:
    import base64

    return base64.b64encode(photo(seed)).decode()


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """Files cannot grow past a limit, as where a quota or the disk is spent."""
    with begun(tmp_path, 0.0, SMALL_FILES) as (process, client):
        first = client.post("/v1/locate", json={"image": _base64(1)})
        assert first.status_code == 200, first.text
        known = client.get("/v1/sessions").json()["sessions"]
        stored = sorted(path.name for path in (tmp_path / "photos").iterdir())
        (tmp_path / "full").touch()
        time.sleep(0.3)
        from tests.protocol_samples import big_photo

        reply = client.post(
            "/v1/locate", content=big_photo(), headers={"content-type": "image/jpeg"}
        )
        assert reply.status_code == 507, reply.text
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["code"] == "disk_full"
        assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == stored
        assert process.poll() is None
        assert client.get("/health").status_code == 200
        (tmp_path / "full").unlink()
        time.sleep(0.3)
        now = client.get("/v1/sessions").json()["sessions"]
        assert [one["id"] for one in now] == [one["id"] for one in known], "something was left"
        again = client.post("/v1/locate", json={"image": _base64(2)})
        assert again.status_code == 200, again.text


def test_events_of_a_stream_that_a_kill_cut_off_are_all_written(tmp_path: Path) -> None:
    with begun(tmp_path) as (process, client):
        thread, text = new_thread(client), ""
        asked = asking(stream_mode="custom")
        with (
            contextlib.suppress(httpx.TransportError),
            client.stream("POST", f"/threads/{thread}/runs/stream", json=asked) as stream,
        ):
            for chunk in stream.iter_text():
                text += chunk
                if text.count("tool_result") == 3:
                    process.kill()
    seen = [data for _, name, data in events_in(text.rpartition("\r\n\r\n")[0]) if name == "custom"]
    path = tmp_path / "sessions" / thread / "trace.jsonl"
    written = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert len(seen) >= 3
    assert len(written) >= len(seen), "what a client was told is on disk"
