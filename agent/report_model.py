"""What the report shows of a model that drove the run; all of it data, none of it HTML.

What a model wrote is quoted as its words. Its numbers are followed to tool results only in
`Answer.reason`; everything else it said is shown as unchecked.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue, ValidationError

from agent.answer import Answer, Step
from agent.event_words import ACTIONS, PURPOSES, mishap, purpose
from agent.guess import Guess
from agent.model_use import ModelReply, ModelUse, StatedConflict, TrajectoryEnd
from tools.evidence import Box, Evidence

if TYPE_CHECKING:
    from agent.report_page import Page

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MOST_CLUES = 12


@dataclass(frozen=True)
class ClueView:
    """One thing that the prior says it saw; `style` and `crop` are empty without a box."""

    letter: str
    what: str
    style: str
    crop: str


@dataclass(frozen=True)
class PriorView:
    """The model's guess without any tool."""

    step: Step
    guess: Guess | None
    clues: tuple[ClueView, ...]
    distance_km: float | None


@dataclass(frozen=True)
class ShortView:
    """Short answers that name the same coordinate: `votes` of `counted`."""

    label: str
    latitude: float
    longitude: float
    votes: int
    counted: int
    distance_km: float | None

    @property
    def share(self) -> str:
        """How many of the answers with a coordinate, in words."""
        return f"{self.votes} of {self.counted}"


@dataclass(frozen=True)
class ConflictView:
    """A conflict that was stated, and the turn that followed."""

    stated: StatedConflict
    sides: tuple[tuple[str, Evidence | None, int | None], ...]
    """Id, evidence, and its number on the page."""
    reply: ModelReply | None
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class QuestionView:
    """What the model asked the analyst, and what came back."""

    step: Step
    question: str
    options: tuple[str, ...]
    reply: str
    chosen: str


@dataclass(frozen=True)
class PurposeView:
    """What the model was asked for, and what it took."""

    name: str
    calls: int
    tokens_in: int
    tokens_out: int
    seconds: float


