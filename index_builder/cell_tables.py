"""The tables of cells that an encoder of the family `cellcodes` learned."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.base import Encoder
from geo.cells import CellIds
from geo.errors import InputError
from index_builder.cell_prototypes import Matrix, unit_rows
from index_builder.cell_tiles import Tiles


@dataclass(frozen=True, eq=False)
class Learned:
    """Prototypes that were learned; see `index_builder.cell_prototypes.Prototypes`."""

    cells: CellIds
    members: npt.NDArray[np.int64]
    rows: Matrix
    """`[P, D]`."""

    @property
    def parts(self) -> int:
        """All at once: they are in memory."""
        return 1

    def vectors(self, first: int, last: int) -> Matrix:
        """See `Prototypes.vectors`."""
        return self.rows[first:last]


@dataclass(frozen=True, eq=False)
class LearnedTables:
    """What the encoder holds: prototypes, tiles and the factor between them."""

    prototypes: Learned
    tiles: Tiles
    kappa: float

    def with_tiles(self, more: Tiles | None) -> Tiles:
        """Return the encoder's tiles and others; of one cell the others'."""
        if more is None:
            return self.tiles
        own = ~np.isin(self.tiles.cells, more.cells)
        cells = np.concatenate([self.tiles.cells[own], more.cells])
        vectors = np.concatenate([self.tiles.vectors[own], more.vectors])
        order = np.argsort(cells)
        return Tiles(cells[order], vectors[order], more.count, more.rejected)


def learned_tables(
    encoder: Encoder, prototype_level: int, code_level: int, photographed: CellIds
) -> LearnedTables:
    """Return the tables of an encoder.

    Args:
        encoder: of the family `cellcodes`, in this process.
        prototype_level: that must be its own.
        code_level: likewise.
        photographed: `[N]` the prototype cell of each photo of the gallery, to count them.

    Raises:
        InputError: an encoder without tables, or of other levels.
    """
    heads = getattr(encoder, "heads", None)
    if getattr(heads, "family", "") != "cellcodes":
        raise InputError(
            f"encoder {encoder.card.name!r} shows no table of its cells; give the folder of the "
            "trained encoder, not its service"
        )
    from encoders.families.cellcodes import CellCodesHeads

    assert isinstance(heads, CellCodesHeads)
    own = (heads.config.prototype_level, heads.config.code_level)
    if own != (prototype_level, code_level):
        raise InputError(
            f"levels {prototype_level} and {code_level}, encoder {encoder.card.name!r} learned "
            f"{own[0]} and {own[1]}; give those"
        )
    if not len(heads.cell_ids):
        raise InputError(
            f"encoder {encoder.card.name!r} has no prototypes; train it with: graticule train "
            "cellcodes"
        )
    cells = heads.cell_ids.cpu().numpy().view(np.uint64)
    vectors = unit_rows(heads.prototypes.detach().cpu().numpy())
    held, count = np.unique(photographed, return_counts=True)
    members = np.zeros(len(cells), np.int64)
    order = np.argsort(cells)
    cells = cells[order]
    inside = np.isin(held, cells)
    members[np.searchsorted(cells, held[inside])] = count[inside]
    codes = heads.code_ids.cpu().numpy().view(np.uint64)
    by_code = np.argsort(codes)
    aerial = unit_rows(heads.code_aerial.cpu().numpy())[by_code]
    return LearnedTables(
        Learned(cells, members, vectors[order]),
        Tiles(codes[by_code], aerial, 0, ()),
        float(heads.kappa),
    )
