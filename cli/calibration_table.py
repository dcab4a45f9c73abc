"""What `evaluate calibrate` found, as lines for people: before and after side by side."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from encoders.photo_file import printable

if TYPE_CHECKING:
    from evaluation.abstention import Abstention
    from evaluation.bootstrap import Interval
    from evaluation.calibrating import CalibrationReport, Judged
    from evaluation.coverage import Honesty

Row = tuple[str, str, str]
LABEL, COLUMN = 40, 24


def lines_of(report: "CalibrationReport") -> Iterator[str]:
    """Yield the lines of a report, none longer than a terminal is wide."""
    before, after = report.before.honesty, report.after.honesty
    yield (
        f"{printable(report.recipe, 80)} on {printable(report.fitted_on, 200)}: "
        f"{before.photos:,} answers to judge, {before.photos - before.answered:,} of them missing;"
    )
    yield f"fitted on {report.photos:,} photos with evidence; distance: {before.conditions}"
    yield ""
    yield _line(("", "as it is", "calibrated *"))
    columns = _rows(report.before), _rows(report.after)
    for (label, ours), (_, theirs) in zip(*columns, strict=True):
        yield _line((label, ours, theirs))
    yield ""
    yield (
        f"* each answer under a fit that saw neither its photo, nor its author, nor its place "
        f"({report.folds} folds)."
    )
    yield "[ ]: 95 % intervals, authors resampled. Radii that hold more than they say are too wide."
    if missing := before.photos - before.with_radii:
        yield f"{missing:,} answers state no radii: no share inside is counted for them."
    if after.answered != before.answered:
        yield f"answered once calibrated: {after.answered:,}, before {before.answered:,}."
    yield from _words(after)
    yield "Judge it on other photos: figures of later runs on these with it would be too good."


def _line(row: Row) -> str:
    label, ours, theirs = row
    return f"{label:<{LABEL}}{ours:<{COLUMN}}{theirs}".rstrip()


def _rows(judged: "Judged") -> Iterator[tuple[str, str]]:
    honesty = judged.honesty
    for level in honesty.coverage:
        label = f"{100 * level.nominal:g} % radius holds the truth of"
        yield label, _percent(level.share, level.clustered)
    for size in honesty.sharpness:
        yield f"{100 * size.nominal:g} % radius, median", _km(size.median_km)
    limit = f"{honesty.within_km:g} km"
    share = honesty.right / honesty.photos if honesty.photos else None
    yield f"right within {limit}, of all", _percent(share)
    yield f"calibration error within {limit}", _number(honesty.confidence.error)
    for curve in honesty.risk:
        yield f"area under risk, {_NAMES[curve.name]}", _number(curve.aurc, curve.aurc_interval)
    for apart in honesty.differences:
        label = "  belief less word, better below 0"
        yield label, _number(apart.difference, apart.interval, sign="+")
    yield from _costs(judged.abstention)


_NAMES = {"belief": "by belief", "verbal": "by the model's word"}


def _costs(found: "Abstention") -> Iterator[tuple[str, str]]:
    asked = f"mean cost, answering above {100 * max(0.0, found.threshold):.0f} %"
    names = {"rule": asked, "always answer": "  always", "never answer": "  never"}
    for one in found.policies:
        label = names.get(one.name, "  best threshold, in hindsight")
        yield label, _number(one.cost, one.interval)


def _words(honesty: "Honesty") -> Iterator[str]:
    """Yield what is to be known of the model's own word."""
    if honesty.verbal is None:
        yield "The model's own word is not compared: no answer has one."
        return
    for curve in honesty.risk:
        if curve.name == "verbal" and curve.unranked:
            yield f"{curve.unranked:,} answers without the model's word rank after those with one."


def _percent(value: float | None, interval: "Interval | None" = None) -> str:
    if value is None:
        return "-"
    reach = f" [{100 * interval.low:.1f}, {100 * interval.high:.1f}]" if interval else ""
    return f"{100 * value:.1f} %{reach}"


def _number(value: float | None, interval: "Interval | None" = None, *, sign: str = "") -> str:
    if value is None:
        return "-"
    reach = f" [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]" if interval else ""
    return f"{value:{sign}.3f}{reach}"


def _km(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f} km" if value >= 10 else f"{value:.2g} km"
