"""Aerial tiles of cells: encoded once, kept beside an unfinished build, averaged per cell.

A tile belongs to the cell that holds its centre. What a chunk of tiles was encoded to is kept in
a file named by what the chunk holds and by the encoder, so that a build that was killed encodes
nothing twice, and one over other tiles finds nothing that is not its own.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoders.base import Encoder, check_images, check_vectors
from encoders.photo_file import printable
from geo.cells import CellIds, cell_ids
from geo.errors import InputError
from index_builder.cell_prototypes import Matrix, Tell, unit_rows
from index_builder.files import read_regular, write_atomically
from index_builder.records import Record, Rejected, Source, content_id

if TYPE_CHECKING:
    from PIL import Image

CHUNK = 64
"""Tiles encoded between two files."""
KEPT = "tiles-*.npz"
Encode = Callable[[Sequence["Image.Image"]], Matrix]


@dataclass(frozen=True, eq=False)
class Tiles:
    """What aerial tiles say of cells."""

    cells: CellIds
    """`[A]` of the level of codes, ascending."""
    vectors: Matrix
    """`[A, D]` unit rows: the unit mean of the tiles of each cell."""
    count: int
    """Tiles that were used."""
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, eq=False)
class _Chunk:
    points: list[tuple[float, float]]
    vectors: Matrix
    rejected: list[Rejected]


def tile_encoder(encoder: Encoder, space: str) -> tuple[Encode, str]:
    """Return how this encoder encodes tiles, and the name of that way.

    Cell codes have a head of their own for tiles; other families see a tile as any photo.
    """
    heads = getattr(encoder, "heads", None)
    if getattr(heads, "family", "") == "cellcodes":
        return _aerial_head(encoder), "encode_aerial"

    def encode(images: Sequence["Image.Image"]) -> Matrix:
        return check_vectors(encoder.card, space, encoder.encode_images(images))

    return encode, "encode_images"


def _aerial_head(encoder: Encoder) -> Encode:
    import torch

    from encoders.families.cellcodes import CellCodesHeads
    from encoders.model import IMAGE_BATCH, FamilyEncoder

    assert isinstance(encoder, FamilyEncoder)
    heads = encoder.heads
    assert isinstance(heads, CellCodesHeads)

    def encode(images: Sequence["Image.Image"]) -> Matrix:
        rows = []
        with torch.inference_mode():
            for start in range(0, len(images), IMAGE_BATCH):
                pooled = encoder.photo_features(images[start : start + IMAGE_BATCH]).pooled
                rows.append(heads.encode_aerial(pooled).float().cpu().numpy())
        return np.concatenate(rows)

    return encode


def tiles_digest(source: Source) -> str:
    """Return a digest of a source of tiles: what it holds, without encoding any."""
    return _over(_key(chunk) for chunk, _ in _chunks(source))


def encode_tiles(
    source: Source,
    level: int,
    widest_km: float,
    encode: Encode,
    identity: str,
    kept: Path,
    tell: Tell,
) -> tuple[Tiles, str]:
    """Return the tiles of each cell as one vector, and the digest of the source.

    Args:
        source: of tiles.
        level: of the cells.
        widest_km: a tile that reaches farther from its centre is of no cell.
        encode: images to unit rows.
        identity: of the encoder and the way it encodes.
        kept: folder for what is encoded already.
        tell: hears of progress.

    Raises:
        InputError: no tile can be used.
    """
    sums: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    keys, rejected, used, seen = [], [], 0, 0
    total = source.count() or 0
    for records, refused in _chunks(source):
        keys.append(_key(records))
        found = _encoded(records, widest_km, encode, f"{identity} {widest_km} {keys[-1]}", kept)
        rejected += [*refused, *found.rejected]
        cells = cell_ids(np.array(found.points).reshape(-1, 2), level)
        for cell, vector in zip(cells.tolist(), found.vectors, strict=True):
            sums[cell] = sums.get(cell, 0.0) + vector.astype(np.float64)
        used, seen = used + len(cells), seen + len(records) + len(refused)
        tell("encoding tiles", seen, total)
    if not sums:
        raise _no_tiles(source.name, rejected)
    order = np.array(sorted(sums), np.uint64)
    vectors = unit_rows(np.stack([sums[cell] for cell in order.tolist()]))
    return Tiles(order, vectors, used, tuple(rejected)), _over(keys)


def _no_tiles(name: str, rejected: Sequence[Rejected]) -> InputError:
    shown = repr(printable(name))
    if not rejected:
        return InputError(f"no tiles in {shown}; give a folder of ZOOM/COLUMN/ROW.png or GeoTIFFs")
    return InputError(
        f"none of {len(rejected):,} tiles in {shown} can be used, for example "
        f"{rejected[0].name!r}: {rejected[0].reason}"
    )


def _chunks(source: Source) -> Iterator[tuple[list[tuple[Record, bytes]], list[Rejected]]]:
    """Yield tiles with their bytes, some at a time, and what could not be read among them."""
    records: list[tuple[Record, bytes]] = []
    refused: list[Rejected] = []
    for item in source:
        if isinstance(item, Rejected):
            refused.append(item)
            continue
        try:
            records.append((item, item.read()))
        except InputError as error:
            refused.append(Rejected(item.name, str(error)))
        if len(records) == CHUNK:
            yield records, refused
            records, refused = [], []
    if records or refused:
        yield records, refused


def _key(records: Sequence[tuple[Record, bytes]]) -> str:
    lines = (f"{content_id(data)} {one.position!r}\n" for one, data in records)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _over(keys: Iterator[str] | Sequence[str]) -> str:
    return hashlib.sha256("".join(keys).encode()).hexdigest()


def _encoded(
    records: Sequence[tuple[Record, bytes]],
    widest_km: float,
    encode: Encode,
    identity: str,
    kept: Path,
) -> _Chunk:
    path = kept / KEPT.replace("*", hashlib.sha256(identity.encode()).hexdigest()[:32])
    if path.is_file():
        return _unpack(read_regular(path))
    usable, images, rejected = [], [], []
    for record, data in records:
        try:
            images.append(_opened(record, data, widest_km))
            usable.append(record)
        except InputError as error:
            rejected.append(Rejected(record.name, str(error)))
    vectors = encode(images) if images else np.empty((0, 1), np.float32)
    seen: list[bool] = [bool(row.any()) for row in vectors]
    rejected += [
        Rejected(record.name, "the encoder sees nothing in it")
        for record, some in zip(usable, seen, strict=True)
        if not some
    ]
    points = [
        (record.position.latitude, record.position.longitude)
        for record, some in zip(usable, seen, strict=True)
        if some
    ]
    chunk = _Chunk(points, vectors[np.array(seen, np.bool_)], rejected)
    write_atomically(path, _pack(chunk))
    return chunk


def _opened(record: Record, data: bytes, widest_km: float) -> "Image.Image":
    from encoders.pixels import open_photo

    reach = record.position.accuracy_km or 0.0
    if reach > widest_km:
        raise InputError(
            f"a tile that reaches {reach:.3g} km, limit {widest_km:.3g} km for these cells; give "
            "tiles of a finer zoom, or a coarser --code-level"
        )
    image = open_photo(data).image
    check_images([image])
    return image


def _pack(chunk: _Chunk) -> bytes:
    buffer = io.BytesIO()
    said = json.dumps([[one.name, one.reason] for one in chunk.rejected])
    points = np.array(chunk.points, np.float64).reshape(-1, 2)
    np.savez(buffer, points=points, vectors=chunk.vectors, rejected=np.array(said))
    return buffer.getvalue()


def _unpack(data: bytes) -> _Chunk:
    with np.load(io.BytesIO(data), allow_pickle=False) as held:
        points = [(float(a), float(b)) for a, b in held["points"]]
        said = json.loads(str(held["rejected"]))
        return _Chunk(points, held["vectors"], [Rejected(printable(n), r) for n, r in said])
