"""Sessions, their moments, and two of them side by side, as tables for the terminal."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from agent.report_format import distance, duration, percent, visible
from agent.session_records import (
    Assessment,
    Comparison,
    EvidencePair,
    Moment,
    SessionInfo,
    SessionOptions,
    Side,
)
from encoders.photo_file import printable
from geo.coordinate import Coordinate

SHOWN_ID = 8
MOST_COUNTRIES, MOST_EVIDENCE = 6, 12
STATUS_STYLES = {"idle": "green", "waiting": "blue", "stopped": "yellow", "error": "red",
                 "busy": "cyan", "new": "dim"}  # fmt: skip


def sessions_table(found: Sequence[SessionInfo], current: str = "") -> Table:
    """Return sessions as rows; the current one is marked."""
    table = _table("Id", "Name", "Status", "Rev.", "Answer", "Last")
    for info in found:
        mark = "›" if info.id == current else ""
        table.add_row(
            Text(f"{mark}{info.id[:SHOWN_ID]}", "bold"),
            _plain(info.name or "-", 40),
            Text(info.status, STATUS_STYLES[info.status]),
            str(info.revision),
            _plain(info.headline or info.error or "-", 80),
            Text(when(info.updated), "dim"),
        )
    return table


def session_rows(
    info: SessionInfo, verdicts: Sequence[Assessment], trace: Path
) -> list[tuple[str, str]]:
    """Return what is known of a session beside its answer, as labels and texts."""
    options = {
        key: value for key, value in info.options.model_dump(mode="json").items()
        if value != getattr(SessionOptions(), key) and value not in ((), [], None)
    }  # fmt: skip
    rows = [
        ("Session", info.id),
        ("Name", info.name or "-"),
        ("Status", f"{info.status}, revision {info.revision}"),
        ("Begun", when(info.created)),
        ("Last", when(info.updated)),
        ("Photos", "\n".join(info.photos) or "-"),
        ("Options", ", ".join(f"{key} {value}" for key, value in options.items()) or "-"),
    ]
    if info.parent:
        rows.append(("Branch of", f"{info.parent} at checkpoint {info.parent_checkpoint}"))
    rows += [("Error", info.error)] if info.error else []
    for one in verdicts:
        place = ""
        if one.latitude is not None and one.longitude is not None:
            place = f" at {Coordinate(one.latitude, one.longitude).decimal()}"
        by = f" ({one.by})" if one.by else ""
        said = f"revision {one.revision} is {one.verdict}{place}{by} {one.notes}"
        rows.append(("Verdict", said.strip()))
    return [*rows, ("Trace", str(trace))]


def history_table(moments: Sequence[Moment]) -> Table:
    """Return moments, the first at the top, with the number that a fork takes."""
    table = _table("Step", "At", "Tool calls", "Evidence", "Answer", "What runs next")
    for moment in reversed(moments):
        table.add_row(
            Text(str(moment.step), "bold"),
            Text(when(moment.at), "dim"),
            str(moment.steps),
            str(moment.evidence),
            f"revision {moment.revision}" if moment.revision else "-",
            _plain(", ".join(moment.next) or "nothing: it has answered", 60),
        )
    return table


def comparison_tables(found: Comparison) -> list[RenderableType]:
    """Return a comparison as what is printed one below the other."""
    first, second = found.first, found.second
    same = first.session == second.session
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("", style="bold", no_wrap=True)
    for side in (first, second):
        name = f"revision {side.revision}" if same else f"{side.name or '-'}"
        table.add_column(Text(printable(name, 60)), overflow="fold", ratio=1)
    for label, one, other in _rows(found, first, second):
        table.add_row(label, _plain(one, 400), _plain(other, 400))
    told: list[RenderableType] = [table, Text("")]
    told.append(Text(f"From the first to the second: {', '.join(found.changes) or 'the same'}"))
    told += [Text(_branching(found)), *_evidence(found)]
    told.append(Text(found.caution, "dim"))
    return told


def _rows(found: Comparison, first: Side, second: Side) -> list[tuple[str, str, str]]:
    def both(label: str, told: Callable[[Side], str]) -> tuple[str, str, str]:
        return label, told(first), told(second)

    rows = [
        both("Session", lambda side: f"{side.session[:SHOWN_ID]}, revision {side.revision}"),
        both("Answer", lambda side: f"{side.headline} ({side.status})"),
        both("Coordinate", _coordinate),
        both("50 / 80 / 95 %", _radii),
    ]
    for code, (one, other) in list(found.shares.items())[:MOST_COUNTRIES]:
        rows.append((_country(code), _share(one), _share(other)))
    for name, (was, now) in found.options.items():
        rows.append((f"Option {name}", was or "-", now or "-"))
    rows += [
        both("Recipe", lambda side: f"{side.recipe}, {side.driver}"),
        both("Evidence", lambda side: f"{side.evidence} count"),
        both("Tool calls", lambda side: str(side.tool_calls)),
        both("Tokens", lambda side: f"{side.tokens_in:,} + {side.tokens_out:,}"),
        both("Time", lambda side: duration(side.seconds)),
    ]
    if first.said or second.said:
        rows.append(both("Was told", lambda side: "\n".join(side.said) or "-"))
    return rows


def _coordinate(side: Side) -> str:
    if side.latitude is None or side.longitude is None:
        return "-"
    return Coordinate(side.latitude, side.longitude).decimal(4)


def _radii(side: Side) -> str:
    if side.radii is None:
        return "-"
    radii = (side.radii.km_50, side.radii.km_80, side.radii.km_95)
    return " / ".join(distance(one) for one in radii)


def _share(share: float) -> str:
    """Return a share; an answer lists the largest only, so none is not nothing."""
    return percent(share) if share else "-"


def _country(code: str) -> str:
    from geo.regions import country_name

    return country_name(code)


def _branching(found: Comparison) -> str:
    photos = "" if found.same_photos else " They investigate different photos."
    if found.first.session == found.second.session:
        return "Two revisions of one session."
    if not found.common_events:
        return f"They have no past in common.{photos}"
    at = f", branched at checkpoint {found.branched_at}" if found.branched_at else ""
    return f"They share their first {found.common_events} events{at}.{photos}"


def _evidence(found: Comparison) -> list[RenderableType]:
    """Return what only one of them counts."""
    told: list[RenderableType] = []
    for which, title in ((0, "Only the first counts"), (1, "Only the second counts")):
        pairs = [one for one in found.evidence if _only(one) == which]
        if pairs:
            told.append(Text(f"{title}:", "bold"))
        for one in pairs[:MOST_EVIDENCE]:
            text = Text(f"  {one.id} ", "dim")
            told.append(text.append(visible(f"{one.tool}: {one.summary}"), "none"))
        if len(pairs) > MOST_EVIDENCE:
            told.append(Text(f"  {len(pairs) - MOST_EVIDENCE} more", "dim"))
    both = sum(_only(one) == 2 for one in found.evidence)
    return [*told, Text(f"Evidence that counts in both, or in neither: {both}.")]


def _only(pair: EvidencePair) -> int:
    """Return 0 or 1 for the one that alone counts a piece of evidence, 2 for both or neither."""
    if bool(pair.first) == bool(pair.second):
        return 2
    return 0 if pair.first else 1


def when(at: str) -> str:
    """Return a time of the records in this machine's zone, to the minute."""
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return printable(at, 40)


def _plain(text: str, limit: int) -> Text:
    return Text("\n".join(printable(line, limit) for line in text.split("\n")))


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in ("Id", "Status", "Step"))
    return table
