import gzip
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from encoders.photo_file import Limits
from index_builder.sources.shards import ShardSource
from tests.unit.shard_samples import (
    END,
    info,
    raw_member,
    read,
    samples,
    split,
    stated,
    tar_bytes,
    write,
)


def _sparse() -> bytes:
    header = bytearray(raw_member(info("hole.jpg", 512, tarfile.GNUTYPE_SPARSE)))
    header[386:410] = b"00000000000\0" + b"00000001000\0"
    header[482] = 1  # one more block of the map follows
    header[483:495] = b"77777777777\0"
    header[148:156] = b"%06o\0 " % sum(header[:148] + b" " * 8 + header[156:])
    return bytes(header) + bytes(512) + b"x" * 512


HOSTILE = {
    "/etc/1.jpg": "leads out",
    "../1.jpg": "leads out",
    "a/../../1.jpg": "leads out",
    "..\\1.jpg": "leads out",
    "C:/1.jpg": "leads out",
}


def test_hostile_members_are_told_by_name_and_the_rest_is_read(tmp_path: Path) -> None:
    kinds = {
        tarfile.SYMTYPE: "symbolic link",
        tarfile.LNKTYPE: "hard link",
        tarfile.CHRTYPE: "device",
        tarfile.BLKTYPE: "device",
        tarfile.FIFOTYPE: "pipe",
    }
    data = b"".join(
        [
            *(raw_member(info(name, 4), b"evil") for name in HOSTILE),
            *(raw_member(info(f"k{kind.decode()}.jpg", 700, kind)) for kind in kinds),
            _sparse(),
            raw_member(info("odd.jpg", 3, b"Z"), b"abc"),
            raw_member(info("folder.jpg", 0, tarfile.DIRTYPE)),
            raw_member(info("held.jpg", 700, b"D"), bytes(700)),
            raw_member(info("label.jpg", 0, b"V")),
            tar_bytes(samples(1)),
        ]
    )
    before = set(tmp_path.rglob("*"))
    records, reasons = read(tmp_path, data)
    assert [r.name for r in records] == ["a.tar/00000.jpg"]
    expected = {f"a.tar/{name}".replace("\\", "\\"): why for name, why in HOSTILE.items()}
    expected |= {f"a.tar/k{kind.decode()}.jpg": why for kind, why in kinds.items()}
    expected |= {"a.tar/hole.jpg": "sparse", "a.tar/odd.jpg": "type b'Z'"}
    assert reasons.keys() == expected.keys()
    assert all(expected[name] in reason for name, reason in reasons.items())
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "a.tar"}


def test_pax_sparse_members_are_told_by_their_real_name(tmp_path: Path) -> None:
    pax = {"GNU.sparse.major": "1", "GNU.sparse.name": "big.jpg", "GNU.sparse.realsize": "9" * 12}
    member = info("GNUSparseFile.0/big.jpg", 512)
    member.pax_headers = pax
    data = member.tobuf(tarfile.PAX_FORMAT) + b"1\n0\n512\n".ljust(512, b"\0") + END
    assert read(tmp_path, data) == (
        [],
        {"a.tar/big.jpg": "a sparse file; pack it again without --sparse"},
    )


def test_members_over_the_limit_never_reach_memory(tmp_path: Path) -> None:
    size = Limits().max_bytes + 1
    data = b"".join(
        [
            *(raw_member(info("big.jpg", size)), bytes(size), bytes(-size % 512)),
            raw_member(info("big.json", 40), stated().ljust(40)),
            tar_bytes(samples(1)),
        ]
    )
    path = write(tmp_path / "a.tar", gzip.compress(data, 1))
    del data
    tracemalloc.start()
    try:
        records, reasons = split(ShardSource([path]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [r.name for r in records] == ["a.tar/00000.jpg"]
    assert "50,000,001 bytes, limit 50,000,000" in reasons["a.tar/big.jpg"]
    assert peak < 2_000_000


def test_photos_that_wait_for_their_metadata_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index_builder.sources.shards.MAX_SAMPLE_BYTES", 25_000)
    files = [(f"k.{n}.jpg", bytes(10_000)) for n in range(5)]
    files += [("k.json", stated()), *((f"k.{n}.json", bytes(10_000)) for n in range(2, 9))]
    records, reasons = read(tmp_path, tar_bytes(files))
    assert len(records) == 2
    assert len(reasons) == 3
    assert "give each photo its own key" in reasons["a.tar/k.4.jpg"]
    files = [("1.jpg", bytes(24_000)), ("1.json", stated().ljust(2_000)), *samples(1, 2)]
    records, reasons = read(tmp_path, tar_bytes(files))
    assert [r.name for r in records] == ["a.tar/00002.jpg"]
    assert "its .json cannot be used: its sample has over" in reasons["a.tar/1.jpg"]
