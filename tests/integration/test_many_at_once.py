"""Many photos at once in one process: nothing waits in line, nothing is mixed up or wedged."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from PIL import Image

from agent import Answer, Geolocator
from agent.factors import Settlements
from agent.settings import Settings
from geo.errors import InputError
from tests.fakes import BlankReader, FakeGazetteer
from tests.unit.photo_samples import encoded
from tests.unit.test_agentic import Model, commit

LATENCY_S = 0.2
TOGETHER = 33  # the pool of asyncio itself has some six threads here
PATIENCE_S = 20
ROOT = Path(__file__).parents[2]


class Slow(Model):
    """Answers after a while, not before `until` calls have waited at the same time, and counts."""

    def __init__(self, until: int = 0) -> None:
        super().__init__(commit)
        self.waiting = self.most = 0
        self._until = until
        self._count = threading.Condition()

    def reply(self, messages: Sequence[BaseMessage], given: dict[str, Any]) -> AIMessage:
        with self._count:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            self._count.notify_all()
            self._count.wait_for(lambda: self.most >= self._until, PATIENCE_S)
        time.sleep(LATENCY_S)
        with self._count:
            self.waiting -= 1
        return super().reply(messages, given)


def photo(number: int) -> bytes:
    return encoded(Image.new("RGB", (96, 64), (4 * number % 256, 90, number)))


Open = Callable[..., Geolocator]


@pytest.fixture
def opened(settings: Settings, settlements: Settlements) -> Iterator[Open]:
    held: list[Geolocator] = []

    def make(model: Model) -> Geolocator:
        one = Geolocator(model=model.chat, settings=settings, encoder=None, recipe="agentic")
        one.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        one.bench.reader = BlankReader()
        held.append(one)
        return one

    yield make
    for one in held:
        one.close()


def same(answer: Answer) -> dict[str, Any]:
    """Return what no clock says."""
    told = answer.model_dump(exclude={"seconds", "budget_spent", "trace_path", "model", "steps"})
    return told | {"steps": [step.model_dump(exclude={"seconds"}) for step in answer.steps]}


async def test_sixty_four_photos_wait_for_the_model_together(opened: Open, tmp_path: Path) -> None:
    model = Slow(until=TOGETHER)
    geolocator = opened(model)
    answers = await asyncio.gather(
        *[geolocator.alocate(photo(n), trace=tmp_path / f"{n}.jsonl") for n in range(64)]
    )
    assert len({answer.photo_id for answer in answers}) == 64
    assert {answer.stopped_because for answer in answers} == {"committed"}
    assert model.most >= TOGETHER


async def test_an_event_loop_is_not_blocked(opened: Open) -> None:
    geolocator = opened(Slow())
    await geolocator.alocate(photo(0))  # what is loaded once is loaded
    longest = last = 0.0

    async def tick() -> None:
        nonlocal longest, last
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*[geolocator.alocate(photo(n)) for n in range(4)])
    ticking.cancel()
    assert longest < 5 * LATENCY_S  # a reply takes 0.2 s, a run several


def test_threads_give_the_answers_of_one_after_the_other(opened: Open) -> None:
    one, other = opened(Model(commit)), opened(Model(commit))
    serial = [same(one.locate(photo(n))) for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        first = list(pool.map(lambda n: same(one.locate(photo(n))), range(6)))
        second = list(pool.map(lambda n: same(other.locate(photo(n))), range(6)))
    assert first == serial
    assert second == serial


async def test_a_task_that_is_cancelled_leaves_the_object_usable(opened: Open) -> None:
    geolocator = opened(Slow())
    task = asyncio.create_task(geolocator.alocate(photo(1)))
    await asyncio.sleep(LATENCY_S / 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    answer = await asyncio.wait_for(geolocator.alocate(photo(2)), 60)
    assert answer.stopped_because == "committed"


async def test_a_stream_that_is_left_early_leaves_the_object_usable(opened: Open) -> None:
    geolocator = opened(Slow())
    events = geolocator.astream(photo(1))
    async for event in events:
        assert event.kind == "setup"
        break
    await events.aclose()
    kinds = [event.kind async for event in geolocator.astream(photo(2))]
    assert kinds[-1] == "answer"


async def test_closing_while_a_run_goes_on_lets_it_end(opened: Open) -> None:
    geolocator = opened(Slow())
    task = asyncio.create_task(geolocator.alocate(photo(1)))
    await asyncio.sleep(LATENCY_S / 2)
    geolocator.close()
    answer = await asyncio.wait_for(task, 60)
    assert answer.stopped_because == "committed"
    geolocator.close()  # twice is once
    with pytest.raises(InputError, match="closed"):
        await geolocator.alocate(photo(2))
    with pytest.raises(InputError, match="closed"):
        geolocator.locate(photo(2))


async def test_closing_lets_a_stream_end_too(opened: Open) -> None:
    geolocator = opened(Slow())
    kinds = []
    async for event in geolocator.astream(photo(1)):
        geolocator.close()
        kinds.append(event.kind)
    assert kinds[-1] == "answer"


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import agent", ("langgraph", "langchain_core", "openai", "torch", "numpy")),
        ("from agent import make_graph", ("torch", "openai", "langchain_openai", "cv2", "shapely")),
    ],
)
def test_importing_stays_light(code: str, absent: tuple[str, ...]) -> None:
    shown = f"{code}; import sys; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", shown], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]", done.stderr[-500:]
