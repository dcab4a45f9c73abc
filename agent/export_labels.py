"""Analysts' verdicts as tables that `graticule evaluate` reads: truth, and what was answered.

A photo has one row in each: its latest verdict that states a position, or else its latest.
Verdicts without a position are listed, and scored by nothing.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from agent.answer import Answer
from agent.export_csv import Row, table
from agent.session_records import Assessment

if TYPE_CHECKING:
    from agent.sessions import Sessions

TRUTH = (
    "image_id", "latitude", "longitude", "verdict", "revision", "notes", "by", "at", "session",
)  # fmt: skip
PREDICTIONS = (
    "image_id", "latitude", "longitude", "km_50", "km_80", "km_95", "status", "country", "recipe",
    "driver", "seconds", "session", "revision",
)  # fmt: skip


class Label(NamedTuple):
    """A verdict, the photo it is of, and the answer that was judged."""

    photo_id: str
    session: str
    assessment: Assessment
    answer: Answer | None


class Labels(NamedTuple):
    """Both tables, CSV in UTF-8.

    Attributes:
        photos: rows of each.
        placed: rows with a position, which answers can be scored by.
        superseded: verdicts that a later one of the same photo replaced.
    """

    truth: bytes
    predictions: bytes
    photos: int
    placed: int
    superseded: int


def labels_of(sessions: "Sessions") -> Labels:
    """Return the verdicts of all sessions."""
    return tables(found_in(sessions))


def found_in(sessions: "Sessions") -> Iterator[Label]:
    """Yield every verdict, session by session."""
    for info in sessions.search():
        held = sessions.assessments(info.id)
        if not held:
            continue
        answers = {answer.revision: answer for answer in sessions.answers(info.id)}
        for one in held:
            answer = answers.get(one.revision)
            photo = answer.photo_id if answer else next(iter(info.photos), "")
            if photo:
                yield Label(photo, info.id, one, answer)


def tables(labels: Iterable[Label]) -> Labels:
    """Return the tables of verdicts."""
    count, latest = 0, dict[str, Label]()
    for label in sorted(labels, key=lambda one: (one.assessment.at, one.session)):
        count += 1
        held = latest.get(label.photo_id)
        if held is None or _placed(label) or not _placed(held):
            latest[label.photo_id] = label
    rows = [latest[photo] for photo in sorted(latest)]
    return Labels(
        truth=table(TRUTH, (_truth(one) for one in rows)),
        predictions=table(PREDICTIONS, (_prediction(one) for one in rows)),
        photos=len(rows),
        placed=sum(map(_placed, rows)),
        superseded=count - len(rows),
    )


def _placed(label: Label) -> bool:
    return label.assessment.latitude is not None and label.assessment.longitude is not None


def _truth(label: Label) -> Row:
    stated = label.assessment.model_dump(mode="json")
    return {"image_id": label.photo_id, "session": label.session, **stated}


def _prediction(label: Label) -> Row:
    row: dict[str, str | int | float | bool | None] = {
        "image_id": label.photo_id, "session": label.session,
        "revision": label.assessment.revision, "status": "not answered",
    }  # fmt: skip
    answer = label.answer
    if answer is None:
        return row
    radii = answer.radii.model_dump() if answer.radii else {}
    said = answer.model_dump(
        include={"latitude", "longitude", "status", "country", "recipe", "driver", "seconds"}
    )
    return {**row, **said, **radii}
