"""What each kind of event holds: one strict record a kind, and the way from an event to it.

`docs/traces.md` tells the same to people. What is written into a trace is checked against these
by the tests, not while running: a trace must never be the reason why a run ends.
"""

import json
from typing import Literal, get_args

from pydantic import ConfigDict, Field, JsonValue

from agent.abstain import AnswerLoss
from agent.answer import Answer, Step
from agent.asking import ProblemAction
from agent.belief import BeliefSummary
from agent.budget import Budget, Spent
from agent.conflicts import Conflict
from agent.model_use import TrajectoryEnd
from agent.recipes import Recipe
from agent.trace import Event, EventKind
from tools.evidence import Evidence, Record, Rejection, ToolOutcome

__all__ = ["PAYLOADS", "Payload", "ToolOutcome", "payload_of"]
Numbered = int
"""Which of several parallel investigations an event is of, from 1; 0 where there is only one."""


class Payload(Record):
    """Base of all: what an event holds beside what its kind does."""

    trajectory: Numbered = Field(default=0, ge=0)


class OfRequest(Payload):
    """An event of one request to a model.

    Attributes:
        call: names the request; all its events share it.
        inside: id of the tool call in which it was made; empty outside of tools.
    """

    call: str = ""
    inside: str = ""


class DriverTold(Record):
    """Who decides: `pipeline`, `model`, or a driver of the caller's `own`."""

    name: str
    kind: Literal["pipeline", "model", "own"]
    converses: bool


class GalleryTold(Record):
    """A gallery that is searched; `fingerprint` is its encoder's."""

    name: str
    kind: str
    fingerprint: str
    points: int = Field(ge=0)


class CalibrationTold(Record):
    """A calibration: its version, and what it does, without the photos it was learned from."""

    version: str
    content: dict[str, JsonValue]


class SetupPayload(Payload):
    """What shapes the run that begins.

    Attributes:
        at: UTC, ISO 8601.
        model: settings of the model without address and key; None without one.
        encoder: whether places are searched by an encoder.
        missing: what this machine lacks, with its remedy.
        tools: name -> hash of what a model is told of it.
        prompts: name -> SHA-256.
        versions: of Python and of packages.
        session, run: UUIDs, in sessions.
        checkpoint, step: where the run goes on, if that is not the latest checkpoint.
    """

    model_config = ConfigDict(extra="allow")  # sessions add to it

    at: str
    recipe: Recipe
    budget: Budget
    trajectories: int = Field(ge=1)
    analyst: bool
    driver: DriverTold
    model: dict[str, JsonValue] | None
    abstain: AnswerLoss
    calibration: CalibrationTold | None
    galleries: tuple[GalleryTold, ...]
    encoder: bool
    missing: tuple[str, ...]
    tools: dict[str, str]
    prompts: dict[str, str]
    versions: dict[str, str]
    session: str = ""
    run: str = ""
    checkpoint: str = ""
    step: int | None = None


class MessagePayload(Payload):
    """What the person says: words, ids of photos, a drawn region, evidence that shall not count."""

    model_config = ConfigDict(extra="allow")

    text: str = ""
    photos: tuple[str, ...] = ()
    region: dict[str, JsonValue] | None = None
    withdraw: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    trust_metadata: bool = False


class PhotoPayload(Payload):
    """The photo, as the run begins with it: no pixels, no claims of its file."""

    photo_id: str
    name: str
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    hint: str
    trust_metadata: bool
    recipe: str
    driver: str
    encoder: dict[str, str]
    prompts_sha256: dict[str, str]
    tools_sha256: dict[str, str]
    budget: Budget


class ModelCallPayload(OfRequest):
    """A request to a model; `images` are ids of photos, `prompts` their hashes."""

    purpose: str
    model: str
    messages: int = Field(ge=0)
    images: tuple[str, ...]
    tools: tuple[str, ...]
    schema_: bool = Field(alias="schema")
    temperature: float | None
    seed: int | None
    prompts: dict[str, str]
    timeout_s: float = Field(ge=0)


class RawCall(Record):
    """A tool call as a model made it; `args` is text where it is no JSON object."""

    id: str | None
    name: str | None
    args: JsonValue


class ModelReplyPayload(OfRequest):
    """A reply, whole, as it came.

    Attributes:
        exact: the message as JSON where the other fields lose some of it, for a replay.
    """

    purpose: str
    model: str
    text: str
    thinking: str
    tool_calls: tuple[RawCall, ...]
    finish: str
    tokens_in: int = Field(ge=0)
    tokens_out: int = Field(ge=0)
    seconds: float = Field(ge=0)
    first_token_s: float | None
    attempts: int = Field(ge=1)
    exact: str = ""


