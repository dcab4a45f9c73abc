"""The bench of families on a rendered planet, at toy size: whole, resumable, and able to fail."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evaluation import bench_world, planet_families
from evaluation.bench_world import Plan, preamble, run_plan
from evaluation.planet import Planet
from evaluation.planet_families import FAMILIES
from evaluation.planet_report import Results, claim_lines, picture, spread, table, verdict
from evaluation.planet_scores import apart_km
from evaluation.planet_splits import Size, split_any, split_summer
from evaluation.planet_tower import TowerRecipe
from evaluation.planet_training import Budget
from geo.sphere import haversine_km

SEED = 2
_TOY_SIZES = {
    "geoclip": {"hidden": 64, "features": 32, "queue": 0},
    "g3": {"hidden": 64, "features": 32},
    "transgeoclip": {
        **{"location_width": 32, "features": 16, "model_width": 32, "attention_heads": 2},
        **{"layers": 1, "feedforward": 32, "anchors": 8},
    },
    "dualgeo": {"hidden": 64, "features": 32},
    "cellcodes": {"width": 64},
}
TOY = Plan(
    families=tuple(replace(f, config={**f.config, **_TOY_SIZES[f.name]}) for f in FAMILIES),
    seeds=(SEED,),
    budget=Budget(steps=80, batch=64, lr=3e-3),
    size=Size(dense=8, twin_groups=2, sparse=3, unseen=3, views=20, queries=6),
    tower=TowerRecipe(photos=64, steps=4, batch=32, layers=2),
)


def _silent(what: str, done: int, total: int) -> None:
    assert 0 < done <= total, what


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    work = tmp_path_factory.mktemp("bench-world")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    results = run_plan(TOY, work, _silent)
    torch.set_num_threads(threads)
    return work, results


@pytest.mark.slow
def test_every_family_runs_in_every_variant(ran: tuple[Path, Results]) -> None:
    _, results = ran
    for family in TOY.families:
        wanted = {"untrained", "ablated", "trained"}
        wanted |= {"tower"} if family.name != "cellcodes" else set()
        assert {v for f, v, _ in results if f == family.name} == wanted
        trained = results[family.name, "trained", SEED]
        assert set(family.figures) <= set(trained)
        assert all(0 <= trained[f] <= 100 for f in family.figures if f.endswith("%"))
        assert {claim.figure for claim in family.claims} <= set(trained)


@pytest.mark.slow
def test_training_beats_no_training(ran: tuple[Path, Results]) -> None:
    _, results = ran
    figure = "aligned @1 %"
    trained, untrained = (results["geoclip", v, SEED][figure] for v in ("trained", "untrained"))
    assert trained > untrained + 15


@pytest.mark.slow
def test_what_is_known_is_not_run_again(
    ran: tuple[Path, Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    work, results = ran
    ledger = work / "results.jsonl"
    lines = ledger.read_text(encoding="utf-8").splitlines()
    ledger.write_text("\n".join([*lines[:-1], lines[-1][:20]]), encoding="utf-8")
    again: list[tuple[str, str]] = []
    honest = planet_families.run_variant

    def counted(family, variant, *rest):  # type: ignore[no-untyped-def]
        again.append((family.name, variant))
        return honest(family, variant, *rest)

    monkeypatch.setattr(planet_families, "run_variant", counted)
    redone = run_plan(TOY, work, _silent)
    last = json.loads(lines[-1])["of"]
    assert again == [(last[0], last[1])]
    for key, scores in results.items():
        assert {k: v for k, v in redone[key].items() if k != "seconds"} == pytest.approx(
            {k: v for k, v in scores.items() if k != "seconds"}
        )


@pytest.mark.slow
def test_the_table_says_what_it_rests_on(ran: tuple[Path, Results]) -> None:
    lines = table(TOY.families, ran[1], preamble(TOY, 1.0))
    text = "\n".join(lines)
    assert all(family.name in lines for family in TOY.families)
    assert "80 steps of 64" in text
    assert "says nothing of CLIP's figures" in text
    assert text.count("claim:") == sum(len(family.claims) for family in TOY.families)
    assert picture(lines).height > 22 * len(lines)


def test_a_claim_is_judged_by_its_seeds() -> None:
    family = TOY.families[0]
    figure = family.claims[0].figure
    results = {
        (family.name, variant, seed): {figure: 10.0 * seed + gain}
        for seed in (1, 2, 3)
        for variant, gain in (("ablated", 0.0), ("trained", -3.0 - 0.1 * seed))
    }
    assert "-3.2 ±0.1 points, for it 0 of 3 seeds; the opposite shows" in "".join(
        claim_lines(family, results)
    )
    assert verdict([3.0, 2.0, 2.5]) == "shows"
    assert verdict([3.0, -2.0, 2.5]) == "does not show"
    assert verdict([0.7, 1.3, 2.6]) == "does not show"  # 2.7 times its own error, 2.9 are needed
    assert verdict([3.0]) == "one seed decides nothing"
    assert spread([1.0, 3.0]) == "2.0 ±1.4"


def test_no_query_is_learned_from() -> None:
    planet = Planet(1)
    for split in (split_any(planet, TOY.size), split_summer(planet, TOY.size)):
        shots = {
            kind: {(s.latitude, s.longitude, s.view) for g in split.groups for s in g.shots
                   if g.name.startswith(kind)}
            for kind in ("train", "query", "calibrate")
        }  # fmt: skip
        assert not shots["train"] & (shots["query"] | shots["calibrate"])
        for group in split.groups:
            where = split.places[group.places].tolist()
            assert where == [[s.latitude, s.longitude] for s in group.shots]


def test_distances_are_those_of_the_sphere() -> None:
    points = torch.tensor([[0.0, 179.0], [89.0, 0.0], [-12.5, 40.0]], dtype=torch.float64)
    others = torch.tensor([[0.0, -179.0], [89.0, 180.0], [48.0, -70.0]], dtype=torch.float64)
    known = [haversine_km(*a, *b) for a, b in zip(points.tolist(), others.tolist(), strict=True)]
    assert apart_km(points, others).tolist() == pytest.approx(known, rel=1e-6)


@pytest.mark.parametrize(
    "wrong", [["--seeds", "0"], ["--lr", "nan"], ["--first-seed", "899"], ["--steps", "-1"]]
)
def test_impossible_plans_are_refused(
    wrong: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench_world.main([*wrong, "--work", str(tmp_path)]) == 2
    assert "error: --" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
