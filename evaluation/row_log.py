"""The rows of a run on disk: appended and flushed one by one, by one writer at a time."""

import json
import os
from pathlib import Path
from typing import Self

from encoders.photo_file import printable
from evaluation.runs import RunRow
from geo.errors import InputError, UnavailableError
from index_builder.files import take_lock, unwritable


class RowLog:
    """`rows.jsonl` of a run, open to append to; the last row of an id counts.

    A last line that a stop cut off is dropped when the file is opened.

    Args:
        path: of the file; made where it is missing.

    Raises:
        InputError: it cannot be written, or a line of it is no row.
        UnavailableError: another run writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._status: dict[str, str] = {}
        try:
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        except OSError as error:
            raise unwritable(path, error) from None
        try:
            self._lock()
            self._read()
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        """Return how many photos have a row."""
        return len(self._status)

    def holds(self, image_id: str, *, failed: bool = True) -> bool:
        """Say whether a photo has a row; with `failed` false, failures do not count."""
        status = self._status.get(image_id)
        return status is not None and (failed or status != "failed")

    def brief(self, image_id: str) -> RunRow:
        """Return what became of a photo that has a row, and no more; rows may be long."""
        return RunRow.model_validate({"image_id": image_id, "status": self._status[image_id]})

    def append(self, row: RunRow) -> None:
        """Write a row.

        Raises:
            UnavailableError: the disk is full or gone.
        """
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(row.model_dump_json().encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise UnavailableError(
                f"cannot write {self._shown} ({error.strerror}); free space and run the same "
                "command again, it goes on where it stopped"
            ) from None
        self._status[row.image_id] = row.status

    def close(self) -> None:
        """Close the file and let others have it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _shown(self) -> str:
        return repr(printable(os.fsencode(self.path)))

    def _lock(self) -> None:
        if not take_lock(self._file.fileno()):
            raise UnavailableError(
                f"{self._shown} is written by another run; wait for it to end, or give another "
                "--out",
                retryable=True,
            )

    def _read(self) -> None:
        end = 0
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                break
            self._index(number, line)
            end += len(line)
        self._file.truncate(end)

    def _index(self, number: int, line: bytes) -> None:
        try:
            stated = json.loads(line)
            image_id, status = str(stated["image_id"]), str(stated["status"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(
                f"line {number:,} of {self._shown} is no row of a run; delete that line and run "
                "it again, or give another --out"
            ) from None
        self._status[image_id] = status
