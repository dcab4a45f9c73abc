"""Numbers in a model's words: kept where a tool result holds them, replaced where none does."""

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.grounding import UNGROUNDED, ground, numbers_in

SOURCE = (
    'Gallery photo "x" at 48.858370, -2.294481: 1,234 inliers of 5,678; sign "Rue 17"; 33.86 S; '
    + json.dumps({"share": 0.834, "count": 96, "tiny": 1e-05, "list": [312, 2019]})
)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("48.8584, 2.2945", ["48.8584", "2.2945"]),
        ("48.8584,2.2945", ["48.8584", "2.2945"]),
        ("48.858,2.294", ["48.858", "2.294"]),
        ("at -33.86 and (-0.5) and −7", ["-33.86", "-0.5", "−7"]),
        ("1,234,567.8 or 1.234.567,8 or 1'234", ["1,234,567.8", "1.234.567,8", "1'234"]),
        ("12\u202f345 km", ["12\u202f345"]),
        ("10-20 km, 2024-05-01, 14:30", ["10", "20", "2024", "05", "01", "14", "30"]),
        ("48°51'30\"N", ["48", "51", "30"]),
        ("the A4, 120km, km², 7B", ["4", "120", "7"]),
        ("1e-05 and 3E5", ["1e-05", "3E5"]),
        ("٤٨٫٥", ["٤٨", "٥"]),
        ("[e0123456789, c9876543210] e0123456789", []),
        ("call_8fJx91Kq, chatcmpl-tool-12ab, 4f9a2b7c11d0", []),
        ("no number, forty-two", []),
    ],
)
def test_numbers_are_found_and_ids_are_none(text: str, numbers: list[str]) -> None:
    assert numbers_in(text) == numbers


@pytest.mark.parametrize(
    "said",
    [
        "48.858370", "48.85837", "48.8584", "48.86", "48.9", "49", "48,86", "-2.29", "2.29",
        "1,234", "1234", "1'234", "1.234", "1200", "1,230", "17", "-33.86", "33.86", "83.4 %",
        "83 percent", "83%", "96", "0.00001", "312", "310", "2019", "5.678", "0048.86",
    ],
)  # fmt: skip
def test_a_number_of_a_tool_result_is_kept_however_it_is_written(said: str) -> None:
    text = f"It is {said} here."
    assert ground(text, [SOURCE]) == (text, ())


@pytest.mark.parametrize(
    "said",
    [
        "48.85", "48.87", "48.8583701", "47", "-48.86", "-17", "1,235", "12345", "1300", "1240",
        "84 %", "100 %", "100", "0", "300", "2020", "-5", "1.5e9", "99", "9" * 1000,
    ],
)  # fmt: skip
def test_a_number_of_no_tool_result_is_replaced(said: str) -> None:
    (number,) = numbers_in(said)
    text, replaced = ground(f"It is {said} here [e0123456789].", [SOURCE])
    assert replaced == (number,)
    assert text == f"It is {said.replace(number, UNGROUNDED)} here [e0123456789]."


def test_a_list_without_spaces_holds_each_of_its_numbers() -> None:
    assert ground("120 and 200", ["[10,120,200]"])[1] == ()


def test_ids_of_a_source_ground_nothing() -> None:
    assert ground("4823 photos", ["e4823aaaaaa"])[1] == ("4823",)


def test_without_sources_every_number_goes_and_words_stay() -> None:
    said = ground("3 of 4, near Lyon", [])
    assert said == (f"{UNGROUNDED} of {UNGROUNDED}, near Lyon", ("3", "4"))
    assert ground("near Lyon", []) == ("near Lyon", ())


@given(st.text(), st.lists(st.text(), max_size=3))
def test_what_is_left_is_grounded_and_nothing_else_changes(text: str, sources: list[str]) -> None:
    grounded, replaced = ground(text, sources)
    assert ground(grounded, sources) == (grounded, ())
    parts = grounded.split(UNGROUNDED)
    if not replaced:
        assert grounded == text
    elif len(parts) == len(replaced) + 1:
        joined = parts[0] + "".join(n + part for n, part in zip(replaced, parts[1:], strict=True))
        assert joined == text


@given(
    st.floats(0.0001, 1e6, allow_nan=False).filter(lambda value: value > 0.001),
    st.integers(0, 6),
    st.booleans(),
    st.booleans(),
)
def test_every_rounding_of_a_source_s_number_is_grounded(
    value: float, decimals: int, comma: bool, groups: bool
) -> None:
    said = f"{value:,.{decimals}f}" if groups else f"{value:.{decimals}f}"
    if comma:
        said = said.translate(str.maketrans(",.", ".,"))
    if not re.search(r"[1-9]", said):
        return  # rounded away to zero: not the number any more
    assert ground(said, [json.dumps({"value": value})])[1] == ()


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_whole_numbers_are_not_mistaken(held: int, said: int) -> None:
    grounded = not ground(str(said), [str(held)])[1]
    if held == said:
        assert grounded
    elif grounded:  # then it is rounded to two digits or more
        zeros = len(str(said)) - len(str(said).rstrip("0"))
        step = 10 ** min(zeros, max(0, len(str(held)) - 2))
        assert abs(held - said) <= step / 2


def test_a_megabyte_of_results_and_hostile_digits_take_no_time() -> None:
    began = time.perf_counter()
    ground("1,2,3." * 20_000, ["1,234." * 150_000, "0123456789abcdef" * 4000, "e" * 100_000])
    assert time.perf_counter() - began < 5.0
