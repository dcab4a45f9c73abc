"""Running tool calls: in parallel, each mishap in its place, evidence signed with its call."""

import importlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any, Literal

from langchain_core.messages import ToolCall
from langchain_core.tools import BaseTool
from pydantic import BaseModel, JsonValue, ValidationError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from agent.answer import Step
from agent.dependence import adopted
from agent.listening import tell
from agent.model_use import hear, in_order
from agent.state import State, spoken
from agent.text_lines import line_asked
from agent.trace import EventKind
from geo.errors import GeolocationError, UnavailableError
from tools.evidence import Box, Evidence, ToolError, ToolOutcome
from tools.opinion import GROUP
from tools.photos import TRUSTED_WEIGHT

ATTEMPTS = 3
UNAVAILABLE = "Unavailable, so this evidence is missing: "
"""Before the reason, in the text of a call that found nobody to answer it."""
RunCalls = Callable[
    [Sequence[ToolCall], Sequence[BaseTool], State, float | None, int],
    list[tuple[Step, ToolOutcome]],
]
"""Runs tool calls, as `run_calls` does; a replay answers them from the record instead."""
_INSIDE: ContextVar[str] = ContextVar("inside", default="")
"""Id of the tool call that runs here; models may be asked inside of one."""
ASKING = frozenset({"model_call", "model_reply", "model_error", "retry", "malformed", "notice"})
SHARED_LIBRARIES = (
    "cv2", "shapely", "shapely.geometry", "pyproj", "scipy.spatial", "sklearn.cluster",
)  # fmt: skip


def run_calls(
    calls: Sequence[ToolCall],
    tools: Sequence[BaseTool],
    state: State,
    model_weight: float | None = None,
    turn: int = 0,
) -> list[tuple[Step, ToolOutcome]]:
    """Run the calls, all but the first in threads; results come in the order of the calls.

    Args:
        calls: each with an id.
        tools: that there are.
        state: before the calls.
        model_weight: of coordinates that the driver names itself; None leaves the tool's.
        turn: of the driver who asked for them; 0 where the recipe did.
    """
    if not calls:
        return []
    first = len(state["steps"]) + 1
    for call in calls:
        announce("tool_call", {"id": call["id"], "tool": call["name"], "args": call["args"]})

    def run(index: int) -> tuple[Step, ToolOutcome]:
        done = _call(calls[index], tools, first + index, state, model_weight, turn)
        rejected: list[JsonValue] = [one.model_dump(mode="json") for one in done[1].rejected]
        announce("tool_result", {**done[0].model_dump(mode="json"), "rejected": rejected})
        return done

    if len(calls) == 1:  # no thread is worth its start
        return [run(0)]
    with ThreadPoolExecutor(max_workers=len(calls) - 1) as pool:
        others = [pool.submit(copy_context().run, run, index) for index in range(1, len(calls))]
        return [run(0), *(other.result() for other in others)]


def _call(
    call: ToolCall,
    tools: Sequence[BaseTool],
    number: int,
    state: State,
    model_weight: float | None,
    turn: int,
) -> tuple[Step, ToolOutcome]:
    """Run one call. A refusal goes back to the driver, an outage is missing evidence."""
    began = time.monotonic()
    outcome = ToolOutcome()
    within = _INSIDE.set(call["id"] or "")
    status: Literal["ok", "refused", "unavailable"] = "ok"
    try:
        text, outcome = _invoke(call, tools, state, model_weight)
    except ToolError as error:
        text, status = f"Refused: {error}", "refused"
    except GeolocationError as error:
        text, status = f"{UNAVAILABLE}{error}", "unavailable"
    finally:
        _INSIDE.reset(within)
    step = Step(
        number=number,
        call_id=call["id"] or "",
        tool=call["name"],
        arguments=call["args"],
        text=text,
        outcome=status,
        seconds=round(time.monotonic() - began, 4),
        evidence_ids=tuple(item.id for item in outcome.evidence),
        pictures=outcome.pictures,
        data=outcome.data,
        turn=turn,
        revision=state["revision"] + 1,
    )
    return step, outcome


