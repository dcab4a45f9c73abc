"""Which form a source has, told from names and headers; no photo is opened for it."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.rows import first_line
from index_builder.sources.folder import POSITION_FILES, is_photo_name
from index_builder.sources.headers import YFCC_WIDTHS, table_format

FORMATS = {
    "folder": "folder of photos: positions from metadata, JSON beside them, or positions.csv",
    "table": "CSV or TSV with a column for the image, latitude and longitude",
    "webdataset": "tar shards in the WebDataset layout",
    "parquet": "parquet files with an image column",
    "mp16": "metadata of MP-16 or MP16-Pro (IMG_ID, LAT, LON) and its images",
    "osv5m": "OSV-5M: train.csv and images/train",
    "yfcc": "rows of YFCC100M (tab-separated, no header) and its images",
    "coordinates": "CSV with latitude and longitude alone",
    "tiles": "aerial tiles: z/x/y.png, or GeoTIFF files",
}
"""Every format a source may have, and what it is."""

_SHARDS = (".tar", ".tar.gz", ".tgz", ".tar.bz2")
_TABLE_SUFFIXES = {".csv", ".tsv", ".txt", ".tab", ".gz", ".bz2", ""}
_MAX_PATTERN_FILES = 1_000_000
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Found:
    """What a source is: its format, and its folder, its table, or its shards in order."""

    format: str
    paths: tuple[Path, ...]


def detect(spec: Path | str, format: str = "auto") -> Found:
    """Return the format of a source and its paths.

    Args:
        spec: a folder, a file, or a pattern of files.
        format: one of `FORMATS`, or `auto`.

    Raises:
        InputError: nothing there, an unknown format, or one that cannot be told.
    """
    if format != "auto" and format not in FORMATS:
        raise InputError(f"format {printable(format)!r} is unknown; give one of: {_formats()}")
    path = Path(spec)
    if not _exists(path):
        if not re.search(r"[*?\[{]", str(spec)):
            raise InputError(f"no photos, table or shards at {_shown(path)}; check the path")
        return _of_pattern(str(spec), format)
    if format == "auto":
        return _of_folder(path) if path.is_dir() else _of_file(path)
    return Found(format, _paths(path, format))


def expand(pattern: str) -> list[Path]:
    """Return the files that a pattern names, each brace and star in order of names' bytes.

    `{000..010}` counts with leading zeros, `{a,b}` lists; `*`, `?`, `[...]` as in a shell, `**`
    for any folders.

    Raises:
        InputError: a name without a star that is not there, or no file at all.
    """
    found: dict[Path, None] = {}
    for one in _braces(pattern):
        if re.search(r"[*?\[]", one):
            found.update(dict.fromkeys(_matches(one)))
        elif Path(one).exists():
            found[Path(one)] = None
        else:
            raise InputError(f"no file {printable(one)!r}, which {printable(pattern)!r} names")
    if not found:
        raise InputError(f"no files match {printable(pattern)!r}; check the pattern")
    return list(found)


def _braces(pattern: str) -> Iterator[str]:
    pieces = _BRACES.split(pattern)  # literal, choice, literal, choice, ...
    choices = [_choices(p) if i % 2 else [p] for i, p in enumerate(pieces)]
    total = 1
    for options in choices:
        total *= len(options)
    if total > _MAX_PATTERN_FILES:
        limit = f"limit {_MAX_PATTERN_FILES:,}"
        raise InputError(f"{printable(pattern)!r} names {total:,} files, {limit}; give fewer")
    for combined in product(*choices):
        yield "".join(combined)


def _choices(inside: str) -> Sequence[str]:
    if not (counted := _RANGE.fullmatch(inside)):
        return inside.split(",")
    first, last = counted.groups()
    step = 1 if int(first) <= int(last) else -1
    numbers = range(int(first), int(last) + step, step)
    if len(numbers) > _MAX_PATTERN_FILES:
        raise InputError(f"{{{inside}}} counts over {_MAX_PATTERN_FILES:,} files; give fewer")
    return [str(number).zfill(len(first)) for number in numbers]


def _matches(pattern: str) -> list[Path]:
    from glob import glob

    return [Path(p) for p in sorted(glob(pattern, recursive=True), key=os.fsencode)]


def _of_pattern(pattern: str, format: str) -> Found:
    paths = expand(pattern)
    kinds = {_shard_format(path) for path in paths} - {""}
    if len(kinds) == 1 and all(_shard_format(path) for path in paths):
        found = kinds.pop()
        if format not in ("auto", found):
            raise InputError(f"{printable(pattern)!r} names {found} files, not {format}")
        return Found(found, tuple(paths))
    if len(paths) == 1:
        return detect(paths[0], format)
    raise InputError(
        f"{printable(pattern)!r} names {len(paths):,} files that are not all tar shards or all "
        f"parquet files, for example {_shown(paths[0])}; a source of another format is one path: "
        f"{_formats()}"
    )


def _shard_format(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(_SHARDS):
        return "webdataset"
    return "parquet" if name.endswith(".parquet") else ""


def _of_file(path: Path) -> Found:
    if found := _shard_format(path):
        return Found(found, (path,))
    if path.suffix.lower() in _TABLE_SUFFIXES:
        return Found(_table_format(path), (path,))
    raise _unknown(path, "is none that is known by its name")


def _table_format(path: Path) -> str:
    line = first_line(path)
    if found := table_format(line):
        return found
    if not line.strip():
        raise _unknown(path, "is empty or no text")
    # Its reader names the columns that are missing, and those there are.
    return "table" if path.suffix.lower() in (".csv", ".tsv", ".tab") else _no_table(path)


def _no_table(path: Path) -> str:
    widths = ", ".join(map(str, YFCC_WIDTHS))
    raise _unknown(path, f"has no column latitude, nor the {widths} columns of YFCC100M")


def _of_folder(folder: Path) -> Found:
    fits: dict[str, tuple[Path, ...]] = {}
    names = _names(folder)
    if _is_osv5m(folder, names):
        return Found("osv5m", (folder,))
    for format in ("webdataset", "parquet"):
        if shards := _shards(folder, format):
            fits[format] = shards
    tables = _tables(folder, names, ("mp16", "yfcc"))
    fits |= tables
    if tables:
        fits.pop("webdataset", None)  # they hold the images that the table names
    if _is_tiles(folder, names):
        fits["tiles"] = (folder,)
    if set(names) & set(POSITION_FILES) or (not tables and any(map(is_photo_name, names))):
        fits["folder"] = (folder,)
    if len(fits) > 1:
        raise InputError(
            f"{_shown(folder)} fits several formats ({', '.join(fits)}); name one with --format: "
            f"{_formats()}"
        )
    format, paths = next(iter(fits.items()), ("folder", (folder,)))
    return Found(format, _one_table(folder, format, paths) if tables else paths)


def _is_osv5m(folder: Path, names: Sequence[str]) -> bool:
    tables = [folder / name for name in ("train.csv", "test.csv") if name in names]
    whole = "images" in names and (folder / "images").is_dir()
    return whole and any(table_format(first_line(table)) == "osv5m" for table in tables)


def _one_table(folder: Path, format: str, tables: tuple[Path, ...]) -> tuple[Path, ...]:
    if len(tables) != 1:
        names = printable(", ".join(table.name for table in tables)) or "none"
        raise InputError(
            f"{len(tables)} tables of the format {format} in {_shown(folder)} ({names}); name one"
        )
    return tables


def _tables(
    folder: Path, names: Sequence[str], formats: Sequence[str]
) -> dict[str, tuple[Path, ...]]:
    """Return the tables in a folder that have one of these formats, by format."""
    found: dict[str, tuple[Path, ...]] = {}
    for name in names:
        path = folder / name
        if name in POSITION_FILES or path.suffix.lower() not in _TABLE_SUFFIXES:
            continue
        if path.is_file() and (format := table_format(first_line(path))) in formats:
            found[format] = (*found.get(format, ()), path)
    return found


def _is_tiles(folder: Path, names: Sequence[str]) -> bool:
    """Say whether a folder holds `z/x/y.png`; looks at the first of each level alone."""
    for _ in range(2):
        numbers = [name for name in names if name.isdecimal() and (folder / name).is_dir()]
        if not numbers:
            return False
        folder = folder / numbers[0]
        names = _names(folder)
    return any(Path(name).stem.isdecimal() and is_photo_name(name) for name in names)


def _paths(path: Path, format: str) -> tuple[Path, ...]:
    """Return what a reader of a stated format is given."""
    if format in ("folder", "tiles") or (format == "osv5m" and path.is_dir()):
        return (path,)
    if format in ("webdataset", "parquet"):
        found = _shards(path, format) if path.is_dir() else (path,)
        if not found:
            raise InputError(f"no files of the format {format} in {_shown(path)}; check the path")
        return found
    if not path.is_dir():
        return (path,)
    return _one_table(path, format, _tables(path, _names(path), (format,)).get(format, ()))


def _shards(folder: Path, format: str) -> tuple[Path, ...]:
    """Return the shards in a folder, in Hugging Face's `data/` below it if there are none."""
    for place in (folder, folder / "data"):
        if place.is_dir():
            found = [place / n for n in _names(place) if _shard_format(place / n) == format]
            if found:
                return tuple(found)
    return ()


def _names(folder: Path) -> list[str]:
    try:
        return sorted((n for n in os.listdir(folder) if not n.startswith(".")), key=os.fsencode)
    except OSError as error:
        reason = error.strerror
        raise InputError(f"folder {_shown(folder)} cannot be read ({reason})") from None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _unknown(path: Path, why: str) -> InputError:
    return InputError(f"{_shown(path)} {why}; give --format, one of: {_formats()}")


def _shown(path: Path) -> str:
    return repr(printable(os.fsencode(path)))


def _formats() -> str:
    return "; ".join(f"{name} ({what})" for name, what in FORMATS.items())
