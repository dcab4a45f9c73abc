"""Tables of predictions and truth as people have them: columns, kinds of files, errors."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from evaluation import score
from evaluation.pairing import pair
from evaluation.runs import RunManifest, RunRow, Truth, write_manifest
from evaluation.tables import read_predictions, read_truths
from geo.errors import InputError

HEAD = "image_id,latitude,longitude\n"


def table(path: Path, *lines: str, head: str = HEAD) -> Path:
    path.write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return table(
        tmp_path / "truth.csv",
        "a,10,20,ann,city", "b,-30,40,ann,sea", "c,50,-60,,city",
        head="image_id,latitude,longitude,author,category\n",
    )  # fmt: skip


@pytest.fixture
def right(tmp_path: Path) -> Path:
    return table(tmp_path / "right.csv", "c,50,-60", "b,-30,40", "a,10,20")


def test_a_table_with_authors_and_other_columns(truth: Path, right: Path) -> None:
    known = read_truths(truth)
    assert known.ids == ("a", "b", "c")
    assert known.authors == ("ann", "ann", "")
    assert known.columns == {"category": ("city", "sea", "city")}
    found = score(right, truth, bootstrap=10, slices=["category"])
    assert [one.value for one in found.accuracies] == [100.0] * 5
    assert (found.predictions, found.truth, found.authors) == ("right", "truth", 1)
    assert [(one.label, one.photos) for one in found.slices["category"]] == [
        ("city", 2),
        ("sea", 1),
    ]
    assert found.slices["category"][1].accuracies[0].clustered is None  # of one author alone


@pytest.mark.parametrize(
    "head",
    [
        "IMG_ID,LAT,LON\n",
        "photo;lat;lng\n",
        "\ufefffile\tLatitude\tLongitude\n",
        "id,longitude_unused,latitude,longitude\n",
    ],
)
def test_names_of_columns_and_separators(head: str, tmp_path: Path, truth: Path) -> None:
    separator = max(",;\t", key=head.count)
    cells = ["a", "0", "10", "20"] if head.count(separator) == 3 else ["a", "10", "20"]
    path = table(tmp_path / "p.csv", separator.join(cells), head=head)
    found = read_predictions(path)
    assert found.ids == ("a",)
    assert found.points.tolist() == [[10.0, 20.0]]


def test_every_kind_of_file_says_the_same(tmp_path: Path, truth: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows: list[dict[str, object]] = [
        {"image_id": "a", "latitude": 10.0, "longitude": 20.0, "seconds": 1.5, "tokens": 7},
        {"image_id": "b", "latitude": None, "longitude": None, "reason": "refused to say"},
        {"image_id": "c", "latitude": "here", "longitude": 0.0},
    ]
    (tmp_path / "p.json").write_text(json.dumps(rows))
    (tmp_path / "p.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    by_id = {str(row["image_id"]): dict(list(row.items())[1:]) for row in rows}
    (tmp_path / "named.json").write_text(json.dumps(by_id))
    text = "a,10.0,20.0,1.5,7,\nb,,,,,refused to say\nc,here,0,,,\n"
    head = "image_id,latitude,longitude,seconds,tokens,reason\n"
    (tmp_path / "p.csv").write_text(head + text)
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress((head + text).encode()))
    plain = [{key: value for key, value in row.items() if value != "here"} for row in rows]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(
        [{name: row.get(name) for name in head.strip().split(",")} for row in plain]
    ), tmp_path / "p.parquet")  # fmt: skip
    for name in ("p.json", "p.jsonl", "named.json", "p.csv", "p.csv.gz", "p.parquet"):
        found = score(tmp_path / name, truth, bootstrap=0, price=1e6)
        missing = name == "p.parquet"
        assert found.failure_reasons == {
            "refused to say": 1,
            "latitude is missing" if missing else "latitude is no number": 1,
        }, name
        assert found.accuracies[0].hits == 1
        assert (found.spent.seconds, found.spent.timed) == (1.5, 1)
        assert (found.spent.tokens, found.spent.cost) == (7, 7.0)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (",", "latitude is missing"),
        ("10,", "longitude is missing"),
        ("nan,20", "latitude is missing"),
        ("I cannot tell,20", "latitude is no number"),
        ("10,48°N", "longitude is no number"),
        ("1_0,20", "latitude is no number"),
        ('"48,8",20', "latitude is no number"),
        ("inf,20", "latitude outside -90..90 degrees"),
        ("120,-30", "latitude outside -90..90 degrees, swapped with the longitude?"),
        ("120,150", "latitude outside -90..90 degrees"),
        ("10,361", "longitude outside -360..360 degrees"),
    ],
)
def test_a_prediction_that_is_none_is_a_miss_with_its_reason(
    cells: str, reason: str, tmp_path: Path, truth: Path
) -> None:
    path = table(tmp_path / "p.csv", f"a,{cells}", "b,-30,40", "c,50,-60")
    found = score(path, truth, bootstrap=0)
    assert found.failure_reasons == {reason: 1}
    assert [(one.hits, one.photos) for one in found.accuracies] == [(2, 3)] * 5
    value = cells.split(",")[0]
    if value == "I cannot tell":
        assert any("'I cannot tell' of 'a'" in note for note in found.notes)


def test_zero_zero_is_an_answer_and_told(tmp_path: Path, truth: Path) -> None:
    path = table(tmp_path / "p.csv", "a,0,0", "b,0.0,-0.0", "c,50,-60")
    found = score(path, truth, bootstrap=0)
    assert found.failures == 0
    assert any(note.startswith("2 predictions at 0, 0") for note in found.notes)


def test_longitudes_counted_eastward(tmp_path: Path, truth: Path) -> None:
    path = table(tmp_path / "p.csv", "a,10,380", "b,-30,40", "c,50,300")
    assert score(path, truth, bootstrap=0, thresholds_km=[0.001]).accuracies[0].hits == 2
    path = table(tmp_path / "p.csv", "a,10,20", "b,-30,-320", "c,50,300")
    assert score(path, truth, bootstrap=0, thresholds_km=[0.001]).accuracies[0].hits == 3


def test_missing_predictions_are_misses_and_unknown_ids_are_told(
    tmp_path: Path, truth: Path
) -> None:
    path = table(tmp_path / "p.csv", "a,10,20", "x,1,2", "y,3,4")
    found = score(path, truth, bootstrap=0)
    assert found.failure_reasons == {"no prediction": 2}
    assert (found.photos, found.unknown) == (3, 2)
    assert any("2 predictions of photos" in note and "'x', 'y'" in note for note in found.notes)
    with pytest.raises(InputError, match="2 photos without a prediction, 2 predictions of unknown"):
        score(path, truth, strict=True)


def test_truth_without_a_position_is_left_out_and_told(tmp_path: Path, right: Path) -> None:
    path = table(tmp_path / "t.csv", "a,10,20", "b,,", "c,NaN,nan")
    found = score(right, path, bootstrap=0)
    assert (found.photos, found.truth_missing, found.unknown) == (1, 2, 0)
    assert any("2 photos of the truth without a position" in note for note in found.notes)
    with pytest.raises(InputError, match="2 photos without truth"):
        score(right, path, strict=True)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a,10,20", "a,10,20"], "line 3 of truth .*photo 'a', as is line 2"),
        (["a,10,20", "b,north,20"], "line 3 of truth .*latitude is no number, found 'north'"),
        (["a,10,", "b,1,2"], "line 2 of truth .*longitude is missing, found ''"),
        (["a,120,10"], "line 2 .*swapped with the longitude\\?, found '120'"),
        (["a,10,400"], "longitude outside -360..360 degrees, found '400'"),
        ([",1,2"], "line 2 of truth .* has no image_id"),
        (["a,,"], "states no position at all"),
        ([], "has no rows"),
    ],
)
def test_truth_that_is_refused(lines: list[str], said: str, tmp_path: Path, right: Path) -> None:
    with pytest.raises(InputError, match=said):
        score(right, table(tmp_path / "t.csv", *lines), bootstrap=0)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "p.csv", "lacks the column image_id"),
        (b"image_id,latitude,longitude\n", "p.csv", "has no rows"),
        (b"image_id,lat\na,1\n", "p.csv", r"lacks the column longitude \(or lon, lng, long\)"),
        (b"image_id,latitude,longitude\na,1,2\na,3,4\n", "p.csv", "photo 'a', as is line 2"),
        (b"image_id,latitude,longitude\n\n\na,1,2\n\na,3,4\n", "p.csv", "line 6 .* as is line 4"),
        (b"image_id,latitude,longitude\n\xe9,1,2\n", "p.csv", "is not UTF-8"),
        ("image_id,latitude,longitude\na,1,2\n".encode("utf-16"), "p.csv", "not UTF-8"),
        (b'image_id,latitude,longitude\n"a,1,2\n', "p.csv", "none of the 1 predictions"),
        (b"{", "p.json", "is not JSON"),
        (b"3", "p.json", "no list of objects"),
        (b'{"image_id": "a", "latitude": 1, "longitude": 2}\n[1]\n', "p.jsonl", "holds list"),
        (b'{"image_id": "\xff"}\n', "p.jsonl", "is not UTF-8"),
        (b"PAR1", "p.parquet", "is no parquet file"),
        (b"x,1,2\n", "p.csv", "lacks the column image_id"),
        (b"image_id,latitude,longitude\nx,1,2\n", "p.csv", "none of the 1 predictions"),
    ],
)
def test_predictions_that_are_refused(
    content: bytes, name: str, said: str, tmp_path: Path, truth: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        score(tmp_path / name, truth, bootstrap=0)


def test_paths_that_are_refused(tmp_path: Path, truth: Path) -> None:
    with pytest.raises(InputError, match=r"no predictions at .*nowhere"):
        score(tmp_path / "nowhere.csv", truth)
    with pytest.raises(InputError, match="is a folder without a run"):
        score(tmp_path, truth)
    with pytest.raises(InputError, match="no truth at"):
        score(truth, tmp_path / "nowhere.csv")


def write_run(folder: Path, *rows: RunRow, names: str = "abc", author: str = "") -> Path:
    truths = tuple(
        Truth(
            image_id=name, latitude=10.0 + n, longitude=20.0, author=author, slices={"kind": name}
        )
        for n, name in enumerate(names)
    )
    manifest = RunManifest(recipe="g3", dataset="d", photos=len(truths), truths=truths)
    write_manifest(folder, manifest)
    text = "".join(row.model_dump_json() + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(text)
    return folder


def test_a_run_stands_for_its_predictions_and_its_truth(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run",
        RunRow(
            image_id="a", latitude=10.0, longitude=20.0, status="located", seconds=2.0, tokens=9
        ),
        RunRow(image_id="b", status="failed", reason="ConnectError: down"),
    )
    found = score(run, bootstrap=0, slices=["kind"])
    assert found.failure_reasons == {"ConnectError: down": 1, "not reached": 1}
    assert [one.hits for one in found.accuracies] == [1] * 5
    assert (found.spent.seconds, found.spent.timed, found.spent.tokens) == (2.0, 2, 9)
    other = table(tmp_path / "t.csv", "a,50,20", "b,0,0", "c,1,1")
    assert score(run, other, bootstrap=0).accuracies[0].hits == 0


def test_pairing_lays_predictions_in_the_order_of_the_truth(truth: Path, right: Path) -> None:
    paired = pair(read_predictions(right), read_truths(truth))
    assert np.array_equal(paired.points, paired.truths.points)
    assert (paired.reasons, paired.unknown, paired.notes) == ({}, (), ())


def test_a_column_with_a_value_for_each_photo_is_no_slice(tmp_path: Path) -> None:
    lines = [f"{n},0,{n / 10},x{n}" for n in range(600)]
    path = table(tmp_path / "t.csv", *lines, head="image_id,latitude,longitude,note\n")
    with pytest.raises(InputError, match="'note' has 600 different values"):
        score(path, path, bootstrap=0, slices=["note"])
