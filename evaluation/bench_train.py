"""Bench of training on cached features beside running the frozen backbone at each step.

A random tower of ViT-B/32's size and heads of the published sizes: speed does not depend on what
the weights say. ViT-L/14, which the families were published on, is some fifteen times slower.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from encoders.backbones import Backbone
from encoders.base import check_coordinates
from evaluation.bench import Measurement
from index_builder.cached_features import CachedFeatures
from index_builder.feature_store import ArraySpec, FeatureStore
from index_builder.train_group import Group
from index_builder.train_heads import fresh_heads
from index_builder.train_loop import Course, Pace, make_optimizer, run_steps
from index_builder.train_settings import train_settings
from index_builder.train_state import LossLog, TrainState

FAMILIES = ("g3", "geoclip")
PHOTOS, STEPS, ENCODED = 4096, 6, 64
AT_ONCE = 32
TARGET = 50.0
TOWER = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}
"""ViT-B/32's image tower; captions, which a step could keep too, are left out of the count."""


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield photos a second with and without the cache, and their ratio; `data` is not used."""
    backbone = Backbone.from_config("vit-b-32-random", TOWER, device="cpu")
    frozen = _seconds_a_photo(backbone)
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            course = _course(family, backbone.width, Path(folder))
            cached = statistics.median(_step_times(course, Path(folder))) / course.batch
        ratio = (cached + frozen) / cached
        yield Measurement(
            f"training {family} on cached features",
            ratio,
            "x",
            f"{1 / cached:,.0f} photos/s cached, {1 / (cached + frozen):,.1f} with ViT-B/32 at "
            f"each step (tower alone {1 / frozen:,.1f}); {torch.get_num_threads()} threads",
            f">= {TARGET:.0f} x",
            ratio >= TARGET,
        )


def _seconds_a_photo(backbone: Backbone) -> float:
    """Return what the tower takes for a photo at its input size, at its best of two."""
    noise = np.random.default_rng(0).integers(0, 256, (ENCODED, 224, 224, 3), dtype=np.uint8)
    photos = [Image.fromarray(pixels) for pixels in noise]
    backbone.image_features(photos[:4])

    def encode() -> None:
        for start in range(0, ENCODED, AT_ONCE):
            backbone.image_features(photos[start : start + AT_ONCE])

    return min(_seconds(encode) for _ in range(2)) / ENCODED


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
    everything = np.arange(PHOTOS)
    return Course(
        settings, heads, features, everything, Group(), cpu, torch.float32, settings.batch
    )


def _step_times(course: Course, folder: Path) -> list[float]:
    """Return the seconds of each step after the first, as training does it: log, no stop."""
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


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
