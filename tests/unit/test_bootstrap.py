"""Resampling: what it converges to, weighted medians exactly, and that order is no matter."""

import numpy as np
import pytest

from evaluation.bootstrap import Resamples, _draws, _Ranked, author_clusters, resample
from geo.errors import InputError


def shares(
    values: np.ndarray, clusters: np.ndarray, resamples: int = 4000, seed: int = 1
) -> Resamples:
    columns = np.column_stack([np.ones(len(values)), values])
    return resample(columns, clusters, resamples=resamples, seed=seed)


def test_the_naive_error_is_that_of_a_share() -> None:
    values = (np.arange(1000) % 4 == 0).astype(float)
    found = shares(values, np.arange(1000)).ratio(1, 0)
    assert found is not None
    assert found.standard_error == pytest.approx(np.sqrt(0.25 * 0.75 / 1000), rel=0.04)
    assert found.low == pytest.approx(0.25 - 1.96 * found.standard_error, abs=0.003)
    assert found.high == pytest.approx(0.25 + 1.96 * found.standard_error, abs=0.003)
    assert found.clusters == 1000


def test_photos_of_an_author_who_are_all_alike_count_as_one() -> None:
    """50 authors, each always right or always wrong: the error of 50 photos, not of 1,000."""
    values = np.repeat(np.arange(50) % 2, 20).astype(float)
    authors = np.repeat([f"a{n}" for n in range(50)], 20).tolist()
    clustered = shares(values, author_clusters(authors)).ratio(1, 0)
    naive = shares(values, np.arange(1000)).ratio(1, 0)
    assert clustered is not None
    assert naive is not None
    assert clustered.standard_error == pytest.approx(0.5 / np.sqrt(50), rel=0.05)
    assert clustered.standard_error / naive.standard_error == pytest.approx(np.sqrt(20), rel=0.08)


def test_authors_of_unequal_numbers_keep_the_ratio_a_ratio() -> None:
    """Where everybody is right everywhere, no resample says otherwise, however many are drawn."""
    clusters = author_clusters(["a"] * 90 + ["b"] * 9 + ["c"])
    found = shares(np.ones(100), clusters).ratio(1, 0)
    assert found is not None
    assert (found.standard_error, found.low, found.high) == (0.0, 1.0, 1.0)


def test_photos_without_an_author_are_their_own() -> None:
    assert author_clusters(["b", "", "a", "", "b"]).tolist() == [1, 2, 0, 3, 1]
    order = np.array([3, 1, 0, 2, 4])
    assert author_clusters(["b", "", "a", "", "b"], order).tolist() == [1, 3, 0, 2, 1]


def test_a_median_is_that_of_photos_repeated_as_often_as_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Near the middle, and, since little is near here, in the search of all photos."""
    monkeypatch.setattr("evaluation.bootstrap._AT_LEAST", 1)
    random = np.random.default_rng(3)
    for _ in range(300):
        number = int(random.integers(1, 30))
        values = random.integers(0, 9, number).astype(float)
        values[random.random(number) < 0.2] = np.nan
        clusters = random.integers(0, 4, number)
        counts = random.integers(0, 3, (4, clusters.max() + 1)).astype(float)
        for drawn, found in zip(counts, _Ranked(values, clusters).medians(counts), strict=True):
            repeated = np.repeat(values, drawn[clusters].astype(int))
            repeated = repeated[~np.isnan(repeated)]
            if len(repeated):
                assert found == np.median(repeated)
            else:
                assert np.isnan(found)


def test_draws_are_the_same_in_any_blocks_and_hold_every_cluster_once_on_average(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = np.concatenate(list(_draws(4001, 300, 5)))
    monkeypatch.setattr("evaluation.bootstrap._BLOCK", 4001)
    assert (np.concatenate(list(_draws(4001, 300, 5))) == drawn).all()
    assert drawn.shape == (300, 4001)
    assert (drawn.sum(axis=1) == 4001).all()
    assert drawn.mean() == 1.0
    assert drawn.var() == pytest.approx(1.0, abs=0.01)  # Poisson, in the limit


def test_equal_seeds_are_equal_and_others_are_not() -> None:
    values = np.random.default_rng(0).random(200)
    first, again = shares(values, np.arange(200), 50), shares(values, np.arange(200), 50)
    other = shares(values, np.arange(200), 50, seed=2)
    assert (first.sums == again.sums).all()
    assert not (first.sums == other.sums).all()


def test_one_cluster_has_no_interval() -> None:
    assert shares(np.array([1.0, 0.0, 1.0]), np.zeros(3, dtype=np.intp)).ratio(1, 0) is None


def test_a_figure_that_is_never_defined_has_no_interval() -> None:
    columns = np.zeros((5, 2))
    nothing = np.full((5, 1), np.nan)
    drawn = resample(columns, np.arange(5), resamples=10, seed=0, medians=nothing)
    assert drawn.ratio(0, 1) is None
    assert drawn.median() is None


@pytest.mark.parametrize("resamples", [1, -3, 100_001])
def test_a_number_of_resamples_out_of_range(resamples: int) -> None:
    with pytest.raises(InputError, match="resamples: give 2 to"):
        shares(np.ones(3), np.arange(3), resamples)


def test_nothing_cannot_be_resampled() -> None:
    with pytest.raises(InputError, match="0 photos"):
        shares(np.empty(0), np.empty(0, dtype=np.intp))
