"""WebDataset tar shards: photos with their JSON beside them, streamed member by member.

Files of a sample lie one after the other and share their key, the path up to the first dot of
the base name (https://github.com/webdataset/webdataset, "The WebDataset Format"); what follows
that dot says what a file is. Names that WebDataset keeps to itself (`__x__`) and files without
an extension belong to no sample.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from encoders.photo_file import Limits, printable
from geo.errors import InputError
from index_builder.positions import Position
from index_builder.records import Record, Rejected
from index_builder.sources.file_parts import FilePart, file_parts, total
from index_builder.sources.stated import claimed_position, stated_position
from index_builder.sources.tar_stream import Member, TarDamage, read_members

PositionOf = Callable[[str], Position | str | None]
"""Tells the position of a member by its path in the shard, why it has none, or None."""

PHOTO_KINDS = {"jpg", "jpeg", "png", "webp", "heic", "heif", "tif", "tiff", "gif"}
METADATA_KINDS = ("json", "csv")
"""What may state a position; `.txt` and `.cls` (captions, classes) belong to training."""
MAX_METADATA_BYTES = 1_000_000
MAX_SAMPLE_BYTES = 2 * Limits().max_bytes
"""What the files of one sample may take together: photos wait in memory for their metadata."""
_KEY = re.compile(r"((?:.*/)?[^./]+)\.([^/]*)", re.DOTALL)
_RESERVED = re.compile(r"__[^/]*__($|/)")


def split_member(name: str) -> tuple[str, str] | None:
    """Return the key and the extension (lower case) of a member; None outside of samples."""
    match = _KEY.fullmatch(name)
    if match is None or _RESERVED.match(name):
        return None
    return match[1], match[2].lower()


class ShardSource:
    """Photos in WebDataset shards. Satisfies `index_builder.records.Source`.

    A photo's position is the one that `position_of` tells; else what its `.json` (or one-row
    `.csv`) states; else what its own header claims. A sample with several photos gives each
    of them: `a.left.jpg` goes with `a.left.json` where there is one, with `a.json` otherwise.
    """

    def __init__(self, paths: Sequence[Path], position_of: PositionOf | None = None) -> None:
        """Take the shards' paths, in the order in which they are read.

        Args:
            paths: `.tar`, `.tar.gz`, `.tgz` or `.tar.bz2` files; the content decides.
            position_of: asked for each photo before the shard itself; must be picklable
                where parts are read by other processes.

        Raises:
            InputError: no paths, or one that does not exist.
        """
        self._parts = file_parts(paths, ShardReader(position_of), "tar shard")

    @property
    def name(self) -> str:
        """The shard's name, or that of the folder that holds all shards."""
        return self._parts[0].name

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield the photos of all shards; a damaged shard is named and the next one goes on."""
        for part in self._parts:
            yield from part

    def parts(self) -> Sequence[FilePart]:
        """Return a source for each shard."""
        return self._parts

    def count(self) -> int | None:
        """Return None: a tar file does not say what it holds."""
        return total(self._parts)


@dataclass(frozen=True)
class ShardReader:
    """Reads the records of one shard."""

    position_of: PositionOf | None = None

    def count(self, path: Path) -> int | None:
        """Return None: a tar file does not say what it holds."""
        return None

    def records(self, path: Path, label: str) -> Iterator[Record | Rejected]:
        """Yield the shard's photos; what is refused or damaged comes as its reason."""
        for found in _samples(path):
            if isinstance(found, _Sample):
                for name, result in found.results(self.position_of):
                    yield _named(f"{label}/{name}", result)
            else:
                name, reason = found
                yield _named(f"{label}/{name}" if name else label, reason)


def _named(name: str, found: tuple[Position, bytes] | str) -> Record | Rejected:
    shown = printable(name)
    if isinstance(found, str):
        return Rejected(shown, found)
    return Record(shown, *found)


