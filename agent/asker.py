"""Asking a model on behalf of a node: what a server refuses is left out, and the trace told.

Images are refused: the same is asked without them, from then on. Too long for the context: the
oldest images go first, then old tool results are shortened; evidence stays. Tools are refused:
they are called through structured output, from then on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from langchain_core.messages import AnyMessage, SystemMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, JsonValue

import prompts
from agent.asking import (
    Capabilities,
    ChatClient,
    ContextOverflowError,
    ImagesRefusedError,
    ModelUnavailableError,
    Question,
    Reply,
    Tell,
    ToolsRefusedError,
    numbered,
)
from agent.calls import announce
from agent.conversation import Wired, WireLimits, wire
from agent.model_settings import ModelSettings
from tools.photos import PhotoStore

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

SHORTENINGS = 3
Schema = type[BaseModel] | Mapping[str, JsonValue]


@dataclass
class Asker:
    """Asks one model for one Geolocator; what a server refused is remembered here."""

    client: ChatClient
    settings: ModelSettings
    photos: PhotoStore
    _seen: Capabilities | None = field(default=None, repr=False)
    _sees: bool = True
    _calls_tools: bool = True
    _structured: dict[tuple[str, ...], tuple[str, dict[str, JsonValue]]] = field(
        default_factory=dict, repr=False
    )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.client.name

    @property
    def sees(self) -> bool:
        """Whether the model is sent images."""
        return self._sees and self.settings.images > 0 and self._found().images is not False

    @property
    def calls_tools(self) -> bool:
        """Whether tools are called natively; through structured output otherwise."""
        asked = self.settings.calls
        if asked != "auto":
            return asked == "tools" and self._calls_tools
        return self._calls_tools and self._found().tools is not False

    def _found(self) -> Capabilities:
        """Return what the server was seen to do; one that does not answer is told of when asked."""
        if self._seen is None:
            try:
                self._seen = self.client.capabilities
            except ModelUnavailableError:
                return Capabilities(model=self.name)
        return self._seen

    def ask(
        self,
        purpose: str,
        messages: Sequence[AnyMessage],
        *,
        tools: Sequence[BaseTool] = (),
        schema: Schema | None = None,
        named: Sequence[str] = ("system",),
        seed_offset: int = 0,
        temperature: float | None = None,
        max_tokens: int | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Ask, with the system prompt before the messages.

        Args:
            purpose: for the trace.
            messages: as the state holds them: photos by id.
            tools: that may be called.
            schema: of the reply's text, where no tools are given.
            named: prompts that the messages were made from, for their hashes.
            seed_offset: added to the settings' seed.
            temperature: instead of the settings'.
            max_tokens: instead of the settings'.
            timeout_s: less than the settings', where the budget has less.

        Raises:
            ModelUnavailableError: nobody answers, or not to anything that short.
        """
        question = Question(
            purpose,
            (),
            seed=self.settings.seed + seed_offset,
            temperature=temperature,
            max_tokens=max_tokens,
            timeout_s=timeout_s,
            schema=schema,
            prompts=prompts.hashes(named),
        )
        head = SystemMessage(prompts.load("system").render())
        drop = shorten = 0
        while True:
            limits = WireLimits(
                images=self.settings.images if self.sees else 0,
                side_px=self.settings.image_side_px,
                tool_messages=self.calls_tools,
                see=self.sees,
                drop_images=drop,
                shorten=shorten,
            )
            tell = numbered(announce)
            asked, wired = self._request(question, [head, *messages], tools, limits, tell)
            try:
                return self._send(asked, tell)
            except ImagesRefusedError as error:
                if not wired.images:
                    raise
                self._note(purpose, "images are left out from now on", error)
                self._sees = False
            except ToolsRefusedError as error:
                if not asked.tools:
                    raise
                self._note(purpose, "tools are called through structured output", error)
                self._calls_tools = False
            except ContextOverflowError as error:
                if len(wired.images) > 1:
                    drop += 1
                elif shorten < SHORTENINGS:
                    shorten += 1
                elif wired.images:
                    drop += 1
                else:
                    raise
                why = f"longer than the model's context: {error}"
                announce("context", {"purpose": purpose, "dropped": [], "why": why[:400]})

    def _send(self, question: Question, tell: Tell) -> Reply:
        """Ask, and tell of a failure, too: a replay must meet it again."""
        try:
            return self.client.ask(question, tell)
        except ModelUnavailableError as error:
            failed: dict[str, JsonValue] = {
                "purpose": question.purpose,
                "model": self.name,
                "seed": question.seed,
                "tools": [tool.name for tool in question.tools],
                "images": list(question.images),
                "type": type(error).__name__,
                "message": str(error),
                "retryable": error.retryable,
            }
            tell("model_error", failed)
            raise

    def _request(
        self,
        question: Question,
        messages: Sequence[AnyMessage],
        tools: Sequence[BaseTool],
        limits: WireLimits,
        tell: Tell,
    ) -> tuple[Question, Wired]:
        schema = question.schema
        if tools and not self.calls_tools:
            text, schema = self._structured_form(tools)
            messages = [messages[0], SystemMessage(text), *messages[1:]]
        wired = wire(messages, self.photos, limits)
        if wired.dropped:
            tell(
                "context",
                {
                    "purpose": question.purpose,
                    "dropped": list(wired.dropped),
                    "why": f"at most {limits.images} images, or the context is full",
                },
            )
        native = tuple(tools) if self.calls_tools else ()
        asked = replace(
            question,
            messages=wired.messages,
            tools=native,
            must_call=bool(native),
            schema=schema,
            images=wired.images,
        )
        return asked, wired

    def _structured_form(self, tools: Sequence[BaseTool]) -> tuple[str, dict[str, JsonValue]]:
        """Return the prompt and the schema that stand in for tool calls."""
        key = tuple(tool.name for tool in tools)
        if key not in self._structured:
            specs = [convert_to_openai_tool(tool)["function"] for tool in tools]
            text = prompts.load("structured").render(tools=json.dumps(specs, ensure_ascii=False))
            self._structured[key] = text, calls_schema(specs)
        return self._structured[key]

    def _note(self, purpose: str, what: str, error: Exception) -> None:
        announce("notice", {"text": f"{purpose}: {what}: {error}"[:500]})


def calls_schema(specs: Sequence[Mapping[str, JsonValue]]) -> dict[str, JsonValue]:
    """Return the JSON schema of a reply that calls tools in its text."""
    calls: list[JsonValue] = [
        {
            "type": "object",
            "properties": {"tool": {"const": spec["name"]}, "arguments": spec["parameters"]},
            "required": ["tool", "arguments"],
            "additionalProperties": False,
        }
        for spec in specs
    ]
    return {
        "title": "calls",
        "type": "object",
        "properties": {
            "thought": {"type": "string", "maxLength": 600},
            "calls": {"type": "array", "minItems": 1, "maxItems": 8, "items": {"anyOf": calls}},
        },
        "required": ["thought", "calls"],
        "additionalProperties": False,
    }


def make_asker(model: "BaseChatModel | ModelSettings", photos: PhotoStore) -> Asker | None:
    """Return what asks a model; None where none is configured.

    Raises:
        ConfigError: the settings do not fit together.
    """
    from agent.client import LangChainClient, open_client

    if isinstance(model, ModelSettings):
        return Asker(open_client(model), model, photos) if model.configured else None
    settings = ModelSettings()
    return Asker(LangChainClient(model, settings), settings, photos)
