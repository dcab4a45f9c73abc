"""Evidence refuses what is not a number or a place, and its identity is its content."""

import math

import pytest
from pydantic import ValidationError

from tools.evidence import Box, Candidate, Evidence


def candidate(**changes: object) -> Candidate:
    values: dict[str, object] = {
        "latitude": 1.0,
        "longitude": 2.0,
        "radius_km": 1.0,
        "score": 0.5,
        "rank": 1,
        "source": "gazetteer",
        "kind": "place",
    }
    return Candidate.model_validate({**values, **changes})


def evidence(**changes: object) -> Evidence:
    values: dict[str, object] = {
        "tool": "t",
        "kind": "text",
        "summary": "s",
        "weight": 0.5,
        "group": "g",
    }
    return Evidence.model_validate({**values, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"latitude": math.nan},
        {"latitude": 97.0},
        {"longitude": math.inf},
        {"longitude": 181.0},
        {"latitude": "48.8"},
        {"score": 1.5},
        {"radius_km": 0.0},
        {"rank": 0},
        {"colour": "red"},
    ],
)
def test_what_is_no_candidate_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        candidate(**changes)


@pytest.mark.parametrize(
    "countries", [{"DE": 0.7, "FR": 0.5}, {"Germany": 0.5}, {"de": 0.5}, {"DE": math.nan}]
)
def test_what_is_no_distribution_over_countries_is_refused(countries: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        evidence(countries=countries)


def test_identity_is_content_and_not_the_call() -> None:
    first = evidence(call_id="c1")
    assert first.id == evidence(call_id="c2").id
    assert first.id == evidence(weight=0.1, box=Box(left=0, top=0, right=1, bottom=1)).id
    assert first.id != evidence(summary="other").id


def test_a_copy_that_says_something_else_has_another_identity() -> None:
    first = evidence()
    known = first.id
    assert first.model_copy(update={"call_id": "c9", "weight": 0.1}).id == known
    changed = first.model_copy(update={"summary": "other"})
    assert changed.id == evidence(summary="other").id != known
    assert first.model_copy() == evidence()
    assert "id" not in first.model_dump()
