"""The state machine: every ending is an answer, every mishap is in its place."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import BaseTool
from langgraph.checkpoint.memory import InMemorySaver
from PIL import Image
from pydantic import ValidationError

from agent.answer import Answer
from agent.budget import Budget
from agent.drivers import Driver
from agent.factors import Settlements
from agent.graph import compile_graph, run_config
from agent.nodes import Machine
from agent.settings import Settings
from agent.state import InputState
from geo.errors import InputError, UnavailableError
from tests.fakes import Calls, FakeGazetteer, ScriptedDriver, plain_tool
from tools.commit import make_commit_location
from tools.evidence import Candidate, Evidence, Rejection, ToolError, ToolOutcome, ToolReply
from tools.photos import PhotoStore
from tools.workbench import Workbench

MUNICH = (48.137, 11.576)


def found(value: int = 0) -> ToolReply:
    candidate = Candidate(
        latitude=MUNICH[0],
        longitude=MUNICH[1],
        radius_km=0.2,
        score=1.0,
        rank=1,
        source="gallery:test",
        kind="photo",
    )
    evidence = Evidence(
        tool="look",
        kind="match",
        summary="A verified match.",
        candidates=(candidate,),
        weight=0.95,
        group="retrieval:test",
    )
    rejected = Rejection(value="(0, 0)", reason="placeholder")
    return "one match", ToolOutcome(evidence=(evidence,), rejected=(rejected,))


def photo_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def run(settings: Settings, settlements: Settlements) -> Callable[..., dict[str, Any]]:
    bench = Workbench(PhotoStore(settings.photos), (), lambda: FakeGazetteer(settlements))
    photo = bench.photos.add(photo_bytes())

    def run(
        driver: Driver, *tools: BaseTool, budget: Budget | None = None, hint: str = ""
    ) -> dict[str, Any]:
        budget = budget or Budget(steps=6)
        machine = Machine(bench, (*tools, make_commit_location()), driver, budget)
        graph = compile_graph(machine, InMemorySaver())
        config = run_config(budget.steps)
        config["configurable"] = {"thread_id": "1"}
        return dict(graph.invoke(InputState(photo_id=photo.id, hint=hint), config))

    return run


def commit(state: Any) -> Any:
    return [
        ("commit_location", {"evidence_ids": [e.id for e in state["evidence"]], "reason": "seen"})
    ]


Run = Callable[..., dict[str, Any]]


def test_evidence_then_commit_is_located(run: Run) -> None:
    answer = run(ScriptedDriver([[("look", {})], commit]), plain_tool("look", found))["answer"]
    assert isinstance(answer, Answer)
    assert answer.status == "located"
    assert (answer.country, answer.place) == ("DE", "Testdorf")
    assert answer.stopped_because == "committed"
    assert [verdict.kept for verdict in answer.verdicts] == [True]
    assert answer.rejected[0].value == "(0, 0)"


def test_every_reason_names_the_evidence_and_the_call_it_comes_from(run: Run) -> None:
    answer = run(ScriptedDriver([[("look", {})], commit]), plain_tool("look", found))["answer"]
    (item,) = answer.evidence
    assert f"[{item.id}, {item.call_id}]" in answer.explanation
    assert item.call_id in {step.call_id for step in answer.steps}
    assert item.id in answer.steps[0].evidence_ids


def test_spent_budget_commits_from_belief(run: Run) -> None:
    driver = ScriptedDriver([[("look", {"value": 1})]] * 3)
    answer = run(driver, plain_tool("look", found), budget=Budget(steps=3))["answer"]
    assert answer.status == "located"
    assert answer.stopped_because == "steps: 3 of 3"
    assert "Stopped early" in answer.explanation
    assert driver.told[-1].startswith("1 turns")


def test_calls_beyond_the_budget_are_not_run(run: Run) -> None:
    driver = ScriptedDriver([[("look", {"value": digit}) for digit in range(5)]])
    answer = run(driver, plain_tool("look", found), budget=Budget(tool_calls=2))["answer"]
    assert len(answer.steps) == 2
    assert answer.stopped_because == "tool_calls: 2 of 2"


def test_a_driver_that_never_calls_a_tool_ends_undetermined(run: Run) -> None:
    answer = run(ScriptedDriver([[]] * 6))["answer"]
    assert answer.status == "undetermined"
    assert answer.latitude is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("nowhere", {}), "there is no tool 'nowhere'; choose from commit_location, look"),
        (("look", {"value": 12}), "less than or equal to 9"),
        (("look", {"value": "3"}), "valid integer"),
        (("look", {"colour": 1}), "not permitted"),
        (("commit_location", {"evidence_ids": ["e0000000000"], "reason": "x"}), "no evidence"),
        (("commit_location", {"evidence_ids": ["best"], "reason": "x"}), "match pattern"),
    ],
)
def test_a_wrong_call_goes_back_to_the_driver(
    run: Run, call: tuple[str, dict[str, Any]], message: str
) -> None:
    state = run(ScriptedDriver([[call], [("look", {})], commit]), plain_tool("look", found))
    assert state["steps"][0].outcome == "refused"
    assert message in state["steps"][0].text
    assert state["answer"].status == "located"


def test_a_tools_own_refusal_goes_back_to_the_driver(run: Run) -> None:
    def refuse(value: int) -> ToolReply:
        raise ToolError("box 5 is outside the photo; give one inside 64 x 48")

    state = run(ScriptedDriver([[("look", {})], []] * 3), plain_tool("look", refuse))
    assert state["steps"][0].text.startswith("Refused: box 5 is outside")


def test_an_outage_is_retried_and_then_missing_evidence(run: Run) -> None:
    attempts = []

    def down(value: int) -> ToolReply:
        attempts.append(value)
        raise UnavailableError("server 'x' is down", retryable=True)

    state = run(ScriptedDriver([[("look", {})], []] * 3), plain_tool("look", down))
    assert state["steps"][0].outcome == "unavailable"
    assert len(attempts) == 3 * 3
    assert state["answer"].status == "undetermined"


def test_an_outage_that_will_not_pass_is_not_retried(run: Run) -> None:
    attempts = []

    def missing(value: int) -> ToolReply:
        attempts.append(value)
        raise UnavailableError("tesseract is not installed")

    run(ScriptedDriver([[("look", {})], *[[]] * 5]), plain_tool("look", missing))
    assert len(attempts) == 1


def test_a_damaged_gallery_is_missing_evidence(run: Run) -> None:
    def damaged(value: int) -> ToolReply:
        raise InputError("gallery 'g' cannot read 'x.npz'; build it again")

    state = run(ScriptedDriver([[("look", {})], *[[]] * 5]), plain_tool("look", damaged))
    assert state["steps"][0].outcome == "unavailable"


def test_a_bug_in_a_tool_stops_the_run(run: Run) -> None:
    def broken(value: int) -> ToolReply:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        run(ScriptedDriver([[("look", {})]]), plain_tool("look", broken))


def test_faulty_data_of_a_tool_is_a_bug_and_not_the_drivers_fault(run: Run) -> None:
    def faulty(value: int) -> ToolReply:
        return "", ToolOutcome.model_validate({"rejected": "not a list"})

    with pytest.raises(ValidationError):
        run(ScriptedDriver([[("look", {})]]), plain_tool("look", faulty))


def test_repeated_calls_add_no_evidence(run: Run) -> None:
    answer = run(ScriptedDriver([[("look", {})] * 3, commit]), plain_tool("look", found))["answer"]
    assert len(answer.steps) == 4
    assert len(answer.evidence) == 1


def test_undetermined_commit_gives_no_coordinate_even_with_evidence(run: Run) -> None:
    nothing: dict[str, Any] = {"evidence_ids": [], "reason": "no", "undetermined": True}
    give_up: Calls = [("commit_location", nothing)]
    answer = run(ScriptedDriver([[("look", {})], give_up]), plain_tool("look", found))["answer"]
    assert (answer.status, answer.latitude, answer.radii) == ("undetermined", None, None)
    assert not answer.verdicts[0].kept


def test_pixels_never_enter_the_state(run: Run) -> None:
    state = run(ScriptedDriver([[("look", {})], commit]), plain_tool("look", found))
    assert len(repr(state)) < 20_000


def test_a_photo_in_a_chat_message_is_opened(settings: Settings, settlements: Settlements) -> None:
    import base64

    bench = Workbench(PhotoStore(settings.photos), (), lambda: FakeGazetteer(settlements))
    machine = Machine(bench, (make_commit_location(),), ScriptedDriver([[]] * 2), Budget(steps=2))
    data = base64.b64encode(photo_bytes()).decode()
    for block in (
        {"type": "image", "mimeType": "image/png", "data": data},
        {"type": "image", "mime_type": "image/png", "base64": data},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
    ):
        machine = Machine(bench, machine.tools, ScriptedDriver([[]] * 2), Budget(steps=2))
        state = compile_graph(machine).invoke({"messages": [HumanMessage([block])]}, run_config(2))
        assert state["answer"].photo_id == bench.photos.add(photo_bytes()).id


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}, "not fetched"),
        ({"type": "image", "data": "no base64!"}, "broken"),
        ({"type": "image"}, "without data"),
        ({"type": "text", "text": "where is this?"}, "no photo"),
    ],
)
def test_what_is_no_photo_in_a_message_is_bad_input(
    settings: Settings, settlements: Settlements, block: dict[str, Any], message: str
) -> None:
    bench = Workbench(PhotoStore(settings.photos), (), lambda: FakeGazetteer(settlements))
    machine = Machine(bench, (), ScriptedDriver([]), Budget())
    with pytest.raises(InputError, match=message):
        compile_graph(machine).invoke({"messages": [HumanMessage([block])]})
