"""The wording of real servers, and what it is taken to mean."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from agent.asking import (
    ContextOverflowError,
    ImagesRefusedError,
    ModelUnavailableError,
    ToolsRefusedError,
)
from agent.client_errors import WORDS, Asked, explain, redact, shown_address
from agent.client_wire import WireError

EVERYTHING = Asked(
    place="http://h/v1", model="m", images=True, tools=True,
    parts=frozenset({"response_format", "strict", "seed", "temperature", "max_tokens", "stream"}),
)  # fmt: skip
NOTHING = Asked(place="http://h/v1", model="m")

CONTEXT = [
    (400, "This model's maximum context length is 16384 tokens. However, you requested 122946 "
     "tokens (112946 in the messages, 10000 in the completion)."),  # vLLM, OpenAI
    (400, "The decoder prompt (length 10127) is longer than the maximum model length of 8192. Make "
     "sure that `max_model_len` is no smaller than the number of text tokens plus multimodal "
     "tokens. For image inputs, the number of image tokens depends on the number of images"),
    (400, "The prompt (total length 25938) is too long to fit into the model (context 4096)."),
    (400, "request (4390 tokens) exceeds the available context size (4096 tokens)"),  # llama.cpp
    (500, "Context size has been exceeded."),
    (400, "Requested tokens (2285) exceed context window of 2048"),
    (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1512. Given: 1000 "
     "`inputs` tokens and 1024 `max_new_tokens`"),  # Text Generation Inference
    (422, "Input validation error: `inputs` must have less than 1024 tokens. Given: 1168"),
    (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    (413, "Request Entity Too Large"),
]  # fmt: skip
IMAGES = [
    (400, "At most 1 image(s) may be provided in one request."),
    (400, "At most 4 image(s) may be provided in one prompt."),
    (400, "tiny is not a multimodal model"),
    (500, "image input is not supported - hint: if this is unexpected, you may need to provide the "
     "mmproj"),
    (500, 'Failed to parse messages: Unsupported content part type: "image_url"'),
    (400, "Invalid content type. image_url is only supported by certain models."),
    (404, "No endpoints found that support image input"),
    (400, "this model does not support image input (ref: b8bd)"),
    (400, "Model does not support images. Please use a model that does."),
    (400, "cannot identify image file"),
]  # fmt: skip
TOOLS = [
    (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    (400, "registry.ollama.ai/library/gemma3:4b does not support tools"),
    (500, "tools param requires --jinja flag"),
    (500, "Unsupported param: tools"),
    (404, "No endpoints found that support tool use. To learn more about provider routing"),
    (400, "This model does not support function calling"),
]


def _error(status: int | None, message: str, **more: Any) -> WireError:
    return WireError("failed", status_code=status, body={"message": message, **more})


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        *((ContextOverflowError, *row) for row in CONTEXT),
        *((ImagesRefusedError, *row) for row in IMAGES),
        *((ToolsRefusedError, *row) for row in TOOLS),
    ],
)
def test_real_wording(kind: type[Exception], status: int, message: str) -> None:
    for body in ({"message": message}, message, {"error": {"message": message}},
                 {"detail": message}, {"error": message}):  # fmt: skip
        failure = explain(WireError("failed", status_code=status, body=body), EVERYTHING)
        assert type(failure.error) is kind
        assert not failure.error.retryable
        assert not failure.without
        assert str(status) in str(failure.error)


@pytest.mark.parametrize(("status", "message"), [*IMAGES, *TOOLS])
def test_what_was_not_sent_was_not_refused(status: int, message: str) -> None:
    assert type(explain(_error(status, message), NOTHING).error) is ModelUnavailableError


def test_types_and_codes_count_too() -> None:
    code = _error(400, "Too much.", code="context_length_exceeded")
    kind = _error(400, "Too much.", type="exceed_context_size_error")
    for error in (code, kind):
        assert isinstance(explain(error, NOTHING).error, ContextOverflowError)


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refused_key_is_no_refused_image(status: int) -> None:
    words = "Your plan does not support images, tools or this context length"
    assert type(explain(_error(status, words), EVERYTHING).error) is ModelUnavailableError


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
         "'max_completion_tokens' instead.", "max_tokens"),
        ("Unsupported value: 'temperature' does not support 0.7 with this model.", "temperature"),
        ("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this "
         "model.", "response_format"),
        ("Invalid schema for function 'zoom': In context=(), 'default' is not permitted",
         "strict"),
        ("Extra inputs are not permitted: seed", "seed"),
        ("The dog ate it", ""),
    ],
)  # fmt: skip
def test_parts_that_are_refused(message: str, part: str) -> None:
    assert explain(_error(400, message), EVERYTHING).without == part
    assert explain(_error(400, message), NOTHING).without == ""
    assert explain(_error(503, message), EVERYTHING).without == ""


def test_a_named_parameter_counts() -> None:
    error = _error(400, "Not here.", param="response_format.json_schema")
    assert explain(error, EVERYTHING).without == "response_format"


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_passes(status: int) -> None:
    assert explain(_error(status, "busy"), EVERYTHING).error.retryable


def _asks_to_wait(value: str) -> float | None:
    error = _error(429, "busy")
    error.response = SimpleNamespace(headers={"retry-after": value})  # type: ignore[attr-defined]
    return explain(error, NOTHING).wait_s


def test_retry_after() -> None:
    assert _asks_to_wait("2.5") == 2.5
    assert _asks_to_wait("-3") == 0
    assert _asks_to_wait("soon") is None
    assert _asks_to_wait("") is None
    assert _asks_to_wait("1e300") is None
    assert _asks_to_wait("nan") is None
    later = _asks_to_wait(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert later is not None
    assert 55 < later <= 60


def test_words_are_cut_printable_and_without_the_key() -> None:
    asked = Asked(place="p", model="m", secret="sk-very-secret")
    failure = explain(_error(400, "\x1b[2J sk-very-secret " + "x" * 9999), asked)
    text = str(failure.error)
    assert "sk-very-secret" not in text
    assert "***" in text
    assert "\x1b" not in text
    assert len(failure.words) == WORDS
    assert redact("a short key tears no word", "a") == "a short key tears no word"
    assert redact(repr("k\nkkkk"), "k\nkkkk") == "'***'"


def test_addresses_lose_their_passwords() -> None:
    assert shown_address("https://u:p@host:1/v1?key=k") == "https://host:1/v1"


def test_a_404_tells_of_the_address() -> None:
    bare = Asked(place="http://h:8000", model="m")
    assert "/v1" in str(explain(_error(404, "Not Found"), bare).error)


def test_bodies_of_any_kind() -> None:
    bodies: list[Any] = [None, [], 7, {"message": ["a"]}, {"detail": [{"msg": "x"}]}, "\ud800"]
    for body in bodies:
        failure = explain(WireError("failed", status_code=400, body=body), EVERYTHING)
        json.dumps(str(failure.error)).encode()
