"""A tool call as JSON states it, in any of the shapes that models use, and whom it calls."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue

from agent.asking import Problem, ProblemAction

_PREFIX = re.compile(r"^(?:functions?|tools?|default_api|api)[.:/]", re.IGNORECASE)
CONTAINERS = ("tool_calls", "calls", "tool_call", "function_call", "function_calls")
_NAME_KEYS = ("name", "tool", "tool_name", "function", "function_name", "action")
_ARGUMENT_KEYS = (
    "arguments", "parameters", "args", "params", "input", "action_input", "tool_input",
)  # fmt: skip
_BESIDE = frozenset({"thought", "thoughts", "reason", "reasoning", "id", "type", "index"})


@dataclass(frozen=True)
class RawCall:
    """A call as a model made it, nothing of it checked.

    Attributes:
        arguments: an object, its JSON text, or anything else.
        id: empty where it should have one; None where its form knows no ids.
        texts: every argument came as text, as in XML, which is no fault of the model.
    """

    name: str
    arguments: object
    id: str | None = None
    texts: bool = False


class ToolNames:
    """The tools that exist, the names of their arguments, and which one a misspelt name means."""

    def __init__(self, fields: Mapping[str, frozenset[str]]) -> None:
        self.fields = fields
        self._near: dict[str, list[str]] = {}
        for name in fields:
            self._near.setdefault(_plain(name), []).append(name)

    def resolve(self, name: str) -> str | None:
        """Return the tool that `name` means: itself, or the only one that differs by its signs."""
        if name in self.fields:
            return name
        near = self._near.get(_plain(name), [])
        return near[0] if len(near) == 1 else None

    def listed(self) -> str:
        """Return the names, for a person or a model."""
        return ", ".join(sorted(self.fields)) or "none"


@lru_cache(maxsize=64)
def names_of(fields: tuple[tuple[str, frozenset[str]], ...]) -> ToolNames:
    """Return the names of tools, given as name and arguments; the same ones every turn."""
    return ToolNames(dict(fields))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", _PREFIX.sub("", name.strip()[:100])).lower()


def make_problem(kind: str, detail: str, action: ProblemAction) -> Problem:
    """Return a problem whose detail can be written anywhere, at most 400 characters."""
    clean = detail.encode("utf-8", "replace").decode().replace("\0", "?")
    return Problem(kind=kind, detail=clean[:400], action=action)


def unknown_tool(name: str, names: ToolNames) -> Problem:
    """Return the problem of a call to a tool that there is not."""
    return make_problem(
        "unknown-tool", f"there is no tool {name[:60]!r}; choose from {names.listed()}", "answered"
    )


def calls_of(value: JsonValue, names: ToolNames) -> Iterator[RawCall]:
    """Yield the calls that a JSON value states, in any of the shapes that models use."""
    if isinstance(value, list):
        for item in value:
            yield from calls_of(item, names)
        return
    if not isinstance(value, dict):
        return
    for key in (*CONTAINERS, "function"):
        if isinstance(inner := value.get(key), (list, dict)):
            identity = value.get("id")
            for call in calls_of(inner, names):
                identified = call.id or (identity if isinstance(identity, str) else None)
                yield RawCall(call.name, call.arguments, identified)
            return
    yield from _call_of(value, names)


def _call_of(value: dict[str, JsonValue], names: ToolNames) -> Iterator[RawCall]:
    texts = {key: text for key in _NAME_KEYS if isinstance(text := value.get(key), str)}
    known = (key for key, text in texts.items() if names.resolve(text))
    key = next(known, next(iter(texts), ""))
    name = texts.get(key, "")
    identity = given if isinstance(given := value.get("id"), str) else None
    beside = _first(value, _ARGUMENT_KEYS)
    if name and beside:
        yield RawCall(name, value[beside], identity)
    elif name and (tool := names.resolve(name)):
        flat = {k: v for k, v in value.items() if k != key and k not in _BESIDE}
        if not flat or flat.keys() <= names.fields[tool]:
            yield RawCall(name, flat, identity)
    elif len(value) == 1:
        (only, arguments), *_ = value.items()
        if only in names.fields and isinstance(arguments, dict):
            yield RawCall(only, arguments)


def _first(value: Mapping[str, JsonValue], keys: Iterable[str]) -> str:
    return next((key for key in keys if key in value), "")
