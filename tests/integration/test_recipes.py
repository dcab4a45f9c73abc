"""Every recipe does what its publication does, each rule computed here once more, independently."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from langchain_core.messages import AIMessage
from pydantic import JsonValue
from sklearn.cluster import DBSCAN

from agent.answer import Step
from agent.asking import ModelUnavailableError
from agent.factors import Settlements
from agent.picks import pick
from agent.recipes import References, find_recipe
from agent.settings import Settings
from agent.state import State
from geo.cells import centres, from_tokens
from index_builder import open_gallery
from index_builder.cells import build_cells
from tests.fakes import calling
from tests.integration.recipe_samples import (
    BERLIN,
    COUNT,
    PARIS,
    Model,
    Place,
    Ran,
    Run,
    World,
    cosines,
    encoder_of,
    listed,
    make_world,
    places,
    query,
    run_recipe,
    says,
    shown,
    text_of,
    unique,
)
from tests.unit.encoder_samples import photos

GERMANY = [(50.0 + 0.1 * n, 8.0 + 0.05 * n) for n in range(20)]
Worlds = Callable[..., World]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """Return a gallery of a family, built the first time it is asked for."""
    return cache(
        lambda family, count=COUNT: make_world(tmp_path_factory.mktemp(family), family, count)
    )


@pytest.fixture(scope="module")
def cells(world: Worlds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of cells, made of the prototypes of an encoder."""
    folder = tmp_path_factory.mktemp("cells") / "cells"
    with open_gallery(world("cellcodes").gallery) as gallery:
        build_cells(gallery, folder, encoder=encoder_of("cellcodes"))
    return folder


@pytest.fixture
def ran(settings: Settings, settlements: Settlements) -> Run:
    def run(recipe: str, *worlds: World, **options: Any) -> Ran:
        options.setdefault("encoder", worlds[0].encoder if worlds else None)
        galleries = options.pop("galleries", [one.gallery for one in worlds])
        return run_recipe(recipe, settings, settlements, galleries=galleries, **options)

    return run


def verified(ran: Ran) -> dict[str, Any]:
    (step,) = (step for step in ran.answer.steps if step.tool == "verify_locations")
    assert step.outcome == "ok"
    return dict(step.data) | {"call_id": step.call_id}


def point(ran: Ran) -> Place:
    assert ran.answer.latitude is not None
    assert ran.answer.longitude is not None
    return ran.answer.latitude, ran.answer.longitude


