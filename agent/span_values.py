"""What attributes of spans hold: JSON and text no longer than collectors take, and documents."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import JsonValue

REDACTED = "__REDACTED__"
MOST_LETTERS = 32_000
"""Of one attribute; also the longest image that OpenInference carries in one."""
MOST_DOCUMENTS = 50
_IMAGE = re.compile(rf"data:image/[\w.+-]+;base64,[A-Za-z0-9+/=]{{{MOST_LETTERS},}}")
_KEPT = ("radius_km", "rank", "source", "kind", "country", "name")
Value = str | int | float | bool
Data = Mapping[str, JsonValue]


def documents_of(
    kind: str, result: Data, evidence: Sequence[Data], *, hidden: bool
) -> dict[str, Value]:
    """Return what a search found, or what a ranking was given and put out, as documents.

    Args:
        kind: of the span; none but RETRIEVER and RERANKER have any.
        result: data of the call's `tool_result`.
        evidence: that it found; a search whose hits weigh nothing has them in its data alone.
        hidden: whether what was given is left out.
    """
    found = [one for item in evidence for one in cast(list[dict[str, Any]], item["candidates"])]
    if kind == "RETRIEVER":
        return _documents("retrieval.documents", found or list(_hits(result)))
    if kind != "RERANKER":
        return {}
    told = _documents("reranker.output_documents", found)
    arguments = cast(dict[str, Any], result.get("arguments") or {})
    given = arguments.get("candidates")
    if not hidden and isinstance(given, list):
        rows = [one for one in given if isinstance(one, dict)]
        told |= _documents("reranker.input_documents", rows)
    if not hidden and (photo := arguments.get("photo_id")):
        told["reranker.query"] = f"photo {photo}"
    return told


def as_json(value: object) -> str:
    """Return JSON no longer than collectors take."""
    return cut(json.dumps(value, ensure_ascii=False, default=str))


def cut(text: str) -> str:
    """Return text without large images, and no longer than collectors take."""
    plain = _IMAGE.sub(REDACTED, text)
    return plain if len(plain) <= MOST_LETTERS else f"{plain[: MOST_LETTERS - 4]} ..."


def _hits(result: Data) -> Iterator[dict[str, Any]]:
    data = cast(dict[str, Any], result.get("data") or {})
    for gallery in data.get("galleries") or ():
        yield from gallery.get("hits") or ()


def _documents(key: str, candidates: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    """Return candidates as documents: where, what, and their score if they have one."""
    told: dict[str, Value] = {}
    for number, one in enumerate(candidates[:MOST_DOCUMENTS]):
        at = f"{key}.{number}.document"
        name = one.get("reference") or one.get("id") or f"{one.get('source', '')}#{number + 1}"
        told[f"{at}.id"] = str(name)
        words = f"{one.get('latitude')}, {one.get('longitude')} {one.get('label') or ''}"
        told[f"{at}.content"] = cut(words.strip())
        if (score := one.get("score", one.get("similarity"))) is not None:
            told[f"{at}.score"] = float(score)
        told[f"{at}.metadata"] = as_json({name: one[name] for name in _KEPT if name in one})
    return told
