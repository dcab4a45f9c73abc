"""The loop with a model: prior, tools, conflicts, budgets, and everything that goes wrong."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import JsonValue

from agent.answer import Answer
from agent.asking import (
    ContextOverflowError,
    ImagesRefusedError,
    ModelUnavailableError,
    ToolsRefusedError,
)
from agent.budget import Budget
from agent.factors import Settlements
from agent.geolocator import Geolocator, answer_of
from agent.settings import Settings
from agent.trace import Event, read_trace, verify_trace
from tests.fakes import BlankReader, FakeGazetteer, ScriptedChat, calling
from tests.unit.photo_samples import encoded, picture

PHOTO = encoded(picture(640, 480, seed=3))
PRIOR = json.dumps(
    {
        "latitude": 48.15, "longitude": 11.55, "radius_km": 30, "place": "Munich",
        "country": "Germany", "confidence": 0.7, "reason": "an onion dome",
        "clues": [{"what": "onion dome",
                   "box": {"left": 0.1, "top": 0.1, "right": 0.5, "bottom": 0.5}}],
    }
)  # fmt: skip
SHORT = json.dumps(
    {"latitude": 48.14, "longitude": 11.57, "radius_km": 10, "place": "Munich", "country": "DE"}
)

Turn = AIMessage | Exception | Callable[[Sequence[BaseMessage]], AIMessage]


class Model:
    """Answers the prior and the short answers by itself, and the loop from a list of turns."""

    def __init__(self, *turns: Turn, prior: str | Exception = PRIOR, short: str = SHORT) -> None:
        self.turns, self.prior, self.short = list(turns), prior, short
        self.loop: list[Sequence[BaseMessage]] = []
        self.given: list[dict[str, Any]] = []
        self.chat = ScriptedChat(replies=[self.reply])

    def reply(self, messages: Sequence[BaseMessage], given: dict[str, Any]) -> AIMessage:
        said = text_of(messages[-1])
        if "You have no tools now" in said:
            if isinstance(self.prior, Exception):
                raise self.prior
            return AIMessage(self.prior)
        if "independent investigations" in said:
            return AIMessage('{"choice": 2, "reason": "its evidence"}')
        if not given.get("tools") and "no other word" in said:
            return AIMessage(self.short)
        self.loop.append(messages)
        self.given.append(given)
        turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        if isinstance(turn, Exception):
            raise turn
        return turn(messages) if callable(turn) else turn


def text_of(message: BaseMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(b["text"] for b in message.content if isinstance(b, dict) and "text" in b)


def everything(messages: Sequence[BaseMessage]) -> str:
    return "\n".join(text_of(message) for message in messages)


def images_in(messages: Sequence[BaseMessage]) -> int:
    return sum(
        isinstance(block, dict) and block.get("type") == "image_url"
        for message in messages
        if isinstance(message.content, list)
        for block in message.content
    )


def commit(messages: Sequence[BaseMessage]) -> AIMessage:
    """Commit to whatever evidence ids the conversation names."""
    import re

    ids = sorted(set(re.findall(r"\be[0-9a-f]{10}\b", everything(messages))))
    return calling(("commit_location", {"evidence_ids": ids[:5], "reason": "it fits"}))


Locate = Callable[..., tuple[Answer, list[Event]]]


@pytest.fixture
def located(settings: Settings, settlements: Settlements, tmp_path: Path) -> Iterator[Locate]:
    opened: list[Geolocator] = []

    def locate(model: Model, **options: Any) -> tuple[Answer, list[Event]]:
        hint, live = options.pop("hint", ""), options.pop("live", True)
        geolocator = Geolocator(
            model=model.chat, settings=settings, encoder=None, recipe="agentic", **options
        )
        geolocator.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        geolocator.bench.reader = BlankReader()
        opened.append(geolocator)
        trace = tmp_path / "trace.jsonl"
        if live:
            events = list(geolocator.stream(PHOTO, hint=hint, trace=trace))
        else:
            geolocator.locate(PHOTO, hint=hint, trace=trace)
            events = list(read_trace(trace))
        assert verify_trace(trace) == len(events)
        return answer_of(events[-1]), events

    yield locate
    for geolocator in opened:
        geolocator.close()


def of_kind(events: Sequence[Event], kind: str) -> list[dict[str, Any]]:
    return [event.data for event in events if event.kind == kind]


def test_the_prior_comes_first_and_stays_as_evidence(located: Locate) -> None:
    model = Model(commit)
    answer, events = located(model)
    prior = next(item for item in answer.evidence if item.tool == "prior")
    assert prior.kind == "model"
    assert prior.box is not None
    assert prior.candidates[0].label == "Munich"
    purposes = [data["purpose"] for data in of_kind(events, "model_call")]
    assert purposes[0] == "prior"
    assert of_kind(events, "model_call")[0]["tools"] == []
    assert answer.steps[0].tool == "prior"
    assert prior.call_id == answer.steps[0].call_id
    assert prior.id in everything(model.loop[0])
    assert answer.stopped_because == "committed"
    assert answer.recipe == "agentic"


def test_the_photo_travels_as_a_user_message_and_tools_answer_in_text(located: Locate) -> None:
    crop = calling(
        ("zoom", {"photo_id": "x", "left": 0.1, "top": 0.1, "right": 0.6, "bottom": 0.6}),
        ("find_place", {"name": "Testdorf"}),
    )
    model = Model(crop, commit)
    answer, _ = located(model)
    first, second = model.loop[0], model.loop[1]
    assert isinstance(first[0], SystemMessage)
    assert images_in(first) == 1
    assert images_in(second) == 2
    for message in second:
        if images_in([message]):
            assert isinstance(message, HumanMessage)
        if isinstance(message, ToolMessage):
            assert isinstance(message.content, str)
    assert {step.tool for step in answer.steps} >= {"zoom", "find_place"}


def test_every_turn_is_told_what_is_left(located: Locate) -> None:
    look = calling(("find_place", {"name": "Testdorf"}))
    again = calling(("find_place", {"name": "Elsewhere"}))
    model = Model(look, again, commit)
    located(model, budget=Budget(steps=9, tool_calls=20))
    told = [everything(messages) for messages in model.loop]
    assert "9 turns" in told[0]
    assert "8 turns" in told[1]
    assert "7 turns" in told[2]


def test_the_last_turn_allows_only_a_commit(located: Locate) -> None:
    look = iter(range(100))
    model = Model(
        lambda messages: calling(("find_place", {"name": f"Place {next(look)}"})),
    )
    answer, events = located(model, budget=Budget(steps=3))
    tools = [data["tools"] for data in of_kind(events, "model_call") if data["tools"]]
    assert tools[-1] == ["commit_location"]
    assert len(tools[0]) > 5
    assert answer.stopped_because == "steps: 3 of 3"
    assert answer.status in ("located", "region", "undetermined")


def test_a_coordinate_in_words_is_evidence_and_the_model_is_nudged(located: Locate) -> None:
    model = Model(AIMessage("I think it is at 48.1374° N, 11.5755° E."), commit)
    answer, events = located(model)
    said = next(item for item in answer.evidence if item.tool == "decide")
    assert said.candidates[0].latitude == pytest.approx(48.1374)
    assert "coordinate-in-words" in {data["kind"] for data in of_kind(events, "malformed")}
    assert said.id in everything(model.loop[1])


def test_null_island_is_a_rejection(located: Locate) -> None:
    model = Model(commit, prior='{"latitude": 0.0, "longitude": 0.0}')
    answer, _ = located(model)
    assert not [item for item in answer.evidence if item.tool == "prior"]
    assert any("0" in item.value for item in answer.rejected)


def test_repeated_calls_are_not_run_again(located: Locate) -> None:
    model = Model(calling(("find_place", {"name": "Testdorf"})))
    answer, events = located(model)
    runs = [step for step in answer.steps if step.tool == "find_place"]
    assert len(runs) == 1
    kinds = [data["kind"] for data in of_kind(events, "malformed")]
    assert kinds.count("repeated-call") >= 3
    assert any("pipeline driver goes on" in data["text"] for data in of_kind(events, "notice"))
    assert any("nothing new" in line for line in answer.missing)


def test_empty_replies_hand_over_to_the_pipeline(located: Locate) -> None:
    answer, events = located(Model(AIMessage("")))
    assert "empty" in {data["kind"] for data in of_kind(events, "malformed")}
    assert any("no usable reply" in line for line in answer.missing)
    assert answer.stopped_because == "committed"  # by the pipeline driver
    assert "read_text" in {step.tool for step in answer.steps}


def test_a_model_that_never_answers_is_told_in_the_answer(located: Locate) -> None:
    gone = ModelUnavailableError("model server http://127.0.0.1:9/v1 does not answer")
    answer, events = located(Model(gone, prior=gone))
    assert any("does not answer" in line for line in answer.missing)
    assert answer.status == "undetermined"
    assert of_kind(events, "notice")


def test_a_conflict_is_stated_once_with_both_sides(located: Locate) -> None:
    model = Model(calling(("find_place", {"name": "Nowhere"})), commit)
    _, events = located(model, hint="-33.8688, 151.2093")
    assert len(of_kind(events, "conflict")) == 1
    assert "These disagree" in everything(model.loop[0])
    assert everything(model.loop[1]).count("These disagree") == 1


def test_only_a_person_s_words_weigh_as_a_hint(located: Locate) -> None:
    hints: list[tuple[str, dict[str, JsonValue]]] = [
        ("use_hint", {"hint": said}) for said in ("48.2, 16.37", "IN  Testdorf")
    ]
    answer, _ = located(Model(calling(*hints), commit), hint="we stayed in Testdorf")
    outcomes = {str(s.arguments["hint"]): s.outcome for s in answer.steps if s.tool == "use_hint"}
    assert outcomes["48.2, 16.37"] == "refused"
    assert outcomes["IN  Testdorf"] == "ok"


def test_refused_images_are_left_out_from_then_on(located: Locate) -> None:
    def see(messages: Sequence[BaseMessage]) -> AIMessage:
        if images_in(messages):
            raise ImagesRefusedError("this model takes no images")
        return commit(messages)

    model = Model(see)
    answer, events = located(model)
    assert answer.stopped_because == "committed"
    assert images_in(model.loop[-1]) == 0
    assert any("images are left out" in data["text"] for data in of_kind(events, "notice"))


def test_an_overfull_context_loses_older_images_first(located: Locate) -> None:
    def zoom(left: float) -> AIMessage:
        box = {"left": left, "top": 0.1, "right": 0.9, "bottom": 0.9}
        return calling(("zoom", {"photo_id": "x", **box}))

    def narrow(messages: Sequence[BaseMessage]) -> AIMessage:
        if images_in(messages) > 2:
            raise ContextOverflowError("8,192 tokens at most")
        return commit(messages)

    model = Model(zoom(0.1), zoom(0.2), narrow)
    answer, events = located(model)
    assert answer.stopped_because == "committed"
    assert of_kind(events, "context")
    prior = next(item for item in answer.evidence if item.tool == "prior")
    assert prior.id in everything(model.loop[-1])


def test_a_server_without_tools_is_driven_through_structured_output(located: Locate) -> None:
    def structured(messages: Sequence[BaseMessage]) -> AIMessage:
        call = commit(messages).tool_calls[0]
        body = {"thought": "done", "calls": [{"tool": call["name"], "arguments": call["args"]}]}
        return AIMessage(json.dumps(body))

    class NoTools(Model):
        def reply(self, messages: Sequence[BaseMessage], given: dict[str, Any]) -> AIMessage:
            if given.get("tools"):
                raise ToolsRefusedError("no tool parser is configured")
            return super().reply(messages, given)

    model = NoTools(structured)
    answer, events = located(model)
    assert answer.stopped_because == "committed"
    assert not any(isinstance(m, ToolMessage) for messages in model.loop for m in messages)
    assert any("structured output" in data["text"] for data in of_kind(events, "notice"))


def test_the_analyst_is_asked_and_the_reply_weighs_as_a_hint(located: Locate) -> None:
    asked: list[tuple[str, list[str]]] = []

    def analyst(question: str, options: Sequence[str]) -> str | None:
        asked.append((question, list(options)))
        return "48.2, 16.37"

    question: dict[str, JsonValue] = {
        "question": "Did you take it yourself?",
        "options": ["yes", "no"],
    }
    model = Model(calling(("ask_analyst", question), ("find_place", {"name": "Testdorf"})), commit)
    answer, events = located(model, ask=analyst)
    assert asked == [("Did you take it yourself?", ["yes", "no"])]
    hint = next(item for item in answer.evidence if item.kind == "hint")
    assert hint.candidates[0].latitude == pytest.approx(48.2)
    assert len([step for step in answer.steps if step.tool == "find_place"]) == 1
    assert of_kind(events, "question")


def test_an_analyst_who_never_answers_does_not_end_the_run(located: Locate) -> None:
    model = Model(calling(("ask_analyst", {"question": "Where?"})), commit)
    answer, _ = located(model, ask=lambda question, options: None)
    assert answer.stopped_because == "committed"
    assert any("did not answer" in step.text for step in answer.steps)


def test_nobody_there_means_nobody_is_asked(located: Locate) -> None:
    model = Model(commit)
    _, events = located(model)
    offered = {name for data in of_kind(events, "model_call") for name in data["tools"]}
    assert "ask_analyst" not in offered


def test_trajectories_pool_their_evidence_and_are_judged(located: Locate) -> None:
    def turn(messages: Sequence[BaseMessage]) -> AIMessage:
        return commit(messages)

    model = Model(turn)
    answer, events = located(model, trajectories=3, hint="Testdorf")
    judged = next(step for step in answer.steps if step.tool == "verifier")
    assert judged.data["choice"] == 2
    assert len({step.call_id for step in answer.steps}) == len(answer.steps)
    assert [step.number for step in answer.steps] == list(range(1, len(answer.steps) + 1))
    told = of_kind(events, "trajectory")
    assert len({data["start"] for data in told if "why" not in data}) == 3
    assert answer.model is not None
    assert [one.number for one in answer.model.trajectories if one.chosen] == [2]
    assert "it fits" in {one.why for one in answer.model.trajectories}
    assert {step.trajectory for step in answer.steps if step.turn} == {1, 2, 3}
    calls = {step.call_id: step for step in answer.steps}
    for item in answer.evidence:  # ids of calls may be the same in several trajectories
        assert item.id in calls[item.call_id].evidence_ids
    seeds = {data["seed"] for data in of_kind(events, "model_call") if data["purpose"] == "decide"}
    assert {seed // 1000 for seed in seeds} == {0, 1, 2}


@pytest.mark.parametrize("trajectories", [1, 3])
def test_a_run_that_nobody_follows_leaves_the_same_trace(
    located: Locate, trajectories: int
) -> None:
    def told(live: bool) -> list[str]:
        place = calling(("find_place", {"name": "Testdorf", "countries": ["DE"]}))
        model = Model(
            lambda messages: commit(messages) if "Testdorf" in everything(messages) else place
        )
        _, events = located(model, trajectories=trajectories, live=live)
        told = [f"{event.kind} {event.data.get('trajectory', '')}" for event in events]
        return told if trajectories == 1 else sorted(told)  # their order is that of threads

    live = told(True)
    assert len(live) > 10
    assert told(False) == live
    assert any(kind.endswith("3") for kind in live) == (trajectories == 3)


def test_the_answer_sums_up_what_the_model_did_and_what_speaks_against_its_place(
    located: Locate,
) -> None:
    away = calling(("find_place", {"name": "Testdorf", "countries": ["DE"]}))
    model = Model(
        away, AIMessage("Hm. 48.1, 11.5 it is."), commit, prior=PRIOR.replace("48.15", "-33.9")
    )
    answer, events = located(model, hint="Testdorf")
    use = answer.model
    assert use is not None
    replies = of_kind(events, "model_reply")
    assert use.calls == len(use.replies) == len(replies)
    assert use.tokens_in == sum(data["tokens_in"] for data in replies)
    assert [one.turn for one in use.replies if one.purpose == "decide"] == [1, 2, 3]
    assert use.replies[2].said == "Hm. 48.1, 11.5 it is."
    assert sum(one.count for one in use.mishaps) == len(of_kind(events, "malformed"))
    assert len(use.conflicts) == len(of_kind(events, "conflict"))
    assert {step.tool: step.turn for step in answer.steps}["find_place"] == 1
    assert {step.tool: step.turn for step in answer.steps}["prior"] == 0
    assert answer.reason == "it fits"
    assert "it fits" not in answer.because
    assert any(name.startswith("tool ") for name in answer.versions)
    prior = next(item for item in answer.evidence if item.tool == "prior")
    assert f"Against it, and outweighed: {prior.summary}" in answer.explanation
