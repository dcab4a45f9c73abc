import gzip
import io
import json
import pickle
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import InputError
from index_builder.positions import Position
from index_builder.records import Record
from index_builder.sources.shards import ShardSource, split_member
from tests.unit.photo_samples import encoded, gps_exif, picture
from tests.unit.shard_samples import (
    END,
    PHOTO,
    info,
    raw_member,
    read,
    samples,
    split,
    stated,
    tar_bytes,
    write,
)


def test_json_beside_a_photo_states_everything(tmp_path: Path) -> None:
    beside = {
        "LAT": "48.5",
        "lng": 9.25,
        "user": "ann",
        "date": 2014,
        "license": "CC BY 4.0",
        "source": "walks",
        "country": "DE",
        "state": "BW",
        "city": "Ulm",
        "accuracy_m": 250,
        "tags": ["ignored"],
    }
    records, reasons = read(
        tmp_path, tar_bytes([("f/1.jpg", PHOTO), ("f/1.json", json.dumps(beside).encode())])
    )
    where = Position(48.5, 9.25, 0.25, "ann", "2014", "CC BY 4.0", "walks", "DE", "BW", "Ulm")
    assert records == [Record("a.tar/f/1.jpg", where, PHOTO)]
    assert not reasons


def test_order_of_those_who_know_the_position(tmp_path: Path) -> None:
    exif = gps_exif(
        GPSLatitudeRef="N",
        GPSLatitude=(12.0, 30.0, 0.0),
        GPSLongitudeRef="W",
        GPSLongitude=(3.0, 0.0, 0.0),
    )
    photo = encoded(picture(), exif=exif)
    data = tar_bytes(
        [
            *(("told.jpg", photo), ("told.json", stated(1, 1))),
            *(("beside.jpg", photo), ("beside.json", stated(2, 2))),
            *(("own.jpg", photo), ("own.json", b'{"author": "bo", "latitude": null}')),
            *(("row.jpg", photo), ("row.csv", b"lat,lon,city\n4,4,Rome\n")),
            ("refused.jpg", photo),
            ("none.jpg", encoded(picture())),
        ]
    )
    told: dict[str, Position | str] = {"told.jpg": Position(7, 7), "refused.jpg": "listed twice"}
    records, reasons = split(
        ShardSource([write(tmp_path / "a.tar", data)], lambda name: told.get(name))
    )
    found = {r.name.removeprefix("a.tar/"): r.position for r in records}
    assert found["told.jpg"] == Position(7, 7)
    assert found["beside.jpg"] == Position(2, 2)
    assert found["own.jpg"] == Position(12.5, -3, author="bo")
    assert found["row.jpg"] == Position(4, 4, city="Rome")
    assert reasons["a.tar/refused.jpg"] == "listed twice"
    assert "no .json beside it" in reasons["a.tar/none.jpg"]
    assert len(found) == 4


@pytest.mark.parametrize(
    ("beside", "reason"),
    [
        (b'{"latitude": 97, "longitude": 9}', "latitude 97, limit -90 to 90"),
        (b'{"latitude": 0, "longitude": 0}', "position 0, 0"),
        (b'{"latitude": NaN, "longitude": 9}', "'nan' is not a number"),
        (b'{"latitude": 8, "longitude": "N/A"}', "'N/A' is not a number"),
        (b'{"latitude": 8}', "without the other coordinate"),
        (b'{"latitude": true, "longitude": 8}', "without the other coordinate"),
        (b'{"latitude": 8, "longitude": 9, "accuracy_km": -1}', "limit 0 to 20000 km"),
        (b'{"latitude": 8, "longitude": 1' + b"0" * 5000 + b"}", "cannot be read"),
        (b'{"latitude": 8, ', "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b'"text"', "not an object"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b" " * 1_000_001, "1,000,001 bytes, limit 1,000,000"),
    ],
)
def test_a_bad_statement_is_a_reason_and_the_next_sample_goes_on(
    tmp_path: Path, beside: bytes, reason: str
) -> None:
    exif = gps_exif(
        GPSLatitudeRef="N", GPSLatitude=(1.0, 0.0, 0.0), GPSLongitudeRef="E", GPSLongitude=(2.0,)
    )
    files = [("1.jpg", encoded(picture(), exif=exif)), ("1.json", beside), *samples(1, 5)]
    records, reasons = read(tmp_path, tar_bytes(files))
    assert [r.name for r in records] == ["a.tar/00005.jpg"]
    assert reason in reasons["a.tar/1.jpg"]


def test_photos_of_one_sample_each_find_their_own_metadata(tmp_path: Path) -> None:
    files = [
        ("k.left.jpg", b"L"),
        ("k.left.json", stated(1, 1)),
        ("k.right.JPG", b"R"),
        ("k.json", stated(2, 2)),
        ("k.txt", b"a caption"),
        ("k.cls", b"7"),
        ("k.right.jpg", b"again"),
    ]
    records, reasons = read(tmp_path, tar_bytes(files))
    assert [(r.name, r.position.latitude, r.content) for r in records] == [
        ("a.tar/k.left.jpg", 1, b"L"),
        ("a.tar/k.right.JPG", 2, b"R"),
    ]
    assert reasons == {"a.tar/k.right.jpg": "twice in its sample; the first is used"}


def naive(path: Path) -> list[tuple[str, float]]:
    """All members in memory, grouped in runs of one key, each photo with `KEY.json`."""
    runs: list[tuple[str, dict[str, bytes]]] = []
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            match = re.fullmatch(r"((?:.*/|)[^./]+)[.]([^/]*)", member.name.removeprefix("./"))
            if not member.isreg() or not match or re.match(r"__[^/]*__($|/)", match[0]):
                continue
            if not runs or runs[-1][0] != match[1]:
                runs.append((match[1], {}))
            content = tar.extractfile(member)
            assert content is not None
            runs[-1][1].setdefault(match[2], content.read())
    return [
        (f"{key}.{suffix}", json.loads(files["json"])["latitude"])
        for key, files in runs
        for suffix in files
        if suffix.endswith(("jpg", "png", "webp")) and "json" in files
    ]


FOLDER = st.sampled_from(["", "a/", "a.b/c/", "./", "__meta__/", "ü/"])
NAME = st.builds("{}{}{}".format, FOLDER, st.sampled_from("xyz"), st.sampled_from(["", ".v"]))
SUFFIX = st.sampled_from(["jpg", "json", "png", "webp", "txt", "cls"])


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(NAME, SUFFIX), max_size=24), st.sampled_from([0, 1, 2]))
def test_samples_are_those_of_a_reading_in_memory(
    tmp_path_factory: pytest.TempPathFactory, names: list[tuple[str, str]], kind: int
) -> None:
    files = [
        (f"{name}.{suffix}", stated(n + 1) if suffix == "json" else PHOTO)
        for n, (name, suffix) in enumerate(names)
        if not (name.endswith(".v") and suffix == "json")
    ]
    path = write(tmp_path_factory.mktemp("shard") / "a.tar", tar_bytes(files, kind))
    records, _ = split(ShardSource([path]))
    assert [(r.name[6:], r.position.latitude) for r in records] == naive(path)


