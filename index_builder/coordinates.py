"""Lists of coordinates for a places gallery: GeoCLIP's, GeoNames settlements, a user's table.

Each source gives `[N, 2]` latitude, longitude in degrees. A list is taken as it is or refused
with the row that is wrong: nothing is repaired, nothing left out silently.
"""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.base import Points, check_coordinates
from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError

MAX_PLACES = 2_000_000
"""4 GB of vectors of 512 numbers."""
_LATITUDE = ("latitude", "lat")
_LONGITUDE = ("longitude", "lon", "lng", "long")


def geoclip_coordinates() -> Points:
    """Return GeoCLIP's gallery, `[100000, 2]`, as the installed geoclip package ships it.

    Drawn from the training photos of MP-16 (Vivanco Cepeda et al., NeurIPS 2023), so that it is
    dense where photos are taken; 5,877 of them repeat others, which is part of the method.

    Raises:
        UnavailableError: the package is not installed, or has no such file.
    """
    spec = importlib.util.find_spec("geoclip")  # of a top-level package: does not import it
    remedy = "pip install 'graticule[encoders]' brings it"
    if spec is None or spec.origin is None:
        raise UnavailableError(f"the geoclip package with its 100,000 places is missing; {remedy}")
    path = Path(spec.origin).parent / "model" / "gps_gallery" / "coordinates_100K.csv"
    try:
        found = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        shown = printable(str(error), 120)
        raise UnavailableError(f"GeoCLIP's places cannot be read ({shown}); {remedy}") from None
    return check_coordinates(found)


def read_coordinates(path: Path) -> Points:
    """Read a CSV with a column for latitude and one for longitude, `[N, 2]`.

    Columns may be called `latitude` or `lat`; `longitude`, `lon`, `lng` or `long`; others are
    ignored. Separators: comma, semicolon (then with decimal commas), tab.

    Raises:
        InputError: the file cannot be read, lacks a column, or has a row that is no coordinate.
    """
    shown = repr(printable(str(path)))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"places file {shown} is not UTF-8; save it as CSV UTF-8") from None
    except OSError as error:
        raise InputError(f"cannot read {shown} ({error.strerror}); give a CSV file") from None
    separator = max(",;\t", key=lines[0].count) if lines else ","
    try:
        rows = list(csv.reader(lines, delimiter=separator))
    except csv.Error as error:
        raise InputError(f"places file {shown} is not CSV ({error}); save it as CSV") from None
    columns = _columns(rows[0] if rows else [], shown)
    points = [
        _point(row, columns, f"row {number} of {shown}", decimal_comma=separator == ";")
        for number, row in enumerate(rows[1:], start=2)
        if any(cell.strip() for cell in row)
    ]
    if not 1 <= len(points) <= MAX_PLACES:
        raise InputError(
            f"places file {shown} has {len(points):,} places, limit 1 to {MAX_PLACES:,}; "
            "give others"
        )
    return np.array(points, dtype=np.float64)


def _columns(header: list[str], shown: str) -> tuple[int, int]:
    """Return where latitude and longitude stand in a row."""
    names = [name.strip().lower() for name in header]
    found = []
    for aliases in (_LATITUDE, _LONGITUDE):
        alias = next((alias for alias in aliases if alias in names), None)
        if alias is None:
            has = printable(", ".join(names), 200) or "none"
            raise InputError(
                f"places file {shown} lacks the column {aliases[0]} (or {', '.join(aliases[1:])});"
                f" it has: {has}"
            )
        found.append(names.index(alias))
    return found[0], found[1]


def _point(
    row: list[str], columns: tuple[int, int], where: str, *, decimal_comma: bool
) -> tuple[float, float]:
    values = []
    for column, limit, name in zip(columns, (90, 180), ("latitude", "longitude"), strict=True):
        text = row[column].strip() if column < len(row) else ""
        try:
            value = float(text.replace(",", ".") if decimal_comma else text)
        except ValueError:
            value = float("nan")
        if not abs(value) <= limit:
            raise InputError(
                f"{name} {printable(text, 40)!r} in {where}, limit -{limit} to {limit} degrees; "
                "correct it or leave the row out"
            )
        values.append(value)
    return values[0], values[1]


def joined_coordinates(first: Points, *others: Points) -> Points:
    """Return `first` as it is, then what the others add to it: each coordinate once more at most.

    Args:
        first: `[N, 2]`, kept with its repetitions.
        others: `[M, 2]` each; rows that are there already are left out.
    """
    kept, known = [first], _keys(first)
    for points in others:
        keys = _keys(points)
        once = np.zeros(len(keys), dtype=bool)
        once[np.unique(keys, return_index=True)[1]] = True
        fresh = once & ~np.isin(keys, known)
        kept.append(points[fresh])
        known = np.concatenate([known, keys[fresh]])
    return np.concatenate(kept)


def _keys(points: Points) -> npt.NDArray[np.complex128]:
    """Return one number a coordinate, which numpy can sort."""
    return np.asarray(points[:, 0] + 1j * points[:, 1], dtype=np.complex128)
