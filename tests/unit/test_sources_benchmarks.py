"""Published data sets: read as they are published, the test split never by accident."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from geo.errors import InputError
from index_builder.records import Record, Rejected, Source
from index_builder.sources import open_source

JPEG = b"\xff\xd8\xff\xe0 as good as a photo here: "
MP16 = (
    "IMG_ID,AUTHOR,LAT,LON,S3_Label,neighbourhood,city,county,state,region,country,country_code,"
    "continent\n"
    "0d/e2/4191.jpg,12@N00,48.86,2.35,1,Marais,Paris,,Île-de-France,Nord,France,fr,Europe\n"
    "ab_cd_123.jpg,34@N01,-33.9,151.2,2,,Sydney,,New South Wales,,Australia,au,Oceania\n"
)
OSV = (
    "id,latitude,longitude,thumb_original_url,country,sequence,captured_at,lon_bin,lat_bin,cell,"
    "region,sub-region,city,land_cover,road_index,drive_side,climate,soil,dist_sea,unique_country,"
    "creator_username,creator_id\n"
)
YFCC_TAIL = (
    "39019111%40N00\tsome+one\t2012-02-16 09:56:37.0\t1331840483\tCanon+X\tA+title\t%22text\ttags\t"
    "\t{lon}\t{lat}\t{level}\thttp://page/\thttp://address.jpg\t"
    "Attribution-NonCommercial+License\thttp://creativecommons.org/licenses/by-nc/2.0/\t7205\t8\t"
    "abc\tdef\tjpg\t{video}"
)


def _write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _photo(path: Path) -> Path:
    return _write(path, JPEG + path.name.encode())


def _split(source: Source) -> tuple[dict[str, Record], dict[str, str]]:
    found = list(source)
    records = {one.name: one for one in found if isinstance(one, Record)}
    return records, {one.name: one.reason for one in found if isinstance(one, Rejected)}


def _osv_row(number: int, latitude: float, user: str = "roadroid") -> str:
    return (
        f'{number},{latitude},16.5,,NA,seq,1388534400000,1,2,"(0, 8)",Khomas,,Windhoek,4,4.6,1,'
        f"15,3,0.1,NA,{user},111\n"
    )


def _osv5m(root: Path) -> Path:
    _write(root / "train.csv", OSV + "".join(_osv_row(n, -22.5) for n in (101, 102, 103, 109)))
    _write(root / "test.csv", OSV + _osv_row(201, -23.5))
    _photo(root / "images" / "test" / "00" / "201.jpg")
    for number in (102, 101):
        _photo(root / "images" / "train" / "00" / f"{number}.jpg")
    with zipfile.ZipFile(root / "images" / "train" / "01.zip", "w") as archive:
        archive.writestr("01/103.jpg", JPEG)
        archive.writestr("01/104.jpg", JPEG)
    return root


@pytest.mark.parametrize(
    "places",
    [
        ("0d_e2_4191.jpg", "ab_cd_123.jpg"),
        ("0d/e2/0d_e2_4191.jpg", "ab/cd/ab_cd_123.jpg"),
        ("images/0d/e2/4191.jpg", "images/ab/cd/123.jpg"),
    ],
)
def test_mp16_photos_are_found_where_copies_keep_them(
    tmp_path: Path, places: tuple[str, str]
) -> None:
    _write(tmp_path / "MP16_Pro_filtered.csv", MP16)
    for place in places:
        _photo(tmp_path / place)
    source = open_source(tmp_path)
    records, rejected = _split(source)
    assert not rejected
    assert source.name == "MP16-Pro"
    assert [r.content for r in records.values()] == [tmp_path / place for place in places]
    at = records["0d/e2/4191.jpg"].position
    assert (at.author, at.city, at.region, at.country) == (
        *("12@N00", "Paris", "Île-de-France", "France"),
    )


def test_mp16_photos_in_tar_files(tmp_path: Path) -> None:
    table = _write(tmp_path / "mp16.csv", MP16 + "aa_bb_9.jpg,x,1,2,,,,,,,,,\n")
    (tmp_path / "shards").mkdir()
    for number, member in enumerate(["mp-16/ab/ab_cd_123.jpg", "0d_e2_4191.jpg", "7_7.jpg"]):
        with tarfile.open(tmp_path / "shards" / f"{number}.tar", "w") as shard:
            info = tarfile.TarInfo(member)
            info.size = len(JPEG)
            shard.addfile(info, io.BytesIO(JPEG))
    records, rejected = _split(open_source(table, images=tmp_path / "shards"))
    assert {n: r.position.city for n, r in records.items()} == {
        "0.tar/mp-16/ab/ab_cd_123.jpg": "Sydney",
        "1.tar/0d_e2_4191.jpg": "Paris",
    }
    assert all(record.read() == JPEG for record in records.values())
    assert "no row of the table 'mp16.csv'" in rejected["2.tar/7_7.jpg"]
    assert "no such photo" in rejected["aa_bb_9.jpg"]


def test_a_gallery_among_the_archives_is_not_looked_into(tmp_path: Path) -> None:
    _write(tmp_path / "mp16.csv", MP16)
    _photo(tmp_path / "gallery" / "ab_cd_123.jpg")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("0d_e2_4191.jpg", JPEG)
    source = open_source(tmp_path, ignore=[tmp_path / "gallery"])
    records, rejected = _split(source)
    assert list(records) == ["a.zip/0d_e2_4191.jpg"]
    assert list(rejected) == ["ab_cd_123.jpg"]  # its row


def test_a_damaged_tar_costs_only_what_is_behind_the_damage(tmp_path: Path) -> None:
    table = _write(tmp_path / "mp16.csv", MP16)
    shards = tmp_path / "shards"
    _write(shards / "0.tar", b"no tar at all" * 100)
    with tarfile.open(shards / "1.tar", "w") as shard:
        shard.add(_photo(tmp_path / "ab_cd_123.jpg"), "ab_cd_123.jpg")
    records, rejected = _split(open_source(table, images=shards))
    assert list(records) == ["1.tar/ab_cd_123.jpg"]
    assert "damaged" in rejected["0.tar"]
    assert "0d/e2/4191.jpg" in rejected


def test_contradicting_rows_of_archived_photos_are_rejected_with_both(tmp_path: Path) -> None:
    table = _write(tmp_path / "mp16.csv", MP16 + "ab_cd_123.jpg,34@N01,10,20,,,,,,,,,\n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("ab_cd_123.jpg", JPEG)
    records, rejected = _split(open_source(table, images=tmp_path / "a.zip"))
    assert not records
    assert "-33.9, 151.2 and at 10, 20" in rejected["a.zip/ab_cd_123.jpg"]


def test_photos_of_one_name_in_an_archive_go_by_their_folder(tmp_path: Path) -> None:
    table = _write(tmp_path / "t.csv", "file,lat,lon\none/x.jpg,1,2\ntwo/x.jpg,3,4\n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("two/x.jpg", "one/x.jpg", "three/x.jpg"):
            archive.writestr(name, JPEG)
    records, rejected = _split(open_source(table, images=tmp_path / "a.zip"))
    assert {name: r.position.latitude for name, r in records.items()} == {
        "a.zip/two/x.jpg": 3,
        "a.zip/one/x.jpg": 1,
    }
    assert set(rejected) == {"a.zip/three/x.jpg"}


def test_osv5m_is_its_training_split(tmp_path: Path) -> None:
    source = open_source(_osv5m(tmp_path))
    records, rejected = _split(source)
    assert source.name == "OSV-5M"
    assert list(records) == ["01.zip/01/103.jpg", "00/101.jpg", "00/102.jpg"]
    at = records["00/101.jpg"].position
    assert (at.author, at.country, at.city, at.region) == ("roadroid", "NA", "Windhoek", "Khomas")
    assert (at.date, at.licence) == ("2014-01-01T00:00:00+00:00", "CC-BY-SA 4.0")
    assert rejected.keys() == {"01.zip/01/104.jpg", "109"}


def test_osv5m_gives_its_test_split_only_when_asked(tmp_path: Path) -> None:
    source = open_source(_osv5m(tmp_path), include_test=True)
    assert "00/201.jpg" in _split(source)[0]
    assert [len(_split(part)[0]) for part in source.parts()] == [3, 1]


@pytest.mark.parametrize("place", ["test.csv", "images/test", "images/test/00"])
@pytest.mark.parametrize("format", ["auto", "folder", "table", "osv5m"])
def test_no_way_leads_to_the_test_split_by_accident(
    tmp_path: Path, place: str, format: str
) -> None:
    root = _osv5m(tmp_path)
    # A folder of photos without any table is refused as that already.
    with pytest.raises(InputError, match=r"include_test|0 tables of the format table"):
        open_source(root / place, format=format)


def test_the_test_split_is_no_images_or_positions_either(tmp_path: Path) -> None:
    root = _osv5m(tmp_path)
    with pytest.raises(InputError, match="include_test"):
        open_source(root / "train.csv", images=root / "images" / "test")
    with pytest.raises(InputError, match="include_test"):
        open_source(root / "images" / "train", positions=root / "test.csv")
    (root / "train.csv").unlink()
    with pytest.raises(InputError, match="include_test"):
        list(open_source(root))


@pytest.mark.parametrize("name", ["test-00000-of-00005.parquet", "test.tar", "data/test/0.parquet"])
def test_shards_of_a_test_split_are_refused(tmp_path: Path, name: str) -> None:
    shard = _write(tmp_path / name, b"")
    for spec in (shard, str(shard.parent / ("*" + shard.suffix))):
        with pytest.raises(InputError, match="include_test"):
            open_source(spec)


def _yfcc(*rows: tuple[str, str], level: int = 16, video: int = 0) -> str:
    lines = []
    for head, at in rows:
        lat, _, lon = at.partition(",")
        tail = YFCC_TAIL.format(lat=lat, lon=lon, level=level, video=video)
        lines.append(f"{head}\t{tail}\n")
    return "".join(lines)


@pytest.mark.parametrize(
    ("head", "place"),
    [
        ("6185", "6185.jpg"),
        ("0\t6185\tabcdef0123", "abc/def/abcdef0123.jpg"),
        ("6185\tabcdef0123", "data/images/abc/def/abcdef0123.jpg"),
        ("0\t6185", "images/6185.jpg"),
    ],
)
def test_yfcc_rows_of_every_width(tmp_path: Path, head: str, place: str) -> None:
    table = _write(tmp_path / "yfcc100m_dataset", _yfcc((head, "24.55,-81.8")))
    _photo(tmp_path / "photos" / place)
    source = open_source(table, images=tmp_path / "photos")
    records, rejected = _split(source)
    assert not rejected
    assert source.count() == 1
    (record,) = records.values()
    at = record.position
    assert record.name == "6185.jpg"
    assert record.content == tmp_path / "photos" / place
    assert (at.latitude, at.longitude, at.author) == (24.55, -81.8, "39019111@N00")
    assert at.licence == (
        "Attribution-NonCommercial License (http://creativecommons.org/licenses/by-nc/2.0/)"
    )
    assert at.accuracy_km == pytest.approx(0.306, abs=0.001)


def test_yfcc_videos_and_rows_without_a_position(tmp_path: Path) -> None:
    content = _yfcc(("1", ","), ("2", "0,0")) + _yfcc(("3", "1,2"), video=1)
    records, rejected = _split(open_source(_write(tmp_path / "yfcc.tsv", content)))
    assert not records
    assert "no position" in rejected["1.jpg"]
    assert "missing position" in rejected["2.jpg"]
    assert "video" in rejected["3.jpg"]


def test_benchmarks_of_yfcc_are_tables(tmp_path: Path) -> None:
    table = _write(tmp_path / "yfcc4k.csv", "image_id,author,latitude,longitude\n77,5@N0,1,2\n")
    _photo(tmp_path / "images" / "77.jpg")
    for format in ("auto", "yfcc"):
        records, _ = _split(open_source(table, format=format))
        assert records["77"].position.author == "5@N0"
