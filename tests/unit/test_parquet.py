import pickle
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import InputError, UnavailableError
from index_builder.positions import Position
from index_builder.records import Record
from index_builder.sources.parquet import ParquetSource, split_of
from tests.unit.shard_samples import split, write

KINDS = [pa.binary(), pa.large_binary(), pa.string(), pa.large_string(), pa.binary_view()]
KINDS += [pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def save(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def photos(count: int, **columns: Any) -> dict[str, Any]:
    images = [{"bytes": b"photo %d" % n, "path": f"{n}.jpg"} for n in range(count)]
    return {
        "image": pa.array(images, IMAGE),
        "latitude": [10 + n / 100 for n in range(count)],
        "longitude": [20.0] * count,
        **columns,
    }


def read(path: Path, **options: Any) -> tuple[list[Record], dict[str, str]]:
    return split(ParquetSource([path], **options))


def test_rows_state_everything(tmp_path: Path) -> None:
    columns = {
        "image": pa.array([{"bytes": b"one", "path": "x/1.jpg"}], IMAGE),
        "LAT": pa.array([Decimal("48.5")], pa.decimal128(6, 3)),
        "lng": ["9.25"],
        "creator_username": ["ann"],
        "captured_at": pa.array([datetime(2014, 5, 6, 7, 8)], pa.timestamp("ms")),  # noqa: DTZ001
        "license": ["CC BY 4.0"],
        "source": ["walks"],
        "country": ["DE"],
        "state": ["BW"],
        "city": [None],
        "accuracy_m": pa.array([250.0], pa.float32()),
        "unused": [[1, 2]],
    }
    records, reasons = read(save(tmp_path / "a.parquet", columns))
    when = "2014-05-06T07:08:00"
    where = Position(48.5, 9.25, 0.25, "ann", when, "CC BY 4.0", "walks", "DE", "BW")
    assert records == [Record("a.parquet/x/1.jpg", where, b"one")]
    assert not reasons


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_bytes_and_of_paths(tmp_path: Path, kind: pa.DataType) -> None:
    text = "string" in str(kind)
    write(tmp_path / "sub" / "1.jpg", b"one")
    values = ["sub/1.jpg"] if text else [b"one"]
    columns = {"image": pa.array(values, kind), "lat": [1.0], "lon": [2.0], "id": [77]}
    records, _ = read(save(tmp_path / "a.parquet", columns))
    assert [r.read() for r in records] == [b"one"]
    assert records[0].name == ("a.parquet/sub/1.jpg" if text else "a.parquet/77")
    assert records[0].content == (tmp_path / "sub/1.jpg" if text else b"one")


def test_struct_columns_of_other_names_and_photos_beside_the_file(tmp_path: Path) -> None:
    write(tmp_path / "2.jpg", b"two")
    images = [{"bytes": b"one", "path": None}, {"bytes": None, "path": "2.jpg"}, None]
    columns = {"view": pa.array(images, IMAGE), "lat": [1.0] * 3, "lon": [2.0] * 3}
    records, reasons = read(save(tmp_path / "a.parquet", columns))
    assert [(r.name, r.read()) for r in records] == [
        ("a.parquet/0", b"one"),
        ("a.parquet/2.jpg", b"two"),
    ]
    assert reasons == {"a.parquet/2": "no photo in this row; fill in its bytes or its path"}


@pytest.mark.parametrize(
    ("latitude", "longitude", "image", "reason"),
    [
        (97.0, 1.0, b"x", "latitude 97, limit"),
        (0.0, 0.0, b"x", "position 0, 0"),
        (float("nan"), 1.0, b"x", "'nan' is not a number"),
        (float("inf"), 1.0, b"x", "'inf' is not a number"),
        (None, None, b"x", "latitude and longitude are empty"),
        (None, 1.0, b"x", "without the other coordinate"),
        (1.0, 2.0, b"", "no photo in this row"),
        (1.0, 2.0, None, "no photo in this row"),
    ],
)
def test_a_bad_row_is_a_reason(
    tmp_path: Path, latitude: float | None, longitude: float | None, image: bytes, reason: str
) -> None:
    columns = {
        "image": pa.array([image, b"good"], pa.binary()),
        "lat": [latitude, 3.0],
        "lon": [longitude, 4.0],
        "accuracy_km": [None, float("nan")],
    }
    records, reasons = read(save(tmp_path / "a.parquet", columns))
    assert [(r.name, r.position) for r in records] == [("a.parquet/1", Position(3, 4))]
    assert reason in reasons["a.parquet/0"]


@pytest.mark.parametrize("path", ["../1.jpg", "/etc/hostname", "a/../../1.jpg", "..\\1.jpg"])
def test_paths_do_not_lead_out_of_the_folder(tmp_path: Path, path: str) -> None:
    write(tmp_path / "1.jpg", b"secret")
    columns = {"file_name": [path, "none.jpg"], "lat": [1.0] * 2, "lon": [2.0] * 2}
    records, reasons = read(save(tmp_path / "in" / "a.parquet", columns))
    assert not records
    first, second = reasons.values()
    assert "leads out of the file's folder" in first
    assert "beside the parquet file" in second


def test_texts_that_are_no_text(tmp_path: Path) -> None:
    odd = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(b"caf\xe9")]
    )
    image = pa.StructArray.from_arrays([pa.array([b"one"], pa.binary()), odd], ["bytes", "path"])
    columns = {"image": image, "lat": [1.0], "lon": [2.0], "city": odd}
    (record,), _ = read(save(tmp_path / "a.parquet", columns))
    assert record.name == "a.parquet/caf\\xe9"
    assert record.position.city == "caf\\xe9"
    assert record.content == b"one"


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1_400_000_000, "s", "2014-05-13T16:53:20"),
        (1_400_000_000_000_000_001, "ns", "2014-05-13"),
        (2**62, "us", ""),
    ],
)
def test_dates_of_any_unit(tmp_path: Path, value: int, unit: str, expected: str) -> None:
    columns = photos(1, date=pa.array([value], pa.timestamp(unit)))
    (record,), _ = read(save(tmp_path / "a.parquet", columns))
    assert record.position.date.startswith(expected)
    assert bool(record.position.date) == bool(expected)


