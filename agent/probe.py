"""What a server does with its model, found out with a few tiny requests.

A capability is that the server takes such a request and answers it in the protocol, not that the
model is clever: a model with random weights passes behind a server that constrains its output.
What cannot be told (a server that is busy, a free choice not taken) stays None.
"""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

from langchain_core.messages import AIMessage

from agent.asking import (
    Capabilities,
    ContextOverflowError,
    ImagesRefusedError,
    ModelUnavailableError,
    Tell,
    ToolsRefusedError,
)
from agent.client_errors import explain, shown_address
from agent.client_reply import assemble
from agent.client_wire import WireError, read_reply
from agent.model_list import Offered, asked_of, fetch, list_models
from agent.model_settings import ModelSettings

TIMEOUT_S = 20.0
"""Longest wait for one answer; the requests run beside each other."""
MARK = "Graticule looks at what this server can do."
"""Begins every probing message."""
_PATH = "/chat/completions"
_NEW_LIMIT = "max_completion_tokens"
"""What OpenAI's newest models call `max_tokens`."""
_NUMBERS = ("temperature", "seed")
_SEEDS = (1, 2, 3)
"""A model with random weights may take all its tokens without finishing a call."""
_CHOICE: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}},
    "required": ["answer"],
    "additionalProperties": False,
}
Finding = tuple[bool | None, str]
"""Whether it can; what was seen, in words, where that is not all."""


@dataclass(frozen=True)
class _Server:
    settings: ModelSettings
    model: str
    timeout_s: float

    def ask(self, tokens: int, text: str, **more: Any) -> tuple[str, AIMessage]:
        """Return content type and reply of one tiny request; raises as `fetch` does."""
        content = more.pop("content", [])
        message = f"{MARK} {text}"
        body = {
            "model": self.model,
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": message}, *content]
                    if content
                    else message,
                }
            ],
            "max_tokens": tokens,  # no temperature: some models take only their own
            **more,
        }
        kind, data = self._fetch(body)
        try:
            return kind, assemble(list(read_reply([data])))
        except WireError as error:
            raise explain(error, asked_of(self.settings, body)).error from None

    def _fetch(self, body: dict[str, Any]) -> tuple[str, bytes]:
        """Fetch, without the numbers that the server says it does not take."""
        try:
            return fetch(self.settings, _PATH, self.timeout_s, body)
        except ModelUnavailableError as error:
            refused = [] if error.retryable else [part for part in _NUMBERS if part in str(error)]
            fewer = {key: value for key, value in body.items() if key not in refused}
            if _NEW_LIMIT in str(error) and "max_tokens" in body:
                fewer[_NEW_LIMIT] = fewer.pop("max_tokens")
            if fewer == body:
                raise
        return self._fetch(fewer)


def probe(settings: ModelSettings, tell: Tell = lambda kind, data: None) -> Capabilities:
    """Find out what the server can do with the model.

    Args:
        settings: which server, which model; without an address nothing is asked.
        tell: is told a notice of what was seen.

    Raises:
        ConfigError: the address is none.
        ModelUnavailableError: the server does not answer, refuses the key, or lists no model and
            none is named.
    """
    if not settings.url or settings.provider != "openai":
        return Capabilities(model=settings.name, notes=("not probed: no server address is set",))
    timeout_s = min(TIMEOUT_S, settings.timeout_s)
    offered = _offered(settings, timeout_s)
    name = settings.name or (offered[0].name if offered else "")
    if not name:
        raise ModelUnavailableError(
            f"{shown_address(settings.url)} lists no model; set GRATICULE_MODEL__NAME"
        )
    found = _look(_Server(settings, name, timeout_s))
    context = next((row.context_tokens for row in offered if row.name == name), None)
    names = tuple(row.name for row in offered)
    notes = [f"{ability}: {note}" for ability, (_, note) in found.items() if note]
    if names and name not in names:
        notes.append(f"the server does not list {name!r:.100}")
    seen = Capabilities(
        model=name,
        models=names,
        context_tokens=context,
        notes=tuple(notes),
        **{ability: can for ability, (can, _) in found.items()},
    )
    tell("notice", {"text": f"probed {name!r:.100}: {in_words(seen)}"})
    return seen


def in_words(seen: Capabilities) -> str:
    """Return capabilities on one line."""
    said = {True: "yes", False: "no", None: "unknown"}
    names = ("images", "tools", "strict", "parallel", "structured", "streaming")
    return ", ".join(f"{name} {said[getattr(seen, name)]}" for name in names)


def _offered(settings: ModelSettings, timeout_s: float) -> tuple[Offered, ...]:
    """Return what the server lists; one that has no list will do where a name is set."""
    try:
        return list_models(settings, timeout_s)
    except ModelUnavailableError as error:
        if settings.name and " answered 404" in str(error):
            return ()
        raise


