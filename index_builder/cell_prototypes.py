"""Prototypes of cells, averaged from the photos of a gallery in bounded memory.

A prototype is the unit mean of the vectors of the photos in its cell. A photographer counts
once in a cell: their photos there share one vote, so that a burst does not own it. Photos whose
photographer nobody states count one by one.

The payloads are read first, for what belongs where; the vectors then, as often as the sums need
to fit `SUMS_BYTES`: of a photo itself no more than some fifty bytes are held.
"""

import hashlib
import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from geo.cells import CellIds, cell_ids, parents
from geo.errors import UnavailableError
from index_builder.gallery import Gallery
from index_builder.gallery_photo import photo_of

Matrix = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
Tell = Callable[[str, int, int], None]
"""Told a stage, how much of it is done, of how much (0 while unknown)."""
BLOCK = 1024
"""Photos added up at once."""
SUMS_BYTES = 2**30
"""Of the sums of one reading of the vectors."""
HELD_OUT = 0.2
"""Share of photographers whose photos calibrate."""


class Prototypes(Protocol):
    """One vector for each of some cells."""

    @property
    def cells(self) -> CellIds:
        """`[P]` of one level, ascending."""
        ...

    @property
    def members(self) -> npt.NDArray[np.int64]:
        """`[P]` photos of the gallery in each cell."""
        ...

    @property
    def parts(self) -> int:
        """In how many parts the vectors are best asked for."""
        ...

    def vectors(self, first: int, last: int) -> Matrix:
        """Return `[last - first, D]` unit rows of some cells; zeros where there is none."""
        ...


@dataclass(frozen=True, eq=False)
class Survey:
    """Where a gallery's photos are and whose, in the order in which the store tells them."""

    numbers: CellIds
    """`[N]` first 64 bits of each photo's id."""
    leaves: CellIds
    """`[N]` cell of the level of codes; 0 where the photo is left out."""
    authors: npt.NDArray[np.int64]
    """`[N]` number of the photographer; every unknown one is another."""
    held_out: npt.NDArray[np.bool_]
    """`[N]` whether the photo is one of those that calibrate."""
    left_out: int
    """Photos whose position is known less well than a prototype's cell is wide."""
    sha256: str
    """Over ids, positions, photographers and digests of vectors."""


def survey(gallery: Gallery, level: int, widest_km: float, tell: Tell) -> Survey:
    """Read where photos are.

    Args:
        gallery: of photos.
        level: of the cells to name.
        widest_km: photos whose position is known less well are left out.
        tell: hears of progress.
    """
    numbers, authors = array("Q"), array("q")
    positions, precise, held = array("d"), bytearray(), bytearray()
    known: dict[str, int] = {}
    digest = hashlib.sha256()
    for point in gallery.store.scan():
        photo = photo_of(point.payload)
        at = f"{photo.latitude!r} {photo.longitude!r} {photo.accuracy_km!r}"
        digest.update(f"{photo.id} {at} {photo.digest} {photo.author}\n".encode())
        numbers.append(int(photo.id[:16], 16))
        positions.extend((photo.latitude, photo.longitude))
        precise.append((photo.accuracy_km or 0.0) <= widest_km)
        authors.append(known.setdefault(photo.author, len(known)) if photo.author else -1)
        held.append(_held_out(photo.author or photo.id))
        if len(numbers) % BLOCK == 0:
            tell("reading positions", len(numbers), 0)
    leaves = cell_ids(np.array(positions).reshape(-1, 2), level)
    exact = np.array(precise, np.bool_)
    leaves[~exact] = 0
    numbered = np.array(authors, np.int64)
    numbered = np.where(numbered < 0, len(known) + np.arange(len(numbered)), numbered)
    left_out = len(exact) - int(exact.sum())
    return Survey(
        np.array(numbers, np.uint64),
        leaves,
        numbered,
        np.array(held, np.bool_),
        left_out,
        digest.hexdigest(),
    )


def _held_out(author: str) -> bool:
    """By the name alone: whoever builds again holds out the same."""
    return hashlib.sha256(author.encode()).digest()[0] < 256 * HELD_OUT


