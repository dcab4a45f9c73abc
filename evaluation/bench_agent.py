"""What the state machine costs beside a bare LangGraph agent, with a model that costs nothing.

Both run the same tools on the same photo, with the same scripted model and the same kind of
checkpointer. Ours adds the trace, evidence, belief and what a model is told of them. A step is a
turn of the model with its tool calls; its cost is the difference between a long and a short run,
so that the beginning and the end of a run are in neither figure.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from PIL import Image

from evaluation.bench import Measurement

if TYPE_CHECKING:
    from agent.geolocator import Geolocator

LONG, SHORT = 9, 3
ROUNDS = 7
TARGET_STEP = 1.5
SESSIONS, LATENCY_S, SESSION_TURNS = 64, 0.2, 5
TARGET_RATE = 0.9
NAMES = ("Lyon", "Turin", "Graz", "Brno", "Bergen", "Porto", "Malmö", "Gdynia", "Split", "Cork")


class Script(BaseChatModel):
    """A model that calls two tools a turn and then commits, after a latency."""

    turns: int
    usual: bool
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
        look: tuple[str, dict[str, Any]] = (
            "measure",
            {"points": [{"latitude": turn, "longitude": 1}, {"latitude": 2, "longitude": 3}]},
        )
        if self.usual:
            edge = 0.02 * turn
            look = (
                "zoom",
                {"photo_id": self.photo_id, "left": edge, "top": edge, "right": edge + 0.5,
                 "bottom": edge + 0.5},
            )  # fmt: skip
        asked = [("find_place", {"name": NAMES[turn % len(NAMES)]}), look]
        return [
            ToolCall(name=name, args=args, id=f"c{turn}-{index}", type="tool_call")
            for index, (name, args) in enumerate(asked)
        ]


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield cost per step, rate of many sessions, and size of the state."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for usual in (True, False):
            yield _step_cost(home, usual)
        yield from _rates(home)
        yield _state_size(home)


def _step_cost(home: Path, usual: bool) -> Measurement:
    """Return the cost of a step over that of the bare agent."""
    photo = _photo(1024, 768)
    ours, bare = [], []
    for _ in range(ROUNDS):  # in turns, so that what else the machine does falls on both
        runs = {
            (side, turns): _timed(side, home, photo, turns, usual)
            for turns in (SHORT, LONG)
            for side in ("ours", "bare")
        }
        ours.append((runs["ours", LONG] - runs["ours", SHORT]) / (LONG - SHORT))
        bare.append((runs["bare", LONG] - runs["bare", SHORT]) / (LONG - SHORT))
    mine, theirs = 1000 * statistics.median(ours), 1000 * statistics.median(bare)
    tools = "find_place and zoom" if usual else "find_place and measure, which take no time"
    return Measurement(
        f"agent: a step with {tools}, over a bare LangGraph agent",
        mine / theirs,
        "x",
        f"{mine:.1f} ms against {theirs:.1f} ms",
        f"<= {TARGET_STEP}" if usual else "",
        mine / theirs <= TARGET_STEP if usual else None,
    )


def _timed(side: str, home: Path, photo: bytes, turns: int, usual: bool) -> float:
    script = Script(turns=turns, usual=usual)
    with _geolocator(home, script) as geolocator:
        script.photo_id = geolocator.bench.photos.add(photo).id
        geolocator.bench.photos.image(script.photo_id)
        run = _bare(geolocator, script) if side == "bare" else None
        began = time.perf_counter()
        if run is None:
            geolocator.locate(photo)
        else:
            run()
        return time.perf_counter() - began


def _bare(geolocator: "Geolocator", script: Script) -> Callable[[], None]:
    from langchain.agents import create_agent
    from langgraph.checkpoint.memory import InMemorySaver

    agent = create_agent(script, list(geolocator.tools), checkpointer=InMemorySaver())
    config: RunnableConfig = {"recursion_limit": 200, "configurable": {"thread_id": "1"}}
    asked: Any = {"messages": [("user", "Where?")]}

    def run() -> None:
        # It would call commit_location for ever: the turn after a commit is its end.
        for part in agent.stream(asked, config, stream_mode="updates"):
            said = part.get("tools", {}).get("messages", [])
            if any(message.name == "commit_location" for message in said):
                return

    return run


def _rates(home: Path) -> Iterator[Measurement]:
    """Yield how near many sessions come to the rate that their model's latency allows."""
    photo = _photo(640, 480)
    ideal = SESSION_TURNS * LATENCY_S
    walls = {}
    for side in ("bare", "ours"):
        script = Script(turns=SESSION_TURNS - 1, usual=False, latency_s=LATENCY_S)
        with _geolocator(home, script) as geolocator:
            script.photo_id = geolocator.bench.photos.add(photo).id
            one = partial(geolocator.locate, photo)
            runs: list[Callable[[], object]] = [
                _bare(geolocator, script) if side == "bare" else one for _ in range(SESSIONS)
            ]
            runs[0]()
            with ThreadPoolExecutor(SESSIONS) as pool:
                began = time.perf_counter()
                for done in [pool.submit(run) for run in runs]:
                    done.result()
                walls[side] = time.perf_counter() - began
    reached = ideal / walls["ours"]
    yield Measurement(
        f"agent: {SESSIONS} sessions of {SESSION_TURNS} turns at {1000 * LATENCY_S:.0f} ms a "
        "reply, of the ideal rate",
        reached,
        "",
        f"{SESSIONS / walls['ours']:.1f} sessions/s; a bare LangGraph agent "
        f"{ideal / walls['bare']:.2f}",
        f">= {TARGET_RATE}",
        reached >= TARGET_RATE,
    )


def _state_size(home: Path) -> Measurement:
    """Return the bytes that checkpoints of a large photo take, over those of a small one."""
    sizes = [_checkpointed(home, _photo(side, side)) for side in (64, 3000)]
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
    from langgraph.checkpoint.memory import InMemorySaver

    from agent.graph import run_config

    saver = InMemorySaver()
    script = Script(turns=4, usual=True)
    with _geolocator(home, script) as geolocator:
        script.photo_id = geolocator.bench.photos.add(photo).id
        config = run_config(geolocator.budget.steps)
        config["configurable"] = {"thread_id": "1"}
        geolocator.compiled(saver).invoke({"photo_id": script.photo_id}, config)
    return sum(
        len(value[1])
        for value in [*saver.blobs.values()]
        if isinstance(value, tuple) and isinstance(value[1], bytes)
    )


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


def _photo(width: int, height: int) -> bytes:
    """Return a JPEG of noise: it compresses as badly as any photo."""
    pixels = np.random.default_rng(width).integers(0, 255, (height, width, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


if __name__ == "__main__":
    from evaluation.bench import main

    sys.exit(main(["agent"]))
