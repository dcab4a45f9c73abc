"""What the page shows of a session's events: the story, the map's data, the photo's frames."""

import json
from typing import Any

import numpy as np
import pytest

from agent.trace import Event, EventKind
from server.web_files import _outlines
from server.web_map import legend_of, map_data, ring_points
from server.web_photo import frames_of, pairs_of, photo_of
from server.web_revisions import change_words, said_words
from server.web_story import Story
from tests.unit.report_samples import HOSTILE, PHOTO, located, region, undetermined
from tools.photos import Photo


def told(*rows: tuple[EventKind, dict[str, Any]]) -> Story:
    """Return the story of events."""
    story = Story()
    for number, (kind, data) in enumerate(rows, start=1):
        story.add(Event(number=number, seconds=0, kind=kind, data=data, previous="", hash=""))
    return story


def photo(width: int, height: int, photo_id: str = PHOTO) -> Photo:
    return Photo(id=photo_id, width=width, height=height, mime="image/jpeg")


def evidence_rows(answer: Any) -> list[tuple[EventKind, dict[str, Any]]]:
    return [
        ("evidence", {"id": item.id, **item.model_dump(mode="json")}) for item in answer.evidence
    ]


def answered(answer: Any) -> Story:
    """Return the story of a run that ended with an answer."""
    return told(
        ("setup", {"budget": {"steps": 12}}),
        *evidence_rows(answer),
        *(("tool_result", step.model_dump(mode="json")) for step in answer.steps),
        ("answer", json.loads(answer.model_dump_json())),
    )


def test_an_event_that_comes_twice_changes_nothing() -> None:
    event = Event(number=1, seconds=0, kind="model_reply",
                  data={"tokens_in": 100, "tokens_out": 20}, previous="", hash="")  # fmt: skip
    story = Story()
    story.add(event)
    story.add(event)
    assert (story.tokens, story.last) == (120, 1)


def test_evidence_is_numbered_as_it_arrives_and_counted_once() -> None:
    rows = evidence_rows(located())
    story = told(*rows, *rows)
    assert [one.number for one in story.evidence.values()] == list(range(1, len(rows) + 1))


def test_what_is_found_after_an_answer_makes_it_stale_until_the_next() -> None:
    story = answered(located())
    assert not story.fresh
    number = story.last + 1
    story.add(Event(number=number, seconds=0, kind="setup", data={}, previous="", hash=""))
    assert story.fresh
    assert story.answer is not None
    assert map_data(story)["answer"] is None


def test_the_map_tells_kept_from_dropped_with_the_reason_and_the_caution() -> None:
    answer = located()
    data = map_data(answered(answer))
    assert [one["percent"] for one in data["rings"]] == [50, 80, 95]
    fates = {one["title"].split(". ", 1)[1]: one["fate"] for one in data["candidates"]}
    assert fates["Rue de Rivoli 61"] == "dropped"
    assert fates["Rue de la République 12"] == "kept"
    reasons = [" ".join(one["lines"]) for one in data["candidates"]]
    assert any("fewer than the 20" in one for one in reasons)
    assert answer.caution in data["answer"]["lines"]
    assert data["claimed"] == {"lat": 41.9, "lon": 12.5}
    assert data["countries"] == {}


def test_an_answer_without_a_coordinate_shades_countries_and_draws_no_circle() -> None:
    data = map_data(answered(undetermined()))
    assert data["answer"] is None
    assert data["rings"] == []
    assert data["fit"] is None


def test_an_answer_at_the_seam_of_longitudes_is_drawn_in_one_piece() -> None:
    data = map_data(answered(region()))
    for ring in data["rings"]:
        longitudes = np.array(ring["points"])[:, 1]
        assert np.abs(np.diff(longitudes)).max() < 180


@pytest.mark.parametrize(
    ("latitude", "longitude", "radius_km"),
    [(0, 0, 1), (-17, 179.9, 300), (-17, -179.9, 300), (89, 40, 500), (-78, 160, 4000)],
)
def test_rings_stay_around_their_centre(
    latitude: float, longitude: float, radius_km: float
) -> None:
    points = np.array(ring_points(latitude, longitude, radius_km))
    assert np.abs(points[:, 0]).max() <= 85
    assert points[:, 1].min() <= longitude <= points[:, 1].max()
    assert np.abs(points[:, 1] - longitude).max() <= 361


def test_a_ring_around_both_poles_is_the_whole_map() -> None:
    points = np.array(ring_points(0, 10, 15_000))
    assert points[:, 1].max() - points[:, 1].min() == 360


