"""The full loop with each recipe on a rendered world: accuracy, ledger, coverage, and ablations.

`python -m evaluation.bench_recipes` draws worlds whose truth is known (`evaluation.recipe_world`),
trains small encoders of every family on them, builds galleries, and has the real Geolocator locate
every query by every recipe, three worlds over. Where a recipe asks a chat model, a simulated
analyst of a stated accuracy answers: no figure here is one of a real model, or of real photos.

Then `pipeline` and `agentic` go without one tool after the other. The exit code is 1 where a tool
makes accuracy at 750 or 2500 km worse by more than noise.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from evaluation.bench_world import ProgressLine
from evaluation.planet_report import picture
from evaluation.planet_tower import TowerRecipe, load_tower
from evaluation.planet_training import Budget
from evaluation.recipe_world import RECIPE_WORLD_VERSION, RecipeWorld, WorldSize, make_world
from evaluation.recipe_world_analyst import EDGES_KM, PROFILES
from evaluation.recipe_world_calibration import (
    Calibrated,
    as_json,
    calibrated,
    calibration_table,
    pooled,
)
from evaluation.recipe_world_encoders import Galleries, make_galleries
from evaluation.recipe_world_runs import (
    KeptGazetteer,
    Opened,
    RememberingReader,
    joined,
    reader_digest,
    run_variant,
)
from evaluation.recipe_world_tables import (
    LEDGER_KM,
    POWER,
    Ablation,
    Runs,
    ablation_table,
    ablations_of,
    accuracy_table,
    figures_of,
    ledger_table,
)
from evaluation.recipe_world_variants import (
    ALL_PROFILES,
    ALL_RECIPES,
    Variant,
    ablated_profile,
    variants,
)
from evaluation.runs import Run
from geo.errors import GeolocationError, InputError
from geo.paths import home

FIRST_SEED = 1
PARTS = 2
"""Of a world's queries, each run by a process of its own: three worlds keep two cores busy."""
ROOMS = ("agent", "tools", "index_builder", "encoders", "geo", "prompts")


@dataclass(frozen=True)
class Plan:
    """What is run."""

    seeds: tuple[int, ...] = tuple(range(FIRST_SEED, FIRST_SEED + 3))
    recipes: tuple[str, ...] = ALL_RECIPES
    profiles: tuple[str, ...] = ALL_PROFILES
    ablate: bool = True
    size: WorldSize = field(default_factory=WorldSize)
    tower: TowerRecipe = field(default_factory=TowerRecipe)
    budget: Budget = field(default_factory=Budget)

    @property
    def variants(self) -> list[Variant]:
        """Everything that the queries of each world go through."""
        return variants(self.recipes, self.profiles, ablate=self.ablate)

    def world_key(self) -> str:
        """Return a short name of what decides worlds, encoders and galleries."""
        parts = [RECIPE_WORLD_VERSION, asdict(self.size), self.tower.identity()]
        code = _code(("encoders", "index_builder")), _code(("evaluation",), "planet*.py")
        return _short([*parts, asdict(self.budget), *code])

    def runs_key(self) -> str:
        """Return a short name of what decides the answers, but for the world's."""
        return _short([_code(ROOMS), _code(("evaluation",), "recipe_world*.py"), _stages()])


def run_plan(plan: Plan, work: Path, workers: int) -> Runs:
    """Return the runs of every variant on every world; what `work` holds is not run again.

    Args:
        plan: what is run.
        work: where tower, worlds and runs are kept.
        workers: processes; 1 stays in this one.
    """
    work.mkdir(parents=True, exist_ok=True)
    load_tower(plan.tower, work, ProgressLine())  # once, before several ask for it
    if workers == 1:
        made = {(s, n): run_part(plan, s, n, work) for s in plan.seeds for n in range(PARTS)}
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            list(pool.map(make_one, *zip(*((plan, s, work) for s in plan.seeds), strict=True)))
            asked = [(seed, number) for seed in plan.seeds for number in range(PARTS)]
            jobs = [pool.submit(run_part, plan, *which, work) for which in asked]
            made = {which: job.result() for which, job in zip(asked, jobs, strict=True)}
    return {
        (variant, seed): joined([made[seed, number][variant] for number in range(PARTS)])
        for variant in plan.variants
        for seed in plan.seeds
    }


