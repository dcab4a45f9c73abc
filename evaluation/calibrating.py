"""Runs in, a calibration and its proof out: how honest they were, and how honest they become."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from agent.calibration import Calibration
from evaluation.abstention import Abstention, Loss, abstention
from evaluation.assessed import Assessed, assess
from evaluation.calibrate import cross_validated, fit
from evaluation.coverage import Honesty, honesty_of
from evaluation.metrics import Distance, Operator
from evaluation.runs import Run, RunRow, Truth
from geo.errors import InputError
from tools.evidence import Record

if TYPE_CHECKING:
    from agent.factors import Settlements

LEAST_PHOTOS = 20
FEW_PHOTOS = 100
Pair = tuple[Truth, RunRow]


class Judged(Record):
    """Answers of runs, judged: what they claim, and what acting on it costs."""

    honesty: Honesty
    abstention: Abstention


class CalibrationReport(Record):
    """What a calibration was fitted on and what it does.

    Attributes:
        photos: different ones that have evidence and truth.
        folds: parts in turn left out of the fit for `after`.
        warnings: what to keep in mind, one line each.
        before: the runs as they are.
        after: every answer under a calibration that has not seen its photo, its author or its
            place: what to expect of the calibration elsewhere, not what it does to its own photos.
    """

    recipe: str
    fitted_on: str
    photos: int = Field(ge=1)
    folds: int = Field(ge=2)
    warnings: tuple[str, ...]
    version: str
    calibration: Calibration
    before: Judged
    after: Judged


@dataclass(frozen=True)
class Calibrated:
    """A report, and the arrays that its pictures are drawn from."""

    report: CalibrationReport
    before: Assessed
    after: Assessed


def calibrate_runs(
    runs: Sequence[Run],
    settlements: "Settlements",
    *,
    folds: int = 5,
    loss: Loss | None = None,
    distance: Distance = "haversine",
    operator: Operator = "le",
) -> Calibrated:
    """Fit a calibration to runs of one recipe, and judge them before and after.

    Confidences of both are those that rows state, or follow from their radii where they state none.

    Args:
        runs: of one recipe; the same photos may come several times, as under several seeds.
        settlements: the prior.
        folds: parts in turn left out.
        loss: what answers cost; a right answer is one within its `right_within_km`.
        distance: haversine on 6371 km, or geodesics of WGS84.
        operator: `le` or `lt`.

    Raises:
        InputError: the runs are of several recipes, or too few photos have evidence.
    """
    loss = loss or Loss()
    recipe, fitted_on, pairs = pooled(runs)
    photos = _enough(pairs)
    named = {"recipe": recipe, "fitted_on": fitted_on}
    rows = cross_validated(pairs, settlements, **named, folds=folds)
    again = [(truth, row) for (truth, _), row in zip(pairs, rows, strict=True)]
    assert all(truth.image_id == row.image_id for truth, row in again)
    limits = loss.limits_km
    before, after = (
        assess(each, within_km=limits, distance=distance, operator=operator)
        for each in (pairs, again)
    )
    calibration = fit(pairs, settlements, **named)
    report = CalibrationReport(
        **named,
        photos=photos,
        folds=folds,
        warnings=(*_warnings(runs, photos), *_harm(before, after, loss.right_within_km)),
        version=calibration.version,
        calibration=calibration,
        before=_judged(before, loss),
        after=_judged(after, loss),
    )
    return Calibrated(report, before, after)


def pooled(runs: Sequence[Run]) -> tuple[str, str, list[Pair]]:
    """Return the recipe of runs, the names of their datasets, and all their photos.

    Photos keep their ids: a calibration is known by them to have seen a photo. Where two datasets
    have different photos of one id, these are never apart in folds and resamples, which is safe.

    Raises:
        InputError: the runs are of several recipes.
    """
    recipes = list(dict.fromkeys(run.manifest.recipe for run in runs))
    if len(recipes) != 1:
        raise InputError(
            f"{len(recipes)} recipes in these runs ({', '.join(map(repr, recipes)):.200}): a "
            "calibration fits one; give runs of one recipe at a time"
        )
    datasets = list(dict.fromkeys(run.manifest.dataset for run in runs))
    return recipes[0], " + ".join(datasets), [pair for run in runs for pair in run.pairs()]


def _enough(pairs: Sequence[Pair]) -> int:
    """Return how many different photos have evidence."""
    photos = {_photo(truth) for truth, row in pairs if row.evidence}
    if len(photos) < LEAST_PHOTOS:
        known = len({_photo(truth) for truth, _ in pairs})
        raise InputError(
            f"{len(photos)} photos with truth and evidence, of {known:,} in all: a calibration "
            f"needs at least {LEAST_PHOTOS}; run more photos with `graticule evaluate run`"
        )
    return len(photos)


def _photo(truth: Truth) -> tuple[str, float, float]:
    return truth.image_id, truth.latitude, truth.longitude


def _warnings(runs: Sequence[Run], photos: int) -> list[str]:
    lines = []
    if photos < FEW_PHOTOS:
        lines.append(
            f"only {photos} photos with evidence, under {FEW_PHOTOS}: the fit is coarse and the "
            "intervals are wide"
        )
    if missing := sum(len(run.manifest.truths) - len(run.rows) for run in runs):
        lines.append(
            f"{missing:,} photos were not reached by their run and count as failed; "
            "`graticule evaluate run` goes on with it"
        )
    if any(run.manifest.settings.get("calibration") for run in runs):
        lines.append(
            "a run was made under a calibration already: before is under that one, and the new "
            "one is fitted to its evidence anew"
        )
    return lines


HARM = 0.02
"""A loss of accuracy that is worth a warning: less is one photo of fifty."""


def _harm(before: Assessed, after: Assessed, km: float) -> Iterator[str]:
    """Yield a warning where calibrated answers are right less often."""
    was, now = (float(one.within(km).mean()) for one in (before, after))
    if now < was - HARM:
        yield (
            f"calibrated answers are right within {km:g} km less often, {now:.1%} of photos left "
            f"out against {was:.1%}: better not use it; fit it on more photos"
        )


def _judged(assessed: Assessed, loss: Loss) -> Judged:
    honesty = honesty_of(assessed, loss.right_within_km)
    return Judged(honesty=honesty, abstention=abstention(assessed, loss))
