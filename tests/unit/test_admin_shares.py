"""Belief per first-level area: of the nearest settlement of the country, and never too much."""

from pathlib import Path

import numpy as np
import pytest

from agent.admin_shares import NAMED_AREAS, POINTS, admin_shares
from agent.belief import Belief, believe
from agent.factors import Settlements
from geo.gazetteer import Gazetteer
from tests.unit.gazetteer_samples import SETTLEMENTS
from tools.evidence import Candidate, Evidence


@pytest.fixture(scope="module")
def gazetteer(tmp_path_factory: pytest.TempPathFactory) -> Gazetteer:
    return Gazetteer.open(Path(tmp_path_factory.mktemp("g")) / "places", settlements=SETTLEMENTS)


def seen(*points: tuple[float, float], radius_km: float = 5.0, weight: float = 0.99) -> Evidence:
    candidates = tuple(
        Candidate(
            latitude=latitude, longitude=longitude, radius_km=radius_km, score=1.0, rank=rank,
            source="gallery:test", kind="photo",
        )
        for rank, (latitude, longitude) in enumerate(points, start=1)
    )  # fmt: skip
    return Evidence(
        tool="look", kind="match", summary="seen", candidates=candidates, weight=weight, group="g"
    )


def believed(*items: Evidence, gazetteer: Gazetteer) -> Belief:
    return believe(items, gazetteer.settlements(1000))


def test_shares_follow_belief(gazetteer: Gazetteer) -> None:
    both = believed(seen((37.2, -93.3), (39.8, -89.6)), gazetteer=gazetteer)
    shares = admin_shares(both, gazetteer)
    assert list(shares)[:2] in (["US Missouri", "US Illinois"], ["US Illinois", "US Missouri"])
    assert shares["US Missouri"] == pytest.approx(shares["US Illinois"], abs=0.1)
    assert 0.9 < shares["US Missouri"] + shares["US Illinois"] <= both.country_shares["US"] + 1e-9
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert sum(shares.values()) <= 1 + 1e-9


def test_an_area_is_that_of_the_points_own_country(gazetteer: Gazetteer) -> None:
    """Kehl in Germany is nearer to Strasbourg's east than any other French town."""
    shares = admin_shares(believed(seen((48.575, 7.74)), gazetteer=gazetteer), gazetteer)
    assert next(iter(shares)) == "FR Grand Est"


def test_a_diffuse_belief_names_few_and_what_is_at_sea_names_none(gazetteer: Gazetteer) -> None:
    generator = np.random.default_rng(0)
    points = generator.uniform((-60, -180), (70, 180), (8_000, 2))
    world: Settlements = (points, np.full(8_000, 1e4), ["US"] * 8_000)
    shares = admin_shares(believe([], world), gazetteer)
    assert len(shares) <= NAMED_AREAS
    assert sum(shares.values()) <= POINTS / 8_000 + 1e-9
    sea = believed(seen((-30.0, -110.0), radius_km=20.0), gazetteer=gazetteer)
    assert sum(admin_shares(sea, gazetteer).values()) < 0.3


def test_areas_in_bulk_are_those_one_by_one(gazetteer: Gazetteer) -> None:
    points = np.random.default_rng(1).uniform((25, -120), (48, -75), (40, 2))
    each = [gazetteer.nearest(point[0], point[1], "US")[0][0].admin1 for point in points.tolist()]
    assert gazetteer.admin1_near(points, "US") == each
    assert len(set(each)) > 2
    assert gazetteer.admin1_near(points, "XX") == [""] * 40
    assert gazetteer.admin1_near(points[:0], "US") == []
