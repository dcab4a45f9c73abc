"""A tar file as a stream of members, never extracted, whatever its headers say.

The standard library parses single headers here and no more: its own iteration takes a damaged
or missing header for the end of the archive, reads extended headers of any length into memory
and remembers every member. A photo gallery must not lose half a shard without a word.
Format: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

import bz2
import gzip
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from encoders.photo_file import printable

BLOCK = 512
MAX_HEADER_BYTES = 1_000_000
"""Longest extended header (names, PAX records); real ones have a few hundred bytes."""
MAX_PADDING_BYTES = 4_000_000
"""Zeros after the end mark that are read on through, to find archives that were joined."""
_PIECE = 1 << 16
_DATA_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_NOT_FILES = (tarfile.DIRTYPE, b"D", b"V")
"""Folders, GNU's lists of what a folder held, and the label of a volume."""
_NO_DATA = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class TarDamage(Exception):
    """The archive cannot be read any further; the message says where, why, and what to do."""


@dataclass(slots=True)
class Member:
    """A file in the archive whose content is still ahead in the stream."""

    name: str
    """Path in the archive without a leading `./`; bytes that are not UTF-8 as surrogates."""
    size: int
    refusal: str
    """Why it must not be read; empty where it may be."""
    _stream: "_Stream"
    _left: int

    def read(self) -> bytes:
        """Return the content; only before the next member is asked for, and once.

        Raises:
            TarDamage: the archive ends or breaks inside it.
        """
        left, self._left = self._left, 0
        return self._stream.take(left, f"inside {printable(self.name)!r}")

    def skip(self) -> None:
        """Move past what was not read."""
        left, self._left = self._left, 0
        self._stream.skip(left, f"inside {printable(self.name)!r}")


