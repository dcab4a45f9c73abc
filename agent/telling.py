"""What of a run may be told under the operator's limit: `Settings.disclosure`.

Everything is built anew from what is safe, as answers are in `agent.disclosure`: what a kind of
event or a part of the state is not known to be safe for is left out. What is stored stays exact.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.types import Interrupt, StateSnapshot
from pydantic import JsonValue

from agent.answer import Answer
from agent.case import DisclosureLevel
from agent.disclosure import disclosed, plain_name
from agent.session_run import Part
from agent.state import is_ours
from agent.trace import Event
from agent.words import answer_text
from geo.errors import GeolocationError, InputError, UnavailableError
from tools.evidence import ToolError

if TYPE_CHECKING:
    from geo.gazetteer import Gazetteer

Data = Mapping[str, Any]
AT_MOST: dict[DisclosureLevel, str] = {
    "exact": "everything", "city": "cities at most", "region": "regions at most",
    "country": "countries at most", "none": "no places",
}  # fmt: skip
WITHHELD_MODES = frozenset({"debug", "tasks", "checkpoints"})
"""Stream modes that cannot be told coarser."""
NOTHING = Part("withheld", None)
"""Stands for a part of which nothing is told, so that parts keep their numbers."""
MOST_KEPT = 512
_KEPT: dict[str, tuple[str, ...]] = {
    "setup": ("at", "session", "run"),
    "photo": ("photo_id", "width", "height", "hint", "trust_metadata"),
    "message": ("text", "photos", "region"),
    "reply": ("reply",),
    "node": ("node", "step", "seconds", "spent"),
    "budget": ("exhausted",),
    "stopped": ("why",),
    "resumed": ("step", "checkpoint"),
    "fork": ("session", "checkpoint", "events"),
    "model_reply": ("purpose", "tokens_in", "tokens_out", "seconds", "attempts"),
}
"""What is told of events: ours, or the person's own words."""
_STATE = (
    "photo_id", "hint", "trust_metadata", "views", "region", "anew", "photos", "heard", "fresh",
    "revision", "spent", "trouble", "committed", "undetermined", "stopped_because",
)  # fmt: skip
_METADATA = ("source", "step", "parents", "run_id", "thread_id")


def withheld_words(level: DisclosureLevel) -> str:
    """Return why something is left out."""
    return f"withheld: this server discloses {AT_MOST[level]}"


