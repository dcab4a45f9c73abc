"""The case: answers of a photo, what was said and judged, as reports and exports read it.

Made of a session, or of a trace file alone: everything that needs no pixels is in the trace.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue, ValidationError

from agent.answer import Answer
from agent.session_records import Assessment
from agent.trace import Event, check_trace, read_trace
from geo.errors import InputError
from tools.evidence import Record

if TYPE_CHECKING:
    from agent.sessions import Sessions

DisclosureLevel = Literal["exact", "city", "region", "country", "none"]
"""How finely a place is told, the finest first; see `agent.disclosure`."""


class Said(Record):
    """One thing the person said: a message, or the reply to a question.

    Attributes:
        text: in their words.
        photos: ids of pictures that came with it.
        region: drawn on a map, GeoJSON.
        withdraw, restore: ids of evidence.
        reply: whether it answered a question of the model's.
    """

    text: str = ""
    photos: tuple[str, ...] = ()
    region: dict[str, JsonValue] | None = None
    withdraw: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    reply: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing was said, as where a photo alone was sent."""
        return not (self.text or self.region or self.withdraw or self.restore)


class Revision(Record):
    """An answer, and what was said before it."""

    said: tuple[Said, ...] = ()
    answer: Answer


class Case(Record):
    """Everything a report or an export tells; no pixels.

    Attributes:
        session: its id; empty of a run without one.
        name: of the session, for people.
        parent, parent_checkpoint: what it was branched off; empty otherwise.
        revisions: answers, first to latest.
        unanswered: what was said after the latest answer.
        assessments: what analysts made of the answers.
        setup: of the latest run, as its trace has it.
        events: how many the trace holds.
        head: hash of its last event, which stands for all before it; empty without a trace.
        disclosure: how finely places are told.
    """

    session: str = ""
    name: str = ""
    parent: str = ""
    parent_checkpoint: str = ""
    revisions: tuple[Revision, ...] = Field(min_length=1)
    unanswered: tuple[Said, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    setup: dict[str, JsonValue] = Field(default_factory=dict)
    events: int = 0
    head: str = ""
    disclosure: DisclosureLevel = "exact"

    @property
    def answer(self) -> Answer:
        """The latest answer."""
        return self.revisions[-1].answer

    @property
    def photos(self) -> tuple[str, ...]:
        """Ids of all photos of the place, the one to locate first."""
        held = (photo for one in self.revisions for photo in one.answer.photos)
        return tuple(dict.fromkeys((self.answer.photo_id, *held)))

    def until(self, revision: int) -> "Case":
        """Return the case as it was when a revision was the latest; 0 leaves it as it is.

        Raises:
            InputError: there is no such revision.
        """
        if not revision or revision == self.answer.revision:
            return self
        kept = tuple(one for one in self.revisions if one.answer.revision <= revision)
        if not kept or kept[-1].answer.revision != revision:
            known = ", ".join(str(one.answer.revision) for one in self.revisions)
            raise InputError(f"there is no revision {revision}; there are {known}")
        judged = tuple(one for one in self.assessments if one.revision <= revision)
        changed = {"revisions": kept, "unanswered": (), "assessments": judged}
        return self.model_copy(update=changed)


def case_of_answer(answer: Answer) -> Case:
    """Return the case of an answer alone."""
    return Case(revisions=(Revision(answer=answer),))


def case_of_trace(path: Path) -> Case:
    """Return the case that a trace file holds; its chain is checked first.

    Raises:
        InputError: the file cannot be read, was edited, or holds no answer.
    """
    check_trace(path)
    return case_of_events(read_trace(path), f"trace {str(path)!r}")


def case_of_session(sessions: "Sessions", session_id: str) -> Case:
    """Return the case of a session as it is now.

    Raises:
        UnknownSessionError: there is none of this id.
        InputError: it has no answer yet, or its trace was edited.
    """
    info = sessions.get(session_id)
    path = sessions.trace_path(session_id)
    if path.exists() and path.stat().st_size:
        check_trace(path)
    case = case_of_events(sessions.events(session_id), f"session {session_id}")
    return case.model_copy(
        update={
            "session": info.id,
            "name": info.name,
            "parent": info.parent,
            "parent_checkpoint": info.parent_checkpoint,
            "assessments": tuple(sessions.assessments(session_id)),
        }
    )


def case_of_events(events: Iterable[Event], shown: str = "the trace") -> Case:
    """Return the case that events tell.

    Args:
        events: from the first.
        shown: what messages call them.

    Raises:
        InputError: no answer is among them, or one is of a version that cannot be read.
    """
    revisions: list[Revision] = []
    said: list[Said] = []
    setup: dict[str, JsonValue] = {}
    parent: dict[str, JsonValue] = {}
    number, head = 0, ""
    for event in events:
        number, head = event.number, event.hash
        if event.kind in ("message", "reply"):
            said.append(_said(event))
        elif event.kind == "setup":
            setup = event.data
        elif event.kind == "fork":
            parent = event.data
        elif event.kind == "answer":
            revisions.append(Revision(said=tuple(said), answer=_answer(event, shown)))
            said = []
    if not revisions:
        raise InputError(f"{shown} holds no answer yet; let the run end first")
    return Case(
        session=str(setup.get("session") or ""),
        parent=str(parent.get("session") or ""),
        parent_checkpoint=str(parent.get("checkpoint") or ""),
        revisions=tuple(revisions),
        unanswered=tuple(said),
        setup=setup,
        events=number,
        head=head,
    )


def _answer(event: Event, shown: str) -> Answer:
    try:
        return Answer.model_validate_json(json.dumps(event.data))
    except ValidationError as error:
        raise InputError(
            f"{shown}, event {event.number}: the answer is of a version that cannot be read "
            f"({error.errors()[0]['msg']}); use the version of Graticule that wrote it"
        ) from None


def _said(event: Event) -> Said:
    data = event.data
    if event.kind == "reply":
        return Said(text=_reply(data.get("reply")), reply=True)
    region = data.get("region")
    return Said(
        text=str(data.get("text") or ""),
        photos=_texts(data.get("photos")),
        region=region if isinstance(region, dict) else None,
        withdraw=_texts(data.get("withdraw")),
        restore=_texts(data.get("restore")),
    )


def _reply(reply: JsonValue) -> str:
    """Return a reply in words, whichever of Agent Inbox's shapes it came in."""
    if isinstance(reply, list) and reply:
        reply = reply[0]
    if isinstance(reply, dict):
        reply = reply.get("args", reply.get("type", ""))
    if isinstance(reply, dict):
        reply = json.dumps(reply.get("args", reply), ensure_ascii=False)
    return "" if reply is None else str(reply)


def _texts(value: JsonValue) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, Sequence) and (
        not isinstance(value, str)
    ) else ()  # fmt: skip
