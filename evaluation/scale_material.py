"""Vectors and payloads for measuring large galleries: clustered, deterministic, made in blocks.

Real photo vectors lie in clusters whose spread falls off over few directions; points scattered
evenly would make every index look bad, points without clusters every filter look good. The first
N vectors are the same whatever the size, so that one file serves all sizes.
"""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from index_builder.gallery_photo import GalleryPhoto, payload_of
from index_builder.points import Payload, StoredPoint

Vectors = npt.NDArray[np.float32]
BLOCK = 8192
CLUSTERS = 1024
SPREAD = 0.9
"""Length of a point's step away from the centre of its cluster, which has length 1."""
SEED = 20_261_121
QUERIES = 200
NEAREST = 20


@functools.cache
def _shape(dimensions: int) -> tuple[Vectors, Vectors]:
    """Return centres `[CLUSTERS, D]` and the matrix `[D, D]` that shapes the spread around them."""
    random = np.random.default_rng(SEED)
    centres = random.standard_normal((CLUSTERS, dimensions))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    turned, _ = np.linalg.qr(random.standard_normal((dimensions, dimensions)))
    falloff = 1 / np.sqrt(1 + np.arange(dimensions))
    spread = SPREAD * (falloff / np.linalg.norm(falloff))[:, None] * turned
    return centres.astype(np.float32), spread.astype(np.float32)


def block(number: int, dimensions: int, rows: int = BLOCK) -> Vectors:
    """Return unit vectors `[rows, D]`; a function of its arguments alone."""
    centres, spread = _shape(dimensions)
    random = np.random.default_rng([SEED, 1 + number])
    steps = random.standard_normal((rows, dimensions), dtype=np.float32) @ spread
    found: Vectors = centres[random.integers(0, CLUSTERS, rows)] + steps
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def queries(dimensions: int) -> Vectors:
    """Return `[QUERIES, D]` unit vectors drawn like the points, none of them a point."""
    return block(1 << 40, dimensions, QUERIES)


class VectorFile:
    """The first `count` vectors in a file, read block by block and never mapped.

    What is mapped would count as memory of whoever reads it, and hide what an engine maps itself.
    """

    def __init__(self, folder: Path, dimensions: int) -> None:
        """Name the file; `grow` makes it."""
        self.dimensions = dimensions
        self.path = folder / f"vectors-{dimensions}.f32"

    def grow(self, count: int) -> None:
        """Append blocks until `count` vectors are there."""
        row = 4 * self.dimensions
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            done = file.tell() // row // BLOCK
            file.truncate(done * BLOCK * row)
            for number in range(done, -(-count // BLOCK)):
                block(number, self.dimensions).tofile(file)

    def blocks(self, count: int, rows: int = BLOCK) -> Iterator[tuple[int, Vectors]]:
        """Yield the number of its first vector and `[<= rows, D]`, up to `count` vectors."""
        with self.path.open("rb") as file:
            for start in range(0, count, rows):
                wanted = min(rows, count - start) * self.dimensions
                found = np.fromfile(file, np.float32, wanted)
                yield start, found.reshape(-1, self.dimensions)


def true_neighbours(file: VectorFile, count: int) -> npt.NDArray[np.int64]:
    """Return `[QUERIES, NEAREST]` numbers of the nearest points, compared with all of them."""
    wanted = queries(file.dimensions)
    scores = np.full((QUERIES, NEAREST), -np.inf, np.float32)
    numbers = np.full((QUERIES, NEAREST), -1, np.int64)
    for start, vectors in file.blocks(count):
        both = np.concatenate([scores, wanted @ vectors.T], axis=1)
        own = np.broadcast_to(np.arange(start, start + len(vectors)), (QUERIES, len(vectors)))
        known = np.concatenate([numbers, own], axis=1)
        best = np.argpartition(-both, NEAREST, axis=1)[:, :NEAREST]
        scores = np.take_along_axis(both, best, axis=1)
        numbers = np.take_along_axis(known, best, axis=1)
    return numbers


def points(space: str, start: int, vectors: Vectors) -> list[StoredPoint]:
    """Return points as a gallery of photos would write them, the payload's fields all there."""
    template = _template()
    return [
        StoredPoint(payload["id"], {space: vector}, payload)  # type: ignore[arg-type]  # a string
        for vector, payload in zip(vectors, _payloads(template, start, len(vectors)), strict=True)
    ]


@functools.cache
def _template() -> Payload:
    sample = GalleryPhoto(
        id="0" * 64,
        name="shard-00000/photo.jpg",
        latitude=0,
        longitude=0,
        accuracy_km=0.1,
        date="2019-06-01T12:00:00",
        licence="CC BY-SA 4.0",
        source="synthetic",
        stated_country="Testland",
        region="Province",
        city="Town",
        dhash="0123456789abcdef",
        digest="0123456789abcdef",
        copy_sha256="0" * 64,
    )
    return payload_of(sample)


def _payloads(template: Payload, start: int, count: int) -> Sequence[Payload]:
    random = np.random.default_rng([SEED, 2, start])
    latitudes = np.degrees(np.arcsin(random.uniform(-1, 1, count))).tolist()
    longitudes = random.uniform(-180, 180, count).tolist()
    made = []
    for i, (lat, lon) in enumerate(zip(latitudes, longitudes, strict=True), start):
        digits = hashlib.sha256(str(i).encode()).hexdigest()
        made.append(
            template
            | {
                "id": digits,
                "name": f"photo-{i}",
                "latitude": lat,
                "longitude": lon,
                "location": {"lat": lat, "lon": lon},
                "author": f"author-{i // 50}",
                "country": chr(65 + i % 26) + chr(65 + i // 26 % 8),
                "copy_sha256": digits,
            }
        )
    return made


def number_of(payload: Payload) -> int:
    """Return the number of the point with this payload."""
    return int(str(payload["name"]).removeprefix("photo-"))
