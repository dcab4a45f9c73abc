"""Maps of the report: everything lands where it belongs, at the seam and the poles too."""

import re

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from agent.report_frame import scale_bar
from agent.report_map import Mark, local_map, place_symbols, world_map
from agent.report_shapes import (
    LOCAL_HEIGHT,
    LOCAL_WIDTH,
    WORLD_HEIGHT,
    WORLD_WIDTH,
    Points,
    area_of_circle,
    area_of_ring,
    azimuthal,
    equal_earth,
    path_of,
    turned,
    unwrapped,
)
from agent.report_views import half_sizes_km
from geo.sphere import destination, distance_km

SQUARE = np.array([[0.0, 0.0], [0.0, 10.0], [10.0, 10.0], [10.0, 0.0]])
SEAM = np.array([[-16.0, 179.0], [-16.0, -179.0], [-18.0, -179.0], [-18.0, 179.0]])
POLAR = np.array([[-70.0, lon] for lon in range(-180, 180, 10)], dtype=float)

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 179.999)


def drawn(path: str) -> Points:
    """Return all points `[N, 2]` of an SVG path."""
    numbers = [float(text) for text in re.findall(r"-?\d+(?:\.\d+)?", path)]
    return np.array(numbers).reshape(-1, 2)


def test_equal_earth_is_centred_and_fills_the_drawing() -> None:
    points = np.array([[0.0, 0.0], [0.0, -180.0], [0.0, 180.0], [90.0, 0.0], [-90.0, 0.0]])
    x, y = equal_earth(points).T
    np.testing.assert_allclose(x, [480, 0, 960, 480, 480], atol=1e-9)
    np.testing.assert_allclose(y, [234, 234, 234, 0, 468], atol=0.5)


def test_marks_at_the_poles_and_the_antimeridian_are_on_the_world_map() -> None:
    corners = [(90.0, 0.0), (-90.0, 0.0), (0.0, 180.0), (0.0, -180.0), (90.0, -180.0)]
    view = world_map([], [Mark(*corner, "kept", "") for corner in corners])
    assert len(view.symbols) == len(corners)


def test_equal_earth_keeps_areas() -> None:
    """A degree square shrinks with the cosine of latitude and with nothing else."""

    def area(south: float, west: float) -> float:
        corners = np.array([[0, 0], [0, 0.1], [0.1, 0.1], [0.1, 0]]) + np.array([south, west])
        return float(shapely.Polygon(equal_earth(corners)).area)

    for south, west in ((60.0, 0.0), (-45.0, 120.0), (10.0, -170.0)):
        expected = area(0.0, 0.0) * np.cos(np.radians(south + 0.05))
        assert area(south, west) == pytest.approx(expected, rel=2e-3)


@given(latitudes, longitudes, st.floats(0, 359), st.floats(0.01, 3000))
def test_distances_from_the_middle_of_a_local_map_are_true(
    latitude: float, longitude: float, bearing: float, away_km: float
) -> None:
    project = azimuthal(latitude, longitude, 1000.0)
    point = destination(latitude, longitude, bearing, away_km).reshape(1, 2)
    x, y = project(point)[0] - (LOCAL_WIDTH / 2, LOCAL_HEIGHT / 2)
    assert np.hypot(x, y) * 1000 / (LOCAL_HEIGHT / 2) == pytest.approx(away_km, rel=0.007)


def test_a_local_map_has_north_up_and_east_right() -> None:
    project = azimuthal(43.3, 179.99, 50.0)
    north, east = project(np.array([[43.5, 179.99], [43.3, -179.9]]))
    assert north[0] == pytest.approx(LOCAL_WIDTH / 2)
    assert north[1] < LOCAL_HEIGHT / 2
    assert east[0] > LOCAL_WIDTH / 2
    assert east[0] - LOCAL_WIDTH / 2 < 60


def test_unwrapping_removes_jumps_but_leaves_the_pole_alone() -> None:
    assert np.abs(np.diff(unwrapped(SEAM)[:, 1])).max() == 2.0
    antarctica = np.array([[-70.0, -180.0], [-70, 0], [-70, 180], [-90, 180], [-90, -180]])
    np.testing.assert_array_equal(unwrapped(antarctica), antarctica)


