"""What a conversing driver is told between its turns: budget, belief, conflicts, pictures."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage, ToolCall

import prompts
from agent.answer import Step
from agent.asking import Problem
from agent.budget import Budget, left_of
from agent.calls import announce
from agent.conflicts import find_conflicts
from agent.state import OURS, State, counting
from agent.words import belief_text
from tools.evidence import Evidence

REPEATED = "repeated-call"
COMMIT = "commit_location"
OPENING = "the photo to locate"
"""Caption of the photo in the message that a run begins with."""
PICTURES = 4
"""Pictures of one turn that the driver is shown, the first of each call before the second."""


def ours(content: str | list[Any]) -> HumanMessage:
    """Return a message of the machine's own to its driver."""
    return HumanMessage(content, id=f"{OURS}{uuid.uuid4()}")


def of_this_run(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return the messages of a session's latest run, with what the user wrote right before it.

    Earlier runs investigated other photos: their evidence is gone, their words would mislead.
    """
    began = next(
        (n for n in reversed(range(len(messages))) if is_opening(messages[n])),
        0,
    )
    while began and isinstance(messages[began - 1], HumanMessage):
        began -= 1
    return list(messages[began:])


def is_opening(message: AnyMessage) -> bool:
    """Whether a message is the one that `agent.opening` wrote."""
    return isinstance(message, HumanMessage) and any(
        isinstance(block, dict) and block.get("caption") == OPENING for block in message.content
    )


def turn_message(
    state: State, budget: Budget, steps: Sequence[Step]
) -> tuple[HumanMessage, list[str]]:
    """Return the message after a turn's tool results, and the keys of the conflicts it states."""
    conflicts, stated = stated_conflicts(state)
    shown = [picture for step in steps for picture in step.pictures][:PICTURES]
    text = prompts.load("turn").render(
        budget=left_of(budget, state["spent"]).text,
        belief=belief_text(state["belief"]),
        conflicts=stated,
        pictures="\n".join(f"{one.photo_id[:12]}: {one.caption}" for one in shown),
    )
    blocks: list[str | dict[str, object]] = [{"type": "text", "text": text}]
    blocks += [
        {"type": "photo", "photo_id": one.photo_id, "caption": one.caption[:200]} for one in shown
    ]
    return ours(blocks), conflicts


def stated_conflicts(state: State) -> tuple[list[str], str]:
    """Return the keys of conflicts that the driver does not know yet, and their words.

    What the person withdrew disagrees with nothing.
    """
    counts = counting(state["evidence"], state.get("withdrawn") or ())
    conflicts = find_conflicts(counts, state["conflicts"])
    stated = []
    for conflict in conflicts:
        announce("conflict", conflict.model_dump(mode="json"))
        stated.append(
            prompts.load("reflect").render(
                first=conflict.first_text, second=conflict.second_text, distance=conflict.distance
            )
        )
    return [conflict.key for conflict in conflicts], "\n".join(stated)


def nudge(problems: Sequence[Problem], evidence: Sequence[Evidence]) -> HumanMessage:
    """Return what a driver is told that called no tool."""
    told = [f"{problem.kind}: {problem.detail[:200]}" for problem in problems]
    told += [f"Your statement is held as evidence {item.id}." for item in evidence]
    return ours(
        prompts.load("nudge").render(problems="\n".join(told) or "Your reply calls no tool.")
    )


def repeats(calls: Sequence[ToolCall], steps: Sequence[Step], revision: int = 1) -> dict[str, Step]:
    """Return call id -> earlier step, for calls that ask again what was answered already.

    A commit of an earlier answer does not stand for the next one's.
    """
    named = {call["name"] for call in calls}
    steps = [one for one in steps if one.tool != COMMIT or one.revision == revision]
    answered = {
        _asked(step.tool, step.arguments): step
        for step in steps
        if step.outcome == "ok" and step.tool in named
    }
    found: dict[str, Step] = {}
    for call in calls:
        if (step := answered.get(_asked(call["name"], call["args"]))) is not None:
            found[call["id"] or ""] = step
    return found


def _asked(tool: str, arguments: object) -> str:
    return tool + json.dumps(arguments, sort_keys=True, ensure_ascii=False, default=str)
