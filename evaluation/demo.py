"""What `graticule demo` works on: the rendered world, or the user's own geotagged photos.

For the user's photos one photo's position is hidden and remembered; the others, linked and not
copied, become the gallery. Which photo is hidden depends on the folder's contents alone, never on
whether it can be found again.
"""

import csv
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.world import World, read_world, write_world
from geo.coordinate import Coordinate
from geo.errors import InputError
from geo.sphere import distance_km
from index_builder.positions import Position
from index_builder.records import Rejected, content_id
from index_builder.sources.folder import FolderSource

NEAR_KM = 0.3
"""Photos this close may show the same thing; a photo with such a neighbour is hidden first."""
MAX_PHOTOS = 300
"""A demo links the hidden photo's nearest photos up to this number, so that it stays short."""
MAX_CHOICES = 2000
"""Only so many photos of a large folder, by lowest id, are looked at for one to hide."""
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class HiddenPhoto:
    """A copy of a photo's pixels that says nothing of where it was taken.

    Attributes:
        path: the copy: no metadata, no telling file name.
        original: the photo it was made from.
    """

    path: Path
    original: Path


@dataclass(frozen=True)
class UserDemo:
    """The user's photos, one of them hidden.

    Attributes:
        gallery_folder: links to the other photos and their `positions.csv`.
        query_path: the hidden photo's copy.
        original: which photo was hidden.
        truth: where that photo was taken.
        photos: how many photos the gallery folder holds.
        nearest_km: distance from the hidden photo to the nearest of them.
        unusable: files of the folder that carry no position or cannot be read, and why.
    """

    gallery_folder: Path
    query_path: Path
    original: Path
    truth: Coordinate
    photos: int
    nearest_km: float
    unusable: tuple[Rejected, ...]


def prepare_world(folder: Path, scenes: int = 12, views: int = 4, seed: int = 7) -> World:
    """Return the rendered world in `folder`, drawing it only if it is not there already."""
    return read_world(folder, scenes, views, seed) or write_world(folder, scenes, views, seed)


def hide_position(photo: Path, folder: Path) -> HiddenPhoto:
    """Write the pixels of `photo` into `folder` without metadata and without its name.

    Raises:
        InputError: the photo cannot be opened.
    """
    from encoders.pixels import open_photo

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "hidden-photo.jpg"
    partial = target.with_suffix(".partial")
    open_photo(photo).image.save(partial, "JPEG", quality=_JPEG_QUALITY)
    os.replace(partial, target)
    return HiddenPhoto(target, photo)


def split_user_photos(folder: Path, work: Path) -> UserDemo:
    """Hide one of the user's photos and stage the others as a gallery folder below `work`.

    Args:
        folder: photos with positions in their metadata, in `positions.csv` or `manifest.csv`.
        work: replaced in part: `query/` and `photos/` below it are written anew.

    Raises:
        InputError: no such folder, no photo in it, none with a position, or only one.
    """
    records, unusable = _read(folder, work)
    _check_enough(folder, records, unusable)
    points = np.array([(r.position.latitude, r.position.longitude) for r in records])
    chosen = choose_hidden(points, [record.id for record in records])
    away = distance_km(points[chosen, 0], points[chosen, 1], points[:, 0], points[:, 1])
    order = [int(i) for i in np.argsort(away, kind="stable") if i != chosen][:MAX_PHOTOS]
    hidden = hide_position(records[chosen].path, work / "query")
    _stage([records[i] for i in order], work / "photos")
    return UserDemo(
        gallery_folder=work / "photos",
        query_path=hidden.path,
        original=hidden.original,
        truth=Coordinate(float(points[chosen, 0]), float(points[chosen, 1])),
        photos=len(order),
        nearest_km=float(away[order[0]]),
        unusable=unusable,
    )


def choose_hidden(points: NDArray[np.float64], ids: list[str]) -> int:
    """Return the row of the photo to hide: one with most others within 0.3 km, then lowest id.

    Args:
        points: latitude and longitude in degrees `[N, 2]`, N at least 1.
        ids: one identifier per row; they break ties, so the folder's order does not matter.
    """
    near = [
        int((distance_km(lat, lon, points[:, 0], points[:, 1]) <= NEAR_KM).sum())
        for lat, lon in points[:MAX_CHOICES]
    ]
    return min(range(len(near)), key=lambda row: (-near[row], ids[row]))


@dataclass(frozen=True)
class _Photo:
    """A photo of the user's, known by the SHA-256 of its bytes."""

    id: str
    path: Path
    position: Position


def _read(folder: Path, work: Path) -> tuple[list[_Photo], tuple[Rejected, ...]]:
    """Return one photo per content, in order of their ids, and what cannot be used.

    A byte-identical copy would give the hidden photo away.
    """
    unique: dict[str, _Photo] = {}
    unusable: list[Rejected] = []
    for found in FolderSource(folder, ignore=[work]):
        try:
            if isinstance(found, Rejected):
                unusable.append(found)
            elif isinstance(found.content, Path):
                key = content_id(found.read())
                unique.setdefault(key, _Photo(key, found.content, found.position))
        except InputError as error:
            unusable.append(Rejected(found.name, str(error)))
    return [unique[key] for key in sorted(unique)], tuple(unusable)


def _check_enough(folder: Path, records: Sequence[_Photo], unusable: Sequence[Rejected]) -> None:
    shown = str(folder)
    if not records and not unusable:
        raise InputError(f"no photo in {shown!r}: name a folder of JPEG, PNG, HEIC, ... files")
    if not records:
        raise InputError(
            f"none of the {len(unusable)} photos in {shown!r} carries a position: turn on location "
            "in the camera, or add positions.csv with the columns file, latitude, longitude"
        )
    if len(records) == 1:
        raise InputError(
            f"only one photo with a position in {shown!r}, at least 2 are needed: one is "
            "hidden and the others are searched"
        )


def _stage(records: Sequence[_Photo], folder: Path) -> None:
    """Link the photos into a fresh `folder` under neutral names, with their positions beside."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = [("file", "latitude", "longitude")]
    for record in records:
        name = record.id[:16] + record.path.suffix.lower()
        try:
            os.link(record.path, folder / name)
        except OSError:  # another disk, or a file system without hard links
            shutil.copyfile(record.path, folder / name)
        rows.append((name, repr(record.position.latitude), repr(record.position.longitude)))
    with (folder / "positions.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(rows)
