"""What stands beside the road of a rendered planet: houses, trees, poles, signs, the landmark."""

import math

import numpy as np

from evaluation.planet_canvas import Segment
from evaluation.planet_geography import ROOF_COLOURS, WALLS
from evaluation.planet_layout import HUES, OUTLINES, Colour, House, landmark_texture
from evaluation.planet_season import leaf_colour, mix
from evaluation.planet_stage import Stage

TRUNK: Colour = (92, 70, 52)
GLASS: Colour = (64, 76, 92)
CARS: tuple[Colour, ...] = (
    (178, 34, 36),
    (36, 70, 140),
    (226, 226, 226),
    (40, 42, 46),
    (208, 170, 40),
)


def draw_house(stage: Stage, house: House) -> None:
    """Draw a box with a roof and windows."""
    country = stage.setting.country
    wall = mix(WALLS[country.walls][house.wall], (90, 80, 70), 0.08 + 0.08 * house.tint)
    roof = mix(ROOF_COLOURS[country.roof_colour], (60, 50, 45), 0.12 + 0.12 * house.tint)
    roof = stage.snowed(roof, 0.85)
    see, x, z, h = stage.camera.see, house.x, house.z, house.height
    x0, x1, back = x - house.width / 2, x + house.width / 2, z + house.depth
    inner = x0 if x > 0 else x1
    side = [see(inner, 0, z), see(inner, h, z), see(inner, h, back), see(inner, 0, back)]
    stage.canvas.polygon(side, mix(wall, (40, 40, 50), 0.25), Segment.WALL)
    stage.upright(x0, x1, 0, h, z, wall, Segment.WALL)
    _roof(stage, house, country.roof, roof, wall)
    for level in range(1 + (h > 4.2)):
        for share in (0.25, 0.7):
            left = x0 + share * house.width - 0.5
            low = 0.9 + 2.1 * level
            stage.upright(left, left + 1.0, low, low + 1.2, z, GLASS, Segment.OPENING, 255)


def _roof(stage: Stage, house: House, style: str, roof: Colour, wall: Colour) -> None:
    see, x, z, h = stage.camera.see, house.x, house.z, house.height
    half, back, rise = house.width / 2 + 0.3, house.z + house.depth, 0.42 * house.width
    inner = x - half if x > 0 else x + half
    shade = mix(roof, (30, 30, 40), 0.2)
    if style == "flat":
        stage.upright(x - half, x + half, h - 0.1, h + 0.45, z, roof, Segment.ROOF)
    elif style == "gabled":
        slope = [
            see(inner, h, z),
            see(x, h + rise, z),
            see(x, h + rise, back),
            see(inner, h, back),
        ]
        stage.canvas.polygon(slope, roof, Segment.ROOF)
        gable = [see(x - half, h, z), see(x, h + rise, z), see(x + half, h, z)]
        stage.canvas.polygon(gable, wall, Segment.WALL)
        for end in (x - half, x + half):
            edge = [
                see(end, h, z),
                see(x, h + rise, z),
                see(x, h + rise - 0.6, z),
                see(end, h - 0.6, z),
            ]
            stage.canvas.polygon(edge, shade, Segment.ROOF)
    elif style == "hipped":
        ridge = (z + house.depth * 0.35, back - house.depth * 0.35)
        slope = [
            see(inner, h, z),
            see(x, h + rise, ridge[0]),
            see(x, h + rise, ridge[1]),
            see(inner, h, back),
        ]
        stage.canvas.polygon(slope, shade, Segment.ROOF)
        face = [see(x - half, h, z), see(x, h + rise, ridge[0]), see(x + half, h, z)]
        stage.canvas.polygon(face, roof, Segment.ROOF)
    else:
        turn = np.linspace(0, np.pi, 9)
        arc = [
            see(x + half * c, h + rise * s, z)
            for c, s in zip(np.cos(turn), np.sin(turn), strict=True)
        ]
        stage.canvas.polygon(arc, roof, Segment.ROOF)


