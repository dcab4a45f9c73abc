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
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from PIL import Image

from evaluation.bench import Measurement

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from agent.geolocator import Geolocator

LONG, SHORT = 13, 3
ROUNDS = 7
TARGET_STEP = 1.5
LATENCY_S, SESSION_TURNS = 0.2, 12
"""Turns of a session: as many as the default budget allows."""
SESSIONS = (16, 32, 48, 64)
"""The last has the target."""
TARGET_RATE = 0.9
TOWNS = (
    ("Lyon", "FR"), ("Turin", "IT"), ("Graz", "AT"), ("Brno", "CZ"), ("Bergen", "NO"),
    ("Porto", "PT"), ("Malmö", "SE"), ("Gdynia", "PL"), ("Split", "HR"), ("Cork", "IE"),
    ("Basel", "CH"), ("Ghent", "BE"), ("Aarhus", "DK"), ("Tartu", "EE"),
)  # fmt: skip
Asked = Literal["usual", "evidence", "free", "one"]
CALLED: dict[Asked, str] = {
    "usual": "find_place and zoom: evidence, belief and a picture at every step",
    "free": "measure twice, which takes no time and is no evidence",
    "evidence": "find_place and measure, which take a millisecond: evidence and belief at every "
    "step",
    "one": "measure once",
}
Run = Callable[[bytes], object]
_seeds = count(1)


class Script(BaseChatModel):
    """A model that calls tools turn by turn, always others, and then commits, after a latency."""

    turns: int
    asked: Asked
    photo_id: str = ""
    latency_s: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "script"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        """Take the tools as they are: which ones are called is known."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self.latency_s:
            time.sleep(self.latency_s)
        turn = sum(isinstance(message, AIMessage) for message in messages)
        message = AIMessage("", tool_calls=self._calls(turn))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _calls(self, turn: int) -> list[ToolCall]:
        if turn >= self.turns:
            said = {"evidence_ids": [], "reason": "the end", "undetermined": True}
            return [ToolCall(name="commit_location", args=said, id=f"c{turn}", type="tool_call")]
        return [
            ToolCall(name=name, args=args, id=f"c{turn}-{index}", type="tool_call")
            for index, (name, args) in enumerate(self._turn(turn))
        ]

    def _turn(self, turn: int) -> list[tuple[str, dict[str, Any]]]:
        """Return the names and arguments of a turn's calls, none of which was made before."""
        if self.asked == "usual":
            edge = 0.02 * turn
            box = {"left": edge, "top": edge, "right": edge + 0.5, "bottom": edge + 0.5}
            return [_find(turn), ("zoom", {"photo_id": self.photo_id, **box})]
        if self.asked == "evidence":
            return [_find(turn), _measure(turn, 3)]
        return [_measure(turn, 3), _measure(turn, 4)][: 1 if self.asked == "one" else 2]


def _find(turn: int) -> tuple[str, dict[str, Any]]:
    """Return a search for a town in its country, which counts as evidence."""
    name, country = TOWNS[turn]
    return "find_place", {"name": name, "countries": [country]}


def _measure(turn: int, longitude: int) -> tuple[str, dict[str, Any]]:
    ends = [{"latitude": turn, "longitude": 1}, {"latitude": 2, "longitude": longitude}]
    return "measure", {"points": ends}


class Cost(NamedTuple):
    """What a run took: seconds by the clock, and of all processors together."""

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
        bare = _bare(geolocator, script, InMemorySaver())
        runs: dict[str, Run] = {"ours": geolocator.locate, "bare": bare}
        steps: dict[str, list[Cost]] = {side: [] for side in runs}
        for number in range(ROUNDS + 1):  # in turns: what else the machine does falls on both
            for side, run in runs.items():
                short, long = (_timed(geolocator, script, run, turns) for turns in (SHORT, LONG))
                each = LONG - SHORT
                step = Cost((long.wall - short.wall) / each, (long.cpu - short.cpu) / each)
                if number:  # the first round loads what is loaded once
                    steps[side].append(step)
    (mine, our_cpu), (theirs, their_cpu) = (
        [1000 * statistics.median(column) for column in zip(*steps[side], strict=True)]
        for side in ("ours", "bare")
    )
    judged = asked != "evidence"
    return Measurement(
        f"agent: a step of {CALLED[asked]}; over a bare LangGraph agent",
        mine / theirs,
        "x",
        f"{mine:.1f} ms against {theirs:.1f} ms; processor time {our_cpu:.1f} ms against "
        f"{their_cpu:.1f} ms, {our_cpu / their_cpu:.2f} x{_busy()}",
        f"<= {TARGET_STEP}" if judged else "",
        mine / theirs <= TARGET_STEP if judged else None,
    )


def _timed(geolocator: "Geolocator", script: Script, run: Run, turns: int) -> Cost:
    """Time a run on a photo that neither side has seen: nothing of it is kept from before."""
    photo = _photo(1024, 768, next(_seeds))
    script.turns, script.photo_id = turns, geolocator.bench.photos.add(photo).id
    wall, cpu = time.perf_counter(), time.process_time()
    run(photo)
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _bare(
    geolocator: "Geolocator", script: Script, saver: "BaseCheckpointSaver[str] | None"
) -> Run:
    """Return a bare agent that runs to a commit; what tools draw is shown to its model, too."""
    from langchain.agents import create_agent

    shown = [_showing(geolocator)] if script.asked == "usual" else []
    agent = create_agent(script, list(geolocator.tools), middleware=shown, checkpointer=saver)
    asked: Any = {"messages": [("user", "Where?")]}

    def run(photo: bytes) -> None:
        thread = {"thread_id": str(next(_seeds))}
        config: RunnableConfig = {"recursion_limit": 200, "configurable": thread}
        # It would call commit_location for ever: the turn after a commit is its end.
        for part in agent.stream(asked, config, stream_mode="updates"):
            said = part.get("tools", {}).get("messages", [])
            if any(message.name == "commit_location" for message in said):
                return

    return run


def _showing(geolocator: "Geolocator") -> "AgentMiddleware[Any, Any, Any]":
    """Return what adds the latest pictures of tools to a request, as many as ours shows."""
    from langchain.agents.middleware import wrap_model_call

    from agent.model_settings import ModelSettings
    from agent.shown_pictures import PictureCache

    cache, settings = PictureCache(), ModelSettings()

    def shown(messages: list[AnyMessage]) -> list[AnyMessage]:
        made = [m.artifact for m in messages if isinstance(m, ToolMessage) and m.artifact]
        ids = [picture.photo_id for outcome in made for picture in outcome.pictures]
        latest = ids[1 - settings.images :]
        uris = [
            cache.show(geolocator.bench.photos, id, settings.image_side_px).uri for id in latest
        ]
        blocks: list[Any] = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
        return [*messages, HumanMessage(blocks)] if blocks else messages

    @wrap_model_call
    def showing(request: Any, handler: Any) -> Any:
        return handler(request.override(messages=shown(request.messages)))

    return showing


def _rates(home: Path) -> Iterator[Measurement]:
    """Yield how near many sessions come to the rate that their model's latency allows."""
    for sessions in SESSIONS:
        script = Script(turns=SESSION_TURNS - 1, asked="one")
        with _geolocator(home, script) as geolocator:
            photos = [_photo(640, 480, next(_seeds)) for _ in range(sessions)]
            for photo in photos:
                geolocator.bench.photos.add(photo)
            bare = _bare(geolocator, script, None)
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
