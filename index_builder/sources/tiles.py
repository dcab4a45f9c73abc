"""Aerial pictures: folders of web map tiles, and GeoTIFF files cut into windows.

A tile is `ZOOM/COLUMN/ROW.png` (jpg, webp) of the grid in `index_builder.sources.tile_grid`;
nothing tells which way rows are counted, so the caller does. Its position is its centre, its
accuracy the distance to its corners.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.positions import Position, check_position
from index_builder.records import Record, Rejected, Source
from index_builder.sources.file_parts import FilePart, total
from index_builder.sources.geotiff import MAX_TILE_PX, MIN_TILE_PX, GeoTiffReader
from index_builder.sources.tile_grid import (
    Scheme,
    flipped,
    tile_bounds,
    tile_centre,
    tile_radius_km,
)

__all__ = ["TileSource", "tile_bounds"]

MAX_PARTS_PER_ZOOM = 64
_TILE_NAME = re.compile(r"([0-9]{1,10})(?:@2x)?\.(?:png|jpe?g|webp)", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,10}")
_RASTERS = {".tif", ".tiff"}


class TileSource:
    """Aerial tiles and GeoTIFFs below a folder. Satisfies `index_builder.records.Source`."""

    def __init__(self, folder: Path, *, scheme: Scheme = "xyz", tile_px: int = 512) -> None:
        """Take a folder of tiles, of GeoTIFFs, or of both.

        Args:
            folder: holds `z/x/y.png` (`.jpg`, `.webp`), and `.tif` files at any depth.
            scheme: `xyz` where row 0 is the northernmost, `tms` where it is the southernmost.
            tile_px: longest side of the windows that GeoTIFFs are cut into, in pixels.

        Raises:
            InputError: no such folder, unknown scheme, or a size out of range.
        """
        if not folder.is_dir():
            shown = printable(os.fsencode(folder))
            raise InputError(f"{shown!r} is not a folder of aerial tiles; check the path")
        if scheme not in ("xyz", "tms"):
            raise InputError(f"tile scheme {printable(str(scheme))!r}; say xyz or tms")
        if not MIN_TILE_PX <= tile_px <= MAX_TILE_PX:
            limit = f"limit {MIN_TILE_PX} to {MAX_TILE_PX}"
            raise InputError(f"windows of {tile_px} px, {limit}; 256 to 512 suits most encoders")
        self._folder, self._scheme, self._tile_px = folder, scheme, tile_px

    @property
    def name(self) -> str:
        """The folder's name."""
        return printable(os.fsencode(self._folder.resolve().name))

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield the tiles by zoom, column and row as numbers, then the windows of GeoTIFFs.

        Raises:
            InputError: the folder holds neither.
            UnavailableError: there are GeoTIFFs and rasterio is not installed.
        """
        for part in self.parts():
            yield from part

    def parts(self) -> Sequence[Source]:
        """Return runs of neighbouring columns, at most 64 a zoom level, and each GeoTIFF.

        Raises:
            InputError: the folder holds neither tiles nor GeoTIFFs.
        """
        found: list[Source] = []
        for _, zoom in _numbered(self._folder):
            columns = [path for _, path in _numbered(zoom)]
            length = -(-len(columns) // MAX_PARTS_PER_ZOOM)
            for start in range(0, len(columns), length or 1):
                run = tuple(columns[start : start + length])
                found.append(ColumnsPart(self._folder, run, self.name, self._scheme))
        reader = GeoTiffReader(self._tile_px)
        for path in _rasters(self._folder):
            label = path.relative_to(self._folder).as_posix()
            found.append(FilePart(path, label, self.name, reader))
        if not found:
            raise InputError(
                f"no tiles in {self.name!r}; it must hold ZOOM/COLUMN/ROW.png or GeoTIFF files"
            )
        return found

    def count(self) -> int | None:
        """Return the number of tiles and windows."""
        return total(self.parts())


@dataclass(frozen=True)
class ColumnsPart:
    """Some columns of one zoom level. Satisfies `index_builder.records.Source`."""

    folder: Path
    columns: tuple[Path, ...]
    name: str
    scheme: Scheme

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield the tiles by column and row."""
        for column in self.columns:
            for row, path in _tiles(column):
                yield self._record(int(column.parent.name), int(column.name), row, path)

    def parts(self) -> Sequence[Source]:
        """Return itself."""
        return (self,)

    def count(self) -> int | None:
        """Return the number of tiles."""
        return sum(len(_tiles(column)) for column in self.columns)

    def _record(self, z: int, x: int, row: int, path: Path) -> Record | Rejected:
        name = printable(path.relative_to(self.folder).as_posix())
        try:
            y = flipped(z, row) if self.scheme == "tms" else row
            latitude, longitude = tile_centre(z, x, y)
            check_position(latitude, longitude)
            return Record(name, Position(latitude, longitude, tile_radius_km(z, x, y)), path)
        except InputError as error:
            return Rejected(name, str(error))


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return the folders named by a number, in its order."""
    return sorted(
        (int(entry.name), Path(entry.path))
        for entry in _entries(folder)
        if _NUMBER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
    )


def _tiles(column: Path) -> list[tuple[int, Path]]:
    """Return the tiles of a column by row."""
    return sorted(
        (int(match[1]), Path(entry.path))
        for entry in _entries(column)
        if (match := _TILE_NAME.fullmatch(entry.name)) and entry.is_file()
    )


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        shown = printable(os.fsencode(folder))
        raise InputError(
            f"folder {shown!r} cannot be read ({error.strerror}); check its permissions"
        ) from None


def _rasters(folder: Path) -> Iterator[Path]:
    """Yield the GeoTIFFs below a folder in the order of their names' bytes."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted((f for f in folders if not f.startswith(".")), key=os.fsencode)
        for name in sorted(files, key=os.fsencode):
            if Path(name).suffix.lower() in _RASTERS and not name.startswith("."):
                yield Path(root, name)
