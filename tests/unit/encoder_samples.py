"""Tiny encoders of every family, random but always the same, and photos to give them."""

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from encoders.backbones import Backbone
    from encoders.heads import Heads
    from encoders.model import FamilyEncoder

TOWER: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 56, "layers": 2, "width": 32, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
SMALL: dict[str, dict[str, Any]] = {
    "geoclip": {"width": 16, "hidden": 24, "features": 8, "queue": 8},
    "g3": {"width": 24, "location_width": 16, "hidden": 24, "features": 8},
    "transgeoclip": {
        "width": 24,
        "location_width": 16,
        "features": 8,
        "model_width": 16,
        "attention_heads": 2,
        "layers": 1,
        "feedforward": 16,
        "anchors": 8,
    },
    "dualgeo": {"width": 24, "location_width": 16, "hidden": 24, "features": 8},
    "siglip": {},
    "cellcodes": {},
}
"""Sizes of each family's heads, besides those of the tower."""


@cache
def tiny_backbone() -> "Backbone":
    """Return CLIP towers of 56 px and two layers."""
    from encoders.backbones import Backbone

    return Backbone.from_config("tiny", TOWER, seed=1)


def tiny_heads(family: str, seed: int = 3, **settings: Any) -> "Heads":
    """Return small heads of a family with random weights."""
    import torch

    from encoders.families import family_classes

    heads_class, config_class = family_classes(family)
    sizes = {"backbone_width": 24, "token_width": 32} | SMALL[family] | settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return heads_class(config_class(**sizes)).eval()


def tiny_encoder(family: str, **settings: Any) -> "FamilyEncoder":
    """Return an encoder of a family over the tiny towers."""
    from encoders.model import FamilyEncoder

    backbone = tiny_backbone()
    return FamilyEncoder(
        tiny_heads(family, **settings),
        lambda: backbone,
        backbone_name=backbone.spec.name,
        backbone_fingerprint=backbone.fingerprint,
    )


def photos(count: int, seed: int = 0) -> list[Image.Image]:
    """Return RGB photos of smooth colours, each of another size."""
    generator = np.random.default_rng(seed)
    drawn = []
    for number in range(count):
        coarse: npt.NDArray[np.uint8] = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        size = (60 + 17 * (number % 4), 90 - 13 * (number % 3))
        drawn.append(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    return drawn


def label_maps(count: int, seed: int = 0) -> list[npt.NDArray[np.uint8]]:
    """Return segmentation maps that belong to `photos(count)`."""
    generator = np.random.default_rng(seed + 1)
    maps = []
    for image in photos(count):
        coarse = Image.fromarray(generator.integers(0, 6, (5, 5), dtype=np.uint8))
        maps.append(np.asarray(coarse.resize(image.size, Image.Resampling.NEAREST)))
    return maps
