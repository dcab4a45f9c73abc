"""Signs on the photos of the recipe bench: a board with the words of a place, each another one."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from evaluation.world_lettering import lettering

COLOURS = (
    ((24, 30, 44), (240, 240, 236)),
    ((236, 236, 230), (28, 70, 140)),
    ((236, 236, 230), (20, 96, 60)),
    ((30, 24, 20), (238, 202, 70)),
)
"""Of letters and of the board behind them."""


def board(image: Image.Image, lines: Sequence[str], draws: np.random.Generator) -> Image.Image:
    """Return a photo with a board before it; place, size, colours and letters are drawn.

    Args:
        image: a square photo; it stays as it is.
        lines: of Latin letters.
        draws: what they are drawn by.
    """
    side = image.width
    width, height = round(side * draws.uniform(0.72, 0.92)), round(side * draws.uniform(0.2, 0.26))
    ink, plate = COLOURS[int(draws.integers(len(COLOURS)))]
    weight, slant = float(draws.uniform(0.0, 0.02)), float(draws.choice([0.0, 0.15]))
    painted = Image.new("RGB", (width, height), plate)
    row = (height - 6) // len(lines)
    for number, line in enumerate(lines):
        letters = Image.fromarray(lettering(line, max(8, row - 8), weight=weight, slant=slant))
        scale = min(1.0, (width - 12) / letters.width, (row - 4) / letters.height)
        size = (max(1, round(letters.width * scale)), max(1, round(letters.height * scale)))
        letters = letters.resize(size)
        left, top = (width - size[0]) // 2, 3 + number * row + (row - size[1]) // 2
        painted.paste(ink, (left, top), letters)
    signed = image.copy()
    corner = int(draws.integers(side - width)), int(draws.integers(round(side * 0.1), side // 3))
    signed.paste(painted, corner)
    return signed
