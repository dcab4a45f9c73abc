"""The rendered planet: same seed, same world; what changes, changes as it should."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from evaluation.planet import SPARSE, TWIN_KM, Look, Planet
from evaluation.planet_canvas import Segment
from evaluation.planet_geography import COUNTRIES, directions
from evaluation.planet_sheet import contact_sheet
from geo.errors import InputError
from geo.sphere import EARTH_RADIUS_KM


@pytest.fixture(scope="module")
def planet() -> Planet:
    return Planet(3)


def _digest(look: Look) -> str:
    parts = (look.photo, look.segments, look.aerial)
    words = (look.caption + look.address).encode()
    return hashlib.sha256(b"".join(part.tobytes() for part in parts) + words).hexdigest()


def test_another_process_sees_the_same(planet: Planet) -> None:
    script = (
        "from evaluation.planet import Planet\nfrom tests.unit.test_planet import _digest\n"
        "print(_digest(Planet(3).look(48.5, 12.25, view=2, season=0.8, hour=18)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    here = planet.look(48.5, 12.25, view=2, season=0.8, hour=18)
    assert found.stdout.strip() == _digest(here)


def test_a_look_depends_on_no_look_before_it(planet: Planet) -> None:
    first = _digest(planet.look(10.0, 20.0))
    planet.look(-40.0, 100.0)
    assert _digest(planet.look(10.0, 20.0)) == first
    assert _digest(Planet(4).look(10.0, 20.0)) != first


@pytest.mark.parametrize(("season", "hour"), [(0.02, 12.0), (0.5, 0.0), (0.8, 18.0)])
def test_light_and_season_change_the_photo_and_not_the_map(
    planet: Planet, season: float, hour: float
) -> None:
    summer = planet.look(62.0, 30.0, view=1)
    other = planet.look(62.0, 30.0, view=1, season=season, hour=hour)
    assert np.array_equal(summer.segments, other.segments)
    assert np.array_equal(summer.aerial, other.aerial)
    shift = np.abs(summer.photo.astype(float) - other.photo).mean()
    assert shift > 15


def test_another_view_changes_the_map(planet: Planet) -> None:
    one, other = planet.look(0.0, 0.0, view=0), planet.look(0.0, 0.0, view=1)
    assert (one.segments != other.segments).mean() > 0.05


def test_pictures_have_the_side_asked_for() -> None:
    look = Planet(0, side=96).look(89.9, -180.0)
    assert look.photo.shape == look.aerial.shape == (96, 96, 3)
    assert look.segments.shape == (96, 96)
    assert look.segments.max() < len(Segment)


def test_the_landmark_is_seen_in_nearly_every_photo(planet: Planet) -> None:
    shots = planet.shots(planet.places(60, 0), range(1), "any", 0)
    shares = [(planet.see(shot).segments == Segment.LANDMARK).mean() for shot in shots]
    assert np.mean(np.asarray(shares) > 0.005) > 0.85


def test_look_alikes_share_the_landmark_in_far_countries(planet: Planet) -> None:
    assert {len(group) for group in planet.twins} == {2, 3}
    for group in planet.twins[:20]:
        sphere = directions(np.asarray(group))
        angles = np.arccos(np.clip(sphere @ sphere.T, -1, 1))[~np.eye(len(group), dtype=bool)]
        assert angles.min() * EARTH_RADIUS_KM >= TWIN_KM - 1
        settings = [planet.geography.setting(*point, twin=0) for point in group]
        assert len({setting.country.name for setting in settings}) == len(group)
        monuments = {planet.look(*point).caption.split(":")[1].split(",")[0] for point in group}
        assert len(monuments) == 1
    alone = {planet.look(*p).caption.split(":")[1].split(",")[0] for p in planet.places(40, 1)}
    assert len(alone) > 35


def test_climate_is_smooth_and_countries_are_not(planet: Planet) -> None:
    places = planet.places(400, 2)
    nearby = places + np.asarray((0.05, 0.05))
    drift = np.abs(planet.geography.fields(places) - planet.geography.fields(nearby))
    assert drift.max() < 0.02
    assert len(np.unique(planet.geography.country_of(places))) == COUNTRIES
    same = planet.geography.country_of(places) == planet.geography.country_of(nearby)
    assert 0.9 < same.mean() <= 1


def test_sparse_regions_are_a_part_of_the_planet(planet: Planet) -> None:
    share = planet.is_sparse(planet.places(2_000, 3)).mean()
    assert 0.1 < share < 0.5
    sparse = planet.places(50, 4, sparse=True)
    assert (planet.geography.fields(sparse)[:, 4] > SPARSE).all()
    assert not planet.is_sparse(planet.places(50, 4, sparse=False)).any()


def test_winter_shots_are_in_the_winter_of_their_half(planet: Planet) -> None:
    shots = planet.shots([[60.0, 0.0], [-60.0, 0.0]], range(20), "winter", 0)
    for shot in shots:
        midwinter = 0.0 if shot.latitude > 0 else 0.5
        assert abs((shot.season - midwinter + 0.5) % 1 - 0.5) <= 0.06
        assert 9 <= shot.hour <= 15
    nights = planet.shots([[60.0, 0.0]], range(20), "night", 0)
    assert all(shot.hour <= 3 or shot.hour >= 21 for shot in nights)


def test_the_caption_names_no_place_and_the_address_does(planet: Planet) -> None:
    look = planet.look(-12.0, 77.0)
    names = (look.city, look.state, look.country)
    assert all(name in look.address for name in names)
    assert not any(name in look.caption for name in names)


@pytest.mark.parametrize(
    ("where", "what"),
    [((91.0, 0.0), {}), ((float("nan"), 0.0), {}), ((0.0, 181.0), {}), ((0.0, 0.0), {"view": -1}),
     ((0.0, 0.0), {"season": 1.5}), ((0.0, 0.0), {"hour": float("inf")})],
)  # fmt: skip
def test_impossible_looks_are_refused(
    planet: Planet, where: tuple[float, float], what: dict[str, float]
) -> None:
    with pytest.raises(InputError, match="limits"):
        planet.look(*where, **what)  # type: ignore[arg-type]


def test_the_contact_sheet_has_a_row_a_place(planet: Planet) -> None:
    sheet = contact_sheet(planet, places=3)
    assert sheet.size == (6 * 68, 3 * 68)
