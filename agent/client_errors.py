"""What a failed request to a chat model means: retry, ask without something, or give up.

The patterns are the wording of servers in use: vLLM, OpenAI, llama.cpp, Ollama, Text Generation
Inference, LM Studio and OpenRouter. They are looked for only where the request held what they are
about, so that a stray word in an error cannot take tools or images away from a run.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from agent.asking import (
    ContextOverflowError,
    ImagesRefusedError,
    ModelUnavailableError,
    ToolsRefusedError,
)
from encoders.photo_file import printable

WORDS = 300
"""Letters of a server's own words that an error quotes."""
PASSING = frozenset({408, 409, 425, 429})
"""Client errors that pass by themselves; so does every 5xx."""
CONTEXT = re.compile(
    r"context[ _](length|size|window)|max(imum)?[ _]model[ _]len|too long to fit|prompt is too long"
    r"|max_new_tokens`? must be|inputs`? must have less than|longer than the model",
    re.IGNORECASE,
)
IMAGES = re.compile(
    r"images?\(s\) may be provided|not a multimodal model|image input|support(s|ed)?:? image"
    r"|image_url|unsupported content part|does not support (images|vision)|mmproj"
    r"|(cannot|failed to) (identify|load|decode|process) (the )?image|content must be a string",
    re.IGNORECASE,
)
TOOLS = re.compile(
    r"tool choice requires|(does not|doesn't) support (tool|function)|support tool|--jinja"
    r"|unsupported param\w*:? '?tools\b|tools?( calling)? (is|are) not (supported|enabled)"
    r"|--enable-auto-tool-choice|--tool-call-parser",
    re.IGNORECASE,
)
PARTS = {
    "response_format": r"response_format|structured output|json_schema|guided|grammar|json schema",
    "strict": r"\bstrict\b|schema for function|grammar|json schema",
    "parallel_tool_calls": r"parallel_tool_calls|parallel tool",
    "tool_choice": r"tool_choice",
    "stream_options": r"stream_options|include_usage",
    "max_tokens": r"max_tokens",
    "temperature": r"temperature",
    "seed": r"\bseed\b",
    "stream": r"\bstream(ing)?\b",
}
"""Parts of a request that a reply can do without, and how a refusal names them."""
_DROPPABLE = frozenset({400, 404, 415, 422, 500, 501})
_CONNECTION = frozenset({
    "APIConnectionError", "TransportError", "ConnectionError", "TimeoutError", "TimeoutException",
    "ModelConnectionError", "ModelTimeoutError",
})  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a request held and where it went.

    Attributes:
        place: address or provider, without any password.
        model: its name; empty where the server is asked for its models.
        parts: names of `PARTS` that it held.
        secret: the API key, which no text may show.
    """

    place: str
    model: str
    images: bool = False
    tools: bool = False
    parts: frozenset[str] = frozenset()
    secret: str = ""
    connect_timeout_s: float = 0.0


@dataclass(frozen=True)
class Failure:
    """What one failed request means.

    Attributes:
        error: to be raised if nothing else helps; `retryable` where it may pass by itself.
        words: the reason alone, for the trace.
        wait_s: how long the server asks to wait.
        without: part of the request to leave out from now on; empty for none.
    """

    error: ModelUnavailableError
    words: str
    wait_s: float | None = None
    without: str = ""


def explain(error: Exception, asked: Asked) -> Failure:
    """Say what a failed request means."""
    status, body = _status(error), _body(error)
    words = redact(_words(error, body), asked.secret)
    if status is None and _is_connection(error):
        return _unreachable(error, words, asked)
    if status is None and not _is_ours(error):
        made = _failure(ModelUnavailableError, words, asked, f"failed ({type(error).__name__})")
        if not asked.secret:  # a cause may hold the request, and its key
            made.error.__cause__ = error
        return made
    whole = f"{words} {_text(body)}"[:4000]
    if refused := _refusal(status, whole, asked):
        kind, remedy = refused
        return _failure(kind, words, asked, _said(status), remedy)
    if status in _DROPPABLE and (part := _part(body, words, asked)):
        return _failure(ModelUnavailableError, words, asked, _said(status), without=part)
    passing = status is None or status in PASSING or status >= 500
    wait_s = _wait_asked_for(error) if passing else None
    made = _failure(ModelUnavailableError, words, asked, _said(status), _remedy(status, asked))
    made.error.retryable = passing
    return Failure(made.error, words, wait_s)


def redact(text: str, secret: str) -> str:
    """Return text on one printable line of at most `WORDS` letters, without the secret."""
    if len(secret) >= 4:  # shorter is no key, and would tear words apart
        for shown in (secret, repr(secret)[1:-1]):
            text = text.replace(shown, "***")
    return printable(text, WORDS)


def shown_address(url: str) -> str:
    """Return an address without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is none"
    return printable(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="")))


