"""What every family is made of: trainable heads over a frozen backbone's features.

Knows tensors, not photos or files. A family module gives one `Heads` class; `encoders.model`
puts a backbone under it, `index_builder.train` trains it on cached features.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from geo.errors import InputError

Need = Literal["tokens", "segments", "captions", "aerial", "cells"]
"""What a family's photos must come with, besides pooled features and coordinates, to train."""


class HeadsConfig(BaseModel):
    """What a family's heads look like; written into the card of everything saved."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    backbone_width: int = Field(default=768, ge=1)
    """Length of the backbone's pooled, projected image and text features."""
    token_width: int = Field(default=1024, ge=1)
    """Length of the backbone's patch tokens."""
    width: int = Field(default=768, ge=1)
    """Length of the family's own spaces, unless it says otherwise."""


@dataclass(frozen=True)
class PhotoFeatures:
    """What a backbone says of N photos; rows belong together."""

    pooled: Tensor
    """`[N, backbone_width]` pooled, projected, not normalised."""
    tokens: Tensor | None = None
    """`[N, T, token_width]` patch tokens, row by row over the square grid, no class token."""
    segments: Tensor | None = None
    """`[N, S, S]` uint8 class of each pixel of the segmentation map, cropped as the photo is."""


@dataclass(frozen=True)
class Batch:
    """B training examples; rows belong together."""

    photos: PhotoFeatures
    points: Tensor
    """`[B, 2]` float64 latitude, longitude in degrees."""
    captions: Tensor | None = None
    """`[B, backbone_width]` text features, not normalised."""
    aerial: Tensor | None = None
    """`[B, backbone_width]` pooled features of the aerial tile of the same place."""
    cells: Tensor | None = None
    """`[B]` int64 row of each photo's cell in the family's table of prototypes."""

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on another device."""

        def move(value: Any) -> Any:
            return value.to(device) if isinstance(value, Tensor) else value

        photos = PhotoFeatures(**{k: move(v) for k, v in vars(self.photos).items()})
        rest = {k: move(v) for k, v in vars(self).items() if k != "photos"}
        return replace(self, photos=photos, **rest)


class Heads(nn.Module):
    """Everything of a family that is trained or imported; the backbone is not in here."""

    family: ClassVar[str]
    # An ablation in the configuration may take some away from an instance.
    needs: frozenset[Need] = frozenset()
    image_spaces: tuple[str, ...] = ()
    location_spaces: tuple[str, ...] = ()
    text_spaces: tuple[str, ...] = ()
    retrieval: tuple[str, ...] = ()
    alignment: ClassVar[str] = ""

    def __init__(self, config: HeadsConfig) -> None:
        super().__init__()
        self.config = config

    @property
    @abstractmethod
    def spaces(self) -> dict[str, int]:
        """Length of the vectors of every space."""

    @property
    def temperature(self) -> float:
        """Factor on cosines of the alignment space, as trained."""
        return 1.0

    @abstractmethod
    def encode_photos(self, photos: PhotoFeatures) -> dict[str, Tensor]:
        """Return `[N, D]` unit rows for each image space; a row depends on its photo alone."""

    def encode_points(self, points: Tensor) -> dict[str, Tensor]:
        """Return `[N, D]` unit rows for each location space from `[N, 2]` float64 degrees.

        Raises:
            InputError: the family has no location space.
        """
        raise InputError(f"family {self.family!r} encodes no locations; use another family")

    def encode_captions(self, captions: Tensor) -> dict[str, Tensor]:
        """Return `[N, D]` unit rows for each text space from `[N, backbone_width]` features.

        Raises:
            InputError: the family has no text space.
        """
        raise InputError(f"family {self.family!r} encodes no texts; use g3 or transgeoclip")

    def prepare(self) -> None:
        """Make inference fast once the weights are in place; nothing by default."""

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return everything the loss compares, each `[B, ...]` with one row per example.

        Rows of several processes are put one after the other before `loss` sees them.
        """

    @abstractmethod
    def loss(self, embedded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the loss's terms, already weighted: their sum is what is minimised."""


def unit(vectors: Tensor) -> Tensor:
    """Return rows of unit length, `[N, D]`; rows of zeros stay zero."""
    return F.normalize(vectors, dim=-1)


def contrastive(left: Tensor, right: Tensor, log_scale: Tensor) -> Tensor:
    """Return the symmetric CLIP loss of matching unit rows (Radford et al., ICML 2021).

    Args:
        left: `[B, D]`.
        right: `[B, D]`; row i belongs to row i of `left`.
        log_scale: scalar, logarithm of the factor on cosines, clamped to at most log 100.
    """
    logits = torch.clamp(log_scale, max=4.6052).exp() * left @ right.T
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def head(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    """Return Linear, ReLU, Linear: the head that G3, DualGeo and GeoCLIP put on CLIP."""
    return nn.Sequential(nn.Linear(width_in, hidden), nn.ReLU(), nn.Linear(hidden, width_out))
