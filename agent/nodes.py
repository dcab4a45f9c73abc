"""The nodes of the state machine: observe, decide, act, conclude.

Nodes write nothing but state; what happens is announced on LangGraph's custom stream as
`{"kind", "data"}`, which the caller turns into the trace.
"""

import importlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.config import get_stream_writer
from pydantic import JsonValue, ValidationError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

import prompts
from agent.answer import Step
from agent.belief import Belief, believe, summarise
from agent.budget import Budget, Spent, exhausted, remaining_text
from agent.conclude import conclude_answer
from agent.drivers import Driver
from agent.images import image_in_messages
from agent.state import InputState, State
from agent.trace import EventKind
from geo.errors import InputError, UnavailableError
from tools.evidence import Box, Evidence, ToolError, ToolOutcome
from tools.photos import TRUSTED_WEIGHT
from tools.workbench import Workbench

PRIOR_POPULATION = 5_000
"""Settlements at least this large support the prior."""
ATTEMPTS = 3
SHARED_LIBRARIES = (
    "cv2",
    "shapely",
    "shapely.geometry",
    "pyproj",
    "scipy.spatial",
    "sklearn.cluster",
)


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
                "prompt_sha256": prompt.sha256,
                "budget": self.budget.model_dump(mode="json"),
            },
        )
        return {
            "photo_id": photo.id,
            "hint": state.get("hint", ""),
            "trust_metadata": state.get("trust_metadata", False),
            "messages": [HumanMessage(text)],
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
        results = self._run(calls, state)
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

    def _believe(self, evidence: Sequence[Evidence]) -> Belief:
        return believe(evidence, self.bench.gazetteer.settlements(PRIOR_POPULATION))

    def _photo_from(self, messages: Sequence[AnyMessage]) -> str:
        if (image := image_in_messages(messages)) is None:
            raise InputError("no photo: give `photo_id`, or a message with an image in it")
        return self.bench.photos.add(image).id

    def _run(self, calls: Sequence[ToolCall], state: State) -> list[tuple[Step, ToolOutcome]]:
        """Run the calls in threads; results come back in the order of the calls."""
        first = len(state["steps"]) + 1
        for call in calls:
            announce("tool_call", {"id": call["id"], "tool": call["name"], "args": call["args"]})
        done: dict[int, tuple[Step, ToolOutcome]] = {}
        with ThreadPoolExecutor(max_workers=max(1, len(calls))) as pool:
            running = {
                pool.submit(copy_context().run, self._call, call, first + index, state): index
                for index, call in enumerate(calls)
            }
            for future in as_completed(running):
                step, outcome = future.result()
                done[running[future]] = (step, outcome)
                announce("tool_result", step.model_dump(mode="json"))
        return [done[index] for index in range(len(calls))]

    def _call(self, call: ToolCall, number: int, state: State) -> tuple[Step, ToolOutcome]:
        """Run one call. A refusal goes back to the driver, an outage is missing evidence."""
        began = time.monotonic()
        outcome = ToolOutcome()
        status = "ok"
        try:
            text, outcome = self._invoke(call, state)
        except ToolError as error:
            text, status = f"Refused: {error}", "refused"
        except ValidationError as error:
            text, status = f"Refused: {_validation_text(error)}", "refused"
        except UnavailableError as error:
            text, status = f"Unavailable, so this evidence is missing: {error}", "unavailable"
        step = Step(
            number=number,
            call_id=call["id"] or "",
            tool=call["name"],
            arguments=call["args"],
            text=text,
            outcome="ok" if status == "ok" else "refused" if status == "refused" else "unavailable",
            seconds=round(time.monotonic() - began, 4),
            evidence_ids=tuple(item.id for item in outcome.evidence),
            pictures=outcome.pictures,
            data=outcome.data,
        )
        return step, outcome

    def _invoke(self, call: ToolCall, state: State) -> tuple[str, ToolOutcome]:
        tool = next((tool for tool in self.tools if tool.name == call["name"]), None)
        if tool is None:
            known = ", ".join(sorted(tool.name for tool in self.tools))
            raise ToolError(f"there is no tool {call['name']!r}; choose from {known}")
        if call["name"] == "commit_location":
            _refuse_unknown_evidence(call["args"].get("evidence_ids"), state["evidence"])
        retrying = Retrying(
            retry=retry_if_exception(_passes_by_itself),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.2, max=2),
            reraise=True,
        )
        message = retrying(tool.invoke, {**call, "type": "tool_call"})
        outcome: ToolOutcome = message.artifact
        box = box_of_text(call, outcome, state["steps"])
        adopted = tuple(self._adopt(item, call, state, box) for item in outcome.evidence)
        return str(message.content), outcome.model_copy(update={"evidence": adopted})

    def _adopt(self, item: Evidence, call: ToolCall, state: State, box: Box | None) -> Evidence:
        """Sign evidence with its call and place, and weigh metadata if the user trusts it."""
        update: dict[str, Any] = {"call_id": call["id"] or "", "box": item.box or box}
        if item.kind == "metadata" and state.get("trust_metadata"):
            update["weight"] = TRUSTED_WEIGHT
        return item.model_copy(update=update)


def box_of_text(call: ToolCall, outcome: ToolOutcome, steps: Sequence[Step]) -> Box | None:
    """Return where in the photo the text that a call asked about was read, if it was read there.

    Of several lines it is the one that the tool names first as a clue, else the first asked for.
    """
    clues = outcome.data.get("clues")
    clues = clues if isinstance(clues, list) else []
    named = [clue.get("text") for clue in clues if isinstance(clue, dict)]
    asked = [*named, call["args"].get("name"), *(call["args"].get("texts") or ())]
    boxes = {
        line["text"]: line["box"]
        for step in steps
        if step.tool == "read_text" and isinstance(lines := step.data.get("lines"), list)
        for line in lines
        if isinstance(line, dict)
    }
    for text in asked:
        if text in boxes:
            return Box.model_validate(boxes[text])
    return None


def load_libraries() -> None:
    """Import what tools share, in this one thread.

    Left to the tools, two threads would import them at once, and packages that import
    themselves in circles (shapely does) then fail.
    """
    for name in SHARED_LIBRARIES:
        importlib.import_module(name)


def announce(kind: EventKind, data: dict[str, JsonValue]) -> None:
    """Put an event on the custom stream; nobody listening is fine."""
    get_stream_writer()({"kind": kind, "data": data})


def announce_findings(evidence: Sequence[Evidence], rejected: Sequence[dict[str, Any]]) -> None:
    """Announce new evidence and rejections."""
    for item in evidence:
        announce("evidence", {"id": item.id, **item.model_dump(mode="json")})
    for rejection in rejected:
        announce("rejection", rejection)


def _passes_by_itself(error: BaseException) -> bool:
    return isinstance(error, UnavailableError) and error.retryable


def _not_run(call: ToolCall, budget: Budget) -> ToolMessage:
    text = f"Not run: the budget of {budget.tool_calls} tool calls is spent."
    return ToolMessage(text, tool_call_id=call["id"] or "", name=call["name"])


def _validation_text(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "arguments"
    return f"{where}={first['input']!r:.80}: {first['msg']}; correct it and call again"


def _refuse_unknown_evidence(named: object, evidence: Sequence[Evidence]) -> None:
    known = {item.id for item in evidence}
    unknown = [name for name in named if name not in known] if isinstance(named, list) else []
    if unknown:
        held = ", ".join(sorted(known)) or "none yet"
        raise ToolError(f"no evidence {unknown[0]!r:.40}; the evidence held is: {held}")
