"""Published checkpoints become our heads: keys mapped, shapes compared, numbers checked.

Files: GeoCLIP's three (Vivanco Cepeda et al., arXiv 2309.16020), G3's `g3.pth` (Jia et al., arXiv
2405.14702), dicts of DualGeo's training code (Cui et al., arXiv 2604.25533), and our own.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from encoders.families import family_classes
from encoders.heads import Heads, HeadsConfig
from encoders.number_check import check_geoclip_numbers, check_numbers
from encoders.photo_file import printable
from encoders.state_files import BARE, read_state
from encoders.weights import GEOCLIP_FILES, GEOCLIP_REMEDY, geoclip_folder
from geo.errors import InputError, UnavailableError

__all__ = [
    "file_sha256",
    "fit_keys",
    "g3_towers",
    "import_heads",
    "import_state",
    "load_geoclip",
    "read_state",
]

State = dict[str, Tensor]
Renames = Mapping[str, str | None]
"""Prefix of a published key -> prefix of ours; the first that fits counts. None: not used."""

GEOCLIP_KEYS: Renames = {
    "image_encoder.CLIP.": None,
    "image_encoder.mlp.": "image_head.",
    "image_head.": "image_head.",
    "location_encoder.": "location_encoder.",
    "logit_scale": "logit_scale",
    "gps_queue": None,
    "LocEnc": "location_encoder.LocEnc",
    "0.": "image_head.0.",
    "2.": "image_head.2.",
    BARE: "logit_scale",
}
G3_KEYS: Renames = {
    "location_encoder.": "location_encoder.",
    "location_projection_else.": "location_head.",
    "vision_projection_else_1.": "image_text_head.",
    "vision_projection_else_2.": "image_gps_head.",
    "text_projection_else.": "text_head.",
    "logit_scale1": "logit_scale_text",
    "logit_scale2": "logit_scale_gps",
    "logit_scale3": None,
    "vision_model.": None,
    "text_model.": None,
    "vision_projection.": None,
    "text_projection.": None,
}
G3_TOWERS: Renames = {
    "vision_model.": "vision_model.",
    "text_model.": "text_model.",
    "vision_projection.": "visual_projection.",
    "text_projection.": "text_projection.",
}
FAMILY_MARKS = {
    "location_encoder.capsules.": "transgeoclip",
    "ground_head.": "cellcodes",
    "vision_projection_else_1.": "g3",
    "image_gps_head.": "g3",
    "cross_attn_fusion.": "dualgeo",
    "rgb_projection_else.": "dualgeo",
    "vision_model_rgb.": "dualgeo",
    "image_encoder.mlp.": "geoclip",
    "image_head.": "geoclip",
    "LocEnc": "geoclip",
}
"""Beginnings of keys that only one family has; the first that fits counts."""
GEOCLIP_SHA256 = {
    "5342c391eec961796d04d02f2bd670bfa97b34ce32c656d0e0676581103c2c14",
    "94b80ae3af89fca78539e129dd2929d321247f5ceeeb0a31bc2c31041a253394",
    "9568e2e09dd19083082bf285b2c0c126867e40dbd275a8ee8c621888b861904e",
}
"""Of the published files: these must give the published numbers."""
TOWER_MARKS = ("vision_model.", "visual.", "text_model.", "transformer.")

SHOWN_KEYS = 3


def fit_keys(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    rename: Renames | None = None,
    ignore: Sequence[str] = (),
) -> None:
    """Copy tensors into a module, all of them and no others.

    Args:
        module: whose parameters and buffers are filled.
        state: named tensors.
        rename: prefixes of theirs -> prefixes of ours, None for what is not used.
        ignore: endings of keys that are not used.

    Raises:
        InputError: keys are missing, left over, of another shape or kind, or not finite; one
            message lists them all, and nothing was copied.
    """
    wanted = module.state_dict()
    found = {
        name: tensor
        for key, tensor in state.items()
        if not key.endswith(tuple(ignore)) and (name := _renamed(key, rename)) is not None
    }
    missing = [key for key in wanted if key not in found]
    unexpected = [key for key in found if key not in wanted]
    shapes, kinds, values = [], [], []
    for key, tensor in found.items():
        if key not in wanted:
            continue
        ours = wanted[key]
        if tuple(tensor.shape) != tuple(ours.shape):
            shapes.append(f"{key} {_shape(tensor)}, not {_shape(ours)}")
        elif tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            kinds.append(f"{key} {tensor.layout} {tensor.dtype}, not {ours.dtype}")
        elif tensor.is_floating_point() != ours.is_floating_point():
            kinds.append(f"{key} {tensor.dtype}, not {ours.dtype}")
        elif tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            values.append(key)
    said = [
        _list("missing", missing),
        _list("unexpected", unexpected),
        _list("of another shape", shapes),
        _list("of another type", kinds),
        _list("not finite", values),
    ]
    if any(said):
        raise InputError(
            f"the checkpoint does not fit: {'; '.join(filter(None, said))}; give the checkpoint "
            "of this model, whole"
        )
    module.load_state_dict(found)


def _renamed(key: str, rename: Renames | None) -> str | None:
    if rename is None:
        return key
    for theirs, ours in rename.items():
        if key == theirs or (theirs and key.startswith(theirs)):
            return None if ours is None else ours + key[len(theirs) :]
    return key


def _shape(tensor: Tensor) -> str:
    return f"[{', '.join(map(str, tensor.shape))}]"


def _list(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f", ... ({len(keys)} in all)" if len(keys) > SHOWN_KEYS else ""
    return f"{what}: {', '.join(printable(key, 90) for key in keys[:SHOWN_KEYS])}{more}"


def family_of(state: Mapping[str, Tensor]) -> str:
    """Return the family that a state dict belongs to, by its keys; empty where none fits."""
    for mark, family in FAMILY_MARKS.items():
        if any(key.startswith(mark) for key in state):
            return family
    return "geoclip" if set(state) == {"0.weight", "0.bias", "2.weight", "2.bias"} else ""


def import_heads(family: str, paths: Sequence[Path], *, config: HeadsConfig | None = None) -> Heads:
    """Read a family's heads from published files.

    Args:
        family: whose they are.
        paths: files of which each holds a part; GeoCLIP publishes three.
        config: sizes, where they are not the published ones.

    Returns:
        The heads, ready to encode, in evaluation mode.

    Raises:
        InputError: files that cannot be read, of another family, incomplete, or numbers that
            are no embedding.
    """
    state: State = {}
    for path in paths:
        part = read_state(path)
        if twice := sorted(set(part) & set(state)):
            raise InputError(
                f"{printable(str(path))!r} has {printable(twice[0] or 'one tensor', 60)!r}, which "
                "an earlier file has too; give each part once"
            )
        state |= part
    heads = import_state(family, state, config=config)
    if family == "geoclip" and {file_sha256(path) for path in paths} == GEOCLIP_SHA256:
        check_geoclip_numbers(heads)
    return heads


def import_state(
    family: str, state: Mapping[str, Tensor], *, config: HeadsConfig | None = None
) -> Heads:
    """Return a family's heads with published tensors; see `import_heads`."""
    heads_class, config_class = family_classes(family)
    if family == "siglip":
        raise InputError("siglip has no heads to import; its towers come with `weights get`")
    _check_family(family, state)
    renames, fitting = _keys_of(family, state)
    heads = heads_class(config or config_class(**fitting))
    fit_keys(heads, state, rename=renames, ignore=("position_ids",))
    heads.eval()
    heads.prepare()
    check_numbers(heads)
    return heads


