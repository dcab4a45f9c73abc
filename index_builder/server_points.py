"""A gallery's vectors and payloads in a Qdrant server, by the same calls as `EdgeStore`."""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from geo.errors import UnavailableError
from index_builder.points import (
    LOCATION,
    PAGE,
    Circle,
    Payload,
    ScoredPayload,
    StoredPoint,
    Vector,
    point_uuid,
)

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client.http.models import Condition as ClientCondition
    from qdrant_client.http.models import Filter


class ServerStore:
    """Points in a collection of a Qdrant server, or of the client's in-memory mode."""

    def __init__(
        self, client: "QdrantClient", collection: str, space: str, dimensions: int
    ) -> None:
        """Use `collection`, making it where it is missing.

        Raises:
            UnavailableError: the server does not answer.
        """
        from qdrant_client import models
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        self._client, self._collection, self._space = client, collection, space
        self._models = models
        params = models.VectorParams(size=dimensions, distance=models.Distance.DOT)
        try:
            if not client.collection_exists(collection):
                client.create_collection(collection, vectors_config={space: params})
        except (ResponseHandlingException, UnexpectedResponse) as error:
            raise UnavailableError(
                f"Qdrant server does not answer ({_one_line(error)}); start it, or use a gallery "
                "folder",
                retryable=True,
            ) from None

    @classmethod
    def at(cls, url: str, collection: str, space: str, dimensions: int) -> "ServerStore":
        """Use `collection` of the Qdrant server at `url`.

        Raises:
            UnavailableError: the server does not answer.
        """
        from qdrant_client import QdrantClient

        client = QdrantClient(url=url, timeout=10, check_compatibility=False)
        return cls(client, collection, space, dimensions)

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        """See `PointStore.upsert`."""
        batch = [
            self._models.PointStruct(
                id=point_uuid(p.id), vector={self._space: p.vector.tolist()}, payload=p.payload
            )
            for p in points
        ]
        if batch:
            self._client.upsert(self._collection, points=batch, wait=True)

    def search(
        self,
        vector: Vector,
        limit: int,
        *,
        exclude_ids: Collection[str] = (),
        within: Circle | None = None,
    ) -> list[ScoredPayload]:
        """See `PointStore.search`."""
        found = self._client.query_points(
            self._collection,
            query=vector.tolist(),
            using=self._space,
            query_filter=self._filter(exclude_ids, within),
            search_params=self._models.SearchParams(exact=True),
            limit=limit,
            with_payload=True,
        )
        return [ScoredPayload(hit.payload or {}, hit.score) for hit in found.points]

    def _filter(self, exclude_ids: Collection[str], within: Circle | None) -> "Filter":
        models = self._models
        must: list[ClientCondition] = []
        if within is not None:
            centre = models.GeoPoint(lon=within.longitude, lat=within.latitude)
            radius = models.GeoRadius(center=centre, radius=within.radius_km * 1000)
            must.append(models.FieldCondition(key=LOCATION, geo_radius=radius))
        excluded: list[ClientCondition] = [
            models.HasIdCondition(has_id=[point_uuid(one) for one in exclude_ids])
        ]
        found: Filter = models.Filter(must=must, must_not=excluded if exclude_ids else [])
        return found

    def get(self, ids: Sequence[str]) -> list[Payload]:
        """See `PointStore.get`."""
        wanted = [point_uuid(one) for one in ids]
        return [r.payload or {} for r in self._client.retrieve(self._collection, wanted)]

    def payloads(self) -> Iterator[Payload]:
        """See `PointStore.payloads`."""
        offset = None
        while True:
            records, offset = self._client.scroll(self._collection, limit=PAGE, offset=offset)
            yield from (record.payload or {} for record in records)
            if offset is None:
                return

    def count(self) -> int:
        """See `PointStore.count`."""
        return self._client.count(self._collection, exact=True).count

    def close(self) -> None:
        """See `PointStore.close`."""
        self._client.close()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
