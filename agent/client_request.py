"""A question as a call of a LangChain chat model: what is sent, and what was learnt not to send."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableBinding
from langchain_core.tools import BaseTool
from pydantic import BaseModel

from agent.asking import Question, ToolsRefusedError
from agent.model_settings import ModelSettings

ANY_STRING = r"^[^\x00-\x1f\x7f]*$"
LONGEST_STRING = 400
"""Letters of a string under strict decoding; a longer reason is no better."""
LENGTHS = ("minLength", "maxLength")
REPEATED = 128
"""More repetitions of one thing xgrammar 0.2 cannot compile; it fails, and the request with it."""
KEPT = 64
"""Tool sets and schemas whose converted form is kept."""
_FIELDS = {
    "temperature": ("temperature",),
    "seed": ("seed",),
    "max_tokens": ("max_tokens", "max_output_tokens", "num_predict"),
}
"""What providers call a model's settings."""


@dataclass(frozen=True)
class Request:
    """One call, ready to be made.

    Attributes:
        parts: names of `client_errors.PARTS` that it holds.
    """

    stream: Callable[[], Iterator[AIMessage]]
    parts: frozenset[str]
    temperature: float | None
    seed: int | None


class Requests:
    """Makes requests of one model; converted tools and schemas are kept."""

    def __init__(self, model: BaseChatModel, settings: ModelSettings) -> None:
        self._model, self._settings = model, settings
        self._bound: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()
        kinds = {kind.__name__ for kind in type(model).__mro__}
        self.speaks_openai = "BaseChatOpenAI" in kinds
        self._is_ours = "OpenAIChat" in kinds

    def make(
        self, question: Question, limit_s: float, without: frozenset[str], *, strict: bool,
        parallel: bool | None,
    ) -> Request:  # fmt: skip
        """Return the call that asks a question.

        Args:
            question: what is asked.
            limit_s: longest time for the reply.
            without: parts that the server refused before.
            strict: whether tool schemas are sent as strict.
            parallel: False where the server cannot have several calls in one reply.

        Raises:
            ToolsRefusedError: the model object takes no tools.
        """
        numbers = self._numbers(question)
        parts: dict[str, Any] = {}
        target: Any = self._model
        if question.tools:
            bound = self._tools(question, strict and "strict" not in without, parallel, without)
            target, parts = (self._model, dict(bound)) if isinstance(bound, dict) else (bound, {})
        if self.speaks_openai:
            parts |= self._openai(question, limit_s, numbers, without)
        elif target is self._model:
            target = self._varied(numbers)
        held = {part for part in ("response_format", "stream_options", *_FIELDS) if part in parts}
        held |= self._held(question, parts, strict=strict) | {"stream"}
        return Request(
            stream=partial(target.stream, list(question.messages), **parts),
            parts=frozenset(held) - without if self.speaks_openai else frozenset(),
            temperature=numbers.get("temperature"),
            seed=numbers.get("seed"),
        )

    def _held(self, question: Question, parts: Mapping[str, Any], *, strict: bool) -> set[str]:
        held = {part for part in ("tool_choice", "parallel_tool_calls") if part in parts}
        if strict and question.tools:
            held.add("strict")
        if "response_format" in (parts.get("extra_body") or {}):
            held.add("response_format")
        return held

    def _numbers(self, question: Question) -> dict[str, Any]:
        """Return temperature, seed and limit: the question's, else what was set, else the model's.

        A model object keeps its own numbers where the settings are silent.
        """
        numbers: dict[str, Any] = {}
        for name, fields in _FIELDS.items():
            asked = getattr(question, name)
            own = next(
                (v for f in fields if (v := getattr(self._model, f, None)) is not None), None
            )
            if asked is None and (own is None or name in self._settings.model_fields_set):
                asked = getattr(self._settings, name)
            numbers[name] = own if asked is None else asked
        return numbers

    def _varied(self, numbers: Mapping[str, Any]) -> BaseChatModel:
        """Return the model with these numbers, as far as it has such fields."""
        known = type(self._model).model_fields
        update = {
            field: numbers[name]
            for name, fields in _FIELDS.items()
            for field in fields
            if field in known and getattr(self._model, field, None) != numbers[name]
        }
        return self._model.model_copy(update=update) if update else self._model

    def _openai(
        self, question: Question, limit_s: float, numbers: Mapping[str, Any],
        without: frozenset[str],
    ) -> dict[str, Any]:  # fmt: skip
        parts: dict[str, Any] = dict(numbers)
        for name in ("temperature", "seed"):
            if name in without:
                parts[name] = None
        parts["timeout"] = _timeout(limit_s, self._settings.connect_timeout_s)
        if "stream_options" not in without:
            parts["stream_options"] = {"include_usage": True}
        if self._is_ours:
            parts["old_limit"] = "max_tokens" not in without
            parts["whole"] = "stream" in without
        if question.schema is not None and "response_format" not in without:
            # Not as an argument of its own: LangChain would then parse the reply, and fail on
            # one that is cut off.
            body = {"response_format": self._format(question.schema)}
            parts["extra_body"] = {**(getattr(self._model, "extra_body", None) or {}), **body}
        return parts

    def _tools(
        self, question: Question, strict: bool, parallel: bool | None, without: frozenset[str]
    ) -> Any:
        """Return what binding the tools adds to a call, or the bound model where that is hidden."""
        must_call = question.must_call and "tool_choice" not in without
        told = parallel is False and "parallel_tool_calls" not in without
        key = ("tools", _identity(question.tools), must_call, strict, told)
        return self._kept(key, lambda: self._bind(question.tools, must_call, strict, told))

    def _bind(self, tools: Sequence[BaseTool], must_call: bool, strict: bool, alone: bool) -> Any:
        more: dict[str, Any] = {"tool_choice": "any"} if must_call else {}
        if strict:
            more["strict"] = True
        if alone:
            more["parallel_tool_calls"] = False
        try:
            bound = self._model.bind_tools(list(tools), **more)
        except NotImplementedError:
            raise ToolsRefusedError(
                f"{type(self._model).__name__} takes no tools; set GRATICULE_MODEL__CALLS="
                "structured, or give a chat model that has bind_tools"
            ) from None
        if not isinstance(bound, RunnableBinding) or bound.bound is not self._model:
            return bound
        if strict and self.speaks_openai:
            for tool in bound.kwargs.get("tools", ()):
                tool["function"]["parameters"] = strict_schema(tool["function"]["parameters"])
        return dict(bound.kwargs)

    def _format(self, schema: type[BaseModel] | Mapping[str, Any]) -> Any:
        known = schema if isinstance(schema, type) else json.dumps(schema, sort_keys=True)
        return self._kept(("schema", known), lambda: _response_format(schema))

    def _kept(self, key: Hashable, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key in self._bound:
                self._bound.move_to_end(key)
                return self._bound[key]
        made = make()  # outside the lock: it takes milliseconds
        with self._lock:
            self._bound[key] = made
            while len(self._bound) > KEPT:
                self._bound.popitem(last=False)
        return made


def strict_schema(schema: Any) -> Any:
    """Return a JSON schema as strict decoding wants it.

    Every object is closed and all its properties are required; defaults go, since nothing is left
    out any more (OpenAI, Structured Outputs, supported schemas).
    """
    if isinstance(schema, list):
        return [strict_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {
        key: {name: strict_schema(item) for name, item in value.items()}
        if key in ("properties", "$defs") and isinstance(value, dict)
        else value
        if key in ("enum", "const", "examples", "required")
        else strict_schema(value)
        for key, value in schema.items()
        if key != "default"
    }
    if isinstance(properties := strict.get("properties"), dict):
        strict |= {"required": list(properties), "additionalProperties": False}
    if strict.get("type") == "string" and not {"enum", "const"} & strict.keys():
        strict["pattern"] = _bounded(strict)
        strict = {key: value for key, value in strict.items() if key not in LENGTHS}
    return strict


def _bounded(schema: Mapping[str, Any]) -> str:
    """Return the pattern of a string with its length in it.

    xgrammar, vLLM's decoder, takes no notice of `maxLength` beside a pattern, vLLM refuses replies
    that have both, and without a pattern xgrammar lets control characters through, over which
    vLLM's tool parsers drop the whole call.
    """
    least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", LONGEST_STRING))
    pattern = str(schema.get("pattern", ANY_STRING))
    if not (pattern.startswith("^[") and pattern.endswith("]*$")):
        return pattern
    letter, left, parts = pattern[1:-2], min(most, LONGEST_STRING), ""
    while left > 0:
        length = min(left, REPEATED)
        parts += f"{letter}{{{min(least, length)},{length}}}"
        least, left = least - min(least, length), left - length
    return f"^{parts}$"


def _response_format(schema: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    plain = schema.model_json_schema() if isinstance(schema, type) else dict(schema)
    name = "".join(c for c in str(plain.get("title") or "reply") if c.isalnum() or c in "_-")
    described = {"name": name[:64] or "reply", "schema": strict_schema(plain), "strict": True}
    return {"type": "json_schema", "json_schema": described}


def _identity(tools: Sequence[BaseTool]) -> tuple[Hashable, ...]:
    """Return what a tool set looks like to a model; tools of other sessions may look the same."""
    return tuple((tool.name, tool.description, _shape(tool.args_schema)) for tool in tools)


def _shape(schema: Any) -> Hashable:
    return schema if isinstance(schema, type) else json.dumps(schema, sort_keys=True, default=str)


def _timeout(limit_s: float, connect_s: float) -> Any:
    """Return the client library's timeout: later than ours, which tells the two apart."""
    import httpx2

    return httpx2.Timeout(limit_s + 1.0, connect=connect_s)
