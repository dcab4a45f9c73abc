"""Pictures of a comparison of fusing rules, as SVG: accuracy beside belief, risk and coverage.

Colours are those of Okabe and Ito, which colour-blind people tell apart; lines differ in style too.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from encoders.photo_file import printable
from evaluation.answer_panel import Panel
from evaluation.fusion import Crossed
from evaluation.fusion_confidence import curves
from evaluation.fusion_scores import Comparison
from evaluation.fusion_study import FusionReport
from evaluation.metrics import THRESHOLDS_KM
from evaluation.reliability_plots import BLUE, LOOKS, ORANGE, SOFT, STYLE
from geo.errors import ConfigError, InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME_LETTERS = 44
BEST_STATED = 1
"""How many single models' own words are drawn: those that order best."""


def refuse_unless_drawable(folder: Path) -> None:
    """Raise before any work is done: ConfigError without matplotlib, InputError for the folder."""
    try:
        import matplotlib as _  # noqa: F401
    except ImportError:
        raise ConfigError(
            "plots need matplotlib, which is not installed: pip install 'graticule[evaluation]'"
        ) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{printable(str(folder), 200)!r} cannot hold pictures: {error.strerror}; give a folder"
        ) from None


def draw_fusion(
    panel: Panel, report: FusionReport, crossed: list[Crossed], folder: Path
) -> tuple[Path, ...]:
    """Write both pictures into a folder and return their paths.

    Raises:
        ConfigError: matplotlib is missing.
        InputError: the folder cannot be made.
    """
    refuse_unless_drawable(folder)
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figures = {
            "fusion-accuracy": accuracy_plot(report, report.comparisons[0]),
            "fusion-risk-coverage": risk_plot(panel, report, crossed[0]),
        }
        paths = tuple(folder / f"{name}.svg" for name in figures)
        for path, figure in zip(paths, figures.values(), strict=True):
            figure.savefig(path, metadata={"Date": None})
    return paths


def accuracy_plot(report: FusionReport, comparison: Comparison) -> "Figure":
    """Draw the accuracy of every rule at five thresholds, with standard errors."""
    from matplotlib.figure import Figure

    order = {"hindsight": 0, "model": 1, "rule": 2, "belief": 3}
    rules = sorted(comparison.rules, key=lambda one: (order[one.kind], one.accuracy["25"].value))
    figure = Figure(figsize=(13, 0.32 * len(rules) + 2), layout="constrained")
    panes = figure.subplots(1, len(THRESHOLDS_KM), sharey=True)
    for axes, km in zip(panes, THRESHOLDS_KM, strict=True):
        figures = [one.accuracy[f"{km:g}"] for one in rules]
        for row, (one, found) in enumerate(zip(rules, figures, strict=True)):
            colour = {"belief": BLUE, "rule": ORANGE}.get(one.kind, SOFT)
            axes.errorbar(
                100 * found.value, row, xerr=100 * found.standard_error, color=colour,
                marker="s" if one.kind == "belief" else "o", markersize=5, capsize=2,
            )  # fmt: skip
        best = next(one for one in rules if one.name == comparison.belief)
        axes.axvline(100 * best.accuracy[f"{km:g}"].value, color=BLUE, linewidth=0.8, alpha=0.6)
        axes.set(title=f"within {km:,g} km", xlabel="% of photos")
    names = [printable(one.name, NAME_LETTERS) for one in rules]
    panes[0].set_yticks(range(len(rules)), names)
    figure.suptitle(
        f"{report.photos:,} photos, {comparison.models} models, cross-validated; "
        f"{report.conditions}; bars: one standard error; line: belief",
        x=0.01, ha="left", fontsize=10, color=SOFT,
    )  # fmt: skip
    return figure


def risk_plot(panel: Panel, report: FusionReport, crossed: Crossed) -> "Figure":
    """Draw risk against the share of photos answered, surest first, of each system's own order."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    axes: Axes = figure.add_subplot()
    comparison = report.comparisons[0]
    areas = {(one.name, one.ranks): one.aurc.value for one in comparison.signals}
    for look, (name, ranks) in zip(LOOKS, _drawn(comparison), strict=False):
        found = next(
            one
            for one in curves(panel, crossed, comparison.belief)
            if (one.name, one.ranks) == (name, ranks)
        )
        label = f"{name}, over {printable(ranks, NAME_LETTERS)}: area {areas[name, ranks]:.3f}"
        axes.plot(100 * found.answered, 100 * found.risk, label=label, linewidth=1.8, **look)
    axes.set(
        xlim=(0, 100), ylim=(0, None), xlabel="% of photos answered, surest first",
        ylabel="% of these farther than 25 km",
    )  # fmt: skip
    axes.set_title(
        f"{report.photos:,} photos, {comparison.models} models, cross-validated; "
        f"{report.conditions}",
        fontsize=9, color=SOFT,
    )  # fmt: skip
    figure.legend(loc="outside lower left", fontsize=9)
    return figure


def _drawn(comparison: Comparison) -> list[tuple[str, str]]:
    """Return belief, agreement, the best model's word, and the best-ordering word of one model."""
    own = [one for one in comparison.signals if one.name == "stated"]
    best = sorted(own, key=lambda one: one.aurc.value)[:BEST_STATED]
    return [
        ("belief", comparison.belief),
        ("agreement", "medoid of the largest cluster"),
        ("stated by the best model", "best model"),
        *((one.name, one.ranks) for one in best),
    ]
