"""Run a geolocator with live, readable steps on the terminal."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.status import Status
from rich.table import Table

from agent.answer import Answer
from agent.effect_words import effect_lines, within_words
from agent.event_words import mishap
from agent.geolocator import Geolocator, answer_of
from agent.grounding import UNGROUNDED
from agent.model_use import ModelUse
from agent.report import write_report
from agent.report_format import digits_for, distance, duration, percent, visible
from agent.telling import Teller
from agent.trace import Event
from cli.steps import Steps
from geo.coordinate import Coordinate

SHOWN_EFFECTS = 5
STATUS_STYLES = {"located": "green", "region": "yellow", "undetermined": "red"}


def locate_with_output(
    geolocator: Geolocator,
    photo: Path,
    *,
    hint: str = "",
    trust_metadata: bool = False,
    trace: Path | None = None,
    report: Path | None = None,
    quiet: bool = False,
    console: Console | None = None,
) -> Answer:
    """Locate a photo, print each step as it happens, write the report, return the answer.

    All of it is told as finely as `Settings.disclosure` allows.
    """
    console = console or Console(quiet=quiet, highlight=False)
    answer: Answer | None = None
    # Names may hold bytes that no terminal can show.
    name = str(photo).encode(errors="replace").decode()
    events = geolocator.stream(photo, hint=hint, trust_metadata=trust_metadata, trace=trace)
    for event in shown(_told(events, geolocator), console):
        if event.kind == "answer":
            answer = answer_of(event)
    assert answer is not None
    if report is not None:
        write_report(answer, geolocator.bench.photos, report)
    console.print(answer_panel(answer, name, report))
    return answer


def _told(events: Iterable[Event], geolocator: Geolocator) -> Iterator[Event]:
    """Yield what may be told of events; the trace's file holds all."""
    level = geolocator.settings.disclosure
    teller = Teller(level, lambda: geolocator.bench.gazetteer)
    for event in events:
        if level == "exact":
            yield event
        elif (found := teller.event("", event)) is not None:
            yield found


def shown(
    events: Iterable[Event],
    console: Console,
    doing: str = "Opening the photo ...",
    status: Status | None = None,
) -> Iterator[Event]:
    """Print the steps of a run as they happen, say what is waited for, and yield every event.

    Args:
        events: of one run.
        console: where to.
        doing: what is waited for first.
        status: says what is waited for; one of its own by default.
    """
    steps = Steps()
    with status or console.status(doing) as status:
        for event in events:
            if (row := steps.row(event)) is not None:
                console.print(row)
            if event.kind == "question":
                status.stop()  # somebody is about to type
            elif waiting := steps.waiting(event):
                status.update(waiting)
                status.start()
            yield event


def answer_panel(answer: Answer, name: str, report: Path | None = None) -> Panel:
    """Return the answer as a panel: where, how sure, why, what to open next."""
    return _panel(answer, name, _rows(answer, report))


def revision_panel(answer: Answer, name: str, changed: Sequence[str] = ()) -> Panel:
    """Return an answer in a conversation: where, how sure, and what changed; `/why` has the rest.

    Args:
        answer: of any revision.
        name: of the photo.
        changed: from the revision before, see `agent.answer_changes`.
    """
    rows = [("Changed", ", ".join(changed))] if changed else []
    rows += _where(answer)
    said = f"“{answer.reason}”{_ungrounded(answer)}"
    rows += [(f"{answer.driver} says", said)] if answer.reason and answer.model else []
    rows += _metadata(answer)
    rows += [("Missing", line) for line in answer.missing]
    took = f"{len(answer.steps)} steps, {duration(answer.seconds)}"
    rows.append(("Ended", f"{answer.stopped_because}, {took}"))
    rows.append(("Caution", answer.caution))
    return _panel(answer, name, rows, f" [dim]revision {answer.revision}[/]")


def _panel(answer: Answer, name: str, rows: Sequence[tuple[str, str]], more: str = "") -> Panel:
    style = STATUS_STYLES[answer.status]
    title = f"[{style}]{headline(answer)}[/] {escape(visible(name))}{more}"
    table = labelled(rows)
    return Panel(table, title=title, title_align="left", border_style=style, expand=False)


