"""The published rule is kept exactly, with its faults; the robust one has none of them."""

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from geo.sphere import haversine_km
from tools.clustering import dualgeo_rule, robust_clusters
from tools.evidence import ToolError, ToolOutcome
from tools.photos import PhotoStore
from tools.rerank import MAXIMUM_CANDIDATES, ClusterArguments, make_cluster_candidates
from tools.workbench import Workbench

PARIS, VERSAILLES, LYON = (48.8566, 2.3522), (48.8049, 2.1204), (45.764, 4.8357)
VILLEURBANNE, TOKYO = (45.7719, 4.8902), (35.6762, 139.6503)
candidates = st.lists(
    st.tuples(
        st.integers(-900, 900).map(lambda tenth: tenth / 10),
        st.integers(-1800, 1799).map(lambda tenth: tenth / 10),
        st.integers(0, 4).map(lambda quarter: quarter / 4),
        st.sampled_from(["a", "b"]),
    ),
    min_size=1,
    max_size=15,
)


def test_published_rule_orders_by_distance_to_the_mean_of_the_largest_cluster() -> None:
    ranking = dualgeo_rule([TOKYO, PARIS, LYON, VERSAILLES, (48.9, 2.4)])
    assert ranking.labels == (-1, 0, -1, 0, 0)
    assert ranking.centre == pytest.approx(np.mean([PARIS, VERSAILLES, (48.9, 2.4)], axis=0))
    assert ranking.order == (1, 4, 3, 2, 0)


def test_published_rule_gives_ties_to_the_best_ranked_cluster() -> None:
    ranking = dualgeo_rule([LYON, PARIS, VERSAILLES, VILLEURBANNE])
    assert ranking.labels == (0, 1, 1, 0)
    assert ranking.centre == pytest.approx(np.mean([LYON, VILLEURBANNE], axis=0))


def test_published_rule_looks_at_twenty_and_averages_all_where_none_agree() -> None:
    spread = [(0.0, float(i)) for i in range(20)]
    ranking = dualgeo_rule([*spread, TOKYO, TOKYO, TOKYO])
    assert not ranking.agreed
    assert ranking.centre == pytest.approx((0, 9.5))
    assert len(ranking.order) == 20


def test_published_rule_fails_on_the_antimeridian_where_the_robust_one_holds() -> None:
    taveuni = [(-16.8, 179.95), (-16.8, -179.95), (-16.9, 179.99)]
    listed = [*taveuni, (10.0, 10.0)]
    published = dualgeo_rule(listed)
    assert haversine_km(*published.centre, -16.8, 180) > 10_000
    assert published.order[0] == 3, "a lone candidate in Africa wins"
    robust = robust_clusters(listed)
    assert robust.best in (0, 1, 2)
    assert set(robust.clusters[0].members) == {0, 1, 2}


def test_published_rule_fails_at_the_pole_where_the_robust_one_holds() -> None:
    around = [(89.9, 0.0), (89.9, 120.0), (89.9, -120.0), (89.99, 60.0)]
    centre = dualgeo_rule(around).centre
    robust = robust_clusters(around)
    assert robust.best == 3
    assert haversine_km(*around[robust.best], 90, 0) < haversine_km(*centre, 90, 0)


def test_copies_outvote_others_only_under_the_published_rule() -> None:
    listed = [PARIS, VERSAILLES, TOKYO, TOKYO, TOKYO]
    assert dualgeo_rule(listed).order[0] == 2
    robust = robust_clusters(listed, sources=["a", "b", "c", "c", "c"])
    assert set(robust.clusters[0].members) == {0, 1}
    assert robust.duplicates == {3: 2, 4: 2}
    assert robust_clusters(listed, sources=list("abcde")).best == 2, "three sources do agree"


def test_no_cluster_keeps_the_best_candidate() -> None:
    found = robust_clusters([PARIS, TOKYO, LYON], [0.2, 0.7, 0.1])
    assert found.clusters == ()
    assert found.best == 1
    assert found.alone == (1, 0, 2)
    assert robust_clusters([PARIS]).best == 0


def test_equal_clusters_go_to_the_higher_score_then_to_the_tighter() -> None:
    listed = [PARIS, VERSAILLES, LYON, VILLEURBANNE]
    assert robust_clusters(listed, [0.3, 0.2, 0.1, 0.1]).best == 0
    assert robust_clusters(listed, [0.1, 0.1, 0.3, 0.2]).best == 2
    assert robust_clusters(listed).clusters[0].members in ((2, 3), (3, 2)), "Lyon's is tighter"


