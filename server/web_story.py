"""What a session's events add up to, as the page shows it: pure data, no element."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from agent.answer import Answer
from agent.trace import Event

Data = Mapping[str, JsonValue]


@dataclass
class Told:
    """One piece of evidence as events tell it.

    Attributes:
        number: as on the map and on the photo, from 1.
        data: `tools.evidence.Evidence` as JSON, with its `id`.
    """

    number: int
    data: dict[str, Any]


@dataclass
class Story:
    """Everything known of a session by now; a pure function of its events.

    Attributes:
        last: number of the last event.
        evidence: by id, in the order of arrival.
        belief: the latest, empty before the first.
        answers: first to latest.
        steps: by call id.
        pending: calls that have no result yet, by id.
        tokens: that models took, by the turn that ended with them, and in all.
        regions: GeoJSON that the person drew.
        question: what the model waits for; empty where it does not.
        photo: `photo` event of the first photo.
        photos: ids of the place's photos that were said so far, the one to locate first.
        withdrawn: ids of evidence that does not count: the person said so, or took it back.
        taken_back: those of them that the person took back by saying something else.
        ends: number of the event with each answer, first to latest.
        status: of the latest run.
        spent: of the latest run, as its budget counts.
    """

    last: int = 0
    evidence: dict[str, Told] = field(default_factory=dict)
    belief: dict[str, Any] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: int = 0
    regions: list[dict[str, Any]] = field(default_factory=list)
    question: dict[str, Any] = field(default_factory=dict)
    photo: dict[str, Any] = field(default_factory=dict)
    photos: list[str] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    taken_back: set[str] = field(default_factory=set)
    ends: list[int] = field(default_factory=list)
    status: str = "new"
    spent: dict[str, Any] = field(default_factory=dict)
    budget: dict[str, Any] = field(default_factory=dict)
    fresh: bool = False
    """Whether something was found since the latest answer."""

    @property
    def answer(self) -> Answer | None:
        """The latest answer."""
        return self.answers[-1] if self.answers else None

    def add(self, event: Event) -> None:
        """Take one event in; one that is known already changes nothing."""
        if event.number <= self.last:
            return
        self.last = event.number
        take = getattr(self, f"_take_{event.kind}", None)
        if take is not None:
            take(dict(event.data))

    def number(self, evidence_id: str) -> int | None:
        """Return the number of a piece of evidence."""
        told = self.evidence.get(evidence_id)
        return told.number if told else None

    def _take_setup(self, data: dict[str, Any]) -> None:
        self.status, self.question, self.fresh = "busy", {}, True
        self.budget = data.get("budget") or {}
        self.pending.clear()

    def _take_message(self, data: dict[str, Any]) -> None:
        if region := data.get("region"):
            self.regions.append(region)
        self._look(data.get("photos") or ())
        self.withdrawn |= set(data.get("withdraw") or ())
        self.withdrawn -= set(data.get("restore") or ())

    def _take_photo(self, data: dict[str, Any]) -> None:
        self.photo = self.photo or data
        self._look([str(data.get("photo_id"))] if data.get("photo_id") else [])

    def _look(self, photos: Iterable[str]) -> None:
        self.photos += [one for one in photos if one not in self.photos]

    def _take_tool_call(self, data: dict[str, Any]) -> None:
        self.pending[str(data.get("id"))] = data

    def _take_tool_result(self, data: dict[str, Any]) -> None:
        call = str(data.get("call_id"))
        self.pending.pop(call, None)
        self.steps[call] = data
        found = data.get("data")
        back = found.get("taken_back") if isinstance(found, dict) else None
        if isinstance(back, list):
            self.taken_back |= set(map(str, back))
            self.withdrawn |= set(map(str, back))

    def _take_evidence(self, data: dict[str, Any]) -> None:
        key = str(data["id"])
        if key not in self.evidence:
            self.evidence[key] = Told(len(self.evidence) + 1, data)

    def _take_belief(self, data: dict[str, Any]) -> None:
        self.belief = data

    def _take_model_reply(self, data: dict[str, Any]) -> None:
        counted = [data.get("tokens_in"), data.get("tokens_out")]
        self.tokens += sum(int(one) for one in counted if isinstance(one, int))

    def _take_node(self, data: dict[str, Any]) -> None:
        self.spent = data.get("spent") or self.spent

    def _take_question(self, data: dict[str, Any]) -> None:
        args = data.get("args")
        self.question = args if isinstance(args, dict) else {"question": str(data)}
        self.status = "waiting"

    def _take_stopped(self, data: dict[str, Any]) -> None:
        self.status = "stopped"
        self.pending.clear()

    def _take_error(self, data: dict[str, Any]) -> None:
        self.status = "error"
        self.pending.clear()

    def _take_answer(self, data: dict[str, Any]) -> None:
        answer = Answer.model_validate_json(json.dumps(data))
        self.answers.append(answer)
        self.ends.append(self.last)
        self.withdrawn = set(answer.withdrawn)
        self._look(answer.photos or (answer.photo_id,))
        self.status, self.fresh = "idle", False
        self.pending.clear()
