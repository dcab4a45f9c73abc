"""The chat client against a loopback server that misbehaves, and around model objects."""

import json
import re
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import cache
from typing import Any, Literal, TypedDict

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import StateGraph
from pydantic import BaseModel, JsonValue

from agent import client as client_module
from agent.asking import (
    Capabilities,
    ContextOverflowError,
    ImagesRefusedError,
    ModelUnavailableError,
    Question,
    Reply,
    ToolsRefusedError,
)
from agent.client import LangChainClient, open_client
from agent.client_request import strict_schema
from agent.guess import Guess
from agent.model_settings import ModelSettings
from agent.trace import EventKind, Trace
from geo.errors import ConfigError, UnavailableError
from tests.openai_stub import (
    API_KEY,
    MALFORMATIONS,
    MODEL,
    Behaviour,
    Call,
    OpenAIStub,
    calls,
    dies,
    fails,
    hangs,
    overflows,
    rate_limited,
    raw,
    refuses_images,
    refuses_part,
    refuses_tools,
    says,
    thinks,
)

CERTIFICATES = cache(ssl.create_default_context)
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


class Place(BaseModel):
    name: str
    country: Literal["FR", "DE"] = "FR"


def _tool(name: str = "search_places") -> BaseTool:
    return StructuredTool.from_function(
        lambda name, country="FR": "", name=name, description="Looks up.", args_schema=Place
    )


class Heard:
    """Collects events; every one must fit into a trace."""

    def __init__(self) -> None:
        self.events: list[tuple[EventKind, dict[str, JsonValue]]] = []
        self.trace = Trace(None)

    def __call__(self, kind: EventKind, data: dict[str, JsonValue]) -> None:
        self.trace.append(kind, data).model_dump_json()
        self.events.append((kind, data))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == kind]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF_S", 0.01)


