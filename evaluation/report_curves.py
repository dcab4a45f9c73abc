"""Error curves: which share of the photos is answered within which distance, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from evaluation.published import KM, Published
from evaluation.report_svg import GRID, RUN_COLOURS, SOFT, inline, style
from geo.sphere import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEAREST_KM, FARTHEST_KM = 0.1, 20_016.0
GRID_KM = np.unique(np.concatenate((np.geomspace(NEAREST_KM, FARTHEST_KM, 95), KM)))
_WORDS = ("street", "city", "region", "country", "continent")
_WIDE, _NARROW = (9.0, 4.4), (4.1, 4.2)
"""Inches; a phone gets a drawing of its own, because text shrinks with a drawing."""


@dataclass(frozen=True)
class Curve:
    """One run's curve over `GRID_KM`.

    Attributes:
        number: which of the page's runs, from 0.
        share: `[G]` of the photos within each distance.
        low: `[G]` lower end of the interval.
        high: `[G]` upper end.
    """

    number: int
    share: FloatArray
    low: FloatArray
    high: FloatArray


def error_curves(
    curves: Sequence[Curve], published: Sequence[Published], name: str, alt: str
) -> Markup:
    """Return the drawing, one for wide screens and paper and one for phones.

    Args:
        curves: the runs.
        published: other systems, drawn as dots at the five thresholds.
        name: unique on the page.
        alt: what a person who does not see it is told.
    """
    drawn = Markup("")
    for size, kind in ((_WIDE, "wide"), (_NARROW, "narrow")):
        drawn += _drawing(curves, published, size, f"{name}-{kind}", alt, kind)
    return drawn


def _drawing(
    curves: Sequence[Curve],
    published: Sequence[Published],
    size: tuple[float, float],
    name: str,
    alt: str,
    kind: str,
) -> Markup:
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        _frame(axes, narrow=kind == "narrow")
        for row in published:
            _dots(axes, row)
        for curve in curves:
            _curve(axes, curve, many=len(curves) > 1)
        return inline(figure, name, alt, kind)


def _frame(axes: "Axes", narrow: bool) -> None:
    axes.set(xscale="log", xlim=(NEAREST_KM, FARTHEST_KM), ylim=(0, 100))
    axes.set_xlabel("distance from the truth")
    axes.set_ylabel("photos within it, %")
    ticks = [0.1, 1, 10, 100, 1000, 10_000]
    axes.set_xticks(ticks, ["100 m", "1 km", "10", "100", "1,000", "10,000 km"])
    axes.minorticks_off()
    axes.set_yticks(range(0, 101, 20))
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
    for km, word in zip(KM, _WORDS, strict=True):
        axes.axvline(km, color=GRID, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        text = f"{km:,}" if narrow else f"{word}\n{km:,} km"
        axes.annotate(
            text,
            (km, 100),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7.5,
            color=SOFT,
        )


def _dots(axes: "Axes", row: Published) -> None:
    known = [(km, share) for km, share in zip(KM, row.accuracies, strict=True) if share is not None]
    axes.plot(
        *zip(*known, strict=True),
        linestyle="",
        marker="D" if row.open_web else "o",
        markersize=4.0 if row.open_web else 3.6,
        markerfacecolor="none",
        markeredgecolor=SOFT,
        markeredgewidth=0.8,
        zorder=2,
    )


def _curve(axes: "Axes", curve: Curve, many: bool) -> None:
    colour = RUN_COLOURS[curve.number]
    axes.fill_between(
        GRID_KM, 100 * curve.low, 100 * curve.high, color=colour, alpha=0.18, linewidth=0, zorder=3
    )
    dashes = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)), (0, (9, 3)), (0, (1, 1)))
    axes.plot(
        GRID_KM, 100 * curve.share, color=colour, linewidth=1.9,
        linestyle=dashes[curve.number], zorder=4,
    )  # fmt: skip
    if many:
        spot = len(GRID_KM) * (3 + curve.number % 3) // 8
        axes.annotate(
            chr(ord("A") + curve.number),
            (GRID_KM[spot], 100 * curve.share[spot]),
            xytext=(-3, 4),
            textcoords="offset points",
            ha="right",
            fontweight="bold",
            color=colour,
        )
