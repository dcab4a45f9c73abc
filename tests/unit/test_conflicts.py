"""Conflicts between pieces of evidence: what counts as one, and that order never matters."""

import random
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.conflicts import APART_KM, REACH, TOLD_AT_ONCE, Conflict, find_conflicts
from geo import sphere
from tools.evidence import Area, Candidate, Evidence, EvidenceKind

PARIS, LYON, BERLIN, SYDNEY = (48.857, 2.352), (45.764, 4.836), (52.52, 13.405), (-33.869, 151.209)


def placed(
    *points: tuple[float, float],
    group: str = "retrieval:a",
    weight: float = 0.9,
    radius_km: float = 1.0,
    scores: Sequence[float] | None = None,
    country: str = "",
    given_countries: tuple[str, ...] = (),
    kind: EvidenceKind = "match",
    summary: str = "",
) -> Evidence:
    candidates = tuple(
        Candidate(
            latitude=latitude,
            longitude=longitude,
            radius_km=radius_km,
            score=scores[index] if scores else 1 / len(points),
            rank=index + 1,
            source="test",
            kind="place",
            country=country,
        )
        for index, (latitude, longitude) in enumerate(points)
    )
    return Evidence(
        tool="test",
        kind=kind,
        summary=summary or f"{group} names {points[0]}",
        candidates=candidates,
        weight=weight,
        group=group,
        given_countries=given_countries,
    )


def named(group: str = "text", weight: float = 0.8, **countries: float) -> Evidence:
    return Evidence(
        tool="test",
        kind="text",
        summary=f"{group} favours {sorted(countries)}",
        countries=countries,
        weight=weight,
        group=group,
    )


def conflict_of(*evidence: Evidence) -> Conflict | None:
    found = find_conflicts(evidence, ())
    assert len(found) <= 1
    return found[0] if found else None


def test_two_matches_far_apart_disagree_and_both_sides_are_told() -> None:
    here, there = placed(PARIS), placed(BERLIN, group="retrieval:b", weight=0.5)
    conflict = conflict_of(there, here)
    assert conflict is not None
    assert (conflict.first, conflict.second) == (here.id, there.id)  # the heavier first
    assert here.id in conflict.first_text
    assert there.summary in conflict.second_text
    assert conflict.distance_km == pytest.approx(880, abs=5)
    assert conflict.distance.endswith(" km")


@pytest.mark.parametrize(
    ("radius_km", "disagree"),
    [(1.0, True), (60.0, True), (64.0, True), (67.0, False), (500.0, False)],
)
def test_reach_decides_at_three_times_the_sum_of_radii(radius_km: float, disagree: bool) -> None:
    apart = 391.5  # Paris to Lyon
    assert (REACH * 2 * radius_km < apart) == disagree
    one = placed(PARIS, radius_km=radius_km)
    other = placed(LYON, group="retrieval:b", radius_km=radius_km)
    assert (conflict_of(one, other) is not None) == disagree


def test_sharp_evidence_less_than_200_km_apart_is_left_to_belief() -> None:
    for km, disagree in ((APART_KM - 5, False), (APART_KM + 5, True)):
        end = sphere.destination(*PARIS, 90.0, km)
        there = placed((float(end[0]), float(end[1])), group="retrieval:b")
        assert (conflict_of(placed(PARIS), there) is not None) == disagree


def test_the_antimeridian_is_no_distance() -> None:
    west, east = placed((-17.0, 179.9)), placed((-17.0, -179.9), group="retrieval:b")
    assert conflict_of(west, east) is None
    assert conflict_of(west, placed((-17.0, 0.1), group="retrieval:b")) is not None


def test_countries_that_exclude_each_other_disagree_and_others_do_not() -> None:
    conflict = conflict_of(named("text", FR=0.8, BE=0.1), named("hint", AU=0.9))
    assert conflict is not None
    assert conflict.distance_km is None
    assert conflict.distance == ""
    assert conflict_of(named("text", FR=0.8, BE=0.1), named("hint", BE=0.9)) is None
    assert conflict_of(named("text", FR=0.3), named("hint", AU=0.9)) is None  # takes no side


def test_a_candidate_outside_the_countries_of_a_text_disagrees() -> None:
    assert conflict_of(placed(SYDNEY), named(FR=0.9)) is not None
    assert conflict_of(placed(PARIS), named(FR=0.9)) is None
    assert conflict_of(placed(PARIS), named(DE=0.8, FR=0.1)) is None


def test_a_candidate_near_a_border_is_in_both_countries() -> None:
    strasbourg = (48.573, 7.752)  # 3 km from Germany
    assert conflict_of(placed(strasbourg, radius_km=5.0, country="FR"), named(DE=0.9)) is None
    assert conflict_of(placed(PARIS, radius_km=5.0, country="FR"), named(DE=0.9)) is not None


