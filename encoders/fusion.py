"""Fusion of a photo's patches with its segmentation map, each photo on its own.

Source: DualGeo (Cui et al., ICME 2026, arXiv 2604.25533).

Published defects repaired here:

- The published attention views its tensors as `(heads, batch, width)`: each photo attends to the
  other photos of its batch, so that an index vector depends on its neighbours and on the batch
  size, and at batch 1 the softmax has one entry and the attention is the identity. Here a photo's
  patches attend to the segments of the same photo and the other way round. With one token a side
  this equals the published module at batch 1, and the tensors have its names and shapes.
- The published code scales maps of class ids with bilinear interpolation, which invents classes
  at every border, reads ids as intensities, and stands in a black map where one is missing. Here
  maps are scaled to the nearest pixel (`encoders.label_maps`), `PatchSegments` treats an id as a
  category, and a missing map is an error.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.label_maps import UNLABELLED
from encoders.torch_setup import need
from geo.errors import InputError

RESNET_WIDTH = 512


class CrossAttentionFusion(nn.Module):
    """Cross-attention both ways between the tokens of one photo and of its segments.

    A photo's pooled vector and each of its patches ask the segments; the segments ask them. The
    photo's vector is its pooled vector plus what that vector learned plus the mean of what its
    patches learned, then LayerNorm: where segments say nothing, the plain vector remains. The
    segments' vector is the mean of their tokens plus the mean of what they learned, then
    LayerNorm.

    Args:
        width: of all tokens.
        heads: of the attention; they divide the width.
        dropout: on what was learned, before the residual.

    Raises:
        InputError: the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int = 8, dropout: float = 0.1) -> None:
        super().__init__()
        if width % heads:
            raise InputError(
                f"{heads} attention heads do not divide a width of {width}; choose a divisor of it"
            )
        self.heads = heads
        self.q_proj_rgb = nn.Linear(width, width)
        self.k_proj_seg = nn.Linear(width, width)
        self.v_proj_seg = nn.Linear(width, width)
        self.q_proj_seg = nn.Linear(width, width)
        self.k_proj_rgb = nn.Linear(width, width)
        self.v_proj_rgb = nn.Linear(width, width)
        self.output_proj_rgb = nn.Linear(width, width)
        self.output_proj_seg = nn.Linear(width, width)
        self.norm_rgb = nn.LayerNorm(width)
        self.norm_seg = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, pooled: Tensor, tokens: Tensor | None, segments: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the photos' and the segments' vectors, both `[N, W]`, not normalised.

        Args:
            pooled: `[N, W]`.
            tokens: `[N, T, W]` patch tokens; None leaves the pooled vector alone.
            segments: `[N, K, W]`.
        """
        photo = pooled[:, None]
        if tokens is not None:
            photo = torch.cat((photo, tokens), dim=1)
        learned = self._attend(
            self.q_proj_rgb(photo), self.k_proj_seg(segments), self.v_proj_seg(segments)
        )
        update = learned[:, 0]
        if tokens is not None:
            update = update + learned[:, 1:].mean(dim=1)
        answer = self._attend(
            self.q_proj_seg(segments), self.k_proj_rgb(photo), self.v_proj_rgb(photo)
        )
        rgb: Tensor = self.norm_rgb(pooled + self.dropout(self.output_proj_rgb(update)))
        seg_update = self.dropout(self.output_proj_seg(answer.mean(dim=1)))
        seg: Tensor = self.norm_seg(segments.mean(dim=1) + seg_update)
        return rgb, seg

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend within each photo: `[N, Q, W]`, `[N, K, W]`, `[N, K, W]` to `[N, Q, W]`."""

        def split(tokens: Tensor) -> Tensor:
            return tokens.view(len(tokens), tokens.shape[1], self.heads, -1).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(split(queries), split(keys), split(values))
        return mixed.transpose(1, 2).flatten(2)