def make_one(plan: Plan, seed: int, work: Path) -> tuple[RecipeWorld, Galleries]:
    """Return a world with its encoders and galleries, made where they are missing."""
    import torch

    torch.set_num_threads(1)  # a world has a core
    progress = ProgressLine()
    folder = work / "recipes" / f"world-{seed}-{plan.world_key()}"
    world = make_world(folder, seed, plan.size, KeptGazetteer.open(), progress)
    tower = load_tower(plan.tower, work, progress)
    return world, make_galleries(world, tower, plan.budget, progress)


def run_part(plan: Plan, seed: int, number: int, work: Path) -> dict[Variant, Run]:
    """Return the runs of every variant on a part of one world's queries: every other one."""
    from tools.read_text import shared_reader

    world, made = make_one(plan, seed, work)
    made = _own(made, world.folder / f"part-{number}")
    reader = RememberingReader(
        world.folder / f"texts-{reader_digest()}-{number}.json", shared_reader()
    )
    key, runs, progress = plan.runs_key(), dict[Variant, Run](), ProgressLine()
    with ExitStack() as stack:
        home_of = world.folder / f"home-{number}"
        opened = Opened(world, made, KeptGazetteer.open(), reader, stack, home_of)
        for variant in plan.variants:
            folder = world.folder / f"runs-{key}" / f"{variant.name}-{number}"
            whole = runs.get(variant.whole) if variant.without else None
            runs[variant] = run_variant(
                opened, variant, folder, key, progress,
                part=slice(number, None, PARTS), whole=whole,
            )  # fmt: skip
    return runs


def _own(made: Galleries, folder: Path) -> Galleries:
    """Return the galleries as copies: a gallery is open in one process at a time."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, gallery in made.galleries.items():
        shutil.copytree(gallery, folder / name)
    return replace(made, galleries={name: folder / name for name in made.galleries})


def calibrate_all(plan: Plan, runs: Runs, work: Path, workers: int) -> dict[Variant, Calibrated]:
    """Return what calibration does to every recipe, over the photos of all worlds."""
    whole = [variant for variant in plan.variants if not variant.without]
    pairs = [pooled({seed: runs[variant, seed] for seed in plan.seeds}) for variant in whole]
    folders = [work / "recipes" / "calibrated"] * len(whole)
    names = [variant.name for variant in whole]
    if workers == 1:
        return dict(zip(whole, map(calibrated, names, pairs, folders), strict=True))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return dict(zip(whole, pool.map(calibrated, names, pairs, folders), strict=True))


def lines_of(
    plan: Plan,
    runs: Runs,
    figures: Any,
    calibrations: Mapping[Variant, Calibrated],
    ablations: Sequence[Ablation],
) -> list[str]:
    """Return all that is printed."""
    lines = [*preamble(plan, runs), "", *accuracy_table(figures), ""]
    lines += [f"Ledger at {LEDGER_KM:g} km, fixed and broken in photos of all worlds", ""]
    lines += ledger_table(figures)
    if calibrations:
        lines += ["", *CALIBRATION_PREAMBLE, "", *calibration_table(calibrations)]
    if ablations:
        lines += ["", *ablation_preamble(plan), "", *ablation_table(ablations)]
    return lines


def preamble(plan: Plan, runs: Runs) -> list[str]:
    """Return what a reader must know to judge the tables."""
    size = plan.size
    photos = sum(len(run.manifest.truths) for run in runs.values()) // max(len(plan.variants), 1)
    rows = [
        f"{one.name} {' / '.join(f'{100 * share:g}' for share in one.within)}"
        for one in PROFILES.values()
        if one.name in plan.profiles
    ]
    return [
        f"Rendered worlds {', '.join(map(str, plan.seeds))}: {photos} photos, "
        f"{size.known_share:.0%} of places in the gallery, the others of towns never seen; mean ± "
        "standard deviation over worlds. Haversine, <=.",
        "The chat model is a SIMULATED analyst that is told the truth and errs as stated: these "
        "are no figures of a real model, nor of real photos.",
        f"Simulated first guesses within {' / '.join(f'{km:g}' for km in EDGES_KM[1:6])} km in %: "
        f"{'; '.join(rows)}.",
        f"{size.signs:.0%} of the photos carry a sign, {size.misleading:.0%} of which are of "
        "another country. Undetermined counts as a miss.",
        "in 50 / 80 / 95 %: how often that radius holds the truth, of the answers, uncalibrated.",
        "DualGeo goes without segmentation and cell codes without aerial tiles here; all encoders "
        "are trained small, and count as unmeasured.",
    ]


def ablation_preamble(plan: Plan) -> list[str]:
    """Return what a reader must know to judge the ablations."""
    return [
        "With a tool minus without it, in points, paired over photos and worlds; 95 % interval of "
        f"McNemar's exact test. agentic: simulated {ablated_profile(plan.profiles)}.",
        f"noticed: a true loss so large would be told from noise {POWER:.0%} of times, as many "
        "photos differing. answers: points more answered with it.",
        "silenced: of the broken, those that have no answer with the tool. MISS: it makes accuracy "
        "at 750 or 2500 km worse by more than noise (of tools without effect, one in 20 may).",
    ]


CALIBRATION_PREAMBLE = (
    "Before > after a calibration, cross-validated by photo over all worlds: answers, and of them "
    "right within so many km, in % of all photos;",
    "how often the 50, 80 and 95 % radii hold the truth, of the beliefs of all photos, also those "
    "too wide for an answer. The point is belief's own after calibration.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench and print the tables; returns the exit code."""
    options = _options(arguments)
    try:
        plan = _plan(options)
        started = time.monotonic()
        work = options.work or home() / "bench-world"
        runs = run_plan(plan, work, options.workers)
        calibrations = {} if options.quick else calibrate_all(plan, runs, work, options.workers)
    except GeolocationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 3
    if sys.stderr.isatty():
        print(file=sys.stderr)
    figures = {key: figures_of(run) for key, run in runs.items()}
    ablations = ablations_of(runs)
    lines = lines_of(plan, runs, figures, calibrations, ablations)
    print("\n".join([*lines, "", f"{time.monotonic() - started:,.0f} s, what was kept left out."]))
    if options.json:
        options.json.write_text(json.dumps(_as_json(figures, calibrations, ablations), indent=1))
    if options.picture:
        picture(lines).save(options.picture)
    return 1 if any(one.missed for one in ablations) else 0


