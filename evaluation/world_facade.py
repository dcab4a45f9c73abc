"""The walls of the rendered world's corners: a front with shops, a side with a mural."""

from dataclasses import dataclass

import cv2
import numpy as np

from evaluation import world_art as art
from evaluation import world_texture as tex
from evaluation.world_openings import Trim, door, raised, shop_front, window
from evaluation.world_places import Town, number, variant
from evaluation.world_texture import Colour, Paint

PPM = 96
"""Pixels of a wall's texture per metre."""


@dataclass(frozen=True)
class Style:
    """How a region builds: shared by towns that look alike."""

    wall: str
    colour: Colour
    trim: Trim
    roof: Colour
    boards: tuple[tuple[Colour, Colour], tuple[Colour, Colour]]
    plate: Colour
    shutters: float
    arched: bool
    paving: Colour


_CREAM, _WHITE, _GOLD, _INK = (238, 226, 196), (240, 240, 236), (232, 198, 120), (38, 40, 48)
STYLES: dict[str, Style] = {
    "timber": Style(
        "timber", (230, 216, 186), Trim((206, 192, 168), _WHITE, (58, 92, 74), (84, 50, 34)),
        (150, 78, 56), (((52, 66, 52), _GOLD), ((104, 38, 36), _CREAM)), (34, 60, 128), 0.5, False,
        (150, 146, 142),
    ),
    "ochre": Style(
        "plaster", (222, 172, 108),
        Trim((226, 212, 186), (120, 84, 58), (70, 104, 92), (92, 60, 42)),
        (186, 110, 78), (((120, 40, 40), _CREAM), ((40, 78, 70), _GOLD)), (236, 234, 226), 0.85,
        False,
        (168, 158, 146),
    ),
    "stone": Style(
        "stone", (194, 174, 140), Trim((216, 202, 174), (86, 62, 46), (96, 66, 46), (74, 52, 42)),
        (184, 120, 86), (((58, 46, 40), _CREAM), (_CREAM, (120, 44, 34))), (44, 84, 150), 0.4, True,
        (176, 166, 150),
    ),
    "brick": Style(
        "brick", (150, 84, 64), Trim((222, 214, 198), _WHITE, (40, 74, 60), (34, 62, 54)),
        (92, 82, 82), (((26, 58, 76), _WHITE), (_CREAM, (46, 70, 60))), (30, 66, 140), 0.2, False,
        (142, 120, 108),
    ),
    "gothic": Style(
        "brick", (166, 98, 74), Trim((190, 120, 92), (110, 78, 56), (74, 82, 96), (70, 46, 38)),
        (146, 74, 58), (((72, 32, 44), _GOLD), ((36, 52, 84), _WHITE)), (160, 40, 40), 0.0, True,
        (150, 146, 144),
    ),
    "white": Style(
        "plaster", (234, 230, 220), Trim((232, 190, 92), _WHITE, (52, 98, 150), (52, 88, 132)),
        (190, 108, 78), (((36, 84, 140), _WHITE), ((226, 178, 72), _INK)), (40, 70, 150), 0.55,
        False,
        (186, 180, 172),
    ),
    "mint": Style(
        "plaster", (166, 190, 166), Trim((240, 236, 224), _WHITE, (90, 70, 56), (96, 64, 46)),
        (158, 92, 70), (((92, 40, 48), _CREAM), ((60, 72, 66), _GOLD)), (150, 34, 40), 0.1, True,
        (156, 150, 146),
    ),
}  # fmt: skip
"""Building styles, by the name that `Town.style` gives."""


@dataclass(frozen=True)
class Walls:
    """The painted walls and their sizes in metres."""

    front: Paint
    side: Paint
    width_m: float
    depth_m: float
    eaves_m: float


def build_walls(town: Town, rng: np.random.Generator) -> Walls:
    """Paint the two walls of a corner house; the style fixes its colours, `rng` all the rest."""
    style = STYLES[town.style]
    plan = np.random.default_rng(sum(map(ord, town.style)))
    floors = int(plan.integers(1, 3))
    count = 3 + (int(plan.integers(3)) + variant(town)) % 3
    width, depth = float(rng.uniform(10.4, 12.8)), float(rng.uniform(6.4, 8.2))
    eaves = 3.45 + 2.75 * floors + float(rng.uniform(0.25, 0.5))
    bays = tuple(width * (i + 0.5) / count + rng.uniform(-0.3, 0.3) for i in range(count))
    front = _wall(style, rng, width, eaves)
    side = _wall(style, rng, depth, eaves)
    size = (float(rng.uniform(0.76, 1.1)), float(rng.uniform(1.25, 1.62)))
    panes = (int(rng.integers(1, 4)), int(rng.integers(2, 5)))
    for floor in range(floors):
        _windows(front, rng, style, bays, eaves - 3.45 - 2.75 * floor, size, panes)
    _ground_floor(front, rng, town, style, width, eaves)
    _side_dress(side, rng, town, depth, eaves)
    moulding = _Moulding.of(rng)
    for wall in (front, side):
        moulding.paint(wall, rng, style)
    return Walls(front, side, width, depth, eaves)


