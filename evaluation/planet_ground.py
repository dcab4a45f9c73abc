"""The ground photo of a place: what stands there, seen by a pinhole camera on the road.

Metres: x to the right, y up, z ahead. The camera looks north, give or take; a view moves it.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from evaluation.planet_canvas import Picture, Segment
from evaluation.planet_geography import Setting
from evaluation.planet_layout import HUES, Colour
from evaluation.planet_season import SNOW, Light, Season, expose, mix
from evaluation.planet_stage import Stage, camera_of
from evaluation.planet_things import (
    CARS,
    draw_house,
    draw_landmark,
    draw_pole,
    draw_sign,
    draw_tree,
    draw_vehicle,
)

ASPHALT: Colour = (104, 104, 108)
FAR = 120.0
SIGN_Z = 6.5


def ground_photo(
    setting: Setting, season: Season, light: Light, rng: np.random.Generator, side: int
) -> tuple[Picture, Picture]:
    """Return the photo `[S, S, 3]` and its segmentation map `[S, S]`.

    The map depends on the place and the view alone. `rng` is the view's.
    """
    stage = Stage(setting, season, camera_of(rng, setting.layout.road_width, side))
    _sky(stage, light)
    _hills(stage)
    _road(stage)
    for _, draw in sorted(things(stage, rng), key=lambda thing: -thing[0]):
        draw()
    paint, segments, glow = stage.canvas.finish()
    return expose(paint, glow, segments == Segment.SKY, light, rng), segments


def things(stage: Stage, rng: np.random.Generator) -> Iterator[tuple[float, Callable[[], None]]]:
    """Yield everything that stands up: its distance, and what draws it."""
    layout, climate = stage.setting.layout, stage.setting.climate
    yield layout.landmark.z, lambda: draw_landmark(stage)
    for house in layout.houses:
        yield house.z + house.depth, partial(draw_house, stage, house)
    for number in range(round(len(layout.trees) * (0.2 + 0.8 * climate.wetness))):
        yield layout.trees[number][1], partial(draw_tree, stage, number)
    for z in (5.0, 13.0, 21.0, 29.0):
        yield z, partial(draw_pole, stage, z)
    yield SIGN_Z, lambda: draw_sign(stage, SIGN_Z)
    if rng.random() < 0.4:
        share, z = float(rng.uniform(-0.3, 0.3)), float(rng.uniform(7, 20))
        yield z, partial(draw_vehicle, stage, share, z, CARS[rng.integers(len(CARS))])


def _sky(stage: Stage, light: Light) -> None:
    side, horizon = stage.camera.side, stage.camera.horizon * stage.camera.side
    steps = 6
    for step in range(steps):
        top, low = horizon * step / steps, horizon * (step + 1) / steps + 1
        colour = mix(*light.sky, (step + 0.5) / steps)
        corners = ((0, top), (side, top), (side, low), (0, low))
        stage.canvas.polygon(corners, colour, Segment.SKY)


def _hills(stage: Stage) -> None:
    climate, camera = stage.setting.climate, stage.camera
    side, base = camera.side, camera.horizon * camera.side
    tall = (0.02 + 0.26 * max(0.0, climate.relief - 0.25)) * side
    stone = mix(stage.ground, (110, 116, 130), 0.55)
    span = side * 1.6 / (len(stage.setting.layout.hills) - 1)
    shift = -0.3 * side - camera.focal * camera.yaw * side
    crest = [(shift + i * span, base - tall * h) for i, h in enumerate(stage.setting.layout.hills)]
    ends = [(crest[-1][0], base + 1), (crest[0][0], base + 1)]
    stage.canvas.polygon(crest + ends, stone, Segment.HILLS)
    if climate.relief > 0.6:
        for x, y in crest[1:-1]:
            cap = ((x, y), (x + span / 4, y + tall / 5), (x - span / 4, y + tall / 5))
            stage.canvas.polygon(cap, mix(stone, SNOW, 1 - climate.warmth), Segment.HILLS)


def _strip(stage: Stage, x0: float, x1: float, colour: Colour, segment: Segment) -> None:
    """Fill a strip along the road, from x0 to x1 of its middle."""
    ahead = (-2.0, 3.0, 8.0, 14.0, 22.0, 34.0, FAR)
    middles = [(stage.middle(min(z, 40.0)), z) for z in ahead]
    left = [(m + x0, z) for m, z in middles]
    right = [(m + x1, z) for m, z in reversed(middles)]
    stage.flat(left + right, colour, segment)


def _road(stage: Stage) -> None:
    layout, country = stage.setting.layout, stage.setting.country
    half = layout.road_width / 2
    asphalt = stage.snowed(ASPHALT, 0.55)
    if layout.crossing:
        near, far = layout.crossing - 3, layout.crossing + 3
        stage.flat([(-60, near), (60, near), (60, far), (-60, far)], asphalt, Segment.ROAD)
    kerb = HUES["white"] if country.kerb == "white" else (150, 150, 148)
    _strip(stage, -half - 0.5, half + 0.5, stage.snowed(kerb, 0.4), Segment.KERB)
    if country.kerb.startswith("striped"):
        _kerb_stripes(stage, half, HUES[country.kerb.split()[1]])
    _strip(stage, -half, half, asphalt, Segment.ROAD)
    colour = HUES["yellow" if "yellow" in country.line else "white"]
    if country.line.startswith("dashed"):
        for z in range(0, 40, 4):
            m = stage.middle(z)
            corners = [(m - 0.14, z), (m + 0.14, z), (m + 0.14, z + 2), (m - 0.14, z + 2)]
            stage.flat(corners, stage.snowed(colour, 0.4), Segment.MARKING)
    elif country.line != "no":
        for x in (-0.25, 0.25) if country.line.startswith("double") else (0.0,):
            _strip(stage, x - 0.12, x + 0.12, stage.snowed(colour, 0.4), Segment.MARKING)


def _kerb_stripes(stage: Stage, half: float, colour: Colour) -> None:
    for z in range(0, 28, 3):
        m = stage.middle(z)
        for x0, x1 in ((-half - 0.5, -half), (half, half + 0.5)):
            corners = [(m + x0, z), (m + x1, z), (m + x1, z + 1.5), (m + x0, z + 1.5)]
            stage.flat(corners, stage.snowed(colour, 0.4), Segment.KERB)
