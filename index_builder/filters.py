"""`Where` in the words of Qdrant: Edge and the client name the same conditions nearly alike."""

from collections.abc import Callable
from typing import Any, NamedTuple

from index_builder.points import LOCATION, Box, Payload, Ring, Where, point_uuid, polygon_parts

NEAR = 1e-9
"""Degrees that nobody can tell apart: 0.1 mm."""


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


def storable(payload: Payload) -> Payload:
    """Return a payload whose location Qdrant can index: no pole, and not longitude 180 itself.

    Its index takes latitude 90 for -90 and longitude 180 for -180, and then silently finds
    nothing; such points are moved by 0.2 mm. Edge reads numbers of more than 15 digits back with
    another last one, so they get 9 decimals: 0.1 mm.
    """
    place = payload.get(LOCATION)
    if not isinstance(place, dict):
        return dict(payload)
    lat, lon = place["lat"], place["lon"]
    if not isinstance(lat, int | float) or not isinstance(lon, int | float):
        return dict(payload)
    moved: Payload = {"lat": _within(lat, 90, 2 * NEAR), "lon": _within(lon, 180, 2 * NEAR)}
    return {**payload, LOCATION: moved}


def _within(degrees: float, limit: float, distance: float) -> float:
    """Return degrees no nearer to plus or minus `limit` than `distance`."""
    return round(min(max(degrees, distance - limit), limit - distance), 9)


def _corner(lat: float, lon: float, said: Any) -> Any:
    return said.GeoPoint(lat=_within(lat, 90, NEAR), lon=_within(lon, 180, NEAR))


def _box(box: Box, said: Any) -> Any:
    """Return a condition that holds on the box's border too, which Qdrant's boxes leave out."""
    south, west, north, east = box
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    boxes = [
        said.GeoBoundingBox(
            top_left=_corner(north + 4 * NEAR, left - 4 * NEAR, said),
            bottom_right=_corner(south - 4 * NEAR, right + 4 * NEAR, said),
        )
        for left, right in spans
    ]
    found = [said.FieldCondition(key=LOCATION, geo_bounding_box=box) for box in boxes]
    return said.Filter(should=found)


def _polygon(polygon: Ring, words: Words) -> Any:
    said = words.library
    rings = [
        words.ring([_corner(lat, lon, said) for lat, lon in ring])
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