@dataclass
class _Sample:
    """The files of one key, by extension; a reason in place of what must not be read."""

    key: str
    photos: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Name and content by extension."""
    metadata: dict[str, bytes | str] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    size: int = 0

    def add(self, member: Member, extension: str) -> None:
        """Read a member into the sample, or note why not.

        Raises:
            TarDamage: the shard breaks inside it; that is noted too.
        """
        kind = extension.rpartition(".")[2]
        try:
            if kind in METADATA_KINDS:
                self._add_metadata(member, extension)
            elif kind in PHOTO_KINDS:
                self._add_photo(member, extension)
        except TarDamage:
            if kind in METADATA_KINDS:
                self.metadata[extension] = "the shard breaks inside it"
            else:
                self.refused.append((member.name, "the shard breaks inside it"))
            raise

    def _add_metadata(self, member: Member, extension: str) -> None:
        if extension in self.metadata:
            self.refused.append((member.name, "twice in its sample; the first is used"))
        elif over := _over(member.size, MAX_METADATA_BYTES) or self._full(member):
            self.metadata[extension] = over
        else:
            self.size += member.size
            self.metadata[extension] = member.read()

    def _full(self, member: Member) -> str:
        if self.size + member.size <= MAX_SAMPLE_BYTES:
            return ""
        return f"its sample has over {MAX_SAMPLE_BYTES:,} bytes; give each photo its own key"

    def _add_photo(self, member: Member, extension: str) -> None:
        if extension in self.photos:
            reason = "twice in its sample; the first is used"
        elif over := _over(member.size, Limits().max_bytes):
            reason = f"{over}; scale the photo down"
        elif not (reason := self._full(member)):
            self.size += member.size
            self.photos[extension] = (member.name, member.read())
            return
        self.refused.append((member.name, reason))

    def results(
        self, position_of: PositionOf | None
    ) -> Iterator[tuple[str, tuple[Position, bytes] | str]]:
        """Yield each photo's name, with its position and bytes or with why it has none."""
        yield from self.refused
        for extension, (name, data) in self.photos.items():
            try:
                yield name, (self._position(extension, name, data, position_of), data)
            except InputError as error:
                yield name, str(error)
        if not self.photos and not self.refused and self.metadata:
            yield (
                f"{self.key}.{next(iter(self.metadata))}",
                "no photo beside it; files of a sample must follow each other (tar --sort=name)",
            )

    def _position(
        self, extension: str, name: str, data: bytes, position_of: PositionOf | None
    ) -> Position:
        told = position_of(name) if position_of else None
        if isinstance(told, str):
            raise InputError(told)
        given = self._given(extension) if told is None else {}
        position = told or stated_position(given) or claimed_position(data, given)
        if position is None:
            raise InputError(
                "no position: none in its metadata and no .json beside it; files of a sample "
                "must follow each other (tar --sort=name)"
            )
        return position

    def _given(self, extension: str) -> Mapping[str, object]:
        """Return what the metadata beside a photo states."""
        stem = extension.rpartition(".")[0]
        for kind in METADATA_KINDS:
            for beside in dict.fromkeys((f"{stem}.{kind}" if stem else kind, kind)):
                if beside in self.metadata:
                    return _parsed(beside, self.metadata[beside])
        return {}


def _over(size: int, limit: int) -> str:
    return f"{size:,} bytes, limit {limit:,}" if size > limit else ""


def _parsed(extension: str, content: bytes | str) -> Mapping[str, object]:
    """Return the object in a JSON file, or the first row of a CSV.

    Raises:
        InputError: it is neither, or was refused.
    """
    if isinstance(content, str):
        raise InputError(f"its .{extension} cannot be used: {content}")
    try:
        if extension.endswith("csv"):
            rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
            return {key: value for key, value in next(rows, {}).items() if key}
        found = json.loads(content)
    except (ValueError, RecursionError, csv.Error) as error:
        reason = printable(str(error), limit=120)
        raise InputError(f"its .{extension} cannot be read: {reason}") from None
    if not isinstance(found, dict):
        raise InputError(f"its .{extension} is not an object; state latitude and longitude in one")
    return found


def _samples(path: Path) -> Iterator[_Sample | tuple[str, str]]:
    """Yield the samples of a shard, and by name what no sample may hold; a shard has no name."""
    sample: _Sample | None = None
    try:
        for member in read_members(path):
            if member.refusal:
                yield member.name, member.refusal
                continue
            split = split_member(member.name)
            if split is None:
                continue
            if sample is None or sample.key != split[0]:
                if sample is not None:
                    yield sample
                sample = _Sample(split[0])
            sample.add(member, split[1])
    except TarDamage as damage:
        if sample is not None:
            yield sample
        yield "", str(damage)
        return
    if sample is not None:
        yield sample
