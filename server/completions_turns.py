"""What a stateless conversation means for sessions: which one goes on, and what is said in it.

The protocol keeps nothing: every request holds the whole conversation. Our own replies end with
the session's id, so the latest of them names the session and the answer that the person speaks
to. Where none does (the client cut it off, or the session is gone), what was said is said again in
a new session. Where the conversation was taken back to an earlier answer, the session is forked
there, and the later answers stay as they are.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from agent.follow_up import SAME_PLACE
from agent.session_records import SessionInfo, SessionOptions, UnknownSessionError
from agent.session_run import SessionRun
from agent.sessions import Sessions
from geo.errors import InputError
from server.completions_request import ChatRequest, Message
from server.stored import begin, follow_up
from tools.photos import Photo

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
QUESTION = "question"
_MARK = re.compile(rf"Session `({UUID})`, (answer \d+|{QUESTION})")
_JSON_MARK = re.compile(rf'"session_id": ?"({UUID})", ?"revision": ?(\d+)')


class Spoken(NamedTuple):
    """What the person says in one message."""

    text: str
    photos: tuple[Photo, ...]


class Plan(NamedTuple):
    """What a request asks of the sessions.

    Attributes:
        session_id: to go on with; empty for a new one.
        revision: of the answer that the person speaks to; 0 where it is not known.
        turns: what is said, one run each; empty where there is no photo yet.
    """

    session_id: str
    revision: int
    turns: tuple[Spoken, ...]


class Marked(NamedTuple):
    """A reply of ours in the conversation: where it stands, and what it answered."""

    at: int
    session_id: str
    revision: int


def mark(session_id: str, revision: int) -> str:
    """Return the line that ends a reply, by which the conversation is known again."""
    said = f"answer {revision}" if revision else QUESTION
    return f"Session `{session_id}`, {said}"


def latest_mark(messages: Sequence[Message]) -> Marked | None:
    """Return our latest reply, by the last mark in it: texts of photos may stand before."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role != "assistant":
            continue
        text = messages[index].text
        found = list(_MARK.finditer(text)) or list(_JSON_MARK.finditer(text))
        if found:
            said = found[-1][2].removeprefix("answer ")
            return Marked(index, found[-1][1], int(said) if said.isdigit() else 0)
    return None


def planned(
    sessions: Sessions, asked: ChatRequest, photos: dict[int, tuple[Photo, ...]], named: str
) -> Plan:
    """Return what to do.

    Args:
        sessions: where.
        asked: the conversation.
        photos: of each message, by its index.
        named: the session that the client names itself; empty for none.

    Raises:
        UnknownSessionError: the client names a session that there is not.
    """
    messages = asked.messages
    spoken = {
        index: Spoken(message.text.strip(), photos.get(index, ()))
        for index, message in enumerate(messages)
        if message.role == "user"
    }
    if not spoken:
        return Plan("", 0, ())
    if named:
        return _going_on(sessions.get(named), 0, [spoken[max(spoken)]])
    known = latest_mark(messages)
    info = _held(sessions, known.session_id) if known else None
    if known is not None and info is not None:
        after = [said for index, said in spoken.items() if index > known.at]
        return _going_on(info, known.revision, after)
    return Plan("", 0, _from_photo(list(spoken.values())))


def started(
    sessions: Sessions, session_id: str, revision: int, said: Spoken, options: SessionOptions
) -> SessionRun:
    """Begin the run of one turn.

    Args:
        sessions: where.
        session_id: to go on with; empty for a new session.
        revision: of the answer that the person speaks to; 0 for the latest.
        said: what they say.
        options: of a new session.

    Raises:
        InputError: nothing is said, or it cannot be used.
        SessionBusyError: the session is running.
    """
    if not session_id:
        first, *others = said.photos
        if others:
            raise InputError(
                f"{len(said.photos)} photos at once; send the others after the answer, saying that "
                "they show the same place"
            )
        return begin(sessions, first, said.text, options)
    info = sessions.get(session_id)
    if info.status == "waiting" and not revision:
        if said.photos:
            raise InputError("a question waits for its reply; answer it before sending a photo")
        return sessions.resume(session_id, said.text or None)
    if revision and revision < info.revision:
        info = _forked(sessions, info, revision)
    if not said.text and not said.photos and info.status in ("stopped", "error"):
        return sessions.resume(info.id)
    return follow_up(sessions, info, said.text, said.photos)


def _forked(sessions: Sessions, info: SessionInfo, revision: int) -> SessionInfo:
    """Return a branch of a session at the end of the run that gave an earlier answer."""
    for moment in sessions.history(info.id):
        if moment.revision == revision and not moment.next:
            return sessions.fork(info.id, moment.checkpoint_id, name=info.name)
    return info


def _going_on(info: SessionInfo, revision: int, said: Sequence[Spoken]) -> Plan:
    """Return what to do in a conversation that a session holds."""
    if not said:
        raise InputError("nothing is said after the last answer; end with a message of the user")
    if fresh := _from_another_photo(said):
        return Plan("", 0, fresh)
    unfinished = info.status == "stopped" and any(one.text or one.photos for one in said)
    first = (Spoken("", ()),) if unfinished else ()  # the stopped run goes on first
    return Plan(info.id, revision, (*first, *said))


def _held(sessions: Sessions, session_id: str) -> SessionInfo | None:
    try:
        return sessions.get(session_id)
    except UnknownSessionError:
        return None


def _from_another_photo(said: Sequence[Spoken]) -> tuple[Spoken, ...]:
    """Return what is said from the latest photo on that is not told to show the same place."""
    for index in range(len(said) - 1, -1, -1):
        if said[index].photos and not SAME_PLACE.search(said[index].text):
            return tuple(said[index:])
    return ()


def _from_photo(said: Sequence[Spoken]) -> tuple[Spoken, ...]:
    """Return what is said from the photo on that the conversation is about; nothing without one."""
    if another := _from_another_photo(said):
        start = len(said) - len(another)
        before = " ".join(one.text for one in said[:start] if not one.photos)
        first = another[0]
        return (first._replace(text=first.text or before), *another[1:])
    first_photo = next((index for index, one in enumerate(said) if one.photos), None)
    return () if first_photo is None else tuple(said[first_photo:])
