"""A region that a person draws on a map, as evidence."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

from geo.areas import area_km2
from geo.errors import InputError
from geo.rings import LEAST_KM2, MOST_VERTICES, canonical, region_of, spread
from geo.sphere import FloatArray, points_of, spherical_mean
from tools.evidence import Area, Evidence
from tools.hint import HINT_WEIGHT

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

MOST_OF_ALL = 0.95
"""Of all latitudes and longitudes."""
MOST_POLYGONS = 100
SPREAD = 256
"""Points whose mean is called a region's middle."""
REMEDY = "give a GeoJSON Polygon, MultiPolygon, a Feature of one, or an object with `bbox`"


def drawn_evidence(region: Mapping[str, JsonValue]) -> Evidence:
    """Return a drawn region as evidence.

    Args:
        region: GeoJSON geometry or feature, Polygon or MultiPolygon, longitude before latitude,
            or an object with nothing but a `bbox`; a feature's property `inside` false says that
            the photo was not taken there.

    Raises:
        InputError: it is no such geometry, or it is degenerate.
    """
    inside, geometry = _unwrapped(region)
    polygons = canonical(_polygons(geometry))
    shape = region_of(polygons)
    if shape.area > MOST_OF_ALL * 360 * 180:
        raise InputError("the region is nearly the whole globe, which says nothing: draw less")
    size = area_km2(shape)
    if size < LEAST_KM2:
        raise InputError(f"the region has {size:,.1g} km2, the least is {LEAST_KM2:g}: draw more")
    where = f"about {_rounded(size)} km2 around {_middle(shape)}"
    said = "and says that it is not in there" if not inside else "and says that it is in there"
    return Evidence(
        tool="draw_region",
        kind="hint",
        summary=f"The person draws a region of {where} {said}.",
        area=Area(polygons=polygons, inside=inside, label=f"the drawn region of {where}"),
        weight=HINT_WEIGHT,
        group="hint",
    )


def _unwrapped(region: Mapping[str, JsonValue]) -> tuple[bool, Mapping[str, JsonValue]]:
    """Return whether inside is meant, and the geometry of a feature."""
    inside: JsonValue = True
    geometry: JsonValue = dict(region)
    if region.get("type") == "FeatureCollection":
        features = region.get("features")
        if not isinstance(features, list) or len(features) != 1:
            raise InputError(f"a FeatureCollection must hold one feature; {REMEDY}")
        return _unwrapped(features[0] if isinstance(features[0], dict) else {})
    if region.get("type") == "Feature":
        properties = region.get("properties")
        inside = properties.get("inside", True) if isinstance(properties, dict) else True
        geometry = region.get("geometry") or {"bbox": region.get("bbox")}
    elif "inside" in region:
        inside = region["inside"]
    if not isinstance(inside, bool):
        raise InputError(f"`inside` is {str(inside)[:40]!r}: give true or false")
    if not isinstance(geometry, dict):
        raise InputError(f"the feature has no geometry; {REMEDY}")
    return inside, geometry


def _polygons(geometry: Mapping[str, JsonValue]) -> list[list[FloatArray]]:
    """Return rings as latitude and longitude, `[V, 2]` each."""
    kind, held = geometry.get("type"), geometry.get("coordinates")
    if kind is None and geometry.get("bbox") is not None:
        return [[_box(geometry["bbox"])]]
    if kind not in ("Polygon", "MultiPolygon") or not isinstance(held, list):
        raise InputError(f"geometry of type {str(kind)[:40]!r}; {REMEDY}")
    parts = [held] if kind == "Polygon" else held
    if len(parts) > MOST_POLYGONS:
        raise InputError(f"{len(parts):,} polygons, limit {MOST_POLYGONS}: simplify the region")
    left, found = MOST_VERTICES, []
    for rings in parts:
        if not isinstance(rings, list):
            raise InputError(f"coordinates of a {kind} are rings of positions; {REMEDY}")
        found.append([_ring(ring, left) for ring in rings])
        left -= sum(len(ring) for ring in found[-1])
    return found


def _ring(ring: JsonValue, most: int) -> FloatArray:
    if not isinstance(ring, list) or not ring:
        raise InputError(f"a ring is no list of positions; {REMEDY}")
    if len(ring) > most:
        raise InputError(f"more than {MOST_VERTICES:,} vertices: simplify the polygon")
    return np.array([_position(position) for position in ring], dtype=np.float64)


def _position(position: JsonValue) -> tuple[float, float]:
    """Return latitude and longitude of a GeoJSON position; an altitude is left out."""
    if not isinstance(position, list) or len(position) not in (2, 3):
        raise InputError(f"{str(position)[:60]!r} is no position: give [longitude, latitude]")
    longitude, latitude = (_number(one) for one in position[:2])
    return latitude, longitude


def _number(value: JsonValue) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 540:
        raise InputError(f"{str(value)[:40]!r} is no coordinate: give degrees, longitude first")
    return float(value)


def _box(bounds: JsonValue) -> FloatArray:
    """Return west, south, east, north as a ring; west beyond east crosses the antimeridian."""
    if not isinstance(bounds, list) or len(bounds) not in (4, 6):
        raise InputError("a bbox has four numbers: west, south, east, north in degrees")
    numbers = [_number(one) for one in bounds]
    west, south, east, north = numbers if len(numbers) == 4 else (numbers[i] for i in (0, 1, 3, 4))
    east += 360.0 if east < west else 0.0
    if south >= north or east <= west or east - west > 360:
        raise InputError(f"bbox {bounds} is empty or inverted: give west, south, east, north")
    along = np.linspace(west, east, 5)
    lower, upper = np.full(5, south), np.full(5, north)
    ring = np.column_stack([[*lower, *upper], [*along, *along[::-1]]])
    return np.concatenate([ring, ring[:1]])


def _rounded(size_km2: float) -> str:
    """Return a size to two digits, as people say it."""
    rounded = float(f"{size_km2:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def _middle(shape: "BaseGeometry") -> str:
    """Return the mean of points spread over a region, in words."""
    middle = spherical_mean(points_of(spread(shape, SPREAD)))
    centre = shape.representative_point()
    latitude, longitude = (centre.y, centre.x) if middle is None else map(float, middle)
    return f"{latitude:.1f}, {longitude:.1f}"
