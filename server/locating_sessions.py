"""Sessions by plain HTTP: list, answers, history, forks, verdicts."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from agent.answer import Answer
from agent.session_records import Assessment, SessionInfo, UnknownSessionError
from encoders.photo_file import printable
from geo.errors import InputError
from server.context import context_of
from server.locating_words import (
    Answers,
    Assessments,
    ChangedSession,
    ForkWords,
    History,
    NewAssessment,
    NewSession,
    SessionList,
)
from server.problems import ProblemError, problems
from server.schemas import json_body, takes

MOST_LISTED = 1_000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

router = APIRouter(tags=["sessions"])


def known_id(session_id: Annotated[str, Path(description="A session's UUID.")]) -> str:
    """Return a session's id as it may be looked up.

    Raises:
        UnknownSessionError: it is no UUID, so there is none.
    """
    if not _UUID.fullmatch(session_id):
        raise UnknownSessionError(
            f"there is no session {printable(session_id, 60)!r}; GET /v1/sessions lists those "
            "there are"
        )
    return session_id


Known = Annotated[str, Depends(known_id)]


async def new_session(request: Request) -> NewSession:
    """Read a body."""
    return await json_body(request, NewSession)


async def changed_session(request: Request) -> ChangedSession:
    """Read a body."""
    return await json_body(request, ChangedSession)


async def fork_words(request: Request) -> ForkWords:
    """Read a body."""
    return await json_body(request, ForkWords)


async def new_assessment(request: Request) -> NewAssessment:
    """Read a body."""
    return await json_body(request, NewAssessment)


@router.get("/v1/sessions", responses=problems(422))
def list_sessions(
    request: Request,
    query: Annotated[str, Query(max_length=500)] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> SessionList:
    """List sessions whose name, headline or id holds all words of the query, the latest first."""
    found = context_of(request).sessions.search(query, limit, offset)
    return SessionList(sessions=tuple(found))


@router.post(
    "/v1/sessions", status_code=201, responses=problems(422), openapi_extra=takes(NewSession)
)
def create_session(
    words: Annotated[NewSession, Depends(new_session)], request: Request, response: Response
) -> SessionInfo:
    """Begin a session without a photo yet; a message brings one."""
    sessions = context_of(request).sessions
    sessions.geolocators.get(words.options)  # refuses what cannot run
    info = sessions.create(name=words.name, options=words.options, metadata=words.metadata)
    response.headers["location"] = f"/v1/sessions/{info.id}"
    return info


@router.get("/v1/sessions/{session_id}", responses=problems(404))
def get_session(session_id: Known, request: Request) -> SessionInfo:
    """Give what is known of a session."""
    return context_of(request).sessions.get(session_id)


@router.patch(
    "/v1/sessions/{session_id}",
    responses=problems(404, 409, 422),
    openapi_extra=takes(ChangedSession),
)
def change_session(
    session_id: Known,
    words: Annotated[ChangedSession, Depends(changed_session)],
    request: Request,
) -> SessionInfo:
    """Rename a session, or change how its next runs investigate."""
    sessions = context_of(request).sessions
    if words.options is not None:
        sessions.geolocators.get(words.options)
    return sessions.update(
        session_id, name=words.name, options=words.options, metadata=words.metadata
    )


@router.delete("/v1/sessions/{session_id}", status_code=204, responses=problems(404, 409))
def delete_session(session_id: Known, request: Request) -> None:
    """Delete a session: checkpoints, trace, and the photos that no other session has."""
    context_of(request).sessions.delete(session_id)


@router.get("/v1/sessions/{session_id}/answer", responses=problems(404, 409))
def get_answer(session_id: Known, request: Request) -> Answer:
    """Give the latest answer."""
    return _answer(request, session_id, 0)


@router.get("/v1/sessions/{session_id}/answers", responses=problems(404))
def list_answers(session_id: Known, request: Request) -> Answers:
    """Give all answers, first to latest."""
    return Answers(answers=tuple(context_of(request).sessions.answers(session_id)))


@router.get("/v1/sessions/{session_id}/answers/{revision}", responses=problems(404, 422))
def get_revision(
    session_id: Known, revision: Annotated[int, Path(ge=1, le=10**6)], request: Request
) -> Answer:
    """Give the answer of a revision."""
    return _answer(request, session_id, revision)


@router.get("/v1/sessions/{session_id}/history", responses=problems(404))
def get_history(session_id: Known, request: Request) -> History:
    """Give the moments that a session can be forked from, the latest first."""
    return History(moments=tuple(context_of(request).sessions.history(session_id)))


@router.post(
    "/v1/sessions/{session_id}/fork",
    status_code=201,
    responses=problems(404, 409, 422),
    openapi_extra=takes(ForkWords),
)
def fork_session(
    session_id: Known,
    words: Annotated[ForkWords, Depends(fork_words)],
    request: Request,
    response: Response,
) -> SessionInfo:
    """Branch off a session: `resume` goes on from there, a message says something else."""
    sessions = context_of(request).sessions
    if sessions.get(session_id).status == "new":
        raise ProblemError(
            409, "not_begun", f"session {session_id} has not begun; send a photo before forking it"
        )
    try:
        branch = sessions.fork(
            session_id, words.checkpoint_id, name=words.name, options=words.options
        )
    except UnknownSessionError as error:  # the session is there, the checkpoint is not
        raise ProblemError(422, "unknown_checkpoint", str(error)) from None
    response.headers["location"] = f"/v1/sessions/{branch.id}"
    return branch


@router.post(
    "/v1/sessions/{session_id}/assessments",
    status_code=201,
    responses=problems(404, 422),
    openapi_extra=takes(NewAssessment),
)
def assess(
    session_id: Known,
    words: Annotated[NewAssessment, Depends(new_assessment)],
    request: Request,
) -> Assessment:
    """Keep an analyst's verdict and notes with a session."""
    sessions = context_of(request).sessions
    return sessions.assess(session_id, Assessment(**words.model_dump()))


@router.get("/v1/sessions/{session_id}/assessments", responses=problems(404))
def list_assessments(session_id: Known, request: Request) -> Assessments:
    """Give verdicts and notes, first to latest."""
    sessions = context_of(request).sessions
    sessions.get(session_id)
    return Assessments(assessments=tuple(sessions.assessments(session_id)))


def _answer(request: Request, session_id: str, revision: int) -> Answer:
    try:
        found = context_of(request).sessions.answer(session_id, revision)
    except UnknownSessionError:
        raise
    except InputError as error:
        raise ProblemError(404, "unknown_revision", str(error)) from None
    if found is None:
        raise ProblemError(409, "no_answer", f"session {session_id} has no answer yet; ask again")
    return found
