"""Health, readiness and metrics: what whoever runs the server looks at."""

import logging
import threading
import time
from typing import Literal

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.session_records import SessionOptions
from agent.sessions import Sessions
from geo.errors import GeolocationError
from server.context import context_of
from server.problems import REJECTED
from server.schemas import schema_of
from tools.evidence import Record

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
METRICS = "graticule.metrics"

logger = logging.getLogger(__name__)
router = APIRouter(tags=["operations"])


class Health(Record):
    """That the server lives."""

    status: Literal["live"] = "live"


class Readiness(Record):
    """Whether photos can be located without waiting for models to load.

    Attributes:
        missing: what keeps it from being ready, each with its remedy where there is one.
    """

    ready: bool
    missing: tuple[str, ...] = ()


class Warmth:
    """Loads, once and beside everything else, what the first photo would wait for.

    Args:
        sessions: whose default geolocator is warmed.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.missing = "models and data are still loading; ask again"
        self._lock = threading.Lock()
        self._begun = False

    def begin(self) -> None:
        """Begin, the first time this is called."""
        with self._lock:
            if self._begun:
                return
            self._begun = True
        threading.Thread(target=self._warm, name="warming", daemon=True).start()

    def _warm(self) -> None:
        try:
            self._sessions.geolocators.get(SessionOptions()).warm()
            self.missing = ""
        except GeolocationError as error:
            self.missing = str(error)
        except Exception as error:  # told by /ready; the thread has nobody else to tell
            logger.exception("warming failed")
            self.missing = f"loading failed ({type(error).__name__}); the server's log says more"
        if self.missing:
            with self._lock:
                self._begun = False  # asked again, it tries again


class Metrics:
    """Counts in a registry of its own, so that several applications may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        names = ("method", "path", "status")
        self.requests = Counter(
            "graticule_requests", "Requests answered.", names, registry=self.registry
        )
        self.seconds = Histogram(
            "graticule_request_seconds", "Until an answer began.", ("method", "path"),
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.rejected = Counter(
            "graticule_rejected", "Requests refused.", ("reason",), registry=self.registry
        )
        self.runs = Counter("graticule_runs", "Runs ended.", ("status",), registry=self.registry)
        self.running = Gauge("graticule_running", "Runs that go on.", registry=self.registry)
        self.tokens = Counter(
            "graticule_tokens", "Tokens of chat models.", ("direction",), registry=self.registry
        )
        self.tool_seconds = Counter(
            "graticule_tool_seconds", "Time in tools.", ("tool",), registry=self.registry
        )
        self.tool_calls = Counter(
            "graticule_tool_calls", "Calls of tools.", ("tool", "outcome"), registry=self.registry
        )
        self.photos = Counter("graticule_photos", "Photos taken in.", registry=self.registry)
        self.body_bytes = Gauge(
            "graticule_body_bytes", "Memory that bodies hold.", registry=self.registry
        )

    def text(self) -> bytes:
        """Return everything in Prometheus' text format 0.0.4."""
        found: bytes = generate_latest(self.registry)
        return found


class Counting:
    """ASGI middleware that counts requests by route, status and time to the first byte."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, and count."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, message["status"], time.monotonic() - began)
            await send(message)

        await self.app(scope, receive, counted)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's pattern: paths that clients make up would fill the memory.
        path = getattr(scope.get("route"), "path", "") or "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.metrics.requests.labels(method, path, str(status)).inc()
        self.metrics.seconds.labels(method, path).observe(seconds)
        if reason := scope.get(REJECTED):
            self.metrics.rejected.labels(reason).inc()


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@router.get("/health")
async def health() -> Health:
    """Say that the server lives."""
    return Health()


@router.get(
    "/ready",
    response_model=Readiness,
    responses={
        503: {
            "description": "Not yet, and why.",
            "content": {"application/json": {"schema": schema_of(Readiness)}},
        }
    },
)
async def ready(request: Request) -> Response:
    """Say whether photos can be located at once, and what is missing otherwise."""
    state = request.app.state
    if not hasattr(state, "warmth"):
        state.warmth = Warmth(context_of(request).sessions)
    warmth: Warmth = state.warmth
    missing = (warmth.missing,) if warmth.missing else ()
    if missing:
        warmth.begin()
    found = Readiness(ready=not missing, missing=missing)
    headers = {"retry-after": "2"} if missing else {}
    return JSONResponse(found.model_dump(mode="json"), 503 if missing else 200, headers)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus' text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
def metrics(request: Request) -> Response:
    """Give counts in Prometheus' text format."""
    found: Metrics = request.app.state.metrics
    request.app.state.observed.count()
    return Response(found.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
