"""Materials of the rendered world: plaster, brick, stone, wood, cobbles, leaves, all from noise.

Images are `[H, W, 3]` float32 RGB in 0..255 while they are painted. Lengths are pixels of the
texture. Everything is drawn from the generator passed in, so a seed fixes every pixel.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Paint = NDArray[np.float32]
Colour = tuple[float, float, float]


def noise(
    rng: np.random.Generator, size: tuple[int, int], cell: float, *, stretch: float = 1.0
) -> Paint:
    """Return fractal noise `[H, W]` of about unit deviation; `cell` is its largest feature.

    `stretch` above 1 draws it out vertically, as rain streaks.
    """
    height, width = size
    total, power, gain = np.zeros(size, np.float32), 0.0, 1.0
    while cell >= 3:
        grid = rng.standard_normal(
            (int(height / (cell * stretch)) + 3, int(width / cell) + 3), dtype=np.float32
        )
        total += gain * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        power += gain * gain * 0.6
        cell, gain = cell / 2.6, gain * 0.62
    return np.asarray(total / np.sqrt(max(power, 1e-6)), np.float32)


def plaster(rng: np.random.Generator, size: tuple[int, int], colour: Colour, ppm: int) -> Paint:
    """Return old painted plaster: clouds of fading, grain, rain streaks, soil at the foot."""
    height = size[0]
    wall = np.empty((*size, 3), np.float32)
    wall[:] = colour
    clouds = noise(rng, size, 2.2 * ppm)
    streaks = noise(rng, size, 0.25 * ppm, stretch=9)
    grain = rng.standard_normal(size, dtype=np.float32)
    rise = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    soil = np.clip((rise - 0.86) / 0.14, 0, 1) * np.clip(0.7 + 0.4 * clouds, 0, 1.3)
    shade = 1 + 0.055 * clouds + 0.028 * streaks + 0.018 * grain - 0.22 * soil
    return np.asarray(wall * shade[..., None], np.float32)


def brick(
    rng: np.random.Generator,
    size: tuple[int, int],
    colour: Colour,
    ppm: int,
    *,
    brick_m: tuple[float, float] = (0.26, 0.085),
    spread: float = 0.13,
    mortar: Colour = (176, 168, 155),
) -> Paint:
    """Return running bond of bricks `brick_m` (width, height in metres), each with its own tone."""
    height, width = size
    across, course = brick_m[0] * ppm, brick_m[1] * ppm
    x, warm = np.arange(width, dtype=np.float32), np.array((7, 1, -5), np.float32)
    wall = np.empty((height, width, 3), np.float32)
    columns = int(width / across) + 3
    for top in np.arange(0, height, course):
        tones = rng.normal(1, spread, (columns, 1)).astype(np.float32)
        hues = rng.standard_normal((columns, 1), dtype=np.float32) * warm
        u = x / np.float32(across) + rng.uniform(0, 1)
        line = ((np.array(colour, np.float32) + hues) * tones)[u.astype(np.int32)]
        joint = np.clip(1.6 - (u % 1) * across, 0, 1)[:, None].astype(np.float32)
        line += (np.array(mortar, np.float32) - line) * joint
        wall[round(top) : round(top + course)] = line
        wall[min(round(top), height - 1)] = mortar
    shade = noise(rng, size, 1.5 * ppm) * 0.05 + 1
    shade += 0.045 * rng.standard_normal(size, dtype=np.float32)
    wall *= shade[..., None]
    return _wobble(rng, wall, ppm)


def _wobble(rng: np.random.Generator, wall: Paint, ppm: int) -> Paint:
    """Return the wall with its courses bent a little, as masons leave them."""
    height, width = wall.shape[:2]
    y, x = np.indices((height, width), dtype=np.float32)
    bend = noise(rng, (height // 4 + 1, width // 4 + 1), 0.2 * ppm)
    bend = np.asarray(cv2.resize(bend, (width, height)), np.float32)
    moved = cv2.remap(wall, x + bend, y + bend, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.float32)


def ashlar(rng: np.random.Generator, size: tuple[int, int], colour: Colour, ppm: int) -> Paint:
    """Return rubble masonry: courses of uneven height, stones of uneven width and tone."""
    height, width = size
    wall = np.empty((*size, 3), np.float32)
    wall[:] = np.array(colour) * 0.72
    y = 0
    while y < height:
        course = int(rng.uniform(0.16, 0.42) * ppm)
        x = -int(rng.uniform(0, 0.3) * ppm)
        while x < width:
            length = int(rng.uniform(0.22, 0.85) * ppm)
            tone = np.array(colour) * rng.normal(1, 0.09) + rng.normal(0, 1) * np.array([6, 1, -5])
            _stone(wall, rng, (x, y, x + length, y + course), tone)
            x += length
        y += course
    grain = 0.07 * noise(rng, size, 0.14 * ppm) + 0.05 * noise(rng, size, 2.0 * ppm)
    return np.asarray(wall * (1 + grain)[..., None], np.float32)


def _stone(
    wall: Paint, rng: np.random.Generator, box: tuple[int, int, int, int], tone: NDArray[np.float64]
) -> None:
    left, top, right, bottom = box
    jitter = rng.integers(0, 4, (4, 2)) - 1
    corners = np.array([(left, top), (right - 3, top), (right - 3, bottom - 3), (left, bottom - 3)])
    points = (corners + jitter).astype(np.int32)
    cv2.fillConvexPoly(wall, points + 1, (tone * 0.8).tolist(), cv2.LINE_AA)
    cv2.fillConvexPoly(wall, points, tone.tolist(), cv2.LINE_AA)
    cv2.line(wall, points[0].tolist(), points[1].tolist(), (tone * 1.09).tolist(), 1, cv2.LINE_AA)


def peel(
    rng: np.random.Generator, wall: Paint, under: Paint, ppm: int, share: float = 0.06
) -> None:
    """Let `under` show through `wall` where the plaster has fallen off (both `[H, W, 3]`)."""
    field = noise(rng, wall.shape[:2], 1.6 * ppm)
    field += np.linspace(-0.5, 0.5, wall.shape[0], dtype=np.float32)[:, None]
    edge = float(np.quantile(field[::4, ::4], 1 - share))
    cover = np.clip((field - edge) * 14, 0, 1)[..., None]
    rim = np.clip(1 - np.abs((field - edge + 0.05) * 12), 0, 1)[..., None] * 0.35
    wall *= 1 - rim
    wall += (under - wall) * cover


def cracks(rng: np.random.Generator, wall: Paint, ppm: int, count: int) -> None:
    """Draw fine cracks wandering over the wall."""
    height, width = wall.shape[:2]
    for _ in range(count):
        point, angle = rng.uniform((0, 0), (width, height)), rng.uniform(0, 2 * np.pi)
        points = [point]
        for _ in range(int(rng.integers(6, 16))):
            angle += rng.normal(0, 0.5)
            point = point + np.array([np.cos(angle), np.sin(angle)]) * 0.09 * ppm
            points.append(point)
        tone = wall[int(point[1]) % height, int(point[0]) % width] * 0.62
        cv2.polylines(wall, [np.array(points, np.int32)], False, tone.tolist(), 1, cv2.LINE_AA)


def wood(rng: np.random.Generator, size: tuple[int, int], colour: Colour) -> Paint:
    """Return planks' grain along the longer side."""
    along = size[0] >= size[1]
    grain = noise(rng, size if along else size[::-1], 6, stretch=14)
    grain = grain if along else np.ascontiguousarray(grain.T)
    shade = 1 + 0.13 * grain + 0.03 * rng.standard_normal(size, dtype=np.float32)
    return np.asarray(np.array(colour, np.float32) * shade[..., None], np.float32)