def test_what_belongs_to_no_sample() -> None:
    assert split_member("a.b/c.left.JPG") == ("a.b/c", "left.jpg")
    assert split_member("dir.d/none") is None
    assert split_member("dir/._1.jpg") is None
    assert split_member("__meta__/1.jpg") is None


def test_a_shard_cut_anywhere_gives_what_lies_before_and_says_so(tmp_path: Path) -> None:
    whole = tar_bytes(samples(3))
    everything, _ = read(tmp_path, whole)
    ends = [2048 * n + 1536 + len(stated(10 + n / 100)) for n in range(3)]
    for length in range(0, 6 * 1024, 64):
        records, reasons = read(tmp_path, whole[:length])
        assert records == everything[: sum(length >= end for end in ends)]
        assert "fetch or pack this shard again" in reasons["a.tar"], length


def test_a_photo_whose_json_is_cut_off_does_not_fall_back_to_its_header(tmp_path: Path) -> None:
    exif = gps_exif(
        GPSLatitudeRef="N", GPSLatitude=(1.0,), GPSLongitudeRef="E", GPSLongitude=(2.0,)
    )
    files = [("1.jpg", encoded(picture(), exif=exif)), ("1.json", stated())]
    whole = tar_bytes(files)
    for length in (whole.index(b"{") + 5, whole.index(b"{")):
        records, reasons = read(tmp_path, whole[:length])
        assert not records
        assert reasons["a.tar/1.jpg"] == "its .json cannot be used: the shard breaks inside it"


def test_leading_dots_are_no_part_of_a_name(tmp_path: Path) -> None:
    records, _ = read(tmp_path, tar_bytes([("./f/1.jpg", PHOTO), ("f/1.json", stated())]))
    assert [r.name for r in records] == ["a.tar/f/1.jpg"]


def test_packed_data_that_makes_no_sense(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(tar_bytes(samples(300))))
    middle = len(whole) // 2
    whole[middle : middle + 40] = b"\xff" * 40
    records, reasons = read(tmp_path, bytes(whole))
    assert 10 < len(records) < 300
    assert "damaged at byte" in reasons["a.tar"]


