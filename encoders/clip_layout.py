"""One CLIP, two layouts: names of the `transformers` package, and those of open_clip.

Only names and shapes change: queries, keys and values lie in one matrix here and in three
there, two projections are transposed. Going there and back gives every tensor unchanged.
G3's file is in the first layout, under `vision_projection` instead of `visual_projection`.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from geo.errors import InputError

State = dict[str, Tensor]

_VISION, _TEXT = "vision_model.", "text_model."
_MARK = "vision_model.embeddings.class_embedding"
_SINGLE = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    # The typing error is part of the published names.
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "logit_scale": "logit_scale",
}
_TRANSPOSED = {
    "visual_projection.weight": "visual.proj",
    "text_projection.weight": "text_projection",
}
_BLOCK = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_TOWERS = {"vision_model": "visual.transformer", "text_model": "transformer"}
_HF_BLOCK = re.compile(r"(vision_model|text_model)\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_OPEN_BLOCK = re.compile(
    r"(visual\.transformer|transformer)\.resblocks\.(\d+)\.(.+?)[._](weight|bias)"
)
_ALIASES = {"vision_projection.weight": "visual_projection.weight"}
_IGNORED = ("position_ids", "attn_mask")


def is_hf_clip(state: Mapping[str, Tensor]) -> bool:
    """Say whether a state dict has the names of the `transformers` package's CLIP."""
    return _MARK in state


def to_open_clip(state: Mapping[str, Tensor]) -> State:
    """Rename and merge an HF CLIP state dict for open_clip's `CLIP`.

    Args:
        state: of `CLIPModel`, or of G3 with its heads taken out.

    Raises:
        InputError: keys that are not CLIP's, or an attention without all of its three parts.
    """
    found: State = {}
    parts: dict[str, State] = {}
    unknown = []
    for key, tensor in state.items():
        name = _ALIASES.get(key, key)
        if name.endswith(_IGNORED):
            continue
        if name in _SINGLE:
            found[_SINGLE[name]] = tensor
        elif name in _TRANSPOSED:
            found[_TRANSPOSED[name]] = tensor.T.contiguous()
        elif (match := _HF_BLOCK.fullmatch(name)) is None:
            unknown.append(key)
        else:
            tower, number, module, kind = match.groups()
            prefix = f"{_TOWERS[tower]}.resblocks.{number}"
            if module in _BLOCK:
                found[f"{prefix}.{_BLOCK[module]}.{kind}"] = tensor
            elif module in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
                parts.setdefault(f"{prefix}.attn.in_proj_{kind}", {})[module[10]] = tensor
            else:
                unknown.append(key)
    if unknown:
        raise _not_clip(unknown)
    for name, three in parts.items():
        if set(three) != set("qkv"):
            raise InputError(
                f"CLIP weights have only {sorted(three)} of q, k, v for {name}; the file is "
                "incomplete: get it again"
            )
        found[name] = torch.cat([three[letter] for letter in "qkv"])
    return found


def to_hf_clip(state: Mapping[str, Tensor]) -> State:
    """Rename and split the state dict of open_clip's `CLIP`, the inverse of `to_open_clip`.

    Raises:
        InputError: keys that are not CLIP's.
    """
    single = {new: old for old, new in _SINGLE.items()}
    transposed = {new: old for old, new in _TRANSPOSED.items()}
    block = {new: old for old, new in _BLOCK.items()}
    towers = {new: old for old, new in _TOWERS.items()}
    found: State = {}
    unknown = []
    for key, tensor in state.items():
        if key.endswith(_IGNORED):
            continue
        if key in single:
            found[single[key]] = tensor
        elif key in transposed:
            found[transposed[key]] = tensor.T.contiguous()
        elif (match := _OPEN_BLOCK.fullmatch(key)) is None:
            unknown.append(key)
        else:
            tower, number, module, kind = match.groups()
            prefix = f"{towers[tower]}.encoder.layers.{number}"
            if module in block:
                found[f"{prefix}.{block[module]}.{kind}"] = tensor
            elif module == "attn.in_proj":
                for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                    found[f"{prefix}.self_attn.{letter}_proj.{kind}"] = part.contiguous()
            else:
                unknown.append(key)
    if unknown:
        raise _not_clip(unknown)
    return found


def _not_clip(keys: list[str]) -> InputError:
    shown = ", ".join(repr(key[:80]) for key in keys[:3])
    return InputError(
        f"{len(keys)} keys are not CLIP's, for example {shown}; give the weights of a CLIP model"
    )
