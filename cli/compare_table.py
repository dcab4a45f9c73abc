"""How a comparison is printed: A and B side by side, their difference, and how sure it is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.score_table import (
    SHOWN_SLICES,
    amount,
    how,
    more,
    new_table,
    notes,
    plain,
    span,
    threshold,
)
from evaluation.metrics import SIGNS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from evaluation.compare import Comparison
    from evaluation.compared import Difference, Moved, SliceDifference


def print_comparison(found: "Comparison", console: "Console") -> None:
    """Print a comparison with everything that it depends on."""
    console.print(
        f"A [bold]{plain(found.a)}[/], B [bold]{plain(found.b)}[/] against {plain(found.truth)}"
    )
    console.print(
        f"{found.photos:,} photos; without an answer, a miss everywhere: A {found.a_failures:,}, "
        f"B {found.b_failures:,}"
    )
    intervals = (found.resamples, found.level, found.authors)
    console.print(how(found.distance, found.operator, *intervals, naive=False))
    console.print(
        "Differences are B minus A; won and lost count photos that only B, only A has right; p is "
        "of McNemar's exact test, which takes photos for independent."
    )
    console.print()
    console.print(_accuracies(found))
    console.print()
    console.print(_wholes(found))
    for column, slices in found.slices.items():
        console.print()
        console.print(_sliced(column, slices))
        more(console, len(slices))
    if found.moved:
        console.print()
        console.print(_moved(found.moved))
    notes(console, found.notes)


def _accuracies(found: "Comparison") -> "Table":
    table = new_table("", "A %", "B %", "B - A", "Won", "Lost", "p", "By author")
    for one in found.differences:
        table.add_row(
            f"{SIGNS[found.operator]} {threshold(one.threshold_km)}",
            f"{one.a:.2f}",
            f"{one.b:.2f}",
            f"{one.value or 0.0:+.2f}",
            f"{one.won:,}",
            f"{one.lost:,}",
            _p(one.p),
            span(one.clustered, "percent", sign=True),
        )
    return table


def _wholes(found: "Comparison") -> "Table":
    table = new_table("", "A", "B", "B - A", "By author")
    rows = (
        ("GeoScore", found.a_geoscore, found.b_geoscore, found.geoscore),
        ("median", found.a_median_km, found.b_median_km, found.median_difference_km),
    )
    for name, ours, theirs, figure in rows:
        table.add_row(
            name,
            amount(ours, figure.unit),
            amount(theirs, figure.unit),
            amount(figure.value, figure.unit, sign=True),
            span(figure.clustered, figure.unit, sign=True),
        )
    table.caption = f"median, B - A: of each of {found.both_answered:,} photos that both answered"
    return table


def _sliced(column: str, slices: "Sequence[SliceDifference]") -> "Table":
    thresholds = [f"{one.threshold_km:,g}" for one in slices[0].differences]
    table = new_table(plain(column), "Photos", *thresholds)
    for one in slices[:SHOWN_SLICES]:
        table.add_row(plain(one.label), f"{one.photos:,}", *map(_rounded, one.differences))
    table.caption = "B - A in % within km, ± one standard error by author (none: a single author)"
    return table


def _moved(moved: "Sequence[Moved]") -> "Table":
    table = new_table("Photos that differ most", "A off by", "B off by")
    for one in moved:
        table.add_row(plain(one.image_id), _off(one.a_km), _off(one.b_km))
    return table


def _rounded(one: "Difference") -> str:
    error = f" ±{one.clustered.standard_error:.0f}" if one.clustered else ""
    return f"{one.value or 0.0:+.0f}{error}"


def _off(km: float | None) -> str:
    return "no answer" if km is None else amount(km, "km")


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
