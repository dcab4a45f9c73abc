"""The bench of recipes at toy size: every recipe runs, and what is known is not run again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation import bench_recipes, recipe_world_runs
from evaluation.bench_recipes import QUICK, run_plan
from evaluation.recipe_world_tables import ablations_of, figures_of
from evaluation.recipe_world_variants import ALL_RECIPES, Variant
from evaluation.runs import Run

TOY = replace(QUICK, size=replace(QUICK.size, queries=5), ablate=False)


@pytest.mark.slow
def test_every_recipe_runs_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = run_plan(TOY, tmp_path, 1)
    assert {variant.recipe for variant, _ in runs} == set(ALL_RECIPES)
    for (variant, _), run in runs.items():
        assert run.complete
        assert not [row.reason for row in run.rows.values() if row.status == "failed"]
        told = figures_of(run)
        assert told["answered"] == 100 or variant.recipe in ("agentic", "pipeline",
                                                             "retrieval-only")  # fmt: skip
        assert {row["stage"] for row in told["ledger"]} >= {"retrieval", "final"}
        assert any(row.evidence for row in run.rows.values())
        assert ("simulated" in str(run.manifest.settings["model"])) is bool(variant.profile)
    assert not ablations_of(runs)

    (rows,) = tmp_path.glob("recipes/*/runs-*/pipeline-0/rows.jsonl")
    whole = rows.read_bytes()
    rows.write_bytes(whole[:-40])
    asked: list[str] = []
    honest = recipe_world_runs._row

    def counted(geolocator, recipe, truth, path):  # type: ignore[no-untyped-def]
        asked.append(truth.image_id)
        return honest(geolocator, recipe, truth, path)

    monkeypatch.setattr(recipe_world_runs, "_row", counted)
    again = run_plan(TOY, tmp_path, 1)
    assert asked == [TOY_LAST]
    key = Variant("pipeline"), 1
    assert _points(again[key]) == _points(runs[key])
    assert json.loads(rows.read_text(encoding="utf-8").splitlines()[-1])["image_id"] == TOY_LAST


TOY_LAST = f"query-{TOY.size.queries - 1:04d}"
"""Of the first part, which has every other photo."""


def _points(run: Run) -> list[tuple[float | None, float | None]]:
    return [(row.latitude, row.longitude) for _, row in run.pairs()]


@pytest.mark.parametrize("wrong", [["--seeds", "0"], ["--queries", "1"], ["--workers", "-1"]])
def test_impossible_plans_are_refused(
    wrong: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench_recipes.main([*wrong, "--work", str(tmp_path)]) == 2
    assert "error: --" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
