"""What grows and lies far off in the rendered world: hills, fields, trees, grass."""

import cv2
import numpy as np

from evaluation import world_texture as tex
from evaluation.world_camera import Pixels
from evaluation.world_texture import Paint


def finish(paint: Paint, cover: Paint | None = None) -> Pixels:
    """Return paint as 8 bit pixels, with coverage as fourth channel if given."""
    pixels = np.clip(paint, 0, 255).astype(np.uint8)
    if cover is None:
        return pixels
    return np.dstack([pixels, np.clip(cover, 0, 255).astype(np.uint8)])


def fields(rng: np.random.Generator) -> Pixels:
    """Return open ground, dry grass and soil in soft patches."""
    size = (1100, 1400)
    paint = np.empty((*size, 3), np.float32)
    paint[:] = (150, 148, 96)
    patches = np.clip(tex.noise(rng, size, 160), -1.5, 1.5)[..., None]
    paint += patches * np.array([-16, -4, -12], np.float32)
    grain = tex.noise(rng, size, 12) * 0.09 + 0.05 * rng.standard_normal(size, dtype=np.float32)
    return finish(paint * (1 + grain)[..., None])


def tuft(rng: np.random.Generator) -> Pixels:
    """Return a tuft of grass with its coverage."""
    paint, cover = np.zeros((110, 140, 3), np.float32), np.zeros((110, 140), np.float32)
    paint[:] = (126, 122, 70)
    for _ in range(46):
        foot, lean = rng.normal(70, 15), rng.normal(0, 24)
        tall, tone = rng.uniform(40, 105), rng.uniform(0.6, 1.25)
        tip = (foot + lean + (foot - 70), 110 - tall)
        blade = np.array([(foot - 2, 110), (foot + 2, 110), tip], np.int32)
        cv2.fillConvexPoly(paint, blade, (142 * tone, 138 * tone, 76 * tone), cv2.LINE_AA)
        cv2.fillConvexPoly(cover, blade, 255.0, cv2.LINE_AA)
    return finish(paint, cover)


def hills(rng: np.random.Generator) -> Pixels:
    """Return three ranges of hills, the farther the paler."""
    paint, cover = np.zeros((160, 1200, 3), np.float32), np.zeros((160, 1200), np.float32)
    for layer, colour in enumerate(((168, 184, 198), (142, 164, 168), (118, 142, 124))):
        line = cv2.resize(rng.normal(0, 12, (1, 9)), (1200, 1), interpolation=cv2.INTER_CUBIC)[0]
        crest = (40 + 30 * layer + line).astype(int)
        below = np.arange(160)[:, None] >= crest[None]
        paint[below], cover[below] = colour, 255
    paint *= (1 + 0.05 * tex.noise(rng, (160, 1200), 24))[..., None]
    return finish(paint, cover)


def tree(rng: np.random.Generator) -> Pixels:
    """Return a broad-leaved tree with its coverage."""
    size = (520, 440)
    paint, cover = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
    paint[:] = (70, 92, 48)
    for mask, colour in ((cover, (255.0,)), (paint, (86, 66, 50))):
        cv2.line(mask, (220, 520), (214, 260), colour, 26)
        for tip in ((120, 200), (320, 190), (210, 120)):
            cv2.line(mask, (215, 330), tip, colour, 10)
    for shade, drop in (((48, 66, 34), 16), ((84, 118, 52), 0), ((122, 150, 70), -14)):
        clumps = rng.normal((220, 200 + drop), (78, 70), (34, 2))
        spots = (clumps[:, None] + rng.normal(0, 24, (34, 26, 2))).reshape(-1, 2)
        tex.leaves(rng, paint, spots, 9, shade, cover)
    return finish(paint, cover)