def test_a_ring_across_the_antimeridian_is_no_band_across_the_map() -> None:
    area = area_of_ring(SEAM)
    assert area.area == pytest.approx(4.0)
    assert area.intersects(shapely.Point(179.5, -17))
    assert area.intersects(shapely.Point(-179.5, -17))
    assert not area.intersects(shapely.Point(0, -17))
    x = drawn(path_of(area, equal_earth))[:, 0]
    assert ((x < 20) | (x > WORLD_WIDTH - 20)).all()


def test_turning_the_world_joins_what_the_seam_cut() -> None:
    area = turned(area_of_ring(SEAM), -150.0)
    assert area.bounds == pytest.approx((29.0, -18.0, 31.0, -16.0))
    assert area.geom_type == "Polygon"


@pytest.mark.parametrize("ring", [POLAR, POLAR[::-1]])
def test_a_ring_around_a_pole_holds_the_pole(ring: Points) -> None:
    area = area_of_ring(ring)
    assert area.area == pytest.approx(360 * 20, rel=1e-6)
    assert area.intersects(shapely.Point(0, -89))


@given(latitudes, longitudes, latitudes, longitudes, st.floats(0.5, 19_900))
def test_a_circle_holds_exactly_what_is_within_its_radius(
    latitude: float, longitude: float, other_lat: float, other_lon: float, radius_km: float
) -> None:
    away = float(distance_km(latitude, longitude, other_lat, other_lon))
    # The edge has 180 vertices joined in longitude and latitude: leave out what is near it.
    if abs(away - radius_km) < 60 + 0.02 * radius_km:
        return
    area = area_of_circle(latitude, longitude, radius_km)
    west, south, east, north = area.bounds
    assert west >= -180
    assert east <= 180
    assert south >= -90
    assert north <= 90
    assert area.intersects(shapely.Point(other_lon, other_lat)) == (away < radius_km)


@pytest.mark.parametrize("longitude", [179.9, -179.9, 180.0, -180.0])
def test_a_circle_at_the_antimeridian_stays_at_both_edges(longitude: float) -> None:
    ring = world_map([], circles=[(-17.0, longitude, 300.0, 95)]).rings[0]
    for path in (ring.area, ring.edge):
        x = drawn(path)[:, 0]
        assert ((x < 25) | (x > WORLD_WIDTH - 25)).all()
        assert (x < 25).any()
        assert (x > WORLD_WIDTH - 25).any()


@pytest.mark.parametrize("latitude", [90.0, -90.0, 89.5, -89.5])
def test_a_circle_at_a_pole_reaches_all_longitudes_but_not_the_equator(latitude: float) -> None:
    ring = world_map([], circles=[(latitude, 40.0, 1500.0, 95)]).rings[0]
    points = drawn(ring.area)
    across = points[:, 0].max() - points[:, 0].min()
    assert across > WORLD_WIDTH / 2
    middle = WORLD_HEIGHT / 2
    assert ((points[:, 1] < middle - 100) if latitude > 0 else (points[:, 1] > middle + 100)).all()


def test_a_circle_as_large_as_the_world_is_the_world() -> None:
    assert area_of_circle(10.0, 20.0, 20_010.0).area == 360 * 180


def test_the_world_around_the_pacific_puts_its_middle_in_the_middle() -> None:
    view = world_map([("FJ", SEAM)], [Mark(0.0, 150.0, "answer", "here")], middle=150.0)
    assert (view.symbols[0].x, view.symbols[0].y) == (WORLD_WIDTH / 2, WORLD_HEIGHT / 2)
    x = drawn(view.lands[0].path)[:, 0]
    assert x.max() - x.min() < 10


def test_enclaves_are_drawn_after_what_surrounds_them() -> None:
    view = world_map([("LS", SQUARE / 10 + 4), ("ZA", SQUARE)], shares={"LS": 0.4})
    assert [(land.iso2, land.share) for land in view.lands] == [("ZA", 0.0), ("LS", 0.4)]


