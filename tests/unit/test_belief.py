"""Belief is a pure function of evidence, and behaves as evidence should."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.belief import Belief, believe, summarise
from agent.factors import BACKGROUND_SHARE, EARTH_KM2, LEAST_DENSITY, Prior, Settlements
from geo import sphere
from tools.evidence import Candidate, Evidence, Reach


def photo(latitude: float, longitude: float, radius_km: float = 0.2) -> Candidate:
    return Candidate(
        latitude=latitude,
        longitude=longitude,
        radius_km=radius_km,
        score=1.0,
        rank=1,
        source="gallery:test",
        kind="photo",
    )


def match(*candidates: Candidate, weight: float = 0.95, group: str = "retrieval") -> Evidence:
    return Evidence(
        tool="search_similar_photos",
        kind="match",
        summary="a match",
        candidates=candidates,
        weight=weight,
        group=group,
    )


def text(weight: float = 0.9, group: str = "text", **countries: float) -> Evidence:
    return Evidence(
        tool="look_up_clue",
        kind="text",
        summary="a sign",
        countries=countries,
        weight=weight,
        group=group,
    )


def test_without_evidence_nothing_can_be_told(settlements: Settlements) -> None:
    summary = summarise(believe([], settlements))
    assert summary.status == "undetermined"
    assert summary.km_95 > 5000


def test_country_shares_become_belief_per_country(settlements: Settlements) -> None:
    belief = believe([text(weight=1.0, DE=0.7, CH=0.3)], settlements)
    assert belief.country_shares["DE"] == pytest.approx(0.7, abs=0.001)
    assert belief.country_shares["CH"] == pytest.approx(0.3, abs=0.001)
    assert summarise(belief).status == "region"


def test_mass_that_text_leaves_unknown_stays_with_the_prior(settlements: Settlements) -> None:
    belief = believe([text(weight=1.0, DE=0.5)], settlements)
    prior = believe([], settlements).country_shares
    assert belief.country_shares["AU"] == pytest.approx(0.5 * prior["AU"], rel=0.002)


def test_a_verified_match_is_located_within_its_radius(settlements: Settlements) -> None:
    summary = summarise(believe([match(photo(48.2, 11.6))], settlements))
    assert summary.status == "located"
    assert sphere.distance_km(summary.latitude, summary.longitude, 48.2, 11.6) < 0.3
    assert 0.1 < summary.km_50 < 0.4
    assert summary.km_50 < summary.km_80 < summary.km_95


def test_kernel_holds_half_within_its_radius_and_four_fifths_within_twice(
    settlements: Settlements,
) -> None:
    belief = believe([match(photo(48.2, 11.6, 3.0), weight=0.999)], settlements)
    assert belief.radii_km((0.5,), 48.2, 11.6)[0] == pytest.approx(3.0, rel=0.3)
    assert belief.radii_km((0.8,), 48.2, 11.6)[0] == pytest.approx(6.0, rel=0.3)


def test_agreeing_independent_groups_reinforce_and_differing_ones_compete(
    settlements: Settlements,
) -> None:
    one = match(photo(48.2, 11.6), weight=0.5, group="a")
    near = match(photo(48.201, 11.6), weight=0.5, group="b")
    far = match(photo(45.7, 4.8), weight=0.5, group="b")
    within = {}
    for name, items in {"one": [one], "agree": [one, near], "differ": [one, far]}.items():
        belief = believe(items, settlements)
        away = sphere.haversine_km(belief.points[:, 0], belief.points[:, 1], 48.2, 11.6)
        within[name] = float(belief.mass[away < 5].sum())
    assert within["agree"] > 0.95 > within["one"] > within["differ"] > 0.25


def spread(latitude: float, longitude: float) -> Candidate:
    """A candidate such as a worldwide search gives: mostly near, sometimes a continent off."""
    radii = {0.7: 0.25, 15.0: 0.2, 230.0: 0.3, 1050.0: 0.25}
    reaches = tuple(Reach(radius_km=km, share=share) for km, share in radii.items())
    return photo(latitude, longitude, 90.0).model_copy(update={"reaches": reaches})


def held_within(belief: Belief, km: float, latitude: float, longitude: float) -> float:
    away = sphere.haversine_km(belief.points[:, 0], belief.points[:, 1], latitude, longitude)
    return float(belief.mass[away < km].sum())


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_broad_group_reinforces_a_fine_one_inside_it_whatever_they_are_called(
    countryside: Settlements, names: tuple[str, str]
) -> None:
    fine = match(photo(45.764, 4.836), weight=0.9, group=names[0])
    broad = match(spread(45.764, 6.36), weight=0.85, group=names[1])
    alone = held_within(believe([fine], countryside), 10, 45.764, 4.836)
    both = held_within(believe([fine, broad], countryside), 10, 45.764, 4.836)
    assert alone == pytest.approx(0.9, abs=0.02)
    assert both > 0.94


def test_kernels_that_meet_where_nobody_lives_confirm_little(countryside: Settlements) -> None:
    """A town read in the photo and a hit 120 km out at sea: their tails overlap in the water."""
    town = match(photo(-18.141, 178.442, 5.5), weight=0.55, group="a")
    at_sea = match(spread(-18.141, 179.57), weight=0.85, group="b")
    belief = believe([town, at_sea], countryside)
    assert held_within(belief, 50, -18.141, 178.442) > 0.7


def test_a_candidate_with_several_reaches_is_a_mixture(settlements: Settlements) -> None:
    reaches = (Reach(radius_km=1.0, share=0.5), Reach(radius_km=300.0, share=0.5))
    wide = photo(20.0, -40.0).model_copy(update={"reaches": reaches})
    belief = believe([match(wide, weight=0.999)], settlements)
    away = sphere.haversine_km(belief.points[:, 0], belief.points[:, 1], 20.0, -40.0)
    for km in (1.0, 25.0, 300.0, 1000.0):
        expected = 0.5 * km**2 / (km**2 + 1) + 0.5 * km**2 / (km**2 + 300.0**2)
        assert float(belief.mass[away <= km].sum()) == pytest.approx(expected, abs=0.06)


def test_dependent_evidence_is_averaged_not_multiplied(settlements: Settlements) -> None:
    once = believe([text(DE=0.6, FR=0.4)], settlements)
    other = text(DE=0.6, FR=0.4).model_copy(update={"summary": "another sign"})
    again = believe([text(DE=0.6, FR=0.4), other], settlements)
    assert again.country_shares["DE"] == pytest.approx(once.country_shares["DE"], abs=1e-6)


def test_country_evidence_decides_between_two_candidates(settlements: Settlements) -> None:
    two = match(photo(48.137, 11.576, 5), photo(45.764, 4.836, 5), weight=0.8)
    belief = believe([two, text(FR=0.95)], settlements)
    assert belief.country_shares["FR"] > 0.9
    assert sphere.distance_km(*belief.centre, 45.764, 4.836) < 5


def test_a_place_sought_inside_a_country_says_nothing_more_for_that_country(
    settlements: Settlements,
) -> None:
    place = match(photo(46.9, 7.4, 2), weight=0.1, group="place")
    inside = place.model_copy(update={"given_countries": ("CH",)})
    alone = believe([text(CH=0.6, DE=0.3)], settlements).country_shares
    both = believe([text(CH=0.6, DE=0.3), inside], settlements)
    assert both.country_shares["CH"] == pytest.approx(alone["CH"], abs=0.01)
    away = sphere.haversine_km(both.points[:, 0], both.points[:, 1], 46.9, 7.4)
    assert float(both.mass[away < 2].sum()) == pytest.approx(0.5 * 0.1 * alone["CH"], rel=0.2)


def test_candidates_across_the_antimeridian_are_one_place(settlements: Settlements) -> None:
    east, west = photo(-16.8, 179.95, 5), photo(-16.8, -179.95, 5)
    summary = summarise(believe([match(east, west)], settlements))
    assert abs(abs(summary.longitude) - 180) < 0.2
    assert summary.km_80 < 100


def test_evidence_of_no_weight_has_no_effect(settlements: Settlements) -> None:
    shown = match(photo(0.0, 0.0), weight=0.0)
    assert_same(believe([shown], settlements), believe([], settlements))


def assert_same(one: Belief, other: Belief) -> None:
    assert np.array_equal(one.points, other.points)
    assert np.allclose(one.mass, other.mass, rtol=1e-12, atol=1e-15)


def test_order_and_duplicates_do_not_matter(settlements: Settlements) -> None:
    items = [match(photo(48.2, 11.6)), text(DE=0.8), match(photo(45.7, 4.8), group="b")]
    expected = believe(items, settlements)
    for order in itertools.permutations(items):
        assert_same(believe([*order, order[0]], settlements), expected)


coordinates = st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.floats(0.05, 500))


@settings(max_examples=60, deadline=None)
@given(places=st.lists(coordinates, min_size=1, max_size=6), weight=st.floats(0.01, 1.0))
def test_belief_is_finite_and_sums_to_one_anywhere_on_the_sphere(
    settlements: Settlements, places: list[tuple[float, float, float]], weight: float
) -> None:
    items = [
        match(photo(*place), weight=weight, group=f"g{index % 3}")
        for index, place in enumerate(places)
    ]
    belief = believe([*items, text(DE=0.5, FJ=0.2)], settlements)
    assert np.all(np.isfinite(belief.mass))
    assert np.all(belief.mass >= 0)
    assert belief.mass.sum() == pytest.approx(1.0)
    summary = summarise(belief)
    assert summary.km_50 <= summary.km_80 <= summary.km_95 <= 21_000


@settings(max_examples=20, deadline=None)
@given(place=coordinates)
def test_longitude_wrap_does_not_matter(
    settlements: Settlements, place: tuple[float, float, float]
) -> None:
    latitude, longitude, radius_km = place
    wrapped = -180.0 if longitude == 180.0 else longitude
    one = summarise(believe([match(photo(latitude, longitude, radius_km))], settlements))
    other = summarise(believe([match(photo(latitude, wrapped, radius_km))], settlements))
    assert one.km_80 == pytest.approx(other.km_80, rel=1e-6)


def test_the_heaviest_point_of_a_country_is_one_of_its_own(settlements: Settlements) -> None:
    lyon = match(photo(45.76, 4.84, radius_km=5), weight=0.8)
    belief = believe([lyon, text(DE=0.6)], settlements)
    for code in ("FR", "DE"):
        heaviest = belief.heaviest_in(code)
        inside = belief.countries == code
        (row,) = np.flatnonzero((belief.points == heaviest).all(axis=1) & inside)
        assert belief.mass[row] == belief.mass[inside].max()


def test_the_density_is_that_of_settlements_smoothed_and_a_background(
    settlements: Settlements,
) -> None:
    prior = Prior(settlements)
    rng = np.random.default_rng(5)
    away = rng.normal(size=(400, 2)) * 60
    near = sphere.destination(48.137, 11.576, np.degrees(np.arctan2(*away.T)), np.hypot(*away.T))
    found = prior.density(sphere.unit_vectors(near))
    apart = sphere.haversine_km(near[:, :1], near[:, 1:], *prior.points.T)
    smooth = np.exp(-0.5 * (apart / 15) ** 2) @ prior.mass / (2 * np.pi * 15**2)
    expected = np.maximum(
        BACKGROUND_SHARE / EARTH_KM2 + (1 - BACKGROUND_SHARE) * smooth, LEAST_DENSITY
    )
    assert np.median(np.abs(np.log(found / expected))) < 0.25
    assert found.mean() == pytest.approx(expected.mean(), rel=0.1)
