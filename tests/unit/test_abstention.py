"""Thresholds follow from a stated loss, and what they cost is what happens."""

import numpy as np
import pytest
from pydantic import ValidationError

from evaluation.abstention import CHOICES, Abstention, Loss, Policy, abstention, decide
from evaluation.assessed import assess
from geo.errors import InputError
from tests.unit.honesty_samples import Pair, drawn_run

TIERED = Loss(region_within_km=750.0)


def measured(pairs: list[Pair], loss: Loss) -> Abstention:
    return abstention(assess(pairs, within_km=loss.limits_km), loss)


def policy(found: Abstention, name: str) -> Policy:
    return next(one for one in found.policies if one.name == name)


def cost(found: Abstention, name: str) -> float:
    value = policy(found, name).cost
    assert value is not None
    return value


def test_the_threshold_is_where_both_cost_the_same() -> None:
    loss = Loss()
    assert loss.threshold == pytest.approx(0.7)
    chosen = decide(loss, np.array([0.0, 0.69, 0.71, 1.0, np.nan]))
    assert [CHOICES[one] for one in chosen] == [
        "abstain", "abstain", "coordinate", "coordinate", "abstain",
    ]  # fmt: skip
    assert Loss(wrong=4.0, abstain=1.0).threshold == pytest.approx(0.75)


def test_equal_costs_are_decided_with_caution() -> None:
    assert decide(Loss(abstain=0.5), np.array([0.5])).tolist() == [2]
    assert decide(Loss(abstain=0.0), np.array([1.0])).tolist() == [2]
    assert decide(Loss(abstain=1.0), np.array([0.0, 0.001])).tolist() == [2, 0]
    assert decide(Loss(abstain=2.0), np.array([0.0])).tolist() == [0]


def test_regions_lie_between() -> None:
    assert TIERED.region_threshold == pytest.approx(0.7 / 0.85)
    exact = np.array([0.95, 0.4, 0.1, np.nan, 0.1])
    region = np.array([0.99, 0.95, 0.5, np.nan, np.nan])
    chosen = decide(TIERED, exact, region)
    assert [CHOICES[one] for one in chosen] == [
        "coordinate", "region", "abstain", "abstain", "abstain",
    ]  # fmt: skip
    assert Loss().region_threshold is None


def test_a_rule_on_honest_confidence_costs_what_it_expects_and_beats_both_extremes() -> None:
    for loss in (Loss(), TIERED, Loss(wrong=10.0, abstain=1.0)):
        found = measured(drawn_run(1_500), loss)
        rule = policy(found, "rule")
        assert rule.interval is not None
        assert found.stated_cost == pytest.approx(cost(found, "rule"), abs=0.05 * loss.wrong)
        assert rule.interval.low <= cost(found, "rule") <= rule.interval.high
        assert found.saved_interval is not None
        assert found.saved_interval.low > 0
        assert cost(found, "best threshold in hindsight") <= cost(found, "rule") + 1e-12


def test_dishonest_confidence_costs_more_than_it_says() -> None:
    found = measured(drawn_run(1_500, stated=0.25), Loss())
    assert found.stated_cost is not None
    assert cost(found, "rule") > found.stated_cost + 0.05
    assert found.hindsight_threshold is not None
    assert found.hindsight_threshold > Loss().threshold


def test_hindsight_is_named_and_is_the_best_threshold_there_is() -> None:
    pairs = drawn_run(120, seed=4, stated=0.5)
    found = measured(pairs, Loss())
    best = policy(found, "best threshold in hindsight")
    assert best.hindsight
    assert best.interval is None
    assert [one.hindsight for one in found.policies] == [False, False, False, True]
    assessed = assess(pairs)
    confidence, right = assessed.confidence_at(25.0), assessed.within(25.0)
    costs = [
        np.where(confidence >= limit, np.where(right, 0.0, 1.0), 0.3).mean()
        for limit in [*confidence, 2.0]
    ]
    assert best.cost == pytest.approx(min(costs))


def test_a_photo_without_an_answer_costs_what_abstaining_does() -> None:
    found = measured(drawn_run(0, failed=4), Loss())
    assert [one.cost for one in found.policies] == [pytest.approx(0.3)] * 4
    assert found.hindsight_threshold is None
    assert policy(found, "always answer").given["abstain"] == 4
    mixed = measured(drawn_run(10, failed=10), Loss())
    always = policy(mixed, "always answer")
    assert cost(mixed, "always answer") == pytest.approx((always.wrong + 10 * 0.3) / 20)


def test_no_photo_costs_nothing_defined() -> None:
    found = measured([], TIERED)
    assert {one.cost for one in found.policies} == {None}
    assert found.saved is None
    assert "NaN" not in found.model_dump_json()


@pytest.mark.parametrize(
    "values",
    [
        {"abstain": -0.1},
        {"wrong": 0.0},
        {"region_within_km": 25.0},
        {"region_within_km": 750.0, "region": 2.0},
        {"abstain": float("nan")},
    ],
)
def test_a_loss_that_makes_no_sense_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Loss(**values)


def test_a_distance_that_was_not_assessed_is_refused() -> None:
    with pytest.raises(InputError, match="within 750 km"):
        abstention(assess(drawn_run(3)), TIERED)
