"""50 photos through `agentic` and `g3`: an answer each, and nothing that came back is lost."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent import Answer, Geolocator
from agent.budget import Budget
from agent.probe import MARK
from agent.settings import Settings
from agent.trace import Event, check_trace, read_trace
from tests.aligned_fakes import GlobeEncoder
from tests.vllm.conftest import model_at
from tests.vllm.judge import hear, troubles_of, unaccounted
from tests.vllm.photos import COUNT, make_gallery
from tests.vllm.server import IMAGES
from tests.vllm.wiretap import Exchange, tapped

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder

AT_ONCE = 4
SEEDS = 10
LONGEST_S = 300.0
"""A run that takes longer hangs; its budget is far below."""
BUDGET = Budget(steps=5, tool_calls=16, seconds=120)
logger = logging.getLogger(__name__)

pytestmark = pytest.mark.timeout(3600)


@dataclass
class Run:
    """One photo's run."""

    photo: Path
    trace: Path
    answer: Answer | None = None
    error: str = ""
    seconds: float = 0.0

    @property
    def events(self) -> list[Event]:
        return list(read_trace(self.trace))


@dataclass
class Runs:
    """All photos through one recipe, and everything that went over the wire meanwhile."""

    recipe: str
    runs: list[Run]
    chats: list[Exchange]

    def events(self, kind: str) -> list[Event]:
        return [event for run in self.runs for event in run.events if event.kind == kind]


@pytest.fixture(scope="module")
def run_recipe(
    server_url: str, photos: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Runs]:
    """Return what puts every photo through a recipe, four at once, the first time it is asked."""
    return cache(
        lambda recipe: runs_of(recipe, server_url, photos, tmp_path_factory.mktemp(recipe))
    )


@pytest.fixture(params=["agentic", "g3"])
def done(request: pytest.FixtureRequest, run_recipe: Callable[[str], Runs]) -> Runs:
    """Every photo through each recipe."""
    return run_recipe(request.param)


@pytest.fixture
def agentic(run_recipe: Callable[[str], Runs]) -> Runs:
    return run_recipe("agentic")


@pytest.fixture
def g3(run_recipe: Callable[[str], Runs]) -> Runs:
    return run_recipe("g3")


