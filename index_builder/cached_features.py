"""Features of training photos on disk, read by batches."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from encoders.heads import Batch, PhotoFeatures
from index_builder.feature_store import ArraySpec, FeatureStore, Rows


class CachedFeatures:
    """Features of N examples, on disk; small enough to be sent to another process.

    Args:
        points: `[N, 2]` latitude, longitude in degrees.
        rows: of each kind, the store's row of each example.
        stores: of each kind, folder and arrays.
        cells: row of each example's cell in the table of prototypes.
    """

    def __init__(
        self,
        points: npt.NDArray[np.float64],
        rows: Mapping[str, Rows],
        stores: Mapping[str, tuple[Path, Mapping[str, ArraySpec]]],
        cells: Rows | None = None,
    ) -> None:
        self.points, self.rows, self.stores, self.cells = points, dict(rows), dict(stores), cells
        self._open: dict[str, FeatureStore] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def __len__(self) -> int:
        return len(self.points)

    def batch(self, indices: Rows) -> Batch:
        """Return the examples with those numbers `[B]`, in that order, on the CPU."""
        photos = PhotoFeatures(
            pooled=self._tensor(self._photos, "pooled", indices),
            tokens=self._tensor("tokens", "tokens", indices) if "tokens" in self.rows else None,
            segments=self._kept("segments", indices),
        )
        cells = None if self.cells is None else torch.from_numpy(self.cells[indices])
        return Batch(
            photos=photos,
            points=torch.from_numpy(self.points[indices]),
            captions=self._kept("captions", indices),
            aerial=self._kept("aerial", indices),
            cells=cells,
        )

    @property
    def _photos(self) -> str:
        return "tokens" if "tokens" in self.rows else "photos"

    def _kept(self, kind: str, indices: Rows) -> Tensor | None:
        array = "segments" if kind == "segments" else "pooled"
        return self._tensor(kind, array, indices) if kind in self.rows else None

    def _tensor(self, kind: str, array: str, indices: Rows) -> Tensor:
        if kind not in self._open:
            self._open[kind] = FeatureStore(*self.stores[kind])
        found = torch.from_numpy(self._open[kind].read(array, self.rows[kind][indices]))
        return found.float() if found.dtype == torch.float16 else found

    def digest(self) -> str:
        """Return the SHA-256 over everything that training reads of the data, in its order."""
        digest = hashlib.sha256(self.points.tobytes())
        for kind, rows in sorted(self.rows.items()):
            store = FeatureStore(*self.stores[kind])
            digest.update(kind.encode() + store.read("keys", rows).tobytes())
        return digest.hexdigest()
