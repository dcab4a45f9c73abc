"""Reading tensors from files of strangers: safetensors and plain PyTorch state dicts, no code.

A pickle is a program. Only the forms that PyTorch's restricted reader takes are read, and what
it would refuse is named before it sees a byte: whole modules, TorchScript, other pickles.
"""

import io
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from encoders.photo_file import printable
from geo.errors import InputError

BARE = ""
"""Key of the tensor of a file that holds one tensor and no dict."""
MAX_PICKLE_BYTES = 64_000_000
"""A state dict's own pickle names its tensors; their bytes lie beside it."""
MAX_HEADER_BYTES = 100_000_000
WRAPPERS = ("model_state_dict", "state_dict", "model")
CONVERT = (
    "where you trust it: python -c \"import torch; torch.save(torch.load('FILE', "
    "weights_only=False).state_dict(), 'STATE.pth')\""
)
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LFS = b"version https://git-lfs"
_PLAIN = {
    "collections OrderedDict",
    "collections defaultdict",
    "torch Size",
    "torch device",
    "torch.serialization _get_layout",
    "torch.storage UntypedStorage",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch._utils _rebuild_parameter",
}
"""What the pickle of a state dict may name, besides storages and scalar types of torch."""
_LEGACY_PICKLES = 5
"""A file of the older form begins with so many: a mark, a version, the machine, data, names."""


def read_state(path: Path) -> dict[str, Tensor]:
    """Read named tensors onto the CPU, mapped from the file where its form allows.

    Wrappers (`model_state_dict`, `state_dict`) and the `module.` of DataParallel are taken off.
    A file that is one tensor comes under the key `BARE`.

    Raises:
        InputError: no file, or not one of plain tensors; says what it is instead.
    """
    head = _head(path)
    shown = repr(printable(str(path)))
    if head[:4] == b"PK\x03\x04":
        _check_archive(path, shown)
        loaded = _torch_load(path, shown, mapped=True)
    elif head.startswith(_LEGACY_MAGIC):
        with path.open("rb") as file:
            _check_pickle(file.read(MAX_PICKLE_BYTES), shown, _LEGACY_PICKLES)
        loaded = _torch_load(path, shown, mapped=False)
    elif head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") < MAX_HEADER_BYTES:
        return _unprefixed(_read_safetensors(path, shown), shown)
    else:
        raise InputError(f"{shown} {_what_it_is(head)}")
    if isinstance(loaded, Tensor):
        return {BARE: loaded.detach()}
    return _unprefixed(_tensors(loaded, shown), shown)


def _head(path: Path) -> bytes:
    shown = repr(printable(str(path)))
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "is not a file that is there"
        raise InputError(f"{shown} {what}; give a .safetensors or .pth file")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise InputError(f"cannot read {shown} ({error.strerror}); check its permissions") from None
    if not head:
        raise InputError(f"{shown} is empty; get the file again")
    return head


def _what_it_is(head: bytes) -> str:
    """Say what a file is that is no checkpoint, and what to do."""
    if head.startswith(_LFS):
        return "is a Git LFS pointer, not the weights; run git lfs pull, or download the file"
    if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return f"is a bare pickle, which may run code; only plain state dicts are read; {CONVERT}"
    if head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar":
        return "is an archive; unpack it and give the .safetensors or .pth file inside"
    if head.lstrip()[:1] in (b"<", b"{") or head.isascii():
        return "is text, not weights (a page that asks to log in?); download the file itself"
    return "is no checkpoint that we know, or is damaged; give a .safetensors or .pth file"


def _read_safetensors(path: Path, shown: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise _damaged(shown, error) from None


def _check_archive(path: Path, shown: str) -> None:
    """Refuse an archive that holds code, before PyTorch opens it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {Path(info.filename).name: info for info in archive.infolist()}
            tops = [info.filename.split("/")[1:] for info in archive.infolist()]
            if "constants.pkl" in names or any(top[:1] == ["code"] for top in tops):
                raise InputError(
                    f"{shown} is a TorchScript archive, which is code; only plain state dicts are "
                    "read; where you trust it: torch.save(torch.jit.load('FILE').state_dict(), "
                    "'STATE.pth')"
                )
            if "data.pkl" not in names:
                raise InputError(
                    f"{shown} is a ZIP archive without a PyTorch state dict; give a .safetensors "
                    "or .pth file"
                )
            if names["data.pkl"].file_size > MAX_PICKLE_BYTES:
                raise InputError(f"{shown} holds no plain state dict: its index is too large")
            pickle = archive.read(names["data.pkl"])
    except InputError:
        raise
    except Exception as error:
        raise _damaged(shown, error) from None
    _check_pickle(pickle, shown)


def _check_pickle(data: bytes, shown: str, pickles: int = 1) -> None:
    """Read pickles' opcodes without running them; refuse classes that are no tensors'."""
    strings: list[str] = []
    stream = io.BytesIO(data)
    try:
        for _ in range(pickles):
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "INST"):
                    _check_named(str(argument), shown)
                elif opcode.name == "STACK_GLOBAL":
                    _check_named(" ".join(strings[-2:]), shown)
                elif isinstance(argument, str):
                    strings.append(argument)
    except InputError:
        raise
    except Exception as error:
        raise _damaged(shown, error) from None


def _check_named(named: str, shown: str) -> None:
    if not _is_plain(named):
        name = printable(named.replace(" ", "."), 80)
        raise InputError(
            f"{shown} is not a plain state dict: it holds {name}, a pickled module or "
            f"code; only plain state dicts are read; {CONVERT}"
        )


def _is_plain(named: str) -> bool:
    module, _, name = named.partition(" ")
    if named in _PLAIN:
        return True
    found = getattr(torch, name, None) if module == "torch" else None
    return isinstance(found, torch.dtype) or (module == "torch" and name.endswith("Storage"))


def _torch_load(path: Path, shown: str, *, mapped: bool) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of storages of an older form
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    # A damaged file makes PyTorch raise nearly anything; a restricted pickle runs no code.
    except Exception as error:
        if "Unsupported global" in str(error) or "weights_only" in str(error).lower():
            raise InputError(
                f"{shown} is not a plain state dict, but a pickled module or code; only plain "
                f"state dicts are read; {CONVERT}"
            ) from None
        raise _damaged(shown, error) from None


def _damaged(shown: str, error: Exception) -> InputError:
    reason = printable(" ".join(str(error).split()), 100) or type(error).__name__
    return InputError(f"{shown} is damaged or cut short ({reason}); get the file again")


def _tensors(loaded: object, shown: str) -> dict[str, Tensor]:
    """Return the innermost dict of tensors."""
    for _ in WRAPPERS:
        inner = [
            loaded[key]
            for key in WRAPPERS
            if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping)
        ]
        if not inner:
            break
        loaded = inner[0]
    if not isinstance(loaded, Mapping) or not loaded:
        what = "an empty dict" if isinstance(loaded, Mapping) else type(loaded).__name__
        raise InputError(f"{shown} holds {what}, not a state dict; give a dict of tensors")
    odd = [key for key, value in loaded.items() if not isinstance(value, Tensor)]
    odd += [key for key in loaded if not isinstance(key, str)]
    if odd:
        raise InputError(
            f"{shown} has {len(odd)} of {len(loaded)} entries that are no named tensors, such as "
            f"{printable(str(odd[0]), 60)!r}; save model.state_dict() alone"
        )
    return {key: value.detach() for key, value in loaded.items()}


def _unprefixed(state: dict[str, Tensor], shown: str) -> dict[str, Tensor]:
    if not state:
        raise InputError(f"{shown} holds no tensors; give the weights")
    while all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state
