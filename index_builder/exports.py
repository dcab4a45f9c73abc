"""A gallery's points as a file for other programs: CSV, GeoJSON, JSON lines, Parquet, NumPy.

Points stream from the store into a file beside the one asked for, which takes its name when it
is whole; nothing that was there is replaced unless that was asked for.
"""

import contextlib
import csv
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, JsonValue

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
from index_builder.files import PARTIAL
from index_builder.gallery import Gallery
from index_builder.gallery_photo import photo_of
from index_builder.points import EVERYWHERE, StoredPoint, Where
from index_builder.upkeep import Progress, in_chunks, no_progress

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Schema

FORMATS = ("csv", "geojson", "jsonl", "parquet", "npz")
WITH_VECTORS = ("parquet", "npz")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a text that spreadsheets take for a formula and run."""
TEXTS = (
    "id", "name", "author", "date", "licence", "source", "country", "stated_country", "region",
    "city", "dhash",
)  # fmt: skip
NUMBERS = ("latitude", "longitude", "accuracy_km")
OF_CELLS = ("cell", "members", "aerial")
_ORDER = (
    "id", "name", "latitude", "longitude", "accuracy_km", "country", "region", "city",
    "stated_country", "author", "date", "licence", "source", "dhash",
)  # fmt: skip
_PAGE = 1024

Row = dict[str, JsonValue]
Writer = Callable[[list[tuple[Row, StoredPoint]]], None]


class ExportReport(BaseModel):
    """What was exported."""

    path: Path
    format: str
    photos: int
    bytes: int
    vectors: dict[str, int] = {}
    """Spaces whose vectors are in the file, and their lengths."""
    seconds: float


def export_gallery(
    gallery: Gallery,
    path: Path,
    *,
    where: Where = EVERYWHERE,
    vectors: bool = False,
    force: bool = False,
    progress: Progress = no_progress,
) -> ExportReport:
    """Write what a gallery knows of its photos to a file; its ending says in which format.

    Args:
        gallery: open.
        path: ending in `.csv`, `.geojson`, `.jsonl`, `.parquet` or `.npz`.
        where: which points.
        vectors: those of every space too; for `.parquet` and `.npz`.
        force: replace a file that is there.
        progress: told of points written, as `exporting`.

    Raises:
        InputError: another ending, a format without vectors, no point passes, the file is there
            already or cannot be written.
        UnavailableError: pyarrow is missing.
    """
    began = time.monotonic()
    kind = check_target(path, vectors=vectors, force=force)
    total = gallery.store.count(where)
    if not total:
        raise InputError(f"no photo of gallery {gallery.name!r} passes; widen the filter")
    spaces = dict(gallery.manifest.encoder.spaces) if vectors else {}
    columns = (*_ORDER, *OF_CELLS) if gallery.manifest.kind == "cells" else _ORDER
    done = 0
    with _new_file(path, force=force) as temporary:
        with _WRITERS[kind](temporary, columns, spaces) as write:
            points = gallery.store.scan(where=where, with_vectors=vectors)
            for chunk in in_chunks(points, _PAGE):
                write([(_row(point, columns), point) for point in chunk])
                done += len(chunk)
                progress("exporting", done, total)
        size = temporary.stat().st_size
    seconds = time.monotonic() - began
    return ExportReport(
        path=path, format=kind, photos=done, bytes=size, vectors=spaces, seconds=seconds
    )


def check_target(path: Path, *, vectors: bool, force: bool) -> str:
    """Return the format that a file's name asks for, before any work is done.

    Raises:
        InputError: see `export_gallery`.
    """
    shown = repr(printable(str(path)))
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        endings = ", ".join("." + known for known in FORMATS)
        raise InputError(f"{shown} says no format; give a name that ends in one of {endings}")
    if vectors and kind not in WITH_VECTORS:
        raise InputError(f"{shown} cannot hold vectors; give a .parquet or .npz file")
    if path.is_dir():
        raise InputError(f"{shown} is a folder; give the name of a file")
    if path.exists() and not (force and path.is_file()):
        raise _there(path)
    return kind


def _there(path: Path) -> InputError:
    return InputError(
        f"{printable(str(path))!r} is there already; give another name, or --force to replace it"
    )


def _row(point: StoredPoint, columns: Iterable[str]) -> Row:
    stated = photo_of(point.payload).model_dump(mode="json")
    return {column: stated[column] for column in columns}


@contextlib.contextmanager
def _new_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Yield a name beside `path`; what was written there becomes `path` when all went well."""
    temporary = path.absolute().parent / f"{PARTIAL}{secrets.token_hex(8)}"
    try:
        yield temporary
        if force:
            os.replace(temporary, path)
        else:
            _name(temporary, path)
    except OSError as error:
        raise InputError(
            f"cannot write {printable(str(path))!r} ({error.strerror}); free space or choose a "
            "folder you may write to"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _name(temporary: Path, path: Path) -> None:
    """Give a file its name unless somebody else took it meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _there(path) from None
    except OSError:  # a disk without links
        if path.exists():
            raise _there(path) from None
        os.replace(temporary, path)


@contextlib.contextmanager
def _csv(path: Path, columns: tuple[str, ...], _: Mapping[str, int]) -> Iterator[Writer]:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        yield lambda chunk: rows.writerows(
            [_cell(value) for value in row.values()] for row, _ in chunk
        )


def _cell(value: JsonValue) -> JsonValue:
    """Return what a spreadsheet shows as it is: no text of it begins a formula."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return "'" + value
    return value


@contextlib.contextmanager
def _jsonl(path: Path, _: tuple[str, ...], __: Mapping[str, int]) -> Iterator[Writer]:
    with path.open("w", encoding="utf-8") as file:

        def write(chunk: list[tuple[Row, StoredPoint]]) -> None:
            file.writelines(_json(row) + "\n" for row, _ in chunk)

        yield write


@contextlib.contextmanager
def _geojson(path: Path, _: tuple[str, ...], __: Mapping[str, int]) -> Iterator[Writer]:
    """RFC 7946: longitude first."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"

        def write(chunk: list[tuple[Row, StoredPoint]]) -> None:
            nonlocal separator
            for row, _ in chunk:
                file.write(separator + _json(_feature(row)))
                separator = ",\n"

        yield write
        file.write("\n]}\n")


def _feature(row: Row) -> Row:
    position: list[JsonValue] = [row["longitude"], row["latitude"]]
    kept: Row = {key: v for key, v in row.items() if key not in ("id", "latitude", "longitude")}
    return {
        "type": "Feature",
        "id": row["id"],
        "geometry": {"type": "Point", "coordinates": position},
        "properties": kept,
    }


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


@contextlib.contextmanager
def _parquet(path: Path, columns: tuple[str, ...], spaces: Mapping[str, int]) -> Iterator[Writer]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise UnavailableError(
            "writing parquet files needs pyarrow; pip install 'graticule[sources]'"
        ) from None
    schema = _schema(columns, spaces)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as file:
        yield lambda chunk: file.write_batch(_batch(chunk, schema, spaces))


def _schema(columns: tuple[str, ...], spaces: Mapping[str, int]) -> "Schema":
    import pyarrow as pa

    special = {"members": pa.int64(), "aerial": pa.bool_()} | dict.fromkeys(NUMBERS, pa.float64())
    fields = [pa.field(column, special.get(column, pa.string())) for column in columns]
    fields += [pa.field(f"vector_{s}", pa.list_(pa.float32(), size)) for s, size in spaces.items()]
    return pa.schema(fields)


def _batch(
    chunk: list[tuple[Row, StoredPoint]], schema: "Schema", spaces: Mapping[str, int]
) -> "RecordBatch":
    import pyarrow as pa

    arrays: list[Any] = [
        pa.array([row[field.name] for row, _ in chunk], field.type)
        for field in schema
        if not field.name.startswith("vector_")
    ]
    for space, size in spaces.items():
        vectors = [point.vectors.get(space) for _, point in chunk]
        arrays.append(pa.array(vectors, pa.list_(pa.float32(), size)))
    return pa.record_batch(arrays, schema=schema)


def _npz(
    path: Path, columns: tuple[str, ...], spaces: Mapping[str, int]
) -> AbstractContextManager[Writer]:
    from index_builder.export_arrays import npz_writer

    return npz_writer(path, columns, spaces)


_WRITERS: dict[
    str, Callable[[Path, tuple[str, ...], Mapping[str, int]], AbstractContextManager[Writer]]
] = {"csv": _csv, "geojson": _geojson, "jsonl": _jsonl, "parquet": _parquet, "npz": _npz}
