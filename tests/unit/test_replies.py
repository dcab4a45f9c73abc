"""Replies of models: every coordinate is read, none is invented, nothing raises."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.guess import ReadGuess
from agent.loose_json import read_objects
from agent.replies import MAXIMUM_TEXT, read_guess
from evaluation import bench_replies

PLACE = (48.85, 2.29)
READ = {
    '{"latitude": 48.85, "longitude": 2.29}': PLACE,
    '```json\n{"latitude": 48.85, "longitude": 2.29}\n```': PLACE,
    'Sure! {"Latitude": "48.85", "Longitude": "2.29"} Hope it helps.': PLACE,
    '[{"lat.": 48.85, "Long": 2.29}]': PLACE,
    '{"gpsLatitude": 48.85, "GPSLongitude": 2.29}': PLACE,
    '{"reverse_geocoding": {"coordinates": {"latitude": "48.85", "lng": "2.29"}}}': PLACE,
    '{"coordinates": [48.85, 2.29]}': PLACE,
    '{"coordinates": ["48.85° N", "2.29° E"]}': PLACE,
    '{"coordinates": "48.85, 2.29"}': PLACE,
    '{"lon_lat": [2.29, 48.85]}': PLACE,
    '{"location": [48.85, 2.29]}': PLACE,
    '{"latitude": "S 48.85", "longitude": "2.29 (West)"}': (-48.85, -2.29),
    '{"geometry": {"type": "Point", "coordinates": [2.29, 48.85]}}': PLACE,
    '{"a": {"latitude": 48.85}, "b": {"longitude": 2.29}}': PLACE,
    '{"answer": "It is at 48.8500, 2.2900."}': PLACE,
    '{"latitude": "approximately 48.85° N", "longitude": "2.29 West (about)"}': (48.85, -2.29),
    '{"latitude": "48°51\'S", "longitude": "2° 17.4′ W"}': (-48.85, -2.29),
    '{"lat": {"degrees": 48, "minutes": 51, "direction": "S"}, "lon": {"value": 2.29}}':
        (-48.85, 2.29),
    '{"latitude": "48,85", "longitude": "2,29"}': PLACE,
    '{"latitude": 48,85, "longitude": 2,29}': PLACE,
    '{"latitude": 48.85 S, "longitude": +2.29,}': (-48.85, 2.29),
    '{"latitude": 4.885e1, "longitude": 2.29}': PLACE,
    "{'latitude': 48.85, // here\n 'longitude': 2.29, /* there */ 'place': None}": PLACE,
    '{latitude: 48.85, longitude: 2.29}': PLACE,
    '{"reason": "a "quoted" sign, and\nmore", "latitude": 48.85, "longitude": 2.29}': PLACE,
    '{ reason": "x", "latitude": 48.85\n "longitude": 2.29}': PLACE,
    '**{**\n**"latitude": "48.85",**\n**"longitude": "2.29"**\n**}**': PLACE,
    '{"city": "Paris,\n "latitude": "48.85", "longitude": "2.29"}': PLACE,
    '{“latitude”: 48.85, “longitude”: 2.29}': PLACE,
    '{"latitude": 48.85, "longitude": 2.29, "reason": "the tower': PLACE,
    "* Coordinates:\n\t+ Latitude: 48.85\n\t+ Longitude: 2.29": PLACE,
    "Coordinates: [48.85, 2.29]": PLACE,
    "**Latitude**: 48.85° N\n**Longitude**: 2.29° W": (48.85, -2.29),
    "I would say 48.85° N, 2.29° E.": PLACE,
    "<answer>48.85, 2.29</answer>": PLACE,
    '<think>{"latitude": 1.5, "longitude": 2.5}</think>{"latitude": 48.85, "longitude": 2.29}':
        PLACE,
    'so 1.5555, 2.5555 ...</think>{"latitude": 48.85, "longitude": 2.29}': PLACE,
    '{"clues": [{"what": "x", "coordinates": [0.1, 0.2]}], "lat": 48.85, "lon": 2.29}': PLACE,
    '{"latitude_range": "40 to 50", "latitude": 48.85, "longitude": 2.29}': PLACE,
    '\ud800{"a": "\\ud83d", "lat": 48.85, "lon": 2.29}': PLACE,
}  # fmt: skip
NONE = [
    '{"latitude": null, "longitude": null}',
    '{"latitude": "N/A", "longitude": "unknown"}',
    '{"latitude": "No GPS data available", "longitude": ""}',
    '{"latitude": "<latitude>", "longitude": "..."}',
    '{"latitude": true, "longitude": false}',
    '{"latitude": null, "longitude": null} My office is at 48.8584, 2.2945.',
    "* Coordinates: Not provided",
    "There were 2019, 2020 and 3.50, 4.20 of them.",
    "{}",
    "{see above}",
]
REJECTED = {
    '{"latitude": 0, "longitude": 0.0}': "null-island",
    '{"coordinates": [0.0, 0.0]}': "null-island",
    "Coordinates: 0.0000, 0.0000": "null-island",
    '{"latitude": NaN, "longitude": Infinity}': "not-finite",
    '{"latitude": "nan", "longitude": "2.29"}': "not-finite",
    '{"latitude": 1e999, "longitude": 2}': "out-of-range",
    '{"latitude": 139.7, "longitude": 35.7}': "out-of-range",
    '{"latitude": 48.85, "longitude": 190.5}': "out-of-range",
    '{"coordinates": [139.7, 35.7]}': "out-of-range",
    '{"latitude": ' + "9" * 5000 + ', "longitude": 2}': "not-a-coordinate",
    '{"latitude": "between 40 and 45", "longitude": "2"}': "not-a-coordinate",
    '{"latitude": 48.85, "longitude": null}': "incomplete",
    '{"latitude": null, "longitude": 0.0}': "incomplete",
    '{"latitude": 48.85}': "incomplete",
    '{"coordinates": [1, 2, 3, 4]}': "not-a-coordinate",
    '{"coordinates": [0.25, 0.5]}': "not-a-coordinate",
    '{"coordinates": "35.6895, 139.': "truncated",
    '{"latitude": 35.6, "longitude": 13': "truncated",
    '{"latitude": 35.6, "longitude": "13.': "truncated",
    '{"coordinates": [35.6, 13.7': "truncated",
    '{"coordinates": "35.6895, 13.7': "truncated",
    "Latitude: 35.6895, Longitude: 139.": "truncated",
}


def at(read: ReadGuess) -> tuple[float, float] | None:
    """The coordinate of a guess, if it has one."""
    guess = read.guess
    if guess is None or guess.latitude is None or guess.longitude is None:
        return None
    return guess.latitude, guess.longitude


def kinds(read: ReadGuess) -> set[str]:
    """The kinds of the problems of a reply."""
    return {problem.kind for problem in read.problems}


@pytest.mark.parametrize("text", READ)
def test_every_coordinate_is_read(text: str) -> None:
    assert at(read_guess(text)) == pytest.approx(READ[text])


@pytest.mark.parametrize("text", NONE)
def test_none_is_invented(text: str) -> None:
    read = read_guess(text)
    assert at(read) is None
    assert read.rejected == ()


@pytest.mark.parametrize("text", REJECTED)
def test_what_is_no_position_is_rejected_and_told(text: str) -> None:
    read = read_guess(text)
    assert at(read) is None
    assert len(read.rejected) == 1
    told = [problem for problem in read.problems if problem.action == "rejected"]
    assert [problem.kind for problem in told] == [REJECTED[text]]


def test_a_number_that_ends_a_reply_cut_off_is_no_number() -> None:
    text = "Latitude: 35.6895\nLongitude: 139.7"
    assert at(read_guess(text)) == (35.6895, 139.7)
    assert at(read_guess(text, finish="length")) is None
    assert at(read_guess(f"{text}\nPlace: Tok", finish="length")) == (35.6895, 139.7)


def test_of_several_the_announced_else_the_first_is_taken() -> None:
    first, last = "48.8584, 2.2945", "50.0755, 14.4378"
    one, two = '{"lat": 48.85, "lon": 2.29}', '{"lat": 50.07, "lon": 14.43}'
    taken = {
        f"Perhaps Paris ({first}) or Prague ({last}).": 48.8584,
        f"Perhaps Paris ({first}). Final answer: {last}": 50.0755,
        f"Answer: {first}. No, corrected answer: {last}.": 50.0755,
        f"{one} or {two}": 48.85,
        f"{one}\nMy final answer:\n```json\n{two}\n```": 50.07,
        f'{{"alternatives": [{one}], "position": {two}}}': 50.07,
        f'{{"candidates": [{one}], "final_answer": {two}}}': 50.07,
        f'{{"candidates": [{one}, {two}]}}': 48.85,
        f"{one} though {last} is as likely": 48.85,
    }
    for text, latitude in taken.items():
        read = read_guess(text)
        assert at(read) is not None
        assert read.guess is not None
        assert read.guess.latitude == latitude, text
        assert "several-coordinates" in kinds(read), text
    assert "several-coordinates" not in kinds(read_guess(f"{one} which is 48.851, 2.291"))


def test_all_that_is_asked_for_is_read() -> None:
    reply = {
        "latitude": 48.85, "longitude": 2.29, "radius_km": "10 km", "confidence": "80%",
        "place": "Champ de Mars", "country": "France", "reason": "An iron\ntower.",
        "clues": [
            {"what": "tower", "box": {"left": 0.1, "top": 0.2, "right": 0.3, "bottom": 0.9}},
            {"what": "kiosk", "bbox": [0.5, 0.5, 0.6, 0.6]},
            {"what": "sign", "box": [10, 20, 300, 400]},
            "plane trees",
        ],
    }  # fmt: skip
    read = read_guess(json.dumps(reply))
    guess = read.guess
    assert guess is not None
    assert (guess.place, guess.country, guess.reason) == (
        "Champ de Mars", "France", "An iron tower.",
    )  # fmt: skip
    assert (guess.radius_km, guess.confidence) == (10.0, 0.8)
    assert [clue.what for clue in guess.clues] == ["tower", "kiosk", "sign", "plane trees"]
    assert [clue.box is not None for clue in guess.clues] == [True, True, False, False]
    assert [(problem.kind, problem.action) for problem in read.problems] == [
        ("bad-box", "rejected")
    ]


@pytest.mark.parametrize(
    ("field", "radius"),
    [
        ('"radius_km": 5', 5.0), ('"radius": "5 km"', 5.0), ('"radius_m": 500', 0.5),
        ('"radius_km": "500 m"', 0.5), ('"uncertainty": "about 10 miles"', 16.09344),
        ('"radius_km": "1,000 km"', 1000.0), ('"radius_km": "2,5"', 2.5),
        ('"radius": 5', None), ('"radius_km": 0', None), ('"radius_km": 99999', None),
        ('"radius_km": "5-10 km"', None), ('"radius_km": "1e999"', None),
    ],
)  # fmt: skip
def test_radius_has_a_unit_or_is_left_out(field: str, radius: float | None) -> None:
    read = read_guess(f'{{"lat": 48.85, "lon": 2.29, {field}}}')
    assert read.guess is not None
    assert read.guess.radius_km == (None if radius is None else pytest.approx(radius))
    assert ("radius" in kinds(read)) == (radius is None)


@pytest.mark.parametrize(
    ("value", "confidence"),
    [
        ("0.7", 0.7), ('"0.7"', 0.7), ('"70 %"', 0.7), ('"4/5"', 0.8), ('"8 out of 10"', 0.8),
        ("1.0", 1.0), ("0", 0.0), ("1", None), ('"4"', None), ('"high"', None), ("85", None),
        ('"140%"', None), ('"4 (landmark)"', None),
    ],
)  # fmt: skip
def test_confidence_without_a_scale_is_left_out(value: str, confidence: float | None) -> None:
    read = read_guess(f'{{"lat": 48.85, "lon": 2.29, "confidence": {value}}}')
    assert read.guess is not None
    assert read.guess.confidence == confidence
    assert ("unknown-scale" in kinds(read)) == (confidence is None)


def test_prose_and_lines_name_more_than_the_coordinate() -> None:
    lines = (
        "* **Address**:\n\t+ Street: Not visible\n\t+ City: Atlanta\n\t+ State: GA\n"
        "\t+ Country: USA\n* Confidence: 80%\n* Radius: 3 km\n* Coordinates: 33.75, -84.39"
    )
    read = read_guess(lines)
    assert read.guess is not None
    assert (read.guess.place, read.guess.country) == ("Atlanta, GA", "USA")
    assert (read.guess.radius_km, read.guess.confidence) == (3.0, 0.8)
    assert kinds(read) == {"prose"}
    prose = read_guess("I am 80% confident: within about 5 km of 48.8584, 2.2945.").guess
    assert prose is not None
    assert (prose.radius_km, prose.confidence) == (5.0, 0.8)
    assert prose.reason.startswith("I am 80%")


def test_a_place_alone_is_a_guess_and_words_for_nothing_are_none() -> None:
    read = read_guess('{"address": {"city": "Kyoto", "state": "Unknown", "country": "Japan"},'
                      ' "latitude": "Not visible", "longitude": "N/A"}')  # fmt: skip
    assert at(read) is None
    assert read.guess is not None
    assert (read.guess.place, read.guess.country) == ("Kyoto", "Japan")
    nothing = read_guess('{"city": "not specified", "country": "Not visible (dark)"}')
    assert nothing == ReadGuess()


def test_the_place_is_that_of_the_coordinate_taken() -> None:
    read = read_guess('{"alternatives": [{"lat": 1.5, "lon": 2.5, "country": "A"}],'
                      ' "best": {"lat": 3.5, "lon": 4.5, "place": "B"}}')  # fmt: skip
    assert read.guess is not None
    assert (read.guess.place, read.guess.country) == ("B", "")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I'm sorry, but I can't help identify this place.", "refusal"),
        ("I cannot determine where this was taken.", "refusal"),
        ("", "empty"),
        (" \n\t", "empty"),
        ("<think>it may be 48.8584, 2.2945", "endless-thinking"),
        ("<think>hm</think>", "endless-thinking"),
    ],
)
def test_replies_that_say_nothing(text: str, kind: str) -> None:
    read = read_guess(text)
    assert read.guess is None
    assert kind in kinds(read)


def test_an_apology_around_an_answer_is_no_refusal() -> None:
    read = read_guess("I cannot provide the exact place, but Latitude: 48.85, Longitude: 2.29")
    assert at(read) == PLACE
    assert "refusal" not in kinds(read)


def test_the_form_is_accounted_for() -> None:
    good = '{"lat": 48.85, "lon": 2.29}'
    assert kinds(read_guess(good)) == set()
    assert kinds(read_guess(f"```json\n{good}\n```")) == {"fenced-json"}
    assert kinds(read_guess(f"Here: {good}")) == {"json-in-prose"}
    assert kinds(read_guess(good.replace("}", ",}"))) == {"broken-json"}
    assert kinds(read_guess(good.replace("}", ', "place": "Par'))) == {"truncated"}
    assert "overlong" in kinds(read_guess(f"{'x' * MAXIMUM_TEXT} {good}"))
    assert at(read_guess(f"{'x' * MAXIMUM_TEXT} {good}")) == PLACE


def test_fields_are_cut_to_what_a_guess_holds() -> None:
    fields = dict.fromkeys(("place", "country", "reason"), "x" * 5000)
    clues = [{"what": "y" * 900}] * 60
    read = read_guess(json.dumps({"lat": 48.85, "lon": 2.29, **fields, "clues": clues}))
    guess = read.guess
    assert guess is not None
    assert (len(guess.place), len(guess.country), len(guess.reason)) == (200, 100, 2000)
    assert len(guess.clues) == 20
    assert len(guess.clues[0].what) == 300


def test_control_characters_do_not_reach_a_guess() -> None:
    read = read_guess('{"lat": 48.85, "lon": 2.29, "place": "a\\u001b[31mb\\u202ec\\u0000"}')
    assert read.guess is not None
    assert read.guess.place.isprintable()


WORDS = ["{", "}", "[", "]", ":", ",", '"', "'", "\\", "lat", "longitude", "coordinates", "48.85",
         "-2.29", "0", "null", "NaN", "<think>", "</think>", "```", "°", "N", " ", "\n", "final",
         "clues", "box", "radius_km", "confidence", "reason", "//", "/*", "%", "1e999", "\ud800",
         "type", "Point", "country"]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=60).map("".join) | st.text(max_size=200))
def test_nothing_raises_and_nothing_impossible_is_read(text: str) -> None:
    for finish in ("", "length"):
        read = read_guess(text, finish=finish)
        if (position := at(read)) is not None:
            assert position != (0, 0)
            assert "48.85" in text or "2.29" in text or any(letter.isdigit() for letter in text)
        ReadGuess.model_validate_json(read.model_dump_json(), strict=False)


@settings(max_examples=100, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
))  # fmt: skip
def test_any_json_is_read_or_not(value: object) -> None:
    read_guess(json.dumps(value))
    read_guess(json.dumps({"coordinates": value, "clues": value, "radius_km": value}))


@pytest.mark.parametrize(
    "piece",
    ["{", '{"a":', '"', "{a:1}", "<think>", "</think>", "a: 1\n", '{"lat":1,"lon":2}', '{"a":[],',
     "[1,", '{a:/*', 'coord[', '{"a":"', "I am ", '{"a": "x" ', '","', "\\", "{a://"],
)  # fmt: skip
def test_hostile_replies_take_linear_time(piece: str) -> None:
    started = time.process_time()
    read_guess(piece * (300_000 // len(piece)))
    assert time.process_time() - started < 4


def test_deep_nesting_is_passed_over() -> None:
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    assert at(read_guess(f"{deep} then {{'lat': 48.85, 'lon': 2.29}}")) == PLACE
    assert len(read_objects(deep)) == 1


@pytest.mark.parametrize(("shift", "met"), [(0.0, True), (1.0, False)])
def test_the_bench_of_replies_can_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: float, met: bool
) -> None:
    (tmp_path / "predictions").mkdir()
    texts = ['{"latitude": "48.85", "longitude": "2.29"}', "Latitude: 1.5\nLongitude: 2.5", None]
    rows = [json.dumps({"model": "m", "raw_response": text}) for text in texts]
    (tmp_path / bench_replies.ANSWERS).write_text("\n".join(rows))

    def shifted(text: str, *, finish: str = "") -> ReadGuess:
        read = read_guess(text, finish=finish)
        if read.guess is None or read.guess.latitude is None:
            return read
        moved = read.guess.model_copy(update={"latitude": read.guess.latitude + shift})
        return ReadGuess(guess=moved)

    monkeypatch.setattr(bench_replies, "read_guess", shifted)
    figures = list(bench_replies.measure(tmp_path))
    assert [row.met for row in figures if "differently" in row.name] == [met]
    assert [row.met for row in figures if "digits" in row.name] == [met]
    monkeypatch.setattr(bench_replies, "read_guess", lambda text, finish="": ReadGuess())
    met_of = {row.name: row.met for row in bench_replies.measure(tmp_path)}
    assert met_of["answers with a coordinate"] is False
    assert list(bench_replies.measure(tmp_path / "predictions")) == []
