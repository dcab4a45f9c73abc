"""Sessions over a real server: said to, stopped, forked, streamed by other people's clients.

Whatever a model of random weights says, every run ends in an answer, a question or a stop, and
every trace verifies and replays to the same answers.
"""

import base64
import logging
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessageChunk
from langgraph_sdk import get_sync_client
from openai import OpenAI

from agent.session_records import SessionOptions
from agent.session_run import SessionRun
from tests.aligned_fakes import GlobeEncoder
from tests.vllm.judge import troubles_of
from tests.vllm.photos import make_gallery
from tests.vllm.session_place import BUDGET, LONGEST_S, Place, placed

if TYPE_CHECKING:
    from index_builder.gallery import Gallery

STOP_S = 2.0
AT_ONCE = 4
SEED = 1_000_003
OPTIONS = {"recipe": "agentic", "ask": False, "budget": BUDGET.model_dump()}
Opening = Callable[[], AbstractContextManager[Place]]
logger = logging.getLogger(__name__)
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def encoder() -> GlobeEncoder:
    return GlobeEncoder()


@pytest.fixture(scope="module")
def gallery(
    server_url: str, encoder: GlobeEncoder, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Gallery]":
    with make_gallery(tmp_path_factory.mktemp("sessions"), encoder) as gallery:
        yield gallery


@pytest.fixture
def opening(server_url: str, tmp_path: Path, gallery: "Gallery", encoder: GlobeEncoder) -> Opening:
    """Opens the sessions of one home folder."""
    seeds = [SEED + 10_000 * number for number in range(8)]
    return partial(placed, server_url, tmp_path / "home", gallery, encoder, seeds)


@pytest.fixture
def place(opening: Opening) -> Iterator[Place]:
    with opening() as place:
        yield place


def test_a_session_is_said_to_and_revises_its_answer(place: Place, photos: list[Path]) -> None:
    session = place.begin(photos[0]).id
    run = place.sessions.send(session, "perhaps in Europe", modes=["updates"])
    kinds = [event.kind for event in run.events()]
    first = place.settle(run).answer
    assert first is not None
    assert first.revision == 1
    assert kinds[:2] == ["setup", "message"]
    assert {"photo", "model_call", "model_reply", "tool_call", "tool_result"} <= {*kinds}
    assert kinds[-1] == "answer"
    asked = len(place.tap.chats())
    second = place.settle(
        place.sessions.send(session, "it is not Spain", photos=[photos[1]])
    ).answer
    assert second is not None
    assert second.revision == 2
    later = place.tap.chats()[asked:]
    assert any("not Spain" in str(one.request["messages"]) for one in later)
    assert max(_images(one.request) for one in later) >= 2, "the second photo is shown"
    assert [one.revision for one in place.sessions.answers(session)] == [1, 2]
    assert len(place.sessions.get(session).photos) == 2
    place.check()


def _images(request: dict[str, Any]) -> int:
    contents = [one["content"] for one in request["messages"] if isinstance(one["content"], list)]
    return sum(part["type"] == "image_url" for parts in contents for part in parts)


def test_a_stop_while_the_model_speaks_is_at_once_and_loses_nothing(
    opening: Opening, photos: list[Path], server_url: str
) -> None:
    with opening() as place:
        session = place.begin(photos[2]).id
        run = place.sessions.send(session, modes=["messages"])
        node = _speaking(run)
        began = time.monotonic()
        assert place.sessions.stop(session)
        run.wait(LONGEST_S)
        seconds = time.monotonic() - began
        logger.info("stopped in %r after %.3f s", node, seconds)
        assert seconds < STOP_S
        assert run.status == place.sessions.get(session).status == "stopped"
        assert _falls_silent(server_url), "the server stops generating, too"
        assert any(one.left for one in place.tap.chats()), "it hung up in the middle of a reply"
        before = place.sessions.snapshot(session).values["steps"]
    with opening() as later:
        answer = later.settle(later.sessions.resume(session)).answer
        assert answer is not None
        assert answer.revision == 1
        assert answer.steps[: len(before)] == tuple(before), "what was found is kept"
        later.check()


