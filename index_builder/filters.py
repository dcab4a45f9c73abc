"""`Where` in the words of Qdrant: Edge and the client name the same conditions nearly alike."""

from collections.abc import Callable
from typing import Any, NamedTuple

from index_builder.points import LOCATION, Box, Ring, Where, point_uuid, polygon_parts


class Words(NamedTuple):
    """The few things that the two libraries say differently."""

    library: Any
    """`qdrant_edge` or `qdrant_client.models`."""
    ring: Callable[[list[Any]], Any]
    """Corners to a polygon."""
    any_of: Callable[[list[str]], Any]
    """Values to a match of any of them."""
    ids: Callable[[list[str]], Any]
    """UUIDs to a condition that the point is one of them."""


def filter_of(where: Where, words: Words) -> Any:
    """Return the filter that lets through what `where` does, or None for everything.

    Raises:
        InputError: a polygon is none.
    """
    if not where:
        return None
    said = words.library
    must: list[Any] = []
    must_not: list[Any] = []
    if where.circle:
        centre = said.GeoPoint(lon=where.circle.longitude, lat=where.circle.latitude)
        radius = said.GeoRadius(center=centre, radius=where.circle.radius_km * 1000)
        must.append(said.FieldCondition(key=LOCATION, geo_radius=radius))
    if where.box:
        must.append(_box(where.box, said))
    if where.polygon:
        must.append(_polygon(where.polygon, words))
    for key, wanted, unwanted in _keywords(where):
        if wanted:
            must.append(said.FieldCondition(key=key, match=words.any_of(wanted)))
        if unwanted:
            must_not.append(said.FieldCondition(key=key, match=words.any_of(unwanted)))
    if where.exclude_ids:
        must_not.append(words.ids(sorted({point_uuid(one) for one in where.exclude_ids})))
    return said.Filter(must=must or None, must_not=must_not or None)


def _box(box: Box, said: Any) -> Any:
    south, west, north, east = box
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    boxes = [
        said.GeoBoundingBox(
            top_left=said.GeoPoint(lon=left, lat=north),
            bottom_right=said.GeoPoint(lon=right, lat=south),
        )
        for left, right in spans
    ]
    found = [said.FieldCondition(key=LOCATION, geo_bounding_box=box) for box in boxes]
    return said.Filter(should=found)


def _polygon(polygon: Ring, words: Words) -> Any:
    said = words.library
    rings = [
        words.ring([said.GeoPoint(lon=lon, lat=lat) for lat, lon in ring])
        for ring in polygon_parts(polygon)
    ]
    found = [said.FieldCondition(key=LOCATION, geo_polygon=ring) for ring in rings]
    return said.Filter(should=found)


def _keywords(where: Where) -> list[tuple[str, list[str], list[str]]]:
    """Return key, values wanted and values unwanted of each keyword that can be asked for."""
    return [
        ("country", sorted(where.countries), sorted(where.exclude_countries)),
        ("source", sorted(where.sources), sorted(where.exclude_sources)),
        ("author", sorted(where.authors), sorted(where.exclude_authors)),
    ]
