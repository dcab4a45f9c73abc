"""A stub's replies by purpose, and runs against it: whatever one of them is replaced by."""

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agent.answer import Answer
from agent.budget import Budget
from agent.factors import Settlements
from agent.geolocator import Geolocator, answer_of
from agent.settings import Settings
from agent.trace import Event, verify_trace
from tests.fakes import FakeGazetteer
from tests.openai_stub import Behaviour, Call, OpenAIStub, calls, says
from tools.read_text import TextReader
from tools.tesseract import RawLine, ScriptReader

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder
    from index_builder.gallery import Gallery

PRIOR = json.dumps({
    "clues": [{"what": "onion dome",
               "box": {"left": 0.1, "top": 0.1, "right": 0.5, "bottom": 0.5}}],
    "latitude": 48.15, "longitude": 11.55, "radius_km": 30, "place": "Munich",
    "country": "Germany", "confidence": 0.7, "reason": "an onion dome",
})  # fmt: skip
SHORT = json.dumps(
    {"latitude": 48.14, "longitude": 11.57, "radius_km": 10, "place": "Munich", "country": "DE"}
)
VERDICT = json.dumps({"verdict": "cannot-tell", "reason": "nothing in common"})
CHOICE = json.dumps({"choice": 1, "reason": "its evidence"})
MARKS = {
    "prior": "You have no tools now",
    "same-place": "show the same place on the ground",
    "verifier": "Several independent investigations",
    "diversify": "and no other word",
}
"""What the last message of each purpose says; a turn of the loop says none of it."""
EVIDENCE = re.compile(r"\be[0-9a-f]{10}\b")

Reply = Behaviour | Callable[[dict[str, Any]], Behaviour]


def texts_of(message: dict[str, Any]) -> str:
    """Return the text of one message of a request."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def said_in(body: dict[str, Any]) -> str:
    """Return all text of a request."""
    return "\n".join(texts_of(message) for message in body["messages"])


def images_in(body: dict[str, Any]) -> int:
    """Return how many images a request holds."""
    contents = [m["content"] for m in body["messages"] if isinstance(m.get("content"), list)]
    return sum(part["type"] == "image_url" for content in contents for part in content)


def purpose_of(body: dict[str, Any]) -> str:
    """Return what a request is for, by the prompt it ends with."""
    if not body.get("tools"):
        last = texts_of(body["messages"][-1])
        for purpose, mark in MARKS.items():
            if mark in last:
                return purpose
    return "decide"


def called(body: dict[str, Any], name: str, arguments: dict[str, Any]) -> Behaviour:
    """Call a tool in the form that a request asks for."""
    if body.get("tools"):
        return calls(Call(name, arguments, id=f"{name}-1"))
    return says(json.dumps({"thought": "so", "calls": [{"tool": name, "arguments": arguments}]}))


def look(body: dict[str, Any]) -> Behaviour:
    """Look a place up: the first turn of a model that means well."""
    return called(body, "find_place", {"name": "Testdorf"})


def held_in(body: dict[str, Any]) -> list[str]:
    """Return the ids of evidence that a conversation names."""
    return sorted(set(EVIDENCE.findall(said_in(body))))[:5]


def commit(body: dict[str, Any]) -> Behaviour:
    """Commit to the evidence that the conversation names."""
    ids = held_in(body)
    arguments = {"evidence_ids": ids, "reason": "It fits.", "undetermined": not ids}
    return called(body, "commit_location", arguments)


@dataclass
class Play:
    """A script for the stub: what each purpose is answered; the last turn repeats.

    Attributes:
        asked: purposes in the order they came, repeated requests included.
    """

    prior: Reply = field(default_factory=lambda: says(PRIOR))
    turns: Sequence[Reply] = (look, commit)
    short: Reply = field(default_factory=lambda: says(SHORT))
    asked: list[str] = field(default_factory=list)

    def __call__(self, body: dict[str, Any], number: int) -> Behaviour:
        purpose = purpose_of(body)
        turn = self.asked.count("decide")
        self.asked.append(purpose)
        reply: Reply = {
            "prior": self.prior,
            "diversify": self.short,
            "same-place": says(VERDICT),
            "verifier": says(CHOICE),
        }.get(purpose) or self.turns[min(turn, len(self.turns) - 1)]
        return reply(body) if callable(reply) else reply


LOOKS = (
    calls(Call("find_place", {"name": "Testdorf"})),
    calls(Call("find_place", {"name": "Elsewhere"})),
    calls(Call("find_place", {"name": "Nowhere"})),
)
"""Turns that each ask something new."""


def zoom(left: float) -> Behaviour:
    """Cut a part out, so that one more picture is to be shown."""
    box = {"left": left, "top": 0.1, "right": 0.9, "bottom": 0.9}
    return calls(Call("zoom", {"photo_id": "photo", **box}))


@dataclass
class Outcome:
    """One run: its answer, its trace, how long it took, and what the stub was asked."""

    answer: Answer
    events: list[Event]
    seconds: float
    stub: OpenAIStub

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return what the events of a kind hold."""
        return [event.data for event in self.events if event.kind == kind]

    def purposes(self, kind: str) -> list[str]:
        return [str(data.get("purpose")) for data in self.of(kind)]

    @property
    def notices(self) -> str:
        return "\n".join(str(data["text"]) for data in self.of("notice"))


@dataclass
class Signs:
    """Reads the same lines on every photo, without a model to load."""

    lines: tuple[str, ...]

    def __call__(self, pixels: NDArray[np.uint8]) -> list[RawLine]:
        corners = np.array([[4, 4], [60, 4], [60, 20], [4, 20]], dtype=np.float32)
        return [(line, 0.95, corners + 22 * n) for n, line in enumerate(self.lines)]

    def detect(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return []


@dataclass
class Place:
    """Where runs happen: a folder of its own and a small world.

    Attributes:
        photo: bytes, or a path.
    """

    folder: Path
    settlements: Settlements
    photo: Path | bytes
    budget: Budget = field(default_factory=lambda: Budget(steps=6, tool_calls=24, seconds=25))
    timeout_s: float = 2.0
    retries: int = 1
    galleries: "Sequence[Gallery]" = ()
    encoder: "AlignedEncoder | None" = None
    recipe: str = "agentic"
    signs: tuple[str, ...] = ()

    def run(self, stub: OpenAIStub, **options: Any) -> Outcome:
        """Locate the photo with the stub as the model; the stub is open already."""
        hint = options.pop("hint", "")
        model = {"timeout_s": self.timeout_s, "retries": self.retries, "connect_timeout_s": 2}
        settings = Settings(
            home=self.folder / "home", model=stub.settings(**model, **options.pop("model", {}))
        )
        given: dict[str, Any] = {
            "recipe": self.recipe, "budget": self.budget, "encoder": self.encoder, **options,
        }  # fmt: skip
        trace = self.folder / f"{time.monotonic_ns()}.jsonl"
        with Geolocator(self.galleries, settings=settings, **given) as geolocator:
            geolocator.bench.open_gazetteer = lambda: FakeGazetteer(self.settlements)
            geolocator.bench.reader = TextReader(Signs(self.signs), ScriptReader("no-such-command"))
            began = time.monotonic()
            events = list(geolocator.stream(self.photo, hint=hint, trace=trace))
            seconds = time.monotonic() - began
        assert verify_trace(trace) == len(events)
        assert events[-1].kind == "answer"
        return Outcome(answer_of(events[-1]), events, seconds, stub)

    def play(self, play: Play, **options: Any) -> Outcome:
        """Open a stub with a script, and run against it."""
        with OpenAIStub(play) as stub:
            return self.run(stub, **options)
