"""Runs as folders, made up but like real ones, for tests of what is shown of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from agent.answer import Radii
from evaluation.runs import ROWS, Point, RunManifest, RunRow, StageName, Truth, write_manifest

TOWNS = (
    ("FR", 48.8566, 2.3522), ("GB", 51.5074, -0.1278), ("US", 40.7128, -74.006),
    ("JP", 35.6762, 139.6503), ("BR", -23.5505, -46.6333), ("FJ", -17.7134, 178.065),
    ("AU", -33.8688, 151.2093), ("ZA", -33.9249, 18.4241),
)  # fmt: skip
PROTOCOL: dict[str, JsonValue] = {
    "pixels": "decoded and written anew without metadata",
    "file_names": "random letters towards model and tools",
    "overlays": "not looked for",
    "galleries": "none",
    "dataset": {"fingerprint": "0123456789abcdef", "photographers": 66},
}
SETTINGS: dict[str, JsonValue] = {
    "recipe": "agentic", "model": "tiny-vlm", "gallery": "/home/somebody/galleries/mp16",
    "budget": {"steps": 8, "seconds": 60.0},
}  # fmt: skip


def plain_id(number: int) -> str:
    return f"photo-{number:05d}.jpg"


def write_run(
    folder: Path,
    photos: int,
    *,
    reached: int | None = None,
    answered: float = 0.9,
    name: Callable[[int], str] = plain_id,
    dataset: str = "somewhere",
    recipe: str = "agentic",
    seed: int = 1,
    reason: str = "the photo cannot be read",
) -> Path:
    """Write a run over made-up photos around a few towns; the same seed gives the same run."""
    truths = _truths(photos, name)
    manifest = RunManifest(
        recipe=recipe, dataset=dataset, photos=photos, truths=truths,
        protocol=dict(PROTOCOL), settings=dict(SETTINGS),
    )  # fmt: skip
    write_manifest(folder, manifest)
    generator = np.random.default_rng(seed)
    rows = [
        _answer(truth, generator)
        if generator.random() < answered
        else RunRow(image_id=truth.image_id, status="failed", reason=reason)
        for truth in truths[:reached]
    ]
    lines = "".join(row.model_dump_json() + "\n" for row in rows)
    (folder / ROWS).write_text(lines, "utf-8")
    return folder


def _truths(photos: int, name: Callable[[int], str]) -> tuple[Truth, ...]:
    generator = np.random.default_rng(7)
    truths = []
    for number in range(photos):
        country, latitude, longitude = TOWNS[number % len(TOWNS)]
        north, east = generator.normal(0, 1.5, 2)
        truths.append(
            Truth(
                image_id=name(number),
                latitude=latitude + north,
                longitude=(longitude + east + 180) % 360 - 180,
                author=f"author-{number % max(1, photos // 6)}",
                slices={"country": country, "category": ("street", "sign")[number % 2]},
            )
        )
    return tuple(truths)


def _answer(truth: Truth, generator: np.random.Generator) -> RunRow:
    km = float(10 ** generator.uniform(-1, 4))
    final = _near(truth, km, generator)
    first = _near(truth, km * float(10 ** generator.uniform(-1.5, 1.5)), generator)
    spread = km * float(np.exp(generator.normal(0, 1)))
    stages: dict[StageName, tuple[Point, ...]] = {
        "retrieval": (first, final), "clustering": (final, first), "final": (final,),
    }  # fmt: skip
    return RunRow(
        image_id=truth.image_id,
        latitude=final[0],
        longitude=final[1],
        status="located" if km < 200 else "region",
        radii=Radii(km_50=spread, km_80=2 * spread, km_95=4 * spread),
        country=truth.slices["country"],
        place="Sometown",
        verbal_confidence=float(generator.choice([0.2, 0.4, 0.6, 0.8, 1.0])),
        seconds=1.5,
        tokens=900,
        stages=stages,
        trace_path=f"traces/{len(truth.image_id)}.jsonl",
    )


def _near(truth: Truth, km: float, generator: np.random.Generator) -> Point:
    """A point about so far away, kept off the poles."""
    bearing = generator.uniform(0, 2 * np.pi)
    degrees = min(km, 15_000) / 111.2
    latitude = float(np.clip(truth.latitude + degrees * np.cos(bearing) / 2, -85, 85))
    east = degrees * np.sin(bearing)
    return latitude, float((truth.longitude + east + 180) % 360 - 180)
