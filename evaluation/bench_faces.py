"""The HTTP server under load: the first sign of life, many streams, cut streams, lists, memory.

The server is a process of its own, as `graticule serve` runs it. First events are measured with
the pipeline's own driver on a server that is ready; the rest with a driver that looks a place up
a few times and commits, so that what is measured is the server.
"""

import asyncio
import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from evaluation.bench import Measurement

STREAMS = 50
CUTS = 20
LISTED, PAGE = 1_000, 100
RUNS, WARM_RUNS = 300, 50
FIRST_MS, PAGE_MS, GROWTH_KB = 300, 300, 100
ROUNDS = 7
PHOTOS = {1: (900, 900), 6: (2200, 2200)}
"""Size of photos of noise in pixels, by about how many megabytes they are."""
READY_S = 300.0


class Served(NamedTuple):
    """A server, and who it is."""

    url: str
    pid: int


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield the rows of the suite; `data` is not needed."""
    with tempfile.TemporaryDirectory() as folder:
        with serving(Path(folder) / "real", quick=False) as server:
            yield from _first_events(server)
        with serving(Path(folder) / "quick", quick=True) as server:
            yield from _many_streams(server)
            yield _cut_streams(server)
            yield _memory(server)
            yield _pages(server)


@contextmanager
def serving(home: Path, *, quick: bool) -> Iterator[Served]:
    """Run the server in a process of its own until the block ends; it is ready when it begins."""
    import httpx

    home.mkdir(parents=True)
    server = [sys.executable, "-m", "server.measured", "quick" if quick else "real", str(home)]
    command = ["/usr/bin/env", f"GRATICULE_HOME={home}", *server]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stderr is not None
            told = process.stderr.readline()
            url = next((word for word in told.split() if word.startswith("http")), "").rstrip(";")
            assert url, told + process.stderr.read()
            end = time.monotonic() + READY_S
            with httpx.Client(base_url=url, timeout=60) as client:
                while client.get("/ready").status_code != 200:
                    assert time.monotonic() < end, f"not ready after {READY_S:g} s"
                    time.sleep(0.2)
            yield Served(url, process.pid)
        finally:
            process.terminate()
            process.wait(60)


def photo(seed: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a JPEG of noise that no other seed gives."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _first_events(server: Served) -> Iterator[Measurement]:
    """Yield the time from sending to the first event, on both ways in."""
    import httpx

    with httpx.Client(base_url=server.url, timeout=300) as client:
        for megabytes, size in PHOTOS.items():
            for face, ask in (("/v1/locate", _locate), ("runs/stream", _stream)):
                photos = [photo(round_ + 100 * megabytes, size) for round_ in range(ROUNDS)]
                times = [1000 * ask(client, one) for one in photos]
                median, worst = statistics.median(times), max(times)
                yield Measurement(
                    f"faces: first event over {face}, a photo of {len(photos[0]) / 1e6:.1f} MB",
                    median, "ms", f"worst of {ROUNDS} {worst:.0f} ms{_busy()}", f"< {FIRST_MS}",
                    median < FIRST_MS,
                )  # fmt: skip


def _locate(client: Any, data: bytes) -> float:
    headers = {"content-type": "image/jpeg", "accept": "text/event-stream"}
    return _first(client, "/v1/locate", content=data, headers=headers)


def _stream(client: Any, data: bytes) -> float:
    thread = client.post("/threads", json={}).json()["thread_id"]
    content = json.dumps(_asked(data))  # a client's own work, done before it sends
    headers = {"content-type": "application/json"}
    return _first(client, f"/threads/{thread}/runs/stream", content=content, headers=headers)


def _asked(data: bytes) -> dict[str, Any]:
    uri = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    content = [{"type": "image_url", "image_url": {"url": uri}}]
    given = {"messages": [{"type": "human", "content": content}]}
    return {"assistant_id": "graticule", "input": given, "stream_mode": ["custom", "values"]}


def _first(client: Any, path: str, **given: Any) -> float:
    """Return the seconds until the first event; the stream is read to its end."""
    began, first = time.perf_counter(), 0.0
    with client.stream("POST", path, **given) as reply:
        for line in reply.iter_lines():
            if line.startswith("event:"):
                first = first or time.perf_counter() - began
    assert first, "no event came"
    return first


async def _followed(client: Any, seed: int, cuts: int = 0) -> tuple[bytes, bytes]:
    """Return what came of a run's stream, cut off so often, and the whole stream afterwards."""
    thread = (await client.post("/threads", json={})).json()["thread_id"]
    dice, whole, last = random.Random(seed), b"", 0
    method, path = "POST", f"/threads/{thread}/runs/stream"
    given: dict[str, Any] = {
        "content": json.dumps(_asked(photo(seed))),
        "headers": {"content-type": "application/json"},
    }
    while True:
        part, enough = b"", dice.randrange(200, 1500) if cuts else sys.maxsize
        async with client.stream(method, path, **given) as stream:
            assert stream.status_code == 200, await stream.aread()
            path = stream.headers["location"]
            async for chunk in stream.aiter_raw():
                part += chunk
                if len(part) > enough:
                    break
        ended = len(part) <= enough
        whole += part if ended else part[: part.rfind(b"\r\n\r\n") + 4] * (b"\r\n\r\n" in part)
        if ended:
            return whole, (await client.get(path)).content
        last = _ids(whole)[-1] if _ids(whole) else last
        cuts, method, given = cuts - 1, "GET", {"headers": {"Last-Event-ID": str(last)}}


