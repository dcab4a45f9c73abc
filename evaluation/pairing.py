"""Predictions laid beside the truth: one row for every photo, those without an answer included."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from encoders.photo_file import printable
from evaluation.table_cells import TOO_FAR_NORTH, Unanswered
from evaluation.tables import (
    NO_PREDICTION,
    Predictions,
    Truths,
    read_predictions,
    read_truths,
)
from geo.errors import InputError
from geo.sphere import FloatArray

Points = Path | str | Mapping[str, Sequence[float] | None] | ArrayLike
"""A table or a run by its path, points by id (None: no answer), or points `[N, 2]` in order."""


@dataclass(frozen=True)
class Paired:
    """What scores are computed from; every array has a row for each photo of the truth.

    Attributes:
        truths: the photos.
        points: `[N, 2]` predicted latitude, longitude in degrees; NaN where there is no answer.
        reasons: why there is none, to how many photos.
        unknown: ids of predictions whose photo the truth does not know; left out.
        seconds: `[N]` spent on each, NaN where unknown; None where nothing is known.
        tokens: `[N]` likewise.
        notes: what people are to be told about the two tables.
    """

    truths: Truths
    points: FloatArray
    reasons: Mapping[str, int]
    unknown: tuple[str, ...]
    seconds: FloatArray | None
    tokens: FloatArray | None
    notes: tuple[str, ...]


def truths_from(given: "Points | Truths", authors: Sequence[str] | None = None) -> Truths:
    """Return the truth, read where it is a path.

    Args:
        given: see `Points`.
        authors: `[N]` of points that come without; "" where unknown.

    Raises:
        InputError: a point is none, or `evaluation.tables.read_truths` refuses the table.
    """
    if isinstance(given, Truths):
        return given
    if isinstance(given, str | Path):
        return read_truths(Path(given))
    ids, points, unanswered = _in_memory(given, "truth")
    if unanswered:
        name, why = next(iter(unanswered.items()))
        raise InputError(f"the truth of photo {name!r} is no position: {why.reason}; leave it out")
    if not ids:
        raise InputError("the truth of 0 photos cannot be scored against; give at least 1")
    writers = tuple(authors) if authors is not None else ("",) * len(ids)
    if len(writers) != len(ids):
        raise InputError(f"{len(writers):,} authors for {len(ids):,} photos: give one for each")
    return Truths("truth", ids, points, writers)


def predictions_from(given: "Points | Predictions") -> Predictions:
    """Return the predictions, read where they are a path.

    Raises:
        InputError: they are no points, or `evaluation.tables.read_predictions` refuses the table.
    """
    if isinstance(given, Predictions):
        return given
    if isinstance(given, str | Path):
        return read_predictions(Path(given))
    ids, points, unanswered = _in_memory(given, "predictions")
    return Predictions("predictions", ids, points, unanswered)


def pair(predictions: Predictions, truths: Truths, *, strict: bool = False) -> Paired:
    """Lay predictions beside the truth by the ids of their photos.

    Args:
        predictions: what is judged.
        truths: the photos that count, all of them.
        strict: refuse photos without a prediction or without truth, and unknown ids.

    Raises:
        InputError: no prediction is of a photo of the truth; with `strict`, the two tables are
            not of exactly the same photos.
    """
    places = {name: place for place, name in enumerate(predictions.ids)}
    rows = [places.get(name, -1) for name in truths.ids]
    without_truth = {*truths.missing}
    known = {*truths.ids} | without_truth
    unknown = tuple(name for name in predictions.ids if name not in known)
    if all(row < 0 for row in rows):
        raise _strangers(predictions, truths)
    reasons = Counter(
        NO_PREDICTION if row < 0 else predictions.unanswered[name].reason
        for name, row in zip(truths.ids, rows, strict=True)
        if row < 0 or name in predictions.unanswered
    )
    if strict:
        _refuse_difference(reasons[NO_PREDICTION], unknown, truths)
    chosen = np.array(rows, dtype=np.intp)
    points = np.where((chosen < 0)[:, None], math.nan, predictions.points[chosen])
    return Paired(
        truths,
        points,
        dict(reasons.most_common()),
        unknown,
        _taken(predictions.seconds, chosen),
        _taken(predictions.tokens, chosen),
        tuple(_notes(predictions, truths, points, unknown)),
    )


def _notes(
    predictions: Predictions, truths: Truths, points: FloatArray, unknown: Sequence[str]
) -> list[str]:
    """Return what was left out or looks odd, a sentence each."""
    notes = []
    if unknown:
        notes.append(
            f"{counted(len(unknown), 'prediction')} of photos that the truth does not know, left "
            f"out: {_some(unknown)}"
        )
    if truths.missing:
        notes.append(
            f"{counted(len(truths.missing), 'photo')} of the truth without a position, left out: "
            f"{_some(truths.missing)}"
        )
    for kind, pairs in (("prediction", points), ("true position", truths.points)):
        if zeros := int((pairs == 0).all(axis=1).sum()):
            notes.append(f"{counted(zeros, kind)} at 0, 0, counted like any other: no real place?")
    asked = {*truths.ids}
    for reason in {why.reason for name, why in predictions.unanswered.items() if name in asked}:
        found = (
            f"{why.value!r} of {name!r}"
            for name, why in predictions.unanswered.items()
            if why.reason == reason and why.value and name in asked
        )
        if first := next(found, ""):
            notes.append(f"{reason}, such as {printable(first, 160)}")
    return sorted(notes)


def _strangers(predictions: Predictions, truths: Truths) -> InputError:
    return InputError(
        f"none of the {len(predictions.ids):,} predictions of {predictions.name!r:.80} is of one "
        f"of the {len(truths.ids):,} photos of {truths.name!r:.80}: {_some(predictions.ids[:1])} "
        f"beside {_some(truths.ids[:1])}; give the truth of the same photos, under the same ids"
    )


def _refuse_difference(absent: int, unknown: Sequence[str], truths: Truths) -> None:
    if absent or unknown or truths.missing:
        raise InputError(
            f"strict: {counted(absent, 'photo')} without a prediction, "
            f"{counted(len(unknown), 'prediction')} of unknown photos, "
            f"{counted(len(truths.missing), 'photo')} without truth; complete the tables, or do "
            "without strict"
        )


def _taken(
    amounts: FloatArray | None, chosen: "np.ndarray[tuple[int], np.dtype[np.intp]]"
) -> FloatArray | None:
    if amounts is None:
        return None
    found: FloatArray = np.where(chosen < 0, math.nan, amounts[chosen])
    return None if np.isnan(found).all() else found


def _in_memory(
    given: Mapping[str, Sequence[float] | None] | ArrayLike, what: str
) -> tuple[tuple[str, ...], FloatArray, dict[str, Unanswered]]:
    """Return ids, points `[N, 2]` (NaN where there is none), and why there is none."""
    if isinstance(given, Mapping):
        ids = tuple(map(str, given))
        pairs: ArrayLike = [(math.nan,) * 2 if one is None else one for one in given.values()]
    else:
        pairs, ids = given, ()
    try:
        points = np.array(pairs, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{what}: no array of numbers; give points [N, 2], NaN for no answer"
        ) from None
    points = points.reshape(-1, 2) if not points.size else points
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"{what} of shape {list(points.shape)}: give points [N, 2] in degrees")
    ids = ids or tuple(map(str, range(len(points))))
    lost = ~np.isfinite(points).all(axis=1)
    wrong = ~lost & (np.abs(points[:, 0]) > 90)
    found = {ids[i]: Unanswered("position is missing") for i in np.flatnonzero(lost)}
    for i in np.flatnonzero(wrong):
        found[ids[i]] = Unanswered(TOO_FAR_NORTH, f"{points[i, 0]:g}")
    points[lost | wrong] = math.nan
    return ids, points, found


def counted(number: int, what: str) -> str:
    """Return `1 photo`, `2 photos`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(repr(printable(name, 80)) for name in names[:most])
    return f"{shown}, ..." if len(names) > most else shown
