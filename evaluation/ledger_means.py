"""Several ledgers of one recipe, such as of three seeds: mean and range of every figure."""

import statistics
from collections.abc import Iterable, Sequence

from evaluation.ledger import Ledger
from evaluation.runs import StageName
from tools.evidence import Record


class Spread(Record):
    """A figure over runs: its mean, the least and the most of them."""

    mean: float
    least: float
    most: float


class LevelMeans(Record):
    """The ledger's figures at one threshold over runs, in % of all photos.

    Attributes:
        accuracy_percent: stage to photos whose first point after it is right.
        oracle_percent: stage to k to photos with one of the first k points within.
        fixed_percent: stage to photos that it fixed.
        broken_percent: stage to photos that it broke.
        lost_percent: stage to photos that it lost, of those not right at the end.
        never_proposed_percent: photos that no stage had a point near enough for.
    """

    threshold_km: float
    accuracy_percent: dict[StageName, Spread]
    oracle_percent: dict[StageName, dict[str, Spread]]
    fixed_percent: dict[StageName, Spread]
    broken_percent: dict[StageName, Spread]
    lost_percent: dict[StageName, Spread]
    never_proposed_percent: Spread


def spread(values: Sequence[float]) -> Spread:
    """Return mean, least and most of 1 or more figures."""
    return Spread(mean=statistics.fmean(values), least=min(values), most=max(values))


def means_of(ledgers: Sequence[Ledger]) -> tuple[LevelMeans, ...]:
    """Return means and ranges for each threshold, of ledgers that `ledgers_of` made together."""
    return tuple(_means(ledgers, number) for number in range(len(ledgers[0].levels)))


def _means(ledgers: Sequence[Ledger], number: int) -> LevelMeans:
    photos, stages = ledgers[0].photos, ledgers[0].stages
    levels = [one.levels[number] for one in ledgers]

    def over(counts: Iterable[int]) -> Spread:
        return spread([100 * count / photos for count in counts])

    steps = list(enumerate(stages[1:]))
    return LevelMeans(
        threshold_km=levels[0].threshold_km,
        accuracy_percent={s: over(one.right[s] for one in levels) for s in stages},
        oracle_percent={
            s: {k: over(one.oracle[s][k] for one in levels) for k in levels[0].oracle[s]}
            for s in stages
        },
        fixed_percent={s: over(len(one.shifts[i].fixed) for one in levels) for i, s in steps},
        broken_percent={s: over(len(one.shifts[i].broken) for one in levels) for i, s in steps},
        lost_percent={s: over(len(one.split.lost[s]) for one in levels) for s in stages[1:]},
        never_proposed_percent=over(len(one.split.never_proposed) for one in levels),
    )
