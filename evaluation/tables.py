"""Predictions and truth: where photos were taken, and where somebody says that they were.

A table has the columns image_id, latitude and longitude, under any of their usual names; a folder
of `graticule evaluate run` can stand for its predictions and its truth. What is wrong in the truth
is an error. What is wrong in a prediction is a photo without an answer: a miss, counted and told.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoders.photo_file import printable
from evaluation.table_cells import Unanswered, is_missing, number, position
from evaluation.table_rows import Rows, read_rows
from geo.errors import InputError
from geo.sphere import FloatArray, wrap_longitude
from index_builder.positions import FILE_COLUMNS, POSITION_COLUMNS
from index_builder.rows import Cells

if TYPE_CHECKING:
    from evaluation.runs import Run

MANIFEST = "run.json"
"""Makes a folder a run; `evaluation.runs` knows the rest, and takes longer to import."""
IMAGE_COLUMNS = ("image_id", *FILE_COLUMNS, "id", "photo_id")
LATITUDES, LONGITUDES = POSITION_COLUMNS["latitude"], POSITION_COLUMNS["longitude"]
AUTHORS = POSITION_COLUMNS["author"]
NAME_COLUMNS = {
    "country": POSITION_COLUMNS["country"],
    "admin1": ("admin1", *POSITION_COLUMNS["region"]),
    "city": ("city", "town", "place"),
}
REASONS = ("reason", "error", "status")
"""Columns in which a table of predictions says why a photo has no answer."""
NO_PREDICTION = "no prediction"
_SHOWN = 80


@dataclass(frozen=True)
class Truths:
    """Where photos were taken.

    Attributes:
        name: what messages call it.
        ids: unique, in the order of the table.
        points: `[N, 2]` latitude, longitude in degrees.
        authors: `[N]`, "" where unknown.
        columns: any other column, name to `[N]` texts.
        missing: ids of photos whose row states no position; they are in none of the above.
    """

    name: str
    ids: tuple[str, ...]
    points: FloatArray
    authors: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def named(self, what: str) -> tuple[str, ...] | None:
        """Return the column of a kind of name (`country`, `admin1`, `city`), if there is one."""
        found = (self.columns[name] for name in NAME_COLUMNS[what] if name in self.columns)
        return next((column for column in found if any(column)), None)


@dataclass(frozen=True)
class Predictions:
    """Where somebody says that photos were taken.

    Attributes:
        name: what messages call it.
        ids: unique, in the order of the table.
        points: `[M, 2]` latitude, longitude in degrees; NaN where there is no answer.
        unanswered: id to why it has none.
        seconds: `[M]` spent on each, NaN where unknown.
        tokens: `[M]` likewise.
        truths: where it knows the truth itself, as a run does.
    """

    name: str
    ids: tuple[str, ...]
    points: FloatArray
    unanswered: Mapping[str, Unanswered] = field(default_factory=dict)
    seconds: FloatArray | None = None
    tokens: FloatArray | None = None
    truths: Truths | None = None


def is_run(path: Path) -> bool:
    """Say whether a path is the folder of a run."""
    return (path / MANIFEST).is_file()


def read_truths(path: Path) -> Truths:
    """Return the truth that a table states, or that a run was given.

    Raises:
        InputError: the file cannot be read, lacks a column, names a photo twice or without an id,
            or states a position that is none; a photo without any position is left out, and
            listed as `missing`.
    """
    if is_run(path):
        from evaluation.runs import Run

        return truths_of(Run.read(path), str(path))
    rows = read_rows(path, "truth")
    ids, latitude, longitude = _essentials(rows)
    _refuse_repeated(rows, ids)
    known = [
        number
        for number, row in enumerate(rows.cells)
        if not (is_missing(row[latitude]) and is_missing(row[longitude]))
    ]
    points = [_certain(rows, n, latitude, longitude) for n in known]
    if not points:
        raise InputError(f"{rows.shown} states no position at all; give latitude and longitude")
    left = set(known)
    author = _column(rows, AUTHORS)
    used = {author, latitude, longitude, _column(rows, IMAGE_COLUMNS)}
    return Truths(
        rows.path.stem,
        tuple(ids[n] for n in known),
        _points(points),
        tuple(rows.cells[n][author] if author else "" for n in known),
        {c: tuple(rows.cells[n][c] for n in known) for c in rows.columns if c not in used},
        tuple(name for n, name in enumerate(ids) if n not in left),
    )


def read_predictions(path: Path) -> Predictions:
    """Return the predictions of a table, or of a run.

    Text, NaN, an impossible latitude: the photo has no answer, and `unanswered` says why. A
    prediction of 0, 0 is one like any other.

    Raises:
        InputError: the file cannot be read, lacks a column, or names a photo twice or without id.
    """
    if is_run(path):
        from evaluation.runs import Run

        return predictions_of(Run.read(path), str(path))
    rows = read_rows(path, "predictions")
    ids, latitude, longitude = _essentials(rows)
    _refuse_repeated(rows, ids)
    why = _column(rows, REASONS)
    found = [_prediction(row, latitude, longitude, why) for row in rows.cells]
    return Predictions(
        rows.path.stem,
        tuple(ids),
        _points([(math.nan, math.nan) if isinstance(one, Unanswered) else one for one in found]),
        {name: one for name, one in zip(ids, found, strict=True) if isinstance(one, Unanswered)},
        _numbers(rows, ("seconds",)),
        _numbers(rows, ("tokens", "total_tokens")),
    )


def truths_of(run: "Run", name: str) -> Truths:
    """Return the truth of a run."""
    truths = run.manifest.truths
    if len({truth.image_id for truth in truths}) < len(truths):
        raise InputError(
            f"the run {name!r} names a photo twice; run it again on a folder of its own"
        )
    columns = sorted({column for truth in truths for column in truth.slices})
    return Truths(
        name,
        tuple(truth.image_id for truth in truths),
        _points([(truth.latitude, truth.longitude) for truth in truths]),
        tuple(truth.author for truth in truths),
        {c: tuple(truth.slices.get(c, "") for truth in truths) for c in columns},
    )


def predictions_of(run: "Run", name: str) -> Predictions:
    """Return the answers of a run; a photo that it did not reach has none."""
    rows = [row for _, row in run.pairs()]
    pairs = [(_or_nan(row.latitude), _or_nan(row.longitude)) for row in rows]
    answered = [not any(map(math.isnan, pair)) for pair in pairs]
    return Predictions(
        name,
        tuple(row.image_id for row in rows),
        _points(
            [pair if sure else (math.nan,) * 2 for pair, sure in zip(pairs, answered, strict=True)]
        ),
        {
            row.image_id: Unanswered(printable(row.reason or row.status, _SHOWN))
            for row, sure in zip(rows, answered, strict=True)
            if not sure
        },
        np.array([row.seconds if row.image_id in run.rows else math.nan for row in rows]),
        np.array([row.tokens if row.image_id in run.rows else math.nan for row in rows]),
        truths_of(run, name),
    )


def _essentials(rows: Rows) -> tuple[list[str], str, str]:
    """Return the ids of all rows, and what its columns of latitude and longitude are called."""
    image = _needed(rows, "image_id", IMAGE_COLUMNS)
    latitude = _needed(rows, "latitude", LATITUDES)
    longitude = _needed(rows, "longitude", LONGITUDES)
    if not rows.cells:
        raise InputError(f"{rows.shown} has no rows; give one row for each photo")
    ids = [row[image] for row in rows.cells]
    if "" in ids:
        raise InputError(
            f"{rows.place(ids.index(''))} of {rows.shown} has no {image}; name its photo, or "
            "delete the line"
        )
    return ids, latitude, longitude


def _column(rows: Rows, names: Sequence[str]) -> str:
    return next((name for name in names if name in rows.columns), "")


def _needed(rows: Rows, wanted: str, names: Sequence[str]) -> str:
    if found := _column(rows, names):
        return found
    others = ", ".join(name for name in dict.fromkeys(names) if name != wanted)
    raise InputError(
        f"{rows.shown} lacks the column {wanted} (or {others}); it has: "
        f"{printable(', '.join(rows.columns)) or 'none'}"
    )


def _refuse_repeated(rows: Rows, ids: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        if first.setdefault(name, row) != row:
            raise InputError(
                f"{rows.place(row)} of {rows.shown} is of photo {printable(name, _SHOWN)!r}, "
                f"as is {rows.place(first[name])}; keep one of them"
            )


def _certain(rows: Rows, number: int, latitude: str, longitude: str) -> tuple[float, float]:
    """Return the position that a row of the truth states."""
    row = rows.cells[number]
    found = position(row[latitude], row[longitude])
    if not isinstance(found, Unanswered):
        return found
    raise InputError(
        f"{rows.place(number)} of {rows.shown}: {found.reason}, found "
        f"{printable(found.value, _SHOWN)!r}; correct it, or leave both cells empty"
    )


def _prediction(
    row: Cells, latitude: str, longitude: str, why: str
) -> tuple[float, float] | Unanswered:
    found = position(row[latitude], row[longitude])
    if isinstance(found, Unanswered) and is_missing(found.value) and why and row[why]:
        return Unanswered(printable(row[why], _SHOWN))
    return found


def _numbers(rows: Rows, names: Sequence[str]) -> FloatArray | None:
    """Return a column of amounts, NaN where there is none; None where there is no column."""
    column = _column(rows, names)
    if not column:
        return None
    found = [number(row[column]) for row in rows.cells]
    amounts = np.array([math.nan if value is None else value for value in found])
    return np.where(np.isfinite(amounts) & (amounts >= 0), amounts, math.nan)


def _points(pairs: Sequence[tuple[float, float]]) -> FloatArray:
    """Return points `[N, 2]` with their longitudes in [-180, 180)."""
    points = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    with np.errstate(invalid="ignore"):
        points[:, 1] = np.where(np.isnan(points[:, 1]), np.nan, wrap_longitude(points[:, 1]))
    return points


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