class TestG3:
    """Jia et al., NeurIPS 2024."""

    def test_four_prompts_of_five_answers_each_with_its_own_seed(
        self, ran: Run, world: Worlds
    ) -> None:
        model = Model([says(*place) for place in GERMANY])
        found = ran("g3", world("g3"), model=model.chat)
        calls = found.of_kind("model_call")
        assert len(calls) == len({call["seed"] for call in calls}) == 20
        assert {call["temperature"] for call in calls} == {0.7}
        assert {call["purpose"] for call in calls} == {"diversify"}
        assert {tuple(call["images"]) for call in calls} == {(found.answer.photo_id,)}
        assert not any(call["tools"] for call in calls)
        prompts = Counter(model.prompts)
        assert sorted(prompts.values()) == [5, 5, 5, 5]
        alike = unique(world("g3").alike(query()))
        lists = sorted((listed(text) for text in prompts), key=lambda one: len(one.similar))
        assert [len(one.similar) for one in lists] == [0, 5, 10, 15]
        for one, count in zip(lists, (0, 5, 10, 15), strict=True):
            assert one.similar == shown(alike[:count])
            # Of twenty photos of the search by the negated vector.
            unlike = unique(world("g3").alike(query())[::-1][:20])
            assert one.dissimilar == shown([p for p in unlike if p not in alike[:count]][:count])

    def test_the_point_is_the_best_aligned_of_the_answers_and_the_best_photo(
        self, ran: Run, world: Worlds
    ) -> None:
        here = world("g3")
        found = ran("g3", here, model=Model([says(*place) for place in GERMANY]).chat)
        pool = [*shown(GERMANY), here.alike(query())[0]]
        data = verified(found)
        rows = {(row["latitude"], row["longitude"]) for row in data["candidates"]}
        assert rows == {(round(a, 5), round(b, 5)) for a, b in pool}
        assert len(rows) == 21
        best = here.best_aligned(query(), pool)
        assert point(found) == pytest.approx(best)
        assert found.answer.picked_by == "the candidate that aligns best with the photo"
        assert (
            "The point is the candidate that aligns best with the photo (recipe g3) "
            f"[{data['call_id']}]." in found.answer.explanation
        )
        assert (found.answer.recipe, found.answer.driver) == ("g3", "ScriptedChat")
        assert found.answer.status in ("located", "region")
        assert found.answer.radii is not None

    def test_the_best_photo_wins_where_no_answer_is_a_place(self, ran: Run, world: Worlds) -> None:
        """Published: (0, 0) for whatever is no answer, and NaN, which argmax takes for the best."""
        broken = [
            says(0.0, 0.0), says(97.0, 10.0), says(None, None), '{"latitude": NaN, "longitude": 1}',
            "I cannot determine where this is.", says(math.inf, 5), "", '{"latitude": "north"}',
        ]  # fmt: skip
        here = world("g3")
        found = ran("g3", here, model=Model(broken).chat)
        top = here.alike(query())[0]
        (row,) = verified(found)["candidates"]
        assert (row["latitude"], row["longitude"]) == pytest.approx(top)
        assert point(found) == pytest.approx(top)
        rejected = " ".join(item.value for item in found.answer.rejected)
        assert "97" in rejected
        assert "0" in rejected
        assert not [item for item in found.answer.evidence if item.tool == "diversify"]
        assert "The evidence by itself names no place" in found.answer.explanation

    def test_a_point_against_the_rest_of_the_evidence_is_told(
        self, ran: Run, world: Worlds
    ) -> None:
        here = world("g3")
        top = here.alike(query())[0]
        near = (round(top[0], 1), round(top[1], 1))
        agreeing = ran("g3", here, model=Model([says(*near)]).chat)
        assert "lies elsewhere" not in agreeing.answer.explanation
        far = next(
            place
            for place in ((50.1, 8.0), (45.5, 4.5), (-34.0, 150.0), (-17.5, 178.0))
            if here.best_aligned(query(), [place, top]) == top
        )
        found = ran("g3", here, model=Model([says(*far)]).chat)
        assert point(found) == pytest.approx(top)
        assert found.answer.status == "region"
        assert found.answer.radii is not None
        assert found.answer.radii.km_50 > 2500
        assert "lies elsewhere" in found.answer.explanation

    def test_one_broken_answer_changes_nothing(self, ran: Run, world: Worlds) -> None:
        good = [says(*place) for place in GERMANY[:4]]
        here = world("g3")
        for broken in (says(97.0, 10.0), says(0, 0), '{"latitude": NaN, "longitude": NaN}'):
            found = ran("g3", here, model=Model([*good, broken]).chat)
            pool = [*shown(GERMANY[:4]), here.alike(query())[0]]
            assert len(verified(found)["candidates"]) == 5
            assert point(found) == pytest.approx(here.best_aligned(query(), pool))

    def test_a_small_gallery_is_asked_under_what_it_has(self, ran: Run, world: Worlds) -> None:
        model = Model([says(*GERMANY[0])])
        found = ran("g3", world("g3", 7), model=model.chat)
        prompts = Counter(model.prompts)
        lists = sorted((listed(text) for text in prompts), key=lambda one: len(one.similar))
        # Seven photos at six places.
        assert [len(one.similar) for one in lists] == [0, 5, 6]
        assert set(prompts.values()) == {5}
        assert "6 references, 0, 5, 10, 15 wanted: asked under 0, 5, 6" in found.notices()
        for one in lists:
            assert not set(one.similar) & set(one.dissimilar), "alike and unlike at once"
        assert [len(one.dissimilar) for one in lists] == [0, 1, 0]

    def test_answers_that_fail_leave_the_rest(self, ran: Run, world: Worlds) -> None:
        gone = ModelUnavailableError("model server does not answer")
        model = Model([says(*GERMANY[0])])
        model.chat.replies = [gone]
        found = ran("g3", world("g3"), model=model.chat)
        assert len(verified(found)["candidates"]) == 1
        step = next(step for step in found.answer.steps if step.tool == "diversify")
        assert step.outcome == "unavailable"


