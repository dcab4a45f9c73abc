"""Rows of tables, one at a time: CSV, TSV and JSON, whatever spreadsheets do to them.

Knows column names, separators, byte order marks, quoted newlines and encodings; not what a row
means. A row comes with its place in the file, so that it can be read again alone.
"""

import bz2
import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from encoders.photo_file import printable
from geo.errors import InputError

Cells = dict[str, str]
"""Cells of a row by our own names of their columns, without surrounding blanks."""
MAX_LINE_BYTES = 1_000_000
"""A longer line is no row of a table."""
MAX_JSON_BYTES = 100_000_000
"""A JSON file is read whole; larger ones are to be written as JSON lines."""
_JSON_LINES = (".jsonl", ".ndjson")
_BOM = b"\xef\xbb\xbf"
_BROKEN = (OSError, EOFError, zlib.error)
"""What reading raises of a disk that fails, or of a packed file that is cut off."""
_PACKED = (".gz", ".bz2")


@dataclass(frozen=True)
class Columns:
    """Which columns are wanted, and what else they may be called.

    Attributes:
        aliases: names of each column in lower case, best first; our own need not be among them.
        required: of these a table must have each.
        header: names of the columns of a table that has no header line; then nothing is quoted.
    """

    aliases: Mapping[str, tuple[str, ...]]
    required: Sequence[str] = ()
    header: tuple[str, ...] = ()


@dataclass
class Table:
    """A CSV or TSV file. Iterating opens it anew; only a line of it is in memory at a time.

    Attributes:
        path: the file; `.gz` and `.bz2` are unpacked while reading.
        columns: those wanted.
        what: what messages call it, such as "positions file".
        header: all names in its header line.
        separator: comma, semicolon or tab, whichever the header has most of.
    """

    path: Path
    columns: Columns
    what: str = "table"
    header: tuple[str, ...] = field(init=False)
    separator: str = field(init=False)
    _places: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.header, self.separator = self.columns.header, "\t"
        if not self.header:
            try:
                with opened(self.path, self.what) as file:
                    line = next(_Lines(file, self._shown), "")
            except _BROKEN as error:
                raise _unreadable(self.path, self.what, error) from None
            self.separator = max(",;\t", key=line.count)
            try:
                self.header = tuple(next(csv.reader([line], delimiter=self.separator), []))
            except csv.Error as error:
                raise InputError(f"{self._shown} is not CSV: {error}; save it as CSV") from None
        self._places = self._find_columns()

    def __iter__(self) -> Iterator[tuple[int, Cells]]:
        """Yield each row that is not blank with its offset in the file, in bytes.

        Raises:
            InputError: the file cannot be read, is not UTF-8, or not CSV.
        """
        with opened(self.path, self.what) as file:
            lines = _Lines(file, self._shown)
            rows = self._reader(lines)
            try:
                if not self.columns.header:
                    next(rows, None)
                while True:
                    offset = lines.offset
                    row = next(rows, None)
                    if row is None:
                        return
                    if row:
                        yield offset, self._cells(row)
            except csv.Error as error:
                raise InputError(
                    f"{self._shown} is not CSV: {error} near byte {lines.offset:,}; "
                    "is a quotation mark left open? save it as CSV"
                ) from None
            except _BROKEN as error:
                raise _unreadable(self.path, self.what, error) from None

    def at(self, file: IO[bytes], offset: int) -> Cells:
        """Return the row at an offset that iterating gave, from the file opened with `opened`."""
        file.seek(offset)
        return self._cells(next(self._reader(_Lines(file, self._shown, offset))))

    def count(self) -> int | None:
        """Return how many rows there are at most: its lines; None where it is packed."""
        if self.path.suffix in _PACKED:
            return None
        lines, last = 0, b"\n"
        with opened(self.path, self.what) as file:
            while block := file.read(1 << 20):
                lines += block.count(b"\n")
                last = block[-1:]
        return max(lines + (last != b"\n") - (not self.columns.header), 0)

    @property
    def _shown(self) -> str:
        return f"{self.what} {printable(str(self.path))!r}"

    def _reader(self, lines: "_Lines") -> "Iterator[list[str]]":
        if self.columns.header:
            return (line.rstrip("\r\n").split(self.separator) for line in lines)
        return csv.reader(lines, delimiter=self.separator)

    def _cells(self, row: Sequence[str]) -> Cells:
        width = len(row)
        return {
            name: row[place].strip() if place < width else ""
            for name, place in self._places.items()
        }

    def _find_columns(self) -> dict[str, int]:
        found = known_columns(self.header, self.columns, self._shown)
        return {name: self.header.index(given) for name, given in found.items()}


