"""Which models an OpenAI-compatible server offers, asked without any client library."""

import json
from typing import Any

import httpx

from agent.client_errors import Asked, explain, shown_address
from agent.client_wire import WireError
from agent.model_settings import ModelSettings
from encoders.photo_file import printable
from geo.errors import ConfigError
from tools.evidence import Record

ANSWER_BYTES = 4 * 1024 * 1024
_CONTEXTS = ("max_model_len", "context_length", "max_context_length", "n_ctx")
"""What vLLM, OpenRouter, LM Studio and llama.cpp call the length of a model's context."""


class Offered(Record):
    """One model that a server lists."""

    name: str
    context_tokens: int | None = None


def list_models(settings: ModelSettings, timeout_s: float) -> tuple[Offered, ...]:
    """Ask a server which models it offers.

    Raises:
        ConfigError: the address is none.
        ModelUnavailableError: it does not answer, refuses, or answers something else.
    """
    answer = get_json(settings, "/models", timeout_s)
    rows = answer.get("data") if isinstance(answer, dict) else None
    rows = rows if isinstance(rows, list) else []
    return tuple(_offered(row) for row in rows if isinstance(row, dict) and row.get("id"))


def get_json(
    settings: ModelSettings, path: str, timeout_s: float, body: dict[str, Any] | None = None
) -> object:
    """Get a path below the server's address, or post to it, and return the JSON that comes back.

    Raises:
        ConfigError: the address is none.
        ModelUnavailableError: typed as `agent.client_errors.explain` does.
    """
    text = fetch(settings, path, timeout_s, body)[1]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise explain(WireError(f"no JSON: {text[:120]!r}"), asked_of(settings)).error from None


def fetch(
    settings: ModelSettings, path: str, timeout_s: float, body: dict[str, Any] | None = None
) -> tuple[str, bytes]:
    """Return the content type and the bytes of an answer; raises as `get_json`."""
    check_address(settings)
    key = settings.api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, settings.connect_timeout_s))
    encrypted = settings.url.startswith("https")  # else no certificates: loading them takes 50 ms
    try:
        with (
            httpx.Client(timeout=timeout, verify=encrypted, follow_redirects=False) as client,
            client.stream(
                "POST" if body else "GET",
                settings.url.rstrip("/") + path,
                headers=headers,
                json=body,
            ) as answer,
        ):
            data = _limited(answer)
            _refuse(answer, data)
            return answer.headers.get("content-type", ""), data
    except (httpx.HTTPError, httpx.InvalidURL, WireError, ValueError) as error:
        raise explain(error, asked_of(settings, body)).error from None


def check_address(settings: ModelSettings) -> None:
    """Check what goes into every request.

    Raises:
        ConfigError: the address is none, or the key cannot be sent.
    """
    try:
        known = httpx.URL(settings.url).scheme in ("http", "https") and httpx.URL(settings.url).host
    except httpx.InvalidURL:
        known = ""
    if not known:
        raise ConfigError(
            f"GRATICULE_MODEL__URL={printable(settings.url, 200)!r} is no http(s) address; set "
            "GRATICULE_MODEL__URL to the server's, up to and with /v1"
        )
    key = settings.api_key.get_secret_value()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            "GRATICULE_MODEL__API_KEY holds characters that cannot be sent, such as the end of a "
            "line; set the key alone"
        )


def asked_of(settings: ModelSettings, body: dict[str, Any] | None = None) -> Asked:
    """Return what a plain request held, to explain its failure."""
    text = json.dumps(body or {})
    return Asked(
        place=shown_address(settings.url),
        model=settings.name,
        images="image_url" in text,
        tools='"tools"' in text,
        secret=settings.api_key.get_secret_value(),
        connect_timeout_s=settings.connect_timeout_s,
    )


def _limited(answer: httpx.Response) -> bytes:
    data = b""
    for piece in answer.iter_bytes():
        data += piece
        if len(data) > ANSWER_BYTES:
            raise WireError(f"an answer of more than {ANSWER_BYTES} bytes")
    return data


def _refuse(answer: httpx.Response, data: bytes) -> None:
    if answer.status_code < 400:
        return
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = data[:1000].decode("utf-8", "replace")
    inner = body.get("error") if isinstance(body, dict) else None
    raise WireError(
        f"status {answer.status_code}", status_code=answer.status_code, body=inner or body
    )


def _offered(row: dict[str, Any]) -> Offered:
    meta = row.get("meta")
    both = {**(meta if isinstance(meta, dict) else {}), **row}
    lengths = (both.get(name) for name in _CONTEXTS)
    length = next((n for n in lengths if isinstance(n, int) and n > 0), None)
    return Offered(name=str(row["id"]), context_tokens=length)
