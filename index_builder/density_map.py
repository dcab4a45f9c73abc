"""A picture of where a gallery's photos are: a world map in which equal areas look equal.

Equal Earth projection (Savric, Patterson and Jenny, IJGIS 33, 2018): a cell of the picture is
the same number of square kilometres everywhere, so that colours are densities. Colours are
viridis without its lightest end, evenly spaced in lightness and safe for the colour-blind, over
the logarithm of the count. Drawn with Pillow alone.
"""

import io
import math
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from geo.outlines import outlines

WIDTH_PX, HEIGHT_PX = 1600, 952
MAP_LEFT, MAP_TOP, MAP_WIDTH = 40, 104, 1520
CELL_PX = 5
_RINGED = 40
"""Cells up to which each is ringed, so that a small gallery is found on the map."""
_A = (1.340264, -0.081106, 0.000893, 0.003796)
_ROOT = math.sqrt(3.0)
_X_MAX, _Y_MAX = 2 * _ROOT * math.pi / (3 * _A[0]), 1.3173627591574
MAP_HEIGHT = round(MAP_WIDTH * _Y_MAX / _X_MAX)
EARTH_KM2 = 510_065_622.0
CELL_KM2 = EARTH_KM2 * (CELL_PX * _X_MAX * 2 / MAP_WIDTH) ** 2 / (4 * math.pi)
"""Square kilometres of a cell: the projection's unit sphere has an area of 4 pi."""
_SHARP = 2
_TOLERANCE_DEG = 0.12
_PAGE, _SEA, _LAND, _BORDER = (255, 255, 255), (233, 240, 246), (213, 213, 208), (140, 140, 138)
_INK, _FAINT = (32, 36, 42), (96, 102, 110)
_VIRIDIS = (
    (130, 211, 76), (84, 197, 104), (46, 178, 124), (31, 158, 137), (38, 139, 142),
    (48, 119, 142), (59, 97, 141), (68, 72, 130), (72, 42, 114), (68, 1, 84),
)  # fmt: skip
"""Matplotlib's viridis from 0.81 down to 0."""

Degrees = npt.NDArray[np.float64]


