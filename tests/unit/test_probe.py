"""The capability probe and the rows of `doctor`, against servers that can do less and less."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from agent.asking import Capabilities, ModelUnavailableError
from agent.doctor import Check, examine
from agent.doctor_model import model_checks
from agent.model_settings import ModelSettings
from agent.probe import probe
from agent.settings import Settings
from geo.errors import ConfigError
from tests.openai_stub import (
    API_KEY,
    MODEL,
    Behaviour,
    Call,
    OpenAIStub,
    calls,
    fails,
    hangs,
    obedient,
    raw,
    refuses_images,
    refuses_part,
    refuses_tools,
    says,
)

Answer = Callable[[dict[str, Any]], Behaviour]
ABILITIES = ("images", "tools", "strict", "parallel", "structured", "streaming")


def _kind(body: dict[str, Any]) -> str:
    if "tools" in body:
        return "parallel" if len(body["tools"]) > 1 else "tools"
    if "response_format" in body:
        return "structured"
    return "images" if "image_url" in str(body["messages"]) else "streaming"


def _unless(**told: Behaviour) -> Answer:
    return lambda body: told.get(_kind(body)) or obedient(body)


def _probe(answer: Answer | None = None, **more: Any) -> Capabilities:
    with OpenAIStub(on_probe=answer, **more) as stub:
        return probe(stub.settings(name="", timeout_s=1.0))


def test_a_server_that_can_do_everything() -> None:
    told: list[Any] = []
    with OpenAIStub(models=("one", "two"), context_tokens=4096) as stub:
        seen = probe(stub.settings(name=""), lambda kind, data: told.append((kind, data)))
        assert len(stub.probes) == 5
        assert all(body["max_tokens"] <= 128 for body in stub.probes)
    assert (seen.model, seen.models, seen.context_tokens) == ("one", ("one", "two"), 4096)
    assert all(getattr(seen, ability) is True for ability in ABILITIES)
    assert not seen.notes
    assert told == [("notice", {"text": (
        "probed 'one': images yes, tools yes, strict yes, parallel yes, structured yes, "
        "streaming yes"
    )})]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "ability", "seen", "note"),
    [
        (_unless(images=refuses_images()), "images", False, "multimodal"),
        (_unless(images=fails(400, "no idea")), "images", False, "no idea"),
        (_unless(images=fails(429)), "images", None, "429"),
        (_unless(images=raw(b"\x00\x01")), "images", None, "no JSON"),
        (_unless(tools=refuses_tools()), "tools", False, "--enable-auto-tool-choice"),
        (_unless(tools=refuses_tools()), "strict", False, ""),
        (_unless(tools=says("no")), "tools", None, "got none"),
        (_unless(tools=calls(Call("answer", '{"answer": "maybe"}'))), "strict", False, "broke"),
        (_unless(tools=calls(Call("answer", '{"ans'))), "strict", False, "broke"),
        (_unless(tools=calls(Call("answer", '{"ans'))), "tools", True, ""),
        (_unless(parallel=calls(Call("answer", {}))), "parallel", None, "got 1"),
        (_unless(parallel=refuses_part("parallel_tool_calls")), "parallel", False, "parallel"),
        (_unless(structured=says("Surely.")), "structured", False, "Surely"),
        (_unless(structured=refuses_part("response_format")), "structured", False, "format"),
        (_unless(streaming=says("ok", whole=True)), "streaming", False, "whole"),
        (_unless(streaming=hangs(0)), "streaming", None, "timed out"),
    ],
)
def test_one_thing_it_cannot_do(answer: Answer, ability: str, seen: Any, note: str) -> None:
    found = _probe(answer)
    assert getattr(found, ability) is seen
    notes = [text for text in found.notes if text.startswith(f"{ability}: ")]
    assert [note in text for text in notes] == ([True] if note else [])
    others = (
        set(ABILITIES)
        - {ability}
        - ({"strict", "tools"} if ability in {"strict", "tools"} else set())
    )
    assert all(getattr(found, other) is True for other in others)


def test_tools_without_strict_schemas() -> None:
    def answer(body: dict[str, Any]) -> Behaviour:
        strict = any("strict" in tool["function"] for tool in body.get("tools", ()))
        return fails(400, "Invalid schema for function") if strict else obedient(body)

    found = _probe(answer)
    assert (found.tools, found.strict) == (True, False)


@pytest.mark.parametrize("number", ["seed", "temperature"])
def test_numbers_that_a_server_does_not_take(number: str) -> None:
    found = _probe(lambda body: refuses_part(number) if number in body else obedient(body))
    assert all(getattr(found, ability) is True for ability in ABILITIES)


def test_a_model_that_calls_only_now_and_then() -> None:
    found = _probe(lambda body: obedient(body) if body.get("seed", 3) == 3 else says("<tool_call>"))
    assert (found.tools, found.strict, found.parallel) == (True, True, True)


def test_newest_models_want_another_limit() -> None:
    def answer(body: dict[str, Any]) -> Behaviour:
        words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return fails(400, words) if "max_tokens" in body else obedient(body)

    found = _probe(answer)
    assert all(getattr(found, ability) is True for ability in ABILITIES)


def test_usage_in_streams_may_be_refused() -> None:
    def answer(body: dict[str, Any]) -> Behaviour:
        return refuses_part("stream_options") if "stream_options" in body else obedient(body)

    assert _probe(answer).streaming is True


def test_a_server_that_is_slow_is_not_waited_for_one_by_one() -> None:
    began = time.monotonic()
    found = _probe(lambda body: hangs(0))
    assert time.monotonic() - began < 3.0
    assert {getattr(found, ability) for ability in ABILITIES} == {None}


def test_a_server_without_a_list() -> None:
    with OpenAIStub() as stub:
        seen = probe(stub.settings(name=MODEL, url=stub.url + "/"))
        assert seen.images is True
        other = stub.settings(name="not-listed")
        assert "the server does not list 'not-listed'" in probe(other).notes


def test_a_key_is_needed() -> None:
    with OpenAIStub(api_key=API_KEY) as stub:
        with pytest.raises(ModelUnavailableError, match=r"401.*GRATICULE_MODEL__API_KEY"):
            probe(stub.settings())
        assert probe(stub.settings(api_key=API_KEY)).streaming is True


def test_nothing_to_probe() -> None:
    assert probe(ModelSettings(name="x", provider="anthropic")).images is None
    with pytest.raises(ConfigError):
        probe(ModelSettings(url="localhost:8000", name="x"))
    with pytest.raises(ModelUnavailableError, match="not reachable"):
        probe(ModelSettings(url="http://127.0.0.1:9/v1"))
    with OpenAIStub(models=()) as stub, pytest.raises(ModelUnavailableError, match="MODEL__NAME"):
        probe(stub.settings(name=""))


def _rows(settings: ModelSettings) -> dict[str, Check]:
    return {check.name: check for check in model_checks(settings)}


def test_doctor_shows_what_a_server_can_do() -> None:
    with OpenAIStub() as stub:
        rows = _rows(stub.settings())
        assert stub.url in rows["model server"].detail
    assert {row.state for row in rows.values()} == {"ok"}
    assert rows["model context"].detail == "8192 tokens"
    assert set(rows) == {
        "model server", "model images", "model tools", "model strict schemas",
        "model parallel calls", "model structured output", "model streaming", "model context",
    }  # fmt: skip


def test_doctor_names_the_flag_for_what_it_cannot() -> None:
    nothing = fails(400, "no \x1b[2J")
    with OpenAIStub(on_probe=lambda body: nothing, context_tokens=None) as stub:
        rows = _rows(stub.settings())
    assert rows["model server"].state == "ok"
    assert {row.state for name, row in rows.items() if name != "model server"} == {"absent"}
    flags = {
        "model images": "--limit-mm-per-prompt", "model tools": "--enable-auto-tool-choice",
        "model strict schemas": "--tool-strict-level",
        "model structured output": "--structured-outputs-config",
        "model context": "GRATICULE_MODEL__CONTEXT_TOKENS",
    }  # fmt: skip
    assert all(flag in rows[name].remedy for name, flag in flags.items())
    assert "\x1b" not in "".join(row.detail for row in rows.values())


@pytest.mark.parametrize(
    "settings",
    [
        ModelSettings(url="http://127.0.0.1:9/v1"),
        ModelSettings(url="nonsense"),
        ModelSettings(url="http://[::1/v1"),
        ModelSettings(url="http://exa mple/v1"),
    ],
)
def test_doctor_does_not_crash_on_an_address(settings: ModelSettings) -> None:
    rows = _rows(settings)
    assert rows["model server"].state == "failed"
    assert "GRATICULE_MODEL__URL" in rows["model server"].remedy


def test_doctor_does_not_crash_on_garbage() -> None:
    for behaviour in (raw(b"\xff\x00"), raw(b""), fails(500), says("")):
        with OpenAIStub(on_probe=lambda body, told=behaviour: told) as stub:  # type: ignore[misc]
            assert _rows(stub.settings())["model server"].state == "ok"


def test_doctor_asks_nothing_where_nothing_is_set(settings: Settings) -> None:
    (row,) = model_checks(ModelSettings())
    assert (row.state, row.remedy) == ("absent", "set GRATICULE_MODEL__URL to check one")
    assert row in list(examine(settings))
    (row,) = model_checks(ModelSettings(name="claude", provider="anthropic"))
    assert row.detail == "anthropic 'claude', not asked"
