"""Short answers of a model: asked, read, and turned into evidence that can be followed."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Literal

from langchain_core.messages import AnyMessage, HumanMessage
from pydantic import JsonValue

import prompts
from agent.answer import Step
from agent.asker import Asker, Schema
from agent.asking import ModelUnavailableError, Problem, Reply
from agent.calls import announce
from agent.dependence import is_shown
from agent.guess import Guess, ReadGuess
from agent.replies import read_guess
from agent.votes import point_of, votes_of
from geo.gazetteer import Gazetteer
from tools.evidence import Box, Evidence, Rejection, short_id
from tools.opinion import opinion
from tools.photos import Photo
from tools.references import Reference
from tools.workbench import Workbench

PARALLEL = 8
SHORT_TOKENS = 400
"""Longest short answer; published systems allow 200 without reasons."""
_PLACE: dict[str, JsonValue] = {
    "latitude": {"type": ["number", "null"], "minimum": -90, "maximum": 90},
    "longitude": {"type": ["number", "null"], "minimum": -180, "maximum": 180},
    "radius_km": {"type": ["number", "null"], "minimum": 0, "maximum": 20015},
    "place": {"type": "string", "maxLength": 120},
    "country": {"type": "string", "maxLength": 60},
}
ANSWER_SCHEMA: dict[str, JsonValue] = {
    "title": "guess",
    "type": "object",
    "properties": _PLACE,
    "required": ["latitude", "longitude", "radius_km", "place", "country"],
    "additionalProperties": False,
}
_CLUE: JsonValue = {
    "type": "object",
    "properties": {
        "what": {"type": "string", "maxLength": 160},
        "box": {
            "type": "object",
            "properties": {
                edge: {"type": "number", "minimum": 0, "maximum": 1}
                for edge in ("left", "top", "right", "bottom")
            },
            "required": ["left", "top", "right", "bottom"],
            "additionalProperties": False,
        },
    },
    "required": ["what", "box"],
    "additionalProperties": False,
}
PRIOR_SCHEMA: dict[str, JsonValue] = {
    **ANSWER_SCHEMA,
    "properties": {
        "clues": {"type": "array", "maxItems": 6, "items": _CLUE},
        **_PLACE,
        "confidence": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "reason": {"type": "string", "maxLength": 400},
    },
    "required": [
        "clues", "latitude", "longitude", "radius_km", "place", "country", "confidence", "reason",
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Prompted:
    """One prompt, to be answered several times.

    Attributes:
        named: prompts that `text` was made from.
        shown: references that `text` names, as places that look like the photo's.
    """

    text: str
    label: str
    named: tuple[str, ...]
    answers: int = 1
    temperature: float | None = None
    seed_offset: int = 0
    shown: tuple[Reference, ...] = ()


@dataclass(frozen=True)
class Answered:
    """One short answer.

    Attributes:
        failed: why nothing came back; empty otherwise.
    """

    prompted: Prompted
    read: ReadGuess
    tokens: int
    seconds: float
    failed: str = ""


@dataclass(frozen=True)
class Short:
    """What a set of short answers comes to, ready for the state."""

    step: Step
    evidence: tuple[Evidence, ...]
    rejected: tuple[Rejection, ...]
    tokens: int
    failed: str = ""


def ask_short(
    asker: Asker,
    photo: Photo,
    asked: Sequence[Prompted],
    *,
    purpose: Literal["prior", "diversify"],
    schema: Schema,
    timeout_s: float,
) -> list[Answered]:
    """Ask for all answers in parallel; a failure is one of the outcomes."""
    todo = [(one, number) for one in asked for number in range(one.answers)]

    def ask(one: Prompted, number: int) -> Answered:
        began = time.monotonic()
        try:
            reply = asker.ask(
                purpose,
                [_shown(one.text, photo)],
                schema=schema,
                named=("system", *one.named),
                seed_offset=one.seed_offset + number,
                temperature=one.temperature,
                max_tokens=asker.settings.max_tokens if purpose == "prior" else SHORT_TOKENS,
                timeout_s=timeout_s,
            )
        except ModelUnavailableError as error:
            return Answered(one, ReadGuess(), 0, time.monotonic() - began, str(error)[:300])
        read = read_guess(reply.text or reply.thinking, finish=reply.finish)
        for problem in _problems(read, reply):
            announce("malformed", {"purpose": purpose, **problem.model_dump(mode="json")})
        tokens = reply.tokens_in + reply.tokens_out
        return Answered(one, read, tokens, time.monotonic() - began)

    if len(todo) == 1:
        return [ask(*todo[0])]
    with ThreadPoolExecutor(max_workers=min(PARALLEL, len(todo))) as pool:
        running = [pool.submit(copy_context().run, ask, one, number) for one, number in todo]
        return [future.result() for future in running]


def prior_of(
    answered: Answered, asker: Asker, photo: Photo, bench: Workbench, number: int
) -> Short:
    """Return the prior as a step and evidence, with the crop box of its first clue."""
    guess = located(answered.read.guess, bench.gazetteer)
    found: tuple[Evidence, ...] = ()
    text = answered.failed or "The model names no place."
    if guess is not None and guess.latitude is not None and guess.longitude is not None:
        saw = "; ".join(repr(clue.what[:80]) for clue in guess.clues[:3])
        evidence = opinion(
            "prior",
            f"Without any tool the model names {guess.latitude:.4f}, {guess.longitude:.4f}"
            f"{' for ' + repr(guess.place[:60]) if guess.place else ''}"
            f"{', having seen ' + saw if saw else ''}.",
            guess.latitude,
            guess.longitude,
            radius_km=guess.radius_km,
            label=guess.place,
            source=asker.name,
            weight=asker.settings.weight,
        )
        box = next((b for clue in guess.clues if (b := _pixels(clue.box, photo))), None)
        found = (evidence.model_copy(update={"box": box}),)
        text = evidence.summary
    data: dict[str, JsonValue] = {
        "guess": guess.model_dump(mode="json") if guess else None,
        "failed": answered.failed,
    }
    return _short("prior", text, data, found, [answered], number)


def diversified(
    answers: Sequence[Answered],
    asker: Asker,
    bench: Workbench,
    number: int,
    references: Sequence[Reference] = (),
    held: Sequence[Evidence] = (),
) -> Short:
    """Return short answers as one step and, at most, two pieces of evidence.

    Equal coordinates are one candidate whose score is its share of the answers. What repeats a
    reference that it was shown is no opinion beside that of the search: see `agent.dependence`.

    Args:
        answers: as asked.
        asker: of whom.
        bench: finds named places.
        number: of the step.
        references: all there are, for the trace.
        held: what is known before.
    """
    own: list[Guess] = []
    copies: list[Guess] = []
    rows: list[JsonValue] = []
    for one in answers:
        guess = located(one.read.guess, bench.gazetteer)
        rows.append(
            {
                "prompt": one.prompted.label,
                "guess": guess.model_dump(mode="json") if guess else None,
                "failed": one.failed,
            }
        )
        if guess is not None and (point := point_of(guess)):
            (copies if is_shown(*point, one.prompted.shown) else own).append(guess)
    found = votes_of(own, copies, asker, held, asked=len(answers))
    text = f"0 of {len(answers)} short answers name a coordinate."
    if found:
        text = " ".join(item.summary for item in found)
    if failures := [one.failed for one in answers if one.failed]:
        text += f" {len(failures)} of {len(answers)} failed: {failures[0]}"
    shown: list[JsonValue] = [one.model_dump(mode="json") for one in references]
    data: dict[str, JsonValue] = {"answers": rows, "references": shown}
    return _short("diversify", text, data, found, answers, number)


def located(guess: Guess | None, gazetteer: Gazetteer) -> Guess | None:
    """Return a guess with the coordinate of the place it names, where it gives none itself."""
    if guess is None or guess.latitude is not None or not guess.place:
        return guess
    codes = gazetteer.find_country(guess.country) if guess.country else []
    name = guess.place.split(",")[0].strip()
    found = gazetteer.find(name, countries=list(codes) or None, limit=1, fuzzy=False)
    if not found:
        return guess
    place = found[0]
    return guess.model_copy(update={"latitude": place.latitude, "longitude": place.longitude})


def _short(
    tool: str,
    text: str,
    data: dict[str, JsonValue],
    evidence: tuple[Evidence, ...],
    answers: Sequence[Answered],
    number: int,
) -> Short:
    call_id = short_id([tool, number], prefix="c")
    signed = tuple(item.model_copy(update={"call_id": call_id}) for item in evidence)
    failures = [one.failed for one in answers if one.failed]
    step = Step(
        number=number,
        call_id=call_id,
        tool=tool,
        arguments={"answers": len(answers)},
        text=text,
        outcome="unavailable" if len(failures) == len(answers) else "ok",
        seconds=round(max(one.seconds for one in answers), 4),
        evidence_ids=tuple(item.id for item in signed),
        data=data,
    )
    rejected = tuple(item for one in answers for item in one.read.rejected)
    tokens = sum(one.tokens for one in answers)
    return Short(step, signed, rejected, tokens, failures[0] if failures else "")


def _shown(text: str, photo: Photo) -> AnyMessage:
    block = {"type": "photo", "photo_id": photo.id, "caption": "the photo to locate"}
    return HumanMessage([block, {"type": "text", "text": text}])


def _problems(read: ReadGuess, reply: Reply) -> Sequence[Problem]:
    """Return what the trace is told of a reply: also why one that names nothing does not."""
    problems = list(read.problems)
    refused = reply.message.additional_kwargs.get("refusal")
    if read.guess is None and (refused or reply.finish == "content_filter"):
        said = f"the model refuses: {str(refused or reply.text or reply.finish)[:200]!r}"
        problems = [p for p in problems if p.kind not in ("empty", "refusal")]
        problems.append(Problem(kind="refusal", detail=said, action="rejected"))
    if reply.finish == "time":
        late = Problem(kind="endless-thinking", detail="cut off by time", action="rejected")
        problems.append(late)
    rejected = any(problem.action == "rejected" for problem in problems)
    if read.guess is None and not rejected and (problems or '"latitude"' not in reply.text):
        detail = f"neither a coordinate nor a place: {reply.text[:120]!r}"
        problems.append(Problem(kind="no-guess", detail=detail, action="rejected"))
    return problems


def _pixels(box: object, photo: Photo) -> Box | None:
    """Return a clue's box in pixels of the photo; None where it is none."""
    from agent.guess import CropBox

    if not isinstance(box, CropBox):
        return None
    left, right = round(box.left * photo.width), round(box.right * photo.width)
    top, bottom = round(box.top * photo.height), round(box.bottom * photo.height)
    if right <= left or bottom <= top:
        return None
    return Box(left=left, top=top, right=right, bottom=bottom)


def prior_prompt(seed_offset: int = 0) -> Prompted:
    """Return the prompt of the prior."""
    return Prompted(prompts.load("prior").render(), "prior", ("prior",), seed_offset=seed_offset)
