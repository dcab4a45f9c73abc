"""A gallery's vectors and payloads in a local folder, by Qdrant Edge; one process at a time.

Without a graph, a search looks at every point's small copy and compares the best again by their
whole vectors: a filter can then hide nothing. Through a graph, a filtered search may silently
return too few; such searches, and any that come back short, compare with all that pass.
"""

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
from index_builder.files import check_space, read_only
from index_builder.filters import Words, filter_of, storable
from index_builder.points import (
    EVERYWHERE,
    KEYWORDS,
    LOCATION,
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

if TYPE_CHECKING:
    import qdrant_edge

T = TypeVar("T")
FULL_SCAN_KB = INDEXING_KB = 10_000
"""Qdrant's defaults: what is smaller is compared whole, without the graph or small copies."""

SEGMENT_BYTES = 128 * 2**20
"""Of whole vectors in a segment of a store without graph.

Segments are searched at the same time, one in each thread: 100,000 photos of 512 numbers in two
are compared in three quarters of the time that one takes. And optimizing a segment takes about
four times its vectors, mapped: a million photos written as one took 13 GB. Graphs are not divided,
for one of all photos is searched faster than several.
"""


class EdgeStore:
    """Points in a local folder."""

    def __init__(
        self, folder: Path, spaces: Mapping[str, int], index: IndexSettings | None = None
    ) -> None:
        """Open the shard in `folder`, or make it.

        Args:
            folder: of the shard.
            spaces: dimensions of each vector of a point.
            index: how vectors are kept.

        Raises:
            InputError: the shard is damaged, full, or may not be written to.
            UnavailableError: another process holds it.
        """
        import qdrant_edge

        self._edge = qdrant_edge
        self._folder = folder
        self._spaces = dict(spaces)
        self._index = index or IndexSettings()
        self._unoptimized = 0
        try:
            if not folder.exists() or not any(folder.iterdir()):
                self._make()
            self._shard = qdrant_edge.EdgeShard.load(str(folder), self._config())
            self._make_payload_indices()
        except Exception as error:  # Edge raises bare Exception for all that can go wrong
            raise _edge_error(folder, error) from None

    def _config(self) -> "qdrant_edge.EdgeConfig":
        edge, index = self._edge, self._index
        graph = edge.HnswIndexConfig(index.m if index.hnsw else 0, index.ef_construct, FULL_SCAN_KB)
        small: Any = None
        if index.quantization == "int8":
            small = edge.ScalarQuantizationConfig(edge.ScalarType.Int8, memory=edge.Memory.Cached)
        elif index.quantization == "binary":
            small = edge.BinaryQuantizationConfig(memory=edge.Memory.Cached)
        params = {
            space: edge.EdgeVectorParams(
                size=size, distance=edge.Distance.Dot, memory=edge.Memory.Cold
            )
            for space, size in self._spaces.items()
        }
        # Edge reckons a segment by its largest space, `upsert` by all.
        largest = None if index.hnsw else max(1, SEGMENT_BYTES // 1024 // len(self._spaces))
        tuned = edge.EdgeOptimizersConfig(indexing_threshold=INDEXING_KB, max_segment_size=largest)
        # Without a log of its own, what `flush` wrote is what there is: builds flush each batch.
        config: qdrant_edge.EdgeConfig = edge.EdgeConfig(
            vectors=params,
            hnsw_config=graph,
            quantization_config=small,
            optimizers=tuned,
            wal_enabled=False,
        )
        return config

    def _make(self) -> None:
        """Make the shard under another name: Edge cannot open one whose making was killed."""
        half = self._folder.with_name(self._folder.name + ".part")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        self._edge.EdgeShard.create(str(half), self._config()).close()
        if self._folder.exists():
            self._folder.rmdir()
        half.rename(self._folder)

    def _make_payload_indices(self) -> None:
        """Make those that are missing: the process that made the shard may have been killed."""
        edge = self._edge
        # Read from disk as filters ask for them: to open is then a third faster.
        kinds: dict[str, Any] = {LOCATION: edge.GeoIndexParams(memory=edge.Memory.Cold)}
        kinds |= {key: edge.KeywordIndexParams(memory=edge.Memory.Cold) for key in KEYWORDS}
        if missing := set(kinds) - set(self._shard.info().payload_schema):
            for key in sorted(missing):
                make = self._edge.UpdateOperation.create_field_index(key, kinds[key])
                self._shard.update(make)
            self._shard.flush()

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        """See `PointStore.upsert`."""
        batch = [
            self._edge.Point(
                point_uuid(point.id),
                {space: vector.tolist() for space, vector in point.vectors.items()},
                storable(point.payload),
            )
            for point in points
        ]
        if batch:
            self._update(self._edge.UpdateOperation.upsert_points(batch))
        self._unoptimized += 4 * len(batch) * sum(self._spaces.values())
        if self._unoptimized >= SEGMENT_BYTES and not self._index.hnsw:
            self.optimize()

    def _update(self, operation: "qdrant_edge.UpdateOperation") -> None:
        try:
            self._shard.update(operation)
            self._shard.flush()
        except Exception as error:
            raise _edge_error(self._folder, error) from None

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
        edge = self._edge
        check_vector(vector, self._spaces[space])
        plan = Plan.of(self._index, where, check_limit(limit), exact=exact)
        small = edge.QuantizationSearchParams(rescore=True, oversampling=plan.oversampling)
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(vector.tolist(), using=space),
            filter=self._filter(where),
            params=edge.SearchParams(hnsw_ef=plan.ef, exact=plan.exact, quantization=small),
            with_payload=True,
            with_vector=with_vectors,
        )
        hits = self._read(lambda: self._shard.query(request))
        if len(hits) < limit and not plan.exact and len(hits) < self.count(where):
            return self.search(
                space, vector, limit, where=where, exact=True, with_vectors=with_vectors
            )
        return [ScoredPoint(hit.payload or {}, hit.score, _vectors(hit.vector)) for hit in hits]

    def _read(self, ask: Callable[[], T]) -> T:
        """Ask the shard, which may be closed or lost by now."""
        try:
            return ask()
        except Exception as error:
            raise _edge_error(self._folder, error) from None

    def _filter(self, where: Where) -> "qdrant_edge.Filter | None":
        edge = self._edge
        words = Words(
            edge, edge.GeoPolygon, edge.MatchAny, lambda ids: edge.HasIdCondition(set(ids))
        )
        found: qdrant_edge.Filter | None = filter_of(where, words)
        return found

    def get(self, ids: Sequence[str], *, with_vectors: bool = False) -> list[StoredPoint]:
        """See `PointStore.get`."""
        wanted: list[int | uuid.UUID | str] = [point_uuid(one) for one in ids]
        found = {}
        for record in self._read(lambda: self._shard.retrieve(wanted, True, with_vectors)):
            found[str(record.id)] = _point(record)
        return [found[one] for one in dict.fromkeys(map(str, wanted)) if one in found]

    def scan(
        self, *, where: Where = EVERYWHERE, with_vectors: bool = False
    ) -> Iterator[StoredPoint]:
        """See `PointStore.scan`."""
        offset = None
        while True:
            request = self._edge.ScrollRequest(
                offset=offset,
                limit=PAGE,
                filter=self._filter(where),
                with_payload=True,
                with_vector=with_vectors,
            )
            records, offset = self._read(partial(self._shard.scroll, request))
            yield from (_point(record) for record in records)
            if offset is None:
                return

    def count(self, where: Where = EVERYWHERE) -> int:
        """See `PointStore.count`."""
        request = self._edge.CountRequest(filter=self._filter(where), exact=True)
        return self._read(lambda: self._shard.count(request))

    def counts(self, key: str) -> dict[str, int]:
        """See `PointStore.counts`."""
        request = self._edge.FacetRequest(key, limit=1_000_000, exact=True)
        hits = self._read(lambda: self._shard.facet(request))
        return {str(hit.value): hit.count for hit in hits if hit.count}  # 0: all were deleted

    def delete(self, where: Where) -> None:
        """See `PointStore.delete`."""
        condition = self._filter(where)
        if condition is None:
            raise InputError("nothing says which points to delete; give a condition")
        self._update(self._edge.UpdateOperation.delete_points_by_filter(condition))

    def delete_ids(self, ids: Sequence[str]) -> None:
        """See `PointStore.delete_ids`."""
        wanted: list[int | uuid.UUID | str] = [point_uuid(one) for one in ids]
        if wanted:
            self._update(self._edge.UpdateOperation.delete_points(wanted))

    def optimize(self) -> None:
        """See `PointStore.optimize`; takes minutes a million points, hours with a graph."""
        self._unoptimized = 0
        written = sum(p.stat().st_size for p in self._folder.rglob("*") if p.is_file())
        # What is merged is written anew beside the old; without a graph, two segments at most.
        check_space(self._folder, written if self._index.hnsw else min(written, 4 * SEGMENT_BYTES))
        try:
            self._shard.optimize()
            self._shard.flush()
        except Exception as error:
            raise _edge_error(self._folder, error) from None

    def close(self) -> None:
        """See `PointStore.close`."""
        self._shard.close()


def _vectors(found: Any) -> dict[str, Vector]:
    if not found:
        return {}
    return {space: np.asarray(vector, np.float32) for space, vector in found.items()}


def _point(record: "qdrant_edge.Record") -> StoredPoint:
    payload = record.payload or {}
    return StoredPoint(str(payload.get("id", "")), _vectors(record.vector), payload)


def _edge_error(folder: Path, error: Exception) -> InputError | UnavailableError:
    where, said = repr(printable(str(folder.parent))), printable(str(error))
    if "not initialized" in str(error):
        return UnavailableError(f"gallery {where} was closed; open it again")
    if "WouldBlock" in str(error):
        return UnavailableError(
            f"gallery {where} is open in another process; wait for it to end", retryable=True
        )
    if "No space left" in str(error) or "StorageFull" in str(error):
        return InputError(
            f"cannot write gallery {where} (No space left on device); free space and run the same "
            "command again, it goes on where it stopped"
        )
    # Edge opens all its files for writing, also to search.
    for reason in ("Permission denied", "Read-only file system", "Operation not permitted"):
        if reason in str(error):
            return read_only(folder.parent, reason)
    return InputError(f"gallery {where} is damaged ({said}); delete it and build it again")
