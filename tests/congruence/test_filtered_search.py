"""The trap of filtered search through a graph, shown in the bare engine and closed in ours."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from geo.sphere import haversine_km
from index_builder.edge_points import EdgeStore
from index_builder.points import (
    EVERYWHERE,
    LOCATION,
    Circle,
    IndexSettings,
    PointStore,
    StoredPoint,
    Vector,
    Where,
    point_uuid,
)
from tests.congruence.store_samples import photo_id, unit

COUNT, SIZE, LIMIT, QUERIES = 30_000, 128, 10, 20
SHARES = (2, 3, 10, 30, 100, 300, 1000)
"""A filter lets one of so many points through."""
MODES = {
    "none": IndexSettings(quantization="none"),
    "int8": IndexSettings(),
    "binary": IndexSettings(quantization="binary"),
    "hnsw": IndexSettings(quantization="none", hnsw=True),
    "hnsw-int8": IndexSettings(hnsw=True),
    "hnsw-binary": IndexSettings(quantization="binary", hnsw=True),
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Mask = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Photos:
    """Clustered vectors `[N, D]`, as photos of places are, and where they were taken."""

    vectors: Vector
    latitudes: npt.NDArray[np.float64]
    longitudes: npt.NDArray[np.float64]

    def points(self) -> Iterator[StoredPoint]:
        for row in range(COUNT):
            name = photo_id(row)
            place = {"lat": float(self.latitudes[row]), "lon": float(self.longitudes[row])}
            yield StoredPoint(
                name,
                {"image": self.vectors[row]},
                {
                    "id": name,
                    LOCATION: {**place},
                    "source": f"{row % 1000}",
                    "author": f"{row % 300}",
                    "country": f"{row % 6}",
                },
            )

    def query(self, seed: int) -> Vector:
        draw = np.random.default_rng(seed)
        row = self.vectors[draw.integers(COUNT)]
        return unit(row + draw.normal(size=SIZE) * 0.6 / math.sqrt(SIZE))

    def best(self, query: Vector, mask: Mask) -> set[str]:
        rows = np.flatnonzero(mask)
        order = np.argsort(-(self.vectors[rows] @ query))[:LIMIT]
        return {photo_id(int(row)) for row in rows[order]}


@pytest.fixture(scope="module")
def photos() -> Photos:
    draw = np.random.default_rng(0)
    middles = unit(draw.normal(size=(COUNT // 50, SIZE)))
    noise = draw.normal(size=(COUNT, SIZE)) * 0.6 / math.sqrt(SIZE)
    return Photos(
        unit(middles[draw.integers(0, len(middles), COUNT)] + noise),
        np.degrees(np.arcsin(draw.uniform(-1, 1, COUNT))),
        draw.uniform(-180, 180, COUNT),
    )


def _filters(photos: Photos) -> Iterator[tuple[str, Where, Mask]]:
    """Yield filters by keyword, by exclusion and by distance, of every share."""
    rows = np.arange(COUNT)
    for share in SHARES:
        wanted = [str(value) for value in range(1000) if value % share == 1]
        if 1000 % share == 0:
            yield f"source 1/{share}", Where(sources=wanted), rows % 1000 % share == 1
        wanted = [str(value) for value in range(300) if value % share == 1]
        if 300 % share == 0:
            yield f"author 1/{share}", Where(authors=wanted), rows % 300 % share == 1
        radius = 6371.0088 * math.acos(1 - 2 / share)
        far = np.asarray(haversine_km(20.0, 30.0, photos.latitudes, photos.longitudes))
        yield f"circle 1/{share}", Where(circle=Circle(20, 30, radius)), far <= radius
    yield "without half", Where(exclude_countries=["0", "2", "4"]), rows % 2 == 1
    both = Where(countries=["1"], circle=Circle(20, 30, 9000))
    far = np.asarray(haversine_km(20.0, 30.0, photos.latitudes, photos.longitudes))
    yield "country and circle", both, (rows % 6 == 1) & (far <= 9000)


@pytest.mark.parametrize("mode", MODES)
def test_filtered_searches_find_as_many_as_there_are(
    mode: str, photos: Photos, tmp_path: Path
) -> None:
    store = EdgeStore(tmp_path / "points", {"image": SIZE}, MODES[mode])
    points = list(photos.points())
    for start in range(0, COUNT, 500):
        store.upsert(points[start : start + 500])
    store.optimize()
    try:
        recalls = {
            name: _recall(store, photos, where, mask) for name, where, mask in _filters(photos)
        }
        recalls["all"] = _recall(store, photos, EVERYWHERE, np.ones(COUNT, dtype=bool))
        assert min(recalls.values()) >= 0.99, recalls
    finally:
        store.close()


def _recall(store: PointStore, photos: Photos, where: Where, mask: Mask) -> float:
    found = wanted = 0
    for seed in range(QUERIES):
        query = photos.query(seed)
        hits = store.search("image", query, LIMIT, where=where)
        assert len(hits) == min(LIMIT, int(mask.sum()))
        best = photos.best(query, mask)
        wanted += len(best)
        found += len(best & {str(hit.payload["id"]) for hit in hits})
    return found / wanted


def _bare_hits(photos: Photos, folder: Path, *, index_first: bool) -> dict[int, tuple[int, int]]:
    """Return by share how many pass a keyword, and the fewest of 10 hits that a search finds."""
    import qdrant_edge as edge

    folder.mkdir()
    config = edge.EdgeConfig(
        vectors={"image": edge.EdgeVectorParams(size=SIZE, distance=edge.Distance.Dot)},
        hnsw_config=edge.HnswIndexConfig(16, 100, 1),
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=10),
    )
    shard = edge.EdgeShard.create(str(folder), config)
    change = edge.UpdateOperation
    index = change.create_field_index("author", edge.PayloadSchemaType.Keyword)
    if index_first:
        shard.update(index)
    batch: list[Any] = [
        edge.Point(point_uuid(p.id), {"image": p.vectors["image"].tolist()}, dict(p.payload))
        for p in itertools.islice(photos.points(), 12_000)
    ]
    for start in range(0, len(batch), 1000):
        shard.update(change.upsert_points(batch[start : start + 1000]))
    shard.optimize()
    if not index_first:
        shard.update(index)
    found = {}
    for share in (30, 100):
        wanted = [str(value) for value in range(300) if value % share == 1]
        match = edge.FieldCondition(key="author", match=edge.MatchAny(wanted))
        passing = edge.Filter(must=[match])
        requests = [
            edge.QueryRequest(
                limit=LIMIT,
                query=edge.Query.Nearest(photos.query(seed).tolist(), using="image"),
                filter=passing,
                params=edge.SearchParams(hnsw_ef=64),
            )
            for seed in range(QUERIES)
        ]
        count = shard.count(edge.CountRequest(filter=passing, exact=True))
        found[share] = count, min(len(shard.query(request)) for request in requests)
    shard.close()
    return found


def test_the_trap_is_a_graph_built_before_the_payload_index(photos: Photos, tmp_path: Path) -> None:
    """Then its edges know nothing of the filter, and a search ends where they do.

    Our stores make their indices before the first point, and follow no graph behind a filter.
    """
    late = _bare_hits(photos, tmp_path / "late", index_first=False)
    assert all(count > 100 for count, _ in late.values())
    assert all(fewest < LIMIT for _, fewest in late.values()), "the engine was mended: say so"
    early = _bare_hits(photos, tmp_path / "early", index_first=True)
    assert all(fewest == LIMIT for _, fewest in early.values())
