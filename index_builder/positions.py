"""Positions of photos from a table: a CSV file that names photos and their coordinates.

Knows spreadsheets' habits (column names, separators, byte order marks). A row is either a
valid position or a reason; nothing is guessed, nothing repaired.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError

MAX_ACCURACY_KM = 20_000.0
_COLUMNS: dict[str, tuple[str, ...]] = {
    "file": ("file", "filename", "file_name", "path", "image_id", "image", "photo"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    "accuracy_km": ("accuracy_km", "label_radius_km", "radius_km"),
    "accuracy_m": ("accuracy_m", "horizontal_accuracy_m"),
    "author": ("author", "photographer", "user"),
    "date": ("date", "taken_at", "captured_at", "datetime"),
    "licence": ("licence", "license"),
    "source": ("source",),
}
_REQUIRED = ("file", "latitude", "longitude")


@dataclass(frozen=True)
class Position:
    """Where a photo was taken, as its owner's table or its metadata says."""

    latitude: float
    longitude: float
    accuracy_km: float | None = None
    author: str = ""
    date: str = ""
    licence: str = ""
    source: str = ""


@dataclass(frozen=True)
class PositionTable:
    """A CSV file read: positions by the name a row gives, and reasons by name."""

    path: Path
    positions: Mapping[str, Position]
    reasons: Mapping[str, str]
    """Why a row has no usable position, by the name it gives."""

    def __len__(self) -> int:
        return len(self.positions) + len(self.reasons)


def read_positions(path: Path) -> PositionTable:
    """Read a CSV with a column for the photo, its latitude and its longitude.

    Columns may be called `file`, `filename`, `path` or `image_id`; `latitude` or `lat`;
    `longitude`, `lon` or `lng`. Optional: `accuracy_km` (or `label_radius_km`),
    `accuracy_m`, `author`, `date`, `licence`, `source`. Separators: comma, semicolon, tab.

    Raises:
        InputError: the file cannot be read or lacks a column.
    """
    shown = repr(printable(str(path)))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"no positions file at {shown}; check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"positions file {shown} is not UTF-8; save it as CSV UTF-8") from None
    except OSError as error:
        raise InputError(f"cannot read {shown} ({error.strerror}); give a CSV file") from None
    try:
        return _table(path, text)
    except csv.Error as error:
        raise InputError(f"positions file {shown} is not CSV ({error}); save it as CSV") from None


def _table(path: Path, text: str) -> PositionTable:
    lines = text.splitlines()
    separator = max(",;\t", key=lines[0].count) if lines else ","
    rows = csv.DictReader(lines, delimiter=separator)
    columns = _columns(rows.fieldnames or (), path)
    positions: dict[str, Position] = {}
    reasons: dict[str, str] = {}
    for name, found in _rows(rows, columns, decimal_comma=separator == ";"):
        if isinstance(found, str):
            reasons.setdefault(name, found)
        elif positions.setdefault(name, found) != found:
            reasons[name] = "listed twice with different positions; keep one row"
    return PositionTable(path, {n: p for n, p in positions.items() if n not in reasons}, reasons)


def _columns(header: Iterable[str], path: Path) -> dict[str, str]:
    """Return the header's own name of each column we know."""
    given = {name.strip().lower(): name for name in reversed(list(header)) if name}
    known = {
        column: next((given[alias] for alias in aliases if alias in given), "")
        for column, aliases in _COLUMNS.items()
    }
    if missing := [column for column in _REQUIRED if not known[column]]:
        wanted = "; ".join(f"{column} (or {', '.join(_COLUMNS[column][1:])})" for column in missing)
        raise InputError(
            f"positions file {printable(str(path))!r} lacks the column {wanted}; "
            f"it has: {printable(', '.join(given)) or 'none'}"
        )
    return {column: name for column, name in known.items() if name}


def _rows(
    rows: Iterable[Mapping[str, str | None]], columns: Mapping[str, str], *, decimal_comma: bool
) -> Iterator[tuple[str, Position | str]]:
    """Yield the name in each row with its position, or with the reason it has none."""
    for row in rows:
        cells = {column: (row.get(name) or "").strip() for column, name in columns.items()}
        if not cells["file"]:
            continue
        if decimal_comma:
            for column in ("latitude", "longitude", "accuracy_km", "accuracy_m"):
                cells[column] = cells.get(column, "").replace(",", ".")
        name = cells["file"].replace("\\", "/").removeprefix("./")
        try:
            yield name, _position(cells)
        except InputError as error:
            yield name, str(error)


def _position(cells: Mapping[str, str]) -> Position:
    latitude = _number("latitude", cells["latitude"])
    longitude = _number("longitude", cells["longitude"])
    check_position(latitude, longitude)
    accuracy = None
    if cells.get("accuracy_km"):
        accuracy = _number("accuracy_km", cells["accuracy_km"])
    elif cells.get("accuracy_m"):
        accuracy = _number("accuracy_m", cells["accuracy_m"]) / 1000
    if accuracy is not None and not 0 <= accuracy <= MAX_ACCURACY_KM:
        raise InputError(f"accuracy of {accuracy:g} km, limit 0 to {MAX_ACCURACY_KM:g} km")
    texts = {key: printable(cells.get(key, "")) for key in ("author", "date", "licence", "source")}
    return Position(latitude, longitude, accuracy, **texts)


def check_position(latitude: float, longitude: float) -> None:
    """Refuse a coordinate that cannot be a photo's position.

    Raises:
        InputError: outside its range, or 0, 0, which is how missing positions are written.
    """
    if not abs(latitude) <= 90:
        hint = "; are latitude and longitude swapped?" if abs(longitude) <= 90 else ""
        raise InputError(f"latitude {latitude:g}, limit -90 to 90{hint}")
    if not abs(longitude) <= 180:
        raise InputError(f"longitude {longitude:g}, limit -180 to 180")
    if latitude == 0 and longitude == 0:
        raise InputError("position 0, 0, which is how a missing position is written")


def _number(column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{column} {printable(text)!r} is not a number; write decimal degrees")
    return value
