"""What is set into the rendered world's walls: windows, shutters, doors, shop fronts."""

from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.world_texture import Colour, Paint, leaves, noise, paste, shadow, wood

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the texture."""


@dataclass(frozen=True)
class Trim:
    """Colours of what is set into a wall."""

    stone: Colour
    frame: Colour
    shutter: Colour
    door: Colour


def fill(image: Paint, box: Box, colour: Colour) -> None:
    """Paint a box in one colour."""
    left, top, right, bottom = box
    cv2.rectangle(image, (left, top), (right - 1, bottom - 1), colour, -1)


def raised(image: Paint, box: Box, colour: Colour, rng: np.random.Generator, reach: int) -> None:
    """Paint a band of stone that stands `reach` pixels out of the wall, with its shadow."""
    left, top, right, bottom = box
    shadow(image, box, max(2, reach))
    size = (bottom - top, right - left)
    band = np.empty((*size, 3), np.float32)
    band[:] = colour
    band *= (1 + 0.05 * noise(rng, size, 40) + 0.02 * rng.standard_normal(size))[..., None]
    band[: max(1, reach // 3)] *= 1.1
    band[-max(1, reach // 2) :] *= 0.78
    paste(image, np.asarray(band, np.float32), left, top)


def window(
    image: Paint,
    rng: np.random.Generator,
    box: Box,
    trim: Trim,
    panes: tuple[int, int],
    *,
    shutters: bool,
    arched: bool,
) -> None:
    """Paint a window of `panes` (columns, rows), perhaps with shutters and flowers."""
    left, top, right, bottom = box
    width = right - left
    border = max(5, width // 9)
    raised(image, (left - border, top - border, right + border, bottom), trim.stone, rng, 4)
    if arched:
        _keystone(image, rng, box, trim)
    glazing(image, rng, box, trim.frame, panes)
    if shutters:
        _shutters(image, rng, box, trim.shutter)
    sill = (left - border - 5, bottom, right + border + 5, bottom + border)
    raised(image, sill, trim.stone, rng, 7)
    if rng.random() < 0.45:
        _flower_box(image, rng, (left - 4, bottom - 8, right + 4, bottom + border + 8))


def glazing(
    image: Paint, rng: np.random.Generator, box: Box, frame: Colour, panes: tuple[int, int]
) -> None:
    """Paint recessed panes (columns, rows) in their frame."""
    left, top, right, bottom = box
    pane = _glass(rng, (bottom - top, right - left))
    paste(image, pane, left, top)
    bar = max(4, (right - left) // 22)
    for column in range(panes[0] + 1):
        x = left + round((right - left - bar) * column / panes[0])
        _bar(image, (x, top, x + bar, bottom), frame)
    for row in range(panes[1] + 1):
        y = top + round((bottom - top - bar) * row / panes[1])
        _bar(image, (left, y, right, y + bar), frame)
    image[top : top + bar * 2, left:right] *= 0.55
    image[top:bottom, left : left + bar] *= 0.65


def _bar(image: Paint, box: Box, colour: Colour) -> None:
    left, top, right, bottom = box
    image[bottom : bottom + 3, left : right + 3] *= 0.7
    image[top:bottom, right : right + 3] *= 0.7
    fill(image, box, colour)
    image[bottom - 1 : bottom, left:right] *= 0.8


def _glass(rng: np.random.Generator, size: tuple[int, int]) -> Paint:
    height, width = size
    ramp = np.linspace(1.15, 0.55, height, dtype=np.float32)[:, None]
    glass = np.empty((height, width, 3), np.float32)
    glass[:] = np.array([52, 60, 66]) * rng.uniform(0.75, 1.25)
    reflection = np.clip(noise(rng, size, width * 0.9) + 0.8 * (ramp - 0.8), 0, 1.4)
    glass = glass * ramp[..., None] + reflection[..., None] * np.array([64, 74, 84], np.float32)
    if rng.random() < 0.6:
        _curtains(glass, rng)
    return np.asarray(glass, np.float32)


def _curtains(glass: Paint, rng: np.random.Generator) -> None:
    height, width = glass.shape[:2]
    x = np.arange(width, dtype=np.float32)
    folds = 0.86 + 0.14 * np.sin(x / rng.uniform(2.2, 4.5) + rng.uniform(0, 6))
    colour = np.array([206, 198, 184]) * rng.uniform(0.7, 0.95) + rng.normal(0, 10, 3)
    cloth = np.broadcast_to(folds[None, :, None] * colour, glass.shape)
    reach = width * rng.uniform(0.16, 0.34)
    y = np.linspace(0, 1, height)[:, None]
    sweep = reach * (0.75 + 0.5 * np.abs(y - 0.62))
    cover = (np.minimum(x[None], width - x[None]) < sweep).astype(np.float32) * 0.82
    glass += (cloth - glass) * cover[..., None]


def _keystone(image: Paint, rng: np.random.Generator, box: Box, trim: Trim) -> None:
    left, top, right, _ = box
    middle, rise = (left + right) // 2, (right - left) // 4
    axes = ((right - left) // 2 + 12, rise)
    tone = tuple(c * 0.93 for c in trim.stone)
    cv2.ellipse(image, (middle, top - 6), axes, 0, 180, 360, tone, 9, cv2.LINE_AA)
    raised(image, (middle - 9, top - rise - 16, middle + 9, top - 2), trim.stone, rng, 4)


def _shutters(image: Paint, rng: np.random.Generator, box: Box, colour: Colour) -> None:
    left, top, right, bottom = box
    width = (right - left) // 2
    for x in (left - width - 3, right + 3):
        tone = np.array(colour) * rng.uniform(0.88, 1.1) + rng.normal(0, 4, 3)
        leaf = wood(rng, (bottom - top, width), tuple(tone))
        slats = np.arange(bottom - top) % 7
        inner = (slice(8, -8), slice(6, -6))
        leaf[inner] *= np.where(slats < 2, 0.62, 1.03)[8:-8, None, None].astype(np.float32)
        middle = (bottom - top) // 2 + int(rng.integers(-6, 7))
        leaf[middle - 5 : middle + 5] = tone
        shadow(image, (x, top, x + width, bottom), 4)
        paste(image, leaf, x, top)


def _flower_box(image: Paint, rng: np.random.Generator, box: Box) -> None:
    left, top, right, bottom = box
    shadow(image, box, 7)
    paste(image, wood(rng, (bottom - top, right - left), (112, 74, 50)), left, top)
    count = (right - left) * 2
    spots = np.column_stack(
        [rng.uniform(left - 4, right + 4, count), rng.normal(top, (bottom - top) * 0.4, count)]
    )
    leaves(rng, image, spots, 7)
    bloom = rng.choice([[205, 60, 70], [230, 130, 160], [240, 200, 80], [190, 90, 190]]).tolist()
    for x, y in rng.permutation(spots)[: count // 4].astype(int):
        cv2.circle(image, (int(x), int(y)), int(rng.integers(2, 5)), bloom, -1, cv2.LINE_AA)


def door(image: Paint, rng: np.random.Generator, box: Box, trim: Trim) -> None:
    """Paint a panelled door with a fanlight, a handle and a step."""
    left, top, right, bottom = box
    raised(image, (left - 14, top - 18, right + 14, bottom), trim.stone, rng, 5)
    light = top + (bottom - top) // 5
    glazing(image, rng, (left, top, right, light), trim.frame, (int(rng.integers(2, 5)), 1))
    paste(image, wood(rng, (bottom - light, right - left), trim.door), left, light)
    rows, columns = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    for row in range(rows):
        for column in range(columns):
            x0 = left + 10 + column * (right - left - 12) // columns
            x1 = x0 + (right - left) // columns - 18
            y0 = light + 14 + row * (bottom - light - 18) // rows
            y1 = y0 + (bottom - light) // rows - 22
            image[y0:y1, x0:x1] *= 0.84
            image[y0 : y0 + 3, x0:x1] *= 0.6
            image[y1 - 2 : y1, x0:x1] *= 1.3
    cv2.circle(image, (right - 14, (light + bottom) // 2), 5, (196, 160, 84), -1, cv2.LINE_AA)
    raised(image, (left - 22, bottom - 12, right + 22, bottom), (150, 146, 140), rng, 4)


def shop_front(image: Paint, rng: np.random.Generator, box: Box, trim: Trim) -> None:
    """Paint a shop window with shelves of goods behind the glass."""
    left, top, right, bottom = box
    shadow(image, (left - 10, top, right + 10, bottom), 5)
    fill(image, (left - 10, top - 6, right + 10, bottom + 14), trim.door)
    inside = _glass(rng, (bottom - top, right - left)) * 0.8
    glow = np.linspace(1.5, 0.8, bottom - top, dtype=np.float32)[:, None, None]
    inside += glow * np.array([48, 38, 22], np.float32)
    shelves = int(rng.integers(2, 5))
    for shelf in range(shelves):
        _goods(inside, rng, round((bottom - top) * (shelf + 1) / shelves) - 8)
    sheen = np.clip(noise(rng, inside.shape[:2], 220) - 0.5, 0, 1)[..., None] * 46
    paste(image, np.asarray(inside + sheen, np.float32), left, top)
    columns = max(1, (right - left) // int(rng.integers(90, 230)))
    for column in range(columns + 1):
        x = left + round((right - left - 7) * column / columns)
        _bar(image, (x, top, x + 7, bottom), trim.door)
    image[top : top + 16, left:right] *= 0.5
    image[top:bottom, left : left + 6] *= 0.6


def _goods(inside: Paint, rng: np.random.Generator, floor: int) -> None:
    width = inside.shape[1]
    fill(inside, (0, floor, width, floor + 5), (128, 98, 68))
    grey = rng.uniform(70, 205, (6, 1))
    palette = grey + rng.uniform(-1, 1, (6, 1)) * (38, 6, -40) + rng.normal(0, 12, (6, 3))
    x = 8
    while x < width - 20:
        size, tone = int(rng.integers(9, 26)), palette[rng.integers(6)] * rng.uniform(0.7, 1.1)
        tall = int(size * rng.uniform(0.5, 1.9))
        if rng.random() < 0.5:
            middle = (x + size // 2, floor - tall // 2)
            cv2.ellipse(
                inside, middle, (size // 2, tall // 2), 0, 0, 360, tone.tolist(), -1, cv2.LINE_AA
            )
        else:
            fill(inside, (x, floor - tall, x + size, floor), tuple(tone))
            stripe = palette[rng.integers(6)]
            fill(inside, (x, floor - tall * 2 // 3, x + size, floor - tall // 3), tuple(stripe))
        x += size + int(rng.integers(2, 12))
