"""Risk-coverage curves: exact under ties, failures last, differences paired."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.assessed import assess
from evaluation.coverage import honesty_of
from evaluation.risk_coverage import area_under, risk_coverage, risk_curve, tie_groups
from geo.errors import InputError
from tests.unit.honesty_samples import drawn_run

ALL = np.ones(4, dtype=np.bool_)


def area_of_an_order(loss: np.ndarray) -> float:
    return float(np.mean(np.cumsum(loss) / np.arange(1, len(loss) + 1)))


@given(
    st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.floats(0, 1)), min_size=1, max_size=5)
)
def test_ties_are_the_mean_over_all_their_orders(rows: list[tuple[float, float]]) -> None:
    confidence, loss = (np.array(column) for column in zip(*rows, strict=True))
    orders = [
        np.array(order)
        for order in itertools.permutations(range(len(loss)))
        if (np.diff(confidence[list(order)]) <= 0).all()
    ]
    group = tie_groups(confidence, np.ones(len(loss), dtype=np.bool_))
    expected = np.mean([area_of_an_order(loss[order]) for order in orders])
    assert area_under(group, loss) == pytest.approx(expected, abs=1e-12)
    share, risk = risk_curve(group, loss)
    curves = [np.cumsum(loss[order]) / np.arange(1, len(loss) + 1) for order in orders]
    np.testing.assert_allclose(risk, np.mean(curves, axis=0), atol=1e-12)
    assert share[-1] == 1


@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.4]), st.booleans(), st.integers(0, 3)),
        min_size=1,
        max_size=8,
    )
)
def test_counts_are_copies(rows: list[tuple[float, bool, int]]) -> None:
    confidence, loss, counts = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    group = tie_groups(confidence, np.ones(len(loss), dtype=np.bool_))
    if not counts.sum():
        with pytest.raises(InputError, match="0 photos"):
            area_under(group, loss, counts)
        return
    copies = np.repeat(np.arange(len(loss)), counts.astype(int))
    expected = area_under(group[copies], loss[copies])
    assert area_under(group, loss, counts) == pytest.approx(expected, abs=1e-12)


def test_order_of_photos_does_not_matter() -> None:
    generator = np.random.default_rng(2)
    confidence, loss = (
        generator.integers(1, 6, 200) / 5,
        generator.integers(0, 2, 200).astype(float),
    )
    answered = np.ones(200, dtype=np.bool_)
    area = area_under(tie_groups(confidence, answered), loss)
    for seed in range(5):
        mixed = np.random.default_rng(seed).permutation(200)
        again = area_under(tie_groups(confidence[mixed], answered), loss[mixed])
        assert again == pytest.approx(area, abs=1e-12)


def test_what_has_no_confidence_comes_after_and_what_has_no_answer_last() -> None:
    confidence = np.array([0.0, np.nan, 0.9, 1.0])
    answered = np.array([True, True, True, False])
    assert tie_groups(confidence, answered).tolist() == [1, 2, 0, 3]
    assert tie_groups(np.full(4, np.nan), ALL).tolist() == [0, 0, 0, 0]
    assert tie_groups(np.empty(0), np.empty(0, dtype=np.bool_)).tolist() == []


def test_an_impossible_confidence_is_refused() -> None:
    with pytest.raises(InputError, match="infinite"):
        tie_groups(np.array([np.inf, 0, 0, 0]), ALL)
    with pytest.raises(InputError, match="3 confidences for 4 photos"):
        tie_groups(np.zeros(3), ALL)


def test_areas_by_hand() -> None:
    loss = np.array([0.0, 0.0, 1.0, 1.0])
    best = tie_groups(-loss, ALL)
    assert area_under(best, loss) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert area_under(np.zeros(4, dtype=np.intp), loss) == pytest.approx(0.5)


def test_a_failure_costs_whatever_its_loss_says() -> None:
    answered = np.array([True, True, True, False])
    curves, _ = risk_coverage(
        {"belief": np.array([0.9, 0.8, 0.7, 1.0])}, np.zeros(4), answered, np.arange(4)
    )
    assert curves[0].aurc == pytest.approx(1 / 16)
    assert curves[0].risk_at["1"] == 0.25
    assert curves[0].unanswered == 1


def test_no_photo_has_no_curve() -> None:
    nothing = np.empty(0)
    curves, differences = risk_coverage(
        {"belief": nothing, "verbal": nothing}, nothing, nothing.astype(bool), nothing.astype(int)
    )
    assert curves[0].aurc is None
    assert curves[0].risk_at["0.5"] is None
    assert differences[0].difference is None


def test_belief_is_told_apart_from_a_word_said_at_random() -> None:
    found = honesty_of(assess(drawn_run(300, authors=60)))
    belief, verbal = found.risk
    [apart] = found.differences
    assert (belief.name, verbal.name, apart.against) == ("belief", "verbal", "verbal")
    assert verbal.levels == 5
    assert apart.interval is not None
    assert apart.interval.high < 0
    assert apart.interval.clusters == 60
    assert apart.difference == pytest.approx((belief.aurc or 0) - (verbal.aurc or 0))
    assert apart.share_below == 1


def test_a_confidence_does_not_differ_from_itself() -> None:
    assessed = assess(drawn_run(100))
    wrong = (~assessed.within(25.0)).astype(float)
    confidence = assessed.confidence_at(25.0)
    _, [apart] = risk_coverage(
        {"belief": confidence, "same": confidence**3}, wrong, assessed.answered, assessed.cluster
    )
    assert apart.difference == 0
    assert apart.interval is not None
    assert (apart.interval.low, apart.interval.high) == (0, 0)


def test_a_run_without_the_models_word_has_belief_alone() -> None:
    found = honesty_of(assess(drawn_run(50, verbal=False)))
    assert [curve.name for curve in found.risk] == ["belief"]
    assert found.verbal is None
    assert found.differences == ()


def test_photos_without_the_models_word_are_told() -> None:
    pairs = drawn_run(40)
    silent = [
        (truth, row.model_copy(update={"verbal_confidence": None})) for truth, row in pairs[:9]
    ]
    found = honesty_of(assess([*silent, *pairs[9:]]))
    assert [curve.unranked for curve in found.risk] == [0, 9]
    assert found.verbal is not None
    assert found.verbal.photos == 31
