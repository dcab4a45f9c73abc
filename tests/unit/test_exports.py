"""Exports hold every photo, in the format they say, whole or not at all."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from geo.errors import InputError
from index_builder import exports
from index_builder.exports import export_gallery
from index_builder.gallery import Gallery
from index_builder.points import Circle, Where
from index_builder.upkeep import open_for_upkeep
from tests.unit.upkeep_samples import PLACES, photo, started, unit, write_gallery

COUNT = 24
NAMES = {1: "=HYPERLINK(0)", 2: "+1", 3: "-1", 4: "@x", 5: "\tx", 6: 'a "b", c\nd', 7: "été 東京"}


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    rows = [photo(n, name=NAMES.get(n, f"{n}.jpg")) for n in range(COUNT)]
    rows[8] = photo(8, accuracy_km=0.25)
    with open_for_upkeep(write_gallery(tmp_path / "gallery", rows)) as opened:
        yield opened


def names(gallery: Gallery) -> list[str]:
    return [one.name for one in gallery.photos()]


def test_csv_holds_every_photo_and_no_formula(gallery: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert export_gallery(gallery, path).photos == COUNT
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = ["'" + name if name[0] in "=+-@\t" else name for name in names(gallery)]
    assert [row["name"] for row in rows] == expected
    assert not any(cell.startswith(exports.FORMULA) for row in rows for key, cell in row.items()
                   if key not in exports.NUMBERS)  # fmt: skip
    brazil = next(row for row in rows if row["country"] == "BR")
    assert float(brazil["latitude"]) == pytest.approx(-15.8, abs=0.1)
    assert {row["accuracy_km"] for row in rows} == {"", "0.25"}


def test_geojson_puts_longitude_first(gallery: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "out.geojson"
    export_gallery(gallery, path)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert set(found) == {"type", "features"}
    assert found["type"] == "FeatureCollection"
    assert len({feature["id"] for feature in found["features"]}) == COUNT
    for feature in found["features"]:
        assert set(feature) == {"type", "id", "geometry", "properties"}
        assert (feature["type"], feature["geometry"]["type"]) == ("Feature", "Point")
        longitude, latitude = feature["geometry"]["coordinates"]
        assert abs(longitude) <= 180
        assert abs(latitude) <= 90
        expected = PLACES[feature["properties"]["country"]]
        assert (latitude, longitude) == pytest.approx(expected, abs=0.1)


def test_an_independent_reader_takes_the_geojson(gallery: Gallery, tmp_path: Path) -> None:
    import geojson

    path = tmp_path / "out.geojson"
    export_gallery(gallery, path)
    assert geojson.loads(path.read_text(encoding="utf-8")).is_valid


def test_jsonl_holds_one_photo_a_line(gallery: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    export_gallery(gallery, path)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["name"] for row in rows] == names(gallery)
    assert "digest" not in rows[0]


@pytest.mark.parametrize("vectors", [False, True])
def test_parquet_reads_back(gallery: Gallery, tmp_path: Path, vectors: bool) -> None:
    from pyarrow import parquet

    path = tmp_path / "out.parquet"
    report = export_gallery(gallery, path, vectors=vectors)
    table = parquet.read_table(path)
    assert table.column("name").to_pylist() == names(gallery)
    assert table.column("latitude").type == "double"
    assert ("vector_globe" in table.column_names) == vectors == bool(report.vectors)
    if vectors:
        stored = [p.vectors["globe"] for p in gallery.store.scan(with_vectors=True)]
        assert np.array_equal(np.array(table.column("vector_globe").to_pylist(), "f4"), stored)


@pytest.mark.parametrize("vectors", [False, True])
def test_npz_reads_back(gallery: Gallery, tmp_path: Path, vectors: bool) -> None:
    path = tmp_path / "out.npz"
    export_gallery(gallery, path, vectors=vectors)
    with np.load(path, allow_pickle=False) as stored:
        assert stored["name"].tolist() == names(gallery)
        assert np.isnan(stored["accuracy_km"]).sum() == COUNT - 1
        assert stored["latitude"].dtype == np.float64
        assert ("vector_globe" in stored) == vectors
        if vectors:
            expected = [p.vectors["globe"] for p in gallery.store.scan(with_vectors=True)]
            assert np.array_equal(stored["vector_globe"], expected)


def test_cells_say_what_they_stand_for(tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    with started(folder, kind="cells") as cells:
        one = photo(1, cell="47a1cbd5", members=12, aerial=True)[0]
        cells.add([(one, {"globe": unit(1)})])
        cells.write_manifest(0)
        for ending in ("csv", "npz"):
            export_gallery(cells, tmp_path / f"out.{ending}")
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["cell"], row["members"], row["aerial"]) == ("47a1cbd5", "12", "True")
    with np.load(tmp_path / "out.npz") as stored:
        assert (stored["members"].item(), stored["aerial"].item()) == (12, True)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Where(countries=("DE", "JP")), COUNT // 2),
        (Where(sources=("own",)), COUNT // 3),
        (Where(circle=Circle(48.9, 2.4, 100)), COUNT // 4),
        (Where(circle=Circle(48.9, 2.4, 100), sources=("own",)), COUNT // 12),
    ],
)
def test_filters(gallery: Gallery, tmp_path: Path, where: Where, expected: int) -> None:
    path = tmp_path / "out.jsonl"
    assert export_gallery(gallery, path, where=where).photos == expected
    assert len(path.read_text(encoding="utf-8").splitlines()) == expected


@pytest.mark.parametrize("ending", exports.FORMATS)
def test_nothing_is_replaced_unasked_and_nothing_half_written(
    gallery: Gallery, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"out.{ending}"
    path.write_text("mine")
    with pytest.raises(InputError, match="--force"):
        export_gallery(gallery, path)
    before = sorted(tmp_path.iterdir())

    def broken(*_: object) -> dict[str, object]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(exports, "_row", broken)
        with pytest.raises(KeyboardInterrupt):
            export_gallery(gallery, path, force=True)
    assert path.read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == before
    export_gallery(gallery, path, force=True)
    assert path.stat().st_size > 500


def test_a_file_that_appears_meanwhile_is_not_replaced(gallery: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with pytest.raises(InputError, match="there already"):
        export_gallery(gallery, path, progress=lambda *_: _write(path))
    assert path.read_text() == "somebody else's"


def _write(path: Path) -> None:
    path.write_text("somebody else's")


@pytest.mark.parametrize(
    ("name", "vectors", "said"),
    [
        ("out", False, "says no format"),
        ("out.xlsx", False, r"\.csv, \.geojson"),
        ("out.csv", True, "cannot hold vectors"),
        ("missing/out.csv", False, "cannot write"),
    ],
)
def test_impossible_files_are_refused(
    gallery: Gallery, tmp_path: Path, name: str, vectors: bool, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        export_gallery(gallery, tmp_path / name, vectors=vectors)


def test_an_export_of_nothing_is_refused(gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="widen the filter"):
        export_gallery(gallery, tmp_path / "out.csv", where=Where(countries=("AQ",)))
    assert not list(tmp_path.glob("out*"))
