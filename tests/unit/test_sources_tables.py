"""Tables: rows stream, each becomes a record or a reason, contradictions are told."""

import contextlib
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.errors import InputError
from index_builder.positions import COLUMNS, read_positions
from index_builder.records import Record, Rejected
from index_builder.rows import Table, opened
from index_builder.sources import open_source
from index_builder.sources.seen import SeenNames

JPEG = b"\xff\xd8\xff\xe0 as good as a photo here: tables do not open it"


def _photos(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(JPEG)


def _table(folder: Path, text: str | bytes, name: str = "photos.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _read(table: Path, **options: Path) -> tuple[list[Record], dict[str, str]]:
    found = list(open_source(table, images=options.get("images")))
    records = [one for one in found if isinstance(one, Record)]
    return records, {one.name: one.reason for one in found if isinstance(one, Rejected)}


def test_rows_give_photos_beside_the_table_in_their_order(tmp_path: Path) -> None:
    _photos(tmp_path, "b.jpg", "in/a.jpg", "images/c.jpg", "d.jpeg")
    table = _table(
        tmp_path,
        "image,lat,lon,country,city\nb.jpg,1,2,FR,Brest\nin/a.jpg,3,4,,\n"
        "c.jpg,5,6,,\n.\\d.jpeg,7,8,nan,\n",
    )
    records, rejected = _read(table)
    assert not rejected
    assert [r.content for r in records] == [
        tmp_path / name for name in ("b.jpg", "in/a.jpg", "images/c.jpg", "d.jpeg")
    ]
    assert (records[0].position.country, records[0].position.city) == ("FR", "Brest")
    assert records[3].position.country == ""


def test_images_may_lie_elsewhere_and_ids_have_no_suffix(tmp_path: Path) -> None:
    _photos(tmp_path / "elsewhere", "0815.png")
    table = _table(tmp_path, "image_id;latitude;longitude\n0815;-1,5;2,25\n")
    records, rejected = _read(table, images=tmp_path / "elsewhere")
    assert not rejected
    assert records[0].content == tmp_path / "elsewhere" / "0815.png"
    assert (records[0].position.latitude, records[0].position.longitude) == (-1.5, 2.25)


def test_a_row_without_its_photo_is_rejected(tmp_path: Path) -> None:
    _photos(tmp_path, "empty.jpg")
    (tmp_path / "empty.jpg").write_bytes(b"")
    table = _table(tmp_path, "file,lat,lon\ngone.jpg,1,2\nempty.jpg,1,2\n,1,2\n")
    records, rejected = _read(table)
    assert not records
    assert "no such photo" in rejected["gone.jpg"]
    assert "give the photos' folder as images" in rejected["gone.jpg"]
    assert "0 bytes" in rejected["empty.jpg"]
    assert "name a file" in rejected["row 3"]


def test_missing_columns_are_named_with_those_there(tmp_path: Path) -> None:
    table = _table(tmp_path, "image,latitude,y\na.jpg,1,2\n")
    with pytest.raises(InputError, match=r"longitude \(or lon, lng, long\).*it has: .*y"):
        list(open_source(table))


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("0,0", "missing position"),
        ("0.0,-0.0", "missing position"),
        ("95,200", "limit -90 to 90"),
        ("139.7,35.6", "swapped"),
        ("1,-180.5", "limit -180 to 180"),
        ("nan,1", "not a number"),
        ("1,-inf", "not a number"),
        ('"1,234,5",1', "not a number"),
        ('"1.234,5",1', "not a number"),
        (",", "not a number"),
        ("1", "not a number"),
    ],
)
def test_positions_that_cannot_be_are_reasons(tmp_path: Path, cells: str, reason: str) -> None:
    _photos(tmp_path, "a.jpg")
    records, rejected = _read(_table(tmp_path, f"file,lat,lon\na.jpg,{cells}\n"))
    assert not records
    assert reason in rejected["a.jpg"]


