"""Where a ground photo is taken from, and what is painted on before that camera."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.planet_canvas import Canvas, Segment
from evaluation.planet_geography import Setting
from evaluation.planet_layout import Colour
from evaluation.planet_season import SNOW, Season, ground_colour, mix

NEAR = 1.2
"""Metres ahead of the camera from which things are drawn."""


@dataclass(frozen=True)
class Camera:
    """Where a photo is taken from; focal length in picture sides."""

    x: float
    z: float
    height: float
    yaw: float
    focal: float
    horizon: float
    side: int

    def see(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Return the pixel of a point; one too near is held at the near limit."""
        ahead = max(z - self.z, NEAR)
        right = (x - self.x) / ahead - self.yaw
        up = (self.height - y) / ahead
        return (0.5 + self.focal * right) * self.side, (self.horizon + self.focal * up) * self.side

    def scale(self, z: float) -> float:
        """Return pixels a metre at distance z."""
        return self.focal * self.side / max(z - self.z, NEAR)


def camera_of(rng: np.random.Generator, road_width: float, side: int) -> Camera:
    """Return the camera of a view."""
    return Camera(
        x=float(rng.uniform(-0.3, 0.3) * road_width),
        z=float(rng.uniform(-3.0, 1.5)),
        height=float(rng.uniform(1.4, 2.3)),
        yaw=float(rng.uniform(-0.12, 0.12)),
        focal=float(rng.uniform(0.62, 0.85)),
        horizon=float(rng.uniform(0.50, 0.60)),
        side=side,
    )


class Stage:
    """One place in one season before one camera. Lengths in metres."""

    def __init__(self, setting: Setting, season: Season, camera: Camera) -> None:
        self.setting, self.season, self.camera = setting, season, camera
        self.ground = ground_colour(setting.climate, season)
        self.canvas = Canvas(camera.side, self.ground, Segment.GROUND)

    def snowed(self, colour: Colour, share: float) -> Colour:
        """Return a colour with a share of snow on it, where snow lies."""
        return mix(colour, SNOW, share * self.season.snow)

    def middle(self, z: float) -> float:
        """Return where the middle of the road is at a distance."""
        return self.setting.layout.bend * (z / 30) ** 2

    def flat(
        self, corners: Sequence[tuple[float, float]], colour: Colour, segment: Segment
    ) -> None:
        """Fill a polygon of x, z on the ground."""
        self.canvas.polygon((self.camera.see(x, 0, z) for x, z in corners), colour, segment)

    def upright(
        self,
        x0: float,
        x1: float,
        y0: float,
        y1: float,
        z: float,
        colour: Colour,
        segment: Segment,
        glow: int = 0,
    ) -> None:
        """Fill a rectangle that faces the camera."""
        (left, top), (right, bottom) = self.camera.see(x0, y1, z), self.camera.see(x1, y0, z)
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        self.canvas.polygon(corners, colour, segment, glow)