class TestThePhotoItself:
    """A gallery that holds the photo knows where it is; it is no reference of itself."""

    @pytest.fixture
    def found(self, ran: Run, world: Worlds) -> tuple[Ran, Model]:
        model = Model([says(*place) for place in GERMANY])
        photo = world("g3").folder / "07.png"
        return ran("g3", world("g3"), model=model.chat, photo=photo), model

    def test_it_is_neither_a_reference_nor_in_the_pool(self, found: tuple[Ran, Model]) -> None:
        own = shown([places()[7]])[0]
        for text in found[1].prompts:
            assert own not in listed(text).similar
        rows = verified(found[0])["candidates"]
        assert own not in shown([(row["latitude"], row["longitude"]) for row in rows])
        assert len(rows) == 21

    def test_it_is_evidence_and_the_answer_says_so(self, found: tuple[Ran, Model]) -> None:
        (match,) = (item for item in found[0].answer.evidence if item.kind == "match")
        best = match.candidates[0]
        assert (best.latitude, best.longitude) == pytest.approx(places()[7])
        assert "The gallery holds this very photo, '07.png'" in found[0].answer.explanation


def test_dualgeo_ranks_by_the_largest_cluster(ran: Run, world: Worlds) -> None:
    """Cui et al., ICME 2026: DBSCAN of 50 km over the 20 most similar, centre, distance to it."""
    here = world("dualgeo")
    model = Model([says(*GERMANY[0])])
    found = ran("dualgeo", here, model=model.chat)
    top = np.array(here.alike(query())[:20])
    labels = DBSCAN(
        eps=50 / 6371, min_samples=2, metric="haversine", algorithm="ball_tree"
    ).fit_predict(np.radians(top))
    assert labels.max() >= 0, "a world without a cluster tests nothing"
    largest = np.bincount(labels[labels >= 0]).argmax()
    centre = np.radians(top[labels == largest].mean(axis=0))
    lat, lon = np.radians(top).T
    chord = np.sin((lat - centre[0]) / 2) ** 2
    chord += np.cos(lat) * np.cos(centre[0]) * np.sin((lon - centre[1]) / 2) ** 2
    order = np.argsort(2 * 6371 * np.arcsin(np.sqrt(chord)), kind="stable")
    ranked = [(float(a), float(b)) for a, b in top[order]]
    assert ranked != [tuple(one) for one in top.tolist()]
    (text,) = model.prompts
    assert listed(text).similar == shown(unique(ranked))
    assert listed(text).dissimilar == shown(
        [p for p in unique(here.alike(query())[::-1][:20]) if p not in ranked]
    )
    assert point(found) == pytest.approx(GERMANY[0])
    assert found.answer.picked_by == "the model's answer"