def _as_json(
    figures: Any, calibrations: Mapping[Variant, Calibrated], ablations: Sequence[Ablation]
) -> dict[str, Any]:
    rows = [{**asdict(v), "world": seed, **told} for (v, seed), told in figures.items()]
    taken = [{**asdict(one), "missed": one.missed} for one in ablations]
    learned = as_json(calibrations)
    return {"simulated": True, "runs": rows, "calibrated": learned, "ablations": taken}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evaluation.bench_recipes")
    parser.add_argument("--recipes", nargs="+", choices=ALL_RECIPES, default=list(ALL_RECIPES))
    parser.add_argument("--analysts", nargs="+", choices=ALL_PROFILES, default=list(ALL_PROFILES))
    parser.add_argument("--seeds", type=int, default=3, help="how many worlds")
    parser.add_argument("--queries", type=int, default=WorldSize.queries, help="photos of a world")
    parser.add_argument("--no-ablations", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a toy: one world, a dozen photos")
    parser.add_argument("--workers", type=int, default=min(3, os.cpu_count() or 1))
    parser.add_argument("--work", type=Path, help="where tower, worlds and runs are kept")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--picture", type=Path, help="draw the tables to this PNG")
    return parser.parse_args(arguments)


QUICK = Plan(
    seeds=(FIRST_SEED,),
    profiles=("middling",),
    size=WorldSize(known=10, views=2, learned=4, learned_views=1, queries=12, side=96),
    tower=TowerRecipe(photos=64, steps=4, batch=32, layers=2),
    budget=Budget(steps=4, batch=16),
)
"""Shows that it runs, and nothing else."""


def _plan(options: argparse.Namespace) -> Plan:
    if min(options.seeds, options.workers) < 1 or options.queries < 2:
        raise InputError("--seeds and --workers need 1 or more, --queries 2 or more")
    if options.quick:
        return QUICK
    return Plan(
        tuple(range(FIRST_SEED, FIRST_SEED + options.seeds)),
        tuple(name for name in ALL_RECIPES if name in options.recipes),
        tuple(name for name in ALL_PROFILES if name in options.analysts),
        ablate=not options.no_ablations,
        size=WorldSize(queries=options.queries),
    )


def _code(rooms: Sequence[str], pattern: str = "**/*") -> str:
    """Return the digest of the code and prompts of some rooms."""
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted((Path(__file__).parent.parent / room).glob(pattern)):
            if path.suffix in (".py", ".md"):
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _stages() -> str:
    return _code(("evaluation",), "stages.py") + _code(("evaluation",), "runs.py")


def _short(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
