"""Parquet files as Hugging Face datasets keep photos, streamed a few rows at a time.

A photo is a struct of `bytes` and `path` (the datasets library's Image feature), a binary
column, or the path of a file below the folder of the parquet file. Positions are columns.

What is in memory is a page of the file, packed and unpacked: 100 photos in files of the
datasets library, at worst a whole row group.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from encoders.photo_file import Limits, printable
from geo.errors import InputError, UnavailableError
from index_builder.records import Record, Rejected
from index_builder.sources.file_parts import FilePart, file_parts, total
from index_builder.sources.parquet_columns import ImageColumns, image_columns
from index_builder.sources.stated import stated_position

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyarrow.parquet import ParquetFile

Split = Literal["train", "validation", "test", ""]

_SPLITS: tuple[tuple[Split, frozenset[str]], ...] = (
    ("test", frozenset({"test", "testing", "eval", "evaluation"})),
    ("validation", frozenset({"validation", "valid", "val", "dev"})),
    ("train", frozenset({"train", "training"})),
)
_BATCH_BYTES = 1_000_000
_MAX_BATCH_ROWS = 64
_READ_BYTES = 1 << 16


def split_of(path: Path) -> Split:
    """Return the split that a file belongs to by its name, or by its folder's whole name.

    Knows the words of the datasets library (`test-00000-of-00001.parquet`, `val.parquet`,
    `test/0000.parquet`). Where a name has words of several splits, test wins.
    """
    words = set(re.split(r"[^a-z]+", path.stem.lower())) | {path.parent.name.lower()}
    return next((split for split, names in _SPLITS if words & names), "")


class ParquetSource:
    """Photos in parquet files. Satisfies `index_builder.records.Source`."""

    def __init__(self, paths: Sequence[Path], *, include_test: bool = False) -> None:
        """Take the files' paths, in the order in which they are read.

        Args:
            paths: parquet files.
            include_test: take files and rows of a test split too. A gallery that holds the
                photos a benchmark asks for makes its scores worthless.

        Raises:
            InputError: no paths, one that does not exist, or one of a test split.
        """
        if not include_test and (tests := [path for path in paths if split_of(path) == "test"]):
            shown = printable(os.fsencode(tests[0].name))
            raise InputError(
                f"{shown!r} and {len(tests) - 1:,} more are of a test split, which galleries must "
                "not hold; leave them out or pass include_test (--include-test)"
            )
        self._parts = file_parts(paths, ParquetReader(include_test), "parquet file")

    @property
    def name(self) -> str:
        """The file's name, or that of the folder that holds all files."""
        return self._parts[0].name

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield the rows of all files; a broken file is named and the next one goes on.

        Raises:
            InputError: a file lacks a column that is needed.
            UnavailableError: pyarrow is not installed.
        """
        for part in self.parts():
            yield from part

    def parts(self) -> Sequence[FilePart]:
        """Return a source for each file, once all files that open have the columns needed.

        Raises:
            InputError: a file lacks a column that is needed; better now than after hours.
            UnavailableError: pyarrow is not installed.
        """
        for part in self._parts:
            _check_columns(part.path, part.label)
        return self._parts

    def count(self) -> int | None:
        """Return the number of rows, as the files' footers state."""
        return total(self._parts)


@dataclass(frozen=True)
class ParquetReader:
    """Reads the records of one parquet file."""

    include_test: bool = False

    def count(self, path: Path) -> int | None:
        """Return the number of rows that the footer states, 0 where it cannot be read."""
        try:
            with _open(path) as file:
                return int(file.metadata.num_rows)
        except _Broken:
            return 0

    def records(self, path: Path, label: str) -> Iterator[Record | Rejected]:
        """Yield the rows of a file; where it breaks, the rows before and the reason.

        Raises:
            InputError: it lacks a column that is needed.
            UnavailableError: pyarrow is not installed.
        """
        row = 0
        try:
            with _open(path) as file:
                with _breaking():
                    columns = image_columns(file.schema_arrow, label)
                for batch in _batches(file, columns):
                    for index in range(batch.num_rows):
                        cells = {name: _plain(batch.column(name)[index]) for name in columns.wanted}
                        name = f"{label}/{_row_name(cells, columns, row)}"
                        yield self._record(printable(name), cells, columns, path.parent)
                        row += 1
        except _Broken as broken:
            reason = f"damaged after row {row:,} ({broken}); rows before were read; fetch it again"
            yield Rejected(printable(label), reason)

    def _record(
        self, name: str, cells: dict[str, object], columns: ImageColumns, folder: Path
    ) -> Record | Rejected:
        try:
            split = str(cells.get(columns.split) or "")
            if not self.include_test and split_of(Path(split)) == "test":
                raise InputError("a row of the test split; pass include_test to take those too")
            position = stated_position({name: cells[name] for name in columns.fields})
            if position is None:
                raise InputError("no position: latitude and longitude are empty; fill them in")
            return Record(name, position, _content(cells[columns.image], folder))
        except InputError as error:
            return Rejected(name, str(error))


