"""A large store is written in segments: memory stays bounded, and every point is still found."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from index_builder import edge_points
from index_builder.edge_points import EdgeStore
from index_builder.points import IndexSettings, StoredPoint

WIDTH, COUNT = 64, 6_000


def points(vectors: np.ndarray) -> list[StoredPoint]:
    place: JsonValue = {"lat": 1.0, "lon": 2.0}
    ids = [f"{number:064x}" for number in range(len(vectors))]
    ids = [one[::-1] for one in ids]  # a point's UUID is the first half of its id
    return [
        StoredPoint(one, {"a": row}, {"id": one, "location": place, "source": "s"})
        for one, row in zip(ids, vectors, strict=True)
    ]


@pytest.mark.parametrize("hnsw", [False, True])
def test_segments_are_closed_while_writing_and_searched_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hnsw: bool
) -> None:
    monkeypatch.setattr(edge_points, "SEGMENT_BYTES", 4 * WIDTH * 2_000)
    monkeypatch.setattr(edge_points, "INDEXING_KB", 1)
    random = np.random.default_rng(5)
    vectors = random.standard_normal((COUNT, WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    all_points = points(vectors)
    store = EdgeStore(tmp_path / "points", {"a": WIDTH}, IndexSettings(hnsw=hnsw))
    for start in range(0, COUNT, 500):
        store.upsert(all_points[start : start + 500])
    store.optimize()
    segments = len([path for path in (tmp_path / "points/segments").iterdir() if path.is_dir()])
    assert segments <= 2 if hnsw else segments >= 3, "one that is written to is always there"
    assert store.count() == COUNT
    for query in vectors[:20]:
        best = np.argsort(-(vectors @ query), kind="stable")[:10]
        found = [str(hit.payload["id"]) for hit in store.search("a", query, 10, exact=True)]
        assert found == [all_points[number].id for number in best]
    store.close()
    again = EdgeStore(tmp_path / "points", {"a": WIDTH}, IndexSettings(hnsw=hnsw))
    assert again.count() == COUNT
    again.close()
