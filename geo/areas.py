"""Regions as shapely geometries in (longitude, latitude): countries, circles, their algebra.

All geometries lie in [-180, 180] x [-90, 90]; what crosses the antimeridian is cut there, and a
region around a pole reaches it, so that union, intersection and containment are planar.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.errors import InputError
from geo.regions import PREPARED, country_polygon
from geo.sphere import FloatArray, circle, distance_km, wrap_longitude

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


def countries_region(codes: Iterable[str]) -> "BaseGeometry":
    """Return the union of countries by ISO code; InputError for a code without a polygon."""
    import shapely

    return shapely.union_all([country_polygon(code) for code in sorted(set(codes))])


def circle_region(
    latitude: float, longitude: float, radius_km: float, vertices: int = 128
) -> "BaseGeometry":
    """Return the disc around a point on WGS84, cut at the antimeridian, closed at the poles.

    Raises InputError for a radius outside 0..10,000 km (half the globe) or |latitude| > 90.
    """
    from shapely import Polygon

    if not 0 < radius_km <= 10_000:
        raise InputError(f"radius {radius_km!r} km: give more than 0, up to 10,000 km")
    ring = circle(latitude, longitude, radius_km, vertices)
    around = np.unwrap(np.append(ring[:, 1], ring[0, 1]), period=360.0)
    edge = np.column_stack([around, np.append(ring[:, 0], ring[0, 0])])
    if distance_km(latitude, longitude, 90, 0) < radius_km:
        edge = _closed_over_pole(edge, 90.0)
    if distance_km(latitude, longitude, -90, 0) < radius_km:
        edge = _closed_over_pole(edge, -90.0)
    return folded(Polygon(edge))


def folded(area: "BaseGeometry") -> "BaseGeometry":
    """Return a region given in longitudes -540..540, cut and shifted into place."""
    import shapely

    world = shapely.box(-180, -90, 180, 90)
    area = shapely.make_valid(area)
    parts = [
        shapely.intersection(shapely.transform(area, lambda xy, by=by: np.add(xy, (by, 0))), world)
        for by in (-360.0, 0.0, 360.0)
    ]
    return shapely.union_all(parts)


def contains(region: "BaseGeometry", points: ArrayLike) -> NDArray[np.bool_]:
    """Return whether each point `[N, 2]` (latitude, longitude) is in the region or on its edge."""
    import shapely

    array = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    longitude = wrap_longitude(array[:, 1])
    # 180 and -180 are one meridian; an edge may be drawn on either side of it.
    seam = longitude == -180.0
    with PREPARED:
        shapely.prepare(region)
        inside = shapely.intersects_xy(region, longitude, array[:, 0])
        if seam.any():
            inside |= seam & shapely.intersects_xy(region, np.full(len(array), 180.0), array[:, 0])
    return np.asarray(inside, dtype=np.bool_)


def area_km2(region: "BaseGeometry") -> float:
    """Return the geodesic area on WGS84 in square kilometres (Karney 2013), holes taken out."""
    import shapely
    from pyproj import Geod

    geod = Geod(ellps="WGS84")
    # Long edges along a parallel are not geodesics: points every degree keep them where drawn.
    total = 0.0
    for polygon in shapely.get_parts(shapely.segmentize(region, 1.0)):
        if polygon.geom_type == "Polygon":
            total += abs(geod.geometry_area_perimeter(shapely.normalize(polygon))[0])
    return total / 1e6


def sample(region: "BaseGeometry", count: int, seed: int = 0) -> FloatArray:
    """Return `count` points `[N, 2]` (latitude, longitude) spread evenly by area over a region.

    The same seed gives the same points. Raises InputError for a region without area.
    """
    west, south, east, north = region.bounds
    if region.is_empty or region.area <= 0:
        raise InputError("cannot draw points from a region without area: widen it")
    draw = np.random.default_rng(seed)
    low, high = np.sin(np.radians([south, north]))
    kept: list[FloatArray] = []
    found = 0
    while found < count:
        size = max(256, 4 * count)
        latitude = np.degrees(np.arcsin(draw.uniform(low, high, size)))
        points = np.column_stack([latitude, draw.uniform(west, east, size)])
        kept.append(points[contains(region, points)])
        found += len(kept[-1])
    return np.concatenate(kept)[:count] if kept else np.empty((0, 2))


def _closed_over_pole(edge: FloatArray, pole: float) -> FloatArray:
    """Return a ring round a pole with its two ends carried to the pole and joined there."""
    (first, _), (last, _) = edge[0], edge[-1]
    if abs(last - first) < 180:
        return edge
    return np.concatenate([edge, [[last, pole], [first, pole]]])