class PatchSegments(nn.Module):
    """Tokens of a map's square patches: the mean of their pixels' class embeddings.

    Our repair of the published one-channel picture: a class id is a category, no intensity.

    Args:
        classes: number of classes; ids below it have an embedding, and so has 255, unlabelled.
        width: of a token.
        grid: patches a side.
    """

    def __init__(self, classes: int, width: int, grid: int) -> None:
        super().__init__()
        self.classes = classes
        self.grid = grid
        self.embedding = nn.Parameter(torch.randn(classes + 1, width))
        self.position = nn.Parameter(torch.randn(grid * grid, width) * 0.1)
        self.projection = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width))

    def forward(self, segments: Tensor) -> Tensor:
        """Map `[N, S, S]` uint8 class ids to `[N, grid * grid, width]`.

        Raises:
            InputError: a class id beyond the classes, or fewer pixels than patches.
        """
        shares = class_shares(segments, self.classes, self.grid).to(self.embedding.dtype)
        # What a class means depends on where it is (sky above, sky mirrored below).
        tokens: Tensor = self.projection(shares @ self.embedding + self.position)
        return tokens


class ResNet18Segments(nn.Module):
    """Tokens of ResNet-18, trained from scratch, over the map as a one-channel picture.

    As published, except that the last feature map's positions are tokens, which the published
    model averages into one vector.

    Args:
        width: of a token.

    Raises:
        UnavailableError: torchvision is not installed.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.resnet: nn.Module = need("torchvision.models").resnet18(weights=None)
        self.resnet.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.resnet.avgpool = nn.Identity()
        self.resnet.fc = nn.Identity()
        self.projection = nn.Linear(RESNET_WIDTH, width)

    def forward(self, segments: Tensor) -> Tensor:
        """Map `[N, S, S]` uint8 class ids to `[N, (S / 32) ** 2, width]`."""
        picture = segments[:, None].to(self.projection.weight.dtype) / 255
        # torchvision flattens to [N, 512 * positions] before its classifier.
        features: Tensor = self.resnet(picture).unflatten(1, (RESNET_WIDTH, -1))
        tokens: Tensor = self.projection(features.transpose(1, 2))
        return tokens


def class_shares(segments: Tensor, classes: int, grid: int) -> Tensor:
    """Return the share of each class in each patch, `[N, grid * grid, classes + 1]` float32.

    Args:
        segments: `[N, S, S]` uint8 class ids; 255 is unlabelled and comes last.
        classes: ids go from 0 to this minus 1.
        grid: patches a side, row by row.

    Raises:
        InputError: a class id beyond the classes, or fewer pixels than patches.
    """
    count, side = len(segments), segments.shape[-1]
    if side < grid:
        raise InputError(
            f"segmentation maps of {side} x {side} px have fewer pixels than {grid} x {grid} "
            "patches; crop them at the photo's size"
        )
    labels = _checked_labels(segments, classes)
    patch = torch.arange(side, device=segments.device) * grid // side
    place = torch.arange(count, device=segments.device)[:, None, None] * grid * grid
    place = place + patch[:, None] * grid + patch
    bins = count * grid * grid * (classes + 1)
    counts = torch.bincount((place * (classes + 1) + labels).flatten(), minlength=bins)
    shares = counts.view(count, grid * grid, classes + 1).float()
    return shares / shares.sum(dim=-1, keepdim=True)


def _checked_labels(segments: Tensor, classes: int) -> Tensor:
    """Return int64 labels with `classes` in the place of 255."""
    labels = segments.long()
    unlabelled = labels == UNLABELLED
    wrong = (labels >= classes) & ~unlabelled
    if bool(wrong.any()):
        raise InputError(
            f"a segmentation map holds class {int(labels[wrong].max())}, limit 0 to {classes - 1} "
            f"and {UNLABELLED} for unlabelled; segment with the model that the heads were trained "
            "on"
        )
    return labels.masked_fill(unlabelled, classes)
