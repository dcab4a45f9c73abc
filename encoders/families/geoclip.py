"""GeoCLIP: photo and location heads trained against each other (arXiv 2309.16020, NeurIPS 2023).

Photo: Linear, ReLU, Linear over CLIP's projected features. Location: Equal Earth and three
capsules. Trained contrastively; a queue of earlier coordinates adds negatives. The queue holds
coordinates, not vectors: they are encoded anew at each step.

Published defect repaired: the queue demanded a length divisible by the batch; here it is a ring.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.heads import Batch, Heads, HeadsConfig, PhotoFeatures, head, unit
from encoders.location import (
    FEATURES,
    GEOCLIP_SIGMAS,
    HIDDEN,
    LOCATION_WIDTH,
    LocationEncoder,
    flush_negligible,
)

INITIAL_LOG_SCALE = 2.6593
"""Logarithm of 1 / 0.07, CLIP's starting temperature."""


class GeoCLIPConfig(HeadsConfig):
    """GeoCLIP's sizes; the defaults are the published ones."""

    width: int = Field(default=LOCATION_WIDTH, ge=1)
    hidden: int = Field(default=HIDDEN, ge=1)
    features: int = Field(default=FEATURES, ge=1)
    sigmas: tuple[float, ...] = tuple(float(sigma) for sigma in GEOCLIP_SIGMAS)
    queue: int = Field(default=4096, ge=0)
    """Coordinates remembered as further negatives."""


class GeoCLIPHeads(Heads):
    """Photo head, location encoder and temperature of GeoCLIP."""

    family = "geoclip"
    image_spaces = ("gps",)
    location_spaces = ("gps",)
    retrieval = ("gps",)
    alignment = "gps"
    queue: Tensor
    queue_next: Tensor

    def __init__(self, config: GeoCLIPConfig | None = None) -> None:
        config = config or GeoCLIPConfig()
        super().__init__(config)
        self.image_head = head(config.backbone_width, config.backbone_width, config.width)
        self.location_encoder = LocationEncoder(
            "equal_earth",
            config.sigmas,
            hidden=config.hidden,
            width=config.width,
            features=config.features,
        )
        self.logit_scale = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        # Part of training alone: a published file has none, and an encoder needs none.
        self.register_buffer("queue", torch.zeros(config.queue, 2).double(), persistent=False)
        self.register_buffer("queue_next", torch.zeros(2, dtype=torch.long), persistent=False)

    @property
    def spaces(self) -> dict[str, int]:
        """`gps`, shared by photos and locations."""
        return {"gps": self.location_encoder.width}

    @property
    def temperature(self) -> float:
        """As published: 39.7."""
        return float(self.logit_scale.detach().exp())

    def encode_photos(self, photos: PhotoFeatures) -> dict[str, Tensor]:
        """See `Heads.encode_photos`."""
        return {"gps": unit(self.image_head(photos.pooled))}

    def encode_points(self, points: Tensor) -> dict[str, Tensor]:
        """See `Heads.encode_points`."""
        return {"gps": unit(self.location_encoder(points))}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return `photo` and `place`, and the coordinates themselves, `points`."""
        return {
            "photo": self.encode_photos(batch.photos)["gps"],
            "place": self.encode_points(batch.points)["gps"],
            "points": batch.points,
        }

    def loss(self, embedded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return cross entropy of each photo over its batch's places and the queue's."""
        remembered = self.queue[: int(self.queue_next[1])]
        places = embedded["place"]
        if len(remembered):
            places = torch.cat((places, self.encode_points(remembered)["gps"]))
        logits = self.logit_scale.clamp(max=4.6052).exp() * embedded["photo"] @ places.T
        target = torch.arange(len(logits), device=logits.device)
        if self.training:
            self._remember(embedded["points"])
        return {"photo_gps": F.cross_entropy(logits, target)}

    def _remember(self, points: Tensor) -> None:
        """Write coordinates over the oldest ones; `queue_next` holds where, and how many."""
        size = len(self.queue)
        points = points[-size:] if size else points[:0]
        where = (int(self.queue_next[0]) + torch.arange(len(points))) % max(size, 1)
        self.queue[where] = points.to(self.queue)
        self.queue_next[0] = (self.queue_next[0] + len(points)) % max(size, 1)
        self.queue_next[1] = min(size, int(self.queue_next[1]) + len(points))

    def prepare(self) -> None:
        """Make inference fast; see `encoders.location.flush_negligible`."""
        flush_negligible(self)
