"""The ledger as a waterfall: from the first stage's accuracy to the answer's, up and down.

Colours are those of Okabe and Ito, which colour-blind people tell apart; what breaks is hatched
as well. Names that others chose are drawn in ASCII alone: no font lacks it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoders.photo_file import printable
from evaluation.ledger import ALL, Ledger
from evaluation.ledger_means import LevelMeans, Spread, means_of
from evaluation.metrics import DISTANCES, SIGNS
from geo.errors import ConfigError, InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIXED, BROKEN, TOTAL, INK, SOFT = "#0072B2", "#D55E00", "#9a9a9a", "#222222", "#666666"
COLUMNS = 2
ENDINGS = (".svg", ".png")
STYLE: Any = {
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e9e9e9",
    "hatch.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "graticule",
}


def draw(ledgers: Sequence[Ledger], path: Path) -> None:
    """Write the waterfall of each threshold, of one run or of the mean of several.

    Args:
        ledgers: that `ledgers_of` made together.
        path: to write, .svg or .png.

    Raises:
        InputError: another ending.
        ConfigError: matplotlib is missing; names the command that gets it.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"a plot named {path.name!r:.80} is neither: end it in .svg or .png")
    try:
        import matplotlib as mpl
    except ImportError:
        raise ConfigError(
            "plots need matplotlib, which is not installed: pip install 'graticule[evaluation]'"
        ) from None
    with mpl.rc_context(STYLE):
        _draw(ledgers, path)


def _draw(ledgers: Sequence[Ledger], path: Path) -> None:
    from matplotlib.figure import Figure

    levels = means_of(ledgers)
    columns = min(COLUMNS, len(levels))
    rows = -(-len(levels) // columns)
    figure = Figure(
        figsize=(6.4 * columns + (1.0 if columns == 1 else 0.0), 3.5 * rows + 1.4),
        layout="constrained",
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, level in zip(axes, levels, strict=False):
        _panel(axis, level, f"within {level.threshold_km:,g} km")
    for axis in axes[len(levels) :]:
        axis.remove()
    figure.suptitle(_title(ledgers), x=0.01, ha="left", fontsize=11)
    handles = {
        label: handle
        for axis in axes[: len(levels)]
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower left", ncol=columns, frameon=False
    )
    plain: Any = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
    figure.savefig(path, dpi=120, metadata=plain)


def _title(ledgers: Sequence[Ledger]) -> str:
    first, runs = ledgers[0], len(ledgers)
    over = "" if runs == 1 else f"; mean of {runs} runs, whiskers least to most"
    return (
        f"{_ascii(first.recipe)} on {_ascii(first.dataset)}: from the first stage to the answer\n"
        f"share of {first.photos:,} photos whose first point is right{over}\n"
        f"{DISTANCES[first.distance]}, {SIGNS[first.operator]}"
    )


def _ascii(text: str) -> str:
    return printable(text, 60).encode("ascii", "backslashreplace").decode()


def _panel(axis: "Axes", level: LevelMeans, title: str) -> None:
    """Draw one threshold: total, up and down for each further stage, total."""
    stages = list(level.accuracy_percent)
    names = [stages[0], *stages[1:], *(["answer"] if len(stages) > 1 else [])]
    names = [{"final": "final pick"}.get(name, name) for name in names]
    if len(stages) == 1:
        names = ["answer"]
    highest = max(ks[ALL].most for ks in level.oracle_percent.values())
    room = max(highest, *(one.most for one in level.accuracy_percent.values()), 1.0)
    axis.set(title=title, ylim=(0, 1.14 * room), xlim=(-0.6, len(names) - 0.4))
    axis.set_xticks(range(len(names)), names)
    axis.tick_params(length=0)
    axis.grid(visible=True, axis="y")
    axis.yaxis.set_major_formatter("{x:g} %")
    _total(axis, 0, level.accuracy_percent[stages[0]])
    for slot, stage in enumerate(stages[1:], start=1):
        before = level.accuracy_percent[stages[slot - 1]].mean
        _shift(
            axis, slot, before, level.fixed_percent[stage].mean, level.broken_percent[stage].mean,
            room,
        )  # fmt: skip
    if len(stages) > 1:
        _total(axis, len(stages), level.accuracy_percent["final"])
    for slot, stage in enumerate(stages[:-1]):
        high = level.oracle_percent[stage][ALL].mean
        label = "a right point anywhere in the stage's list (oracle, all)"
        axis.hlines(high, slot - 0.4, slot + 0.4, color=INK, linewidth=1.6, label=label)


def _total(axis: "Axes", slot: int, share: Spread) -> None:
    label = "right first point"
    axis.bar(slot, share.mean, width=0.62, color=TOTAL, edgecolor=INK, linewidth=0.6, label=label)
    above = share.mean
    if share.most > share.least:
        reach = [[share.mean - share.least], [share.most - share.mean]]
        axis.errorbar(slot, share.mean, yerr=reach, color=INK, capsize=4, linewidth=1.1)
        above = share.most
    _write(axis, slot, above, f"{share.mean:.1f}", weight="bold")


def _shift(
    axis: "Axes", slot: int, before: float, fixed: float, broken: float, room: float
) -> None:
    """Draw what a stage fixed, upwards from `before`, and what it then broke, downwards."""
    top, after = before + fixed, before + fixed - broken
    style: dict[str, Any] = {"width": 0.31, "edgecolor": "white", "linewidth": 0.5}
    up: dict[str, Any] = {"color": FIXED, "label": "fixed: wrong before the stage, right after"}
    down: dict[str, Any] = {
        "color": BROKEN,
        "hatch": "////",
        "label": "broken: right before the stage, wrong after",
    }
    axis.bar(slot - 0.155, fixed, bottom=before, **style, **up)
    axis.bar(slot + 0.155, -broken, bottom=top, **style, **down)
    axis.hlines(before, slot - 0.69, slot - 0.31, color=SOFT, linewidth=0.8)
    axis.hlines(after, slot + 0.31, slot + 0.69, color=SOFT, linewidth=0.8)
    _write(axis, slot - 0.02, top, f"+{fixed:.1f}", color=FIXED, ha="right")
    lost = f"\N{MINUS SIGN}{broken:.1f}"
    if after > 0.06 * room:
        _write(axis, slot + 0.02, after, lost, color=BROKEN, ha="left", va="top", up=-2)
    else:  # there is no room under the bar
        _write(axis, slot + 0.06, top, lost, color=BROKEN, ha="left")


def _write(axis: "Axes", x: float, y: float, text: str, *, up: float = 2, **style: Any) -> None:
    """Write a figure `up` points above a spot, on white where a line runs behind it."""
    look: dict[str, Any] = {"color": INK, "fontsize": 9, "ha": "center", "va": "bottom"} | style
    look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85}
    axis.annotate(text, (x, y), xytext=(0, up), textcoords="offset points", zorder=5, **look)
