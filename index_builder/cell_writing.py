"""Codes of cells mixed of prototypes and tiles, and their points in a gallery."""

from collections.abc import Iterator

import numpy as np

from geo.cells import CellIds, centres, children, parents, polygon, tokens
from geo.regions import country_at
from geo.sphere import haversine_km
from index_builder.cell_prototypes import Matrix, Prototypes, Rows, Tell, rows_in, unit_rows
from index_builder.cell_tiles import Tiles
from index_builder.gallery import Gallery
from index_builder.gallery_photo import GalleryPhoto, vectors_digest
from index_builder.points import Vector
from index_builder.records import Rejected, content_id

BATCH = 512
"""Cells written at once."""
CANCELLED = "its vectors cancel out"


def no_tiles(dimensions: int) -> Tiles:
    """Return the tiles of a build without any."""
    return Tiles(np.empty(0, np.uint64), np.empty((0, dimensions), np.float32), 0, ())


def code_cells(prototypes: CellIds, tiles: CellIds, level: int, code_level: int) -> CellIds:
    """Return the cells that have a code, ascending.

    Every cell with a tile; the other children of prototypes that have some; and prototypes
    without any tile, at their own level: the table of `cellcodes`.

    Args:
        prototypes: `[P]` cells of `level`.
        tiles: `[A]` cells of `code_level`.
        level: of prototypes.
        code_level: of tiles.
    """
    tiled = np.isin(prototypes, parents(tiles, level))
    inside = children(prototypes[tiled], code_level).ravel()
    return np.unique(np.concatenate([prototypes[~tiled], inside, tiles]).astype(np.uint64))


def mixed(prototypes: Matrix, tiles: Matrix, kappa: float) -> Matrix:
    """Return codes `[N, D]`, kappa * prototype + tile, of unit length.

    Rows of zeros stand for what is not there; the other is the code then. A row of zeros comes
    back where both are missing or cancel out.
    """
    both = prototypes.any(axis=1) & tiles.any(axis=1)
    factor = np.where(both, kappa, 1.0)[:, None]
    return unit_rows(factor * prototypes.astype(np.float64) + tiles)


def write_cells(
    gallery: Gallery,
    prototypes: Prototypes,
    tiles: Tiles,
    levels_of: tuple[int, int],
    kappa: float,
    source: str,
    tell: Tell,
) -> tuple[int, list[Rejected]]:
    """Write the code of every cell that has one.

    Args:
        gallery: an empty one of cells.
        prototypes: of cells of the first level.
        tiles: of cells of the second level.
        levels_of: the two levels.
        kappa: factor on prototypes.
        source: what the cells call where they come from.
        tell: hears of progress.

    Returns:
        How many codes hold a tile, and the cells whose vectors cancel out.
    """
    level, code_level = levels_of
    (space,) = gallery.manifest.encoder.spaces
    cells = code_cells(prototypes.cells, tiles.cells, level, code_level)
    aerial, done, rejected = 0, 0, list[Rejected]()
    for some, first, vectors in _parts(prototypes, cells, level):
        for start in range(0, len(some), BATCH):
            batch = some[start : start + BATCH]
            own = rows_in(prototypes.cells, parents(batch, level))
            tile = rows_in(tiles.cells, batch)
            codes = mixed(taken(vectors, own - first, own >= 0), taken(tiles.vectors, tile), kappa)
            members = np.where(own >= 0, prototypes.members[np.maximum(own, 0)], 0)
            known = codes.any(axis=1)
            rejected += [Rejected(name, CANCELLED) for name in tokens(batch[~known])]
            gallery.add(
                _points(space, source, batch[known], codes[known], members[known], tile[known] >= 0)
            )
            aerial, done = aerial + int((tile[known] >= 0).sum()), done + len(batch)
            tell("writing cells", done, len(cells))
    return aerial, rejected


def _parts(
    prototypes: Prototypes, cells: CellIds, level: int
) -> Iterator[tuple[CellIds, int, Matrix]]:
    """Yield cells with the prototypes they need, and the row of the first of these.

    Cells ascend as their parents do, so that each part of the prototypes has a run of cells.
    """
    count, own = len(prototypes.cells), parents(cells, level)
    edges = np.linspace(0, count, prototypes.parts + 1).round().astype(int)
    begin = 0
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        end = int(np.searchsorted(own, prototypes.cells[last])) if last < count else len(cells)
        yield cells[begin:end], first, prototypes.vectors(first, last)
        begin = end


def taken(vectors: Matrix, rows: Rows, known: "np.ndarray | None" = None) -> Matrix:
    """Return rows of vectors `[C, D]`; zeros where one is not `known`, or is -1."""
    there = rows >= 0 if known is None else known
    if not len(vectors):
        return np.zeros((len(rows), vectors.shape[1]), np.float32)
    return np.where(there[:, None], vectors[np.where(there, rows, 0)], np.float32(0))


def _points(
    space: str,
    source: str,
    cells: CellIds,
    codes: Matrix,
    members: "np.ndarray",
    tiled: "np.ndarray",
) -> list[tuple[GalleryPhoto, dict[str, Vector]]]:
    places = centres(cells)
    rings = np.array([polygon(cell) for cell in cells]).reshape(-1, 5, 2)
    corners = haversine_km(places[:, None, 0], places[:, None, 1], rings[..., 0], rings[..., 1])
    points = []
    for row, (token, country) in enumerate(zip(tokens(cells), country_at(places), strict=True)):
        latitude, longitude = places[row].tolist()
        vectors = {space: codes[row]}
        cell = GalleryPhoto(
            id=content_id(token.encode()),
            name=token,
            latitude=latitude,
            longitude=longitude,
            accuracy_km=float(corners[row].max()),
            source=source,
            country=country,
            digest=vectors_digest(vectors),
            cell=token,
            members=int(members[row]),
            aerial=bool(tiled[row]),
        )
        points.append((cell, vectors))
    return points
