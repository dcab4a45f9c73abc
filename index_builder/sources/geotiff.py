"""Aerial pictures in GeoTIFF files, cut into windows that are read one at a time.

A window comes as 8-bit RGB: the bands tagged red, green and blue, else the first three; grey
bands three times; palettes by their colours. Bytes are taken as they are; other types are
stretched linearly, all windows and bands of a file alike, from the 2nd to the 98th percentile
of a coarse view of the file (at most 512 px a side). Pixels without data are black.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from encoders.photo_file import printable
from encoders.pixels import quiet
from geo.errors import InputError, UnavailableError
from geo.sphere import distance_km
from index_builder.positions import Position, check_position
from index_builder.records import Record, Rejected
from index_builder.sources.plain_png import plain_png

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from rasterio.windows import Window

MIN_TILE_PX, MAX_TILE_PX = 64, 2048
MAX_BLOCK_BYTES = 256_000_000
"""Largest block of a file that is unpacked at once; cloud-optimised files have 200 kB."""
_CACHE_BYTES = 64_000_000
_COARSE_PX = 512
_PERCENTILES = (2.0, 98.0)


@dataclass(frozen=True)
class _Look:
    """How a file's values become 8-bit RGB."""

    bands: tuple[int, ...]
    """One (grey or palette) or three band numbers, from 1."""
    palette: NDArray[np.uint8] | None
    """Colours `[256, 3]` by value."""
    low: float
    high: float


@dataclass(frozen=True)
class GeoTiffReader:
    """Reads a GeoTIFF as records, one a window."""

    tile_px: int = 512

    def count(self, path: Path) -> int | None:
        """Return how many windows the file is cut into, 0 where it cannot be opened."""
        try:
            with _opened(path) as raster:
                return len(cuts(raster.height, self.tile_px)) * len(
                    cuts(raster.width, self.tile_px)
                )
        except InputError:
            return 0

    def records(self, path: Path, label: str) -> Iterator[Record | Rejected]:
        """Yield the windows that hold data, named `LABEL/ROW-COLUMN` by their first pixel.

        A file that cannot be used is one rejection; so is the count of empty windows.

        Raises:
            UnavailableError: rasterio is not installed.
        """
        name, empty, windows = printable(label), 0, 0
        try:
            with _opened(path) as raster:
                _check(raster)
                look = _look(raster)
                for window in _windows(raster, self.tile_px):
                    found = _record(raster, window, look, name)
                    windows += 1
                    empty += found is None
                    if found is not None:
                        yield found
        except InputError as error:
            yield Rejected(name, str(error))
        if empty:
            yield Rejected(
                name, f"{empty:,} of {windows:,} windows hold no data at all and were left out"
            )


def cuts(size: int, tile_px: int) -> list[tuple[int, int]]:
    """Return (start, length) of equal pieces that cover `size` pixels, none over `tile_px`."""
    pieces = max(1, math.ceil(size / tile_px))
    edges = [size * piece // pieces for piece in range(pieces + 1)]
    return [(start, end - start) for start, end in pairwise(edges)]


def _rasterio() -> Any:
    try:
        import rasterio
        import rasterio.warp
        import rasterio.windows
    except ImportError:
        raise UnavailableError(
            "reading GeoTIFF files needs rasterio; pip install 'graticule[aerial]'"
        ) from None
    return rasterio


@contextmanager
def _opened(path: Path) -> "Iterator[DatasetReader]":
    """Open as GeoTIFF and nothing else: a VRT of that name could name any file or address.

    Raises:
        InputError: the file is no GeoTIFF or breaks on the way.
    """
    rasterio = _rasterio()
    raster = None
    try:
        with _settings(rasterio), quiet():
            raster = rasterio.open(os.path.abspath(path), driver="GTiff")
        yield raster
    except rasterio.errors.RasterioError as error:
        reason = printable(str(error), limit=120)
        raise InputError(f"not a GeoTIFF that can be read ({reason}); fetch it again") from None
    finally:
        if raster is not None:
            raster.close()


def _settings(rasterio: Any) -> Any:
    # Entered around single calls: an environment is the thread's, and generators wander.
    return rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES)


def _check(raster: "DatasetReader") -> None:
    if raster.crs is None:
        raise InputError(
            "no coordinate system; state it: gdal_edit.py -a_srs EPSG:CODE FILE, or rio edit-info"
        )
    if not (raster.crs.is_geographic or raster.crs.is_projected):
        name = printable(raster.crs.to_string(), limit=60)
        raise InputError(
            f"its coordinate system is no map of the Earth ({name}); state the right one: "
            "gdal_edit.py -a_srs EPSG:CODE FILE"
        )
    if raster.transform.is_identity or not raster.transform.determinant:
        raise InputError("no georeference; state its bounds: gdal_edit.py -a_ullr W N E S FILE")
    if any(kind.startswith("complex") for kind in raster.dtypes):
        raise InputError("complex values are no picture; give bands of numbers")
    itemsize = max(np.dtype(kind).itemsize for kind in raster.dtypes)
    bands = raster.count if str(raster.profile.get("interleave")) == "pixel" else 1
    height, width = raster.block_shapes[0]
    size = height * width * bands * itemsize
    if size > MAX_BLOCK_BYTES:
        raise InputError(
            f"blocks of {size:,} bytes, limit {MAX_BLOCK_BYTES:,}; rewrite it: gdal_translate "
            "-co TILED=YES IN OUT"
        )