@pytest.mark.parametrize(
    ("recipe", "family", "count", "temperature"),
    [("transgeoclip", "transgeoclip", 30, 1.2), ("street-rag", "siglip", 20, None)],
)
def test_one_answer_under_similar_and_dissimilar_photos(
    recipe: str, family: str, count: int, temperature: float | None, ran: Run, world: Worlds
) -> None:
    here = world(family)
    model = Model([says(*GERMANY[3])])
    found = ran(recipe, here, model=model.chat)
    (call,) = found.of_kind("model_call")
    assert call["temperature"] == (temperature or pytest.approx(0.6, abs=0.6))
    (text,) = model.prompts
    alike = here.alike(query())
    similar = unique(alike[:count])
    assert listed(text).similar == shown(similar)
    assert listed(text).dissimilar == shown(
        [p for p in unique(alike[::-1][:count]) if p not in similar][: len(similar)]
    )
    assert point(found) == pytest.approx(GERMANY[3])
    assert found.answer.picked_by == "the model's answer"
    assert "The point is the model's answer" in found.answer.explanation
    assert not [step for step in found.answer.steps if step.tool == "verify_locations"]


def test_without_an_answer_belief_decides_and_the_answer_says_why(ran: Run, world: Worlds) -> None:
    found = ran("street-rag", world("siglip"), model=Model([says(None, None)]).chat)
    why = "recipe street-rag picks the model's answer, and there is none"
    assert found.answer.picked_by == f"belief: {why}"
    if found.answer.status != "undetermined":
        assert f"The point is that of belief: {why}." in found.answer.explanation


class TestContinent:
    """Lindenberger et al., NeurIPS 2025: the cell whose code is nearest."""

    def test_the_point_is_the_best_cell(self, cells: Path, ran: Run) -> None:
        encoder = encoder_of("cellcodes")
        with open_gallery(cells) as gallery:
            (space,) = gallery.manifest.encoder.spaces
            codes = list(gallery.store.scan(with_vectors=True))
        ours = encoder.encode_images([query()])[space][0]
        best = codes[int(np.argmax(cosines([code.vectors[space] for code in codes], ours)))]
        found = ran("continent", galleries=[cells], encoder=encoder)
        assert point(found) == pytest.approx(
            tuple(centres(from_tokens([str(best.payload["cell"])]))[0])
        )
        assert found.answer.status == "region", "so little speaks for it that the radius is wide"
        assert found.answer.radii is not None
        assert found.answer.radii.km_80 > 1000
        assert found.answer.picked_by == "what was retrieved first"
        assert found.of_kind("model_call") == []
        assert {step.tool for step in found.answer.steps} == {"search_cells"}

    def test_of_several_galleries_the_nearest_code_counts(self) -> None:
        def searched(*found: tuple[str, float, Place]) -> State:
            galleries: list[JsonValue] = [
                {
                    "encoder": {"fingerprint": encoder},
                    "candidates": [{"cosine": cosine, "latitude": at[0], "longitude": at[1]}],
                }
                for encoder, cosine, at in found
            ]
            step = Step(
                number=1, call_id="c1", tool="search_cells", arguments={}, text="", outcome="ok",
                seconds=0.0, data={"galleries": galleries},
            )  # fmt: skip
            return cast("State", {"steps": [step], "evidence": [], "photo_id": ""})

        continent = find_recipe("continent", has_model=False)
        two = searched(("a", 0.2, BERLIN), ("a", 0.7, PARIS), ("b", 0.9, (1.0, 2.0)))
        assert pick(continent, two).point == PARIS, "cosines of two encoders do not compare"
        assert pick(continent, searched()).point is None

    def test_a_model_that_is_there_has_no_part_in_it(self, cells: Path, ran: Run) -> None:
        model = Model(["nobody asks"])
        encoder = encoder_of("cellcodes")
        found = ran("continent", galleries=[cells], encoder=encoder, model=model.chat)
        assert found.answer.driver == "pipeline"
        assert model.chat.asked == []


def test_retrieval_only_is_what_galleries_say(ran: Run, world: Worlds) -> None:
    photo = world("g3").folder / "05.png"
    model = Model(["nobody asks"])
    found = ran("retrieval-only", world("g3"), photo=photo, model=model.chat)
    assert found.answer.picked_by == "belief"
    assert found.answer.driver == "pipeline"
    assert model.chat.asked == []
    tools = {step.tool for step in found.answer.steps}
    assert tools == {"search_similar_photos", "search_places"}
    assert point(found) == pytest.approx(places()[5], abs=0.05)


