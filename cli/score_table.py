"""How scores are printed: what is of what, and intervals side by side."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from encoders.photo_file import printable
from evaluation.metrics import DISTANCES, SIGNS, Distance, Operator

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from evaluation.bootstrap import Interval
    from evaluation.figures import Figure, Slice
    from evaluation.scoring import Score

SHOWN_SLICES = 25
"""Labels of a column on a terminal; JSON has all."""
SHOWN_REASONS = 6
DECIMALS = {"percent": 2, "km": 1, "points": 1}
UNITS = {"percent": " %", "km": " km", "points": ""}


def print_score(score: "Score", console: "Console") -> None:
    """Print a score with everything that it depends on."""
    console.print(f"[bold]{plain(score.predictions)}[/] against {plain(score.truth)}")
    for line in _facts(score):
        console.print(line)
    console.print(how(score.distance, score.operator, score.resamples, score.level, score.authors))
    console.print()
    console.print(_figures(score))
    for column, slices in score.slices.items():
        console.print()
        console.print(_sliced(column, slices))
        more(console, len(slices))
    notes(console, score.notes)


def how(
    distance: Distance,
    operator: Operator,
    resamples: int,
    level: float,
    authors: int,
    *,
    naive: bool = True,
) -> str:
    """Say how distances were measured and what intervals are; `naive` if both kinds are shown."""
    said = f"Distance: {DISTANCES[distance]}; within means distance {SIGNS[operator]} threshold."
    if not resamples:
        return said + " No intervals."
    drawn = f"Intervals: {100 * level:.0f} %, {resamples:,} resamples, ± is one standard error"
    if not authors:
        return (
            f"{said}\n{drawn}; no authors are known, so photos are taken for independent, which "
            "makes intervals too narrow where they are not."
        )
    by_author = f"by author: over {authors:,} authors with all their photos"
    if naive:
        by_author = f"naive: over photos, as if independent; {by_author} (the one to trust)"
    return f"{said}\n{drawn}; {by_author}."


def notes(console: "Console", said: Iterable[str]) -> None:
    """Print what was left out or looks odd, so that nobody overlooks it."""
    for number, note in enumerate(said):
        if not number:
            console.print()
        console.print(f"[yellow]Note:[/] {plain(note)}")


def amount(value: float | None, unit: str, *, sign: bool = False) -> str:
    """Return a figure with its unit; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:{'+' if sign else ''},.{DECIMALS[unit]}f}{UNITS[unit]}"


def span(interval: "Interval | None", unit: str, *, sign: bool = False) -> str:
    """Return an interval and its standard error; a dash where there is none."""
    if interval is None:
        return "–"
    digits = DECIMALS[unit] if unit == "percent" or sign else 0
    form = f"{'+' if sign else ''},.{digits}f"
    ends = " to " if sign else "–"
    return (
        f"{interval.low:{form}}{ends}{interval.high:{form}} ±{interval.standard_error:,.{digits}f}"
    )


def new_table(*columns: str, left: Sequence[str] = ()) -> "Table":
    """Return a table whose first column is text and whose others are numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for number, column in enumerate(columns):
        text = not number or column in left
        table.add_column(
            column,
            justify="left" if text else "right",
            overflow="fold",  # a figure that is cut would be another figure
            min_width=10 if text else None,
        )
    return table


def threshold(km: float) -> str:
    """Return a threshold as tables call it: `25 km`."""
    return f"{km:,g} km"


def _facts(score: "Score") -> list[str]:
    share = f"{score.answered_percent:.2f} %"
    said = [f"{score.photos:,} photos, {score.answered:,} answered ({share})"]
    if score.failures:
        reasons = list(score.failure_reasons.items())
        told = [f"{plain(reason)}: {count:,}" for reason, count in reasons[:SHOWN_REASONS]]
        rest = sum(count for _, count in reasons[SHOWN_REASONS:])
        told += [f"other reasons: {rest:,}"] if rest else []
        said[0] += f"; [yellow]{score.failures:,} failures, each a miss everywhere[/]"
        said.append(f"Failures: {'; '.join(told)}")
    else:
        said[0] += "; no failures"
    spent = score.spent
    if spent.seconds is not None and spent.timed:
        mean = spent.seconds / spent.timed
        said.append(f"Time: {spent.seconds:,.1f} s for {spent.timed:,} photos, {mean:,.2f} s each")
    if spent.tokens is not None and spent.counted:
        cost = "" if spent.cost is None else f", costing {spent.cost:,.4g} at {spent.price:g}/M"
        mean = spent.tokens / spent.counted
        said.append(
            f"Tokens: {spent.tokens:,} for {spent.counted:,} photos, {mean:,.0f} each{cost}"
        )
    return said


def _figures(score: "Score") -> "Table":
    table = new_table("", "Score", "Photos", "Naive", "By author")
    for one in score.accuracies:
        table.add_row(
            f"{SIGNS[score.operator]} {threshold(one.threshold_km)}",
            amount(one.value, one.unit),
            f"{one.hits:,}/{one.photos:,}",
            *_spans(one),
        )
    whole = (
        ("mean", score.mean_km),
        ("median", score.median_km),
        ("GeoScore", score.geoscore),
    )
    for name, figure in whole:
        table.add_row(
            name, amount(figure.value, figure.unit), f"{figure.photos:,}", *_spans(figure)
        )
    for named in score.names:
        table.add_row(
            f"right {named.kind}",
            amount(named.value, named.unit),
            f"{named.hits:,}/{named.photos:,}",
            *_spans(named),
        )
    return table


def _spans(figure: "Figure") -> tuple[str, str]:
    return span(figure.naive, figure.unit), span(figure.clustered, figure.unit)


def _sliced(column: str, slices: "Sequence[Slice]") -> "Table":
    thresholds = [f"{one.threshold_km:,g}" for one in slices[0].accuracies]
    table = new_table(plain(column), "Photos", "Answered", *thresholds, "Median")
    table.caption = "% of photos within km"
    for one in slices[:SHOWN_SLICES]:
        table.add_row(
            plain(one.label),
            f"{one.photos:,}",
            f"{one.answered:,}",
            *(_percent(each) for each in one.accuracies),
            "–" if one.median_km is None else f"{one.median_km:,.0f} km",
        )
    return table


def _percent(figure: "Figure") -> str:
    return "–" if figure.value is None else f"{figure.value:.1f}"


def more(console: "Console", count: int) -> None:
    """Say how many labels of a column were left out."""
    if count > SHOWN_SLICES:
        console.print(f"[dim]and {count - SHOWN_SLICES:,} more, which --json has[/]")


def plain(text: str) -> str:
    """Return foreign text on one line, with nothing in it that is markup."""
    from rich.markup import escape

    return escape(printable(text, 400))
