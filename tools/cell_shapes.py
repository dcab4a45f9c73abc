"""Shapes of S2 cells as candidates show them: the radius of half the area, the ring of corners."""

import numpy as np
from pydantic import JsonValue

from geo.cells import centres, polygon
from geo.sphere import haversine_km, points_of, unit_vectors

GRID = 32
"""Points a side by which a cell's area is summed."""


def half_area_radius_km(cell: int) -> float:
    """Return the radius around a cell's centre that holds half of the cell's area, km.

    A cell is a rectangle on a face of the cube around the sphere; points spread evenly over it
    count by the solid angle that they stand for.
    """
    corners = unit_vectors(polygon(cell)[:4])
    # To the cube: the face's axis is the one along which the cell's centre lies farthest.
    axis = int(np.argmax(np.abs(corners.sum(axis=0))))
    on_cube = corners / np.abs(corners[:, axis : axis + 1])
    steps = (np.arange(GRID) + 0.5) / GRID
    along, across = np.meshgrid(steps, steps)
    first, last = on_cube[1] - on_cube[0], on_cube[3] - on_cube[0]
    spread = on_cube[0] + along.reshape(-1, 1) * first + across.reshape(-1, 1) * last
    area = np.linalg.norm(spread, axis=1) ** -3.0
    points = points_of(spread)
    latitude, longitude = centres([cell])[0]
    away = haversine_km(latitude, longitude, points[:, 0], points[:, 1])
    order = np.argsort(away)
    held = np.cumsum(area[order]) / area.sum()
    return float(away[order][int(np.searchsorted(held, 0.5))])


def ring_of(cell: int) -> list[JsonValue]:
    """Return a cell's corners as a GeoJSON ring: `[longitude, latitude]`, the first once more.

    Longitudes go on beyond 180 degrees where the cell crosses the antimeridian.
    """
    ring = polygon(cell)
    turned = np.unwrap(ring[:, 1], period=360.0)
    turned[-1] = turned[0]  # around a pole it would come back a turn farther
    return [[float(lon), float(lat)] for lon, lat in zip(turned, ring[:, 0], strict=True)]
