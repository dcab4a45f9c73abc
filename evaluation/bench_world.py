"""Do the families learn what their papers claim? One table, on a rendered planet.

`python -m evaluation.bench_world` trains every family small, on features of a small frozen
tower: untrained, trained, and without the part its paper argues for, on three planets. All
variants get the same steps, batch and learning rate. It shows whether a part does what it is
said to do where the truth is known; it says nothing of figures on real photos.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

import encoders
from encoders.backbones import Backbone
from evaluation import planet_families
from evaluation.planet_families import FAMILIES, Family
from evaluation.planet_features import Observed, observe
from evaluation.planet_report import Results, picture, table
from evaluation.planet_scores import Scores
from evaluation.planet_splits import SetName, Size
from evaluation.planet_tower import Progress, TowerRecipe, load_tower
from evaluation.planet_training import Budget
from geo.errors import GeolocationError, InputError
from geo.paths import home

FIRST_PLANET = 1
_SHARED = ("heads", "location", "location_attention", "fusion", "cell_search")


@dataclass(frozen=True)
class Plan:
    """What is run."""

    families: tuple[Family, ...] = FAMILIES
    seeds: tuple[int, ...] = tuple(range(FIRST_PLANET, FIRST_PLANET + 3))
    """Of planets, and of weights."""
    budget: Budget = field(default_factory=Budget)
    size: Size = field(default_factory=Size)
    tower: TowerRecipe = field(default_factory=TowerRecipe)

    def key(self, family: Family, variant: str, seed: int, tower: str) -> str:
        """Return a short name of everything that decides one variant's scores."""
        parts = [variant, seed, asdict(self.budget), asdict(self.size), tower]
        config = [dict(family.config), dict(family.ablation), family.learns]
        text = json.dumps([family.name, config, parts, _sources(family.name)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def run_plan(plan: Plan, work: Path, progress: Progress) -> Results:
    """Return the scores of every family, variant and seed; what `work` holds is not run again."""
    work.mkdir(parents=True, exist_ok=True)
    ledger = work / "results.jsonl"
    kept = _read(ledger)
    tower = load_tower(plan.tower, work, progress)
    results: dict[tuple[str, str, int], Scores] = {}
    for seed in plan.seeds:
        seen: dict[SetName, Observed] = {}
        for family in plan.families:
            for variant in ("tower", "untrained", "ablated", "trained"):
                if variant == "tower" and family.name == "cellcodes":
                    continue  # A plain tower knows no cells.
                key = plan.key(family, variant, seed, tower.fingerprint)
                if key not in kept:
                    if family.data not in seen:
                        seen[family.data] = observe(
                            family.data, seed, plan.size, tower, work, progress
                        )
                    kept[key] = _scores(plan, family, variant, seed, seen, tower, progress)
                    _append(ledger, key, (family.name, variant, seed), kept[key])
                results[family.name, variant, seed] = kept[key]
    return results


def _scores(
    plan: Plan,
    family: Family,
    variant: str,
    seed: int,
    seen: dict[SetName, Observed],
    tower: Backbone,
    progress: Progress,
) -> Scores:
    def told(step: int, steps: int, loss: float) -> None:
        progress(f"{family.name} {variant}, planet {seed}, loss {loss:.2f}", step, steps)

    widths = (tower.width, tower.token_width)
    started = time.perf_counter()
    data = seen[family.data]
    found = planet_families.run_variant(family, variant, seed, data, widths, plan.budget, told)
    return found | {"seconds": time.perf_counter() - started}


def _sources(family: str) -> str:
    """Return the digest of the code that decides a family's scores."""
    folder, here = Path(encoders.__file__).parent, Path(__file__).parent
    paths = [folder / f"{name}.py" for name in _SHARED] + [folder / "families" / f"{family}.py"]
    digest = hashlib.sha256()
    for path in paths + sorted(here.glob("planet*.py")):
        if path.stem != "planet_report":
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(ledger: Path) -> dict[str, Scores]:
    """Return scores by key; a line cut off by a kill is left out."""
    kept: dict[str, Scores] = {}
    if ledger.exists():
        for line in ledger.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
                kept[row["key"]] = row["scores"]
            except (ValueError, KeyError, TypeError):
                continue
    return kept


def _append(ledger: Path, key: str, of: tuple[str, str, int], scores: Scores) -> None:
    with ledger.open("a", encoding="utf-8") as file:
        file.write("\n" * bool(file.tell()) + json.dumps({"key": key, "of": of, "scores": scores}))


class ProgressLine:
    """One line on a terminal, rewritten; a line a stage and half a minute elsewhere."""

    def __init__(self) -> None:
        self._shown = ""
        self._at = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell that `done` of `total` are done."""
        stage, terminal = what.split(", loss")[0], sys.stderr.isatty()
        wait = 0.2 if terminal else 30.0
        if stage == self._shown and time.monotonic() - self._at < wait and done < total:
            return
        if not terminal and done == total and stage == self._shown:
            return
        self._shown, self._at = stage, time.monotonic()
        text = f"{what}: {done:,} of {total:,}"
        print(f"\r{text:<78}" if terminal else text, end="" if terminal else "\n", file=sys.stderr)


def preamble(plan: Plan, seconds: float) -> list[str]:
    """Return what a reader must know to judge the table."""
    budget, size = plan.budget, plan.size
    return [
        f"Rendered planets {', '.join(map(str, plan.seeds))}: mean ± standard deviation over them. "
        f"{seconds:,.0f} s of training and scoring.",
        f"Every variant: {budget.steps} steps of {budget.batch}, AdamW, learning rate "
        f"{budget.lr:g} chosen once on another planet; no variant is tuned.",
        f"Photos learned from: {size.views} each of {size.dense} places and of {size.twin_groups} "
        "groups of look-alikes; queries are other views, lights and seasons of them.",
        "aligned: best of all places' coordinates for a photo (within 1 km: @1). retrieved: place "
        "of the most similar known photo.",
        "unseen: places without photos. twin: look-alikes, each among its likes alone. changed: "
        "night, winter and winter night.",
        "cell@1: the best code is of the photo's own cell, 290 km wide; sparse regions have one "
        "photo a place or none, and tiles.",
        "G3: text and location have heads of their own over a frozen tower, so text cannot change "
        "aligned; and the tower never read the names in its captions.",
        "DualGeo's switch takes the fusion with patch tokens away together with the segments.",
        f"The tower ({plan.tower.width} wide, {plan.tower.layers} layers) learned captions of "
        "another planet: it plays CLIP's part and says nothing of CLIP's figures.",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench and print the table; returns the exit code."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    try:
        plan = _plan(options)
        results = run_plan(plan, options.work or home() / "bench-world", ProgressLine())
    except GeolocationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 3
    if sys.stderr.isatty():
        print(file=sys.stderr)
    lines = table(plan.families, results, preamble(plan, total_seconds(results)))
    print("\n".join(lines))
    if options.json:
        rows = [{"family": f, "variant": v, "seed": s, **r} for (f, v, s), r in results.items()]
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if options.picture:
        picture(lines).save(options.picture)
    return 0


def total_seconds(results: Results) -> float:
    """Return how long training and scoring took, whenever that was."""
    return sum(scores.get("seconds", 0.0) for scores in results.values())


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evaluation.bench_world")
    names = [family.name for family in FAMILIES]
    parser.add_argument("--families", nargs="+", choices=names, default=names)
    parser.add_argument("--seeds", type=int, default=3, help="how many planets")
    parser.add_argument("--first-seed", type=int, default=FIRST_PLANET)
    parser.add_argument("--steps", type=int, default=Budget.steps)
    parser.add_argument("--lr", type=float, default=Budget.lr)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, help="where towers, features and results are kept")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--picture", type=Path, help="draw the table to this PNG")
    return parser.parse_args(arguments)


def _plan(options: argparse.Namespace) -> Plan:
    if min(options.seeds, options.steps, options.threads) < 1 or not options.lr > 0:
        raise InputError("--seeds, --steps and --threads need 1 or more, --lr more than 0")
    if not 0 <= options.first_seed < TowerRecipe.planet - options.seeds:
        raise InputError(
            f"--first-seed {options.first_seed} is outside 0 to {TowerRecipe.planet}, the tower's "
            "planet; choose another"
        )
    return Plan(
        tuple(family for family in FAMILIES if family.name in options.families),
        tuple(range(options.first_seed, options.first_seed + options.seeds)),
        Budget(steps=options.steps, lr=options.lr),
    )


if __name__ == "__main__":
    sys.exit(main())
