"""How a comparison of fusing rules is printed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.score_table import new_table, notes, plain
from evaluation.fusion import RIGHT_KM
from evaluation.metrics import THRESHOLDS_KM

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from evaluation.fusion_confidence import Figure
    from evaluation.fusion_scores import Comparison, RuleScore
    from evaluation.fusion_study import FusionReport

KILOMETRES = [f"{km:,g}" for km in THRESHOLDS_KM]
WIDE = 96
"""Columns of a terminal that has room for medians; JSON always has them."""
SETS = {
    "all": "all {} models",
    "strongest": "the {} strongest models, chosen on training photos",
    "weakest": "the {} weakest models, chosen on training photos",
}
SPLITS = {
    "cluster": "photos of one author or true coordinate never split",
    "photo": "split photo by photo",
}


def print_fusion(report: "FusionReport", console: "Console") -> None:
    """Print which answers there are, then every comparison."""
    console.print(
        f"{report.photos:,} photos of {report.clusters:,} authors or true coordinates, "
        f"{len(report.models)} models; {report.folds} folds, {report.repeats} random splits, "
        f"seed {report.seed}"
    )
    console.print(
        f"Distance: {report.conditions}. ± is one standard error, from a bootstrap over authors or "
        "true coordinates."
    )
    console.print(report.missing)
    console.print()
    console.print(_models(report))
    for comparison in report.comparisons:
        console.print()
        _print_comparison(comparison, console)
    notes(console, _left_out(report))


def _left_out(report: "FusionReport") -> list[str]:
    said = []
    if report.without_answer:
        said.append(
            f"photos without a coordinate from any model, misses: {report.without_answer:,}"
        )
    if report.unknown:
        ids = ", ".join(report.unknown_ids)
        said.append(f"answers to photos without truth, left out: {report.unknown:,} ({ids}, ...)")
    if report.without_truth:
        said.append(f"rows of the truth without a position, left out: {report.without_truth:,}")
    return said


def _models(report: "FusionReport") -> "Table":
    table = new_table(
        "Model", "Coordinates", "Stated", "Without, and why", left=("Without, and why",)
    )
    for one in report.models:
        why = "; ".join(f"{plain(reason)}: {count:,}" for reason, count in one.without.items())
        scale = f"{one.stated[0]:g}–{one.stated[1]:g}" if one.stated else "–"
        table.add_row(plain(one.model), f"{one.coordinates:,}/{one.photos:,}", scale, why or "–")
    return table


def _print_comparison(comparison: "Comparison", console: "Console") -> None:
    which = SETS[comparison.subset].format(comparison.models)
    which = which if comparison.models > 1 else "one model"
    full = comparison.subset == "all" and comparison.by == "cluster"
    console.print(f"[bold]{which[0].upper()}{which[1:]}[/], {SPLITS[comparison.by]}")
    rules = [one for one in sorted(comparison.rules, key=_order) if full or one.kind != "model"]
    console.print(_accuracies(rules, medians=console.width >= WIDE))
    console.print()
    console.print(_differences(comparison.belief, rules))
    console.print()
    console.print(_coverage(comparison))
    if full:
        console.print()
        console.print(
            f"Risk: % farther than {RIGHT_KM:g} km of the surest 50, 75 and 100 % of photos, and "
            "the area under the whole curve (0 is best):"
        )
        console.print(_signals(comparison))
        console.print()
        console.print(_agreement(comparison))


def _order(one: "RuleScore") -> int:
    return {"belief": 0, "rule": 1, "model": 2, "hindsight": 3}[one.kind]


def _accuracies(rules: "Sequence[RuleScore]", *, medians: bool) -> "Table":
    table = new_table("% within km", *KILOMETRES, *(["Median"] if medians else []))
    for one in rules:
        median = "–" if one.median_km is None else f"{one.median_km:,.1f} km"
        shares = (_percent(each) for each in one.accuracy.values())
        table.add_row(_name(one), *shares, *([median] if medians else []))
    return table


def _differences(belief: str, rules: "Sequence[RuleScore]") -> "Table":
    table = new_table(f"Less {plain(belief)}", *KILOMETRES)
    for one in rules:
        if one.minus_belief is not None:
            apart = (_percent(each, sign=True) for each in one.minus_belief.values())
            table.add_row(_name(one), *apart)
    return table


def _name(one: "RuleScore") -> str:
    name = plain(one.name)
    return {"belief": f"[bold]{name}[/]", "hindsight": f"[dim]{name}[/]"}.get(one.kind, name)


def _percent(figure: "Figure", *, sign: bool = False) -> str:
    form = "+.1f" if sign else ".1f"
    return f"{100 * figure.value:{form}} ±{100 * figure.standard_error:.1f}"


def _coverage(comparison: "Comparison") -> "Table":
    table = new_table("Radii of", "Nominal", "Hold the truth", "Median radius")
    for one in comparison.coverage:
        table.add_row(
            plain(one.rule),
            f"{100 * one.nominal:g} %",
            f"{_percent(one.coverage)} %",
            f"{one.median_km:,.1f} km",
        )
    return table


def _signals(comparison: "Comparison") -> "Table":
    shares = [share for share in comparison.signals[0].risk_at if share != "0.25"]
    columns = [f"{100 * float(share):g} %" for share in shares]
    whose = "orders the answers of"
    table = new_table("Confidence", whose, "Area", "Less belief", *columns, left=(whose,))
    for one in comparison.signals:
        less = one.minus_belief
        table.add_row(
            plain(one.name),
            plain(one.ranks),
            f"{one.aurc.value:.3f} ±{one.aurc.standard_error:.3f}",
            f"{less.value:+.3f} ±{less.standard_error:.3f}" if less else "–",
            *(f"{100 * one.risk_at[share]:.0f}" for share in shares),
        )
    return table


def _agreement(comparison: "Comparison") -> "Table":
    table = new_table("Models that agree", "Photos", "Medoid of them right", "Belief right")
    for one in comparison.agreement:
        table.add_row(
            f"{100 * one.low:g}–{100 * one.high:g} %",
            f"{one.photos:,.1f}",
            f"{100 * one.cluster_medoid:.0f} %",
            f"{100 * one.belief:.0f} %",
        )
    return table
