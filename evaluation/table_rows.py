"""Rows of a table of predictions or of truth, whatever kind of file it is.

CSV, TSV (also `.gz` and `.bz2`), JSON, JSON lines and parquet become the same: every column by its
name in lower case, every cell as text. What a cell means is said by `evaluation.tables`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
from index_builder.rows import Cells, Columns, Table, is_json, opened

PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson")
MAX_BYTES = 1_000_000_000
"""A table of results that is larger is something else."""


@dataclass(frozen=True)
class Rows:
    """All rows of a table.

    Attributes:
        path: the file.
        what: what messages call it: `truth`, `predictions`.
        columns: names in lower case, in the file's order.
        cells: of each row, by column; a row that lacks one has "" there.
        places: where each row stands: bytes from the beginning of a CSV file, else lines or rows.
    """

    path: Path
    what: str
    columns: tuple[str, ...]
    cells: Sequence[Cells]
    places: Sequence[int]

    @property
    def shown(self) -> str:
        """What messages call the table."""
        return f"{self.what} {printable(str(self.path), 4096)!r}"

    def place(self, number: int) -> str:
        """Return where a row stands, as people find it: `line 12`."""
        if self.path.suffix.lower() in PARQUET or self.path.suffix.lower() == ".json":
            return f"row {self.places[number]:,}"
        if is_json(self.path):
            return f"line {self.places[number]:,}"
        with opened(self.path, self.what) as file:
            lines = file.read(self.places[number]).count(b"\n")
        return f"line {lines + 1:,}"


def read_rows(path: Path, what: str) -> Rows:
    """Return all rows of a table.

    Raises:
        InputError: it cannot be read, or is no such text.
        UnavailableError: it is parquet and pyarrow is missing.
    """
    if path.is_dir():
        raise InputError(f"{what} {printable(str(path))!r} is a folder without a run; give a table")
    _refuse_size(path, what)
    if path.suffix.lower() in PARQUET:
        return _of_objects(path, what, _parquet(path, what))
    if is_json(path):
        return _of_objects(path, what, _json(path, what))
    return _of_text(path, what)


def _refuse_size(path: Path, what: str) -> None:
    if path.is_file() and (size := path.stat().st_size) > MAX_BYTES:
        raise InputError(
            f"{what} {printable(str(path))!r} has {size:,} bytes, more than {MAX_BYTES:,}; "
            "give the columns image_id, latitude and longitude alone"
        )


def _of_text(path: Path, what: str) -> Rows:
    header = Table(path, Columns({}), what).header
    names = tuple(dict.fromkeys(name.strip().lower() for name in header if name.strip()))
    table = Table(path, Columns({name: (name,) for name in names}), what)
    places, cells = [], []
    for place, row in table:
        places.append(place)
        cells.append(row)
    return Rows(path, what, names, cells, places)


def _of_objects(path: Path, what: str, found: Iterable[tuple[int, Mapping[str, object]]]) -> Rows:
    places, cells, names = [], [], dict[str, None]()
    for place, row in found:
        texts = {str(name).strip().lower(): _text(value) for name, value in row.items()}
        names |= dict.fromkeys(texts)
        places.append(place)
        cells.append(texts)
    blank = dict.fromkeys(names, "")
    return Rows(path, what, tuple(names), [blank | row for row in cells], places)


def _text(value: object) -> str:
    """A value as a CSV file would have it; lists and objects are no cells."""
    if value is None or isinstance(value, dict | list):
        return ""
    return str(value).strip()


def _json(path: Path, what: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    shown = f"{what} {printable(str(path))!r}"
    with opened(path, what) as file:
        if path.suffix.lower() in JSON_LINES:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _object(_parsed(line, f"line {number:,} of {shown}"), shown)
            return
        content = _parsed(file.read(), shown)
    rows: object = content
    if isinstance(content, dict):  # objects by the name of their photo
        rows = [{"image_id": key, **_object(row, shown)} for key, row in content.items()]
    if not isinstance(rows, list):
        raise InputError(f"{shown} is no list of objects; give [{{image_id, latitude, ...}}, ...]")
    yield from ((number, _object(row, shown)) for number, row in enumerate(rows, start=1))


def _parsed(data: bytes, shown: str) -> object:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{shown} is not UTF-8; save it as UTF-8") from None
    except (ValueError, RecursionError):
        raise InputError(f"{shown} is not JSON; correct it or save the table as CSV") from None


def _object(row: object, shown: str) -> dict[str, object]:
    if not isinstance(row, dict):
        raise InputError(f"{shown} holds {type(row).__name__} for a row; give JSON objects")
    return row


def _parquet(path: Path, what: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    opened(path, what).close()  # says what is wrong with the path
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UnavailableError(
            "reading parquet files needs pyarrow; pip install 'graticule[sources]'"
        ) from None
    try:
        rows = pyarrow.parquet.ParquetFile(path).read().to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(
            f"{what} {printable(str(path))!r} is no parquet file ({printable(str(error), 120)})"
        ) from None
    yield from enumerate(rows, start=1)
