"""The server on a real socket: clients that are slow, vanish, or come fifty at once."""

import socket
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from agent.factors import Settlements
from agent.server_settings import ServerSettings
from agent.sessions import Sessions
from agent.settings import Settings
from encoders.serving import listen
from server.app import make_app
from tests.unit.photo_samples import encoded
from tests.unit.server_samples import JPEG, PHOTO, STREAM, frames, refused
from tests.unit.session_samples import Steady, quick_geolocators

pytestmark = pytest.mark.slow
STREAMS = 50


@contextmanager
def running(
    home: Path, settlements: Settlements, driver: Steady | None = None, **server: Any
) -> Iterator[tuple[str, Sessions]]:
    settings = Settings(home=home, server=ServerSettings(**server))
    held = driver or Steady()
    with (
        Sessions(settings, quick_geolocators(settings, settlements, lambda _: held)) as sessions,
        listen("127.0.0.1", 0) as listening,
    ):
        app = make_app(sessions)
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=5)
        uvicorn_server = uvicorn.Server(config)
        thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listening]})
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            yield url, sessions
        finally:
            uvicorn_server.should_exit = True
            thread.join(30)


def connected(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


HEAD = b"POST /v1/locate HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/jpeg\r\n"


def test_slow_and_vanishing_clients_hold_nobody_up(
    tmp_path: Path, settlements: Settlements
) -> None:
    with running(tmp_path, settlements, receive_s=1.0) as (url, sessions):
        slow = [connected(url) for _ in range(100)]
        for one in slow:
            one.sendall(HEAD + b"content-length: 1000\r\n\r\nx")
        began = time.monotonic()
        reply = httpx.post(f"{url}/v1/locate", content=PHOTO, headers=JPEG, timeout=30)
        assert reply.status_code == 200
        for one in slow[:50]:
            one.close()  # vanished in the middle of an upload
        for one in slow[50:]:
            text = one.recv(65536).decode()
            assert text.startswith("HTTP/1.1 408"), text
            assert "connection: close" in text.lower()
            one.close()
        assert time.monotonic() - began < 20
        assert len(sessions.search()) == 1
        assert len(list((tmp_path / "photos").glob("*.jpg"))) == 1


def test_a_client_that_vanishes_from_a_stream_loses_nothing(
    tmp_path: Path, settlements: Settlements
) -> None:
    gate = threading.Event()
    with running(tmp_path, settlements, Steady(3, gate)) as (url, sessions):
        with httpx.stream(
            "POST", f"{url}/v1/locate", content=PHOTO, headers={**JPEG, **STREAM}, timeout=30
        ) as reply:
            text = ""
            for chunk in reply.iter_text():
                text += chunk
                if "event: photo" in text:
                    break
        seen = frames(text.rpartition("\n\n")[0])
        session_id = seen[0].data["session_id"]
        last = next(frame.id for frame in reversed(seen) if frame.id)
        gate.set()
        again = httpx.get(
            f"{url}/v1/sessions/{session_id}/events",
            headers={**STREAM, "last-event-id": last}, timeout=30,
        )  # fmt: skip
        rest = frames(again.text)
        assert rest[-1].event == "end"
        ids = [int(frame.id) for frame in (*seen, *rest) if frame.id]
        written = [event.number for event in sessions.events(session_id)]
        assert ids == written, "an event was lost or came twice"
        assert sessions.get(session_id).status == "idle"


def test_fifty_streams_at_once(tmp_path: Path, settlements: Settlements) -> None:
    with running(tmp_path, settlements, Steady(3)) as (url, sessions):
        httpx.post(f"{url}/v1/locate", content=PHOTO, headers=JPEG, timeout=60)  # warm

        def locate(_: int) -> tuple[str, list[int]]:
            reply = httpx.post(
                f"{url}/v1/locate", content=PHOTO, headers={**JPEG, **STREAM}, timeout=120
            )
            found = frames(reply.text)
            assert found[-1].event == "end"
            return found[0].data["session_id"], [int(one.id) for one in found if one.id]

        with ThreadPoolExecutor(STREAMS) as clients:
            rows = list(clients.map(locate, range(STREAMS)))
        assert len({session_id for session_id, _ in rows}) == STREAMS
        for session_id, ids in rows:
            assert ids == [event.number for event in sessions.events(session_id)]


def test_the_first_event_comes_at_once(tmp_path: Path, settlements: Settlements) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), dtype=np.uint8)
    photos = [encoded(Image.fromarray(np.roll(noise, n)), quality=98) for n in range(5)]
    seconds = []
    with running(tmp_path, settlements) as (url, _):
        httpx.post(f"{url}/v1/locate", content=PHOTO, headers=JPEG, timeout=60)
        for data in photos:
            began = time.monotonic()
            with httpx.stream(
                "POST", f"{url}/v1/locate", content=data, headers={**JPEG, **STREAM}, timeout=60
            ) as reply:
                told = [(time.monotonic(), line) for line in reply.iter_lines()]
            first = next(at for at, line in told if line.startswith("event: session"))
            seconds.append(first - began)
    # 0.3 s is the aim where nothing else runs; here others may.
    assert statistics.median(seconds) < 1.5, f"{len(photos[0]):,} bytes: {seconds} s"


def test_a_photo_larger_than_the_limit_is_refused_while_it_is_sent(
    tmp_path: Path, settlements: Settlements
) -> None:
    with running(tmp_path, settlements, body_bytes=100_000) as (url, _):
        reply = httpx.post(f"{url}/v1/locate", content=b"x" * 5_000_000, headers=JPEG, timeout=30)
        assert "limit 100,000" in refused(reply, 413)["detail"]
        expecting = connected(url)
        expecting.sendall(HEAD + b"content-length: 900000\r\nexpect: 100-continue\r\n\r\n")
        assert expecting.recv(65536).startswith(b"HTTP/1.1 413")
        expecting.close()
