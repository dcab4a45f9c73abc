"""The plot of large galleries: what was measured, the fitted laws, and where those are guesses."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.scale_law import SETS, Row, law_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "edge none": "#555555",
    "edge int8": "#0b6e99",
    "edge binary": "#c0711a",
    "edge int8 hnsw": "#7a3e9d",
    "faiss IVF-SQ8": "#2f8f4e",
    "faiss HNSW": "#b03a48",
}
PANELS = (
    ("disk_bytes", "on disk", 1e9, "GB"),
    ("search_peak_bytes", "resident while searching", 1e9, "GB"),
    ("whole_build_s", "written and indexed, encoding not counted", 3600.0, "hours"),
    ("p50_ms", "one query for the 20 nearest, median", 1.0, "ms"),
)
FIRST, LAST = 5_000, 2_000_000_000


def draw(rows: Sequence[Row], target: Path) -> None:
    """Draw disk, memory, build and query against the number of photos, as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    own = [row for row in rows if row.dimensions == 512 and not row.not_measured]
    measured_to = max(row.count for row in own)
    with plt.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
        for axis, (key, title, scale, unit) in zip(axes.flat, PANELS, strict=True):
            _panel(axis, own, key, scale, measured_to)
            axis.set_title(f"{title} ({unit})", loc="left", fontsize=11)
        for axis in axes[1]:
            axis.set_xlabel("photos, 512 numbers each")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncol=6, frameon=False)
        figure.savefig(target, dpi=110, metadata={"Software": None})
        plt.close(figure)


def _panel(axis: "Axes", rows: Sequence[Row], key: str, scale: float, measured_to: int) -> None:
    axis.set(xscale="log", yscale="log", xlim=(FIRST, LAST))
    axis.grid(visible=True, which="major", color="#e6e6e6", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.axvspan(measured_to * 1.25, LAST, color="#f3efe4", zorder=-2)
    for engine, colour in COLOURS.items():
        points = [(row.count, getattr(row, key) / scale) for row in rows if row.engine == engine]
        if points:
            style: dict[str, Any] = {"color": colour, "markersize": 5, "linestyle": ""}
            axis.plot(*zip(*points, strict=True), marker="o", label=engine, **style)
        if law := law_of(rows, engine, key):
            for start, end, line in ((8_000, measured_to, "-"), (measured_to, 1e9, "--")):
                counts = np.geomspace(start, end, 60)
                values = [law(count) / scale for count in counts]
                axis.plot(counts, values, line, color=colour, linewidth=1.4, alpha=0.85)
    top = axis.get_ylim()[1]
    axis.text(measured_to * 1.4, top, "extrapolated", va="top", color="#8a7a50", style="italic")
    axis.text(FIRST * 1.15, top, "measured", va="top", color="#666666", style="italic")
    for name, count in SETS.items():
        axis.axvline(count, color="#b8ad8c", linewidth=0.8, linestyle=":", zorder=-1)
        shown = {"OSV-5M": "", "MP-16": "MP-16, OSV-5M"}.get(name, name)
        axis.annotate(
            shown,
            (count, 0.02),
            xycoords=("data", "axes fraction"),
            rotation=90,
            fontsize=8,
            color="#8a7a50",
            ha="right",
            va="bottom",
        )