def test_a_local_map_shows_land_beyond_the_antimeridian() -> None:
    view = local_map([("FJ", SEAM)], (-17.0, 179.9), 200.0, "around", "Surroundings")
    points = drawn(view.lands[0].path)
    centre = LOCAL_WIDTH / 2
    assert points[:, 0].min() < centre - 50
    assert points[:, 0].max() > centre + 50
    assert "179°E" in [caption.text for caption in view.captions]
    assert "179°W" in [caption.text for caption in view.captions]
    # The seam itself is no border: no border point on the meridian of 180 degrees inside the land.
    seam_x = azimuthal(-17.0, 179.9, 200.0)(np.array([[-17.0, 180.0]]))[0, 0]
    borders = drawn(view.borders)
    inside = (np.abs(borders[:, 0] - seam_x) < 1) & (np.abs(borders[:, 1] - LOCAL_HEIGHT / 2) < 90)
    assert not inside.any()


@pytest.mark.parametrize("latitude", [90.0, -90.0, 88.0])
def test_a_local_map_at_a_pole_has_every_longitude_around_it(latitude: float) -> None:
    sign = np.sign(latitude)
    ring = np.array([[sign * 85.0, lon] for lon in range(-180, 180, 5)])
    view = local_map([("AQ", ring)], (latitude, 0.0), 400.0, "around", "Surroundings")
    assert shapely.Polygon(drawn(view.lands[0].path)).is_valid or len(view.lands) == 1
    lines = drawn(view.graticule)
    assert len(lines) > 20
    assert np.isfinite(lines).all()


def test_land_at_the_antipode_never_reaches_a_local_map() -> None:
    far = np.array([[-45.0, 170.0], [-45.0, -170.0], [-35.0, -170.0], [-35.0, 170.0]])
    assert local_map([("NZ", far)], (40.0, 0.0), 3000.0, "around", "").lands == ()


def test_marks_outside_are_left_out_and_labels_do_not_cover_each_other() -> None:
    marks = [
        Mark(43.30, 5.37, "dropped", "first", "1"),
        Mark(43.3001, 5.37, "kept", "second", "2"),
        Mark(48.85, 2.35, "dropped", "far", "3"),
        Mark(43.32, 5.39, "kept", "apart", "4"),
    ]
    symbols = place_symbols(marks, azimuthal(43.3, 5.37, 5.0), LOCAL_WIDTH, LOCAL_HEIGHT)
    assert [(symbol.title, symbol.label) for symbol in symbols] == [
        ("first", ""),
        ("second", "2"),
        ("apart", "4"),
    ]


@pytest.mark.parametrize(
    ("half_km", "text"), [(0.25, "100 m"), (1.0, "500 m"), (30.0, "20 km"), (3000.0, "2,000 km")]
)
def test_the_scale_bar_is_round_and_true(half_km: float, text: str) -> None:
    bar = scale_bar(half_km)
    assert bar.text == text
    number, unit = text.replace(",", "").split()
    length_km = float(number) / (1000 if unit == "m" else 1)
    assert bar.length == pytest.approx(length_km / half_km * LOCAL_HEIGHT / 2)
    assert bar.length <= LOCAL_WIDTH / 4


@pytest.mark.parametrize(
    ("radii", "halves"),
    [
        ([0.01, 0.02, 0.05], [450.0, 0.25]),
        ([10.0, 20.0, 80.0], [1200.0, 100.0]),
        ([160.0, 900.0, 2300.0], [2875.0]),
        ([160.0, 900.0, 9000.0], [1125.0]),
        ([5000.0, 9000.0, 15000.0], []),
        ([], []),
    ],
)
def test_local_maps_fit_the_largest_radius_that_can_be_shown(
    radii: list[float], halves: list[float]
) -> None:
    assert half_sizes_km(radii) == pytest.approx(halves)


@pytest.mark.parametrize("radius_km", [19_990.0, 20_000.0, 20_003.0, 20_037.0])
def test_a_circle_around_the_whole_globe_is_drawn(radius_km: float) -> None:
    for latitude, longitude in ((0, 0), (52, 13), (-90, 0), (10, 179.9)):
        drawn = world_map([], [], [(latitude, longitude, radius_km, 95)], {}, 0.0)
        assert len(drawn.rings) == 1
