"""The plot of large galleries: what was measured, the fitted laws, and where those are guesses."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.scale_law import NODE_GIB, SETS, Row, law_of

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
    ("disk_bytes", "on disk"),
    ("search_peak_bytes", "resident while searching"),
    ("whole_build_s", "to write and index, encoding not counted"),
    ("p50_ms", "one query for the 20 nearest, median"),
)
TICKS: dict[str, list[tuple[float, str]]] = {
    "bytes": [
        (ten * 10.0 ** (3 * power), f"{ten} {unit}")
        for power, unit in ((2, "MB"), (3, "GB"), (4, "TB"))
        for ten in (1, 10, 100)
    ],
    "_s": [(1, "1 s"), (60, "1 min"), (3600, "1 h"), (86_400, "1 day"), (864_000, "10 days")],
    "_ms": [(0.1, "0.1 ms"), (1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1e3, "1 s"),
            (1e4, "10 s"), (1e5, "100 s")],
}  # fmt: skip
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
        for axis, (key, title) in zip(axes.flat, PANELS, strict=True):
            _panel(axis, own, key, measured_to)
            axis.set_title(title, loc="left", fontsize=11)
        for axis in axes[1]:
            axis.set_xlabel("photos, 512 numbers each")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncol=6, frameon=False)
        figure.savefig(target, dpi=110, metadata={"Software": None})
        plt.close(figure)


def _panel(axis: "Axes", rows: Sequence[Row], key: str, measured_to: int) -> None:
    axis.set(xscale="log", yscale="log", xlim=(FIRST, LAST))
    axis.axvspan(measured_to * 1.25, LAST, color="#f3efe4", zorder=-2)
    for engine, colour in COLOURS.items():
        points = [(row.count, getattr(row, key)) for row in rows if row.engine == engine]
        if not points:
            continue
        ours = engine.startswith("edge")
        style: dict[str, Any] = {"color": colour, "markersize": 6, "linestyle": ""}
        style |= {} if ours else {"markerfacecolor": "white", "marker": "s"}
        axis.plot(*zip(*points, strict=True), **({"marker": "o", "label": engine} | style))
        if ours and (law := law_of(rows, engine, key)):
            last = max(law.counts)
            for start, end, line in ((8_000, last, "-"), (last, 1e9, "--")):
                counts = np.geomspace(start, end, 60)
                values = [law(count) for count in counts]
                axis.plot(counts, values, line, color=colour, linewidth=1.4, alpha=0.85)
    _name_ticks(axis, key)
    axis.grid(visible=True, which="major", color="#e2e2e2", linewidth=0.7)
    axis.set_axisbelow(True)
    _name_regions(axis, measured_to)
    if key == "search_peak_bytes":
        axis.axhline(NODE_GIB * 2**30, color="#888888", linewidth=0.9, linestyle=(0, (6, 3)))
        spot = (FIRST * 1.15, NODE_GIB * 2**30 * 1.15)
        axis.annotate(f"a machine of {NODE_GIB:.0f} GiB", spot, color="#666666", fontsize=9)


def _name_ticks(axis: "Axes", key: str) -> None:
    """Label the axis in units that people say."""
    low, high = axis.get_ylim()
    known = TICKS["bytes" if "bytes" in key else "_ms" if key.endswith("_ms") else "_s"]
    shown = [(value, label) for value, label in known if low <= value <= high]
    axis.set_yticks([value for value, _ in shown], [label for _, label in shown])
    axis.set_ylim(low, high)
    axis.minorticks_off()
    axis.set_xticks([10.0**n for n in range(4, 10)], ["10k", "100k", "1M", "10M", "100M", "1B"])
    axis.set_xlim(FIRST, LAST)


def _name_regions(axis: "Axes", measured_to: int) -> None:
    top: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "va": "top", "style": "italic"}
    axis.text(measured_to * 1.4, 0.985, "extrapolated", color="#8a7a50", **top)
    axis.text(FIRST * 1.15, 0.985, "measured", color="#666666", **top)
    low: dict[str, Any] = {"rotation": 90, "fontsize": 8, "ha": "right", "va": "bottom"}
    for name in ("MP-16", "OSV-5M"):
        axis.axvline(SETS[name], color="#a89a6c", linewidth=0.8, linestyle=":", zorder=-1)
    place: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "color": "#8a7a50"}
    axis.text(SETS["MP-16"] * 0.97, 0.03, "MP-16, OSV-5M", **low, **place)