def read_vectors(gallery: Gallery, space: str, found: Survey) -> Iterator[tuple[slice, Matrix]]:
    """Yield the photos' vectors in blocks: which rows of the survey, and `[B, D]`.

    Raises:
        UnavailableError: the gallery changed since it was surveyed.
    """
    changed = UnavailableError(
        f"gallery {gallery.name!r} changed while it was read; run the same command again",
        retryable=True,
    )
    rows: list[Matrix] = []
    start = 0
    for number, point in enumerate(gallery.store.scan(with_vectors=True)):
        if number >= len(found.numbers) or int(point.id[:16], 16) != found.numbers[number]:
            raise changed
        rows.append(point.vectors[space])
        if len(rows) == BLOCK:
            yield slice(start, start + BLOCK), np.stack(rows)
            start, rows = start + BLOCK, []
    if start + len(rows) != len(found.numbers):
        raise changed
    if rows:
        yield slice(start, start + len(rows)), np.stack(rows)


def vote_weights(cells: CellIds, authors: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the weight `[N]` of each photo in its cell: one, shared among its photographer's."""
    if not len(cells):
        return np.empty(0)
    _, row = np.unique(cells, return_inverse=True)
    pairs = row.astype(np.int64) * (int(authors.max()) + 1) + authors
    _, pair, count = np.unique(pairs, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / count[pair], np.float64)


@dataclass(frozen=True, eq=False)
class Averaged:
    """Prototypes averaged from photos; see `Prototypes`."""

    gallery: Gallery
    space: str
    found: Survey
    cells: CellIds
    members: npt.NDArray[np.int64]
    rows: Rows
    """`[N]` cell of each photo of the survey, -1 where it has none."""
    weights: npt.NDArray[np.float64]
    """`[N]`."""
    tell: Tell

    @classmethod
    def of(
        cls, gallery: Gallery, space: str, found: Survey, level: int, min_photos: int, tell: Tell
    ) -> "Averaged":
        """Say which cells of `level` have a prototype: those with `min_photos` or more."""
        used = np.flatnonzero(found.leaves)
        own = parents(found.leaves[used], level)
        cells, row, count = np.unique(own, return_inverse=True, return_counts=True)
        enough = count >= min_photos
        places = np.where(enough, np.cumsum(enough) - 1, -1)
        rows = np.full(len(found.leaves), -1, np.intp)
        rows[used] = places[row]
        weights = np.zeros(len(found.leaves))
        weights[used] = vote_weights(own, found.authors[used])
        members = count[enough].astype(np.int64)
        return cls(gallery, space, found, cells[enough], members, rows, weights, tell)

    @property
    def parts(self) -> int:
        """See `Prototypes.parts`."""
        size = 8 * len(self.cells) * self.gallery.manifest.encoder.spaces[self.space]
        return max(1, math.ceil(size / SUMS_BYTES))

    def vectors(self, first: int, last: int) -> Matrix:
        """See `Prototypes.vectors`; reads the gallery once."""
        rows = np.where((self.rows >= first) & (self.rows < last), self.rows - first, -1)
        sums = self.summed(rows, last - first)
        return unit_rows(sums)

    def summed(self, rows: Rows, count: int) -> npt.NDArray[np.float64]:
        """Return weighted sums `[count, D]` of photos by `rows` `[N]`; -1 adds to none."""
        total = np.zeros((count, self.gallery.manifest.encoder.spaces[self.space]))
        for part, vectors in read_vectors(self.gallery, self.space, self.found):
            add_rows(total, rows[part], self.weights[part], vectors)
            self.tell("averaging photos", part.stop, len(rows))
        return total


def add_rows(
    total: npt.NDArray[np.float64],
    rows: Rows,
    weights: npt.NDArray[np.float64],
    vectors: Matrix,
) -> None:
    """Add weighted vectors `[B, D]` to the rows of `total`; -1 adds to none."""
    inside = rows >= 0
    np.add.at(total, rows[inside], weights[inside, None] * vectors[inside].astype(np.float64))


def unit_rows(vectors: npt.NDArray[np.floating]) -> Matrix:
    """Return rows `[N, D]` of unit length; zeros where a row has none to speak of."""
    wide = vectors.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.where(length > 1e-9, wide / np.maximum(length, 1e-9), 0.0).astype(np.float32)


def rows_in(table: CellIds, cells: CellIds) -> Rows:
    """Return where each cell `[N]` stands in a sorted table, -1 where it does not."""
    if not len(table):
        return np.full(len(cells), -1, np.intp)
    rows = np.minimum(np.searchsorted(table, cells), len(table) - 1)
    return np.where(table[rows] == cells, rows, -1).astype(np.intp)
