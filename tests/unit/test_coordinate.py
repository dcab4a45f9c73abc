"""Coordinates are read as people write them, and nothing is ever invented."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geo.coordinate import Coordinate
from geo.errors import InputError
from geo.sphere import distance_km

EIFFEL = (48.8584, 2.2945)
latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180, exclude_max=True)

READ = {
    "48.8584, 2.2945": EIFFEL,
    "48.8584 2.2945": EIFFEL,
    "(48.8584, 2.2945)": EIFFEL,
    "[48.8584;2.2945]": EIFFEL,
    "48.8584/2.2945": EIFFEL,
    "48.8584\n2.2945": EIFFEL,
    "+48.8584,-002.2945": (48.8584, -2.2945),
    "−33.8568 151.2153": (-33.8568, 151.2153),
    "48,8584; 2,2945": EIFFEL,
    "48,8584, 2,2945": EIFFEL,
    "48,8584 2,2945": EIFFEL,
    "48,8584°N 2,2945°E": EIFFEL,
    "48,5; 2": (48.5, 2.0),
    "48,2": (48.0, 2.0),
    "48.8584N 2.2945E": EIFFEL,
    "N48.8584 E2.2945": EIFFEL,
    "2.2945E, 48.8584N": EIFFEL,
    "33.8568S151.2153E": (-33.8568, 151.2153),
    "33.8568° South, 151.2153° East": (-33.8568, 151.2153),
    "lat: 48.8584, lon: 2.2945": EIFFEL,
    "Longitude 2.2945 Latitude 48.8584": EIFFEL,
    "Lat 48.8584 N, Long 2.2945 E": EIFFEL,
    '{"lat": 48.8584, "lng": 2.2945}': EIFFEL,
    "٤٨٫٨٥٨٤، ٢٫٢٩٤٥": EIFFEL,
    "10, 190": (10.0, -170.0),
    "48°51'30.24\"N 2°17'40.2\"E": EIFFEL,
    "48º51′30.24″ N, 2º17′40.2″ E": EIFFEL,
    "48°51’30.24” N 2°17’40.2” E": EIFFEL,
    "48° 51' 30.24'' 2° 17' 40.2''": EIFFEL,
    "48 51 30.24 N 2 17 40.2 E": EIFFEL,
    "N 48 51 30.24 E 2 17 40.2": EIFFEL,
    "48:51:30.24N 2:17:40.2E": EIFFEL,
    "48d51m30.24sN 2d17m40.2sE": EIFFEL,
    "48 deg 51 min 30.24 sec N 2 deg 17 min 40.2 sec E": EIFFEL,
    "-48°51'30.24\", -2°17'40.2\"": (-48.8584, -2.2945),
    "-0°30', 0°30'": (-0.5, 0.5),
    "48°51.504′N 2°17.67′E": EIFFEL,
    "48°51,504'N 2°17,67'E": EIFFEL,
    "geo:48.8584,2.2945": EIFFEL,
    "geo:48.8584,2.2945,35;crs=wgs84;u=20": EIFFEL,
    "GEO:48.8584,2.2945": EIFFEL,
    "geo:0,0?q=48.8584,2.2945(Tower)": EIFFEL,
    "https://www.google.com/maps/@48.8584,2.2945,17z": EIFFEL,
    "https://www.google.com/maps/place/T/@48.8,2.2,17z/data=!3m1!8m2!3d48.8584!4d2.2945": EIFFEL,
    "https://www.google.com/maps/place/48%C2%B051'30.24%22N+2%C2%B017'40.2%22E/@48.8,2.2": EIFFEL,
    "https://maps.google.com/?q=48.8584,2.2945": EIFFEL,
    "https://maps.google.com/maps?q=loc:48.8584,2.2945&z=3": EIFFEL,
    "https://maps.google.com/maps?ll=48.8584,2.2945&z=12": EIFFEL,
    "https://www.google.com/maps/search/?api=1&query=48.8584%2C2.2945": EIFFEL,
    "https://www.google.com/maps/search/48.8584,+2.2945": EIFFEL,
    "https://www.openstreetmap.org/#map=17/48.8584/2.2945": EIFFEL,
    "https://www.openstreetmap.org/?mlat=48.8584&mlon=2.2945#map=5/1/2": EIFFEL,
    "openstreetmap.org/#map=17/48.8584/2.2945&layers=C": EIFFEL,
    "https://maps.apple.com/?ll=48.8584,2.2945&q=Tower": EIFFEL,
    "https://maps.apple.com/place?coordinate=48.8584,2.2945&name=Tower": EIFFEL,
    "https://www.bing.com/maps?cp=48.8584~2.2945&lvl=16": EIFFEL,
    "https://www.bing.com/maps?sp=point.48.8584_2.2945_Tower": EIFFEL,
}
REFUSED = {
    "12 apples 5 pears": "apples",
    "": "no pair",
    "48.8584": "no pair",
    "48°51'N": "no pair",
    "1, 2, 3": "more ways",
    "48,8584,2,2945": "more ways",
    "48,8584, 2": "more ways",
    "48 51 30 2 17 40": "more ways",
    "48° 2": "no pair",
    "1,234.5": "thousands",
    "12-05": "nothing between",
    "12-05-2024": "nothing between",
    "1.2.3, 4": "nothing between",
    "48.85 – 2.29": "holds",
    "nan, nan": "holds",
    "inf, 2": "holds",
    "1e5, 2": "scientific",
    "N/A": "holds",
    "48.85 O 2.29 N": "holds",
    "48.8584N, 2.2945": "only one",
    "48.8584N 2.2945N": "two values",
    "-33.8 S, 151 E": "sign",
    "N48.8S 2E": "no pair",
    "48°60'N 2°E": "under 60",
    "48°30'60\"N 2°E": "under 60",
    "48.5°30'N 2°E": "fraction",
    "97, 2": "-90..90",
    "95N 2E": "-90..90",
    "10, 361": "-360..360",
    "5 m 3 m": "no pair",
    "48.8584 N 2.2945 E and more": "holds",
    "geo:1,2;crs=moon": "wgs84",
    "geo:95,2": "-90..90",
    "geo:0,0?q=Tower": "name",
    "geo:": "geo URI",
    "https://maps.app.goo.gl/abc": "short link",
    "https://example.org/": "no coordinate",
    "https://www.google.com/maps/place/Tower": "no coordinate",
    "https://www.google.com/maps/dir/48.1,2.2/49.1,2.5/@48.5,2.3,9z": "route",
    "https://www.google.com/maps/data=!3d1.5!4d2.5!3d3.5!4d4.5": "2 places",
    "http://[::1": "valid link",
}


@pytest.mark.parametrize("text", READ)
def test_what_people_write_is_read(text: str) -> None:
    read = Coordinate.parse(text)
    assert (read.latitude, read.longitude) == pytest.approx(READ[text], abs=1e-9)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_single_coordinate_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(InputError, match=REFUSED[text]) as refusal:
        Coordinate.parse(text)
    assert "\n" not in str(refusal.value)
    assert repr(text) in str(refusal.value) or "latitude" in str(refusal.value)


def test_overlong_text_is_refused() -> None:
    with pytest.raises(InputError, match="at most 300"):
        Coordinate.parse("1" * 301)
    with pytest.raises(InputError, match="at most 4,000"):
        Coordinate.parse("https://example.org/" + "1" * 5000)


@given(latitudes, longitudes)
@example(90.0, 0.0)
@example(-1e-9, -1e-9)
@example(0.0, 179.99999999)
def test_every_format_is_read_back(latitude: float, longitude: float) -> None:
    here = Coordinate(latitude, longitude)
    for text, kilometres in ((here.decimal(), 2e-4), (here.dms(), 4e-3), (here.geo_uri(), 2e-5)):
        back = Coordinate.parse(text)
        apart = distance_km(here.latitude, here.longitude, back.latitude, back.longitude)
        assert apart <= kilometres, text


@given(
    text=st.text(max_size=60),
    other=st.text("0123456789.,;:-+ °'\"NSEWnsewdmlatogu/@!?=&#()[]{}\n٣é", max_size=40),
)
def test_hostile_text_is_read_or_refused_and_nothing_else(text: str, other: str) -> None:
    for one in (text, other, f"geo:{text}", f"https://www.google.com/maps/{text}", text + other):
        try:
            read = Coordinate.parse(one)
        except InputError:
            continue
        assert -90 <= read.latitude <= 90
        assert -180 <= read.longitude < 180


@given(latitudes, st.floats(-1e6, 1e6))
def test_longitude_is_wrapped(latitude: float, longitude: float) -> None:
    here = Coordinate(latitude, longitude)
    assert -180 <= here.longitude < 180
    assert math.cos(math.radians(here.longitude - longitude)) == pytest.approx(1)


def test_both_names_of_the_antimeridian_are_one() -> None:
    assert Coordinate(0, 180) == Coordinate(0, -180) == Coordinate(0, 540)
    assert Coordinate(-0.0, -0.0).geo_uri() == "geo:0,0"


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 90.0001, -97, True, "1", None, 10**400, 1j]
)
def test_impossible_latitudes_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="latitude"):
        Coordinate(value, 0)


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "1", None])
def test_impossible_longitudes_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="longitude"):
        Coordinate(0, value)


def test_swapped_values_are_suspected() -> None:
    with pytest.raises(InputError, match="swapped"):
        Coordinate(151.2, -33.8)


def test_formats() -> None:
    opera = Coordinate(-33.8568, 151.2153)
    assert opera.decimal() == "-33.856800, 151.215300"
    assert opera.dms() == "33°51'24.5\"S 151°12'55.1\"E"
    assert opera.geo_uri(uncertainty_m=20) == "geo:-33.8568,151.2153;u=20"
    assert Coordinate(90, 12).geo_uri() == "geo:90,0"
    assert Coordinate(0, 59.99999999 / 60).dms() == "0°00'00.0\"N 1°00'00.0\"E"
    with pytest.raises(InputError, match="uncertainty"):
        opera.geo_uri(uncertainty_m=-1)