def _speaking(run: SessionRun) -> str:
    """Wait until a driver's reply has begun, and return in which node."""
    for _, part in run.parts.follow():
        if part.mode == "messages":
            chunk, about = part.data["data"]
            if isinstance(chunk, AIMessageChunk) and about["langgraph_node"] == "decide":
                return str(about["langgraph_node"])
    raise AssertionError("no reply was streamed")


def _falls_silent(server_url: str, limit_s: float = 20.0) -> bool:
    """Whether the server soon runs no request."""
    metrics = server_url.removesuffix("/v1") + "/metrics"
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        with urllib.request.urlopen(metrics, timeout=30) as reply:
            lines = reply.read().decode().splitlines()
        running = [one for one in lines if one.startswith("vllm:num_requests_running")]
        assert running
        if all(float(one.split()[-1]) == 0 for one in running):
            return True
        time.sleep(0.2)
    return False


def test_branches_of_a_step_go_on_by_other_rules(place: Place, photos: list[Path]) -> None:
    session = place.begin(photos[4]).id
    first = place.settle(place.sessions.send(session)).answer
    assert first is not None
    moments = [one for one in place.sessions.history(session) if "decide" in one.next]
    middle = sorted(moments, key=lambda one: one.step)[len(moments) // 2]
    plain = place.sessions.fork(
        session, middle.checkpoint_id, options=SessionOptions(recipe="pipeline", ask=False)
    )
    asked = len(place.tap.chats())
    other = place.settle(place.sessions.resume(plain.id)).answer
    assert other is not None
    assert other.driver == "pipeline"
    assert len(place.tap.chats()) == asked, "the pipeline driver asks no model"
    without = SessionOptions(
        recipe="agentic", budget=BUDGET, ask=False, without=("search_places", "read_text")
    )
    fewer = place.sessions.fork(session, middle.checkpoint_id, options=without)
    third = place.settle(place.sessions.resume(fewer.id)).answer
    assert third is not None
    offered = {
        tool["function"]["name"]
        for one in place.tap.chats()[asked:]
        for tool in one.request.get("tools", [])
    }
    assert "commit_location" in offered
    assert not offered & {"search_places", "read_text"}
    assert place.sessions.answer(session) == first
    place.check()


def test_langgraph_sdk_gets_the_model_s_own_tokens(place: Place, photos: list[Path]) -> None:
    with get_sync_client(url=place.url, api_key=None) as client:
        thread = client.threads.create()["thread_id"]
        modes: Any = ["values", "messages-tuple", "updates", "custom"]
        asked: Any = {"messages": [{"type": "human", "content": _content(photos[6])}]}
        stream = client.runs.stream(
            thread, "graticule", input=asked, stream_mode=modes, stream_resumable=True,
            config={"configurable": OPTIONS},
        )  # fmt: skip
        parts = list(stream)
        half = len(parts) // 2
        again = client.runs.join_stream(
            thread, parts[0].data["run_id"], last_event_id=parts[half - 1].id
        )
        assert list(again) == parts[half:], "joined again in the middle"
    numbers = [int(part.id or 0) for part in parts]
    assert numbers == list(range(1, len(parts) + 1)), "ids without gaps"
    names = Counter(part.event for part in parts)
    logger.info("langgraph_sdk: %s", dict(names))
    assert {"metadata", "values", "messages", "updates", "custom", "end"} <= {*names}
    assert "error" not in names
    spoken = _spoken([part.data[0] for part in parts if part.event == "messages"])
    texts = Counter(str(event.data["text"]) for event in place.events("model_reply", thread))
    assert any(texts)
    assert max(map(len, spoken.values())) > 3, "a reply comes in pieces"
    heard = Counter("".join(pieces) for pieces in spoken.values())
    assert {text: n - heard[text] for text, n in texts.items() if text and heard[text] < n} == {}
    place.check()


def _spoken(messages: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the pieces of each message that came in pieces."""
    found: dict[str, list[str]] = {}
    for message in messages:
        if message["type"] == "AIMessageChunk":
            found.setdefault(message["id"], []).append(message["content"])
    return found


def _content(photo: Path, text: str = "Where is this?") -> list[dict[str, Any]]:
    kind = "image/png" if photo.suffix == ".png" else "image/jpeg"
    url = f"data:{kind};base64,{base64.b64encode(photo.read_bytes()).decode()}"
    return [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]


def test_the_openai_client_streams_through_us(place: Place, photos: list[Path]) -> None:
    asked: Any = [{"role": "user", "content": _content(photos[7])}]
    with OpenAI(base_url=f"{place.url}/v1", api_key="none", max_retries=0, timeout=600) as client:
        stream = client.chat.completions.create(
            model="graticule/agentic", messages=asked, stream=True,
            stream_options={"include_usage": True},
        )  # fmt: skip
        chunks = list(stream)
        said = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
        asked += [{"role": "assistant", "content": said},
                  {"role": "user", "content": "it is not Spain"}]  # fmt: skip
        again = client.chat.completions.create(model="graticule/agentic", messages=asked)
    (session,) = place.sessions.search()
    finishes = [one.choices[0].finish_reason for one in chunks if one.choices]
    assert [one for one in finishes if one] == ["stop"]
    assert f"Session `{session.id}`" in said
    usage = next(one.usage for one in chunks if one.usage)
    replies = [one for one in place.events("model_reply") if one.number < _first_answer(place)]
    assert usage.completion_tokens == sum(int(str(one.data["tokens_out"])) for one in replies) > 0
    assert f"Session `{session.id}`, answer 2" in (again.choices[0].message.content or "")
    place.check()


def test_an_openai_client_that_leaves_stops_the_model(
    place: Place, photos: list[Path], server_url: str
) -> None:
    asked: Any = [{"role": "user", "content": _content(photos[9])}]
    with OpenAI(base_url=f"{place.url}/v1", api_key="none", max_retries=0, timeout=600) as client:
        stream = client.chat.completions.create(
            model="graticule/agentic", messages=asked, stream=True
        )
        next(iter(stream))
        (session,) = place.sessions.search()
        run = place.sessions.running(session.id)
        assert run is not None
        while not any(event.kind == "model_call" for event in place.sessions.events(session.id)):
            assert run.status == "busy"
            time.sleep(0.05)
        stream.close()
    began = time.monotonic()
    run.wait(LONGEST_S)
    assert time.monotonic() - began < STOP_S
    assert place.sessions.get(session.id).status == "stopped"
    assert _falls_silent(server_url)


def _first_answer(place: Place) -> int:
    return place.events("answer")[0].number


def test_four_sessions_at_once_and_every_reply_is_accounted_for(
    place: Place, photos: list[Path]
) -> None:
    """Each of its own seed, and the person is asked: random replies of many kinds."""
    began = time.monotonic()
    chosen = [photos[0], photos[3], photos[20], photos[40]]
    infos = [
        place.begin(photo, ask=True, budget=BUDGET.model_copy(update={"steps": 4 + number}))
        for number, photo in enumerate(chosen)
    ]
    runs = [place.sessions.send(info.id, "by the sea?") for info in infos]
    assert sum(run.status == "busy" for run in runs) >= 2, "they go on side by side"
    ended = [place.settle(run) for run in runs]
    assert [run.answer.revision for run in ended if run.answer] == [1] * AT_ONCE
    again = [place.sessions.send(info.id, "it is not Spain") for info in infos]
    assert [place.settle(run).answer is not None for run in again] == [True] * AT_ONCE
    chats = [one for one in place.tap.chats() if one.status == 200]
    troubled = [one for one in chats if troubles_of(one)]
    kinds = Counter(str(event.data["kind"]) for event in place.events("malformed"))
    logger.info(
        "%d sessions: %d replies, %d troubled, malformed %s, %d questions, %.0f s",
        AT_ONCE, len(chats), len(troubled), dict(kinds), place.questions, time.monotonic() - began,
    )  # fmt: skip
    assert {one.status for one in place.tap.chats()} == {200}
    assert kinds, "random replies are malformed now and then"
    place.check()
    assert len(place.checked) == AT_ONCE
