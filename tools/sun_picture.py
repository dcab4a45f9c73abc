"""A map of the world with the band of land that fits what was measured of the sun.

Plate carree: latitude and longitude are straight lines, as they are in the numbers beside it.
Drawn with Pillow alone.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from geo.outlines import outlines
from geo.sphere import FloatArray
from tools.sun_band import COLUMNS, ROWS

SCALE = 4
"""Pixels a degree."""
WIDTH, HEIGHT = 360 * SCALE, 180 * SCALE
TOP = 84
"""Pixels above the map, for the title."""
FOOT = 56
_PAGE, _SEA, _LAND, _LINE = (255, 255, 255), (233, 240, 246), (213, 213, 208), (140, 140, 138)
_GRID = (208, 219, 229)
_INK, _FAINT = (32, 36, 42), (96, 102, 110)
_RAMP = ((253, 204, 138), (252, 141, 89), (227, 74, 51), (153, 0, 13))
"""Oranges of ColorBrewer's OrRd, even in lightness: rarely to most often."""
_MARK, _SUN = (0, 60, 160), (250, 190, 0)


def draw_band(
    cells: NDArray[np.intp],
    shares: FloatArray,
    title: str,
    facts: str,
    place: tuple[float, float] | None = None,
    sun: tuple[float, float] | None = None,
) -> Image.Image:
    """Return the map, 1440 px wide.

    Args:
        cells: `[N]` numbers of cells of land.
        shares: `[N]` share of the time at which each fits; 0 is not coloured.
        title: first line, large.
        facts: second line.
        place: latitude and longitude of a place to be marked.
        sun: latitude and longitude of the place with the sun overhead.
    """
    base, lines = _world()
    world = base.copy()
    colours, mask = _layer(cells, shares)
    world.paste(colours, (0, 0), mask)
    world.paste(Image.new("RGB", lines.size, _LINE), (0, 0), lines)
    pen = ImageDraw.Draw(world)
    if sun:
        x, y = _pixel(*sun)
        pen.ellipse((x - 9, y - 9, x + 9, y + 9), fill=_SUN, outline=_INK, width=2)
    if place:
        x, y = _pixel(*place)
        pen.ellipse((x - 12, y - 12, x + 12, y + 12), outline=_MARK, width=4)
    picture = Image.new("RGB", (WIDTH, TOP + HEIGHT + FOOT), _PAGE)
    picture.paste(world, (0, TOP))
    pen = ImageDraw.Draw(picture)
    pen.text((16, 12), title, fill=_INK, font=_font(28))
    pen.text((16, 50), facts, fill=_FAINT, font=_font(20))
    _legend(pen, shares, bool(place), bool(sun))
    return picture


@cache
def _world() -> tuple[Image.Image, Image.Image]:
    """Return sea, land and a grid of 30 degrees, and the mask of coasts and borders."""
    base, lines = Image.new("RGB", (WIDTH, HEIGHT), _SEA), Image.new("L", (WIDTH, HEIGHT), 0)
    fill, stroke = ImageDraw.Draw(base), ImageDraw.Draw(lines)
    rings = [[_pixel(*corner) for corner in ring.tolist()] for _, ring in outlines(0.12)]
    for ring in rings:
        fill.polygon(ring, fill=_LAND)
        stroke.line(ring, fill=170, width=1)
    for degrees in range(-150, 180, 30):
        x, y = _pixel(degrees / 2, degrees)
        fill.line((x, 0, x, HEIGHT), fill=_GRID)
        if degrees % 60 == 0:  # 60, 30, 0, -30, -60 degrees of latitude
            fill.line((0, y, WIDTH, y), fill=_GRID)
    return base, lines


def _pixel(latitude: float, longitude: float) -> tuple[float, float]:
    return (longitude + 180) * SCALE, (90 - latitude) * SCALE


def _layer(cells: NDArray[np.intp], shares: FloatArray) -> tuple[Image.Image, Image.Image]:
    """Return the colours of the cells and the mask of those that fit, northwards up."""
    grid = np.zeros(ROWS * COLUMNS)
    grid[cells] = shares
    grid = grid.reshape(ROWS, COLUMNS)[::-1]
    tones = _tones(grid / max(float(grid.max()), 1e-12))
    fits = np.where(grid > 0, 235, 0).astype(np.uint8)
    size = (WIDTH, HEIGHT)
    near = Image.Resampling.NEAREST
    return Image.fromarray(tones).resize(size, near), Image.fromarray(fits).resize(size, near)


def _tones(share: FloatArray) -> NDArray[np.uint8]:
    """Return the colours `[..., 3]` of values from 0 to 1."""
    table, stops = np.array(_RAMP, float), np.linspace(0, 1, len(_RAMP))
    bands = [np.interp(share, stops, table[:, band]) for band in range(3)]
    return np.asarray(np.rint(np.stack(bands, axis=-1)), dtype=np.uint8)


def _legend(pen: ImageDraw.ImageDraw, shares: FloatArray, place: bool, sun: bool) -> None:
    """Say what colours and marks mean."""
    y, x = TOP + HEIGHT + 16, 16.0
    most = float(shares.max()) if len(shares) else 0.0
    least = float(shares[shares > 0].min()) if most else 0.0
    swatches = [(_RAMP[-1], "fits" if least == most else "fits most often")]
    if least < most:
        swatches.insert(0, (_RAMP[0], "seldom"))
    for colour, said in [*swatches, (_LAND, "does not fit")]:
        pen.rectangle((x, y, x + 24, y + 24), fill=colour, outline=_FAINT)
        x = _said(pen, x + 34, y, said)
    if sun:
        pen.ellipse((x, y + 3, x + 18, y + 21), fill=_SUN, outline=_INK, width=2)
        x = _said(pen, x + 28, y, "sun overhead")
    if place:
        pen.ellipse((x, y, x + 24, y + 24), outline=_MARK, width=4)
        _said(pen, x + 34, y, "place asked about")


def _said(pen: ImageDraw.ImageDraw, x: float, y: float, text: str) -> float:
    """Write a text and return where the next one may begin."""
    pen.text((x, y), text, fill=_INK, font=_font(20))
    return x + float(pen.textlength(text, font=_font(20))) + 36


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
