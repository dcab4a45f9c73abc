"""Distances, means, medoids and circles hold at the poles and the antimeridian."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geo import sphere
from geo.errors import InputError

Point = tuple[float, float]
Distance = Callable[..., sphere.FloatArray]
HALF_TURN_KM = 20_003.9315
latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180, exclude_max=True)
points = st.tuples(latitudes, longitudes)
some_points = arrays(
    np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.floats(-90, 90)
)
BOTH = pytest.mark.parametrize("distance", [sphere.distance_km, sphere.haversine_km])


def test_known_distances() -> None:
    # Paris to London; one degree of equator; pole to pole along a meridian.
    assert sphere.distance_km(48.8566, 2.3522, 51.5074, -0.1278) == pytest.approx(343.92, abs=0.1)
    assert sphere.distance_km(0, 0, 0, 1) == pytest.approx(111.3195, abs=1e-3)
    assert sphere.haversine_km(0, 0, 0, 1) == pytest.approx(111.1949, abs=1e-3)
    assert sphere.distance_km(90, 12, -90, 50) == pytest.approx(HALF_TURN_KM, abs=1e-3)


@BOTH
def test_longitude_means_nothing_at_a_pole(distance: Distance) -> None:
    assert distance(90, 0, 90, 137) == pytest.approx(0, abs=1e-6)
    assert distance(-90, -180, 0, 12) == pytest.approx(distance(-90, 33, 0, 12))


@BOTH
@given(a=points, b=points)
def test_distance_is_symmetric(distance: Distance, a: Point, b: Point) -> None:
    assert distance(*a, *b) == pytest.approx(distance(*b, *a), abs=1e-6)


@BOTH
@given(a=points, b=points, turns=st.integers(-2, 2))
def test_a_full_turn_changes_no_distance(
    distance: Distance, a: Point, b: Point, turns: int
) -> None:
    turned = distance(a[0], a[1] + 360 * turns, *b)
    assert turned == pytest.approx(distance(*a, *b), abs=1e-5)


@given(a=points, b=points, turn=st.floats(-180, 180))
def test_turning_the_globe_changes_no_distance(a: Point, b: Point, turn: float) -> None:
    turned = sphere.distance_km(a[0], a[1] + turn, b[0], b[1] + turn)
    assert turned == pytest.approx(sphere.distance_km(*a, *b), abs=1e-3)


@given(a=points, b=points, c=points)
def test_haversine_obeys_the_triangle_inequality(a: Point, b: Point, c: Point) -> None:
    direct = sphere.haversine_km(*a, *c)
    assert direct <= sphere.haversine_km(*a, *b) + sphere.haversine_km(*b, *c) + 1e-3


@given(a=points, b=points)
def test_haversine_stays_close_to_wgs84(a: Point, b: Point) -> None:
    ellipsoid = float(sphere.distance_km(*a, *b))
    assert float(sphere.haversine_km(*a, *b)) == pytest.approx(ellipsoid, rel=0.006, abs=0.001)


def test_distances_broadcast() -> None:
    table = sphere.haversine_km(np.zeros((3, 1)), np.arange(3)[:, None], 0.0, np.arange(4)[None])
    assert table.shape == (3, 4)


@given(a=points, bearing=st.floats(0, 360), length=st.floats(0.001, 15_000))
def test_destination_is_as_far_as_asked(a: Point, bearing: float, length: float) -> None:
    latitude, longitude = sphere.destination(*a, bearing, length)
    assert sphere.distance_km(*a, latitude, longitude) == pytest.approx(length, abs=1e-5)
    assert -180 <= longitude < 180


@given(point=points)
def test_unit_vectors_and_points_are_inverse(point: Point) -> None:
    vectors = sphere.unit_vectors([point])
    assert np.linalg.norm(vectors) == pytest.approx(1)
    latitude, longitude = sphere.points_of(vectors)[0]
    assert sphere.haversine_km(latitude, longitude, *point) < 1e-6


def test_mean_over_the_antimeridian_and_a_pole() -> None:
    over_the_line = sphere.spherical_mean([[10, 179], [10, -179]])
    assert over_the_line is not None
    assert over_the_line == pytest.approx([10.0015, -180], abs=1e-3)
    around_the_pole = sphere.spherical_mean([[80, 0], [80, 90], [80, 180], [80, -90]])
    assert around_the_pole is not None
    assert around_the_pole[0] == pytest.approx(90)


@pytest.mark.parametrize(
    ("cancelling", "weights"),
    [
        ([[0, 0], [0, 180]], None),
        ([[90, 0], [-90, 0]], None),
        ([[0, 0], [0, 120], [0, -120]], None),
        ([[5, 5]], [0.0]),
        (np.empty((0, 2)), None),
    ],
)
def test_mean_of_points_that_cancel_out_is_none(
    cancelling: list[list[float]], weights: list[float] | None
) -> None:
    assert sphere.spherical_mean(cancelling, weights) is None


def test_weights_pull_the_mean() -> None:
    mean = sphere.spherical_mean([[0, 0], [0, 10]], [3, 1])
    assert mean is not None
    assert 2 < mean[1] < 3


def test_medoid_of_a_cluster_on_the_antimeridian() -> None:
    cluster = [[0.0, 179.8], [0.0, -179.9], [0.0, 180.0], [40.0, 0.0]]
    assert sphere.medoid_index(cluster) == 2


@given(cluster=some_points, turn=st.integers(-1, 1))
def test_medoid_has_the_least_total_distance(cluster: sphere.FloatArray, turn: int) -> None:
    turned = np.add(cluster, [0.0, 360.0 * turn])
    totals = sphere.pairwise_haversine_km(cluster).sum(axis=1)
    assert totals[sphere.medoid_index(turned)] == pytest.approx(totals.min(), abs=1e-3)


def test_medoid_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        sphere.medoid_index(np.empty((0, 2)))


@given(centre=points, radius=st.floats(0.1, 9000))
def test_circle_keeps_its_radius_everywhere(centre: Point, radius: float) -> None:
    ring = sphere.circle(*centre, radius, vertices=16)
    assert ring.shape == (16, 2)
    assert sphere.distance_km(*centre, ring[:, 0], ring[:, 1]) == pytest.approx(radius, rel=1e-6)


def test_circle_around_a_pole_runs_through_all_longitudes() -> None:
    ring = sphere.circle(89, 30, 500, vertices=360)
    assert np.histogram(ring[:, 1], bins=12, range=(-180, 180))[0].min() > 0


@pytest.mark.parametrize("radius", [0, -1, 20_001, float("nan")])
def test_circle_of_impossible_radius_is_refused(radius: float) -> None:
    with pytest.raises(InputError, match="radius"):
        sphere.circle(0, 0, radius)


@given(longitude=st.floats(-1e6, 1e6))
def test_wrapped_longitude_is_in_range_and_the_same_direction(longitude: float) -> None:
    wrapped = float(sphere.wrap_longitude(longitude))
    assert -180 <= wrapped < 180
    assert sphere.haversine_km(0, wrapped, 0, longitude) < 1e-3


@pytest.mark.parametrize("value", [np.nan, np.inf, 90.001, -91.0])
def test_impossible_latitudes_are_refused(value: float) -> None:
    with pytest.raises(InputError):
        sphere.distance_km(0, 0, value, 0)
    with pytest.raises(InputError):
        sphere.unit_vectors([[value, 0]])


def test_wrong_shapes_and_weights_are_refused() -> None:
    with pytest.raises(InputError, match=r"\[N, 2\]"):
        sphere.unit_vectors([1.0, 2.0])
    with pytest.raises(InputError, match="weights"):
        sphere.spherical_mean([[0, 0]], [-1])


def test_map_order_puts_neighbours_side_by_side() -> None:
    points = np.random.default_rng(2).uniform((-90, -180), (90, 180), (2000, 2))
    order = sphere.map_order(np.concatenate([points, points[:1]]))
    assert sorted(order) == list(range(2001))
    assert abs(int(np.argmax(order == 0)) - int(np.argmax(order == 2000))) == 1
    walked = points[order[order < 2000]]
    steps = np.abs(np.diff(walked, axis=0)).mean()
    assert steps < 0.15 * np.abs(np.diff(points, axis=0)).mean()
