"""Sessions over photos that are in the store already, named by id instead of sent again."""

import uuid
from collections.abc import Sequence

from langchain_core.messages import HumanMessage
from pydantic import JsonValue

from agent.geolocator import check_hint
from agent.session_records import SessionInfo, SessionOptions
from agent.session_run import SessionRun
from agent.sessions import Sessions
from agent.state import InputState
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
    info = sessions.create(name=photo.name, options=options)
    info = info.model_copy(update={"photos": (photo.id,)})
    asked = InputState(
        photo_id=photo.id, hint=hint, views=[], trust_metadata=options.trust_metadata
    )
    return sessions.run(info.id, asked, info=info, said=_said(hint, [photo.id]))


def follow_up(
    sessions: Sessions, info: SessionInfo, text: str, views: Sequence[Photo]
) -> SessionRun:
    """Say something in a session that has answered, with stored photos of the same place.

    Raises:
        InputError: nothing is said, or there is no answer yet.
        SessionBusyError: the session is running.
    """
    if not views:
        return sessions.send(info.id, text)
    check_hint(text)
    if not info.revision:
        raise InputError(
            f"session {info.id} has no answer yet; have it answer before further photos are added"
        )
    ids = [view.id for view in views]
    asked = InputState(views=ids, trust_metadata=info.options.trust_metadata)
    asked["messages"] = [HumanMessage(text, id=str(uuid.uuid4()))] if text.strip() else []
    info = info.model_copy(update={"photos": tuple(dict.fromkeys((*info.photos, *ids)))})
    return sessions.run(info.id, asked, info=info, said=_said(text, ids))


def _said(text: str, photos: Sequence[str]) -> dict[str, JsonValue]:
    return {"text": text, "photos": list(photos), "region": None, "withdraw": [], "restore": []}
