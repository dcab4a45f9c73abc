"""OpenAI's own Python client against `/v1/chat/completions` of a running server."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from agent.sessions import Sessions
from agent.settings import Settings
from tests.clients.http_server import serving
from tests.fakes import calling
from tests.unit.mcp_samples import PHOTO, base64_of
from tests.unit.test_agentic import Model, commit

pytestmark = pytest.mark.clients
Served = tuple[OpenAI, Sessions]


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    with serving(settings) as (address, sessions), client_of(address) as client:
        yield client, sessions


def client_of(address: str) -> OpenAI:
    return OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)


def shown(text: str = "", url: str = f"data:image/jpeg;base64,{base64_of(PHOTO)}") -> Any:
    parts = [{"type": "text", "text": text}] if text else []
    return {"role": "user", "content": [*parts, {"type": "image_url", "image_url": {"url": url}}]}


def ask(client: OpenAI, *messages: Any, **more: Any) -> Any:
    return client.chat.completions.create(
        model=more.pop("model", "graticule"), messages=list(messages), **more
    )


def test_recipes_are_listed_as_models(served: Served) -> None:
    client, _ = served
    names = [model.id for model in client.models.list()]
    assert {"graticule", "graticule/pipeline", "graticule/agentic"} <= set(names)
    assert client.models.retrieve("graticule/pipeline").owned_by == "graticule"


def test_a_photo_is_located_and_a_follow_up_revises_the_answer(served: Served) -> None:
    client, sessions = served
    first = ask(client, shown("somewhere in Bavaria?"))
    said = first.choices[0].message
    assert "Germany" in said.content
    assert first.choices[0].finish_reason == "stop"
    again = {"role": "assistant", "content": said.content}
    second = ask(client, shown(), again, {"role": "user", "content": "it is in Testdorf"})
    session = sessions.search()[0]
    assert len(sessions.search()) == 1
    assert session.revision == 2
    assert f"Session `{session.id}`, answer 2" in second.choices[0].message.content


def test_a_stream_brings_steps_the_answer_and_the_usage(served: Served) -> None:
    client, _ = served
    reasoning, content, usage, finish = [], [], None, None
    stream = ask(client, shown(), stream=True, stream_options={"include_usage": True})
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            reasoning.append(getattr(choice.delta, "reasoning_content", None) or "")
            content.append(choice.delta.content or "")
            finish = choice.finish_reason or finish
    assert any("read" in line for line in reasoning)
    assert "Germany" in "".join(content)
    assert finish == "stop"
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_the_first_chunk_comes_at_once(served: Served) -> None:
    client, _ = served
    ask(client, shown())  # what loads once is loaded
    began = time.perf_counter()
    stream = ask(client, shown(), stream=True)
    next(iter(stream))
    assert time.perf_counter() - began < 0.3
    assert len(list(stream)) > 3


def test_the_answer_comes_as_json(served: Served) -> None:
    client, _ = served
    reply = ask(client, shown(), response_format={"type": "json_object"})
    assert '"country": "DE"' in reply.choices[0].message.content


def test_a_conversation_without_a_photo_is_answered(served: Served) -> None:
    client, sessions = served
    reply = ask(client, {"role": "user", "content": "Hello!"})
    assert "Send me a photo" in reply.choices[0].message.content
    assert sessions.search() == []


def test_refusals_are_the_clients_own_exceptions(served: Served) -> None:
    client, _ = served
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(client, shown(), model="gpt-4o")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as several:
        ask(client, shown(), n=2)
    assert several.value.param == "n"
    with pytest.raises(openai.BadRequestError):
        ask(client, shown(url="data:image/jpeg;base64,AAAA"))
    with pytest.raises(openai.PermissionDeniedError):
        ask(client, shown(url="http://127.0.0.1/a.jpg"))


def test_the_report_that_a_reply_links_is_there(served: Served) -> None:
    client, _ = served
    reply = ask(client, shown())
    link = reply.model_extra["graticule"]["links"]["Report"]
    found = httpx2.get(link, timeout=60)
    assert found.status_code == 200
    assert found.text.lower().startswith("<!doctype html")


def test_a_client_that_leaves_a_stream_stops_the_run(settings: Settings) -> None:
    go = threading.Event()

    def slow(messages: Any) -> Any:
        go.wait(10)
        return calling(("find_place", {"name": "Testdorf"}))

    with serving(settings, lambda: Model(slow, commit)) as (address, sessions):
        with client_of(address) as client:
            stream = ask(client, shown(), stream=True)
            next(iter(stream))
            stream.close()
        run = sessions.running(sessions.search()[0].id)
        assert run is not None
        for _ in range(200):
            if run.stopping:
                break
            time.sleep(0.02)
        assert run.stopping
        go.set()
        run.wait(10)
        assert sessions.get(run.session_id).status == "stopped"