class _Stream:
    """Counts bytes and turns every way of breaking into `TarDamage`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.position = 0

    def some(self, size: int) -> bytes:
        """Return up to `size` bytes, fewer only at the end."""
        try:
            data = self._file.read(size)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise self.damage(str(error) or type(error).__name__) from None
        self.position += len(data)
        return data

    def take(self, size: int, where: str) -> bytes:
        """Return exactly `size` bytes."""
        data = self.some(size)
        if len(data) < size:
            raise self.damage(f"the file ends {where}")
        return data

    def skip(self, size: int, where: str) -> None:
        """Read past `size` bytes in small pieces."""
        while size > 0:
            size -= len(self.take(min(size, _PIECE), where))

    def damage(self, why: str) -> TarDamage:
        return TarDamage(
            f"damaged at byte {self.position:,} ({printable(why, limit=120)}); what lies before "
            "was read; fetch or pack this shard again"
        )


def read_members(path: Path) -> Iterator[Member]:
    """Yield the files in a tar archive, plain or packed with gzip or bzip2, in its order.

    A member is read with `Member.read` before the next one is asked for, or not at all:
    nothing but headers is in memory otherwise. Folders are left out. Links, devices, sparse
    files and paths that lead out of the archive come with a `refusal`.

    Raises:
        TarDamage: the archive cannot be opened, ends early or is broken; all before is given.
    """
    with _open(path) as file:
        yield from _Reader(_Stream(file)).members()


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise TarDamage(f"cannot be opened ({error.strerror}); check its permissions") from None
    with open(descriptor, "rb") as raw:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise TarDamage("is not a regular file; give a tar file")
        magic = raw.peek(6)[:6]
        if magic.startswith((b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
            raise TarDamage("is packed with xz or zstd; unpack it to a plain .tar, or use gzip")
        if magic.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield unpacked  # type: ignore[misc]  # a binary file in all but its declared type
        elif magic.startswith(b"BZh"):
            with bz2.BZ2File(raw) as unpacked_bz2:
                yield unpacked_bz2
        else:
            yield raw


class _Reader:
    """Reads headers in their order; what extended headers say goes to the next member."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._shared: dict[str, str] = {}
        self._ahead: dict[str, str] = {}

    def members(self) -> Iterator[Member]:
        while (header := self._header()) is not None:
            if self._extended(header):
                continue
            extra, self._ahead = self._shared | self._ahead, {}
            name = extra.get("GNU.sparse.name") or extra.get("path") or header.name
            sparse = header.type == tarfile.GNUTYPE_SPARSE or any(
                key.startswith("GNU.sparse.") for key in extra
            )
            size = self._size(extra, header)
            if header.type in (*_NO_DATA, tarfile.DIRTYPE):
                size = 0
            refusal = _refusal(name, header.type, sparse)
            member = Member(name.removeprefix("./"), size, refusal, self._stream, size)
            if header.type not in _NOT_FILES:
                yield member
            member.skip()
            self._stream.skip(-size % BLOCK, "in the padding after a member")

    def _header(self) -> tarfile.TarInfo | None:
        """Return the next header; None at the end, which must be marked."""
        marked = 0
        while True:
            block = self._stream.some(BLOCK)
            if not block and marked:
                return None
            if not block:
                empty = self._stream.position == 0
                raise self._stream.damage("empty file" if empty else "ends without its end mark")
            if len(block) == BLOCK and block.count(0) < BLOCK:
                return self._parsed(block)
            if block.count(0) < len(block):
                raise self._stream.damage("ends inside a header")
            marked += len(block)
            if marked > MAX_PADDING_BYTES:
                return None

    def _parsed(self, block: bytes) -> tarfile.TarInfo:
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            first = self._stream.position == BLOCK
            raise self._stream.damage("not a tar file" if first else str(error)) from None
        if header.size < 0:
            raise self._stream.damage("a member of negative size")
        if header.type == tarfile.GNUTYPE_SPARSE:
            more = block[482]
            while more:
                more = self._stream.take(BLOCK, "inside a map of holes")[504]
        return header

    def _extended(self, header: tarfile.TarInfo) -> bool:
        """Take in a header that speaks of the next one; False for any other."""
        kinds = (*_LONG_NAMES, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if header.type not in kinds:
            return False
        if header.size > MAX_HEADER_BYTES:
            raise self._stream.damage(
                f"an extended header of {header.size:,} bytes, limit {MAX_HEADER_BYTES:,}"
            )
        data = self._stream.take(header.size, "inside an extended header")
        self._stream.skip(-header.size % BLOCK, "inside an extended header")
        if header.type == tarfile.GNUTYPE_LONGNAME:
            self._ahead["path"] = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
        elif header.type == tarfile.XGLTYPE:
            self._shared |= self._pax(data)
        elif header.type != tarfile.GNUTYPE_LONGLINK:
            self._ahead |= self._pax(data)
        return True

    def _pax(self, data: bytes) -> dict[str, str]:
        """Return the records of an extended header: length, key=value, a line each."""
        found: dict[str, str] = {}
        start = 0
        while start < len(data) and data[start]:
            digits, space, _ = data[start : start + 20].partition(b" ")
            length = int(digits) if space and digits.isdigit() else 0
            key, equals, value = data[start + len(digits) + 1 : start + length - 1].partition(b"=")
            if not equals or data[start + length - 1 : start + length] != b"\n":
                raise self._stream.damage("an extended header that is none")
            text = value.decode("utf-8", "surrogateescape")
            found[key.decode("utf-8", "surrogateescape")] = text
            start += length
        return found

    def _size(self, extra: dict[str, str], header: tarfile.TarInfo) -> int:
        stated = extra.get("size")
        if stated is None:
            return header.size
        if not (stated.isascii() and stated.isdigit() and len(stated) < 20):
            raise self._stream.damage(f"a member of size {stated!r}")
        return int(stated)


def _refusal(name: str, kind: bytes, sparse: bool) -> str:
    if kind in _NO_DATA:
        return f"{_NO_DATA[kind]}, not a photo; pack the files themselves (tar --dereference)"
    if sparse:
        return "a sparse file; pack it again without --sparse"
    if kind not in _DATA_TYPES:
        return f"a member of type {kind!r}; pack regular files only"
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or parts[0][1:2] == ":":
        return "a path that leads out of the archive; pack with relative paths"
    return ""
