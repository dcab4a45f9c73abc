"""A small map of dots in the terminal: land, the circles of an answer, and where it lies."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.text import Text

from agent.answer import Answer

DOTS = (2, 4)
"""Dots of a braille character, across and down."""
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
WORLD = (-58.0, -180.0, 80.0, 180.0)
"""South, west, north, east: where photos are taken."""
KM_PER_DEGREE = 111.2
LEAST_HALF_KM, MOST_HALF_KM = 2.0, 2500.0
CLOSE_HALF_KM = 15.0
"""Closer than this, outlines are too coarse to draw."""
PLAIN = {"land": ".", "ring": "o"}
"""What stands for dots where they cannot be shown."""


class Frame(NamedTuple):
    """What a map shows: degrees, continuous in longitude, and its size in characters."""

    south: float
    west: float
    north: float
    east: float
    columns: int
    lines: int

    def dots(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `[N, 2]` x, y in dots of `[N, 2]` latitude, longitude."""
        across, down = self.columns * DOTS[0], self.lines * DOTS[1]
        x = (points[:, 1] - self.west) / (self.east - self.west) * across
        y = (self.north - points[:, 0]) / (self.north - self.south) * down
        return np.column_stack((x, y))


def world_frame(columns: int) -> Frame:
    """Return the whole world, `columns` wide."""
    south, west, north, east = WORLD
    lines = round(columns / 2 * (north - south) / (east - west))
    return Frame(south, west, north, east, columns, lines)


def near_frame(answer: Answer, columns: int) -> Frame | None:
    """Return what lies around an answer's circles; None where it has no coordinate."""
    if answer.latitude is None or answer.longitude is None or answer.radii is None:
        return None
    half_km = min(max(1.2 * answer.radii.km_95, LEAST_HALF_KM), MOST_HALF_KM)
    tall = half_km / KM_PER_DEGREE
    north, south = min(answer.latitude + tall, 89.0), max(answer.latitude - tall, -89.0)
    wide = 1.6 * tall / max(float(np.cos(np.radians(answer.latitude))), 0.05)
    wide = min(wide, 180.0)
    lines = max(round(columns / 2 / 1.6), 4)
    return Frame(south, answer.longitude - wide, north, answer.longitude + wide, columns, lines)


def map_text(answer: Answer | None, frame: Frame, *, unicode: bool = True) -> Text:
    """Draw a map.

    Args:
        answer: its circles and point are drawn, and the numbers of its alternatives.
        frame: what is shown.
        unicode: whether braille characters can be shown; letters stand for them otherwise.
    """
    land, rings = _land(frame), _rings(answer, frame)
    marks = _marks(answer, frame)
    text = Text(no_wrap=True)
    for y in range(frame.lines):
        for x in range(frame.columns):
            text.append(*_cell(x, y, land, rings, marks, unicode))
        text.append("\n")
    text.rstrip()
    return text


def _cell(
    x: int,
    y: int,
    land: NDArray[np.bool_],
    rings: NDArray[np.bool_],
    marks: dict[tuple[int, int], str],
    unicode: bool,
) -> tuple[str, str]:
    """Return one character of a map and its style."""
    if mark := marks.get((x, y)):
        return mark, "bold white on red" if mark == "X" else "bold yellow"
    (across, down) = DOTS
    place = np.s_[y * down : (y + 1) * down, x * across : (x + 1) * across]
    for name, drawn, style in (("ring", rings, "red"), ("land", land, "green dim")):
        bits = drawn[place]
        if bits.any():
            least = 1 if name == "ring" else bits.size / 2
            plain = PLAIN[name] if bits.sum() >= least else " "
            return _braille(bits) if unicode else plain, style
    return " ", ""


def _braille(bits: NDArray[np.bool_]) -> str:
    code = sum(BITS[y][x] for y, x in zip(*np.nonzero(bits), strict=True))
    return chr(0x2800 + code)


def _land(frame: Frame) -> NDArray[np.bool_]:
    """Draw land: filled on a wide map, borders on a close one, nothing where it says nothing."""
    from geo.outlines import outlines

    tall = frame.north - frame.south
    image = _blank(frame)
    if tall * KM_PER_DEGREE / 2 < CLOSE_HALF_KM:
        return np.asarray(image, dtype=np.bool_)
    draw, whole = ImageDraw.Draw(image), tall > 60
    for _, ring in outlines(0.5 if whole else 0.02 if tall < 10 else 0.1):
        for turned in _turned(ring, frame):
            places = [tuple(point) for point in frame.dots(turned).tolist()]
            if whole:
                draw.polygon(places, fill=1)
            else:
                draw.line(places, fill=1)
    return np.asarray(image, dtype=np.bool_)


def _turned(ring: NDArray[np.float64], frame: Frame) -> list[NDArray[np.float64]]:
    """Return a ring as often as it is seen: a frame may run across the antimeridian."""
    low, high = ring[:, 1].min(), ring[:, 1].max()
    if ring[:, 0].max() < frame.south or ring[:, 0].min() > frame.north:
        return []
    return [
        ring + np.array([0.0, turn])
        for turn in (-360.0, 0.0, 360.0)
        if low + turn <= frame.east and high + turn >= frame.west
    ]


def _rings(answer: Answer | None, frame: Frame) -> NDArray[np.bool_]:
    """Draw the circles that hold 50 and 95 % of belief."""
    from geo.sphere import circle

    image = _blank(frame)
    draw = ImageDraw.Draw(image)
    if answer and answer.radii and answer.latitude is not None and answer.longitude is not None:
        for radius in (answer.radii.km_50, answer.radii.km_95):
            points = circle(answer.latitude, answer.longitude, radius, vertices=720)
            for turned in _turned(points, frame):
                draw.point([tuple(one) for one in frame.dots(turned).tolist()], fill=1)
    return np.asarray(image, dtype=np.bool_)


def _marks(answer: Answer | None, frame: Frame) -> dict[tuple[int, int], str]:
    """Return the characters that stand for the answer, X, and its alternatives, 1 to 9."""
    if answer is None:
        return {}
    places: list[tuple[float, float, str]] = [
        (one.latitude, one.longitude, str(number))
        for number, one in enumerate(answer.alternatives[:9], start=1)
    ]
    if answer.latitude is not None and answer.longitude is not None:
        places.append((answer.latitude, answer.longitude, "X"))
    marks = {}
    for latitude, longitude, mark in places:
        for turned in _turned(np.array([[latitude, longitude]]), frame):
            x, y = (frame.dots(turned)[0] / DOTS).astype(int)
            if 0 <= x < frame.columns and 0 <= y < frame.lines:
                marks[int(x), int(y)] = mark
    return marks


def _blank(frame: Frame) -> Image.Image:
    return Image.new("1", (frame.columns * DOTS[0], frame.lines * DOTS[1]))


def legend(answer: Answer) -> Sequence[str]:
    """Return what the signs of a map mean, a line each."""
    lines = []
    if answer.radii:
        lines.append("X the answer; the circles hold 50 % and 95 % of belief")
    for number, one in enumerate(answer.alternatives[:9], start=1):
        lines.append(f"{number} {one.label}, {one.share:.0%}")
    return lines
