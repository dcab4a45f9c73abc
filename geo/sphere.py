"""Geometry on the Earth: distances, means, medoids, circles; vectorised, in plain arrays.

Points are arrays `[N, 2]` of (latitude, longitude) in degrees WGS84, distances kilometres.
Everything works on unit vectors or on geodesics, never on differences of longitudes, so the
poles and the antimeridian need no special case. This module knows no places.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.errors import InputError

if TYPE_CHECKING:
    from pyproj import Geod

EARTH_RADIUS_KM = 6371.0
"""Radius used by `haversine_km`: the figure that published recall tables are computed with."""

FloatArray = NDArray[np.float64]

# Below this length the mean of unit vectors has no direction worth the name.
_NO_DIRECTION = 1e-9
# Rows of the pairwise table computed at once: 256 rows of 100,000 points are 200 MB.
_BLOCK = 256


@cache
def _wgs84() -> "Geod":
    from pyproj import Geod

    return Geod(ellps="WGS84")


def distance_km(
    latitude_1: ArrayLike, longitude_1: ArrayLike, latitude_2: ArrayLike, longitude_2: ArrayLike
) -> FloatArray:
    """Return geodesic distances on the WGS84 ellipsoid, in kilometres.

    Arguments are degrees and broadcast against each other; the result has the broadcast shape.
    Method: Karney, Algorithms for geodesics, Journal of Geodesy 87 (2013), through pyproj.
    Raises InputError where a value is not finite.
    """
    lat1, lon1, lat2, lon2 = _pairs(latitude_1, longitude_1, latitude_2, longitude_2)
    _, _, metres = _wgs84().inv(lon1.ravel(), lat1.ravel(), lon2.ravel(), lat2.ravel())
    return np.asarray(metres, dtype=np.float64).reshape(lat1.shape) / 1000.0


def haversine_km(
    latitude_1: ArrayLike, longitude_1: ArrayLike, latitude_2: ArrayLike, longitude_2: ArrayLike
) -> FloatArray:
    """Return great-circle distances on a sphere of 6371 km, in kilometres.

    Arguments are degrees and broadcast against each other. This is the distance of published
    recall tables; it differs from WGS84 by at most 0.6 %. Formula: Sinnott, Virtues of the
    haversine, Sky and Telescope 68 (1984).
    """
    lat1, lon1, lat2, lon2 = map(
        np.radians, _pairs(latitude_1, longitude_1, latitude_2, longitude_2)
    )
    chord = (
        np.sin((lat2 - lat1) / 2) ** 2
        + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    )
    kilometres: FloatArray = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0)))
    return kilometres


def wrap_longitude(longitude: ArrayLike) -> FloatArray:
    """Return longitudes in degrees brought into [-180, 180)."""
    degrees = np.asarray(longitude, dtype=np.float64)
    # Values already in range pass through untouched, so that nothing is lost to rounding.
    inside = (degrees >= -180.0) & (degrees < 180.0)
    wrapped = np.mod(degrees + 180.0, 360.0) - 180.0
    return np.where(inside, degrees, np.where(wrapped >= 180.0, -180.0, wrapped))


def unit_vectors(points: ArrayLike) -> FloatArray:
    """Return points `[N, 2]` in degrees as unit vectors `[N, 3]` (x through 0, 0; z north)."""
    lat, lon = np.radians(_points(points)).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def points_of(vectors: ArrayLike) -> FloatArray:
    """Return vectors `[N, 3]` of any length as points `[N, 2]`; the inverse of `unit_vectors`."""
    x, y, z = np.asarray(vectors, dtype=np.float64).reshape(-1, 3).T
    latitude = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return np.stack([latitude, wrap_longitude(np.degrees(np.arctan2(y, x)))], axis=1)


def spherical_mean(points: ArrayLike, weights: ArrayLike | None = None) -> FloatArray | None:
    """Return the direction `[2]` of the weighted sum of unit vectors, as (latitude, longitude).

    None where there is no such direction: no points, no weight, or points that cancel out
    (antipodes, a ring around the globe). Mardia and Jupp, Directional Statistics (2000), 9.2.1.
    """
    vectors = unit_vectors(points)
    share = _weights(weights, len(vectors))
    if not len(vectors) or share.sum() <= 0:
        return None
    total = (vectors * share[:, None]).sum(axis=0) / share.sum()
    return None if np.linalg.norm(total) < _NO_DIRECTION else points_of(total)[0]


def medoid_index(points: ArrayLike, weights: ArrayLike | None = None) -> int:
    """Return the index of the point with the least weighted haversine distance to all others.

    Ties go to the lowest index. Raises InputError for an empty list. Cost: N^2 / 2 distances.
    """
    vectors = unit_vectors(points)
    if not len(vectors):
        raise InputError("a medoid of 0 points does not exist: give at least 1 point")
    share = _weights(weights, len(vectors))
    totals = np.empty(len(vectors))
    for start in range(0, len(vectors), _BLOCK):
        block = _angles(vectors[start : start + _BLOCK], vectors)
        totals[start : start + _BLOCK] = block @ share
    # Sums that differ by rounding alone are ties.
    return int(np.flatnonzero(totals <= totals.min() + 1e-12 * max(1.0, share.sum()))[0])


def pairwise_haversine_km(points: ArrayLike) -> FloatArray:
    """Return the symmetric table `[N, N]` of haversine distances with a zero diagonal."""
    lat, lon = _points(points).T
    return haversine_km(lat[:, None], lon[:, None], lat[None, :], lon[None, :])


def destination(
    latitude: ArrayLike, longitude: ArrayLike, bearing_deg: ArrayLike, distance_km: ArrayLike
) -> FloatArray:
    """Return where one arrives on WGS84, `[..., 2]`, after a distance along an initial bearing.

    Bearings are degrees clockwise from north; at a pole, where every direction is south, the
    bearing is counted from the given longitude's meridian. Arguments broadcast.
    """
    lat, lon, bearing, length = _broadcast(latitude, longitude, bearing_deg, distance_km)
    longitudes, latitudes, _ = _wgs84().fwd(
        lon.ravel(), lat.ravel(), bearing.ravel(), length.ravel() * 1000.0
    )
    ends = np.stack([np.asarray(latitudes), wrap_longitude(longitudes)], axis=1)
    return ends.reshape((*lat.shape, 2))


def circle(latitude: float, longitude: float, radius_km: float, vertices: int = 64) -> FloatArray:
    """Return `[V, 2]` points at `radius_km` from the centre, clockwise from north, not closed.

    Longitudes are in [-180, 180): a circle over the antimeridian jumps there, one around a pole
    runs once through all longitudes (`geo.areas.circle_region` makes polygons of both).
    Raises InputError for a radius that is not positive or over 20,000 km, or under 3 vertices.
    """
    if not 0 < radius_km <= 20_000:
        raise InputError(f"circle radius {radius_km!r} km: give more than 0, up to 20,000 km")
    if vertices < 3:
        raise InputError(f"circle of {vertices!r} vertices: give 3 or more")
    bearings = np.arange(vertices) * (360.0 / vertices)
    return destination(latitude, longitude, bearings, radius_km)


def _angles(some: FloatArray, others: FloatArray) -> FloatArray:
    """Angles `[A, B]` in radians between unit vectors `[A, 3]` and `[B, 3]`."""
    # The chord keeps precision where arccos of a dot product loses it: for near points.
    squared = np.square(some[:, None, :] - others[None, :, :]).sum(axis=2)
    radians: FloatArray = 2 * np.arcsin(np.clip(np.sqrt(squared) / 2, 0.0, 1.0))
    return radians


def _points(points: ArrayLike) -> FloatArray:
    array = np.asarray(points, dtype=np.float64)
    if array.size == 0:
        return np.empty((0, 2))
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(
            f"points of shape {list(array.shape)}: give [N, 2], latitude and longitude in degrees"
        )
    _refuse_impossible(array[:, 0], array[:, 1])
    return array


def _broadcast(*values: ArrayLike) -> tuple[FloatArray, ...]:
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values))
    for array in arrays:
        if not np.isfinite(array).all():
            raise InputError("a coordinate, bearing or distance is NaN or infinite: drop it first")
    _refuse_impossible(arrays[0], arrays[1])
    return tuple(arrays)


def _pairs(*values: ArrayLike) -> tuple[FloatArray, ...]:
    arrays = _broadcast(*values)
    _refuse_impossible(arrays[2], arrays[3])
    return arrays


def _refuse_impossible(latitude: FloatArray, longitude: FloatArray) -> None:
    if not (np.isfinite(latitude).all() and np.isfinite(longitude).all()):
        raise InputError("a latitude or longitude is NaN or infinite: drop the point first")
    if latitude.size and (worst := latitude.flat[np.abs(latitude).argmax()]) and abs(worst) > 90:
        raise InputError(
            f"latitude {worst!r} is outside -90..90 degrees: check that latitude comes first"
        )


def _weights(weights: ArrayLike | None, count: int) -> FloatArray:
    if weights is None:
        return np.ones(count)
    share = np.asarray(weights, dtype=np.float64)
    if share.shape != (count,) or not np.isfinite(share).all() or (share < 0).any():
        raise InputError(f"weights must be {count} finite numbers of 0 or more, one for each point")
    return share


def map_order(points: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order `[N]` that puts neighbours on the map side by side.

    Along the Z-order curve (Morton, IBM 1966) of 65,536 x 65,536 cells of latitude and longitude;
    equal cells keep their order.

    Args:
        points: `[N, 2]` latitude, longitude in degrees.
    """
    cells = ((points + np.array([90.0, 180.0])) * (65535 / 180, 65535 / 360)).astype(np.int64)
    key = np.zeros(len(points), dtype=np.int64)
    for bit in range(16):
        key |= ((cells[:, 1] >> bit) & 1) << (2 * bit)
        key |= ((cells[:, 0] >> bit) & 1) << (2 * bit + 1)
    return np.argsort(key, kind="stable")
