"""DualGeo: a photo and its segmentation map, both aligned with coordinates (arXiv 2604.25533).

Segmentation maps change little with light and season. A photo's patches and its segments attend
to each other (`encoders.fusion`), then each view has a head and a contrastive loss with the
location of the photo; no text. The index holds the fused vector and the plain CLIP vector, one
after the other.

Published defects repaired: attention went across the photos of a batch (see `encoders.fusion`);
class ids were read as grey values (`segment_encoder="resnet18"` is that encoder, the default
embeds categories); the Mercator projection was infinite at the poles (see `encoders.location`);
the index took the fused vector before its head, which no loss compares: here it is the aligned
one, so that retrieval and verification share a space.
"""

from collections.abc import Mapping
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from encoders.fusion import CrossAttentionFusion, PatchSegments, ResNet18Segments
from encoders.heads import Batch, Heads, HeadsConfig, Need, PhotoFeatures, contrastive, head, unit
from encoders.location import FEATURES, HIDDEN, LOCATION_WIDTH, LocationEncoder, flush_negligible
from geo.errors import InputError

DUALGEO_SIGMAS = (2**0, 2**4, 2**8)
INITIAL_LOG_SCALE = 3.99
ADE20K_CLASSES = 150

PUBLISHED_CONFIG = {"segment_encoder": "resnet18", "patch_tokens": False}
"""What a state dict of the published code needs: with it, it fills every tensor of ours."""
PUBLISHED_KEYS: dict[str, str | None] = {
    "location_encoder.": "location_encoder.",
    "location_projection_else.": "location_projection_else.",
    "rgb_projection_else.": "rgb_projection_else.",
    "seg_projection_else.": "seg_projection_else.",
    "vision_projection_seg.": "vision_projection_seg.",
    "cross_attn_fusion.": "cross_attn_fusion.",
    "semantic_encoder.projection.": "semantic_encoder.projection.",
    "semantic_encoder.resnet.fc.": None,
    "semantic_encoder.resnet.": "semantic_encoder.resnet.",
    "semantic_encoder.features.": None,
    "logit_scale_rgb": "logit_scale_rgb",
    "logit_scale_seg": "logit_scale_seg",
    "vision_model_rgb.": None,
    "vision_projection_rgb.": None,
}
"""Prefix of a published key -> prefix of ours; the first that fits counts. None: not used.

`vision_model_rgb` and `vision_projection_rgb` are the frozen CLIP tower, `resnet.fc` is a
classifier that nothing calls, `semantic_encoder.features` names the ResNet's tensors a second
time. The attention's tensors all have a counterpart; with published weights ours gives what the
published module gives at batch 1 where there is one token a side, and attends beyond that.
"""


