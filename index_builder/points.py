"""Where a gallery's vectors and payloads live: what every store can do, and Qdrant Edge.

Knows vectors, payloads and filters; nothing of photos or encoders. All stores answer the same
calls with the same hits (`index_builder.server_points` is the other); every search compares
with every vector that passes the filter, because an approximate index under a filter may
silently return too few.
"""

import math
import uuid
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
from index_builder.files import read_only

if TYPE_CHECKING:
    import qdrant_edge

Vector = npt.NDArray[np.float32]
Payload = dict[str, JsonValue]
LOCATION = "location"
PAGE = 256


class Circle(NamedTuple):
    """Everything within `radius_km` of a coordinate."""

    latitude: float
    longitude: float
    radius_km: float


class StoredPoint(NamedTuple):
    """One photo as the store sees it."""

    id: str
    """SHA-256 hex; its first half is the point's UUID."""
    vector: Vector
    """`[D]` unit vector."""
    payload: Payload
    """JSON; `location` holds `{"lat": degrees, "lon": degrees}`."""


class ScoredPayload(NamedTuple):
    """A hit: the payload and the cosine similarity, -1 to 1."""

    payload: Payload
    score: float


class PointStore(Protocol):
    """A collection of points with one vector each."""

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        """Write points; the same id again replaces the former."""
        ...

    def search(
        self,
        vector: Vector,
        limit: int,
        *,
        exclude_ids: Collection[str] = (),
        within: Circle | None = None,
    ) -> list[ScoredPayload]:
        """Return the `limit` most similar points that pass the filter, best first, exactly."""
        ...

    def get(self, ids: Sequence[str]) -> list[Payload]:
        """Return the payloads of those ids that exist, in no particular order."""
        ...

    def payloads(self) -> Iterator[Payload]:
        """Yield every payload."""
        ...

    def count(self) -> int:
        """Return how many points there are."""
        ...

    def close(self) -> None:
        """Write what is pending and let go of files and connections."""
        ...


def point_uuid(photo_id: str) -> str:
    """Return the UUID of a photo: the first 128 bits of its SHA-256."""
    return str(uuid.UUID(hex=photo_id[:32]))


class EdgeStore:
    """Points in a local folder, by Qdrant Edge; one process at a time."""

    def __init__(self, folder: Path, space: str, dimensions: int) -> None:
        """Open the shard in `folder`, or make it.

        Raises:
            InputError: the shard is damaged, or may not be written to.
            UnavailableError: another process holds it.
        """
        import qdrant_edge

        self._edge = qdrant_edge
        self._space = space
        params = qdrant_edge.EdgeVectorParams(size=dimensions, distance=qdrant_edge.Distance.Dot)
        config = qdrant_edge.EdgeConfig(vectors={space: params})
        try:
            fresh = not (folder / "edge_config.json").exists()
            folder.mkdir(parents=True, exist_ok=True)
            open_shard = qdrant_edge.EdgeShard.create if fresh else qdrant_edge.EdgeShard.load
            self._shard = open_shard(str(folder), config)
        except Exception as error:  # Edge raises bare Exception for all that can go wrong
            raise _edge_error(folder, error) from None
        if fresh:
            geo = qdrant_edge.PayloadSchemaType.Geo
            self._shard.update(qdrant_edge.UpdateOperation.create_field_index(LOCATION, geo))

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        """See `PointStore.upsert`; on disk when it returns."""
        batch = [
            self._edge.Point(point_uuid(p.id), {self._space: p.vector.tolist()}, dict(p.payload))
            for p in points
        ]
        if batch:
            self._shard.update(self._edge.UpdateOperation.upsert_points(batch))
            self._shard.flush()

    def search(
        self,
        vector: Vector,
        limit: int,
        *,
        exclude_ids: Collection[str] = (),
        within: Circle | None = None,
    ) -> list[ScoredPayload]:
        """See `PointStore.search`."""
        request = self._edge.QueryRequest(
            limit=limit,
            query=self._edge.Query.Nearest(vector.tolist(), using=self._space),
            filter=self._filter(exclude_ids, within),
            params=self._edge.SearchParams(exact=True),
            with_payload=True,
        )
        return [ScoredPayload(hit.payload or {}, hit.score) for hit in self._shard.query(request)]

    def _filter(
        self, exclude_ids: Collection[str], within: Circle | None
    ) -> "qdrant_edge.Filter | None":
        edge = self._edge
        must, must_not = [], []
        if within is not None:
            centre = edge.GeoPoint(lon=within.longitude, lat=within.latitude)
            radius = edge.GeoRadius(center=centre, radius=within.radius_km * 1000)
            must.append(edge.FieldCondition(key=LOCATION, geo_radius=radius))
        if exclude_ids:
            must_not.append(edge.HasIdCondition({point_uuid(one) for one in exclude_ids}))
        return edge.Filter(must=must, must_not=must_not) if must or must_not else None

    def get(self, ids: Sequence[str]) -> list[Payload]:
        """See `PointStore.get`."""
        wanted: list[int | uuid.UUID | str] = [point_uuid(one) for one in ids]
        return [r.payload or {} for r in self._shard.retrieve(wanted, True, False)]

    def payloads(self) -> Iterator[Payload]:
        """See `PointStore.payloads`."""
        offset = None
        while True:
            request = self._edge.ScrollRequest(offset=offset, limit=PAGE, with_payload=True)
            records, offset = self._shard.scroll(request)
            yield from (record.payload or {} for record in records)
            if offset is None:
                return

    def count(self) -> int:
        """See `PointStore.count`."""
        return self._shard.count(self._edge.CountRequest(exact=True))

    def close(self) -> None:
        """See `PointStore.close`."""
        self._shard.close()


def _edge_error(folder: Path, error: Exception) -> InputError | UnavailableError:
    where, said = repr(printable(str(folder.parent))), printable(str(error))
    if "WouldBlock" in str(error):
        return UnavailableError(
            f"gallery {where} is open in another process; wait for it to end", retryable=True
        )
    # Edge opens all its files for writing, also to search.
    for reason in ("Permission denied", "Read-only file system", "Operation not permitted"):
        if reason in str(error):
            return read_only(folder.parent, reason)
    return InputError(f"gallery {where} is damaged ({said}); delete it and build it again")


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