@dataclass(frozen=True)
class _Moulding:
    """The band under the eaves."""

    band_m: float
    pitch: int
    block: tuple[int, int]

    @classmethod
    def of(cls, rng: np.random.Generator) -> "_Moulding":
        """Draw a band of some height, with or without blocks below it."""
        pitch = int(rng.choice([0, 22, 31, 43, 70]))
        block = (int(pitch * rng.uniform(0.3, 0.7)), int(rng.integers(7, 20)))
        return cls(float(rng.uniform(0.14, 0.36)), pitch, block)

    def paint(self, wall: Paint, rng: np.random.Generator, style: Style) -> None:
        width, foot = wall.shape[1], _px(self.band_m)
        raised(wall, (0, 0, width, foot), style.trim.stone, rng, 8)
        if not self.pitch:
            raised(wall, (0, foot + 6, width, foot + 12), style.trim.stone, rng, 4)
            return
        wide, tall = self.block
        x = int(rng.integers(self.pitch))
        while x < width:
            wall[foot : foot + tall, x : x + wide] = np.array(style.trim.stone) * rng.uniform(
                0.8, 1
            )
            wall[foot : foot + tall + 2, x + wide : x + wide + 4] *= 0.72
            wall[foot + tall : foot + tall + 3, x : x + wide + 2] *= 0.66
            x += self.pitch + int(rng.integers(-2, 3))


def _px(metres: float) -> int:
    return round(metres * PPM)


def _wall(style: Style, rng: np.random.Generator, width: float, height: float) -> Paint:
    size = (_px(height), _px(width))
    if style.wall == "stone":
        wall = tex.ashlar(rng, size, style.colour, PPM)
    elif style.wall == "brick":
        wall = tex.brick(rng, size, style.colour, PPM)
    else:
        wall = tex.plaster(rng, size, style.colour, PPM)
        under = tex.brick(rng, size, (158, 98, 76), PPM)
        tex.peel(rng, wall, under, PPM, share=0.05)
        tex.cracks(rng, wall, PPM, 26)
    if style.wall == "timber":
        _timber(wall, rng, style.trim.door)
    plinth = tex.ashlar(rng, (_px(0.42), size[1]), (142, 136, 128), PPM)
    tex.shadow(wall, (0, size[0] - plinth.shape[0], size[1], size[0] - plinth.shape[0] + 2), 3)
    tex.paste(wall, plinth, 0, size[0] - plinth.shape[0])
    return wall


def _timber(wall: Paint, rng: np.random.Generator, colour: Colour) -> None:
    height, width = wall.shape[:2]
    foot, beam = height - _px(3.3), _px(0.17)
    for y in np.arange(_px(0.5), foot + 1, (foot - _px(0.5)) / max(1, round(foot / _px(1.38)))):
        level = int(y + rng.uniform(-3, 3))
        raised(wall, (0, level, width, level + beam), colour, rng, 3)
        _braces(wall, rng, colour, level + beam, _px(1.2), beam)


def _braces(
    wall: Paint, rng: np.random.Generator, colour: Colour, top: int, tall: int, beam: int
) -> None:
    if top + tall > wall.shape[0] - _px(3.0):
        return
    x = int(rng.uniform(0, 0.3) * PPM)
    while x < wall.shape[1]:
        raised(wall, (x, top, x + beam, top + tall), colour, rng, 3)
        gap = int(rng.uniform(0.75, 1.6) * PPM)
        if rng.random() < 0.45:
            ends = [(x + beam, top), (x + gap, top + tall)]
            ends = ends if rng.random() < 0.5 else [(x + gap, top), (x + beam, top + tall)]
            tone = tuple(c * rng.uniform(0.9, 1.15) for c in colour)
            cv2.line(wall, ends[0], ends[1], tone, beam - 3, cv2.LINE_AA)
        x += gap


def _windows(
    wall: Paint,
    rng: np.random.Generator,
    style: Style,
    bays: tuple[float, ...],
    foot_m: float,
    size_m: tuple[float, float],
    panes: tuple[int, int],
) -> None:
    """Paint one row of windows; `foot_m` is the floor's level below the wall's top."""
    for middle in bays:
        wide, tall = size_m[0] * rng.uniform(0.96, 1.04), size_m[1] * rng.uniform(0.97, 1.03)
        top = foot_m - 0.75 - tall
        box = (_px(middle - wide / 2), _px(top), _px(middle + wide / 2), _px(top + tall))
        shutters = bool(rng.random() < style.shutters)
        window(wall, rng, box, style.trim, panes, shutters=shutters, arched=style.arched)


