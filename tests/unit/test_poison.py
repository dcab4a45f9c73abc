"""Verification that cannot be poisoned: published rules fail on stated inputs, ours do not.

Each class of inputs has two assertions: that the published rule goes wrong on it, so that the
class means something, and that ours holds. Pools are drawn to hold what models, files and damaged
checkpoints really give.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agent.answer import Step
from agent.picks import pick
from agent.recipes import find_recipe
from agent.state import State
from encoders.base import EncoderCard, Vectors, alignment_scores
from evaluation.bench_poison import measured
from evaluation.published_rules import (
    FourierPlaces,
    batch_attention,
    dualgeo_centre,
    g3_answer,
    g3_choice,
    g3_read,
    pigeon_refine,
)
from geo.errors import InputError, UnavailableError
from geo.sphere import haversine_km
from index_builder.places import Places
from tests.aligned_fakes import GlobeEncoder
from tools.alignment import score_locations
from tools.clustering import dualgeo_rule, robust_clusters
from tools.evidence import ToolError
from tools.nearby import best_nearby
from tools.photos import PhotoStore
from tools.places import merge_hits
from tools.proposed import read_place
from tools.references import Reference, hits_of, rerank
from tools.verify import ProposedPlace, compare, make_verify_locations
from tools.workbench import Workbench

Place = tuple[float, float]
Given = tuple[JsonValue, JsonValue]
PUBLISHED = FourierPlaces()
fast = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))

hundredths = st.integers(-8000, 8000).map(lambda n: n / 100)
longitudes = st.integers(-18000, 17999).map(lambda n: n / 100)
good: st.SearchStrategy[Place] = st.tuples(hundredths, longitudes).filter(
    lambda place: place != (0, 0)
)
NOT_FINITE: list[Given] = [(math.nan, 2.0), (97.0, 2.0), (-90.01, 0.0), (math.inf, 5.0)]
bad: st.SearchStrategy[Given] = st.sampled_from(
    [
        *NOT_FINITE, (2.0, math.nan), (10.0, -math.inf), (12.0, 1e9), (0, 0), (-0.0, 360.0),
        (0.0, -360), ("N/A", None), ("48.85", "2.35"), (True, 2.0), (False, False), (None, None),
        ([48.8], {"degrees": 2}), ([10**5000], 1.0), ({"a": [10**5000]}, 1.0), (10**400, 2.0),
        (2, -(10**5000)), ("\ud800", "\n"), (5e-324, -5e-324), (1e308, 1e308),
    ]
)  # fmt: skip
edges: st.SearchStrategy[Given] = st.sampled_from(
    [(90.0, 0.0), (90, 133.0), (-90.0, -180.0), (0.0, 180), (0.0, -180.0), (-16.8, 540.0)]
)
anything: st.SearchStrategy[JsonValue] = st.one_of(
    st.floats(), st.integers(), st.floats(-400, 400), st.text(max_size=4), st.none(), st.booleans()
)
pools: st.SearchStrategy[list[Given]] = st.lists(
    st.one_of(good, bad, edges, st.tuples(anything, anything)), min_size=1, max_size=12
)


class FourierEncoder(GlobeEncoder):
    """Ours around the very encoder of the published rule: only the rules differ."""

    def _rows(self, points: npt.NDArray[np.float64]) -> Vectors:
        return cast("Vectors", PUBLISHED(points).astype(np.float32))

    def __init__(self) -> None:
        super().__init__(temperature=40.0)
        self.card = EncoderCard(
            name="fourier", fingerprint="f" * 64, spaces={"globe": 384}, alignment="globe",
            image_spaces=("globe",), location_spaces=("globe",), temperature=40.0,
        )  # fmt: skip


OURS = FourierEncoder()
GLOBE = GlobeEncoder(temperature=300.0)


def proposed(pool: Sequence[Given]) -> list[ProposedPlace]:
    return [ProposedPlace(latitude=a, longitude=b) for a, b in pool]


def vector_of(place: Place, encoder: GlobeEncoder = OURS) -> Vectors:
    return cast("Vectors", encoder.encode_locations([place])["globe"][0])


def turned(place: Given, turns: int) -> Given:
    """Return a place with its longitude so many turns on; 5 digits, as it is written."""
    latitude, longitude = place
    if not turns or isinstance(longitude, bool) or not isinstance(longitude, int | float):
        return place
    if not abs(longitude) <= 180:
        return place
    return latitude, round(longitude + 360.0 * turns, 5)


# --- G3's verification ----------------------------------------------------------------------


@fast
@given(pool=st.lists(good, min_size=1, max_size=8, unique=True), truth=good)
def test_on_a_sound_pool_the_published_choice_is_ours(pool: list[Place], truth: Place) -> None:
    """No straw man: without poison the two rules agree."""
    vector = vector_of(truth)
    verified, rejected = compare(OURS, vector, proposed(pool))
    published = pool[g3_choice(vector.astype(np.float64), PUBLISHED(pool))]
    cosine = next(v.cosine for v in verified if (v.latitude, v.longitude) == published)
    assert cosine == pytest.approx(verified[0].cosine, abs=2e-6)
    assert not rejected


@fast
@given(
    pool=st.lists(good, min_size=1, max_size=8, unique=True),
    poison=st.sampled_from([(97.0, 2.0), (math.nan, 2.0), (-90.01, 0.0), (5.0, math.inf)]),
    at=st.integers(0, 8),
)
def test_one_impossible_candidate_is_what_the_published_rule_chooses(
    pool: list[Place], poison: Place, at: int
) -> None:
    vector = vector_of(pool[0])
    poisoned = [*pool[:at], poison, *pool[at:]]
    chosen = poisoned[g3_choice(vector.astype(np.float64), PUBLISHED(poisoned))]
    assert chosen == poison or math.isnan(chosen[0])
    answer = g3_answer(vector.astype(np.float64), PUBLISHED, poisoned)
    assert answer[0] == 0 or not np.isfinite(answer).all(), "an impossible latitude becomes 0"
    verified, rejected = compare(OURS, vector, proposed(poisoned))
    assert (verified, len(rejected)) == (compare(OURS, vector, proposed(pool))[0], 1)
    assert (verified[0].latitude, verified[0].longitude) == pool[0]


def test_of_two_impossible_candidates_the_published_rule_takes_the_first_listed() -> None:
    pool = [(48.85, 2.35), (97.0, 10.0), (-97.0, 20.0)]
    photo = vector_of(pool[0]).astype(np.float64)
    assert (
        pool[g3_choice(photo, PUBLISHED(pool))]
        != pool[::-1][g3_choice(photo, PUBLISHED(pool[::-1]))]
    )
    ours = compare(OURS, vector_of(pool[0]), proposed(pool))
    assert compare(OURS, vector_of(pool[0]), proposed(pool[::-1])) == ours


def test_an_answer_without_digits_is_the_gulf_of_guinea_only_in_the_published_pool() -> None:
    """Where a photo fits no answer, a word that became (0, 0) can win."""
    pool = [g3_read("I cannot tell"), g3_read("33.8688 S, 151.2093 E"), g3_read("48, 2")]
    assert pool == [(0.0, 0.0), (33.8688, 151.2093), (0.0, 0.0)]
    photo = vector_of((0.0, 0.0)).astype(np.float64)
    assert g3_answer(photo, PUBLISHED, pool).tolist() == [0, 0]
    verified, rejected = compare(OURS, vector_of((0.0, 0.0)), proposed(pool))
    assert [(v.latitude, v.longitude) for v in verified] == [pool[1]]
    assert len(rejected) == 1


def test_where_all_is_invalid_the_published_rule_still_answers() -> None:
    pool = [(97.0, 2.0), (math.nan, 3.0)]
    photo = vector_of((48.85, 2.35))
    assert g3_answer(photo.astype(np.float64), PUBLISHED, pool)[0] == 0
    verified, rejected = compare(OURS, photo, proposed(pool))
    assert (verified, len(rejected)) == ([], 2)


@settings(fast, max_examples=60)
@given(pool=pools, truth=good, data=st.data())
def test_whatever_the_pool_ours_is_finite_accounted_for_and_the_same_in_any_writing(
    pool: list[Given], truth: Place, data: st.DataObject
) -> None:
    vector = vector_of(truth)
    verified, rejected = compare(OURS, vector, proposed(pool))
    for one in verified:
        assert -1 <= one.cosine <= 1
        assert 0 <= one.share <= 1
        assert abs(one.latitude) <= 90
        assert -180 <= one.longitude < 180
    assert not verified or sum(one.share for one in verified) == pytest.approx(1)
    places = {(one.latitude, one.longitude) for one in verified}
    assert all(one.reason and len(one.value) < 300 for one in rejected)
    kept = [read_place(*given) in places for given in pool]
    refused = [isinstance(read_place(*given), str) for given in pool]
    assert sum(kept) + sum(refused) == len(pool), "each is compared or dropped with a reason"
    # Another order, repeated, a turn of longitude on: nothing changes.
    order = data.draw(st.permutations(pool))
    turns = data.draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=len(pool)))
    written = [turned(one, turn) for one, turn in zip(order, turns, strict=False)]
    sound = [one for one in rejected if "outside" not in one.reason and "0, 0" not in one.reason]
    again, refused_again = compare(OURS, vector, proposed([*written, *pool[:3]]))
    assert again == verified
    assert {one.reason for one in sound} <= {one.reason for one in refused_again}
    assert compare(OURS, vector, proposed([*order, *order[:5]])) == (verified, rejected)


@fast
@given(pool=st.lists(good, min_size=2, max_size=10, unique=True), truth=good)
def test_a_cosine_does_not_depend_on_how_many_are_compared(pool: list[Place], truth: Place) -> None:
    together, _ = compare(OURS, vector_of(truth), proposed(pool))
    for one in together:
        (alone,) = compare(OURS, vector_of(truth), proposed([(one.latitude, one.longitude)]))[0]
        assert alone.cosine == one.cosine


@pytest.mark.parametrize("pole", [90, -90.0])
def test_a_pole_at_two_longitudes_is_one_candidate(pole: float) -> None:
    pool = proposed([(pole, 10.0), (pole, -170), (45.0, 5.0)])
    verified, _ = compare(OURS, vector_of((80.0, 0.0)), pool)
    assert len(verified) == 2
    found = robust_clusters([(pole, 10.0), (pole, -170.0), (45.0, 5.0)])
    assert found.duplicates == {1: 0} or found.duplicates == {0: 1}


def test_a_tool_tells_how_many_of_the_given_were_compared(tmp_path: Any) -> None:
    bench = Workbench(photos=PhotoStore(tmp_path), open_encoder=lambda: GLOBE)
    from tests.aligned_fakes import photo_of

    photo_id = bench.photos.add_image(photo_of(45.0, 5.0), "photo").id
    items = [{"latitude": a, "longitude": b} for a, b in
             [(45.0, 5.0), (45.0, 365.0), (97.0, 1.0), (97.0, 1.0), (10.0, 10.0)]]  # fmt: skip
    call = {"name": "verify_locations", "id": "c", "type": "tool_call"}
    message = make_verify_locations(bench).invoke(
        {**call, "args": {"photo_id": photo_id, "candidates": items}}
    )
    assert "Of 5 given: 2 compared, 1 repeated, 2 dropped." in message.content
    clean = make_verify_locations(bench).invoke(
        {**call, "args": {"photo_id": photo_id, "candidates": [items[0], items[4]]}}
    )
    assert " given: " not in clean.content
    assert clean.artifact.evidence == message.artifact.evidence


# --- Encoders that return what they must not --------------------------------------------------


class Broken(GlobeEncoder):
    """Gives rows of its own for some places."""

    def __init__(self, spoil: Callable[[Vectors], Vectors]) -> None:
        super().__init__(temperature=300.0)
        self._spoil = spoil

    def encode_locations(self, coordinates: npt.ArrayLike) -> dict[str, Vectors]:
        return {"globe": self._spoil(super().encode_locations(coordinates)["globe"])}


def southern(value: float, *, scale: bool = False) -> Callable[[Vectors], Vectors]:
    def spoil(rows: Vectors) -> Vectors:
        changed = rows * np.float32(value) if scale else np.full_like(rows, value)
        return np.where(rows[:, 2:3] < 0, changed, rows).astype(np.float32)

    return spoil


SPOILT = {
    "NaN": southern(math.nan), "infinite": southern(math.inf), "huge": southern(3e38),
    "three long": southern(3.0, scale=True), "short": southern(0.1, scale=True),
}  # fmt: skip


@pytest.mark.parametrize("spoilt", list(SPOILT))
@fast
@given(pool=st.lists(good, min_size=1, max_size=8, unique=True), data=st.data())
def test_rows_of_a_damaged_encoder_are_dropped_and_the_others_are_as_if_they_were_not_there(
    spoilt: str, pool: list[Place], data: st.DataObject
) -> None:
    encoder, vector = Broken(SPOILT[spoilt]), vector_of((45.0, 5.0), GLOBE)
    verified, rejected = compare(encoder, vector, proposed(data.draw(st.permutations(pool))))
    north = [place for place in pool if place[0] >= 0]
    assert verified == compare(GLOBE, vector, proposed(north))[0]
    assert len(rejected) == len(pool) - len(north)
    assert all("no unit vector" in one.reason for one in rejected)


def test_the_published_rule_takes_the_row_of_a_damaged_encoder() -> None:
    for spoilt in ("NaN", "infinite", "huge", "three long"):
        rows = Broken(SPOILT[spoilt]).encode_locations([(45.0, 5.0), (-10.0, 5.0)])["globe"]
        photo = vector_of((20.0, 5.0), GLOBE).astype(np.float64)
        assert g3_choice(photo, rows.astype(np.float64)) == 1


def test_nearby_points_of_a_damaged_encoder_are_never_the_best() -> None:
    for spoil in SPOILT.values():
        (found,) = best_nearby(Broken(spoil), vector_of((1.0, 5.0), GLOBE), [(0.2, 5.0)], 100.0)
        assert found is not None
        assert found.latitude >= 0
        assert math.isfinite(found.cosine)
        assert best_nearby(Broken(spoil), vector_of((1.0, 5.0), GLOBE), [(-9.0, 5.0)], 9.0) == [
            None
        ]


@pytest.mark.parametrize(
    "spoil",
    [lambda rows: rows[:-1], lambda rows: rows[:, :2], lambda rows: np.repeat(rows, 2, axis=0)],
)
def test_other_rows_than_one_for_each_place_are_an_outage(
    spoil: Callable[[Vectors], Vectors],
) -> None:
    with pytest.raises(UnavailableError, match="vectors of shape"):
        compare(Broken(spoil), vector_of((45.0, 5.0), GLOBE), proposed([(1.0, 2.0), (3.0, 4.0)]))


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, 3.0, 1e38])
def test_a_photo_without_a_vector_is_a_clear_error(value: float) -> None:
    vector = np.full(4, value, dtype=np.float32)
    with pytest.raises(InputError, match=r"zero|finite|length"):
        compare(GLOBE, vector, proposed([(1.0, 2.0), (3.0, 4.0)]))
    with pytest.raises(InputError, match=r"zero|finite|length"):
        best_nearby(GLOBE, vector, [(1.0, 2.0)], 5.0)


@pytest.mark.parametrize("temperature", [math.nan, math.inf, -1.0, 0.0])
def test_a_temperature_that_is_none_is_a_clear_error(temperature: float) -> None:
    encoder = GlobeEncoder(temperature=temperature)
    with pytest.raises(InputError, match="temperature"):
        compare(encoder, vector_of((45.0, 5.0), GLOBE), proposed([(1.0, 2.0), (3.0, 4.0)]))


@fast
@given(
    photo=st.lists(st.floats(width=32), min_size=4, max_size=4),
    place=st.lists(st.floats(width=32), min_size=4, max_size=4),
    scaled=st.booleans(),
)
def test_alignment_scores_are_cosines_or_an_error(
    photo: list[float], place: list[float], scaled: bool
) -> None:
    rows = [np.array([row], dtype=np.float32) for row in (photo, place)]
    if scaled:
        with np.errstate(all="ignore"):
            rows = [
                (row / np.linalg.norm(row.astype(np.float64))).astype(np.float32) for row in rows
            ]
    try:
        scores = alignment_scores(GLOBE.card, {"globe": rows[0]}, {"globe": rows[1]})
    except InputError:
        return
    assert np.isfinite(scores).all()
    assert (np.abs(scores) <= 1).all()


# --- Clustering ---------------------------------------------------------------------------------


@fast
@given(
    latitude=st.floats(-50, 50),
    off=st.lists(st.floats(0.01, 0.2), min_size=2, max_size=10),
    data=st.data(),
)
def test_the_published_mean_of_an_antimeridian_cluster_is_across_the_earth(
    latitude: float, off: list[float], data: st.DataObject
) -> None:
    # As many on either side, in pairs: 180 - x and x - 180 have mean 0.
    pool = [place for x in off for place in ((latitude, 180 - x), (latitude, x - 180))]
    centre = dualgeo_centre(pool)
    assert haversine_km(centre[0], centre[1], latitude, 180) > 8_000
    assert dualgeo_rule(pool).centre == pytest.approx(tuple(centre)), "two readings of one rule"
    shuffled = data.draw(st.permutations(pool))
    found = robust_clusters(shuffled)
    assert len(found.clusters) == 1
    assert haversine_km(*shuffled[found.best], latitude, 180) < 30


@fast
@given(pool=st.lists(st.one_of(good, st.sampled_from([(89.99, 5.0), (-90.0, 7.0), (5.0, -180.0)])),
                     min_size=1, max_size=10), data=st.data())  # fmt: skip
def test_clusters_do_not_depend_on_order_copies_or_turns(
    pool: list[Place], data: st.DataObject
) -> None:
    def said(places: list[Place]) -> object:
        found = robust_clusters(places)
        keys = [read_place(*place) for place in places]
        clusters = [
            (keys[c.medoid], sorted(map(str, {keys[i] for i in c.members})), round(c.radius_km, 6))
            for c in found.clusters
        ]
        return clusters, sorted(str(keys[i]) for i in found.alone), keys[found.best]

    order = data.draw(st.permutations(pool))
    turns = data.draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=30))
    changed = [
        (a, round(b + 360 * t, 5)) for (a, b), t in zip([*order, *pool], turns, strict=False)
    ]
    assert said(changed) == said(pool)


def test_copies_move_the_published_answer_and_not_ours() -> None:
    paris = [(48.857, 2.352), (48.80, 2.12)]
    copies = [(-33.87, 151.21)] * 3
    latitude, longitude = dualgeo_centre([*paris, *copies])
    assert haversine_km(latitude, longitude, *copies[0]) < 1
    found = robust_clusters([*paris, *copies])
    assert set(found.clusters[0].members) == {0, 1}


def test_antipodal_halves_average_to_neither_in_the_published_rule() -> None:
    halves = [(48.0, 2.0), (-48.0, -178.0)]
    latitude, longitude = dualgeo_centre(halves)
    assert min(haversine_km(latitude, longitude, *half) for half in halves) > 5_000
    assert robust_clusters(halves).best in (0, 1)
    many = [(48.0 + i / 100, 2.0) for i in range(5)] + [(-48.0 - i / 100, -178.0) for i in range(5)]
    found = robust_clusters(many)
    assert [len(c.members) for c in found.clusters] == [5, 5]
    assert found.alone == ()


@pytest.mark.parametrize(
    "points",
    [[], [(math.nan, 1.0)], [(97.0, 1.0)], [(1.0, 1e9)], [("N/A", 2.0)], [(None, 2.0)],
     [(10**400, 2.0)], [(1.0,)], [(1.0, 2.0), (3.0,)]],
)  # fmt: skip
def test_what_is_no_pair_of_degrees_is_a_clear_error(points: Any) -> None:
    with pytest.raises(ToolError):
        robust_clusters(points)


def test_a_score_that_is_none_is_a_clear_error() -> None:
    for score in (math.nan, math.inf):
        with pytest.raises(ToolError, match="score"):
            robust_clusters([(1.0, 2.0), (3.0, 4.0)], scores=[score, 1.0])


@fast
@given(
    pool=st.lists(good, min_size=1, max_size=10),
    poison=st.lists(bad, max_size=6),
    data=st.data(),
)
def test_hits_that_are_no_places_do_not_move_a_reranking(
    pool: list[Place], poison: list[Given], data: st.DataObject
) -> None:
    def hit(number: int, place: Given, similarity: JsonValue) -> dict[str, JsonValue]:
        return {"id": str(number), "latitude": place[0], "longitude": place[1],
                "similarity": similarity}  # fmt: skip

    rows = [hit(i, place, 1 - i / 100) for i, place in enumerate(pool)]
    spoilt = [*rows, *(hit(99, one, 0.5) for one in poison), hit(98, (1.0, 2.0), math.nan)]

    def ranked(listed: Sequence[Any]) -> list[Reference]:
        return rerank(hits_of([{"galleries": [{"hits": list(listed)}]}]), "robust")

    assert ranked(data.draw(st.permutations(spoilt))) == ranked(rows)
    assert ranked([*rows, *rows]) == ranked(rows)


# --- PIGEON and attention over the batch --------------------------------------------------------


@fast
@given(pool=st.lists(good, min_size=2, max_size=10, unique=True), at=st.integers(0, 9))
def test_the_published_refiner_takes_the_least_similar_member_and_ours_the_most(
    pool: list[Place], at: int
) -> None:
    truth = pool[at % len(pool)]
    rows = GLOBE.encode_locations(pool)["globe"]
    photo = vector_of(truth, GLOBE)
    away = [float(haversine_km(*truth, *place)) for place in pool]
    assume(max(away) > 10)
    published = pigeon_refine(photo.astype(np.float64), rows.astype(np.float64))
    assert away[published] >= max(away) - 1
    order = np.arange(len(pool))
    hits = Places(GLOBE.card, np.array(pool), order, rows).search(photo, 1)
    assert away[hits.indices[0]] <= min(away) + 3
    verified, _ = compare(GLOBE, photo, proposed(pool))
    assert haversine_km(*truth, verified[0].latitude, verified[0].longitude) <= min(away) + 10


def test_the_published_attention_gives_a_photo_another_vector_in_another_batch() -> None:
    photos = np.random.default_rng(0).normal(size=(8, 16))
    whole, alone = batch_attention(photos, 4), batch_attention(photos[:1], 4)
    assert np.abs(whole[0] - alone[0]).max() > 0.1
    assert np.allclose(alone, 2 * photos[:1]), "alone it is the identity"


# --- Searches and picks -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0])
def test_a_search_with_a_vector_that_is_none_is_a_clear_error(value: float) -> None:
    rows = GLOBE.encode_locations([(1.0, 2.0)])["globe"]
    places = Places(GLOBE.card, np.array([[1.0, 2.0]]), np.arange(1), rows)
    with pytest.raises(InputError, match="zero or not finite"):
        places.search(np.full(4, value, dtype=np.float32), 1)


@fast
@given(pool=st.lists(good, min_size=1, max_size=12, unique=True), truth=good, data=st.data())
def test_a_search_finds_the_same_regions_in_any_order(
    pool: list[Place], truth: Place, data: st.DataObject
) -> None:
    def said(points: list[Place]) -> dict[Place, float]:
        rows = GLOBE.encode_locations(points)["globe"]
        rows[np.array(points)[:, 0] > 70] = 0  # places that the encoder knows nothing of
        places = Places(
            GLOBE.card, np.array(points), np.arange(len(points)), rows,
            unknown=int((~rows.any(axis=1)).sum()),
        )  # fmt: skip
        clusters = merge_hits(places, places.search(vector_of(truth, GLOBE), 20))
        return {points[c.index]: round(c.probability, 5) for c in clusters}

    assume(any(place[0] <= 70 for place in pool))
    found = said(pool)
    assert found == pytest.approx(said(data.draw(st.permutations(pool))), abs=2e-5)
    assert sum(found.values()) == pytest.approx(1, abs=1e-3)
    assert all(place[0] <= 70 for place in found)


def state_of(tool: str, data: dict[str, JsonValue], *others: dict[str, JsonValue]) -> State:
    common: dict[str, Any] = {"tool": tool, "arguments": {}, "text": "", "outcome": "ok"}
    steps = [
        Step(number=n, call_id=f"c{n}", seconds=0.1, data=one, **common)
        for n, one in enumerate((data, *others), start=1)
    ]
    return cast("State", {"photo_id": "0" * 64, "steps": steps, "evidence": []})


def row(latitude: JsonValue, longitude: JsonValue, cosine: JsonValue = 0.5) -> dict[str, JsonValue]:
    return {"latitude": latitude, "longitude": longitude, "cosine": cosine}


json_bad = [
    (97.0, 2.0), ("N/A", None), (None, 2.0), (True, 1.0), (0, 0), (0.0, 360.0), (10**400, 2.0),
    ([1.0], 2.0), ("", ""), (12.0, 1e9),
]  # fmt: skip


@pytest.mark.parametrize("place", json_bad)
def test_a_verified_pick_is_a_place(place: Given) -> None:
    recipe = find_recipe("g3", has_model=True)
    assert recipe.pick == "verified"
    rows: JsonValue = [row(*place), row(48.85, 2.35)]
    assert pick(recipe, state_of("verify_locations", {"candidates": rows})).point == (48.85, 2.35)
    only: JsonValue = [row(*place), "text", None, {}]
    assert pick(recipe, state_of("verify_locations", {"candidates": only})).point is None


@pytest.mark.parametrize("place", json_bad)
def test_the_first_cell_is_a_place_whatever_other_galleries_hold(place: Given) -> None:
    recipe = find_recipe("continent", has_model=False)
    assert recipe.pick == "first"

    def gallery(*rows: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return {"galleries": [{"encoder": "e", "candidates": list(rows)}]}

    sound, other = gallery(row(48.85, 2.35)), gallery(row(45.0, 5.0))
    cosines: list[JsonValue] = [None, "0.9", True, 10**400, [0.9]]
    spoilt = [gallery(row(*place)), gallery(row(*place, 0.99))]
    spoilt += [gallery(row(1.0, 2.0, cosine)) for cosine in cosines]
    for steps in ([*spoilt, sound, other], [other, sound, *spoilt]):
        assert pick(recipe, state_of("search_cells", *steps)).point == (45.0, 5.0)


def test_scores_of_no_places_are_asked_of_nobody() -> None:
    before = GLOBE.places_encoded
    assert best_nearby(GLOBE, vector_of((1.0, 2.0), GLOBE), [], 5.0) == []
    assert compare(GLOBE, vector_of((1.0, 2.0), GLOBE), [])[0] == []
    found = score_locations(GLOBE, vector_of((1.0, 2.0), GLOBE), np.array([[1.0, 2.0]]))
    assert found.cosines.tolist() == [1.0]
    assert GLOBE.places_encoded == before + 4


def test_the_bench_counts_wrong_and_unsteady_answers() -> None:
    rows = {row.name: row for row in measured(8)}
    assert all(row.met for row in rows.values())
    poisoned = rows["G3's verification, an impossible candidate"]
    assert (poisoned.value, poisoned.reference) == (0, "published 100.0 %")
