"""Runs as OpenInference spans: in memory, and at a collector that speaks OTLP over HTTP."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from openinference.semconv.trace import (
    DocumentAttributes,
    ImageAttributes,
    MessageAttributes,
    MessageContentAttributes,
    OpenInferenceSpanKindValues,
    RerankerAttributes,
    SpanAttributes,
    ToolAttributes,
    ToolCallAttributes,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import JsonValue, SecretStr

from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.settings import Settings
from agent.span_export import export_trace, follow_runs, unfollow_runs
from agent.span_values import MOST_DOCUMENTS, MOST_LETTERS, REDACTED
from agent.telemetry_settings import TelemetrySettings
from agent.trace import Trace, read_trace
from geo.errors import ConfigError, InputError, UnavailableError
from tests.fakes import BlankReader, FakeGazetteer
from tests.unit.replay_samples import PHOTOS, recorded_once

PLAIN = TelemetrySettings(endpoint="http://127.0.0.1:9")


@pytest.fixture(scope="module")
def agentic(settlements: Settlements) -> Path:
    return recorded_once(2, settlements)


def exported(path: Path, settings: TelemetrySettings = PLAIN) -> list[ReadableSpan]:
    held = InMemorySpanExporter()
    number = export_trace(path, settings, held)
    spans = list(held.get_finished_spans())
    assert len(spans) == number
    return spans


def kind_of(span: ReadableSpan) -> str:
    assert span.attributes is not None
    return str(span.attributes["openinference.span.kind"])


def attributes(span: ReadableSpan) -> dict[str, Any]:
    assert span.attributes is not None
    return dict(span.attributes)


def test_a_run_is_an_agent_with_its_nodes_models_and_tools(agentic: Path) -> None:
    spans, events = exported(agentic), list(read_trace(agentic))
    by_id = {span.context.span_id: span for span in spans if span.context}
    (agent,) = [span for span in spans if kind_of(span) == "AGENT"]
    told = attributes(agent)
    assert agent.parent is None
    assert json.loads(told["output.value"])["caution"]
    assert told["input.mime_type"] == "application/json"
    replies = [e.data for e in events if e.kind == "model_reply"]
    models = [attributes(span) for span in spans if kind_of(span) == "LLM"]
    answered = [one for one in models if "llm.token_count.total" in one]
    assert len(answered) == len(replies)
    assert sum(one["llm.token_count.total"] for one in answered) == sum(
        int(str(one["tokens_in"])) + int(str(one["tokens_out"])) for one in replies
    )
    assert {one["llm.model_name"] for one in models} == {"ScriptedChat"}
    calls = [e for e in events if e.kind == "tool_call"]
    tools = [span for span in spans if kind_of(span) in ("TOOL", "RETRIEVER", "RERANKER")]
    assert sorted(attributes(span)["tool.id"] for span in tools) == sorted(
        str(e.data["id"]) for e in calls
    )
    for span in (*tools, *(span for span in spans if kind_of(span) == "LLM")):
        assert span.parent
        around = by_id[span.parent.span_id]
        assert kind_of(around) in ("CHAIN", "TOOL")
        times = (around.start_time, span.start_time, span.end_time, around.end_time)
        assert list(times) == sorted(one or 0 for one in times)
    assert {attributes(span)["session.id"] for span in spans} == {told["session.id"]}
    began = datetime.fromisoformat(str(events[0].data["at"])).timestamp()
    assert agent.start_time == pytest.approx(began * 1e9, abs=1e6)


def test_parallel_investigations_are_chains_of_their_own(settlements: Settlements) -> None:
    spans = exported(recorded_once(3, settlements))
    names = {span.name for span in spans if kind_of(span) == "CHAIN"}
    assert {"observe", "explore", "conclude", "investigation 1", "investigation 2"} <= names


def test_revisions_of_a_session_share_its_id(settlements: Settlements) -> None:
    path = recorded_once(4, settlements)
    agents = [span for span in exported(path) if kind_of(span) == "AGENT"]
    sessions = {str(e.data["session"]) for e in read_trace(path) if e.kind == "setup"}
    assert {attributes(span)["session.id"] for span in agents} == sessions
    assert len({span.context.trace_id for span in agents if span.context}) == len(agents) > 1


CANDIDATE: dict[str, JsonValue] = {
    "latitude": 1.5, "longitude": 2.5, "radius_km": 3.0, "score": 0.75, "rank": 1,
    "source": "gallery:a", "kind": "photo", "label": "A quay", "reference": "p1",
    "country": "PT", "reaches": [],
}  # fmt: skip


def of_call(
    tmp_path: Path,
    tool: str,
    candidates: list[JsonValue],
    settings: TelemetrySettings = PLAIN,
    **result: JsonValue,
) -> dict[str, Any]:
    """Return the attributes of the span of one tool call."""
    path = tmp_path / f"{tool}.jsonl"
    told: dict[str, JsonValue] = {
        "call_id": "c1", "tool": tool, "text": "found", "outcome": "ok", **result,
    }  # fmt: skip
    with Trace(path) as trace:
        trace.append("setup", {"at": "2026-01-02T03:04:05+00:00", "recipe": {"name": "pipeline"}})
        trace.append("tool_call", {"id": "c1", "tool": tool, "args": {"photo_id": "x"}})
        trace.append("tool_result", told)
        trace.append("evidence", {"id": "e1", "call_id": "c1", "candidates": candidates})
        trace.append("node", {"node": "act", "step": 4, "seconds": 0.0, "spent": None})
    return next(attributes(span) for span in exported(path, settings) if span.name == tool)


def test_what_searches_has_documents(tmp_path: Path) -> None:
    retrieved = of_call(tmp_path, "search_similar_photos", [CANDIDATE])
    assert retrieved[SpanAttributes.OPENINFERENCE_SPAN_KIND] == "RETRIEVER"
    at = f"{SpanAttributes.RETRIEVAL_DOCUMENTS}.0"
    assert retrieved[f"{at}.{DocumentAttributes.DOCUMENT_ID}"] == "p1"
    assert retrieved[f"{at}.{DocumentAttributes.DOCUMENT_CONTENT}"] == "1.5, 2.5 A quay"
    assert retrieved[f"{at}.{DocumentAttributes.DOCUMENT_SCORE}"] == 0.75
    assert json.loads(retrieved[f"{at}.{DocumentAttributes.DOCUMENT_METADATA}"])["country"] == "PT"


def test_hits_that_weigh_nothing_are_documents_too(tmp_path: Path) -> None:
    hit: JsonValue = {"id": "p9", "latitude": -3.5, "longitude": 4.0, "similarity": 0.25}
    data: JsonValue = {"galleries": [{"gallery": "a", "hits": [hit]}]}
    unlike = of_call(tmp_path, "search_dissimilar_photos", [], data=data)
    at = f"{SpanAttributes.RETRIEVAL_DOCUMENTS}.0"
    assert unlike[f"{at}.{DocumentAttributes.DOCUMENT_ID}"] == "p9"
    assert unlike[f"{at}.{DocumentAttributes.DOCUMENT_SCORE}"] == 0.25


def test_what_ranks_is_given_documents_and_puts_them_out(tmp_path: Path) -> None:
    given: list[JsonValue] = [
        {"latitude": 0.5 + n, "longitude": 1.0, "label": f"place {n}"} for n in range(80)
    ]
    arguments: JsonValue = {"photo_id": "x", "candidates": given}
    ranked = of_call(tmp_path, "verify_locations", [CANDIDATE], arguments=arguments)
    kind = SpanAttributes.OPENINFERENCE_SPAN_KIND
    assert ranked[kind] == "RERANKER"  # the first attribute of some 200
    put_out, taken = RerankerAttributes.RERANKER_OUTPUT_DOCUMENTS, "reranker.input_documents"
    assert taken == RerankerAttributes.RERANKER_INPUT_DOCUMENTS
    assert ranked[f"{put_out}.0.{DocumentAttributes.DOCUMENT_ID}"] == "p1"
    assert ranked[f"{taken}.0.{DocumentAttributes.DOCUMENT_CONTENT}"] == "0.5, 1.0 place 0"
    assert sum(key.startswith(taken) and key.endswith("content") for key in ranked) == (
        MOST_DOCUMENTS
    )
    assert ranked[RerankerAttributes.RERANKER_QUERY] == "photo x"
    hidden = PLAIN.model_copy(update={"hide_inputs": True})
    unseen = of_call(tmp_path, "verify_locations", [CANDIDATE], hidden, arguments=arguments)
    assert not [key for key in unseen if key.startswith((taken, "reranker.query"))]
    assert unseen[f"{put_out}.0.{DocumentAttributes.DOCUMENT_ID}"] == "p1"


KNOWN = {
    str(value)
    for names in (
        SpanAttributes, MessageAttributes, MessageContentAttributes, ImageAttributes,
        DocumentAttributes, RerankerAttributes, ToolCallAttributes, ToolAttributes,
    )
    for key, value in vars(names).items()
    if key.isupper()
}  # fmt: skip


def spelled(key: str) -> bool:
    """Whether a key is made of names of the conventions, with numbers between them."""
    left = key
    while left:
        left = re.sub(r"^\d+\.?", "", left)
        fits = [one for one in KNOWN if left == one or left.startswith(f"{one}.")]
        if left and not fits:
            return False
        left = left.removeprefix(max(fits, key=len)).lstrip(".") if left else ""
    return True


@pytest.mark.parametrize("number", [2, 3, 4])
def test_every_attribute_is_one_of_the_conventions(number: int, settlements: Settlements) -> None:
    kinds = {one.value for one in OpenInferenceSpanKindValues}
    for span in exported(recorded_once(number, settlements)):
        assert kind_of(span) in kinds
        odd = [key for key in attributes(span) if not spelled(key)]
        assert not odd, (span.name, odd)
        assert max(len(str(value)) for value in attributes(span).values()) <= MOST_LETTERS


def test_a_model_is_told_of_with_its_images_and_tools(settlements: Settlements) -> None:
    path = recorded_once(3, settlements)
    spans = [attributes(span) for span in exported(path) if kind_of(span) == "LLM"]
    photo = next(str(e.data["photo_id"]) for e in read_trace(path) if e.kind == "photo")
    at = f"{SpanAttributes.LLM_INPUT_MESSAGES}.0.{MessageAttributes.MESSAGE_CONTENTS}.1"
    image = f"{at}.{MessageContentAttributes.MESSAGE_CONTENT_IMAGE}.{ImageAttributes.IMAGE_URL}"
    assert spans[0][image] == f"urn:sha256:{photo}"
    driving = next(one for one in spans if f"{SpanAttributes.LLM_TOOLS}.0.tool.name" in one)
    role = f"{SpanAttributes.LLM_OUTPUT_MESSAGES}.0.{MessageAttributes.MESSAGE_ROLE}"
    assert driving[role] == "assistant"
    assert {SpanAttributes.LLM_TOKEN_COUNT_PROMPT, SpanAttributes.LLM_TOKEN_COUNT_COMPLETION,
            SpanAttributes.LLM_TOKEN_COUNT_TOTAL} <= driving.keys()  # fmt: skip


def test_what_shall_be_hidden_is_hidden(agentic: Path) -> None:
    photo = next(str(e.data["photo_id"]) for e in read_trace(agentic) if e.kind == "photo")
    shown = json.dumps([attributes(span) for span in exported(agentic)])
    assert f"urn:sha256:{photo}" in shown
    hidden = PLAIN.model_copy(update={"hide_inputs": True, "hide_images": True})
    spans = [attributes(span) for span in exported(agentic, hidden)]
    assert {one["input.value"] for one in spans if "input.value" in one} == {REDACTED}
    assert not [key for one in spans for key in one if "image" in key or ("parameters" in key
                and key.startswith("tool"))]  # fmt: skip


def test_no_large_image_travels_inline(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    uri = "data:image/png;base64," + "A" * (MOST_LETTERS + 1)
    small = "data:image/png;base64," + "A" * 100
    with Trace(path) as trace:
        trace.append("setup", {"at": "2026-01-02T03:04:05+00:00"})
        trace.append("message", {"text": f"{uri} {small}", "photos": []})
        trace.append("error", {"type": "InputError", "message": "x" * 100_000})
    (span,) = exported(path)
    assert uri not in json.dumps(attributes(span))
    assert small in attributes(span)["input.value"]
    assert max(len(str(value)) for value in attributes(span).values()) <= MOST_LETTERS
    assert not span.status.is_ok


class Collector(BaseHTTPRequestHandler):
    """Takes spans, and keeps them with what came along."""

    got: list[tuple[str, dict[str, str], ExportTraceServiceRequest]]
    came: threading.Event
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        self.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, request))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.came.set()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, type[Collector]]]:
    kind = type("One", (Collector,), {"got": [], "came": threading.Event()})
    server = HTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", kind
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_collector_gets_them_with_the_secret_header(
    agentic: Path, collector: tuple[str, type[Collector]]
) -> None:
    url, kind = collector
    settings = TelemetrySettings(
        endpoint=f"{url}/otel/", headers=SecretStr("Authorization=Bearer s3cret, x-a=b"),
        service_name="atlas",
    )  # fmt: skip
    number = export_trace(agentic, settings)
    ((path, headers, request),) = kind.got
    assert path == "/otel/v1/traces"
    assert headers["authorization"] == "Bearer s3cret"
    assert headers["x-a"] == "b"
    (resource,) = request.resource_spans
    named = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert named["service.name"] == "atlas"
    assert sum(len(scope.spans) for scope in resource.scope_spans) == number
    assert "s3cret" not in repr(settings)


def test_runs_are_sent_as_they_end(
    tmp_path: Path, settlements: Settlements, collector: tuple[str, type[Collector]]
) -> None:
    url, kind = collector
    telemetry = TelemetrySettings(endpoint=url)
    settings = Settings(home=tmp_path, telemetry=telemetry)
    try:
        with Geolocator(settings=settings, encoder=None, recipe="pipeline") as geolocator:
            geolocator.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
            geolocator.bench.reader = BlankReader()
            follow_runs(telemetry)  # a second time
            geolocator.locate(PHOTOS[0])
        assert kind.came.wait(20)
        assert len(kind.got) == 1
    finally:
        unfollow_runs(telemetry)


def test_what_cannot_be_sent_says_why(
    agentic: Path, tmp_path: Path, collector: tuple[str, type[Collector]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with pytest.raises(ConfigError, match="GRATICULE_TELEMETRY__ENDPOINT"):
        export_trace(agentic, TelemetrySettings(endpoint="localhost:1"))
    url, kind = collector
    kind.status = 401
    private = url.replace("http://", "http://user:pass@")
    with pytest.raises(UnavailableError, match="does not take spans") as refused:
        export_trace(agentic, TelemetrySettings(endpoint=private))
    assert "pass" not in str(refused.value)
    path = tmp_path / "trace.jsonl"
    with Trace(path) as trace:
        trace.append("notice", {"text": "hello"})
    with pytest.raises(InputError, match="no run"):
        export_trace(path, PLAIN)
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(UnavailableError, match=r"graticule\[telemetry\]"):
        export_trace(agentic, PLAIN, InMemorySpanExporter())
