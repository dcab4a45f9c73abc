"""What a report shows of a session: what was said, what changed, what analysts made of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.answer import Answer
from agent.case import Case, Revision, Said
from agent.export_shapes import drawn_area, drawn_inside
from agent.report_pictures import data_uri
from agent.session_records import Assessment
from tools.evidence import Evidence

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from agent.report_page import Page

SENT_PX = 320
MOST_SENT = 24
VERDICT_WORDS = {
    "right": "right",
    "near": "near, but not within the 50 % radius",
    "wrong": "wrong",
    "unknown": "cannot be told",
}


@dataclass(frozen=True)
class Drawn:
    """A region that somebody drew, on the maps.

    Attributes:
        area: longitude before latitude.
        inside: whether the photo is said to be taken there; it is said not to be otherwise.
        revision: of the answer that it came before.
    """

    area: "BaseGeometry"
    inside: bool
    revision: int


@dataclass(frozen=True)
class SentView:
    """A picture that came with a message; `uri` is empty where the store no longer has it."""

    photo_id: str
    uri: str


@dataclass(frozen=True)
class SaidView:
    """One thing that the person said."""

    said: Said
    photos: tuple[SentView, ...]
    drawn: str
    """What was drawn, in words; empty where nothing was."""


@dataclass(frozen=True)
class RevisionView:
    """One answer of a session, and what changed since the one before.

    Attributes:
        moved_km: from the answer before, WGS84; None where one of them has no coordinate.
        new: evidence that the one before did not have.
        withdrawn, restored: evidence that stopped and began again to count.
    """

    number: int
    answer: Answer
    headline: str
    word: str
    said: tuple[SaidView, ...]
    moved_km: float | None
    new: tuple[Evidence, ...]
    withdrawn: tuple[Evidence, ...]
    restored: tuple[Evidence, ...]
    first: bool

    @property
    def told(self) -> tuple[SaidView, ...]:
        """What was said in words, drawn, taken back or shown besides the photo itself."""
        return tuple(one for one in self.said if not one.said.empty or one.photos)


@dataclass(frozen=True)
class AssessmentView:
    """What an analyst made of an answer."""

    assessment: Assessment
    word: str
    away_km: float | None
    """From the judged answer to where the analyst says it was."""


class SessionPage:
    """Everything the templates show of a session."""

    def __init__(self, page: "Page", case: Case) -> None:
        self._page, self.case = page, case
        self._sent = 0
        self.revisions = tuple(
            self._revision(before, one)
            for before, one in zip((None, *case.revisions), case.revisions, strict=False)
        )
        self.unanswered = tuple(self._said(one) for one in case.unanswered if not one.empty)
        self.assessments = tuple(self._assessment(one) for one in case.assessments)

    @property
    def worth_showing(self) -> bool:
        """Whether there is more to tell than one answer that nobody said anything to."""
        told = any(view.said for view in self.revisions) or self.unanswered
        return bool(len(self.revisions) > 1 or told or self.case.parent)

    @property
    def drawn(self) -> tuple[Drawn, ...]:
        """Every region that was drawn, but for those that do not count any more."""
        found = []
        gone = self._regions_withdrawn()
        for one in self.case.revisions:
            for said in one.said:
                area = drawn_area(said.region) if said.region else None
                if area is not None and said.region and said.region not in gone:
                    found.append(Drawn(area, drawn_inside(said.region), one.answer.revision))
        return tuple(found)

    def _regions_withdrawn(self) -> list[object]:
        """Return the regions whose evidence the person took back, by the latest answer."""
        answer = self._page.answer
        gone = set(answer.withdrawn)
        return [
            step.arguments["region"] for step in answer.steps
            if "region" in step.arguments and set(step.evidence_ids) & gone
        ]  # fmt: skip

    def _revision(self, before: Revision | None, one: Revision) -> RevisionView:
        from agent.report_page import headline_of, status_words

        answer, old = one.answer, before.answer if before else None
        known = {item.id for item in old.evidence} if old else set()
        was = set(old.withdrawn) if old else set()
        held = {item.id: item for item in answer.evidence}
        return RevisionView(
            number=answer.revision,
            answer=answer,
            headline=headline_of(answer),
            word=status_words(answer)[0],
            said=tuple(self._said(said) for said in one.said if not said.empty or said.photos),
            moved_km=_apart_km(old, answer) if old else None,
            new=tuple(item for item in answer.evidence if item.id not in known) if old else (),
            withdrawn=tuple(held[i] for i in answer.withdrawn if i in held and i not in was),
            restored=tuple(held[i] for i in sorted(was - set(answer.withdrawn)) if i in held),
            first=old is None,
        )

    def _said(self, said: Said) -> SaidView:
        drawn = ""
        if said.region:
            where = "where it was taken" if drawn_inside(said.region) else "where it was not taken"
            drawn = f"drew a region {where}"
        others = [photo for photo in said.photos if photo != self._page.answer.photo_id]
        return SaidView(said, tuple(self._picture(photo) for photo in others), drawn)

    def _picture(self, photo_id: str) -> SentView:
        self._sent += 1
        image = self._page.picture(photo_id) if self._sent <= MOST_SENT else None
        return SentView(photo_id, data_uri(image, SENT_PX, 40_000) if image else "")

    def _assessment(self, one: Assessment) -> AssessmentView:
        judged = next((r.answer for r in self.case.revisions if r.answer.revision == one.revision),
                      None)  # fmt: skip
        away = None
        if judged and one.latitude is not None and one.longitude is not None:
            away = _away_km(judged, one.latitude, one.longitude)
        return AssessmentView(one, VERDICT_WORDS[one.verdict], away)


def _apart_km(one: Answer, other: Answer) -> float | None:
    if other.latitude is None or other.longitude is None:
        return None
    return _away_km(one, other.latitude, other.longitude)


def _away_km(answer: Answer, latitude: float, longitude: float) -> float | None:
    from geo.sphere import distance_km

    if answer.latitude is None or answer.longitude is None:
        return None
    return float(distance_km(answer.latitude, answer.longitude, latitude, longitude))