def test_drawn_regions_come_latitude_first_and_say_which_side() -> None:
    square = [[10, 50], [11, 50], [11, 51], [10, 50]]
    drawn = {"type": "Feature", "properties": {"inside": False},
             "geometry": {"type": "Polygon", "coordinates": [square]}}  # fmt: skip
    (area,) = map_data(told(("message", {"text": "", "region": drawn})))["regions"]
    assert area["inside"] is False
    assert area["rings"][0][0] == [50, 10]


def test_a_drawn_region_that_was_taken_back_is_drawn_no_more() -> None:
    square = [[10, 50], [11, 50], [11, 51], [10, 50]]
    drawn = {"type": "Polygon", "coordinates": [square]}
    step = {"call_id": "c1", "tool": "follow_up", "arguments": {"region": drawn}, "text": "",
            "number": 1, "outcome": "ok", "evidence_ids": ["e1"], "data": {}}  # fmt: skip
    rows: list[tuple[EventKind, dict[str, Any]]] = [
        ("message", {"text": "", "region": drawn}), ("tool_result", step),
    ]  # fmt: skip
    assert map_data(told(*rows))["regions"]
    assert map_data(told(*rows, ("message", {"text": "", "withdraw": ["e1"]})))["regions"] == []


def test_frames_lie_on_the_photo_and_those_outside_are_left_out() -> None:
    frames = frames_of(answered(located()), photo(1600, 1067))
    assert [mark for mark, *_ in frames] == ["2", "3"]
    assert frames[0][3].startswith("left:37.500%;top:61.856%;")
    assert frames_of(answered(located()), photo(500, 400)) == []


def test_pictures_keep_the_step_that_made_them() -> None:
    pairs = pairs_of(answered(located()))
    assert [step["number"] for step, _ in pairs] == [5, 5]


def test_text_of_strangers_stays_text() -> None:
    row = evidence_rows(located())[0]
    candidate = row[1]["candidates"][0] | {"label": HOSTILE}
    story = told(("evidence", {**row[1], "candidates": [candidate]}))
    (dot,) = map_data(story)["candidates"]
    assert HOSTILE in dot["title"]  # the browser makes a text node of it


def test_outlines_are_small_enough_to_be_sent() -> None:
    whole = _outlines(0.2, None)
    assert len(whole) < 250_000
    assert {"FR", "FJ"} <= {code for code, _ in json.loads(whole)}


def test_what_is_withdrawn_or_taken_back_is_known_at_once() -> None:
    story = told(
        ("message", {"text": "", "withdraw": ["e1", "e2"]}),
        ("message", {"text": "", "restore": ["e2"]}),
        ("tool_result", {"call_id": "c1", "tool": "follow_up", "data": {"taken_back": ["e3"]}}),
    )
    assert (story.withdrawn, story.taken_back) == ({"e1", "e3"}, {"e3"})


def test_evidence_is_framed_on_the_photo_that_it_was_read_on() -> None:
    other = "c" * 64
    box = {"left": 10, "top": 10, "right": 60, "bottom": 40}
    story = told(
        ("message", {"text": "", "photos": [PHOTO, other]}),
        ("tool_result", {"call_id": "c1", "arguments": {"photo_id": other[:12]}}),
        ("evidence", {"id": "e1", "call_id": "c1", "box": box, "summary": "a sign"}),
    )
    assert photo_of(story, story.evidence["e1"]) == other
    assert frames_of(story, photo(100, 100)) == []
    assert [mark for mark, *_ in frames_of(story, photo(100, 100, other))] == ["1"]


def test_the_legend_names_what_is_on_the_map_and_nothing_else() -> None:
    assert legend_of(map_data(Story())) == {}
    shown = legend_of(map_data(answered(located())))
    assert {"answer", "kept", "dropped", "claimed"} <= set(shown)
    assert not {"open", "inside", "outside"} & set(shown)


def test_an_answer_says_what_it_changed_and_why() -> None:
    first = located()
    second = first.model_copy(update={"countries": {"FR": 0.4, "ES": 0.6}, "revision": 2})
    story = told(*(("answer", json.loads(one.model_dump_json())) for one in (first, second)))
    assert change_words(story, 0) == ""
    assert "France" in change_words(story, 1)
    assert story.ends == [1, 2]
    assert said_words("Because. You said 'no': belief stays.") == "You said 'no': belief stays."
    assert said_words("Because.") == ""
