"""Bench of training on cached features beside running the frozen backbone at each step.

Random towers of published sizes, and heads of the published sizes over them: speed does not
depend on what the weights say. Decoding photos, which only the step without a cache would do
again, and captions are left out.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from encoders.backbones import Backbone
from encoders.base import check_coordinates
from encoders.families.geoclip import GeoCLIPHeads
from evaluation.bench import Measurement
from index_builder.cached_features import CachedFeatures
from index_builder.feature_store import ArraySpec, FeatureStore
from index_builder.train_group import Group
from index_builder.train_heads import fresh_heads
from index_builder.train_loop import Course, Pace, make_optimizer, run_steps
from index_builder.train_settings import train_settings
from index_builder.train_state import LossLog, TrainState

PHOTOS, ROUNDS, STEPS = 4096, 2, 2
TARGET = 50.0
_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}


@dataclass(frozen=True)
class _Tower:
    """An image tower of a published size, and how much of it is timed."""

    name: str
    width: int
    vision: dict[str, int]
    at_once: int


TOWERS = (
    _Tower(
        "ViT-B/32",
        512,
        {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
        32,
    ),
    _Tower(
        "ViT-L/14",
        768,
        {"image_size": 224, "layers": 24, "width": 1024, "patch_size": 14},
        2,
    ),
)
TARGETED = (("g3", "ViT-B/32"), ("g3", "ViT-L/14"), ("geoclip", "ViT-L/14"))
"""GeoCLIP encodes 4,096 remembered coordinates at each step, eight for each photo: beside a tower
smaller than the published one that is no small part of a step, and is reported without a target."""


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield photos a second with and without the cache, and their ratio; `data` is not used.

    Tower and heads take turns, and the best turn of each counts: what else the machine does
    slows either, never speeds it up.
    """
    for tower in TOWERS:
        config = {"embed_dim": tower.width, "vision_cfg": tower.vision, "text_cfg": _TEXT}
        backbone = Backbone.from_config(f"{tower.name} random", config, device="cpu")
        for family in ("g3", "geoclip"):
            yield _compared(family, tower, backbone)


def _compared(family: str, tower: _Tower, backbone: Backbone) -> Measurement:
    with tempfile.TemporaryDirectory() as folder:
        course = _course(family, tower.width, Path(folder))
        frozen, cached = [], []
        for _ in range(ROUNDS):
            frozen.append(_seconds_a_photo(backbone, tower.at_once))
            cached.append(min(_step_times(course, Path(folder))) / course.batch)
    one, other = min(cached), min(cached) + min(frozen)
    targeted = (family, tower.name) in TARGETED
    return Measurement(
        f"training {family} on cached features of {tower.name}",
        other / one,
        "x",
        f"{1 / one:,.0f} photos/s cached, {1 / other:,.2f} with the tower at each step; "
        f"{torch.get_num_threads()} threads",
        f">= {TARGET:.0f} x" if targeted else "",
        other / one >= TARGET if targeted else None,
    )


def _seconds_a_photo(backbone: Backbone, at_once: int) -> float:
    """Return what the tower takes for a photo of its input size, in batches of `at_once`."""
    noise = np.random.default_rng(0).integers(0, 256, (at_once, 224, 224, 3), dtype=np.uint8)
    photos = [Image.fromarray(pixels) for pixels in noise]
    started = time.perf_counter()
    backbone.image_features(photos)
    return (time.perf_counter() - started) / at_once


def _course(family: str, width: int, folder: Path) -> Course:
    """Return a family's published training over random features on disk."""
    settings = train_settings(family, held_out=0.0)
    generator = np.random.default_rng(1)
    keys = np.arange(PHOTOS, dtype=np.uint64)
    stores, rows = {}, {}
    for kind in ("photos", "captions"):
        arrays = {"pooled": ArraySpec((width,), "float32")}
        store = FeatureStore(folder / kind, arrays)
        store.append(keys.tolist(), {"pooled": generator.standard_normal((PHOTOS, width))})
        store.commit()
        stores[kind], rows[kind] = (folder / kind, arrays), store.rows_of(keys)
    points = generator.uniform((-80, -180), (80, 180), (PHOTOS, 2))
    features = CachedFeatures(check_coordinates(points), rows, stores)
    cpu = torch.device("cpu")
    heads = fresh_heads(settings, width, 1024)
    if isinstance(heads, GeoCLIPHeads):  # as it is after the first steps
        heads.queue.copy_(torch.from_numpy(points[: len(heads.queue)]))
        heads.queue_next[1] = len(heads.queue)
    everything = np.arange(PHOTOS)
    return Course(
        settings, heads, features, everything, Group(), cpu, torch.float32, settings.batch
    )


def _step_times(course: Course, folder: Path) -> list[float]:
    """Return the seconds of each step after the first, read, logged and all."""
    course.settings = course.settings.model_copy(update={"max_steps": STEPS + 1})
    moments: list[float] = []
    log = LossLog(folder / "loss.jsonl")
    run_steps(
        course,
        make_optimizer(course.settings, course.heads),
        TrainState(folder / "state"),
        log,
        start=0,
        before={},
        pace=Pace(steps=10**9, seconds=1e9),
        progress=lambda _: moments.append(time.perf_counter()),
    )
    log.close()
    return list(np.diff(moments)[1:])
