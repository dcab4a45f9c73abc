"""What assistants and chat clients are told of a session, as finely as the settings allow.

Sessions tell no finer already, see `agent.told_sessions`. Below `exact` a trace is not told at
all, and single tools are not offered: what they say names places in any words.
"""

from agent.answer import Answer
from agent.case import Case, case_of_session
from agent.disclosure import disclosed_case
from agent.event_words import words_of
from agent.report import render_report
from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.told_sessions import exact
from agent.trace import Event
from geo.errors import InputError

WITHHELD = "The file claims a position, which is withheld."


def tells_all(sessions: Sessions) -> bool:
    """Whether places may be told exactly."""
    return sessions.settings.disclosure == "exact"


def latest_answer(sessions: Sessions, session_id: str) -> Answer:
    """Return the latest answer of a session as it may be told.

    Raises:
        UnknownSessionError: there is no such session.
        InputError: it has no answer yet.
    """
    answer = sessions.answer(session_id)
    if answer is None:
        raise InputError(f"session {session_id} has no answer yet; let it end first")
    return answer


def told_report(sessions: Sessions, session_id: str) -> str:
    """Return the report of a session as HTML; raises as `latest_answer`."""
    case = _told_case(sessions, session_id)
    return render_report(case.revisions[-1].answer, exact(sessions).photos, case)


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
    return words_of(_without_claims(event))


def _without_claims(event: Event) -> Event:
    """Return an event without what a file claims about its place, its name included."""
    if event.kind == "photo":
        return event.model_copy(update={"data": {**event.data, "name": ""}})
    claimed = event.kind == "evidence" and event.data.get("kind") == "metadata"
    if claimed and event.data.get("weight") == 0:  # trusted, it weighs
        return event.model_copy(update={"data": {**event.data, "summary": WITHHELD}})
    return event


def _told_case(sessions: Sessions, session_id: str) -> Case:
    case = case_of_session(exact(sessions), session_id)
    if tells_all(sessions):
        return case
    gazetteer = sessions.geolocators.get(SessionOptions()).bench.gazetteer
    return disclosed_case(case, sessions.settings.disclosure, gazetteer)