@pytest.mark.parametrize("packed", ["gz", "bz2"])
def test_packed_shards_are_read_and_damaged_ones_told(tmp_path: Path, packed: str) -> None:
    files = [(f"{n:03}{suffix}", data) for n in range(200) for suffix, data in _random_sample(n)]
    whole = tar_bytes(files, mode=f"w:{packed}")
    records, reasons = read(tmp_path, whole)
    assert len(records) == 200
    assert not reasons
    cut, reasons = read(tmp_path, whole[: len(whole) // 2])
    assert cut == records[: len(cut)]
    assert packed == "bz2" or len(cut) > 80
    assert reasons.keys() - {f"a.tar/{len(cut):03}.jpg"} == {"a.tar"}
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    _, reasons = read(tmp_path, bytes(flipped))
    assert "damaged at byte" in reasons["a.tar"]


def _random_sample(seed: int) -> list[tuple[str, bytes]]:
    import random

    return [(".jpg", random.Random(seed).randbytes(3000)), (".json", stated(1 + seed / 9))]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"no tar at all " * 100, "not a tar file"),
        (b"\xfd7zXZ\x00" + bytes(600), "xz or zstd"),
        (raw_member(info("1.jpg", 5), b"photo"), "without its end mark"),
        (raw_member(info("1.jpg", -512)) + END, "negative size"),
        (raw_member(info("x", 2_000_000, tarfile.XHDTYPE)) + bytes(3_000_000), "limit 1,000,000"),
        (raw_member(info("x", 9, tarfile.XHDTYPE), b"999 a=b\n\n") + END, "header that is none"),
        (raw_member(info("x", 10, tarfile.XHDTYPE), b"10 size=x\n") + END, "ends inside|size 'x'"),
    ],
)
def test_a_damaged_shard_is_one_reason_and_the_next_goes_on(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    if "size" in reason and "'x'" in reason:
        data = data[:-1024] + raw_member(info("1.jpg")) + END
    paths = [write(tmp_path / "bad.tar", data), write(tmp_path / "good.tar", tar_bytes(samples(2)))]
    records, reasons = split(ShardSource(paths))
    assert [r.name for r in records] == ["good.tar/00000.jpg", "good.tar/00001.jpg"]
    assert re.search(reason, reasons.pop("bad.tar"))


def test_a_broken_header_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    data = bytearray(tar_bytes(samples(3)))
    data[2048 + 20] ^= 0xFF
    with tarfile.open(fileobj=io.BytesIO(bytes(data))) as tar:
        assert len(tar.getmembers()) == 2, "the standard library ends there without a word"
    records, reasons = read(tmp_path, bytes(data))
    assert len(records) == 1
    assert "damaged at byte 2,560" in reasons["a.tar"]


def test_joined_archives_are_read_to_the_last(tmp_path: Path) -> None:
    records, reasons = read(tmp_path, tar_bytes(samples(2)) + tar_bytes(samples(2, 2)))
    assert len(records) == 4
    assert not reasons


def test_long_nested_and_undecodable_names(tmp_path: Path) -> None:
    long = "/".join(["folder" * 5] * 5)
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        records, _ = read(
            tmp_path, tar_bytes([(f"{long}/1.jpg", PHOTO), (f"{long}/1.json", stated())], kind)
        )
        assert [r.name for r in records] == [f"a.tar/{long}/1.jpg"]
    odd = "caf\udce9\n\u202e"
    asked: list[str] = []

    def told(name: str) -> Position:
        asked.append(name)
        return Position(1, 2)

    data = tar_bytes([(f"{odd}.jpg", PHOTO)], tarfile.GNU_FORMAT)
    records, _ = split(ShardSource([write(tmp_path / "b.tar", data)], told))
    assert [r.name for r in records] == ["b.tar/caf\\udce9\\n\\u202e.jpg"]
    assert asked == [f"{odd}.jpg"]


def test_parts_are_the_shards_and_go_to_other_processes(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / part / name, tar_bytes(samples(2, 10 * n)))
        for n, (part, name) in enumerate([("x", "1.tar"), ("y", "1.tar"), ("y", "2.tar")])
    ]
    source = ShardSource(paths)
    parts = pickle.loads(pickle.dumps(source.parts()))
    assert [r for part in parts for r in part] == list(source)
    assert {part.name for part in parts} == {source.name} == {tmp_path.name}
    names = ["x/1.tar/00000.jpg", "y/1.tar/00010.jpg", "2.tar/00020.jpg"]
    assert [r.name for r in source][::2] == names
    assert source.count() is None
    assert list(source) == list(source)


def test_json_without_a_photo_is_told(tmp_path: Path) -> None:
    files = [("1.jpg", PHOTO), ("2.txt", b""), ("1.txt", b""), ("2.json", stated())]
    _, reasons = read(tmp_path, tar_bytes(files))
    assert "tar --sort=name" in reasons["a.tar/2.json"]


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tar shard given"):
        ShardSource([])
    with pytest.raises(InputError, match="does not exist; check the path"):
        ShardSource([tmp_path / "none.tar"])
    with pytest.raises(InputError, match="is not a file"):
        ShardSource([tmp_path])


MEASURE = """
import resource, sys
from pathlib import Path
from index_builder.sources.shards import ShardSource
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
list(ShardSource([Path(sys.argv[1])]))
before = peak()
print(sum(1 for _ in ShardSource([Path(sys.argv[2])])), peak() - before)
"""


def test_memory_does_not_grow_with_the_shard(tmp_path: Path) -> None:
    small = write(tmp_path / "small.tar", tar_bytes(samples(3)))
    path = tmp_path / "big.tar"
    with tarfile.open(path, "w") as tar:
        for name, data in samples(1000):
            full = data.ljust(100_000) if name.endswith("jpg") else data
            tar.addfile(info(name, len(full)), io.BytesIO(full))
    command = [sys.executable, "-c", MEASURE, str(small), str(path)]
    count, grown_mb = subprocess.run(command, capture_output=True, check=True).stdout.split()
    assert int(count) == 1000
    assert float(grown_mb) < 10