def _failure(
    kind: type[ModelUnavailableError],
    words: str,
    asked: Asked,
    what: str,
    remedy: str = "see its log",
    *,
    without: str = "",
) -> Failure:
    who = f"model {printable(asked.model)!r} at" if asked.model else "model server"
    text = f"{who} {asked.place} {what}: {words!r}; {remedy}"
    return Failure(kind(text), words, without=without)


def _unreachable(error: Exception, words: str, asked: Asked) -> Failure:
    what, remedy = "is not reachable", "start it, or correct GRATICULE_MODEL__URL"
    if "ConnectTimeout" in _names(error):
        what += f" within {asked.connect_timeout_s:g} s (GRATICULE_MODEL__CONNECT_TIMEOUT_S)"
    elif _names(error) & {"RemoteProtocolError", "ReadError", "WriteError"}:
        what, remedy = "broke the connection off", "see its log"
    made = _failure(ModelUnavailableError, words, asked, what, remedy)
    made.error.retryable = True
    return made


def _refusal(
    status: int | None, text: str, asked: Asked
) -> tuple[type[ModelUnavailableError], str] | None:
    """Return the typed refusal that a text is, if it is one."""
    if status in (401, 403, 429):
        return None
    if asked.tools and TOOLS.search(text):
        return ToolsRefusedError, (
            "start vLLM with --enable-auto-tool-choice --tool-call-parser NAME, or set "
            "GRATICULE_MODEL__CALLS=structured"
        )
    if status == 413 or CONTEXT.search(text):
        return ContextOverflowError, (
            "send less (GRATICULE_MODEL__IMAGES, GRATICULE_MODEL__IMAGE_SIDE_PX, "
            "GRATICULE_MODEL__MAX_TOKENS), or serve the model with a longer context"
        )
    if asked.images and IMAGES.search(text):
        return ImagesRefusedError, (
            "serve a multimodal model (vLLM: --limit-mm-per-prompt says how many images), or set "
            "GRATICULE_MODEL__IMAGES=0"
        )
    return None


def _part(body: object, words: str, asked: Asked) -> str:
    """Return the part of the request that a refusal names, if a reply can do without it."""
    named = body.get("param") if isinstance(body, Mapping) else None
    if isinstance(named, str) and (root := named.split(".")[0]) in asked.parts:
        return root
    sent = (part for part in PARTS if part in asked.parts)
    return next((part for part in sent if re.search(PARTS[part], words, re.IGNORECASE)), "")


def _remedy(status: int | None, asked: Asked) -> str:
    if status in (401, 403):
        return "set GRATICULE_MODEL__API_KEY to a key that may use it"
    if status == 404:
        hint = "" if asked.place.rstrip("/").endswith("/v1") else ", whose address may lack `/v1`"
        return f"check GRATICULE_MODEL__NAME and GRATICULE_MODEL__URL{hint}"
    if status == 429:
        return "ask less often, or raise the limit there"
    return "see its log"


def _said(status: int | None) -> str:
    return f"answered {status}" if status else "sent a reply that cannot be read"


def _status(error: Exception) -> int | None:
    """Return the HTTP status that an error of any client library carries."""
    response = getattr(error, "response", None)
    for holder in (error, response):
        for name in ("status_code", "code"):
            status = getattr(holder, name, None)
            if isinstance(status, int) and 400 <= status < 600:
                return status
    return None


def _body(error: Exception) -> object:
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, Mapping) else None
    return inner or body


def _words(error: Exception, body: object) -> str:
    """Return the server's own message, else the error's."""
    if isinstance(body, Mapping):
        for key in ("message", "detail", "error"):
            if value := body.get(key):
                return value if isinstance(value, str) else _text(value)
    if isinstance(body, str) and body.strip():
        return body
    return str(error.__cause__ or error) or type(error).__name__


def _text(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=True, default=str)


def _names(error: BaseException | None) -> set[str]:
    """Return the class names of an error and its causes; no client library is imported for it."""
    names: set[str] = set()
    while error is not None:
        names |= {kind.__name__ for kind in type(error).__mro__}
        error = error.__cause__
    return names


def _is_connection(error: Exception) -> bool:
    return bool(_names(error) & _CONNECTION)


def _is_ours(error: Exception) -> bool:
    """Whether a reply came that broke the protocol: it may be better next time."""
    return "WireError" in _names(error)


def _wait_asked_for(error: Exception) -> float | None:
    """Return `Retry-After` in seconds (RFC 9110, 10.2.3): a number, or a date."""
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    value = str(headers.get("retry-after") or "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if seconds < 1e9 else None