class ModelPage:
    """Everything the templates show of the model."""

    def __init__(self, page: "Page", use: ModelUse) -> None:
        self._page, self.use = page, use
        self.answer: Answer = page.answer
        self.prior = self._prior()
        self.shorts, self.asked = self._shorts()
        self.questions = tuple(_question(step) for step in self._steps("ask_analyst"))
        self.conflicts = tuple(self._conflict(one) for one in use.conflicts)
        self.trajectories = tuple(sorted(use.trajectories, key=lambda one: one.number))
        self.mishaps = tuple(
            (mishap(one.kind), ACTIONS.get(one.action, one.action), one.count, one.example)
            for one in use.mishaps
        )
        self.purposes = _purposes(use.replies)
        self.judged = tuple(step for step in self.answer.steps if step.data.get("judge"))

    @property
    def mishap_count(self) -> int:
        """How often a reply, or a part of one, was malformed."""
        return sum(count for _, _, count, _ in self.mishaps)

    def opening_turns(self, step: Step) -> list[ModelReply]:
        """Return the reply that asked for a step, and those before it that asked for none.

        Empty where an earlier step belongs to the same reply.
        """
        before = [one.turn for one in self.answer.steps[: step.number - 1]
                  if one.trajectory == step.trajectory]  # fmt: skip
        turns = range(max(before, default=0) + 1, step.turn + 1)
        return [reply for turn in turns if (reply := self.turn(step.trajectory, turn))]

    def turn(self, trajectory: int, number: int) -> ModelReply | None:
        """Return the reply of one turn of the loop."""
        replies = (one for one in self.use.replies if one.turn == number and number)
        return next((one for one in replies if one.trajectory == trajectory), None)

    def distance_km(self, one: TrajectoryEnd) -> float | None:
        """Return how far a trajectory's conclusion lies from the answer."""
        if one.latitude is None or one.longitude is None:
            return None
        return self._page.distance_km(one.latitude, one.longitude)

    def _steps(self, tool: str) -> list[Step]:
        return [step for step in self.answer.steps if step.tool == tool]

    def _prior(self) -> PriorView | None:
        step = next(iter(self._steps("prior")), None)
        if step is None:
            return None
        guess = _guess(step.data.get("guess"))
        clues = []
        for letter, clue in zip(LETTERS, guess.clues[:MOST_CLUES] if guess else (), strict=False):
            box = self._box(clue.box.left, clue.box.top, clue.box.right, clue.box.bottom) if (
                clue.box
            ) else None  # fmt: skip
            style, crop = self._page.framed(box) if box else ("", "")
            clues.append(ClueView(letter, clue.what, style, crop))
        away = None
        if guess and guess.latitude is not None and guess.longitude is not None:
            away = self._page.distance_km(guess.latitude, guess.longitude)
        return PriorView(step, guess, tuple(clues), away)

    def _box(self, left: float, top: float, right: float, bottom: float) -> Box | None:
        """Return a box of shares of the photo in pixels; None where it holds nothing."""
        width, height = self._page.photo_size
        x, y = round(left * width), round(top * height)
        x_end, y_end = round(right * width), round(bottom * height)
        return Box(left=x, top=y, right=x_end, bottom=y_end) if x_end > x and y_end > y else None

    def _shorts(self) -> tuple[tuple[ShortView, ...], int]:
        """Return the short answers, the most frequent first, and how many were asked for."""
        asked, votes = 0, dict[tuple[float, float], list[Guess]]()
        for step in self._steps("diversify"):
            rows = step.data.get("answers")
            for row in rows if isinstance(rows, list) else ():
                asked += 1
                guess = _guess(row.get("guess")) if isinstance(row, dict) else None
                if guess and guess.latitude is not None and guess.longitude is not None:
                    key = round(guess.latitude, 4), round(guess.longitude, 4)
                    votes.setdefault(key, []).append(guess)
        counted = sum(map(len, votes.values()))
        ordered = sorted(votes.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        views = [
            ShortView(_named(said[0]), *at, len(said), counted, self._page.distance_km(*at))
            for at, said in ordered
        ]
        return tuple(views), asked

    def _conflict(self, one: StatedConflict) -> ConflictView:
        held = {item.id: item for item in self.answer.evidence}
        numbers = {view.evidence.id: view.number for view in reversed(self._page.evidence)}
        sides = tuple((id_, held.get(id_), numbers.get(id_)) for id_ in (one.first, one.second))
        after = one.trajectory, one.turn + 1
        steps = [step for step in self.answer.steps if (step.trajectory, step.turn) == after]
        return ConflictView(one, sides, self.turn(*after), tuple(steps))


def _question(step: Step) -> QuestionView:
    options, data = step.arguments.get("options"), step.data
    return QuestionView(
        step,
        str(step.arguments.get("question", "")),
        tuple(str(one) for one in options) if isinstance(options, list) else (),
        str(data.get("reply") or ""),
        str(data.get("chosen") or ""),
    )


def _guess(data: JsonValue) -> Guess | None:
    """Read a guess from a step's data, which may be of another version."""
    if not isinstance(data, dict):
        return None
    try:
        return Guess.model_validate_json(json.dumps(data))
    except ValidationError:
        return None


def _named(guess: Guess) -> str:
    return ", ".join(part for part in (guess.place, guess.country) if part) or "nameless"


def _purposes(replies: Sequence[ModelReply]) -> tuple[PurposeView, ...]:
    """Return the replies summed up by what they were for, in the order of a run."""
    names = [*PURPOSES, *dict.fromkeys(one.purpose for one in replies)]
    views = []
    for name in dict.fromkeys(names):
        some = [one for one in replies if one.purpose == name]
        if some:
            views.append(
                PurposeView(
                    purpose(name),
                    len(some),
                    sum(one.tokens_in for one in some),
                    sum(one.tokens_out for one in some),
                    sum(one.seconds for one in some),
                )
            )
    return tuple(views)
