"""Street corners of the rendered world: the house, its street, and the cameras in front of it."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from evaluation import world_texture as tex
from evaluation.world_camera import Camera, Pixels, Surface
from evaluation.world_facade import STYLES, Style, Walls, build_walls
from evaluation.world_nature import fields, finish, hills, tree, tuft
from evaluation.world_openings import raised, window
from evaluation.world_places import Town, variant
from evaluation.world_texture import Colour, Paint

_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True)
class Corner:
    """One street corner: what stands there and how it lies on the map."""

    town: Town
    surfaces: tuple[Surface, ...]
    width_m: float
    heading: float
    """Compass direction, degrees, in which someone looking at the front looks."""
    mirrored: bool
    """Whether the side street runs along the left end of the front, not the right."""

    def position(self, camera: Camera) -> tuple[float, float]:
        """Return latitude and longitude of a camera; the corner itself is the town's point."""
        turn = math.radians(self.heading)
        end = -self.width_m if self.mirrored else self.width_m
        right, back = camera.position[0] - end, camera.position[2]
        east = right * math.cos(turn) - back * math.sin(turn)
        north = -right * math.sin(turn) - back * math.cos(turn)
        latitude = self.town.latitude + north / _METRES_PER_DEGREE
        scale = _METRES_PER_DEGREE * math.cos(math.radians(self.town.latitude))
        return latitude, self.town.longitude + east / scale


def build_corner(town: Town, seed: int, number: int) -> Corner:
    """Build the corner of a town; the same seed and number give the same pixels."""
    rng = np.random.default_rng([seed, number])
    style = STYLES[town.style]
    walls = build_walls(town, rng)
    surfaces = [*_background(rng, style, walls), *_ground(rng, style, walls)]
    surfaces += _house(rng, style, walls)
    surfaces += _street_furniture(rng, style, walls)
    mirrored = (len(style.wall) + variant(town)) % 2 == 1
    if mirrored:
        surfaces = [_mirrored(surface) for surface in surfaces]
    return Corner(town, tuple(surfaces), walls.width_m, float(rng.uniform(0, 360)), mirrored)


def cameras(corner: Corner, count: int, seed: int, number: int) -> list[Camera]:
    """Return `count` viewpoints spread in an arc around the corner, all at eye level."""
    rng = np.random.default_rng([seed, number, 1])
    swings = np.linspace(-8, 44, count) if count > 1 else np.array([15.0])
    return [_viewpoint(corner, rng, float(s + rng.uniform(-2, 2))) for s in swings]


def query_camera(corner: Corner, count: int, seed: int, number: int) -> Camera:
    """Return a viewpoint between two of the gallery's, in other light, nearer or farther."""
    rng = np.random.default_rng([seed, number, 2])
    step = 52 / max(1, count - 1)
    swing = 15.0 + rng.uniform(4, 9) if count == 1 else -8 + step * (rng.integers(count - 1) + 0.5)
    camera = _viewpoint(corner, rng, float(swing))
    return replace(camera, tint=(1.07, 1.0, 0.9) if rng.random() < 0.5 else (0.92, 0.98, 1.06))


def open_land(seed: int) -> tuple[list[Surface], Camera]:
    """Return a steppe under hills, with neither sign nor building, and a camera in it."""
    rng = np.random.default_rng([seed, 9001])
    surfaces = [
        Surface(hills(rng), (-200, 30, -160), (400, 0, 0), (0, -31, 0)),
        Surface(fields(rng), (-160, 0, -160), (320, 0, 0), (0, 0, 172), 2, tiles=(6, 30)),
        Surface(tree(rng), (-11.5, 5.6, -26), (5, 0, 0), (0, -5.7, 0)),
        Surface(tree(rng), (6.5, 4.4, -38), (4, 0, 0), (0, -4.5, 0)),
    ]
    tufts = [tuft(rng) for _ in range(6)]
    for z in np.sort(rng.uniform(1.0, 7.2, 260) - 13 * rng.random(260) ** 3):
        tall, x = rng.uniform(0.15, 0.4), rng.uniform(-1, 1) * (11.0 - z) * 0.85
        grass = tufts[rng.integers(6)]
        surfaces.append(Surface(grass, (x, tall, float(z)), (tall * 1.3, 0, 0), (0, -tall, 0)))
    return surfaces, Camera((0.0, 1.7, 9.0), (0.6, 2.4, -10.0), 820.0, seed=seed)


