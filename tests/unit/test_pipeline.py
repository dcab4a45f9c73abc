"""The pipeline driver asks what is worth asking, once, and then commits."""

from typing import Any, cast

from pydantic import JsonValue

from agent.answer import Step
from agent.belief import BeliefSummary
from agent.budget import Left, Spent
from agent.pipeline import PipelineDriver
from agent.state import State
from tools.evidence import Candidate, Evidence

PHOTO = "ab" * 32
TOOLS = (
    "read_metadata", "read_text", "search_similar_photos", "look_up_clue", "find_place",
    "cluster_candidates", "reverse_geocode", "use_hint", "search_places", "verify_locations",
)  # fmt: skip


def state(**changes: Any) -> State:
    values: dict[str, Any] = {
        "photo_id": PHOTO,
        "hint": "",
        "messages": [],
        "evidence": [],
        "steps": [],
        "belief": None,
        "spent": Spent(),
        "revision": 0,
    }
    return cast("State", {**values, **changes})


def step(tool: str, **data: JsonValue) -> Step:
    return Step(
        number=1, call_id="c", tool=tool, arguments={}, text="", outcome="ok", seconds=0, data=data
    )


def line(text: str, confidence: float = 0.95, overlay: bool = False) -> JsonValue:
    return {"text": text, "confidence": confidence, "overlay": overlay, "box": {}}


def asked(driver: PipelineDriver, held: State) -> list[tuple[str, dict[str, Any]]]:
    message = driver.decide(held, Left()).message
    return [(call["name"], call["args"]) for call in message.tool_calls]


LOOKED = [step("read_metadata"), step("search_similar_photos"), step("search_places")]
GERMAN = Evidence(
    tool="look_up_clue",
    kind="text",
    summary="German",
    countries={"DE": 0.7, "AT": 0.2, "CH": 0.05},
    weight=0.9,
    group="text",
)


def test_it_looks_first_at_everything_that_needs_no_other_answer() -> None:
    names = [name for name, _ in asked(PipelineDriver(TOOLS), state(hint="Bavaria"))]
    first = ["read_metadata", "read_text", "search_similar_photos", "search_places", "use_hint"]
    assert names == first


def test_it_asks_only_tools_that_are_there() -> None:
    names = [name for name, _ in asked(PipelineDriver(["read_text"]), state(hint="Bavaria"))]
    assert names == ["read_text"]


def test_overlays_are_no_clues() -> None:
    read = step("read_text", lines=[line("Google", overlay=True), line("Bäckerei")])
    held = state(steps=[*LOOKED, read])
    assert asked(PipelineDriver(TOOLS), held) == [("look_up_clue", {"texts": ["Bäckerei"]})]


def test_names_are_looked_up_only_inside_clued_countries() -> None:
    read = step("read_text", lines=[line("Regensburg"), line("am"), line("Rathaus", 0.5)])
    held = state(steps=[*LOOKED, read, step("look_up_clue")], evidence=[GERMAN])
    calls = asked(PipelineDriver(TOOLS), held)
    assert calls == [("find_place", {"name": "Regensburg", "countries": ["DE", "AT"]})]
    assert asked(PipelineDriver(TOOLS), state(steps=[*LOOKED, read]))[0] != ("commit_location", {})


def test_addresses_and_numbers_are_no_names() -> None:
    lines = [line("www.laden.de"), line("Tel. +49 941 5730"), line("info@laden.de")]
    held = state(
        steps=[*LOOKED, step("read_text", lines=lines), step("look_up_clue")], evidence=[GERMAN]
    )
    assert asked(PipelineDriver(TOOLS), held)[0][0] == "commit_location"


def test_without_evidence_it_commits_to_undetermined() -> None:
    held = state(steps=[*LOOKED, step("read_text", lines=[])])
    ((name, arguments),) = asked(PipelineDriver(TOOLS), held)
    assert name == "commit_location"
    assert arguments["undetermined"] is True


def test_with_evidence_it_describes_the_place_and_commits_to_what_it_used() -> None:
    place = Candidate(
        latitude=49.0,
        longitude=12.1,
        radius_km=1.0,
        score=1.0,
        rank=1,
        source="gallery:g",
        kind="photo",
    )
    match = Evidence(
        tool="search_similar_photos",
        kind="match",
        summary="same scene",
        candidates=(place,),
        weight=0.95,
        group="retrieval:g",
    )
    shown = match.model_copy(update={"weight": 0.0, "summary": "shown only"})
    belief = BeliefSummary(
        status="located",
        latitude=49.0,
        longitude=12.1,
        km_50=0.2,
        km_80=0.4,
        km_95=1.0,
        countries={"DE": 1.0},
    )
    held = state(
        steps=[*LOOKED, step("read_text", lines=[])], evidence=[match, shown], belief=belief
    )
    ((name, arguments),) = asked(PipelineDriver(TOOLS), held)
    assert (name, arguments) == ("reverse_geocode", {"latitude": 49.0, "longitude": 12.1})
    held["steps"] = [*held["steps"], step("reverse_geocode")]
    ((name, arguments),) = asked(PipelineDriver(TOOLS), held)
    assert name == "commit_location"
    assert arguments["evidence_ids"] == [match.id]


def proposal(latitude: float, source: str, weight: float = 0.5) -> Evidence:
    place = Candidate(
        latitude=latitude,
        longitude=12.1,
        radius_km=1.0,
        score=1.0,
        rank=1,
        source=source,
        kind="place",
        label=source,
    )
    return Evidence(
        tool="a_tool",
        kind="place",
        summary=f"{source} {latitude}",
        candidates=(place,),
        weight=weight,
        group=source,
    )


def verified(*evidence: Evidence, steps: list[Step] | None = None) -> list[dict[str, Any]]:
    """Return what the driver has verified, the evidence being all there is."""
    read = step("read_text", lines=[])
    held = state(steps=[*(LOOKED if steps is None else steps), read], evidence=list(evidence))
    calls = asked(PipelineDriver(TOOLS), held)
    listed = [args for name, args in calls if name == "verify_locations"]
    return listed[0]["candidates"] if listed else []


def test_places_that_different_sources_propose_are_compared_with_the_photo() -> None:
    listed = verified(proposal(49.0, "gazetteer", 0.2), proposal(-33.0, "places"))
    assert [(one["latitude"], one["label"]) for one in listed] == [
        (-33.0, "places"),
        (49.0, "gazetteer"),
    ]


def test_nothing_is_compared_that_has_no_rival_of_another_source() -> None:
    assert verified(proposal(49.0, "places"), proposal(-33.0, "places")) == []
    assert verified(proposal(49.0, "gazetteer"), proposal(49.0, "places")) == []
    assert verified(proposal(49.0, "gazetteer"), proposal(-33.0, "places", 0.0)) == []


def test_an_encoder_that_failed_is_not_asked_again() -> None:
    failed = step("search_places").model_copy(update={"outcome": "unavailable"})
    pair = (proposal(49.0, "gazetteer"), proposal(-33.0, "hint"))
    assert len(verified(*pair)) == 2
    assert verified(*pair, steps=[*LOOKED[:2], failed]) == []


def test_the_same_state_gives_the_same_call_ids() -> None:
    first, again = (PipelineDriver(TOOLS).decide(state(), Left()).message for _ in range(2))
    assert [call["id"] for call in first.tool_calls] == [call["id"] for call in again.tool_calls]
