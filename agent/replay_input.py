"""What a recorded run began with, as input of the graph."""

from collections.abc import Sequence
from typing import cast

from langchain_core.messages import HumanMessage
from langgraph.types import Command
from pydantic import JsonValue

from agent.follow_up import FOLLOW_UP
from agent.replay_moments import UntoldError
from agent.replay_record import Data, Leg
from agent.session_run import Asked
from agent.state import InputState
from agent.trace import Event


def asked_of(leg: Leg, *, begun: bool) -> Asked:
    """Return what the graph is given for a leg.

    Args:
        leg: that begins.
        begun: whether there are checkpoints that it can go on from; a branch may hold no more of
            its past than this leg.

    Raises:
        UntoldError: it began with something that the trace does not tell.
    """
    if leg.goes_on and begun:
        return None
    if leg.replies:
        assert leg.spoken is not None
        if (reply := leg.spoken.data["reply"]) is None:  # LangGraph takes no bare None for one
            raise UntoldError(
                f"event {leg.spoken.number} (reply): its run began with a command that changed the "
                "state or jumped to a node, which the trace does not tell"
            )
        return Command(resume=reply)
    return input_of(leg)


def input_of(leg: Leg) -> InputState:
    """Return what a leg began with: the photo, or what was said after an answer."""
    said = leg.said
    photos = _strings(said, "photos")
    first = leg.opening.name if leg.opening else "observe"
    begun = leg.opening.events if leg.opening else leg.left
    photo: Data = next((event.data for event in begun if event.kind == "photo"), {})
    trusted = said.get("trust_metadata", photo.get("trust_metadata"))
    if trusted is None:  # a follow-up of a trace whose messages do not tell
        trusted = leg.end.data.get("trusted_metadata") if leg.end else False
    asked = InputState(views=photos, trust_metadata=trusted is True)
    if first == "observe":
        asked["photo_id"] = str(photo.get("photo_id") or next(iter(photos), ""))
        asked["hint"] = str(photo.get("hint", said.get("text") or ""))
        asked["views"] = [one for one in photos if one != asked["photo_id"]]
        asked["anew"] = True
    else:
        asked |= _followed(leg, begun, photos)
    asked["region"] = cast(Data | None, said.get("region"))
    asked["withdraw"], asked["restore"] = _strings(said, "withdraw"), _strings(said, "restore")
    return asked


def _followed(leg: Leg, begun: Sequence[Event], photos: list[str]) -> InputState:
    """Return words and photos of a follow-up.

    A `message` event joins several messages; the steps that dealt with them have them one by one,
    and the photos that came inside of them.
    """
    steps = [e.data for e in begun if e.kind == "tool_result" and e.data["tool"] == FOLLOW_UP]
    given = [cast(Data, step["arguments"]) for step in steps]
    words = [str(one["message"]) for one in given if "message" in one]
    if len(words) < 2 and leg.said:
        words = [text] if (text := str(leg.said.get("text") or "")).strip() else []
    views = [str(one["photo_id"]) for one in given if "photo_id" in one]
    return InputState(
        messages=[HumanMessage(one) for one in words], views=list(dict.fromkeys([*photos, *views]))
    )


def _strings(data: Data, key: str) -> list[str]:
    return [str(one) for one in cast(list[JsonValue], data.get(key) or [])]