def _viewpoint(corner: Corner, rng: np.random.Generator, swing: float) -> Camera:
    """Return a camera `swing` degrees right of the line straight out of the front."""
    target = (corner.width_m * rng.uniform(0.58, 0.63), rng.uniform(3.3, 3.7), 0.0)
    distance, angle = rng.uniform(11.0, 13.0), math.radians(swing)
    position = (
        target[0] + distance * math.sin(angle),
        rng.uniform(1.55, 1.8),
        distance * math.cos(angle),
    )
    if corner.mirrored:
        target, position = (-target[0], *target[1:]), (-position[0], *position[1:])
    sunny = rng.uniform(0.0, 1.0)
    sun = (0.86 + 0.16 * sunny, 0.9 - 0.22 * sunny, 0.88 + 0.08 * sunny)
    tint = (1.0 + 0.04 * sunny, 1.0, 1.02 - 0.05 * sunny)
    seed = int(rng.integers(1 << 30))
    return Camera(position, target, float(rng.uniform(760, 860)), sun, tint, seed)


def _house(rng: np.random.Generator, style: Style, walls: Walls) -> list[Surface]:
    width, depth, eaves = walls.width_m, walls.depth_m, walls.eaves_m
    rise = depth * 0.5
    gable = _gable(rng, style, depth, rise)
    tiles = _roof(rng, style.roof, width + 0.6)
    slope = (0.0, -rise - 0.32, depth / 2 + 0.4)
    return [
        Surface(tiles, (-0.3, eaves + rise, -depth / 2), (width + 0.6, 0, 0), slope),
        Surface(finish(walls.side), (width, eaves, 0), (0, 0, -depth), (0, -eaves, 0), 1),
        Surface(gable, (width, eaves + rise, 0), (0, 0, -depth), (0, -rise, 0), 1),
        Surface(
            finish(walls.front), (0, eaves, 0), (width, 0, 0), (0, -eaves, 0), 0, tiles=(4, 1)
        ),
        Surface(
            finish(_strip(rng, (96, 90, 84), width)), (-0.3, eaves + 0.04, 0.4),
            (width + 0.6, 0, 0), (0, -0.16, 0),
        ),
        Surface(
            finish(_strip(rng, (70, 62, 56), width)), (-0.3, eaves - 0.1, 0.4),
            (width + 0.6, 0, 0), (0, 0, -0.4), 0, 0.55, two_sided=True,
        ),
    ]  # fmt: skip


def _strip(rng: np.random.Generator, colour: Colour, width: float) -> Paint:
    return tex.wood(rng, (14, round(width * 48)), colour)