def _ground_floor(
    wall: Paint, rng: np.random.Generator, town: Town, style: Style, width: float, eaves: float
) -> None:
    """Paint door, two shops with their boards, and the street's name, in an order of their own."""
    usable, cut = width - 1.4, rng.uniform(0.42, 0.58)
    parts = [("shop", (usable - 1.9) * cut), ("shop", (usable - 1.9) * (1 - cut))]
    parts.insert((len(town.style) + variant(town)) % 3, ("door", 1.5))
    flip = (variant(town) // 2) % 2
    lines = (f"Tel. {town.phone}", f"www.{town.site}")
    x, shop = float(rng.uniform(0.25, 0.5)), 0
    for kind, wide in parts:
        if kind == "door":
            _entrance(wall, rng, style, x + wide / 2, eaves)
        else:
            words, colours = (town.shops[shop], lines[shop]), style.boards[shop ^ flip]
            hand = 2 * number(town) + shop
            _shop(wall, rng, style, (x, x + wide), eaves, words, colours, hand)
            shop += 1
        x += wide + 0.1
    size, lift = rng.uniform(1.0, 1.24), rng.uniform(2.5, 2.9)
    name = (
        _px(width - 0.06 - size),
        _px(eaves - lift),
        _px(width - 0.06),
        _px(eaves - lift + 0.33),
    )
    art.plate(wall, rng, name, town.street, style.plate)
    wide, drop = rng.uniform(0.5, 0.75), rng.uniform(2.0, 2.3)
    bill = (_px(width - 1.1), _px(eaves - drop), _px(width - 1.1 + wide), _px(eaves - drop + 0.95))
    art.bill(wall, rng, bill, town.poster)


def _shop(
    wall: Paint,
    rng: np.random.Generator,
    style: Style,
    span: tuple[float, float],
    eaves: float,
    words: tuple[str, str],
    colours: tuple[Colour, Colour],
    painter: int,
) -> None:
    left, right = span
    sill, tall = rng.uniform(0.45, 0.85), rng.uniform(0.8, 1.06)
    top = eaves - 3.45 + rng.uniform(0.0, 0.2)
    margin = rng.uniform(0.05, 0.35)
    glass = (_px(left + margin), _px(top + tall + rng.uniform(0.0, 0.12)), _px(right - margin))
    shop_front(wall, rng, (*glass, _px(eaves - sill)), style.trim)
    edges = rng.uniform(0.0, 0.12, 2)
    box = (_px(left + edges[0]), _px(top), _px(right - edges[1]), _px(top + tall))
    art.board(wall, rng, box, words, colours, painter)


def _entrance(
    wall: Paint, rng: np.random.Generator, style: Style, middle: float, eaves: float
) -> None:
    half, tall = rng.uniform(0.42, 0.62), rng.uniform(2.1, 2.75)
    gate = (_px(middle - half), _px(eaves - tall), _px(middle + half), _px(eaves))
    door(wall, rng, gate, style.trim)
    side = middle + (half + 0.1 if rng.random() < 0.5 else -half - 0.28)
    level = eaves - rng.uniform(1.6, 2.0)
    plate = (_px(side), _px(level), _px(side + 0.17), _px(level + 0.17))
    art.plate(wall, rng, plate, str(rng.integers(2, 60)), style.plate)


def _side_dress(
    wall: Paint, rng: np.random.Generator, town: Town, depth: float, eaves: float
) -> None:
    """Paint mural, bills and ivy on the side wall."""
    top = rng.uniform(0.7, 1.0)
    box = (_px(rng.uniform(0.3, 0.9)), _px(top), _px(depth - 1.2), _px(eaves - 2.45))
    art.mural(wall, rng, box)
    x = rng.uniform(0.3, 1.0)
    while x < depth - 2.4:
        wide = rng.uniform(0.5, 0.85)
        lift = rng.uniform(0.0, 0.25)
        bill = (
            _px(x),
            _px(eaves - 2.1 - lift),
            _px(x + wide),
            _px(eaves - 2.1 - lift + wide * 1.4),
        )
        art.bill(wall, rng, bill, town.poster)
        x += wide + rng.uniform(0.03, 0.5)
    art.ivy(wall, rng, (_px(depth - 0.9), _px(eaves)), _px(rng.uniform(2.6, 4.6)))
