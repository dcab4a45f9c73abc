"""B against A: paired, over the same photos, and refused where the photos differ unsaid."""

import math
from pathlib import Path

import numpy as np
import pytest

from evaluation.compare import compare
from evaluation.compared import mcnemar
from evaluation.runs import RunManifest, RunRow, Truth, write_manifest
from geo.errors import InputError
from tests.unit.test_score_tables import table

TRUTH = {name: (0.0, float(n)) for n, name in enumerate("abcdef")}
OFF = {name: (50.0, float(n)) for n, name in enumerate("abcdef")}


def test_won_and_lost_photos_and_their_test() -> None:
    a = TRUTH | {"a": OFF["a"], "b": OFF["b"], "c": OFF["c"]}
    b = TRUTH | {"a": OFF["a"], "f": None}
    found = compare(a, b, TRUTH, bootstrap=100)
    assert (found.photos, found.a_failures, found.b_failures) == (6, 0, 1)
    for one in found.differences:
        assert (one.won, one.lost, one.photos) == (2, 1, 6)
        assert (one.a, one.b, one.value) == pytest.approx((50.0, 400 / 6, 100 / 6))
        assert one.p == 1.0
        assert one.clustered is not None
        assert one.clustered.low <= one.value <= one.clustered.high  # type: ignore[operator]
    assert found.both_answered == 5
    assert found.median_difference_km.value == 0.0
    assert [one.image_id for one in found.moved] == ["f", "b", "c"]
    assert found.moved[0].b_km is None


@pytest.mark.parametrize(
    ("won", "lost", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (9, 1, 22 / 1024), (3, 3, 1.0), (1, 9, 22 / 1024)],
)
def test_mcnemar_is_exact(won: int, lost: int, p: float) -> None:
    assert mcnemar(won, lost) == pytest.approx(p)


def test_mcnemar_of_many_photos() -> None:
    assert mcnemar(13_000, 12_000) == pytest.approx(2.5e-10, rel=0.1)  # normal: z = 6.32


def test_the_other_way_round_is_the_negative() -> None:
    random = np.random.default_rng(4)
    truth = random.uniform(-50, 50, (80, 2))
    a, b = (truth + random.normal(0, 3, truth.shape) for _ in "ab")
    there, back = (compare(*pair, truth, bootstrap=50) for pair in ((a, b), (b, a)))
    for one, other in zip(there.differences, back.differences, strict=True):
        assert (one.value, one.won, one.lost) == (-other.value, other.lost, other.won)  # type: ignore[operator]
        assert one.p == other.p
    assert there.geoscore.value == pytest.approx(-back.geoscore.value)  # type: ignore[operator]
    assert there.median_difference_km.value == -back.median_difference_km.value  # type: ignore[operator]


def test_pairing_narrows_the_interval() -> None:
    """B is A a little better everywhere: the two scores vary together, their difference little."""
    random = np.random.default_rng(7)
    truth = random.uniform(-50, 50, (300, 2))
    noise = random.normal(0, 5, truth.shape)
    found = compare(truth + noise, truth + 0.9 * noise, truth, bootstrap=300)
    assert found.geoscore.naive is not None
    assert found.geoscore.value > 0  # type: ignore[operator]
    assert found.geoscore.naive.low > 0
    assert found.median_difference_km.value < 0  # type: ignore[operator]


def test_the_same_against_itself_is_nothing() -> None:
    found = compare(OFF, OFF, TRUTH, bootstrap=20)
    assert all((one.value, one.won, one.lost, one.p) == (0, 0, 0, 1) for one in found.differences)
    assert found.moved == ()
    assert found.geoscore.naive is not None
    assert found.geoscore.naive.standard_error == 0


def test_different_photos_are_refused_unless_asked_for() -> None:
    a = {name: point for name, point in TRUTH.items() if name in "abcd"}
    b = {name: point for name, point in TRUTH.items() if name in "cdef"} | {"zz": (0.0, 0.0)}
    said = "A has 4 photos and B 4: 2 in A alone .such as 'a'., 2 in B alone .such as 'e'."
    with pytest.raises(InputError, match=said):
        compare(a, b, TRUTH)
    found = compare(a, b, TRUTH, common=True, bootstrap=0)
    assert found.photos == 2
    assert any("4 photos that only A or only B has, left out" in note for note in found.notes)
    with pytest.raises(InputError, match="no photo in common"):
        compare({"a": (0.0, 0.0)}, {"b": (0.0, 0.0)}, TRUTH, common=True)


def test_photos_that_neither_has_are_misses_of_both_and_told() -> None:
    some = {name: TRUTH[name] for name in "ab"}
    found = compare(some, some, TRUTH, bootstrap=0)
    assert (found.photos, found.a_failures, found.b_failures) == (6, 4, 4)
    assert any(
        "4 photos of the truth in neither A nor B: misses of both" in note for note in found.notes
    )
    again = compare(some, some, TRUTH, bootstrap=0, common=True)
    assert (again.photos, again.a_failures) == (2, 0)
    assert any("4 photos of the truth in neither A nor B, left out" in note for note in again.notes)


def test_slices_by_column_and_author(tmp_path: Path) -> None:
    truth = table(
        tmp_path / "t.csv", "a,0,0,x,sea", "b,0,1,x,sea", "c,0,2,y,city", "d,0,3,z,city",
        head="image_id,latitude,longitude,author,kind\n",
    )  # fmt: skip
    a = table(tmp_path / "a.csv", "a,50,0", "b,50,1", "c,0,2", "d,0,3")
    b = table(tmp_path / "b.csv", "a,0,0", "b,0,1", "c,0,2", "d,50,3")
    found = compare(a, b, truth, slices=["kind"], bootstrap=50)
    city, sea = found.slices["kind"]
    assert [one.value for one in sea.differences] == [100.0] * 5
    assert [one.value for one in city.differences] == [-50.0] * 5
    assert sea.differences[0].clustered is None  # of author x alone
    assert city.differences[0].clustered is not None
    assert found.authors == 3


def run(folder: Path, points: dict[str, tuple[float, float]], shift: float = 0.0) -> Path:
    truths = tuple(
        Truth(image_id=name, latitude=0.0, longitude=longitude + shift)
        for name, (_, longitude) in TRUTH.items()
    )
    manifest = RunManifest(recipe="r", dataset="d", photos=len(truths), truths=truths)
    write_manifest(folder, manifest)
    rows = [
        RunRow(image_id=name, latitude=one, longitude=other, status="located")
        for name, (one, other) in points.items()
    ]
    (folder / "rows.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows))
    return folder


def test_runs_know_the_truth_and_must_agree(tmp_path: Path) -> None:
    one, other = run(tmp_path / "one", OFF), run(tmp_path / "two", TRUTH)
    assert compare(one, other, bootstrap=0).differences[0].won == 6
    assert compare(OFF, other, bootstrap=0).differences[0].won == 6
    moved = run(tmp_path / "moved", TRUTH, shift=0.01)
    with pytest.raises(InputError, match="differ in where photo 'a' was taken; give TRUTH"):
        compare(one, moved)
    assert compare(one, moved, TRUTH, bootstrap=0).photos == 6
    with pytest.raises(InputError, match="neither A nor B is a run"):
        compare(OFF, TRUTH)


def test_no_answers_at_all_is_a_result() -> None:
    nothing = [[math.nan, math.nan]] * 3
    found = compare(nothing, nothing, [[0.0, 0.0]] * 3, bootstrap=10)
    assert (found.both_answered, found.median_difference_km.value) == (0, None)
    assert (found.a_median_km, found.differences[0].value) == (None, 0.0)
