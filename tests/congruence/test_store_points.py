"""Every engine keeps, gives back, counts and deletes points alike."""

import shutil
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo.errors import InputError
from index_builder import edge_points
from index_builder.edge_points import EdgeStore
from index_builder.points import (
    EVERYWHERE,
    KEYWORDS,
    LOCATION,
    Circle,
    IndexSettings,
    PointStore,
    StoredPoint,
    Where,
    check_limit,
    check_vector,
    point_uuid,
    polygon_parts,
)
from tests.congruence.store_samples import AUTHORS, SETTINGS, SPACES, WORLD, Reopen, opened, unit

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:.*ocal mode"),
]
FEW = WORLD.points[:120]
IDS = [point.id for point in FEW]


@pytest.fixture
def reopen(engine: str, tmp_path: Path) -> Iterator[Reopen]:
    with opened(engine, tmp_path) as open_store:
        yield open_store


@pytest.fixture
def store(reopen: Reopen) -> Iterator[PointStore]:
    store = reopen()
    store.upsert(FEW)
    yield store
    store.close()


def _ids(store: PointStore, where: Where = EVERYWHERE) -> list[str]:
    return [point.id for point in store.scan(where=where)]


def test_points_come_back_as_written(store: PointStore) -> None:
    wanted = [IDS[7], "f" * 64, IDS[3], IDS[7]]
    found = store.get(wanted, with_vectors=True)
    assert [point.id for point in found] == [IDS[7], IDS[3]]
    for point, row in zip(found, (7, 3), strict=True):
        assert point.payload == FEW[row].payload
        assert set(point.vectors) == set(SPACES)
        for space in SPACES:
            assert point.vectors[space].tobytes() == FEW[row].vectors[space].tobytes()
    assert not store.get([IDS[0]])[0].vectors
    assert store.get([]) == []


def test_scan_goes_through_all_in_the_order_of_ids(store: PointStore) -> None:
    store.upsert(WORLD.points)  # two pages and more
    scanned = list(store.scan(with_vectors=True))
    assert [point.id for point in scanned] == sorted(WORLD.rows)
    row = WORLD.rows[scanned[300].id]
    np.testing.assert_array_equal(scanned[300].vectors["image"], WORLD.vectors["image"][row])
    assert store.count() == len(WORLD.points)


def test_counts_are_those_of_each_value(store: PointStore, engine: str) -> None:
    for key in KEYWORDS:
        values = [str(point.payload[key]) for point in FEW]
        counts = store.counts(key)
        if engine in ("client", "stub") and key == "author":  # the client's own memory adds hyphens
            counts[AUTHORS[-1]] = counts.pop(str(uuid.UUID(AUTHORS[-1])))
        assert counts == {value: values.count(value) for value in set(values)}


def test_writing_a_point_again_replaces_it(store: PointStore) -> None:
    old, new = FEW[5], WORLD.points[200]
    store.upsert([StoredPoint(old.id, new.vectors, {**new.payload, "id": old.id})])
    store.upsert([])
    assert store.count() == len(FEW)
    (found,) = store.get([old.id], with_vectors=True)
    assert found.payload == {**new.payload, "id": old.id}
    np.testing.assert_array_equal(found.vectors["text"], new.vectors["text"])
    assert store.search("image", new.vectors["image"], 1)[0].payload["id"] == old.id
    store.optimize()
    assert store.search("image", new.vectors["image"], 1)[0].payload["id"] == old.id


def test_payload_keys_that_are_written_no_more_are_gone(store: PointStore) -> None:
    first = FEW[0]
    shorter = {"id": first.id, LOCATION: first.payload[LOCATION], "country": "AT"}
    store.upsert([StoredPoint(first.id, first.vectors, shorter)])
    assert store.get([first.id])[0].payload == shorter


def test_deleting_by_condition_and_by_id(store: PointStore) -> None:
    source = str(FEW[0].payload["source"])
    gone = {point.id for point in FEW if point.payload["source"] == source}
    store.delete(Where(sources=[source]))
    left = [one for one in sorted(IDS) if one not in gone]
    assert _ids(store) == left
    assert source not in store.counts("source")
    store.delete_ids([left[0], "e" * 64])
    store.delete_ids([])
    assert _ids(store) == left[1:]
    hits = store.search("image", FEW[0].vectors["image"], 500)
    assert {hit.payload["id"] for hit in hits} == set(left[1:])
    store.optimize()
    assert _ids(store) == left[1:]
    with pytest.raises(InputError, match="give a condition"):
        store.delete(EVERYWHERE)


def test_deleted_points_make_room_in_searches_for_others(store: PointStore) -> None:
    store.upsert(WORLD.points)
    store.optimize()
    query = WORLD.vectors["image"][9]
    best = [str(h.payload["id"]) for h in store.search("image", query, 100, exact=True)]
    store.delete_ids(best[:90])
    hits = store.search("image", query, 30)
    assert len(hits) == 30
    assert [h.payload["id"] for h in hits][:10] == best[90:]


def test_points_stay_when_the_store_is_closed(reopen: Reopen, engine: str) -> None:
    store = reopen()
    store.upsert(FEW[:100])
    if engine != "client":  # whose memory is the client's own
        store.close()
    again = reopen()
    again.upsert(FEW[90:])
    assert _ids(again) == sorted(IDS)
    assert again.counts("licence") != {}
    again.close()


