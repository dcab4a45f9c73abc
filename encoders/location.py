"""Location encoders: projections of the sphere to the plane, random Fourier features, capsules.

Sources: GeoCLIP (Vivanco Cepeda et al., NeurIPS 2023, arXiv 2309.16020); Equal Earth projection
(Savric, Patterson and Jenny, IJGIS 2019); random Fourier features (Tancik et al., NeurIPS 2020);
G3 (Jia et al., NeurIPS 2024, arXiv 2405.14702) for the Mercator variant.

Published defects repaired here: G3 projects through numpy and pyproj, on one hard-coded device,
and returns infinity at the poles, which turns every later similarity into NaN. Here the
projection is closed-form, differentiable, on any device, and finite everywhere: latitudes
beyond the square of the web map are held at its edge.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Projection = Literal["equal_earth", "mercator"]

EQUAL_EARTH = (1.340264, -0.081106, 0.000893, 0.003796)
"""A1 to A4 of the Equal Earth polynomial."""
EQUAL_EARTH_SCALE = 66.50336
"""GeoCLIP's, over 180: x within about 1, y within about 0.49."""
MERCATOR_LIMIT = math.degrees(math.atan(math.sinh(math.pi)))
"""85.0511 degrees, where Web Mercator (EPSG:3857) is square."""
FEATURES = 256
"""Random frequencies a capsule sees; cosines and sines make 512 inputs."""
HIDDEN = 1024
LOCATION_WIDTH = 512
GEOCLIP_SIGMAS = (2**0, 2**4, 2**8)
CHUNK = 512
"""Neighbouring coordinates encoded at once: few enough that many units are silent for all."""
WORTH_SKIPPING = 0.75
"""Skip silent units where at most this share speaks: picking weights costs time as well."""
NEGLIGIBLE = 1e-30
"""Weights below it change no output bit, but subnormal ones stall a CPU's multipliers."""


def equal_earth(points: Tensor) -> Tensor:
    """Project `[N, 2]` latitude, longitude in degrees to `[N, 2]` x (east), y (north)."""
    a1, a2, a3, a4 = EQUAL_EARTH
    latitude, longitude = torch.deg2rad(points[:, 0]), torch.deg2rad(points[:, 1])
    theta = torch.asin(math.sqrt(3.0) / 2 * torch.sin(latitude))
    slope = 3 * (9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1)
    x = 2 * math.sqrt(3.0) * longitude * torch.cos(theta) / slope
    y = a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta
    # In this order: frequencies up to a thousand multiply every rounding error.
    return torch.stack((x, y), dim=1) * EQUAL_EARTH_SCALE / 180


def mercator(points: Tensor) -> Tensor:
    """Project `[N, 2]` latitude, longitude in degrees to `[N, 2]` y (north), x (east) within 1.

    Web Mercator over half its width, in G3's order. Latitudes beyond 85.0511 degrees come out
    as y = 1 or -1.
    """
    latitude = torch.deg2rad(points[:, 0].clamp(-MERCATOR_LIMIT, MERCATOR_LIMIT))
    y = torch.asinh(torch.tan(latitude)) / math.pi
    return torch.stack((y, points[:, 1] / 180), dim=1)


def project(points: Tensor, projection: Projection, dtype: torch.dtype) -> Tensor:
    """Project `[N, 2]` degrees in the precision in which the projection was published.

    GeoCLIP rounds degrees to single precision before, G3 the projected plane after.
    """
    if projection == "equal_earth":
        return equal_earth(points.to(dtype))
    return mercator(points).to(dtype)


class FourierFeatures(nn.Module):
    """Cosines and sines of fixed random frequencies; the frequencies are part of the weights."""

    b: Tensor

    def __init__(self, sigma: float, features: int = FEATURES) -> None:
        super().__init__()
        self.register_buffer("b", torch.randn(features, 2) * sigma)

    def forward(self, flat: Tensor) -> Tensor:
        """Map `[N, 2]` to `[N, 2 * features]`."""
        # Never in half precision: a phase of thousands would keep no digit behind the point.
        with torch.autocast(flat.device.type, enabled=False):
            phase = 2 * math.pi * flat @ self.b.T
            return torch.cat((torch.cos(phase), torch.sin(phase)), dim=-1)


class Capsule(nn.Module):
    """One scale of a location encoder: frequencies up to about sigma, then three layers."""

    def __init__(self, sigma: float, hidden: int, width: int, features: int) -> None:
        super().__init__()
        self.capsule = nn.Sequential(
            FourierFeatures(sigma, features),
            nn.Linear(2 * features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(hidden, width))

    def forward(self, flat: Tensor) -> Tensor:
        """Map `[N, 2]` projected coordinates to `[N, width]`."""
        if torch.is_grad_enabled():
            out: Tensor = self.head(self.capsule(flat))
            return out
        hidden: Tensor = self.capsule[1](self.capsule[0](flat)).relu_()
        for layer in (self.capsule[3], self.capsule[5]):
            hidden = _linear(layer, hidden).relu_()
        return _linear(self.head[0], hidden)


def _linear(layer: nn.Module, hidden: Tensor) -> Tensor:
    """Apply a linear layer without those inputs, none negative, that are zero in every row.

    Units of the coarse capsules are silent over whole regions, so among neighbours on the map
    most of a layer need not be multiplied.
    """
    assert isinstance(layer, nn.Linear)
    speaking = hidden.amax(dim=0) > 0
    if speaking.sum() > WORTH_SKIPPING * len(speaking):
        return F.linear(hidden, layer.weight, layer.bias)
    live = speaking.nonzero().squeeze(1)
    weight = layer.weight.index_select(1, live)
    return F.linear(hidden.index_select(1, live), weight, layer.bias)


class LocationEncoder(nn.Module):
    """Capsules of several scales, summed; keys are those of GeoCLIP's published file.

    Args:
        projection: `equal_earth` (GeoCLIP) or `mercator` (G3 and its descendants).
        sigmas: spread of each capsule's frequencies.
        hidden: width of the capsules' layers.
        width: length of the result.
        features: random frequencies of a capsule.
    """

    def __init__(
        self,
        projection: Projection = "equal_earth",
        sigmas: Sequence[float] = GEOCLIP_SIGMAS,
        *,
        hidden: int = HIDDEN,
        width: int = LOCATION_WIDTH,
        features: int = FEATURES,
    ) -> None:
        super().__init__()
        self.projection = projection
        self.width = width
        self.capsules = tuple(f"LocEnc{number}" for number in range(len(sigmas)))
        for name, sigma in zip(self.capsules, sigmas, strict=True):
            self.add_module(name, Capsule(float(sigma), hidden, width, features))

    def forward(self, points: Tensor) -> Tensor:
        """Map `[N, 2]` latitude, longitude in degrees to `[N, width]`, not normalised."""
        flat = project(points, self.projection, next(self.parameters()).dtype)
        total = torch.zeros(len(points), self.width, dtype=flat.dtype, device=flat.device)
        for name in self.capsules:
            total = total + self.get_submodule(name)(flat)
        return total


def flush_negligible(module: nn.Module) -> int:
    """Set weights below 1e-30 to zero, in place, and return how many there were.

    Up to 4 % of GeoCLIP's published weights are subnormal numbers. Zeroing them changes no
    bit of any output and makes a CPU several times faster.
    """
    flushed = 0
    with torch.no_grad():
        for parameter in module.parameters():
            small = (parameter.abs() < NEGLIGIBLE) & (parameter != 0)
            flushed += int(small.sum())
            parameter.masked_fill_(small, 0.0)
    return flushed
