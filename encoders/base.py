"""What an encoder is: photos in, unit vectors of named spaces out, under one fingerprint.

Knows no model. Families differ in weights and preprocessing; galleries, tools and tests
only lean on what is written here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EncoderCard:
    """Identity of an encoder: two encoders with one fingerprint give the same vectors."""

    name: str
    fingerprint: str
    """SHA-256 hex over weights and preprocessing; vectors compare only under the same one."""
    spaces: Mapping[str, int] = field(default_factory=dict)
    """Dimensions of each space it encodes into."""
    licence: str = ""
    """Licence of the weights, as their publisher states it."""


class Encoder(Protocol):
    """Turns photos into vectors."""

    @property
    def card(self) -> EncoderCard:
        """Who this encoder is."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        """Encode upright RGB photos, each on its own: no row depends on another photo.

        Returns:
            For each space of the card, `[N, D]` float32 rows of unit Euclidean length. A row
            is all zero where the encoder sees nothing in the photo; such a photo is left out
            by its user, never compared.
        """
        ...
