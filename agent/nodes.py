"""The nodes of the state machine: observe, decide, act, conclude.

Nodes write nothing but state; what happens is announced on LangGraph's custom stream as
`{"kind", "data"}`, which the caller turns into the trace.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.tools import BaseTool

import prompts
from agent.belief import Belief, believe, summarise
from agent.budget import Budget, Spent, exhausted, remaining_text
from agent.calls import announce, announce_findings, load_libraries, run_calls
from agent.conclude import conclude_answer
from agent.drivers import Driver
from agent.images import image_in_messages
from agent.state import InputState, State
from geo.errors import GeolocationError, InputError
from tools.evidence import Evidence
from tools.workbench import Workbench

PRIOR_POPULATION = 5_000
"""Settlements at least this large support the prior."""


@dataclass(frozen=True)
class Machine:
    """The nodes and what they share: workbench, tools, driver, budget."""

    bench: Workbench
    tools: Sequence[BaseTool]
    driver: Driver
    budget: Budget

    def observe(self, state: InputState) -> dict[str, Any]:
        """Open the photo, set up the state and write the first message."""
        began = time.monotonic()
        photo_id = state.get("photo_id") or self._photo_from(state.get("messages", []))
        photo = self.bench.photos.get(photo_id)
        load_libraries()
        encoder = self._encoder()
        prompt = prompts.load("observe")
        text = prompt.render(
            photo_id=photo.id,
            width=photo.width,
            height=photo.height,
            galleries=", ".join(gallery.name for gallery in self.bench.galleries) or "none",
            hint=state.get("hint") or "none",
            budget=remaining_text(self.budget, Spent()),
        )
        announce(
            "photo",
            {
                "photo_id": photo.id,
                "name": photo.name,
                "width": photo.width,
                "height": photo.height,
                "driver": self.driver.name,
                "encoder": dict(encoder),
                "prompt_sha256": prompt.sha256,
                "budget": self.budget.model_dump(mode="json"),
            },
        )
        return {
            "photo_id": photo.id,
            "hint": state.get("hint", ""),
            "trust_metadata": state.get("trust_metadata", False),
            "messages": [HumanMessage(text)],
            "encoder": encoder,
            "evidence": [],
            "rejected": [],
            "steps": [],
            "belief": None,
            "spent": Spent(seconds=time.monotonic() - began),
            "committed": False,
            "undetermined": False,
            "stopped_because": "",
            "answer": None,
        }

    def decide(self, state: State) -> dict[str, Any]:
        """Ask the driver for the next tool calls, unless the budget is spent."""
        if reason := exhausted(self.budget, state["spent"]):
            announce("budget", {"exhausted": reason})
            return {"stopped_because": reason}
        began = time.monotonic()
        message = self.driver.decide(state, remaining_text(self.budget, state["spent"]))
        used = message.usage_metadata["total_tokens"] if message.usage_metadata else 0
        seconds = time.monotonic() - began
        if not message.tool_calls:
            nudge = HumanMessage("Call a tool, or finish with commit_location.")
            spent = state["spent"].plus(steps=1, tokens=used, seconds=seconds)
            return {"messages": [message, nudge], "spent": spent}
        return {
            "messages": [message],
            "spent": state["spent"].plus(steps=1, tokens=used, seconds=seconds),
        }

    def act(self, state: State) -> dict[str, Any]:
        """Run the tool calls in parallel, turn results into evidence, recompute belief."""
        began = time.monotonic()
        message = state["messages"][-1]
        assert isinstance(message, AIMessage)
        allowed = self.budget.tool_calls - state["spent"].tool_calls
        calls, beyond = message.tool_calls[:allowed], message.tool_calls[allowed:]
        results = run_calls(calls, self.tools, state)
        steps = [step for step, _ in results]
        outcomes = [outcome for _, outcome in results]
        evidence = [item for outcome in outcomes for item in outcome.evidence]
        rejected = [item for outcome in outcomes for item in outcome.rejected]
        announce_findings(evidence, [item.model_dump(mode="json") for item in rejected])
        summary = state["belief"]
        if evidence:
            held = [*state["evidence"], *evidence]
            summary = summarise(self._believe(held))
            announce("belief", summary.model_dump(mode="json"))
        committed = next(
            (s for s in steps if s.tool == "commit_location" and s.outcome == "ok"), None
        )
        return {
            "messages": [
                *(ToolMessage(s.text, tool_call_id=s.call_id, name=s.tool) for s in steps),
                *(_not_run(call, self.budget) for call in beyond),
            ],
            "steps": steps,
            "evidence": evidence,
            "rejected": rejected,
            "belief": summary,
            "spent": state["spent"].plus(tool_calls=len(calls), seconds=time.monotonic() - began),
            "committed": committed is not None,
            "undetermined": bool(committed and committed.data.get("undetermined")),
            "stopped_because": "committed" if committed else "",
        }

    def conclude(self, state: State) -> dict[str, Any]:
        """Compute the answer from belief."""
        began = time.monotonic()
        answer = conclude_answer(state, self._believe(state["evidence"]), self.bench)
        spent = state["spent"].plus(seconds=time.monotonic() - began)
        budget = {key: float(value) for key, value in spent.model_dump().items()}
        answer = answer.model_copy(update={"seconds": spent.seconds, "budget_spent": budget})
        return {"answer": answer, "spent": spent}

    def _encoder(self) -> dict[str, str]:
        """Load the encoder in this one thread; without it, its evidence will be missing."""
        try:
            encoder = self.bench.encoder
            card = encoder.card if encoder else None  # a service is asked for it now
        except GeolocationError as error:
            return {"unavailable": str(error)}
        return {"name": card.name, "fingerprint": card.fingerprint} if card else {}

    def _believe(self, evidence: Sequence[Evidence]) -> Belief:
        return believe(evidence, self.bench.gazetteer.settlements(PRIOR_POPULATION))

    def _photo_from(self, messages: Sequence[AnyMessage]) -> str:
        if (image := image_in_messages(messages)) is None:
            raise InputError("no photo: give `photo_id`, or a message with an image in it")
        return self.bench.photos.add(image).id


def _not_run(call: ToolCall, budget: Budget) -> ToolMessage:
    text = f"Not run: the budget of {budget.tool_calls} tool calls is spent."
    return ToolMessage(text, tool_call_id=call["id"] or "", name=call["name"])
