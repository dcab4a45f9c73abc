"""What the recipe bench prints: accuracy, ledger and coverage of each recipe, and the ablations."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.ledger import Ledger, ledger_of
from evaluation.metrics import errors_km, within
from evaluation.recipe_world_variants import Variant
from evaluation.runs import Run

THRESHOLDS_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
COARSE_KM = (750.0, 2500.0)
"""Where no tool may make a loop worse."""
SHOWN_KM = (200.0, *COARSE_KM)
NOMINAL = (50, 80, 95)
LEVEL = 0.95
POWER = 0.8
LEDGER_KM = 200.0
Runs = Mapping[tuple[Variant, int], Run]
"""By variant and seed."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """With a tool minus without it, at one threshold, in points.

    Attributes:
        fixed: photos that are right with it and wrong without.
        broken: the other way round.
        low: of the interval that holds the difference 95 times of 100.
        high: likewise.
    """

    km: float
    points: float
    low: float
    high: float
    fixed: int
    broken: int
    photos: int

    @property
    def worse(self) -> bool:
        """Whether the tool makes it worse by more than noise."""
        return self.high < 0


@dataclass(frozen=True)
class Ablation:
    """One tool taken away from one loop.

    Attributes:
        silenced: photos that are right at the coarsest threshold without the tool, and with it
            have no answer: it does not err, it says that it cannot tell.
        answers: points of photos that are answered with it and not without, minus the reverse.
    """

    variant: Variant
    differences: tuple[Difference, ...]
    silenced: int = 0
    answers: float = 0.0

    @property
    def missed(self) -> bool:
        """Whether the tool makes coarse accuracy worse by more than noise."""
        return any(one.worse for one in self.differences if one.km in COARSE_KM)


def hits_of(run: Run) -> Floats:
    """Return 1 where a photo's answer lies within each threshold, `[N, 5]`; haversine, <=."""
    pairs = list(run.pairs())
    truths = np.array([(truth.latitude, truth.longitude) for truth, _ in pairs])
    nowhere = (np.nan, np.nan)
    said = [nowhere if r.latitude is None else (r.latitude, r.longitude) for _, r in pairs]
    errors = errors_km(truths, np.array(said, dtype=np.float64), "haversine")
    return within(errors, THRESHOLDS_KM, "le")


def ablations_of(runs: Runs) -> list[Ablation]:
    """Return the ablations among runs, in their order."""
    seeds = sorted({seed for _, seed in runs})
    found = []
    for variant in dict.fromkeys(variant for variant, _ in runs if variant.without):
        pairs = [(runs[variant.whole, seed], runs[variant, seed]) for seed in seeds]
        whole = np.concatenate([hits_of(one) for one, _ in pairs])
        less = np.concatenate([hits_of(other) for _, other in pairs])
        columns = [THRESHOLDS_KM.index(km) for km in SHOWN_KM]
        differences = (
            difference(km, whole[:, column], less[:, column])
            for km, column in zip(SHOWN_KM, columns, strict=True)
        )
        silent, silent_less = (
            np.array([row.latitude is None for pair in pairs for _, row in pair[side].pairs()])
            for side in (0, 1)
        )
        silenced = int((silent & (less[:, -1] > 0)).sum())
        answers = 100 * float(silent_less.mean() - silent.mean())
        found.append(Ablation(variant, tuple(differences), silenced, answers))
    return found


