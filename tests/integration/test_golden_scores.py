"""Scores of published predictions, to two decimals, in both distances and under both operators."""

from pathlib import Path
from typing import get_args

import pytest

from evaluation import score
from evaluation.compare import compare
from evaluation.metrics import Distance, Operator

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not (DATA / "predictions").is_dir(), reason=f"needs the published predictions in {DATA}"
)
ISN_3K = [10.54, 27.99, 36.64, 49.68, 65.97]
ISN = [16.88, 43.04, 51.90, 66.67, 80.17]
AGENT = [14.3, 39.7, 52.3, 68.8, 78.5]


def percents(predictions: str, truth: str, distance: Distance, operator: Operator) -> list[float]:
    found = score(
        DATA / "predictions" / predictions, DATA / "benchmarks" / truth,
        distance=distance, operator=operator, bootstrap=0,
    )  # fmt: skip
    return [one.value for one in found.accuracies if one.value is not None]


@pytest.mark.parametrize("operator", get_args(Operator))
@pytest.mark.parametrize(
    ("predictions", "truth", "distance", "expected", "digits"),
    [
        ("im2gps3k_isn.csv", "im2gps3k.csv", "haversine", ISN_3K, 2),
        ("im2gps3k_isn.csv", "im2gps3k.csv", "wgs84", [*ISN_3K[:4], 66.00], 2),
        ("im2gps_isn.csv", "im2gps.csv", "haversine", ISN, 2),
        ("im2gps_isn.csv", "im2gps.csv", "wgs84", [*ISN[:3], 66.24, 80.17], 2),
        ("im2gps_langgraph_agent.csv", "im2gps.csv", "haversine", AGENT, 1),
        ("im2gps_langgraph_agent.csv", "im2gps.csv", "wgs84", AGENT, 1),
    ],
)
def test_published_accuracies(
    predictions: str, truth: str, distance: Distance, expected: list[float], digits: int,
    operator: Operator,
) -> None:  # fmt: skip
    found = percents(predictions, truth, distance, operator)
    if digits == 1:  # 14.346 was published as 14.3
        assert found == pytest.approx(expected, abs=0.05)
    else:
        assert [round(one, digits) for one in found] == expected


def test_published_distances_and_the_error_by_author() -> None:
    truth = DATA / "benchmarks" / "im2gps3k.csv"
    found = score(DATA / "predictions" / "im2gps3k_isn.csv", truth)
    assert (found.photos, found.failures, found.authors) == (2997, 0, 198)
    assert found.mean_km.value == pytest.approx(3223.1, abs=0.05)
    assert found.median_km.value == pytest.approx(785.5, abs=0.05)
    assert found.geoscore.value == pytest.approx(2655.9, abs=0.05)
    naive, clustered = found.accuracies[1].naive, found.accuracies[1].clustered
    assert naive is not None
    assert clustered is not None
    assert naive.standard_error == pytest.approx(0.82, abs=0.1)
    assert clustered.standard_error == pytest.approx(1.97, abs=0.1)


def test_of_two_published_models_the_better_one_is_better_where_it_can_be_told() -> None:
    truth = DATA / "benchmarks" / "im2gps3k.csv"
    a, b = (DATA / "predictions" / f"im2gps3k_{name}.csv" for name in ("base_l", "isn"))
    found = compare(a, b, truth, bootstrap=500)
    city, continent = found.differences[1], found.differences[4]
    assert (city.won, city.lost) == (199, 107)
    assert city.p < 1e-6
    assert city.clustered is not None
    assert city.clustered.low > 0
    assert continent.clustered is not None
    assert continent.clustered.low < 0 < continent.clustered.high
