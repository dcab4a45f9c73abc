"""Shapes of the report's maps: projections, cuts at the antimeridian and the poles, SVG paths.

Pure functions from degrees to SVG units. The world is drawn in Equal Earth (Šavrič, Patterson,
Jenny 2018, doi 10.1080/13658816.2018.1504949), a neighbourhood in azimuthal equidistant
projection (Snyder 1987, USGS PP 1395, page 195), where distances from the centre are true.
"""

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Points = NDArray[np.float64]
Projection = Callable[[Points], Points]
"""`[N, 2]` latitude, longitude in degrees to `[N, 2]` x, y in SVG units, y down."""

EARTH_KM = 6371.0088
KM_PER_DEGREE = EARTH_KM * math.pi / 180
WORLD_WIDTH, WORLD_HEIGHT = 960.0, 468.0
LOCAL_WIDTH, LOCAL_HEIGHT = 640.0, 480.0
_SEAM_DEG = 1e-3


def equal_earth(points: Points) -> Points:
    """Project `[N, 2]` latitude, longitude from the middle of the world map, to it."""
    raw = _equal_earth_unit(points)
    edge = _equal_earth_unit(np.array([[0.0, 180.0], [90.0, 0.0]]))
    scale = WORLD_WIDTH / 2 / edge[0, 0]
    return np.column_stack(
        (WORLD_WIDTH / 2 + scale * raw[:, 0], WORLD_HEIGHT / 2 - scale * raw[:, 1])
    )


def _equal_earth_unit(points: Points) -> Points:
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    latitude, longitude = np.radians(points[:, 0]), np.radians(points[:, 1])
    theta = np.arcsin(np.sqrt(3) / 2 * np.sin(latitude))
    slope = 9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1
    x = 2 * np.sqrt(3) * longitude * np.cos(theta) / (3 * slope)
    y = theta * (a4 * theta**8 + a3 * theta**6 + a2 * theta**2 + a1)
    return np.column_stack((x, y))


def azimuthal(latitude: float, longitude: float, half_km: float) -> Projection:
    """Return the projection whose centre is the coordinate and whose height is 2 `half_km`."""
    scale = LOCAL_HEIGHT / 2 / half_km

    def project(points: Points) -> Points:
        east_km, north_km = _east_north_km(points, latitude, longitude)
        return np.column_stack(
            (LOCAL_WIDTH / 2 + scale * east_km, LOCAL_HEIGHT / 2 - scale * north_km)
        )

    return project


def _east_north_km(points: Points, latitude: float, longitude: float) -> tuple[Points, Points]:
    lat, lon = np.radians(points[:, 0]), np.radians(points[:, 1] - longitude)
    lat0 = math.radians(latitude)
    east = np.cos(lat) * np.sin(lon)
    north = math.cos(lat0) * np.sin(lat) - math.sin(lat0) * np.cos(lat) * np.cos(lon)
    ahead = math.sin(lat0) * np.sin(lat) + math.cos(lat0) * np.cos(lat) * np.cos(lon)
    across = np.hypot(east, north)
    stretch = EARTH_KM * np.arctan2(across, ahead) / np.where(across > 0, across, 1.0)
    return stretch * east, stretch * north


def unwrapped(ring: Points) -> Points:
    """Return the ring with longitudes made continuous: no step is longer than 180 degrees.

    Steps along a pole stay: there every longitude is the same point, and published outlines of
    Antarctica run along it on purpose.
    """
    latitude, longitude = ring[:, 0], ring[:, 1]
    step = np.diff(longitude)
    at_pole = (np.abs(latitude[1:]) > 89.99) & (np.abs(latitude[:-1]) > 89.99)
    turn = np.where(at_pole, 0.0, -np.round(step / 360.0) * 360.0)
    return np.column_stack((latitude, longitude + np.concatenate(([0.0], np.cumsum(turn)))))


def area_of_ring(ring: Points) -> "BaseGeometry":
    """Return the area inside a ring `[V, 2]`, longitudes in [-180, 180], axes longitude, latitude.

    A ring that runs through all longitudes is closed along the pole nearer to it.
    """
    import shapely

    line = unwrapped(np.vstack((ring, ring[:1])))
    if abs(line[-1, 1] - line[0, 1]) > 180:
        line = _closed_at_pole(line, math.copysign(90.0, float(line[:, 0].mean())))
    return folded(shapely.make_valid(shapely.Polygon(line[:, ::-1])))


