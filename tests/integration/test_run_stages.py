"""Whole runs with a scripted model: every stage that ran is there, and the ledger ends right."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage

from agent.answer import Answer
from agent.factors import Settlements
from agent.recipes import Recipe, find_recipe
from agent.settings import Settings
from evaluation.ledger import ledger_of
from evaluation.runs import Point, Run, RunManifest, RunRow, StageName, Truth
from evaluation.stages import stages_of, verbal_confidence_of
from tests.fakes import calling
from tests.integration.recipe_samples import (
    Model,
    World,
    make_world,
    query,
    run_recipe,
    says,
    text_of,
    unique,
)

PHOTOS = 16
SAID = [(50.0 + 0.1 * n, 8.0 + 0.05 * n) for n in range(20)]
Stages = dict[StageName, tuple[Point, ...]]
Located = Callable[..., Answer]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], World]:
    return cache(lambda family: make_world(tmp_path_factory.mktemp(family), family, PHOTOS))


@pytest.fixture
def located(settings: Settings, settlements: Settlements, world: Callable[[str], World]) -> Located:
    def run(recipe: str, family: str, **options: Any) -> Answer:
        here = world(family)
        return run_recipe(
            recipe, settings, settlements, galleries=[here.gallery], encoder=here.encoder, **options
        ).answer

    return run


def staged(answer: Answer) -> Stages:
    """Return the stages, having checked what holds in every run."""
    recipe: Recipe = find_recipe(answer.recipe, has_model=True)
    stages = stages_of(answer, recipe)
    assert answer.latitude is not None
    assert answer.longitude is not None
    point = (answer.latitude, answer.longitude)
    assert stages["final"] == (point,)
    row = RunRow(
        image_id="one", status="located", latitude=point[0], longitude=point[1], stages=stages,
        verbal_confidence=verbal_confidence_of(answer),
    )  # fmt: skip
    assert RunRow.model_validate_json(row.model_dump_json()) == row
    truth = Truth(image_id="one", latitude=point[0], longitude=point[1])
    manifest = RunManifest(recipe=recipe.name, dataset="town", photos=1, truths=(truth,))
    ledger = ledger_of(Run(manifest=manifest, rows={"one": row}))
    assert set(ledger.stages) == set(stages)
    assert all(level.right["final"] == 1 for level in ledger.levels)
    return stages


def near(found: Sequence[Point], wanted: Sequence[Point]) -> bool:
    return np.shape(found) == np.shape(wanted) and np.allclose(found, wanted, atol=1e-4)


@pytest.mark.slow
def test_g3(located: Located, world: Callable[[str], World]) -> None:
    stages = staged(located("g3", "g3", model=Model([says(*place) for place in SAID]).chat))
    assert list(stages) == ["retrieval", "generation", "verification", "final"]
    alike = unique(world("g3").alike(query()))
    assert near(stages["retrieval"], alike)
    assert near(sorted(stages["generation"]), sorted(SAID))
    assert len(stages["verification"]) == 21, "the answers and the most similar photo's place"
    assert stages["verification"][0] == pytest.approx(stages["final"][0])


def test_dualgeo(located: Located, world: Callable[[str], World]) -> None:
    stages = staged(located("dualgeo", "dualgeo", model=Model([says(*SAID[3])]).chat))
    assert list(stages) == ["retrieval", "clustering", "generation", "final"]
    assert sorted(stages["clustering"]) == sorted(stages["retrieval"]), "the same, in another order"
    assert stages["clustering"] != stages["retrieval"]
    assert stages["generation"] == stages["final"]
    assert stages["final"][0] == pytest.approx(SAID[3])


@pytest.mark.slow
def test_pipeline(located: Located, world: Callable[[str], World]) -> None:
    stages = staged(located("pipeline", "g3", photo=world("g3").folder / "05.png"))
    assert {"retrieval", "final"} <= set(stages)
    assert "generation" not in stages, "no model was asked"


def test_agentic(located: Located) -> None:
    def turn(messages: Any, given: dict[str, Any]) -> AIMessage:
        if not given.get("tools"):
            return AIMessage(says(*SAID[2], place="Testdorf")[:-1] + ', "confidence": 0.35}')
        ids = sorted(set(re.findall(r"\be[0-9a-f]{10}\b", " ".join(map(text_of, messages)))))
        where = {"latitude": SAID[5][0], "longitude": SAID[5][1]}
        return calling(("commit_location", {"evidence_ids": ids[:3], "reason": "it fits", **where}))

    model = Model([])
    model.chat.replies = [turn]
    answer = located("agentic", "g3", model=model.chat)
    stages = staged(answer)
    assert list(stages) == ["retrieval", "clustering", "generation", "verification", "final"]
    assert near(stages["generation"], [SAID[5], SAID[2]]), "its last word first"
    assert sorted(stages["clustering"]) == sorted(stages["retrieval"])
    assert {(round(a, 4), round(b, 4)) for a, b in (SAID[2], SAID[5])} <= {
        (round(a, 4), round(b, 4)) for a, b in stages["verification"]
    }
    assert verbal_confidence_of(answer) == 0.35