def test_a_candidate_on_the_open_sea_contradicts_no_country() -> None:
    assert conflict_of(placed((-40.0, -110.0), kind="hint"), named(FR=0.9)) is None


def test_evidence_that_presupposed_countries_speaks_of_nothing_outside_them() -> None:
    inside = placed(LYON, group="place:lyon", given_countries=("FR",))
    assert conflict_of(inside, placed(SYDNEY)) is None
    assert conflict_of(inside, placed(PARIS)) is not None
    assert conflict_of(inside, named(AU=0.9)) is None


def test_scattered_look_alikes_take_no_side() -> None:
    world = [PARIS, BERLIN, SYDNEY, (35.0, 139.0), (-1.0, 37.0)]
    assert conflict_of(placed(*world), placed((40.0, -100.0), group="retrieval:b")) is None


def test_an_alternative_that_agrees_is_no_conflict() -> None:
    mostly_paris = placed(PARIS, BERLIN, scores=(0.8, 0.2))
    assert conflict_of(mostly_paris, placed(BERLIN, group="retrieval:b")) is None
    hardly_berlin = placed(PARIS, BERLIN, scores=(0.97, 0.03))
    assert conflict_of(hardly_berlin, placed(BERLIN, group="retrieval:b")) is not None


def test_one_group_is_one_source() -> None:
    assert conflict_of(placed(PARIS), placed(SYDNEY)) is None
    assert conflict_of(placed(PARIS), placed(PARIS)) is None


def test_light_evidence_is_not_worth_a_turn() -> None:
    light = placed(SYDNEY, group="retrieval:b", weight=0.049)
    assert conflict_of(placed(PARIS), light) is None
    assert conflict_of(placed(PARIS), light.model_copy(update={"weight": 0.05})) is not None


def test_nothing_is_told_twice_and_the_heaviest_come_first() -> None:
    evidence = [
        placed((60.0 - 20 * index, 30.0 * index), group=f"place:{index}", weight=0.9 - 0.1 * index)
        for index in range(5)
    ]
    told: list[str] = []
    weights: list[float] = []
    by_id = {item.id: item.weight for item in evidence}
    for _ in range(10):
        new = find_conflicts(evidence, told)
        assert len(new) <= TOLD_AT_ONCE
        told += [conflict.key for conflict in new]
        weights += [by_id[conflict.first] * by_id[conflict.second] for conflict in new]
    assert len(told) == len(set(told)) == 10  # every pair of five
    assert weights == sorted(weights, reverse=True)


def test_the_same_two_sources_on_the_same_two_places_are_one_conflict() -> None:
    there = placed(SYDNEY, group="retrieval:b")
    first = conflict_of(placed(PARIS, summary="once"), there)
    assert first is not None
    again = [placed(PARIS, summary="once"), placed(PARIS, summary="again"), there]
    assert find_conflicts(again, [first.key]) == []
    moved = [*again, placed(BERLIN, summary="moved")]
    assert len(find_conflicts(moved, [first.key])) == 1


def test_hostile_summaries_are_one_short_line() -> None:
    loud = placed(PARIS, summary="line\nnext\x1b[31m\u202e" + "x" * 5000)
    conflict = conflict_of(loud, placed(SYDNEY, group="retrieval:b", weight=0.1))
    assert conflict is not None
    assert conflict.first_text.isprintable()
    assert len(conflict.first_text) < 300


POINTS = st.tuples(st.floats(-90, 90, allow_nan=False), st.floats(-180, 180, allow_nan=False))
PIECES = st.one_of(
    st.builds(
        lambda points, group, weight, radius: placed(
            *points, group=group, weight=weight, radius_km=radius
        ),
        st.lists(POINTS, min_size=1, max_size=3),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from([0.0, 0.05, 0.3, 0.9]),
        st.sampled_from([0.2, 25.0, 700.0]),
    ),
    st.builds(
        lambda code, share, group: named(group, **{code: share}),
        st.sampled_from(["FR", "DE", "AU", "FJ"]),
        st.sampled_from([0.2, 0.9]),
        st.sampled_from(["a", "text"]),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=6), st.randoms(use_true_random=False))
def test_order_and_duplicates_do_not_matter(pieces: list[Evidence], draw: random.Random) -> None:
    expected = find_conflicts(pieces, ())
    shuffled = [*pieces, *pieces[:2]]
    draw.shuffle(shuffled)
    assert find_conflicts(shuffled, ()) == expected
    by_id = {item.id: item for item in pieces}
    for conflict in expected:
        assert by_id[conflict.first].group != by_id[conflict.second].group
        assert min(by_id[conflict.first].weight, by_id[conflict.second].weight) >= 0.05
    assert not {c.key for c in find_conflicts(pieces, [c.key for c in expected])} & {
        conflict.key for conflict in expected
    }


