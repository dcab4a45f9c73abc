"""Search over several spaces at once is search over their vectors side by side."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index_builder import search
from index_builder.edge_points import EdgeStore
from index_builder.points import (
    EVERYWHERE,
    LOCATION,
    IndexSettings,
    Payload,
    PointStore,
    ScoredPoint,
    StoredPoint,
    Vector,
    Where,
)
from index_builder.search import Hits, NearDuplicates, search_fused, search_one
from tests.congruence.store_samples import Reopen, opened, photo_id, unit

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:.*ocal mode"),
]
SIZES = {"one": 6, "three": 8, "two": 6}
COUNT = 420
Spaces = dict[str, Vector]


def _random(draw: np.random.Generator) -> Spaces:
    return {space: unit(draw.normal(size=(COUNT, size))) for space, size in SIZES.items()}


def _ties(draw: np.random.Generator) -> Spaces:
    """Few different vectors: most sums are equal to many others."""
    few = {space: unit(draw.integers(-1, 2, (5, size)) + 0.25) for space, size in SIZES.items()}
    return {space: few[space][draw.integers(0, 5, COUNT)] for space in SIZES}


def _constant(draw: np.random.Generator) -> Spaces:
    """One space tells nothing: all photos are alike in it."""
    return {**_random(draw), "two": np.repeat(unit(draw.normal(size=(1, 6))), COUNT, axis=0)}


def _opposed(draw: np.random.Generator) -> Spaces:
    """What is first in one space is last in another."""
    spaces = _random(draw)
    return {**spaces, "two": -spaces["one"]}


def _hidden(draw: np.random.Generator) -> Spaces:
    """The best sums are of photos that are first in no space."""
    spaces = _random(draw)
    for number, space in enumerate(SIZES):
        spaces[space][number * 100 : number * 100 + 100] = unit(
            np.eye(SIZES[space])[0] + draw.normal(scale=0.05, size=(100, SIZES[space]))
        )
    for space in SIZES:
        spaces[space][300:320] = unit(
            np.eye(SIZES[space])[0] + draw.normal(scale=0.3, size=(20, SIZES[space]))
        )
    return spaces


WORLDS = {f.__name__[1:]: f for f in (_random, _ties, _constant, _opposed, _hidden)}


def _points(spaces: Spaces) -> list[StoredPoint]:
    points = []
    for row in range(len(next(iter(spaces.values())))):
        payload: Payload = {
            "id": photo_id(row),
            LOCATION: {"lat": float(row % 90), "lon": 1.0},
            "country": ("AT", "CH", "DE")[row % 3],
            "author": str(row % 70),
        }
        points.append(StoredPoint(photo_id(row), {s: v[row] for s, v in spaces.items()}, payload))
    return points


@pytest.fixture(scope="module", params=["edge", "edge-hnsw-int8", "stub"])
def reopen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reopen]:
    with opened(request.param, tmp_path_factory.mktemp("store"), SIZES) as open_store:
        yield open_store


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest, reopen: Reopen) -> Iterator[tuple[Spaces, PointStore]]:
    spaces = WORLDS[request.param](np.random.default_rng(3))
    store = reopen()
    store.upsert(_points(spaces))
    store.optimize()
    yield spaces, store
    store.close()


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 10_000),
    limit=st.integers(1, 70),
    near=st.none() | st.integers(0, COUNT - 1),
    country=st.sampled_from(["", "AT", "nowhere"]),
    without=st.sets(st.integers(0, 69), max_size=69),
    dissimilar=st.booleans(),
)
def test_fused_search_is_that_of_vectors_side_by_side(
    world: tuple[Spaces, PointStore],
    seed: int,
    limit: int,
    near: int | None,
    country: str,
    without: set[int],
    dissimilar: bool,
) -> None:
    spaces, store = world
    draw = np.random.default_rng(seed)
    sign = np.float32(-1 if dissimilar else 1)
    query = {
        space: sign * (unit(draw.normal(size=size)) if near is None else spaces[space][near])
        for space, size in SIZES.items()
    }
    rows = np.arange(COUNT)
    allowed = ~np.isin(rows % 70, sorted(without))
    if country:
        allowed &= (rows % 3 == 0) & (country == "AT")
    where = Where(countries=[country] if country else [], exclude_authors=[str(a) for a in without])
    hits = search_fused(store, query, limit, where)
    _check(hits, spaces, query, limit, allowed)


def _check(hits: Hits, spaces: Spaces, query: Spaces, limit: int, allowed: np.ndarray) -> None:
    side_by_side = np.concatenate([spaces[space] for space in query], axis=1)
    scores = side_by_side.astype(np.float64) @ np.concatenate(list(query.values()))
    numbers = {photo_id(row): row for row in range(len(scores))}
    rows = [numbers[str(payload["id"])] for payload, _ in hits]
    assert len(set(rows)) == len(rows) == min(limit, int(allowed.sum()))
    assert allowed[rows].all()
    found = np.array([score for _, score in hits])
    np.testing.assert_allclose(found, scores[rows], atol=1e-5)
    np.testing.assert_allclose(found, np.sort(scores[allowed])[::-1][:limit], atol=1e-5)
    assert (np.diff(found) <= 0).all()


def test_a_fused_search_without_accurate_spaces_finds_nearly_all(
    world: tuple[Spaces, PointStore],
) -> None:
    spaces, store = world
    query = {space: spaces[space][7] for space in SIZES}
    exact = [score for _, score in search_fused(store, query, 30, EVERYWHERE)]
    quick = [score for _, score in search_fused(store, query, 30, EVERYWHERE, exact=False)]
    assert len(quick) == 30
    assert np.mean(np.array(quick) >= np.array(exact) - 0.02) > 0.9


def test_three_spaces_of_768_are_one_of_2304(tmp_path: Path) -> None:
    """The rule of G3: the sum of three cosines is the inner product of 2,304 numbers."""
    draw = np.random.default_rng(8)
    spaces = {name: unit(draw.normal(size=(600, 768))) for name in ("image", "text", "location")}
    store = EdgeStore(tmp_path / "points", dict.fromkeys(spaces, 768), IndexSettings())
    store.upsert(_points(spaces))
    for row in (0, 17, 599):
        query = {s: unit(v[row] + draw.normal(size=768) / 28) for s, v in spaces.items()}
        hits = search_fused(store, query, 25, EVERYWHERE)
        _check(hits, spaces, query, 25, np.ones(600, dtype=bool))
        assert hits[0][0]["id"] == photo_id(row)
        far = {space: -vector for space, vector in query.items()}
        _check(search_fused(store, far, 25, EVERYWHERE), spaces, far, 25, np.ones(600, dtype=bool))
    store.close()


class _Counting:
    """A store that counts what is asked of it."""

    def __init__(self, store: PointStore) -> None:
        self.store, self.fetched, self.depths = store, 0, list[int]()

    def search(self, space: str, vector: Vector, limit: int, **named: object) -> list[ScoredPoint]:
        self.depths.append(limit)
        return self.store.search(space, vector, limit, **named)  # type: ignore[arg-type]  # passed on

    def get(self, ids: list[str], **named: bool) -> list[StoredPoint]:
        self.fetched += len(ids)
        return self.store.get(ids, **named)

    def scan(self, **named: object) -> Iterator[StoredPoint]:
        return self.store.scan(**named)  # type: ignore[arg-type]  # passed on


def test_a_fused_search_fetches_few_vectors_and_ends_early(tmp_path: Path) -> None:
    draw = np.random.default_rng(8)
    count = 4000
    middles = {space: unit(draw.normal(size=(80, 64))) for space in SIZES}
    place = draw.integers(0, 80, count)
    spaces = {
        space: unit(middles[space][place] + draw.normal(scale=0.05, size=(count, 64)))
        for space in SIZES
    }
    store = EdgeStore(tmp_path / "points", dict.fromkeys(SIZES, 64), IndexSettings())
    store.upsert(_points(spaces))
    counting = _Counting(store)
    query = {space: vectors[5] for space, vectors in spaces.items()}
    hits = search_fused(counting, query, 10, EVERYWHERE)  # type: ignore[arg-type]  # what is used of it
    _check(hits, spaces, query, 10, np.ones(count, dtype=bool))
    assert counting.depths == [64, 64, 64]
    assert counting.fetched <= 256
    store.close()


def test_beyond_the_deepest_search_all_are_compared(
    world: tuple[Spaces, PointStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    spaces, store = world
    monkeypatch.setattr(search, "MAX_LIMIT", 65)
    query = {space: -spaces[space][7] for space in SIZES}
    hits = search_fused(store, query, 33, Where(countries=["CH"]))
    _check(hits, spaces, query, 33, np.arange(COUNT) % 3 == 1)


def _flat(count: int) -> list[tuple[Payload, float]]:
    payloads: list[Payload] = [
        {"id": photo_id(row), "dhash": f"{row:016x}" if row % 2 else ""} for row in range(count)
    ]
    return [(payload, 1 - row / count) for row, payload in enumerate(payloads)]


def test_near_duplicates_are_left_out_until_enough_others_are_found() -> None:
    hits, asked = _flat(1000), list[int]()

    def find(count: int) -> Hits:
        asked.append(count)
        return hits[:count]

    same = NearDuplicates(cosine=0.7)
    kept = same.filter(find, 20, 1, 1)
    assert kept == hits[301:321], "0.7 itself is the same picture"
    assert asked == [36, 144, 576]
    assert same.filter(find, 5, 1, 2) == hits[:5], "sums of two cosines: their mean is below 0.7"
    assert NearDuplicates(cosine=-1).filter(find, 5, 1, 1) == []
    assert asked[-1] >= 1000


def test_near_duplicates_by_hash() -> None:
    hits = _flat(300)
    guard = NearDuplicates(cosine=2, dhash=0b1011, bits=2)
    kept = {photo["id"] for photo, _ in guard.filter(lambda count: hits[:count], 300, 1, 1)}
    for row in range(300):
        near = row % 2 == 1 and (row ^ 0b1011).bit_count() <= 2
        assert (photo_id(row) in kept) != near, "photos without a hash are kept"
    unknown = NearDuplicates(cosine=2, dhash=None)
    assert len(unknown.filter(lambda count: hits[:count], 300, 1, 1)) == 300


def test_near_duplicates_of_the_least_similar() -> None:
    """Scores come negated: what looks the same is at the end, and still left out."""
    hits = [(payload, -score) for payload, score in _flat(100)][::-1]
    kept = NearDuplicates(cosine=0.9).filter(lambda count: hits[:count], 100, -1, 1)
    assert kept == hits[:-11]


def test_near_duplicates_never_ask_for_more_than_a_search_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "MAX_LIMIT", 200)
    hits = [(payload, 1.0) for payload, _ in _flat(500)]
    asked = list[int]()

    def find(count: int) -> Hits:
        asked.append(count)
        return hits[:count]

    assert NearDuplicates().filter(find, 50, 1, 1) == []
    assert asked == [66, 200]


def test_near_duplicates_in_a_gallery(world: tuple[Spaces, PointStore]) -> None:
    spaces, store = world
    query = spaces["one"][11]
    found = NearDuplicates(cosine=0.8).filter(
        lambda count: search_one(store, "one", query, count, EVERYWHERE, exact=True), 15, 1, 1
    )
    cosines = spaces["one"] @ query
    expected = np.sort(cosines[cosines < 0.8])[::-1][:15]
    np.testing.assert_allclose([score for _, score in found], expected, atol=1e-5)
