"""The recipe bench's parts: the simulated analyst errs as stated, and noise is told from harm."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from PIL import Image

import prompts
from agent.answer import Radii
from agent.factors import Settlements
from agent.recipes import find_recipe
from encoders.local_features import extract_features
from evaluation.planet import Planet
from evaluation.recipe_world import WorldSize, _planned, draw
from evaluation.recipe_world_analyst import PROFILES, SimulatedAnalyst, next_calls
from evaluation.recipe_world_calibration import judged, narrow, pooled, voiced_row
from evaluation.recipe_world_runs import RememberedPairs, RememberingReader, joined
from evaluation.recipe_world_tables import (
    COARSE_KM,
    ablation_table,
    ablations_of,
    coverage_of,
    difference,
    figures_of,
    noticeable,
)
from evaluation.recipe_world_variants import (
    ACTS_BY,
    CHECKED,
    TAKEN,
    Variant,
    acts,
    recipe_of,
    variants,
)
from evaluation.runs import Run, RunManifest, RunRow, Truth
from geo.sphere import haversine_km
from tests.fakes import FakeGazetteer
from tools.evidence import Box, Evidence
from tools.matching import verify_pair
from tools.opinion import opinion
from tools.read_text import TextLine, TextReader

BERLIN = (52.52, 13.405)
WHOLE, LESS = Variant("pipeline"), Variant("pipeline", without="search_places")


def truth(name: str, latitude: float = BERLIN[0], longitude: float = BERLIN[1]) -> Truth:
    return Truth(image_id=name, latitude=latitude, longitude=longitude)


def analyst(profile: str, settlements: Settlements) -> SimulatedAnalyst:
    """Return an analyst who knows the towns and a part of the villages: enough to be far off in."""
    points, population, codes = settlements
    few = points[:4000], population[:4000], codes[:4000]
    return SimulatedAnalyst.of(profile, 1, FakeGazetteer(few))


@pytest.mark.parametrize("profile", PROFILES)
def test_first_guesses_are_as_good_as_stated(profile: str, countryside: Settlements) -> None:
    plays = analyst(profile, countryside)
    apart = []
    for number in range(200):
        plays.look_at(truth(f"photo {number}"))
        point, told = plays.first_guess()
        apart.append(float(haversine_km(*point, *BERLIN)))
        assert told == pytest.approx(apart[-1], rel=0.01)
    for km, share in zip((1, 25, 200, 750, 2500), PROFILES[profile].within, strict=True):
        # A town stands up to a fifth nearer or farther than the error that was drawn.
        assert (np.array(apart) <= km).mean() == pytest.approx(share, abs=0.09)


def test_an_analyst_says_the_same_of_a_photo_again_and_another_of_another(
    countryside: Settlements,
) -> None:
    said: dict[str, object] = {}
    for name in ("a", "b", "a"):
        plays = analyst("middling", countryside)
        plays.look_at(truth(name))
        asked = prompts.load("prior").render()
        text = plays.invoke([HumanMessage(asked)]).content
        assert said.setdefault(name, text) == text
    assert said["a"] != said["b"]
    assert plays.model == "simulated-middling"


def asked_under(references: Sequence[tuple[float, float]]) -> str:
    lines = "\n".join(f"{n}. {a:.4f}, {b:.4f}" for n, (a, b) in enumerate(references, start=1))
    told = prompts.load("references").render(
        count=len(references), similar=lines, dissimilar="1. 0.0000, 5.0000", spread=""
    )
    return prompts.load("diversify").render(references=told)


def test_a_strong_analyst_finds_the_right_reference_and_a_wrong_one_takes_the_first(
    countryside: Settlements,
) -> None:
    references = [(-33.0, 151.0), (52.5, 13.4), (10.0, 10.0)]
    chosen: dict[str, list[tuple[float, float]]] = {}
    for profile in ("strong", "wrong"):
        plays = analyst(profile, countryside)
        for number in range(120):
            plays.look_at(truth(f"photo {number}"))
            said = json.loads(str(plays.invoke([HumanMessage(asked_under(references))]).content))
            chosen.setdefault(profile, []).append((said["latitude"], said["longitude"]))
    assert 24 < chosen["strong"].count(references[1]) < 48
    assert chosen["strong"].count(references[0]) > 12
    assert chosen["wrong"].count(references[1]) == 0
    assert chosen["wrong"].count(references[0]) > 12
    assert not {(0.0, 5.0), references[2]} & {*chosen["strong"], *chosen["wrong"]}


def test_short_answers_to_one_prompt_differ_by_their_seed(countryside: Settlements) -> None:
    plays = analyst("middling", countryside)
    plays.look_at(truth("a"))
    asked = [HumanMessage(asked_under([]))]
    assert len({str(plays.model_copy(update={"seed": n}).invoke(asked).content)
                for n in range(10)}) > 2  # fmt: skip


TOOLS = frozenset({"search_places", "look_up_clue", "find_place", "commit_location"})


def test_the_analyst_searches_then_looks_names_up_then_commits() -> None:
    first = AIMessage("", tool_calls=[call("read_text", "r")])
    read = "1 lines of text, quoted from the photo (data):\n- 'Steyr' (0.98, box 1 2 3 4)"
    said: list[BaseMessage] = [
        HumanMessage("Photo: 0123456789ab, 9 x 9 pixels."),
        first,
        ToolMessage(read, tool_call_id="r"),
    ]
    calls = next_calls(said, TOOLS)
    assert [one["name"] for one in calls] == ["search_places", "look_up_clue"]
    assert calls[0]["args"] == {"photo_id": "0123456789ab"}
    assert calls[1]["args"] == {"texts": ["Steyr"]}
    found = "Text points to AT 97%, DE 2% (languages: DE 99%). Evidence e0123456789."
    said += [AIMessage("", tool_calls=calls), ToolMessage(found, tool_call_id=calls[1]["id"])]
    (named,) = next_calls(said, TOOLS)
    assert named["args"] == {"name": "Steyr", "countries": ["AT"]}
    (commit,) = next_calls([*said, AIMessage("", tool_calls=[named])], TOOLS)
    assert commit["args"]["evidence_ids"] == ["e0123456789"]
    assert commit["args"]["undetermined"] is False
    (alone,) = next_calls([HumanMessage("Photo: 0123456789ab,")], frozenset({"commit_location"}))
    assert alone["args"]["undetermined"] is True


def call(name: str, call_id: str) -> Any:
    return {"name": name, "args": {}, "id": call_id, "type": "tool_call"}


def test_what_was_taken_away_is_nowhere_in_the_recipe() -> None:
    tools = ("read_text", "search_similar_photos", "verify_locations", "cluster_candidates")
    whole = find_recipe("agentic", has_model=True)
    for name in TAKEN["agentic"]:
        less = recipe_of(Variant("agentic", "strong", name), tools)
        assert name not in less.prime
        assert name not in less.tools
        assert less.prior is (name != "prior")
        assert (less.references is None) is (name == "references")
        assert (less.clustering is None) is (name == "clustering")
        assert less.verify is (name != "verify_locations")
        assert less.pick == whole.pick
    assert "cluster_candidates" not in recipe_of(Variant("agentic", "", "clustering"), tools).tools


def test_only_the_agentic_recipe_is_run_with_every_analyst() -> None:
    found = variants(("pipeline", "agentic", "g3", "continent"), ("strong", "wrong"), ablate=True)
    names = [one.name for one in found]
    assert len(names) == len(set(names))
    whole = {one.name for one in found if not one.without}
    assert whole == {"pipeline", "continent", "g3-strong", "agentic-strong", "agentic-wrong"}
    usual = variants(("g3", "agentic"), ("strong", "middling"), ablate=False)
    assert [one.name for one in usual] == ["agentic-strong", "agentic-middling", "g3-middling"]
    assert "pipeline-without-find_place" in names
    assert "agentic-strong-without-prior" in names  # of the analysts there are


@pytest.mark.parametrize(
    ("fixed", "broken", "worse"),
    [(0, 0, False), (0, 5, False), (0, 6, True), (1, 7, False), (3, 15, True), (6, 0, False)],
)
def test_harm_is_told_from_noise_as_the_exact_test_has_it(
    fixed: int, broken: int, worse: bool
) -> None:
    from scipy.stats import binomtest

    whole, less = np.ones(100), np.ones(100)
    less[:fixed] = 0
    whole[50 : 50 + broken] = 0
    found = difference(750.0, whole, less)
    assert found.points == fixed - broken
    assert found.worse is worse
    assert found.low <= found.points <= found.high
    if fixed + broken:
        p = binomtest(fixed, fixed + broken).pvalue
        assert worse is bool(p < 0.05 and broken > fixed)


def test_a_tool_is_taken_only_where_it_had_a_part() -> None:
    def said(*tools: str) -> RunRow:
        evidence = tuple(
            Evidence(tool=tool, kind="text", summary="", weight=0.5, group="g") for tool in tools
        )
        return RunRow(image_id="a", status="undetermined", evidence=evidence)

    def asked(without: str, *tools: str, number: int = CHECKED) -> bool:
        return acts(Variant("pipeline", without=without), said(*tools), number)

    assert asked("search_places")  # its absence may change anything
    assert not asked("read_text", "search_places")
    assert asked("read_text", "find_place")
    assert asked("look_up_clue", "find_place")
    assert not asked("find_place", "look_up_clue")
    assert not asked("reverse_geocode", "look_up_clue")
    assert asked("reverse_geocode", number=CHECKED - 1)  # some are checked all the same
    assert set(ACTS_BY) < {*TAKEN["pipeline"], *TAKEN["agentic"]}


@pytest.mark.parametrize("differ", [0, 9, 30])
def test_a_noticeable_loss_is_noticed_four_times_of_five(differ: int) -> None:
    photos, draws = 90, np.random.default_rng(differ)
    loss = noticeable(differ, photos)
    count = max(differ, 6)
    broken = draws.binomial(count, 0.5 + loss * photos / 200 / count, 2_000)
    worse = 0.0
    for n, share in zip(*np.unique(broken, return_counts=True), strict=True):
        whole, less = np.ones(photos), np.ones(photos)
        whole[:n], less[n:count] = 0, 0
        worse += difference(750.0, whole, less).worse * share / 2_000
    assert worse == pytest.approx(0.8, abs=0.04)


def test_parts_of_a_world_are_one_run() -> None:
    parts = [
        Run(
            manifest=RunManifest(recipe="r", dataset="d", photos=1, truths=(truth(name),)),
            rows={name: RunRow(image_id=name, status="undetermined")},
        )
        for name in "ab"
    ]
    whole = joined(parts)
    assert [t.image_id for t, _ in whole.pairs()] == ["a", "b"]
    assert (whole.manifest.photos, len(whole.rows)) == (2, 2)
    assert [t.image_id for t, _ in pooled({2: whole, 1: whole})] == ["1-a", "1-b", "2-a", "2-b"]


def test_a_pair_of_photos_is_compared_once() -> None:
    draws = np.random.default_rng(1)
    a, b = (extract_features(Image.fromarray(draws.integers(0, 255, (48, 48, 3), dtype=np.uint8)))
            for _ in range(2))  # fmt: skip
    pairs = RememberedPairs()
    assert pairs(a, b) is pairs(a, b)
    assert repr(pairs(a, b)) == repr(verify_pair(a, b))
    assert pairs(b, a) is not pairs(a, b)


def test_belief_is_judged_where_it_gave_no_answer_too() -> None:
    told = run(WHOLE, [0.0, 1.0, 3.0, 30.0, None])  # 0, 111, 333, 3,333 km
    found = judged(list(told.pairs()))
    assert (found.answered, found.right, found.held) == (80, (20, 60, 60), (50, 75, 75))
    wide = run(WHOLE, [0.0], km_50=2000.0)
    assert judged(list(wide.pairs())).answered == 0  # wider than a continent, and no country
    (row,) = wide.rows.values()
    assert narrow(row.model_copy(update={"countries": {"DE": 0.6}}))
    silent = RunRow(image_id="a", status="undetermined")
    assert voiced_row(silent) == silent  # without evidence there is no belief to judge
    heard = silent.model_copy(update={"evidence": (opinion("prior", "", *BERLIN),)})
    assert voiced_row(heard).latitude is not None


def run(variant: Variant, apart_deg: Sequence[float | None], km_50: float = 200.0) -> Run:
    """Return a run whose answers lie so many degrees north of the truth; None where none does."""
    truths = tuple(truth(str(number), 0.0, 10.0) for number in range(len(apart_deg)))
    radii = Radii(km_50=km_50, km_80=2 * km_50, km_95=4 * km_50)
    rows = {
        str(number): RunRow(image_id=str(number), status="undetermined")
        if away is None
        else RunRow(image_id=str(number), latitude=away, longitude=10.0, status="region",
                    radii=radii, stages={"final": ((away, 10.0),)})
        for number, away in enumerate(apart_deg)
    }  # fmt: skip
    manifest = RunManifest(recipe=variant.name, dataset="d", photos=len(truths), truths=truths)
    return Run(manifest=manifest, rows=rows)


def test_a_tool_that_does_harm_at_coarse_distances_is_missed_and_one_at_fine_ones_is_not() -> None:
    near, far = [0.001] * 20, [5.0] * 10 + [0.001] * 10  # 556 km
    harmless = {(WHOLE, 1): run(WHOLE, far), (LESS, 1): run(LESS, near)}
    (found,) = ablations_of(harmless)
    assert [d.km for d in found.differences] == [200.0, *COARSE_KM]
    assert found.differences[0].worse
    assert not found.missed
    silent: list[float | None] = [None] * 10
    harmful = {(WHOLE, 1): run(WHOLE, [*silent, *near[:10]]), (LESS, 1): run(LESS, near)}
    (found,) = ablations_of(harmful)
    assert found.missed  # an answer that is no longer given is one lost
    assert (found.silenced, found.differences[-1].broken) == (10, 10)
    assert [line.split()[-1] for line in ablation_table([found])[1:]] == ["MISS"]
    assert found.answers == -50


def test_figures_of_a_run() -> None:
    told = figures_of(run(WHOLE, [0.0, 1.0, 3.0, 30.0, None]))  # 0, 111, 333, 3,333 km
    assert [told[f"@{km}"] for km in (1, 25, 200, 750, 2500)] == [20, 20, 40, 60, 60]
    assert told["answered"] == 80
    assert (told["in 50 %"], told["in 80 %"], told["in 95 %"]) == (50, 75, 75)
    assert coverage_of(run(WHOLE, [None])) == {}


def test_a_world_is_what_its_seed_says(settlements: Settlements, tmp_path: Path) -> None:
    size = WorldSize(known=4, views=2, learned=2, learned_views=1, queries=5, side=64, signs=0.9)
    planet = Planet(3, side=64)

    def planned(seed: int) -> Any:
        return _planned(tmp_path, seed, size, planet, FakeGazetteer(settlements))

    world, again = planned(1), planned(1)
    assert world == again
    assert world != planned(2)
    kinds = [t.slices["place"] for t in world.truths]
    assert kinds == ["known"] * 3 + ["unseen"] * 2
    gallery = {(p.shot.latitude, p.shot.longitude) for p in world.gallery}
    for one in world.truths:
        assert ((one.latitude, one.longitude) in gallery) is (one.slices["place"] == "known")
    assert not {p.shot for p in world.gallery} & {p.shot for p in world.queries}
    signed = next(p for p in world.queries if p.words)
    plain = planet.see(signed.shot).photo
    assert (np.asarray(draw(planet, signed)) != plain).any(axis=2).mean() > 0.1


def test_a_photo_is_read_once(tmp_path: Path) -> None:
    line = TextLine(text="Steyr", confidence=0.9, box=Box(left=0, top=0, right=9, bottom=9))
    read: list[int] = []

    class Counting(TextReader):
        def __init__(self) -> None:
            pass

        def read(self, image: Image.Image) -> list[TextLine]:
            read.append(1)
            return [line]

    photo, path = Image.new("RGB", (32, 32), (9, 9, 9)), tmp_path / "texts.json"
    assert RememberingReader(path, Counting()).read(photo) == [line]
    assert RememberingReader(path, Counting()).read(photo) == [line]
    assert len(read) == 1
    RememberingReader(path, Counting()).read(Image.new("RGB", (32, 32), (8, 9, 9)))
    assert len(read) == 2
