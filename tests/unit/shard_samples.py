"""Tar shards for tests: sound ones, and ones that no honest program writes."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from index_builder.records import Record, Rejected, Source
from index_builder.sources.shards import ShardSource

END = bytes(1024)
"""Two blocks of zeros: the end mark of an archive."""
PHOTO = b"\xff\xd8\xff photo "


def stated(latitude: float = 48.5, longitude: float = 9.25, **more: object) -> bytes:
    return json.dumps({"latitude": latitude, "longitude": longitude, **more}).encode()


def info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member


def raw_member(member: tarfile.TarInfo, data: bytes = b"", kind: Literal[0, 1, 2] = 1) -> bytes:
    """Header and padded content as they lie in an archive, whatever they claim."""
    header = member.tobuf(kind, "utf-8", "surrogateescape")
    return header + data + bytes(-len(data) % 512)


def tar_bytes(
    members: Iterable[tuple[str, bytes]], kind: int = tarfile.PAX_FORMAT, mode: str = "w"
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=kind) as tar:  # type: ignore[call-overload]
        for name, data in members:
            tar.addfile(info(name, len(data)), io.BytesIO(data))
    return buffer.getvalue()


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def samples(count: int, first: int = 0) -> list[tuple[str, bytes]]:
    """Files of samples `00000`, ...: photo n lies at 10 + n / 100 degrees north."""
    return [
        file
        for n in range(first, first + count)
        for file in (
            (f"{n:05}.jpg", PHOTO + str(n).encode() * 50),
            (f"{n:05}.json", stated(10 + n / 100)),
        )
    ]


def split(source: Source) -> tuple[list[Record], dict[str, str]]:
    """The records of a source, and the reasons of what it rejects by name."""
    records: list[Record] = []
    reasons: dict[str, str] = {}
    for found in source:
        assert found.name.isprintable()
        if isinstance(found, Rejected):
            assert found.reason
            assert found.reason.isprintable()
            reasons[found.name] = found.reason
        else:
            records.append(found)
    return records, reasons


def read(folder: Path, data: bytes) -> tuple[list[Record], dict[str, str]]:
    """What a shard `a.tar` of these bytes gives."""
    return split(ShardSource([write(folder / "a.tar", data)]))
