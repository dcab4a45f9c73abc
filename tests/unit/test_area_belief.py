"""Inside and outside of areas: a factor that can be wrong, in any order, across any seam."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agent.belief import Belief, believe, summarise
from agent.calibration import Calibration
from agent.contributions import contributions
from agent.factors import Settlements
from geo.errors import InputError
from geo.regions import country_at
from geo.rings import canonical, region_of
from tests.unit.test_evidence import candidate
from tools.drawn import drawn_evidence
from tools.evidence import Area, Evidence

Json = dict[str, JsonValue]


def said(area: Area, weight: float = 0.8, group: str = "hint") -> Evidence:
    summary = f"{'in' if area.inside else 'not in'} {area.label}"
    return Evidence(
        tool="use_hint", kind="hint", summary=summary, weight=weight, group=group, area=area
    )


def outside(*codes: str, weight: float = 0.8, group: str = "hint") -> Evidence:
    area = Area(countries=tuple(sorted(codes)), inside=False, label=" ".join(codes))
    return said(area, weight, group)


def inside(*codes: str, weight: float = 0.8) -> Evidence:
    return said(Area(countries=tuple(sorted(codes)), label=" ".join(codes)), weight)


def box(west: float, south: float, east: float, north: float, **properties: bool) -> Evidence:
    ring: JsonValue = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    geometry: Json = {"type": "Polygon", "coordinates": [ring]}
    feature: Json = {"type": "Feature", "properties": dict(properties), "geometry": geometry}
    return drawn_evidence(feature)


def share(belief: Belief, code: str) -> float:
    return belief.country_shares.get(code, 0.0)


@pytest.fixture
def common(settlements: Settlements) -> str:
    """The country that the prior believes in most."""
    return next(iter(believe([], settlements).country_shares))


def test_a_denial_takes_belief_away_as_stated(settlements: Settlements, common: str) -> None:
    before = share(believe([], settlements), common)
    after = share(believe([outside(common)], settlements), common)
    assert after == pytest.approx(0.2 * before, rel=1e-6), "w = 0.8 leaves one fifth"
    assert after > 0


def test_saying_it_again_changes_nothing_and_two_denials_both_hold(
    settlements: Settlements,
) -> None:
    prior = believe([], settlements)
    first, second = list(prior.country_shares)[:2]
    once = believe([outside(first)], settlements)
    again = outside(first).model_copy(update={"summary": "once more"})
    np.testing.assert_allclose(believe([outside(first), again], settlements).mass, once.mass)
    both = believe([outside(first), outside(second)], settlements)
    assert share(both, first) == pytest.approx(0.2 * share(prior, first), rel=1e-6)
    assert share(both, second) == pytest.approx(0.2 * share(prior, second), rel=1e-6)


def test_inside_holds_what_it_weighs(settlements: Settlements, common: str) -> None:
    before = share(believe([], settlements), common)
    after = share(believe([inside(common)], settlements), common)
    assert after == pytest.approx(0.8 + 0.2 * before, rel=1e-6)


def test_contradicting_statements_share_belief(settlements: Settlements) -> None:
    first, second = list(believe([], settlements).country_shares)[:2]
    shares = believe([inside(first), inside(second)], settlements).country_shares
    assert shares[first] == pytest.approx(shares[second], abs=0.05)
    assert shares[first] > 0.3


def test_order_and_repetition_do_not_matter(settlements: Settlements, common: str) -> None:
    near = Evidence(
        tool="t", kind="match", summary="near", weight=0.5, group="g",
        candidates=(candidate(latitude=48.1, longitude=11.5, radius_km=30.0),),
    )  # fmt: skip
    items = [outside(common), box(10, 47, 13, 49), near, outside("ES", weight=0.6)]
    whole = believe(items, settlements).mass
    for order in itertools.islice(itertools.permutations(items), 0, 24, 5):
        assert (believe([*order, order[0]], settlements).mass == whole).all()


def test_a_region_without_a_settlement_can_be_believed_in(settlements: Settlements) -> None:
    summary = summarise(believe([box(-40, 30, -39, 31)], settlements))
    assert 30 <= summary.latitude <= 31
    assert -40 <= summary.longitude <= -39
    assert summary.km_50 < 100


def test_a_small_region_inside_a_wide_candidate_is_seen(settlements: Settlements) -> None:
    wide = Evidence(
        tool="t", kind="match", summary="wide", weight=0.6, group="g",
        candidates=(candidate(latitude=30.5, longitude=-39.5, radius_km=300.0),),
    )  # fmt: skip
    belief = believe([wide, box(-39.51, 30.49, -39.50, 30.50)], settlements)
    assert belief.mass_within([2.0], 30.495, -39.505)[0] > 0.8


def test_the_antimeridian_is_no_edge(settlements: Settlements) -> None:
    one, other = box(175, -20, 185, -10), box(-185, -20, -175, -10)
    assert one.id == other.id
    boxed = drawn_evidence({"bbox": [175, -20, -175, -10]})
    lie = believe([one], settlements)
    assert abs(abs(summarise(lie).longitude) - 180) < 5
    assert summarise(believe([boxed], settlements)).km_50 == pytest.approx(
        summarise(lie).km_50, rel=0.1
    )


def test_a_region_may_reach_a_pole(settlements: Settlements) -> None:
    summary = summarise(believe([drawn_evidence({"bbox": [-180, 85, 180, 90]})], settlements))
    assert summary.latitude > 80


def test_a_drawn_hole_is_outside() -> None:
    outer: JsonValue = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
    hole: JsonValue = [[4, 4], [6, 4], [6, 6], [4, 6], [4, 4]]
    item = drawn_evidence({"type": "Polygon", "coordinates": [outer, hole]})
    assert item.area is not None
    region = region_of(item.area.polygons)
    from geo.areas import contains

    assert contains(region, [(5.0, 5.0), (2.0, 2.0)]).tolist() == [False, True]


def test_evidence_without_an_area_keeps_its_id() -> None:
    plain = Evidence(
        tool="t", kind="text", summary="s", weight=0.5, group="g", countries={"DE": 1.0}
    )
    assert plain.id == "e0a8b938b23"
    assert plain.model_copy(update={"weight": 0.1}).id == plain.id


def test_an_area_stands_alone() -> None:
    area = Area(countries=("DE",), label="Germany")
    with pytest.raises(ValueError, match="stands alone"):
        Evidence(
            tool="t", kind="hint", summary="s", weight=0.5, group="g", area=area,
            countries={"DE": 1.0},
        )  # fmt: skip
    with pytest.raises(ValueError, match="nowhere"):
        Area(label="nothing")


def test_contributions_and_calibration_take_areas(settlements: Settlements, common: str) -> None:
    calibration = Calibration.model_validate(
        {"recipe": "r", "fitted_on": "d", "photos": 1, "sources": {"hint": {"odds": 0.25}}}
    )
    items = [outside(common)]
    doubted = believe(items, settlements, calibration)
    plain = believe(items, settlements)
    assert share(doubted, common) > share(plain, common)
    (found,) = contributions(
        items, plain, plain.centre, 500.0, lambda some: believe(some, settlements)
    )
    assert found.evidence_id == items[0].id


@given(
    st.floats(-170, 170), st.floats(-80, 80), st.floats(0.01, 9), st.integers(-1, 1),
    st.integers(0, 3), st.booleans(),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_all_ways_to_write_a_ring_are_one(
    west: float, south: float, size: float, turns: int, start: int, backwards: bool
) -> None:
    corners = [(0, 0), (size, 0), (size, size), (0, size)]
    ring = np.round([(south + dy, west + dx) for dx, dy in corners], 5)
    other = np.add(np.roll(ring, start, axis=0), (0, 360 * turns))
    other = other[::-1] if backwards else other
    closed = [np.concatenate([one, one[:1]]) for one in (ring, other)]
    if np.abs(closed[1][:, 1]).max() <= 540:
        assert canonical([[closed[0]]]) == canonical([[closed[1]]])


LINE = [[0, 0], [1, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("region", "match"),
    [
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}, "cross"),
        ({"type": "Polygon", "coordinates": [LINE[:-1]]}, "4 or more"),
        ({"type": "Polygon", "coordinates": [[*LINE[:-1], [0.5, 0.2]]]}, "open"),
        ({"type": "Polygon", "coordinates": [[[0, 95], [1, 1], [1, 0], [0, 95]]]}, "latitude"),
        ({"type": "Polygon", "coordinates": [[[float("nan"), 0], *LINE[1:]]]}, "degrees"),
        ({"type": "Polygon", "coordinates": [[["0", 0], *LINE[1:]]]}, "degrees"),
        ({"type": "Polygon", "coordinates": [[[0], *LINE[1:]]]}, "position"),
        ({"type": "Polygon", "coordinates": []}, "ring"),
        ({"type": "Polygon", "coordinates": [[[0, 0]] * 20_000]}, "10,000"),
        ({"type": "Point", "coordinates": [1, 2]}, "GeoJSON Polygon"),
        ({}, "GeoJSON Polygon"),
        ({"type": "Feature", "properties": {"inside": "no"}, "geometry": {}}, "true or false"),
        ({"bbox": [0, 5, 1, 5]}, "empty or inverted"),
        ({"bbox": [-180, -90, 180, 90]}, "whole globe"),
        (
            {"type": "Polygon",
             "coordinates": [[[-180, 60], [-90, 60], [0, 60], [90, 60], [180, 60]]]},
            "round a pole",
        ),
        (
            {"type": "Polygon",
             "coordinates": [[[170, 0], [-170, 0], [-170, 5], [170, 5], [170, 0]]]},
            "190",
        ),
    ],
)  # fmt: skip
def test_what_is_no_region_is_refused_with_a_remedy(region: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        drawn_evidence(region)  # type: ignore[arg-type]


def test_a_drawn_region_says_how_large_and_where() -> None:
    item = box(-9, 40.5, -7.5, 41.9, inside=False)
    assert item.area is not None
    assert not item.area.inside
    assert "about 20,000 km2 around 41.2, -8.3" in item.summary
    assert item.weight == 0.8
    assert country_at([(41.2, -8.3)]) == ["PT"]


def test_statements_that_hardly_agree_point_at_no_speck(settlements: Settlements) -> None:
    """In Fiji, and outside a box around all of it but a village: a slip, rather than there."""
    fiji, elsewhere = inside("FJ"), box(177, -19, 179.5, -17, inside=False)
    shares = believe([fiji], settlements).country_shares
    both = believe([fiji, elsewhere], settlements)
    village = both.mass_within([25.0], -16.78, -179.98)[0]
    assert village < 0.5 * shares["FJ"]
    assert share(both, "FJ") < shares["FJ"]
    apart = believe([inside("FJ"), box(10, 47, 13, 49, inside=False)], settlements)
    assert share(apart, "FJ") == pytest.approx(shares["FJ"], rel=0.05)
