"""Positions of photos from a table: a file that names photos and their coordinates.

A row is either a valid position or a reason; nothing is guessed, nothing repaired.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from encoders.photo_file import MAX_NAME_LENGTH, printable
from geo.errors import InputError
from index_builder.rows import Cells, Columns, Table, is_json, json_rows

MAX_ACCURACY_KM = 20_000.0
POSITION_COLUMNS: dict[str, tuple[str, ...]] = {
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    "accuracy_km": ("accuracy_km", "label_radius_km", "radius_km"),
    "accuracy_m": ("accuracy_m", "horizontal_accuracy_m"),
    "author": ("author", "photographer", "user", "owner", "creator_username"),
    "date": ("date", "taken_at", "captured_at", "datetime"),
    "licence": ("licence", "license"),
    "source": ("source",),
    "country": ("country", "country_code", "unique_country"),
    "region": ("region", "state"),
    "city": ("city", "town"),
}
"""Columns of a position, and what else they may be called."""
FILE_COLUMNS = (
    *("file", "filename", "file_name", "path", "image_id", "image", "photo"),
    *("img_id", "img_file", "image_path", "image_file"),
)
"""What the column that names the photo may be called."""
COLUMNS = Columns(
    {"file": FILE_COLUMNS, **POSITION_COLUMNS}, required=("file", "latitude", "longitude")
)
_TEXTS = ("author", "date", "licence", "source", "country", "region", "city")


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
    country: str = ""
    """As the source states it: a code or a name, in any language. So are region and city."""
    region: str = ""
    city: str = ""


@dataclass(frozen=True)
class PositionTable:
    """A table read: positions by the name a row gives, and reasons by name."""

    path: Path
    positions: Mapping[str, Position]
    reasons: Mapping[str, str]
    """Why a row has no usable position, by the name it gives."""

    def __len__(self) -> int:
        return len(self.positions) + len(self.reasons)


def read_positions(path: Path) -> PositionTable:
    """Read a CSV, JSON or JSON lines with a column for the photo, its latitude and longitude.

    Columns may be called `file`, `filename`, `path` or `image_id`; `latitude` or `lat`;
    `longitude`, `lon` or `lng`. Optional: `accuracy_km` (or `label_radius_km`),
    `accuracy_m`, `author`, `date`, `licence`, `source`, `country`, `region`, `city`.
    Separators: comma, semicolon, tab. Positions are kept in memory, the file is not.

    Raises:
        InputError: the file cannot be read or lacks a column.
    """
    what = "positions file"
    rows: Iterable[Cells]
    if is_json(path):
        rows = json_rows(path, COLUMNS, what)
    else:
        rows = (cells for _, cells in Table(path, COLUMNS, what))
    positions: dict[str, Position] = {}
    reasons: dict[str, str] = {}
    for cells in rows:
        name = row_name(cells)
        if not name:
            continue
        try:
            found = position_of(cells)
        except InputError as error:
            reasons.setdefault(name, str(error))
            continue
        if (first := positions.setdefault(name, found)) != found:
            reasons[name] = listed_twice(first, found)
    return PositionTable(path, {n: p for n, p in positions.items() if n not in reasons}, reasons)


def row_name(cells: Mapping[str, str]) -> str:
    """Return the photo's name in a row, its folders divided by slashes; "" without one."""
    return cells.get("file", "").replace("\\", "/").removeprefix("./")


def listed_twice(first: Position, second: Position) -> str:
    """Return the reason of rows that contradict each other; it names both positions."""
    one, two = ((p.latitude, p.longitude) for p in (first, second))
    if one == two:
        return f"listed twice at {shown_at(*one)} with different details; keep one row"
    return f"listed twice, at {shown_at(*one)} and at {shown_at(*two)}; keep one row"


def shown_at(latitude: float, longitude: float) -> str:
    """Return a coordinate as messages show it, to 7 digits (1 cm) at most."""
    return f"{latitude:.7g}, {longitude:.8g}"


def position_of(cells: Mapping[str, str]) -> Position:
    """Return the position of a row, its cells by the names of `POSITION_COLUMNS`.

    Raises:
        InputError: its latitude, longitude or accuracy is missing or cannot be.
    """
    latitude = degrees("latitude", cells.get("latitude", ""))
    longitude = degrees("longitude", cells.get("longitude", ""))
    check_position(latitude, longitude)
    accuracy = None
    if text := cells.get("accuracy_km"):
        accuracy = degrees("accuracy_km", text)
    elif text := cells.get("accuracy_m"):
        accuracy = degrees("accuracy_m", text) / 1000
    if accuracy is not None and not 0 <= accuracy <= MAX_ACCURACY_KM:
        raise InputError(f"accuracy of {accuracy:g} km, limit 0 to {MAX_ACCURACY_KM:g} km")
    return Position(latitude, longitude, accuracy, **texts_of(cells))


def texts_of(cells: Mapping[str, str]) -> dict[str, str]:
    """Return what a row states in words, printable; `nan` is how some programs write nothing."""
    found = {}
    for name in _TEXTS:
        if (text := cells.get(name, "")) and text.lower() != "nan":
            short = len(text) <= MAX_NAME_LENGTH and text.isprintable()
            found[name] = text if short else printable(text)
    return found


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


def degrees(column: str, text: str) -> float:
    """Return the number in a cell; a decimal comma counts where the number has no point.

    Raises:
        InputError: it is not a finite number.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
        if text.count(",") == 1 and "." not in text:
            return degrees(column, text.replace(",", "."))
    if not math.isfinite(value):
        raise InputError(f"{column} {printable(text)!r} is not a number; write decimal degrees")
    return value
