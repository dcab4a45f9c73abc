"""State as JSON for clients: messages as LangChain dumps them, plain records, no pixels."""

import dataclasses
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from langchain_core.messages import BaseMessageChunk, message_chunk_to_message
from langgraph.types import Interrupt, Overwrite
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from server.problems import ProblemError
from server.storable import check_storable

MEDIA_TYPE = "application/json"
DEEPEST_JSON = 40
"""Levels of a body: what a client keeps lies some levels inside it."""
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS


def packed(value: Any) -> bytes:
    """Return a value of the state's as JSON.

    Raises:
        TypeError: something in it has no place in state, such as bytes.
    """
    return orjson.dumps(value, _plain, _OPTIONS)


def plain(value: Any) -> Any:
    """Return a value of the state's as dictionaries, lists, numbers and text."""
    return orjson.loads(packed(value))


class PlainResponse(Response):
    """An answer of `packed` JSON."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return packed(content)


class PlainRoute(APIRoute):
    """A route that reads JSON alone: quickly, for photos come in it, and strictly UTF-8."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which sees the body through `_Request`."""
        handler: Callable[[Request], Awaitable[Response]] = super().get_route_handler()

        async def handle(request: Request) -> Response:
            _check_type(request)
            return await handler(_Request(request.scope, request.receive))

        return handle


class _Request(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_plain"):
            body = await self.body()
            try:
                self._plain = orjson.loads(body)
            except orjson.JSONDecodeError as error:  # its text may repeat the whole body
                raise json.JSONDecodeError(str(error.msg), "", error.pos) from None
            try:
                check_storable(self._plain, DEEPEST_JSON)
            except ValueError as error:
                raise HTTPException(422, f"body: {error}") from None  # FastAPI lets no other by
        return self._plain


def _check_type(request: Request) -> None:
    length = request.headers.get("content-length", "")
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = length not in ("", "0") or "transfer-encoding" in request.headers
    if has_body and given != MEDIA_TYPE and not given.endswith("+json"):
        raise ProblemError(
            415, "wrong_type", f"content type {given or 'none'!r:.60} is not read here; send "
            "application/json"
        )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, Overwrite):
        return value.value
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Interrupt):
        return {"value": value.value, "id": value.id}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    raise TypeError(f"a {type(value).__name__} has no place in JSON")


def whole(message: Any) -> Any:
    """Return a chunk of a message as the message that it is by now."""
    return message_chunk_to_message(message) if isinstance(message, BaseMessageChunk) else message
