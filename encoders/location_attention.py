"""Location encoder of TransGeoCLIP: transformer capsules and location attention (2606.08918).

Each scale's random Fourier features pass a small Transformer encoder instead of GeoCLIP's three
layers; the scales' results are summed and refined by a "location attention".

Published defects repaired here:

- Location attention went over the *batch*: each location attended to the others encoded with
  it, by the pairwise distance of their Mercator coordinates. A vector depended on its
  neighbours, and one location alone attended to itself only. Here a location attends to its own
  scales and to anchors: fixed places, the same for every location, each with a learned vector
  and weighed by its great-circle distance. The idea stays (what is near a place tells of it), and
  a row depends on its own coordinate alone.
- The capsule's Transformer saw a sequence of one token, over which attention is its value
  whatever queries and keys are: a third of each layer's weights was never used or trained. They
  are left out; the function, dropout included, is the same.

The Fourier features are those of flat Mercator, as published: they jump between -180 and 180
degrees. The distance to the anchors does not.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from encoders.location import FEATURES, LOCATION_WIDTH, FourierFeatures, project

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


class OneTokenLayer(nn.Module):
    """A Transformer encoder layer (post-norm, ReLU) for sequences of one token.

    Attention over one token is that token's value, so there are no queries and keys.
    """

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, token: Tensor) -> Tensor:
        """Map `[N, width]` to `[N, width]`, each row on its own."""
        value = self.value(token).unflatten(-1, (self.heads, -1))
        # Dropout of attention weights: with one token, of whole heads.
        kept = self._drop(torch.ones_like(value[..., :1])) * value
        attended: Tensor = self.norm1(token + self._drop(self.out(kept.flatten(-2))))
        fed = self.linear2(self._drop(F.relu(self.linear1(attended))))
        out: Tensor = self.norm2(attended + self._drop(fed))
        return out

    def _drop(self, values: Tensor) -> Tensor:
        return F.dropout(values, self.dropout, self.training)


class TransformerCapsule(nn.Module):
    """One scale: random Fourier features, a Transformer encoder over them, a head."""

    def __init__(
        self,
        sigma: float,
        *,
        features: int,
        model_width: int,
        heads: int,
        layers: int,
        feedforward: int,
        dropout: float,
        width: int,
    ) -> None:
        super().__init__()
        self.features = FourierFeatures(sigma, features)
        self.embed = nn.Linear(2 * features, model_width)
        self.layers = nn.ModuleList(
            OneTokenLayer(model_width, heads, feedforward, dropout) for _ in range(layers)
        )
        self.output = nn.Linear(model_width, model_width)
        self.head = nn.Linear(model_width, width)

    def forward(self, flat: Tensor, checkpointing: bool = False) -> Tensor:
        """Map `[N, 2]` projected coordinates to `[N, width]`."""
        # Half precision loses whole turns of the high frequencies.
        with torch.autocast(flat.device.type, enabled=False):
            features = self.features(flat)
        token = self.embed(features)
        for layer in self.layers:
            again = partial(checkpoint, layer, use_reentrant=False) if checkpointing else layer
            token = again(token)
        out: Tensor = self.head(self.output(token))
        return out


class LocationAttention(nn.Module):
    """Attention of a location over its scales and over fixed anchors on the sphere.

    The bias of an anchor is that of a von Mises-Fisher kernel, `k (cos d - 1)` with d the angle
    to the anchor and k learned for each head: smooth everywhere, and knowing neither poles nor
    antimeridian. Heads start with reaches from the globe down to the anchors' spacing.

    Args:
        width: of the vectors.
        heads: of the attention, a divisor of `width`.
        anchors: places of a Fibonacci lattice (Gonzalez, Mathematical Geosciences 42, 2010).
        scales: tokens of a location.
        dropout: of attention weights.
    """

    anchors: Tensor

    def __init__(self, width: int, heads: int, anchors: int, scales: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.register_buffer("anchors", fibonacci_sphere(anchors).float())
        self.anchor_vectors = nn.Parameter(torch.randn(anchors, width) * width**-0.5)
        self.scale_bias = nn.Parameter(torch.zeros(heads, scales))
        # At the mean spacing of anchors a kernel of concentration `anchors` has fallen to 1/e^2.
        finest = math.log(max(anchors, 2))
        self.log_concentration = nn.Parameter(torch.linspace(0, finest, heads))

    def forward(self, tokens: Tensor, points: Tensor) -> Tensor:
        """Refine the sum of a location's scales.

        Args:
            tokens: `[N, scales, width]`.
            points: `[N, 2]` latitude, longitude in degrees.

        Returns:
            `[N, width]`: the sum of the scales plus what attention adds, as published.
        """
        total = tokens.sum(dim=1)
        scales, anchors = tokens.shape[1], self.anchor_vectors
        query = self._split(self.query(total)) / math.sqrt(tokens.shape[2] // self.heads)
        own = torch.einsum("nhd,nshd->nhs", query, self._split(self.key(tokens)))
        far = torch.einsum("nhd,ahd->nha", query, self._split(self.key(anchors)))
        logits = torch.cat((own + self.scale_bias, far + self._distance_bias(points)), dim=-1)
        weights = F.dropout(torch.softmax(logits, dim=-1), self.dropout, self.training)
        own = torch.einsum("nhs,nshd->nhd", weights[..., :scales], self._split(self.value(tokens)))
        far = torch.einsum("nha,ahd->nhd", weights[..., scales:], self._split(self.value(anchors)))
        refined: Tensor = total + self.out((own + far).flatten(-2))
        return refined

    def _split(self, vectors: Tensor) -> Tensor:
        return vectors.reshape(*vectors.shape[:-1], self.heads, -1)

    def _distance_bias(self, points: Tensor) -> Tensor:
        """`[N, heads, anchors]`, at most 0."""
        with torch.autocast(points.device.type, enabled=False):
            cosines = (sphere_vectors(points).to(self.anchors) @ self.anchors.T).clamp(-1, 1)
        bias: Tensor = (cosines - 1)[:, None, :] * self.log_concentration.exp()[:, None]
        return bias


class TransformerLocationEncoder(nn.Module):
    """Transformer capsules of several scales, summed, refined by location attention.

    Args:
        sigmas: spread of each capsule's frequencies.
        features: random frequencies of a capsule.
        model_width: of the capsules' Transformers.
        heads: attention heads, of the capsules and of location attention.
        layers: of a capsule's Transformer.
        feedforward: inner width of those layers.
        dropout: in training.
        width: length of the result.
        anchors: places that location attention knows; 0 leaves it out: scales are summed.
    """

    def __init__(
        self,
        sigmas: Sequence[float],
        *,
        features: int = FEATURES,
        model_width: int = 1024,
        heads: int = 8,
        layers: int = 3,
        feedforward: int = 1024,
        dropout: float = 0.1,
        width: int = LOCATION_WIDTH,
        anchors: int = 128,
    ) -> None:
        super().__init__()
        self.capsules = nn.ModuleList(
            TransformerCapsule(
                float(sigma),
                features=features,
                model_width=model_width,
                heads=heads,
                layers=layers,
                feedforward=feedforward,
                dropout=dropout,
                width=width,
            )
            for sigma in sigmas
        )
        self.attention = (
            LocationAttention(width, heads, anchors, len(sigmas), dropout) if anchors else None
        )

    def forward(self, points: Tensor, checkpointing: bool = False) -> Tensor:
        """Map `[N, 2]` latitude, longitude in degrees to `[N, width]`, not normalised.

        Args:
            points: a row of the result depends on its own row alone.
            checkpointing: compute the layers a second time in the backward pass, to save memory.
        """
        flat = project(points, "mercator", next(self.parameters()).dtype)
        tokens = torch.stack([capsule(flat, checkpointing) for capsule in self.capsules], dim=1)
        if self.attention is None:
            return tokens.sum(dim=1)
        refined: Tensor = self.attention(tokens, points)
        return refined


def sphere_vectors(points: Tensor) -> Tensor:
    """Return `[N, 2]` latitude, longitude in degrees as unit vectors `[N, 3]`, same precision."""
    latitude, longitude = torch.deg2rad(points).unbind(-1)
    ring = torch.cos(latitude)
    return torch.stack(
        (ring * torch.cos(longitude), ring * torch.sin(longitude), torch.sin(latitude)), dim=-1
    )


def fibonacci_sphere(count: int) -> Tensor:
    """Return `[count, 3]` float64 unit vectors spread evenly over the sphere, poles left out."""
    number = torch.arange(count, dtype=torch.float64)
    z = 1 - (2 * number + 1) / count
    turn = GOLDEN_ANGLE * number
    ring = torch.sqrt(1 - z**2)
    return torch.stack((ring * torch.cos(turn), ring * torch.sin(turn), z), dim=1)
