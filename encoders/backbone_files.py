"""A tower's file on this machine: where it lies, which one it is, what is in it."""

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from encoders.backbone_specs import BackboneSpec
from encoders.photo_file import printable
from encoders.weights import read_receipt
from geo.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from torch import Tensor

SIDECAR = ".sha256.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_MAX_SIDECAR_BYTES = 1_000
_log = logging.getLogger(__name__)


def weights_file(spec: BackboneSpec, folder: Path) -> Path:
    """Return the file with the weights of a tower.

    Args:
        spec: of the tower.
        folder: that holds a folder for each name, `home/weights`.

    Raises:
        UnavailableError: it is not there.
    """
    places = [folder / (spec.place or spec.name) / name for name in spec.files]
    for path in places:
        if path.is_file():
            return path
    command = f"run: graticule weights get {spec.name}, or " if spec.published else ""
    raise UnavailableError(
        f"the weights of {printable(spec.name)!r} are not on this machine; {command}put the file "
        f"at {printable(str(places[0]), 500)!r}"
    )


def tokenizer_folder(spec: BackboneSpec, folder: Path) -> Path:
    """Return the folder with the files of a tower's own tokenizer.

    Args:
        spec: of the tower.
        folder: where the weights lie.

    Raises:
        UnavailableError: a file is not there.
    """
    missing = [name for name in TOKENIZER_FILES if not (folder / name).is_file()]
    if not missing:
        return folder
    command = f"run: graticule weights get {spec.name}, or " if spec.published else ""
    raise UnavailableError(
        f"the tokenizer of {printable(spec.name)!r} is not on this machine; {command}put "
        f"{' and '.join(missing)} into {printable(str(folder), 500)!r}"
    )


def file_identity(path: Path) -> str:
    """Return the SHA-256 of a file, read only once as long as its size and time stay.

    A download was hashed as it came, and its receipt counts.

    Raises:
        InputError: the file cannot be read.
    """
    sidecar = path.with_name(path.name + SIDECAR)
    try:
        status = path.stat()
        seen = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        receipt = read_receipt(path)
        if receipt and (receipt.size, receipt.time_ns) == tuple(seen.values()):
            return receipt.sha256
        if (known := _remembered(sidecar, seen)) is not None:
            return known
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"weights {printable(str(path), 500)!r} cannot be read ({error.strerror}); check its "
            "permissions"
        ) from None
    try:
        sidecar.write_text(json.dumps(seen | {"sha256": digest}), encoding="utf-8")
    except OSError as error:  # a read-only folder: it is read again next time
        _log.debug("cannot write %s: %s", sidecar, error)
    return digest


def _remembered(sidecar: Path, seen: dict[str, int]) -> str | None:
    try:
        with sidecar.open("rb") as file:
            said = json.loads(file.read(_MAX_SIDECAR_BYTES))
        digest = said.pop("sha256")
        return digest if said == seen and len(bytes.fromhex(digest)) == 32 else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def read_towers(path: Path) -> "dict[str, Tensor]":
    """Return the tensors of a CLIP or SigLIP file in open_clip's layout, whichever it has.

    Raises:
        InputError: the file is cut short, pickled, or of another model.
    """
    from encoders.clip_layout import is_hf_clip, to_open_clip
    from encoders.state_files import read_state

    state = read_state(path)
    return to_open_clip(state) if is_hf_clip(state) else state
