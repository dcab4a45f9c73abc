"""Sidecars: the JSON beside a photo tells its position, under each name that Takeout gives it."""

import json
from pathlib import Path

import pytest
from PIL import Image

from index_builder.records import Record, Rejected
from index_builder.sources import open_source


def _photo(path: Path, exif_position: tuple[float, float] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if exif_position:
        latitude, longitude = exif_position
        exif[0x8825] = {1: "N", 2: (latitude, 0.0, 0.0), 3: "E", 4: (longitude, 0.0, 0.0)}
    Image.new("RGB", (16, 16)).save(path, "JPEG", exif=exif)
    return path


def _takeout(latitude: float, longitude: float, **more: object) -> str:
    place = {"latitude": latitude, "longitude": longitude, "altitude": 7.0}
    none = {"latitude": 0.0, "longitude": 0.0, "altitude": 0.0}
    taken = {"timestamp": "1692781956", "formatted": "23 Aug 2023, 09:12:36 UTC"}
    content = {"title": "x", "photoTakenTime": taken, "geoData": place, "geoDataExif": none}
    return json.dumps(content | more)


def _only(folder: Path) -> Record | Rejected:
    (found,) = open_source(folder)
    return found


@pytest.mark.parametrize(
    ("photo", "sidecar"),
    [
        ("a.jpg", "a.jpg.json"),
        ("a.jpg", "a.jpg.supplemental-metadata.json"),
        ("a(2).jpg", "a.jpg(2).json"),
        ("a(2).jpg", "a.jpg.supplemental-metadata(2).json"),
        ("a-edited.jpg", "a.jpg.supplemental-metadata.json"),
        (
            "a_name_of_thirty_letters_ok_so.jpg",
            "a_name_of_thirty_letters_ok_so.jpg.supplementa.json",
        ),
        ("a.jpg", "a.json"),
    ],
)
def test_takeout_names_are_found(tmp_path: Path, photo: str, sidecar: str) -> None:
    assert len(sidecar) <= 51
    _photo(tmp_path / photo)
    (tmp_path / sidecar).write_text(_takeout(55.86, -4.25))
    found = _only(tmp_path)
    assert isinstance(found, Record)
    assert (found.position.latitude, found.position.longitude) == (55.86, -4.25)
    assert found.position.date == "2023-08-23T09:12:36+00:00"


def test_the_camera_speaks_where_the_user_gave_no_place(tmp_path: Path) -> None:
    _photo(tmp_path / "a.jpg")
    exif = {"latitude": 10.5, "longitude": 20.5}
    (tmp_path / "a.jpg.json").write_text(_takeout(0, 0, geoDataExif=exif))
    found = _only(tmp_path)
    assert isinstance(found, Record)
    assert found.position.latitude == 10.5


def test_zeros_in_takeout_leave_the_word_to_the_metadata(tmp_path: Path) -> None:
    _photo(tmp_path / "a.jpg", (12.5, 13.5))
    (tmp_path / "a.jpg.json").write_text(_takeout(0, 0))
    found = _only(tmp_path)
    assert isinstance(found, Record)
    assert found.position.longitude == pytest.approx(13.5)


def test_a_plain_file_tells_position_author_and_licence(tmp_path: Path) -> None:
    _photo(tmp_path / "in" / "a.jpg")
    plain = {"lat": 1.5, "lon": "2.5", "author": "Ada", "license": "CC0", "country": "GB"}
    (tmp_path / "in" / "a.json").write_text(json.dumps(plain))
    found = _only(tmp_path)
    assert isinstance(found, Record)
    at = found.position
    assert (at.latitude, at.longitude, at.author) == (1.5, 2.5, "Ada")
    assert (at.licence, at.country) == ("CC0", "GB")


def test_json_of_another_kind_is_passed_over(tmp_path: Path) -> None:
    _photo(tmp_path / "a.jpg", (1, 2))
    (tmp_path / "a.json").write_text('["not", "a place"]')
    assert isinstance(_only(tmp_path), Record)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "'a.json' beside it is not JSON"),
        ('{"latitude": 95, "longitude": 200}', "'a.json' beside it: latitude 95"),
        ('{"latitude": 95}', "beside it: latitude without"),
        (_takeout(1, 999), "limit -180 to 180"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, content: str, reason: str) -> None:
    _photo(tmp_path / "a.jpg", (1, 2))
    (tmp_path / "a.json").write_text(content)
    found = _only(tmp_path)
    assert isinstance(found, Rejected)
    assert reason in found.reason


def test_a_row_of_the_table_goes_before_the_sidecar(tmp_path: Path) -> None:
    _photo(tmp_path / "a.jpg")
    (tmp_path / "a.json").write_text('{"latitude": 1, "longitude": 2}')
    (tmp_path / "positions.csv").write_text("file,lat,lon\na.jpg,3,4\n")
    found = _only(tmp_path)
    assert isinstance(found, Record)
    assert found.position.latitude == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "positions.jsonl",
            '{"file": "a.jpg", "lat": 3, "lon": 4}\n\n{"file": "b", "lat": 1, "lon": 2}\n',
        ),
        ("positions.json", '[{"file": "a.jpg", "lat": 3, "lon": 4}]'),
        ("positions.json", '{"a.jpg": {"latitude": "3", "longitude": 4}}'),
        ("manifest.tsv", "file\tlat\tlon\na.jpg\t3\t4\n"),
    ],
)
def test_positions_may_be_json(tmp_path: Path, name: str, content: str) -> None:
    _photo(tmp_path / "a.jpg")
    (tmp_path / name).write_text(content)
    found = next(iter(open_source(tmp_path)))
    assert isinstance(found, Record)
    assert (found.position.latitude, found.position.longitude) == (3, 4)
