"""Several investigations of one photo in parallel, and the model as their judge.

Each trajectory is the same loop with another seed and another start, so that one early mistake
does not lead them all; their evidence is pooled, and a verifier chooses the conclusion that its own
evidence supports best (Thinking with Map, arXiv:2601.05432: 2 to 4 trajectories and a verifier).
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config
from pydantic import JsonValue

import prompts
from agent.answer import Step
from agent.asker import Asker
from agent.asking import ModelUnavailableError
from agent.budget import Budget, Spent, left_of
from agent.call_json import LooseJsonError, read_json
from agent.calls import announce
from agent.conclude import driver_reason
from agent.drivers import ModelDriver
from agent.listening import TRAJECTORY, listening
from agent.state import State, merge_evidence
from agent.trace import EventKind
from agent.turns import is_opening, of_this_run
from agent.words import belief_text
from encoders.photo_file import printable
from tools.evidence import Evidence, short_id
from tools.opinion import opinion

if TYPE_CHECKING:
    from agent.nodes import Machine

SEEDS = 1000
"""Distance between the seeds of trajectories."""
CHOICE_SHARE = 0.6
"""Share of the verifier's evidence that its choice has; the others share the rest. A choice of
caution: a verifier is right more often than the majority in print, and was never measured here."""
STARTS = (
    "everything gathered so far",
    "the photo alone",
    "what is written in it",
    "its look-alikes",
)
KEPT: tuple[frozenset[str], ...] = (
    frozenset({"*"}),
    frozenset(),
    frozenset({"read_text", "use_hint"}),
    frozenset({"search_similar_photos", "search_places"}),
)
"""The primed calls each trajectory begins with, by tool; `*` is all, and the prior with them."""
CHOICE_SCHEMA: dict[str, JsonValue] = {
    "title": "choice",
    "type": "object",
    "properties": {
        "choice": {"type": "integer", "minimum": 1, "maximum": len(STARTS)},
        "reason": {"type": "string", "maxLength": 400},
    },
    "required": ["choice", "reason"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Conclusion:
    """How one trajectory ended."""

    number: int
    state: State
    point: tuple[float, float] | None
    text: str


def explore(machine: "Machine", state: State) -> dict[str, Any]:
    """Return what the trajectories and their judge add to the state."""
    began = time.monotonic()
    count = machine.trajectories
    with ThreadPoolExecutor(max_workers=count) as pool:
        running = [
            pool.submit(copy_context().run, _trajectory, machine, state, number)
            for number in range(count)
        ]
        ended = [future.result() for future in running]
    return _pooled(machine, state, ended, began)


def _trajectory(machine: "Machine", state: State, number: int) -> Conclusion:
    """Run one loop from its own start."""
    from agent.graph import compile_loop

    assert machine.asker is not None
    left = left_of(machine.budget, state["spent"])
    share = Budget(
        steps=max(1, machine.budget.steps),
        tool_calls=max(1, left.tool_calls // machine.trajectories),
        tokens=max(1, left.tokens // machine.trajectories),
        seconds=max(1.0, left.seconds),
    )
    driver = ModelDriver(machine.asker, machine.tools, SEEDS * number)
    alone = replace(machine, driver=driver, budget=share, fallback=None, trajectories=1)
    begun: State = {**state, "messages": _start(state, number), "spent": Spent()}
    announce("trajectory", {"number": number + 1, "start": STARTS[number]})
    here, step = copy_context(), get_config()["metadata"].get("langgraph_step", 0)
    TRAJECTORY.set(number + 1)  # in this copy of the context alone

    def numbered(kind: EventKind, data: dict[str, JsonValue]) -> None:
        if kind == "node":  # its steps are no checkpoints of the session: all belong to this one
            data = {**data, "step": step}
        here.copy().run(announce, kind, {**data, "trajectory": number + 1})

    with listening(numbered):
        ended = cast(State, compile_loop(alone).invoke(begun, _alone(share)))
    return _concluded(machine, state, ended, number)


def _alone(budget: Budget) -> RunnableConfig:
    """Return the config of a loop that keeps no checkpoints.

    A session's durability would be handed on to it, and LangGraph would wait for the first one.
    """
    from agent.graph import run_config

    return {**run_config(budget.steps), "configurable": {"__pregel_durability": "async"}}


def _start(state: State, number: int) -> list[AnyMessage]:
    """Return the conversation that a trajectory begins with."""
    kept, messages = KEPT[number], of_this_run(state["messages"])
    if "*" in kept:
        return messages
    started = [next(message for message in messages if is_opening(message))]
    for message in messages:
        if isinstance(message, AIMessage) and message.tool_calls:
            calls = [call for call in message.tool_calls if call["name"] in kept]
            if calls:
                started.append(AIMessage("", tool_calls=calls))
        elif isinstance(message, ToolMessage) and message.name in kept:
            started.append(message)
    return started


def _concluded(machine: "Machine", before: State, ended: State, number: int) -> Conclusion:
    """Sum a trajectory up for the judge."""
    own = [item for item in ended["evidence"] if item not in before["evidence"]]
    named = [c for item in reversed(own) if item.tool == "commit_location" for c in item.candidates]
    belief = ended["belief"]
    point = (named[0].latitude, named[0].longitude) if named else None
    if point is None and belief is not None and belief.status != "undetermined":
        point = belief.latitude, belief.longitude
    where = f"{point[0]:.4f}, {point[1]:.4f}" if point else "cannot tell"
    found = "; ".join(f"{item.id} {item.summary[:160]}" for item in own if item.weight > 0)
    why = ended["reason"] or ended["stopped_because"] or ended["failed"]
    text = f"{number + 1}. {where}. Why: {why[:300]!r}. Its evidence: {found[:1200] or 'none'}"
    return Conclusion(number + 1, ended, point, text)


def _pooled(
    machine: "Machine", state: State, ended: Sequence[Conclusion], began: float
) -> dict[str, Any]:
    """Pool what was found, ask the judge, and return the update of the state."""
    steps, held = _found(state, ended)
    spent = state["spent"]
    for one in ended:
        used = one.state["spent"]
        spent = spent.plus(tool_calls=used.tool_calls, tokens=used.tokens)
    spent = spent.plus(steps=max(one.state["spent"].steps for one in ended))
    judged, choice, tokens = _judge(
        machine, state, ended, held, len(state["steps"]) + len(steps) + 1
    )
    new = [*held[len(state["evidence"]) :], *judged]
    belief = machine.summary([*held, *judged]) if new else state["belief"]
    chosen = _number_of(choice)
    for one in ended:
        announce("trajectory", _summed_up(one, choice))
    failures = [one.state["failed"] for one in ended]
    reasons = {one.number: one.state["reason"] for one in ended if one.state["reason"]}
    committed = any(one.state["committed"] for one in ended)
    return {
        "evidence": new,
        "rejected": [
            item for one in ended for item in one.state["rejected"][len(state["rejected"]) :]
        ],
        "steps": [*steps, *([choice] if choice else [])],
        "belief": belief,
        "spent": spent.plus(tokens=tokens, seconds=time.monotonic() - began),
        "failed": failures[0] if all(failures) else "",
        "committed": committed,
        "undetermined": all(one.state["undetermined"] for one in ended),
        "reason": reasons.get(chosen, next(iter(reasons.values()), "")),
        "stopped_because": "committed" if committed else ended[0].state["stopped_because"],
    }


def _found(state: State, ended: Sequence[Conclusion]) -> tuple[list[Step], list[Evidence]]:
    """Return the steps of all trajectories, numbered on, and all evidence there is now.

    Models number their calls alike in each conversation: ids that are taken are told apart, and
    evidence follows its call.
    """
    known = {step.call_id for step in state["steps"]}
    steps: list[Step] = []
    held: list[Evidence] = list(state["evidence"])
    for one in ended:
        renamed: dict[str, str] = {}
        for step in one.state["steps"][len(state["steps"]) :]:
            if step.call_id in known:
                renamed[step.call_id] = f"{step.call_id}-{one.number}"
            call_id = renamed.get(step.call_id, step.call_id)
            known.add(call_id)
            number = len(state["steps"]) + len(steps) + 1
            told = {"number": number, "call_id": call_id, "trajectory": one.number}
            steps.append(step.model_copy(update=told))
        own = one.state["evidence"][len(state["evidence"]) :]
        held = merge_evidence(held, [_signed(item, renamed) for item in own])
    return steps, held


def _signed(item: Evidence, renamed: dict[str, str]) -> Evidence:
    call_id = renamed.get(item.call_id)
    return item.model_copy(update={"call_id": call_id}) if call_id else item


def _number_of(choice: Step | None) -> int:
    """Return the number of the trajectory that the verifier chose; 0 without one."""
    return int(str(choice.data["choice"])) if choice else 0


def _summed_up(one: Conclusion, choice: Step | None) -> dict[str, JsonValue]:
    """Return how a trajectory ended, as `agent.model_use.TrajectoryEnd`."""
    why = driver_reason(one.state) or one.state["failed"] or one.state["stopped_because"]
    latitude, longitude = one.point or (None, None)
    chosen = _number_of(choice) == one.number
    return {
        "number": one.number,
        "start": STARTS[one.number - 1],
        "latitude": latitude,
        "longitude": longitude,
        "why": printable(" ".join(why.split()), 300),
        "chosen": chosen,
        "verdict": printable(str(choice.data["reason"]), 300) if choice and chosen else "",
    }


def _judge(
    machine: "Machine",
    state: State,
    ended: Sequence[Conclusion],
    held: Sequence[Evidence],
    number: int,
) -> tuple[list[Evidence], Step | None, int]:
    """Have the model choose among the conclusions that name a place."""
    assert machine.asker is not None
    told = [one for one in ended if one.point is not None]
    if len(told) < 2:
        return [], None, 0
    belief = machine.summary(held)
    text = prompts.load("verifier").render(
        trajectories="\n".join(one.text for one in ended), belief=belief_text(belief)
    )
    shown = {"type": "photo", "photo_id": state["photo_id"], "caption": "the photo to locate"}
    try:
        reply = machine.asker.ask(
            "verifier",
            [HumanMessage([shown, {"type": "text", "text": text}])],
            schema=CHOICE_SCHEMA,
            named=("system", "verifier"),
            temperature=0.0,
        )
    except ModelUnavailableError as error:
        announce("notice", {"text": f"no verifier: {error}"[:500]})
        return [], None, 0
    choice, reason = _choice(reply.text, {one.number for one in told})
    tokens = reply.tokens_in + reply.tokens_out
    if choice is None:
        detail = {"kind": "no-choice", "detail": reply.text[:200], "action": "rejected"}
        announce("malformed", {"purpose": "verifier", **detail})
        return [], None, tokens
    return *_chosen(machine.asker, told, choice, reason, number), tokens


def _chosen(
    asker: Asker, told: Sequence[Conclusion], choice: int, reason: str, number: int
) -> tuple[list[Evidence], Step]:
    others = (1 - CHOICE_SHARE) / (len(told) - 1)
    ordered = sorted(told, key=lambda one: one.number != choice)
    call_id = short_id(["verifier", number], prefix="c")
    candidates = []
    for rank, one in enumerate(ordered, start=1):
        assert one.point is not None
        candidate = opinion("verifier", "", *one.point, source=asker.name).candidates[0]
        share = CHOICE_SHARE if rank == 1 else others
        label = f"conclusion of trajectory {one.number}"
        told_as = {"score": share, "rank": rank, "label": label}
        candidates.append(candidate.model_copy(update=told_as))
    best = candidates[0]
    summary = (
        f"Of {len(told)} investigations the model finds number {choice} supported best: "
        f"{best.latitude:.4f}, {best.longitude:.4f}."
    )
    base = opinion("verifier", summary, best.latitude, best.longitude, weight=asker.settings.weight)
    evidence = base.model_copy(update={"candidates": tuple(candidates), "call_id": call_id})
    conclusions: list[JsonValue] = [one.text for one in told]
    step = Step(
        number=number,
        call_id=call_id,
        tool="verifier",
        arguments={"conclusions": conclusions},
        text=summary,
        outcome="ok",
        seconds=0.0,
        evidence_ids=(evidence.id,),
        data={"choice": choice, "reason": reason},
    )
    announce("tool_result", step.model_dump(mode="json"))
    announce("evidence", {"id": evidence.id, **evidence.model_dump(mode="json")})
    return [evidence], step


def _choice(text: str, known: set[int]) -> tuple[int | None, str]:
    """Read the judge's choice; None where it names no conclusion there is."""
    try:
        found = read_json(text, max(text.find("{"), 0)).value
    except LooseJsonError:
        return None, ""
    if not isinstance(found, dict):
        return None, ""
    choice = found.get("choice")
    if isinstance(choice, str) and choice.strip().isdecimal():
        choice = int(choice[:3])
    if isinstance(choice, int) and choice in known:
        return choice, str(found.get("reason", ""))[:400]
    return None, ""
