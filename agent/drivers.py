"""Drivers: who decides the next tool calls.

A driver sees the state and answers with a `Decision`; the `pipeline` driver (`agent.pipeline`)
needs no model, `ModelDriver` asks one. What a model says is read by `agent.repair` and
`agent.replies` before anything follows from it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from pydantic import JsonValue

import prompts
from agent.asker import Asker
from agent.asking import Problem
from agent.budget import Left
from agent.calls import announce
from agent.dependence import adopted
from agent.repair import read_calls
from agent.replies import read_guess
from agent.state import State
from agent.turns import COMMIT, of_this_run
from agent.words import belief_text, evidence_text
from tools.evidence import Evidence, Rejection
from tools.opinion import opinion


@dataclass(frozen=True)
class Decision:
    """What a driver decided.

    Attributes:
        message: its tool calls are run; without any it is asked again.
        problems: what was wrong with the reply it was read from.
        evidence: coordinates that the reply states outside a tool call.
        tokens: that were spent on it.
    """

    message: AIMessage
    problems: tuple[Problem, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    tokens: int = 0


class Driver(Protocol):
    """Decides the next tool calls from the state alone."""

    name: str
    converses: bool
    """Whether it reads the messages of the state, and is told about budget and belief there."""

    def decide(self, state: State, left: Left) -> Decision:
        """Return the next tool calls.

        Args:
            state: the whole state; a driver never changes it.
            left: what is left of the budget.

        Raises:
            ModelUnavailableError: nobody answers.
        """
        ...


class ToldDriver:
    """A driver that only its maker knows: it announces what it decides, for the trace.

    What the other drivers decide follows from the state and from the model's replies.
    """

    def __init__(self, driver: Driver) -> None:
        self.name, self.converses, self._driver = driver.name, driver.converses, driver

    def decide(self, state: State, left: Left) -> Decision:
        """Return what the driver decides."""
        made = self._driver.decide(state, left)
        calls = [
            {"id": c["id"], "name": c["name"], "args": c["args"]} for c in made.message.tool_calls
        ]
        told: dict[str, JsonValue] = {
            "driver": self.name,
            "text": made.message.text,
            "calls": json.loads(json.dumps(calls, default=str)),
            "problems": [one.model_dump(mode="json") for one in made.problems],
            "evidence": [one.model_dump(mode="json") for one in made.evidence],
            "rejected": [one.model_dump(mode="json") for one in made.rejected],
            "tokens": made.tokens,
        }
        announce("decision", told)
        return made


class ModelDriver:
    """A chat model that calls tools, turn by turn.

    Args:
        asker: asks the model.
        tools: it may call.
        seed_offset: added to the seed: trajectories of one run differ by it.
    """

    converses = True

    def __init__(self, asker: Asker, tools: Sequence[BaseTool], seed_offset: int = 0) -> None:
        self.name = asker.name
        self._asker, self._tools, self._seed_offset = asker, tuple(tools), seed_offset

    def decide(self, state: State, left: Left) -> Decision:
        """Ask the model; on the last turn only for a commit."""
        last = left.steps <= 1
        messages: list[AnyMessage] = of_this_run(state["messages"])
        tools, named = self._tools, ["system"]
        if last:
            tools = tuple(tool for tool in tools if tool.name == COMMIT)
            messages.append(HumanMessage(_last_words(state, left)))
            named.append("commit")
        purpose = "commit" if last else "decide"
        reply = self._asker.ask(
            purpose,
            messages,
            tools=tools,
            named=named,
            seed_offset=self._seed_offset + state["spent"].steps,
            timeout_s=left.seconds,
        )
        read = read_calls(
            reply.message,
            tools,
            finish=reply.finish,
            photo_id=state["photo_id"],
            taken=[m.tool_call_id for m in state["messages"] if isinstance(m, ToolMessage)],
        )
        tokens = reply.tokens_in + reply.tokens_out
        _tell(purpose, read.problems)
        # A new message: what a provider leaves in its own is not kept in the state.
        # Its id stays, so that who streamed its tokens knows it again; unless it is another's.
        known = {one.id for one in state["messages"]}
        own = None if reply.message.id in known else reply.message.id
        message = AIMessage(content=read.text, tool_calls=list(read.calls), id=own)
        if read.calls or not read.text:
            return Decision(message, read.problems, tokens=tokens)
        said, rejected, problems = _stated(read.text, read.problems, self._asker)
        evidence = tuple(adopted(one, state["evidence"]) for one in said)
        _tell(purpose, problems)
        return Decision(message, (*read.problems, *problems), evidence, rejected, tokens)


def _last_words(state: State, left: Left) -> str:
    return prompts.load("commit").render(
        evidence=evidence_text(state["evidence"]),
        belief=belief_text(state["belief"]),
        budget=left.text,
    )


def _tell(purpose: str, problems: Sequence[Problem]) -> None:
    for problem in problems:
        announce("malformed", {"purpose": purpose, **problem.model_dump(mode="json")})


def _stated(
    text: str, known: Sequence[Problem], asker: Asker
) -> tuple[tuple[Evidence, ...], tuple[Rejection, ...], tuple[Problem, ...]]:
    """Read a coordinate that a model states in words instead of calling a tool."""
    found = read_guess(text)
    guess = found.guess
    kinds = {problem.kind for problem in known}
    problems = [p for p in found.problems if p.action == "rejected" and p.kind not in kinds]
    if guess is None or guess.latitude is None or guess.longitude is None:
        if not problems and not known:
            detail = f"words alone, no tool is called: {text[:120]!r}"
            problems = [Problem(kind="no-call", detail=detail, action="answered")]
        return (), found.rejected, tuple(problems)
    said = Problem(
        kind="coordinate-in-words",
        detail=f"{guess.latitude:.4f}, {guess.longitude:.4f} stated without a tool call",
        action="repaired",
    )
    evidence = opinion(
        "decide",
        f"The model states {guess.latitude:.4f}, {guess.longitude:.4f}.",
        guess.latitude,
        guess.longitude,
        radius_km=guess.radius_km,
        label=guess.place,
        source=asker.name,
        weight=asker.settings.weight,
    )
    return (evidence,), found.rejected, (*problems, said)