def _gable(rng: np.random.Generator, style: Style, depth: float, rise: float) -> Pixels:
    size = (round(rise * 64), round(depth * 64))
    if style.wall in {"brick", "stone"}:
        paint = (tex.brick if style.wall == "brick" else tex.ashlar)(rng, size, style.colour, 64)
    else:
        paint = tex.plaster(rng, size, style.colour, 64)
    apex = np.array([[size[1] // 2, 0], [size[1], size[0]], [0, size[0]]], np.int32)
    cover = np.zeros(size, np.float32)
    cv2.fillConvexPoly(cover, apex, 255.0, cv2.LINE_AA)
    cv2.circle(paint, (size[1] // 2, size[0] // 2), 26, style.trim.stone, -1, cv2.LINE_AA)
    cv2.circle(paint, (size[1] // 2, size[0] // 2), 19, (54, 60, 66), -1, cv2.LINE_AA)
    cv2.polylines(paint, [apex], True, style.trim.stone, 12, cv2.LINE_AA)
    return finish(paint, cover)


def _roof(rng: np.random.Generator, colour: Colour, width: float) -> Pixels:
    size = (220, round(width * 48))
    return finish(
        tex.brick(rng, size, colour, 48, brick_m=(0.2, 0.24), spread=0.14, mortar=(64, 44, 38))
    )


def _background(rng: np.random.Generator, style: Style, walls: Walls) -> list[Surface]:
    """Return what is behind and beside the house: distant hills, the neighbours, a far row."""
    width, depth = walls.width_m, walls.depth_m
    tints = rng.uniform(0.84, 1.06, (4, 1)) * (np.array(style.colour) * 0.75 + 50)
    tints += rng.uniform(-1, 1, (4, 1)) * (12, 0, -14)
    far = finish(_plain_front(rng, tuple(tints[0]), style, 16.0, 7.5, 40))
    left = finish(_plain_front(rng, tuple(tints[1]), style, 12.0, 6.2, 64))
    right = finish(_plain_front(rng, tuple(tints[2]), style, 12.0, 6.8, 64))
    turned = finish(_plain_front(rng, tuple(tints[3]), style, 16.0, 6.8, 48))
    row = finish(_plain_front(rng, tuple(tints[0]), style, 14.0, 6.7, 40))
    x = width + 6.5
    return [
        Surface(hills(rng), (-330, 26, -150), (680, 0, 0), (0, -27, 0)),
        Surface(fields(rng), (-330, -0.05, -150), (680, 0, 0), (0, 0, 150), 2, tiles=(6, 12)),
        Surface(far, (width - 4, 7.5, -depth - 19), (16, 0, 0), (0, -7.5, 0), 0, 0.9),
        Surface(tree(rng), (width + 0.2, 7.4, -depth - 8), (6.2, 0, 0), (0, -7.4, 0), 0, 0.9),
        Surface(turned, (x, 6.8, -16.0), (0, 0, 16.0), (0, -6.8, 0), 1, 0.75, tiles=(6, 1)),
        Surface(_roof(rng, style.roof, 16), (x + 6, 9.9, -16.0), (0, 0, 16.2), (-6.3, -3.2, 0), 1),
        Surface(right, (x, 6.8, 0.0), (12, 0, 0), (0, -6.8, 0), 0, 0.96, tiles=(4, 1)),
        Surface(_gable(rng, style, 12.0, 3.1), (x, 9.9, 0.0), (12, 0, 0), (0, -3.1, 0), 0, 0.96),
        Surface(_roof(rng, style.roof, 12), (-12, 8.6, -4), (12, 0, 0), (0, -2.5, 4.3)),
        Surface(left, (-12.0, 6.2, -0.05), (12, 0, 0), (0, -6.2, 0), 0, 0.96, tiles=(4, 1)),
        Surface(_roof(rng, style.roof, 12), (-26, 9.0, -4.6), (14, 0, 0), (0, -2.5, 4.3)),
        Surface(row, (-26.0, 6.7, -0.5), (14, 0, 0), (0, -6.7, 0), 0, 0.92, tiles=(4, 1)),
    ]


def _plain_front(
    rng: np.random.Generator, colour: Colour, style: Style, width: float, height: float, ppm: int
) -> Paint:
    """Paint a neighbour's front: rows of windows, no shops."""
    size = (round(height * ppm), round(width * ppm))
    make = {"stone": tex.ashlar, "brick": tex.brick}.get(style.wall, tex.plaster)
    wall = make(rng, size, colour, ppm)
    panes, pitch = (int(rng.integers(1, 4)), int(rng.integers(2, 4))), rng.uniform(1.9, 2.9)
    for level in rng.uniform((0.7, 3.6), (1.1, 4.2)):
        for i in range(int(width / pitch)):
            left, top = 0.6 + i * pitch + rng.uniform(-0.1, 0.1), level + rng.uniform(-0.05, 0.05)
            box = [round(v * ppm) for v in (left, top, left + 0.95, top + 1.5)]
            shut = bool(rng.random() < style.shutters)
            window(wall, rng, (box[0], box[1], box[2], box[3]), style.trim, panes, shutters=shut,
                   arched=False)  # fmt: skip
    raised(wall, (0, 0, size[1], round(0.28 * ppm)), style.trim.stone, rng, 5)
    return wall


def _ground(rng: np.random.Generator, style: Style, walls: Walls) -> list[Surface]:
    """Return cobbled road, kerb and pavement; the house throws a soft shade at its foot."""
    width, depth = walls.width_m, walls.depth_m
    road = tex.brick(
        rng,
        (816, 1984),
        style.paving,
        32,
        brick_m=(0.21, 0.14),
        spread=0.11,
        mortar=(98, 94, 88),
    )
    slabs = tex.brick(
        rng,
        (190, 2000),
        (186, 182, 174),
        70,
        brick_m=(0.62, 0.45),
        spread=0.05,
        mortar=(132, 128, 122),
    )
    slabs *= np.linspace(0.72, 1.04, 190, dtype=np.float32).clip(0, 1)[:, None, None]
    kerb = tex.brick(rng, (12, 2000), (150, 146, 140), 70, brick_m=(1.0, 0.3), spread=0.07)
    lane = road[:500, :500]
    long = width + 14
    return [
        Surface(finish(lane), (width - 6, 0, -depth - 21), (20, 0, 0), (0, 0, depth + 21.2), 2,
                tiles=(1, 10)),
        Surface(finish(road), (-30, 0, -0.5), (62, 0, 0), (0, 0, 25.5), 2, tiles=(6, 14)),
        Surface(finish(slabs), (-14, 0.12, 0.0), (long, 0, 0), (0, 0, 1.9), 2, tiles=(6, 1)),
        Surface(finish(kerb), (-14, 0.12, 1.9), (long, 0, 0), (0, -0.12, 0), 0, 0.9, tiles=(6, 1)),
    ]  # fmt: skip


def _street_furniture(rng: np.random.Generator, style: Style, walls: Walls) -> list[Surface]:
    """Return the awning over one shop and a lamp at the kerb: things in front of the wall."""
    return [*_awning(rng, style, walls), _lamp(rng, walls)]


def _awning(rng: np.random.Generator, style: Style, walls: Walls) -> list[Surface]:
    wide, drop, reach = rng.uniform(1.8, 3.4), rng.uniform(0.22, 0.42), rng.uniform(0.5, 0.8)
    left, top = rng.uniform(0.5, walls.width_m - 2.0 - wide), rng.uniform(2.15, 2.3)
    cloth, stripe = np.zeros((90, 330, 3), np.float32), int(rng.integers(9, 40))
    cloth[:] = (232, 226, 212)
    if rng.random() < 0.75:
        cloth[:, (np.arange(330) // stripe) % 2 == 0] = style.boards[int(rng.integers(2))][0]
    cloth *= (1 + 0.06 * tex.noise(rng, (90, 330), 40))[..., None]
    cloth *= np.linspace(0.85, 1.05, 90, dtype=np.float32)[:, None, None]
    hem = (left, top - drop, reach + 0.02)
    return [
        Surface(finish(cloth), (left, top, 0.02), (wide, 0, 0), (0, -drop, reach)),
        Surface(finish(cloth[60:]), hem, (wide, 0, 0), (0, -rng.uniform(0.1, 0.22), 0), 0, 0.9),
    ]


def _lamp(rng: np.random.Generator, walls: Walls) -> Surface:
    lamp, cover = np.zeros((420, 90, 3), np.float32), np.zeros((420, 90), np.float32)
    lamp[:] = np.array((44, 48, 50)) * rng.uniform(0.6, 1.8)
    cv2.line(cover, (45, 420), (45, 70), 255.0, int(rng.integers(5, 10)))
    cv2.rectangle(cover, (34, 420 - int(rng.integers(30, 110))), (56, 420), 255.0, -1)
    top, foot = int(rng.integers(14, 30)), int(rng.integers(60, 90))
    if rng.random() < 0.4:
        radius = int(rng.integers(17, 30))
        cv2.circle(cover, (45, 45), radius, 255.0, -1, cv2.LINE_AA)
        cv2.circle(lamp, (45, 45), radius - 2, (232, 228, 214), -1, cv2.LINE_AA)
    else:
        half, low = int(rng.integers(16, 32)), int(rng.integers(8, 22))
        case = [(45 - low, foot), (45 + low, foot), (45 + half, top), (45 - half, top)]
        pane = [(48 - low, foot - 4), (42 + low, foot - 4), (39 + half, top), (51 - half, top)]
        hat = [(41 - half, top), (49 + half, top), (45, max(0, top - 24))]
        for shape in (case, hat):
            cv2.fillConvexPoly(cover, np.array(shape, np.int32), 255.0)
        cv2.fillConvexPoly(lamp, np.array(pane, np.int32), (236, 226, 196))
    tall = float(rng.uniform(3.4, 4.4))
    place = (walls.width_m + float(rng.uniform(1.1, 2.4)), tall, float(rng.uniform(0.6, 1.6)))
    return Surface(finish(lamp, cover), place, (0.85, 0, 0), (0, -tall, 0), two_sided=True)


def _mirrored(surface: Surface) -> Surface:
    """Return the surface moved to x -> -x with its texture the right way round."""
    (x, y, z), (a, b, c), (d, e, f) = surface.origin, surface.across, surface.down
    return replace(
        surface, origin=(-(x + a), y + b, z + c), across=(a, -b, -c), down=(-d, e, f), _levels=[]
    )
