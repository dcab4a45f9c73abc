"""References: what a model is told of gallery photos, in words, from what searches found."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from agent.factors import Settlements
from geo import sphere
from tests.fakes import FakeGazetteer
from tools.photos import PhotoStore
from tools.references import (
    Reference,
    deduplicate,
    hits_of,
    name_places,
    reference_lines,
    rerank,
    spread_text,
    without,
)
from tools.workbench import Workbench

PARIS, LYON, SYDNEY = (48.857, 2.352), (45.764, 4.836), (-33.869, 151.209)
NAMES = {PARIS: "near Paris, FR", LYON: "near Lyon, FR", SYDNEY: "near Sydney, AU"}


def refer(*places: tuple[float, float]) -> list[Reference]:
    return [
        Reference(
            latitude=place[0], longitude=place[1], place=NAMES.get(place, ""),
            similarity=1 - rank / 100, rank=rank,
        )
        for rank, place in enumerate(places, start=1)
    ]  # fmt: skip


def hit(place: tuple[float, float], similarity: float, **other: JsonValue) -> dict[str, JsonValue]:
    return {
        "id": "0" * 64, "name": "x.jpg", "latitude": place[0], "longitude": place[1],
        "similarity": similarity, "country": "", **other,
    }  # fmt: skip


def found(
    *hits: JsonValue, fingerprint: str = "a", dissimilar: bool = False
) -> dict[str, JsonValue]:
    gallery: dict[str, JsonValue] = {
        "gallery": "trip", "encoder": {"name": "globe", "fingerprint": fingerprint},
        "hits": list(hits),
    }  # fmt: skip
    return {"galleries": [gallery | ({"dissimilar": True} if dissimilar else {})]}


def places_of(references: list[Reference]) -> list[tuple[float, float]]:
    return [(one.latitude, one.longitude) for one in references]


def test_a_reference_is_one_line_with_its_place() -> None:
    lines = reference_lines(refer(PARIS, SYDNEY, (10.5, -0.25)))
    assert lines.splitlines() == [
        "1. 48.8570, 2.3520 (near Paris, FR)",
        "2. -33.8690, 151.2090 (near Sydney, AU)",
        "3. 10.5000, -0.2500",
    ]
    assert reference_lines([]) == ""


def test_galleries_of_one_encoder_are_merged_and_others_take_turns() -> None:
    one = found(hit(PARIS, 0.9), hit(LYON, 0.5))
    same = found(hit(SYDNEY, 0.7))
    assert places_of(hits_of([one, same])) == [PARIS, SYDNEY, LYON]
    other = found(hit(SYDNEY, 2.7), hit((1.0, 2.0), 2.6), fingerprint="b")
    assert places_of(hits_of([one, other])) == [PARIS, SYDNEY, LYON, (1.0, 2.0)]
    assert [reference.rank for reference in hits_of([one, other])] == [1, 2, 3, 4]


def test_the_least_similar_come_first_among_dissimilar_ones() -> None:
    first = found(hit(PARIS, -0.3), hit(LYON, 0.1), dissimilar=True)
    second = found(hit(SYDNEY, -0.1), dissimilar=True)
    assert places_of(hits_of([first, second])) == [PARIS, SYDNEY, LYON]


@pytest.mark.parametrize(
    "bad",
    [
        hit((0.0, 0.0), 0.9), hit((0, 0), 0.9), hit((-0.0, 0.0), 0.9), hit((97.0, 2.0), 0.9),
        hit((math.nan, 2.0), 0.9), hit((2.0, math.inf), 0.9), hit(PARIS, math.nan),
        hit(PARIS, 0.9, latitude="48.8"), hit(PARIS, 0.9, latitude=True),
        hit(PARIS, 0.9, longitude=None), {"latitude": 1.0, "longitude": 2.0}, "text", None, [1, 2],
    ],
)  # fmt: skip
def test_what_is_no_place_is_left_out(bad: JsonValue) -> None:
    assert places_of(hits_of([found(bad, hit(LYON, 0.5))])) == [LYON]


@pytest.mark.parametrize(
    "data", [{}, {"galleries": None}, {"galleries": [3]}, {"galleries": [{"hits": 3}]}]
)
def test_data_of_other_tools_has_no_hits(data: dict[str, JsonValue]) -> None:
    assert hits_of([data]) == []


def test_the_same_coordinate_is_named_once() -> None:
    east, west = (10.0, 180.0), (10.0, -180.0)
    close = (PARIS[0] + 1e-7, PARIS[1])
    assert places_of(deduplicate(refer(PARIS, LYON, close, east, west))) == [PARIS, LYON, east]
    assert len(hits_of([found(hit(PARIS, 0.9), hit(PARIS, 0.8))])) == 1


def test_places_are_named_by_what_is_near(tmp_path: Path, settlements: Settlements) -> None:
    bench = Workbench(
        photos=PhotoStore(tmp_path), open_gazetteer=lambda: FakeGazetteer(settlements)
    )
    named = name_places(bench, refer((48.9, 2.3), (30.0, -40.0)))
    assert [one.place for one in named] == ["near Testdorf, FR", "at sea"]
    assert name_places(bench, []) == []


def around(place: tuple[float, float], count: int) -> list[tuple[float, float]]:
    ends = sphere.destination(*place, 90.0, np.arange(count) * 10.0)
    return [place, *((float(a), float(b)) for a, b in ends[1:])]


def test_the_spread_names_clusters_and_the_distances_between_them() -> None:
    # Three in a row: the one in the middle is nearest to the others and stands for them.
    row = [around(PARIS, 3)[i] for i in (1, 0, 2)]
    text = spread_text(refer(*around(LYON, 2), *row, SYDNEY))
    middle = refer(row[0])[0]
    assert text.startswith(
        "Together (each within 50 km of another): 3 of 6 "
        f"at {middle.latitude:.2f}, {middle.longitude:.2f}; 2 near Lyon, FR; 1 elsewhere. The two "
        f"are {sphere.distance_km(*row[0], *LYON):,.0f} km apart."
    )
    assert spread_text(refer(PARIS, (PARIS[0], 2.36))).endswith("2 of 2 near Paris, FR.")
    three = spread_text(refer(*around(LYON, 2), *around(PARIS, 3), *around(SYDNEY, 2)))
    assert three.count(" km.") == 3


def test_where_nothing_agrees_the_spread_says_so() -> None:
    assert spread_text(refer(PARIS, LYON)) == "No two of 2 within 50 km of each other."
    assert spread_text(refer(PARIS, LYON), 500) != spread_text(refer(PARIS, LYON))
    assert spread_text(refer(PARIS)) == "Only one reference."
    assert spread_text([]) == "No references."


def test_a_cluster_over_the_antimeridian_is_one() -> None:
    text = spread_text(refer((-16.8, 179.95), (-16.8, -179.95), LYON))
    assert "2 of 3 at -16.80," in text


def test_the_largest_cluster_comes_first() -> None:
    references = refer(SYDNEY, *around(LYON, 2), *around(PARIS, 3), (10.0, 10.0))
    ranked = rerank(references, "robust")
    assert [one.rank for one in ranked] == [4, 5, 6, 2, 3, 1, 7]
    assert rerank(references, "robust", top=3) == [references[i] for i in (1, 2, 0, 3, 4, 5, 6)]
    assert rerank(references, "robust", eps_km=1.0) == references
    assert rerank([], "robust") == []


def test_a_photo_is_no_reference_of_itself() -> None:
    own = hit(PARIS, 1.0, id="a" * 64)
    data = found(own, hit(PARIS, 0.9, id="b" * 64), hit(LYON, 0.8))
    assert [one.similarity for one in hits_of([data], apart_from="a" * 64)] == [0.9, 0.8]
    assert [one.similarity for one in hits_of([data], repeats=True)] == [1.0, 0.9, 0.8]


def test_what_is_alike_is_not_unlike_too() -> None:
    across = refer((10.0, 180.0), PARIS)
    assert places_of(without(refer(LYON, (10.0, -180.0), PARIS), across)) == [LYON]
    assert places_of(without(refer(LYON), [])) == [LYON]


def test_repeated_coordinates_are_kept_but_have_no_second_vote() -> None:
    references = refer(SYDNEY, SYDNEY, SYDNEY, *around(PARIS, 2))
    assert [one.rank for one in rerank(references, "robust")] == [4, 5, 1, 2, 3]


def test_the_published_rule_orders_by_distance_to_the_mean_of_the_largest_cluster() -> None:
    references = refer(LYON, *around(PARIS, 3), SYDNEY)
    assert [one.rank for one in rerank(references, "dualgeo")] == [3, 2, 4, 1, 5]
    assert rerank([], "dualgeo") == []
    many = refer(*[(float(i), 10.0) for i in range(25)])
    assert [one.rank for one in rerank(many, "dualgeo", top=25)][20:] == [21, 22, 23, 24, 25]


@given(
    places=st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), max_size=12),
    top=st.integers(2, 100),
    rule=st.sampled_from(["robust", "dualgeo"]),
)
def test_reranking_loses_and_invents_nothing(
    places: list[tuple[float, float]], top: int, rule: str
) -> None:
    references = refer(*places)
    ranked = rerank(references, rule, top=top)  # type: ignore[arg-type]  # one of the two names
    assert sorted(ranked, key=lambda one: one.rank) == references
    text = spread_text(references)
    assert text.endswith(".")
    assert "nan" not in text