class ModelErrorPayload(OfRequest):
    """No reply: `type` is a class of `agent.asking`."""

    purpose: str
    model: str
    seed: int | None
    tools: tuple[str, ...]
    images: tuple[str, ...]
    type: str
    message: str
    retryable: bool


class MalformedPayload(OfRequest):
    """Something wrong with a reply, and what was done about it; see `agent.asking.Problem`."""

    purpose: str
    kind: str
    detail: str
    action: ProblemAction


class RetryPayload(OfRequest):
    """A request failed in passing and is made again."""

    purpose: str
    attempt: int = Field(ge=1)
    error: str
    wait_s: float = Field(ge=0)


class ContextPayload(OfRequest):
    """What was left out of a request, and why."""

    purpose: str
    dropped: tuple[str, ...]
    why: str


class NoticePayload(OfRequest):
    """Something that went otherwise than planned, in words."""

    text: str


class ConflictPayload(Conflict, Payload):
    """Two pieces of evidence that disagree, as the driver was told."""


class DecisionPayload(Payload):
    """What a driver of the caller's own decided."""

    driver: str
    text: str
    calls: tuple[RawCall, ...]
    problems: tuple[dict[str, JsonValue], ...]
    evidence: tuple[Evidence, ...]
    rejected: tuple[Rejection, ...]
    tokens: int = Field(ge=0)


class ToolCallPayload(Payload):
    """A tool is called."""

    id: str
    tool: str
    args: dict[str, JsonValue]


class ToolResultPayload(Step):
    """What came back, or what a step that is no tool call came to; evidence follows."""

    rejected: tuple[Rejection, ...] = ()


class EvidencePayload(Evidence, Payload):
    """A piece of evidence, with its id."""

    id_: str = Field(alias="id")


class BeliefPayload(BeliefSummary, Payload):
    """The belief that follows from all evidence so far."""

    calibration: str = ""


class RejectionPayload(Rejection, Payload):
    """Something that was proposed and dropped."""


class BudgetPayload(Payload):
    """The budget that ran out."""

    exhausted: str


class QuestionPayload(Payload):
    """The analyst is asked; the session waits."""

    action: str
    args: dict[str, JsonValue]


class ReplyPayload(Payload):
    """What the analyst said: text, or an Agent Inbox `HumanResponse`."""

    reply: JsonValue


class TrajectoryPayload(TrajectoryEnd):
    """One of several parallel investigations begins, or ends: `why` says how."""


class NodePayload(Payload):
    """A node of the graph ended; the next checkpoint holds what it did.

    Attributes:
        step: LangGraph's, growing over all runs of a session.
        checkpoint: that it began from; empty in parallel investigations, which keep none.
        seconds: that it took.
        spent: of the budget until now.
    """

    node: str
    step: int
    checkpoint: str = ""
    seconds: float = Field(ge=0)
    spent: Spent | None


class ResumedPayload(Payload):
    """The run goes on from a checkpoint; `step` is LangGraph's, of the latest one."""

    model_config = ConfigDict(extra="allow")

    step: int
    checkpoint: str


class StoppedPayload(Payload):
    """The run was stopped after a step."""

    why: str


class ForkPayload(Payload):
    """The events before are those of another session."""

    model_config = ConfigDict(extra="allow")

    session: str
    checkpoint: str
    events: int = Field(ge=0)
    options: dict[str, JsonValue]


class ErrorPayload(Payload):
    """The run failed."""

    type: str
    message: str


class AnswerPayload(Answer):
    """The answer, whole."""


PAYLOADS: dict[EventKind, type[Record]] = {
    "setup": SetupPayload,
    "message": MessagePayload,
    "photo": PhotoPayload,
    "model_call": ModelCallPayload,
    "model_reply": ModelReplyPayload,
    "model_error": ModelErrorPayload,
    "malformed": MalformedPayload,
    "retry": RetryPayload,
    "context": ContextPayload,
    "notice": NoticePayload,
    "conflict": ConflictPayload,
    "decision": DecisionPayload,
    "tool_call": ToolCallPayload,
    "tool_result": ToolResultPayload,
    "evidence": EvidencePayload,
    "belief": BeliefPayload,
    "rejection": RejectionPayload,
    "budget": BudgetPayload,
    "question": QuestionPayload,
    "reply": ReplyPayload,
    "trajectory": TrajectoryPayload,
    "node": NodePayload,
    "resumed": ResumedPayload,
    "stopped": StoppedPayload,
    "fork": ForkPayload,
    "error": ErrorPayload,
    "answer": AnswerPayload,
}
"""Kind of event -> what it holds."""
assert PAYLOADS.keys() == set(get_args(EventKind))


def payload_of(event: Event) -> Record:
    """Return what an event holds, typed by its kind: match on the record's class.

    Raises:
        pydantic.ValidationError: it holds something else, as events of other versions may.
    """
    return PAYLOADS[event.kind].model_validate_json(json.dumps(event.data))
