"""What a store of a gallery's vectors and payloads can do, whichever engine it is.

Knows vectors, payloads and filters; nothing of photos or encoders. `index_builder.edge_points`
keeps them in a folder, `index_builder.server_points` in a Qdrant server or cluster; both answer
the same calls with the same hits.
"""

import math
import re
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from encoders.photo_file import printable
from geo.errors import InputError

Vector = npt.NDArray[np.float32]
Payload = dict[str, JsonValue]
LOCATION = "location"
"""Key of the payload that holds `{"lat": degrees, "lon": degrees}`."""
KEYWORDS = ("country", "source", "author", "licence")
"""Keys of the payload that are filtered by and counted."""
PAGE = 256
MAX_LIMIT = 100_000
"""Hits of one search."""


class Circle(NamedTuple):
    """Everything within `radius_km` of a coordinate."""

    latitude: float
    longitude: float
    radius_km: float


class Box(NamedTuple):
    """Everything between two parallels and two meridians; west > east crosses longitude 180."""

    south: float
    west: float
    north: float
    east: float


Ring = tuple[tuple[float, float], ...]
"""Corners (latitude, longitude) of a polygon; its edges are straight on a plain map."""


@dataclass(frozen=True)
class Where:
    """Which points a search may find; conditions all apply, alternatives within one do not."""

    circle: Circle | None = None
    box: Box | None = None
    polygon: Ring = ()
    """3 corners or more. One whose edge is longer than 180 degrees crosses longitude 180."""
    countries: Collection[str] = ()
    """ISO 3166-1 alpha-2; any of them."""
    sources: Collection[str] = ()
    authors: Collection[str] = ()
    exclude_countries: Collection[str] = ()
    exclude_sources: Collection[str] = ()
    exclude_authors: Collection[str] = ()
    """No photo of these photographers: their other photos of a trip give a test away."""
    exclude_ids: Collection[str] = ()

    def __post_init__(self) -> None:
        """Refuse areas that are none.

        Raises:
            InputError: a radius, a corner or a box out of range.
        """
        if self.circle and not 0 < self.circle.radius_km <= 20_100:
            raise InputError(
                f"radius {self.circle.radius_km} km, limits 0 to 20,100 km; correct it"
            )
        corners = [self.circle[:2]] if self.circle else []
        corners += [self.box[:2], self.box[2:]] if self.box else []
        for latitude, longitude in [*corners, *self.polygon]:
            if not (abs(latitude) <= 90 and abs(longitude) <= 180):
                raise InputError(
                    f"corner ({latitude}, {longitude}), limits -90 to 90 and -180 to 180 degrees; "
                    "give latitude, longitude"
                )
        if self.box and not self.box.south <= self.box.north:
            raise InputError(
                f"box from latitude {self.box.south} to {self.box.north}; give south, west, north, "
                "east"
            )
        if 0 < len(self.polygon) < 3:
            raise InputError(f"polygon of {len(self.polygon)} corners, 3 are needed; add some")

    def __bool__(self) -> bool:
        return self != EVERYWHERE


EVERYWHERE = Where()