def equal_earth(latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> tuple[Degrees, Degrees]:
    """Return where points lie on the projected unit sphere: x to the east, y to the north.

    Args:
        latitude: `[N]` degrees.
        longitude: `[N]` degrees.
    """
    phi, lam = np.radians(np.asarray(latitude, float)), np.radians(np.asarray(longitude, float))
    theta = np.arcsin(_ROOT / 2 * np.sin(phi))
    t2 = theta * theta
    t6 = t2 * t2 * t2
    slope = _A[0] + 3 * _A[1] * t2 + t6 * (7 * _A[2] + 9 * _A[3] * t2)
    x = 2 * _ROOT * lam * np.cos(theta) / (3 * slope)
    y = theta * (_A[0] + _A[1] * t2 + t6 * (_A[2] + _A[3] * t2))
    return x, y


def on_picture(latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> Degrees:
    """Return points as pixels of the map `[N, 2]`, x to the right, y down, from its corner."""
    x, y = equal_earth(latitude, longitude)
    scale = MAP_WIDTH / (2 * _X_MAX)
    return np.column_stack([(x + _X_MAX) * scale, (_Y_MAX - y) * scale])


class DensityGrid:
    """How many points fall into each cell of the picture; filled some at a time."""

    def __init__(self) -> None:
        shape = (math.ceil(MAP_HEIGHT / CELL_PX), math.ceil(MAP_WIDTH / CELL_PX))
        self.cells: npt.NDArray[np.int64] = np.zeros(shape, np.int64)

    def add(self, latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> None:
        """Count points given in degrees, `[N]` and `[N]`."""
        column, row = (on_picture(latitude, longitude) // CELL_PX).astype(np.intp).T
        rows, columns = self.cells.shape
        np.add.at(self.cells, (np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)), 1)

    @property
    def points(self) -> int:
        """How many points were counted."""
        return int(self.cells.sum())


def draw_density(grid: DensityGrid, title: str, facts: str = "", noun: str = "photos") -> bytes:
    """Return the map as the bytes of a PNG, 1600 px wide.

    Args:
        grid: the counts.
        title: first line, large.
        facts: second line.
        noun: what is counted, for the legend.
    """
    picture = Image.new("RGB", (WIDTH_PX, HEIGHT_PX), _PAGE)
    base, borders = _world()
    place = (MAP_LEFT, MAP_TOP)
    picture.paste(base, place)
    colours, mask = _cells_layer(grid)
    picture.paste(colours, place, mask)
    picture.paste(Image.new("RGB", borders.size, _BORDER), place, borders)
    _rings(picture, grid)
    draw = ImageDraw.Draw(picture)
    draw.text((MAP_LEFT, 22), _latin(title), fill=_INK, font=_font(34))
    draw.text((MAP_LEFT, 66), _latin(facts), fill=_FAINT, font=_font(20))
    _legend(draw, grid, noun)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


@cache
def _world() -> tuple[Image.Image, Image.Image]:
    """Return sea and land, and the mask of coasts and borders."""
    size = (MAP_WIDTH * _SHARP, MAP_HEIGHT * _SHARP)
    base, lines = Image.new("RGB", size, _PAGE), Image.new("L", size, 0)
    fill, stroke = ImageDraw.Draw(base), ImageDraw.Draw(lines)
    side = np.linspace(-90, 90, 181)
    rim = on_picture(np.append(side, side[::-1]), np.repeat([-180.0, 180.0], len(side)))
    fill.polygon(_corners(rim), fill=_SEA)
    for parallel in (-60, -30, 0, 30, 60):
        _line(fill, np.full(73, parallel), np.linspace(-180, 180, 73))
    for meridian in range(-150, 180, 30):
        _line(fill, side, np.full(len(side), meridian))
    for _, ring in outlines(_TOLERANCE_DEG):
        corners = _corners(on_picture(*_densified(ring)))
        fill.polygon(corners, fill=_LAND)
        stroke.line(corners, fill=150, width=_SHARP, joint="curve")
    fill.line(_corners(np.vstack([rim, rim[:1]])), fill=_BORDER, width=_SHARP)
    small = (MAP_WIDTH, MAP_HEIGHT)
    return base.resize(small, Image.Resampling.BOX), lines.resize(small, Image.Resampling.BOX)


def _line(draw: ImageDraw.ImageDraw, latitude: Degrees, longitude: Degrees) -> None:
    draw.line(_corners(on_picture(latitude, longitude)), fill=(214, 224, 233), width=_SHARP)


def _densified(ring: Degrees) -> tuple[Degrees, Degrees]:
    """Return a ring with a corner every 2 degrees: straight edges are curves when projected."""
    steps = np.maximum(1, np.ceil(np.abs(np.diff(ring, axis=0)).max(axis=1) / 2)).astype(np.intp)
    start, end = np.repeat(ring[:-1], steps, axis=0), np.repeat(ring[1:], steps, axis=0)
    first = np.repeat(np.cumsum(steps) - steps, steps)
    share = ((np.arange(len(start)) - first) / np.repeat(steps, steps))[:, None]
    dense = start + share * (end - start)
    return dense[:, 0], dense[:, 1]


def _corners(pixels: Degrees) -> list[tuple[float, float]]:
    return [(x, y) for x, y in (pixels * _SHARP).tolist()]


def _cells_layer(grid: DensityGrid) -> tuple[Image.Image, Image.Image]:
    """Return the colours of the cells, and the mask of those that hold something."""
    share = np.log1p(grid.cells) / max(math.log1p(int(grid.cells.max())), 1e-9)
    # One point has the palette's first colour, the fullest cell its last.
    low = math.log1p(1) / max(math.log1p(int(grid.cells.max())), math.log1p(2))
    rows = _colours(np.clip((share - low) / (1 - low), 0, 1))
    filled = np.where(grid.cells > 0, 255, 0).astype(np.uint8)
    return _enlarged(Image.fromarray(rows)), _enlarged(Image.fromarray(filled))


def _rings(picture: Image.Image, grid: DensityGrid) -> None:
    """Draw a circle round each cell where there are so few that an eye would search for them."""
    filled = np.argwhere(grid.cells > 0)
    if len(filled) > _RINGED:
        return
    mask = Image.new("L", (WIDTH_PX * _SHARP, HEIGHT_PX * _SHARP), 0)
    draw = ImageDraw.Draw(mask)
    for row, column in filled.tolist():
        x = (MAP_LEFT + (column + 0.5) * CELL_PX) * _SHARP
        y = (MAP_TOP + (row + 0.5) * CELL_PX) * _SHARP
        draw.circle((x, y), 11 * _SHARP, outline=255, width=_SHARP)
    small = mask.resize(picture.size, Image.Resampling.BOX)
    picture.paste(Image.new("RGB", picture.size, _INK), (0, 0), small)


def _enlarged(image: Image.Image) -> Image.Image:
    whole = image.resize((image.width * CELL_PX, image.height * CELL_PX), Image.Resampling.NEAREST)
    return whole.crop((0, 0, MAP_WIDTH, MAP_HEIGHT))


def _colours(share: Degrees) -> npt.NDArray[np.uint8]:
    """Return RGB `[..., 3]` of values from 0 to 1."""
    table = np.array(_VIRIDIS, float)
    stops = np.linspace(0, 1, len(table))
    bands = [np.interp(share, stops, table[:, band]) for band in range(3)]
    rounded: npt.NDArray[np.uint8] = np.rint(np.stack(bands, axis=-1)).astype(np.uint8)
    return rounded


def _legend(draw: ImageDraw.ImageDraw, grid: DensityGrid, noun: str) -> None:
    """Draw the colour bar with counts, and what a cell is."""
    top, left, width, height = MAP_TOP + MAP_HEIGHT + 34, MAP_LEFT, 560, 18
    side = math.sqrt(CELL_KM2)
    said = f"{noun} in a cell of {CELL_KM2:,.0f} sq km ({side:.0f} x {side:.0f} km), logarithmic"
    largest = int(grid.cells.max())
    if not largest:
        draw.text((left, top), f"no {noun}", fill=_INK, font=_font(20))
        return
    ramp = _colours(np.linspace(0, 1, width)) if largest > 1 else _colours(np.zeros(width))
    for step in range(width):
        draw.line((left + step, top, left + step, top + height), fill=tuple(ramp[step].tolist()))
    draw.rectangle((left, top, left + width, top + height), outline=_FAINT)
    last = left - 100.0
    for count in _ticks(largest):
        share = math.log((1 + count) / 2) / math.log((1 + largest) / 2) if largest > 1 else 0.0
        x = left + share * width
        label = f"{count:,}"
        if x - last < 24 + 11 * len(label):
            continue
        draw.line((x, top + height, x, top + height + 5), fill=_FAINT)
        anchor = "la" if x == left else "ma"
        draw.text((x, top + height + 8), label, fill=_INK, font=_font(18), anchor=anchor)
        last = x
    draw.text((left + width + 56, top - 3), said, fill=_INK, font=_font(20))
    filled = int((grid.cells > 0).sum())
    share = filled * CELL_KM2 / EARTH_KM2
    seen = f"{filled:,} cells hold any, {100 * share:.2g} % of the Earth; the fullest {largest:,}"
    draw.text((left + width + 56, top + 24), seen, fill=_FAINT, font=_font(20))


def _ticks(largest: int) -> list[int]:
    powers = [10**power for power in range(len(str(largest))) if 10**power <= largest]
    return powers if len(powers) > 1 or largest == 1 else [1, largest]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _latin(text: str) -> str:
    """Return text with ? for what the font, which has Latin letters alone, cannot draw."""
    return "".join(letter if ord(letter) < 0x250 or letter in "·–…" else "?" for letter in text)
