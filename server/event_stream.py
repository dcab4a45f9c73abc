"""Server-sent events of a feed: numbered, followed from any number, with a pulse and an end."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from agent.feed import Feed

PULSE_S = 5.0
"""How often a silent connection is told that it lives."""
ALWAYS = ""
"""Mode of the events that every follower gets: `metadata`, `error` and `end`."""
END = "end"


class Sent(NamedTuple):
    """One event of a stream.

    Attributes:
        mode: stream mode that it belongs to.
        event: its name.
        data: its JSON.
    """

    mode: str
    event: str
    data: bytes

    def lines(self, number: int) -> bytes:
        """Return it as it goes over the wire, with its number for an id."""
        return b"event: %b\r\ndata: %b\r\nid: %d\r\n\r\n" % (
            self.event.encode(), self.data, number
        )  # fmt: skip


class Connected(Response):
    """An answer that is written as it comes, and notices that its client has gone.

    Args:
        gone: called where the client goes before the end.
        headers: of the answer.
    """

    pulse = b""

    def __init__(self, gone: Callable[[], object], headers: Mapping[str, str]) -> None:
        super().__init__(headers=dict(headers))
        del self.headers["content-length"]
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        silent = asyncio.Event()

        async def write(data: bytes, more: bool = True) -> None:
            silent.clear()
            await send({"type": "http.response.body", "body": data, "more_body": more})

        writing = asyncio.create_task(self.written(write))
        others = [
            asyncio.create_task(_until_gone(receive)),
            asyncio.create_task(self._beat(write, silent)),
        ]
        try:
            await asyncio.wait({writing, others[0]}, return_when=asyncio.FIRST_COMPLETED)
            if not writing.done():
                self._gone()
            elif (error := writing.exception()) is not None:
                self._gone()
                if not isinstance(error, OSError):
                    raise error
        except asyncio.CancelledError:  # the server ends
            self._gone()
            raise
        finally:
            for task in (writing, *others):
                task.cancel()
            await asyncio.gather(writing, *others, return_exceptions=True)

    async def written(self, write: Callable[..., Awaitable[None]]) -> None:
        """Write the body, and its end."""
        raise NotImplementedError

    async def _beat(self, write: Callable[..., Awaitable[None]], silent: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while True:
                silent.set()
                await asyncio.sleep(PULSE_S)
                if silent.is_set():
                    await write(self.pulse)


class EventStream(Connected):
    """The events of a feed.

    Args:
        feed: of events; its numbers are their ids.
        after: number of the last event that the client has.
        modes: that the client wants; None for all.
        gone: called where the client goes before the end.
        headers: of the answer.
    """

    pulse = b": \r\n\r\n"

    def __init__(
        self,
        feed: Feed[Sent],
        *,
        after: int = 0,
        modes: Collection[str] | None = None,
        gone: Callable[[], object] = lambda: None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        told = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store",
                "X-Accel-Buffering": "no", **(headers or {})}  # fmt: skip
        super().__init__(gone, told)
        self._feed, self._after = feed, after
        self._modes = None if modes is None else {ALWAYS, *modes}

    async def written(self, write: Callable[..., Awaitable[None]]) -> None:
        """Write the events."""
        async for number, item in self._feed.afollow(self._after):
            if self._modes is None or item.mode in self._modes:
                await write(item.lines(number))
        await write(b"", False)


class LateJson(Connected):
    """JSON that takes its time; blanks before it keep the connection.

    Args:
        body: waits for it.
        gone: called where the client goes before the end.
        headers: of the answer.
    """

    pulse = b"\n"

    def __init__(
        self,
        body: Callable[[], Awaitable[bytes]],
        *,
        gone: Callable[[], object] = lambda: None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(gone, {"Content-Type": "application/json", **(headers or {})})
        self._body = body

    async def written(self, write: Callable[..., Awaitable[None]]) -> None:
        """Write the body."""
        await write(await self._body(), False)


async def _until_gone(receive: Receive) -> None:
    message: Message | dict[str, Any] = {"type": ""}
    while message["type"] != "http.disconnect":
        message = await receive()


def event_number(last_event_id: str) -> int:
    """Return the number of the last event that a client has; 0 for none or one of elsewhere."""
    return int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else 0