class DualGeoConfig(HeadsConfig):
    """DualGeo's sizes; the defaults are the published ones but for the segment encoder."""

    location_width: int = Field(default=LOCATION_WIDTH, ge=1)
    hidden: int = Field(default=HIDDEN, ge=1)
    features: int = Field(default=FEATURES, ge=1)
    sigmas: tuple[float, ...] = tuple(float(sigma) for sigma in DUALGEO_SIGMAS)
    segments: bool = True
    """Use segmentation maps; without, the photo's pooled vector alone is trained and encoded."""
    segment_encoder: Literal["patches", "resnet18"] = "patches"
    """Classes as categories averaged over patches, or the published one-channel ResNet-18."""
    classes: int = Field(default=ADE20K_CLASSES, ge=2, le=255)
    """Classes of the maps (`patches`); 255 is unlabelled besides."""
    segment_grid: int = Field(default=8, ge=1, le=64)
    """Patches a side that a map is divided into (`patches`)."""
    patch_tokens: bool = True
    """Attend from and to the photo's patches besides its pooled vector."""
    attention_heads: int = Field(default=8, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.segments and self.backbone_width % self.attention_heads:
            raise ValueError(
                f"attention_heads {self.attention_heads} does not divide backbone_width "
                f"{self.backbone_width}; choose a divisor of it"
            )
        return self


class DualGeoHeads(Heads):
    """Segment encoder, fusion, photo, segment and location heads of DualGeo."""

    family = "dualgeo"
    needs: frozenset[Need] = frozenset({"tokens", "segments"})
    image_spaces: tuple[str, ...] = ("fused", "clip")
    location_spaces: tuple[str, ...] = ("fused",)
    retrieval: tuple[str, ...] = ("fused", "clip")
    alignment = "fused"
    config: DualGeoConfig

    def __init__(self, config: DualGeoConfig | None = None) -> None:
        config = config or DualGeoConfig()
        super().__init__(config)
        pooled, width = config.backbone_width, config.width
        self.location_encoder = LocationEncoder(
            "mercator",
            config.sigmas,
            hidden=config.hidden,
            width=config.location_width,
            features=config.features,
        )
        self.location_projection_else = head(config.location_width, config.location_width, width)
        self.rgb_projection_else = head(pooled, pooled, width)
        self.logit_scale_rgb = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        if config.segments:
            self._add_segments(config)
        else:
            self.needs = frozenset()
            # What remains of the fusion where segments say nothing.
            self.norm_rgb = nn.LayerNorm(pooled)

    def _add_segments(self, config: DualGeoConfig) -> None:
        """Add what only the segmentation view needs."""
        pooled = config.backbone_width
        self.semantic_encoder: nn.Module
        if config.segment_encoder == "resnet18":
            self.semantic_encoder = ResNet18Segments(pooled)
        else:
            self.semantic_encoder = PatchSegments(config.classes, pooled, config.segment_grid)
        self.vision_projection_seg = nn.Linear(pooled, pooled, bias=False)
        self.cross_attn_fusion = CrossAttentionFusion(
            pooled, config.attention_heads, config.dropout
        )
        self.seg_projection_else = head(pooled, pooled, config.width)
        self.logit_scale_seg = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        if config.patch_tokens:
            # Patch tokens come unprojected and of any size.
            self.token_projection = nn.Sequential(
                nn.LayerNorm(config.token_width), nn.Linear(config.token_width, pooled)
            )
        else:
            self.needs = frozenset({"segments"})

    @property
    def spaces(self) -> dict[str, int]:
        """`fused`, shared by photos and locations, and `clip`; together the index vector."""
        return {"fused": self.config.width, "clip": self.config.backbone_width}

    @property
    def temperature(self) -> float:
        """Of the photo's view."""
        return float(self.logit_scale_rgb.detach().exp())

    def encode_photos(self, photos: PhotoFeatures) -> dict[str, Tensor]:
        """See `Heads.encode_photos`.

        Raises:
            InputError: segmentation maps or patch tokens are needed and not there, or a map does
                not fit.
        """
        rgb, _ = self._views(photos)
        return {"fused": unit(self.rgb_projection_else(rgb)), "clip": unit(photos.pooled.float())}

    def encode_points(self, points: Tensor) -> dict[str, Tensor]:
        """See `Heads.encode_points`."""
        return {"fused": unit(self.location_projection_else(self.location_encoder(points)))}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return `photo` and `place`; with segmentation maps also `segments`."""
        rgb, seg = self._views(batch.photos)
        embedded = {
            "photo": unit(self.rgb_projection_else(rgb)),
            "place": self.encode_points(batch.points)["fused"],
        }
        if seg is not None:
            embedded["segments"] = unit(self.seg_projection_else(seg))
        return embedded

    def loss(self, embedded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the symmetric contrastive losses photo-location and segments-location."""
        place = embedded["place"]
        terms = {"photo_gps": contrastive(embedded["photo"], place, self.logit_scale_rgb)}
        if self.config.segments:
            terms["segments_gps"] = contrastive(embedded["segments"], place, self.logit_scale_seg)
        return terms

    def prepare(self) -> None:
        """Make inference fast; see `encoders.location.flush_negligible`."""
        flush_negligible(self)

    def _views(self, photos: PhotoFeatures) -> tuple[Tensor, Tensor | None]:
        """Return both views before their heads, `[N, backbone_width]` each."""
        pooled = photos.pooled.to(self.logit_scale_rgb.dtype)
        if not self.config.segments:
            return self.norm_rgb(pooled), None
        if photos.segments is None:
            raise InputError(
                "dualgeo was given photos without segmentation maps; give a segmenter, or a map "
                "for each photo"
            )
        segments = self.vision_projection_seg(self.semantic_encoder(photos.segments))
        rgb, seg = self.cross_attn_fusion(pooled, self._tokens(photos), segments)
        return rgb, seg

    def _tokens(self, photos: PhotoFeatures) -> Tensor | None:
        """Return `[N, T, backbone_width]` patch tokens, or None where they are not used."""
        if not self.config.patch_tokens:
            return None
        if photos.tokens is None:
            raise InputError(
                "dualgeo was given photos without patch tokens; compute the features with tokens, "
                "or configure it with patch_tokens=False"
            )
        tokens: Tensor = self.token_projection(photos.tokens.to(self.logit_scale_rgb.dtype))
        return tokens
