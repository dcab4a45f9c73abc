"""Small worlds for galleries of cells: photo galleries, tiles, and encoders that read colours."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders.base import Encoder
from geo.cells import CellIds, cell_ids, centres, children, parents
from geo.sphere import unit_vectors
from index_builder.files import FolderLock
from index_builder.gallery import Gallery
from index_builder.gallery_opening import attach
from index_builder.gallery_photo import GalleryPhoto
from index_builder.manifest import EncoderIdentity, Manifest
from index_builder.positions import Position
from index_builder.records import Record, Rejected, Source, content_id

Vector = npt.NDArray[np.float32]


def region(count: int, level: int = 15, at: tuple[float, float] = (48.1, -2.0)) -> CellIds:
    """Return neighbouring cells, ascending."""
    corner = parents(cell_ids([at], level), max(level - 5, 0))
    return children(corner, level).ravel()[:count]


def photo_gallery(
    folder: Path,
    encoder: Encoder,
    photos: Sequence[tuple[float, float, Vector, str]],
    *,
    space: str = "",
    accuracy_km: float | None = 0.05,
    load: str = "",
    kind: str = "photos",
) -> Gallery:
    """Return an open gallery of photos: latitude, longitude, vector, photographer."""
    folder.mkdir(parents=True)
    now = datetime.now(UTC)
    spaces = (space or encoder.card.retrieval[0],)
    identity = EncoderIdentity.of(encoder.card, load or encoder.card.name, spaces)
    manifest = Manifest.model_validate(
        {"kind": kind, "encoder": identity, "created": now, "updated": now}
    )
    gallery = attach(folder, manifest, FolderLock(folder))
    points = []
    for number, (latitude, longitude, vector, author) in enumerate(photos):
        photo = GalleryPhoto(
            id=content_id(f"photo {number}".encode()),
            name=f"{number}.jpg",
            latitude=latitude,
            longitude=longitude,
            accuracy_km=accuracy_km,
            author=author,
        )
        points.append((photo, {spaces[0]: np.asarray(vector, np.float32)}))
    gallery.add(points)
    gallery.write_manifest(0)
    return gallery


def directions(points: npt.ArrayLike, width: int = 4) -> Vector:
    """Return the vectors that `tests.aligned_fakes.GlobeEncoder` gives points, `[N, 4]`."""
    rows = np.zeros((len(np.asarray(points)), width), np.float32)
    rows[:, :3] = unit_vectors(points)
    return rows


def png(colour: tuple[int, int, int], side: int = 32) -> bytes:
    """Return the file of a tile of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class TileList:
    """A source of tiles in memory; `heard` is called as each is read."""

    records: Sequence[Record | Rejected]
    name: str = "tiles"
    heard: Callable[[int], object] = field(default=lambda number: None)

    def __iter__(self) -> Iterator[Record | Rejected]:
        for number, record in enumerate(self.records):
            self.heard(number)
            yield record

    def parts(self) -> Sequence[Source]:
        return (self,)

    def count(self) -> int | None:
        return len(self.records)


def tiles_at(cells: CellIds, colours: Mapping[int, tuple[int, int, int]]) -> TileList:
    """Return a tile in the middle of each cell, of the colour of its row."""
    records = [
        Record(f"{row}.png", Position(float(latitude), float(longitude), 0.1), png(colours[row]))
        for row, (latitude, longitude) in enumerate(centres(cells))
    ]
    return TileList(records)