def test_habits_of_spreadsheets(tmp_path: Path) -> None:
    _photos(tmp_path, "a.jpg", "b.jpg")
    table = _table(
        tmp_path,
        "\ufefffile,note,lat,lon\r\n"
        'a.jpg,"two\r\nlines, ""quoted""","48,5",2.25\r\n\r\nb.jpg,,1,2\r\n',
    )
    records, rejected = _read(table)
    assert not rejected
    assert [(r.name, r.position.latitude) for r in records] == [("a.jpg", 48.5), ("b.jpg", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,lat,lon\nb\xe9.jpg,1,2\n", "not UTF-8"),
        ("file,lat,lon\na.jpg,1,2\n".encode("utf-16"), "not UTF-8|empty or no text"),
        (b'file,lat,lon\n"' + b"a,1,2\n" * 40_000, "not CSV.*quotation mark"),
        (b"file,lat,lon\n" + b"a" * 1_000_001, "line over 1,000,000 bytes"),
        (b"", "empty"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(open_source(_table(tmp_path, content)))


def test_a_name_that_comes_again_is_told_with_both_positions(tmp_path: Path) -> None:
    _photos(tmp_path, "a.jpg", "b.jpg")
    table = _table(tmp_path, "file,lat,lon\na.jpg,1.5,2\nb.jpg,1,1\na.jpg,3,4.25\nb.jpg,1,1\n")
    records, rejected = _read(table)
    assert [r.name for r in records] == ["a.jpg", "b.jpg"]
    assert "1.5, 2" in rejected["a.jpg"]
    assert "3, 4.25" in rejected["a.jpg"]
    assert "same position" in rejected["b.jpg"]


def test_compressed_tables_are_read_and_cut_ones_refused(tmp_path: Path) -> None:
    import gzip

    _photos(tmp_path, "a.jpg")
    packed = gzip.compress(b"file,lat,lon\na.jpg,1,2\n" * 1)
    records, _ = _read(_table(tmp_path, packed, "photos.csv.gz"))
    assert [r.name for r in records] == ["a.jpg"]
    with pytest.raises(InputError, match="cannot read"):
        list(open_source(_table(tmp_path, packed[:-12], "cut.csv.gz"), format="table"))


@pytest.mark.parametrize("rows", [20_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_many_rows_stream(tmp_path: Path, rows: int) -> None:
    """Nothing but the hashes of names may grow: 27 to 54 bytes a row."""
    table = tmp_path / "many.csv"
    with table.open("w") as file:
        file.write("file,lat,lon,author\n")
        for n in range(rows):
            file.write(f"folder/photo-{n:09}.jpg,{n % 89},{n % 179 + 0.5},somebody {n}\n")
    source = open_source(table)
    assert source.count() == rows
    tracemalloc.start()
    try:
        rejected = sum(isinstance(one, Rejected) for one in source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rejected == rows  # no photo is there
    assert peak < 3_000_000 + 130 * rows  # bytes; half of it while the hashes grow


_cells = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)


@given(rows=st.lists(st.tuples(_cells, _cells), min_size=1, max_size=20))
def test_a_row_read_again_at_its_offset_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    import csv

    path = tmp_path_factory.mktemp("rows") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("file", "lat", "lon", "author"), *((a, "1", "2", b) for a, b in rows)])
    table = Table(path, COLUMNS)
    found = list(table)
    assert [(cells["file"], cells["author"]) for _, cells in found] == [
        (a.strip(), b.strip()) for a, b in rows
    ]
    count = table.count()
    assert count is not None
    assert count >= len(rows)
    with opened(path, "table") as file_:
        assert [table.at(file_, offset) for offset, _ in reversed(found)] == [
            cells for _, cells in reversed(found)
        ]


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode), kind=st.booleans())
def test_no_content_of_a_table_breaks_a_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, kind: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    head = b"file,lat,lon\n" if kind else b""
    for name in ("t.csv", "t.csv.gz", "positions.jsonl", "positions.json"):
        (folder / name).write_bytes(head + content)
        with contextlib.suppress(InputError):
            assert all(isinstance(one, Rejected | Record) for one in open_source(folder / name))
        with contextlib.suppress(InputError):
            read_positions(folder / name)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.floats(-90, 90), st.floats(-180, 180)), max_size=200)
)
def test_seen_names_tell_the_first_position(rows: list[tuple[int, float, float]]) -> None:
    seen, truth = SeenNames(), dict[str, tuple[float, float]]()
    for number, latitude, longitude in rows:
        first = seen.first(f"n{number}", latitude, longitude)
        expected = truth.setdefault(f"n{number}", (latitude, longitude)) if first else None
        assert first == (pytest.approx(expected, abs=1e-7) if expected else None)
        assert bool(first) == (f"n{number}" in truth)
        truth.setdefault(f"n{number}", (latitude, longitude))
    assert len(seen) == len(truth)


def test_seen_names_survive_growing() -> None:
    seen = SeenNames()
    for n in range(20_000):
        assert seen.first(str(n), n / 1000, -n / 1000) is None
    for n in range(20_000):
        assert seen.first(str(n), 0, 0) == pytest.approx((n / 1000, -n / 1000), abs=1e-7)
