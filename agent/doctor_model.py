"""What `doctor` says about the chat model: one row for each thing that a run leans on."""

from collections.abc import Iterator
from typing import Literal

from agent.asking import Capabilities
from agent.client_errors import shown_address
from agent.doctor import Check
from agent.model_settings import ModelSettings
from encoders.photo_file import printable
from geo.errors import GeolocationError

TIMEOUT_S = 10.0
"""Longest wait for one answer; a run waits as long as its settings say."""
_ROWS = {
    "images": ("model images", "photos are sent", "serve a multimodal model; vLLM: "
               "--limit-mm-per-prompt '{\"image\": 6}'"),
    "tools": ("model tools", "tools are called natively", "vLLM: --enable-auto-tool-choice "
              "--tool-call-parser hermes (or the model's own); else structured output is used"),
    "strict": ("model strict schemas", "arguments follow the schema", "vLLM: "
               "--tool-strict-level parameter"),
    "parallel": ("model parallel calls", "several calls in one reply", "one call a reply is used; "
                 "some tool parsers give one only: see vLLM's --tool-call-parser"),
    "structured": ("model structured output", "replies follow a schema", "vLLM: "
                   "--structured-outputs-config '{\"backend\": \"xgrammar\"}'"),
    "streaming": ("model streaming", "replies are streamed", "a reply then shows only when it is "
                  "whole"),
}  # fmt: skip


def model_checks(settings: ModelSettings) -> Iterator[Check]:
    """Yield the rows; without an address one that says so, and nothing is asked."""
    from agent.probe import probe

    if not settings.url or settings.provider != "openai":
        yield _unasked(settings)
        return
    place = shown_address(settings.url)
    try:
        quick = settings.model_copy(update={"timeout_s": min(TIMEOUT_S, settings.timeout_s)})
        seen = probe(quick)
    except GeolocationError as error:
        head, _, remedy = str(error).rpartition("; ")
        yield Check(name="model server", state="failed", detail=head or remedy, remedy=remedy)
        return
    served = f"{place} serves {printable(seen.model, 100)!r}"
    yield Check(name="model server", state="ok", detail=served)
    yield from (_ability(name, seen) for name in _ROWS)
    yield _context(seen)


def _unasked(settings: ModelSettings) -> Check:
    if settings.configured:
        detail = f"{settings.provider} {printable(settings.name, 100)!r}, not asked"
        return Check(name="model server", state="ok", detail=detail)
    detail = "none configured; the pipeline driver needs none"
    remedy = "set GRATICULE_MODEL__URL to check one"
    return Check(name="model server", state="absent", detail=detail, remedy=remedy)


def _ability(ability: str, seen: Capabilities) -> Check:
    name, what, remedy = _ROWS[ability]
    can: bool | None = getattr(seen, ability)
    if can:
        return Check(name=name, state="ok", detail=what)
    note = next((note for note in seen.notes if note.startswith(f"{ability}: ")), "")
    said = {False: "no", None: "could not be told"}[can]
    detail = f"{said}{' (' + note.partition(': ')[2] + ')' if note else ''}"
    state: Literal["ok", "absent"] = "absent"
    return Check(name=name, state=state, detail=printable(detail, 300), remedy=remedy)


def _context(seen: Capabilities) -> Check:
    name = "model context"
    if seen.context_tokens:
        return Check(name=name, state="ok", detail=f"{seen.context_tokens} tokens")
    remedy = "set GRATICULE_MODEL__CONTEXT_TOKENS; else older images go when a request is refused"
    return Check(name=name, state="absent", detail="the server does not say", remedy=remedy)
