"""The nodes of the state machine, from `observe` to `conclude`.

Nodes write nothing but state; what happens is announced on LangGraph's custom stream as
`{"kind", "data"}`, which the caller turns into the trace. What a node does not do in a recipe, it
leaves out by returning nothing.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.messages import AIMessage, ToolCall, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.types import Overwrite, interrupt
from pydantic import JsonValue, ValidationError

from agent.abstain import AnswerLoss
from agent.answer import Answer, Step
from agent.asker import Asker
from agent.asking import ModelUnavailableError, Problem
from agent.belief import EVEN, Belief, BeliefSummary, believe, summarise
from agent.budget import Budget, exhausted, left_of
from agent.calibration import Calibration
from agent.calls import RunCalls, announce, announce_findings, run_calls
from agent.conclude import conclude_answer
from agent.drivers import Decision, Driver
from agent.explore import explore
from agent.follow_up import drawn_at_first, follow_up_message, followed_up, fresh_calls
from agent.guessing import PRIOR_SCHEMA, Short, ask_short, prior_of, prior_prompt
from agent.opening import opened, tool_hashes
from agent.recipes import Recipe, find_recipe
from agent.short_answers import diversify, pool_of
from agent.state import InputState, State, counting
from agent.statements import taking_back
from agent.turns import COMMIT, REPEATED, nudge, repeats, turn_message
from agent.words import answer_text
from tools.evidence import Evidence, Rejection, ToolOutcome, short_id
from tools.workbench import Workbench

PRIOR_POPULATION = 5_000
"""Settlements at least this large support the prior of belief."""
TROUBLE = 3
"""After so many turns in a row that come to nothing, the pipeline driver takes over."""
ASK = "ask_analyst"
DECIDE = "decide"
"""Stands for the tool where the driver stated a coordinate in words."""
LONGEST_SAID = 2000
"""Letters of a driver's words that a step keeps; the trace's `model_reply` has them all."""
PIPELINE = find_recipe("pipeline", has_model=False)


@dataclass(frozen=True)
class Machine:
    """The nodes and what they share.

    Attributes:
        driver: decides in the loop.
        fallback: decides where the driver failed; None ends the loop instead.
        asker: asks the model outside the loop; None without one.
        analyst: whether a person is there to be asked.
        calibration: how far evidence can be trusted; None takes it at its word.
        loss: what answers cost.
        run_calls: runs tool calls; a replay answers them from a trace instead.
    """

    bench: Workbench
    tools: Sequence[BaseTool]
    driver: Driver
    budget: Budget
    recipe: Recipe = PIPELINE
    fallback: Driver | None = None
    asker: Asker | None = None
    analyst: bool = False
    trajectories: int = 1
    calibration: Calibration | None = None
    loss: AnswerLoss = EVEN
    run_calls: RunCalls = run_calls

    def observe(self, state: InputState) -> dict[str, Any]:
        """Open the photo, set up the state and write the first message."""
        update = opened(state, self.bench, self.budget, self.recipe, self.driver, self.tools)
        if not state.get("region"):
            return update
        begun = cast(State, {**update, "steps": [], "evidence": [], "rejected": []})
        heard = drawn_at_first(cast(State, state), begun)
        found = self._found(begun, heard.evidence, heard.rejected)
        kept = {"evidence": found["evidence"], "rejected": found["rejected"], "steps": heard.steps}
        return {**update, "belief": found["belief"]} | {k: Overwrite(v) for k, v in kept.items()}

    def follow_up(self, state: State) -> dict[str, Any]:
        """Turn what the person says after an answer into evidence, and begin a new answer."""
        update, heard = followed_up(state, self.bench, self.budget)
        after = cast(State, {**state, **update})
        found = self._found(state, heard.evidence, heard.rejected, update["withdrawn"])
        after = _merged(after, {**found, "steps": heard.steps})
        update |= {**found, "steps": heard.steps}
        if self.driver.converses:
            told, conflicts = follow_up_message(after, heard, self.budget)
            update |= {"messages": [*update["messages"], told], "conflicts": conflicts}
        return update

    def prior(self, state: State) -> dict[str, Any]:
        """Have the model guess from the photo alone; kept as evidence, never discarded."""
        if self.asker is None or not self.recipe.prior:
            return {}
        began = time.monotonic()
        photo = self.bench.photos.get(state["photo_id"])
        left = left_of(self.budget, state["spent"])
        (answered,) = ask_short(
            self.asker,
            photo,
            [prior_prompt()],
            purpose="prior",
            schema=PRIOR_SCHEMA,
            timeout_s=left.seconds,
        )
        short = prior_of(answered, self.asker, photo, self.bench, len(state["steps"]) + 1)
        update = self._told(state, short, began)
        if short.evidence:
            said = f"{short.step.text} [{short.evidence[0].id}]"
            update["messages"] = [AIMessage(said)]
        return update

    def prime(self, state: State) -> dict[str, Any]:
        """Run the tools that gather evidence before any decision, as the recipe says.

        After a follow-up, look at the pictures that came with it.
        """
        names = [tool.name for tool in self.tools]
        calls = fresh_calls(state, names) if state["fresh"] else []
        if not state["revision"]:
            calls += self._primed(state)
        return self._run(state, calls, AIMessage("", tool_calls=calls)) if calls else {}

    def decide(self, state: State) -> dict[str, Any]:
        """Ask the driver for the next tool calls, unless the budget is spent."""
        if reason := exhausted(self.budget, state["spent"]):
            announce("budget", {"exhausted": reason})
            return {"stopped_because": reason}
        began = time.monotonic()
        failed = state["failed"]
        driver = self.fallback if failed and self.fallback else self.driver
        try:
            decision = driver.decide(state, left_of(self.budget, state["spent"]))
        except ModelUnavailableError as error:
            return self._fail(state, f"model unavailable: {error}", began)
        said = _said(state, decision)
        signed = [
            item.model_copy(update={"call_id": step.call_id})
            for step in said
            for item in decision.evidence
        ]
        update = self._found(state, signed, list(decision.rejected)) | {"steps": said}
        message = decision.message
        spent = state["spent"].plus(
            steps=1, tokens=decision.tokens, seconds=time.monotonic() - began
        )
        if message.tool_calls:
            return {**update, "messages": [message], "spent": spent}
        trouble = state["trouble"] + 1
        if trouble >= TROUBLE and driver is self.driver and driver.converses:
            why = f"{driver.name} gave no usable reply {trouble} times in a row"
            return {**update, "messages": [message], **self._fail(state, why, began, spent.tokens)}
        told = nudge(decision.problems, update["evidence"])
        return {**update, "messages": [message, told], "spent": spent, "trouble": trouble}

    def ask(self, state: State) -> dict[str, Any]:
        """Ask the analyst what the driver wants to know; the session waits here."""
        from tools.ask import analyst_reply, question_payload
        from tools.said import read_words

        call = next(call for call in _calling(state).tool_calls if call["name"] == ASK)
        try:
            payload = question_payload(call)
        except ValidationError:
            return {}  # `act` refuses it with a correctable message
        text, outcome = analyst_reply(interrupt(payload), call["args"].get("options") or [])
        said = str(outcome.data.get("chosen") or outcome.data.get("reply") or "")
        found = read_words(said, self.bench).evidence if said else ()
        signed = [item.model_copy(update={"call_id": call["id"] or ""}) for item in found]
        withdrawn = list(state.get("withdrawn") or ())
        back, told = taking_back(signed, counting(state["evidence"], withdrawn))
        withdrawn = sorted({*withdrawn, *back} - {item.id for item in signed})
        step = Step(
            number=len(state["steps"]) + 1,
            call_id=call["id"] or "",
            tool=ASK,
            arguments=call["args"],
            text=" ".join([text, *told]),
            outcome="ok",
            seconds=0.0,
            evidence_ids=tuple(item.id for item in signed),
            data={**outcome.data, **({"taken_back": list[JsonValue](back)} if back else {})},
            turn=state["spent"].steps,
            revision=state["revision"] + 1,
        )
        announce("tool_result", step.model_dump(mode="json"))
        update = self._found(state, signed, [], withdrawn)
        said_so = {"messages": [_result(step)], "steps": [step], "withdrawn": withdrawn}
        return {**update, **said_so}

    def act(self, state: State) -> dict[str, Any]:
        """Run the tool calls in parallel, turn results into evidence, recompute belief."""
        message = _calling(state)
        answered = {m.tool_call_id for m in state["messages"] if isinstance(m, ToolMessage)}
        return self._run(state, [c for c in message.tool_calls if c["id"] not in answered], None)

    def explore(self, state: State) -> dict[str, Any]:
        """Run several loops of different starts in parallel, and have the model judge them."""
        assert self.asker is not None
        return explore(self, state)

    def diversify(self, state: State) -> dict[str, Any]:
        """Collect many short answers under different numbers of references."""
        if self.asker is None or self.recipe.references is None or self._spent_up(state):
            return {}
        if state["revision"]:
            return {}  # they were asked for the first answer
        began = time.monotonic()
        short = diversify(self.asker, self.bench, self.recipe, state, self.budget)
        return self._told(state, short, began)

    def verify(self, state: State) -> dict[str, Any]:
        """Score the pool of candidates in the alignment space."""
        call = pool_of(self.recipe, state, [tool.name for tool in self.tools])
        return self._run(state, [call], None, quiet=True) if call else {}

    def conclude(self, state: State) -> dict[str, Any]:
        """Compute the answer from belief, at the point that the recipe's rule picks."""
        began = time.monotonic()
        answer = conclude_answer(
            state, self.believe, self.bench, self.recipe, self.driver.name, self.loss
        )
        spent = state["spent"].plus(seconds=time.monotonic() - began)
        budget = {key: float(value) for key, value in spent.model_dump().items()}
        told = {
            "seconds": spent.seconds, "budget_spent": budget, "calibration": self.calibrated_by
        }  # fmt: skip
        answer = answer.model_copy(update={**told, **self._model_part(state, answer)})
        return {
            "answer": answer,
            "revision": answer.revision,
            "fresh": [],
            "spent": spent,
            "messages": [AIMessage(answer_text(answer))],
            # Said about this photo: the session's next one must not inherit it.
            "hint": "",
            "trust_metadata": False,
        }

    def _model_part(self, state: State, answer: Answer) -> dict[str, Any]:
        """Return what the answer says of the model; what it was told of tools is versioned, too."""
        if self.asker is None:
            return {}
        hashes = {f"tool {name}": told for name, told in tool_hashes(self.tools).items()}
        return {"model": state["use"], "versions": {**answer.versions, **hashes}}

    def _primed(self, state: State) -> list[ToolCall]:
        from agent.opening import prime_calls

        return prime_calls(self.recipe, state, [tool.name for tool in self.tools])

    def _run(
        self,
        state: State,
        calls: Sequence[ToolCall],
        message: AIMessage | None,
        *,
        quiet: bool = False,
    ) -> dict[str, Any]:
        """Run calls and return what becomes of the state.

        Args:
            state: before.
            calls: to run, as many as the budget allows.
            message: goes before the results, where no driver wrote one.
            quiet: leave the conversation as it is: no driver asked for this.
        """
        began = time.monotonic()
        allowed = left_of(self.budget, state["spent"]).tool_calls
        known = repeats(calls, state["steps"], state["revision"] + 1)
        fresh = [call for call in calls if call["id"] not in known]
        run, beyond = fresh[:allowed], fresh[allowed:]
        turn = 0 if quiet else state["spent"].steps
        results = self.run_calls(run, self.tools, state, self.weight, turn)
        steps, outcomes = [s for s, _ in results], [o for _, o in results]
        update = self._found(
            state,
            [item for outcome in outcomes for item in outcome.evidence],
            [item for outcome in outcomes for item in outcome.rejected],
        )
        committed = next((s for s in steps if s.tool == COMMIT and s.outcome == "ok"), None)
        if not quiet:
            told = [_result(step) for step in steps]
            told += [_not_run(call, self.budget) for call in beyond]
            told += [_again(call, known[call["id"] or ""]) for call in calls if call["id"] in known]
            update["messages"] = [*([message] if message else []), *told]
        # An outage is nobody's fault; refusals and repetitions are the driver's.
        idle = bool(calls) and all(step.outcome == "refused" for step in steps)
        spent = state["spent"].plus(
            tool_calls=len(run), tokens=_tokens(outcomes), seconds=time.monotonic() - began
        )
        update |= {
            "steps": steps,
            "spent": spent,
            "trouble": state["trouble"] + 1 if idle else 0,
            "committed": committed is not None,
            "undetermined": bool(committed and committed.data.get("undetermined")),
            "reason": str(committed.data.get("reason", "")) if committed else "",
            "stopped_because": "committed" if committed else "",
        }
        if not quiet and not committed and self.driver.converses and not state["failed"]:
            note, conflicts = turn_message(_merged(state, update), self.budget, steps)
            update["messages"].append(note)
            update["conflicts"] = conflicts
        if update["trouble"] >= TROUBLE and self.driver.converses and not state["failed"]:
            why = f"{self.driver.name} called nothing new {update['trouble']} times in a row"
            update |= self._fail(state, why, began, spent.tokens) | {"spent": spent}
        return update

    def _found(
        self,
        state: State,
        evidence: list[Evidence],
        rejected: list[Rejection],
        withdrawn: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Announce findings and recompute belief where there is new evidence, or less.

        Args:
            state: before.
            evidence: to be added.
            rejected: what was dropped, and why.
            withdrawn: ids of what does not count from now on; None leaves the state's.
        """
        announce_findings(evidence, [item.model_dump(mode="json") for item in rejected])
        summary: BeliefSummary | None = state["belief"]
        without = state["withdrawn"] if withdrawn is None else withdrawn
        if any(item.weight > 0 for item in evidence) or set(without) != set(state["withdrawn"]):
            summary = self.summary(counting([*state["evidence"], *evidence], without))
            stated = {"calibration": self.calibrated_by} if self.calibration else {}
            announce("belief", summary.model_dump(mode="json") | stated)
        return {"evidence": evidence, "rejected": rejected, "belief": summary}

    def _told(self, state: State, short: Short, began: float) -> dict[str, Any]:
        """Return what a set of short answers changes."""
        announce("tool_result", short.step.model_dump(mode="json"))
        update = self._found(state, list(short.evidence), list(short.rejected))
        spent = state["spent"].plus(tokens=short.tokens, seconds=time.monotonic() - began)
        return {**update, "steps": [short.step], "spent": spent}

    def _fail(self, state: State, why: str, began: float, tokens: int = 0) -> dict[str, Any]:
        """Hand over to the pipeline driver, or stop where there is none."""
        after = "; the pipeline driver goes on" if self.fallback else "; stopped here"
        announce("notice", {"text": (why + after)[:500]})
        spent = state["spent"].plus(
            steps=1, tokens=max(0, tokens - state["spent"].tokens), seconds=time.monotonic() - began
        )
        stopped = "" if self.fallback else why
        return {"failed": why, "trouble": 0, "spent": spent, "stopped_because": stopped}

    @property
    def weight(self) -> float | None:
        """How often the model's answers are taken to be right; None without one."""
        return self.asker.settings.weight if self.asker else None

    def _spent_up(self, state: State) -> bool:
        left = left_of(self.budget, state["spent"])
        ended = bool(state["failed"]) or state["undetermined"]
        return left.tokens <= 0 or left.seconds <= 0 or ended

    @property
    def calibrated_by(self) -> str:
        """Version of the calibration; empty without one."""
        return self.calibration.version if self.calibration else ""

    def believe(self, evidence: Sequence[Evidence]) -> Belief:
        """Return the belief that follows from evidence under the calibration."""
        settlements = self.bench.gazetteer.settlements(PRIOR_POPULATION)
        return believe(evidence, settlements, self.calibration)

    def summary(self, evidence: Sequence[Evidence]) -> BeliefSummary:
        """Return what drivers and the trace are told of the belief that follows from evidence."""
        belief = self.believe(evidence)
        return summarise(belief, belief.point(self.recipe.point), self.loss)


def _calling(state: State) -> AIMessage:
    """Return the last message that calls tools."""
    return next(
        message
        for message in reversed(state["messages"])
        if isinstance(message, AIMessage) and message.tool_calls
    )


def _said(state: State, decision: Decision) -> list[Step]:
    """Return what a driver stated outside a call as a step, for its evidence to name."""
    if not decision.evidence:
        return []
    turn = state["spent"].steps + 1
    step = Step(
        number=len(state["steps"]) + 1,
        call_id=short_id([decision.message.text, turn], prefix="c"),
        tool=DECIDE,
        arguments={},
        text=" ".join(item.summary for item in decision.evidence),
        outcome="ok",
        seconds=0.0,
        evidence_ids=tuple(item.id for item in decision.evidence),
        data={"said": decision.message.text[:LONGEST_SAID]},
        turn=turn,
        revision=state["revision"] + 1,
    )
    announce("tool_result", step.model_dump(mode="json"))
    return [step]


def _merged(state: State, update: dict[str, Any]) -> State:
    """Return the state as it will be after an update."""
    joined = {
        key: [*cast(Any, state)[key], *value] if key in ("evidence", "steps", "rejected") else value
        for key, value in update.items()
        if key != "messages"
    }
    return cast(State, {**state, **joined})


def _result(step: Step) -> ToolMessage:
    return ToolMessage(step.text, tool_call_id=step.call_id, name=step.tool)


def _not_run(call: ToolCall, budget: Budget) -> ToolMessage:
    text = f"Not run: the budget of {budget.tool_calls} tool calls is spent."
    return ToolMessage(text, tool_call_id=call["id"] or "", name=call["name"])


def _again(call: ToolCall, step: Step) -> ToolMessage:
    problem = Problem(
        kind=REPEATED, detail=f"{call['name']} as in step {step.number}", action="answered"
    )
    announce("malformed", {"purpose": "decide", **problem.model_dump(mode="json")})
    text = f"Not run again: step {step.number} asked exactly this. It said: {step.text[:600]}"
    return ToolMessage(text, tool_call_id=call["id"] or "", name=call["name"])


def _tokens(outcomes: Sequence[ToolOutcome]) -> int:
    """Return the model tokens that tools spent, such as a judge of pairs."""
    spent = (outcome.data.get("tokens", 0) for outcome in outcomes)
    return sum(tokens for tokens in spent if isinstance(tokens, int))