def labelled(rows: Iterable[tuple[str, str]]) -> Table:
    """Return rows of a label and a text, which is data and shown as it is."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(escape(visible(label)), escape(visible(text)))
    return table


def headline(answer: Answer) -> str:
    """Return the status in words."""
    return {
        "located": "Located",
        "region": "Region only",
        "undetermined": "Cannot tell",
    }[answer.status]


def _where(answer: Answer) -> list[tuple[str, str]]:
    """Return rows on where the photo was taken, and how sure that is."""
    rows = []
    if answer.radii and answer.latitude is not None and answer.longitude is not None:
        names = (answer.place, answer.admin1, answer.country_name)
        rows.append(("Where", ", ".join(part for part in names if part) or "at sea"))
        radii = answer.radii
        digits = digits_for(radii.km_50)
        rows.append(("Coordinate", f"{answer.latitude:.{digits}f}, {answer.longitude:.{digits}f}"))
        rows.append(
            (
                "Radius",
                f"50 % within {distance(radii.km_50)}, 80 % within {distance(radii.km_80)}, "
                f"95 % within {distance(radii.km_95)}",
            )
        )
        if answer.within:
            rows.append(("Near it", within_words(answer.within)))
        for label, shares, most in (
            ("Belief", answer.countries, 4), ("", answer.admin_shares, 3)
        ):  # fmt: skip
            if named := [f"{name} {percent(share)}" for name, share in shares.items()][:most]:
                rows.append((label, ", ".join(named)))
    return rows


def reasons(answer: Answer) -> list[tuple[str, str]]:
    """Return rows on why it is this answer."""
    rows = [("Why", _listed(answer.because))]
    if answer.contributions:
        tools = {item.id: item.tool for item in answer.evidence}
        rows.append(("Effect", "\n".join(effect_lines(answer.contributions, tools, SHOWN_EFFECTS))))
    if answer.reason and answer.model:
        rows.append((f"{answer.driver} says", f"“{answer.reason}”{_ungrounded(answer)}"))
    return rows


def _metadata(answer: Answer) -> list[tuple[str, str]]:
    if answer.claimed_latitude is None or answer.claimed_longitude is None:
        return []
    claimed = Coordinate(answer.claimed_latitude, answer.claimed_longitude).decimal()
    used = "used" if answer.trusted_metadata else "not used; --trust-metadata lets it count"
    return [("Metadata", f"claims {claimed} ({used})")]


def _rows(answer: Answer, report: Path | None) -> list[tuple[str, str]]:
    rows = _where(answer) + reasons(answer) + _metadata(answer)
    rows += [("Missing", line) for line in answer.missing]
    decided = answer.driver if answer.driver == answer.recipe else f"driver {answer.driver}"
    rows.append(("Recipe", f"{answer.recipe}, {decided}, picked by {answer.picked_by}"))
    if answer.calibration:
        rows.append(("Calibration", answer.calibration))
    if answer.model:
        rows.append(("Model", _model(answer.model)))
    rows.append(("Time", f"{duration(answer.seconds)}, stopped because: {answer.stopped_because}"))
    rows.append(("Trace", answer.trace_path))
    if report is not None:
        rows.append(("Report", str(report)))
    rows.append(("Caution", answer.caution))
    return rows


def _listed(reasons: str) -> str:
    """Return reasons, each of which ends with the evidence it can be followed to, line by line."""
    return re.sub(r"(?<=\]) (?=\S)", "\n", reasons)


def _ungrounded(answer: Answer) -> str:
    if UNGROUNDED not in answer.reason:
        return ""
    return "\nThe model's own words; a number that no tool reported was taken out of them."


def _model(use: ModelUse) -> str:
    """Return what the model did, in a sentence."""
    told = f"{use.calls} replies, {use.tokens_in:,} + {use.tokens_out:,} tokens"
    told += f", {duration(use.seconds)} of its time"
    if use.retries:
        told += f", {use.retries} requests repeated"
    if use.mishaps:
        kinds = ", ".join(f"{one.count} x {mishap(one.kind)}" for one in use.mishaps)
        told += f"; malformed: {kinds}"
    return told
