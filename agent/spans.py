"""A run's events as spans with OpenInference attributes: pure data, sent by `agent.span_export`.

AGENT for a run, CHAIN for its nodes and parallel investigations, LLM for requests to a model, TOOL,
RETRIEVER or RERANKER for tool calls (https://arize-ai.github.io/openinference/spec/). Traces hold
no pixels, so photos are named by `urn:sha256:`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from pydantic import JsonValue

from agent.span_values import REDACTED, Data, Value, as_json, cut, documents_of
from agent.telemetry_settings import TelemetrySettings
from agent.trace import Event

RETRIEVERS = frozenset(
    {"search_similar_photos", "search_dissimilar_photos", "search_places", "search_cells",
     "find_related_places"}
)  # fmt: skip
RERANKERS = frozenset({"verify_locations", "cluster_candidates"})
ENDS = frozenset({"answer", "question", "stopped", "error"})


@dataclass
class SpanRecord:
    """One span.

    Attributes:
        kind: OpenInference's.
        parent: index of the span around it; None for the run's.
        begin_s, end_s: UTC, seconds since 1970.
        error: why it failed; empty otherwise.
    """

    name: str
    kind: str
    parent: int | None
    begin_s: float
    end_s: float
    attributes: dict[str, Value] = field(default_factory=dict)
    error: str = ""


def runs_of(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield the events of each run of a trace."""
    run: list[Event] = []
    for event in events:
        if event.kind == "setup" and run:
            yield run
            run = []
        if run or event.kind == "setup":
            run.append(event)
    if run:
        yield run


def spans_of(run: Sequence[Event], settings: TelemetrySettings) -> list[SpanRecord]:
    """Return the spans of one run, each after the one around it; the first is the run's."""
    return _Spans(run, settings).made