def leaves(
    rng: np.random.Generator,
    image: Paint,
    centres: NDArray[np.float64],
    size: float,
    colour: Colour = (74, 108, 46),
    cover: Paint | None = None,
) -> None:
    """Draw one leaf at every centre `[N, 2]` (x, y); `cover` `[H, W]` gets 255 under them."""
    angles = rng.uniform(0, np.pi, len(centres))
    sizes = size * rng.uniform(0.6, 1.3, len(centres))
    tones = rng.normal(1, 0.24, len(centres)).clip(0.45, 1.7)
    warm = rng.normal(0, 14, len(centres))
    for (x, y), angle, extent, tone, hue in zip(centres, angles, sizes, tones, warm, strict=True):
        along = np.array([np.cos(angle), np.sin(angle)]) * extent
        side = np.array([-along[1], along[0]]) * 0.5
        middle = np.array([x, y])
        shape = np.array([middle - along, middle + side, middle + along, middle - side], np.int32)
        paint = [max(0.0, (colour[0] + hue) * tone), colour[1] * tone, colour[2] * tone]
        cv2.fillConvexPoly(image, shape, paint, cv2.LINE_AA)
        if cover is not None:
            cv2.fillConvexPoly(cover, shape, 255.0)


def shadow(image: Paint, box: tuple[int, int, int, int], reach: int, strength: float = 0.5) -> None:
    """Darken the surroundings of a box (left, top, right, bottom) that stands out of the wall."""
    left, top, right, bottom = box
    height, width = image.shape[:2]
    pad = reach * 3
    x0, y0 = max(0, left - pad), max(0, top - pad)
    x1, y1 = min(width, right + pad), min(height, bottom + pad)
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.float32)
    offset = (left - x0 + reach // 2, top - y0 + reach)
    cv2.rectangle(mask, offset, (right - x0 + reach // 2, bottom - y0 + reach), 1.0, -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), reach * 0.6), np.float32)
    image[y0:y1, x0:x1] *= (1 - strength * mask)[..., None]


def paste(image: Paint, patch: Paint, left: int, top: int, cover: Paint | None = None) -> None:
    """Put `patch` on `image`, cut at its edges; `cover` `[h, w]` in 0..1 blends."""
    height, width = image.shape[:2]
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, left + patch.shape[1]), min(height, top + patch.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    part = patch[y0 - top : y1 - top, x0 - left : x1 - left]
    target = image[y0:y1, x0:x1]
    if cover is None:
        target[:] = part
    else:
        target += (part - target) * cover[y0 - top : y1 - top, x0 - left : x1 - left, None]
