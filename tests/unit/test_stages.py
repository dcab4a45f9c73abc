"""What a stage put forward is read from the steps that a run kept."""

import pytest
from pydantic import JsonValue

from agent.answer import Answer, Step
from agent.recipes import Recipe, find_recipe
from evaluation.stages import stages_of, verbal_confidence_of
from tools.evidence import Candidate, CandidateKind, Evidence, EvidenceKind
from tools.rerank import ListedCandidate, cluster_candidates

PHOTO = "a" * 64
Place = tuple[float, float]
A, B, C, D, E = (1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0), (5.0, 5.0)
PIPELINE = find_recipe("pipeline", has_model=False)
AGENTIC = find_recipe("agentic", has_model=True)


def step(tool: str, data: dict[str, JsonValue], **other: object) -> Step:
    base = Step(
        number=1, call_id="c1", tool=tool, arguments={}, text="", outcome="ok", seconds=0.0,
        data=data,
    )  # fmt: skip
    return base.model_copy(update=other)


def named(places: list[Place], **more: JsonValue) -> list[JsonValue]:
    return [{"latitude": a, "longitude": b, **more} for a, b in places]


def evidence(
    tool: str, kind: EvidenceKind, *places: Place, weight: float = 0.5,
    what: CandidateKind = "place",
) -> Evidence:  # fmt: skip
    candidates = tuple(
        Candidate(
            latitude=a, longitude=b, radius_km=1.0, score=0.5, rank=rank, source="x", kind=what
        )
        for rank, (a, b) in enumerate(places, start=1)
    )
    return Evidence(
        tool=tool, kind=kind, summary=str(places), candidates=candidates, weight=weight, group="x"
    )


def answer(*steps: Step, found: tuple[Evidence, ...] = (), point: Place | None = None) -> Answer:
    return Answer(
        status="located" if point else "undetermined",
        latitude=point[0] if point else None,
        longitude=point[1] if point else None,
        explanation="",
        steps=steps,
        evidence=found,
        photo_id=PHOTO,
        photo_name="one.jpg",
        stopped_because="committed",
        seconds=0.0,
    )


def similar(
    *hits: tuple[str, Place, float], whole: bool = True, region: str = "", encoder: str = "a"
) -> Step:
    box: JsonValue = None if whole else {"left": 0}
    rows: list[JsonValue] = [
        {"id": name, "latitude": p[0], "longitude": p[1], "similarity": score}
        for name, p, score in hits
    ]
    gallery: JsonValue = {
        "encoder": {"fingerprint": encoder},
        "query": {"photo_id": PHOTO, "box": box},
        "region": region,
        "hits": rows,
    }
    return step("search_similar_photos", {"galleries": [gallery]})


def test_without_any_step_there_is_the_final_answer_alone() -> None:
    assert stages_of(answer(), PIPELINE) == {"final": ()}
    assert stages_of(answer(point=A), PIPELINE) == {"final": (A,)}


class TestRetrieval:
    """What the searches list."""

    def test_hits_by_likeness_and_never_the_photo_itself(self) -> None:
        run = answer(similar(("x", B, 0.5), ("y", A, 0.9), (PHOTO, C, 1.0)))
        assert stages_of(run, PIPELINE)["retrieval"] == (A, B)

    def test_verified_matches_come_first(self) -> None:
        match = evidence("search_similar_photos", "match", C, what="photo")
        run = answer(similar(("x", A, 0.9), ("y", C, 0.5)), found=(match,))
        assert stages_of(run, PIPELINE)["retrieval"] == (C, A)

    def test_photos_places_and_cells_take_turns(self) -> None:
        places = step("search_places", {"candidates": named([B]), "best_places": [[*C, 0.1]]})
        cells = step(
            "search_cells", {"galleries": [{"encoder": 1, "candidates": named([D], cosine=0.2)}]}
        )
        run = answer(similar(("x", A, 0.9), ("y", E, 0.8)), places, cells)
        assert stages_of(run, PIPELINE)["retrieval"] == (A, B, D, E, C)

    def test_of_cells_the_best_of_the_first_encoder_is_first_as_the_recipe_picks(self) -> None:
        galleries: list[JsonValue] = [
            {"encoder": name, "candidates": named([where], cosine=cosine)}
            for name, where, cosine in (("a", A, 0.2), ("b", C, 0.9), ("a", B, 0.7))
        ]
        run = answer(step("search_cells", {"galleries": galleries}))
        assert stages_of(run, PIPELINE)["retrieval"] == (B, A, C)

    def test_a_part_of_the_photo_or_of_the_world_comes_after_the_whole(self) -> None:
        run = answer(
            similar(("z", D, 0.99), whole=False),
            similar(("x", C, 0.98), region="in FR"),
            similar(("y", A, 0.1)),
        )
        assert stages_of(run, PIPELINE)["retrieval"] == (A, D, C)

    def test_what_is_read_and_looked_up_is_proposed_too_but_last(self) -> None:
        town = evidence("find_place", "place", B)
        run = answer(similar(("x", A, 0.5)), found=(town,))
        assert stages_of(run, PIPELINE)["retrieval"] == (A, B)
        assert stages_of(answer(found=(town,)), PIPELINE)["retrieval"] == (B,)

    @pytest.mark.parametrize(("weight", "there"), [(0.0, False), (0.9, True)])
    def test_a_claimed_position_counts_only_where_it_was_trusted(
        self, weight: float, there: bool
    ) -> None:
        claim = evidence("read_metadata", "metadata", A, weight=weight, what="claimed_position")
        assert ("retrieval" in stages_of(answer(found=(claim,)), PIPELINE)) == there

    def test_a_search_that_failed_did_not_run_and_one_without_hits_is_silent(self) -> None:
        out = similar(("x", A, 0.5)).model_copy(update={"outcome": "unavailable"})
        assert "retrieval" not in stages_of(answer(out), PIPELINE)
        assert stages_of(answer(similar()), PIPELINE)["retrieval"] == ()

    def test_each_place_once_and_no_null_island(self) -> None:
        hits = (
            ("x", (10.0, 180.0), 0.9),
            ("y", (10.0, -180.0), 0.8),
            ("z", (0.0, 0.0), 0.7),
            ("w", (10.000001, 179.9999999), 0.6),
        )
        run = answer(similar(*hits))
        assert stages_of(run, PIPELINE)["retrieval"] == ((10.0, 180.0),)

    def test_rows_that_are_no_places_are_passed_over(self) -> None:
        rows: list[JsonValue] = [
            {"latitude": 97.0, "longitude": 1.0},
            {"latitude": "1", "longitude": 1.0},
            {"latitude": True, "longitude": 1.0},
            {"longitude": 1.0},
            "nothing",
            *named([A]),
        ]
        data: dict[str, JsonValue] = {"candidates": rows, "best_places": [[1.0], None, [*B, 0.1]]}
        assert stages_of(answer(step("search_places", data)), PIPELINE)["retrieval"] == (A, B)