def _look(raster: "DatasetReader") -> _Look:
    bands = _bands(raster)
    palette = _palette(raster) if len(bands) == 1 else None
    if palette is not None or all(raster.dtypes[band - 1] == "uint8" for band in bands):
        return _Look(bands, palette, 0.0, 255.0)
    scale = max(1.0, max(raster.height, raster.width) / _COARSE_PX)
    shape = (max(1, int(raster.height / scale)), max(1, int(raster.width / scale)))
    with _settings(_rasterio()), quiet():
        coarse = raster.read(bands, out_shape=(len(bands), *shape), masked=True)
    values = np.ma.masked_invalid(coarse.astype(np.float64)).compressed()
    if not values.size:
        return _Look(bands, None, 0.0, 1.0)
    low, high = (float(value) for value in np.percentile(values, _PERCENTILES))
    return _Look(bands, None, low, high if high > low else low + 1.0)


def _bands(raster: "DatasetReader") -> tuple[int, ...]:
    """Return the bands of red, green and blue, or the one that stands for grey."""
    meaning = [kind.name for kind in raster.colorinterp]
    if all(colour in meaning for colour in ("red", "green", "blue")):
        return tuple(meaning.index(colour) + 1 for colour in ("red", "green", "blue"))
    plain = tuple(n for n, kind in enumerate(meaning, 1) if kind != "alpha")
    return plain[:3] if len(plain) >= 3 else plain[:1] or (1,)


def _palette(raster: "DatasetReader") -> NDArray[np.uint8] | None:
    if raster.colorinterp[0].name != "palette" or raster.dtypes[0] != "uint8":
        return None
    colours = np.zeros((256, 3), np.uint8)
    for value, colour in raster.colormap(1).items():
        colours[value] = colour[:3]
    return colours


def _windows(raster: "DatasetReader", tile_px: int) -> "Iterator[Window]":
    from rasterio.windows import Window

    for top, height in cuts(raster.height, tile_px):
        for left, width in cuts(raster.width, tile_px):
            yield Window(left, top, width, height)


def _record(
    raster: "DatasetReader", window: "Window", look: _Look, label: str
) -> Record | Rejected | None:
    """Return a window's record, the reason it has none, or None where it holds no data."""
    rasterio = _rasterio()
    name = f"{label}/{window.row_off}-{window.col_off}"
    try:
        with _settings(rasterio), quiet():
            valid = raster.dataset_mask(window=window) > 0
        if not valid.any():
            return None
        values = _read(raster, look.bands, window)
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
        if not valid.any():
            return None
        pixels = _rgb(values, valid, look)
        return Record(name, _position(raster, window), plain_png(pixels))
    except InputError as error:
        return Rejected(name, str(error))
    except rasterio.errors.RasterioError as error:
        reason = printable(str(error), limit=120)
        return Rejected(name, f"cannot be read ({reason}); fetch the file again")


def _read(raster: "DatasetReader", bands: tuple[int, ...], window: "Window") -> NDArray[np.generic]:
    with _settings(_rasterio()):
        return np.asarray(raster.read(bands, window=window))


def _rgb(values: NDArray[np.generic], valid: NDArray[np.bool_], look: _Look) -> NDArray[np.uint8]:
    """Return `[H, W, 3]` pixels of `[B, H, W]` values; black where not valid."""
    if look.palette is not None:
        pixels = look.palette[values[0]]
    elif values.dtype == np.uint8:
        pixels = np.moveaxis(values, 0, -1).astype(np.uint8)
    else:
        stretched = (values.astype(np.float64) - look.low) * (255.0 / (look.high - look.low))
        finite = np.nan_to_num(stretched, nan=0.0, posinf=255.0, neginf=0.0)
        pixels = np.moveaxis(np.rint(finite.clip(0.0, 255.0)).astype(np.uint8), 0, -1)
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    return np.where(valid[..., None], pixels, np.uint8(0))


def _position(raster: "DatasetReader", window: "Window") -> Position:
    """Return the middle of a window, with the distance to its farthest corner.

    Raises:
        InputError: the file's coordinate system does not reach the Earth there.
    """
    from rasterio.warp import transform

    left, top = window.col_off, window.row_off
    right, bottom = left + window.width, top + window.height
    columns = [(left + right) / 2, left, right, left, right]
    rows = [(top + bottom) / 2, top, top, bottom, bottom]
    a, b, c, d, e, f = tuple(raster.transform)[:6]
    xs = [a * column + b * row + c for column, row in zip(columns, rows, strict=True)]
    ys = [d * column + e * row + f for column, row in zip(columns, rows, strict=True)]
    outside = InputError("lies outside its coordinate system; state the right one")
    try:
        longitudes, latitudes = transform(raster.crs, "EPSG:4326", xs, ys)
    except Exception:  # GDAL's own errors have no public base
        raise outside from None
    if not np.isfinite([*longitudes, *latitudes]).all():
        raise outside
    longitude = (longitudes[0] + 180.0) % 360.0 - 180.0
    check_position(latitudes[0], longitude)
    radius = distance_km(latitudes[0], longitude, latitudes[1:], longitudes[1:]).max()
    return Position(latitudes[0], longitude, float(radius))
