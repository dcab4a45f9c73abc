"""Simplified country outlines for drawing maps: rings of (latitude, longitude), cut at 180."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geo.errors import InputError
from geo.regions import load_atlas
from geo.sphere import FloatArray

MAXIMUM_TOLERANCE_DEG = 10.0


@lru_cache(maxsize=8)
def outlines(
    tolerance_deg: float = 0.5, bounds: tuple[float, float, float, float] | None = None
) -> tuple[tuple[str, FloatArray], ...]:
    """Return (country code, ring `[V, 2]` of latitude and longitude) for every piece of land.

    Rings are closed (last vertex = first) and never run across the antimeridian: what crosses it
    is cut in two. They are simplified by Douglas and Peucker (1973) to `tolerance_deg`, 0 keeps
    every vertex, and islands smaller than the tolerance squared are left out. Holes (enclaves,
    the Caspian Sea) follow their country's ring: fill with the even-odd rule, or stroke only.

    Args:
        tolerance_deg: 0.25 suits a world map 1000 px wide, 0.005 a map of a few hundred km.
        bounds: keep only land inside south, west, north, east (west < east), clipped to it.

    Raises InputError for a tolerance outside 0..10 or bounds that are empty or off the globe.
    The result is cached: treat the arrays as read-only.
    """
    import shapely

    if not 0 <= tolerance_deg <= MAXIMUM_TOLERANCE_DEG:
        raise InputError(f"tolerance_deg {tolerance_deg!r}: give 0 to {MAXIMUM_TOLERANCE_DEG:g}")
    atlas = load_atlas()
    polygons, owner = shapely.get_parts(np.array(atlas.shapes, dtype=object), return_index=True)
    if bounds is not None:
        polygons, owner = _clipped(polygons, owner, bounds)
    wide = np.asarray(shapely.area(polygons) >= tolerance_deg**2)
    simple = shapely.simplify(polygons[wide], tolerance_deg, preserve_topology=False)
    # Simplification may pinch a polygon into several, or into nothing.
    rings = []
    for index, shape in zip(owner[wide], simple, strict=True):
        for polygon in shapely.get_parts(shape):
            for ring in shapely.get_rings(polygon):
                rings.append((str(atlas.codes[index]), shapely.get_coordinates(ring)[:, ::-1]))
    return tuple(rings)


def _clipped(
    polygons: NDArray[np.object_],
    owner: NDArray[np.intp],
    bounds: tuple[float, float, float, float],
) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Return the parts of polygons inside south, west, north, east, and their owners."""
    import shapely

    south, west, north, east = bounds
    if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
        raise InputError(
            f"bounds {bounds!r}: give south < north in -90..90 and west < east in -180..180;"
            " ask twice for a window over the antimeridian"
        )
    near = shapely.intersects(polygons, shapely.box(west, south, east, north))
    cut = shapely.clip_by_rect(polygons[near], west, south, east, north)
    parts, which = shapely.get_parts(cut, return_index=True)
    return parts, owner[near][which]