class TestClustering:
    """Re-ranked references, and what `cluster_candidates` says."""

    HITS = (
        ("x", A, 0.9), ("y", (10.0, 10.0), 0.8), ("z", (10.0, 10.1), 0.7), ("w", (10.0, 10.15), 0.6)
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "longitudes"), [("dualgeo", [10.1, 10.15, 10.0]), ("agentic", [10.0, 10.1, 10.15])]
    )
    def test_references_as_the_recipe_ranks_them(self, name: str, longitudes: list[float]) -> None:
        recipe = find_recipe(name, has_model=True)
        run = answer(similar(*self.HITS), step("diversify", {}))
        stages = stages_of(run, recipe)
        assert stages["retrieval"][0] == A
        assert stages["clustering"] == (*((10.0, east) for east in longitudes), A)

    def test_a_rule_that_nothing_used_did_not_run(self) -> None:
        run = answer(similar(*self.HITS))
        assert "clustering" not in stages_of(run, AGENTIC)
        first: Recipe = AGENTIC.model_copy(update={"pick": "first"})
        assert "clustering" in stages_of(run, first)

    @pytest.mark.parametrize("rule", ["robust", "dualgeo"])
    def test_the_tools_own_reply_is_read(self, rule: str) -> None:
        listed = [A, (10.0, 10.0), (10.0, 10.2), (10.0, 10.1)]
        candidates = [ListedCandidate(latitude=a, longitude=b) for a, b in listed]
        assert rule in ("robust", "dualgeo")
        _, outcome = cluster_candidates(
            candidates, rule="robust" if rule == "robust" else "dualgeo"
        )
        arguments: dict[str, JsonValue] = {"candidates": named(listed)}
        run = answer(step("cluster_candidates", dict(outcome.data), arguments=arguments))
        told = stages_of(run, PIPELINE)["clustering"]
        assert told[0] == (10.0, 10.1), "the middle"
        assert told[-1] == A
        assert len(told) == (2 if rule == "robust" else 4)


class TestGenerationAndVerification:
    """What the model named, and what was compared."""

    def test_the_last_word_is_first(self) -> None:
        found = (
            evidence("prior", "model", A),
            evidence("commit_location", "model", B),
            evidence("diversify", "model", C, D),
        )
        run = answer(step("prior", {}), found=found)
        assert stages_of(run, AGENTIC)["generation"] == (B, C, D, A)

    def test_a_model_that_named_nothing_was_asked_all_the_same(self) -> None:
        assert stages_of(answer(step("prior", {"guess": None})), AGENTIC)["generation"] == ()

    def test_the_last_pool_is_first(self) -> None:
        near: JsonValue = {"latitude": 9.0, "longitude": 9.0}
        pools = [
            step("verify_locations", {"candidates": named([A, B])}),
            step("verify_locations", {"candidates": named([C, A], nearby=near)}),
        ]
        assert stages_of(answer(*pools), AGENTIC)["verification"] == (C, A, (9.0, 9.0), B)

    def test_pairs_that_geometry_verified_go_before_the_pool_and_judged_looks_after(self) -> None:
        found = (evidence("compare_photos", "model", A), evidence("compare_photos", "match", B))
        pool = step("verify_locations", {"candidates": named([C])})
        stages = stages_of(answer(pool, found=found), AGENTIC)
        assert stages["verification"] == (B, C, A)
        assert "retrieval" not in stages


@pytest.mark.parametrize(
    ("said", "confidence"),
    [([], None), ([0.4], 0.4), ([0.4, 0.7], 0.7), ([0.4, None], 0.4), ([True], None), ([7], None)],
)
def test_the_confidence_last_stated(said: list[JsonValue], confidence: float | None) -> None:
    steps = [step("prior", {"guess": {"confidence": one}}) for one in said]
    assert verbal_confidence_of(answer(*steps, step("prior", {"guess": None}))) == confidence
