"""Tables of cells, and search of their codes from coarse to fine: parents first, then cells.

Knows vectors and cell numbers, no model. Cells are int64 tensors that hold the bits of S2's
unsigned numbers (`geo.cells`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from encoders.heads import unit
from geo.cells import CellIds, check_cells, levels
from geo.errors import InputError

BLOCK = 64
"""Parents opened at first; each further step opens four times as many."""
ROUNDING = 1e-5
"""Slack on bounds, against the rounding of single precision."""


def at_level(ids: Tensor, level: int) -> Tensor:
    """Return the cells of `level` that hold cells `[N]`; the result for coarser ones is void."""
    bit = 1 << 2 * (30 - level)
    return (ids & -bit) | bit


def rows_of(table: Tensor, ids: Tensor) -> Tensor:
    """Return where each of `ids` `[N]` stands in a sorted table `[C]`, -1 where it does not."""
    if not len(table):
        return torch.full_like(ids, -1)
    rows = torch.searchsorted(table, ids).clamp(max=len(table) - 1)
    return torch.where(table[rows] == ids, rows, -1)


def signed(ids: CellIds) -> Tensor:
    """Return the bits of cells as an int64 tensor, `[N]`: torch has little use for uint64."""
    return torch.from_numpy(np.ascontiguousarray(ids).view(np.int64))


def cells_of_level(ids: npt.ArrayLike, level: int) -> CellIds:
    """Return `[N]` cells, all of one level.

    Raises:
        InputError: none, or one of another level.
    """
    checked = check_cells(ids)
    if not len(checked) or (levels(checked) != level).any():
        shown = sorted(set(levels(checked).tolist()))
        raise InputError(f"{len(checked)} cells of levels {shown}; give 1 or more of level {level}")
    return checked


def sorted_table(ids: npt.ArrayLike, level: int) -> Tensor:
    """Return cells of one level as a table for `rows_of`.

    Raises:
        InputError: none, one of another level, or one twice.
    """
    table = torch.from_numpy(np.sort(cells_of_level(ids, level).view(np.int64)))
    if (table[1:] == table[:-1]).any():
        raise InputError("a cell is given twice; give each cell once (numpy.unique)")
    return table


def taken(vectors: Tensor, rows: Tensor) -> Tensor:
    """Return rows of vectors `[C, D]`, of unit length; zeros where a row is -1."""
    if not len(vectors):
        return vectors.new_zeros(len(rows), vectors.shape[1])
    return unit(vectors[rows.clamp(min=0)]) * (rows >= 0)[:, None]


@dataclass(frozen=True)
class CellIndex:
    """Codes grouped by their parent; a parent is its codes' mean direction and their spread."""

    ids: Tensor
    """`[T]` int64, sorted: the codes of one parent are neighbours on the curve."""
    vectors: Tensor
    """`[T, D]` unit rows."""
    starts: Tensor
    """`[P + 1]` first code of each parent, and T."""
    centres: Tensor
    """`[P, D]` unit rows, or zeros where codes cancel out."""
    spread: Tensor
    """`[P]` largest angle between a parent's centre and its codes, in radians."""

    @classmethod
    def of(cls, ids: Tensor, vectors: Tensor, level: int) -> "CellIndex":
        """Group codes `[T]`, `[T, D]` by their parents of `level`."""
        order = torch.argsort(ids)
        ids, vectors = ids[order], vectors[order]
        _, parent, counts = torch.unique_consecutive(
            at_level(ids, level), return_inverse=True, return_counts=True
        )
        starts = torch.cat((counts.new_zeros(1), counts.cumsum(0)))
        sums = vectors.new_zeros(len(counts), vectors.shape[1]).index_add_(0, parent, vectors)
        centres = unit(sums)
        # By the chord: the arc cosine of a dot product is coarse for near vectors.
        chords = (centres[parent] - vectors).norm(dim=1)
        angles = 2 * torch.asin((chords / 2).clamp(max=1))
        spread = vectors.new_zeros(len(counts))
        spread.scatter_reduce_(0, parent, angles, "amax")
        return cls(ids, vectors, starts, centres, spread)

    def search(self, vector: Tensor, k: int, beam: int | None = None) -> tuple[Tensor, Tensor]:
        """Return the k cells of the highest cosine with a unit vector, best first.

        Args:
            vector: `[D]`.
            k: how many; fewer come back where there are fewer codes.
            beam: how many parents to open, those nearest by their centre. None opens as many as
                the answer needs to be exact: a parent is left closed only where its centre and
                spread prove that it holds nothing better.

        Returns:
            `[k]` cells and `[k]` cosines.

        Raises:
            InputError: k or the beam below 1, or a vector of another length.
        """
        if k < 1 or (beam is not None and beam < 1):
            raise InputError(f"k {k} and beam {beam}, both must be 1 or more; give such")
        if vector.shape != self.vectors.shape[1:]:
            raise InputError(
                f"vector of shape {list(vector.shape)}, [{self.vectors.shape[1]}] is needed; "
                "encode the photo with this encoder"
            )
        near = self.centres @ vector
        # A centre of zeros bounds nothing.
        bound = torch.cos((torch.acos(near.clamp(-1, 1)) - self.spread).clamp(min=0))
        bound = torch.where(self.centres.any(dim=1), bound, 1.0)
        order = torch.argsort(near if beam else bound, descending=True)[:beam]
        best_rows, best = self.ids.new_zeros(0), self.vectors.new_zeros(0)
        start, size = 0, BLOCK
        while start < len(order):
            opened = order[start : start + size]
            full = len(best) == k
            if beam is None and full and bound[opened[0]] + ROUNDING < best[-1]:
                break
            # Where bounds prove little, few large steps cost what comparing with all does.
            start, size = start + size, 4 * size
            rows = self._rows_inside(opened)
            best_rows = torch.cat((best_rows, rows))
            best = torch.cat((best, self.vectors[rows] @ vector))
            keep = torch.argsort(best, descending=True, stable=True)[:k]
            best_rows, best = best_rows[keep], best[keep]
        return self.ids[best_rows], best

    def _rows_inside(self, parents: Tensor) -> Tensor:
        first, count = self.starts[parents], self.starts[parents + 1] - self.starts[parents]
        offsets = torch.repeat_interleave(count.cumsum(0) - count, count)
        inside: Tensor = torch.repeat_interleave(first, count) - offsets
        return inside + torch.arange(len(inside), device=inside.device)
