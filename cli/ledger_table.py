"""How ledgers are printed: the chain of first points, where the rest is lost, and the oracles."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from encoders.photo_file import printable
from evaluation.ledger import ALL, KS
from evaluation.ledger_means import Spread, means_of
from evaluation.metrics import DISTANCES, SIGNS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from evaluation.ledger import Ledger, Level
    from evaluation.ledger_means import LevelMeans

SHOWN_PHOTOS = 10
MINUS = "\N{MINUS SIGN}"
FIXED, BROKEN = "cyan", "yellow"


def print_ledgers(ledgers: "Sequence[Ledger]", console: "Console", *, photos: bool) -> None:
    """Print one ledger, or the means of several that `ledgers_of` made together."""
    means = means_of(ledgers)
    for line in _facts(ledgers):
        console.print(line)
    unit = "% of photos" if len(ledgers) > 1 else "photos"
    tables = {
        f"First point right after each stage, % of photos; below, {unit} fixed and broken": _chain,
        "Where photos end, % of photos: each in one row": _ends,
        "Oracle@k: one of the first k points right, % of photos": _oracles,
    }
    for title, table in tables.items():
        console.print(f"\n[bold]{title}[/]")
        console.print(table(ledgers, means))
    if photos:
        _photos(ledgers, console)


def _facts(ledgers: "Sequence[Ledger]") -> Iterator[str]:
    """Yield what the figures are of, and all that they leave out or count as missed."""
    first, runs = ledgers[0], len(ledgers)
    yield f"[bold]{_plain(first.recipe)}[/] on {_plain(first.dataset)}: {first.photos:,} photos" + (
        f", {runs} runs: means, and least–most of the runs" if runs > 1 else ""
    )
    yield (
        f"Distance: {DISTANCES[first.distance]}; right means distance "
        f"{SIGNS[first.operator]} threshold."
    )
    told = [(_missed(one), _ran(one)) for one in ledgers]
    if runs > 1 and len(set(told)) == 1:
        told = told[:1]
    for number, (missed, ran) in enumerate(told, start=1):
        whose = "" if runs == 1 else f"Run {number}: " if len(told) > 1 else "Each run: "
        if missed:
            yield f"[yellow]{whose}{missed}: a miss everywhere, and counted in every share.[/]"
        yield f"{whose}{ran}"
    if len(first.stages) > 1:
        yield (
            "[dim]Where a stage did not run or named nothing, a photo carries the former stage's "
            "points on; only the final answer is never carried.[/]"
        )


def _missed(ledger: "Ledger") -> str:
    misses = [
        (ledger.not_reached, "not reached yet (run it again to go on)"),
        (ledger.failed, "failed"),
        (ledger.unanswered, "answered without a place"),
    ]
    return ", ".join(f"{count:,} {what}" for count, what in misses if count)


def _ran(ledger: "Ledger") -> str:
    told = []
    for stage in ledger.stages[:-1]:
        silent = ledger.silent[stage]
        nothing = f" and named nothing for {silent:,}" if silent else ""
        told.append(f"{stage} ran for {ledger.ran[stage]:,}{nothing}")
    return f"Stages: {'; '.join(told)}." if told else "Stages: none but the final answer."


def _chain(ledgers: "Sequence[Ledger]", means: "Sequence[LevelMeans]") -> "Table":
    """Return the accuracy after each stage, and what the stage changed."""
    stages, several = ledgers[0].stages, len(ledgers) > 1
    table = _table("Stage", *(_km(one) for one in means))
    for number, stage in enumerate(stages):
        cells = []
        for level, mean in enumerate(means):
            cell = _share(mean.accuracy_percent[stage], several=several, bold=True)
            if number:
                if several:
                    fixed = f"{mean.fixed_percent[stage].mean:.1f}"
                    broken = f"{mean.broken_percent[stage].mean:.1f}"
                else:
                    shift = ledgers[0].levels[level].shifts[number - 1]
                    fixed, broken = str(len(shift.fixed)), str(len(shift.broken))
                cell.append("\n").append(f"+{fixed}", FIXED).append(f" {MINUS}{broken}", BROKEN)
            cells.append(cell)
        table.add_row(stage, *cells)
    return table


def _ends(ledgers: "Sequence[Ledger]", means: "Sequence[LevelMeans]") -> "Table":
    """Return where all photos end; the shares of a column sum to 100."""
    several = len(ledgers) > 1
    table = _table("", *(_km(one) for one in means))

    def add(name: str, spreads: Iterable[Spread], *, bold: bool = False) -> None:
        table.add_row(name, *(_share(one, several=several, bold=bold) for one in spreads))

    add("right at the end", (one.accuracy_percent["final"] for one in means), bold=True)
    for stage in ledgers[0].stages[1:]:
        name = "lost at the final pick" if stage == "final" else f"lost at {stage}"
        add(name, (one.lost_percent[stage] for one in means))
    add("never proposed", (one.never_proposed_percent for one in means))
    return table


def _oracles(ledgers: "Sequence[Ledger]", means: "Sequence[LevelMeans]") -> "Table":
    """Return the photos with one of the first k points right, stage by stage."""
    from rich.text import Text

    several = len(ledgers) > 1
    table = _table("Stage", *(f"@{k}" for k in KS), ALL)
    for number, mean in enumerate(means):
        if number:
            table.add_section()
        table.add_row(Text(f"within {_km(mean)}", "bold"))
        for stage, ks in mean.oracle_percent.items():
            shares = [_share(one, several=several) for one in ks.values()]
            if stage == "final":
                shares[1:] = [Text("–", "dim")] * (len(shares) - 1)
            table.add_row(stage, *shares)
    return table


def _photos(ledgers: "Sequence[Ledger]", console: "Console") -> None:
    for number, ledger in enumerate(ledgers, start=1):
        for level in ledger.levels:
            whose = f"run {number}, " if len(ledgers) > 1 else ""
            console.print()
            console.print(f"[bold]Photos, {whose}within {level.threshold_km:,g} km[/]")
            for name, ids in _cells(level):
                if ids:
                    console.print(f"  {name} ({len(ids):,}): {_named(ids)}", soft_wrap=True)


def _cells(level: "Level") -> Iterator[tuple[str, tuple[str, ...]]]:
    for shift in level.shifts:
        yield f"fixed at {shift.stage}", shift.fixed
        gone = f", {shift.unanswered:,} without an answer" if shift.unanswered else ""
        yield f"broken at {shift.stage}{gone}", shift.broken
    for stage, ids in level.split.lost.items():
        yield f"lost at {stage}", ids
    yield "never proposed", level.split.never_proposed


def _named(ids: Sequence[str]) -> str:
    shown = ", ".join(_plain(one) for one in ids[:SHOWN_PHOTOS])
    more = len(ids) - SHOWN_PHOTOS
    return f"{shown} [dim]and {more:,} more, which --json names[/]" if more > 0 else shown


def _table(*columns: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _share(one: Spread, *, several: bool, bold: bool = False) -> "Text":
    from rich.text import Text

    text = Text(f"{one.mean:.1f}", "bold" if bold else "")
    if several:
        text.append(f"\n{one.least:.1f}–{one.most:.1f}", "dim")
    return text


def _km(level: "LevelMeans") -> str:
    return f"{level.threshold_km:,g} km"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text, 120))
