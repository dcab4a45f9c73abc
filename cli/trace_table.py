"""Traces on the terminal: events in words, what each step took, what differs between two."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.event_words import words_of
from agent.report_format import duration
from agent.trace import Event
from agent.trace_diff import Only, TraceDifference
from agent.trace_summary import pictures_of, taken
from encoders.photo_file import printable

UNFOLLOWED = 400
"""Letters of one difference."""


def print_events(rows: Sequence[tuple[Event, int]]) -> None:
    """Print events with their steps, wrapped under their words."""
    table = Table.grid(padding=(0, 1))
    for heading in ("number", "seconds", "step"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("kind", no_wrap=True, style="bold")
    table.add_column("words", overflow="fold")
    for event, step in rows:
        told = words_of(event)
        for photo, caption in pictures_of(event) if event.kind != "photo" else ():
            told += f"\npicture {printable(photo[:12])}: {printable(caption, 120)}"
        shown = f"{event.seconds:.3f} s", str(step or "")
        table.add_row(str(event.number), *shown, event.kind, escape(told))
    _console().print(table)


def print_taken(events: Sequence[Event], steps: Sequence[int] = ()) -> None:
    """Print what each step took, and all of them."""
    rows = [row for row in taken(events) if not steps or row.step in steps]
    if not rows:
        return
    table = Table(box=None, pad_edge=False, title_justify="left", header_style="bold")
    for heading in ("run", "step", "node", "time", "tool calls", "replies", "tokens"):
        table.add_column(heading, justify="left" if heading == "node" else "right")
    for row in rows:
        tokens = f"{row.tokens_in:,} + {row.tokens_out:,}" if row.asked else ""
        table.add_row(
            str(row.run), str(row.step or ""), row.node, duration(row.seconds),
            str(row.calls or ""), str(row.asked or ""), tokens,
        )  # fmt: skip
    table.add_section()
    tokens = f"{sum(r.tokens_in for r in rows):,} + {sum(r.tokens_out for r in rows):,}"
    table.add_row(
        "", "", "all", duration(sum(r.seconds for r in rows)), str(sum(r.calls for r in rows)),
        str(sum(r.asked for r in rows)), tokens, style="bold",
    )  # fmt: skip
    console = _console()
    console.print()
    console.print(table)


def print_difference(found: TraceDifference, first: str, second: str) -> None:
    """Print what differs between two traces."""
    console = _console()
    console.print(escape(f"- {printable(first, 200)}\n+ {printable(second, 200)}"))
    if found.same:
        console.print("\nThey tell the same, times aside.")
    elif found.shared:
        console.print(f"\nBoth begin with the same {found.shared} events; what follows differs.")
    _section(console, "Answers", found.answers)
    _section(console, "What shaped the runs", found.setups)
    for heading, only in (
        ("Evidence", found.evidence), ("Tool calls", found.calls), ("Model replies", found.replies)
    ):  # fmt: skip
        _section(console, f"{heading} in only one", _signed(only))
    _print_spent(console, found.spent)


def _print_spent(console: Console, spent: dict[str, tuple[float, float]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Spent", "-", "+"):
        table.add_column(heading, justify="left" if heading == "Spent" else "right")
    for name, pair in spent.items():
        shown = [duration(one) if name == "seconds" else f"{one:,.0f}" for one in pair]
        table.add_row("time" if name == "seconds" else name, *shown)
    console.print()
    console.print(table)


def _signed(only: Only) -> list[str]:
    return [*(f"- {one}" for one in only.first), *(f"+ {one}" for one in only.second)]


def _section(console: Console, heading: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    console.print(f"\n[bold]{heading}[/]")
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(overflow="fold")
    for one in lines:
        table.add_row("", escape(printable(one, UNFOLLOWED)))
    console.print(table)


def _console() -> Console:
    return Console(highlight=False)