def test_photos_over_the_limit(tmp_path: Path) -> None:
    columns = {"image": pa.array([bytes(50_000_001), b"x"], pa.binary())}
    path = save(tmp_path / "a.parquet", columns | {"lat": [1.0, 1.0], "lon": [2.0, 2.0]})
    records, reasons = read(path)
    assert len(records) == 1
    assert "50,000,001 bytes, limit 50,000,000" in reasons["a.parquet/0"]


def test_missing_columns_are_named_before_anything_is_read(tmp_path: Path) -> None:
    good = save(tmp_path / "1.parquet", photos(1))
    bad = save(tmp_path / "2.parquet", {"lat": [1.0], "picture_of": ["x"]})
    with pytest.raises(InputError) as caught:
        next(iter(ParquetSource([good, bad])))
    message = str(caught.value)
    assert "'2.parquet'" in message
    assert "longitude (or lon, lng, long)" in message
    assert "image (a struct" in message
    assert "lat, picture_of" in message
    assert "latitude" not in message


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    arrays = [pa.array(["1.jpg"]), pa.array([1.0]), pa.array([2.0]), pa.array([3.0])]
    table = pa.Table.from_arrays(arrays, names=["image", "lat", "lon", "lon"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="several columns lon; rename all but one"):
        ParquetSource([tmp_path / "a.parquet"]).parts()


def test_pyarrow_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.parquet", photos(1))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UnavailableError, match=r"pip install 'graticule\[sources\]'"):
        list(ParquetSource([path]))


LATITUDES, LONGITUDES = st.floats(-90, 90), st.floats(-180, 180)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.binary(min_size=1)), max_size=9
    ),
    st.integers(1, 4),
    st.sampled_from(["none", "snappy", "zstd"]),
)
def test_rows_come_as_written_in_any_row_groups(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[float, float, bytes]],
    group: int,
    packed: str,
) -> None:
    rows = [row for row in rows if row[:2] != (0, 0)]
    columns = {
        "image": pa.array([row[2] for row in rows], pa.binary()),
        "lat": pa.array([row[0] for row in rows], pa.float64()),
        "lon": pa.array([row[1] for row in rows], pa.float64()),
    }
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    source = ParquetSource([save(path, columns, row_group_size=group, compression=packed)])
    records, reasons = split(source)
    assert [(r.position.latitude, r.position.longitude, r.content) for r in records] == rows
    assert not reasons
    assert source.count() == len(rows)


