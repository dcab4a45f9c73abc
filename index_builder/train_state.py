"""The state of a training on disk: what it is of, where it is, and its loss so far.

A checkpoint is a safetensors file (weights, moments of the optimiser, buffers that no published
file has, such as GeoCLIP's queue) and a small JSON file that names it. The JSON is replaced in
one move, after the rest is on disk: at any moment it names a whole checkpoint.
"""

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from torch import Tensor

from encoders.heads import Heads
from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
from index_builder.files import PARTIAL, write_atomically

RUN_FILE, CHECKPOINT_FILE, LOSS_FILE = "run.json", "checkpoint.json", "loss.jsonl"
_WEIGHTS, _MOMENTS = "heads.", "optimizer."
_MACHINE = "machine"
_log = logging.getLogger(__name__)


class Checkpoint(BaseModel):
    """What `checkpoint.json` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    """Steps done."""
    file: str
    sha256: str
    log_bytes: int
    """Length of the loss log at that step."""
    before: dict[str, float | int | str] = {}
    """Validation before the first step."""


class TrainState:
    """Checkpoint, loss log and identity of one training, in a folder of its own.

    Args:
        folder: made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(self, identity: Mapping[str, Any], machine: Mapping[str, JsonValue]) -> None:
        """Refuse to go on with a training that was of something else; write down a new one.

        Args:
            identity: everything the loss curve depends on.
            machine: what may change its last bits; a difference is said, not refused.

        Raises:
            InputError: it differs from that of the training in the folder; what differs is
                named.
        """
        place = self.folder / RUN_FILE
        if not place.exists():
            stated = {**identity, _MACHINE: machine}
            self._write(place, json.dumps(stated, indent=1).encode())
            return
        try:
            former = json.loads(place.read_bytes())
            assert isinstance(former, dict)
        except (OSError, ValueError, AssertionError):
            raise InputError(f"{self._shown(place)} is damaged; choose another --out") from None
        if different := _differences(former.pop(_MACHINE, {}), machine):
            _log.warning("going on elsewhere: %s; losses may differ in the last digits", different)
        if different := _differences(former, json.loads(json.dumps(identity))):
            raise InputError(
                f"the training in {self._shown(self.folder)} cannot go on: {different}; give "
                "what it had, or another --out"
            )

    def read(self) -> Checkpoint | None:
        """Return the last checkpoint, or None where there is none.

        Raises:
            InputError: it is damaged.
        """
        place = self.folder / CHECKPOINT_FILE
        if not place.exists():
            return None
        try:
            found = Checkpoint.model_validate_json(place.read_bytes())
            good = _sha256(self.folder / found.file) == found.sha256
        except (OSError, ValidationError):
            good = False
        if not good:
            raise InputError(
                f"the checkpoint in {self._shown(self.folder)} is damaged; delete that folder to "
                "train anew"
            )
        return found

    def load(self, found: Checkpoint, heads: Heads, optimizer: torch.optim.Optimizer) -> None:
        """Put weights, buffers and moments of a checkpoint in place."""
        from safetensors.torch import load_file

        device = next(heads.parameters()).device
        state = load_file(self.folder / found.file, device=str(device))
        tensors = all_tensors(heads)
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(state[_WEIGHTS + name])
        names = [name for name, _ in heads.named_parameters()]
        moments: dict[int, dict[str, Tensor]] = {}
        for number, name in enumerate(names):
            prefix = f"{_MOMENTS}{name}/"
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            if own:
                moments[number] = own
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})

    def save(
        self,
        step: int,
        heads: Heads,
        optimizer: torch.optim.Optimizer,
        log_bytes: int,
        before: Mapping[str, float | int | str],
    ) -> None:
        """Write a checkpoint and drop the former one.

        Raises:
            UnavailableError: the disk is full; the former checkpoint is still whole.
        """
        from safetensors.torch import save

        tensors = {_WEIGHTS + name: tensor for name, tensor in all_tensors(heads).items()}
        for name, parameter in heads.named_parameters():
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{_MOMENTS}{name}/{key}"] = torch.as_tensor(value)
        data = save({k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()})
        file = f"checkpoint-{step:08d}.safetensors"
        self._write(self.folder / file, data)
        stated = Checkpoint(
            step=step,
            file=file,
            sha256=hashlib.sha256(data).hexdigest(),
            log_bytes=log_bytes,
            before=dict(before),
        )
        self._write(self.folder / CHECKPOINT_FILE, stated.model_dump_json(indent=1).encode())
        self._sweep(keep=file)

    def clear(self) -> None:
        """Drop the checkpoint: what was trained is saved as an encoder."""
        (self.folder / CHECKPOINT_FILE).unlink(missing_ok=True)
        self._sweep(keep="")

    def _sweep(self, keep: str) -> None:
        for path in (
            *self.folder.glob("checkpoint-*.safetensors"),
            *self.folder.glob(f"{PARTIAL}*"),
        ):
            if path.name != keep:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_atomically(path, data)
        except InputError as error:
            raise UnavailableError(str(error)) from None

    def _shown(self, path: Path) -> str:
        return repr(printable(str(path)))


class LossLog:
    """One JSON line for each step, cut back to a checkpoint when training goes on from it."""

    def __init__(self, path: Path, length: int = 0) -> None:
        """Open the log with its first `length` bytes kept.

        Raises:
            UnavailableError: it cannot be written.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            self._file = open(descriptor, "r+b")  # noqa: SIM115 - closed by close()
            self._file.truncate(length)
            self._file.seek(length)
        except OSError as error:
            raise self._failed(error) from None

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line.

        Raises:
            UnavailableError: the disk is full.
        """
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise self._failed(error) from None

    def flush(self) -> int:
        """Put everything on disk and return the length in bytes.

        Raises:
            UnavailableError: the disk is full.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _failed(self, error: OSError) -> UnavailableError:
        return UnavailableError(
            f"cannot write {printable(str(self.path))!r} ({error.strerror}); free space, then run "
            "the same command again"
        )


def all_tensors(heads: Heads) -> dict[str, Tensor]:
    """Return weights and every buffer, also those that saved encoders leave out."""
    return dict(heads.named_parameters()) | dict(heads.named_buffers())


def _differences(former: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> str:
    """Return what differs in words, at most three of it."""
    found = []
    for key in sorted({*former, *now}):
        old, new = former.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            if inner := _differences(old, new, f"{prefix}{key}."):
                found.append(inner)
        elif old != new:
            found.append(f"{prefix}{key} was {_short(old)}, is {_short(new)}")
    return ", ".join(found[:3])


def _short(value: Any) -> str:
    return printable(json.dumps(value), 40)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
