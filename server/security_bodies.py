"""Bodies before routes: never larger, never slower and never more of them than was agreed.

A body is read whole before its route sees it, so that a client that sends a byte a minute holds
a socket and nothing else, and one that vanishes on the way leaves nothing behind.
"""

import asyncio
import contextlib
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.server_settings import ServerSettings
from encoders.request_body import MemoryBudget, MemoryShare, drain, read_body
from encoders.wire import BodyError
from geo.errors import GeolocationError
from server.problems import ProblemError
from server.security import KEY, refuse
from server.security_keys import ApiKey

COPIED_BYTES = 65_536
"""Larger bodies are held a second time while they are read out."""


class Bodies:
    """ASGI middleware that hands whole bodies on, and answers what no route answered.

    Args:
        app: what is behind.
        limits: of size, memory and time.
    """

    def __init__(self, app: ASGIApp, limits: ServerSettings) -> None:
        self.app, self.limits = app, limits
        self.memory = MemoryBudget(limits.memory_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then let through; or refuse."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = _Started(send)
        with contextlib.ExitStack() as held:
            started.then = held.close  # what a stream sends later needs no body any more
            share = held.enter_context(self.memory.share())
            try:
                whole = await self._whole(scope, receive, share)
            except ClientDisconnect:
                return
            except (GeolocationError, ProblemError) as refusal:
                await self._refuse(scope, receive, send, refusal)
                return
            try:
                await self.app(scope, whole, started)
            except ClientDisconnect:
                return
            except Exception as error:
                if started.done:
                    raise
                await refuse(scope, receive, send, error)

    async def _whole(self, scope: Scope, receive: Receive, share: MemoryShare) -> Receive:
        headers = Headers(scope=scope)
        if "content-length" not in headers and "transfer-encoding" not in headers:
            return receive
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise ProblemError(
                415, "encoded", "bodies are taken as they are; send it without content-encoding"
            )
        body = await self._read(Request(scope, receive), scope.get(KEY), share)
        if len(body) > COPIED_BYTES:
            share.take(len(body))
        return _once(body, receive)

    async def _read(self, request: Request, key: ApiKey | None, share: MemoryShare) -> bytes:
        limit = self.limits.body_bytes
        if key is not None and key.body_bytes is not None:
            limit = min(limit, key.body_bytes)
        async with asyncio.timeout(self.limits.receive_s) as receiving:
            try:
                return await read_body(request, limit, share)
            except asyncio.CancelledError:
                if receiving.expired():
                    raise BodyError(
                        f"body did not arrive within {self.limits.receive_s:g} s; send it again",
                        408,
                    ) from None
                raise

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, error: Exception) -> None:
        # Closing at once on somebody who still sends would lose the refusal on its way.
        slow = isinstance(error, BodyError) and error.status == 408
        ended = not slow and await drain(Request(scope, receive))
        await refuse(scope, receive, send if ended else _closing(send), error)


class _Started:
    """Knows whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send, self.done = send, False
        self.then: Callable[[], object] = bool

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.done = True
            self.then()
        await self._send(message)


def _once(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body, and then what else comes: the client's leaving."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


def _closing(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["connection"] = "close"
        await send(message)

    return sending
