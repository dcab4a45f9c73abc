"""Arguments of the wrong type: read where there is one reading, answered where there is none."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from agent.arguments import fit_arguments
from agent.numbers import degrees, pair, read_number
from tests.unit.call_samples import (
    PHOTO,
    TOOLS,
    ZOOM,
    VerifySample,
    called,
    kinds,
    make_tool,
    written,
)
from tools.commit import CommitArguments
from tools.geocode import FindPlaceArguments
from tools.read_text import ReadTextArguments
from tools.retrieve import SearchArguments
from tools.zoom import ZoomArguments

BY_NAME = {tool.name: tool for tool in TOOLS}
SCHEMAS: dict[str, type[BaseModel]] = {
    "zoom": ZoomArguments,
    "commit_location": CommitArguments,
    "read_text": ReadTextArguments,
    "find_place": FindPlaceArguments,
}
COMMIT: dict[str, Any] = {"evidence_ids": [], "reason": ""}
FIND: dict[str, Any] = {"name": "Paris"}


def fitted(tool: str, **arguments: object) -> tuple[dict[str, Any], list[str]]:
    found, problems = fit_arguments(BY_NAME[tool], arguments, photo_id=PHOTO)
    return found, [f"{problem.kind} {problem.action}" for problem in problems]


@pytest.mark.parametrize(
    ("tool", "base", "field", "given", "wanted"),
    [
        ("commit_location", COMMIT, "latitude", "48.85", 48.85),
        ("commit_location", COMMIT, "latitude", " -48.85 ", -48.85),
        ("commit_location", COMMIT, "latitude", "48,85", 48.85),
        ("commit_location", COMMIT, "latitude", "48,853", 48.853),
        ("commit_location", COMMIT, "latitude", "48°51'N", 48.85),
        ("commit_location", COMMIT, "latitude", "33.5° S", -33.5),
        ("commit_location", COMMIT, "longitude", "W 2.5", -2.5),
        ("commit_location", COMMIT, "latitude", [48.85], 48.85),
        ("commit_location", COMMIT, "radius_km", "25 km", 25),
        ("commit_location", COMMIT, "radius_km", "20,000.5", 20000.5),
        ("commit_location", COMMIT, "undetermined", "True", True),
        ("commit_location", COMMIT, "undetermined", 0, False),
        ("commit_location", COMMIT, "evidence_ids", "e0123456789", ["e0123456789"]),
        ("commit_location", COMMIT, "evidence_ids", '["E0123456789"]', ["e0123456789"]),
        ("commit_location", COMMIT, "reason", 7, "7"),
        ("find_place", FIND, "limit", 5.0, 5),
        ("find_place", FIND, "limit", "5", 5),
        ("find_place", FIND, "countries", "fr, DE", ["FR", "DE"]),
        ("find_place", FIND, "countries", "FR", ["FR"]),
        ("read_text", {"photo_id": PHOTO}, "box", "[1, 2, 3.0, 4]", [1, 2, 3, 4]),
        ("zoom", ZOOM, "unit", "Fraction", "fraction"),
        ("zoom", ZOOM, "left", ".1", 0.1),
    ],
)
def test_one_reading_is_taken(
    tool: str, base: dict[str, Any], field: str, given: object, wanted: object
) -> None:
    found, problems = fitted(tool, **{**base, field: given})
    assert found[field] == wanted
    assert type(found[field]) is type(wanted)
    assert set(problems) <= {"wrong-type repaired"}
    SCHEMAS[tool].model_validate(found)


@pytest.mark.parametrize(
    ("tool", "base", "field", "given", "kind"),
    [
        ("commit_location", COMMIT, "radius_km", "1,234", "wrong-type"),
        ("commit_location", COMMIT, "latitude", "north", "wrong-type"),
        ("commit_location", COMMIT, "latitude", "12 E", "wrong-type"),
        ("commit_location", COMMIT, "latitude", True, "wrong-type"),
        ("commit_location", COMMIT, "latitude", "97", "out-of-range"),
        ("commit_location", COMMIT, "latitude", "NaN", "not-finite"),
        ("commit_location", COMMIT, "undetermined", "perhaps", "wrong-type"),
        ("commit_location", COMMIT, "evidence_ids", "the sign", "wrong-type"),
        ("commit_location", COMMIT, "reason", "x" * 3000, "wrong-type"),
        ("find_place", FIND, "limit", 5.5, "wrong-type"),
        ("find_place", FIND, "limit", 500, "out-of-range"),
        ("find_place", FIND, "name", None, "wrong-type"),
        ("zoom", ZOOM, "unit", "percent", "wrong-type"),
        ("read_text", {"photo_id": PHOTO}, "box", [1, 2, 3], "out-of-range"),
    ],
)
def test_what_has_none_stays_for_the_tool_to_refuse(
    tool: str, base: dict[str, Any], field: str, given: object, kind: str
) -> None:
    found, problems = fit_arguments(BY_NAME[tool], {**base, field: given}, photo_id=PHOTO)
    assert [(p.kind, p.action) for p in problems if p.action != "repaired"] == [(kind, "answered")]
    assert field in problems[-1].detail
    with pytest.raises(ValidationError):
        SCHEMAS[tool].model_validate(found)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_what_is_not_finite_never_gets_through(value: float) -> None:
    read = called("commit_location", {**COMMIT, "latitude": value, "longitude": 2.0})
    assert isinstance(read.calls[0]["args"]["latitude"], str)  # which the tool refuses
    assert kinds(read) == ["not-finite answered"]
    read = called("verify_locations", {"candidates": [{"latitude": value, "longitude": 2.0}]})
    assert isinstance(read.calls[0]["args"]["candidates"][0]["latitude"], str)


@pytest.mark.parametrize(
    "given", [None, "", "photo", "current", "<photo_id>", "the photo", "photo.jpg", 7, ["photo"]]
)
def test_a_photo_id_that_is_none_means_the_photo_of_the_run(given: object) -> None:
    found, problems = fitted("zoom", **{**ZOOM, "photo_id": given})
    assert found == ZOOM
    assert problems == ["photo-id repaired"]


def test_words_need_no_photo() -> None:
    tool = make_tool("search_similar_photos", SearchArguments)
    for asked in ({"text": "a street"}, {"text": "a street", "photo_id": None}):
        found, problems = fit_arguments(tool, asked, photo_id=PHOTO)
        assert found.get("photo_id") is None
        assert problems == []
    found, _ = fit_arguments(tool, {}, photo_id=PHOTO)
    assert found["photo_id"] == PHOTO


@pytest.mark.parametrize(
    "given", ["cafe0123beef", "photo cafe0123beef", "<CAFE0123BEEF>", "cafe0123beef..."]
)
def test_another_photo_stays_another_photo(given: str) -> None:
    assert fitted("zoom", **{**ZOOM, "photo_id": given})[0]["photo_id"] == "cafe0123beef"


def test_a_missing_photo_id_is_the_photo_of_the_run_and_nothing_else_is_invented() -> None:
    found, problems = fitted("zoom", left=0.0)
    assert found == {"photo_id": PHOTO, "left": 0.0}
    assert problems == ["photo-id repaired", *["missing-argument answered"] * 3]
    assert fit_arguments(BY_NAME["zoom"], {"left": 0.0})[0] == {"left": 0.0}


def test_coordinates_in_one_field_are_split() -> None:
    found, problems = fitted("commit_location", **COMMIT, latitude="48.85, 2.29")
    assert (found["latitude"], found["longitude"]) == (48.85, 2.29)
    assert problems == ["split-coordinate repaired"]
    found, _ = fitted("verify_locations", candidates=[{"latitude": "48°51'N 2°30'E"}])
    assert found["candidates"] == [{"latitude": 48.85, "longitude": 2.5}]


def test_names_of_arguments_are_read_or_dropped() -> None:
    found, problems = fitted("verify_locations", Candidates='{"lat": "48.85", "lng": 2}', zone=1)
    assert found["candidates"] == [{"latitude": 48.85, "longitude": 2}]
    assert problems.count("argument-name repaired") == 3
    assert "unknown-argument repaired" in problems
    assert "zone" not in found


def test_null_means_the_default_and_is_no_fault() -> None:
    assert fitted("find_place", name="Paris", limit=None, countries=None) == (FIND, [])
    found, _ = fitted("commit_location", **COMMIT, latitude="null", longitude="")
    assert found == COMMIT


def test_everything_is_text_in_xml_and_that_is_no_fault() -> None:
    text = "".join(f"<parameter={key}>{value}</parameter>" for key, value in ZOOM.items())
    read = written(f"<function=zoom>{text}</function>")
    assert read.calls[0]["args"] == ZOOM
    assert kinds(read) == ["text-call repaired"]


def test_half_characters_and_zero_bytes_become_signs_that_files_take() -> None:
    found, problems = fitted("find_place", name="Pa\ud83dris\0")
    assert found == {"name": "Pa\ufffdris\ufffd"}
    assert problems[0] == "bad-character repaired"


def test_control_characters_where_a_pattern_forbids_them_are_spaces() -> None:
    place = {"latitude": 1.0, "longitude": 2.0, "label": "Gare\nde Lyon"}
    found, _ = fitted("verify_locations", candidates=[place])
    assert found["candidates"][0]["label"] == "Gare de Lyon"


def test_right_arguments_stay_as_they_are() -> None:
    places = [{"latitude": 48.85, "longitude": 2.29, "label": "Eiffel"}]
    for tool, arguments in (
        ("zoom", ZOOM),
        ("commit_location", {**COMMIT, "evidence_ids": ["e0123456789"], "latitude": 1.0}),
        ("verify_locations", {"photo_id": PHOTO, "candidates": places}),
    ):
        assert fitted(tool, **arguments) == (arguments, [])


def test_arguments_that_are_no_object_are_answered() -> None:
    for arguments in (None, 3, "x", [1]):
        found, problems = fit_arguments(make_tool("verify", VerifySample), arguments)
        assert found == {}
        assert problems[0].kind == "wrong-type"


@given(
    st.builds(
        CommitArguments,
        evidence_ids=st.lists(st.from_regex(r"\Ae[0-9a-f]{10}\Z"), max_size=3),
        reason=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
        undetermined=st.booleans(),
        latitude=st.none() | st.floats(-90, 90),
        longitude=st.none() | st.floats(-180, 180),
        radius_km=st.none() | st.floats(0.001, 20_000),
    )
)
def test_whatever_is_right_is_never_changed(arguments: CommitArguments) -> None:
    plain = arguments.model_dump()
    found, problems = fit_arguments(BY_NAME["commit_location"], plain)
    assert CommitArguments.model_validate(found) == arguments
    assert problems == []


@given(st.floats(-90, 90), st.floats(-179.9, 179.9))
def test_numbers_as_text_are_the_same_numbers(latitude: float, longitude: float) -> None:
    assert read_number(repr(latitude), "latitude", {}) == latitude
    found = pair(f"{latitude:.6f}, {longitude:.6f}")
    assert found == pytest.approx((latitude, longitude), abs=1e-6)


@pytest.mark.parametrize(
    "text", ["48,85", "48, 85", "1 234", "48.85", "", "N/A", "nan, 2", "91, 2.5"]
)
def test_what_may_be_one_number_is_no_pair(text: str) -> None:
    assert pair(text) is None


@pytest.mark.parametrize(
    ("text", "name", "wanted"),
    [
        ("48.85 N", "latitude", 48.85),
        ("48.85 N", "near_latitude", 48.85),
        ("2°30'W", "longitude", -2.5),
        ("2.5 E", "latitude", None),
        ("48.85", "latitude", None),
        ("north", "latitude", None),
        ("25 °", "radius_km", None),
    ],
)
def test_degrees_of_one_axis(text: str, name: str, wanted: float | None) -> None:
    assert degrees(text, name) == (None if wanted is None else pytest.approx(wanted))
