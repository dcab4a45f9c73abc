"""Pictures of honesty: coverage, reliability, risk-coverage, sharpness; as SVG or PNG.

Colours are those of Okabe and Ito, which colour-blind people tell apart; lines also differ in
style, and marks in shape. No text that others wrote is drawn.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from evaluation.assessed import Assessed
from evaluation.belief_scores import LEVELS
from evaluation.calibration_error import CalibrationError, calibration_error
from evaluation.coverage import coverage_at, named_confidences
from evaluation.risk_coverage import area_under, risk_curve, tie_groups
from geo.errors import ConfigError, InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Given = ParamSpec("Given")
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-"},
    {"color": ORANGE, "linestyle": "--"},
    {"color": GREEN, "linestyle": "-."},
    {"color": PURPLE, "linestyle": ":"},
)
MARKS = ("o", "s", "^", "D")
INK, SOFT, BAND = "#222222", "#777777", "#e4e4e4"
NAMES = {"belief": "belief", "verbal": "the model's own word"}
STYLE: Any = {
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e9e9e9",
    "text.color": INK,
    "text.parse_math": False,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "graticule",
}


def draw_all(
    assessed: Assessed, folder: Path, within_km: float = 25.0, *, ending: str = "svg"
) -> tuple[Path, ...]:
    """Write the four pictures of a run into a folder and return their paths.

    Args:
        assessed: with confidence within `within_km`.
        folder: made where it is not there.
        within_km: an answer is right within this distance, km.
        ending: `svg` or `png`.

    Raises:
        ConfigError: matplotlib is missing.
        InputError: another ending, or nothing to draw.
    """
    if ending not in ("svg", "png"):
        raise InputError(f"pictures as {ending!r}: give svg or png")
    if not len(assessed):
        raise InputError("0 photos give no picture: give at least 1")
    figures = {
        "coverage": coverage_plot(assessed),
        "reliability": reliability_diagram(assessed, within_km),
        "risk-coverage": risk_coverage_plot(assessed, within_km),
        "sharpness": sharpness_plot(assessed),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(save(one, folder / f"{name}.{ending}") for name, one in figures.items())


def _styled() -> AbstractContextManager[None]:
    try:
        import matplotlib as mpl
    except ImportError:
        raise ConfigError(
            "plots need matplotlib, which is not installed: pip install 'graticule[evaluation]'"
        ) from None
    styled: AbstractContextManager[None] = mpl.rc_context(STYLE)
    return styled


def check_drawable() -> None:
    """Raise ConfigError where matplotlib is missing, before work is done that ends in pictures."""
    with _styled():
        pass


def _in_style(draw: "Callable[Given, Figure]") -> "Callable[Given, Figure]":
    """Let a picture be drawn in `STYLE`, and nothing else of the process."""

    @wraps(draw)
    def drawn(*values: Given.args, **options: Given.kwargs) -> "Figure":
        with _styled():
            return draw(*values, **options)

    return drawn


def save(figure: "Figure", path: Path) -> Path:
    """Write a picture as its ending says; the same picture is the same bytes."""
    unchanging = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with _styled():
        figure.savefig(path, dpi=110, metadata=unchanging)
    return path


@_in_style
def coverage_plot(assessed: Assessed) -> "Figure":
    """Draw the share of truths that lie inside the radius of every level, against the level."""
    figure, axes = _square("share of belief that the radius holds", "share of truths inside")
    pit = np.sort(assessed.pit[np.isfinite(assessed.pit)])
    _band(axes, len(pit))
    levels = np.concatenate([[0.0], pit, [1.0]])
    reached = np.concatenate([[0.0], np.arange(1, len(pit) + 1) / max(1, len(pit)), [1.0]])
    if len(pit):
        axes.step(levels, reached, where="post", color=BLUE, linewidth=1.6, label="all levels")
    _mark_levels(axes, assessed)
    _legend(figure)
    count = int(np.isfinite(assessed.radii_km).all(axis=1).sum())
    _title(axes, "Coverage of the radii", f"{_with(count, assessed, 'radii')}\n{_how(assessed)}")
    return figure


def _mark_levels(axes: "Axes", assessed: Assessed) -> None:
    found = [coverage_at(assessed, column) for column in range(len(LEVELS))]
    if found[0].share is None:
        return
    shares = np.array([one.share for one in found])
    limits = np.array([one.wilson for one in found])
    said = ", ".join(
        f"{100 * one.nominal:g} % hold {100 * (one.share or 0):.0f} %" for one in found
    )
    _with_intervals(axes, np.array(LEVELS), shares, limits, ORANGE, f"stated radii: {said}", "o")


def _with_intervals(
    axes: "Axes", x: Any, y: Any, limits: Any, colour: str, label: str, mark: str, line: str = ""
) -> None:
    """Draw marks with intervals `[N, 2]`, whole ones also at the edge."""
    reach = np.maximum(0.0, np.stack([y - limits[:, 0], limits[:, 1] - y]))
    style: dict[str, Any] = {"markersize": 6, "capsize": 3, "elinewidth": 1, "linewidth": 1.3}
    style |= {"color": colour, "marker": mark, "linestyle": line, "zorder": 3, "clip_on": False}
    axes.errorbar(x, y, yerr=reach, label=label, **style)


@_in_style
def reliability_diagram(assessed: Assessed, within_km: float) -> "Figure":
    """Draw how often answers of about equal confidence are right, and how many there are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 7.8), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of answers that are")
    counts.set(ylabel="photos", xlabel=f"confidence that the answer is within {within_km:g} km")
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, label="honest")
    right = assessed.within(within_km)
    ranked = named_confidences(assessed, within_km)
    for look, mark, (name, values) in zip(LOOKS, MARKS, ranked.items(), strict=False):
        _bins(axes, calibration_error(name, values, right), look, mark)
        if (said := values[np.isfinite(values)]).size:
            counts.hist(said, np.linspace(0, 1, 21), histtype="step", linewidth=1.4, **look)
    _legend(figure)
    missing = len(assessed) - int(assessed.answered.sum())
    what = f"n = {len(assessed):,} photos, {missing:,} without an answer are left out"
    _title(axes, f"Reliability within {within_km:g} km", f"{what}\n{_how(assessed)}")
    return figure


