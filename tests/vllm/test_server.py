"""What the client, the probe and the errors make of a real server."""

from base64 import b64encode
from io import BytesIO
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from PIL import Image

from agent.asking import ContextOverflowError, ModelUnavailableError, Question
from agent.client import open_client
from agent.model_settings import ModelSettings
from agent.probe import probe
from tests.vllm.judge import hear
from tests.vllm.server import CONTEXT, IMAGES, NAME
from tests.vllm.wiretap import Wiretap


def silent(kind: str, data: dict[str, Any]) -> None:
    """Listen to nothing."""


def asking(text: str, images: int = 0) -> Question:
    buffer = BytesIO()
    Image.new("RGB", (96, 64), (200, 120, 40)).save(buffer, "JPEG")
    url = "data:image/jpeg;base64," + b64encode(buffer.getvalue()).decode()
    block: dict[str, Any] = {"type": "image_url", "image_url": {"url": url}}
    content: list[str | dict[Any, Any]] = [{"type": "text", "text": text}, *[block] * images]
    return Question("test", [HumanMessage(content)], images=("photo",) * images, max_tokens=64)


def test_the_probe_sees_what_the_server_can_do(model: ModelSettings) -> None:
    seen = probe(model)
    assert NAME in seen.models
    assert seen.context_tokens == CONTEXT
    assert (seen.images, seen.tools, seen.strict) == (True, True, True)
    assert (seen.structured, seen.streaming) == (True, True)
    assert seen.parallel is not False, "how many calls come is the model's free choice"


def test_an_image_is_seen_and_a_reply_is_streamed(model: ModelSettings, tap: Wiretap) -> None:
    client = open_client(model)
    without = client.ask(asking("Where?"), silent)
    reply = client.ask(asking("Where?", images=1), silent)
    assert reply.tokens_in > without.tokens_in + 4, "an image costs tokens"
    last = tap.chats()[-1]
    assert last.streamed
    assert last.request["stream"] is True
    assert hear(last).tokens == (reply.tokens_in, reply.tokens_out)
    assert reply.first_token_s is not None
    assert reply.first_token_s <= reply.seconds


def test_the_first_model_is_taken_where_none_is_named(model: ModelSettings) -> None:
    assert open_client(model.model_copy(update={"name": ""})).name == NAME


def test_a_request_longer_than_the_context_is_told_as_such(model: ModelSettings) -> None:
    with pytest.raises(ContextOverflowError):
        open_client(model).ask(asking("far too long " * CONTEXT), silent)


def test_more_images_than_the_server_takes_are_told_with_its_limit(model: ModelSettings) -> None:
    with pytest.raises(ModelUnavailableError, match=str(IMAGES)):
        open_client(model).ask(asking("Where?", images=IMAGES + 1), silent)


def test_another_name_than_the_server_has_is_told_with_the_name(model: ModelSettings) -> None:
    with pytest.raises(ModelUnavailableError, match="no-such-model"):
        open_client(model.model_copy(update={"name": "no-such-model"})).ask(asking("Hi"), silent)
