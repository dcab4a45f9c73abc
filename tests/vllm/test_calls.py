"""Replies of a real server to a request with all tools, read one by one without the graph."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import BaseTool

from agent import Geolocator
from agent.asking import Question
from agent.client import open_client
from agent.model_settings import ModelSettings
from agent.repair import read_calls
from agent.settings import Settings
from tests.aligned_fakes import GlobeEncoder
from tests.vllm.judge import hear, troubles_of
from tests.vllm.photos import make_gallery
from tests.vllm.wiretap import Wiretap

ASKED = 40


@pytest.fixture(scope="module")
def tools(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> list[BaseTool]:
    """Every tool that a run with a gallery and an encoder may call."""
    folder = tmp_path_factory.mktemp("tools")
    encoder = GlobeEncoder()
    with make_gallery(folder, encoder) as gallery:
        settings = Settings(home=folder / "home")
        with Geolocator([gallery], settings=settings, encoder=encoder) as geolocator:
            return list(geolocator.tools)


@pytest.mark.parametrize("strict", ["yes", "no"])
def test_whatever_comes_back_is_read_or_told(
    tools: list[BaseTool], model: ModelSettings, tap: Wiretap, strict: Literal["yes", "no"]
) -> None:
    client = open_client(model.model_copy(update={"strict": strict}))
    told: list[Any] = []

    def ask(seed: int) -> tuple[int, Any]:
        question = Question("decide", [HumanMessage("Go.")], tools=tools, must_call=True, seed=seed)
        reply = client.ask(question, lambda kind, data: told.append((kind, data)))
        return seed, read_calls(reply.message, tools, finish=reply.finish, photo_id="a" * 64)

    with ThreadPoolExecutor(8) as pool:
        read = dict(pool.map(ask, range(ASKED)))
    chats = [one for one in tap.chats() if "seed" in one.request and one.request.get("tools")]
    chats = [one for one in chats if len(one.request["tools"]) == len(tools)]
    assert len(chats) == ASKED
    offered = [tool for one in chats for tool in one.request["tools"]]
    assert {tool["function"].get("strict") for tool in offered} == (
        {True} if strict == "yes" else {None}
    )
    for one in chats:
        found = read[one.request["seed"]]
        assert found.calls or found.problems, "nothing is lost without a word"
        if troubles_of(one):
            assert found.problems, troubles_of(one)
        for call in found.calls:
            assert isinstance(call["args"], dict)
    assert any(len(hear(one).calls) >= 2 for one in chats), "several calls in one reply"


def test_the_maker_and_the_server_agree_on_the_context() -> None:
    from tests.vllm import make_model, server

    assert make_model.CONTEXT == server.CONTEXT
