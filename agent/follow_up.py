"""What a person says after an answer becomes evidence, and pictures to look at again."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import HumanMessage, ToolCall
from pydantic import JsonValue

import prompts
from agent.answer import Step
from agent.budget import Budget, Spent, left_of
from agent.calls import announce
from agent.images import image_in_messages, without_images
from agent.state import State, counting, is_ours, unanswered
from agent.statements import FOLLOW_UP as FOLLOW_UP
from agent.statements import taking_back
from agent.turns import ours, stated_conflicts
from agent.words import belief_text
from encoders.photo_file import printable
from geo.errors import InputError
from tools.evidence import Evidence, Picture, Rejection, ToolError, short_id
from tools.workbench import Workbench

LONGEST_SAID = 500
SAME_PLACE = re.compile(
    r"same (place|spot|location|site|street|road|house|building|village|town|city|square|scene)"
    r"|(another|second|other|further|different|more) (view|angle|side|perspective|shot)"
    r"|(another|second|one more) (photo|picture|image)( taken)?"
    r" (of it|of this|of the|from there|there)"
    r"|also (taken )?(there|here)",
    re.IGNORECASE,
)
"""What people say of a photo that belongs to the one before."""
FRESH_TOOLS = (
    "read_metadata", "read_text", "search_similar_photos", "search_cells", "search_places",
)  # fmt: skip
"""What a further photo is asked with; a crop is only read."""


def unheard(state: State) -> list[HumanMessage]:
    """Return the messages of the person that no run has dealt with yet."""
    heard = set(state.get("heard") or ())
    return [
        message
        for message in state.get("messages") or ()
        if isinstance(message, HumanMessage) and not is_ours(message) and message.id not in heard
    ]


def is_follow_up(state: State) -> bool:
    """Whether the session investigates a photo already, and something is said about it.

    A photo in a message is another question, unless its words say that it shows the same place.
    """
    if not state.get("photos") or state.get("anew"):
        return False
    shown = [message for message in unheard(state) if image_in_messages([message]) is not None]
    if shown and not any(SAME_PLACE.search(message.text) for message in shown):
        return False
    said = any(state.get(key) for key in ("views", "region", "withdraw", "restore"))
    return said or bool(unheard(state))


@dataclass
class Heard:
    """What was understood, for the state."""

    steps: list[Step]
    evidence: list[Evidence]
    rejected: list[Rejection]
    fresh: list[str]
    """Photos to look at now."""
    said: list[str]
    back: list[str]
    """Ids of what the person said before and takes back."""
    parts: list[str] = field(default_factory=list)
    """Of `fresh`, those that are cut out of another photo."""


def followed_up(state: State, bench: Workbench, budget: Budget) -> tuple[dict[str, Any], Heard]:
    """Return what a follow-up changes but for belief, and what was heard.

    A region that is none, or evidence that there is not, becomes a rejection: who said it reads so
    in the answer, and the session goes on.

    Raises:
        InputError: a photo that came with it cannot be used.
    """
    messages = unheard(state)
    photos, views = list(state["photos"]), list(state.get("views") or ())
    image = image_in_messages(messages)
    if image is not None:
        views.append(bench.photos.add(image).id)
    heard = Heard([], [], [], [], [], [])
    for message in messages:
        _hear_words(message.text, state, bench, heard)
    if region := state.get("region"):
        _hear_region(region, state, heard)
    for view in views:
        if view not in photos:
            _hear_photo(bench.photos.get(view).id, photos, state, bench, heard)
            photos += [view] * (view not in heard.parts)
    withdrawn = _withdrawn(state, heard)
    update: dict[str, Any] = {
        "messages": without_images(messages),
        "heard": [*(state.get("heard") or ()), *(m.id or "" for m in messages)],
        "photo_id": photos[0],
        "photos": photos,
        "views": [],
        "region": None,
        "withdraw": [],
        "restore": [],
        "withdrawn": withdrawn,
        "fresh": heard.fresh,
        "spent": Spent(),
        **unanswered(),
    }
    return update, heard


def drawn_at_first(given: State, begun: State) -> Heard:
    """Return what a region says that comes with the first photo.

    Args:
        given: the input, with the region.
        begun: the state that the run begins with.
    """
    heard = Heard([], [], [], [], [], [])
    if region := given.get("region"):
        _hear_region(region, begun, heard)
    return heard


def follow_up_message(state: State, heard: Heard, budget: Budget) -> tuple[HumanMessage, list[str]]:
    """Return what a conversing driver is told of a follow-up, and the keys of conflicts in it.

    Args:
        state: the one after it.
        heard: what was understood.
        budget: of an answer.
    """
    conflicts, stated = stated_conflicts(state)
    pictures = [picture for step in heard.steps for picture in step.pictures]
    text = prompts.load("follow-up").render(
        said="\n".join(f"{one!r}" for one in heard.said),
        understood="; ".join(f"{one.id} {one.summary}" for one in heard.evidence),
        photos="\n".join(f"{one.photo_id[:12]}: {one.caption}" for one in pictures),
        withdrawn=", ".join(state["withdrawn"]),
        conflicts=stated,
        belief=belief_text(state["belief"]),
        budget=left_of(budget, Spent()).text,
    )
    shown = [
        {"type": "photo", "photo_id": one.photo_id, "caption": one.caption[:200]}
        for one in pictures
    ]
    return ours([{"type": "text", "text": text}, *shown]), conflicts


def fresh_calls(state: State, tools: Sequence[str]) -> list[ToolCall]:
    """Return the calls that look at the pictures a follow-up brought."""
    calls = []
    for photo_id in state.get("fresh") or ():
        names = FRESH_TOOLS if photo_id in state["photos"] else ("read_text",)
        for name in names:
            if name in tools:
                args = {"photo_id": photo_id}
                call_id = short_id([name, args], prefix="c")
                calls.append(ToolCall(name=name, args=args, id=call_id, type="tool_call"))
    return calls


def _hear_words(text: str, state: State, bench: Workbench, heard: Heard) -> None:
    from tools.said import read_said

    words = printable(" ".join(text.split()), LONGEST_SAID)
    if not words:
        return
    heard.said.append(words)
    photo = bench.photos.get(state["photos"][0])
    said = read_said(words, photo, bench)
    pictures, refused = list[Picture](), list[str]()
    for look in said.looks:
        try:
            pictures.append(_cut(photo.id, look, bench))
        except ToolError as error:
            refused.append(f"{look.label!r} cannot be looked at: {error}.")
    heard.fresh += [picture.photo_id for picture in pictures]
    told = [item.summary for item in said.evidence]
    told += [f"Looks at {picture.caption}." for picture in pictures]
    told += [*refused, *said.notes]
    nothing = "Nothing that changes belief by itself."
    _note(state, heard, {"message": words}, " ".join(told) or nothing, said.evidence, pictures)


def _hear_region(region: dict[str, JsonValue], state: State, heard: Heard) -> None:
    from tools.drawn import drawn_evidence

    try:
        evidence = drawn_evidence(region)
    except InputError as error:
        shown = printable(json.dumps(region, default=str), 80)
        heard.rejected.append(Rejection(value=shown, reason=str(error)))
        return
    _note(state, heard, {"region": region}, evidence.summary, (evidence,))


def _hear_photo(
    photo_id: str, others: list[str], state: State, bench: Workbench, heard: Heard
) -> None:
    """Take a further photo for another view; one that repeats a picture is not asked again."""
    found, other = bench.same_as(photo_id, others, bench.photos)
    shown = f"Photo {photo_id[:12]}"
    if found == "same":
        text = (
            f"{shown} is the same picture as {other[:12]}, encoded again or scaled: what it shows "
            "counts once, and it is not looked at again."
        )
        _note(state, heard, {"photo_id": photo_id}, text, data={"repeats": found, "photo": other})
        return
    picture = Picture(photo_id=photo_id, caption="another photo of the same place")
    heard.fresh.append(photo_id)
    text = f"{shown} is taken for another view of the same place; begin a new session if it is not."
    if found == "part":
        picture = Picture(photo_id=photo_id, caption=f"a part of photo {other[:12]}")
        heard.parts.append(photo_id)
        text = (
            f"{shown} is cut out of {other[:12]}: it is read once more, and is no further view of "
            "the place."
        )
    data: dict[str, JsonValue] = {"repeats": found, "photo": other} if other else {}
    _note(state, heard, {"photo_id": photo_id}, text, (), [picture], data)


def _note(
    state: State,
    heard: Heard,
    arguments: dict[str, JsonValue],
    text: str,
    evidence: Sequence[Evidence] = (),
    pictures: Sequence[Picture] = (),
    data: Mapping[str, JsonValue] | None = None,
) -> None:
    """Note one thing that was said as a step, and sign its evidence."""
    number = len(state["steps"]) + len(heard.steps) + 1
    call_id = short_id([FOLLOW_UP, number, arguments], prefix="c")
    signed = [item.model_copy(update={"call_id": call_id}) for item in evidence]
    held = counting(state["evidence"], [*(state.get("withdrawn") or ()), *heard.back])
    back, told = taking_back(signed, held)
    heard.back += back
    step = Step(
        number=number,
        call_id=call_id,
        tool=FOLLOW_UP,
        arguments=arguments,
        text=" ".join([text, *told]),
        outcome="ok",
        seconds=0.0,
        evidence_ids=tuple(item.id for item in signed),
        pictures=tuple(pictures),
        data={**(data or {}), **({"taken_back": list[JsonValue](back)} if back else {})},
        revision=state["revision"] + 1,
    )
    announce("tool_result", step.model_dump(mode="json"))
    heard.steps.append(step)
    heard.evidence += signed


def _cut(photo_id: str, look: Any, bench: Workbench) -> Picture:
    """Store the part of a photo that somebody points at."""
    from tools.zoom import cut, pixel_box

    photo = bench.photos.get(photo_id)
    box = pixel_box(photo, (look.left, look.top, look.right, look.bottom), "fraction")
    crop = bench.photos.add_image(
        cut(bench.photos.image(photo.id), box, 2.0), f"part of {photo.name}", photo.id, box
    )
    return Picture(photo_id=crop.id, caption=f"the part called {look.label!r}")


def _withdrawn(state: State, heard: Heard) -> list[str]:
    """Return the ids of evidence that does not count any more."""
    known = {item.id for item in state["evidence"]}
    asked = set(state.get("withdraw") or ())
    for name in sorted(asked - known):
        held = ", ".join(sorted(known)) or "none"
        reason = f"there is no such evidence to withdraw; the session holds {held}"
        heard.rejected.append(Rejection(value=printable(name, 80), reason=reason))
    before = set(state.get("withdrawn") or ())
    for name in sorted(asked & before):
        heard.rejected.append(Rejection(value=name, reason="it was withdrawn already"))
    again = {item.id for item in heard.evidence}  # said once more
    back = (before | set(heard.back)) - again
    return sorted((back | asked & known) - set(state.get("restore") or ()))
