"""The factor between prototypes and aerial tiles, found with photos that made no prototype.

The method is `encoders.cell_calibration`: the factor under which held-out photos find their own
cells most likely. Held out are a fifth of the photographers, with all their photos; prototypes
are averaged from the others for this, in a sample of the cells that have tiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from geo.cells import CellIds, children, parents
from index_builder.cell_prototypes import (
    Averaged,
    Matrix,
    add_rows,
    read_vectors,
    rows_in,
    unit_rows,
)
from index_builder.cell_tiles import Tiles

if TYPE_CHECKING:
    from torch import Tensor

KappaFrom = Literal["given", "calibrated", "not calibrated", "encoder", "no tiles"]
LEAST_PHOTOS = 20
"""Held-out photos in cells with prototype and tile from which on they calibrate."""
MOST_PHOTOS = 2000
MOST_PARENTS = 1024
"""Cells of prototypes among whose codes photos look for theirs."""


@dataclass(frozen=True)
class Kappa:
    """The factor, and where it comes from."""

    value: float
    chosen: KappaFrom
    photos: int = 0
    """Held-out photos that calibrated it, or that were too few to."""
    log_likelihood: float | None = None
    """Mean log probability of their own cells at that factor."""
    at_one: float | None = None
    """The same at 1."""


def calibrated_kappa(
    averaged: Averaged, tiles: Tiles, code_level: int, temperature: float
) -> Kappa:
    """Return the factor under which held-out photos find their own cells most likely.

    Args:
        averaged: the prototypes.
        tiles: of the cells.
        code_level: of the tiles' cells.
        temperature: factor on cosines before the softmax.

    Raises:
        UnavailableError: there are photos to calibrate with, but no torch.
    """
    found = averaged.found
    level_cells = averaged.cells
    tiled = np.unique(parents(tiles.cells, _level_of(level_cells)))
    learns = np.zeros(len(level_cells), np.bool_)
    learns[averaged.rows[(averaged.rows >= 0) & ~found.held_out]] = True
    able = learns & (rows_in(tiled, level_cells) >= 0)
    usable = found.held_out & (averaged.rows >= 0)
    usable[usable] = able[averaged.rows[usable]]
    if int(usable.sum()) < LEAST_PHOTOS:
        return Kappa(1.0, "not calibrated", int(usable.sum()))
    chosen = _spread(np.unique(averaged.rows[usable]), MOST_PARENTS)
    usable &= np.isin(averaged.rows, chosen)
    some = np.zeros(len(usable), np.bool_)
    some[_spread(np.flatnonzero(usable), MOST_PHOTOS)] = True
    prototypes, ground = _read(averaged, chosen, some)
    codes = np.sort(children(level_cells[chosen], code_level).ravel())
    parent = rows_in(level_cells[chosen], parents(codes, _level_of(level_cells)))
    tile = rows_in(tiles.cells, codes)
    views = np.where(tile[:, None] >= 0, tiles.vectors[np.maximum(tile, 0)], np.float32(0))
    target = rows_in(codes, found.leaves[some])
    return _tried(ground, target, (prototypes[parent], views), temperature)


def _level_of(cells: CellIds) -> int:
    from geo.cells import levels

    return int(levels(cells[:1])[0])


def _spread(rows: Sequence[int] | np.ndarray, most: int) -> np.ndarray:
    """At most so many of them, evenly over all."""
    given = np.asarray(rows)
    if len(given) <= most:
        return given
    return given[np.linspace(0, len(given) - 1, most).round().astype(np.intp)]


def _read(averaged: Averaged, chosen: np.ndarray, some: np.ndarray) -> tuple[Matrix, Matrix]:
    """Return prototypes `[C, D]` of the chosen cells without held-out photos, and photos' rows."""
    found = averaged.found
    place = np.full(len(averaged.cells), -1, np.intp)
    place[chosen] = np.arange(len(chosen))
    rows = np.where(averaged.rows >= 0, place[np.maximum(averaged.rows, 0)], -1)
    rows = np.where(found.held_out, -1, rows)
    size = averaged.gallery.manifest.encoder.spaces[averaged.space]
    total, ground = np.zeros((len(chosen), size)), []
    for part, vectors in read_vectors(averaged.gallery, averaged.space, found):
        add_rows(total, rows[part], averaged.weights[part], vectors)
        ground.append(vectors[some[part]])
        averaged.tell("calibrating", part.stop, len(rows))
    return unit_rows(total), np.concatenate(ground)


def _tried(
    ground: Matrix, target: np.ndarray, parts: tuple[Matrix, Matrix], temperature: float
) -> Kappa:
    from encoders.torch_setup import need

    torch = need("torch")
    from encoders.cell_calibration import KAPPAS, calibrated

    def tensor(array: np.ndarray) -> "Tensor":
        made: Tensor = torch.from_numpy(np.ascontiguousarray(array))
        return made

    found = calibrated(
        tensor(ground), tensor(target), (tensor(parts[0]), tensor(parts[1])), temperature, KAPPAS
    )
    return Kappa(
        round(found.kappa, 6),
        "calibrated",
        found.photos,
        round(found.log_likelihood, 6),
        round(found.at_one, 6),
    )
