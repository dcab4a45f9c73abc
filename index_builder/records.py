"""What a source of geotagged things yields: records, and what could not be used, with reasons.

Knows neither files' formats nor galleries. Sources are `index_builder.sources`; they stream:
none holds more than a record at a time, whatever its size.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from encoders.photo_file import Limits, printable, read_photo_bytes
from geo.errors import InputError
from index_builder.positions import Position


@dataclass(frozen=True, slots=True)
class Record:
    """A photo or an aerial tile with a position, or a position alone."""

    name: str
    """What the source calls it, printable: a path in its folder, a member of its shard, an id."""
    position: Position
    content: bytes | Path | None
    """The file's bytes or where they are; None for a coordinate alone."""

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            InputError: the file is gone, too large, or none; or this is a coordinate alone.
        """
        if isinstance(self.content, bytes):
            if len(self.content) > Limits().max_bytes:
                size, limit = len(self.content), Limits().max_bytes
                raise InputError(f"{size:,} bytes, limit {limit:,}; scale the photo down")
            return self.content
        if self.content is None:
            raise InputError("a coordinate without a photo; give an encoder of locations")
        return read_photo_bytes(self.content, Limits())


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something of a source that cannot be used, and why."""

    name: str
    reason: str


class Source(Protocol):
    """Geotagged records, in an order that is the same each time it is read."""

    @property
    def name(self) -> str:
        """What the gallery calls it where records name no source of their own; printable."""
        ...

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield every record, or why it cannot be used; read as it is asked for.

        Raises:
            InputError: the source itself cannot be read.
        """
        ...

    def parts(self) -> "Sequence[Source]":
        """Return sources that give the same records in the same order, one after the other.

        Several workers read several parts. A source that cannot be divided returns itself.
        """
        ...

    def count(self) -> int | None:
        """Return how many records there are at most, where that is known without reading all."""
        ...


def content_id(data: bytes) -> str:
    """Return a photo's id: the SHA-256 of its bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def place_id(latitude: float, longitude: float) -> str:
    """Return a coordinate's id: the SHA-256 of its degrees to 7 digits (1 cm), hexadecimal."""
    return content_id(f"{latitude:.7f} {longitude:.7f}".replace("-0.0000000", "0.0000000").encode())


def nothing_usable(name: str, rejected: int, first: Rejected | None) -> InputError:
    """Return the error of a source without a single usable record."""
    shown = repr(printable(name))
    if first is None:
        return InputError(
            f"no photos in {shown}; give a folder of JPEG, PNG, WebP or HEIC files, a CSV, "
            "tar shards or parquet files"
        )
    return InputError(
        f"none of {rejected:,} photos in {shown} can be used, for example "
        f"{first.name!r}: {first.reason}"
    )