def _closed_at_pole(line: Points, pole: float) -> Points:
    return np.vstack((line, [[pole, line[-1, 1]], [pole, line[0, 1]]]))


def area_of_circle(latitude: float, longitude: float, radius_km: float) -> "BaseGeometry":
    """Return everything within `radius_km`, axes longitude, latitude, longitudes in [-180, 180].

    A circle around a pole is closed along it; one that holds both poles is the world without
    the small circle around the antipode.
    """
    import shapely

    from geo.sphere import circle

    world = shapely.box(-180, -90, 180, 90)
    if radius_km >= math.pi * EARTH_KM * 0.999:
        return world
    poles = [
        sign * 90.0 for sign in (1, -1) if (90.0 - sign * latitude) * KM_PER_DEGREE < radius_km
    ]
    if len(poles) == 2:
        opposite = (longitude + 360.0) % 360.0 - 180.0
        return world.difference(area_of_circle(-latitude, opposite, math.pi * EARTH_KM - radius_km))
    edge = circle(latitude, longitude, radius_km, vertices=180)
    edge = unwrapped(np.vstack((edge, edge[:1])))
    if poles:
        edge = _closed_at_pole(edge, poles[0])
    return folded(shapely.make_valid(shapely.Polygon(edge[:, ::-1])))


def folded(area: "BaseGeometry") -> "BaseGeometry":
    """Bring an area with continuous longitudes back into [-180, 180]."""
    import shapely

    west, _, east, _ = area.bounds
    turns = range(math.floor((west + 180) / 360), math.ceil((east - 180) / 360) + 1)
    pieces = [shapely.clip_by_rect(shifted(area, -turn), -180, -90, 180, 90) for turn in turns]
    return shapely.union_all([piece for piece in pieces if not piece.is_empty])


def turned(area: "BaseGeometry", degrees: float) -> "BaseGeometry":
    """Return an area turned east by `degrees`, cut again so that it stays in [-180, 180]."""
    import shapely

    if degrees == 0 or area.is_empty:
        return area
    return folded(shapely.transform(area, lambda xy: np.add(xy, (degrees, 0.0))))


def shifted(shape: "BaseGeometry", turns: int) -> "BaseGeometry":
    """Return the shape moved east by whole turns of 360 degrees."""
    import shapely

    return shapely.transform(shape, lambda xy: np.add(xy, (360.0 * turns, 0.0)))


def path_of(shape: "BaseGeometry", project: Projection, spacing_deg: float = 2.0) -> str:
    """Return the SVG path of areas or lines given in longitude, latitude; empty if nothing is left.

    Long edges are first divided every `spacing_deg`, so that they bend as the projection does.
    """
    import shapely

    parts = []
    for piece in _lines(shapely.segmentize(shape, spacing_deg)):
        if piece.is_empty:  # a circle around the whole globe has no edge
            continue
        lonlat = shapely.get_coordinates(piece)
        parts.append(pen(project(lonlat[:, ::-1]), closed=piece.is_ring))
    return "".join(parts)


def _lines(shape: "BaseGeometry") -> "Iterable[BaseGeometry]":
    import shapely

    for part in shapely.get_parts(shape):
        if part.geom_type == "Polygon":
            yield part.exterior
            yield from part.interiors
        elif part.geom_type in ("LineString", "LinearRing"):
            yield part
        elif part.geom_type != "Point":
            yield from _lines(part)


def pen(points: Points, closed: bool) -> str:
    """Return `M`/`L` commands at a tenth of a unit, leaving out points that do not move the pen."""
    tenths = np.round(points * 10).astype(np.int64)
    moved = np.concatenate(([True], np.any(np.diff(tenths, axis=0) != 0, axis=1)))
    tenths = tenths[moved]
    if len(tenths) < 2:
        return ""
    text = "L".join(f"{x / 10:g} {y / 10:g}" for x, y in tenths)
    return f"M{text}Z" if closed else f"M{text}"


def without_seams(area: "BaseGeometry") -> "BaseGeometry":
    """Return an area's edge without what merely runs along the antimeridian or a pole."""
    import shapely

    edge = shapely.boundary(area)
    margin = _SEAM_DEG
    inside = shapely.box(-180 + margin, -90 + margin, 180 - margin, 90 - margin)
    return shapely.intersection(edge, inside)