def _keys_of(family: str, state: Mapping[str, Tensor]) -> tuple[Renames | None, dict[str, Any]]:
    """Return the renames of a family's published keys, and settings that its dict calls for."""
    if family == "geoclip":
        return GEOCLIP_KEYS, {}
    if family == "g3":
        return G3_KEYS, {}
    if family == "dualgeo":
        from encoders.families.dualgeo import PUBLISHED_CONFIG, PUBLISHED_KEYS

        theirs = any(key.startswith("semantic_encoder.resnet.") for key in state)
        return PUBLISHED_KEYS, PUBLISHED_CONFIG if theirs else {}
    return None, {}


def _check_family(family: str, state: Mapping[str, Tensor]) -> None:
    found = family_of(state)
    if found and found != family:
        raise InputError(
            f"this is a {found} checkpoint, {family} was asked for; import it as {found}, or give "
            f"the files of {family}"
        )
    if not found and any(key.startswith(TOWER_MARKS) for key in state):
        raise InputError(
            f"this is an image and text tower without heads, {family} was asked for; towers go "
            "into the folder that `graticule weights path clip-vit-l-14` prints"
        )


def g3_towers(state: Mapping[str, Tensor]) -> State:
    """Return the CLIP towers inside G3's state dict, named as in the `transformers` package.

    Raises:
        InputError: there are none.
    """
    towers = {
        ours + key[len(theirs) :]: tensor
        for key, tensor in state.items()
        for theirs, ours in G3_TOWERS.items()
        if ours and key.startswith(theirs) and not key.endswith("position_ids")
    }
    if not towers:
        raise InputError("no CLIP towers in this checkpoint; give the whole g3.pth")
    return towers


def load_geoclip() -> Heads:
    """Return GeoCLIP's published heads from the installed package, which is not imported.

    Raises:
        UnavailableError: the package is not installed.
        InputError: its files are damaged, or give other numbers than the published ones.
    """
    folder = geoclip_folder()
    if folder is None:
        raise UnavailableError(f"weights 'geoclip' are not here; {GEOCLIP_REMEDY}")
    heads = import_state("geoclip", _geoclip_state(folder))
    check_geoclip_numbers(heads)
    return heads


@functools.lru_cache(maxsize=1)
def _geoclip_state(folder: Path) -> State:
    """Read the package's files once; heads get copies."""
    state: State = {}
    for name in GEOCLIP_FILES:
        state |= read_state(folder / name)
    return state


def file_sha256(path: Path) -> str:
    """Return the SHA-256 hex of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
