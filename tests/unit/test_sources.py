"""Sources: every photo comes out once, with a position or with the reason it has none."""

import os
from pathlib import Path

import pytest
from PIL import Image

from geo.errors import InputError
from index_builder.positions import read_positions
from index_builder.records import Record, Rejected, content_id
from index_builder.sources import open_source


def _photo(path: Path, shade: int = 0, position: tuple[float, float] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if position:
        exif[0x8825] = {
            1: "N" if position[0] >= 0 else "S",
            2: (abs(position[0]), 0.0, 0.0),
            3: "E" if position[1] >= 0 else "W",
            4: (abs(position[1]), 0.0, 0.0),
        }
    Image.new("RGB", (16, 16), (shade, shade, shade)).save(path, "JPEG", exif=exif)
    return path


def _read(folder: Path, **options: Path) -> tuple[dict[str, Record], dict[str, str]]:
    found = list(open_source(folder, format="folder", positions=options.get("positions")))
    records = {one.name: one for one in found if isinstance(one, Record)}
    return records, {one.name: one.reason for one in found if isinstance(one, Rejected)}


def test_positions_come_from_exif(tmp_path: Path) -> None:
    _photo(tmp_path / "a.jpg", 1, (-33.5, 151.25))
    records, rejected = _read(tmp_path)
    assert not rejected
    at = records["a.jpg"].position
    assert (at.latitude, at.longitude) == pytest.approx((-33.5, 151.25))
    assert len(content_id(records["a.jpg"].read())) == 64


def test_a_photo_without_a_position_is_rejected_with_a_remedy(tmp_path: Path) -> None:
    _photo(tmp_path / "a.jpg")
    _, rejected = _read(tmp_path)
    assert "--positions" in rejected["a.jpg"]


@pytest.mark.parametrize(
    "header",
    ["filename,lat,lng", "path,latitude,longitude", "image_id;Lat;Lon", "file\tlat\tlong"],
)
def test_columns_go_by_their_usual_names(tmp_path: Path, header: str) -> None:
    _photo(tmp_path / "in" / "a.jpg")
    separator = next(s for s in ",;\t" if s in header)
    row = separator.join(["in/a.jpg", "1.5", "2.5"])
    (tmp_path / "positions.csv").write_text(f"﻿{header}\n{row}\n", encoding="utf-8")
    records, rejected = _read(tmp_path)
    assert not rejected
    assert records["in/a.jpg"].position.longitude == 2.5


def test_a_shared_manifest_works(tmp_path: Path) -> None:
    _photo(tmp_path / "img" / "0a.jpg")
    (tmp_path / "manifest.csv").write_text(
        "file,sha256,latitude,longitude,label_radius_km,country,category,licence,source\n"
        'img/0a.jpg,00,39.0,125.7,2,KP,photo,"MIT, as is",somebody\n'
    )
    records, _ = _read(tmp_path)
    position = records["img/0a.jpg"].position
    assert (position.accuracy_km, position.licence) == (2.0, "MIT, as is")


def test_image_ids_match_without_folder_and_suffix(tmp_path: Path) -> None:
    _photo(tmp_path / "deep" / "0815.jpeg")
    table = tmp_path / "elsewhere.csv"
    table.write_text("image_id,lat,lon\n0815,1,2\n")
    records, _ = _read(tmp_path, positions=table)
    assert records["deep/0815.jpeg"].position.latitude == 1


def test_a_short_name_two_rows_share_names_neither(tmp_path: Path) -> None:
    _photo(tmp_path / "c" / "x.jpg")
    table = tmp_path / "p.csv"
    table.write_text("file,lat,lon\na/x.jpg,1,2\nb/x.jpg,3,4\n")
    records, rejected = _read(tmp_path, positions=table)
    assert not records
    assert set(rejected) == {"c/x.jpg", "a/x.jpg", "b/x.jpg"}


@pytest.mark.parametrize(
    ("latitude", "longitude", "reason"),
    [
        ("139.7", "35.6", "swapped"),
        ("91", "200", "limit -90 to 90"),
        ("10", "181", "limit -180 to 180"),
        ("0", "0", "missing position"),
        ("nan", "1", "not a number"),
        ("inf", "1", "not a number"),
        ("", "1", "not a number"),
        ("N/A", "1", "not a number"),
    ],
)
def test_invalid_rows_are_rejected_with_a_reason(
    tmp_path: Path, latitude: str, longitude: str, reason: str
) -> None:
    _photo(tmp_path / "a.jpg")
    (tmp_path / "positions.csv").write_text(f"file,lat,lon\na.jpg,{latitude},{longitude}\n")
    records, rejected = _read(tmp_path)
    assert not records
    assert reason in rejected["a.jpg"]


def test_contradicting_rows_are_rejected(tmp_path: Path) -> None:
    _photo(tmp_path / "a.jpg")
    (tmp_path / "positions.csv").write_text("file,lat,lon\na.jpg,1,2\na.jpg,3,4\n")
    assert "listed twice" in _read(tmp_path)[1]["a.jpg"]


def test_missing_columns_are_named_with_what_is_there(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("file,lat,y\na.jpg,1,2\n")
    with pytest.raises(InputError, match=r"longitude \(or lon, lng, long\).*it has: .*lat"):
        read_positions(table)
    table.write_bytes(b"")
    with pytest.raises(InputError, match="lacks the column"):
        read_positions(table)
    table.write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(InputError, match="UTF-8"):
        read_positions(table)
    with pytest.raises(InputError, match="check the path"):
        read_positions(tmp_path / "none.csv")


def test_rows_without_a_photo_are_reported(tmp_path: Path) -> None:
    _photo(tmp_path / "a.jpg")
    (tmp_path / "positions.csv").write_text("file,lat,lon\na.jpg,1,2\ngone.jpg,1,2\n")
    records, rejected = _read(tmp_path)
    assert list(records) == ["a.jpg"]
    assert "no such photo" in rejected["gone.jpg"]


def test_names_that_are_not_utf8_come_out_printable(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(raw)).write_bytes(_photo(tmp_path / "b.jpg", 3, (1, 2)).read_bytes())
    records, rejected = _read(tmp_path)
    assert set(records) == {"b.jpg", "caf\\xe9.jpg"}
    assert not rejected


def test_unreadable_files_do_not_stop_the_rest(tmp_path: Path) -> None:
    _photo(tmp_path / "good.jpg", 1, (1, 2))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "notes.txt").write_text("ignored")
    (tmp_path / ".hidden.jpg").write_text("ignored")
    records, rejected = _read(tmp_path)
    assert list(records) == ["good.jpg"]
    assert set(rejected) == {"empty.jpg", "text.jpg"}


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _photo(tmp_path / "locked" / "a.jpg", 1, (1, 2))
    _photo(tmp_path / "open" / "b.jpg", 1, (1, 2))
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    records, rejected = _read(tmp_path)
    assert list(records) == ["open/b.jpg"]
    assert "Permission denied" in rejected[str(tmp_path / "locked")]


def test_photos_come_in_the_order_of_their_names_bytes(tmp_path: Path) -> None:
    for name in ("b.jpg", "B.jpg", "a/z.jpg", "ä.jpg", "a-b/c.jpg", "10.jpg", "9.jpg"):
        _photo(tmp_path / name, 1, (1, 2))
    source = open_source(tmp_path)
    names = [one.name for one in source]
    assert names == ["10.jpg", "9.jpg", "B.jpg", "b.jpg", "ä.jpg", "a/z.jpg", "a-b/c.jpg"]
    assert source.count() == 7
    assert [one.name for part in source.parts() for one in part] == names


def test_ignored_folders_are_not_looked_into(tmp_path: Path) -> None:
    _photo(tmp_path / "a.jpg", 1, (1, 2))
    _photo(tmp_path / "gallery" / "b.jpg", 1, (1, 2))
    source = open_source(tmp_path, ignore=[tmp_path / "gallery"])
    assert [one.name for one in source] == ["a.jpg"]


def test_a_source_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check the path"):
        open_source(tmp_path / "gone")
    with pytest.raises(InputError, match="not a folder"):
        list(open_source(_photo(tmp_path / "a.jpg"), format="folder"))
