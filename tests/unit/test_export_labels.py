"""Analysts' verdicts become tables that evaluation's own reader takes."""

import csv
import io
from pathlib import Path

import pytest

from agent.export_labels import Label, tables
from agent.session_records import Assessment
from evaluation import score
from evaluation.datasets import open_dataset
from evaluation.tables import read_predictions, read_truths
from tests.unit.report_samples import PHOTO, located, undetermined

OTHER, THIRD = "e" * 64, "f" * 64


def verdict(at: str, **fields: object) -> Assessment:
    """Return a verdict of a day."""
    return Assessment.model_validate({"verdict": "right", "revision": 1, "at": at} | fields)


LABELS = [
    Label(PHOTO, "s1", verdict("2026-04-01", latitude=43.2994, longitude=5.3702,
                               notes="=1+1\n\"quoted\", and more"), located()),
    Label(PHOTO, "s2", verdict("2026-04-02", verdict="wrong", notes="no position"), located()),
    Label(OTHER, "s3", verdict("2026-04-01", verdict="wrong", latitude=48.0, longitude=2.0),
          located(photo_id=OTHER)),
    Label(OTHER, "s3", verdict("2026-04-03", verdict="wrong", latitude=-33.9, longitude=-70.5),
          located(photo_id=OTHER)),
    Label(THIRD, "s4", verdict("2026-04-01", verdict="unknown"), undetermined(photo_id=THIRD)),
]  # fmt: skip


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Path]:
    found = tables(LABELS)
    truth, predictions = tmp_path / "labels.csv", tmp_path / "labels-predictions.csv"
    truth.write_bytes(found.truth)
    predictions.write_bytes(found.predictions)
    return predictions, truth


def test_the_latest_position_of_a_photo_counts_and_the_rest_is_told() -> None:
    found = tables(LABELS)
    assert (found.photos, found.placed, found.superseded) == (3, 2, 2)
    rows = list(csv.DictReader(io.StringIO(found.truth.decode(), newline=""), strict=True))
    by_photo = {row["image_id"]: row for row in rows}
    assert by_photo[PHOTO]["session"] == "s1", "a verdict without a position replaces none with"
    assert by_photo[PHOTO]["notes"].startswith("'=1+1")
    assert by_photo[OTHER]["latitude"] == "-33.9"
    assert by_photo[THIRD]["verdict"] == "unknown"


def test_evaluation_reads_both_and_scores_them(written: tuple[Path, Path]) -> None:
    predictions, truth = written
    assert read_truths(truth).ids == (PHOTO, OTHER)
    assert read_truths(truth).missing == (THIRD,)
    assert set(read_predictions(predictions).ids) == {PHOTO, OTHER, THIRD}
    found = score(predictions, truth)
    assert found.photos == 2
    assert found.truth_missing == 1
    assert found.accuracies[0].hits == 1


def test_evaluation_opens_them_as_a_dataset(written: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / f"{PHOTO}.jpg").write_bytes(b"x")
    found = open_dataset(written[1])
    assert [truth.image_id for truth in found.truths] == [PHOTO, OTHER]
    assert set(found.paths) == {PHOTO}
