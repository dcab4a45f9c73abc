"""`graticule evaluate report`: one HTML page of one or several runs, to open, check and hand over.

It needs no network and no script, like `agent.report`, whose style it shares. Ids, labels and
reasons are foreign text and are escaped. `evaluation.report_page` computes what is shown.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.report_run import ShownRun

if TYPE_CHECKING:
    from evaluation.coverage import Coverage

SHORT_SINGLE = 1000
"""From so many photos on, one is a tenth of a point, and accuracies have two decimals."""


def write_evaluation(runs: Sequence[ShownRun], path: Path, photos: Path | None = None) -> int:
    """Write the page, whole or not at all, and return its bytes.

    Args:
        runs: what to show, from `evaluation.report_run.read_shown`.
        path: file to write; an existing one is replaced.
        photos: folder of the dataset's photos, for thumbnails of the worst cases.

    Raises:
        InputError: the file cannot be written there.
        ConfigError: matplotlib is missing.
    """
    from agent.report_template import write_page

    page = render_evaluation(runs, path, photos)
    write_page(page, path, "--out")
    return len(page.encode())


def render_evaluation(
    runs: Sequence[ShownRun], path: Path | None = None, photos: Path | None = None
) -> str:
    """Return the page as HTML text; see `write_evaluation`."""
    from agent.report_template import environment
    from evaluation.published import KM, TAGS
    from evaluation.report_extras import NAMES
    from evaluation.report_page import SMALL_SLICE, EvaluationPage
    from evaluation.report_svg import style
    from evaluation.report_world import land

    with style():  # refuses at once where matplotlib is missing
        templates = environment(("evaluation", "agent"))
    templates.filters |= {"km": km_text, "span": span, "points": points, "zip": zip}
    templates.filters |= {"covered": covered, "labelled": labelled}
    templates.globals |= {"KM": KM, "TAGS": TAGS, "SMALL_SLICE": SMALL_SLICE, "CONFIDENCES": NAMES}
    page = EvaluationPage(runs, photos, path)
    return templates.get_template("evaluation.html.j2").render(page=page, land=land())


def km_text(km: float | None) -> str:
    """Write a distance for a table; a dash where there is none."""
    if km is None:
        return "–"
    if km < 1:
        return f"{1000 * km:.0f} m"
    return f"{km:,.1f} km" if km < 10_000 else f"{km:,.0f} km"


def points(value: float | None, photos: int) -> str:
    """Write a percentage with the decimals that so many photos bear; a dash for none."""
    return "–" if value is None else f"{value:.{2 if photos >= SHORT_SINGLE else 1}f}"


def span(interval: object, digits: int = 1) -> str:
    """Write the ends of an interval; empty where there is none."""
    low, high = getattr(interval, "low", None), getattr(interval, "high", None)
    if low is None or high is None:
        return ""
    return f"{low:,.{digits}f}–{high:,.{digits}f}"


def covered(coverage: "Coverage") -> str:
    """Write the interval of a coverage in percent, authors resampled."""
    interval = coverage.clustered
    if interval is None:
        return "–"
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def labelled(label: str, column: str) -> str:
    """Write a label for people: a country by its name."""
    from geo.regions import country_name

    return (country_name(label) or label) if column == "country" and len(label) == 2 else label
