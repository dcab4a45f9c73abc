"""The encoder protocol over HTTP: photos, coordinates and texts in, vectors out.

`GET /card`, `GET /health`, `GET /metrics`; `POST /images`, `POST /locations`, `POST /texts`.
There is no authentication here: it listens to this machine alone unless told otherwise.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from encoders import wire
from encoders.base import Encoder, check_images
from encoders.batching import Batcher, BatchLimits, BusyError, Encoded, Lane, Rows
from encoders.photo_file import Limits, printable
from encoders.request_body import MemoryBudget, MemoryShare, drain, read_body, read_files
from geo.errors import InputError, UnavailableError

LANES: tuple[Lane, ...] = ("images", "locations", "texts")
SMALL_BODY_BYTES = 4_000_000
"""Coordinates and texts never need more."""
DECODERS = 2
RAW_PIXEL_BYTES = 4
"""Memory of one decoded RGB pixel."""
TOO_SLOW = 408
GONE = 499
"""Status of an answer that nobody waits for; never sent."""

logger = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class ServiceLimits:
    """What a service takes upon itself."""

    batch: BatchLimits = field(default_factory=BatchLimits)
    photo: Limits = field(default_factory=Limits)
    body_bytes: int = 320_000_000
    """Of one request: one photo of 100 megapixels, raw."""
    memory_bytes: int = 1_500_000_000
    """Held at once by bodies and decoded photos of all requests."""
    receive_s: float = 30.0
    """Time a client has to send its body."""
    deadline_s: float = 120.0
    """Time from a complete request to its vectors."""


class EncoderService:
    """One encoder behind HTTP; `app` is the ASGI application.

    Args:
        encoder: what it serves; used by its own thread alone from here on.
        limits: of requests, batches, memory and time.
        hosts: names by which clients may call it, so that no web page reaches it under another
            name; None for any.
    """

    def __init__(
        self,
        encoder: Encoder,
        limits: ServiceLimits | None = None,
        hosts: frozenset[str] | None = None,
    ) -> None:
        self.limits = limits or ServiceLimits()
        self.card = encoder.card
        self.device = str(getattr(encoder, "device", "cpu"))
        self.batcher = Batcher(encoder, self.limits.batch)
        self.answered = self.refused = 0
        self._hosts = hosts
        self._memory = MemoryBudget(self.limits.memory_bytes)
        self._pool = ThreadPoolExecutor(DECODERS, thread_name_prefix="photos")
        self._warm = self.batcher.warm_up()
        routes = [Route(f"/{lane}", self._endpoint(lane), methods=["POST"]) for lane in LANES]
        routes += [
            Route("/card", self._guarded(self._card)),
            Route("/health", self._guarded(self._health)),
            Route("/metrics", self._guarded(self._metrics)),
        ]
        self.app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})

    def close(self) -> None:
        """Finish what was accepted, then end the threads."""
        self.batcher.close()
        self._pool.shutdown()

    def photos_unavailable(self) -> str:
        """Return why photos cannot be encoded, once that was tried; empty once one was."""
        if not self._warm.done() or self.batcher.counts()["images"]["rows"]:
            return ""
        error = self._warm.exception()
        return str(error) if error else ""

    def wait_until_warm(self) -> str:
        """Wait for the first photo through the encoder; return what `photos_unavailable` does."""
        wait([self._warm])
        return self.photos_unavailable()

    async def _card(self, _: Request) -> Response:
        batch = self.limits.batch
        taken = wire.RequestLimits(
            images=batch.images,
            locations=batch.locations,
            texts=batch.texts,
            body_bytes=self.limits.body_bytes,
        )
        return JSONResponse(wire.pack_greeting(self.card, taken))

    async def _health(self, _: Request) -> Response:
        ready = self._warm.done()
        state: dict[str, Any] = {
            "ready": ready,
            "encoder": self.card.name,
            "device": self.device,
            "waiting": self.batcher.waiting(),
        }
        if reason := self.photos_unavailable():
            state["unavailable"] = {"images": reason}
        return JSONResponse(state, 200 if ready else 503)

    async def _metrics(self, _: Request) -> Response:
        """Answer in the text format of Prometheus, version 0.0.4."""
        lines = []
        for lane, counts in self.batcher.counts().items():
            for name, value in counts.items():
                lines.append(f'graticule_encoder_{name}_total{{lane="{lane}"}} {value}')
        for lane, value in self.batcher.waiting().items():
            lines.append(f'graticule_encoder_waiting{{lane="{lane}"}} {value}')
        lines.append(f"graticule_encoder_refused_total {self.refused}")
        lines.append(f"graticule_encoder_memory_bytes {self._memory.used}")
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    def _endpoint(self, lane: Lane) -> Handler:
        async def encode(request: Request) -> Response:
            return await self._encode(request, lane)

        return self._guarded(encode)

    def _guarded(self, handler: Handler) -> Handler:
        """Turn every error into one JSON answer."""

        async def answer(request: Request) -> Response:
            try:
                self._check_host(request)
                response = await handler(request)
                self.answered += 1
                return response
            except ClientDisconnect:
                return Response(status_code=GONE)
            except Exception as error:
                self.refused += 1
                response = error_response(error)
                # Closing at once on somebody who still sends would lose the refusal on its way.
                if response.status_code == TOO_SLOW or not await drain(request):
                    response.headers["connection"] = "close"
                return response

        return answer

    def _check_host(self, request: Request) -> None:
        host = request.url.hostname or ""
        if self._hosts is not None and host not in self._hosts:
            raise wire.BodyError(
                f"this service is not called {printable(host)!r}; use {min(self._hosts)}", 403
            )

    async def _encode(self, request: Request, lane: Lane) -> Response:
        accepted = _accepted(request)
        self.batcher.check_room(lane)
        with self._memory.share() as share:
            rows = await self._read(request, lane, share)
            found = await self._answer(request, self.batcher.submit(lane, rows))
        body = await self._in_pool(wire.pack_vectors, found, accepted, self.card.fingerprint)
        headers = {wire.FINGERPRINT: self.card.fingerprint}
        return Response(body, media_type=accepted, headers=headers)

    async def _read(self, request: Request, lane: Lane, share: MemoryShare) -> Rows:
        """Return the checked rows of a request."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        most = self.limits.batch.rows(lane)
        limit = self.limits.body_bytes
        if lane != "images":
            _check_kind(
                kind, (wire.JSON, wire.SAFETENSORS) if lane == "locations" else (wire.JSON,)
            )
            limit = min(limit, SMALL_BODY_BYTES)
        async with asyncio.timeout(self.limits.receive_s) as receiving:
            try:
                body = await read_body(request, limit, share)
            except asyncio.CancelledError:
                if receiving.expired():
                    raise wire.BodyError(
                        f"body did not arrive within {self.limits.receive_s:g} s; send it again",
                        TOO_SLOW,
                    ) from None
                raise
        if lane == "locations":
            return await self._in_pool(wire.read_points, body, kind, most)
        if lane == "texts":
            return await self._in_pool(wire.read_texts, body, most)
        return await self._photos(request, kind, body, most, share)

    async def _photos(
        self, request: Request, kind: str, body: bytes, most: int, share: MemoryShare
    ) -> Rows:
        if kind == wire.SAFETENSORS:
            share.take(len(body) * RAW_PIXEL_BYTES // 3)
            photos = await self._in_pool(wire.read_raw_photos, body, most)
        else:
            files = await read_files(request, kind, body, most, share)
            pixels = await self._in_pool(wire.declared_pixels, files, self.limits.photo)
            share.take(pixels * RAW_PIXEL_BYTES)
            photos = await self._in_pool(wire.read_photo_files, files, self.limits.photo)
        check_images(photos)
        return photos

    async def _in_pool(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    async def _answer(self, request: Request, future: "Future[Encoded]") -> Encoded:
        """Wait for vectors; work that nobody waits for any more is dropped if not begun."""
        encoded: asyncio.Future[Any] = asyncio.wrap_future(future)
        gone: asyncio.Future[Any] = asyncio.ensure_future(_disconnected(request))
        try:
            done, _ = await asyncio.wait(
                {encoded, gone},
                timeout=self.limits.deadline_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if encoded in done:
                found: Encoded = encoded.result()
                return found
            if gone in done:
                raise ClientDisconnect
            raise TimeoutError(f"no vectors within {self.limits.deadline_s:g} s; ask again later")
        finally:
            gone.cancel()
            encoded.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _accepted(request: Request) -> str:
    """Return the format to answer in: the first named that there is."""
    named = request.headers.get("accept", "").lower().split(",")
    for one in named:
        if found := wire.FORMATS.get(one.partition(";")[0].strip()):
            return found
    offered = ", ".join(sorted({*wire.FORMATS.values()}))
    raise wire.BodyError(f"no format for {printable(','.join(named), 80)!r}; accept {offered}", 406)


def _check_kind(kind: str, offered: tuple[str, ...]) -> None:
    if kind not in offered:
        raise wire.BodyError(
            f"content type {printable(kind, 80)!r} is not read here; send {' or '.join(offered)}",
            415,
        )


def error_response(error: Exception) -> Response:
    """Return the JSON answer `{"error": ...}` that belongs to an error."""
    headers: dict[str, str] = {}
    if isinstance(error, BusyError):
        status, headers["retry-after"] = 429, str(error.retry_after_s)
    elif isinstance(error, wire.BodyError):
        status = error.status
    elif isinstance(error, InputError):
        status = 422
    elif isinstance(error, UnavailableError):
        status = 503
    elif isinstance(error, TimeoutError):
        status = 504
    else:
        logger.error("a request failed", exc_info=error)
        kind = type(error).__name__
        message = f"encoder failed ({kind}); the service's log says more"
        return JSONResponse({"error": message}, 500)
    return JSONResponse({"error": str(error)}, status, headers)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    places = "GET /card, /health, /metrics; POST /images, /locations, /texts"
    return JSONResponse({"error": f"{error.detail}; there is: {places}"}, error.status_code)