@given(listed=candidates, shuffle=st.randoms(use_true_random=False), turns=st.integers(-1, 1))
def test_robust_clusters_do_not_depend_on_order_or_wraps(
    listed: list[tuple[float, float, float, str]], shuffle: st.DataObject, turns: int
) -> None:
    order = list(range(len(listed)))
    shuffle.shuffle(order)  # type: ignore[attr-defined]  # a random.Random, for which no type fits
    plain = _placed(listed, list(range(len(listed))), 0)
    assert _placed(listed, order, turns) == plain


def _placed(
    listed: list[tuple[float, float, float, str]], order: list[int], turns: int
) -> tuple[object, ...]:
    """Say what was found by place instead of by index."""
    rows = [listed[i] for i in order]
    points = [(row[0], row[1] + 360.0 * turns) for row in rows]
    found = robust_clusters(points, [row[2] for row in rows], [row[3] for row in rows])
    clusters = [
        (rows[c.medoid], sorted(rows[i] for i in c.members), round(c.radius_km, 6))
        for c in found.clusters
    ]
    return (clusters, sorted(rows[i] for i in found.alone), rows[found.best])


@given(listed=candidates)
def test_every_candidate_is_in_one_cluster_alone_or_a_duplicate(
    listed: list[tuple[float, float, float, str]],
) -> None:
    found = robust_clusters([row[:2] for row in listed], sources=[row[3] for row in listed])
    members = [i for cluster in found.clusters for i in cluster.members]
    assert sorted([*members, *found.alone, *found.duplicates]) == list(range(len(listed)))
    assert all(cluster.medoid in cluster.members for cluster in found.clusters)
    assert found.best not in found.duplicates


@pytest.mark.parametrize("points", [[], [(91.0, 0.0)], [(float("nan"), 0.0)], [(1.0, 2.0, 3.0)]])
def test_impossible_candidates_are_refused(points: list[tuple[float, ...]]) -> None:
    with pytest.raises(ToolError):
        robust_clusters(points)
    with pytest.raises(ToolError):
        dualgeo_rule(points)


def _call(tmp_path_factory: pytest.TempPathFactory, **arguments: object) -> tuple[str, ToolOutcome]:
    tool = make_cluster_candidates(Workbench(PhotoStore(tmp_path_factory.mktemp("photos"))))
    reply = tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": arguments})
    return reply.content, reply.artifact


def _listed(*points: tuple[float, float]) -> list[dict[str, object]]:
    return [
        {"latitude": a, "longitude": b, "label": f"place {i}", "score": 1 / (i + 1)}
        for i, (a, b) in enumerate(points)
    ]


def test_tool_tells_sizes_shares_and_what_was_left_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    text, outcome = _call(tmp_path_factory, candidates=_listed(PARIS, VERSAILLES, TOKYO, TOKYO))
    assert "2 of 3 (67%) around #1 'place 0'" in text
    assert "left out: #3 'place 2' (35.6762, 139.6503): no other candidate within 50 km" in text
    assert "#4 'place 3' (35.6762, 139.6503): repeats #3" in text
    (cluster,) = cast("list[dict[str, object]]", outcome.data["clusters"])
    assert cluster["medoid"] == 0
    assert len(cast("list[str]", outcome.data["left_out"])) == 2


def test_tool_says_where_nothing_agrees(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    text, _ = _call(tmp_path_factory, candidates=_listed(PARIS, TOKYO))
    assert text.startswith("no two of 2 within 50 km; the best is #")


def test_tool_applies_the_published_rule_when_asked(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    many = [PARIS, VERSAILLES, *[(float(i), -100.0) for i in range(20)]]
    text, outcome = _call(tmp_path_factory, candidates=_listed(*many), rule="dualgeo")
    assert "DualGeo's centre of the largest cluster is 48.83" in text
    assert len(cast("list[str]", outcome.data["left_out"])) == 2


@pytest.mark.parametrize("rule", ["robust", "dualgeo"])
def test_agreement_is_no_evidence_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, rule: str
) -> None:
    _, outcome = _call(tmp_path_factory, candidates=_listed(PARIS, VERSAILLES, TOKYO), rule=rule)
    assert (outcome.evidence, outcome.rejected) == ((), ())


@pytest.mark.parametrize(
    "arguments",
    [
        {"candidates": []},
        {"candidates": _listed(PARIS) * (MAXIMUM_CANDIDATES + 1)},
        {"candidates": _listed((91, 0))},
        {"candidates": _listed(PARIS), "eps_km": 0},
        {"candidates": _listed(PARIS), "rule": "mean"},
        {"candidates": _listed(PARIS), "extra": 1},
        {"candidates": [{"latitude": True, "longitude": 0}]},
    ],
)
def test_tool_schema_refuses(arguments: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ClusterArguments.model_validate(arguments)
