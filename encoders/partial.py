"""A file on its way to its place: `FILE.partial` until it is whole and has its checksum.

Bytes stay there when anything stops us, so that the next run goes on. What does not have its
checksum becomes `FILE.rejected`; nothing is deleted. The place itself holds the whole, checked
file or nothing.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError

CHUNK = 1 << 20
SPARE_BYTES = 50_000_000
"""Left free on the disk."""
PARTIAL, REJECTED = ".partial", ".rejected"

Stage = Literal["downloading", "copying", "checking"]
Tell = Callable[[Stage, int, int], None]
"""Told what is being done, how many bytes are done, and of how many (0: unknown)."""


class Wanted(NamedTuple):
    """What a file must be."""

    size: int = 0
    """Bytes; 0 where unknown."""
    sha256: str | None = None
    exact: bool = True
    """Whether `size` holds to the byte."""


@dataclass(frozen=True)
class Received:
    """What a file turned out to be."""

    sha256: str
    size: int
    stated_by: Literal["published", "hub", "nobody"]
    """Who stated the checksum that it was compared with."""


def copy(source: Path, path: Path, wanted: Wanted, tell: Tell) -> Received:
    """Copy a local file to `path`, checked as a download is.

    Raises:
        InputError: the source cannot be read, or is not the published file.
        UnavailableError: no space.
    """
    try:
        with source.open("rb") as file, Partial(path, tell, fresh=True) as partial:
            size = os.fstat(file.fileno()).st_size
            check_size(size, wanted, printable(str(source)), InputError)
            check_space(path, size)
            while chunk := file.read(CHUNK):
                partial.write(chunk)
                tell("copying", partial.size, size)
            return settle(partial, wanted, wanted.sha256, printable(str(source)), InputError)
    except OSError as error:
        raise InputError(
            f"cannot copy {printable(str(source))!r} ({error.strerror}); give a file that can be "
            "read"
        ) from None


def digest(path: Path, tell: Tell) -> str:
    """Return the SHA-256 hex of a file, telling of progress."""
    total = path.stat().st_size
    hasher, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
            done += len(chunk)
            tell("checking", done, total)
    return hasher.hexdigest()


class Partial:
    """`FILE.partial`: what has arrived so far, and its hash."""

    def __init__(self, path: Path, tell: Tell, *, fresh: bool = False) -> None:
        """Open it, with what an earlier run left unless `fresh`.

        Raises:
            UnavailableError: the folder cannot be written to.
        """
        self.target = path
        self.path = path.with_name(path.name + PARTIAL)
        self.tell = tell
        try:
            # Unbuffered: a process that is killed has handed over all it got.
            self._file = self.path.open("w+b" if fresh else "a+b", buffering=0)
        except OSError as error:
            raise UnavailableError(
                f"cannot write {printable(str(self.path))!r} ({error.strerror}); make the folder "
                "writable, or set GRATICULE_HOME to another"
            ) from None
        self.size = os.fstat(self._file.fileno()).st_size
        self._hasher = hashlib.sha256()
        self._hashed = 0

    def __enter__(self) -> "Partial":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file and leave it where it is, unless there is nothing in it."""
        self._file.close()
        if not self.size and self.path.exists():
            self.path.unlink()

    def restart(self) -> None:
        """Forget what has arrived."""
        if self.size:
            self._file.truncate(0)
        self._hasher = hashlib.sha256()
        self.size = self._hashed = 0

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            UnavailableError: the disk is full or broken.
        """
        self.catch_up()
        try:
            rest = memoryview(data)
            while rest:
                written = self._file.write(rest)
                self._hasher.update(rest[:written])
                self.size += written
                self._hashed += written
                rest = rest[written:]
        except OSError as error:
            raise UnavailableError(
                f"cannot write {printable(str(self.path))!r} ({error.strerror}); free space and "
                "run again to go on"
            ) from None

    def sha256(self) -> str:
        """Return the SHA-256 hex of all of it."""
        self.catch_up()
        return self._hasher.hexdigest()

    def catch_up(self) -> None:
        """Hash what an earlier run left; before a server is asked, which would not wait."""
        if self._hashed < self.size:
            with self.path.open("rb") as file:
                file.seek(self._hashed)
                while self._hashed < self.size and (chunk := file.read(CHUNK)):
                    self._hasher.update(chunk)
                    self._hashed += len(chunk)
                    self.tell("checking", self._hashed, self.size)

    def become(self, path: Path) -> None:
        """Put it, whole and on the disk, under its name."""
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self.path, path)
        if os.name == "posix":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def settle(
    partial: Partial,
    wanted: Wanted,
    stated: str | None,
    source: str,
    error: type[InputError] | type[UnavailableError] = UnavailableError,
) -> Received:
    """Compare with the checksum that was stated and put the file in its place.

    Raises:
        InputError: (or `error`) it has another one.
    """
    path, found = partial.target, partial.sha256()
    if stated and found != stated:
        rejected = path.with_name(path.name + REJECTED)
        partial.become(rejected)
        who = "published" if wanted.sha256 else "stated there"
        raise error(
            f"{path.name} from {source} has SHA-256 {found[:12]}..., {who} is {stated[:12]}...; "
            f"it is kept as {str(rejected)!r} and not used: run again, or take it from elsewhere "
            "(--from)"
        )
    partial.become(path)
    by: Literal["published", "hub", "nobody"] = "published" if wanted.sha256 else "hub"
    return Received(found, partial.size, by if stated else "nobody")


def check_size(
    size: int, wanted: Wanted, source: str, error: type[InputError] | type[UnavailableError]
) -> None:
    """Refuse a file that is known to have another size; 0 is unknown."""
    if size and wanted.exact and wanted.size and size != wanted.size:
        raise error(
            f"{source} has a file of {size:,} bytes, the published one has {wanted.size:,}; take "
            "it from elsewhere (--from)"
        )


def check_space(path: Path, needed: int) -> None:
    """Refuse to fill the disk that `path` is on with `needed` more bytes.

    Raises:
        UnavailableError: there is no space for them.
    """
    free = shutil.disk_usage(path.parent).free - SPARE_BYTES
    if needed > free:
        raise UnavailableError(
            f"{path.name} needs {needed / 1e9:.2f} GB, {max(free, 0) / 1e9:.2f} GB are free in "
            f"{str(path.parent)!r}; free space or set GRATICULE_HOME to another disk"
        )