class Teller:
    """Tells answers, events and states no finer than a level.

    Args:
        level: how finely.
        gazetteer: opens what names cities and regions, on first use.
        answers: the exact answers of a session by now, first to latest.
    """

    def __init__(
        self,
        level: DisclosureLevel,
        gazetteer: "Callable[[], Gazetteer]",
        answers: Callable[[str], Iterable[Answer]] = lambda session_id: (),
    ) -> None:
        self.level, self.words = level, withheld_words(level)
        self._open, self._answers = gazetteer, answers
        self._salt = secrets.token_bytes(16)
        self._numbers: dict[str, dict[str, int]] = {}
        self._told: dict[str, Answer] = {}

    def answer(self, session_id: str, answer: Answer) -> Answer:
        """Return an answer as it may be told; the same bytes every time."""
        key = hashlib.sha256(f"{session_id} {answer.model_dump_json()}".encode()).hexdigest()
        if key not in self._told:
            numbers = self._numbered(session_id, answer)
            while len(self._told) >= MOST_KEPT:
                self._told.pop(next(iter(self._told)), None)
            self._told[key] = disclosed(answer, self.level, self._gazetteer(), numbers)
        return self._told[key]

    def _numbered(self, session_id: str, answer: Answer) -> dict[str, int]:
        """Return the numbers of a session's evidence, the same in all its answers."""
        held = self._numbers.get(session_id, {})
        if any(item.id not in held for item in answer.evidence):
            known = [*self._answers(session_id), answer]
            ids = dict.fromkeys(item.id for one in known for item in one.evidence)
            held = {evidence_id: number for number, evidence_id in enumerate(ids, start=1)}
            while len(self._numbers) >= MOST_KEPT:
                self._numbers.pop(next(iter(self._numbers)), None)
            self._numbers[session_id] = held
        return held

    def _gazetteer(self) -> "Gazetteer | None":
        """Return what names places; without it they are told as their country."""
        if self.level not in ("city", "region"):
            return None
        try:
            return self._open()
        except GeolocationError:
            return None

    def names(self, session_id: str) -> dict[str, str]:
        """Return the ids of a session's evidence by those that it was told under."""
        return {
            told.id: item.id
            for one in self._answers(session_id)
            for item, told in zip(
                one.evidence, self.answer(session_id, one).evidence, strict=True
            )
        }  # fmt: skip

    def event(self, session_id: str, event: Event) -> Event | None:
        """Return what may be told of an event under its number; None for nothing."""
        found = self._event(session_id, event)
        if found is None:
            return None
        kind, data = found
        return event.model_copy(
            update={
                "seconds": round(event.seconds, 1), "kind": kind, "data": data,
                "previous": self._hash(event.previous), "hash": self._hash(event.hash),
            }
        )  # fmt: skip

    def _hash(self, digest: str) -> str:
        """Return a name for a hash: by the hash itself, what it is of could be guessed."""
        return hashlib.sha256(self._salt + digest.encode()).hexdigest()

    def _event(self, session_id: str, event: Event) -> tuple[str, dict[str, Any]] | None:
        kind, data = event.kind, event.data
        if kind == "answer":
            answer = Answer.model_validate_json(json.dumps(data))
            return kind, self.answer(session_id, answer).model_dump(mode="json")
        if kind == "tool_result":
            return "notice", {"text": self._step(data), "trajectory": data.get("trajectory", 0)}
        if kind == "question":
            return kind, {"action": "ask_analyst", "args": self._asked()}
        if kind == "error":
            return kind, {"type": data.get("type"), "message": f"the run failed; {self.words}"}
        if kind not in _KEPT:
            return None
        kept = {key: data[key] for key in _KEPT[kind] if key in data}
        if kind == "model_reply":
            kept |= {"model": plain_name(str(data.get("model"))), "text": "", "tool_calls": []}
        return kind, {**kept, "withheld": self.words}

    def _step(self, data: Data) -> str:
        ran = data.get("outcome") != "refused"  # a tool that does not exist was named freely
        tool = plain_name(str(data.get("tool"))) if ran else "a tool"
        return f"step {data.get('number')}: {tool}, {data.get('outcome')}; {self.words}"

    def _asked(self) -> dict[str, JsonValue]:
        return {"question": f"A question is {self.words}. Say what you know.", "options": []}

    def question(self, question: Any) -> dict[str, Any]:
        """Return Agent Inbox's `HumanInterrupt` without what it asks."""
        config = question.get("config") if isinstance(question, Mapping) else None
        flags = config if isinstance(config, Mapping) else {}
        return {
            "action_request": {"action": "ask_analyst", "args": self._asked()},
            "config": {key: value for key, value in flags.items() if isinstance(value, bool)},
            "description": self.words,
        }

    def error(self, error: Exception) -> Exception:
        """Return an error that says no more than what kind of failure it was."""
        text = f"the run failed ({type(error).__name__}); {self.words}"
        told: Exception = RuntimeError(text)
        if isinstance(error, UnavailableError):
            told = UnavailableError(text, retryable=error.retryable)
        elif isinstance(error, ToolError):
            told = ToolError(text)
        elif isinstance(error, InputError):
            told = InputError(text)
        elif isinstance(error, GeolocationError):
            told = GeolocationError(text)
        told.__cause__ = error  # for the log
        return told

    def state(self, session_id: str, values: Data) -> dict[str, Any]:
        """Return a graph's state: the answer, what the person said, counts, and nothing found."""
        if not values:
            return {}
        kept = {key: values[key] for key in _STATE if key in values}
        answer = values.get("answer")
        told = self.answer(session_id, answer) if answer else None
        if "messages" in values:
            kept["messages"] = self._messages(session_id, values["messages"], answer)
        return {
            **kept, "answer": told, "evidence": list(told.evidence) if told else [],
            "steps": list(told.steps) if told else [], "rejected": [], "withheld": self.words,
        }  # fmt: skip

    def _messages(
        self, session_id: str, messages: Sequence[AnyMessage], answer: Answer | None
    ) -> list[AnyMessage]:
        """Return what the person wrote, and what answers say."""
        exact = [*self._answers(session_id), *([answer] if answer else [])]
        texts = {answer_text(one): one for one in exact}
        kept: list[AnyMessage] = []
        for message in messages:
            if isinstance(message, HumanMessage) and not is_ours(message):
                kept.append(message)
            elif isinstance(message, AIMessage) and message.text in texts:
                told = answer_text(self.answer(session_id, texts[message.text]))
                kept.append(AIMessage(told, id=message.id))
        return kept

    def snapshot(self, session_id: str, found: StateSnapshot) -> StateSnapshot:
        """Return a checkpoint: its name and its parent's, its state, and what would run next."""
        metadata = found.metadata or {}
        return found._replace(
            values=self.state(session_id, found.values),
            metadata=cast(Any, {key: one for key, one in metadata.items() if key in _METADATA}),
            tasks=tuple(self._task(task) for task in found.tasks),
            interrupts=self._interrupts(found.interrupts),
        )

    def _task(self, task: Any) -> Any:
        error = self.error(task.error) if isinstance(task.error, Exception) else None
        if task.error and error is None:
            error = RuntimeError(self.words)
        return task._replace(
            error=error, interrupts=self._interrupts(task.interrupts), state=None, result=None
        )

    def _interrupts(self, given: Iterable[Interrupt]) -> tuple[Interrupt, ...]:
        return tuple(Interrupt(self.question(one.value), id=one.id) for one in given)

    def part(self, session_id: str, part: Part) -> Part:
        """Return what may be told of one part of a run, at the same place."""
        if part.mode == "event":
            event = self.event(session_id, part.data)
            return Part("event", event) if event else NOTHING
        if part.mode == "custom":
            return self._custom(session_id, part.data)
        if part.mode not in ("values", "updates") or part.data["ns"]:
            return NOTHING
        held = part.data
        data = self._streamed(session_id, part)
        told: dict[str, Any] = {"type": part.mode, "ns": (), "data": data}
        if part.mode == "values":
            told["interrupts"] = self._interrupts(held.get("interrupts") or ())
            told["said"] = self._said(held["data"], data)
        return Part(part.mode, told)

    def _streamed(self, session_id: str, part: Part) -> dict[str, Any]:
        data = part.data["data"]
        if part.mode == "values":
            return self.state(session_id, data)
        return {
            node: self._interrupts(made) if node == "__interrupt__" else {"withheld": self.words}
            for node, made in data.items()
        }

    def _said(self, exact: Data, told: Data) -> list[AnyMessage]:
        """Return the message that has just answered; those that stream are withheld."""
        answer, messages = exact.get("answer"), exact.get("messages") or ()
        if not answer or not messages or messages[-1].text != answer_text(answer):
            return []
        return list(told["messages"][-1:])

    def _custom(self, session_id: str, data: Data) -> Part:
        # Of the trace's kinds alone: what else a listener tells is not known to be safe.
        event = Event(number=1, seconds=0, kind=data["kind"], data=data["data"], previous="",
                      hash="")  # fmt: skip
        told = self.event(session_id, event)
        return Part("custom", {"kind": told.kind, "data": told.data}) if told else NOTHING
