"""Scores: failures stay in, distances and operators are what they say, order is no matter."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluation
from evaluation import Score, score
from evaluation.metrics import THRESHOLDS_KM, errors_km, geoscores, within
from geo.errors import InputError
from geo.sphere import haversine_km

NOWHERE = [math.nan, math.nan]


def percents(found: Score) -> list[float]:
    return [one.value for one in found.accuracies if one.value is not None]


def test_what_a_small_table_comes_to() -> None:
    truth = [[0.0, 0.0]] * 4
    predictions = [[0.0, 0.001], [0.0, 1.0], [0.0, 90.0], NOWHERE]
    found = score(predictions, truth, bootstrap=0)
    far = haversine_km(0, 0, 0, np.array([0.001, 1.0, 90.0]))
    assert percents(found) == [25.0, 25.0, 50.0, 50.0, 50.0]
    assert [one.hits for one in found.accuracies] == [1, 1, 2, 2, 2]
    assert (found.photos, found.answered, found.failures) == (4, 3, 1)
    assert found.answered_percent == 75.0
    assert found.failure_reasons == {"position is missing": 1}
    assert found.mean_km.value == pytest.approx(far.mean())
    assert found.median_km.value == pytest.approx(far[1])
    assert found.mean_km.photos == found.median_km.photos == 3
    assert found.geoscore.value == pytest.approx(5000 * np.exp(-far / 1492.7).sum() / 4)
    assert found.geoscore.photos == 4
    assert found.accuracies[0].naive is None


def test_all_failures_are_a_result_and_no_error() -> None:
    found = score([NOWHERE, NOWHERE], [[1.0, 2.0], [3.0, 4.0]], bootstrap=20)
    assert percents(found) == [0.0] * 5
    assert found.failures == 2
    assert (found.mean_km.value, found.median_km.value, found.median_km.naive) == (None, None, None)
    assert found.geoscore.value == 0.0


def test_a_failure_more_lowers_every_accuracy_and_no_distance() -> None:
    truth = np.random.default_rng(0).uniform(-60, 60, (50, 2))
    predictions = truth + np.random.default_rng(1).normal(0, 5, truth.shape)
    whole = score(predictions, truth, bootstrap=0)
    lost = predictions.copy()
    lost[np.argmin(errors_km(truth, predictions, "haversine"))] = math.nan
    found = score(lost, truth, bootstrap=0)
    assert found.photos == whole.photos
    assert found.accuracies[-1].hits == whole.accuracies[-1].hits - 1
    assert found.geoscore.value < whole.geoscore.value  # type: ignore[operator]
    assert found.mean_km.value > whole.mean_km.value  # type: ignore[operator]


@pytest.mark.parametrize(("operator", "right"), [("le", 100.0), ("lt", 0.0)])
def test_a_distance_of_just_the_threshold(operator: str, right: float) -> None:
    exactly = float(haversine_km(0.0, 0.0, 0.0, 0.3))
    found = score(
        [[0.0, 0.3]], [[0.0, 0.0]],
        operator=operator, thresholds_km=[exactly], bootstrap=0,  # type: ignore[arg-type]
    )  # fmt: skip
    assert percents(found) == [right]


def test_the_two_distances_differ_where_they_must() -> None:
    """A degree of latitude at the pole is 111.69 km on the ellipsoid, 111.19 on the sphere."""
    truth, predicted = [[89.0, 10.0]], [[90.0, -120.0]]
    options = {"thresholds_km": [111.5], "bootstrap": 0}
    assert percents(score(predicted, truth, **options)) == [100.0]  # type: ignore[arg-type]
    assert percents(score(predicted, truth, distance="wgs84", **options)) == [0.0]  # type: ignore[arg-type]


def test_thresholds_are_sorted_and_each_is_there_once() -> None:
    found = score([[0.0, 1.0]], [[0.0, 0.0]], thresholds_km=[200, 1, 200.0], bootstrap=0)
    assert [one.threshold_km for one in found.accuracies] == [1.0, 200.0]


POINT = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(POINT, POINT | st.none()), min_size=1, max_size=8), st.data())
def test_order_and_turns_of_longitude_are_no_matter(
    pairs: list[tuple[tuple[float, float], tuple[float, float] | None]], data: st.DataObject
) -> None:
    truth = np.array([true for true, _ in pairs])
    predicted = np.array([NOWHERE if one is None else one for _, one in pairs])
    authors = [data.draw(st.sampled_from(["", "a", "b"])) for _ in pairs]
    order = data.draw(st.permutations(range(len(pairs))))
    turned = predicted + np.array([0.0, 360.0])
    first = score(predicted, truth, authors=authors, bootstrap=16)
    again = score(predicted[order], truth[order], authors=[authors[n] for n in order], bootstrap=16)
    around = score(turned, truth, authors=authors, bootstrap=0)
    for one, other in zip(first.accuracies, again.accuracies, strict=True):
        assert one.hits == other.hits
        assert (one.naive, one.clustered) == (other.naive, other.clustered)
    assert first.failures == around.failures == sum(one is None for _, one in pairs)
    assert first.mean_km.value == pytest.approx(again.mean_km.value)
    assert first.geoscore.value == pytest.approx(again.geoscore.value)
    if first.median_km.value is not None:
        assert first.median_km.value == pytest.approx(around.median_km.value, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(POINT, POINT, st.sampled_from(["haversine", "wgs84"]))
def test_distances_are_symmetric_and_on_earth(
    one: tuple[float, float], other: tuple[float, float], distance: str
) -> None:
    a, b = np.array([one]), np.array([other])
    there = errors_km(a, b, distance)  # type: ignore[arg-type]
    assert there == pytest.approx(errors_km(b, a, distance), abs=1e-6)  # type: ignore[arg-type]
    assert 0 <= there[0] <= 20_100
    assert within(there, THRESHOLDS_KM, "lt").sum() <= within(there, THRESHOLDS_KM, "le").sum()
    assert 0 <= geoscores(there)[0] <= 5000


def test_a_pole_is_one_place_whatever_its_longitude() -> None:
    found = score([[90.0, 10.0], [-90.0, 0.0]], [[90.0, -170.0], [-90.0, 180.0]], bootstrap=0)
    assert percents(found)[0] == 100.0


def test_across_the_antimeridian() -> None:
    found = score([[0.0, 179.95]], [[0.0, -179.95]], bootstrap=0)
    assert found.mean_km.value == pytest.approx(11.12, abs=0.01)


def test_without_authors_both_intervals_are_the_same() -> None:
    truth = np.random.default_rng(5).uniform(-60, 60, (40, 2))
    found = score(truth + 0.5, truth + np.eye(2)[0], bootstrap=50)
    assert found.authors == 0
    assert all(one.naive == one.clustered for one in found.accuracies)


def test_clustered_is_wider_where_authors_are_alike() -> None:
    random = np.random.default_rng(2)
    truth = random.uniform(-50, 50, (400, 2))
    off = np.repeat(random.choice([0.01, 20.0], 20), 20)
    authors = np.repeat([f"a{n}" for n in range(20)], 20).tolist()
    found = score(truth + off[:, None], truth, authors=authors)
    naive, clustered = found.accuracies[1].naive, found.accuracies[1].clustered
    assert naive is not None
    assert clustered is not None
    assert clustered.standard_error > 3 * naive.standard_error
    assert clustered.clusters == 20


def test_points_by_id_in_any_order() -> None:
    truth = {"a": (10.0, 20.0), "b": (30.0, 40.0)}
    found = score({"b": (30.0, 40.0), "a": None, "z": (0.0, 0.0)}, truth, bootstrap=0)
    assert [one.hits for one in found.accuracies] == [1] * 5
    assert (found.failures, found.unknown) == (1, 1)
    assert any("'z'" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"distance": "euclid"}, "distance 'euclid'"),
        ({"operator": "=="}, "operator '=='"),
        ({"thresholds_km": []}, "0 thresholds"),
        ({"thresholds_km": [-1]}, "threshold -1 km"),
        ({"thresholds_km": [math.nan]}, "threshold nan km"),
        ({"bootstrap": 1}, "1 resamples"),
        ({"authors": ["a", "b"]}, "2 authors for 1 photos"),
        ({"names": ["planet"]}, "no name 'planet'"),
        ({"price": -1.0}, "price -1.0"),
        ({"slices": ["colour"]}, "no column 'colour'"),
        ({"truth": [[math.nan, 0.0]]}, "truth of photo '0' is no position"),
        ({"truth": [[91.0, 0.0]]}, "outside -90..90"),
        ({"truth": [1.0, 2.0]}, "give points"),
        ({"truth": [["x", "y"]]}, "no array of numbers"),
        ({"truth": []}, "truth of 0 photos"),
        ({"truth": None}, "give the truth, too"),
    ],
)
def test_arguments_that_are_refused(change: dict[str, object], said: str) -> None:
    options = {"predictions": [[0.0, 0.0]], "truth": [[0.0, 0.0]], **change}
    with pytest.raises(InputError, match=said):
        score(options.pop("predictions"), options.pop("truth"), **options)  # type: ignore[arg-type]


def test_a_prediction_of_an_impossible_latitude_is_a_miss_with_a_reason() -> None:
    found = score([[97.0, 0.0], [1.0, math.inf]], [[0.0, 0.0]] * 2, bootstrap=0)
    assert found.failure_reasons == {
        "latitude outside -90..90 degrees": 1, "position is missing": 1,
    }  # fmt: skip


def test_countries_by_name_and_by_position() -> None:
    paris, berlin, sea = [48.86, 2.35], [52.52, 13.4], [0.0, -30.0]
    truth = [paris, berlin, sea]
    found = score([paris, paris, paris], truth, names=["country"], bootstrap=30)
    (named,) = found.names
    assert (named.kind, named.hits, named.photos, named.value) == ("country", 1, 2, 50.0)
    assert named.clustered is not None


def test_importing_evaluation_stays_light() -> None:
    code = (
        "import sys, evaluation; "
        "sys.exit(any(m in sys.modules for m in ('numpy', 'pydantic', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'scored'"):
        evaluation.scored  # noqa: B018
