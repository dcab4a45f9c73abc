"""What a conversing driver is told between its turns: budget, belief, conflicts, pictures."""

import json
from collections.abc import Sequence

from langchain_core.messages import HumanMessage, ToolCall

import prompts
from agent.answer import Step
from agent.asking import Problem
from agent.budget import Budget, left_of
from agent.calls import announce
from agent.conflicts import find_conflicts
from agent.state import State
from agent.words import belief_text
from tools.evidence import Evidence

REPEATED = "repeated-call"
PICTURES = 4
"""Pictures of one turn that the driver is shown, the first of each call before the second."""


def turn_message(
    state: State, budget: Budget, steps: Sequence[Step]
) -> tuple[HumanMessage, list[str]]:
    """Return the message after a turn's tool results, and the keys of the conflicts it states."""
    conflicts = find_conflicts(state["evidence"], state["conflicts"])
    stated = []
    for conflict in conflicts:
        announce("conflict", conflict.model_dump(mode="json"))
        stated.append(
            prompts.load("reflect").render(
                first=conflict.first_text, second=conflict.second_text, distance=conflict.distance
            )
        )
    shown = [picture for step in steps for picture in step.pictures][:PICTURES]
    text = prompts.load("turn").render(
        budget=left_of(budget, state["spent"]).text,
        belief=belief_text(state["belief"]),
        conflicts="\n".join(stated),
        pictures="\n".join(f"{one.photo_id[:12]}: {one.caption}" for one in shown),
    )
    blocks: list[str | dict[str, object]] = [{"type": "text", "text": text}]
    blocks += [
        {"type": "photo", "photo_id": one.photo_id, "caption": one.caption[:200]} for one in shown
    ]
    return HumanMessage(blocks), [conflict.key for conflict in conflicts]


def nudge(problems: Sequence[Problem], evidence: Sequence[Evidence]) -> HumanMessage:
    """Return what a driver is told that called no tool."""
    told = [f"{problem.kind}: {problem.detail[:200]}" for problem in problems]
    told += [f"Your statement is held as evidence {item.id}." for item in evidence]
    return HumanMessage(
        prompts.load("nudge").render(problems="\n".join(told) or "Your reply calls no tool.")
    )


def repeats(calls: Sequence[ToolCall], steps: Sequence[Step]) -> dict[str, Step]:
    """Return call id -> earlier step, for calls that ask again what was answered already."""
    answered = {_asked(s.tool, s.arguments): s for s in steps if s.outcome == "ok"}
    found: dict[str, Step] = {}
    for call in calls:
        if (step := answered.get(_asked(call["name"], call["args"]))) is not None:
            found[call["id"] or ""] = step
    return found


def _asked(tool: str, arguments: object) -> str:
    return tool + json.dumps(arguments, sort_keys=True, ensure_ascii=False, default=str)
