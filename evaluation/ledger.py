"""Where in a run photos are won and lost: what each stage had, fixed and broke.

Every stage hands a list of points on, best first. A photo for which a stage did not run, or named
nothing, carries the former stage's list on; only the final answer is never carried: no answer is a
miss. From these lists follow, for every threshold and out of all photos, failures included:

- oracle@k: photos with at least one of the first k points within the threshold;
- the chain of first points: photos that a stage fixed (wrong before it, right after it) and broke.
  These telescope: right after the first stage + fixed - broken = right at the end, in whole photos;
- where the rest is lost: never proposed by any stage; or in some stage's list, and then lost at
  the stage after the last that still had it.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evaluation.ledger_ranks import (
    NONE,
    Ranks,
    carried_ranks,
    listed,
    ranks_of,
)
from evaluation.metrics import THRESHOLDS_KM, Distance, Operator, checked_thresholds
from evaluation.runs import STAGES, Run, RunRow, StageName
from geo.errors import InputError
from tools.evidence import Record

KS = (1, 5, 10, 20)
ALL = "all"


class Shift(Record):
    """What one stage changed.

    Attributes:
        stage: that did it.
        since: the stage before it.
        fixed: photos whose first point was wrong before and is right after.
        broken: photos whose first point was right before and is wrong after.
        unanswered: how many of the broken have no answer any more.
    """

    stage: StageName
    since: StageName
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    unanswered: int = Field(ge=0)


class Split(Record):
    """All photos, each in one place: right at the end, lost at a stage, or never proposed."""

    right: tuple[str, ...]
    lost: dict[StageName, tuple[str, ...]]
    never_proposed: tuple[str, ...]


class Level(Record):
    """The ledger at one threshold.

    Attributes:
        oracle: stage to k (`1`, `5`, `10`, `20`, `all`) to photos with a point within.
        right: photos whose first point after the stage is right: oracle@1.
        accuracy_percent: the same, out of all photos.
    """

    threshold_km: float
    oracle: dict[StageName, dict[str, int]]
    right: dict[StageName, int]
    accuracy_percent: dict[StageName, float]
    shifts: tuple[Shift, ...]
    split: Split


class Ledger(Record):
    """Where one run won and lost its photos.

    Attributes:
        photos: N of every share.
        not_reached: photos that the run has no row for; they count as misses.
        failed: photos with a row and no answer because something failed; misses too.
        unanswered: photos whose answer names no place; misses too.
        ran: stage to photos for which it ran.
        silent: stage to photos for which it ran and named nothing.
    """

    recipe: str
    dataset: str
    photos: int = Field(ge=1)
    not_reached: int = Field(ge=0)
    failed: int = Field(ge=0)
    unanswered: int = Field(ge=0)
    distance: Distance
    operator: Operator
    stages: tuple[StageName, ...]
    ran: dict[StageName, int]
    silent: dict[StageName, int]
    levels: tuple[Level, ...]


def ledgers_of(
    runs: Sequence[Run],
    *,
    thresholds_km: Sequence[float] = THRESHOLDS_KM,
    distance: Distance = "wgs84",
    operator: Operator = "le",
) -> list[Ledger]:
    """Return the ledger of each run of one recipe on one dataset, all with the same stages.

    Args:
        runs: 1 or more, such as three seeds.
        thresholds_km: distances; the ledger has each once, rising.
        distance: geodesics on the WGS84 ellipsoid, or great circles on a sphere of 6371 km.
        operator: whether a point exactly at the threshold counts: `le` yes, `lt` no.

    Raises:
        InputError: no run, a run without photos or with one twice, runs of different recipes or
            photos, a threshold that is none, or a row whose stages end elsewhere than its answer.
    """
    limits = checked_thresholds(thresholds_km)
    _refuse_unlike(runs)
    stages = _stages(runs)
    return [_ledger(run, stages, limits, distance, operator) for run in runs]


def ledger_of(
    run: Run,
    *,
    thresholds_km: Sequence[float] = THRESHOLDS_KM,
    distance: Distance = "wgs84",
    operator: Operator = "le",
) -> Ledger:
    """Return the ledger of one run; see `ledgers_of`."""
    (ledger,) = ledgers_of([run], thresholds_km=thresholds_km, distance=distance, operator=operator)
    return ledger


def _ledger(
    run: Run,
    stages: tuple[StageName, ...],
    limits: Sequence[float],
    distance: Distance,
    operator: Operator,
) -> Ledger:
    pairs = list(run.pairs())
    lists = [[listed(row, stage) for _, row in pairs] for stage in stages]
    ids = np.array([truth.image_id for truth, _ in pairs], dtype=object)
    named = np.array([[bool(points) for points in row] for row in lists])
    ranks = ranks_of(lists, [truth for truth, _ in pairs], limits, distance, operator)
    levels = []
    for limit, first in zip(limits, ranks, strict=True):
        level = _level(limit, stages, carried_ranks(first, named), ids, named[-1])
        _refuse_leak(level, int((first[-1] == 0).sum()))
        levels.append(level)
    rows = [row for _, row in pairs]
    reached = [row for row in rows if row.image_id in run.rows]
    return Ledger(
        recipe=run.manifest.recipe,
        dataset=run.manifest.dataset,
        photos=len(pairs),
        not_reached=len(rows) - len(reached),
        failed=sum(row.status == "failed" for row in reached),
        unanswered=sum(row.status != "failed" and row.latitude is None for row in reached),
        distance=distance,
        operator=operator,
        stages=stages,
        ran={s: sum(_ran(row, s) for row in rows) for s in stages},
        silent={s: _silent(rows, s) for s in stages},
        levels=tuple(levels),
    )


def _ran(row: RunRow, stage: StageName) -> bool:
    return stage in row.stages or (stage == "final" and row.status != "failed")


def _silent(rows: Sequence[RunRow], stage: StageName) -> int:
    return sum(_ran(row, stage) and not listed(row, stage) for row in rows)


def _level(
    limit: float,
    stages: tuple[StageName, ...],
    ranks: Ranks,
    ids: NDArray[np.object_],
    answered: NDArray[np.bool_],
) -> Level:
    """Return the ledger at one threshold, of ranks `[S, N]` of the first point within it."""
    photos = len(ids)
    oracle = {
        stage: {
            **{str(k): int((row < k).sum()) for k in KS},
            ALL: int((row < NONE).sum()),
        }
        for stage, row in zip(stages, ranks, strict=True)
    }
    right = {stage: counts["1"] for stage, counts in oracle.items()}
    shifts = []
    for number in range(1, len(stages)):
        before, after = ranks[number - 1] == 0, ranks[number] == 0
        final = stages[number] == "final"
        shifts.append(
            Shift(
                stage=stages[number],
                since=stages[number - 1],
                fixed=tuple(ids[~before & after]),
                broken=tuple(ids[before & ~after]),
                unanswered=int((before & ~answered).sum()) if final else 0,
            )
        )
    return Level(
        threshold_km=limit,
        oracle=oracle,
        right=right,
        accuracy_percent={stage: 100 * count / photos for stage, count in right.items()},
        shifts=tuple(shifts),
        split=_split(stages, ranks, ids),
    )


def _split(stages: tuple[StageName, ...], ranks: Ranks, ids: NDArray[np.object_]) -> Split:
    """Return each photo where it belongs: the stage after the last that had it lost it."""
    held = ranks < NONE
    right, proposed = held[-1], held.any(axis=0)
    last = len(stages) - 1 - held[::-1].argmax(axis=0)
    lost = {
        stages[number]: tuple(ids[proposed & ~right & (last == number - 1)])
        for number in range(1, len(stages))
    }
    return Split(right=tuple(ids[right]), lost=lost, never_proposed=tuple(ids[~proposed]))


def _refuse_leak(level: Level, right_at_end: int) -> None:
    """Check that the numbers telescope; where they do not, this module is wrong.

    Raises:
        AssertionError: a photo is counted twice, or not at all.
    """
    first = next(iter(level.right.values()))
    summed = first + sum(len(one.fixed) - len(one.broken) for one in level.shifts)
    split = level.split
    parts = [split.right, split.never_proposed, *split.lost.values()]
    counted = Counter(image_id for part in parts for image_id in part)
    if summed != right_at_end or len(split.right) != right_at_end:
        raise AssertionError(
            f"within {level.threshold_km:g} km the stages come to {summed} and the split to "
            f"{len(split.right)} photos, {right_at_end} are right at the end; report this bug"
        )
    if any(count != 1 for count in counted.values()):
        raise AssertionError(
            f"a photo is in two parts of the split within {level.threshold_km:g} km; report this"
        )


def _stages(runs: Sequence[Run]) -> tuple[StageName, ...]:
    """Return the stages that any photo of any run has, in their order; the final one always."""
    there = {stage for run in runs for row in run.rows.values() for stage in row.stages}
    return tuple(stage for stage in STAGES if stage in there or stage == "final")


def _refuse_unlike(runs: Sequence[Run]) -> None:
    """Refuse runs that no mean can be taken over, and photos that cannot be told apart."""
    if not runs:
        raise InputError("0 runs were given, 1 or more are needed; see `graticule evaluate run`")
    for run in runs:
        held = run.manifest
        if not held.truths:
            raise InputError(f"the run of {held.recipe!r:.40} on {held.dataset!r:.80} has 0 photos")
        counted = Counter(truth.image_id for truth in held.truths)
        (name, count), *_ = counted.most_common(1)
        if count > 1:
            raise InputError(
                f"{count} photos of the run are named {name!r:.80}; each needs a name of its own"
            )
        first = runs[0].manifest
        if held.recipe != first.recipe:
            raise InputError(
                f"runs of recipes {first.recipe!r:.40} and {held.recipe!r:.40} have no mean; give "
                "runs of one, or use `graticule evaluate compare`"
            )
        if held.truths != first.truths:
            raise InputError(
                f"runs of {first.recipe!r:.40} are over different photos ({first.dataset!r:.80}, "
                f"{held.dataset!r:.80}), and have no mean; give runs over the same ones"
            )
