"""Shapes of exports: circles and drawn regions as areas, longitude before latitude, RFC 7946.

Areas are cut at the antimeridian, outer rings run counter-clockwise and holes clockwise.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import JsonValue

from agent.answer import Answer
from agent.report_shapes import area_of_circle, folded

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

DIGITS = 7
"""Of a degree: about a centimetre."""
LARGEST_KM = 20_000.0
Ring = list[list[float]]


def circles_of(answer: Answer) -> "list[tuple[int, float, list[list[Ring]]]]":
    """Return percent of belief, radius in km and polygons of an answer's circles, widest first."""
    if answer.radii is None or answer.latitude is None or answer.longitude is None:
        return []
    radii = answer.radii
    at = answer.latitude, answer.longitude
    return [
        (percent, km, polygons_of(area_of_circle(*at, min(km, LARGEST_KM))))
        for percent, km in ((95, radii.km_95), (80, radii.km_80), (50, radii.km_50))
    ]


def polygons_of(area: "BaseGeometry") -> list[list[Ring]]:
    """Return the rings of each polygon of an area, rounded, closed and oriented."""
    import shapely

    parts = shapely.get_parts(shapely.orient_polygons(area))
    found = []
    for part in parts:
        if part.geom_type == "Polygon" and not part.is_empty:
            rings = [_ring(part.exterior), *(_ring(hole) for hole in part.interiors)]
            found.append([ring for ring in rings if len(ring) >= 4])
        elif part.geom_type in ("MultiPolygon", "GeometryCollection"):
            found += polygons_of(part)
    return [rings for rings in found if rings]


def drawn_area(region: Mapping[str, JsonValue]) -> "BaseGeometry | None":
    """Return what a person drew, cut at the antimeridian; None where it is no area."""
    import shapely
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    geometry = region.get("geometry") if region.get("type") == "Feature" else region
    if not isinstance(geometry, Mapping) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
        return None
    try:
        area = shapely.make_valid(shape(geometry))
        return None if area.is_empty else folded(area)
    except (ShapelyError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def drawn_inside(region: Mapping[str, JsonValue]) -> bool:
    """Whether a drawn region says where the photo was taken; it says where not otherwise."""
    properties = region.get("properties")
    return not (isinstance(properties, Mapping) and properties.get("inside") is False)


def _ring(line: "BaseGeometry") -> Ring:
    points: Ring = []
    for x, y in line.coords:
        point = [round(x, DIGITS), round(y, DIGITS)]
        if not points or point != points[-1]:
            points.append(point)
    return points
