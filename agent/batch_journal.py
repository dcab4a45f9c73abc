"""The journal of a batch: rows as they come, one JSON object a line, to go on from.

Its first line says under which settings the rows were made. Every row is flushed when it is
written; a last line that was cut off is dropped when the journal is opened again. One writer at
a time: the file itself is locked, and the system drops the lock when the process ends.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple, Self

from pydantic import JsonValue, ValidationError

from agent.batch_rows import BatchRow
from encoders.photo_file import printable
from geo.errors import ConfigError, InputError, UnavailableError
from index_builder.files import take_lock, unwritable

FORMAT = "graticule-batch"
VERSION = 1
SHOWN_DIFFERENCES = 5
_MISSING = "not set"


class _Entry(NamedTuple):
    """Where the newest row of a photo stands, and what decides whether it is done."""

    offset: int
    photo_id: str
    failed: bool


class Journal:
    """Rows of a batch on disk.

    Args:
        path: of the file; made where it is missing.
        settings: that shape the rows, plain JSON; rows made under others are not mixed with these.

    Raises:
        InputError: the file cannot be written, is something else, or is damaged.
        ConfigError: its rows were made under other settings; the message names them.
        UnavailableError: another batch has it open.
    """

    def __init__(self, path: Path, settings: Mapping[str, JsonValue]) -> None:
        self.path = path
        self._entries: dict[str, _Entry] = {}
        self._file = _open(path)
        try:
            self._lock()
            self._read(json.loads(json.dumps(settings)))
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        """Return how many photos it has rows of."""
        return len(self._entries)

    def holds(self, path: str, photo_id: str, *, failed: bool = True) -> bool:
        """Say whether a photo has a row; with `failed` false, failures do not count."""
        entry = self._entries.get(path)
        return entry is not None and entry.photo_id == photo_id and (failed or not entry.failed)

    def append(self, row: BatchRow) -> None:
        """Write a row; it takes the place of an older one of the same path.

        Raises:
            UnavailableError: the disk is full or gone.
        """
        try:
            offset = self._file.seek(0, os.SEEK_END)
            self._file.write(row.model_dump_json().encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise UnavailableError(
                f"cannot write the journal {_shown(self.path)} ({error.strerror}); free space and "
                "run the same command again, it goes on where it stopped"
            ) from None
        self._entries[row.path] = _Entry(offset, row.photo_id, row.status == "failed")

    def row(self, path: str) -> BatchRow:
        """Return the newest row of a photo that has one.

        Raises:
            InputError: somebody changed the file meanwhile.
        """
        self._file.seek(self._entries[path].offset)
        return self._parsed(self._file.readline())

    def rows(self, paths: Iterable[str]) -> Iterator[BatchRow]:
        """Yield the newest rows of those photos that have one, in the order asked for."""
        for path in paths:
            if path in self._entries:
                yield self.row(path)

    def close(self) -> None:
        """Close the file and let others have it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lock(self) -> None:
        if not take_lock(self._file.fileno()):
            raise UnavailableError(
                f"journal {_shown(self.path)} is written by another batch; wait for it to end, or "
                "give another --out",
                retryable=True,
            )

    def _read(self, settings: dict[str, JsonValue]) -> None:
        """Index the rows, drop a last line that was cut off, and begin a journal that is empty."""
        self._file.seek(0)
        head = self._file.readline()
        if head and not f'{{"format": "{FORMAT}"'.encode().startswith(head[: len(FORMAT) + 13]):
            raise InputError(
                f"{_shown(self.path)} is no journal of a batch and would be lost; give another "
                "--out, or move it away"
            )
        if not head.endswith(b"\n"):
            self._begin(settings)
            return
        self._check(head, settings)
        end = offset = len(head)
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            row = self._parsed(line)
            self._entries[row.path] = _Entry(offset, row.photo_id, row.status == "failed")
            end = offset = offset + len(line)
        self._file.truncate(end)

    def _begin(self, settings: dict[str, JsonValue]) -> None:
        head = {"format": FORMAT, "version": VERSION, "settings": settings}
        try:
            self._file.truncate(0)
            self._file.seek(0)
            self._file.write(json.dumps(head).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from None

    def _check(self, head: bytes, settings: dict[str, JsonValue]) -> None:
        try:
            stated = json.loads(head)
            version, former = stated["version"], stated["settings"]
            if version != VERSION or not isinstance(former, dict):
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._damaged() from None
        if differing := sorted(
            key
            for key in {*former, *settings}
            if former.get(key, _MISSING) != settings.get(key, _MISSING)
        ):
            said = "; ".join(
                f"{key} was {_value(former.get(key, _MISSING))}, "
                f"now {_value(settings.get(key, _MISSING))}"
                for key in differing[:SHOWN_DIFFERENCES]
            )
            raise ConfigError(
                f"journal {_shown(self.path)} was made under other settings: {said}; go on with "
                "the former ones, give another --out, or delete the journal to begin anew"
            )

    def _parsed(self, line: bytes) -> BatchRow:
        try:
            return BatchRow.model_validate_json(line)
        except ValidationError:
            raise self._damaged() from None

    def _damaged(self) -> InputError:
        return InputError(
            f"journal {_shown(self.path)} is damaged, or of another version; delete it to begin "
            "anew, or give another --out"
        )


def _open(path: Path) -> IO[bytes]:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        raise unwritable(path, error) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{_shown(path)} is no regular file; give another --out")
    return os.fdopen(descriptor, "r+b")


def _value(value: JsonValue) -> str:
    return printable(json.dumps(value, ensure_ascii=False), 120)


def _shown(path: Path) -> str:
    return repr(printable(os.fsencode(path)))
