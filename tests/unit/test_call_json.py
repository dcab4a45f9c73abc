"""JSON of calls: one reading or none, and no end is ever made up."""

import contextlib
import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.call_json import CutJsonError, LooseJsonError, read_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=4), st.booleans())
def test_json_is_read_as_json(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    read = read_json(text)
    assert read.value == value
    assert read.end == len(text)
    assert read.repairs == ()


@given(st.dictionaries(st.text("abc", min_size=1), JSON, min_size=1, max_size=3), st.data())
def test_no_beginning_of_a_value_is_a_value(value: object, data: st.DataObject) -> None:
    text = json.dumps(value)
    length = data.draw(st.integers(1, len(text) - 1))
    with pytest.raises(CutJsonError):
        read_json(text[:length])


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(LooseJsonError):
        assert read_json(text).end <= len(text)


@pytest.mark.parametrize(
    ("text", "value", "repair"),
    [
        ("{'a': 'b'}", {"a": "b"}, "quotes other than double ones"),
        ("{“a”: “b”}", {"a": "b"}, "quotes other than double ones"),
        ("{'a': 'it's here'}", {"a": "it's here"}, "line breaks or quotes inside a string"),
        ('{"a": "a "Hotel" sign"}', {"a": 'a "Hotel" sign'}, "line breaks or quotes inside a"),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}, "line breaks or quotes inside a string"),
        ('{"a": [1, 2,],}', {"a": [1, 2]}, "a comma before a closing bracket"),
        ('{"a": True, "b": None}', {"a": True, "b": None}, "Python's words"),
        ("{latitude: 48.8}", {"latitude": 48.8}, "keys without quotes"),
        ('{"a": 1, // north\n "b": /* east */ 2}', {"a": 1, "b": 2}, "comments"),
        ('{"a": .5, "b": +5, "c": 5.}', {"a": 0.5, "b": 5, "c": 5.0}, "a number as JSON does not"),
    ],
)
def test_one_reading_is_enough(text: str, value: object, repair: str) -> None:
    read = read_json(text)
    assert read.value == value
    assert any(one.startswith(repair) for one in read.repairs), read.repairs


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 48,85}',
        '{"a": 048}',
        '{"a": 48.85°}',
        '{"a": north}',
        '{"a": 1 "b": 2}',
        '{"a": 1]',
        '{"a": "\\uZZZZ"}',
        '{"a": ' + "9" * 400 + "}",
        "[" * 100 + "]" * 100,
        "}",
    ],
)
def test_two_readings_are_none(text: str) -> None:
    with pytest.raises(LooseJsonError) as caught:
        read_json(text)
    assert not isinstance(caught.value, CutJsonError)


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"a": {"b": 1}', {"a": {"b": 1}}), ('["x"', ["x"]), ('{"a": 1 ', {"a": 1})],
)
def test_brackets_may_be_missing_only_before_an_end_tag(text: str, value: object) -> None:
    assert read_json(text, closed=True).value == value
    with pytest.raises(CutJsonError):
        read_json(text)


@pytest.mark.parametrize("text", ['{"a": 48.8', '{"a": "x', '{"a":', '{"a": tru', '{"a": 1,', "{"])
def test_an_end_tag_completes_no_number_and_no_string(text: str) -> None:
    with pytest.raises(CutJsonError):
        read_json(text, closed=True)


def test_what_is_not_finite_is_told_not_hidden() -> None:
    read = read_json('{"a": NaN, "b": -Infinity, "c": 1e999}')
    assert isinstance(read.value, dict)
    assert math.isnan(read.value["a"])  # type: ignore[arg-type] # it is a float
    assert (read.value["b"], read.value["c"]) == (-math.inf, math.inf)


@pytest.mark.parametrize("unit", ['{"', '"/*', "[", '{"a":"', '"  ', "//", "{'a':"])
def test_hostile_repetitions_take_no_time(unit: str) -> None:
    began = time.process_time()
    with pytest.raises(LooseJsonError):
        read_json('{"a": ' + unit * (100_000 // len(unit)))
    assert time.process_time() - began < 2
