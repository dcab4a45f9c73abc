"""Training a family's heads: photos to features once, features to heads, heads to an encoder.

A run lives in its output folder and can be killed at any moment; the same call goes on with it.
Under torchrun every process calls `train_family`, and the first one alone writes.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import JsonValue

from encoders.heads import Heads
from encoders.photo_file import printable
from encoders.saved import HEADS_FILE, TOWER_FILE, save_encoder
from encoders.saved_card import CARD_FILE, read_card
from encoders.torch_setup import choose_device, choose_precision
from geo.errors import GeolocationError, InputError
from index_builder.feature_store import lock_folder
from index_builder.files import write_atomically
from index_builder.records import Rejected
from index_builder.train_group import Group, node_rank
from index_builder.train_heads import check_processes, fresh_heads, set_cells, set_codes
from index_builder.train_loop import Course, make_optimizer, run_steps
from index_builder.train_material import Material, Options, prepare_material
from index_builder.train_settings import TrainSettings
from index_builder.train_state import LOSS_FILE, Checkpoint, LossLog, TrainState
from index_builder.train_validation import split_rows, validate

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

    from encoders.backbones import Backbone

TRAINING, REJECTS = "training", "rejects.jsonl"
_PARTS = {TRAINING, REJECTS, CARD_FILE, HEADS_FILE, TOWER_FILE}
Numbers = dict[str, float | int | str]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainReport:
    """What a training did."""

    path: Path
    finished: bool
    """False where it was asked to stop; the same call goes on."""
    steps: int
    total: int
    photos: int
    rejected: tuple[Rejected, ...] = ()
    before: Numbers = field(default_factory=dict)
    after: Numbers = field(default_factory=dict)
    first: bool = True
    """Whether this process is the one that writes and speaks."""


def train_family(
    settings: TrainSettings,
    data: Path,
    out: Path,
    load_backbone: "Callable[[], Backbone]",
    options: Options,
) -> TrainReport:
    """Train a family on geotagged photos and write the encoder into `out`.

    Args:
        settings: family and schedule; see `train_settings`.
        data: CSV or folder, see `read_examples`.
        out: new, empty, or of the same training, which then goes on.
        load_backbone: gives the frozen towers; called in the first process alone.
        options: what changes no number.

    Raises:
        InputError: data, folder or settings cannot be used, or `out` is of another training.
        UnavailableError: weights or a device are missing, the disk is full, or another process
            trains in `out`.
        TrainingError: the loss is not finite.
    """
    group = Group()
    device = _own_device(options.device)
    group.join(device)
    lock = None
    try:
        _shared(group, lambda: _check_out(out))
        backbone: list[Backbone] = []

        def prepare() -> Material:
            backbone.append(load_backbone())
            return prepare_material(settings, data, backbone[0], options)

        material = _shared(group, prepare)
        if group.first:
            lock = lock_folder(out / TRAINING, "checkpoints of a training in")
        return _Training(settings, out, material, options, group, device).run(backbone)
    finally:
        if lock is not None:
            lock.release()
        group.leave()


class _Training:
    """One run of `train_family` after its material is there."""

    def __init__(
        self,
        settings: TrainSettings,
        out: Path,
        material: Material,
        options: Options,
        group: Group,
        device: torch.device,
    ) -> None:
        self.settings, self.out, self.material = settings, out, material
        self.options, self.group = options, group
        self.state = TrainState(out / TRAINING)
        features = material.features
        self.training, self.held_out = split_rows(
            features.points, settings.held_out, settings.split, settings.seed
        )
        heads = fresh_heads(settings, material.width, material.token_width)
        set_cells(heads, features, self.training, settings.seed)
        batch = min(settings.batch, len(self.training))
        check_processes(heads, group.size, batch)
        dtype = choose_precision(device, settings.precision)
        self.course = Course(
            settings, heads.to(device), features, self.training, group, device, dtype, batch
        )

    def run(self, backbone: "list[Backbone]") -> TrainReport:
        """Start or go on, to the end."""
        found = _shared(self.group, self._former)
        if isinstance(found, dict):
            return self._report(self.course.steps, found["before"], found["after"])
        optimizer = make_optimizer(self.settings, self.course.heads)
        start, before, log_bytes = 0, {}, 0
        if found is not None:
            self.state.load(found, self.course.heads, optimizer)
            start, before, log_bytes = found.step, found.before, found.log_bytes
        else:
            before = _shared(self.group, self._validate)
        done = self._steps(optimizer, start, before, log_bytes)
        if done < self.course.steps:
            return self._report(done, before)

        def finish() -> Numbers:
            numbers = self._validate()
            self._save(backbone[0], before, numbers)
            return numbers

        # Nobody leaves before the encoder is written.
        return self._report(done, before, _shared(self.group, finish))

    def _former(self) -> Checkpoint | dict[str, Numbers] | None:
        """Return where to go on, or the numbers of a training that is finished; first alone."""
        identity = self._identity()
        self.state.check(identity, self._machine())
        rejects = [{"name": r.name, "reason": r.reason} for r in self.material.rejected]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in rejects)
        write_atomically(self.out / REJECTS, text.encode())
        found = self.state.read()
        if found is None and (self.out / CARD_FILE).exists():
            made_by = read_card(self.out).made_by
            return {"before": made_by["before"], "after": made_by["after"]}
        return found

    def _identity(self) -> dict[str, Any]:
        """Return all that the loss curve depends on; another one is another training."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "config": self.course.heads.config.model_dump(mode="json"),
            "backbone": self.material.backbone,
            "data": {"photos": len(self.material.features), "sha256": self.material.digest},
            "precision": str(self.course.dtype).removeprefix("torch."),
        }

    def _machine(self) -> dict[str, JsonValue]:
        """Return what may change the last bits of a loss curve."""
        return {
            "torch": torch.__version__,
            "device": self.course.device.type,
            "threads": torch.get_num_threads(),
            "processes": self.group.size,
        }

    def _validate(self) -> Numbers:
        return validate(self.course.heads, self.material.features, self.training, self.held_out)

    def _steps(
        self, optimizer: torch.optim.Optimizer, start: int, before: Numbers, log_bytes: int
    ) -> int:
        log = LossLog(self.out / TRAINING / LOSS_FILE, log_bytes) if self.group.first else None
        wanted = self.options.tensorboard and self.group.first
        writer = _tensorboard(self.out / TRAINING / "tensorboard", start) if wanted else None
        try:
            return run_steps(
                self.course,
                optimizer,
                self.state,
                log,
                start=start,
                before=before,
                pace=self.options.pace,
                progress=self.options.progress if self.group.first else None,
                asked_to_stop=self.options.asked_to_stop,
                writer=writer,
            )
        finally:
            if log is not None:
                log.close()
            if writer is not None:
                writer.close()

    def _save(self, backbone: "Backbone", before: Numbers, after: Numbers) -> None:
        heads: Heads = self.course.heads
        set_codes(heads.eval(), self.material.features, self.held_out)
        made_by = {**self._identity(), **self._machine(), "before": before, "after": after}
        save_encoder(self.out, heads, backbone, made_by=made_by)
        self.state.clear()

    def _report(self, steps: int, before: Numbers, after: Numbers | None = None) -> TrainReport:
        return TrainReport(
            self.out,
            after is not None,
            steps,
            self.course.steps,
            len(self.material.features),
            self.material.rejected,
            before,
            after or {},
            self.group.first,
        )


def _own_device(name: str) -> torch.device:
    device = choose_device(name)
    if name == "auto" and device.type == "cuda":
        device = torch.device("cuda", node_rank())
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _shared(group: Group, make: Callable[[], Any]) -> Any:
    """Return what `make` gives in the first process; its errors are raised in all."""
    result: Any = None
    if group.first:
        try:
            result = make()
        except GeolocationError as error:
            if group.size == 1:
                raise
            result = error
    result = group.share(result)
    if isinstance(result, GeolocationError):
        raise result
    return result


def _check_out(out: Path) -> None:
    """Refuse a folder that is not of a training."""
    shown = repr(printable(str(out)))
    if out.exists() and not out.is_dir():
        raise InputError(f"{shown} is a file; choose a folder for the encoder")
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    if names and TRAINING not in names:
        what = "another encoder" if CARD_FILE in names else "other files"
        raise InputError(f"{shown} holds {what}; choose a new or an empty folder")


def _tensorboard(folder: Path, start: int) -> "SummaryWriter | None":
    """Return a writer of TensorBoard logs that drops what came after step `start`."""
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        _log.warning("no TensorBoard logs: run pip install 'graticule[train]' to have them")
        return None
    return SummaryWriter(str(folder), purge_step=start)
