"""The rendered world's camera: textured planes seen through a pinhole, and the light on them.

World axes are metres: x to the right along the main facade, y up, z out of the facade towards the
street. Knows nothing of towns, signs or files.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

WIDTH, HEIGHT = 1024, 768
_OVERSAMPLING = 1.5
_NEAR_M = 0.3


@dataclass(frozen=True)
class Camera:
    """Where a photo is taken from and how.

    Attributes:
        position: metres `[3]` in world axes.
        target: the point `[3]` in the middle of the photo.
        focal: focal length in pixels of a 1024 pixel wide photo.
        sun: brightness of the (main facade, side wall, ground).
        tint: gain of red, green and blue.
        seed: of clouds and sensor noise.
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    focal: float
    sun: tuple[float, float, float] = (1.0, 0.8, 0.9)
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    seed: int = 0

    @cached_property
    def rotation(self) -> Floats:
        """World-to-camera rotation `[3, 3]`: rows right, down, forward."""
        forward = np.subtract(self.target, self.position).astype(np.float64)
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 1.0, 0.0))
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(forward, right), forward])

    @cached_property
    def intrinsics(self) -> Floats:
        """The pinhole matrix `[3, 3]` at the rendering (oversampled) size."""
        focal = self.focal * _OVERSAMPLING
        return np.array(
            [
                [focal, 0, WIDTH * _OVERSAMPLING / 2],
                [0, focal, HEIGHT * _OVERSAMPLING / 2],
                [0, 0, 1],
            ]
        )


@dataclass
class Surface:
    """A textured rectangle in the world.

    Attributes:
        texture: `[H, W, 3]` RGB or `[H, W, 4]` with coverage.
        origin: where the texture's top left corner is, metres.
        across: from there to the top right corner, metres.
        down: from there to the bottom left corner, metres.
        light: which of the camera's sun values falls on it: 0 front, 1 side, 2 ground.
        gain: a fixed brightness on top of the sun's.
        tiles: columns and rows drawn apart, so that near and far parts are filtered apart.
        two_sided: drawn from behind too.
    """

    texture: Pixels
    origin: tuple[float, float, float]
    across: tuple[float, float, float]
    down: tuple[float, float, float]
    light: int = 0
    gain: float = 1.0
    tiles: tuple[int, int] = (1, 1)
    two_sided: bool = False
    _levels: list[Pixels] = field(default_factory=list, repr=False)

    def level(self, number: int) -> Pixels:
        """Return the texture reduced `number` times by two (a mip level)."""
        if not self._levels:
            self._levels.append(self.texture)
        while len(self._levels) <= number and min(self._levels[-1].shape[:2]) >= 8:
            height, width = self._levels[-1].shape[:2]
            half = cv2.resize(
                self._levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA
            )
            self._levels.append(half.astype(np.uint8))
        return self._levels[min(number, len(self._levels) - 1)]


def render(surfaces: list[Surface], camera: Camera) -> Pixels:
    """Return the photo `[768, 1024, 3]` RGB of surfaces given from back to front."""
    canvas = _sky(camera)
    for surface in surfaces:
        if surface.two_sided or _faces(surface, camera):
            _draw_surface(canvas, surface, camera)
    return _develop(canvas, camera)


def _faces(surface: Surface, camera: Camera) -> bool:
    towards = np.subtract(camera.position, surface.origin)
    return bool(np.dot(towards, np.cross(surface.down, surface.across)) > 0)


def _draw_surface(canvas: Pixels, surface: Surface, camera: Camera) -> None:
    columns, rows = surface.tiles
    for row in range(rows):
        for column in range(columns):
            tile = (column / columns, row / rows, (column + 1) / columns, (row + 1) / rows)
            _draw_tile(canvas, surface, camera, tile)


