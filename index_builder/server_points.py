"""A gallery's vectors and payloads in a Qdrant server or cluster, by the calls of `EdgeStore`.

The collection states its own manifest (metadata of collections, Qdrant 1.16 and later): who
opens it by its address alone knows its encoder. A server that goes away is waited for.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geo.errors import InputError
from index_builder.filters import Words, filter_of, storable
from index_builder.manifest import BUILD, Manifest, StoreSettings
from index_builder.points import (
    EVERYWHERE,
    PAGE,
    IndexSettings,
    Plan,
    ScoredPoint,
    StoredPoint,
    Vector,
    Where,
    check_limit,
    check_vector,
    point_uuid,
)
from index_builder.server_calls import Patience, ServerCalls
from index_builder.server_collections import (
    METADATA,
    Layout,
    check_claim,
    check_collection,
    connect,
    make_collection,
    shown_collection,
    split_address,
    stated_manifest,
)

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client.http.models import CollectionInfo, Filter

NUMBERS = 400_000
"""Numbers of vectors in one request: 8 MB as JSON, a quarter of what servers accept."""
INDEXING_S = 600.0
"""How long `optimize` waits; a server goes on by itself."""
logger = logging.getLogger(__name__)


class ServerStore:
    """Points in a collection of a Qdrant server or cluster, or of the client's in-memory mode."""

    def __init__(
        self,
        client: "QdrantClient",
        collection: str,
        spaces: Mapping[str, int],
        index: IndexSettings | None = None,
        *,
        shards: int = 1,
        replicas: int = 1,
        url: str = "",
        patience: Patience | None = None,
    ) -> None:
        """Use `collection`, making it where it is missing.

        Args:
            client: of the server.
            collection: its name.
            spaces: dimensions of each vector of a point.
            index: how vectors are kept.
            shards: parts that a cluster spreads over its nodes; at creation.
            replicas: copies of each part; at creation.
            url: of the server, for messages.
            patience: how long calls wait for a server that is away.

        Raises:
            InputError: the collection has other vectors, or the server refuses.
            UnavailableError: the server does not answer.
        """
        from qdrant_client import models

        self._client, self._collection, self._models = client, collection, models
        self._spaces, self._index = dict(spaces), index or IndexSettings()
        self.shown = shown_collection(url, collection)
        self._calls = ServerCalls(self.shown, patience or Patience())
        self._numbers = sum(self._spaces.values())
        make_collection(
            self._calls,
            client,
            collection,
            Layout(self._spaces, self._index, shards, replicas),
        )

    @classmethod
    def of(
        cls, manifest: Manifest, *, api_key: str | None = None, patience: Patience | None = None
    ) -> "ServerStore":
        """Use the collection that a manifest names, making it where it is missing.

        Raises:
            InputError: it is another gallery's or has other vectors, or the server refuses.
            UnavailableError: the server does not answer.
        """
        stored, waits = manifest.store, patience or Patience()
        check_collection(stored.collection)
        client = connect(stored.url, api_key, waits.answer_s)
        try:
            store = cls(
                client,
                stored.collection,
                manifest.encoder.spaces,
                manifest.index,
                shards=stored.shards,
                replicas=stored.replicas,
                url=stored.url,
                patience=waits,
            )
            store._claim(manifest)
        except BaseException:
            client.close()
            raise
        return store

    def _claim(self, manifest: Manifest) -> None:
        """Refuse another gallery's collection; make one that is nobody's this gallery's."""
        there = stated_manifest(self.shown, self.metadata())
        if there is not None:
            check_claim(self.shown, there, manifest)
        elif self.count():
            raise InputError(f"{self.shown} holds points of something else; use another name")
        else:
            write_collection_manifest(self, manifest)

    def _details(self) -> "CollectionInfo":
        return self._calls.read(self._client.get_collection, self._collection)

    def metadata(self) -> dict[str, Any]:
        """Return what the collection states of itself."""
        return dict(self._details().config.metadata or {})

    def state(self, metadata: Mapping[str, Any]) -> None:
        """Make the collection state `metadata`, beside what it states already."""
        self._calls.write(self._client.update_collection, self._collection, metadata=dict(metadata))

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        """See `PointStore.upsert`."""
        batch = [
            self._models.PointStruct(
                id=point_uuid(point.id),
                vector={space: vector.tolist() for space, vector in point.vectors.items()},
                payload=storable(point.payload),
            )
            for point in points
        ]
        for part in _slices(batch, max(1, NUMBERS // self._numbers)):
            self._calls.write(self._client.upsert, self._collection, points=part, wait=True)

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
        """See `PointStore.search`."""
        models = self._models
        check_vector(vector, self._spaces[space])
        plan = Plan.of(self._index, where, check_limit(limit), exact=exact)
        small = models.QuantizationSearchParams(rescore=True, oversampling=plan.oversampling)
        hits = self._calls.read(
            self._client.query_points,
            self._collection,
            query=vector.tolist(),
            using=space,
            limit=limit,
            query_filter=self._filter(where),
            search_params=models.SearchParams(
                hnsw_ef=plan.ef, exact=plan.exact, quantization=small
            ),
            with_payload=True,
            with_vectors=with_vectors,
        ).points
        if len(hits) < limit and not plan.exact and len(hits) < self.count(where):
            return self.search(
                space, vector, limit, where=where, exact=True, with_vectors=with_vectors
            )
        return [ScoredPoint(hit.payload or {}, hit.score, _vectors(hit.vector)) for hit in hits]

    def _filter(self, where: Where) -> "Filter | None":
        models = self._models
        words = Words(
            models,
            lambda corners: models.GeoPolygon(exterior=models.GeoLineString(points=corners)),
            lambda values: models.MatchAny(any=values),
            lambda ids: models.HasIdCondition(has_id=list(ids)),
        )
        found: Filter | None = filter_of(where, words)
        return found

    def get(self, ids: Sequence[str], *, with_vectors: bool = False) -> list[StoredPoint]:
        """See `PointStore.get`."""
        wanted = list(dict.fromkeys(point_uuid(one) for one in ids))
        found = {}
        for part in _slices(wanted, PAGE):
            for record in self._calls.read(
                self._client.retrieve, self._collection, part, True, with_vectors
            ):
                found[str(record.id)] = _point(record)
        return [found[one] for one in wanted if one in found]

    def scan(
        self, *, where: Where = EVERYWHERE, with_vectors: bool = False
    ) -> Iterator[StoredPoint]:
        """See `PointStore.scan`."""
        offset = None
        while True:
            records, offset = self._calls.read(
                self._client.scroll,
                self._collection,
                self._filter(where),
                limit=PAGE,
                offset=offset,
                with_payload=True,
                with_vectors=with_vectors,
            )
            yield from (_point(record) for record in records)
            if offset is None:
                return

    def count(self, where: Where = EVERYWHERE) -> int:
        """See `PointStore.count`."""
        found = self._calls.read(
            self._client.count, self._collection, count_filter=self._filter(where), exact=True
        )
        return int(found.count)

    def counts(self, key: str) -> dict[str, int]:
        """See `PointStore.counts`."""
        found = self._calls.read(
            self._client.facet, self._collection, key, limit=1_000_000, exact=True
        )
        return {str(hit.value): hit.count for hit in found.hits if hit.count}

    def delete(self, where: Where) -> None:
        """See `PointStore.delete`."""
        condition = self._filter(where)
        if condition is None:
            raise InputError("nothing says which points to delete; give a condition")
        self._calls.write(self._client.delete, self._collection, condition, wait=True)

    def delete_ids(self, ids: Sequence[str]) -> None:
        """See `PointStore.delete_ids`."""
        for part in _slices([point_uuid(one) for one in ids], PAGE):
            self._calls.write(self._client.delete, self._collection, part, wait=True)

    def optimize(self) -> None:
        """See `PointStore.optimize`; a server does it by itself, this waits up to 10 minutes."""
        until = time.monotonic() + INDEXING_S
        while self._details().status == self._models.CollectionStatus.YELLOW:
            if time.monotonic() > until:
                logger.info("%s goes on indexing; searches are right meanwhile", self.shown)
                return
            time.sleep(1)

    def close(self) -> None:
        """See `PointStore.close`."""
        self._client.close()


def open_collection(
    url: str, *, api_key: str | None = None, patience: Patience | None = None
) -> tuple[Manifest, ServerStore]:
    """Open the gallery in a collection of a Qdrant server.

    Args:
        url: `http://HOST:6333/COLLECTION`.
        api_key: of the server, where it needs one.
        patience: how long calls wait for a server that is away.

    Returns:
        The manifest that the collection states, and the collection.

    Raises:
        InputError: no such collection, no gallery, an empty one, or one of another format.
        UnavailableError: the server does not answer.
    """
    server, collection = split_address(url)
    waits, shown = patience or Patience(), shown_collection(server, collection)
    client = connect(server, api_key, waits.answer_s)
    try:
        found = ServerCalls(shown, waits).read(client.get_collection, collection)
        manifest = stated_manifest(shown, found.config.metadata or {})
        if manifest is None:
            raise InputError(f"{shown} is not a gallery; make one with: {BUILD}")
        spaces = manifest.encoder.spaces
        store = ServerStore(client, collection, spaces, manifest.index, url=server, patience=waits)
        if not store.count():
            raise InputError(f"{shown} is empty; add photos with: {BUILD}")
    except BaseException:
        client.close()
        raise
    place = manifest.store.model_copy(update={"url": server, "collection": collection})
    return manifest.model_copy(update={"store": place}), store


def drop_collection(
    place: StoreSettings, *, api_key: str | None = None, patience: Patience | None = None
) -> None:
    """Delete a gallery's collection, where there is one.

    Raises:
        InputError: the server refuses.
        UnavailableError: it does not answer.
    """
    waits, shown = patience or Patience(), shown_collection(place.url, place.collection)
    client = connect(place.url, api_key, waits.answer_s)
    try:
        calls = ServerCalls(shown, waits)
        if calls.read(client.collection_exists, place.collection):
            calls.write(client.delete_collection, place.collection)
    finally:
        client.close()


def write_collection_manifest(store: ServerStore, manifest: Manifest) -> None:
    """Write a manifest into its collection.

    Raises:
        InputError: the server is older than Qdrant 1.16 and forgets it.
        UnavailableError: the server does not answer.
    """
    stated = manifest.model_dump(mode="json")
    store.state({METADATA: stated})
    if store.metadata().get(METADATA) != stated:
        raise InputError(
            f"{store.shown} does not keep metadata of collections, which Qdrant 1.16 and later "
            "do; upgrade the server"
        )


def _slices(items: list[Any], size: int) -> Iterator[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _vectors(found: Any) -> dict[str, Vector]:
    if not found:
        return {}
    return {space: np.asarray(vector, np.float32) for space, vector in found.items()}


def _point(record: Any) -> StoredPoint:
    payload = record.payload or {}
    return StoredPoint(str(payload.get("id", "")), _vectors(record.vector), payload)
