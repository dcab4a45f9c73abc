"""One way to open any source: the format told from names and headers, doubts told as such."""

import pickle
from pathlib import Path

import pytest

from geo.errors import InputError
from index_builder.records import Record
from index_builder.sources import FORMATS, open_source
from index_builder.sources.detect import detect, expand


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("header", "format"),
    [
        ("image,latitude,longitude", "table"),
        ("\ufeffImage_ID;Lat;Lon;accuracy_m", "table"),
        ("LAT,LON", "coordinates"),
        ("name,latitude,longitude,country", "coordinates"),
        ("IMG_ID,AUTHOR,LAT,LON,S3_Label", "mp16"),
        ("id,latitude,longitude,thumb_original_url,country,sequence,captured_at", "osv5m"),
        ("id,latitude,longitude,name", "coordinates"),
        ("image,lat", "table"),
    ],
)
def test_a_table_is_told_by_its_header(tmp_path: Path, header: str, format: str) -> None:
    (tmp_path / "t.csv").write_text(header + "\n", encoding="utf-8")
    assert detect(tmp_path / "t.csv").format == format


@pytest.mark.parametrize(
    ("files", "format"),
    [
        ([], "folder"),
        (["a.jpg"], "folder"),
        (["in/a.jpg", "positions.csv"], "folder"),
        (["b.tar", "a.tar"], "webdataset"),
        (["b.parquet", "readme.md"], "parquet"),
        (["data/train-0.parquet"], "parquet"),
        (["12/2205/1410.png"], "tiles"),
        (["2019/summer/a.jpg"], "folder"),
        (["a.tif"], "folder"),
    ],
)
def test_a_folder_is_told_by_what_it_holds(tmp_path: Path, files: list[str], format: str) -> None:
    _touch(*(tmp_path / name for name in files))
    found = detect(tmp_path)
    assert found.format == format
    if format in ("webdataset", "parquet"):
        assert [p.name for p in found.paths] == sorted(Path(f).name for f in files if "md" not in f)


@pytest.mark.parametrize(
    "files", [["a.tar", "b.parquet"], ["a.jpg", "b.tar"], ["3/1/2.png", "positions.csv"]]
)
def test_a_folder_that_fits_twice_is_not_guessed(tmp_path: Path, files: list[str]) -> None:
    _touch(*(tmp_path / name for name in files))
    with pytest.raises(InputError, match="fits several formats") as caught:
        open_source(tmp_path)
    assert all(format in str(caught.value) for format in FORMATS)


@pytest.mark.parametrize("name", ["notes.pdf", "a.jpg", "empty.csv"])
def test_a_file_that_is_none_of_them_lists_them(tmp_path: Path, name: str) -> None:
    _touch(tmp_path / name)
    with pytest.raises(InputError) as caught:
        open_source(tmp_path / name)
    assert all(format in str(caught.value) for format in FORMATS)
    assert "\n" not in str(caught.value)


def test_an_unknown_format_and_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'webp' is unknown.*webdataset"):
        open_source(tmp_path, format="webp")
    with pytest.raises(InputError, match="check the path"):
        open_source(tmp_path / "gone")
    with pytest.raises(InputError, match="no files of the format parquet"):
        open_source(tmp_path, format="parquet")
    with pytest.raises(InputError, match="0 tables of the format mp16"):
        open_source(tmp_path, format="mp16")


def test_two_tables_of_mp16_are_not_chosen_between(tmp_path: Path) -> None:
    for name in ("train.csv", "benchmark.csv"):
        (tmp_path / name).write_text("IMG_ID,AUTHOR,LAT,LON\n")
    with pytest.raises(InputError, match=r"2 tables of the format mp16.*benchmark\.csv, train"):
        open_source(tmp_path)


def test_options_that_a_format_has_no_use_for_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,lat,lon\n")
    with pytest.raises(InputError, match="positions table goes with a folder"):
        open_source(tmp_path / "t.csv", positions=tmp_path / "t.csv")
    with pytest.raises(InputError, match="folder has no images apart"):
        open_source(tmp_path, images=tmp_path)
    with pytest.raises(InputError, match="no photos at"):
        open_source(tmp_path / "t.csv", images=tmp_path / "gone")


def test_patterns_count_list_and_match(tmp_path: Path) -> None:
    _touch(*(tmp_path / f"p-{n:03}.tar" for n in range(12)), tmp_path / "q.tar")
    names = [p.name for p in expand(f"{tmp_path}/p-{{008..011}}.tar")]
    assert names == ["p-008.tar", "p-009.tar", "p-010.tar", "p-011.tar"]
    assert [p.name for p in expand(f"{tmp_path}/{{q,p-003}}.tar")] == ["q.tar", "p-003.tar"]
    assert len(expand(f"{tmp_path}/*.tar")) == 13
    assert detect(f"{tmp_path}/p-00*.tar").format == "webdataset"
    with pytest.raises(InputError, match=r"no file .*p-012\.tar"):
        expand(f"{tmp_path}/p-{{010..012}}.tar")
    with pytest.raises(InputError, match="no files match"):
        open_source(f"{tmp_path}/*.parquet")
    with pytest.raises(InputError, match=r"limit 1,000,000|over 1,000,000"):
        expand("a-{0..999}-{0..999}-{0..9}.tar")


def test_a_pattern_of_mixed_files_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path / "a.tar", tmp_path / "a.parquet")
    with pytest.raises(InputError, match="not all tar shards or all"):
        open_source(f"{tmp_path}/a.*")


def test_brackets_in_a_real_name_are_a_name(tmp_path: Path) -> None:
    _touch(tmp_path / "photos [2020]" / "a.jpg")
    assert detect(tmp_path / "photos [2020]").format == "folder"


def test_coordinates_are_records_without_content(tmp_path: Path) -> None:
    table = tmp_path / "places.csv"
    table.write_text("LAT,LON,name,country\n1.5,2.5,Here,FR\n1.5,2.5,,\n0,0,,\n95,1,There,\n")
    source = open_source(table)
    found = list(source)
    records = [one for one in found if isinstance(one, Record)]
    assert [(r.name, r.content) for r in records] == [("Here", None), ("1.5, 2.5", None)]
    assert records[0].position.country == "FR"
    assert [one.name for one in found if not isinstance(one, Record)] == ["row 3", "There"]
    assert source.count() == 4


def test_a_long_value_is_cut_and_its_degrees_exact(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"lat,lon,name\n1.23456789012345,-2.00000000000001,{'x' * 999}\n")
    (found,) = open_source(table)
    assert isinstance(found, Record)
    assert (found.position.latitude, found.position.longitude) == (
        *(1.23456789012345, -2.00000000000001),
    )
    assert len(found.name) <= 200


@pytest.mark.parametrize("header", ["file,lat,lon", "IMG_ID,LAT,LON", "lat,lon"])
def test_sources_can_be_sent_to_another_process(tmp_path: Path, header: str) -> None:
    (tmp_path / "t.csv").write_text(header + "\n")
    source = open_source(tmp_path / "t.csv")
    assert pickle.loads(pickle.dumps(source)) == source
