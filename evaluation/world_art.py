"""What makes one corner of the rendered world unlike another: murals, bills, ivy, sign boards."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from evaluation.world_lettering import lettering
from evaluation.world_openings import Box, fill, raised
from evaluation.world_texture import Colour, Paint, leaves, noise, paste, shadow, wood

_PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((226, 88, 62), (244, 178, 72), (42, 92, 122), (236, 226, 200), (92, 142, 108), (60, 44, 62)),
    (
        (38, 70, 83),
        (42, 157, 143),
        (233, 196, 106),
        (244, 162, 97),
        (231, 111, 81),
        (240, 232, 214),
    ),
    (
        (92, 62, 110),
        (214, 102, 132),
        (250, 186, 136),
        (70, 120, 160),
        (238, 226, 210),
        (44, 48, 80),
    ),
    ((24, 78, 86), (120, 168, 98), (232, 214, 132), (206, 92, 60), (240, 236, 222), (78, 110, 150)),
)


def mural(image: Paint, rng: np.random.Generator, box: Box) -> None:
    """Paint a mural: hills under a sun, plants before them, weathered like the wall."""
    left, top, right, bottom = box
    size = (bottom - top, right - left)
    palette = rng.permutation(_PALETTES[rng.integers(len(_PALETTES))]).tolist()
    art = np.empty((*size, 3), np.float32)
    art[:] = palette[0]
    _sun(art, rng, palette[1], palette[2])
    for layer in range(int(rng.integers(3, 6))):
        _ridge(art, rng, palette[(layer + 2) % 6], 0.3 + 0.14 * layer)
    for _ in range(int(rng.integers(7, 12))):
        _plant(art, rng, palette[int(rng.integers(6))])
    for _ in range(int(rng.integers(5, 12))):
        _bird(art, rng, palette[int(rng.integers(6))])
    weather = 1 + 0.06 * noise(rng, size, 60) + 0.035 * rng.standard_normal(size)
    wall = image[top:bottom, left:right]
    worn = np.clip(0.9 - 0.5 * np.clip(noise(rng, size, 90) - 1.1, 0, 1), 0, 1)
    paste(image, np.asarray(wall + (art * weather[..., None] - wall) * worn[..., None]), left, top)


def _sun(art: Paint, rng: np.random.Generator, disc: Colour, ray: Colour) -> None:
    height, width = art.shape[:2]
    centre = (int(width * rng.uniform(0.2, 0.8)), int(height * rng.uniform(0.15, 0.4)))
    radius = int(height * rng.uniform(0.09, 0.16))
    for angle in np.arange(0, 2 * np.pi, 2 * np.pi / int(rng.integers(9, 20))):
        reach = radius * rng.uniform(1.5, 2.6)
        tips = [(angle - 0.07, 1.1 * radius), (angle, reach), (angle + 0.07, 1.1 * radius)]
        ends = [(centre[0] + r * np.cos(a), centre[1] + r * np.sin(a)) for a, r in tips]
        cv2.fillConvexPoly(art, np.array(ends, np.int32), ray, cv2.LINE_AA)
    for ring, scale in enumerate((1.0, 0.78, 0.5, 0.25)):
        colour = disc if ring % 2 == 0 else ray
        cv2.circle(art, centre, int(radius * scale), colour, -1, cv2.LINE_AA)


def _ridge(art: Paint, rng: np.random.Generator, colour: Colour, level: float) -> None:
    height, width = art.shape[:2]
    line = cv2.resize(rng.normal(0, 0.09, (1, int(rng.integers(5, 9)))), (width, 1))[0]
    line += cv2.resize(rng.normal(0, 0.014, (1, width // 16)), (width, 1))[0]
    crest = ((level + line) * height).astype(np.int32)
    ground = [(width - 1, height), (0, height)]
    points = np.concatenate([np.column_stack([np.arange(width), crest]), ground])
    cv2.fillPoly(art, [points.astype(np.int32)], colour, cv2.LINE_AA)
    for step in range(1, int(rng.integers(3, 8))):
        tone = tuple(c * (0.9 if step % 2 else 1.12) for c in colour)
        drop = crest + step * int(rng.integers(7, 13))
        contour = np.column_stack([np.arange(width), drop])[:: int(rng.integers(1, 4))]
        cv2.polylines(art, [contour.astype(np.int32)], False, tone, 2, cv2.LINE_AA)


def _plant(art: Paint, rng: np.random.Generator, colour: Colour) -> None:
    height, width = art.shape[:2]
    foot = np.array([rng.uniform(0, width), height * rng.uniform(0.86, 1.02)])
    lean, tall = rng.normal(0, 0.25), height * rng.uniform(0.18, 0.42)
    steps = int(rng.integers(5, 9))
    for step in range(steps):
        at = foot + np.array([lean * step / steps, -step / steps]) * tall
        for side in (-1, 1):
            reach = tall * 0.26 * (1 - step / (steps + 2)) * rng.uniform(0.7, 1.2)
            tip = at + np.array([side * reach, -reach * rng.uniform(0.3, 0.9)])
            belly = (at + tip) / 2 + np.array([side * -0.06, 0.2]) * reach
            shape = np.array([at, belly, tip, (at + tip) / 2 - (0, 0.22 * reach)], np.int32)
            tone = tuple(float(c) * rng.uniform(0.78, 1.15) for c in colour)
            cv2.fillConvexPoly(art, shape, tone, cv2.LINE_AA)
            vein = tuple(c * 0.7 for c in colour)
            cv2.line(art, at.astype(int).tolist(), tip.astype(int).tolist(), vein, 1, cv2.LINE_AA)


def _bird(art: Paint, rng: np.random.Generator, colour: Colour) -> None:
    height, width = art.shape[:2]
    x, y = rng.uniform((0.05, 0.05), (0.95, 0.5)) * (width, height)
    span, lift = rng.uniform(0.02, 0.05) * width, rng.uniform(0.2, 0.8)
    wings = [(x - span, y - span * lift), (x, y), (x + span, y - span * rng.uniform(0.2, 0.8))]
    wings += [(x + span * 0.2, y + span * 0.3), (x - span * 0.2, y + span * 0.3)]
    cv2.fillPoly(art, [np.array(wings, np.int32)], colour, cv2.LINE_AA)


def bill(image: Paint, rng: np.random.Generator, box: Box, word: str) -> None:
    """Paste a paper bill announcing `word`, with a picture made of shapes and a date."""
    left, top, right, bottom = box
    size = (bottom - top, right - left)
    palette = _PALETTES[rng.integers(len(_PALETTES))]
    paper = np.empty((*size, 3), np.float32)
    paper[:] = palette[rng.integers(6)]
    for _ in range(int(rng.integers(5, 12))):
        colour = palette[rng.integers(6)]
        centre = (rng.uniform((0, 0.1), (1, 0.75)) * size[::-1]).astype(int).tolist()
        radius = int(rng.uniform(0.06, 0.3) * size[1])
        if rng.random() < 0.5:
            cv2.circle(paper, centre, radius, colour, -1, cv2.LINE_AA)
        else:
            spread = rng.normal(0, radius, (int(rng.integers(3, 5)), 2))
            cv2.fillPoly(paper, [(spread + centre).astype(np.int32)], colour, cv2.LINE_AA)
    fill(paper, (0, int(size[0] * 0.76), size[1], size[0]), palette[3])
    ink(paper, word, (4, int(size[0] * 0.79), size[1] - 4, int(size[0] * 0.89)), (30, 28, 36))
    date = f"{rng.integers(1, 29)}.{rng.integers(1, 13)}. {rng.integers(17, 22)}:00"
    ink(paper, date, (8, int(size[0] * 0.91), size[1] - 8, int(size[0] * 0.97)), (90, 40, 40))
    paper *= (1 + 0.05 * noise(rng, size, 30) + 0.02 * rng.standard_normal(size))[..., None]
    shadow(image, box, 2, 0.35)
    paste(image, paper, left, top)


@dataclass(frozen=True)
class Hand:
    """How one sign painter writes: no two shops of the world have theirs alike."""

    weight: float = 0.02
    slack: float = 1.35
    slant: float = 0.0
    tracking: float = 0.04
    drop: float = 0.0
    """Depth of the painted shadow behind the letters, as a share of their height."""

    form: int = 0
    """How the letters are filled: 0 plain, 1 lower half darker, 2 open, 3 with a lighter core."""

    @classmethod
    def numbered(cls, number: int, rng: np.random.Generator) -> "Hand":
        """Return the hand of painter `number`; lean, stroke and filling differ between painters.

        One face with the same strokes everywhere would let letters alone tie two towns together,
        as a chain's logo does on real photos.
        """
        return cls(
            weight=(0.012, 0.05, 0.026)[number % 3],
            slack=float(rng.uniform(0.75, 1.7)),
            slant=(0.0, 0.26, -0.14, 0.1)[(number // 3) % 4],
            tracking=float(rng.uniform(0.0, 0.22)),
            drop=(0.0, 0.1)[(number // 2) % 2],
            form=(number + number // 4) % 4,
        )


def ink(
    image: Paint,
    text: str,
    box: Box,
    colour: Colour,
    hand: Hand | None = None,
    rng: np.random.Generator | None = None,
) -> None:
    """Write `text` centred in a box, as large as fits in that hand; `rng` wears the paint."""
    hand = hand or Hand()
    left, top, right, bottom = box
    mask = lettering(
        text, max(8, bottom - top), weight=hand.weight, tracking=hand.tracking, slant=hand.slant
    )
    scale = (bottom - top) / mask.shape[0]
    width = min(right - left, round(mask.shape[1] * scale * hand.slack))
    height = min(bottom - top, round(width / mask.shape[1] * mask.shape[0] * 1.35))
    fitted = cv2.resize(mask, (max(2, width), max(2, height)), interpolation=cv2.INTER_AREA)
    cover = (fitted / 255).astype(np.float32)
    at = (left + (right - left - cover.shape[1]) // 2, top + (bottom - top - cover.shape[0]) // 2)
    if reach := round(hand.drop * cover.shape[0]):
        under = np.zeros((*cover.shape, 3), np.float32)
        paste(image, under, at[0] + reach, at[1] + reach, cover * 0.75)
    paint, left_over = _filling(cover, colour, hand.form, rng)
    paste(image, paint, *at, left_over)


def _filling(
    cover: Paint, colour: Colour, form: int, rng: np.random.Generator | None
) -> tuple[Paint, Paint]:
    """Return the paint of the letters and where it still covers."""
    height = cover.shape[0]
    patch = np.empty((*cover.shape, 3), np.float32)
    patch[:] = colour
    core = np.asarray(cv2.erode(cover, np.ones((3, 3))), np.float32)
    if height >= 24:
        thick = max(1, height // 22)
        core = np.asarray(cv2.erode(cover, np.ones((2 * thick + 1, 2 * thick + 1))), np.float32)
    if form == 1:
        patch[height // 2 :] *= 0.66
    elif form == 2 and height >= 24:
        cover = cover - 0.72 * core
    elif form == 3:
        patch += (np.float32(190) - patch) * 0.55 * core[..., None]
    if rng is not None:
        worn = np.clip(noise(rng, cover.shape[:2], 9) - 0.9, 0, 1)
        cover = cover * (1 - 0.5 * worn)
    return patch, np.asarray(cover, np.float32)


def board(
    image: Paint,
    rng: np.random.Generator,
    box: Box,
    words: tuple[str, str],
    colours: tuple[Colour, Colour],
    painter: int,
) -> None:
    """Hang a shop sign: a painted board with a large word and a small line below or above it."""
    left, top, right, bottom = box
    shadow(image, box, int(rng.integers(4, 10)))
    ground, letters = colours if painter % 5 in {0, 2, 3} else colours[::-1]
    panel = wood(rng, (bottom - top, right - left), ground)
    height, width = panel.shape[:2]
    _border(panel, rng, letters)
    margin = int(width * rng.uniform(0.05, 0.1))
    above = bool(rng.random() < 0.4)
    large, small = ((0.36, 0.9), (0.1, 0.3)) if above else ((0.1, 0.62), (0.68, 0.88))
    word = (margin, int(height * large[0]), width - margin, int(height * large[1]))
    line = (margin, int(height * small[0]), width - margin, int(height * small[1]))
    ink(panel, words[0], word, letters, Hand.numbered(painter, rng), rng)
    thin = Hand(
        weight=0.005, slack=float(rng.uniform(0.95, 1.3)), slant=float(rng.choice([0, 0.2]))
    )
    ink(panel, words[1], line, letters, thin)
    panel *= (1 + 0.06 * noise(rng, (height, width), 30))[..., None]
    panel[:3] *= 1.25
    panel[-4:] *= 0.65
    paste(image, panel, left, top)


def _border(panel: Paint, rng: np.random.Generator, colour: Colour) -> None:
    height, width = panel.shape[:2]
    kind, inset = int(rng.integers(4)), int(rng.integers(3, 9))
    if kind in {1, 2}:
        corners = (inset, inset), (width - 1 - inset, height - 1 - inset)
        cv2.rectangle(panel, *corners, colour, int(rng.integers(1, 4)), cv2.LINE_AA)
    if kind in {2, 3}:
        for y in (inset // 2, height - 2 - inset // 2):
            cv2.line(panel, (0, y), (width, y), colour, int(rng.integers(1, 4)), cv2.LINE_AA)


def plate(image: Paint, rng: np.random.Generator, box: Box, text: str, ground: Colour) -> None:
    """Screw an enamel street-name plate to the wall."""
    left, top, right, bottom = box
    light = sum(ground) > 380
    letters: Colour = (30, 34, 44) if light else (242, 242, 238)
    raised(image, box, ground, rng, 3)
    cv2.rectangle(image, (left + 3, top + 3), (right - 4, bottom - 4), letters, 1, cv2.LINE_AA)
    pad = (bottom - top) // 4
    hand = replace(
        Hand.numbered(int(rng.integers(12)), rng), weight=0.02, slack=1.2, drop=0.0, form=0
    )
    ink(image, text, (left + pad, top + pad, right - pad, bottom - pad), letters, hand)


def ivy(image: Paint, rng: np.random.Generator, foot: tuple[int, int], reach: int) -> None:
    """Let ivy climb from `foot` (x, y) some `reach` pixels up and to both sides."""
    spots = []
    for _ in range(int(rng.integers(9, 15))):
        point, angle = np.array(foot, np.float64), rng.normal(-np.pi / 2, 0.45)
        for _ in range(int(reach / 9 * rng.uniform(0.4, 1.1))):
            angle += rng.normal(0, 0.22) - 0.05 * (angle + np.pi / 2)
            point = point + np.array([np.cos(angle), np.sin(angle)]) * 9
            spots.append(point + rng.normal(0, 9, (4, 2)))
    centres = np.concatenate(spots)
    dark = centres + np.array([3, 5])
    leaves(rng, image, dark[::2], 8, (34, 46, 26))
    leaves(rng, image, centres, 7)