def runs_of(recipe: str, server_url: str, photos: list[Path], folder: Path) -> Runs:
    """Put every photo through a recipe; random weights say the same to all under one seed."""
    encoder = encoder_for(recipe)
    with (
        tapped(server_url) as tap,
        make_gallery(folder, encoder) as gallery,
        ExitStack() as stack,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        geolocators = []
        for seed in range(SEEDS):
            model = model_at(tap.url, 1 + 10_000 * seed)
            settings = Settings(home=folder / "home", model=model, recipe=recipe)
            one = Geolocator([gallery], settings=settings, budget=BUDGET, encoder=encoder)
            geolocators.append(stack.enter_context(one))
        tasks = [
            pool.submit(
                locate,
                geolocators[number % SEEDS],
                photo,
                folder / f"{number:02d}.jsonl",
                recipe,
            )
            for number, photo in enumerate(photos)
        ]
        return Runs(recipe, [task.result() for task in tasks], tap.chats())


def encoder_for(recipe: str) -> "AlignedEncoder":
    """Return an encoder that the recipe accepts, small enough for a test."""
    if recipe != "g3":
        return GlobeEncoder()
    from tests.unit.encoder_samples import tiny_encoder

    return tiny_encoder("g3")


def locate(geolocator: Geolocator, photo: Path, trace: Path, recipe: str) -> Run:
    run, began = Run(photo, trace), time.monotonic()
    try:
        run.answer = geolocator.locate(photo, trace=trace)
    except Exception as error:
        run.error = f"{type(error).__name__}: {error}"
        logger.exception("%s: %s", recipe, photo.name)
    run.seconds = time.monotonic() - began
    said = run.answer.status if run.answer else run.error
    logger.info("%s %s: %s in %.1f s", recipe, photo.name, said, run.seconds)
    return run


def test_every_photo_ends_in_an_answer(done: Runs) -> None:
    assert len(done.runs) == COUNT
    assert [f"{run.photo.name}: {run.error}" for run in done.runs if run.error] == []
    statuses = Counter(run.answer.status for run in done.runs if run.answer)
    logger.info("%s: %s", done.recipe, dict(statuses))
    assert set(statuses) <= {"located", "region", "undetermined"}
    assert max(run.seconds for run in done.runs) < LONGEST_S


def test_every_trace_is_whole_and_ends_with_the_answer(done: Runs) -> None:
    for run in done.runs:
        check = check_trace(run.trace)
        assert check.finished, run.photo.name
        assert not check.cut, run.photo.name
        assert run.events[-1].kind == "answer"


def test_the_trace_holds_every_request_and_every_reply(done: Runs) -> None:
    answered = [one for one in done.chats if one.status == 200 and not one.left]
    replies = done.events("model_reply")
    told = Counter[Any]((one.data["tokens_in"], one.data["tokens_out"]) for one in replies)
    heard = Counter[Any](hear(one).tokens for one in answered)
    missing = heard - told
    probes = sum(missing.values())
    assert told
    assert not told - heard, "a reply that nobody sent"
    assert probes <= 8 * SEEDS, "besides those of the probes at the start"
    notices = [str(event.data["text"]) for event in done.events("notice")]
    assert not [text for text in notices if "asked without it" in text], "nothing was left out"
    assert len(replies) >= COUNT


def test_every_malformed_reply_is_accounted_for(done: Runs) -> None:
    lost = {run.photo.name: lost for run in done.runs if (lost := unaccounted(run.events))}
    assert lost == {}
    troubled = [one for one in done.chats if one.status == 200 and troubles_of(one)]
    kinds = Counter(str(event.data["kind"]) for event in done.events("malformed"))
    logger.info("%s: %d troubled replies of %d; malformed: %s",
                done.recipe, len(troubled), len(done.chats), dict(kinds))  # fmt: skip


def test_photos_travel_as_user_messages_and_no_more_than_allowed(done: Runs) -> None:
    shown = 0
    for one in done.chats:
        images = 0
        for message in one.request["messages"]:
            parts: Any = message["content"] if isinstance(message["content"], list) else []
            here = sum(part["type"] == "image_url" for part in parts)
            assert not here or message["role"] == "user"
            images += here
        assert images <= IMAGES
        shown += bool(images)
    assert shown >= COUNT, "every run shows its photo to the model"


def test_replies_are_streamed(done: Runs) -> None:
    chats = [one for one in done.chats if MARK not in str(one.request["messages"])]
    streamed = [one for one in chats if one.streamed]
    assert streamed
    assert len(streamed) == len(chats)
    assert any(hear(one).pieces > 3 for one in streamed)


def test_nothing_is_refused_by_the_server(done: Runs) -> None:
    assert done.chats
    refused = Counter(one.reply[:200] for one in done.chats if one.status != 200)
    assert not refused


def test_tools_are_offered_with_strict_schemas(agentic: Runs) -> None:
    offered = [tool for one in agentic.chats for tool in one.request.get("tools", [])]
    assert offered
    loops = [one for one in agentic.chats if len(one.request.get("tools", [])) > 1]
    assert len(loops) >= COUNT
    for one in loops:
        assert all(tool["function"]["strict"] is True for tool in one.request["tools"])


def test_calls_of_one_reply_run_in_parallel(agentic: Runs) -> None:
    """A reply's calls are run together: all are begun before the first has ended."""
    overlapping = 0
    for run in agentic.runs:
        begun: set[object] = set()
        for event in run.events:
            if event.kind == "tool_call":
                begun.add(event.data["id"])
            elif event.kind == "tool_result":
                begun.discard(event.data["call_id"])  # the prior's has no call
            overlapping += len(begun) >= 2
    assert overlapping
    several = [one for one in agentic.chats if one.status == 200 and len(hear(one).calls) >= 2]
    assert several, "the model asked for several tools in one reply"


def test_the_model_s_calls_were_carried_out(agentic: Runs) -> None:
    outcomes = Counter(str(event.data["outcome"]) for event in agentic.events("tool_result"))
    logger.info("tool results: %s", dict(outcomes))
    assert outcomes["ok"] >= COUNT


def test_g3_asks_for_five_answers_under_each_of_four_counts(g3: Runs) -> None:
    for run in g3.runs:
        asked = [event for event in run.events if event.kind == "model_call"]
        assert len(asked) >= 20, run.photo.name
        assert len({event.data["seed"] for event in asked}) > 1