def _ids(stream: bytes) -> list[int]:
    return [int(line[4:]) for line in stream.split(b"\r\n") if line.startswith(b"id: ")]


def _wrong(got: bytes, whole: bytes) -> int:
    """Return how many events were lost or came twice."""
    ids, wanted = _ids(got), _ids(whole)
    assert b"event: end" in whole, "the stream has no end"
    assert len(wanted) > 3, "the run has hardly any events"
    return len(ids) - len(set(ids)) + len(set(wanted) ^ set(ids))


def _many_streams(server: Served) -> Iterator[Measurement]:
    """Yield what was lost among fifty streams, and what they take beside one after the other."""

    async def both() -> tuple[float, float, int, int]:
        import httpx

        limits = httpx.Limits(max_connections=2 * STREAMS)
        async with httpx.AsyncClient(base_url=server.url, timeout=300, limits=limits) as client:
            await _followed(client, 999)
            began = time.perf_counter()
            for number in range(STREAMS):
                await _followed(client, number)
            alone = time.perf_counter() - began
            began = time.perf_counter()
            rows = await asyncio.gather(*[_followed(client, 1000 + n) for n in range(STREAMS)])
            together = time.perf_counter() - began
        events = sum(len(_ids(whole)) for _, whole in rows)
        return alone, together, sum(_wrong(*row) for row in rows), events

    alone, together, wrong, events = asyncio.run(both())
    yield Measurement(
        f"faces: events lost or repeated in {STREAMS} streams at once", wrong, "",
        f"{events:,} events", "0", wrong == 0,
    )  # fmt: skip
    yield Measurement(
        f"faces: {STREAMS} streams at once over one after the other", together / alone, "x",
        f"{together:.1f} against {alone:.1f} s on {os.cpu_count()} processors{_busy()}",
        "<= 1.2", together / alone <= 1.2,
    )  # fmt: skip


def _cut_streams(server: Served) -> Measurement:
    async def cut() -> tuple[bytes, bytes]:
        import httpx

        async with httpx.AsyncClient(base_url=server.url, timeout=300) as client:
            return await _followed(client, 2000, CUTS)

    got, whole = asyncio.run(cut())
    wrong = _wrong(got, whole)
    return Measurement(
        f"faces: events lost or repeated in a stream that was cut up to {CUTS} times", wrong, "",
        f"{len(_ids(whole))} events, the same bytes: {got == whole}", "0",
        wrong == 0 and got == whole,
    )  # fmt: skip


def _memory(server: Served) -> Measurement:
    """Return how much memory a run leaves, once as many are kept as ever are."""
    import httpx

    with httpx.Client(base_url=server.url, timeout=60) as client:

        def run(number: int) -> None:
            reply = client.post("/runs/wait", json=_asked(photo(5000 + number)))
            assert reply.status_code == 200, reply.text

        for number in range(WARM_RUNS + 64):  # ended runs that may still be followed
            run(number)
        before = _resident(server.pid)
        for number in range(RUNS):
            run(1000 + number)
        grown = (_resident(server.pid) - before) / RUNS
    return Measurement(
        f"faces: memory that each of {RUNS} runs leaves", grown, "KB",
        f"{before / 1000:.0f} MB before", f"< {GROWTH_KB}", grown < GROWTH_KB,
    )  # fmt: skip


def _resident(pid: int) -> float:
    """Return the memory of a process, in kilobytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1])
    raise AssertionError("a process without memory")


def _pages(server: Served) -> Measurement:
    """Return the time that a page of the list of sessions takes."""
    import httpx

    with httpx.Client(base_url=server.url, timeout=60) as client:
        for number in range(LISTED):
            assert client.post("/v1/sessions", json={"name": f"s{number}"}).status_code == 201
        times, held = [], set()
        for offset in range(0, LISTED, PAGE):
            began = time.perf_counter()
            reply = client.get("/v1/sessions", params={"limit": PAGE, "offset": offset})
            times.append(1000 * (time.perf_counter() - began))
            held |= {one["id"] for one in reply.json()["sessions"]}
    assert len(held) == LISTED, f"{len(held)} of {LISTED} sessions are on its pages"
    median = statistics.median(times)
    return Measurement(
        f"faces: a page of {PAGE} of {LISTED:,} sessions", median, "ms",
        f"worst {max(times):.0f} ms{_busy()}", f"< {PAGE_MS}", median < PAGE_MS,
    )  # fmt: skip


def _busy() -> str:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f"; load {load:.1f} on {cores} processors" if load > cores else ""


if __name__ == "__main__":
    from evaluation.bench import main

    sys.exit(main(["faces"]))