class _Broken(Exception):
    """A file that is no parquet file, or breaks on the way."""


@contextmanager
def _open(path: Path) -> "Iterator[ParquetFile]":
    parquet = _pyarrow_parquet()
    with _breaking():
        # Buffered and not prefetched: a column chunk of a row group may have gigabytes.
        file: ParquetFile = parquet.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES)
    try:
        yield file
    finally:
        file.close(force=True)


@contextmanager
def _breaking() -> Iterator[None]:
    """Turn every way in which a parquet file breaks into `_Broken`."""
    import pyarrow

    try:
        yield
    except InputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError, EOFError) as error:
        raise _Broken(printable(str(error).strip() or type(error).__name__, limit=120)) from None


def _pyarrow_parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise UnavailableError(
            "reading parquet files needs pyarrow; pip install 'graticule[sources]'"
        ) from None
    return pyarrow.parquet


def _check_columns(path: Path, label: str) -> None:
    try:
        with _open(path) as file, _breaking():
            image_columns(file.schema_arrow, label)
    except _Broken:
        return  # told when its turn comes


def _batches(file: "ParquetFile", columns: ImageColumns) -> "Iterator[RecordBatch]":
    """Yield batches of about `_BATCH_BYTES`, one row group after the other."""
    for group in range(file.metadata.num_row_groups):
        stated = file.metadata.row_group(group)
        row_bytes = max(1, stated.total_byte_size // max(1, stated.num_rows))
        rows = min(max(1, _BATCH_BYTES // row_bytes), _MAX_BATCH_ROWS)
        batches = file.iter_batches(
            batch_size=rows, row_groups=[group], columns=columns.wanted, use_threads=False
        )
        while True:
            with _breaking():
                batch = next(batches, None)
            if batch is None:
                break
            yield batch


def _plain(cell: Any) -> object:
    """Return a cell as a plain value; bytes that are no text come escaped."""
    from pyarrow import StructScalar

    if isinstance(cell, StructScalar):
        return {name: _plain(cell[name]) for name in ("bytes", "path") if name in cell}
    try:
        value: object = cell.as_py()
    except UnicodeDecodeError:
        return printable(cell.as_buffer().to_pybytes())
    except ValueError:  # nanoseconds, which Python's dates do not have
        value = cell.cast("string").as_py()
    except OverflowError:
        return None
    return value


def _row_name(cells: dict[str, object], columns: ImageColumns, row: int) -> str:
    """Return the photo's own path, else its id, else its row."""
    image = cells[columns.image]
    path = image.get("path") if isinstance(image, dict) else image
    if isinstance(path, str) and path:
        return path
    stated = cells.get(columns.id)
    return str(row if stated is None else stated)


def _content(image: object, folder: Path) -> bytes | Path:
    """Return the photo's bytes, or where they are.

    Raises:
        InputError: there are none, too many, or the path leads out of `folder`.
    """
    data = image.get("bytes") if isinstance(image, dict) else image
    path = image.get("path") if isinstance(image, dict) else image
    if isinstance(data, bytes) and data:
        limit = Limits().max_bytes
        if len(data) > limit:
            raise InputError(f"{len(data):,} bytes, limit {limit:,}; scale the photo down")
        return data
    if not isinstance(path, str) or not path:
        raise InputError("no photo in this row; fill in its bytes or its path")
    relative = PurePosixPath(path.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts:
        raise InputError(f"path {printable(path)!r} leads out of the file's folder; move it there")
    found = folder / relative
    if not found.is_file():
        raise InputError(f"no file {printable(path)!r} beside the parquet file; put it there")
    return found
