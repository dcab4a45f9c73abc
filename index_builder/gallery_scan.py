"""One pass over all points of a gallery: are they whole, and what to compare them by.

Holds no vector longer than its page; of each point 64 bytes stay: id, position, hashes.
"""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue, ValidationError

from geo.regions import country_at
from index_builder.countries import country_code
from index_builder.density_map import DensityGrid
from index_builder.gallery import Gallery
from index_builder.gallery_findings import Tally
from index_builder.gallery_photo import GalleryPhoto, photo_of, vectors_digest
from index_builder.points import LOCATION, StoredPoint
from index_builder.upkeep import Progress, in_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH_TOLERANCE = 1e-3
"""By which a stored vector's length may differ from 1: rounding of 4,096 numbers is far below."""
SAME_DEG = 1e-9
ID_BYTES = 32
_PAGE = 1024


@dataclass
class Scanned:
    """What a pass over a gallery keeps of it; arrays have one entry a valid point, by id."""

    tally: Tally = field(default_factory=Tally)
    ids: bytearray = field(default_factory=bytearray)
    latitude: "array[float]" = field(default_factory=lambda: array("d"))
    longitude: "array[float]" = field(default_factory=lambda: array("d"))
    vectors: "array[int]" = field(default_factory=lambda: array("Q"))
    """First 64 bits of the vectors' digest."""
    dhash: "array[int]" = field(default_factory=lambda: array("Q"))
    hashed: "array[int]" = field(default_factory=lambda: array("b"))
    """Whether there is a difference hash."""
    points: int = 0
    counters: dict[str, "Counter[str]"] = field(
        default_factory=lambda: {key: Counter() for key in ("source", "country", "licence")}
    )
    grid: DensityGrid = field(default_factory=DensityGrid)
    disagreeing: list[tuple[GalleryPhoto, str, str]] = field(default_factory=list)
    """Photo, country stated and country by position, where the two differ."""

    def __len__(self) -> int:
        return len(self.latitude)

    def id(self, number: int) -> str:
        """Return the id of a point."""
        return self.ids[ID_BYTES * number : ID_BYTES * (number + 1)].hex()

    def positions(self) -> "NDArray[np.float64]":
        """Return `[N, 2]` latitude, longitude in degrees."""
        return np.column_stack([np.array(self.latitude), np.array(self.longitude)])

    def prefixes(self) -> "NDArray[np.uint64]":
        """Return the first 64 bits of each id, `[N]`."""
        words = np.frombuffer(bytes(self.ids), dtype=">u8").astype(np.uint64)
        return words.reshape(-1, ID_BYTES // 8)[:, 0]


def scan_gallery(gallery: Gallery, progress: Progress) -> Scanned:
    """Look at every point of a gallery once, as the store streams them.

    Args:
        gallery: open.
        progress: told of points looked at, as `reading points`.
    """
    found, total, previous = Scanned(), len(gallery), ""
    for chunk in in_chunks(gallery.store.scan(with_vectors=True), _PAGE):
        whole = _check_vectors(gallery, chunk, found.tally)
        photos = []
        for point, digest in zip(chunk, whole, strict=True):
            found.points += 1
            if point.id <= previous:
                found.tally.add("ids", f"{point.id[:12]} after {previous[:12]}")
            previous = point.id
            if photo := _checked_payload(point, found.tally):
                photos.append(photo)
                _keep(found, photo, digest)
        _check_places(found, photos)
        progress("reading points", found.points, total)
    return found


def _check_vectors(gallery: Gallery, chunk: list[StoredPoint], tally: Tally) -> list[str]:
    """Return each point's digest as computed from its vectors."""
    optional = gallery.manifest.kind == "cells"  # a cell need not have every code
    for space, size in gallery.manifest.encoder.spaces.items():
        rows = [(point, point.vectors.get(space)) for point in chunk]
        good = [(point, row) for point, row in rows if row is not None and row.shape == (size,)]
        if len(good) < len(rows) and not optional:
            lacking = next(p for p, row in rows if row is None or row.shape != (size,))
            tally.add("vectors-missing", f"{space} of {_called(lacking)}", len(rows) - len(good))
        if good:
            _check_rows(space, [p for p, _ in good], np.stack([row for _, row in good]), tally)
    return [vectors_digest(point.vectors) for point in chunk]


def _check_rows(
    space: str, points: list[StoredPoint], rows: npt.NDArray[np.float32], tally: Tally
) -> None:
    finite = np.isfinite(rows).all(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        length = np.linalg.norm(rows.astype(np.float64), axis=1)
    for number in np.flatnonzero(~finite).tolist():
        tally.add("vectors-finite", f"{space} of {_called(points[number])}")
    for number in np.flatnonzero(finite & (np.abs(length - 1) > LENGTH_TOLERANCE)).tolist():
        tally.add("vectors-length", f"{length[number]:.4g} of {space} of {_called(points[number])}")


def _checked_payload(point: StoredPoint, tally: Tally) -> GalleryPhoto | None:
    try:
        photo = photo_of(point.payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        tally.add("payload", f"{where} of {_called(point)}: {first['msg']}")
        return None
    if not _same_place(point.payload.get(LOCATION), photo):
        tally.add("payload", f"{LOCATION} of {_called(point)} is not its latitude and longitude")
    return photo


def _same_place(location: JsonValue, photo: GalleryPhoto) -> bool:
    """Return whether filters and answers speak of one place, but for a store's rounding."""
    if not isinstance(location, dict):
        return False
    stated = (location.get("lat"), location.get("lon"))
    return all(
        isinstance(number, int | float) and abs(number - own) < SAME_DEG
        for number, own in zip(stated, (photo.latitude, photo.longitude), strict=True)
    )


def _keep(found: Scanned, photo: GalleryPhoto, digest: str) -> None:
    if photo.digest and photo.digest != digest:
        found.tally.add("vectors-digest", f"{photo.name} ({photo.id[:12]})")
    found.ids += bytes.fromhex(photo.id)
    found.latitude.append(photo.latitude)
    found.longitude.append(photo.longitude)
    found.vectors.append(int(digest, 16))
    found.dhash.append(int(photo.dhash or "0", 16))
    found.hashed.append(bool(photo.dhash))
    for key, counter in found.counters.items():
        counter[getattr(photo, key)] += 1


def _check_places(found: Scanned, photos: list[GalleryPhoto]) -> None:
    """Compare what photos say of their country with where they lie."""
    if not photos:
        return
    points = np.array([(photo.latitude, photo.longitude) for photo in photos])
    found.grid.add(points[:, 0], points[:, 1])
    for photo, there in zip(photos, country_at(points), strict=True):
        for said in (photo.stated_country, photo.country):
            stated = country_code(said)
            if stated and stated != there:
                found.disagreeing.append((photo, stated, there))
                break


def _called(point: StoredPoint) -> str:
    return f"{point.payload.get('name', '')} ({point.id[:12]})"
