"""The walls of a street corner in the rendered world: one front with shops, one side with a mural."""

from dataclasses import dataclass

import cv2
import numpy as np

from evaluation import world_art as art
from evaluation import world_texture as tex
from evaluation.world_openings import Trim, door, raised, shop_front, window
from evaluation.world_places import Town
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
        "plaster", (222, 172, 108), Trim((226, 212, 186), (120, 84, 58), (70, 104, 92), (92, 60, 42)),
        (186, 110, 78), (((120, 40, 40), _CREAM), ((40, 78, 70), _GOLD)), (236, 234, 226), 0.85, False,
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
        (190, 108, 78), (((36, 84, 140), _WHITE), ((226, 178, 72), _INK)), (40, 70, 150), 0.55, False,
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
    bays: tuple[float, ...]
    """Middles of the upper windows, metres from the left edge of the front."""
    floors: int


def build_walls(town: Town, rng: np.random.Generator) -> Walls:
    """Paint the two walls of a corner house; the style fixes its proportions, `rng` the rest."""
    style = STYLES[town.style]
    plan = np.random.default_rng(sum(map(ord, town.style)))
    floors, count = int(plan.integers(1, 3)), int(plan.integers(4, 6))
    width, depth = float(plan.uniform(10.8, 12.6)), float(plan.uniform(6.6, 8.0))
    eaves = 3.45 + 2.75 * floors + 0.35
    bays = tuple(width * (i + 0.5) / count + rng.uniform(-0.16, 0.16) for i in range(count))
    front = _wall(style, rng, width, eaves)
    side = _wall(style, rng, depth, eaves)
    for floor in range(floors):
        _windows(front, rng, style, bays, eaves - 3.45 - 2.75 * floor)
    _ground_floor(front, rng, town, style, width, eaves)
    _side_dress(side, rng, town, style, depth, eaves)
    for wall in (front, side):
        _bands(wall, rng, style, eaves)
    return Walls(front, side, width, depth, eaves, bays, floors)


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
    wall: Paint, rng: np.random.Generator, style: Style, bays: tuple[float, ...], foot_m: float
) -> None:
    """Paint one row of windows; `foot_m` is the floor's level below the wall's top."""
    for middle in bays:
        wide, tall = rng.uniform(0.84, 1.0), rng.uniform(1.45, 1.6)
        top = foot_m - 0.75 - tall
        box = (_px(middle - wide / 2), _px(top), _px(middle + wide / 2), _px(top + tall))
        trim = style.trim
        shutters = bool(rng.random() < style.shutters)
        window(wall, rng, box, trim, shutters=shutters, arched=style.arched)


def _ground_floor(
    wall: Paint, rng: np.random.Generator, town: Town, style: Style, width: float, eaves: float
) -> None:
    split = width * rng.uniform(0.44, 0.54)
    spans = ((0.55, split - 0.75), (split + 0.75, width - 1.35))
    lines = (f"Tel. {town.phone}", f"www.{town.site}")
    for (left, right), word, line, colours in zip(
        spans, town.shops, lines, style.boards, strict=True
    ):
        front = (_px(left + 0.1), _px(eaves - 2.35), _px(right - 0.1), _px(eaves - 0.62))
        shop_front(wall, rng, front, style.trim)
        top = eaves - 3.4 + rng.uniform(-0.04, 0.04)
        art.board(
            wall, rng, (_px(left), _px(top), _px(right), _px(top + 0.94)), (word, line), colours
        )
    gate = (_px(split - 0.48), _px(eaves - 2.4), _px(split + 0.48), _px(eaves))
    door(wall, rng, gate, style.trim)
    number = str(rng.integers(2, 60))
    plate = (_px(split + 0.56), _px(eaves - 2.0), _px(split + 0.72), _px(eaves - 1.84))
    art.plate(wall, rng, plate, number, style.plate)
    name = (_px(width - 1.28), _px(eaves - 2.75), _px(width - 0.06), _px(eaves - 2.43))
    art.plate(wall, rng, name, town.street, style.plate)
    art.bill(wall, rng, (_px(width - 1.1), _px(eaves - 2.2), _px(width - 0.45), _px(eaves - 1.3)),
             town.poster)  # fmt: skip


def _side_dress(
    wall: Paint, rng: np.random.Generator, town: Town, style: Style, depth: float, eaves: float
) -> None:
    top = rng.uniform(0.7, 1.0)
    art.mural(wall, rng, (_px(0.6), _px(top), _px(depth - 1.2), _px(eaves - 2.45)))
    x = 0.5
    while x < depth - 2.4:
        wide = rng.uniform(0.55, 0.8)
        lift = rng.uniform(0.0, 0.12)
        box = (_px(x), _px(eaves - 2.1 - lift), _px(x + wide), _px(eaves - 2.1 - lift + wide * 1.4))
        art.bill(wall, rng, box, town.poster)
        x += wide + rng.uniform(0.03, 0.35)
    art.ivy(wall, rng, (_px(depth - 0.9), _px(eaves)), _px(rng.uniform(2.6, 4.6)))


def _bands(wall: Paint, rng: np.random.Generator, style: Style, eaves: float) -> None:
    width = wall.shape[1]
    raised(wall, (0, _px(0.0), width, _px(0.3)), style.trim.stone, rng, 9)
    for x in range(4, width, 26):
        tone = np.array(style.trim.stone) * rng.uniform(0.88, 1.04)
        wall[_px(0.3) : _px(0.42), x : x + 13] = tone
        wall[_px(0.3) : _px(0.44), x + 13 : x + 17] *= 0.72
        wall[_px(0.42) : _px(0.45), x : x + 15] *= 0.66
