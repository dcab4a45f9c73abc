"""The rows of a batch as a table: Parquet, CSV or JSON lines, by the file's ending."""

import contextlib
import csv
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.batch_rows import BatchRow
from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from pyarrow import Schema

BEGINNINGS = {
    ".parquet": b"par1",
    ".csv": b"path,photo_id,status",
    ".jsonl": b'{"path":',
}
"""Ending of an output -> how its files begin, in lower case."""
PAGE = 1024
COLUMNS = tuple(BatchRow.model_fields)
Writer = Callable[[list[BatchRow]], None]


def check_output(path: Path) -> None:
    """Refuse an ending that says no format, or a format that cannot be written here.

    Raises:
        InputError: another ending than `.parquet`, `.csv` or `.jsonl`.
        UnavailableError: pyarrow is missing.
    """
    kind = path.suffix.lower()
    if kind not in BEGINNINGS:
        raise InputError(
            f"{printable(os.fsencode(path))!r} says no format; give a name that ends in one of "
            f"{', '.join(BEGINNINGS)}"
        )
    if kind == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise UnavailableError(
                "writing parquet files needs pyarrow; pip install 'graticule[sources]', or give "
                "a .csv or .jsonl file"
            ) from None


def write_rows(path: Path, rows: Iterable[BatchRow]) -> int:
    """Write rows to a file that appears, or is replaced, when it is whole.

    Args:
        path: ending in `.parquet`, `.csv` or `.jsonl`.
        rows: read some at a time.

    Returns:
        How many there were.

    Raises:
        InputError: another ending, or the file cannot be written.
        UnavailableError: pyarrow is missing.
    """
    from index_builder.files import PARTIAL, unwritable

    check_output(path)
    temporary = path.absolute().parent / f"{PARTIAL}{secrets.token_hex(8)}"
    count, remaining = 0, iter(rows)
    try:
        with _WRITERS[path.suffix.lower()](temporary) as write:
            while page := list(islice(remaining, PAGE)):
                write(page)
                count += len(page)
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return count


@contextlib.contextmanager
def _csv(path: Path) -> Iterator[Writer]:
    from index_builder.exports import FORMULA

    def cell(value: object) -> object:
        # No text may begin as what a spreadsheet would run.
        return "'" + value if isinstance(value, str) and value.startswith(FORMULA) else value

    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        yield lambda page: lines.writerows(
            [cell(value) for value in row.model_dump().values()] for row in page
        )


@contextlib.contextmanager
def _jsonl(path: Path) -> Iterator[Writer]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda page: file.writelines(row.model_dump_json() + "\n" for row in page)


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator[Writer]:
    import pyarrow as pa
    import pyarrow.parquet

    schema = _schema()
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as file:
        yield lambda page: file.write_batch(
            pa.RecordBatch.from_pylist([row.model_dump() for row in page], schema)
        )


def _schema() -> "Schema":
    """Return the types of the columns: whole numbers, numbers, truth values, otherwise text."""
    import pyarrow as pa

    kinds: dict[Any, Any] = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    numbers = {
        name: pa.float64() for name, field in BatchRow.model_fields.items() if field.default is None
    }
    typed = {
        name: kinds.get(field.annotation, pa.string())
        for name, field in BatchRow.model_fields.items()
    }
    return pa.schema([pa.field(name, kind) for name, kind in (typed | numbers).items()])


_WRITERS: dict[str, Callable[[Path], AbstractContextManager[Writer]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
}