def test_broken_files_are_told_and_the_next_goes_on(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.parquet", photos(40), row_group_size=10).read_bytes()
    metadata = pq.ParquetFile(tmp_path / "whole.parquet").metadata
    third = metadata.row_group(2).column(0).data_page_offset
    broken = bytearray(whole)
    broken[third : third + 40] = b"\xff" * 40
    files = {
        "bytes.parquet": bytes(broken),
        "cut.parquet": whole[: len(whole) // 2],
        "empty.parquet": b"",
        "text.parquet": b"this is no parquet file",
    }
    paths = [write(tmp_path / name, data) for name, data in files.items()]
    good = save(tmp_path / "zgood.parquet", photos(1))
    source = ParquetSource([*paths, good])
    records, reasons = split(source)
    assert [r.name for r in records] == [
        *(f"bytes.parquet/{n}.jpg" for n in range(20)),
        "zgood.parquet/0.jpg",
    ]
    assert reasons.keys() == files.keys()
    assert "damaged after row 20" in reasons["bytes.parquet"]
    assert all("fetch it again" in reason for reason in reasons.values())
    assert source.count() == 41


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("test-00000-of-00001.parquet", "test"),
        ("data/train-00003-of-00098.parquet", "train"),
        ("validation.parquet", "validation"),
        ("osv5m_TEST_2.parquet", "test"),
        ("default/test/0000.parquet", "test"),
        ("train-and-test.parquet", "test"),
        ("contest.parquet", ""),
        ("latest-photos.parquet", ""),
        ("test/data/0000.parquet", ""),
    ],
)
def test_splits_by_name(path: str, expected: str) -> None:
    assert split_of(Path(path)) == expected


def test_a_test_split_is_not_read_by_accident(tmp_path: Path) -> None:
    path = save(tmp_path / "test-00000-of-00001.parquet", photos(2))
    with pytest.raises(InputError, match=r"'test-00000-of-00001\.parquet'.*--include-test"):
        ParquetSource([path])
    assert len(read(path, include_test=True)[0]) == 2
    mixed = save(tmp_path / "all.parquet", photos(3, split=["train", "test", "validation"]))
    records, reasons = read(mixed)
    assert [r.name for r in records] == ["all.parquet/0.jpg", "all.parquet/2.jpg"]
    assert "row of the test split" in reasons["all.parquet/1.jpg"]
    assert len(read(mixed, include_test=True)[0]) == 3


def test_parts_are_the_files_and_go_to_other_processes(tmp_path: Path) -> None:
    source = ParquetSource([save(tmp_path / f"{n}.parquet", photos(3)) for n in range(3)])
    parts = pickle.loads(pickle.dumps(source.parts()))
    assert [r for part in parts for r in part] == list(source)
    assert [part.count() for part in parts] == [3, 3, 3]
    assert {part.name for part in parts} == {source.name} == {tmp_path.name}


MEASURE = """
import resource, sys
from pathlib import Path
import pyarrow
from index_builder.sources.parquet import ParquetSource
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
list(ParquetSource([Path(sys.argv[1])]))
before = peak()
count = sum(1 for _ in ParquetSource([Path(sys.argv[2])]))
print(count, peak() - before, pyarrow.default_memory_pool().max_memory() / 1e6)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Row groups of 100 photos, as the datasets library writes them; 100 MB in all."""
    small = save(tmp_path / "small.parquet", photos(1))
    big, draw = tmp_path / "big.parquet", np.random.default_rng(0)
    schema = pa.schema({"image": IMAGE, "lat": pa.float64(), "lon": pa.float64()})
    with pq.ParquetWriter(big, schema) as writer:
        for _ in range(10):
            images = [{"bytes": draw.bytes(100_000), "path": None} for _ in range(100)]
            columns = {"image": images, "lat": [1.0] * 100, "lon": [2.0] * 100}
            writer.write_table(pa.table(columns, schema=schema))
    command = [sys.executable, "-c", MEASURE, str(small), str(big)]
    count, grown_mb, arrow_mb = subprocess.run(
        command, capture_output=True, check=True
    ).stdout.split()
    assert int(count) == 1000
    assert float(arrow_mb) < 30
    assert float(grown_mb) < 60, "what the allocator keeps on top varies"
