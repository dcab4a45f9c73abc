"""What the state machine costs beside a bare LangGraph agent, with a model that costs nothing.

Both run the same tools on the same photos, with the same scripted model and the same kind of
checkpointer, one after the other in each round. Ours adds the trace, evidence, belief and what a
model is told of them. A step is a turn of the model with its tool calls; its cost is the difference
between a long and a short run, so that the beginning and the end of a run are in neither figure.
Beside the clock stands the time that processors spent, which other programs do not lengthen much.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from evaluation.bench import Measurement
from evaluation.scripted_agent import CALLED, Asked, Run, Script, bare_agent

if TYPE_CHECKING:
    from agent.geolocator import Geolocator

LONG, SHORT = 13, 3
ROUNDS = 7
TARGET_STEP = 1.5
LATENCY_S, SESSION_TURNS = 0.2, 12
"""Turns of a session: as many as the default budget allows."""
SESSIONS = (8, 16, 32, 64)
"""The last has the target."""
TARGET_RATE = 0.9
_seeds = count(1)


class Cost(NamedTuple):
    """What something took: by the clock, and of the time of all processors together."""

    wall: float
    cpu: float


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield cost per step, rate of many sessions, and size of the state."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for asked in ("usual", "free", "evidence"):
            yield _step_cost(home, asked)
        yield from _rates(home)
        yield _state_size(home)


def _step_cost(home: Path, asked: Asked) -> Measurement:
    """Return the cost of a step over that of the bare agent."""
    from langgraph.checkpoint.memory import InMemorySaver

    script = Script(turns=SHORT, asked=asked)
    with _geolocator(home, script) as geolocator:
        geolocator.graph = geolocator.compiled(InMemorySaver())  # as sessions have it
        bare = bare_agent(geolocator, script, InMemorySaver())
        runs: dict[str, Run] = {"ours": geolocator.locate, "bare": bare}
        took: dict[tuple[str, int], list[Cost]] = {}
        for number in range(ROUNDS + 1):  # in turns: what else the machine does falls on both
            for turns in (SHORT, LONG):
                for side, run in runs.items():
                    cost = _timed(geolocator, script, run, turns)
                    if number:  # the first round loads what is loaded once
                        took.setdefault((side, turns), []).append(cost)
    (mine, our_cpu), (theirs, their_cpu) = (
        _step(took[side, SHORT], took[side, LONG]) for side in ("ours", "bare")
    )
    return Measurement(
        f"agent: a step of {CALLED[asked]}; over a bare LangGraph agent",
        mine / theirs,
        "x",
        f"{mine:.1f} ms against {theirs:.1f} ms; processor time {our_cpu:.1f} ms against "
        f"{their_cpu:.1f} ms, {our_cpu / their_cpu:.2f} x{_busy()}",
        f"<= {TARGET_STEP}",
        0 < mine <= TARGET_STEP * theirs,
    )


def _step(short: list[Cost], long: list[Cost]) -> Cost:
    """Return what a step more takes, in milliseconds, between the medians of runs."""
    before, after = (
        [statistics.median(column) for column in zip(*costs, strict=True)]
        for costs in (short, long)
    )
    wall, cpu = (1000 * (b - a) / (LONG - SHORT) for a, b in zip(before, after, strict=True))
    return Cost(wall, cpu)


def _timed(geolocator: "Geolocator", script: Script, run: Run, turns: int) -> Cost:
    """Time a run on a photo that neither side has seen: nothing of it is kept from before."""
    photo = _photo(1024, 768, next(_seeds))
    script.turns, script.photo_id = turns, geolocator.bench.photos.add(photo).id
    wall, cpu = time.perf_counter(), time.process_time()
    run(photo)
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _rates(home: Path) -> Iterator[Measurement]:
    """Yield how near many sessions come to the rate that their model's latency allows."""
    for sessions in SESSIONS:
        script = Script(turns=SESSION_TURNS - 1, asked="one")
        with _geolocator(home, script) as geolocator:
            photos = [_photo(640, 480, next(_seeds)) for _ in range(sessions)]
            for photo in photos:
                geolocator.bench.photos.add(photo)
            bare = bare_agent(geolocator, script, None)
            runs: dict[str, Run] = {"ours": geolocator.locate, "bare": bare}
            reached, cpu = dict[str, float](), dict[str, float]()
            for side, run in runs.items():
                script.latency_s = 0.0
                run(photos[0])
                script.latency_s = LATENCY_S
                took = _together([partial(run, photo) for photo in photos])
                reached[side] = SESSION_TURNS * LATENCY_S / took.wall
                cpu[side] = 1000 * took.cpu / sessions / SESSION_TURNS
        judged = sessions == SESSIONS[-1]
        yield Measurement(
            f"agent: {sessions} sessions of {SESSION_TURNS} turns in one process, "
            f"{1000 * LATENCY_S:.0f} ms a reply, of the ideal rate",
            reached["ours"],
            "",
            f"{reached['ours'] * sessions / LATENCY_S:.0f} turns/s of "
            f"{sessions / LATENCY_S:.0f}, {cpu['ours']:.1f} ms of processor time a turn; a bare "
            f"LangGraph agent {reached['bare']:.2f}, {cpu['bare']:.1f} ms{_busy()}",
            f">= {TARGET_RATE}" if judged else "",
            reached["ours"] >= TARGET_RATE if judged else None,
        )


