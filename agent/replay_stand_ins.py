"""What stands in a replay for models, tools, photos, galleries and encoders."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from langchain_core.messages import AIMessage, AnyMessage, ToolCall
from langchain_core.tools import BaseTool
from PIL import Image
from pydantic import JsonValue

from agent import asking
from agent.answer import Step
from agent.asker import Asker
from agent.asking import Capabilities, ModelUnavailableError, Problem, Question, Reply, Tell
from agent.budget import Left
from agent.calls import announce
from agent.client_reply import message_of
from agent.conversation import Wired, WireLimits
from agent.drivers import Decision
from agent.replay_playback import Playback
from agent.replay_record import Data
from agent.state import State
from tools.evidence import Box, Evidence, Rejection, ToolError, ToolOutcome
from tools.photo_store import Photo, PhotoStore

FAILURES = {
    one.__name__: one
    for one in (
        ModelUnavailableError, asking.ContextOverflowError, asking.ImagesRefusedError,
        asking.ToolsRefusedError,
    )
}  # fmt: skip


@dataclass
class RecordedClient:
    """Replies with what a model replied."""

    name: str
    playback: Playback

    @property
    def capabilities(self) -> Capabilities:
        """Nothing is known: what was asked for is in the record."""
        return Capabilities(model=self.name)

    def ask(self, question: Question, tell: Tell) -> Reply:
        """Return the reply that was recorded for this purpose and seed.

        Raises:
            ModelUnavailableError: as it was raised then.
            ReplayDivergedError: nothing of the kind was asked.
        """
        request = self.playback.request(question.purpose, question.seed, done=True)
        for event in request.events:
            if event.kind != "context":
                tell(event.kind, event.data)
        self._compare(question, request.of("model_call"), request.number)
        if failed := request.of("model_error"):
            kind = FAILURES.get(str(failed["type"]), ModelUnavailableError)
            raise kind(str(failed["message"]), retryable=failed["retryable"] is True)
        return reply_of(request.of("model_reply"))

    def _compare(self, question: Question, asked: Data, number: int) -> None:
        """Note where the request is another one than then."""
        if not asked:
            return
        now: Data = {
            "tools": [tool.name for tool in question.tools],
            "schema": question.schema is not None,
            "prompts": dict(question.prompts),
        }
        for key, value in now.items():
            if asked[key] != value and key != "prompts":
                then = json.dumps(asked[key])
                self.playback.differ(
                    f"event {number} (model_call): {key} {then:.160}, now {json.dumps(value):.160}"
                )


def reply_of(data: Data) -> Reply:
    """Return the reply that a `model_reply` event tells of."""
    first = data["first_token_s"]
    calls = cast(list[JsonValue], data["tool_calls"])
    return Reply(
        message=message_of(str(data["text"]), calls, str(data.get("exact") or "")),
        text=str(data["text"]),
        thinking=str(data["thinking"]),
        finish=str(data["finish"]),
        model=str(data["model"]),
        tokens_in=int(str(data["tokens_in"])),
        tokens_out=int(str(data["tokens_out"])),
        seconds=float(str(data["seconds"])),
        first_token_s=None if first is None else float(str(first)),
        attempts=int(str(data["attempts"])),
    )


@dataclass
class RecordedAsker(Asker):
    """Asks a recorded client. What went over the wire is not made again: it needs pixels."""

    playback: Playback | None = None

    @property
    def sees(self) -> bool:
        """Whether images were sent is in the record."""
        return True

    @property
    def calls_tools(self) -> bool:
        """Whether tools were called natively is in the record."""
        return True

    def _request(
        self,
        question: Question,
        messages: Sequence[AnyMessage],
        tools: Sequence[BaseTool],
        limits: WireLimits,
        tell: Tell,
    ) -> tuple[Question, Wired]:
        assert self.playback is not None
        request = self.playback.request(question.purpose, question.seed, done=False)
        for event in request.events:
            if event.kind == "context":
                tell(event.kind, event.data)
        asked = request.of("model_call", "model_error")
        images = tuple(str(one) for one in cast(list[JsonValue], asked["images"]))
        native = tuple(tools) if asked["tools"] else ()
        schema = question.schema if native or not tools else {}
        made = replace(question, tools=native, must_call=bool(native), schema=schema, images=images)
        return made, Wired(messages=[], images=images)

    def _send(self, question: Question, tell: Tell) -> Reply:
        return self.client.ask(question, tell)  # a failure is told from the record


@dataclass
class RecordedDriver:
    """Decides what a foreign driver decided."""

    name: str
    converses: bool
    playback: Playback

    def decide(self, state: State, left: Left) -> Decision:
        """Return the recorded decision.

        Raises:
            ReplayDivergedError: none was recorded here.
        """
        event = self.playback.decision()
        announce("decision", event.data)
        data = event.data
        calls = [
            ToolCall(name=call["name"], args=call["args"], id=call["id"], type="tool_call")
            for call in cast(list[dict[str, Any]], data["calls"])
        ]
        return Decision(
            AIMessage(str(data["text"]), tool_calls=calls),
            tuple(Problem.model_validate_json(one) for one in _rows(data, "problems")),
            tuple(Evidence.model_validate_json(one) for one in _rows(data, "evidence")),
            tuple(Rejection.model_validate_json(one) for one in _rows(data, "rejected")),
            int(str(data["tokens"])),
        )


def _rows(data: Data, key: str) -> list[str]:
    return [json.dumps(one) for one in cast(list[JsonValue], data[key])]


@dataclass(frozen=True)
class RecordedTools:
    """Answers tool calls with what was recorded; takes the place of `agent.calls.run_calls`."""

    playback: Playback

    def __call__(
        self,
        calls: Sequence[ToolCall],
        tools: Sequence[BaseTool],
        state: State,
        model_weight: float | None = None,
        turn: int = 0,
    ) -> list[tuple[Step, ToolOutcome]]:
        """Return the recorded results, in the order of the calls."""
        for call in calls:
            announce("tool_call", {"id": call["id"], "tool": call["name"], "args": call["args"]})
        first = len(state["steps"]) + 1
        return [self._answer(call, first + n, state, turn) for n, call in enumerate(calls)]

    def _answer(
        self, call: ToolCall, number: int, state: State, turn: int
    ) -> tuple[Step, ToolOutcome]:
        answered = self.playback.answered(call["id"] or "", call["name"])
        for event in answered.inside:
            announce(event.kind, event.data)
        assert answered.result is not None
        data = {k: v for k, v in answered.result.data.items() if k != "trajectory"}
        rejected = [Rejection.model_validate_json(one) for one in _rows(data, "rejected")]
        del data["rejected"]
        then = Step.model_validate_json(json.dumps(data))
        told = {
            "number": number, "tool": call["name"], "turn": turn,
            "revision": state["revision"] + 1, "arguments": call["args"],
        }  # fmt: skip
        step = then.model_copy(update=told)
        shown: list[JsonValue] = [one.model_dump(mode="json") for one in rejected]
        announce("tool_result", {**step.model_dump(mode="json"), "rejected": shown})
        found = self.playback.evidence(step.call_id, len(step.evidence_ids))
        outcome = ToolOutcome(
            evidence=tuple(evidence_of(one) for one in found),
            rejected=tuple(rejected),
            pictures=step.pictures,
            data=step.data,
        )
        return step, outcome


def evidence_of(data: Data) -> Evidence:
    """Return the evidence that an event tells of."""
    kept = {key: value for key, value in data.items() if key not in ("id", "trajectory")}
    return Evidence.model_validate_json(json.dumps(kept))


class RecordedPhotos(PhotoStore):
    """Knows the photos of a trace by id and size; has no pixels.

    What is stored is taken to be the picture that was stored at this place of the run.
    """

    def __init__(self, photos: Sequence[Photo], playback: Playback) -> None:
        self.root = Path("pixels-are-not-replayed")
        self._photos = {photo.id: photo for photo in photos}
        self._playback = playback
        self._made: set[str] = set()

    def get(self, photo_id: str) -> Photo:
        """Return the record of a photo; of one that the trace only names, without its size."""
        prefix = photo_id.strip().lower()
        found = [photo for one, photo in self._photos.items() if one.startswith(prefix)]
        if found:
            return found[0]
        if len(prefix) == 64:
            return Photo(id=prefix, width=1, height=1, mime="image/jpeg")
        raise ToolError(f"photo {photo_id!r:.80} is not in the trace")

    def image(self, photo_id: str) -> Image.Image:
        """Return a blank picture of the photo's size, for what is cut out of it."""
        photo = self.get(photo_id)
        return Image.new("L", (photo.width, photo.height))

    def add_image(
        self, image: Image.Image, name: str, parent: str = "", box: Box | None = None
    ) -> Photo:
        """Return the record of the next picture that the node made then."""
        return Photo(
            id=self._next(), width=image.width, height=image.height, mime="image/jpeg",
            name=name, parent=parent, box=box,
        )  # fmt: skip

    def _next(self) -> str:
        node = self._playback.now("a picture")
        for event in node.results:
            for one in cast(list[dict[str, Any]], event.data.get("pictures") or []):
                key = f"{event.number} {one['photo_id']}"
                if one["photo_id"] not in self._photos and key not in self._made:
                    self._made.add(key)
                    return str(one["photo_id"])
        return "0" * 64


def recorded_gallery(told: Data) -> Any:
    """Return what the machine asks of a gallery that it does not search."""
    identity = SimpleNamespace(fingerprint=told["fingerprint"])
    manifest = SimpleNamespace(kind=told["kind"], encoder=identity, photos=told["points"])
    return SimpleNamespace(name=told["name"], manifest=manifest)
