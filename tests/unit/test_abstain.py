"""Where a coordinate counts as located follows from what answers cost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.abstain import AnswerLoss, Rule
from agent.belief import believe, summarise
from agent.factors import Settlements
from cli.geolocator_options import POINTS
from evaluation.abstention import Loss
from tools.evidence import Candidate, Evidence


def seen(radius_km: float, weight: float) -> Evidence:
    candidate = Candidate(
        latitude=48.2, longitude=11.6, radius_km=radius_km, score=1.0, rank=1,
        source="gallery:test", kind="photo",
    )  # fmt: skip
    return Evidence(
        tool="look", kind="match", summary="seen", candidates=(candidate,), weight=weight, group="g"
    )


@settings(max_examples=40, deadline=None)
@given(
    radius_km=st.floats(0.5, 200.0), weight=st.floats(0.05, 0.99), abstain=st.floats(0.0, 1.2),
    wrong=st.floats(0.2, 5.0), limit=st.floats(1.0, 500.0),
)  # fmt: skip
def test_located_is_where_belief_within_reach_is_enough(
    settlements: Settlements, radius_km: float, weight: float, abstain: float, wrong: float,
    limit: float,
) -> None:  # fmt: skip
    loss = AnswerLoss(right_within_km=limit, wrong=wrong, abstain=abstain)
    belief = believe([seen(radius_km, weight)], settlements)
    within = belief.mass_within([limit], *belief.centre)[0]
    expected = within >= loss.threshold
    if not np.isclose(within, loss.threshold, atol=1e-9):  # sums in two orders
        assert (summarise(belief, loss=loss).status == "located") == expected


@pytest.mark.parametrize("radius_km", [1.0, 20.0, 24.0, 25.0, 26.0, 60.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 0.7, 0.95])
def test_the_default_is_half_of_belief_within_25_km(
    settlements: Settlements, radius_km: float, weight: float
) -> None:
    plain = summarise(believe([seen(radius_km, weight)], settlements))
    assert (plain.status == "located") == (plain.km_50 <= 25.0)


def test_the_extremes(settlements: Settlements) -> None:
    nothing = believe([], settlements)
    assert summarise(nothing, loss=AnswerLoss(abstain=1.0)).status == "located"
    assert summarise(nothing, loss=AnswerLoss(abstain=3.0)).status == "located"
    sure = believe([seen(0.5, 0.99)], settlements)
    assert summarise(sure, loss=AnswerLoss(abstain=0.0)).status == "region"


def test_in_words() -> None:
    assert AnswerLoss().words == (
        "where at least 50 % of belief lies within 25 km, because a wrong coordinate costs 1 and "
        "none 0.5"
    )
    assert AnswerLoss(abstain=2.0).words.startswith("always, because")


def test_one_closed_form_for_runs_and_evaluation() -> None:
    stated = Loss(right_within_km=10.0, wrong=4.0, abstain=1.0)
    same = AnswerLoss(right_within_km=10.0, wrong=4.0, abstain=1.0)
    assert stated.threshold == same.threshold == 0.75


def test_the_options_offer_every_rule() -> None:
    assert Rule.__args__ == POINTS  # type: ignore[attr-defined]
