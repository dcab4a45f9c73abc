"""Whoever waits for a model is told of a wish to stop, and leaves at once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langgraph.errors import GraphDrained

from agent.asking import Capabilities, Question, Tell
from agent.client import LangChainClient, open_client
from agent.model_settings import ModelSettings
from agent.once import Once
from agent.stopping import STOPPING, Stopping
from tests.openai_stub import OpenAIStub, rate_limited

AT_ONCE_S = 1.0
QUESTION = Question("test", [HumanMessage("Where?")])


def stopped(wait: Callable[[], object], waiting: threading.Event) -> float:
    """Have a thread wait, ask it to stop once it does, and return how long that took."""
    stopping = Stopping()

    def work() -> float:
        STOPPING.set(stopping)
        with pytest.raises(GraphDrained):
            wait()
        return time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        ended: Future[float] = pool.submit(work)
        assert waiting.wait(10)
        began = time.monotonic()
        stopping.request("enough")
        return ended.result(20) - began


def test_a_probe_is_left_to_those_who_come_later() -> None:
    gate, began = threading.Event(), threading.Event()
    probes: list[str] = []

    def probe(tell: Tell) -> Capabilities:
        probes.append("probe")
        began.set()
        assert gate.wait(20)
        tell("notice", {"text": "probed"})
        return Capabilities(model="m", images=True)

    client = LangChainClient(FakeListChatModel(responses=["x"]), ModelSettings(), probe=probe)
    assert stopped(lambda: client.capabilities, began) < AT_ONCE_S
    gate.set()
    assert client.capabilities.images
    assert probes == ["probe"]


def test_the_pause_before_another_attempt_ends() -> None:
    retrying = threading.Event()

    def told(kind: str) -> None:
        if kind == "retry":
            retrying.set()

    with OpenAIStub([rate_limited("15")]) as stub:
        client = open_client(stub.settings(strict="no", timeout_s=60))
        seconds = stopped(lambda: client.ask(QUESTION, lambda kind, _: told(kind)), retrying)
    assert seconds < AT_ONCE_S


def test_what_could_not_be_found_out_is_tried_again() -> None:
    outcomes = [OSError("no"), OSError("never")]

    def find() -> str:
        if outcomes:
            raise outcomes.pop()
        return "found"

    once = Once(find)
    for said in ("never", "no"):
        with pytest.raises(OSError, match=said):
            once.get()
    assert once.get() == once.get() == "found"


def test_several_wait_for_one_attempt() -> None:
    gate, calls = threading.Event(), list[int]()

    def find() -> int:
        calls.append(1)
        assert gate.wait(20)
        return 7

    once = Once(find)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(once.get) for _ in range(4)]
        time.sleep(0.05)
        gate.set()
        assert [one.result(20) for one in waiting] == [7] * 4
    assert calls == [1]
