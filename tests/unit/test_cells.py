"""S2 cells: what holds a point holds it at every level, at the poles and the antimeridian too."""

import numpy as np
import pytest
import s2geometry
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geo import cells
from geo.errors import InputError
from geo.sphere import haversine_km

unhurried = settings(deadline=None)
levels = st.integers(0, 30)
points = arrays(
    np.float64, st.tuples(st.integers(1, 6), st.just(2)), elements=st.floats(-90, 90)
).map(lambda rows: rows * (1, 2))


@unhurried
@given(points=points, level=levels)
def test_cells_hold_their_points(points: np.ndarray, level: int) -> None:
    found = cells.cell_ids(points, level)
    assert found.dtype == np.uint64
    assert (cells.levels(found) == level).all()
    for number, (latitude, longitude) in zip(found.tolist(), points.tolist(), strict=True):
        square = s2geometry.S2Cell(s2geometry.S2CellId(number))
        point = s2geometry.S2LatLng.FromDegrees(latitude, longitude).ToPoint()
        # The library's own test of containment; at an edge, within a rounding error.
        assert square.Contains(point) or square.GetDistance(point).degrees() < 1e-12


@unhurried
@given(points=points, fine=levels, coarse=levels)
def test_a_parent_is_the_coarser_cell_of_the_point(
    points: np.ndarray, fine: int, coarse: int
) -> None:
    fine, coarse = max(fine, coarse), min(fine, coarse)
    ids = cells.cell_ids(points, fine)
    found = cells.parents(ids, coarse)
    assert (found == cells.cell_ids(points, coarse)).all()
    libraries = [s2geometry.S2CellId(number).parent(coarse).id() for number in ids.tolist()]
    assert found.tolist() == libraries


@unhurried
@given(points=points, level=st.integers(0, 28), deeper=st.integers(0, 2))
def test_children_fill_their_parent(points: np.ndarray, level: int, deeper: int) -> None:
    ids = cells.cell_ids(points, level)
    inside = cells.children(ids, level + deeper)
    assert inside.shape == (len(ids), 4**deeper)
    assert (cells.levels(inside.ravel()) == level + deeper).all()
    assert (cells.parents(inside.ravel(), level).reshape(inside.shape) == ids[:, None]).all()
    assert all(len(set(row)) == 4**deeper for row in inside.tolist())
    areas = cells.area_km2(inside.ravel()).reshape(inside.shape).sum(axis=1)
    np.testing.assert_allclose(areas, cells.area_km2(ids), rtol=1e-6)


@unhurried
@given(points=points, level=levels)
def test_centres_and_tokens_lead_back(points: np.ndarray, level: int) -> None:
    ids = cells.cell_ids(points, level)
    middles = cells.centres(ids)
    assert (np.abs(middles) <= (90, 180)).all()
    assert (cells.cell_ids(middles, level) == ids).all()
    names = cells.tokens(ids)
    assert names == [s2geometry.S2CellId(number).ToToken() for number in ids.tolist()]
    assert (cells.from_tokens(names) == ids).all()
    assert (cells.from_tokens([name.upper() for name in names]) == ids).all()


@unhurried
@given(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), level=levels)
def test_one_place_is_in_one_cell(latitude: float, longitude: float, level: int) -> None:
    east, west = cells.cell_ids([[latitude, 180.0], [latitude, -180.0]], level)
    assert east == west
    for pole in (90.0, -90.0):
        some, other = cells.cell_ids([[pole, longitude], [pole, 0.0]], level)
        assert some == other


def test_corners_surround_the_centre() -> None:
    # Paris; on the antimeridian; a cell at level 2 that touches the pole.
    found = [cells.cell_ids([point], 15)[0] for point in ([48.86, 2.29], [-17.0, 180.0])]
    found.append(cells.cell_ids([[89.0, 10.0]], 2)[0])
    for number in found:
        ring = cells.polygon(number)
        assert ring.shape == (5, 2)
        assert (ring[0] == ring[4]).all()
        assert len(np.unique(ring[:4], axis=0)) == 4
        (latitude, longitude), side = cells.centres([number])[0], cells.area_km2([number])[0] ** 0.5
        reach = haversine_km(latitude, longitude, ring[:, 0], ring[:, 1])
        assert (reach > 0.4 * side).all()
        assert (reach < 1.2 * side).all()
    (south, west), (north, east) = (
        cells.polygon(found[0])[:4].min(0),
        cells.polygon(found[0]).max(0),
    )
    assert south < 48.86 < north
    assert west < 2.29 < east


def test_sizes_are_the_published_ones() -> None:
    ids = cells.cell_ids(np.random.default_rng(0).uniform(-60, 60, (200, 2)), 15)
    # Level 15 has 6 * 4^15 cells on 510 million km2.
    assert cells.area_km2(ids).mean() == pytest.approx(510.1e6 / (6 * 4**15), rel=0.1)
    faces = cells.cell_ids([[0, 0], [0, 90], [90, 0], [0, 180], [0, -90], [-90, 0]], 0)
    assert len(set(faces.tolist())) == 6
    assert cells.area_km2(faces).sum() == pytest.approx(4 * np.pi * 6371.0**2)


def test_nothing_of_nothing() -> None:
    empty = cells.cell_ids(np.empty((0, 2)), 15)
    assert empty.shape == (0,)
    assert empty.dtype == np.uint64
    assert cells.parents(empty, 3).shape == (0,)
    assert cells.centres(empty).shape == (0, 2)
    assert cells.area_km2(empty).shape == (0,)
    assert cells.tokens(empty) == []


def test_signed_numbers_are_read_as_their_bits() -> None:
    ids = cells.cell_ids([[-90.0, 0.0]], 15)
    assert ids.view(np.int64)[0] < 0
    assert cells.parents(ids.view(np.int64), 10) == cells.parents(ids, 10)


@pytest.mark.parametrize("level", [-1, 31, 15.0, True, "15", None])
def test_levels_outside_are_refused(level: int) -> None:
    with pytest.raises(InputError, match="0 to 30"):
        cells.cell_ids([[0.0, 0.0]], level)


@pytest.mark.parametrize(
    "bad", [[[91.0, 0.0]], [[np.nan, 0.0]], [[0.0, np.inf]], [0.0, 1.0], [[1.0, 2.0, 3.0]]]
)
def test_impossible_points_are_refused(bad: list[float]) -> None:
    with pytest.raises(InputError, match="latitude"):
        cells.cell_ids(bad, 15)


@pytest.mark.parametrize("bad", [[0], [2], [2**64 - 1], [1.5], ["x"], [[4]], 7, [2**65]])
def test_numbers_of_no_cell_are_refused(bad: list[int]) -> None:
    with pytest.raises(InputError):
        cells.tokens(bad)


@pytest.mark.parametrize(
    "bad", ["", "X", "0", "47e66e2c47e66e2c4", "4 7", "-1", "é", "4_7", "2", "d"]
)
def test_texts_of_no_cell_are_refused(bad: str) -> None:
    with pytest.raises(InputError, match="token"):
        cells.from_tokens([bad])


def test_family_errors_say_the_levels() -> None:
    ids = cells.cell_ids([[0.0, 0.0]], 10)
    with pytest.raises(InputError, match="level 10 has no parent of level 12"):
        cells.parents(ids, 12)
    with pytest.raises(InputError, match="from 10 to 22"):
        cells.children(ids, 23)
    with pytest.raises(InputError, match="of one level"):
        cells.children([*ids.tolist(), *cells.parents(ids, 3).tolist()], 12)
