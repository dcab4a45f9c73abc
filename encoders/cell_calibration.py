"""Cell codes mixed of prototypes and aerial tiles, and the factor between the two.

Prototypes and tiles are trained against photos separately, so that their cosines differ in
scale. kappa makes up for it (Lindenberger et al., arXiv 2510.26795; how it is found there is not
known). Here it is the factor under which held-out photos find their own cells most likely: the
mean log of a softmax over all codes at the trained temperature, by trying each on a grid. All
codes need computing once: a mixed code's cosine follows from those of its two parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from encoders.heads import unit
from geo.errors import InputError

KAPPAS = tuple(10 ** (step / 20) for step in range(-40, 41))
"""A hundredth to a hundred."""
CHUNK = 256
"""Photos compared with all codes at once."""


@dataclass(frozen=True)
class Calibration:
    """What a calibration of kappa found."""

    kappa: float
    """The factor chosen."""
    log_likelihood: float
    """Mean over the photos of the log probability of their own cell, at that factor."""
    at_one: float
    """The same at kappa = 1."""
    photos: int
    """Photos used: those whose cell has a code."""


def mixed_codes(prototypes: Tensor, tiles: Tensor, kappa: Tensor) -> Tensor:
    """Return `[N, D]` codes, kappa * prototype + tile, of unit length.

    Args:
        prototypes: `[N, D]` unit rows, or zeros where there is none; then the tile is the code.
        tiles: `[N, D]` unit rows, or zeros where there is none; then the prototype is the code.
        kappa: scalar.
    """
    factor = torch.where(_both(prototypes, tiles), kappa, 1.0)
    return unit(factor[:, None] * prototypes + tiles)


def calibrated(
    ground: Tensor,
    target: Tensor,
    parts: tuple[Tensor, Tensor],
    temperature: float,
    kappas: Sequence[float],
) -> Calibration:
    """Return the kappa of the grid, or 1, of the highest likelihood.

    Args:
        ground: `[N, D]` unit rows of photos.
        target: `[N]` rows of their cells in the table, -1 where it has none.
        parts: `[T, D]` prototypes and tiles of the table, as in `mixed_codes`.
        temperature: factor on cosines before the softmax.
        kappas: the grid.

    Raises:
        InputError: no photo lies in a cell of the table, or a kappa below 0 or not finite.
    """
    grid = torch.tensor(sorted({1.0, *kappas}), dtype=torch.float64)
    if not grid.isfinite().all() or grid[0] < 0:
        raise InputError(f"kappas from {min(kappas)} to {max(kappas)}; give finite ones, 0 or more")
    known = target >= 0
    if not known.any():
        raise InputError(
            f"none of {len(target)} photos lies in a cell with a code; give photos of the region"
        )
    found = _log_likelihoods(ground[known], target[known], parts, temperature, grid)
    best, one = int(found.argmax()), int((grid == 1).nonzero()[0, 0])
    return Calibration(float(grid[best]), float(found[best]), float(found[one]), int(known.sum()))


def _log_likelihoods(
    ground: Tensor, target: Tensor, parts: tuple[Tensor, Tensor], temperature: float, grid: Tensor
) -> Tensor:
    prototypes, tiles = parts
    both = _both(prototypes, tiles)
    between = (prototypes * tiles).sum(dim=1)
    total = torch.zeros_like(grid)
    for start in range(0, len(ground), CHUNK):
        some, rows = ground[start : start + CHUNK], target[start : start + CHUNK]
        to_prototypes, to_tiles = some @ prototypes.T, some @ tiles.T
        for number, kappa in enumerate(grid.tolist()):
            length = (kappa**2 + 1 + 2 * kappa * between).clamp(min=1e-12).sqrt()
            mixed = (kappa * to_prototypes + to_tiles) / length
            cosines = torch.where(both, mixed, to_prototypes + to_tiles)
            found = F.cross_entropy(temperature * cosines, rows, reduction="sum")
            total[number] -= float(found)
    return total / len(ground)


def _both(prototypes: Tensor, tiles: Tensor) -> Tensor:
    return prototypes.any(dim=1) & tiles.any(dim=1)
