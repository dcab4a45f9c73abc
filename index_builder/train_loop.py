"""The training loop: one step after the other, each a pure function of seed, step and weights.

The order of photos is a function of seed and epoch, dropout of seed and step, the learning rate
of the step: a run that was killed goes on from its checkpoint with the very numbers of one that
was not. Published defect repaired: G3 never shuffled its photos.
"""

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from encoders.heads import Batch, Heads
from geo.errors import GeolocationError
from index_builder.cached_features import CachedFeatures
from index_builder.feature_store import Rows
from index_builder.train_group import Group
from index_builder.train_progress import Clock, OnProgress
from index_builder.train_settings import TrainSettings
from index_builder.train_state import LossLog, TrainState

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class TrainingError(GeolocationError):
    """Training cannot go on: its loss is no number any more."""


@dataclass(frozen=True)
class Pace:
    """How often a checkpoint is written: after that many steps or seconds, whichever is first."""

    steps: int = 1_000
    seconds: float = 300.0


@dataclass
class Course:
    """What a loop works on."""

    settings: TrainSettings
    heads: Heads
    features: CachedFeatures
    training: Rows
    group: Group
    device: torch.device
    dtype: torch.dtype
    batch: int
    """Photos a step, of all processes together."""

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return len(self.training) // self.batch

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        total = self.steps_per_epoch * self.settings.epochs
        return min(total, self.settings.max_steps or total)

    def rows(self, step: int) -> Rows:
        """Return this process's share of a step's photos."""
        epoch, number = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.training))
        share = self.batch // self.group.size
        start = number * self.batch + self.group.rank * share
        return self.training[order[start : start + share]]


def make_optimizer(settings: TrainSettings, heads: Heads) -> torch.optim.Optimizer:
    """Return the optimiser of a family's heads."""
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(heads.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)


def run_steps(
    course: Course,
    optimizer: torch.optim.Optimizer,
    state: TrainState,
    log: LossLog | None,
    *,
    start: int,
    before: Mapping[str, float | int | str],
    pace: Pace,
    progress: OnProgress | None = None,
    asked_to_stop: Callable[[], bool] = lambda: False,
    writer: "SummaryWriter | None" = None,
) -> int:
    """Train from step `start` to the end, or until asked to stop; return the steps done.

    Checkpoints go to `state` and losses to `log`, where this process has one.

    Raises:
        TrainingError: a term of the loss, or a gradient, is not finite.
        UnavailableError: the disk is full.
    """
    course.heads.train()
    clock = Clock("training", course.steps, progress)
    clock.step(start, skipped=True)
    saved, saved_at = start, time.monotonic()
    with _reproducible(course.device):
        for step, batch in _batches(course, start):
            values, stop = _step(course, optimizer, step, batch, asked_to_stop())
            if log is not None:
                log.write(values)
            _show(writer, step, values)
            rate = clock.fresh * course.batch / max(time.monotonic() - clock.started, 1e-6)
            clock.step(note=f"loss {values['loss']:.4f}, {rate:,.0f} photos/s")
            done = step + 1
            due = done - saved >= pace.steps or time.monotonic() - saved_at >= pace.seconds
            if log is not None and (due or stop or done == course.steps):
                state.save(done, course.heads, optimizer, log.flush(), before)
                saved, saved_at = done, time.monotonic()
            if stop:
                return done
    return course.steps


def _step(
    course: Course, optimizer: torch.optim.Optimizer, step: int, batch: Batch, stop: bool
) -> tuple[dict[str, Any], bool]:
    """Do one step; return what the log says of it, and whether to stop after it."""
    settings, heads, group = course.settings, course.heads, course.group
    rate = settings.learning_rate(step, course.steps_per_epoch)
    for options in optimizer.param_groups:
        options["lr"] = rate
    half = course.dtype != torch.float32
    _seed(settings.seed, step, group.rank)
    with torch.autocast(course.device.type, course.dtype, enabled=half):
        embedded = heads(batch.to(course.device))
    gathered = group.gather({key: _single(rows) for key, rows in embedded.items()})
    _seed(settings.seed, step, -1)  # were anything random here, it is the same in all processes
    terms = heads.loss(gathered)
    loss = torch.stack(list(terms.values())).sum()
    values = {name: float(term.detach()) for name, term in terms.items()}
    _check_finite(step, values, "loss term")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    stop = group.average(heads.parameters(), stop)
    norm = _norm(heads, settings.clip_norm)
    if not math.isfinite(norm):
        norms = {n: float(p.grad.norm()) for n, p in heads.named_parameters() if p.grad is not None}
        _check_finite(step, norms, "gradient of")
    optimizer.step()
    line = {"step": step, "epoch": step // course.steps_per_epoch, "loss": float(loss.detach())}
    return {**line, "terms": values, "lr": rate, "gradient_norm": norm}, stop


def _batches(course: Course, start: int) -> Iterator[tuple[int, Batch]]:
    """Yield steps and this process's batches; the next is read while one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        ahead = None
        for step in range(start, course.steps):
            batch = _read(course, step) if ahead is None else ahead.result()
            if step + 1 < course.steps:
                ahead = pool.submit(_read, course, step + 1)
            yield step, batch


def _read(course: Course, step: int) -> Batch:
    return course.features.batch(course.rows(step))


def _single(rows: Tensor) -> Tensor:
    """Return half-precision rows in single precision, for losses subtract close numbers."""
    return rows.float() if rows.dtype in (torch.bfloat16, torch.float16) else rows


def _seed(seed: int, step: int, rank: int) -> None:
    digest = hashlib.sha256(f"{seed} {step} {rank}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:7], "big"))


def _norm(heads: Heads, most: float) -> float:
    gradients = [p.grad for p in heads.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if most and torch.isfinite(norm):
        nn.utils.clip_grads_with_norm_(heads.parameters(), most, norm)
    return float(norm)


def _check_finite(step: int, values: Mapping[str, float], what: str) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"{what} {name!r} is {value} at step {step}; the last checkpoint is kept: train "
                "again into another folder with a lower --lr, or with --clip-norm 1"
            )


def _show(writer: "SummaryWriter | None", step: int, values: Mapping[str, Any]) -> None:
    if writer is None:
        return
    scalars = {"loss": values["loss"], "lr": values["lr"], "gradient_norm": values["gradient_norm"]}
    for name, value in (scalars | {f"loss/{k}": v for k, v in values["terms"].items()}).items():
        writer.add_scalar(name, value, step)


@contextlib.contextmanager
def _reproducible(device: torch.device) -> Iterator[None]:
    """Leave the caller's random numbers alone, and choose kernels that repeat themselves."""
    gpus = [device] if device.type == "cuda" else []
    former = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=gpus):
        if gpus:
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(former)
