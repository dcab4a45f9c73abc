"""Steps of a run as they are printed while it goes on: a mark, and words with a hanging indent."""

from typing import NamedTuple

from pydantic import JsonValue
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from agent.answer import Step
from agent.event_words import (
    conflict_lines,
    line,
    mishap_line,
    prior_lines,
    purpose,
    reply_line,
    trajectory_line,
    trajectory_of,
    words_of,
)
from agent.model_use import DECIDING, said_of
from agent.report_format import distance, duration
from agent.trace import Event

MARKS = {"ok": "[green]✓[/]", "refused": "[yellow]✗[/]", "unavailable": "[red]![/]"}
QUIET_PURPOSES = ("prior", "diversify")
"""Their replies are one step each, which is printed; many at once are no news one by one."""
QUIET_MISHAPS = (
    ("call-id", "repaired"),
    ("missing-argument", "answered"),
    ("out-of-range", "answered"),
    ("unknown-argument", "answered"),
    ("unknown-tool", "answered"),
    ("wrong-type", "answered"),
)
"""Of no consequence, or told by the refused step that follows; all are counted at the end."""
COLOURS = ("cyan", "magenta", "yellow", "green")
"""Of parallel investigations."""


def step_row(step: Step) -> Table:
    """Return a step as it is listed afterwards, by its number."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, justify="right", width=3, style="dim")
    table.add_column(no_wrap=True, width=1)
    table.add_column(overflow="fold")
    table.add_row(str(step.number), MARKS[step.outcome], _told(step.tool, step.seconds, step.text))
    return table


def _told(tool: JsonValue, seconds: float, text: JsonValue) -> str:
    """Return a tool's name, time and words as markup."""
    return f"[bold]{escape(line(tool, 60))}[/] [dim]{duration(seconds)}[/] {escape(line(text))}"


class Row(NamedTuple):
    """One printed step; `text` is rich markup."""

    mark: str
    text: str


class Steps:
    """Says what to print for each event, and what is being waited for."""

    def __init__(self) -> None:
        self._turns: dict[int, int] = {}
        self._running: dict[str, str] = {}
        self._asked: dict[str, int] = {}

    def row(self, event: Event) -> RenderableType | None:
        """Return what is printed, or None for what people need not see live."""
        made = self._row(event)
        if made is None:
            return None
        number = trajectory_of(event.data)
        table = Table.grid(padding=(0, 1))
        if number:
            table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, width=1)
        table.add_column(overflow="fold")
        tag = [f"[{COLOURS[(number - 1) % 4]}]{number}│[/]"] if number else []
        first, *more = made
        table.add_row(*tag, *first)
        for row in more:
            table.add_row(*tag, *row)
        return table

    def waiting(self, event: Event) -> str | None:
        """Return what is being waited for after an event, in words; None where it is the same."""
        data = event.data
        if event.kind == "model_call":
            key = f"{line(data['model'], 60)} ({purpose(str(data['purpose']))})"
            self._asked[key] = self._asked.get(key, 0) + 1
        elif event.kind == "model_reply":
            self._asked = {}
        elif event.kind == "tool_call":
            self._running[str(data["id"])] = line(data["tool"], 60)
        elif event.kind == "tool_result":
            self._running.pop(str(data["call_id"]), None)
        else:
            return None
        if self._asked:
            return f"Waiting for {escape(', '.join(self._asked))} ..."
        if self._running:
            return f"Running {escape(', '.join(dict.fromkeys(self._running.values())))} ..."
        return "Weighing the evidence ..."

    def _row(self, event: Event) -> list[Row] | None:
        data = event.data
        if event.kind == "tool_result":
            return self._result(event)
        if event.kind == "model_reply":
            return self._reply(event)
        if event.kind == "malformed":
            if (data["kind"], data["action"]) in QUIET_MISHAPS:
                return None
            return [Row(" ", f"[yellow]Malformed reply: {escape(mishap_line(data))}[/]")]
        if event.kind == "conflict":
            first, *sides = conflict_lines(data)
            rows = [Row("[yellow]≠[/]", f"[yellow]{escape(first)}[/]")]
            return rows + [Row("", f"[dim]–[/] {escape(side)}") for side in sides]
        if event.kind in ("retry", "context", "notice"):
            return [Row("[yellow]·[/]", f"[yellow]{escape(words_of(event))}[/]")]
        if event.kind == "trajectory":
            colour = COLOURS[(int(str(data["number"])) - 1) % 4]
            told = escape(trajectory_line(data))
            return [Row(f"[{colour}]■[/]", f"[{colour}]{told[:1].upper()}{told[1:]}[/]")]
        return self._state(event)

    def _state(self, event: Event) -> list[Row] | None:
        data = event.data
        if event.kind == "belief":
            radius = distance(float(str(data["km_80"])))
            status = escape(str(data["status"]))
            return [Row(" ", f"[dim]belief: {status}, 80 % within {radius}[/]")]
        if event.kind == "budget":
            spent = escape(line(data["exhausted"]))
            return [Row("[yellow]·[/]", f"[yellow]Budget spent ({spent}): committing now.[/]")]
        if event.kind == "rejection":
            value, reason = escape(line(data["value"], 60)), escape(line(data["reason"]))
            return [Row(" ", f"[dim]dropped {value}: {reason}[/]")]
        return None

    def _result(self, event: Event) -> list[Row]:
        data, found = event.data, event.data.get("data")
        mark, seconds = MARKS[str(data["outcome"])], duration(float(str(data["seconds"])))
        if data["tool"] == "prior" and data["outcome"] == "ok" and isinstance(found, dict):
            told, *more = prior_lines(found)
            rows = [Row(mark, f"[bold]first impression[/] [dim]{seconds}[/] {escape(told)}")]
            return rows + [Row("", f"[dim]–[/] {escape(one)}") for one in more]
        return [Row(mark, _told(data["tool"], float(str(data["seconds"])), data["text"]))]

    def _reply(self, event: Event) -> list[Row] | None:
        data = event.data
        if data["purpose"] in QUIET_PURPOSES:
            return None
        told = f"[bold]{escape(line(data['model'], 60))}[/] [dim]{escape(reply_line(data))}[/]"
        if data["purpose"] not in DECIDING:
            return [Row("[blue]•[/]", told)]
        which = trajectory_of(data)
        turn = self._turns[which] = self._turns.get(which, 0) + 1
        rows = [Row("[blue]•[/]", f"[blue]turn {turn}[/] {told}")]
        said = said_of(data.get("text"))
        return rows + ([Row("", f"[italic]“{escape(said)}”[/]")] if said else [])
