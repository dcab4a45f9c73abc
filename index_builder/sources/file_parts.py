"""A source made of files that are read one after the other: each file is a part of it.

Knows names and order; what is in a file is its reader's business.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.records import Record, Rejected, Source


class ReadsFile(Protocol):
    """Reads one file of a source; picklable, so that a part can go to another process."""

    def records(self, path: Path, label: str) -> Iterator[Record | Rejected]:
        """Yield the file's records; `label` is what messages and names call the file."""
        ...

    def count(self, path: Path) -> int | None:
        """Return how many records the file has at most, where its header says so."""
        ...


@dataclass(frozen=True)
class FilePart:
    """One file of a source, itself a source. Satisfies `index_builder.records.Source`."""

    path: Path
    label: str
    """The file's name, or its path where several files of the source share the name."""
    name: str
    """The name of the whole source: a record says the same of it whichever part it is in."""
    reader: ReadsFile

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield the records of this file."""
        return self.reader.records(self.path, self.label)

    def parts(self) -> Sequence[Source]:
        """Return itself: a file is read from its beginning."""
        return (self,)

    def count(self) -> int | None:
        """Return how many records there are at most, where the file says so."""
        return self.reader.count(self.path)


def file_parts(paths: Sequence[Path], reader: ReadsFile, kind: str) -> tuple[FilePart, ...]:
    """Return a part for each file, in the order given.

    Raises:
        InputError: no files, or one that does not exist.
    """
    if not paths:
        raise InputError(f"no {kind} given; give the paths of some")
    for path in paths:
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            shown = printable(os.fsencode(path))
            raise InputError(f"{kind} {shown!r} {what}; check the path")
    name = _source_name(paths)
    return tuple(
        FilePart(path, label, name, reader)
        for path, label in zip(paths, _labels(paths), strict=True)
    )


def total(parts: Sequence[Source]) -> int | None:
    """Return how many records the parts have together, None where one cannot tell."""
    found = 0
    for part in parts:
        count = part.count()
        if count is None:
            return None
        found += count
    return found


def _source_name(paths: Sequence[Path]) -> str:
    """Return the file's name, or that of the folder that holds all files."""
    if len(paths) == 1:
        return printable(os.fsencode(paths[0].name))
    return printable(os.fsencode(_common_folder(paths).name)) or "files"


def _labels(paths: Sequence[Path]) -> list[str]:
    counts = Counter(path.name for path in paths)
    folder = _common_folder(paths)
    return [
        path.name if counts[path.name] == 1 else path.absolute().relative_to(folder).as_posix()
        for path in paths
    ]


def _common_folder(paths: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([path.absolute().parent for path in paths]))
