"""G3: photos aligned with captions and with coordinates (arXiv 2405.14702, NeurIPS 2024).

Three heads over frozen CLIP: photo to text, photo to location, and text. The index holds three
unit vectors of a photo one after the other (plain CLIP, text-aligned, location-aligned), so that
a search score is the sum of three cosines. The location space also verifies candidates.

Published defects repaired: the Mercator projection went through numpy and was infinite at the
poles, so that one invalid candidate won every verification (see `encoders.location`); a third
temperature was declared and never used.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from encoders.heads import Batch, Heads, HeadsConfig, Need, PhotoFeatures, contrastive, head, unit
from encoders.location import FEATURES, HIDDEN, LOCATION_WIDTH, LocationEncoder

G3_SIGMAS = (2**0, 2**4, 2**8)
INITIAL_LOG_SCALE = 3.99


class G3Config(HeadsConfig):
    """G3's sizes; the defaults are the published ones."""

    location_width: int = Field(default=LOCATION_WIDTH, ge=1)
    hidden: int = Field(default=HIDDEN, ge=1)
    features: int = Field(default=FEATURES, ge=1)
    sigmas: tuple[float, ...] = tuple(float(sigma) for sigma in G3_SIGMAS)
    text: bool = True
    """Align photos with captions too; without, the text heads are not there."""


class G3Heads(Heads):
    """Photo, text and location heads of G3."""

    family = "g3"
    needs: frozenset[Need] = frozenset({"captions"})
    image_spaces: tuple[str, ...] = ("clip", "text", "gps")
    location_spaces: tuple[str, ...] = ("gps",)
    text_spaces: tuple[str, ...] = ("text",)
    retrieval: tuple[str, ...] = ("clip", "text", "gps")
    alignment = "gps"
    config: G3Config

    def __init__(self, config: G3Config | None = None) -> None:
        config = config or G3Config()
        super().__init__(config)
        pooled, width = config.backbone_width, config.width
        self.location_encoder = LocationEncoder(
            "mercator",
            config.sigmas,
            hidden=config.hidden,
            width=config.location_width,
            features=config.features,
        )
        self.location_head = head(config.location_width, config.location_width, width)
        self.image_gps_head = head(pooled, pooled, width)
        self.logit_scale_gps = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        if config.text:
            self.image_text_head = head(pooled, pooled, width)
            self.text_head = head(pooled, pooled, width)
            self.logit_scale_text = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        else:
            self.needs = frozenset()
            self.image_spaces = self.retrieval = ("clip", "gps")
            self.text_spaces = ()

    @property
    def spaces(self) -> dict[str, int]:
        """`clip`, `text` and `gps`; their image vectors make the index vector, in this order."""
        widths = {"clip": self.config.backbone_width, "text": self.config.width}
        return {space: widths.get(space, self.config.width) for space in self.image_spaces}

    @property
    def temperature(self) -> float:
        """Of the location space."""
        return float(self.logit_scale_gps.detach().exp())

    def encode_photos(self, photos: PhotoFeatures) -> dict[str, Tensor]:
        """See `Heads.encode_photos`."""
        encoded = {"clip": unit(photos.pooled)}
        if self.config.text:
            encoded["text"] = unit(self.image_text_head(photos.pooled))
        return encoded | {"gps": unit(self.image_gps_head(photos.pooled))}

    def encode_points(self, points: Tensor) -> dict[str, Tensor]:
        """See `Heads.encode_points`."""
        return {"gps": unit(self.location_head(self.location_encoder(points)))}

    def encode_captions(self, captions: Tensor) -> dict[str, Tensor]:
        """See `Heads.encode_captions`."""
        return {"text": unit(self.text_head(captions))}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return `photo_gps` and `place`; with captions also `photo_text` and `caption`."""
        photos = self.encode_photos(batch.photos)
        embedded = {"photo_gps": photos["gps"], "place": self.encode_points(batch.points)["gps"]}
        if self.config.text:
            assert batch.captions is not None
            caption = self.encode_captions(batch.captions)["text"]
            embedded |= {"photo_text": photos["text"], "caption": caption}
        return embedded

    def loss(self, embedded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the symmetric contrastive losses photo-location and photo-caption."""
        terms = {
            "photo_gps": contrastive(embedded["photo_gps"], embedded["place"], self.logit_scale_gps)
        }
        if self.config.text:
            terms["photo_text"] = contrastive(
                embedded["photo_text"], embedded["caption"], self.logit_scale_text
            )
        return terms
