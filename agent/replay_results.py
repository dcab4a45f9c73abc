"""What a replay comes to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent.answer import Answer
from agent.replay_record import Leg


@dataclass(frozen=True)
class ReplayedAnswer:
    """One answer of a trace, found again.

    Attributes:
        event: number of the recorded one.
        answer: as it is now; None where the replay came to none.
        differs: its fields that are not what they were, in words; empty where it is identical.
    """

    event: int
    answer: Answer | None
    differs: tuple[str, ...] = ()


class Unanswered(NamedTuple):
    """A run without an answer.

    Attributes:
        event: number of what it ended with, or of its `setup` where nothing was told.
        why: `error`, `stopped`, `question` where it waits for the analyst, or `ended` where it was
            killed or told to end after a node.
        words: of the error, or why it was stopped.
    """

    event: int
    why: str
    words: str


@dataclass(frozen=True)
class Replayed:
    """What a replay came to.

    Attributes:
        runs: of the trace; one that asked the analyst within itself is one.
        nodes: that ran.
        answers: all of the trace, in order.
        diverged: what went otherwise than recorded; each names the event.
        changed: prompts, tools and packages that are not what they were.
        unanswered: runs that came to no answer, and were replayed up to there.
        untold: what a run rests on and the trace does not tell; it and those after were not
            replayed. Empty where all were.
    """

    runs: int
    nodes: int
    answers: tuple[ReplayedAnswer, ...]
    diverged: tuple[str, ...]
    changed: tuple[str, ...]
    unanswered: tuple[Unanswered, ...] = ()
    untold: str = ""

    @property
    def identical(self) -> bool:
        """Whether everything was replayed, and came out as it was recorded."""
        apart = self.diverged or self.untold
        return not apart and not any(one.differs for one in self.answers)


def unanswered_of(legs: Sequence[Leg]) -> Iterator[Unanswered]:
    """Yield the runs that came to no answer; one whose question was answered goes on."""
    for number, leg in enumerate(legs):
        after = legs[number + 1] if number + 1 < len(legs) else None
        if leg.end is None:
            yield Unanswered(leg.setup.number, "ended", "")
        elif leg.end.kind in ("error", "stopped"):
            words = str(leg.end.data.get("message", leg.end.data.get("why", "")))
            yield Unanswered(leg.end.number, leg.end.kind, words)
        elif leg.end.kind == "question" and not (after and after.replies):
            yield Unanswered(leg.end.number, "question", "")