class IndexSettings(BaseModel):
    """How vectors are kept for fast search; the vectors themselves are always kept whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantization: Literal["none", "int8", "binary"] = "int8"
    """What a search looks at first: whole vectors, 8 bits or 1 bit a number."""
    oversampling: float = Field(default=3.0, ge=1, le=100)
    """How many times `limit` points are compared again by their whole vectors; of binary copies
    at least 2,000 points, because a bit a number tells those far away hardly apart."""
    hnsw: bool = False
    """Follow a graph instead of comparing with all; for millions. Filtered searches never do."""
    m: int = Field(default=16, ge=4, le=128)
    """Edges a node of that graph."""
    ef_construct: int = Field(default=128, ge=8, le=2048)
    ef: int = Field(default=128, ge=8, le=8192)
    """Nodes a search of the graph keeps in view."""


BINARY_CANDIDATES = 2000
"""Points of a binary search that are compared again at least. Recall of 20 among 30,000 clustered
vectors: 0.99 with 60, 1.00 with 400; of 200, most of them strangers, 0.55 with 600."""


class Plan(NamedTuple):
    """How an engine goes about one search."""

    exact: bool
    """Compare whole vectors with all that pass."""
    ef: int
    oversampling: float

    @classmethod
    def of(cls, index: IndexSettings, where: "Where", limit: int, *, exact: bool) -> "Plan":
        """Return the plan of a search that finds what it should.

        Through a graph, a filtered search may silently end early; and by one bit a number, what
        passes a filter that cuts clusters apart cannot be told apart (recall 0.55 measured).
        Both compare whole vectors, of fewer points then.
        """
        binary = index.quantization == "binary"
        least = BINARY_CANDIDATES / limit if binary else 1.0
        return cls(
            exact or (bool(where) and (index.hnsw or binary)),
            max(index.ef, limit),
            max(index.oversampling, least),
        )


class StoredPoint(NamedTuple):
    """One photo, place or cell as the store sees it."""

    id: str
    """64 hexadecimal digits; the first half is the point's UUID. The payload's `id` too."""
    vectors: Mapping[str, Vector]
    """For each space a `[D]` unit vector."""
    payload: Payload
    """JSON, with `id` and `location`."""


class ScoredPoint(NamedTuple):
    """A hit: payload, inner product with the query, and vectors where they were asked for."""

    payload: Payload
    score: float
    vectors: Mapping[str, Vector]


class PointStore(Protocol):
    """A collection of points with one vector for each space."""

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        """Write points, durable on return; the same id again replaces the former."""
        ...

    def search(
        self,
        space: str,
        vector: Vector,
        limit: int,
        *,
        where: Where = EVERYWHERE,
        exact: bool = False,
        with_vectors: bool = False,
    ) -> list[ScoredPoint]:
        """Return the `limit` points of the largest inner product, best first.

        Never fewer than `limit` where so many pass the filter.

        Args:
            space: whose vectors are compared.
            vector: `[D]`; the negated vector of a photo finds what is least like it.
            limit: at most this many.
            where: which points.
            exact: compare whole vectors with all; otherwise as `IndexSettings` say.
            with_vectors: return the vectors of all spaces too.
        """
        ...

    def get(self, ids: Sequence[str], *, with_vectors: bool = False) -> list[StoredPoint]:
        """Return those of the ids that exist, in the order asked for."""
        ...

    def scan(
        self, *, where: Where = EVERYWHERE, with_vectors: bool = False
    ) -> Iterator[StoredPoint]:
        """Yield every point that passes, in the order of ids."""
        ...

    def count(self, where: Where = EVERYWHERE) -> int:
        """Return how many points pass."""
        ...

    def counts(self, key: str) -> dict[str, int]:
        """Return how many points there are of each value of one of `KEYWORDS`."""
        ...

    def delete(self, where: Where) -> None:
        """Delete the points that pass.

        Raises:
            InputError: no condition is given.
        """
        ...

    def delete_ids(self, ids: Sequence[str]) -> None:
        """Delete points."""
        ...

    def optimize(self) -> None:
        """Bring the index up to date with what was written; searches are right before it too."""
        ...

    def close(self) -> None:
        """Write what is pending and let go of files and connections."""
        ...


def point_uuid(point_id: str) -> str:
    """Return the UUID of a point: the first 128 bits of its id.

    Raises:
        InputError: it is no id.
    """
    if not re.fullmatch("[0-9a-f]{64}", point_id):
        raise InputError(
            f"{printable(point_id, 70)!r} is no id, limit 64 hexadecimal digits; give the SHA-256 "
            "that the gallery states"
        )
    return str(uuid.UUID(hex=point_id[:32]))


def polygon_parts(ring: Ring) -> list[Ring]:
    """Return a polygon as rings that do not cross longitude 180.

    Raises:
        InputError: it crosses itself, has no area, or goes round a pole.
    """
    import shapely

    corners = np.array(ring, dtype=np.float64)[:, ::-1].copy()
    corners[:, 0] = np.unwrap(corners[:, 0], period=360)
    if abs(corners[-1, 0] - corners[0, 0]) > 180 or np.ptp(corners[:, 0]) > 360:
        raise InputError(
            f"polygon of {len(ring)} corners goes round a pole; give a box from longitude -180 to "
            "180 instead"
        )
    whole = shapely.Polygon(corners)
    if not whole.is_valid or whole.area == 0:
        raise InputError(
            f"polygon of {len(ring)} corners crosses itself or is empty; list its corners in turn"
        )
    parts: list[Ring] = []
    for turn in (-360.0, 0.0, 360.0):
        window = shapely.box(-180 + turn, -90, 180 + turn, 90)
        for part in shapely.get_parts(shapely.intersection(whole, window)):
            if part.geom_type == "Polygon" and part.area > 0:
                outside = shapely.get_coordinates(part.exterior)
                parts.append(tuple((float(lat), float(lon - turn)) for lon, lat in outside))
    return parts


def check_vector(vector: Vector, dimensions: int) -> Vector:
    """Return `vector` if a store can search with it.

    Raises:
        InputError: wrong length, or not a finite vector of some length.
    """
    if vector.shape != (dimensions,) or not math.isfinite(float(vector.sum())):
        raise InputError(
            f"vector of shape {vector.shape} cannot be searched, limit ({dimensions},) finite "
            "numbers; encode the photo with this gallery's encoder"
        )
    return vector


def check_limit(limit: int) -> int:
    """Return `limit` if a search can have it.

    Raises:
        InputError: below 1 or above 100,000.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InputError(f"{limit:,} hits asked for, limit 1 to {MAX_LIMIT:,}; ask for fewer")
    return limit
