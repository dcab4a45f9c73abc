"""Letters of the rendered world's signs, with the accents that the built-in typeface lacks.

Pillow's only bundled face covers ASCII; every accent here is drawn onto its base letter.
"""

import unicodedata
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Mask = NDArray[np.uint8]
"""Coverage of ink `[H, W]`, 0 to 255."""

_STROKES: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "\u0301": (((-0.04, 0.0), (0.10, -0.14)),),
    "\u0300": (((0.04, 0.0), (-0.10, -0.14)),),
    "\u0302": (((-0.13, 0.0), (0.0, -0.13), (0.13, 0.0)),),
    "\u030c": (((-0.13, -0.13), (0.0, 0.0), (0.13, -0.13)),),
    "\u0303": (((-0.15, -0.03), (-0.07, -0.10), (0.07, -0.03), (0.15, -0.10)),),
    "\u0306": (((-0.13, -0.13), (-0.08, -0.02), (0.08, -0.02), (0.13, -0.13)),),
    "\u0304": (((-0.13, -0.06), (0.13, -0.06)),),
    "\u030b": (((-0.12, 0.0), (-0.02, -0.14)), ((0.06, 0.0), (0.16, -0.14))),
    "\u0327": (((0.0, 0.02), (0.0, 0.08), (0.08, 0.14), (-0.04, 0.21)),),
    "\u0328": (((0.12, 0.0), (0.05, 0.10), (0.10, 0.18), (0.20, 0.16)),),
    "\u0326": (((0.02, 0.06), (-0.04, 0.20)),),
}
"""Polylines of combining marks, in font sizes from the middle of the letter's top or foot."""

_BELOW = {"\u0327", "\u0328", "\u0326"}
_BARRED = {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D"}


def lettering(
    text: str, height: int, *, weight: float = 0.0, tracking: float = 0.0, slant: float = 0.0
) -> Mask:
    """Return `text` as ink, trimmed to the letters: `[H, W]` with H about `height` pixels.

    Args:
        text: one line; Latin letters with any of the common accents.
        height: height of a capital with its accent, pixels.
        weight: extra stroke in font sizes; 0.02 is a bold face.
        tracking: extra space between letters in font sizes.
        slant: sideways lean per unit of height; 0.2 is an italic.
    """
    size = max(8, round(height * 1.05))
    font = _face(size)
    stroke = round(weight * size)
    width = sum(round(font.getlength(_base(c)) + tracking * size) for c in text) + size
    image = Image.new("L", (width, 2 * size), 0)
    draw = ImageDraw.Draw(image)
    x = size // 2
    for letter in text:
        _draw_letter(draw, font, letter, x, size // 2, size, stroke)
        x += round(font.getlength(_base(letter)) + tracking * size)
    if slant:
        lean = (1, slant, -slant * size * 1.5, 0, 1, 0)
        image = image.transform(image.size, Image.Transform.AFFINE, lean, Image.Resampling.BICUBIC)
    box = image.getbbox() or (0, 0, 1, 1)
    return np.asarray(image.crop((box[0], box[1], box[2], box[3])))


@lru_cache(maxsize=64)
def _face(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _base(letter: str) -> str:
    return _BARRED.get(letter) or unicodedata.normalize("NFD", letter)[0]


def _draw_letter(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont,
    letter: str,
    x: int,
    y: int,
    size: int,
    stroke: int,
) -> None:
    base, marks = _base(letter), unicodedata.normalize("NFD", letter)[1:]
    draw.text((x, y), base, fill=255, font=font, stroke_width=stroke)
    left, top, right, foot = draw.textbbox((x, y), base, font=font)
    middle, pen = (left + right) / 2, max(2, round(size * 0.075) + stroke)
    if letter in _BARRED:
        centre = (top + foot) / 2
        reach, rise = 0.22 * size, 0.12 * size
        ends = [(middle - reach, centre + rise), (middle + reach, centre - rise)]
        draw.line(ends, fill=255, width=pen)
    for mark in marks:
        _draw_mark(draw, mark, (middle, foot if mark in _BELOW else top - 0.06 * size), size, pen)


def _draw_mark(
    draw: ImageDraw.ImageDraw, mark: str, at: tuple[float, float], size: int, pen: int
) -> None:
    x, y = at
    if mark in {"\u0308", "\u0307"}:
        offsets = (-0.11, 0.11) if mark == "\u0308" else (0.0,)
        for dx in (size * offset for offset in offsets):
            radius = 0.062 * size
            centre = (x + dx, y - 0.04 * size)
            draw.ellipse(
                (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius),
                fill=255,
            )
    elif mark == "\u030a":
        radius = 0.09 * size
        draw.ellipse(
            (x - radius, y - 0.16 * size, x + radius, y + 0.02 * size), outline=255, width=pen
        )
    for line in _STROKES.get(mark, ()):
        points = [(x + dx * size, y + dy * size) for dx, dy in line]
        draw.line(points, fill=255, width=pen, joint="curve")
