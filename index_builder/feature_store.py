"""Rows of frozen features on disk: append-only arrays, found by what each row was made from.

A killed writer leaves at most some bytes behind the last committed row, which the next one
overwrites. Readers map the files; a whole array is never in memory.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
from index_builder.files import FolderLock, write_atomically

Rows = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
STATE_FILE = "store.json"
_KEYS = "keys"


@dataclass(frozen=True)
class ArraySpec:
    """One row of an array."""

    shape: tuple[int, ...]
    dtype: str
    """As numpy names it: `float32`, `float16`, `uint8`."""

    @property
    def row_bytes(self) -> int:
        """Bytes a row takes."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape, dtype=np.int64))


class FeatureStore:
    """Arrays `NAME.npy` of one folder, whose rows belong together.

    Args:
        folder: made if it is missing.
        arrays: what a row holds.

    Raises:
        InputError: the folder holds rows of another kind, or is damaged.
    """

    def __init__(self, folder: Path, arrays: Mapping[str, ArraySpec]) -> None:
        self.folder = folder
        self.arrays = {**arrays, _KEYS: ArraySpec((), "uint64")}
        self._maps: dict[str, npt.NDArray[Any]] = {}
        self._committed = self._read_state()
        self._written = self._committed
        self._index()

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self._written

    def rows_of(self, keys: Keys) -> Rows:
        """Return the row of each key `[N]`, -1 where there is none."""
        if not len(self._sorted):
            return np.full(len(keys), -1, np.int64)
        at = np.searchsorted(self._sorted, keys).clip(max=len(self._sorted) - 1)
        return np.where(self._sorted[at] == keys, self._order[at], -1)

    def read(self, name: str, rows: Rows) -> npt.NDArray[Any]:
        """Return rows `[N, ...]` in the order asked for, read in the order they lie on disk."""
        array, order = self._map(name), np.argsort(rows, kind="stable")
        found = np.empty((len(rows), *self.arrays[name].shape), self.arrays[name].dtype)
        found[order] = array[rows[order]]
        return found

    def append(self, keys: Sequence[int], values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write rows behind the last; they count after `commit`.

        Raises:
            UnavailableError: the disk is full.
        """
        given = {**values, _KEYS: np.asarray(keys, np.uint64)}
        for name, spec in self.arrays.items():
            block = np.ascontiguousarray(given[name], spec.dtype)
            if block.shape != (len(keys), *spec.shape):
                raise ValueError(f"{name} of shape {block.shape}, a row has {spec.shape}")
            self._write(name, self._offset(name) + self._written * spec.row_bytes, block.data)
        self._written += len(keys)

    def commit(self) -> None:
        """Make what was appended last, also through a power cut.

        Raises:
            UnavailableError: the disk is full.
        """
        if self._written == self._committed:
            return
        for name in self.arrays:
            self._write(name, 0, _header(self.arrays[name], self._written), sync=True)
        state = {"rows": self._written, "arrays": self._described()}
        try:
            write_atomically(self.folder / STATE_FILE, json.dumps(state).encode())
        except InputError as error:
            raise UnavailableError(str(error)) from None
        self._committed = self._written
        self._maps.clear()
        self._index()

    def lock(self) -> FolderLock:
        """Take the right to append; release it afterwards.

        Raises:
            UnavailableError: another process has it.
        """
        return lock_folder(self.folder, "features")

    def path(self, name: str) -> Path:
        """Return the file of an array."""
        return self.folder / f"{name}.npy"

    def _described(self) -> dict[str, list[Any]]:
        return {name: [list(spec.shape), spec.dtype] for name, spec in self.arrays.items()}

    def _read_state(self) -> int:
        place = self.folder / STATE_FILE
        if not place.exists():
            return 0
        shown = repr(printable(str(self.folder)))
        try:
            state = json.loads(place.read_bytes())
            rows, described = int(state["rows"]), state["arrays"]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"features {shown} are damaged; delete that folder") from None
        if described != self._described():
            raise InputError(f"features {shown} have other arrays; delete that folder")
        for name, spec in self.arrays.items():
            needed = self._offset(name) + rows * spec.row_bytes
            if not self.path(name).is_file() or self.path(name).stat().st_size < needed:
                raise InputError(f"features {shown} lack rows of {name}; delete that folder")
        return rows

    def _index(self) -> None:
        keys = np.asarray(self._map(_KEYS)) if self._committed else np.zeros(0, np.uint64)
        self._order = np.argsort(keys, kind="stable").astype(np.int64)
        self._sorted = keys[self._order]

    def _map(self, name: str) -> npt.NDArray[Any]:
        if name not in self._maps:
            spec = self.arrays[name]
            self._maps[name] = np.memmap(
                self.path(name),
                dtype=spec.dtype,
                mode="r",
                offset=self._offset(name),
                shape=(self._committed, *spec.shape),
            )
        return self._maps[name]

    def _offset(self, name: str) -> int:
        return len(_header(self.arrays[name], 0))

    def _write(
        self, name: str, offset: int, data: memoryview | bytes, *, sync: bool = False
    ) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(os.open(self.path(name), os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
                file.seek(offset)
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
        except OSError as error:
            raise UnavailableError(
                f"cannot write features to {printable(str(self.folder))!r} ({error.strerror}); "
                "free space or give --features FOLDER on another disk"
            ) from None


def lock_folder(folder: Path, what: str) -> FolderLock:
    """Take the lock of a folder for one writer.

    Raises:
        UnavailableError: another process has it.
        InputError: the folder cannot be written to.
    """
    shown = repr(printable(str(folder)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FolderLock(folder)
    except UnavailableError:
        raise UnavailableError(
            f"{what} {shown} are being written by another process; wait for it to end",
            retryable=True,
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot make {shown} ({error.strerror}); choose a folder you may write to"
        ) from None


def _header(spec: ArraySpec, rows: int) -> bytes:
    """Return the header of an .npy file, of the same length for any number of rows."""
    described = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(spec.dtype)),
        "fortran_order": False,
        "shape": (rows, *spec.shape),
    }
    text = f"{described!r}".encode("latin1")
    length = 256 - 10 - 1
    return b"\x93NUMPY\x01\x00" + (length + 1).to_bytes(2, "little") + text.ljust(length) + b"\n"