def test_searches_of_many_threads_do_not_disturb_each_other(store: PointStore) -> None:
    queries = [unit(np.random.default_rng(s).normal(size=SPACES["image"])) for s in range(24)]
    alone = [[h.payload["id"] for h in store.search("image", q, 10)] for q in queries]

    def find(query: np.ndarray) -> list[object]:
        assert store.count() >= len(FEW)
        return [hit.payload["id"] for hit in store.search("image", query, 10)]

    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            assert list(threads.map(find, queries)) == alone


def test_a_search_while_others_write_sees_whole_points(store: PointStore) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.upsert(FEW[:20])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for row in range(20, 60):
            hits = store.search("image", FEW[row].vectors["image"], 3)
            assert hits[0].payload == FEW[row].payload
            assert store.count() == len(FEW)
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("vector", [np.zeros(3), np.full(SPACES["image"], np.nan)])
def test_a_vector_of_another_space_is_refused(store: PointStore, vector: np.ndarray) -> None:
    with pytest.raises(InputError, match="gallery's encoder"):
        store.search("image", vector.astype(np.float32), 3)


def test_an_edge_store_whose_making_was_killed_is_made_anew(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path / "points", SPACES)
    store.close()
    half = tmp_path / "points.part"
    shutil.copytree(tmp_path / "points", half)
    shutil.rmtree(tmp_path / "points")
    (half / "edge_config.json").unlink()
    store = EdgeStore(tmp_path / "points", SPACES)
    store.upsert(FEW[:3])
    store.close()
    assert not half.exists()
    (tmp_path / "empty").mkdir()
    EdgeStore(tmp_path / "empty", SPACES).close()


def test_an_edge_store_killed_before_its_indices_gets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EdgeStore, "_make_payload_indices", lambda _: None)
    EdgeStore(tmp_path / "points", SPACES).close()
    monkeypatch.undo()
    store = EdgeStore(tmp_path / "points", SPACES)
    store.upsert(FEW)
    assert sum(store.counts("country").values()) == len(FEW)
    store.close()


def test_an_edge_store_of_other_vectors_is_refused(tmp_path: Path) -> None:
    EdgeStore(tmp_path / "gallery" / "points", SPACES).close()
    with pytest.raises(InputError, match="damaged"):
        EdgeStore(tmp_path / "gallery" / "points", {"image": 7})


@pytest.mark.parametrize("name", SETTINGS)
def test_the_small_test_collections_are_really_indexed(name: str, tmp_path: Path) -> None:
    """Otherwise the other tests would measure plain scans under other names."""
    with opened(name, tmp_path) as open_store:
        store = open_store()
        store.upsert(WORLD.points)
        store.optimize()
        store.close()
    assert edge_points.INDEXING_KB == 10_000
    files = [path for path in (tmp_path / "points").rglob("*") if path.is_file()]
    quantized = any(path.name == "quantized.data" for path in files)
    linked = any(path.name == "graph.bin" and path.stat().st_size > 1000 for path in files)
    wanted: IndexSettings = SETTINGS[name]
    assert (quantized, linked) == (wanted.quantization != "none", wanted.hnsw)


@given(st.binary(min_size=32, max_size=32).map(bytes.hex))
def test_ids_are_uuids_of_the_content(name: str) -> None:
    assert uuid.UUID(point_uuid(name)).hex == name[:32]


@pytest.mark.parametrize("name", ["", "z" * 64, "AB" * 32, "ab" * 31, "ab\n" * 22])
def test_what_is_no_id_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        point_uuid(name)


def test_limits_are_stated() -> None:
    assert check_limit(100_000) == 100_000
    for limit in (0, -1, 100_001):
        with pytest.raises(InputError, match="limit 1 to 100,000"):
            check_limit(limit)
    with pytest.raises(InputError, match=r"limit \(3,\)"):
        check_vector(np.zeros(2, np.float32), 3)
    with pytest.raises(InputError, match="radius"):
        Where(circle=Circle(0, 0, 0))


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(-720, 720), st.floats(1, 170), st.floats(1, 80))
def test_polygons_keep_their_area_when_they_are_cut(east: int, width: float, height: float) -> None:
    import shapely

    west = (east + 180) % 360 - 180
    right = (west + width + 180) % 360 - 180
    parts = polygon_parts(((-5, west), (-5, right), (height, right), (height, west)))
    assert len(parts) == (2 if west + width > 180 else 1)
    area = sum(shapely.Polygon([(lon, lat) for lat, lon in part]).area for part in parts)
    assert area == pytest.approx(width * (height + 5), rel=1e-9)
    assert all(-180 <= lon <= 180 for part in parts for _, lon in part)


@pytest.mark.parametrize(
    "ring",
    [
        ((0, 0), (10, 10), (0, 10), (10, 0)),
        ((0, 0), (5, 0), (9, 0)),
        ((80, -180), (80, -60), (80, 60), (80, 170)),
    ],
    ids=["bow", "line", "round the pole"],
)
def test_polygons_that_are_none_are_refused(ring: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(InputError, match="polygon of"):
        polygon_parts(ring)
