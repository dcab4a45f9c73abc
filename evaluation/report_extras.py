"""Sections that only some runs have: coverage and reliability, the ledger, paired differences."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from markupsafe import Markup

from evaluation.report_run import ShownRun
from evaluation.report_svg import CARD, GRID, INK, RUN_COLOURS, SOFT, inline, themed

if TYPE_CHECKING:
    from evaluation.compare import Comparison
    from evaluation.coverage import Coverage, Sharpness
    from evaluation.ledger import Ledger

WITHIN_KM = 25.0
PLAIN = {"#ffffff": CARD, "#000000": INK}
NAMES = {"belief": "belief", "verbal": "the model's own word"}
ALTS = {
    "coverage": "Share of truths inside the radius of every level, against the level",
    "reliability": "How often answers of about equal confidence are right, against the confidence",
    "risk": "Share of wrong answers among the surest photos, against the share answered",
    "sharpness": "How large radii of each level and distances to the truth are",
}


class Honesty(NamedTuple):
    """How honest radii and confidences are, without intervals of what has none on the page.

    Attributes:
        with_radii: answers that state radii, of `photos`.
        errors: expected calibration error by the name of the confidence.
        areas: under the risk-coverage curve, likewise.
    """

    photos: int
    with_radii: int
    coverage: "tuple[Coverage, ...]"
    sharpness: "tuple[Sharpness, ...]"
    errors: dict[str, float]
    areas: dict[str, float]


def honesty(shown: ShownRun) -> Honesty | None:
    """Return how honest radii and confidences are; None where no answer states radii."""
    assessed = shown.assessed
    if assessed is None:
        return None
    from evaluation.calibration_error import calibration_error
    from evaluation.coverage import coverage_at, named_confidences, sharpness_at
    from evaluation.risk_coverage import area_under, tie_groups

    right = assessed.within(WITHIN_KM)
    loss = (~right).astype(np.float64)
    confidences = named_confidences(assessed, WITHIN_KM)
    errors = {
        name: calibration_error(name, values, right).error for name, values in confidences.items()
    }
    return Honesty(
        photos=len(assessed),
        with_radii=int(np.isfinite(assessed.radii_km).all(axis=1).sum()),
        coverage=tuple(coverage_at(assessed, column) for column in range(3)),
        sharpness=tuple(sharpness_at(assessed, column) for column in range(3)),
        errors={name: error for name, error in errors.items() if error is not None},
        areas={
            name: area_under(tie_groups(values, assessed.answered), loss)
            for name, values in confidences.items()
        },
    )


def honesty_plots(shown: ShownRun) -> tuple[Markup, ...]:
    """Return the pictures of `evaluation.reliability_plots` in the colours of the page."""
    if shown.assessed is None:
        return ()
    from evaluation import reliability_plots as plots

    figures = {
        "coverage": plots.coverage_plot(shown.assessed),
        "reliability": plots.reliability_diagram(shown.assessed, WITHIN_KM),
        "risk": plots.risk_coverage_plot(shown.assessed, WITHIN_KM),
        "sharpness": plots.sharpness_plot(shown.assessed),
    }
    colours = PLAIN | {
        plots.INK: INK,
        plots.SOFT: SOFT,
        plots.BAND: GRID,
        plots.STYLE["grid.color"]: GRID,
        plots.BLUE: RUN_COLOURS[0],
        plots.ORANGE: RUN_COLOURS[1],
        plots.GREEN: RUN_COLOURS[2],
        plots.PURPLE: RUN_COLOURS[3],
    }
    return tuple(
        inline(figure, f"{shown.anchor}-{name}", ALTS[name], "square", colours)
        for name, figure in figures.items()
    )


def ledger(shown: ShownRun) -> "Ledger | None":
    """Return where the run won and lost its photos; None where it has no stages."""
    if shown.run is None or not any(row.stages.keys() - {"final"} for row in shown.rows.values()):
        return None
    from evaluation.ledger import ledger_of

    return ledger_of(shown.run, distance=shown.distance, operator=shown.operator)


def ledger_plot(shown: ShownRun, found: "Ledger") -> Markup:
    """Return the waterfall of `evaluation.ledger_plot` in the colours of the page."""
    from evaluation import ledger_plot as plots

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.svg"
        plots.draw([found], path)
        drawing = path.read_text("utf-8")
    colours = PLAIN | {
        plots.INK: INK,
        plots.SOFT: SOFT,
        plots.TOTAL: SOFT,
        plots.STYLE["grid.color"]: GRID,
        plots.FIXED: RUN_COLOURS[0],
        plots.BROKEN: RUN_COLOURS[1],
    }
    alt = "From the first stage's accuracy to the answer's; the table below has the numbers"
    return themed(drawing, f"{shown.anchor}-waterfall", alt, "waterfall", colours)


def differences(runs: Sequence[ShownRun]) -> "tuple[tuple[ShownRun, Comparison], ...]":
    """Return each run of one dataset held against the first, over the same photos."""
    from evaluation.compare import compare

    first, *others = runs
    return tuple(
        (
            other,
            compare(
                first.aligned,
                other.aligned,
                first.truths,
                distance=first.distance,
                operator=first.operator,
                worst=0,
            ),
        )
        for other in others
        if other.truths.ids == first.truths.ids
    )