def known_columns(header: Sequence[str], columns: Columns, shown: str) -> dict[str, str]:
    """Return the header's own name of each column that is wanted and there.

    Raises:
        InputError: a required column is missing; the message names it and those there are.
    """
    given = {name.strip().lower(): name for name in reversed(header) if name}
    known = {
        column: next((given[alias] for alias in aliases if alias in given), "")
        for column, aliases in columns.aliases.items()
    }
    if missing := [column for column in columns.required if not known[column]]:
        wanted = "; ".join(_with_aliases(column, columns.aliases[column]) for column in missing)
        raise InputError(
            f"{shown} lacks the column {wanted}; it has: {printable(', '.join(given)) or 'none'}"
        )
    return {column: name for column, name in known.items() if name}


def _with_aliases(column: str, aliases: Sequence[str]) -> str:
    others = [alias for alias in aliases if alias != column]
    return f"{column} (or {', '.join(others)})" if others else column


def first_line(path: Path) -> str:
    """Return the first line of a text file, at most a megabyte; "" where it is no text.

    Raises:
        InputError: the file cannot be read.
    """
    with opened(path, "file") as file:
        try:
            return file.readline(MAX_LINE_BYTES).removeprefix(_BOM).decode().rstrip("\r\n")
        except (UnicodeDecodeError, *_BROKEN):
            return ""


def is_json(path: Path) -> bool:
    """Say whether a file is JSON or JSON lines by its name."""
    return path.suffix.lower() in (*_JSON_LINES, ".json")


def json_rows(path: Path, columns: Columns, what: str) -> Iterator[Cells]:
    """Yield the objects of a JSON array, of an object of objects by name, or of JSON lines.

    An object of objects gives each its name as the column `file`. JSON lines are read one at
    a time, a JSON file whole.

    Raises:
        InputError: the file cannot be read, is not such JSON, or lacks a required column.
    """
    shown = f"{what} {printable(str(path))!r}"
    found = _json_lines(path, what) if path.suffix.lower() in _JSON_LINES else _json(path, what)
    checked = False
    for row in found:
        if not checked:
            known_columns([str(name) for name in row], columns, shown)
            checked = True
        by_name = {str(name).strip().lower(): value for name, value in row.items()}
        yield {
            column: next((_text(by_name[name]) for name in names if name in by_name), "")
            for column, names in columns.aliases.items()
        }


def _json_lines(path: Path, what: str) -> Iterator[Mapping[str, object]]:
    shown = f"{what} {printable(str(path))!r}"
    with opened(path, what) as file:
        for number, line in enumerate(_Lines(file, shown), start=1):
            if line.strip():
                row = _parsed(line, f"line {number:,} of {shown}")
                if not isinstance(row, dict):
                    raise InputError(f"line {number:,} of {shown} is no JSON object")
                yield row


def _json(path: Path, what: str) -> Iterator[Mapping[str, object]]:
    shown = f"{what} {printable(str(path))!r}"
    with opened(path, what) as file:
        data = file.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise InputError(f"{shown} is over {MAX_JSON_BYTES:,} bytes; write it as .jsonl")
    content = _parsed(_decoded(data, shown), shown)
    rows: Iterable[object] = content if isinstance(content, list) else ()
    if isinstance(content, dict):
        rows = [{"file": k, **v} if isinstance(v, dict) else None for k, v in content.items()]
    for row in rows:
        if not isinstance(row, dict):
            raise InputError(f"{shown} is no list of objects; give [{{file, latitude, ...}}, ...]")
        yield row


def _parsed(text: str, shown: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{shown} is not JSON; correct it or save it as CSV") from None


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


class _Lines:
    """The decoded lines of an open file, and how far they were read."""

    def __init__(self, file: IO[bytes], shown: str, offset: int = 0) -> None:
        self.offset = offset
        self._file = file
        self._shown = shown

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        first = self.offset == 0
        self.offset += len(line)
        return _decoded(_checked(line, self._shown), self._shown, first=first)


def _checked(line: bytes, shown: str) -> bytes:
    if len(line) > MAX_LINE_BYTES:
        raise InputError(f"{shown} has a line over {MAX_LINE_BYTES:,} bytes; save it as CSV")
    return line


def _decoded(line: bytes, shown: str, *, first: bool = True) -> str:
    try:
        return (line.removeprefix(_BOM) if first else line).decode()
    except UnicodeDecodeError:
        raise InputError(f"{shown} is not UTF-8; save it as CSV UTF-8") from None


def opened(path: Path, what: str) -> IO[bytes]:
    """Open a table for reading, unpacked where its name ends in `.gz` or `.bz2`.

    Raises:
        InputError: there is no such file, or it may not be read.
    """
    try:
        if path.suffix == ".gz":
            return gzip.GzipFile(path)  # type: ignore[return-value]  # a file but by its type
        return bz2.BZ2File(path) if path.suffix == ".bz2" else path.open("rb")
    except FileNotFoundError:
        raise InputError(f"no {what} at {printable(str(path))!r}; check the path") from None
    except OSError as error:
        raise _unreadable(path, what, error) from None


def _unreadable(path: Path, what: str, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or printable(str(error), 120)
    return InputError(f"cannot read {what} {printable(str(path))!r} ({reason}); give a CSV file")
