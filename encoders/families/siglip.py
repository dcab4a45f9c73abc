"""SigLIP: a tower's own image and text vectors, for retrieval of street-level photos.

Nothing is trained on top and no locations are encoded. Sources: SigLIP (Zhai et al., ICCV 2023,
arXiv 2303.15343); SigLIP 2 (Tschannen et al., arXiv 2502.14786); used by retrieval-augmented
geolocation for its index over MP-16 and OSV-5M.
"""

from collections.abc import Mapping

from torch import Tensor

from encoders.heads import Batch, Heads, HeadsConfig, PhotoFeatures, unit
from geo.errors import InputError


class SigLIPConfig(HeadsConfig):
    """The tower's widths; there is nothing else."""


class SigLIPHeads(Heads):
    """The tower's pooled features, brought to unit length."""

    family = "siglip"
    image_spaces = ("siglip",)
    text_spaces = ("siglip",)
    retrieval = ("siglip",)

    def __init__(self, config: SigLIPConfig | None = None) -> None:
        super().__init__(config or SigLIPConfig())

    @property
    def spaces(self) -> dict[str, int]:
        """`siglip`, shared by photos and texts, as wide as the tower's features."""
        return {"siglip": self.config.backbone_width}

    def encode_photos(self, photos: PhotoFeatures) -> dict[str, Tensor]:
        """See `Heads.encode_photos`."""
        return {"siglip": unit(photos.pooled)}

    def encode_captions(self, captions: Tensor) -> dict[str, Tensor]:
        """See `Heads.encode_captions`."""
        return {"siglip": unit(captions)}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Refuse to be trained.

        Raises:
            InputError: always.
        """
        raise self._nothing_to_train()

    def loss(self, embedded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Refuse to be trained.

        Raises:
            InputError: always.
        """
        raise self._nothing_to_train()

    def _nothing_to_train(self) -> InputError:
        return InputError(
            "family 'siglip' has nothing to train; use it as it is, or train geoclip over the same "
            "backbone"
        )
