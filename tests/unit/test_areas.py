"""Regions combine as sets on the sphere do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import areas
from geo.errors import InputError
from geo.sphere import distance_km


@settings(deadline=None)
@given(
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    radius=st.floats(50, 9000),
    seed=st.integers(0, 1000),
)
def test_a_disc_holds_exactly_what_is_near(
    latitude: float, longitude: float, radius: float, seed: int
) -> None:
    disc = areas.circle_region(latitude, longitude, radius, vertices=720)
    assert disc.is_valid
    draw = np.random.default_rng(seed)
    points = np.column_stack([draw.uniform(-90, 90, 200), draw.uniform(-180, 180, 200)])
    distance = distance_km(latitude, longitude, points[:, 0], points[:, 1])
    # Edges are straight on the map, so what is near the edge may fall to either side.
    clear = np.abs(distance / radius - 1) > 0.02
    clear &= np.abs(points[:, 0]) < 89
    held = areas.contains(disc, points)
    assert (held == (distance < radius))[clear].all()


@pytest.mark.parametrize("centre", [(0, 0), (0, 180), (89.9, 30), (-90, 0), (60, -179.5)])
def test_area_of_a_disc(centre: tuple[float, float]) -> None:
    cap = 2 * math.pi * 6371**2 * (1 - math.cos(500 / 6371))
    assert areas.area_km2(areas.circle_region(*centre, 500)) == pytest.approx(cap, rel=0.01)


def test_a_disc_around_the_pole_holds_it() -> None:
    disc = areas.circle_region(89, 0, 500)
    assert areas.contains(disc, [[90, 0], [89, 180], [85, 180]]).tolist() == [True, True, False]


def test_known_country_areas() -> None:
    # Published land and inland water areas; France without its overseas departments.
    known = {"LS": 30_355, "ZA": 1_221_037, "FJ": 18_272, "CH": 41_285}
    for code, area in known.items():
        assert areas.area_km2(areas.countries_region([code])) == pytest.approx(area, rel=0.05)


def test_union_and_intersection() -> None:
    benelux = areas.countries_region(["BE", "NL", "LU"])
    near_brussels = benelux.intersection(areas.circle_region(50.85, 4.35, 60))
    assert areas.contains(benelux, [[52.37, 4.9], [48.86, 2.35]]).tolist() == [True, False]
    assert areas.contains(near_brussels, [[50.85, 4.35], [52.37, 4.9]]).tolist() == [True, False]
    assert areas.countries_region([]).is_empty


def test_samples_lie_inside_and_repeat() -> None:
    fiji = areas.countries_region(["FJ"])
    points = areas.sample(fiji, 50, seed=3)
    assert points.shape == (50, 2)
    assert areas.contains(fiji, points).all()
    assert (points == areas.sample(fiji, 50, seed=3)).all()
    with pytest.raises(InputError, match="without area"):
        areas.sample(areas.countries_region([]), 1)


@pytest.mark.parametrize("radius", [0, -1, 10_001, math.nan])
def test_impossible_radius_is_refused(radius: float) -> None:
    with pytest.raises(InputError, match="radius"):
        areas.circle_region(0, 0, radius)