def test_the_pipeline_asks_no_model(ran: Run, world: Worlds) -> None:
    photo = world("g3").folder / "05.png"
    found = ran("pipeline", world("g3"), photo=photo)
    assert (found.answer.recipe, found.answer.driver) == ("pipeline", "pipeline")
    assert found.answer.status == "located"
    assert found.answer.stopped_because == "committed"


def test_agentic_verifies_its_pool_and_answers_by_belief(ran: Run, world: Worlds) -> None:
    def turn(messages: Any, given: dict[str, Any]) -> AIMessage:
        if not given.get("tools"):
            return AIMessage(says(*GERMANY[2], place="Testdorf"))
        ids = sorted(set(re.findall(r"\be[0-9a-f]{10}\b", " ".join(map(text_of, messages)))))
        return calling(
            ("search_similar_photos", {"text": "a street"}),
            ("commit_location", {"evidence_ids": ids[:3], "reason": "it fits"}),
        )

    model = Model([])
    model.chat.replies = [turn]
    found = ran("agentic", world("g3"), model=model.chat)
    assert found.answer.picked_by == "belief"
    assert found.answer.stopped_because == "committed"
    assert [step.outcome for step in found.answer.steps if "text" in step.arguments] == ["ok"]
    pool = {(row["latitude"], row["longitude"]) for row in verified(found)["candidates"]}
    # What was searched by words is no list of photos like this one.
    assert pool == {
        (round(a, 5), round(b, 5)) for a, b in (GERMANY[2], world("g3").alike(query())[0])
    }
    asked = max(model.prompts, key=lambda text: len(listed(text).similar))
    assert set(listed(asked).similar) <= set(shown(world("g3").alike(query())[:20]))


class TestSeveralAnswers:
    """Rules of a recipe of one's own, where several answers come."""

    def test_the_most_frequent_answer_is_the_answer(self, ran: Run, world: Worlds) -> None:
        base = find_recipe("street-rag", has_model=True)
        three = References(counts=(5,), answers=5)
        recipe = base.model_copy(update={"name": "five", "references": three})
        said = [GERMANY[0], GERMANY[9], GERMANY[4], GERMANY[9], GERMANY[0]]
        model = Model([*(says(*place) for place in (*said[:4], GERMANY[9]))])
        found = ran(recipe, world("siglip"), model=model.chat)
        assert point(found) == pytest.approx(GERMANY[9])
        (item,) = (item for item in found.answer.evidence if item.tool == "diversify")
        assert item.candidates[0].score == pytest.approx(3 / 5)
        assert json.loads(found.answer.model_dump_json())["recipe"] == "five"


def test_other_families_galleries_are_left_out_and_named(ran: Run, world: Worlds) -> None:
    here, other = world("g3"), world("siglip")
    model = Model([says(*place) for place in GERMANY])
    found = ran(
        "g3", model=model.chat, encoder=here.encoder, galleries=[other.gallery, here.gallery]
    )
    alike = unique(here.alike(query()))
    assert listed(max(model.prompts, key=len)).similar == shown(alike[:15])
    (line,) = found.answer.missing
    assert "'siglip-town' was made by siglip: not searched" in line
    (step,) = (step for step in found.answer.steps if step.tool == "search_similar_photos")
    assert "siglip-town" not in step.text


def test_a_photo_that_moves_nothing(ran: Run, world: Worlds) -> None:
    """The same photo gives the same prompts and the same point, whatever was asked before."""
    answers = [says(*place) for place in GERMANY]
    one, two = Model(answers[:1]), Model(answers[:1])
    photo = photos(1, seed=5)[0]
    first = ran("g3", world("g3"), model=one.chat, photo=photo)
    second = ran("g3", world("g3"), model=two.chat, photo=photo)
    assert Counter(one.prompts) == Counter(two.prompts)
    assert point(first) == point(second)