@pytest.fixture(autouse=True)
def _one_set_of_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading them takes 30 ms for every client, and nothing here is encrypted."""
    monkeypatch.setattr(ssl, "create_default_context", CERTIFICATES)


@pytest.fixture
def heard() -> Heard:
    return Heard()


def _question(**more: Any) -> Question:
    given: dict[str, Any] = {"purpose": "decide", "messages": [HumanMessage("Where?")], **more}
    return Question(**given)


def _ask(stub: OpenAIStub, heard: Heard, question: Question | None = None, **more: Any) -> Reply:
    client = open_client(stub.settings(**{"strict": "no", **more}))
    return client.ask(question or _question(), heard)


def test_a_reply_is_accounted_for(heard: Heard) -> None:
    with OpenAIStub([says("It is Lyon, I think.", token_s=0.005)]) as stub:
        reply = _ask(stub, heard, _question(prompts={"turn": "ab"}, images=("p1",)))
    assert reply.text == "It is Lyon, I think."
    assert (reply.tokens_in, reply.tokens_out) == (100, 5)
    assert (reply.finish, reply.model, reply.attempts) == ("stop", MODEL, 1)
    assert reply.first_token_s is not None
    assert 0.005 <= reply.first_token_s < reply.seconds
    assert [kind for kind, _ in heard.events] == ["model_call", "model_reply"]
    asked = heard.of("model_call")[0]
    assert asked == {
        "purpose": "decide", "model": MODEL, "messages": 1, "images": ["p1"], "tools": [],
        "schema": False, "temperature": 0.7, "seed": 1, "prompts": {"turn": "ab"},
        "timeout_s": 5.0,
    }  # fmt: skip
    told = heard.of("model_reply")[0]
    assert told["text"] == reply.text
    assert told["tokens_out"] == 5


def test_what_travels(heard: Heard) -> None:
    message = HumanMessage([{"type": "text", "text": "Where?"}, IMAGE])
    with OpenAIStub() as stub:
        _ask(
            stub, heard, _question(messages=[message], temperature=0.1, seed=7, max_tokens=99),
            api_key=API_KEY,
        )  # fmt: skip
        sent = stub.bodies[0]
    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.1, 7, 99)
    assert "max_completion_tokens" not in sent
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["messages"][0]["content"][1] == IMAGE
    assert stub.headers[0]["authorization"] == f"Bearer {API_KEY}"
    assert "base64" not in json.dumps(heard.events)


def test_the_key_for_openai_goes_to_no_other_server(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody")
    with OpenAIStub() as stub:
        _ask(stub, heard)
        assert "sk-of-somebody" not in json.dumps(stub.headers)


def test_an_empty_name_takes_the_first_listed() -> None:
    with OpenAIStub(models=("one", "two")) as stub:
        client = open_client(stub.settings(name=""))
        assert client.name == "one"
        client.ask(_question(), Heard())
        assert stub.bodies[0]["model"] == "one"


def test_no_model_listed() -> None:
    with OpenAIStub(models=()) as stub, pytest.raises(ModelUnavailableError, match="MODEL__NAME"):
        open_client(stub.settings(name=""))


def test_nothing_named_and_no_address() -> None:
    with pytest.raises(ConfigError, match="GRATICULE_MODEL__URL"):
        open_client(ModelSettings())
    with pytest.raises(ConfigError, match="no http"):
        open_client(ModelSettings(url="ftp://host", name="x"))


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "tags"])
def test_thoughts_are_kept_apart(field: Any, heard: Heard) -> None:
    with OpenAIStub([thinks("rivers and roofs", "Lyon.", thinking_as=field)]) as stub:
        reply = _ask(stub, heard)
    assert (reply.text, reply.thinking) == ("Lyon.", "rivers and roofs")


@pytest.mark.parametrize("whole", [False, True])
def test_several_calls(whole: bool, heard: Heard) -> None:
    made = [Call("search_places", {"name": f"Town {n}"}) for n in range(3)]
    with OpenAIStub([calls(*made, whole=whole)]) as stub:
        reply = _ask(stub, heard, _question(tools=[_tool()], must_call=True))
        sent = stub.bodies[0]
    assert [call["args"] for call in reply.message.tool_calls] == [
        {"name": f"Town {n}"} for n in range(3)
    ]
    assert reply.finish == "tool_calls"
    assert sent["tool_choice"] == "required"
    assert "parallel_tool_calls" not in sent
    assert "strict" not in sent["tools"][0]["function"]
    assert len(heard.of("model_reply")[0]["tool_calls"]) == 3


def test_strict_schemas_require_everything(heard: Heard) -> None:
    with OpenAIStub() as stub:
        _ask(stub, heard, _question(tools=[_tool()], must_call=True), strict="yes")
        function = stub.bodies[0]["tools"][0]["function"]
    assert function["strict"] is True
    assert function["parameters"]["required"] == ["name", "country"]
    assert function["parameters"]["additionalProperties"] is False
    assert "default" not in json.dumps(function)


@pytest.mark.parametrize(("strict", "seen"), [("follows", True), ("ignores", False)])
def test_strict_is_sent_as_the_probe_says(strict: str, seen: bool, heard: Heard) -> None:
    broken = calls(Call("answer", {"answer": "perhaps"}))
    with OpenAIStub(on_probe=None if strict == "follows" else lambda body: broken) as stub:
        client = open_client(stub.settings(strict="auto"))
        client.ask(_question(tools=[_tool()]), heard)
        probes = len(stub.probes)
        for _ in range(2):
            client.ask(_question(tools=[_tool()]), heard)
        assert [body["tools"][0]["function"].get("strict", False) for body in stub.bodies] == (
            [seen] * 3
        )
        assert client.capabilities.strict is seen
        assert len(stub.probes) == probes
    assert sum("probed" in told["text"] for told in heard.of("notice")) == 1


def test_a_probe_that_fails_does_not_end_the_question(heard: Heard) -> None:
    with OpenAIStub([calls(Call("search_places", {"name": "Lyon"}))]) as stub:
        stub.models = ()
        client = open_client(stub.settings(name=MODEL, strict="auto"))
        stub.on_probe = lambda body: fails(503)
        assert client.ask(_question(tools=[_tool()]), heard).message.tool_calls


def test_calls_one_by_one_where_the_server_cannot_do_more(heard: Heard) -> None:
    with OpenAIStub() as stub:
        from agent.client_models import openai_model

        settings = stub.settings()
        seen = Capabilities(model=MODEL, parallel=False)
        LangChainClient(openai_model(settings), settings, seen).ask(
            _question(tools=[_tool()]), heard
        )
        assert stub.bodies[0]["parallel_tool_calls"] is False


def test_a_schema_constrains_plain_text(heard: Heard) -> None:
    with OpenAIStub() as stub:
        reply = _ask(stub, heard, _question(schema=Guess))
        wanted = stub.bodies[0]["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["strict"] is True
    schema = wanted["json_schema"]["schema"]
    assert set(schema["required"]) == set(Guess.model_fields)
    assert isinstance(json.loads(reply.text), dict)
    assert heard.of("model_call")[0]["schema"] is True


def test_a_reply_with_a_schema_may_be_cut_at_the_limit(heard: Heard) -> None:
    with OpenAIStub([says('{"latitude": 45.7, "lo', finish="length")]) as stub:
        reply = _ask(stub, heard, _question(schema=Guess))
    assert (reply.text, reply.finish) == ('{"latitude": 45.7, "lo', "length")


@pytest.mark.parametrize(
    "part", ["response_format", "stream_options", "seed", "temperature", "strict", "tool_choice"]
)
def test_a_refused_part_is_left_out_and_remembered(part: str, heard: Heard) -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        has = part in body or any(part in tool["function"] for tool in body.get("tools", ()))
        return refuses_part(part) if has else says("ok")

    more: dict[str, Any] = (
        {"schema": Guess} if part == "response_format" else {"tools": [_tool()], "must_call": True}
    )
    with OpenAIStub(script) as stub:
        client = open_client(stub.settings(strict="yes"))
        for _ in range(3):
            assert client.ask(_question(**more), heard).text == "ok"
        assert len(stub.bodies) == 4
    assert len([t for t in heard.of("notice") if f"refuses {part}" in t["text"]]) == 1


def test_newest_models_want_another_limit(heard: Heard) -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        return refuses_part("max_tokens") if "max_tokens" in body else says("ok")

    with OpenAIStub(script) as stub:
        _ask(stub, heard)
        assert stub.bodies[1]["max_completion_tokens"] == 2048


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        (fails(500), "500"), (fails(503), "503"), (fails(408), "408"), (fails(409), "409"),
        (rate_limited(), "429"), (dies(0), "broke"), (dies(2), "broke"),
        (raw(b"\xff\xfe\x00garbage\n"), "no JSON"), (raw(b""), "empty"),
        (raw(b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n'), "broke off"),
        (raw(b'data: {"error": {"message": "engine dead"}}\n\n'), "engine dead"),
    ],
)  # fmt: skip
def test_what_passes_is_tried_again(failing: Behaviour, words: str, heard: Heard) -> None:
    with OpenAIStub([failing, failing, says("whole")]) as stub:
        reply = _ask(stub, heard)
        assert len(stub.bodies) == 3
    assert (reply.text, reply.attempts) == ("whole", 3)
    retries = heard.of("retry")
    assert [told["attempt"] for told in retries] == [1, 2]
    assert all(words in told["error"] for told in retries)


def test_retries_end(heard: Heard) -> None:
    with OpenAIStub([fails(500, "out of memory")]) as stub:
        with pytest.raises(ModelUnavailableError, match=r"out of memory.*attempt 3") as caught:
            _ask(stub, heard, retries=2)
        assert len(stub.bodies) == 3
        assert caught.value.retryable
        assert stub.url in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_does_not_pass_is_not_tried_again(status: int, heard: Heard) -> None:
    with OpenAIStub([fails(status, "no " * 500)]) as stub:
        with pytest.raises(ModelUnavailableError, match=str(status)) as caught:
            _ask(stub, heard)
        assert len(stub.bodies) == 1
    assert not caught.value.retryable
    assert len(str(caught.value)) < 600
    assert not heard.of("retry")


def test_retry_after_is_kept(heard: Heard) -> None:
    with OpenAIStub([rate_limited("0.3"), says("ok")]) as stub:
        began = time.monotonic()
        _ask(stub, heard)
        assert time.monotonic() - began >= 0.3
    assert heard.of("retry")[0]["wait_s"] == 0.3


def test_a_wait_longer_than_the_time_left_ends_it(heard: Heard) -> None:
    with OpenAIStub([rate_limited("3600")]) as stub:
        with pytest.raises(ModelUnavailableError, match=r"3\.6e\+03 s with 5 s left"):
            _ask(stub, heard)
        assert len(stub.bodies) == 1


def test_a_server_that_is_not_there(heard: Heard) -> None:
    client = open_client(ModelSettings(url="http://127.0.0.1:9/v1", name="x", retries=1))
    with pytest.raises(ModelUnavailableError, match=r"127\.0\.0\.1:9.*not reachable.*__URL"):
        client.ask(_question(), heard)
    assert len(heard.of("retry")) == 1


@pytest.mark.parametrize(
    ("refusal", "more", "kind"),
    [
        (overflows(), {}, ContextOverflowError),
        (refuses_images(), {"messages": [HumanMessage([IMAGE])]}, ImagesRefusedError),
        (refuses_tools(), {"tools": [_tool()]}, ToolsRefusedError),
    ],
)
def test_refusals_are_typed(
    refusal: Behaviour, more: dict[str, Any], kind: type[Exception], heard: Heard
) -> None:
    with OpenAIStub([refusal]) as stub:
        with pytest.raises(kind, match=r"400.*GRATICULE_MODEL__"):
            _ask(stub, heard, _question(**more))
        assert len(stub.bodies) == 1


@pytest.mark.parametrize("keepalive", [False, True])
def test_silence_is_cut_off(keepalive: bool, heard: Heard) -> None:
    with OpenAIStub([hangs(3, keepalive=keepalive)]) as stub:
        reply = _ask(stub, heard, timeout_s=0.4)
    assert (reply.finish, reply.text) == ("time", "a reply ")
    assert 0.4 <= reply.seconds < 1.0


def test_silence_from_the_start_says_which_limit(heard: Heard) -> None:
    with OpenAIStub([hangs(0)]) as stub:
        began = time.monotonic()
        with pytest.raises(ModelUnavailableError, match=r"GRATICULE_MODEL__TIMEOUT_S \(0\.3 s\)"):
            _ask(stub, heard, timeout_s=0.3)
        assert time.monotonic() - began < 1.0


def test_a_question_may_have_less_time_than_the_settings(heard: Heard) -> None:
    with OpenAIStub([Behaviour(thinking="hmm ", endless=True, token_s=0.001)]) as stub:
        reply = _ask(stub, heard, _question(timeout_s=0.3))
        assert reply.finish == "time"
        assert reply.thinking.startswith("hmm hmm")
        assert reply.seconds < 1.0
        deadline = time.monotonic() + 3
        while not stub.hung_up and time.monotonic() < deadline:
            time.sleep(0.01)
        assert stub.hung_up == 1  # the server is told, and stops generating


def test_retries_share_the_time_of_a_question(heard: Heard) -> None:
    with OpenAIStub([fails(500, delay_s=0.2)]) as stub:
        began = time.monotonic()
        with pytest.raises(ModelUnavailableError):
            _ask(stub, heard, _question(timeout_s=0.5), retries=10)
        assert time.monotonic() - began < 1.0


def test_another_model_is_told_once(heard: Heard) -> None:
    with OpenAIStub([says("ok", model="\x1b[2Jsomebody")]) as stub:
        client = open_client(stub.settings())
        replies = [client.ask(_question(), heard) for _ in range(3)]
    assert replies[0].model == "\x1b[2Jsomebody"
    (notice,) = heard.of("notice")
    assert "asked for model 'stub-vl'" in notice["text"]
    assert "\x1b" not in notice["text"]


def test_missing_usage_is_told_once(heard: Heard) -> None:
    with OpenAIStub([says("ok", usage=False)]) as stub:
        client = open_client(stub.settings())
        assert [client.ask(_question(), heard).tokens_out for _ in range(2)] == [0, 0]
    assert len(heard.of("notice")) == 1


def test_what_is_odd_stays_in_the_message(heard: Heard) -> None:
    script = [
        Behaviour(refusal="I cannot help with that."),
        calls(Call("search_places", '{"name": "Ly'), finish="length"),
        says('<tool_call>{"name": "x"', finish="tool_calls"),
        says("It", finish="content_filter"),
    ]
    with OpenAIStub(script) as stub:
        client = open_client(stub.settings(strict="no"))
        refused, cut, empty, filtered = (client.ask(_question(), heard) for _ in script)
    assert refused.message.additional_kwargs["refusal"] == "I cannot help with that."
    assert cut.message.invalid_tool_calls[0]["args"] == '{"name": "Ly'
    assert not cut.message.tool_calls
    assert (empty.text, empty.finish) == ('<tool_call>{"name": "x"', "tool_calls")
    assert filtered.finish == "content_filter"


@pytest.mark.parametrize(("name", "behaviour"), MALFORMATIONS, ids=[n for n, _ in MALFORMATIONS])
def test_no_malformation_gets_through(name: str, behaviour: Behaviour, heard: Heard) -> None:
    """Each ends in a reply or a typed error, soon, and the key is in neither."""
    with OpenAIStub([behaviour]) as stub:
        began = time.monotonic()
        client = open_client(stub.settings(timeout_s=0.3, retries=1, api_key=API_KEY))
        try:
            shown = repr(client.ask(_question(), heard))
        except ModelUnavailableError as error:
            shown = f"{error!r} {error.__cause__!r} {error.__context__ if error.__cause__ else ''}"
        assert time.monotonic() - began < 6
    assert API_KEY not in shown + repr(client) + json.dumps(heard.events)


def test_the_key_is_in_no_error_even_where_it_is_no_header() -> None:
    with OpenAIStub() as stub, pytest.raises(ConfigError, match="MODEL__API_KEY") as caught:
        open_client(stub.settings(api_key="secret-with\nline"))
    assert "secret-with" not in str(caught.value)


def test_the_password_of_an_address_is_not_shown() -> None:
    url = "http://user:hush@127.0.0.1:9/v1"
    client = open_client(ModelSettings(url=url, name="x", retries=0))
    with pytest.raises(ModelUnavailableError) as caught:
        client.ask(_question(), Heard())
    assert "hush" not in f"{caught.value} {client!r}"


def test_an_unknown_provider() -> None:
    with pytest.raises(ConfigError, match="GRATICULE_MODEL__PROVIDER"):
        open_client(ModelSettings(name="x", provider="no-such-provider"))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "langchain.chat_models", None)
    with pytest.raises(UnavailableError, match=r"pip install 'graticule\[providers\]'"):
        open_client(ModelSettings(name="x", provider="anthropic"))


def test_a_provider_whose_own_package_is_missing() -> None:
    with pytest.raises(UnavailableError, match="langchain-anthropic"):
        open_client(ModelSettings(name="x", provider="anthropic"))


def test_openai_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="GRATICULE_MODEL__API_KEY"):
        open_client(ModelSettings(name="gpt-x"))


def test_an_openai_model_object_of_a_program(heard: Heard) -> None:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    script = [says('{"latitude": 45.7, "lo', finish="length"), refuses_part("seed"), says("ok")]
    with OpenAIStub(script) as stub:
        model = ChatOpenAI(
            model=MODEL, base_url=stub.url, api_key=SecretStr("k"), temperature=0.3, max_retries=0
        )
        client = LangChainClient(model, ModelSettings(timeout_s=5.0))
        reply = client.ask(_question(schema=Guess, tools=()), heard)
        assert client.ask(_question(tools=[_tool()]), heard).text == "ok"
        assert stub.bodies[0]["temperature"] == 0.3
        assert stub.bodies[0]["response_format"]["type"] == "json_schema"
        assert stub.bodies[2]["seed"] is None
    assert (reply.text, reply.finish, reply.tokens_in) == ('{"latitude": 45.7, "lo', "length", 100)
    assert client.name == MODEL


class Scripted(BaseChatModel):
    """A model object of no provider: streams words, takes tools, has a temperature."""

    temperature: float | None = None
    wait_s: float = 0.0
    words: tuple[str, ...] = ("It ", "is ", "Lyon.")
    seen: list[dict[str, Any]] = []  # noqa: RUF012
    bindings: list[int] = []  # noqa: RUF012

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        raise AssertionError("streamed, never generated")

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        self.seen.append({"temperature": self.temperature, **kwargs})
        time.sleep(self.wait_s)
        for word in self.words:
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        self.bindings.append(len(tools))
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)


def test_a_model_object_is_asked_as_it_is(heard: Heard) -> None:
    model = Scripted(seen=[], bindings=[], temperature=0.2)
    client = LangChainClient(model, ModelSettings())
    question = _question(tools=[_tool()], must_call=True)
    assert client.ask(question, heard).text == "It is Lyon."
    client.ask(_question(tools=[_tool()], must_call=True, temperature=0.9), heard)
    assert [seen["temperature"] for seen in model.seen] == [0.2, 0.9]
    assert model.seen[0]["tool_choice"] == "any"  # what LangChain's providers understand
    assert model.bindings == [1]  # an equal tool set is converted once
    assert model.temperature == 0.2
    assert client.capabilities == Capabilities(model="Scripted")


def test_a_model_object_without_streaming(heard: Heard) -> None:
    client = LangChainClient(FakeListChatModel(responses=["Lyon."]), ModelSettings())
    assert client.ask(_question(), heard).text == "Lyon."
    with pytest.raises(ToolsRefusedError, match="bind_tools"):
        client.ask(_question(tools=[_tool()]), heard)


def test_a_model_object_that_never_answers(heard: Heard) -> None:
    client = LangChainClient(Scripted(wait_s=1.0), ModelSettings(timeout_s=0.1))
    with pytest.raises(ModelUnavailableError, match="said nothing within"):
        client.ask(_question(), heard)


def test_a_bug_in_a_model_object_is_named(heard: Heard) -> None:
    class Broken(Scripted):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            raise KeyError("choices")

    with pytest.raises(ModelUnavailableError, match="KeyError") as caught:
        LangChainClient(Broken(), ModelSettings()).ask(_question(), heard)
    assert isinstance(caught.value.__cause__, KeyError)
    assert not heard.of("retry")


def test_whole_messages_keep_their_calls(heard: Heard) -> None:
    class Whole(FakeListChatModel):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            call = {"name": "zoom", "args": {"x": float("nan")}, "id": "1", "type": "tool_call"}
            message = AIMessage(
                [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "so"}],
                tool_calls=[call],
                response_metadata={"stop_reason": "tool_use", "model_name": "Whole"},
            )
            return ChatResult(generations=[ChatGeneration(message=message)])

        def _should_stream(self, **kwargs: Any) -> bool:
            return False

    reply = LangChainClient(Whole(responses=[]), ModelSettings()).ask(_question(), heard)
    assert (reply.text, reply.thinking, reply.finish) == ("so", "hm", "tool_calls")
    assert heard.of("model_reply")[0]["tool_calls"][0]["args"] == {"x": "NaN"}


class Talk(TypedDict, total=False):
    said: str


def test_langgraph_sees_tokens_as_they_come(heard: Heard) -> None:
    marker: ContextVar[str] = ContextVar("marker", default="none")
    seen: list[str] = []

    class Marked(Scripted):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            seen.append(marker.get())
            return super()._stream(*args, **kwargs)

    client = LangChainClient(Marked(), ModelSettings())

    def node(state: Talk) -> Talk:
        marker.set("in the node")
        return {"said": client.ask(_question(), heard).text}

    graph = StateGraph(Talk).add_node("node", node).add_edge("__start__", "node").compile()
    parts: list[Any] = list(graph.stream({}, stream_mode="messages"))
    pieces = [message.content for message, _ in parts]
    assert [piece for piece in pieces if piece] == ["It ", "is ", "Lyon."]
    assert seen == ["in the node"]


def test_many_threads_ask_at_once() -> None:
    client = LangChainClient(Scripted(wait_s=0.2), ModelSettings())
    question = _question(tools=[_tool()])
    barrier = threading.Barrier(64)

    def ask(_: int) -> str:
        barrier.wait()
        return client.ask(question, Heard()).text

    with ThreadPoolExecutor(64) as pool:
        began = time.monotonic()
        texts = list(pool.map(ask, range(64)))
        seconds = time.monotonic() - began
    assert texts == ["It is Lyon."] * 64
    assert seconds < 2.0  # one after another it would be 12.8 s


def test_many_threads_ask_one_server() -> None:
    with OpenAIStub(lambda body, number: says(body["messages"][0]["content"])) as stub:
        client = open_client(stub.settings(strict="no", timeout_s=30.0))
        with ThreadPoolExecutor(16) as pool:
            told = [f"reply {n}" for n in range(64)]
            texts = list(
                pool.map(
                    lambda t: client.ask(_question(messages=[HumanMessage(t)]), Heard()).text, told
                )
            )
    assert texts == told


def test_strings_of_strict_schemas_end_within_their_pattern() -> None:
    """Decoders that take no notice of `maxLength` would never end a string."""
    limited = {"type": "string", "maxLength": 60}
    plain = {"type": "string", "minLength": 8, "maxLength": 64, "pattern": r"^[^\x00-\x1f]*$"}
    code = {"type": "string", "pattern": "^[A-Z]{2}$"}
    chosen = {"type": "string", "enum": ["a", "b"]}
    assert strict_schema(limited)["pattern"] == r"^[^\x00-\x1f\x7f]{0,60}$"
    assert strict_schema(plain)["pattern"] == r"^[^\x00-\x1f]{8,64}$"
    assert not {"minLength", "maxLength"} & strict_schema(plain).keys()  # vLLM refuses both at once
    assert strict_schema(code) == code
    assert strict_schema(chosen) == chosen
    # No piece repeats more than 128 times: that is what xgrammar compiles.
    letter = r"[^\x00-\x1f\x7f]"
    long = strict_schema({"type": "string", "minLength": 130, "maxLength": 300})["pattern"]
    assert long == f"^{letter}{{128,128}}{letter}{{2,128}}{letter}{{0,44}}$"
    assert re.fullmatch(long, "x" * 300)
    assert not re.fullmatch(long, "x" * 301)
    assert not re.fullmatch(long, "x" * 129)


def test_strict_schemas_keep_properties_of_any_name() -> None:
    schema = {
        "type": "object",
        "properties": {"default": {"type": "integer", "default": 1}, "enum": {"enum": ["a"]}},
        "$defs": {"inner": {"properties": {"a": {"default": 1}}}},
    }
    assert strict_schema(schema) == {
        "type": "object",
        "properties": {"default": {"type": "integer"}, "enum": {"enum": ["a"]}},
        "required": ["default", "enum"],
        "additionalProperties": False,
        "$defs": {
            "inner": {"properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
        },
    }
