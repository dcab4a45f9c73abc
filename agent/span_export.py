"""Spans on their way to an OpenTelemetry collector: of a finished trace, or of runs as they end."""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.spans import SpanRecord, runs_of, spans_of
from agent.telemetry_settings import TelemetrySettings
from agent.trace import Event, follow_traces, read_trace
from geo.errors import ConfigError, GeolocationError, InputError, UnavailableError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

logger = logging.getLogger(__name__)
INSTALL = "pip install 'graticule[telemetry]'"
TIMEOUT_S = 10
NANO = 1_000_000_000
MOST_ATTRIBUTES = 4096
"""Of one span; a ranking of fifty documents has some 400."""
_FOLLOWED: dict[str, Callable[[], None]] = {}
_LOCK = threading.Lock()


def export_trace(
    path: Path, settings: TelemetrySettings, exporter: "SpanExporter | None" = None
) -> int:
    """Send the spans of a trace and return how many.

    Args:
        path: the trace.
        settings: where to, and what is left out.
        exporter: instead of the collector's.

    Raises:
        ConfigError: no collector is named.
        InputError: the trace cannot be read, or holds no run.
        UnavailableError: the extra is not installed, or the collector does not take them.
    """
    return _sent(list(read_trace(path)), settings, exporter)


def follow_runs(settings: TelemetrySettings) -> None:
    """Send the spans of every run of this process when it ends; does nothing a second time.

    Raises:
        ConfigError: the address is none.
        UnavailableError: the extra is not installed.
    """
    _exporter(settings).shutdown()  # what is wrong is told now
    with _LOCK:
        if settings.url not in _FOLLOWED:
            _FOLLOWED[settings.url] = follow_traces(
                lambda path, after: _later(path, after, settings)
            )


def unfollow_runs(settings: TelemetrySettings) -> None:
    """Send no more."""
    with _LOCK:
        if stop := _FOLLOWED.pop(settings.url, None):
            stop()


def _later(path: Path, after: int, settings: TelemetrySettings) -> None:
    """Send what a trace holds after an event, in a thread: no run waits for a collector."""

    def send() -> None:
        try:
            _sent([event for event in read_trace(path) if event.number > after], settings)
        except GeolocationError as error:
            logger.warning("spans were not sent: %s", error)

    threading.Thread(target=send, name="spans", daemon=True).start()


def _sent(
    events: Sequence[Event], settings: TelemetrySettings, exporter: "SpanExporter | None" = None
) -> int:
    runs = [spans_of(run, settings) for run in runs_of(events)]
    if not runs:
        raise InputError("the trace holds no run; give one written by `graticule locate` or `chat`")
    finished = [span for run in runs for span in _finished(run, settings)]
    sender = exporter or _exporter(settings)
    with contextlib.closing(_Closing(sender)):
        from opentelemetry.sdk.trace.export import SpanExportResult

        if sender.export(finished) is not SpanExportResult.SUCCESS:
            raise UnavailableError(
                f"collector {settings.shown} does not take spans; check that it runs and speaks "
                "OTLP over HTTP, and GRATICULE_TELEMETRY__HEADERS",
                retryable=True,
            )
    return len(finished)


class _Closing:
    """Shuts an exporter down."""

    def __init__(self, exporter: "SpanExporter") -> None:
        self.close = exporter.shutdown


def _exporter(settings: TelemetrySettings) -> "SpanExporter":
    if not settings.endpoint.startswith(("http://", "https://")):
        raise ConfigError(
            f"telemetry endpoint {settings.endpoint!r:.200} is no http address; set "
            "GRATICULE_TELEMETRY__ENDPOINT, such as http://127.0.0.1:6006"
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise UnavailableError(f"package {error.name!r} is not installed; run {INSTALL}") from None
    return OTLPSpanExporter(settings.url, headers=settings.header_pairs(), timeout=TIMEOUT_S)


def _finished(run: Sequence[SpanRecord], settings: TelemetrySettings) -> "list[ReadableSpan]":
    """Return the spans of one run as OpenTelemetry's, the outermost last."""
    try:
        from openinference.semconv.trace import SpanAttributes
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from opentelemetry.trace import Status, StatusCode, set_span_in_context
    except ImportError as error:
        raise UnavailableError(f"package {error.name!r} is not installed; run {INSTALL}") from None
    held = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource.create({"service.name": settings.service_name}),
        shutdown_on_exit=False,
        # By default the oldest of more than 128 are dropped: the kind first of all.
        span_limits=SpanLimits(max_span_attributes=MOST_ATTRIBUTES),
    )
    provider.add_span_processor(SimpleSpanProcessor(held))
    tracer = provider.get_tracer("graticule")
    opened: list[Any] = []
    session = run[0].attributes["session.id"]
    for one in run:
        around = None if one.parent is None else set_span_in_context(opened[one.parent])
        span = tracer.start_span(one.name, context=around, start_time=int(one.begin_s * NANO))
        span.set_attribute(SpanAttributes.OPENINFERENCE_SPAN_KIND, one.kind)
        span.set_attributes({**one.attributes, SpanAttributes.SESSION_ID: session})
        span.set_status(Status(StatusCode.ERROR, one.error) if one.error else Status(StatusCode.OK))
        opened.append(span)
    for one, span in reversed(list(zip(run, opened, strict=True))):
        span.end(end_time=int(one.end_s * NANO))
    return list(held.get_finished_spans())
