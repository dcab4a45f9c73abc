"""Coverage, sharpness, calibration error: honest runs come out honest, others do not."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.belief import believe, summarise
from agent.factors import Settlements
from evaluation.assessed import Assessed, assess
from evaluation.belief_scores import (
    FARTHEST_KM,
    confidence_from_radii,
    energy_score_km,
    log_score,
    mass_within,
)
from evaluation.calibration_error import calibration_error
from evaluation.cluster_resamples import mean_interval, wilson
from evaluation.coverage import Honesty, honesty_of
from evaluation.runs import RunRow, Truth
from geo import sphere
from geo.errors import InputError
from tests.unit.honesty_samples import Pair, drawn_run, radii
from tools.evidence import Candidate, Evidence

KERNEL = (1.0, 2.0, 19**0.5)


def judged(pairs: Sequence[Pair]) -> Honesty:
    return honesty_of(assess(pairs))


def test_truths_drawn_from_what_was_claimed_are_covered() -> None:
    honest = judged(drawn_run(2_000))
    for level in honest.coverage:
        assert level.share is not None
        spread = (level.nominal * (1 - level.nominal) / 2_000) ** 0.5
        assert abs(level.share - level.nominal) < 3.3 * spread
    assert honest.confidence.debiased is not None
    assert honest.confidence.debiased < 0.02
    assert honest.pit.deviation is not None
    assert honest.pit.deviation < 1.95 / 2_000**0.5  # 0.1 % of Kolmogorov's distribution
    assert all(0.075 < share < 0.125 for share in honest.pit.deciles)


@pytest.mark.parametrize("stated", [0.25, 4.0])
def test_radii_that_claim_too_much_or_too_little_are_told(stated: float) -> None:
    honest, wrong = judged(drawn_run(800)), judged(drawn_run(800, stated=stated))
    for level in wrong.coverage:
        assert level.wilson is not None
        low, high = level.wilson
        assert high < level.nominal if stated < 1 else low > level.nominal
    assert wrong.confidence.debiased is not None
    assert honest.confidence.debiased is not None
    assert wrong.confidence.debiased > 0.1 > 0.04 > honest.confidence.debiased
    assert wrong.pit.mean is not None
    assert wrong.pit.mean > 0.7 if stated < 1 else wrong.pit.mean < 0.3
    for ours, theirs in zip(honest.sharpness, wrong.sharpness, strict=True):
        assert ours.log_pinball is not None
        assert theirs.log_pinball is not None
        assert ours.log_pinball < theirs.log_pinball  # a proper score prefers honesty


def test_photos_without_an_answer_are_counted_and_no_claim_is_held_against_them() -> None:
    all_answered, some = judged(drawn_run(300)), judged(drawn_run(300, failed=100))
    assert (some.photos, some.answered, some.with_radii) == (400, 300, 300)
    for before, after in zip(all_answered.coverage, some.coverage, strict=True):
        assert (before.inside, before.share, before.photos) == (
            after.inside,
            after.share,
            after.photos,
        )
        assert after.of_all == after.inside / 400
    assert some.confidence == all_answered.confidence
    assert some.right == all_answered.right
    assert some.risk[0].unanswered == 100
    assert np.isinf(assess(drawn_run(2, failed=3)).distance_km).tolist() == [False] * 2 + [True] * 3
    before_area, after_area = all_answered.risk[0].aurc, some.risk[0].aurc
    assert before_area is not None
    assert after_area is not None
    assert after_area > before_area


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        drawn_run(1),
        drawn_run(0, failed=1),
        drawn_run(0, failed=7),
        drawn_run(2, failed=1, verbal=False),
        drawn_run(1) * 3,
    ],
)
def test_every_run_has_defined_figures(pairs: list[Pair]) -> None:
    said = judged(pairs).model_dump_json()
    assert "NaN" not in said
    assert "Infinity" not in said
    found = json.loads(said)
    assert found["photos"] == len(pairs)
    if not found["with_radii"]:
        assert found["coverage"][0]["share"] is None
        assert found["sharpness"][0]["mean_km"] is None
        assert found["confidence"]["error"] is None


def test_a_coordinate_without_radii_or_with_half_a_point_is_defined() -> None:
    truth = Truth(image_id="a", latitude=0.0, longitude=0.0)
    bare = RunRow(image_id="a", latitude=0.0, longitude=0.0, status="region")
    half = RunRow(image_id="a", latitude=0.0, status="region", radii=radii(1.0))
    found = judged([(truth, bare), (truth, half)])
    assert (found.photos, found.answered, found.with_radii, found.right) == (2, 1, 0, 1)
    assert found.risk[0].unranked == 1


def test_sharpness_by_hand() -> None:
    truth = Truth(image_id="a", latitude=0.0, longitude=0.0)
    km = float(sphere.haversine_km(0.0, 0.0, 0.0, 1.0))
    row = RunRow(
        image_id="a", latitude=0.0, longitude=1.0, status="located",
        radii=radii(1.0).model_copy(update={"km_50": 100.0, "km_80": 100.0, "km_95": 200.0}),
    )  # fmt: skip
    half, most, all_but_few = judged([(truth, row), drawn_run(0, failed=1)[0]]).sharpness
    assert half.interval_score_km == pytest.approx(100 + (km - 100) / 0.5)
    assert most.interval_score_km == pytest.approx(100 + (km - 100) / 0.2)
    assert all_but_few.interval_score_km == 200  # the truth is inside
    assert most.log_pinball == pytest.approx(0.8 * np.log(km / 100))
    assert all_but_few.log_pinball == pytest.approx(0.05 * np.log(200 / km))
    assert (half.median_km, half.mean_km) == (100, 100)
    assert half.geometric_km == pytest.approx(100)


def test_a_truth_exactly_at_a_limit_is_within_it_or_not_as_stated() -> None:
    truth = Truth(image_id="a", latitude=0.0, longitude=0.0)
    away = float(sphere.haversine_km(0.0, 0.0, 0.0, 0.2))
    row = RunRow(
        image_id="a", latitude=0.0, longitude=0.2, status="located",
        radii=radii(1.0).model_copy(update={"km_50": away, "km_80": away, "km_95": away}),
    )  # fmt: skip
    inside = assess([(truth, row)], within_km=[away])
    outside = assess([(truth, row)], within_km=[away], operator="lt")
    assert honesty_of(inside, away).coverage[0].inside == 1
    assert honesty_of(outside, away).coverage[0].inside == 0
    assert "<=" in inside.conditions()
    assert "<=" not in outside.conditions()
    ellipsoid = assess([(truth, row)], distance="wgs84")
    assert ellipsoid.distance_km[0] > away
    assert "WGS84" in ellipsoid.conditions()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"within_km": [0.0]}, "within 0.0 km"),
        ({"within_km": [float("nan")]}, "within nan km"),
        ({"distance": "flat"}, "flat"),
        ({"operator": "ge"}, "ge"),
    ],
)
def test_conditions_that_do_not_exist_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        assess(drawn_run(3), **options)  # type: ignore[arg-type]


def test_confidence_that_was_not_assessed_is_refused() -> None:
    with pytest.raises(InputError, match=r"within 200 km was not assessed \(only 25\)"):
        honesty_of(assess(drawn_run(3)), 200.0)


def test_confidence_from_radii_is_exact_for_the_kernel() -> None:
    scale = np.array([0.3, 20.0, 400.0])
    stated = scale[:, None] * KERNEL
    for km in (0.01, 1.0, 25.0, 200.0, 2500.0):
        exact = km**2 / (km**2 + scale**2)
        np.testing.assert_allclose(confidence_from_radii(stated, km), exact, atol=1e-12)
    for column, level in enumerate((0.5, 0.8, 0.95)):
        np.testing.assert_allclose(confidence_from_radii(stated, stated[:, column]), level)


@given(
    st.lists(st.floats(1e-3, 2e4), min_size=3, max_size=3),
    st.lists(st.floats(0, 3e4), min_size=2, max_size=9),
)
def test_confidence_from_radii_rises_with_distance(stated: list[float], km: list[float]) -> None:
    away = np.sort(km)
    share = confidence_from_radii(np.tile(stated, (len(away), 1)), away)
    assert ((share >= 0) & (share <= 1)).all()
    assert (np.diff(share) >= -1e-12).all()
    assert confidence_from_radii([stated], 0.0) == 0
    assert confidence_from_radii([stated], FARTHEST_KM) == 1


def test_confidence_without_radii_is_none() -> None:
    assert np.isnan(confidence_from_radii([[np.nan] * 3], 25.0)).all()
    assert confidence_from_radii(np.empty((0, 3)), 25.0).shape == (0,)
    assert confidence_from_radii([[5.0, 5.0, 5.0]], 5.0) == pytest.approx(0.95)
    assert confidence_from_radii([[5.0, 2.0, 1.0]], 5.0) == pytest.approx(0.95)


def seen(latitude: float, longitude: float, radius_km: float, weight: float = 0.95) -> Evidence:
    candidate = Candidate(
        latitude=latitude, longitude=longitude, radius_km=radius_km, score=1.0, rank=1,
        source="gallery:test", kind="photo",
    )  # fmt: skip
    return Evidence(
        tool="search_similar_photos", kind="match", summary="a match", candidates=(candidate,),
        weight=weight, group="retrieval",
    )  # fmt: skip


def answered(number: int, truth: tuple[float, float], item: Evidence, world: Settlements) -> Pair:
    found = summarise(believe([item], world))
    stated = {name: getattr(found, name) for name in ("km_50", "km_80", "km_95")}
    row = RunRow(
        image_id=f"p{number}", latitude=found.latitude, longitude=found.longitude,
        status=found.status, radii=radii(1.0).model_copy(update=stated), evidence=(item,),
    )  # fmt: skip
    return Truth(image_id=f"p{number}", latitude=truth[0], longitude=truth[1]), row


@pytest.fixture(scope="module")
def believed(settlements: Settlements) -> list[Pair]:
    """Photos whose truths are drawn from the mass of their own belief."""
    generator = np.random.default_rng(6)
    pairs = []
    for number in range(36):
        place = generator.uniform((-30, -100), (60, 150))
        item = seen(float(place[0]), float(place[1]), float(np.exp(generator.uniform(0, 6))))
        belief = believe([item], settlements)
        drawn = belief.points[generator.choice(len(belief.mass), p=belief.mass)]
        pairs.append(answered(number, (float(drawn[0]), float(drawn[1])), item, settlements))
    return pairs


def test_truths_drawn_from_belief_are_honest_by_belief_itself(
    believed: list[Pair], settlements: Settlements
) -> None:
    assessed = assess(believed, settlements)
    assert assessed.from_belief.all()
    found = honesty_of(assessed)
    assert found.pit.from_belief == found.scored == 36
    assert found.pit.deviation is not None
    assert found.pit.deviation < 1.95 / 36**0.5
    assert found.confidence.debiased is not None
    assert found.confidence.debiased < 0.16
    assert found.log_score is not None
    assert found.log_score > 0  # better than an even globe
    told = list[tuple[str, int, int]]()
    assess(believed[:2], settlements, on_progress=lambda *step: told.append(step))
    assert told == [("believing", 1, 2), ("believing", 2, 2)]


def test_belief_that_is_not_the_rows_own_is_not_taken(
    believed: list[Pair], settlements: Settlements
) -> None:
    truth, row = believed[0]
    assert row.radii is not None
    grown = row.radii.model_copy(update={"km_95": row.radii.km_95 * 1.5})
    assessed = assess([(truth, row.model_copy(update={"radii": grown}))], settlements)
    assert not assessed.from_belief.any()
    assert np.isfinite(assessed.confidence_at(25.0)).all()  # from the radii
    assert honesty_of(assessed).scored == 0


def test_scores_prefer_belief_near_the_truth(settlements: Settlements) -> None:
    near, far = (believe([seen(44.6, longitude, 5.0)], settlements) for longitude in (2.3, 11.0))
    assert log_score(near, 44.6, 2.3) > 5 > log_score(far, 44.6, 2.3)
    assert energy_score_km(near, 44.6, 2.3) < 300 < energy_score_km(far, 44.6, 2.3)
    sure = believe([seen(44.6, 2.3, 5.0, weight=0.999)], settlements)
    assert energy_score_km(sure, 44.6, 2.3) < energy_score_km(near, 44.6, 2.3)
    assert energy_score_km(sure, -44.6, -177.7) > energy_score_km(near, -44.6, -177.7)
    assert np.isfinite(log_score(sure, -90.0, 0.0))


def test_mass_within_agrees_with_the_radii(settlements: Settlements) -> None:
    belief = believe([seen(48.8, 2.3, 30.0, weight=0.7)], settlements)
    reach = belief.radii_km((0.5, 0.8, 0.95), 48.8, 2.3)
    for share, held in zip((0.5, 0.8, 0.95), mass_within(belief, reach, 48.8, 2.3), strict=True):
        assert held == pytest.approx(share, abs=0.03)
    assert mass_within(belief, [25_000.0], 48.8, 2.3) == [pytest.approx(1.0)]


def test_calibration_error_by_hand() -> None:
    said = np.repeat([0.2, 0.9], 10)
    right = np.array([True] * 4 + [False] * 6 + [True] * 7 + [False] * 3)
    found = calibration_error("belief", said, right)
    assert [one.photos for one in found.bins] == [10, 10]
    assert found.error == pytest.approx((0.2 + 0.2) / 2)
    assert found.debiased is not None
    assert 0 < found.debiased < 0.2
    assert found.brier == pytest.approx(np.mean((said - right) ** 2))
    shuffled = np.random.default_rng(1).permutation(20)
    again = calibration_error("belief", said[shuffled], right[shuffled])
    assert again.bins == found.bins


def test_debiasing_takes_away_what_chance_adds() -> None:
    generator = np.random.default_rng(3)
    plain, debiased = [], []
    for _ in range(60):
        said = generator.uniform(size=100)
        found = calibration_error("belief", said, generator.uniform(size=100) < said)
        plain.append(found.error)
        debiased.append(found.debiased)
    assert np.mean(np.array(plain, dtype=float)) > 1.5 * np.mean(np.array(debiased, dtype=float))


@pytest.mark.parametrize("said", [[0.5, 1.2], [-0.1, 0.5]])
def test_a_confidence_that_is_no_share_is_refused(said: list[float]) -> None:
    with pytest.raises(InputError, match="give shares from 0 to 1"):
        calibration_error("belief", np.array(said), np.array([True, False]))
    with pytest.raises(InputError, match="1 confidences for 2 outcomes"):
        calibration_error("belief", np.array(said[:1]), np.array([True, False]))


def test_wilson_intervals() -> None:
    assert wilson(0, 0) is None
    low, high = wilson(81, 263) or (0.0, 0.0)  # Newcombe, Statistics in Medicine 17 (1998), table I
    assert low == pytest.approx(0.2553, abs=5e-5)
    assert high == pytest.approx(0.3662, abs=5e-5)
    assert (wilson(0, 5) or (1.0, 1.0))[0] == 0
    assert (wilson(5, 5) or (0.0, 0.0))[1] == 1


def test_intervals_are_wider_where_photos_of_an_author_are_alike() -> None:
    values = np.repeat(np.random.default_rng(0).integers(0, 2, 40), 10).astype(float)
    apart = mean_interval(values, np.arange(400))
    together = mean_interval(values, np.repeat(np.arange(40), 10))
    assert apart is not None
    assert together is not None
    assert together.standard_error > 2 * apart.standard_error
    assert mean_interval(np.empty(0), np.empty(0, dtype=np.intp)) is None


def test_several_answers_to_one_photo_are_one_cluster() -> None:
    pairs = drawn_run(3)
    twice: Assessed = assess([*pairs, *pairs])
    assert twice.cluster.tolist() == [0, 1, 2, 0, 1, 2]
    by_author = assess(drawn_run(4, authors=2))
    assert by_author.cluster.tolist() == [0, 1, 0, 1]