def _look(server: _Server) -> dict[str, Finding]:
    """Run all requests beside each other; without plain text nothing else can be told."""
    looks: dict[str, Callable[[_Server], dict[str, Finding]]] = {
        "streaming": _streaming, "images": _images, "tools": _tools, "parallel": _parallel,
        "structured": _structured,
    }  # fmt: skip
    with ThreadPoolExecutor(len(looks)) as pool:
        running = {name: pool.submit(look, server) for name, look in looks.items()}
    found: dict[str, Finding] = {}
    for name, future in running.items():
        try:
            found |= future.result()
        except ModelUnavailableError as error:
            found[name] = (None, _cut(error))
    return found


def _streaming(server: _Server) -> dict[str, Finding]:
    ask = partial(server.ask, 4, "Say ok.", stream=True)
    try:
        kind, reply = ask(stream_options={"include_usage": True})
    except ModelUnavailableError as error:
        if error.retryable:
            raise
        kind, reply = ask()
    streamed = bool(reply.response_metadata.get("streamed"))
    return {"streaming": (streamed, "" if streamed else f"answers whole, as {kind!r:.60}")}


def _images(server: _Server) -> dict[str, Finding]:
    image = {"type": "image_url", "image_url": {"url": _picture()}}
    try:
        server.ask(16, "What is this?", content=[image])
    except (ImagesRefusedError, ContextOverflowError) as error:
        return {"images": (False, _cut(error))}
    except ModelUnavailableError as error:
        unclear = error.retryable or "max_tokens" in str(error)  # too few for one that thinks
        return {"images": (None if unclear else False, _cut(error))}
    return {"images": (True, "")}


def _tools(server: _Server) -> dict[str, Finding]:
    try:
        reply = _called(server, "Call the tool.", _tool_request("answer", strict=True))
    except ToolsRefusedError as error:
        return {"tools": (False, _cut(error)), "strict": (False, "")}
    except ModelUnavailableError as error:
        if error.retryable:
            return {"tools": (None, _cut(error)), "strict": (None, "")}
        return _loose_tools(server, _cut(error))
    if not _count(reply):
        return {"tools": (None, "demanded a call, got none"), "strict": (None, "")}
    fits = [_fits(call["args"]) for call in reply.tool_calls]
    strict = bool(fits) and all(fits) and not reply.invalid_tool_calls
    return {"tools": (True, ""), "strict": (strict, "" if strict else "arguments broke the schema")}


def _loose_tools(server: _Server, refused: str) -> dict[str, Finding]:
    """Tools without strict schemas, after those were refused."""
    strict = (False, refused)
    try:
        reply = _called(server, "Call the tool.", _tool_request("answer", strict=False))
    except ModelUnavailableError as error:
        return {"tools": (None if error.retryable else False, _cut(error)), "strict": strict}
    called = bool(_count(reply))
    return {"tools": (called or None, "" if called else "got no call"), "strict": strict}


def _parallel(server: _Server) -> dict[str, Finding]:
    request = _tool_request("answer", "check", strict=True) | {"parallel_tool_calls": True}
    try:
        reply = _called(server, "Call both tools now, in one reply.", request, at_least=2)
    except ModelUnavailableError as error:
        refused = "parallel" in str(error).lower() and not error.retryable
        return {"parallel": (False if refused else None, _cut(error))}
    count = _count(reply)
    return {"parallel": (True, "") if count > 1 else (None, f"asked for two calls, got {count}")}


def _called(server: _Server, text: str, request: dict[str, Any], at_least: int = 1) -> AIMessage:
    """Return the first reply with enough calls, else the last."""
    reply = AIMessage("")
    for seed in _SEEDS:
        # At temperature 0 a weak model calls again and again, up to the limit.
        reply = server.ask(128, text, temperature=1, seed=seed, **request)[1]
        if _count(reply) >= at_least:
            break
    return reply


def _count(reply: AIMessage) -> int:
    return len(reply.tool_calls) + len(reply.invalid_tool_calls)


def _structured(server: _Server) -> dict[str, Finding]:
    schema = {"name": "choice", "schema": _CHOICE, "strict": True}
    wanted = {"type": "json_schema", "json_schema": schema}
    try:
        reply = server.ask(32, "Answer yes, as JSON.", response_format=wanted)[1]
    except ModelUnavailableError as error:
        return {"structured": (None if error.retryable else False, _cut(error))}
    fits = isinstance(reply.content, str) and _fits_text(reply.content)
    return {"structured": (fits, "" if fits else f"got {str(reply.content)!r:.60}")}


def _tool_request(*names: str, strict: bool) -> dict[str, Any]:
    tools = [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": "Takes yes or no.",
                "parameters": _CHOICE,
                **({"strict": True} if strict else {}),
            },
        }
        for name in names
    ]
    return {"tools": tools, "tool_choice": "required"}


def _fits(arguments: object) -> bool:
    return arguments in ({"answer": "yes"}, {"answer": "no"})


def _fits_text(text: str) -> bool:
    try:
        return _fits(json.loads(text))
    except ValueError:
        return False


def _picture() -> str:
    """Return a grey square of 64 pixels: two tiles or more for every model in use."""
    from PIL import Image

    buffer = BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _cut(error: Exception) -> str:
    return str(error)[:300]