class _Spans:
    def __init__(self, run: Sequence[Event], settings: TelemetrySettings) -> None:
        self.settings = settings
        setup = run[0]
        self._zero = _began(setup) - setup.seconds
        self.made: list[SpanRecord] = [self._run(run)]
        self._tools: dict[tuple[int, str], int] = {}
        self._calls: dict[tuple[int, str], Event] = {}
        self._asked: dict[str, Event] = {}
        self._evidence = [event.data for event in run if event.kind == "evidence"]
        left: list[Event] = []
        for event in run[1:]:
            left.append(event)
            if event.kind == "node" and not event.data.get("trajectory"):
                self._node(left, event)
                left = []
        self._inside(left, 0)

    def _at(self, event: Event) -> float:
        return self._zero + event.seconds

    def _run(self, run: Sequence[Event]) -> SpanRecord:
        setup, last = run[0], run[-1]
        data = setup.data
        said = next((e.data for e in run if e.kind == "message"), {})
        photo = next((e.data for e in run if e.kind == "photo"), {})
        ended = next((e for e in reversed(run) if e.kind in ENDS), None)
        span = SpanRecord("graticule", "AGENT", None, self._at(setup), self._at(last))
        session = str(data.get("session") or f"trace-{setup.hash[:32]}")
        span.attributes = {"session.id": session, "agent.name": "graticule"}
        hint = said.get("text") or photo.get("hint") or ""
        asked = {"text": hint, "photo": photo.get("name", ""), "region": said.get("region")}
        self._input(span, asked)
        self._photos(span, [*_ids(said.get("photos")), str(photo.get("photo_id") or "")])
        shaped = {key: data.get(key) for key in ("driver", "budget", "trajectories", "versions")}
        recipe = data.get("recipe")
        shaped["recipe"] = recipe.get("name") if isinstance(recipe, dict) else None
        span.attributes["metadata"] = as_json(shaped)
        if ended is not None:
            _output(span, _answer(ended.data) if ended.kind == "answer" else dict(ended.data))
            if ended.kind == "error":
                span.error = f"{ended.data['type']}: {ended.data['message']}"
        return span

    def _node(self, events: Sequence[Event], end: Event) -> None:
        name, seconds = str(end.data["node"]), float(str(end.data["seconds"]))
        span = SpanRecord(name, "CHAIN", 0, self._at(end) - seconds, self._at(end))
        span.begin_s = min(span.begin_s, self._at(events[0]))
        span.attributes = {"graph.node.id": f"{name}-{end.data['step']}", "graph.node.name": name}
        self._inside(events, self._add(span))

    def _inside(self, events: Sequence[Event], parent: int) -> None:
        lanes: dict[int, int] = {0: parent}
        for number in sorted({_lane(event) for event in events} - {0}):
            of_it = [event for event in events if _lane(event) == number]
            span = SpanRecord(
                f"investigation {number}", "CHAIN", parent, self._at(of_it[0]), self._at(of_it[-1])
            )
            lanes[number] = self._add(span)
        for event in events:
            self._event(event, lanes[_lane(event)])

    def _event(self, event: Event, parent: int) -> None:
        data, lane = event.data, _lane(event)
        if event.kind == "tool_call":
            self._tools[lane, str(data["id"])] = self._add(self._tool(event, parent))
        elif event.kind == "tool_result":
            self._result(event, self._tools.get((lane, str(data["call_id"]))))
        elif event.kind == "model_call":
            self._asked[str(data.get("call"))] = event
        elif event.kind in ("model_reply", "model_error"):
            around = self._tools.get((lane, str(data.get("inside"))), parent)
            asked = self._asked.pop(str(data.get("call")), None)
            self._add(self._llm(event, asked, around))

    def _tool(self, event: Event, parent: int) -> SpanRecord:
        data = event.data
        name = str(data["tool"])
        kind = "RETRIEVER" if name in RETRIEVERS else "RERANKER" if name in RERANKERS else "TOOL"
        span = SpanRecord(name, kind, parent, self._at(event), self._at(event))
        span.attributes = {"tool.name": name, "tool.id": str(data["id"])}
        self._input(span, data["args"])
        if not self.settings.hide_inputs:
            span.attributes["tool.parameters"] = as_json(data["args"])
        return span

    def _result(self, event: Event, index: int | None) -> None:
        if index is None:
            return
        span, data = self.made[index], event.data
        span.end_s = max(span.begin_s, self._at(event))
        _output(span, str(data["text"]))
        if data["outcome"] == "unavailable":
            span.error = str(data["text"])
        own = [
            one for one in self._evidence
            if one["call_id"] == data["call_id"] and _number(one.get("trajectory")) == _lane(event)
        ]  # fmt: skip
        span.attributes |= documents_of(span.kind, data, own, hidden=self.settings.hide_inputs)
        pictures = data.get("pictures")
        rows = pictures if isinstance(pictures, list) else []
        self._photos(span, [str(one["photo_id"]) for one in rows if isinstance(one, dict)])

    def _llm(self, event: Event, asked: Event | None, parent: int) -> SpanRecord:
        data, request = event.data, asked.data if asked else event.data
        begin = self._at(asked or event)
        name = str(request["purpose"])
        span = SpanRecord(name, "LLM", parent, begin, max(begin, self._at(event)))
        shaped = {key: request.get(key) for key in ("temperature", "seed", "timeout_s")}
        span.attributes = {
            "llm.model_name": str(data["model"]),
            "llm.response.model_name": str(data["model"]),
            "llm.request.model_name": str(request["model"]),
            "llm.invocation_parameters": as_json(shaped),
            "metadata": as_json({"purpose": name, "prompts": request.get("prompts")}),
        }
        told = {key: request.get(key) for key in ("messages", "tools", "images")}
        if self.settings.hide_images:
            del told["images"]
        self._input(span, told)
        if not self.settings.hide_inputs:
            span.attributes |= self._asked_for(request)
        self._photos(span, _ids(request.get("images")))
        if event.kind == "model_error":
            span.error = f"{data['type']}: {data['message']}"
            return span
        span.attributes |= _reply(data)
        _output(span, str(data["text"]) or as_json(data["tool_calls"]))
        return span

    def _asked_for(self, request: Data) -> dict[str, Value]:
        """Return what is known of a request: the trace keeps its images and tools, no wording."""
        at = "llm.input_messages.0.message"
        prompts = ", ".join(cast(dict[str, str], request.get("prompts") or {}))
        words = f"{request.get('messages')} messages, whose wording the trace does not keep"
        images = [] if self.settings.hide_images else _ids(request.get("images"))
        told: dict[str, Value] = {
            f"{at}.role": "user",
            f"{at}.contents.0.message_content.type": "text",
            f"{at}.contents.0.message_content.text": f"{words}; prompts: {prompts or 'none'}",
        }
        for number, one in enumerate(images, start=1):
            told[f"{at}.contents.{number}.message_content.type"] = "image"
            told[f"{at}.contents.{number}.message_content.image.image.url"] = f"urn:sha256:{one}"
        for number, name in enumerate(_ids(request.get("tools"))):
            told[f"llm.tools.{number}.tool.name"] = name
        return told

    def _input(self, span: SpanRecord, value: object) -> None:
        hidden = self.settings.hide_inputs
        span.attributes["input.value"] = REDACTED if hidden else as_json(value)
        if not hidden:
            span.attributes["input.mime_type"] = "application/json"

    def _photos(self, span: SpanRecord, ids: Sequence[str]) -> None:
        if self.settings.hide_images:
            return
        for number, one in enumerate(dict.fromkeys(filter(None, ids))):
            span.attributes[f"input.images.{number}.image.url"] = f"urn:sha256:{one}"

    def _add(self, span: SpanRecord) -> int:
        self.made.append(span)
        return len(self.made) - 1


def _reply(data: Data) -> dict[str, Value]:
    """Return the attributes of what a model replied."""
    tokens_in, tokens_out = _number(data["tokens_in"]), _number(data["tokens_out"])
    told: dict[str, Value] = {
        "llm.token_count.prompt": tokens_in,
        "llm.token_count.completion": tokens_out,
        "llm.token_count.total": tokens_in + tokens_out,
        "llm.finish_reason": str(data["finish"]),
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": cut(str(data["text"])),
    }
    for number, call in enumerate(cast(list[dict[str, Any]], data["tool_calls"])):
        at = f"llm.output_messages.0.message.tool_calls.{number}.tool_call"
        told[f"{at}.id"] = str(call["id"] or "")
        told[f"{at}.function.name"] = str(call["name"] or "")
        args = call["args"]
        told[f"{at}.function.arguments"] = cut(args) if isinstance(args, str) else as_json(args)
    return told


def _answer(data: Data) -> dict[str, JsonValue]:
    kept = ("status", "latitude", "longitude", "radii", "country_name", "admin1", "place",
            "explanation", "stopped_because", "revision", "caution")  # fmt: skip
    return {name: data.get(name) for name in kept}


def _output(span: SpanRecord, value: object) -> None:
    plain = isinstance(value, str)
    span.attributes["output.value"] = cut(str(value)) if plain else as_json(value)
    span.attributes["output.mime_type"] = "text/plain" if plain else "application/json"


def _ids(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _lane(event: Event) -> int:
    return 0 if event.kind == "trajectory" else _number(event.data.get("trajectory"))


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _began(setup: Event) -> float:
    return datetime.fromisoformat(str(setup.data["at"])).timestamp()