def _invoke(
    call: ToolCall, tools: Sequence[BaseTool], state: State, model_weight: float | None
) -> tuple[str, ToolOutcome]:
    tool = next((tool for tool in tools if tool.name == call["name"]), None)
    if tool is None:
        known = ", ".join(sorted(tool.name for tool in tools))
        raise ToolError(f"there is no tool {call['name']!r}; choose from {known}")
    _refuse_wrong_arguments(tool, call["args"])
    if call["name"] == "commit_location":
        _refuse_unknown_evidence(call["args"].get("evidence_ids"), state["evidence"])
    if call["name"] == "use_hint":
        _refuse_unsaid(str(call["args"]["hint"]), state)
    retrying = Retrying(
        retry=retry_if_exception(_passes_by_itself),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=0.2, max=2),
        reraise=True,
    )
    message = retrying(tool.invoke, {**call, "type": "tool_call"})
    outcome: ToolOutcome = message.artifact
    box = box_of_text(call, outcome, state["steps"])
    adopted = tuple(_adopt(item, call, state, box, model_weight) for item in outcome.evidence)
    return str(message.content), outcome.model_copy(update={"evidence": adopted})


def _adopt(
    item: Evidence, call: ToolCall, state: State, box: Box | None, model_weight: float | None
) -> Evidence:
    """Sign evidence with its call and place, and weigh claims as the user's settings say."""
    update: dict[str, Any] = {"call_id": call["id"] or "", "box": item.box or box}
    if item.kind == "metadata" and state.get("trust_metadata"):
        update["weight"] = TRUSTED_WEIGHT
    if item.group == GROUP and model_weight is not None:
        update["weight"] = model_weight
    return adopted(item.model_copy(update=update), state["evidence"])


def box_of_text(call: ToolCall, outcome: ToolOutcome, steps: Sequence[Step]) -> Box | None:
    """Return where in a photo the text that a call asked about was read, if it was read there."""
    read = [(step.tool, step.arguments, step.data) for step in steps]
    line = line_asked(call["args"], outcome.data, read)
    return Box.model_validate(line.box) if line is not None and line.box else None


def load_libraries() -> None:
    """Import what tools share, in this one thread.

    Left to the tools, two threads would import them at once, and packages that import
    themselves in circles (shapely does) then fail.
    """
    for name in SHARED_LIBRARIES:
        importlib.import_module(name)


def announce(kind: EventKind, data: dict[str, JsonValue]) -> None:
    """Tell whoever listens of an event; nobody there is fine."""
    if kind in ASKING and (inside := _INSIDE.get()):
        data = {"inside": inside, **data}
    with in_order():
        hear(kind, data)
        tell(kind, data)


def announce_findings(evidence: Sequence[Evidence], rejected: Sequence[dict[str, Any]]) -> None:
    """Announce new evidence and rejections."""
    for item in evidence:
        announce("evidence", {"id": item.id, **item.model_dump(mode="json")})
    for rejection in rejected:
        announce("rejection", rejection)


def _passes_by_itself(error: BaseException) -> bool:
    return isinstance(error, UnavailableError) and error.retryable


def _refuse_wrong_arguments(tool: BaseTool, arguments: dict[str, Any]) -> None:
    """Check arguments before the call, so that a tool's own faulty data is not blamed on them."""
    schema = tool.args_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        try:
            schema.model_validate(arguments)
        except ValidationError as error:
            raise ToolError(_validation_text(error)) from error


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


def _refuse_unsaid(hint: str, state: State) -> None:
    """Take for a hint only what a person said: a model's own idea weighs as its own."""
    replies = (step.data.get("reply") for step in state["steps"] if step.tool == "ask_analyst")
    said = [state.get("hint", ""), *(reply for reply in replies if isinstance(reply, str))]
    said += spoken(state["messages"])
    words = " ".join(hint.split()).casefold()
    if not any(words in " ".join(one.split()).casefold() for one in said):
        given = f"the hint is {said[0]!r:.100}" if said[0] else "there is no hint"
        raise ToolError(
            f"nobody said {hint!r:.80}: {given}; give its words, and what you think yourself with "
            "commit_location"
        )
