"""Fifty clients follow fifty runs at once, are cut off and come back; and the server's own end."""

import asyncio
import contextlib
import json
import logging
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.factors import Settlements
from tests.protocol_samples import Service, Talker, events_in, photo, service, shown

pytestmark = pytest.mark.slow
STREAMS = 50
CUTS = 3
logger = logging.getLogger(__name__)


@pytest.fixture
def one(tmp_path: Path, settlements: Settlements) -> Iterator[Service]:
    with service(tmp_path, settlements, Talker(looks=10, pause_s=0.1)) as held:
        held.client.post("/runs/wait", json={"assistant_id": "graticule", "input": shown(photo())})
        yield held


async def followed(client: httpx.AsyncClient, number: int, cuts: int) -> dict[str, Any]:
    """Follow a run of a thread of its own, cutting the connection in the middle of bytes."""
    thread = (await client.post("/threads", json={})).json()["thread_id"]
    content = json.dumps(
        {
            "assistant_id": "graticule",
            "input": shown(photo(number + 100)),
            "stream_mode": ["values", "custom", "messages-tuple"],
        }
    )
    began, first = time.monotonic(), 0.0
    method, path, last, whole = "POST", f"/threads/{thread}/runs/stream", "0", b""
    dice = random.Random(number)
    while True:
        given: dict[str, Any] = {"headers": {"Last-Event-ID": last}}
        if method == "POST":
            given = {"content": content, "headers": {"content-type": "application/json"}}
        part, enough = b"", dice.randrange(500, 60_000) if cuts else sys.maxsize
        async with client.stream(method, path, **given) as stream:
            assert stream.status_code == 200
            location = stream.headers["location"]
            async for chunk in stream.aiter_raw():
                first = first or time.monotonic() - began
                part += chunk
                if len(part) > enough:
                    break
        ended = len(part) <= enough
        kept = (
            part if ended else part[: part.rfind(b"\r\n\r\n") + 4] if b"\r\n\r\n" in part else b""
        )
        whole += kept
        if found := events_in(kept.decode()):
            last = str(found[-1][0])
        if ended:
            break
        cuts, method, path = cuts - 1, "GET", location
    again = await client.get(location)
    return {"first": first, "took": time.monotonic() - began, "got": whole, "whole": again.content}


async def test_fifty_streams_lose_and_repeat_nothing(one: Service) -> None:
    limits = httpx.Limits(max_connections=2 * STREAMS)
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=one.url, timeout=120, limits=limits) as client:
        rows = await asyncio.gather(*[followed(client, n, n % (CUTS + 1)) for n in range(STREAMS)])
    took = time.monotonic() - began
    numbers = []
    for row in rows:
        events = events_in(row["got"].decode())
        numbers.append([number for number, *_ in events])
        assert numbers[-1] == list(range(1, len(events) + 1))
        assert events[-1][1] == "end"
        assert events[-2][1] == "custom"
        assert row["got"].replace(b": \r\n\r\n", b"") == row["whole"].replace(b": \r\n\r\n", b"")
    firsts = sorted(row["first"] for row in rows)
    sizes = sum(len(row["got"]) for row in rows)
    logger.info(
        "%d streams in %.1f s: %d events, %.1f MB; first event median %.0f ms, worst %.0f ms",
        STREAMS, took, sum(map(len, numbers)), sizes / 1e6,
        1000 * statistics.median(firsts), 1000 * firsts[-1],
    )  # fmt: skip


async def test_many_follow_one_run(one: Service) -> None:
    thread = one.thread()
    asked = {"assistant_id": "graticule", "input": shown(photo()), "stream_mode": ["values"]}
    run = one.client.post(f"/threads/{thread}/runs", json=asked).json()
    path = f"/threads/{thread}/runs/{run['run_id']}/stream"
    async with httpx.AsyncClient(base_url=one.url, timeout=60) as client:
        texts = await asyncio.gather(*[client.get(path) for _ in range(STREAMS)])
    plain = {text.text.replace(": \r\n\r\n", "") for text in texts}
    assert len(plain) == 1
    assert events_in(plain.pop())[-1][1] == "end"


SERVER = """
import sys
sys.path.insert(0, {root!r})
import numpy as np
from pathlib import Path
import agent.geolocator, cli.main, cli.session_options
from tests.protocol_samples import Talker, make_sessions
world = np.array([[52.52, 13.405], [48.857, 2.352]]), np.array([3.7e6, 2.1e6]), ["DE", "FR"]
cli.session_options.open_sessions = lambda *_, **__: make_sessions(
    Path({home!r}), world, Talker(looks=9, pause_s=0.3)
)
# Loading language models holds the interpreter for seconds.
agent.geolocator.Geolocator.warm = lambda _: None
sys.exit(cli.main.main())
"""


@contextlib.contextmanager
def begun(home: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run the server as a process of its own; yield it and its address."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    command = [sys.executable, "-c", SERVER.format(root=root, home=str(home)), "serve", "--port"]
    with subprocess.Popen(
        [*command, "0"], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "GRATICULE_HOME": str(home)},
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert "serving on http://127.0.0.1:" in line, line + process.stderr.read()
            url = next(word for word in line.split() if word.startswith("http"))
            yield process, url.rstrip(";")
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_the_server_left_goes_on_in_the_next(
    tmp_path: Path, number: signal.Signals
) -> None:
    with begun(tmp_path) as (process, url), httpx.Client(base_url=url, timeout=30) as client:
        thread = client.post("/threads", json={}).json()["thread_id"]
        asked = {"assistant_id": "graticule", "input": shown(photo()), "stream_mode": "custom"}
        text, sent = "", False
        try:
            with client.stream("POST", f"/threads/{thread}/runs/stream", json=asked) as stream:
                for chunk in stream.iter_text():
                    text += chunk
                    if text.count("tool_result") > 2 and not sent:
                        sent = True
                        process.send_signal(number)
        except httpx.TransportError:
            assert number == signal.SIGKILL
        if number == signal.SIGTERM:
            assert events_in(text)[-1][1] == "end"
            assert process.wait(30) == 0
    with begun(tmp_path) as (process, url), httpx.Client(base_url=url, timeout=60) as client:
        seen = client.get(f"/threads/{thread}").json()
        assert seen["status"] == "interrupted"
        done = len(seen["values"]["steps"])
        assert done >= 2
        ended = client.post(
            f"/threads/{thread}/runs/wait", json={"assistant_id": "graticule", "input": None}
        ).json()
        assert ended["answer"]["revision"] == 1
        assert len(ended["steps"]) == 10
        process.terminate()
        assert process.wait(30) == 0
