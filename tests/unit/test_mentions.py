"""Coordinates in running text: found where they are, never where they are not."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo.coordinate import Coordinate
from geo.errors import InputError
from geo.mentions import MAXIMUM_TEXT, find_coordinates, parse_angle

TOWER = (48.8584, 2.2945)
FOUND = {
    "48.8584, 2.2945": TOWER,
    "48.8584; 2.2945": TOWER,
    "It is (48.8584°N, 2.2945°E), I think.": TOWER,
    "48.8584 N 2.2945 E": TOWER,
    "N48.8584, E2.2945": TOWER,
    "N 48.8584° W 2.2945": (48.8584, -2.2945),
    "33.8568° south, 151.2153° East": (-33.8568, 151.2153),
    "48.8584 degrees north, 2.2945 degrees west": (48.8584, -2.2945),
    "2.2945 degrees west longitude, 48.8584 degrees north latitude": (48.8584, -2.2945),
    "48.8584 latitude, 2.2945 longitude": TOWER,
    "48.8584° n, 2.2945° w": (48.8584, -2.2945),
    "48.8584° -2.2945°": (48.8584, -2.2945),
    "lat: 48.85 lon: 2.29": (48.85, 2.29),
    "Latitude 48.85 / Longitude -2.29": (48.85, -2.29),
    "the latitude is about 48.85 and the longitude is roughly 2.29": (48.85, 2.29),
    "Latitude: 33.75 (approximate)\n\t+ Longitude: -84.39": (33.75, -84.39),
    "**Latitude:** approximately -33.86° S, **Longitude:** 151.2° E": (-33.86, 151.2),
    "Latitude - 33.5, Longitude - 84.5": (33.5, 84.5),
    "Longitude (W): 84.39, latitude (N): 33.7": (33.7, -84.39),
    "Latitude: 48.85 ± 0.01, Longitude: 2.29 ± 0.02": (48.85, 2.29),
    '{\'lat\': -48.85, "lng": "-2.29"}': (-48.85, -2.29),
    "Lat 48,8584 Lon 2,2945": TOWER,
    "широта 48.85, долгота 2.29": (48.85, 2.29),
    "北纬48.8584度，东经2.2945度": TOWER,
    "$48.8584^\\circ \\text{N}, 2.2945^\\circ \\text{W}$": (48.8584, -2.2945),
    "48.8584&deg; N, 2.2945&deg; W": (48.8584, -2.2945),
    "Latitude: 33.86 (S), Longitude: 151.2 (East)": (-33.86, 151.2),
    "Latitude: 33.86, S; Longitude: 151.2, E": (-33.86, 151.2),
    "Latitude: 33.86° Southern, Longitude: 70.5° Western": (-33.86, -70.5),
    "Breite: 33,86° Süd, Länge: 70,5° West": (-33.86, -70.5),
    "Latitude: S 33.86, Longitude: W 70.5": (-33.86, -70.5),
    "| Latitude | 48.85 |\n| Longitude | -2.29 |": (48.85, -2.29),
    "| Latitude | Longitude |\n|---|---|\n| 48.85 | -2.29 |": (48.85, -2.29),
    "Latitude | Longitude\n48.85 | -2.29": (48.85, -2.29),
    "Paris (48.85, 2.29)": (48.85, 2.29),
    "48,8584; 2,2945": TOWER,
    "48,8584 / 2,2945": TOWER,
    "48,8584, 2,2945": TOWER,
    "٤٨٫٨٥٨٤، ٢٫٢٩٤٥": TOWER,
    "−33.8568, −151.2153": (-33.8568, -151.2153),
    "48°51'30.24\"N 2°17'40.2\"E": TOWER,
    "48° 51′ 30.24″ N, 2° 17′ 40.2″ E": TOWER,
    "48º51’30.24” N 2º17’40.2” W": (48.8584, -2.2945),
    "48 51 30.24 N 2 17 40.2 E": TOWER,
    "N 48 51 30.24 E 2 17 40.2": TOWER,
    "48:51:30.24N 2:17:40.2E": TOWER,
    "48°51.504' N 2°17.67' E": TOWER,
    "Lat: 33°45'N Long: 84°24'W": (33.75, -84.4),
    "48°N, 2°E": (48.0, 2.0),
    "(lat, lon): 48.85, 2.29": (48.85, 2.29),
    "[lon, lat]: [2.29, 48.85]": (48.85, 2.29),
    '{"type": "Point", "coordinates": [2.29, 48.85]}': (48.85, 2.29),
    "Coordinates: 36.16, -86.77": (36.16, -86.77),
    "Coordinates: 40, -74": (40.0, -74.0),
    "located at 48.85, 2.29": (48.85, 2.29),
    "see @48.85,2.29,15z": (48.85, 2.29),
    "48.8584, 2.2945, 35 m above the sea": TOWER,
    "geo:48.8584,2.2945;u=35": TOWER,
    "[map](https://www.google.com/maps?q=48.8584,2.2945).": TOWER,
    "lat 33.75, lon -84.39° W": (33.75, -84.39),
}
NOTHING = [
    "In 2019, 2020 and 2021",
    "it cost $3.50, 4.20 or €3.125, 4.125",
    "call +1 404 555 1234 or 404.555.1234, 404.555.9876",
    "12.05.2024, 13.06.2024",
    "open 24/7, 16:9, 12:30, 14:45",
    "640, 480",
    "version 3.111, 3.112 and v1.234, 2.345",
    "12.555%, 13.125%",
    "25.125°C, 30.250°C",
    "3.125 km, 4.250 km",
    "box (0.125, 0.75)",
    "ratings (4.25, 3.75)",
    "crop box coordinates: 40.55, 60.555",
    "[0.1, 0.25, 0.5, 0.75]",
    "I-5 S, I-90 W",
    "took 5.5 s, 3.2 s",
    "Latitude: not visible, Longitude: not visible",
    "https://example.org/48.8584,2.2945/x",
    "48.8584-2.2945",
    "a score of 4.875, 3.125",
    "",
]
REJECTED = {
    "0, 0": "missing position",
    "(0.000, 0.000)": "missing position",
    "Latitude: 0.0, Longitude: 0.0": "missing position",
    "geo:0,0": "missing position",
    "lat: NaN, lon: NaN": "finite",
    "lat: inf, lon: 2": "finite",
    "139.6917, 35.6895": "latitude 139.692 is outside.*swapped",
    "lat 139.7, lon 35.7": "swapped",
    "48.8584, 200.1234": "longitude 200.123 is outside",
    "48,8584,2,2945": "more ways than one",
    "12,345; 23,456": "thousands",
    "48.8584, 2,2945": "decimal comma",
    "[2.2945, 48.8584]": "longitude first",
    "1.234, 5.678, 9.876": "list of 3",
    "coordinates (0.125, 0.75)": "shares of a picture",
    "Coordinates: (40, 60)": "whole numbers",
    "45 N 100 W, Provo": "address",
    "Breite 48.85° N, Länge 2.29° O": "'O'",
    "-33.8 N, 151.2 E": "sign",
    "48.8584 N, 2.2945": "only one",
    "between 40°N and 45°N, 5°E and 10°E": "range",
    "48°75'N 2°17'E": "under 60",
    "geo:95,2": "-90..90",
}


@pytest.mark.parametrize("text", FOUND)
def test_what_people_and_models_write_is_found(text: str) -> None:
    found = find_coordinates(text).found
    assert [(one.latitude, one.longitude) for one in found] == [pytest.approx(FOUND[text])]


@pytest.mark.parametrize("text", NOTHING)
def test_other_numbers_are_no_coordinates(text: str) -> None:
    assert find_coordinates(text).found == ()


@pytest.mark.parametrize("text", REJECTED)
def test_what_is_no_position_is_rejected_with_the_reason(text: str) -> None:
    mentions = find_coordinates(text)
    assert mentions.found == ()
    assert len(mentions.rejected) == 1
    with pytest.raises(InputError, match=REJECTED[text]):
        raise InputError(mentions.rejected[0].reason)


def test_spans_are_where_the_text_says_so() -> None:
    text = "1. Paris – 48.8584° N, 2.2945° E\n2. Prague:\u200b 50.0755, 14.4378; 50.1, 14.5"
    found = find_coordinates(text).found
    assert [one.text for one in found] == ["48.8584° N, 2.2945° E", "50.0755, 14.4378"]
    assert all(text[one.start : one.end] == one.text for one in found)


def test_several_in_one_line_are_told_apart_by_their_separators() -> None:
    found = find_coordinates("48.8584, 2.2945; 50.0755, 14.4378").found
    assert [one.latitude for one in found] == [48.8584, 50.0755]


@given(st.floats(-89.99, 89.99), st.floats(-179.99, 179.99))
@example(-1e-9, 12.0)
def test_every_format_of_ours_is_found(latitude: float, longitude: float) -> None:
    here = Coordinate(latitude, longitude)
    for text in (here.dms(), here.geo_uri(), f"lat {latitude:.6f}, lon {longitude:.6f}"):
        mentions = find_coordinates(f"It is {text} or so.")
        if mentions.found:
            assert mentions.found[0].latitude == pytest.approx(latitude, abs=2e-5)
            assert mentions.found[0].longitude == pytest.approx(longitude, abs=2e-5)
        else:
            assert "missing position" in mentions.rejected[0].reason
            assert max(abs(latitude), abs(longitude)) < 2e-5


@settings(max_examples=150)
@given(st.text(alphabet=st.sampled_from(list("0123456789.,;:/-+ °'\"NSEWnslatong()[]@\n%±")))
       | st.text())  # fmt: skip
def test_any_text_is_read_or_not_and_nothing_is_out_of_range(text: str) -> None:
    for one in find_coordinates(text).found:
        assert abs(one.latitude) <= 90
        assert abs(one.longitude) <= 180
        assert (one.latitude, one.longitude) != (0, 0)
        assert text[one.start : one.end] == one.text
        assert any(letter.isdigit() for letter in one.text)


@pytest.mark.parametrize(
    "piece",
    ["1 ", "1", "lat ", "1,", "48.8584, 2.2945; ", "N 1 1 1 ", "lat 1 lon ", "geo:1 ", "nan ",
     "(lat,lon)", "lat: of of ", "https://x ", "°'\"", " "],
)  # fmt: skip
def test_hostile_text_takes_linear_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    mentions = find_coordinates(text)
    assert time.process_time() - started < 2
    assert f"the first {MAXIMUM_TEXT:,} were read" in mentions.rejected[0].reason
    assert len(mentions.rejected) <= 50


@pytest.mark.parametrize(
    ("text", "axis", "degrees"),
    [
        ("48.8584", "latitude", 48.8584),
        ("-48,8584", "latitude", -48.8584),
        ("48°51'30.24\"N", "latitude", 48.8584),
        ("48.8584 South", "latitude", -48.8584),
        ("approximately -84.39° W (downtown)", "longitude", -84.39),
        ("4.88584e1", "latitude", 48.8584),
        ("-0.0", "longitude", 0.0),
        ("S33.86", "latitude", -33.86),
        ("33.86 (South)", "latitude", -33.86),
        ("33.86 ± 0.01", "latitude", 33.86),
        ("latitude 33.86° S (near the bridge)", "latitude", -33.86),
        ("180", "longitude", 180.0),
    ],
)
def test_one_angle_is_parsed(text: str, axis: str, degrees: float) -> None:
    assert parse_angle(text, axis) == pytest.approx(degrees)


@pytest.mark.parametrize(
    ("text", "axis", "reason"),
    [
        ("97", "latitude", "outside -90..90"),
        ("200", "longitude", "outside -180..180"),
        ("NaN", "latitude", "finite"),
        ("1e999", "latitude", "outside"),
        ("48.85, 2.29", "latitude", "not one angle"),
        ("between 40 and 45", "latitude", "not one angle"),
        ("40 to 45", "latitude", "not one angle"),
        ("48.85 E", "latitude", "at once"),
        ("lon 48.85", "latitude", "called lon"),
        ("not 48.85", "latitude", "not one angle"),
        ("1_0.5", "latitude", "not one angle"),
        ("", "latitude", "not one angle"),
        ("9" * 200, "latitude", "not one angle"),
    ],
)
def test_what_is_not_one_angle_is_refused(text: str, axis: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_angle(text, axis)
