"""A commit names its evidence and is whole, or goes back to the driver."""

from typing import Any

import pytest

from tools.commit import commit_location
from tools.evidence import ToolError

EVIDENCE = ["e0123456789"]


def test_a_commit_without_coordinate_follows_the_evidence() -> None:
    _, outcome = commit_location(EVIDENCE, "the sign")
    assert outcome.evidence == ()
    assert outcome.data["undetermined"] is False


def test_a_coordinate_named_by_the_driver_is_evidence_like_any_other() -> None:
    _, outcome = commit_location(EVIDENCE, "the tower", latitude=48.858, longitude=2.294)
    (named,) = outcome.evidence
    assert named.candidates[0].kind == "model_answer"
    assert 0 < named.weight < 1


def test_null_island_is_dropped_and_the_commit_stands_on_its_evidence() -> None:
    text, outcome = commit_location(EVIDENCE, "told so", latitude=-0.0, longitude=0.0)
    assert outcome.evidence == ()
    assert [item.value for item in outcome.rejected] == ["0, 0"]
    assert "missing position" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"evidence_ids": [], "reason": "?"}, "evidence_ids is empty"),
        ({"evidence_ids": EVIDENCE, "reason": "?", "latitude": 1.0}, "both"),
        (
            {
                "evidence_ids": EVIDENCE,
                "reason": "?",
                "undetermined": True,
                "latitude": 1.0,
                "longitude": 1.0,
            },
            "undetermined is true but",
        ),
    ],
)
def test_half_commits_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolError, match=message):
        commit_location(**arguments)
