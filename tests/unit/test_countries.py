"""Countries of records: by position, and swapped coordinates given away by what is stated."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.regions import country_at
from index_builder.countries import country_code, placed
from index_builder.positions import Position
from index_builder.records import Record, Rejected

PLACES = {"FR": (48.86, 2.35), "TR": (39.93, 32.86), "NA": (-22.56, 17.08), "CA": (45.42, -75.7)}


def _record(latitude: float, longitude: float, country: str = "") -> Record:
    return Record("photo", Position(latitude, longitude, country=country), None)


def _only(latitude: float, longitude: float, country: str = "") -> tuple[Record, str] | Rejected:
    (found,) = placed([_record(latitude, longitude, country)])
    return found


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        ("FR", "FR"),
        ("fra", "FR"),
        ("France", "FR"),
        ("Deutschland", "DE"),
        ("日本", "JP"),
        ("Россия", "RU"),
        ("Côte d’Ivoire", "CI"),
        ("The Netherlands", "NL"),
        ("UK", "GB"),
        ("NA", "NA"),
        ("Namibia", "NA"),
        ("USA", "US"),
        ("United States of America", "US"),
        ("Turkey", "TR"),
        ("Türkiye", "TR"),
        ("Korea, South", "KR"),
        ("nan", ""),
        ("QQ", ""),
        ("somewhere", ""),
        ("", ""),
        ("...", ""),
    ],
)
def test_countries_are_known_by_code_and_name(stated: str, code: str) -> None:
    assert country_code(stated) == code


@pytest.mark.parametrize("stated", ["", "nowhere known", "Germany"])
def test_the_code_is_that_of_the_position_whatever_is_stated(stated: str) -> None:
    found = _only(*PLACES["FR"], stated)
    assert isinstance(found, tuple)
    assert found[1] == "FR"


def test_swapped_coordinates_are_told_with_both() -> None:
    found = _only(2.35, 48.86, "France")
    assert isinstance(found, Rejected)
    assert "swapped" in found.reason
    assert "2.35, 48.86" in found.reason
    assert "48.86, 2.35" in found.reason
    assert "France (FR)" in found.reason


def test_what_cannot_be_swapped_is_left() -> None:
    """139 degrees is no latitude, so that Tokyo stated as France is another mistake."""
    found = _only(35.7, 139.7, "France")
    assert isinstance(found, tuple)
    assert found[1] == "JP"


def test_a_border_told_differently_is_no_swap() -> None:
    """In Türkiye, 8 km from Georgia, of which the photo is said to be; swapped in Georgia."""
    assert country_at([(41.48, 42.75)]) == ["TR"]
    assert country_at([(42.75, 41.48)], snap_km=25) == ["GE"]
    assert isinstance(_only(41.48, 42.75, "Georgia"), tuple)


def test_order_is_kept_and_nothing_is_nothing() -> None:
    assert placed([]) == []
    records = [_record(*at) for at in PLACES.values()]
    found = placed(records)
    assert [one[1] for one in found if isinstance(one, tuple)] == list(PLACES)
    assert [one[0] for one in found if isinstance(one, tuple)] == records


@settings(deadline=None)  # borders are read by the first example
@given(st.floats(-60, 75), st.floats(-90, 90))
def test_a_place_stated_rightly_is_never_rejected(latitude: float, longitude: float) -> None:
    (code,) = country_at([(latitude, longitude)])
    found = _only(latitude, longitude, code)
    assert isinstance(found, tuple)
    assert found[1] == code


def test_twenty_thousand_records_take_less_than_a_second() -> None:
    records = [_record(*at, code) for code, at in PLACES.items()] * 5000
    placed(records[:4])  # borders are read once
    started = time.perf_counter()
    assert len(placed(records)) == 20_000
    assert time.perf_counter() - started < 1.0
