"""Sessions over photos that are in the store already, named by id instead of sent again."""

from collections.abc import Sequence

from agent.geolocator import check_hint
from agent.session_records import SessionInfo, SessionOptions
from agent.session_run import SessionRun
from agent.sessions import Sessions
from geo.errors import InputError
from tools.photos import Photo


def begin(
    sessions: Sessions, photo: Photo, hint: str = "", options: SessionOptions | None = None
) -> SessionRun:
    """Begin a session with a stored photo, and locate it.

    Args:
        sessions: where.
        photo: of their store.
        hint: what the person says about the place.
        options: how the session investigates.

    Raises:
        InputError: the hint is too long, or an option does not fit.
        UnavailableError: something the recipe needs is missing.
    """
    check_hint(hint)
    options = options or SessionOptions()
    sessions.geolocators.get(options)  # what cannot run leaves no session behind
    return sessions.send(sessions.create(photo, options=options).id, hint)


def follow_up(
    sessions: Sessions, info: SessionInfo, text: str, views: Sequence[Photo]
) -> SessionRun:
    """Say something in a session that has answered, with stored photos of the same place.

    Raises:
        InputError: nothing is said, or there is no answer yet.
        SessionBusyError: the session is running.
    """
    if views and not info.revision:
        raise InputError(
            f"session {info.id} has no answer yet; have it answer before further photos are added"
        )
    return sessions.send(info.id, text, photos=views)
