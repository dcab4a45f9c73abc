"""Every engine finds what numpy finds, whatever the filter."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from index_builder.points import EVERYWHERE, Box, Circle, PointStore, Where
from tests.congruence.store_samples import (
    APPROXIMATE_ENGINES,
    COUNT,
    SPACES,
    WORLD,
    best_rows,
    conditions,
    ids_of,
    opened,
    passing,
    unit,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:.*ocal mode"),
]
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]


@pytest.fixture(scope="module")
def store(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PointStore]:
    with opened(engine, tmp_path_factory.mktemp("store")) as open_store:
        store = open_store()
        for start in range(0, COUNT, 64):
            store.upsert(WORLD.points[start : start + 64])
        store.optimize()
        yield store
        store.close()


def _query(seed: int, space: str) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=SPACES[space]))


@settings(max_examples=60, deadline=None, suppress_health_check=SHARED)
@given(
    seed=st.integers(0, 10_000),
    limit=st.integers(1, 60),
    where=conditions(),
    space=st.sampled_from(sorted(SPACES)),
    dissimilar=st.booleans(),
    exact=st.booleans(),
)
def test_filtered_search_is_that_of_numpy(
    store: PointStore,
    engine: str,
    seed: int,
    limit: int,
    where: Where,
    space: str,
    dissimilar: bool,
    exact: bool,
) -> None:
    allowed = passing(WORLD, where)
    assume(allowed is not None)
    assert allowed is not None
    query = _query(seed, space) * np.float32(-1 if dissimilar else 1)
    hits = store.search(space, query, limit, where=where, exact=exact)
    rows = [WORLD.rows[str(hit.payload["id"])] for hit in hits]
    assert len(rows) == len(set(rows)) == min(limit, int(allowed.sum()))
    assert allowed[rows].all()
    scores = [hit.score for hit in hits]
    np.testing.assert_allclose(scores, WORLD.vectors[space][rows] @ query, atol=1e-5)
    assert scores == sorted(scores, reverse=True)
    if exact or engine not in APPROXIMATE_ENGINES:
        expected = best_rows(WORLD, space, query, limit, allowed)
        np.testing.assert_allclose(scores, WORLD.vectors[space][expected] @ query, atol=1e-5)
        assert rows == expected


@settings(max_examples=60, deadline=None, suppress_health_check=SHARED)
@given(where=conditions())
def test_count_and_scan_are_those_of_numpy(store: PointStore, where: Where) -> None:
    allowed = passing(WORLD, where)
    assume(allowed is not None)
    assert allowed is not None
    assert store.count(where) == allowed.sum()
    assert [point.id for point in store.scan(where=where)] == ids_of(WORLD, allowed)


EDGES = {
    "everywhere": EVERYWHERE,
    "the whole box": Where(box=Box(-90, -180, 90, 180)),
    "half the globe round the pole": Where(circle=Circle(90, 0, 10_000)),
    "a cap over the other pole": Where(circle=Circle(-89.5, 120, 700)),
    "across longitude 180": Where(circle=Circle(-17, 180, 400)),
    "across it the other way": Where(circle=Circle(-17, -179.9, 400)),
    "a box across it": Where(box=Box(-30, 170, 0, -170)),
    "a polygon across it": Where(polygon=((-30, 171), (0, 171), (0, -171), (-30, -171))),
    "a polygon of two parts": Where(polygon=((-40, 175), (40, 175), (-10, -150))),
    "the northern half": Where(box=Box(0, -180, 90, 180)),
    "all longitudes of a zone": Where(box=Box(0, -180, 20, 180)),
    "on longitude 180": Where(box=Box(-20, 180, 20, 180)),
    "on the other side of it": Where(box=Box(-20, -180, 20, -180)),
    "the pole itself": Where(circle=Circle(90, 0, 3)),
    "a polygon up to the pole": Where(polygon=((80, -60), (80, 60), (90, 60), (90, -60))),
    "nobody": Where(authors=["no such person"]),
    "at sea": Where(countries=[""]),
}


@pytest.mark.parametrize("name", EDGES)
def test_the_edges_of_the_map(store: PointStore, name: str) -> None:
    allowed = passing(WORLD, EDGES[name])
    assert allowed is not None
    found = {point.id for point in store.scan(where=EDGES[name])}
    assert found == set(ids_of(WORLD, allowed))
    hits = store.search("image", _query(1, "image"), COUNT, where=EDGES[name])
    assert {hit.payload["id"] for hit in hits} == found


def test_approximate_search_recalls_what_exact_search_finds(store: PointStore) -> None:
    found = wanted = 0
    for seed in range(60):
        # Near a point, as photos of one place are near each other.
        near = unit(WORLD.vectors["image"][seed] + 0.7 * _query(seed, "image"))
        exact = store.search("image", near, 20, exact=True)
        quick = store.search("image", near, 20)
        assert len(quick) == 20
        wanted += 20
        found += len({h.payload["id"] for h in quick} & {h.payload["id"] for h in exact})
    assert found / wanted >= 0.99


def test_hits_bring_their_vectors_on_request(store: PointStore) -> None:
    query = _query(3, "image")
    bare, full = (store.search("image", query, 5, with_vectors=v) for v in (False, True))
    assert all(not hit.vectors for hit in bare)
    for hit in full:
        row = WORLD.rows[str(hit.payload["id"])]
        assert hit.payload == WORLD.points[row].payload
        for space in SPACES:
            np.testing.assert_array_equal(hit.vectors[space], WORLD.vectors[space][row])