@settings(max_examples=60, deadline=None)
@given(POINTS, POINTS, st.sampled_from([0.2, 25.0, 700.0]))
def test_two_points_disagree_as_their_distance_says(
    one: tuple[float, float], other: tuple[float, float], radius_km: float
) -> None:
    apart = float(sphere.haversine_km(*one, *other))
    limit = max(APART_KM, REACH * 2 * radius_km)
    found = conflict_of(
        placed(one, radius_km=radius_km), placed(other, group="b", radius_km=radius_km)
    )
    if abs(apart - limit) > 1:
        assert (found is not None) == (apart > limit)


def test_a_long_run_s_evidence_is_looked_through_within_a_turn() -> None:
    draw = random.Random(1)
    evidence = [
        placed(
            *((draw.uniform(-60, 60), draw.uniform(-180, 180)) for _ in range(10)),
            group=f"g{index}",
            scores=[0.9, *[0.01] * 9],
        )
        for index in range(30)
    ]
    find_conflicts(evidence, ())  # countries are loaded
    began = time.perf_counter()
    assert len(find_conflicts(evidence, ())) == TOLD_AT_ONCE
    assert time.perf_counter() - began < 1.0


def test_what_fits_a_hundred_countries_excludes_none_of_them() -> None:
    codes = [first + second for first in "ABCDEFGHIJ" for second in "ABCDEFGHIJ"]
    flat = {code: 0.009 for code in codes if code != "FR"} | {"FR": 0.009}
    sun = named(group="sun", weight=0.3, **flat)
    assert conflict_of(sun, placed(PARIS, country="FR")) is None
    assert conflict_of(sun, named(FR=0.97, BE=0.01)) is None
    elsewhere = {code: share for code, share in flat.items() if code not in ("FR", "BE", "CH")}
    assert conflict_of(named(group="sun", **elsewhere), named(FR=0.97)) is not None


def stated(*codes: str, inside: bool, weight: float = 0.8, group: str = "hint") -> Evidence:
    area = Area(countries=tuple(sorted(codes)), inside=inside, label=" ".join(codes))
    said = f"The person says that it is {'' if inside else 'not '}in {area.label}."
    return Evidence(
        tool="use_hint", kind="hint", summary=said, weight=weight, group=group, area=area
    )


def drawn(south: float, west: float, north: float, east: float, *, inside: bool) -> Evidence:
    ring = ((south, west), (south, east), (north, east), (north, west))
    area = Area(polygons=((ring,),), inside=inside, label="the drawn region")
    said = f"drawn, {'inside' if inside else 'outside'}"
    return Evidence(
        tool="draw_region", kind="hint", summary=said, weight=0.8, group="hint", area=area
    )


def test_a_denial_against_a_sign_that_says_so_is_told_with_both_sides() -> None:
    denial, sign = stated("ES", inside=False), named(ES=1.0)
    conflict = conflict_of(denial, sign)
    assert conflict is not None
    told = conflict.first_text + conflict.second_text
    assert denial.summary in told
    assert sign.summary in told
    assert denial.id in told
    assert sign.id in told
    assert conflict == conflict_of(sign, denial)
    assert find_conflicts([denial, sign], [conflict.key]) == []


@pytest.mark.parametrize(
    ("one", "other", "disagree"),
    [
        (stated("ES", inside=False), named(ES=0.5, MX=0.5), False),
        (stated("ES", inside=False), named(CL=1.0), False),
        (stated("ES", "PT", inside=False), named(ES=0.6, PT=0.4), True),
        (stated("ES", "PT", inside=True), named(FR=1.0), True),
        (stated("ES", "PT", inside=True), named(PT=0.9), False),
        (stated("FR", inside=False), placed(PARIS), True),
        (stated("FR", inside=False), placed(BERLIN), False),
        (stated("FR", inside=True), placed(BERLIN), True),
        (stated("CH", inside=False), placed((47.55, 7.6), radius_km=30), False),
        (drawn(40, -5, 42, -3, inside=True), named(ES=1.0), False),
        (drawn(40, -5, 42, -3, inside=True), named(CL=1.0), True),
        (drawn(40, -5, 42, -3, inside=False), named(ES=1.0), False),
        (drawn(48, 2, 49, 3, inside=False), placed(PARIS), True),
        (drawn(48, 2, 49, 3, inside=True), placed(LYON), True),
        (drawn(48, 2, 49, 3, inside=True), stated("FR", inside=False, group="g"), True),
        (drawn(48, 2, 49, 3, inside=True), stated("FR", inside=True, group="g"), False),
        (stated("FR", inside=False), stated("FR", inside=True, group="g"), True),
        (stated("FR", inside=False), stated("DE", inside=False, group="g"), False),
        (stated("FR", inside=False), stated("FR", inside=True), False),
        (stated("FR", inside=False, weight=0.0), placed(PARIS), False),
    ],
)
def test_areas_take_a_side(one: Evidence, other: Evidence, disagree: bool) -> None:
    assert (conflict_of(one, other) is not None) == disagree
    assert (conflict_of(other, one) is not None) == disagree