def _draw_tile(
    canvas: Pixels, surface: Surface, camera: Camera, tile: tuple[float, float, float, float]
) -> None:
    rotation, intrinsics = camera.rotation, camera.intrinsics
    basis = rotation @ np.stack([surface.across, surface.down], axis=1)
    start = rotation @ np.subtract(surface.origin, camera.position)
    polygon = _clip([(tile[i], tile[j]) for i, j in ((0, 1), (2, 1), (2, 3), (0, 3))], basis, start)
    if len(polygon) < 3:
        return
    points = np.array(polygon) @ basis.T + start
    corners = (points @ intrinsics.T)[:, :2] / points[:, 2:]
    box = _overlap(corners, canvas)
    if box is None:
        return
    left, top, right, bottom = box
    level = surface.level(_mip(surface.texture, np.array(polygon), corners))
    height, width = level.shape[:2]
    plane = np.column_stack([basis[:, 0] / width, basis[:, 1] / height, start])
    shift = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
    patch = cv2.warpPerspective(
        level,
        shift @ intrinsics @ plane,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    gain = camera.sun[surface.light] * surface.gain
    mask = np.zeros(patch.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, np.round(corners - (left, top)).astype(np.int32), 255)
    _blend(canvas[top:bottom, left:right], np.asarray(patch, np.uint8), mask, gain)


def _blend(target: Pixels, patch: Pixels, mask: Pixels, gain: float) -> None:
    colour = cv2.convertScaleAbs(np.ascontiguousarray(patch[..., :3]), alpha=gain)
    if patch.shape[2] == 3:
        cv2.copyTo(colour, mask, target)
        return
    cover = cv2.bitwise_and(patch[..., 3], mask).astype(np.float32)[..., None] / 255
    target[:] = (target + (colour.astype(np.float32) - target) * cover).astype(np.uint8)


def _clip(corners: list[tuple[float, float]], basis: Floats, start: Floats) -> list[Floats]:
    """Return the polygon's part in front of the camera (Sutherland and Hodgman, 1974)."""
    kept: list[Floats] = []
    points = [np.array(corner) for corner in corners]
    depths = [float(basis[2] @ point + start[2]) - _NEAR_M for point in points]
    for i, (here, depth) in enumerate(zip(points, depths, strict=True)):
        before, depth_before = points[i - 1], depths[i - 1]
        if (depth >= 0) != (depth_before >= 0):
            kept.append(before + (here - before) * (depth_before / (depth_before - depth)))
        if depth >= 0:
            kept.append(here)
    return kept


def _overlap(corners: Floats, canvas: Pixels) -> tuple[int, int, int, int] | None:
    height, width = canvas.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, (width, height)).astype(int)
    return (left, top, right, bottom) if right > left and bottom > top else None


def _mip(texture: Pixels, polygon: Floats, corners: Floats) -> int:
    texels = _area(polygon * (texture.shape[1], texture.shape[0]))
    pixels = max(_area(corners), 1.0)
    return max(0, round(0.5 * math.log2(max(texels / pixels, 1e-6)) + 0.1))


def _area(polygon: Floats) -> float:
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _sky(camera: Camera) -> Pixels:
    """Return the oversampled canvas filled with a sky of soft clouds."""
    rng = np.random.default_rng(camera.seed)
    cloud = np.zeros((192, 256), np.float32)
    octaves = ((4, 0.5), (8, 0.32), (16, 0.2), (32, 0.13), (64, 0.08), (128, 0.04))
    for cells, strength in octaves:
        grid = rng.standard_normal((cells * 3 // 4, cells), dtype=np.float32)
        cloud += strength * cv2.resize(grid, (256, 192), interpolation=cv2.INTER_CUBIC)
    cover = np.clip(cloud * 1.7 + 0.2, 0, 1)[..., None] * 0.85
    ramp = np.linspace(0, 1, 192, dtype=np.float32)[:, None, None]
    blue = np.array([120, 166, 216], np.float32) * (1 - ramp)
    blue = blue + np.array([213, 226, 236], np.float32) * ramp
    small = (blue + (np.array([238, 239, 241]) - blue) * cover).clip(0, 255).astype(np.uint8)
    size = (round(WIDTH * _OVERSAMPLING), round(HEIGHT * _OVERSAMPLING))
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)


@lru_cache(maxsize=1)
def _lens() -> NDArray[np.float32]:
    """Return the lens's fall-off towards the corners `[768, 1024, 3]`."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    return np.repeat((1 - 0.13 * (x * x + y * y))[..., None], 3, axis=2).astype(np.float32)


@lru_cache(maxsize=1)
def _grain() -> NDArray[np.float32]:
    """Return sensor noise, larger than a photo so that each takes its own part."""
    shape = (HEIGHT * 3 // 2, WIDTH * 3 // 2, 3)
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32) * 2.2


def _develop(canvas: Pixels, camera: Camera) -> Pixels:
    """Return the canvas as a camera would store it: lens fall-off, noise, white balance, tone."""
    small = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    photo = np.asarray(cv2.multiply(small, _lens(), dtype=cv2.CV_32F), np.float32)
    rng = np.random.default_rng([camera.seed, 1])
    top, left = rng.integers(0, (HEIGHT // 2, WIDTH // 2))
    photo += _grain()[top : top + HEIGHT, left : left + WIDTH]
    unit = np.arange(256)[:, None] / 255 * np.array(camera.tint)
    unit = unit.clip(0, 1)
    curve = (0.86 * unit + 0.14 * unit * unit * (3 - 2 * unit)) * 255
    return np.asarray(cv2.LUT(cv2.convertScaleAbs(photo), curve.astype(np.uint8)[None]), np.uint8)
