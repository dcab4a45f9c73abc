"""Torch and its companions made ready: packages present, torchvision importable, a device chosen.

Imports torch only inside its functions, so that asking for a device by a wrong name, or for an
encoder where torch is missing, is answered at once.
"""

import importlib
import importlib.util
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float32", "bfloat16"]
INSTALL = "pip install 'graticule[encoders]'"
_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_lock = threading.RLock()
# Dropping a library object takes its operators away again.
_declared: list["torch.library.Library"] = []


def need(package: str) -> ModuleType:
    """Import `torch`, `open_clip` or another package of the `encoders` extra.

    Raises:
        UnavailableError: it is not installed, or cannot be imported.
    """
    try:
        if package == "torch":
            return importlib.import_module(package)
        prepare_torchvision()
        with _lock, _import_warnings():
            return importlib.import_module(package)
    except (ImportError, OSError) as error:
        missing = getattr(error, "name", None) or package
        raise UnavailableError(
            f"encoders need the package {missing!r}, which cannot be imported; run: {INSTALL}"
        ) from None


def prepare_torchvision() -> bool:
    """Make `import torchvision` work where its compiled part cannot be loaded.

    Registries serve a torchvision built for CUDA; beside a torch for CPUs its extension does
    not load, and its import fails over two operators that then have no schema. They are
    declared here, without a kernel: nothing of ours calls them. Where the extension loads,
    nothing is done. May be called any number of times, by any thread.

    Returns:
        Whether operators had to be declared, by this call or an earlier one.
    """
    with _lock:
        if not _declared and "torchvision" not in sys.modules:
            spec = importlib.util.find_spec("torchvision")
            if spec is not None and spec.origin and not _loads(Path(spec.origin).parent):
                _declare()
        return bool(_declared)


def _loads(package: Path) -> bool:
    """Say whether torchvision's compiled extension loads into this torch."""
    import torch

    suffix = "pyd" if os.name == "nt" else "so"
    for extension in sorted(package.glob(f"_C*.{suffix}")):
        try:
            torch.ops.load_library(str(extension))
        except (OSError, ImportError, RuntimeError):
            continue
        return True
    return False


def _declare() -> None:
    import torch

    # A fragment may be added to a name that others define too; a definition may not.
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in _OPERATORS:
        if not hasattr(torch.ops.torchvision, operator):
            library.define(operator + _SCHEMA)
    _declared.append(library)


@contextmanager
def _import_warnings() -> Iterator[None]:
    """Silence what open_clip, timm and transformers say of themselves when imported."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*is deprecated")
        yield


def choose_device(name: str = "auto") -> "torch.device":
    """Return the device called `auto`, `cpu`, `cuda` or `cuda:N`.

    `auto` is the first GPU where there is one, else the CPU.

    Raises:
        InputError: another name.
        UnavailableError: a GPU is asked for that is not there, or torch is missing.
    """
    kind, _, number = name.partition(":")
    if name not in ("auto", "cpu", "cuda") and not (kind == "cuda" and _is_index(number)):
        raise InputError(f"unknown device {printable(name)!r}; there is: auto, cpu, cuda, cuda:N")
    need("torch")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not count):
        return torch.device("cpu")
    index = int(number or 0)
    if index >= count:
        raise UnavailableError(
            f"device {name!r} is not on this machine, which has {count} CUDA "
            f"{'GPU' if count == 1 else 'GPUs'} that torch {torch.__version__} can use; choose "
            "--device cpu, or install a driver and a torch built for CUDA"
        )
    return torch.device("cuda", index)


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3


def choose_precision(device: "torch.device", name: Precision = "auto") -> "torch.dtype":
    """Return the type that a frozen tower computes in: float32, or bfloat16 by autocast.

    `auto` is float32 on a CPU and bfloat16 on a GPU that has it: most CPUs do not, and are
    slower with it. Vectors are float32 either way.

    Raises:
        InputError: another name.
    """
    import torch

    if name not in ("auto", "float32", "bfloat16"):
        raise InputError(
            f"unknown precision {printable(name)!r}; there is: auto, float32, bfloat16"
        )
    if name == "auto":
        half = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if half else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32