def draw_tree(stage: Stage, number: int) -> None:
    """Draw one of the layout's trees, of the kind that the climate grows."""
    x, z, size = stage.setting.layout.trees[number]
    kind = stage.setting.climate.tree
    leaf = leaf_colour(stage.setting.climate, stage.season, number)
    dark = mix(leaf, (20, 30, 30), 0.22)
    (u, v), s = stage.camera.see(x, 0, z), stage.camera.scale(z) * size
    canvas, tree = stage.canvas, Segment.TREE
    if kind == "low shrubs":
        canvas.ellipse((u, v - 0.5 * s), (0.9 * s, 0.7 * s), leaf, tree)
        return
    if kind == "cacti":
        stage.upright(x - 0.25, x + 0.25, 0, 3.0 * size, z, leaf, tree)
        stage.upright(x - 0.9, x + 0.9, 1.3 * size, 1.3 * size + 0.4, z, leaf, tree)
        for arm in (-0.9, 0.55):
            stage.upright(x + arm, x + arm + 0.35, 1.3 * size, 2.4 * size, z, leaf, tree)
        return
    stem = {"conifers": 1.0, "broadleaf trees": 2.0, "umbrella trees": 3.0, "palms": 5.0}[kind]
    stage.upright(x - 0.16, x + 0.16, 0, stem * size, z, TRUNK, tree)
    top = v - stem * s
    if kind == "conifers":
        for low, wide in ((0.4, 1.7), (1.9, 1.3), (3.4, 0.9)):
            tip = (u, top - (low + 2.4) * s)
            canvas.polygon(
                (tip, (u + wide * s, top - low * s + s), (u - wide * s, top - low * s + s)),
                leaf if low > 1 else dark,
                tree,
            )
    elif kind == "broadleaf trees":
        canvas.ellipse((u, top - 1.0 * s), (1.9 * s, 1.7 * s), dark, tree)
        canvas.ellipse((u - 0.3 * s, top - 1.4 * s), (1.4 * s, 1.3 * s), leaf, tree)
    elif kind == "umbrella trees":
        canvas.ellipse((u, top - 0.3 * s), (2.6 * s, 0.75 * s), leaf, tree)
    else:
        for reach, drop in ((-2.1, 0.9), (-1.6, -0.7), (0.0, -1.3), (1.6, -0.7), (2.1, 0.9)):
            end = (u + reach * s, top + drop * s)
            bow = (u + 0.55 * reach * s, top + (drop - 1.1) * 0.6 * s)
            under = (u + 0.5 * reach * s, top + 0.1 * s)
            canvas.polygon(((u, top), bow, end, under), leaf, tree)


def draw_pole(stage: Stage, z: float) -> None:
    """Draw a pole of the country's at a distance."""
    country = stage.setting.country
    outward = -1 if country.drives_left else 1
    x = stage.middle(z) + outward * (stage.setting.layout.road_width / 2 + 1.4)
    pole = Segment.POLE
    if country.pole == "wooden":
        stage.upright(x - 0.13, x + 0.13, 0, 6.5, z, (112, 82, 58), pole)
        for y in (5.3, 6.0):
            stage.upright(x - 1.0, x + 1.0, y, y + 0.22, z, (96, 70, 50), pole)
    elif country.pole == "concrete":
        stage.upright(x - 0.22, x + 0.22, 0, 5.6, z, (176, 172, 164), pole)
        stage.upright(x - 0.5, x + 0.5, 4.6, 5.4, z, (150, 146, 140), pole)
    else:
        stage.upright(x - 0.09, x + 0.09, 0, 6.2, z, (70, 96, 92), pole)
        end = x - outward * 1.8
        stage.upright(min(x, end), max(x, end), 6.05, 6.25, z, (70, 96, 92), pole)
        stage.upright(end - 0.45, end + 0.45, 5.7, 6.05, z, (214, 214, 200), pole, 255)


def draw_sign(stage: Stage, z: float) -> None:
    """Draw a road sign of the country's at a distance."""
    country = stage.setting.country
    outward = 1 if country.drives_left else -1
    x = stage.middle(z) + outward * (stage.setting.layout.road_width / 2 + 1.0)
    stage.upright(x - 0.06, x + 0.06, 0, 2.0, z, (120, 124, 126), Segment.POLE)
    face, rim = (HUES[name] for name in country.sign_colours)
    (u, v), s = stage.camera.see(x, 2.5, z), stage.camera.scale(z)
    for radius, colour in ((0.75, rim), (0.52, face)):
        r = radius * s
        corners = {
            "square": ((u - r, v - r), (u + r, v - r), (u + r, v + r), (u - r, v + r)),
            "diamond": ((u, v - 1.2 * r), (u + 1.2 * r, v), (u, v + 1.2 * r), (u - 1.2 * r, v)),
            "triangular": ((u, v - 1.2 * r), (u + 1.2 * r, v + r), (u - 1.2 * r, v + r)),
        }.get(country.sign_shape)
        if corners is None:
            stage.canvas.ellipse((u, v), (r, r), colour, Segment.SIGN)
        else:
            stage.canvas.polygon(corners, colour, Segment.SIGN)


def draw_vehicle(stage: Stage, share: float, z: float, paint: Colour) -> None:
    """Draw what drives by, at a share of the road's width."""
    x = stage.middle(z) + share * stage.setting.layout.road_width
    stage.upright(x - 0.9, x + 0.9, 0.2, 1.0, z, paint, Segment.VEHICLE)
    stage.upright(x - 0.7, x + 0.7, 1.0, 1.6, z, mix(paint, GLASS, 0.7), Segment.VEHICLE)


def draw_landmark(stage: Stage) -> None:
    """Draw the place's landmark with its pattern."""
    landmark = stage.setting.layout.landmark
    half, height, z = landmark.width / 2, landmark.height, landmark.z
    x = landmark.x + math.copysign(half, landmark.x)
    see = stage.camera.see
    corners = [see(x + a * half, b * height, z) for a, b in OUTLINES[landmark.shape]]
    (left, top), (right, bottom) = see(x - 1.1 * half, 1.05 * height, z), see(x + 1.1 * half, 0, z)
    texture = landmark_texture(landmark)
    stage.canvas.texture(corners, (left, top, right, bottom), texture, Segment.LANDMARK)
