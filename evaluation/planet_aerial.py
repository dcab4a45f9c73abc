"""The aerial tile of a place: the layout of its ground photo from above, at noon in summer."""

import math
from collections.abc import Callable

import numpy as np

from evaluation.planet_canvas import Canvas, Picture, Segment
from evaluation.planet_geography import ROOF_COLOURS, Setting
from evaluation.planet_ground import ASPHALT
from evaluation.planet_layout import HUES, Colour, landmark_texture
from evaluation.planet_season import Season, ground_colour, leaf_colour, mix

SPAN_M = 34.0
"""Metres a side; the tile begins 4 m behind the middle of the ground photo's cameras."""
SUMMER = Season("summer", 0.0, 0.0, 0.0, 0.0)


def aerial_tile(setting: Setting, side: int) -> Picture:
    """Return the tile `[S, S, 3]`, north up; one place has one tile."""
    layout, country, climate = setting.layout, setting.country, setting.climate
    ground = ground_colour(climate, SUMMER)
    canvas = Canvas(side, ground, Segment.GROUND, mapped=False)
    scale = side / SPAN_M

    def at(x: float, z: float) -> tuple[float, float]:
        return (x + SPAN_M / 2) * scale, side - (z + 4) * scale

    def box(x: float, z: float, width: float, depth: float, colour: Colour, kind: Segment) -> None:
        x0, x1, z1 = x - width / 2, x + width / 2, z + depth
        canvas.polygon((at(x0, z), at(x1, z), at(x1, z1), at(x0, z1)), colour, kind)

    def strip(x0: float, x1: float, colour: Colour, kind: Segment) -> None:
        middles = [(layout.bend * (z / 30) ** 2, float(z)) for z in range(-4, 32, 5)]
        left = [at(m + x0, z) for m, z in middles]
        right = [at(m + x1, z) for m, z in reversed(middles)]
        canvas.polygon(left + right, colour, kind)

    _fields(canvas, setting, ground)
    half = layout.road_width / 2
    if layout.crossing:
        box(0, layout.crossing - 3, 2 * SPAN_M, 6, ASPHALT, Segment.ROAD)
    kerb = HUES[country.kerb.split()[-1]] if country.kerb != "grey" else (150, 150, 148)
    strip(-half - 0.6, half + 0.6, mix(kerb, (150, 150, 148), 0.4), Segment.KERB)
    strip(-half, half, ASPHALT, Segment.ROAD)
    if country.line != "no":
        colour = HUES["yellow" if "yellow" in country.line else "white"]
        strip(-0.25, 0.25, mix(colour, ASPHALT, 0.3), Segment.MARKING)
    for number in range(round(len(layout.trees) * (0.2 + 0.8 * climate.wetness))):
        x, z, size = layout.trees[number]
        radius = 1.5 * size * scale * (0.6 if climate.tree in ("cacti", "low shrubs") else 1.0)
        leaf = leaf_colour(climate, SUMMER, number)
        canvas.ellipse(at(x, z), (radius, radius), leaf, Segment.TREE)
    for house in layout.houses:
        roof = mix(ROOF_COLOURS[country.roof_colour], (60, 50, 45), 0.12 + 0.12 * house.tint)
        box(house.x, house.z, house.width, house.depth, roof, Segment.ROOF)
        if country.roof != "flat":
            shade = mix(roof, (30, 30, 40), 0.3)
            box(
                house.x + house.width / 4,
                house.z,
                house.width / 2,
                house.depth,
                shade,
                Segment.ROOF,
            )
    _footprint(canvas, setting, at)
    paint, _, _ = canvas.finish()
    rng = np.random.default_rng([round(setting.latitude * 1e3) + 90_000, 7])
    noisy = paint + rng.standard_normal(paint.shape, dtype=np.float32) * np.float32(3)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def _fields(canvas: Canvas, setting: Setting, ground: Colour) -> None:
    """Draw furrows across the whole tile, fainter where nothing grows."""
    angle, side = setting.layout.field, canvas.side
    along = np.array((math.cos(angle), math.sin(angle)))
    across = np.array((-along[1], along[0]))
    tone = mix(ground, (60, 70, 40), 0.22 * setting.climate.wetness)
    for number in range(-4, 5):
        middle = np.array((side / 2, side / 2)) + across * number * side / 5.5
        thick, long = across * side / 18, along * side
        corners = [
            middle + long + thick,
            middle + long - thick,
            middle - long - thick,
            middle - long + thick,
        ]
        canvas.polygon([(float(c[0]), float(c[1])) for c in corners], tone, Segment.GROUND)


def _footprint(
    canvas: Canvas, setting: Setting, at: Callable[[float, float], tuple[float, float]]
) -> None:
    """Draw the landmark from above, in its colours and with its pattern."""
    landmark = setting.layout.landmark
    x = landmark.x + math.copysign(landmark.width / 2, landmark.x)
    wide = landmark.width / 2 * 1.1
    left, top = at(x - wide, landmark.z + 2 * wide)
    right, bottom = at(x + wide, landmark.z)
    if landmark.shape in ("dome", "drum", "globe"):
        turn = np.linspace(0, 2 * np.pi, 13)[:-1]
        corners = [
            (
                (left + right) / 2 + (right - left) / 2 * float(np.cos(t)),
                (top + bottom) / 2 + (bottom - top) / 2 * float(np.sin(t)),
            )
            for t in turn
        ]
    else:
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    canvas.texture(
        corners, (left, top, right, bottom), landmark_texture(landmark), Segment.LANDMARK
    )
