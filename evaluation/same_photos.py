"""Two sets of predictions and the truth, brought to the same photos; never without saying so."""

import numpy as np

from encoders.photo_file import printable
from evaluation.pairing import Points, counted, predictions_from, truths_from
from evaluation.tables import Predictions, Truths
from geo.errors import InputError

SAME_DEGREES = 1e-6
"""Two runs agree on where a photo was taken up to this, 0.1 m: what files are rounded to."""


def same_photos(
    a: Points | Predictions,
    b: Points | Predictions,
    truth: Points | Truths | None,
    *,
    common: bool,
) -> tuple[Predictions, Predictions, Truths, list[str]]:
    """Return both predictions, the truth of the photos to compare, and what was left out.

    A photo that has a row is one of its table, answered or not; photos of the truth that are in
    neither table are misses of both.

    Raises:
        InputError: the tables are not of the same photos and `common` does not allow it, there is
            no truth, or two runs differ in it.
    """
    one, other = predictions_from(a), predictions_from(b)
    known = _truths(one, other) if truth is None else truths_from(truth)
    ids = {*known.ids}
    if truth is None and other.truths is not None:
        ids |= {*other.truths.ids}
    ours, theirs = {*one.ids} & ids, {*other.ids} & ids
    if common:
        kept = ours & theirs & {*known.ids}
        if not kept:
            raise InputError("A and B have no photo in common: give results of the same photos")
        left = len(ours | theirs) - len(kept)
        rest = len({*known.ids} - ours - theirs)
        return one, other, subset(known, kept), _left_out(left, rest)
    if ours != theirs:
        raise InputError(
            f"A has {counted(len(ours), 'photo')} and B {len(theirs):,}: "
            f"{len(ours - theirs):,} in A alone ({_first(ours - theirs)}), "
            f"{len(theirs - ours):,} in B alone ({_first(theirs - ours)}); --common compares the "
            f"{len(ours & theirs):,} of both"
        )
    neither = len(ids - ours)
    told = f"{counted(neither, 'photo')} of the truth in neither A nor B: misses of both"
    return one, other, known, [told] if neither else []


def subset(truths: Truths, kept: set[str]) -> Truths:
    """Return the truth of some photos alone."""
    places = [place for place, name in enumerate(truths.ids) if name in kept]
    return Truths(
        truths.name,
        tuple(truths.ids[place] for place in places),
        truths.points[places],
        tuple(truths.authors[place] for place in places),
        {name: tuple(column[place] for place in places) for name, column in truths.columns.items()},
        truths.missing,
    )


def _truths(one: Predictions, other: Predictions) -> Truths:
    """Return the truth that runs know; of two runs, they must agree."""
    known = one.truths or other.truths
    if known is None:
        raise InputError("neither A nor B is a run, which knows its truth: give TRUTH, too")
    if one.truths is None or other.truths is None:
        return known
    theirs = dict(zip(other.truths.ids, other.truths.points, strict=True))
    for name, point in zip(known.ids, known.points, strict=True):
        if name in theirs and not np.allclose(point, theirs[name], rtol=0, atol=SAME_DEGREES):
            raise InputError(
                f"the runs differ in where photo {printable(name, 80)!r} was taken; give TRUTH"
            )
    return known


def _left_out(left: int, rest: int) -> list[str]:
    notes = []
    if left:
        notes.append(f"{counted(left, 'photo')} that only A or only B has, left out")
    if rest:
        notes.append(f"{counted(rest, 'photo')} of the truth in neither A nor B, left out")
    return notes


def _first(names: set[str]) -> str:
    return f"such as {printable(min(names), 80)!r}" if names else "none"
