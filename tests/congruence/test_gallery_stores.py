"""Both stores give the hits that numpy gives, whatever the filter."""

import hashlib
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo.errors import InputError, UnavailableError
from geo.sphere import haversine_km
from index_builder.points import (
    LOCATION,
    Circle,
    EdgeStore,
    Payload,
    PointStore,
    StoredPoint,
    Vector,
    check_vector,
    point_uuid,
)
from index_builder.server_points import ServerStore

COUNT, DIMENSIONS = 240, 12
Opener = Callable[[], PointStore]


def _points() -> list[StoredPoint]:
    draw = np.random.default_rng(5)
    vectors = draw.normal(size=(COUNT, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    places = np.column_stack([draw.uniform(-85, 85, COUNT), draw.uniform(-180, 180, COUNT)])
    places[:60] = places[60:61] + draw.normal(scale=0.5, size=(60, 2))
    points = []
    for row, (vector, (latitude, longitude)) in enumerate(zip(vectors, places, strict=True)):
        name = hashlib.sha256(str(row).encode()).hexdigest()
        longitude = (longitude + 180) % 360 - 180
        payload: Payload = {"id": name, LOCATION: {"lat": float(latitude), "lon": float(longitude)}}
        points.append(StoredPoint(name, vector, payload))
    return points


def _place(point: StoredPoint) -> tuple[float, float]:
    place = point.payload[LOCATION]
    assert isinstance(place, dict)
    return float(str(place["lat"])), float(str(place["lon"]))


POINTS = _points()
VECTORS = np.stack([p.vector for p in POINTS])
PLACES = [_place(point) for point in POINTS]


def _edge(folder: Path) -> PointStore:
    return EdgeStore(folder / "points", "vlad", DIMENSIONS)


def _server(_: Path) -> PointStore:
    from qdrant_client import QdrantClient

    return ServerStore(QdrantClient(":memory:"), "photos", "vlad", DIMENSIONS)


@pytest.fixture(scope="module", params=[_edge, _server], ids=["edge", "client"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PointStore]:
    opened: PointStore = request.param(tmp_path_factory.mktemp("store"))
    for start in range(0, COUNT, 50):
        opened.upsert(POINTS[start : start + 50])
    yield opened
    opened.close()


def _expected(query: Vector, limit: int, allowed: npt.NDArray[np.bool_]) -> list[str]:
    rows = np.flatnonzero(allowed)
    order = rows[np.argsort(-(VECTORS[rows] @ query), kind="stable")][:limit]
    return [POINTS[row].id for row in order]


@pytest.mark.filterwarnings("ignore:Local mode performs exact")
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 10_000),
    limit=st.integers(1, 40),
    excluded=st.sets(st.integers(0, COUNT - 1), max_size=60),
    centre=st.none() | st.integers(0, COUNT - 1),
    radius_km=st.sampled_from([5.0, 60.0, 700.0, 5000.0, 15000.0]),
)
def test_filtered_search_is_exact(
    store: PointStore,
    seed: int,
    limit: int,
    excluded: set[int],
    centre: int | None,
    radius_km: float,
) -> None:
    query = np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)
    query /= np.linalg.norm(query)
    allowed = ~np.isin(np.arange(COUNT), sorted(excluded))
    within = None
    if centre is not None:
        latitude, longitude = PLACES[centre]
        within = Circle(latitude, longitude, radius_km)
        latitudes, longitudes = np.array(PLACES).T
        far = np.asarray(haversine_km(latitude, longitude, latitudes, longitudes))
        if (np.abs(far / radius_km - 1) < 1e-3).any():
            return  # the stores' sphere is a little larger than ours
        allowed &= far <= radius_km
    hits = store.search(query, limit, exclude_ids={POINTS[r].id for r in excluded}, within=within)
    assert [hit.payload["id"] for hit in hits] == _expected(query, limit, allowed)
    rows = [[p.id for p in POINTS].index(str(hit.payload["id"])) for hit in hits]
    np.testing.assert_allclose([hit.score for hit in hits], VECTORS[rows] @ query, atol=1e-5)


def test_points_come_back_as_written(store: PointStore) -> None:
    assert store.count() == COUNT
    wanted = [POINTS[3].id, POINTS[100].id, "f" * 64]
    assert {str(p["id"]) for p in store.get(wanted)} == set(wanted[:2])
    assert sorted(str(p["id"]) for p in store.payloads()) == sorted(p.id for p in POINTS)


def test_writing_a_point_again_replaces_it(store: PointStore) -> None:
    store.upsert([POINTS[7]])
    store.upsert([])
    assert store.count() == COUNT


def test_edge_keeps_points_over_closing(tmp_path: Path) -> None:
    store = _edge(tmp_path)
    store.upsert(POINTS[:9])
    store.close()
    again = _edge(tmp_path)
    assert again.count() == 9
    assert again.search(POINTS[4].vector, 1)[0].payload == POINTS[4].payload
    again.close()


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UnavailableError, match="does not answer") as refused:
        ServerStore.at(f"http://127.0.0.1:{port}", "photos", "vlad", DIMENSIONS)
    assert "\n" not in str(refused.value)


def test_a_vector_of_another_space_is_refused() -> None:
    for vector in (np.zeros(3, np.float32), np.full(DIMENSIONS, np.nan, np.float32)):
        with pytest.raises(InputError, match="gallery's encoder"):
            check_vector(vector, DIMENSIONS)


def test_ids_are_uuids_of_the_content() -> None:
    assert uuid.UUID(point_uuid("ab" * 32)).hex == "ab" * 16
