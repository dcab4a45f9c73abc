"""Sources of galleries: every form in which geotagged photos come, as a stream of records.

`open_source` finds out which one it is; each satisfies `index_builder.records.Source`.
"""

from collections.abc import Sequence
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.records import Source
from index_builder.sources.detect import FORMATS, Found, detect
from index_builder.sources.splits import refuse_test_split

__all__ = ["FORMATS", "open_source"]

_WITH_IMAGES = ("table", "mp16", "osv5m", "yfcc")


def open_source(
    spec: Path | str,
    *,
    format: str = "auto",
    positions: Path | None = None,
    images: Path | None = None,
    include_test: bool = False,
    ignore: Sequence[Path] = (),
) -> Source:
    """Return the source that a path, or a pattern of several, names.

    Args:
        spec: a folder, a file, or a pattern of tar shards or parquet files such as
            `photos-{000..010}.tar` or `part-*.parquet`.
        format: one of `FORMATS`; `auto` tells it from names and headers.
        positions: table of positions, for a folder of photos.
        images: folder of the photos (or of tar or zip files that hold them) that a table
            names; by default the table's own folder.
        include_test: take also what is marked as a test split, which measures others.
        ignore: folders that are not looked into where folders are searched through.

    Raises:
        InputError: nothing there, an unknown or ambiguous format, an option that the format
            has no use for, a test split without `include_test`, or a table lacks a column.
    """
    found = detect(spec, format)
    if positions is not None and found.format != "folder":
        raise InputError(
            f"a positions table goes with a folder of photos, not with the format {found.format}; "
            "name the table itself as the source and give the photos' folder as images"
        )
    if images is not None and found.format not in _WITH_IMAGES:
        raise InputError(
            f"the format {found.format} has no images apart ({printable(str(images))!r}); "
            f"images go with {', '.join(_WITH_IMAGES)}"
        )
    if not include_test:
        refuse_test_split([*found.paths, *(p for p in (positions, images) if p)])
    return _opened(found, positions, images, include_test, ignore)


def _opened(
    found: Found,
    positions: Path | None,
    images: Path | None,
    include_test: bool,
    ignore: Sequence[Path],
) -> Source:
    path = found.paths[0]
    if found.format == "folder":
        from index_builder.sources.folder import FolderSource

        return FolderSource(path, positions, tuple(ignore))
    if found.format == "webdataset":
        from index_builder.sources.shards import ShardSource

        return ShardSource(found.paths)
    if found.format == "parquet":
        from index_builder.sources.parquet import ParquetSource

        return ParquetSource(found.paths, include_test=include_test)
    if found.format == "tiles":
        from index_builder.sources.tiles import TileSource

        return TileSource(path)
    if found.format == "coordinates":
        from index_builder.sources.coordinates import CoordinateSource

        return CoordinateSource(path)
    from index_builder.sources.benchmarks import open_table

    return open_table(found.format, path, images, include_test=include_test, ignore=tuple(ignore))
