"""Is B better than A? Paired: photo by photo, over the same photos, in the same resamples.

Differences are B minus A: of accuracies more is better for B, of distances less is. Photos of one
author are drawn together (`evaluation.bootstrap`); won and lost photos are told apart by McNemar's
exact test (McNemar, Psychometrika 12, 1947: binomial of the photos that only one has right), which
takes photos for independent.
"""

from collections.abc import Sequence

from pydantic import Field

from evaluation.compared import Compared, Difference, Moved, Side, SliceDifference
from evaluation.figures import Figure
from evaluation.measured import LEVEL
from evaluation.metrics import THRESHOLDS_KM, Distance, Operator, checked_thresholds
from evaluation.pairing import Points, pair
from evaluation.same_photos import same_photos
from evaluation.scoring import RESAMPLES, SEED
from evaluation.tables import Predictions, Truths
from tools.evidence import Record

WORST = 10
"""Photos that differ most, as many as a table shows."""


class Comparison(Record):
    """Everything that B against A comes to; `graticule evaluate compare --json` prints it.

    Attributes:
        photos: of both, the denominator.
        both_answered: photos that `median_difference_km` is over.
        differences: at each threshold, in rising order.
        geoscore: of B less that of A; a failure scores 0.
        median_difference_km: median of B's distance less A's, photo by photo.
        a_median_km: over what A answered; `b_median_km` likewise.
        slices: by column of the truth.
        moved: the photos whose GeoScore differs most.
    """

    a: str
    b: str
    truth: str
    distance: Distance
    operator: Operator
    photos: int = Field(ge=1)
    a_failures: int = Field(ge=0)
    b_failures: int = Field(ge=0)
    both_answered: int = Field(ge=0)
    authors: int = Field(ge=0)
    resamples: int = Field(ge=0)
    seed: int
    level: float = LEVEL
    differences: tuple[Difference, ...]
    geoscore: Figure
    median_difference_km: Figure
    a_median_km: float | None
    b_median_km: float | None
    a_geoscore: float
    b_geoscore: float
    slices: dict[str, tuple[SliceDifference, ...]] = Field(default_factory=dict)
    moved: tuple[Moved, ...] = ()
    notes: tuple[str, ...] = ()


def compare(
    a: Points | Predictions,
    b: Points | Predictions,
    truth: Points | Truths | None = None,
    *,
    distance: Distance = "haversine",
    operator: Operator = "le",
    thresholds_km: Sequence[float] = THRESHOLDS_KM,
    bootstrap: int = RESAMPLES,
    seed: int = SEED,
    slices: Sequence[str] = (),
    common: bool = False,
    worst: int = WORST,
) -> Comparison:
    """Compare two sets of predictions of the same photos; B minus A everywhere.

    Args:
        a: see `evaluation.score`; so are `b` and `truth`, which a run knows itself.
        b: what is held against it.
        truth: where the photos were taken.
        distance: `haversine` (6371 km) or `wgs84`.
        operator: `le` or `lt`.
        thresholds_km: of the accuracies.
        bootstrap: resamples over photos and over authors; 0 for none.
        seed: of the resamples.
        slices: columns of the truth to compare for each label of.
        common: compare the photos that both name, and leave out the others.
        worst: how many of the photos that differ most.

    Raises:
        InputError: A and B are not of the same photos and `common` is not asked for; no truth, or
            two runs that differ in it; a table or an argument that `evaluation.score` refuses.
    """
    thresholds = checked_thresholds(thresholds_km)
    one, other, known, notes = same_photos(a, b, truth, common=common)
    first = Side(pair(one, known), distance, operator, thresholds)
    second = Side(pair(other, known), distance, operator, thresholds)
    notes += [f"A: {note}" for note in first.notes] + [f"B: {note}" for note in second.notes]
    paired = Compared(known, first, second, thresholds)
    paired.resample(bootstrap, seed)
    return Comparison(
        a=one.name,
        b=other.name,
        truth=known.name,
        distance=distance,
        operator=operator,
        photos=len(known.ids),
        a_failures=int((~first.answered).sum()),
        b_failures=int((~second.answered).sum()),
        both_answered=int(paired.both.sum()),
        authors=len({*known.authors} - {""}),
        resamples=bootstrap,
        seed=seed,
        differences=paired.differences(),
        geoscore=paired.geoscore(),
        median_difference_km=paired.median(),
        a_median_km=first.median(),
        b_median_km=second.median(),
        a_geoscore=float(first.scores.mean()),
        b_geoscore=float(second.scores.mean()),
        slices={column: paired.sliced(column, bootstrap, seed) for column in slices},
        moved=paired.moved(worst),
        notes=tuple(notes),
    )
