"""Run a geolocator with live, readable steps on the terminal."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from agent.answer import Answer
from agent.geolocator import Geolocator, answer_of
from agent.report import write_report
from agent.report_format import digits_for, distance, percent
from agent.trace import Event
from geo.coordinate import Coordinate

NOTED = ("malformed", "retry", "context", "conflict", "notice")
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
    """Locate a photo, print each step as it happens, write the report, return the answer."""
    console = console or Console(quiet=quiet, highlight=False)
    answer: Answer | None = None
    # Names may hold bytes that no terminal can show.
    name = str(photo).encode(errors="replace").decode()
    with console.status("Opening the photo ...") as status:
        events = geolocator.stream(photo, hint=hint, trust_metadata=trust_metadata, trace=trace)
        for event in events:
            if event.kind == "question":
                status.stop()  # somebody is about to type
            elif event.kind == "model_call":
                status.update(f"Waiting for {escape(str(event.data['model']))} ...")
                status.start()
            if event.kind == "answer":
                answer = answer_of(event)
            elif line := _line(event):
                console.print(line)
    assert answer is not None
    if report is not None:
        write_report(answer, geolocator.bench.photos, report)
    console.print(answer_panel(answer, name, report))
    return answer


def answer_panel(answer: Answer, name: str, report: Path | None = None) -> Panel:
    """Return the answer as a panel: where, how sure, why, what to open next."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in _rows(answer, report):
        table.add_row(label, escape(text))
    style = STATUS_STYLES[answer.status]
    title = f"[{style}]{headline(answer)}[/] {escape(name)}"
    return Panel(table, title=title, title_align="left", border_style=style, expand=False)


def headline(answer: Answer) -> str:
    """Return the status in words."""
    return {
        "located": "Located",
        "region": "Region only",
        "undetermined": "Cannot tell",
    }[answer.status]


def _rows(answer: Answer, report: Path | None) -> list[tuple[str, str]]:
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
        shares = list(answer.countries.items())[:4]
        rows.append(("Belief", ", ".join(f"{code} {percent(share)}" for code, share in shares)))
    rows.append(("Why", answer.explanation))
    if answer.claimed_latitude is not None and answer.claimed_longitude is not None:
        claimed = Coordinate(answer.claimed_latitude, answer.claimed_longitude).decimal()
        used = "used" if answer.trusted_metadata else "not used; --trust-metadata lets it count"
        rows.append(("Metadata", f"claims {claimed} ({used})"))
    rows += [("Missing", line) for line in answer.missing]
    decided = answer.driver if answer.driver == answer.recipe else f"driver {answer.driver}"
    rows.append(("Recipe", f"{answer.recipe}, {decided}, picked by {answer.picked_by}"))
    rows.append(("Time", f"{answer.seconds:.1f} s, stopped because: {answer.stopped_because}"))
    rows.append(("Trace", answer.trace_path))
    if report is not None:
        rows.append(("Report", str(report)))
    rows.append(("Caution", answer.caution))
    return rows


def _line(event: Event) -> str:
    """Return a step as one line, or nothing for events that people need not see live."""
    data = event.data
    if event.kind == "tool_result":
        mark = {"ok": "[green]✓[/]", "refused": "[yellow]✗[/]", "unavailable": "[red]![/]"}
        text = " ".join(str(data["text"]).split())
        short = text if len(text) <= 220 else text[:217] + "..."
        seconds = float(str(data["seconds"]))
        tool = escape(str(data["tool"]))
        return (
            f"{mark[str(data['outcome'])]} [bold]{tool}[/] [dim]{seconds:.1f} s[/] {escape(short)}"
        )
    if event.kind == "model_reply":
        return (
            f"[blue]•[/] [bold]{escape(str(data['model']))}[/] {escape(str(data['purpose']))} "
            f"[dim]{float(str(data['seconds'])):.1f} s, {data['tokens_in']} + "
            f"{data['tokens_out']} tokens[/]"
        )
    if event.kind in NOTED:
        return f"  [yellow]{escape(_noted(event)[:220])}[/]"
    if event.kind == "belief":
        radius = distance(float(str(data["km_80"])))
        return f"  [dim]belief: {escape(str(data['status']))}, 80 % within {radius}[/]"
    if event.kind == "budget":
        return f"[yellow]Budget spent ({escape(str(data['exhausted']))}): committing now.[/]"
    if event.kind == "rejection":
        return f"  [dim]dropped {escape(str(data['value'])[:60])}: {escape(str(data['reason']))}[/]"
    return ""


def _noted(event: Event) -> str:
    """Return what went otherwise than planned, or disagrees, in words."""
    data = event.data
    if event.kind == "malformed":
        return f"{data['action']}: {data['kind']}, {data['detail']}"
    if event.kind == "retry":
        return f"asked again in {data['wait_s']} s: {data['error']}"
    if event.kind == "context":
        return f"left out of the request: {data['why']}"
    if event.kind == "conflict":
        return f"conflict: {data['first_text']} / {data['second_text']}"
    return str(data["text"])
