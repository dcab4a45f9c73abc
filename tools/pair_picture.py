"""Draw two photos side by side with lines between the points that agree."""

import colorsys

import numpy as np
from PIL import Image, ImageDraw

from encoders.local_features import LocalFeatures
from tools.matching import PairMatch

SIDE_PX = 720
MAX_LINES = 80
_GAP_PX = 8
_BACKGROUND = (24, 24, 28)


def draw_pair(
    left: Image.Image,
    right: Image.Image,
    features: tuple[LocalFeatures, LocalFeatures],
    match: PairMatch,
) -> Image.Image:
    """Return both photos on one canvas, inliers joined by lines.

    Args:
        left: photo A, any size.
        right: photo B, any size.
        features: of A and B; they say how large the working frames are.
        match: of A and B.
    """
    shown = [_fit(left), _fit(right)]
    offset = shown[0].width + _GAP_PX
    size = (offset + shown[1].width, max(one.height for one in shown))
    canvas = Image.new("RGB", size, _BACKGROUND)
    canvas.paste(shown[0], (0, 0))
    canvas.paste(shown[1], (offset, 0))
    pen = ImageDraw.Draw(canvas)
    starts = match.points_a * (shown[0].width / features[0].width)
    ends = match.points_b * (shown[1].width / features[1].width) + np.array((offset, 0), np.float32)
    lines = np.linspace(0, max(len(starts) - 1, 0), min(len(starts), MAX_LINES)).astype(int)
    for number, row in enumerate(lines):
        red, green, blue = colorsys.hsv_to_rgb(number / len(lines), 0.9, 1.0)
        colour = (round(red * 255), round(green * 255), round(blue * 255))
        (xa, ya), (xb, yb) = starts[row].tolist(), ends[row].tolist()
        pen.line((xa, ya, xb, yb), fill=colour, width=1)
        for x, y in ((xa, ya), (xb, yb)):
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), outline=colour, width=2)
    return canvas


def _fit(image: Image.Image) -> Image.Image:
    ratio = SIDE_PX / max(image.size)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