def _bins(axes: "Axes", error: CalibrationError, look: dict[str, Any], mark: str) -> None:
    if error.error is None:
        return
    x = np.array([one.confidence for one in error.bins])
    y = np.array([one.share_right for one in error.bins])
    limits = np.array([one.interval for one in error.bins])
    label = f"{NAMES[error.name]}: calibration error {error.error:.3f}, n = {error.photos:,}"
    _with_intervals(axes, x, y, limits, look["color"], label, mark, look["linestyle"])


@_in_style
def risk_coverage_plot(
    assessed: Assessed, within_km: float, others: Mapping[str, Any] | None = None
) -> "Figure":
    """Draw the risk of answering only the surest photos, for every share of them.

    Args:
        assessed: with confidence within `within_km`.
        within_km: an answer farther than this is wrong.
        others: further confidences, name -> `[N]`, at most two.
    """
    wrong = f"share of these wrong at {within_km:g} km"
    figure, axes = _square("share of photos answered, surest first", wrong)
    loss = (~assessed.within(within_km)).astype(np.float64)
    ranked = {**named_confidences(assessed, within_km), **(others or {})}
    for look, (name, values) in zip(LOOKS, ranked.items(), strict=False):
        group = tie_groups(values, assessed.answered)
        share, risk = risk_curve(group, loss)
        label = f"{NAMES.get(name, name)}: area {area_under(group, loss):.3f}"
        axes.plot(share, risk, label=label, linewidth=1.8, **look)
    best = tie_groups(-loss, assessed.answered)
    label = f"best possible order: area {area_under(best, loss):.3f}"
    axes.plot(*risk_curve(best, loss), color=SOFT, linewidth=1, label=label)
    _legend(figure)
    missing = len(assessed) - int(assessed.answered.sum())
    told = f"n = {len(assessed):,} photos, {missing:,} without an answer last and wrong"
    if (unranked := _unranked(assessed)) is not None:
        told += f"\n{unranked:,} without the model's word after those with"
    _title(axes, f"Risk and coverage within {within_km:g} km", f"{told}\n{_how(assessed)}")
    return figure


def _unranked(assessed: Assessed) -> int | None:
    """Return how many answers lack the model's word, where any has it and some lack it."""
    has = np.isfinite(assessed.verbal)
    missing = int((assessed.answered & ~has).sum())
    return missing if has.any() and missing else None


@_in_style
def sharpness_plot(assessed: Assessed) -> "Figure":
    """Draw how large the radii of each level are, and the distances to the truth."""
    figure, axes = _square("km", "share of photos with at most this")
    has = np.isfinite(assessed.radii_km).all(axis=1)
    for look, column in zip(LOOKS, range(3), strict=False):
        if has.any():
            radii = assessed.radii_km[has, column]
            label = f"{100 * LEVELS[column]:g} % radius, median {_km(float(np.median(radii)))}"
            axes.ecdf(radii, label=label, linewidth=1.7, **look)
    away = np.maximum(assessed.distance_km[assessed.answered], 0.001)
    if len(away):
        label = f"distance to the truth, median {_km(float(np.median(away)))}"
        axes.ecdf(away, label=label, color=INK, linewidth=1)
        shown = np.concatenate([away, *assessed.radii_km[has].T])
        axes.set(xscale="log", xlim=(shown.min() / 2, shown.max() * 2))
        axes.xaxis.set_major_formatter(lambda km, _: f"{km:,.0f}" if km >= 1 else f"{km:g}")
    _legend(figure)
    told = _with(int(has.sum()), assessed, "radii")
    _title(axes, "Sharpness", f"{told}\n{_how(assessed)}")
    return figure


def _square(across: str, up: str) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 7.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=across, ylabel=up)
    return figure, axes


def _band(axes: "Axes", count: int) -> None:
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, label="honest")
    if not count:
        return
    from scipy.stats import binom

    level = np.linspace(0, 1, 201)
    low, high = binom.interval(0.95, count, level)
    label = f"95 % band of an honest run, n = {count:,}"
    axes.fill_between(level, low / count, high / count, color=BAND, label=label, zorder=0)


def _legend(figure: "Figure") -> None:
    """Say below a picture what its lines are, where they hide none of it."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower left", fontsize=9)


def _title(axes: "Axes", title: str, told: str) -> None:
    axes.set_title(told, fontsize=9, color=SOFT, linespacing=1.4)
    figure = axes.get_figure()
    assert figure is not None
    figure.suptitle(title, x=0.02, ha="left", fontsize=13)


def _with(count: int, assessed: Assessed, what: str) -> str:
    missing = len(assessed) - count
    return f"n = {count:,} photos with {what}, {missing:,} without are left out"


def _how(assessed: Assessed) -> str:
    return f"distance: {assessed.conditions()}"


def _km(value: float) -> str:
    return f"{value:,.0f} km" if value >= 10 else f"{value:.2g} km"