def _together(runs: list[Callable[[], object]]) -> Cost:
    """Time runs that all begin at once, to the end of the last."""
    with ThreadPoolExecutor(len(runs)) as pool:
        wall, cpu = time.perf_counter(), time.process_time()
        for done in [pool.submit(run) for run in runs]:
            done.result()
        return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _busy() -> str:
    """Return what else the machine did, where that was more than this bench alone does."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f"; load {load:.1f} on {cores} processors" if load > cores else ""


def _state_size(home: Path) -> Measurement:
    """Return the bytes that checkpoints of a large photo take, over those of a small one."""
    sizes = [_checkpointed(home, _photo(side, side, side)) for side in (64, 3000)]
    ratio = sizes[1] / sizes[0]
    return Measurement(
        "agent: checkpoints of a photo of 9 megapixels over one of 64 x 64",
        ratio,
        "x",
        f"{sizes[1]:,} against {sizes[0]:,} bytes",
        "<= 1.02",
        ratio <= 1.02,
    )


def _checkpointed(home: Path, photo: bytes) -> int:
    """Return the bytes that the checkpoints of a run take, writes between them included."""
    from langgraph.checkpoint.memory import InMemorySaver

    from agent.graph import run_config

    saver = InMemorySaver()
    script = Script(turns=4, asked="usual")
    with _geolocator(home, script) as geolocator:
        script.photo_id = geolocator.bench.photos.add(photo).id
        config = run_config(geolocator.budget.steps)
        config["configurable"] = {"thread_id": "1"}
        geolocator.compiled(saver).invoke({"photo_id": script.photo_id}, config)
    written = [write[2] for writes in saver.writes.values() for write in writes.values()]
    return sum(len(blob) for _, blob in [*saver.blobs.values(), *written])


def _geolocator(home: Path, script: Script) -> "Geolocator":
    from agent.budget import Budget
    from agent.geolocator import Geolocator
    from agent.recipes import Recipe
    from agent.settings import Settings

    loop = Recipe(name="loop-alone", summary="The loop and nothing else.", loop=True)
    return Geolocator(
        recipe=loop,
        model=script,
        settings=Settings(home=home),
        budget=Budget(steps=50, tool_calls=200, seconds=600),
        encoder=None,
    )


def _photo(width: int, height: int, seed: int) -> bytes:
    """Return a JPEG of noise: it compresses as badly as any photo."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


if __name__ == "__main__":
    from evaluation.bench import main

    sys.exit(main(["agent"]))
