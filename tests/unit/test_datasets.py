"""Datasets: truth as people keep it, photos found by their ids, and what cannot be measured by."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluation.dataset_sources import Images
from evaluation.datasets import BENCHMARKS, Dataset, open_dataset
from geo.errors import InputError
from tests.unit.photo_samples import gps_exif


def photo(path: Path, shade: int = 90, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 24), (shade, 80, 120)).save(path, **options)
    return path


def table(path: Path, *rows: str, header: str = "image_id,author,latitude,longitude") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def refused(*words: str, **given: object) -> str:
    with pytest.raises(InputError) as caught:
        open_dataset(**given)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


class TestFindingPhotos:
    @pytest.mark.parametrize(
        "lies", ["45/77/3228511372.jpg", "45_77_3228511372.jpg", "3228511372.jpg",
                 "deep/down/3228511372.jpg", "images/45/77/3228511372.jpg", "3228511372.png"],
    )  # fmt: skip
    def test_an_id_with_slashes_is_found_however_it_was_unpacked(
        self, lies: str, tmp_path: Path
    ) -> None:
        there = photo(tmp_path / "img" / lies)
        truth = table(tmp_path / "yfcc26k.csv", "45/77/3228511372.jpg,43008843@N00,46.77,23.61")
        dataset = open_dataset("yfcc26k", truth=truth, images=tmp_path / "img")
        assert dataset.paths == {"45/77/3228511372.jpg": there}
        assert dataset.truths[0].author == "43008843@N00"

    def test_a_name_that_two_files_share_names_neither(self, tmp_path: Path) -> None:
        photo(tmp_path / "a" / "1.jpg")
        photo(tmp_path / "b" / "1.jpg")
        with pytest.raises(InputError, match=r"a/1\.jpg and b/1\.jpg are both called '1\.jpg'"):
            Images(tmp_path).find("1.jpg")
        assert Images(tmp_path).find("b/1.jpg") == tmp_path / "b" / "1.jpg"

    def test_an_id_without_an_ending_that_holds_a_full_stop(self, tmp_path: Path) -> None:
        there = photo(tmp_path / "ab.cd.jpg")
        assert Images(tmp_path).find("ab.cd") == there

    @pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "no.jpg"])
    def test_names_that_no_file_can_have(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no file"):
            Images(tmp_path).find(name)

    def test_photos_without_a_file_stay_and_are_told(self, tmp_path: Path) -> None:
        photo(tmp_path / "1.jpg")
        truth = table(tmp_path / "t.csv", "1.jpg,anna,1,2", "2.jpg,ben,3,4")
        dataset = open_dataset(truth)
        assert [one.image_id for one in dataset.truths] == ["1.jpg", "2.jpg"]
        assert set(dataset.missing) == {"2.jpg"}
        assert any("1 of 2 photos have no file and count as misses" in t for t in dataset.told)


class TestForms:
    def test_json_lines_with_paths(self, tmp_path: Path) -> None:
        one, two = photo(tmp_path / "img" / "a.png"), photo(tmp_path / "b.jpg")
        rows = [
            {"id": 7, "path": "img/a.png", "lat": 1.5, "lon": -2, "scene": "street", "city": "X"},
            {"id": "b", "path": str(two), "lat": "3", "lon": "4"},
        ]
        source = tmp_path / "all.jsonl"
        source.write_text("\n".join(map(json.dumps, rows)))
        dataset = open_dataset(source)
        assert dataset.name == "all"
        assert dict(dataset.paths) == {"7": one, "b": two}
        assert dataset.truths[0].slices == {"category": "street", "city": "X"}

    def test_a_folder_with_its_table_keeps_the_labels(self, tmp_path: Path) -> None:
        photo(tmp_path / "trip" / "img" / "a.jpg")
        photo(tmp_path / "trip" / "img" / "unlisted.jpg")
        table(
            tmp_path / "trip" / "manifest.csv", "img/a.jpg,1,2,2,KP,sign",
            header="file,latitude,longitude,label_radius_km,country,category",
        )  # fmt: skip
        (truth,) = (dataset := open_dataset(tmp_path / "trip")).truths
        assert dataset.name == "trip"
        assert any("1 photos of the folder have no row" in line for line in dataset.told)
        assert truth.slices == {"category": "sign", "country": "KP", "label_radius_km": "2"}

    def test_a_folder_whose_photos_tell(self, tmp_path: Path) -> None:
        where = gps_exif(
            GPSLatitudeRef="N", GPSLatitude=(48.0, 30.0, 0.0),
            GPSLongitudeRef="E", GPSLongitude=(2.0, 15.0, 0.0),
        )  # fmt: skip
        photo(tmp_path / "trip" / "a.jpg", exif=where)
        photo(tmp_path / "trip" / "b.jpg")
        (tmp_path / "trip" / "b.jpg.json").write_text('{"latitude": -12, "longitude": 30}')
        photo(tmp_path / "trip" / "c.jpg")
        dataset = open_dataset(tmp_path / "trip")
        assert [(t.image_id, t.latitude, t.longitude) for t in dataset.truths] == [
            ("a.jpg", 48.5, 2.25), ("b.jpg", -12.0, 30.0),
        ]  # fmt: skip
        assert dict(dataset.left_out).keys() == {"c.jpg"}

    def test_the_test_split_of_osv5m_is_what_is_wanted_here(self, tmp_path: Path) -> None:
        there = photo(tmp_path / "osv5m" / "images" / "test" / "00" / "123.jpg")
        table(
            tmp_path / "osv5m" / "test.csv", "123,1.5,2.5,FR,Bretagne,Brest,someone,777",
            header="id,latitude,longitude,country,region,city,creator_username,sequence",
        )  # fmt: skip
        named = open_dataset("OSV-5M", images=tmp_path / "osv5m")
        (truth,) = named.truths
        assert (truth.image_id, truth.author, named.paths["123"]) == ("123", "someone", there)
        assert truth.slices == {"country": "FR", "admin1": "Bretagne", "city": "Brest"}
        assert open_dataset(tmp_path / "osv5m").truths == named.truths

    def test_bom_semicolons_and_decimal_commas(self, tmp_path: Path) -> None:
        photo(tmp_path / "a.jpg")
        path = tmp_path / "t.csv"
        path.write_bytes("\ufeffimage_id;lat;lng\na.jpg;48,5;2,25\n".encode())
        assert open_dataset(path).truths[0].latitude == 48.5

    def test_a_benchmark_says_what_is_known_of_it(self, tmp_path: Path) -> None:
        photo(tmp_path / "1.jpg")
        truth = table(tmp_path / "t.csv", "1.jpg,a,1,2")
        dataset = open_dataset("im2gps3k", truth=truth)
        assert dataset.title == "Im2GPS3k"
        assert any("published on 2,997 photos, here are 1" in line for line in dataset.told)
        assert dataset.described["published_photos"] == 2997


class TestBadInput:
    def test_rows_without_a_usable_truth_are_counted_and_told(self, tmp_path: Path) -> None:
        for name in "abcdef":
            photo(tmp_path / f"{name}.jpg")
        truth = table(
            tmp_path / "t.csv", "a.jpg,x,1,2", "b.jpg,x,,", "c.jpg,x,north,2", "d.jpg,x,97,2",
            "e.jpg,x,0,0", "f.jpg,x,nan,3", ",x,1,2", "a.jpg,x,1,2", "short",
        )  # fmt: skip
        dataset = open_dataset(truth)
        assert [one.image_id for one in dataset.truths] == ["a.jpg"]
        assert len(dataset.left_out) == 8
        assert sum(int(line.split()[0]) for line in dataset.told if "rows" in line) == 8
        assert dataset.described["rows_without_truth"]["rows"] == 8  # type: ignore[index,call-overload]

    def test_one_id_at_two_positions(self, tmp_path: Path) -> None:
        photo(tmp_path / "a.jpg")
        truth = table(tmp_path / "t.csv", "a.jpg,x,1,2", "a.jpg,x,1,3")
        refused("'a.jpg'", "1, 2", "1, 3", "keep the right row", source=truth)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", ("latitude",)),
            (b"image_id,latitude,longitude\n", ("no row", "empty")),
            (b"latitude,longitude\n1,2\n", ("names photos", "image_id")),
            (b"image_id,author\na.jpg,x\n", ("latitude", "longitude")),
            ("image_id,latitude,longitude\nM\xfcnchen.jpg,1,2\n".encode("latin-1"), ("UTF-8",)),
            ("image_id,latitude,longitude\na,1,2\n".encode("utf-16"), ("UTF-8",)),
            (b"image_id,latitude,longitude\na.jpg,120,40\n", ("no row", "swapped")),
        ],
    )  # fmt: skip
    def test_tables_that_are_none(
        self, data: bytes, words: tuple[str, ...], tmp_path: Path
    ) -> None:
        photo(tmp_path / "a.jpg")
        (tmp_path / "t.csv").write_bytes(data)
        refused(*words, source=tmp_path / "t.csv")

    def test_no_photo_at_all(self, tmp_path: Path) -> None:
        truth = table(tmp_path / "t.csv", "a.jpg,x,1,2")
        refused("none of the 1 photos", "--images FOLDER", source=truth)
        (tmp_path / "photos.zip").touch()
        refused("unpack", source=truth)
        refused("no folder of photos", source=truth, images=tmp_path / "absent")

    def test_nothing_there(self, tmp_path: Path) -> None:
        refused("Im2GPS is not on this machine", "--truth CSV", source="im2gps")
        refused("none of im2gps", "yfcc26k", source=tmp_path / "absent")
        (tmp_path / "a.xlsx").touch()
        refused(".csv", source=tmp_path / "a.xlsx")
        (tmp_path / "bare").mkdir()
        refused("no photo in", "--truth", source=tmp_path / "bare")

    def test_two_truths_or_two_folders(self, tmp_path: Path) -> None:
        truth = table(tmp_path / "t.csv", "a.jpg,x,1,2")
        refused("give one", source=truth, truth=truth)
        refused("give one", source=tmp_path, images=tmp_path)


def test_ids_positions_and_nothing_else_make_the_fingerprint(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "b.jpg")

    def made(*rows: str) -> Dataset:
        return open_dataset(table(tmp_path / "t.csv", *rows))

    first = made("a.jpg,x,1,2", "b.jpg,y,3,4")
    assert made("b.jpg,y,3,4", "a.jpg,z,1,2").fingerprint == first.fingerprint
    assert made("a.jpg,x,1,2", "b.jpg,y,3,4.1").fingerprint != first.fingerprint
    assert len(first.limited(1).truths) == 1
    with pytest.raises(InputError, match="all 2 photos"):
        first.without(frozenset({"a.jpg", "b.jpg"}))


def test_every_benchmark_of_the_command_is_known() -> None:
    assert set(BENCHMARKS) == {"im2gps", "im2gps3k", "yfcc4k", "yfcc26k", "gws15k", "osv5m"}
