"""Search of a gallery of cells from coarse to fine: parents first, then the cells in the best.

A parent is the mean direction of its cells' codes and the widest angle between the two, which
bounds the cosine of every code in it: what cannot be among the best is never looked at. That is
the search of `encoders.cell_search`, in NumPy, for galleries on machines without torch.
"""

import weakref
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

import numpy as np
import numpy.typing as npt

from geo.cells import CellIds, check_cells, from_tokens, levels, parents, tokens
from geo.errors import InputError
from index_builder.gallery import Gallery
from index_builder.gallery_photo import Hit, photo_of
from index_builder.points import EVERYWHERE, Vector, Where, check_limit, check_vector
from index_builder.records import content_id

Matrix = npt.NDArray[np.float32]
BLOCK = 16
"""Parents opened at first, those of the nearest centres; further steps go by what bounds allow,
each four times as many."""
WHOLE_FROM = 0.25
"""Share of the codes that bounds leave from which on comparing with all is the faster way."""
ROUNDING = 1e-5
"""Slack on bounds, against the rounding of single precision."""
CODES_PER_PARENT = 48
"""Parents are the finest whose cells are at least so many on average."""


@dataclass(frozen=True, eq=False)
class CellTree:
    """Codes grouped by their parents, in memory."""

    ids: CellIds
    """`[T]` cells, ascending: those of one parent are neighbours on the curve."""
    vectors: Matrix
    """`[T, D]` unit rows."""
    level: int
    """Of the parents."""
    starts: npt.NDArray[np.intp]
    """`[P + 1]` first code of each parent, and T."""
    centres: Matrix
    """`[P, D]` unit rows, or zeros where codes cancel out."""
    spread: Matrix
    """`[P]` widest angle between a parent's centre and its codes, radians."""

    @classmethod
    def of(cls, ids: npt.ArrayLike, vectors: Matrix, level: int | None = None) -> "CellTree":
        """Group codes by their parents.

        Args:
            ids: `[T]` cells of any levels, each once.
            vectors: `[T, D]` unit rows.
            level: of the parents; by default the finest with 48 codes or more on average.

        Raises:
            InputError: no cells, cells coarser than `level`, or another number of vectors.
        """
        cells = check_cells(ids)
        if not len(cells) or vectors.shape[:1] != cells.shape:
            raise InputError(
                f"{len(cells)} cells with {len(vectors)} vectors, 1 each is needed; give both"
            )
        order = np.argsort(cells)
        cells, rows = cells[order], np.ascontiguousarray(vectors[order], np.float32)
        level = _fitting_level(cells) if level is None else level
        found, starts = np.unique(parents(cells, level), return_index=True)
        bounds = np.append(starts, len(cells)).astype(np.intp)
        centres, spread = _centres(rows, bounds, len(found))
        return cls(cells, rows, level, bounds, centres, spread)

    def search(self, vector: Vector, k: int, beam: int | None = None) -> tuple[CellIds, Matrix]:
        """Return the k cells of the highest cosine with a unit vector, best first.

        Args:
            vector: `[D]`.
            k: how many; fewer come back where there are fewer.
            beam: how many parents to open, those of the nearest centres. None opens as many as
                the answer needs to be exact.

        Returns:
            `[k]` cells and `[k]` cosines.

        Raises:
            InputError: k or beam below 1, or a vector of another length.
        """
        check_vector(vector, self.vectors.shape[1])
        if beam is not None and beam < 1:
            raise InputError(f"beam of {beam} parents, limit 1 or more; give None for exact search")
        wanted = np.ascontiguousarray(vector, np.float32)
        rows, cosines = self._best(wanted, check_limit(k), beam)
        return self.ids[rows], cosines

    def _best(
        self, vector: Matrix, k: int, beam: int | None
    ) -> tuple[npt.NDArray[np.intp], Matrix]:
        near = self.centres @ vector
        nearest = np.argsort(-near, kind="stable")[: beam or BLOCK]
        rows, best = self._opened(nearest, vector, k, np.empty(0, np.intp), np.empty(0, np.float32))
        if beam is not None:
            return rows, best
        bound = self._bounds(near)
        bound[nearest] = -np.inf
        order = np.argsort(-bound, kind="stable")[: len(bound) - len(nearest)]
        start, size = 0, BLOCK
        while start < len(order):
            if len(best) == k:
                order = order[: start + int((bound[order[start:]] + ROUNDING >= best[-1]).sum())]
            left = order[start:]
            if (self.starts[left + 1] - self.starts[left]).sum() > WHOLE_FROM * len(self.ids):
                # Where bounds prove little, one product with all is the fastest.
                return _largest(np.arange(len(self.ids)), self.vectors @ vector, k)
            rows, best = self._opened(left[:size], vector, k, rows, best)
            start, size = start + size, 4 * size
        return rows, best

    def _opened(
        self,
        some: npt.NDArray[np.intp],
        vector: Matrix,
        k: int,
        rows: npt.NDArray[np.intp],
        best: Matrix,
    ) -> tuple[npt.NDArray[np.intp], Matrix]:
        """The k best of those known and of the codes in some parents."""
        inside = self._rows_inside(some)
        cosines = np.concatenate([best, self.vectors[inside] @ vector])
        return _largest(np.concatenate([rows, inside]), cosines, k)

    def _bounds(self, near: Matrix) -> Matrix:
        """Highest cosine that any code of each parent can have, `[P]`."""
        angle = np.arccos(np.clip(near, -1, 1)) - self.spread
        # A centre of zeros bounds nothing.
        known = self.centres.any(axis=1)
        return np.where(known, np.cos(np.maximum(angle, 0)), 1.0).astype(np.float32)

    def _rows_inside(self, opened: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        first, count = self.starts[opened], self.starts[opened + 1] - self.starts[opened]
        steps = np.repeat(first - (np.cumsum(count) - count), count)
        return np.asarray(steps + np.arange(count.sum()), np.intp)


def search_cells(
    gallery: Gallery,
    vector: Vector,
    k: int,
    *,
    where: Where = EVERYWHERE,
    coarse_level: int | None = None,
    beam: int | None = None,
) -> list[Hit]:
    """Return the cells of a gallery most like a photo, best first.

    The first search of an open gallery reads its codes into memory. A search under conditions
    compares with every code that passes instead, in the store.

    Args:
        gallery: of cells.
        vector: `[D]` the photo's unit vector in the gallery's space.
        k: at most this many.
        where: which cells, by their centres.
        coarse_level: of the parents; see `CellTree.of`.
        beam: parents to open; None for an exact answer.

    Raises:
        InputError: no gallery of cells, a vector of another space, or k or beam below 1.
    """
    if gallery.manifest.kind != "cells":
        raise InputError(
            f"gallery {gallery.name!r} holds {gallery.manifest.kind}, cells are needed; make some "
            "with: graticule gallery cells GALLERY --out CELLS"
        )
    if where:
        return gallery.search(vector, k, where=where, exact=True)
    ids, cosines = tree_of(gallery, coarse_level).search(vector, k, beam)
    wanted = [content_id(token.encode()) for token in tokens(ids)]
    found = {str(point.payload["id"]): point.payload for point in gallery.store.get(wanted)}
    return [
        Hit(photo=photo_of(found[one]), score=float(cosine))
        for one, cosine in zip(wanted, cosines, strict=True)
        if one in found
    ]


_trees: dict[int, dict[tuple[int | None, datetime], CellTree]] = {}
_reading = Lock()


def tree_of(gallery: Gallery, level: int | None = None) -> CellTree:
    """Return the codes of an open gallery as a tree, read once for each manifest written.

    Args:
        gallery: of cells.
        level: of the parents; see `CellTree.of`.
    """
    # Not the count of points: counting takes longer than the search.
    key, wanted = id(gallery.store), (level, gallery.manifest.updated)
    with _reading:  # tools run in threads, and one tree is enough
        if key not in _trees:
            _trees[key] = {}
            weakref.finalize(gallery.store, _trees.pop, key, None)
        kept = _trees[key]
        if wanted not in kept:
            kept.clear()  # each holds all vectors
            kept[wanted] = CellTree.of(*_read(gallery), level)
        return kept[wanted]


def _read(gallery: Gallery) -> tuple[CellIds, Matrix]:
    (space,) = gallery.manifest.encoder.spaces
    rows = np.empty((len(gallery), gallery.manifest.encoder.spaces[space]), np.float32)
    names: list[str] = []
    for point in gallery.store.scan(with_vectors=True):
        rows[len(names)] = point.vectors[space]
        names.append(str(point.payload["cell"]))
    return from_tokens(names), rows[: len(names)]


def _fitting_level(cells: CellIds) -> int:
    for level in range(int(levels(cells).min()), 0, -1):
        held = parents(cells, level)
        if 1 + np.count_nonzero(held[1:] != held[:-1]) <= len(cells) / CODES_PER_PARENT:
            return level
    return 0


def _centres(rows: Matrix, starts: npt.NDArray[np.intp], count: int) -> tuple[Matrix, Matrix]:
    centres, spread = np.zeros((count, rows.shape[1]), np.float32), np.zeros(count, np.float32)
    for parent in range(count):
        inside = rows[starts[parent] : starts[parent + 1]].astype(np.float64)
        total = inside.sum(axis=0)
        length = np.linalg.norm(total)
        if length > 1e-9:
            centres[parent] = total / length
        # By the chord: the arc cosine of a dot product is coarse for near vectors.
        chord = np.linalg.norm(inside - centres[parent], axis=1).max()
        spread[parent] = 2 * np.arcsin(min(chord / 2, 1.0))
    return centres, spread


def _largest(
    rows: npt.NDArray[np.intp], cosines: Matrix, k: int
) -> tuple[npt.NDArray[np.intp], Matrix]:
    """The k largest, descending; of equal ones, the first cells."""
    if len(cosines) > k:
        least = np.partition(cosines, len(cosines) - k)[len(cosines) - k]
        among = np.flatnonzero(cosines >= least)
        rows, cosines = rows[among], cosines[among]
    keep = np.lexsort((rows, -cosines))[:k]
    return rows[keep], cosines[keep]
