"""Plots of the report as inline SVG that follows the page: its colours, its fonts, its theme.

Matplotlib draws with stand-in colours, which become the page's CSS variables; so one drawing is
right on a light screen, on a dark one and on paper. No foreign text is ever drawn: runs are called
by their letters, and the page's own legend says which is which.
"""

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from geo.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, SOFT, GRID, CARD = "#010101", "#020202", "#030303", "#040404"
MOST_RUNS = 6
RUN_COLOURS = tuple(f"#05000{number}" for number in range(MOST_RUNS))
_VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--line", CARD: "--card"} | {
    colour: f"--run-{number}" for number, colour in enumerate(RUN_COLOURS)
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


def style() -> Any:
    """Return the context that figures are made in.

    Raises:
        ConfigError: matplotlib is missing; names the command that gets it.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise ConfigError(
            "plots need matplotlib, which is not installed: pip install 'graticule[evaluation]'"
        ) from None
    return mpl.rc_context(_STYLE)


def inline(
    figure: "Figure",
    name: str,
    alt: str,
    classes: str = "",
    colours: Mapping[str, str] | None = None,
) -> Markup:
    """Return a figure, made in `style()`, as inline SVG.

    Args:
        figure: what to show.
        name: unique on the page: ids inside the drawing are derived from it.
        alt: what a person who does not see it is told.
        classes: CSS classes of the drawing.
        colours: of a figure made elsewhere, to stand-in colours of this module.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return themed(buffer.getvalue(), name, alt, classes, colours)


def themed(
    drawing: str, name: str, alt: str, classes: str = "", colours: Mapping[str, str] | None = None
) -> Markup:
    """Return a drawing of matplotlib, as it writes SVG, as a part of the page; see `inline`."""
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>\s*", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", drawing)
    for theirs, ours in (colours or {}).items():
        drawing = re.sub(re.escape(theirs), ours, drawing, flags=re.IGNORECASE)
    for colour, variable in _VARIABLES.items():
        drawing = drawing.replace(colour, f"var({variable})")
    drawing = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font: \1px var(--plot-font)", drawing)
    view_box = re.search(r'viewBox="[\d. -]+"', drawing)
    assert view_box
    head = Markup('<svg class="plot {}" role="img" aria-label="{}" {} ').format(
        classes,
        alt,
        Markup(view_box[0]),  # noqa: S704  # digits
    )
    inside = drawing[drawing.index(">") + 1 :].replace("xlink:href", "href")
    return head + Markup(f'xmlns="http://www.w3.org/2000/svg">{inside}')  # noqa: S704  # ours