def noticeable(differ: int, photos: int) -> float:
    """Return the least true loss, in points, that the exact test would notice 4 times of 5.

    Args:
        differ: photos that the tool changes; fewer than six tell nothing at 5 %, so six are taken.
        photos: all of them.
    """
    from scipy.stats import binom, binomtest

    differ = max(differ, 6)
    low = (differ // 2) + 1
    enough = [n for n in range(low, differ + 1) if binomtest(n, differ).pvalue < 1 - LEVEL]
    for broken in np.linspace(0.5, 1.0, 501):
        if binom.sf(enough[0] - 1, differ, broken) >= POWER:
            return float(100 * (2 * broken - 1) * differ / photos)
    raise AssertionError("all broken are always noticed")


def difference(km: float, whole: Floats, less: Floats) -> Difference:
    """Return the paired difference of hits `[N]` and its exact interval.

    The photos that differ are fixed or broken by the tool, each alike if it has no effect: the
    interval is Clopper and Pearson's (Biometrika 1934) of the share that is fixed, times how many
    differ, as in McNemar's exact test. A bootstrap of four photos that differ would be too sure.
    """
    from scipy.stats import beta

    fixed, broken = int((whole > less).sum()), int((less > whole).sum())
    differ, tail = fixed + broken, (1 - LEVEL) / 2
    low = float(beta.ppf(tail, fixed, broken + 1)) if fixed else 0.0
    high = float(beta.ppf(1 - tail, fixed + 1, broken)) if broken else 1.0
    scale = 100 * differ / len(whole)
    return Difference(
        km,
        100 * (fixed - broken) / len(whole),
        (2 * low - 1) * scale,
        (2 * high - 1) * scale,
        fixed,
        broken,
        len(whole),
    )


def coverage_of(run: Run) -> dict[str, float]:
    """Return how often the 50, 80 and 95 % radii hold the truth, in percent of the answers."""
    held: dict[str, list[float]] = {str(nominal): [] for nominal in NOMINAL}
    pairs = [(truth, row) for truth, row in run.pairs() if row.radii is not None]
    if not pairs:
        return {}
    truths = np.array([(truth.latitude, truth.longitude) for truth, _ in pairs])
    said = np.array([(row.latitude, row.longitude) for _, row in pairs], dtype=np.float64)
    for away, (_, row) in zip(errors_km(truths, said, "wgs84"), pairs, strict=True):
        for nominal in NOMINAL:
            held[str(nominal)].append(float(away <= getattr(row.radii, f"km_{nominal}")))
    return {nominal: 100 * statistics.fmean(values) for nominal, values in held.items()}


def figures_of(run: Run) -> dict[str, Any]:
    """Return everything that is told of one run, for tables and for JSON."""
    accuracy = 100 * hits_of(run).mean(axis=0)
    answered = [row.latitude is not None for _, row in run.pairs()]
    ledger = ledger_of(run, thresholds_km=THRESHOLDS_KM, distance="haversine")
    return {
        **{f"@{km:g}": float(share) for km, share in zip(THRESHOLDS_KM, accuracy, strict=True)},
        "answered": 100 * statistics.fmean(answered),
        **{f"in {nominal} %": share for nominal, share in coverage_of(run).items()},
        "seconds": statistics.fmean(row.seconds for _, row in run.pairs()),
        "ledger": _ledger_rows(ledger),
    }


def _ledger_rows(ledger: Ledger) -> list[dict[str, Any]]:
    """Return oracle@1, 5 and 10 of each stage, and what it fixed and broke, by threshold."""
    rows = []
    for level in ledger.levels:
        changed = {shift.stage: shift for shift in level.shifts}
        for stage in ledger.stages:
            shift = changed.get(stage)
            share = 100 / ledger.photos
            rows.append(
                {
                    "km": level.threshold_km,
                    "stage": stage,
                    "right": level.right[stage] * share,
                    **{f"oracle@{k}": level.oracle[stage][k] * share for k in ("1", "5", "10")},
                    "fixed": len(shift.fixed) if shift else 0,
                    "broken": len(shift.broken) if shift else 0,
                }
            )
    return rows


def accuracy_table(figures: Mapping[tuple[Variant, int], Mapping[str, Any]]) -> list[str]:
    """Return a line for each recipe and analyst: accuracy, answers and coverage over seeds."""
    from evaluation.planet_report import spread

    columns = [*(f"@{km:g}" for km in THRESHOLDS_KM), "answered"]
    columns += [f"in {nominal} %" for nominal in NOMINAL]
    rows = [["recipe", *columns]]
    for variant in dict.fromkeys(v for v, _ in figures if not v.without):
        of = [told for (other, _), told in sorted(figures.items(), key=_seed) if other == variant]
        cells = [spread([told[column] for told in of if column in told]) for column in columns]
        rows.append([title(variant), *cells])
    return aligned(rows)


def ledger_table(figures: Mapping[tuple[Variant, int], Mapping[str, Any]]) -> list[str]:
    """Return a line for each recipe and stage at `LEDGER_KM`: oracle@k, fixed and broken."""
    from evaluation.planet_report import spread

    rows = [["recipe", "stage", "first is right", "oracle@5", "oracle@10", "fixed", "broken"]]
    for variant in dict.fromkeys(v for v, _ in figures if not v.without):
        of = [told for (other, _), told in sorted(figures.items(), key=_seed) if other == variant]
        stages = [row["stage"] for row in of[0]["ledger"] if row["km"] == LEDGER_KM]
        for number, stage in enumerate(stages):
            mine = [
                row
                for told in of
                for row in told["ledger"]
                if (row["km"], row["stage"]) == (LEDGER_KM, stage)
            ]
            shares = [spread([r[key] for r in mine]) for key in ("right", "oracle@5", "oracle@10")]
            counts = [str(sum(row[key] for row in mine)) for key in ("fixed", "broken")]
            rows.append([title(variant) if number == 0 else "", stage, *shares, *counts])
    return aligned(rows, left=2)


def ablation_table(ablations: Sequence[Ablation]) -> list[str]:
    """Return a line for each tool taken away, with MISS where it makes coarse accuracy worse."""
    rows = [
        [
            "loop", "tool", *(f"@{km:g}" for km in SHOWN_KM), "fixed/broken @2500", "noticed @2500",
            "answers", "silenced", "",
        ]
    ]  # fmt: skip
    for one in ablations:
        cells = [
            f"{d.points:+.1f} [{d.low:+.1f}, {d.high:+.1f}]"
            if d.fixed + d.broken
            else "none differ"
            for d in one.differences
        ]
        last = one.differences[-1]
        verdict = "MISS" if one.missed else "ok"
        named = title(one.variant.whole), one.variant.without
        counts = (
            f"{last.fixed}/{last.broken}",
            f"{noticeable(last.fixed + last.broken, last.photos):.1f}",
            f"{one.answers:+.1f}",
            str(one.silenced),
        )
        rows.append([*named, *cells, *counts, verdict])
    return aligned(rows, left=2)


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return rows as lines, the first `left` columns flush left and the others flush right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def title(variant: Variant) -> str:
    """Return what a row of a table calls a variant that has everything."""
    return f"{variant.recipe}, simulated {variant.profile}" if variant.profile else variant.recipe


def _seed(item: tuple[tuple[Variant, int], object]) -> int:
    return item[0][1]
