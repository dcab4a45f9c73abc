"""The gazetteer of all settlements, as users have it; built once where it is missing."""

import time
from collections.abc import Iterator

import pytest

from geo.gazetteer import Gazetteer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def gazetteer() -> Iterator[Gazetteer]:
    with Gazetteer.open() as opened:
        yield opened


@pytest.mark.parametrize(
    ("written", "name", "country"),
    [
        ("Praha", "Prague", "CZ"),
        ("Санкт-Петербург", "Saint Petersburg", "RU"),
        ("東京", "Tokyo", "JP"),
        ("กรุงเทพมหานคร", "Bangkok", "TH"),
        ("القاهرة", "Cairo", "EG"),
        ("Αθήνα", "Athens", "GR"),
        ("서울", "Seoul", "KR"),
        ("ירושלים", "Jerusalem", "IL"),
        ("दिल्ली", "Delhi", "IN"),
        ("თბილისი", "Tbilisi", "GE"),
        ("Երևան", "Yerevan", "AM"),
        ("İstanbul", "Istanbul", "TR"),
        ("ISTANBUL", "Istanbul", "TR"),
        ("Malmo", "Malmö", "SE"),
        ("Strassburg", "Strasbourg", "FR"),
        ("Kobenhavn", "Copenhagen", "DK"),
        ("Reykjavk", "Reykjavík", "IS"),
        ("Springfield, Illinois", "Springfield", "US"),
        ("Paris, Texas", "Paris", "US"),
    ],
)
def test_cities_of_the_world_are_found_as_written(
    gazetteer: Gazetteer, written: str, name: str, country: str
) -> None:
    best = gazetteer.find(written)[0]
    assert (best.name, best.country) == (name, country)


@pytest.mark.parametrize(
    ("position", "country", "name"),
    [
        ((48.5733, 7.8000), "FR", "Strasbourg"),  # on the Rhine, nearer to Kehl
        ((31.7587, -106.4869), "US", "El Paso"),  # the bridge to Ciudad Juárez is a mile away
        ((31.7587, -106.4869), "MX", "Ciudad Juárez"),
        ((46.2330, 6.0557), "FR", None),  # CERN straddles the border
    ],
)
def test_the_nearest_settlement_is_of_the_country_asked_for(
    gazetteer: Gazetteer, position: tuple[float, float], country: str, name: str | None
) -> None:
    place, kilometres = gazetteer.nearest(*position, country=country)[0]
    assert place.country == country
    assert kilometres < 10
    assert name is None or place.name == name


def test_almost_every_settlement_has_an_area_name(gazetteer: Gazetteer) -> None:
    points, _, _ = gazetteer.settlements()
    assert len(points) > 230_000
    picked = [gazetteer.nearest(*point)[0][0] for point in points[::500].tolist()]
    assert sum(bool(place.admin1) for place in picked) / len(picked) > 0.98


def test_countries_are_named_in_their_own_languages(gazetteer: Gazetteer) -> None:
    for name, code in [("Suomi", "FI"), ("Ελλάδα", "GR"), ("Україна", "UA"), ("대한민국", "KR")]:
        assert code in gazetteer.find_country(name), name


@pytest.mark.parametrize("written", ["Xqzzyvw", "aaaaaaaaaaaaaaaaaaaaaaaa", "San Franzisko de"])
def test_a_name_that_is_none_is_given_up_quickly(gazetteer: Gazetteer, written: str) -> None:
    gazetteer.find("Reykjavk")
    start = time.perf_counter()
    gazetteer.find(written)
    assert time.perf_counter() - start < 0.25
