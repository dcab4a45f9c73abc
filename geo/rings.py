"""Polygons as people draw them: rings of vertices, checked, in one canonical form.

Edges are straight in longitude and latitude, as GeoJSON has them (RFC 7946, section 3.1.1). A ring
that crosses the antimeridian goes on past 180 degrees; none goes round a pole, but one may reach
it along a meridian.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from geo.errors import InputError
from geo.sphere import FloatArray, unit_vectors

if TYPE_CHECKING:
    from shapely import Polygon as Shape
    from shapely.geometry.base import BaseGeometry

Ring = tuple[tuple[float, float], ...]
Polygon = tuple[Ring, ...]
"""An outer ring and its holes: latitude, longitude in degrees, the first vertex not repeated."""

MOST_VERTICES = 10_000
WIDEST_EDGE = 180.0
"""Degrees of longitude of one edge: a longer one may be meant the other way round the globe."""
DIGITS = 6
"""Decimals of a degree that are kept, 0.1 m."""
LEAST_KM2 = 1e-6
"""A square metre."""
REGIONS_KEPT = 64


def canonical(polygons: Sequence[Sequence[FloatArray]]) -> tuple[Polygon, ...]:
    """Return polygons in the one form that all ways to write them have.

    Args:
        polygons: outer rings and holes, `[V, 2]` each: latitude, longitude in degrees, closed by
            their first vertex or one turn further.

    Raises:
        InputError: a ring is open, crosses itself or goes round a pole, a vertex is not on Earth,
            or there are too many.
    """
    import shapely

    if not polygons:
        raise InputError("no polygon: draw one with three corners or more")
    if (count := sum(len(ring) for rings in polygons for ring in rings)) > MOST_VERTICES:
        raise InputError(f"{count:,} vertices, limit {MOST_VERTICES:,}: simplify the polygon")
    shapes = [_shape(rings, number) for number, rings in enumerate(polygons, start=1)]
    ordered = sorted((shapely.normalize(shape) for shape in shapes), key=lambda shape: shape.wkb)
    return tuple(dict.fromkeys(_written(shape) for shape in ordered))


def rings_of(region: "BaseGeometry") -> tuple[Polygon, ...]:
    """Return the polygons of a region in (longitude, latitude), as `canonical` writes them."""
    import shapely

    short = shapely.segmentize(region, WIDEST_EDGE / 2)
    parts = [part for part in shapely.get_parts(short) if part.geom_type == "Polygon"]
    rings = [[part.exterior, *part.interiors] for part in parts]
    return canonical([[np.asarray(ring.coords)[:, ::-1] for ring in one] for one in rings])


@lru_cache(maxsize=REGIONS_KEPT)
def region_of(polygons: tuple[Polygon, ...]) -> "BaseGeometry":
    """Return the region of canonical polygons, cut at the antimeridian, for `geo.areas`."""
    import shapely

    from geo.areas import folded

    return folded(shapely.union_all([_plain(polygon) for polygon in polygons]))


def spread(region: "BaseGeometry", count: int) -> FloatArray:
    """Return `count` points spread about evenly over a region as unit vectors `[N, 3]`.

    The same region has the same points: a sequence of low discrepancy over its triangles (plastic
    ratio: Roberts, 2018), however narrow they are.
    """
    import shapely

    cut = shapely.segmentize(region, 10.0)
    triangles = shapely.get_parts(shapely.constrained_delaunay_triangles(cut))
    corners = shapely.get_coordinates(triangles).reshape(-1, 4, 2)[:, :3]
    size = shapely.area(triangles) * np.cos(np.radians(corners[:, :, 1].mean(axis=1)))
    ends = np.cumsum(size) / size.sum()
    chosen = np.searchsorted(ends, (np.arange(count) + 0.5) / count)
    chosen = np.minimum(chosen, len(ends) - 1)
    ratio = 1.324717957244746
    a, b = ((np.arange(count) + 0.5) / ratio % 1, (np.arange(count) + 0.5) / ratio**2 % 1)
    over = a + b > 1
    a, b = np.where(over, 1 - a, a), np.where(over, 1 - b, b)
    first, second, third = (corners[chosen, i] for i in range(3))
    points = first + a[:, None] * (second - first) + b[:, None] * (third - first)
    return unit_vectors(points[:, ::-1])


def _shape(rings: Sequence[FloatArray], number: int) -> "Shape":
    """Return one polygon in (longitude, latitude), its west edge in -180..180."""
    import shapely

    if not rings:
        raise InputError(f"polygon {number} has no ring: draw one with three corners or more")
    closed = [_ring(np.asarray(ring, dtype=np.float64), number) for ring in rings]
    shape = shapely.Polygon(closed[0][:, ::-1], [hole[:, ::-1] for hole in closed[1:]])
    west, _, east, _ = shape.bounds
    if east - west > 360:
        raise InputError(f"polygon {number} spans {east - west:g} degrees of longitude, limit 360")
    if not shape.is_valid:
        why = shapely.is_valid_reason(shape)
        raise InputError(
            f"polygon {number} is none ({why}): draw its edges so that they do not cross or touch"
        )
    turns = -360.0 * np.floor((west + 180) / 360)
    return shapely.transform(shape, lambda xy: np.add(xy, (turns, 0)))


def _ring(ring: FloatArray, number: int) -> FloatArray:
    """Return a ring `[V, 2]` that is one, rounded to 0.1 m."""
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 4:
        raise InputError(
            f"a ring of polygon {number} has {len(ring)} positions; it needs 4 or more, the last "
            "one equal to the first"
        )
    if not np.isfinite(ring).all() or (np.abs(ring[:, 0]) > 90).any():
        raise InputError(
            f"a vertex of polygon {number} is not finite or its latitude is outside -90..90; "
            "GeoJSON has longitude before latitude"
        )
    if (np.abs(ring[:, 1]) > 540).any():
        raise InputError(f"a longitude of polygon {number} is outside -540..540: take off turns")
    ring = np.round(ring, DIGITS) + 0.0
    _check_closed(ring, number)
    widest = float(np.abs(np.diff(ring[:, 1])).max())
    if widest > WIDEST_EDGE:
        raise InputError(
            f"an edge of polygon {number} is {widest:g} degrees of longitude long, limit "
            f"{WIDEST_EDGE:g}: write longitudes past 180 where it crosses the antimeridian (190 "
            "for -170), or add a vertex on the way"
        )
    return ring


def _check_closed(ring: FloatArray, number: int) -> None:
    apart = ring[-1] - ring[0]
    if apart[0] == 0 and abs(apart[1]) == 360:
        raise InputError(
            f"polygon {number} goes round a pole: carry it along a meridian to the pole (latitude "
            "90 or -90) and back, or draw what lies outside of it"
        )
    if apart.any():
        raise InputError(
            f"a ring of polygon {number} is open: repeat its first position at its end"
        )


def _written(shape: "Shape") -> Polygon:
    rings = [shape.exterior, *shape.interiors]
    return tuple(
        tuple((float(y), round(float(x), DIGITS)) for x, y in list(ring.coords)[:-1])
        for ring in rings
    )


def _plain(polygon: Polygon) -> "Shape":
    """Return a polygon in (longitude, latitude), longitudes as they are."""
    import shapely

    rings = [[(longitude, latitude) for latitude, longitude in ring] for ring in polygon]
    return shapely.Polygon(rings[0], rings[1:])
