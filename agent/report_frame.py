"""What frames a local map: the window it shows, graticule, captions, scale bar, extent."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agent.report_shapes import (
    KM_PER_DEGREE,
    LOCAL_HEIGHT,
    LOCAL_WIDTH,
    Projection,
    pen,
    shifted,
)

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_GRATICULE_STEPS = (30.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)


class Caption(NamedTuple):
    """A short text on the drawing."""

    x: float
    y: float
    text: str


class ScaleBar(NamedTuple):
    """A round distance and its length in SVG units."""

    length: float
    text: str


class Window(NamedTuple):
    """The part of the world a local map may show, longitudes continuous around its centre.

    A little larger than the map, so that edges of what is cut by it stay out of sight.
    """

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def around(cls, centre: tuple[float, float], half_km: float) -> "Window":
        """Return the window of a local map from its centre and `half_km`."""
        latitude, longitude = centre
        reach = 1.1 * half_km * math.hypot(1.0, LOCAL_WIDTH / LOCAL_HEIGHT) / KM_PER_DEGREE
        spread = math.sin(math.radians(min(reach, 90.0))) / max(
            math.cos(math.radians(latitude)), 1e-9
        )
        half_width = math.degrees(math.asin(spread)) if spread < 1 else 180.0
        if abs(latitude) + reach >= 90:
            half_width = 180.0
        return cls(
            longitude - half_width,
            max(latitude - reach, -90.0),
            longitude + half_width,
            min(latitude + reach, 90.0),
        )

    @property
    def boxes(self) -> list[tuple[float, float, float, float]]:
        """South, west, north, east of one or two boxes with longitudes in [-180, 180]."""
        if self.east - self.west >= 360:
            return [(self.south, -180.0, self.north, 180.0)]
        west = (self.west + 180.0) % 360.0 - 180.0
        east = west + self.east - self.west
        if east <= 180:
            return [(self.south, west, self.north, east)]
        return [(self.south, west, self.north, 180.0), (self.south, -180.0, self.north, east - 360)]

    def cut(self, shape: "BaseGeometry") -> "BaseGeometry":
        """Return what of a shape with longitudes in [-180, 180] lies inside."""
        import shapely

        if shape.is_empty:
            return shape
        west, _, east, _ = shape.bounds
        turns = range(math.ceil((self.west - east) / 360), math.floor((self.east - west) / 360) + 1)
        pieces = [shapely.clip_by_rect(shifted(shape, turn), *self) for turn in turns]
        return shapely.GeometryCollection([piece for piece in pieces if not piece.is_empty])


def graticule_of(
    window: Window, project: Projection, half_km: float
) -> "tuple[list[BaseGeometry], tuple[Caption, ...]]":
    """Return meridians and parallels at round degrees and their captions at the map's edge."""
    import shapely

    lat_step = _round_step(2 * half_km / KM_PER_DEGREE)
    widest = max(math.cos(math.radians(min(abs(window.south), abs(window.north)))), 0.05)
    lon_step = _round_step(2 * half_km / KM_PER_DEGREE / widest)
    lines, captions = [], []
    for lat in _multiples(window.south, window.north, lat_step):
        line = shapely.LineString([(window.west, lat), (window.east, lat)])
        lines.append(line)
        captions += _edge_caption(line, project, _degrees(lat, lat_step, "NS"), along="left")
    for lon in _multiples(window.west, window.east, lon_step):
        line = shapely.LineString([(lon, window.south), (lon, window.north)])
        lines.append(line)
        east = (lon + 180.0) % 360.0 - 180.0
        captions += _edge_caption(line, project, _degrees(east, lon_step, "EW"), along="bottom")
    return lines, tuple(captions)


def _edge_caption(
    line: "BaseGeometry", project: Projection, text: str, along: str
) -> list[Caption]:
    """Return the caption where the line meets the left or the bottom edge, if it does."""
    import shapely

    ends = shapely.get_coordinates(line)
    fine = ends[0] + np.linspace(0, 1, 400)[:, None] * (ends[1] - ends[0])
    points = project(fine[:, ::-1])
    inside = points[
        (points[:, 0] >= 0)
        & (points[:, 0] <= LOCAL_WIDTH)
        & (points[:, 1] >= 14)
        & (points[:, 1] <= LOCAL_HEIGHT)
    ]
    if len(inside) == 0:
        return []
    x, y = inside[np.argmin(inside[:, 0])] if along == "left" else inside[np.argmax(inside[:, 1])]
    near_edge = x < 24 if along == "left" else y > LOCAL_HEIGHT - 24
    if not near_edge or (along == "bottom" and not 60 < x < LOCAL_WIDTH - 40):
        return []
    return [
        Caption(4.0, round(y - 3, 1), text)
        if along == "left"
        else Caption(round(x + 3, 1), LOCAL_HEIGHT - 5, text)
    ]


def _round_step(extent_deg: float) -> float:
    """Return the largest round step that divides the extent at least three times."""
    return next((step for step in _GRATICULE_STEPS if extent_deg / step >= 3), _GRATICULE_STEPS[-1])


def _multiples(low: float, high: float, step: float) -> list[float]:
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _degrees(value: float, step: float, hemispheres: str) -> str:
    digits = max(0, -math.floor(math.log10(step)))
    if round(abs(value), digits) in (0.0, 180.0):
        return f"{abs(value):.{digits}f}°"
    return f"{abs(value):.{digits}f}°{hemispheres[value < 0]}"


def scale_bar(half_km: float) -> ScaleBar:
    """Return a round distance that takes at most a quarter of the local map's width."""
    km_per_unit = 2 * half_km / LOCAL_HEIGHT
    limit = km_per_unit * LOCAL_WIDTH / 4
    power = 10.0 ** math.floor(math.log10(limit))
    length_km = max(power * factor for factor in (1, 2, 5) if power * factor <= limit)
    text = f"{length_km:,.0f} km" if length_km >= 1 else f"{length_km * 1000:,.0f} m"
    return ScaleBar(length_km / km_per_unit, text)


def extent(ratio: float) -> str:
    """Return the path of a rectangle `ratio` times the drawing, around its centre."""
    if not 0 < ratio < 0.9:
        return ""
    half_x, half_y = LOCAL_WIDTH / 2 * ratio, LOCAL_HEIGHT / 2 * ratio
    corners = [(-half_x, -half_y), (half_x, -half_y), (half_x, half_y), (-half_x, half_y)]
    return pen(np.add(corners, (LOCAL_WIDTH / 2, LOCAL_HEIGHT / 2)), closed=True)
