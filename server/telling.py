"""What faces may tell of a session: as finely as the settings allow, and no finer.

See `agent.disclosure`. Below `exact` a trace is not told at all, steps by their kind alone, and
single tools are not offered: what they say names places in any words.
"""

from typing import TYPE_CHECKING

from agent.answer import Answer
from agent.case import Case, case_of_session
from agent.disclosure import disclosed, disclosed_case
from agent.event_words import words_of
from agent.report import render_report
from agent.sessions import Sessions
from agent.trace import Event
from geo.errors import InputError

if TYPE_CHECKING:
    from geo.gazetteer import Gazetteer


WITHHELD = "The file claims a position, which is withheld."


def tells_all(sessions: Sessions) -> bool:
    """Whether places may be told exactly."""
    return sessions.settings.disclosure == "exact"


def told_answer(sessions: Sessions, session_id: str, answer: Answer) -> Answer:
    """Return an answer as it may be told."""
    if tells_all(sessions):
        return answer
    return disclosed(answer, sessions.settings.disclosure, _gazetteer(sessions, session_id))


def latest_answer(sessions: Sessions, session_id: str) -> Answer:
    """Return the latest answer of a session as it may be told.

    Raises:
        UnknownSessionError: there is no such session.
        InputError: it has no answer yet.
    """
    answer = sessions.answer(session_id)
    if answer is None:
        raise InputError(f"session {session_id} has no answer yet; let it end first")
    return told_answer(sessions, session_id, answer)


def told_report(sessions: Sessions, session_id: str) -> str:
    """Return the report of a session as HTML; raises as `latest_answer`."""
    case = _told_case(sessions, session_id)
    return render_report(case.revisions[-1].answer, sessions.photos, case)


def told_trace(sessions: Sessions, session_id: str) -> str:
    """Return the trace of a session, one JSON object a line.

    Raises:
        UnknownSessionError: there is no such session.
        InputError: it has not begun, or may not be told.
    """
    sessions.get(session_id)
    path = sessions.trace_path(session_id)
    if not tells_all(sessions):
        raise InputError(
            f"places are told as {sessions.settings.disclosure} at most, and a trace cannot be "
            "told coarser; read the report"
        )
    if not path.exists():
        raise InputError(f"session {session_id} has no trace yet; let it begin first")
    return path.read_text("utf-8")


def told_step(sessions: Sessions, event: Event) -> str:
    """Return an event of a run in words that may be told: one printable line.

    Models read it where a program passes it on: a position that the file claims stays out.
    """
    if tells_all(sessions):
        return words_of(_without_claims(event))
    tool = event.data.get("tool")
    return f"{event.kind.replace('_', ' ')}{f' of {tool}' if isinstance(tool, str) else ''}"


def _without_claims(event: Event) -> Event:
    """Return an event without what a file claims about its place, its name included."""
    if event.kind == "photo":
        return event.model_copy(update={"data": {**event.data, "name": ""}})
    claimed = event.kind == "evidence" and event.data.get("kind") == "metadata"
    if claimed and event.data.get("weight") == 0:  # trusted, it weighs
        return event.model_copy(update={"data": {**event.data, "summary": WITHHELD}})
    return event


def _told_case(sessions: Sessions, session_id: str) -> Case:
    case = case_of_session(sessions, session_id)
    if tells_all(sessions):
        return case
    level = sessions.settings.disclosure
    return disclosed_case(case, level, _gazetteer(sessions, session_id))


def _gazetteer(sessions: Sessions, session_id: str) -> "Gazetteer":
    return sessions.geolocators.get(sessions.get(session_id).options).bench.gazetteer
