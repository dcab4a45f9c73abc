"""TransGeoCLIP: photos, captions and coordinates, all pairwise aligned (arXiv 2606.08918).

G3's heads over frozen CLIP with a Transformer location encoder (`encoders.location_attention`,
which says what was repaired in it), a third contrastive term between captions and locations, and
a triplet term: the caption is the anchor, its location the positive, and the most similar other
photo of the batch the negative. The index vector is G3's.

The published code is a draft; where it is silent, this is what was chosen:

- Captions and locations compare in the location encoder's own space, `text_gps`: captions have a
  head for it, locations enter as they leave their encoder (as published).
- The triplet's photo is the first `location_width` numbers of its text-aligned vector, of unit
  length (as published). A head of its own would only ever see negatives, and learn to flee
  every caption.
- The triplet's margin is on cosines. With one example there is no negative and the term is 0;
  published, the hardest of none was minus infinity, cut to 0 only by the hinge.
"""

from collections.abc import Mapping
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from encoders.heads import Batch, Heads, HeadsConfig, Need, PhotoFeatures, contrastive, head, unit
from encoders.location import FEATURES, LOCATION_WIDTH
from encoders.location_attention import TransformerLocationEncoder

TRANSGEOCLIP_SIGMAS = (2**0, 2**4, 2**8)
INITIAL_LOG_SCALE = 3.99
TRIPLET_MARGIN = 0.5
TRIPLET_WEIGHT = 0.5


class TransGeoCLIPConfig(HeadsConfig):
    """TransGeoCLIP's sizes; the defaults are the published ones, where there are such."""

    location_width: int = Field(default=LOCATION_WIDTH, ge=1)
    """Length of the location encoder's result and of space `text_gps`; at most `width`."""
    features: int = Field(default=FEATURES, ge=1)
    sigmas: tuple[float, ...] = Field(
        default=tuple(float(sigma) for sigma in TRANSGEOCLIP_SIGMAS), min_length=1
    )
    model_width: int = Field(default=1024, ge=1)
    """Width of the capsules' Transformers."""
    attention_heads: int = Field(default=8, ge=1)
    layers: int = Field(default=3, ge=1)
    feedforward: int = Field(default=1024, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    location_attention: bool = True
    """Refine locations by attention over scales and anchors; without, scales are summed."""
    anchors: int = Field(default=128, ge=1, le=65_536)
    """Fixed places that location attention knows: 128 are about 2,000 km apart."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        for name in ("model_width", "location_width"):
            if getattr(self, name) % self.attention_heads:
                raise ValueError(
                    f"{name} {getattr(self, name)} is no multiple of attention_heads "
                    f"{self.attention_heads}; give one that is"
                )
        if self.location_width > self.width:
            raise ValueError(
                f"location_width {self.location_width} is over width {self.width}, and the triplet "
                "term takes that many numbers of it; give at most as many"
            )
        return self


class TransGeoCLIPHeads(Heads):
    """Photo, text and location heads of TransGeoCLIP.

    Attributes:
        checkpointing: whether training computes the Transformers' layers a second time in the
            backward pass instead of keeping their activations.
    """

    family = "transgeoclip"
    needs: frozenset[Need] = frozenset({"captions"})
    image_spaces = ("clip", "text", "gps")
    location_spaces = ("gps", "text_gps")
    text_spaces = ("text", "text_gps")
    retrieval = ("clip", "text", "gps")
    alignment = "gps"
    config: TransGeoCLIPConfig

    def __init__(self, config: TransGeoCLIPConfig | None = None) -> None:
        config = config or TransGeoCLIPConfig()
        super().__init__(config)
        self.checkpointing = False
        pooled, width, place = config.backbone_width, config.width, config.location_width
        self.location_encoder = TransformerLocationEncoder(
            config.sigmas,
            features=config.features,
            model_width=config.model_width,
            heads=config.attention_heads,
            layers=config.layers,
            feedforward=config.feedforward,
            dropout=config.dropout,
            width=place,
            anchors=config.anchors if config.location_attention else 0,
        )
        self.location_head = head(place, place, width)
        self.image_gps_head = head(pooled, pooled, width)
        self.image_text_head = head(pooled, pooled, width)
        self.text_head = head(pooled, pooled, width)
        self.text_gps_head = head(pooled, place, place)
        self.logit_scale_gps = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        self.logit_scale_text = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        self.logit_scale_text_gps = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))

    @property
    def spaces(self) -> dict[str, int]:
        """`clip`, `text` and `gps` as in G3, and `text_gps` of captions and locations."""
        config = self.config
        return {
            "clip": config.backbone_width,
            "text": config.width,
            "gps": config.width,
            "text_gps": config.location_width,
        }

    @property
    def temperature(self) -> float:
        """Of the location space."""
        return float(self.logit_scale_gps.detach().exp())

    def encode_photos(self, photos: PhotoFeatures) -> dict[str, Tensor]:
        """See `Heads.encode_photos`."""
        return {
            "clip": unit(photos.pooled),
            "text": unit(self.image_text_head(photos.pooled)),
            "gps": unit(self.image_gps_head(photos.pooled)),
        }

    def encode_points(self, points: Tensor) -> dict[str, Tensor]:
        """See `Heads.encode_points`."""
        place = self.location_encoder(points, self.checkpointing and self.training)
        return {"gps": unit(self.location_head(place)), "text_gps": unit(place)}

    def encode_captions(self, captions: Tensor) -> dict[str, Tensor]:
        """See `Heads.encode_captions`."""
        return {
            "text": unit(self.text_head(captions)),
            "text_gps": unit(self.text_gps_head(captions)),
        }

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return what each pair of views compares by: photo, caption and place in their spaces."""
        assert batch.captions is not None
        photos = self.encode_photos(batch.photos)
        captions = self.encode_captions(batch.captions)
        places = self.encode_points(batch.points)
        return {
            "photo_gps": photos["gps"],
            "place_gps": places["gps"],
            "photo_text": photos["text"],
            "caption_text": captions["text"],
            "caption_place": captions["text_gps"],
            "place_caption": places["text_gps"],
        }

    def loss(self, embedded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return three symmetric contrastive losses and half the triplet loss."""
        caption, place = embedded["caption_place"], embedded["place_caption"]
        negatives = unit(embedded["photo_text"][:, : self.config.location_width])
        return {
            "photo_gps": contrastive(
                embedded["photo_gps"], embedded["place_gps"], self.logit_scale_gps
            ),
            "photo_text": contrastive(
                embedded["photo_text"], embedded["caption_text"], self.logit_scale_text
            ),
            "text_gps": contrastive(caption, place, self.logit_scale_text_gps),
            "triplet": TRIPLET_WEIGHT * hardest_triplet(caption, place, negatives),
        }


def hardest_triplet(
    anchors: Tensor, positives: Tensor, negatives: Tensor, margin: float = TRIPLET_MARGIN
) -> Tensor:
    """Return the mean of `max(0, margin + hardest negative - positive)` over the batch.

    Args:
        anchors: `[B, D]` unit rows.
        positives: `[B, D]` unit rows; row i belongs to row i of `anchors`.
        negatives: `[B, D]` unit rows; row i too, hence no negative of row i. The hardest is the
            one of highest cosine with the anchor. Without another row the result is 0.
        margin: on cosines.
    """
    positive = (anchors * positives).sum(dim=-1)
    if len(anchors) < 2:
        return positive.sum() * 0
    own = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    hardest = (anchors @ negatives.T).masked_fill(own, -torch.inf).amax(dim=1)
    return (margin + hardest - positive).clamp(min=0).mean()
