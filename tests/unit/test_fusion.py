"""Rules that fuse answers: what each does, and that none learns from what it is judged on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.factors import Settlements
from evaluation.answer_panel import away_km, panel_of
from evaluation.fusion import Crossed, cross_validate, folds_of
from evaluation.fusion_rules import RULES, Votes, agreement
from evaluation.fusion_uncalibrated import RadiiAnswer, uncalibrated
from evaluation.lmm_answers import ModelAnswer, Photo
from evaluation.tables import Truths
from geo.errors import InputError
from tests.unit.fusion_samples import First, answers_of, drawn_panel, near, truths

NAMED = [name for name in RULES if name not in ("DualGeo, its centre", "arithmetic mean")]
"""Rules whose answer is one that a model gave."""


def votes(*points: tuple[float, float], stated: Sequence[float] = (), asked: int = 0) -> Votes:
    count = len(points)
    return Votes(
        np.array(points, dtype=np.float64),
        np.linspace(0.9, 0.1, count),
        np.array(stated or [np.nan] * count),
        tuple(f"m{number}" for number in range(count)),
        asked or count,
        points[0],
    )


def hits(crossed: Crossed, panel_truth: np.ndarray, rule: str, km: float = 25.0) -> float:
    return float((crossed.outcomes[rule].km(panel_truth) <= km).mean())


def test_where_most_agree() -> None:
    cast = votes((10, 10), (48.8, 2.3), (48.9, 2.4), (48.85, 2.35))
    chosen = {name: rule(cast) for name, rule in RULES.items()}
    assert chosen["best model"] == chosen["best model, else the next"] == (10, 10)
    for name in ("medoid", "medoid of the largest cluster", "DualGeo"):
        assert chosen[name] == (48.85, 2.35)
    assert chosen["DualGeo, its centre"] == pytest.approx((48.85, 2.35))
    assert chosen["arithmetic mean"] == pytest.approx((39.1375, 4.2625))


def test_where_none_agree_the_strongest_is_kept() -> None:
    cast = votes((60, 10), (0, 0), (1, 60))
    assert RULES["medoid of the largest cluster"](cast) == (60, 10)
    assert RULES["DualGeo, its centre"](cast) == pytest.approx((61 / 3, 70 / 3))
    assert agreement(cast) == pytest.approx(1 / 3)


def test_the_antimeridian_breaks_arithmetic_means_alone() -> None:
    cast = votes((10, 179.9), (10, -179.9), (10, 179.95))
    for name, rule in RULES.items():
        point = rule(cast)
        assert point is not None
        away = away_km(np.array(point), np.array([10.0, 180.0]))
        assert (away > 5000) == (name in ("arithmetic mean", "DualGeo, its centre")), name


def test_stated_confidence_picks_and_ties_go_to_the_strongest() -> None:
    rule = RULES["verbal confidence"]
    assert rule(votes((1, 1), (2, 2), (3, 3), stated=[3, 5, 5])) == (2, 2)
    assert rule(votes((1, 1), (2, 2), stated=[np.nan, 1])) == (2, 2)
    assert rule(votes((1, 1), (2, 2))) == (1, 1)


def test_a_missing_answer_counts_against_agreement() -> None:
    assert agreement(votes((1, 1), (1, 1.1), asked=2)) == 1
    assert agreement(votes((1, 1), (1, 1.1), asked=10)) == pytest.approx(0.2)


POINT = st.tuples(st.sampled_from([-90, -45.5, 0, 45.5, 90]), st.sampled_from([-180, -1, 0, 180]))


@given(st.lists(POINT, min_size=1, max_size=6))
def test_poles_antipodes_and_copies_give_an_answer(points: list[tuple[float, float]]) -> None:
    cast = votes(*points)
    for name, rule in RULES.items():
        found = rule(cast)
        assert found is not None
        assert abs(found[0]) <= 90
        assert abs(found[1]) <= 180
        if name in NAMED:
            assert any(found == point for point in points), name
    assert 0 < agreement(cast) <= 1


def test_folds_never_split_a_cluster_and_are_even() -> None:
    clusters = np.repeat(np.arange(30), 3)
    fold = folds_of(clusters, 10, 0, "cluster")
    assert all(len({*fold[clusters == one]}) == 1 for one in range(30))
    assert np.bincount(fold).tolist() == [9] * 10
    assert np.bincount(folds_of(clusters, 7, 0, "photo")).tolist() == [13] * 6 + [12]
    assert np.array_equal(fold, folds_of(clusters, 10, 0, "cluster"))
    assert not np.array_equal(fold, folds_of(clusters, 10, 1, "cluster"))


@pytest.mark.parametrize("folds", [0, 1, 31])
def test_folds_that_cannot_be(folds: int) -> None:
    with pytest.raises(InputError, match="folds of 30 groups of photos"):
        folds_of(np.repeat(np.arange(30), 3), folds, 0, "cluster")


class Watching:
    """A rule that keeps what it was shown."""

    def __init__(self) -> None:
        self.training: list[set[int]] = []

    def fit(self, training: Sequence[Photo]) -> "Watching":
        self.training.append({photo.cluster for photo in training})
        return self

    def answer(self, photo: Photo) -> None:
        assert photo.cluster not in self.training[-1]


def test_no_rule_sees_a_photo_of_the_place_it_is_judged_on() -> None:
    watching = Watching()
    panel = drawn_panel({"a": 0.8, "b": 0.5}, 40, per_place=4)
    cross_validate(panel, {"watching": watching.fit}, folds=5, repeats=2)
    assert len(watching.training) == 10
    by_photo = Watching()
    with pytest.raises(AssertionError):
        cross_validate(panel, {"watching": by_photo.fit}, by="photo", folds=5, repeats=1)


def test_the_truth_of_a_photo_has_no_part_in_its_own_answer() -> None:
    panel = drawn_panel({"a": 0.8, "b": 0.75, "c": 0.7, "d": 0.2}, 30)
    before = cross_validate(panel, {}, folds=3, repeats=1)
    test = np.flatnonzero(folds_of(panel.clusters, 3, 0, "cluster") == 1)
    moved = tuple(
        replace(photo, truth=(0.0, 0.0)) if row in test else photo
        for row, photo in enumerate(panel.photos)
    )
    after = cross_validate(replace(panel, photos=moved), {}, folds=3, repeats=1)
    for name, outcome in before.outcomes.items():
        same = outcome.points[0, test] == after.outcomes[name].points[0, test]
        assert same.all(), name


def test_one_strong_model_among_weak_ones() -> None:
    panel = drawn_panel({"strong": 0.9, **{f"w{n}": 0.1 for n in range(5)}}, 60)
    crossed = cross_validate(panel, {}, folds=5, repeats=1)
    assert crossed.chosen == {"strong": 5}
    assert crossed.hindsight == "strong"
    own = panel.km[:, panel.models.index("strong")]
    assert hits(crossed, panel.truth, "best model") == pytest.approx(float((own <= 25).mean()))
    assert hits(crossed, panel.truth, "best model") > hits(crossed, panel.truth, "medoid") + 0.2
    assert hits(crossed, panel.truth, "arithmetic mean") < 0.1


def test_independent_models_that_agree_beat_each_of_them() -> None:
    panel = drawn_panel({f"m{n}": 0.55 for n in range(7)}, 80)
    crossed = cross_validate(panel, {}, folds=5, repeats=1)
    best = float((panel.km <= 25).mean(axis=0).max())
    for rule in ("medoid", "medoid of the largest cluster", "DualGeo"):
        assert hits(crossed, panel.truth, rule) > best + 0.15
    assert crossed.oracle_km.max() <= np.nanmax(np.where(panel.km < np.inf, panel.km, 0))


def test_models_that_err_together_outvote_the_truth() -> None:
    where = truths(60)
    generator = np.random.default_rng(5)
    same = generator.uniform((-60, -180), (70, 180), (60, 2))
    answers = [
        one
        for number in range(3)
        for one in answers_of(f"copy{number}", where.ids, near(same, 1, generator))
    ]
    for model in ("good", "better"):
        answers += answers_of(model, where.ids, near(where.points, 1, generator))
    panel = panel_of(answers, where)
    crossed = cross_validate(panel, {}, folds=5, repeats=1)
    assert hits(crossed, panel.truth, "medoid of the largest cluster") == 0
    assert hits(crossed, panel.truth, "best model") == 1
    assert hits(crossed, panel.truth, "weighted medoid") == 1


def test_missing_answers_miss_or_are_replaced_as_the_rule_says() -> None:
    where = truths(40)
    generator = np.random.default_rng(1)
    best = near(where.points, 1, generator)
    best[::4] = np.nan
    answers = answers_of("best", where.ids, best)
    answers += answers_of("second", where.ids[:-1], near(where.points, 100, generator)[:-1])
    panel = panel_of(answers, where)
    assert panel.unasked == (("p039", "second"),)
    crossed = cross_validate(panel, {"first": lambda training: First()}, folds=4, repeats=1)
    assert hits(crossed, panel.truth, "best model", 2500) == 0.75
    assert hits(crossed, panel.truth, "best model, else the next", 2500) == 1
    assert np.isnan(crossed.outcomes["first"].points[0, ::4]).all()
    assert np.isnan(crossed.stated["stated by the best model"][0, ::4]).all()


def test_a_photo_without_any_answer_is_a_miss_of_all() -> None:
    where = truths(10)
    answers = answers_of("a", where.ids[:-1], where.points[:-1])
    panel = panel_of(answers, where)
    crossed = cross_validate(panel, {"first": lambda training: First()}, folds=2, repeats=1)
    assert all(np.isnan(one.points[0, -1]).all() for one in crossed.outcomes.values())
    assert crossed.agreement[0, -1] == 0
    assert crossed.oracle_km[0, -1] == np.inf


def test_one_model_is_its_own_fusion() -> None:
    panel = drawn_panel({"only": 0.5}, 12)
    crossed = cross_validate(panel, {}, folds=3, repeats=1)
    for name, outcome in crossed.outcomes.items():
        assert np.allclose(outcome.points[0], panel.points[:, 0]), name


def test_the_five_strongest_are_chosen_in_training() -> None:
    rights = {"s1": 0.9, "s2": 0.9, "s3": 0.9, "s4": 0.9, "s5": 0.9, "w1": 0.0, "w2": 0.0}
    panel = drawn_panel(rights, 40)
    strong = cross_validate(panel, {}, subset="strongest", folds=4, repeats=1)
    weak = cross_validate(panel, {}, subset="weakest", folds=4, repeats=1)
    assert strong.models == weak.models == 5
    assert hits(strong, panel.truth, "medoid") > hits(weak, panel.truth, "medoid")
    own = panel.columns([panel.models.index(f"s{n}") for n in range(1, 6)])
    assert np.array_equal(strong.oracle_km[0], own.km.min(axis=1))


def test_truths_that_share_an_author_or_a_coordinate_are_one_cluster() -> None:
    points = np.array([[1, 1], [1, 1.000001], [2, 2], [3, 3], [4, 4]], dtype=np.float64)
    where = Truths("t", tuple("abcde"), points, ("", "x", "x", "", ""))
    panel = panel_of(answers_of("m", where.ids, points), where)
    assert panel.clusters.tolist() == [0, 0, 0, 1, 2]


def test_answers_to_unknown_photos_are_kept_apart() -> None:
    where = truths(4)
    answers = answers_of("m", ("p000", "elsewhere"), where.points[:2])
    panel = panel_of(answers, where)
    assert [one.image_id for one in panel.unknown] == ["elsewhere"]
    assert len(panel.photos) == 4
    with pytest.raises(InputError, match=r"none of the 4 photos with truth .* 'elsewhere'"):
        panel_of(answers[1:], where)


def test_what_cannot_be_fused() -> None:
    where = truths(3)
    silent = answers_of("m", where.ids, np.full((3, 2), np.nan))
    with pytest.raises(InputError, match=r"none of 3 answers has a coordinate .*declines"):
        panel_of(silent, where)
    with pytest.raises(InputError, match="no answer of model 'x': the file holds m"):
        panel_of(answers_of("m", where.ids, where.points), where, ["x"])
    with pytest.raises(InputError, match="at least 1"):
        cross_validate(drawn_panel({"a": 1.0}, 4), {}, folds=2, repeats=0)


def test_belief_as_it_stands(settlements: Settlements) -> None:
    belief = uncalibrated(settlements)([])
    paris = tuple(
        ModelAnswer(image_id="p", model=model, point=(48.857, 2.352)) for model in ("a", "b")
    )
    lone = ModelAnswer(image_id="p", model="c", point=(-33.869, 151.209))
    found = belief.answer(Photo("p", (*paris, lone), (0, 0), 0))
    assert found is not None
    assert away_km(np.array(found.point), np.array([48.857, 2.352])) < 25
    assert 0 < found.km_50 <= found.km_80 <= found.km_95
    assert found.mass_within(found.km_80) == pytest.approx(0.8)
    assert belief.answer(Photo("p", (ModelAnswer(image_id="p", model="a"),), (0, 0), 0)) is None


@given(st.lists(st.floats(0.001, 20_015), min_size=3, max_size=3))
def test_mass_within_never_falls(radii: list[float]) -> None:
    answer = RadiiAnswer((0, 0), *sorted(radii))
    mass = [answer.mass_within(km) for km in np.geomspace(1e-4, 21_000, 60)]
    assert mass == sorted(mass)
    assert 0 <= mass[0] <= mass[-1] <= 1
