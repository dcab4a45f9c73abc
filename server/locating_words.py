"""What is said to and by `/v1/locate` and the sessions: the shapes, strict."""

from typing import Annotated, Any

from pydantic import Field, JsonValue

from agent.abstain import Rule
from agent.answer import LEAD_NOT_PROOF, Answer
from agent.budget import Budget
from agent.geolocator import MAX_HINT_LENGTH
from agent.session_records import Assessment, Moment, SessionInfo, SessionOptions, VerdictWord
from agent.session_run import RunStatus, SessionRun
from agent.trace import Event
from server.storable import Kept
from tools.evidence import Record

LONGEST_WORDS = MAX_HINT_LENGTH


class LocateWords(Record):
    """A photo to locate, and how.

    Attributes:
        image: base64 of the file, or `data:image/jpeg;base64,...`; empty in a form or with `url`.
        url: address of the photo, where the server was told to fetch such.
        hint: what is known about it already.
        name: of the session; the photo's own by default.
        ask: whether the model may ask back; the outcome then is a question, to be answered by
            `resume`.
    """

    image: str = ""
    url: str = ""
    hint: str = Field(default="", max_length=LONGEST_WORDS)
    name: str = Field(default="", max_length=200)
    recipe: str = Field(default="", max_length=60)
    model: str = Field(default="", max_length=200)
    galleries: tuple[str, ...] = Field(default=(), max_length=50)
    without: tuple[str, ...] = Field(default=(), max_length=50)
    trajectories: int | None = Field(default=None, ge=1, le=4)
    budget: Budget | None = None
    point: Rule | None = None
    ask: bool = False
    trust_metadata: bool = False

    @property
    def options(self) -> SessionOptions:
        """How the session investigates."""
        own = {"image", "url", "hint", "name"}
        return SessionOptions(**{name: getattr(self, name) for name in type(self).model_fields
                                 if name not in own})  # fmt: skip


class MessageWords(Record):
    """What a person says in a session.

    Attributes:
        text: words, which become evidence or a question.
        images: base64 of photos of the same place.
        url: address of such a photo, where the server was told to fetch such.
        region: GeoJSON polygon or feature; with the property `inside` false the photo was not
            taken there.
        withdraw: ids of evidence that shall not count any more.
        restore: ids of evidence that shall count again.
    """

    text: str = Field(default="", max_length=LONGEST_WORDS)
    images: tuple[str, ...] = Field(default=(), max_length=8)
    url: str = ""
    region: Annotated[dict[str, JsonValue], Kept] | None = None
    withdraw: tuple[str, ...] = Field(default=(), max_length=200)
    restore: tuple[str, ...] = Field(default=(), max_length=200)


class ResumeWords(Record):
    """The reply to what a session asked: text, or Agent Inbox's `HumanResponse`."""

    reply: Annotated[JsonValue, Kept] = None


class NewSession(Record):
    """A session without a photo yet."""

    name: str = Field(default="", max_length=200)
    options: SessionOptions = SessionOptions()
    metadata: Annotated[dict[str, JsonValue], Kept] = Field(default_factory=dict)


class ChangedSession(Record):
    """What changes of a session; what is left out stays."""

    name: str | None = Field(default=None, max_length=200)
    options: SessionOptions | None = None
    metadata: Annotated[dict[str, JsonValue], Kept] | None = None


class ForkWords(Record):
    """Where a session is forked, and how the branch investigates."""

    checkpoint_id: str = Field(default="", max_length=100)
    name: str = Field(default="", max_length=200)
    options: SessionOptions | None = None


class NewAssessment(Record):
    """What an analyst makes of an answer; when is noted by the server."""

    verdict: VerdictWord
    revision: int = Field(default=0, ge=0, le=1_000_000)
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    notes: str = Field(default="", max_length=10_000)
    by: str = Field(default="", max_length=200)


class Outcome(Record):
    """What became of a run.

    Attributes:
        status: `idle` has answered, `waiting` asks `question`, `stopped` can be resumed.
        answer: None where there is none yet.
        question: Agent Inbox's `HumanInterrupt`.
        caution: what every answer is.
    """

    session_id: str
    run_id: str
    status: RunStatus
    answer: Answer | None = None
    question: dict[str, Any] | None = None
    caution: str = LEAD_NOT_PROOF

    @classmethod
    def of(cls, run: SessionRun) -> "Outcome":
        """Return that of a run that has ended."""
        return cls(session_id=run.session_id, run_id=run.id, status=run.status,
                   answer=run.answer, question=run.question)  # fmt: skip


class Stopped(Record):
    """Whether a run was going on that stops now."""

    session_id: str
    stopping: bool


class SessionList(Record):
    """Sessions, the latest first."""

    sessions: tuple[SessionInfo, ...]


class History(Record):
    """Moments of a session that it can be forked from, the latest first."""

    moments: tuple[Moment, ...]


class Answers(Record):
    """The answers of a session, first to latest."""

    answers: tuple[Answer, ...]
    caution: str = LEAD_NOT_PROOF


class Events(Record):
    """Events of a trace."""

    events: tuple[Event, ...]


class Assessments(Record):
    """What analysts made of a session's answers, first to latest."""

    assessments: tuple[Assessment, ...]
