"""Cell codes: a photo finds its cell among learned prototypes and aerial tiles (arXiv 2510.26795).

Lindenberger et al., Scaling Image Geo-Localization to Continent Level, NeurIPS 2025. The ground
is cut into S2 cells. Each cell of `prototype_level` has a prototype, learned as the weights of a
classifier over photos; each cell of `code_level` has an aerial tile. Photos, prototypes and tiles
are trained in one space by cross entropy over all cells and by contrast of each pair. A place is
found by the nearest cell code: kappa * prototype of the parent + vector of the tile.

What differs from the paper, which was read in summaries, and what it leaves open:

- Photos and tiles are a backbone's pooled features under a head each (same design, own weights),
  instead of trained backbones under SALAD's aggregation of tokens.
- The pairwise terms are symmetric InfoNCE; a summary names a multi-similarity loss without its
  constants. Photos of one cell are each other's positives and never negatives: of one prototype
  cell where prototypes are compared, of one code cell where photos and tiles are.
- Codes are of unit length; kappa is calibrated by likelihood (`calibrate`). How the paper does is
  not known.
- A cell known by one of the two alone has that as its code. A prototype without any tile stands
  for its whole cell: its children would be told apart by nothing.
- Every step compares with all prototypes: some hundred thousand cells, not the paper's millions.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.cell_calibration import KAPPAS, Calibration, calibrated, mixed_codes
from encoders.cell_search import (
    CellIndex,
    at_level,
    cells_of_level,
    rows_of,
    signed,
    sorted_table,
    taken,
)
from encoders.heads import Batch, Heads, HeadsConfig, Need, PhotoFeatures, head, unit
from geo.cells import CellIds, cell_ids, check_cells, children
from geo.errors import InputError

INITIAL_LOG_SCALE = 2.6593
"""Logarithm of 1 / 0.07."""
NO_LOGIT = -1e4


class CellCodesConfig(HeadsConfig):
    """Sizes of the cell codes; the levels are the published ones."""

    prototype_level: int = Field(default=15, ge=0, le=30)
    """About 281 m a side."""
    code_level: int = Field(default=16, ge=0, le=30)
    """About 140 m a side; at most 6 finer than `prototype_level`."""
    aerial: bool = True
    """With aerial tiles; without, a cell's code is its prototype."""
    cells: int = Field(default=0, ge=0)
    """Prototypes in the table; `set_cells` writes it."""
    codes: int = Field(default=0, ge=0)
    """Aerial tiles in the table; `set_codes` writes it."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if not 0 <= self.code_level - self.prototype_level <= 6:
            raise ValueError(
                f"code_level {self.code_level} must be prototype_level {self.prototype_level} or "
                "up to 6 finer; correct one of them"
            )
        if self.codes and not self.aerial:
            raise ValueError(f"codes {self.codes} without aerial tiles; give aerial=True or 0")
        return self


class CellCodesHeads(Heads):
    """Photo head, tile head, prototypes, and the tables of cells."""

    family = "cellcodes"
    needs: frozenset[Need] = frozenset({"cells", "aerial"})
    image_spaces = ("cell",)
    location_spaces = ("cell",)
    retrieval = ("cell",)
    alignment = "cell"
    config: CellCodesConfig
    cell_ids: Tensor
    code_ids: Tensor
    code_aerial: Tensor
    kappa: Tensor

    def __init__(self, config: CellCodesConfig | None = None) -> None:
        config = config or CellCodesConfig()
        super().__init__(config)
        pooled, width = config.backbone_width, config.width
        self.ground_head = head(pooled, pooled, width)
        self.prototypes = nn.Parameter(_fresh_prototypes(config.cells, width))
        self.logit_scale_cell = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        if config.aerial:
            self.aerial_head = head(pooled, pooled, width)
            self.logit_scale_ground_aerial = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
            self.logit_scale_aerial_prototype = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        else:
            self.needs = frozenset({"cells"})
        self.register_buffer("cell_ids", torch.zeros(config.cells, dtype=torch.int64))
        self.register_buffer("code_ids", torch.zeros(config.codes, dtype=torch.int64))
        self.register_buffer("code_aerial", torch.zeros(config.codes, width))
        self.register_buffer("kappa", torch.tensor(1.0))

    @property
    def spaces(self) -> dict[str, int]:
        """`cell`, shared by photos, tiles, prototypes and codes."""
        return {"cell": self.config.width}

    @property
    def temperature(self) -> float:
        """Of the classifier."""
        return float(_factor(self.logit_scale_cell.detach()))

    def set_cells(self, ids: npt.ArrayLike) -> None:
        """Say which cells have prototypes, before an optimiser is made.

        Cells that had a prototype keep it, others get a random one.

        Args:
            ids: `[C]` S2 cells of `prototype_level`, each once; `cell_ids` holds them sorted.

        Raises:
            InputError: none, another level, or one twice.
        """
        table = sorted_table(ids, self.config.prototype_level)
        table = table.to(self.cell_ids.device)
        rows = rows_of(self.cell_ids, table)[:, None]
        fresh = _fresh_prototypes(len(table), self.config.width).to(self.prototypes)
        if len(self.cell_ids):
            fresh = torch.where(rows >= 0, self.prototypes.detach()[rows[:, 0]], fresh)
        self.prototypes = nn.Parameter(fresh)
        self.cell_ids = table
        self.config = self.config.model_copy(update={"cells": len(table)})

    def set_codes(self, ids: npt.ArrayLike, aerial: Tensor) -> None:
        """Put the tiles of the database in place.

        Args:
            ids: `[A]` S2 cells of `code_level`, each once.
            aerial: `[A, D]` what `encode_aerial` gave for their tiles.

        Raises:
            InputError: none, another level, one twice, vectors of another shape or not finite,
                or a model without tiles.
        """
        if not self.config.aerial:
            raise InputError("this model has no aerial tiles; make it with aerial=True")
        table = sorted_table(ids, self.config.code_level)
        if aerial.shape != (len(table), self.config.width) or not aerial.isfinite().all():
            raise InputError(
                f"tile vectors of shape {list(aerial.shape)}, finite [{len(table)}, "
                f"{self.config.width}] are needed; encode one tile a cell"
            )
        order = np.argsort(check_cells(ids).view(np.int64))
        self.code_ids = table.to(self.code_ids.device)
        self.code_aerial = unit(aerial.detach()[torch.from_numpy(order)].to(self.code_aerial))
        self.config = self.config.model_copy(update={"codes": len(table)})

    def cell_rows(self, points: npt.ArrayLike) -> Tensor:
        """Return the row of each point's cell in the table of prototypes, -1 where it has none.

        Args:
            points: `[N, 2]` latitude, longitude in degrees.

        Returns:
            `[N]` int64, for `Batch.cells`.
        """
        ids = signed(cell_ids(points, self.config.prototype_level))
        return rows_of(self.cell_ids, ids.to(self.cell_ids.device))

    def encode_photos(self, photos: PhotoFeatures) -> dict[str, Tensor]:
        """See `Heads.encode_photos`."""
        return {"cell": unit(self.ground_head(photos.pooled))}

    def encode_aerial(self, features: Tensor) -> Tensor:
        """Return `[N, D]` unit rows of aerial tiles from `[N, backbone_width]` features.

        Raises:
            InputError: a model without tiles.
        """
        if not self.config.aerial:
            raise InputError("this model has no aerial tiles; make it with aerial=True")
        return unit(self.aerial_head(features))

    def encode_points(self, points: Tensor) -> dict[str, Tensor]:
        """Return the code of the cell that holds each point; zeros where no code does.

        See `Heads.encode_points`.
        """
        ids = signed(cell_ids(points.detach().cpu().numpy(), self.config.code_level))
        return {"cell": self.codes_of(ids.to(self.code_ids.device))}

    def codes_of(self, ids: Tensor) -> Tensor:
        """Return `[N, D]` codes, of unit length, of cells `[N]` of `code_level` (or a parent)."""
        return mixed_codes(*self._parts(ids), self.kappa)

    def code_table(self) -> tuple[CellIds, Tensor]:
        """Return the database: `[T]` cells and their `[T, D]` codes.

        Every cell with a tile; the other children of prototypes that have some; and prototypes
        without any tile, at their own level.
        """
        ids = self._table_ids()
        with torch.no_grad():
            vectors = self.codes_of(ids)
        return ids.cpu().numpy().view(np.uint64), vectors

    def index(self) -> CellIndex:
        """Return the database ready for search; a copy, made anew at each call."""
        ids = self._table_ids()
        with torch.no_grad():
            return CellIndex.of(ids, self.codes_of(ids), self.config.prototype_level)

    def search(
        self, vector: Tensor, k: int, beam: int | None = None
    ) -> tuple[CellIds, npt.NDArray[np.float32]]:
        """Return the `[k]` best cells of a photo's vector `[D]` and their cosines, best first.

        Parents are compared first, then the codes in the best of them; see `CellIndex.search`
        for `beam` and errors. For many photos keep one `index()`.
        """
        found, cosines = self.index().search(vector.detach(), k, beam)
        return found.cpu().numpy().view(np.uint64), cosines.cpu().numpy()

    @torch.no_grad()
    def calibrate(
        self, ground: Tensor, ids: npt.ArrayLike, kappas: Sequence[float] = KAPPAS
    ) -> Calibration:
        """Choose kappa by the likelihood of photos' own cells; see `encoders.cell_calibration`.

        Args:
            ground: `[N, D]` vectors of photos that prototypes were not trained on.
            ids: `[N]` cells of `code_level` where they were taken.
            kappas: the grid; 1 is tried too.

        Raises:
            InputError: no photo lies in a cell with a code, another level, another shape, or a
                kappa below 0 or not finite.
        """
        checked = cells_of_level(ids, self.config.code_level)
        if ground.shape != (len(checked), self.config.width):
            raise InputError(
                f"photo vectors of shape {list(ground.shape)}, [{len(checked)}, "
                f"{self.config.width}] are needed; give one a cell"
            )
        table = self._table_ids()
        own = signed(checked).to(table.device)
        target, parent = rows_of(table, own), at_level(own, self.config.prototype_level)
        target = torch.where(target >= 0, target, rows_of(table, parent))
        found = calibrated(
            ground.to(self.kappa), target, self._parts(table), self.temperature, kappas
        )
        self.kappa.fill_(found.kappa)
        return found

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return `ground`, with tiles `aerial`, and rows in the table `cells`, cells `codes`."""
        assert batch.cells is not None
        points = batch.points.detach().cpu().numpy()
        codes = signed(cell_ids(points, self.config.code_level)).to(batch.cells.device)
        ground = self.encode_photos(batch.photos)["cell"]
        embedded = {"ground": ground, "cells": batch.cells, "codes": codes}
        if self.config.aerial:
            assert batch.aerial is not None
            embedded["aerial"] = self.encode_aerial(batch.aerial)
        return embedded

    def loss(self, embedded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return cross entropy over all cells and the contrast of each pair of views.

        Examples of row -1 are in no cell of the table; they only align photos with tiles.
        """
        ground, known = embedded["ground"], embedded["cells"] >= 0
        cells, prototypes = embedded["cells"][known], unit(self.prototypes)
        scale = _factor(self.logit_scale_cell)
        logits = scale * ground[known] @ prototypes.T
        # A sum over none is 0 where a mean is not a number.
        entropy = F.cross_entropy(logits, cells, reduction="sum") / max(len(cells), 1)
        own = prototypes[cells]
        terms = {
            "cell": entropy,
            "ground_prototype": paired(ground[known], own, cells, self.logit_scale_cell),
        }
        if self.config.aerial:
            aerial = embedded["aerial"]
            terms["ground_aerial"] = paired(
                ground, aerial, embedded["codes"], self.logit_scale_ground_aerial
            )
            terms["aerial_prototype"] = paired(
                aerial[known], own, cells, self.logit_scale_aerial_prototype
            )
        return terms

    def _parts(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Unit prototypes and tile vectors of cells, `[N, D]` each; zeros where there is none."""
        parent_rows = rows_of(self.cell_ids, at_level(ids, self.config.prototype_level))
        code_rows = rows_of(self.code_ids, ids)
        return taken(self.prototypes, parent_rows), taken(self.code_aerial, code_rows)

    def _table_ids(self) -> Tensor:
        level = self.config.prototype_level
        tiled = torch.isin(self.cell_ids, at_level(self.code_ids, level))
        parents = self.cell_ids[tiled].cpu().numpy().view(np.uint64)
        inside = signed(children(parents, self.config.code_level).ravel())
        everything = (self.cell_ids[~tiled], inside.to(self.cell_ids.device), self.code_ids)
        table: Tensor = torch.cat(everything).unique()
        return table


def paired(left: Tensor, right: Tensor, labels: Tensor, log_scale: Tensor) -> Tensor:
    """Return the symmetric contrastive loss of rows that may share a label.

    Each pair of one label is a positive, compared with the rows of other labels alone: photos of
    one cell neither repel each other nor compete. Where all labels differ, this is `contrastive`.

    Args:
        left: `[B, D]` unit rows.
        right: `[B, D]` unit rows.
        labels: `[B]` integers, of both.
        log_scale: scalar, logarithm of the factor on cosines, clamped to at most log 100.
    """
    logits = _factor(log_scale) * left @ right.T
    same = labels[:, None] == labels[None, :]
    share = same / same.sum(dim=1, keepdim=True).clamp(min=1)
    count = max(len(labels), 1)
    total = logits.new_zeros(())
    for table in (logits, logits.T):
        others = torch.logsumexp(table.masked_fill(same, NO_LOGIT), dim=1, keepdim=True)
        total = total + (F.softplus(others - table) * share).sum() / count
    return total / 2


def _factor(log_scale: Tensor) -> Tensor:
    factor: Tensor = torch.clamp(log_scale, max=4.6052).exp()
    return factor


def _fresh_prototypes(cells: int, width: int) -> Tensor:
    return torch.randn(cells, width) / math.sqrt(width)
