"""Whether a point near a candidate fits a photo better than the candidate itself, to an encoder.

Rings of points around a candidate are scored like the candidate. The best of them is information
about the encoder, not about metres: one that places half of its photos within 200 km (see
`tools.places`) draws no line between two points of one town. So no point found here becomes
evidence.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

from encoders.base import Points, Vectors
from tools.alignment import COSINE_DIGITS, score_locations

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder

RINGS = (1 / 25, 1 / 5, 1.0)
"""Radii as shares of the largest: 1, 5 and 25 km for 25 km."""
BEARINGS = 12
"""Points of each ring; every other ring is turned by half a step."""
POINTS = len(RINGS) * BEARINGS
_DIGITS = 5


@dataclass(frozen=True)
class Nearby:
    """The best point around a coordinate.

    Attributes:
        latitude: degrees north.
        longitude: degrees east, -180 to 180.
        distance_km: from the coordinate, on the WGS84 ellipsoid.
        cosine: with the photo, six digits.
        points: how many were scored around it.
    """

    latitude: float
    longitude: float
    distance_km: float
    cosine: float
    points: int

    def record(self, than: float) -> dict[str, JsonValue]:
        """Return it as JSON, with what it gains on the cosine of the coordinate itself."""
        return {**asdict(self), "gain": round(self.cosine - than, COSINE_DIGITS)}

    def words(self, than: float) -> str:
        """Return it in words beside the cosine of the coordinate itself."""
        if self.cosine <= than:
            return f"none of {self.points} points nearby fits better"
        return (
            f"best nearby: {self.latitude:.4f}, {self.longitude:.4f}, {self.distance_km:.1f} km "
            f"away, cosine +{self.cosine - than:.6f} (of {self.points} points, no evidence)"
        )


def best_nearby(
    encoder: "AlignedEncoder",
    vector: Vectors,
    coordinates: Sequence[tuple[float, float]],
    km: float,
) -> list[Nearby | None]:
    """Return the best point around each coordinate; None where the encoder knows none of them.

    Args:
        encoder: that aligns photos with places.
        vector: `[D]`, the photo's unit vector in its alignment space.
        coordinates: latitude, longitude in degrees.
        km: radius of the largest ring, more than 0.
    """
    rings = [_around(latitude, longitude, km) for latitude, longitude in coordinates]
    if not rings:
        return []
    found = score_locations(encoder, vector, np.concatenate(rings))
    scores = np.where(found.known, found.cosines, -np.inf)
    parts = scores.reshape(len(rings), POINTS)
    return [
        _best(coordinate, ring, part)
        for coordinate, ring, part in zip(coordinates, rings, parts, strict=True)
    ]


def _around(latitude: float, longitude: float, km: float) -> Points:
    """Return the points of all rings, `[36, 2]`, the nearest ring first."""
    from geo.sphere import destination, wrap_longitude

    turn = 0.5 * (np.arange(len(RINGS)) % 2)
    bearings = (np.arange(BEARINGS) + turn[:, None]) * 360 / BEARINGS
    distances = np.array(RINGS)[:, None] * km * np.ones(BEARINGS)
    ends = destination(latitude, longitude, bearings.ravel(), distances.ravel())
    ends[:, 1] = wrap_longitude(np.round(ends[:, 1], _DIGITS))
    rounded: Points = np.round(ends, _DIGITS) + 0.0
    return rounded


def _best(coordinate: tuple[float, float], ring: Points, scores: Points) -> Nearby | None:
    """Return the point of the best score; of equal ones the first, and so the nearest ring."""
    from geo.sphere import distance_km

    best = int(np.argmax(scores))
    if not np.isfinite(scores[best]):
        return None
    latitude, longitude = ring[best].tolist()
    away = float(distance_km(*coordinate, latitude, longitude))
    return Nearby(latitude, longitude, round(away, 3), float(scores[best]), POINTS)
