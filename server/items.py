"""LangGraph's store for clients: JSON under names, apart from what sessions keep there."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from langgraph.store.base import BaseStore, InvalidNamespaceError, Item
from pydantic import BaseModel, Field, JsonValue
from starlette.responses import Response

from encoders.photo_file import printable
from geo.errors import InputError
from server.context import context_of
from server.plain import PlainResponse, PlainRoute
from server.problems import problems
from server.storable import Kept

router = APIRouter(prefix="/store", route_class=PlainRoute, tags=["store"])
OWN = ("clients",)
"""Namespace below which clients' items lie, and beyond which they do not see."""
REFUSED = problems(415, 422)
LONGEST = 200
DEEPEST = 10

Namespace = Annotated[list[str], Field(max_length=DEEPEST)]


class ItemName(BaseModel):
    """Names an item."""

    namespace: Namespace = []
    key: str = Field(min_length=1, max_length=LONGEST)


class NewItem(ItemName):
    """An item to keep."""

    value: Annotated[dict[str, JsonValue], Kept]


class ItemSearch(BaseModel):
    """Which items to list."""

    namespace_prefix: Namespace = []
    filter: dict[str, JsonValue] | None = None
    limit: int = Field(default=10, ge=1, le=1000)
    offset: int = Field(default=0, ge=0)
    query: str | None = None


class NamespaceSearch(BaseModel):
    """Which namespaces to list."""

    prefix: Namespace | None = None
    suffix: Namespace | None = None
    max_depth: int | None = Field(default=None, ge=1, le=DEEPEST)
    limit: int = Field(default=100, ge=1, le=1000)
    offset: int = Field(default=0, ge=0)


@router.put("/items", status_code=204, responses=REFUSED)
def put_item(item: NewItem, request: Request) -> None:
    """Keep an item, in place of the one that had its name."""
    try:
        _store(request).put(_inner(item.namespace), item.key, dict(item.value), index=False)
    except InvalidNamespaceError as error:
        raise InputError(f"namespace: {error}") from None


@router.get("/items", responses=REFUSED)
def get_item(request: Request, key: str, namespace: str = "") -> Response:
    """Return an item, or null."""
    labels = [one for one in namespace.split(".") if one]
    found = _store(request).get(_inner(labels), key)
    return PlainResponse(None if found is None else _shown(found))


@router.delete("/items", status_code=204, responses=REFUSED)
def delete_item(item: ItemName, request: Request) -> None:
    """Delete an item, if there is one."""
    _store(request).delete(_inner(item.namespace), item.key)


@router.post("/items/search", responses=REFUSED)
def search_items(asked: ItemSearch, request: Request) -> Response:
    """List items below a namespace."""
    if asked.query:
        raise InputError("query: items are not searched by meaning; use filter")
    try:
        found = _store(request).search(
            _inner(asked.namespace_prefix),
            filter=asked.filter,
            limit=asked.limit,
            offset=asked.offset,
        )
    except ValueError as error:  # the store's own: a key that it cannot look for
        raise InputError(f"filter: {printable(str(error), 200)}") from None
    return PlainResponse({"items": [{**_shown(one), "score": None} for one in found]})


@router.post("/namespaces", responses=REFUSED)
def list_namespaces(asked: NamespaceSearch, request: Request) -> dict[str, list[list[str]]]:
    """List namespaces."""
    found = _store(request).list_namespaces(
        prefix=_inner(asked.prefix or []),
        suffix=tuple(asked.suffix) if asked.suffix else None,
        max_depth=None if asked.max_depth is None else asked.max_depth + len(OWN),
        limit=asked.limit,
        offset=asked.offset,
    )
    return {"namespaces": [list(one[len(OWN) :]) for one in found]}


def _store(request: Request) -> BaseStore:
    return context_of(request).sessions.store.items


def _inner(labels: list[str]) -> tuple[str, ...]:
    """Return where a client's namespace lies.

    Raises:
        InputError: a label cannot be one.
    """
    for label in labels:
        if not label or "." in label or len(label) > LONGEST:
            raise InputError(
                f"namespace label {label[:40]!r}: 1 to {LONGEST} characters, without a full stop"
            )
    return (*OWN, *labels)


def _shown(item: Item) -> dict[str, Any]:
    return {
        "namespace": list(item.namespace[len(OWN) :]),
        "key": item.key,
        "value": item.value,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }
