"""What a calibration does to each recipe of the rendered worlds, cross-validated over their photos.

Belief of every photo is judged, also where it was too wide for an answer: whether its radii hold
what they state, and how many answers there are at what accuracy. Calibrated beliefs are of folds
that have not seen the photo.
"""

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.abstain import AnswerLoss
from agent.belief import REGION_KM, REGION_SHARE
from agent.calibration import Calibration
from evaluation.calibrate import believed_again, cross_validated
from evaluation.metrics import errors_km
from evaluation.recipe_world_tables import NOMINAL, aligned, title
from evaluation.recipe_world_variants import Variant
from evaluation.runs import Run, RunRow, Truth
from geo.gazetteer import Gazetteer

FOLDS = 3
KM = (25.0, 750.0, 2500.0)
POPULATION = 5_000
"""Of the smallest towns of the prior."""
Pairs = list[tuple[Truth, RunRow]]


@dataclass(frozen=True)
class Judged:
    """Belief over all photos of a recipe, percent.

    Attributes:
        answered: photos whose belief is narrow enough for an answer.
        right: of all photos, those with an answer within each of `KM`; haversine, <=.
        held: of all beliefs, those whose 50, 80 and 95 % radius holds the truth; WGS84, <=.
        radius_km: median 80 % radius.
    """

    answered: float
    right: tuple[float, ...]
    held: tuple[float, ...]
    radius_km: float


@dataclass(frozen=True)
class Calibrated:
    """A recipe before and after calibration."""

    before: Judged
    after: Judged
    photos: int


def pooled(runs: Mapping[int, Run]) -> Pairs:
    """Return the photos of all worlds, by seed; ids name the world, too."""
    return [
        (
            truth.model_copy(update={"image_id": f"{seed}-{truth.image_id}"}),
            row.model_copy(update={"image_id": f"{seed}-{row.image_id}"}),
        )
        for seed, run in sorted(runs.items())
        for truth, row in run.pairs()
    ]


def calibrated(recipe: str, pairs: Pairs, folder: Path) -> Calibrated:
    """Return what calibration does to a recipe's photos; what `folder` holds is not fitted again.

    Args:
        recipe: name of the recipe.
        pairs: truths and rows with their evidence.
        folder: of results.
    """
    said = [row.model_dump_json(exclude={"seconds"}) for _, row in pairs]
    path = (
        folder / f"{hashlib.sha256(json.dumps([recipe, _code(), said]).encode()).hexdigest()}.json"
    )
    if not path.exists():
        found = asdict(_calibrated(recipe, pairs))
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(found), encoding="utf-8")
        partial.replace(path)
    held = json.loads(path.read_text(encoding="utf-8"))
    before, after = (Judged(**held[name]) for name in ("before", "after"))
    return Calibrated(before, after, held["photos"])


def _calibrated(recipe: str, pairs: Pairs) -> Calibrated:
    with Gazetteer.open() as gazetteer:
        settlements = gazetteer.settlements(POPULATION)
    plain = Calibration(recipe=recipe, fitted_on="nothing", photos=1)
    voiced = [(truth, voiced_row(row)) for truth, row in pairs]
    silent = [row.latitude is None for _, row in pairs]
    before = [
        (truth, believed_again(row, settlements, plain) if quiet else row)
        for (truth, row), quiet in zip(voiced, silent, strict=True)
    ]
    rows = cross_validated(
        voiced, settlements, recipe=recipe, fitted_on="rendered worlds", folds=FOLDS
    )
    after = [(truth, row) for (truth, _), row in zip(voiced, rows, strict=True)]
    # A published rule's answer stands, however wide belief is; calibration changes its radii alone.
    return Calibrated(judged(before), judged(after), len(pairs))


def voiced_row(row: RunRow) -> RunRow:
    """Return a row that has a point for belief to replace, where there is evidence at all."""
    if row.latitude is not None or not any(item.weight > 0 for item in row.evidence):
        return row
    return row.model_copy(update={"latitude": 0.0, "longitude": 0.0})


def judged(pairs: Sequence[tuple[Truth, RunRow]]) -> Judged:
    """Return how honest and how narrow beliefs are; photos without evidence are misses."""
    held = [(t, row) for t, row in pairs if row.radii is not None and row.latitude is not None]
    points = np.array([(truth.latitude, truth.longitude) for truth, _ in held]).reshape(-1, 2)
    said = np.array([(row.latitude, row.longitude) for _, row in held], float).reshape(-1, 2)
    near, exact = (errors_km(points, said, d) for d in ("haversine", "wgs84"))
    told = np.array([narrow(row) for _, row in held], dtype=np.bool_)
    radii = np.array([_radii(row) for _, row in held]).reshape(-1, len(NOMINAL))
    share = 100 / max(len(pairs), 1)
    return Judged(
        float(told.sum() * share),
        tuple(float((told & (near <= km)).sum() * share) for km in KM),
        tuple((100 * (exact[:, None] <= radii).mean(axis=0)).tolist()) if held else (),
        float(statistics.median(radii[:, 1])) if held else 0.0,
    )


def _radii(row: RunRow) -> tuple[float, ...]:
    assert row.radii is not None
    return row.radii.km_50, row.radii.km_80, row.radii.km_95


def narrow(row: RunRow) -> bool:
    """Whether a row's belief is narrow enough for an answer, as `agent.belief.summarise` has it."""
    assert row.radii is not None
    top = max(row.countries.values(), default=0.0)
    located = row.radii.km_50 <= AnswerLoss().right_within_km
    return located or row.radii.km_80 <= REGION_KM or top >= REGION_SHARE


def calibration_table(found: Mapping[Variant, Calibrated]) -> list[str]:
    """Return a line for each recipe: before and after calibration."""
    columns = ["answered", *(f"@{km:g}" for km in KM), *(f"in {n} %" for n in NOMINAL)]
    rows = [["recipe", *columns, "80 % radius, km"]]
    for variant, one in found.items():
        pairs = zip(_cells(one.before), _cells(one.after), strict=True)
        rows.append([title(variant), *(f"{before} > {after}" for before, after in pairs)])
    return aligned(rows)


def _cells(one: Judged) -> list[str]:
    shares = [one.answered, *one.right, *one.held]
    return [*(f"{share:.0f}" for share in shares), f"{one.radius_km:,.0f}"]


def _code() -> str:
    """Return the digest of what decides a calibration."""
    root, digest = Path(__file__).parent.parent, hashlib.sha256()
    for name in ("evaluation/calibrate.py", "agent/calibration.py", "agent/belief.py",
                 "agent/belief_points.py", "agent/factors.py", "agent/mesh.py",
                 "evaluation/recipe_world_calibration.py"):  # fmt: skip
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def as_json(found: Mapping[Variant, Calibrated]) -> list[dict[str, Any]]:
    """Return every figure, for people and programs."""
    return [{**asdict(variant), **asdict(one)} for variant, one in found.items()]
