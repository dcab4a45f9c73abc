"""Published data sets of geotagged photos: MP-16 and MP16-Pro, OSV-5M, YFCC100M.

None is downloaded: their tables and photos are read where the user keeps them.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.records import Record, Rejected, Source
from index_builder.rows import first_line
from index_builder.sources.headers import yfcc_columns
from index_builder.sources.joined import StoredSource
from index_builder.sources.layouts import (
    MP16_LAYOUT,
    OSV5M_LAYOUT,
    PLAIN,
    yfcc_layout,
)
from index_builder.sources.splits import refuse_test_split
from index_builder.sources.stored import holds_archives
from index_builder.sources.tables import TableSource


def open_table(
    format: str,
    path: Path,
    images: Path | None,
    *,
    include_test: bool,
    ignore: Sequence[Path] = (),
) -> Source:
    """Return the source of a table and its photos.

    Args:
        format: table, mp16, osv5m or yfcc.
        path: the table; for osv5m also the data set's folder.
        images: folder of the photos, or of archives that hold them.
        include_test: take also OSV-5M's test split.
        ignore: folders below that of the photos that are not looked into.

    Raises:
        InputError: no such file, or OSV-5M's test split without `include_test`.
    """
    if format == "osv5m":
        return OSV5MSource(path, images, include_test, ignore)
    joined = StoredSource(path, images or path.parent, PLAIN, "", ignore)
    if format == "mp16":
        return _joined_if_packed(replace(joined, layout=MP16_LAYOUT, label=_mp16_label(path)))
    if format == "yfcc":
        columns = yfcc_columns(first_line(path))
        if columns:
            joined = replace(joined, layout=yfcc_layout(columns), label="YFCC100M")
        return _joined_if_packed(joined)
    if images is None:  # an archive that happens to lie beside a table is not of it
        return TableSource(path)
    return _joined_if_packed(joined)


def _joined_if_packed(joined: StoredSource) -> Source:
    """Return the source as it is where photos are in archives, else one that goes by rows."""
    if not joined.images.exists():
        shown = printable(os.fsencode(joined.images))
        raise InputError(f"no photos at {shown!r}; give the photos' folder as images")
    if holds_archives(joined.images):
        return joined
    return TableSource(joined.table, joined.images, joined.layout, joined.label)


def _mp16_label(table: Path) -> str:
    """Return the data set's name; tables of benchmarks have the same columns and their own."""
    stem = table.stem.lower().replace("-", "").replace("_", "")
    if stem.startswith("mp16pro"):
        return "MP16-Pro"
    return "MP-16" if stem.startswith("mp16") else ""


@dataclass(frozen=True)
class OSV5MSource:
    """OpenStreetView-5M: photos in `images/train`, unpacked or in zip files, and `train.csv`.

    Satisfies `index_builder.records.Source`. Its parts are its splits.

    Attributes:
        path: the data set's folder, or one of its tables.
        images: folder of the photos; beside the table, `images` or its split's below it.
        include_test: also `test.csv` with `images/test`.
        ignore: folders below that of the photos that are not looked into.
    """

    path: Path
    images: Path | None = None
    include_test: bool = False
    ignore: Sequence[Path] = ()

    @property
    def name(self) -> str:
        """The data set's name."""
        return "OSV-5M"

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield the photos of each split, with creator as author, then rows without a photo.

        Raises:
            InputError: no table, or one that cannot be read; the test split unasked.
        """
        for part in self.parts():
            yield from part

    def parts(self) -> Sequence[Source]:
        """Return a source for each split."""
        return tuple(
            StoredSource(table, self._images(table), OSV5M_LAYOUT, self.name, self.ignore)
            for table in self._tables()
        )

    def count(self) -> None:
        """Return None: photos without a row are known only when they are read."""

    def _tables(self) -> list[Path]:
        if not self.path.is_dir():
            if not self.include_test:
                refuse_test_split([self.path])
            return [self.path]
        splits = ("train", "test") if self.include_test else ("train",)
        tables = [self.path / f"{split}.csv" for split in splits]
        there = [table for table in tables if table.is_file()]
        if not there:
            names = " or ".join(table.name for table in tables)
            more = "; test.csv needs include_test (--include-test)" if len(tables) == 1 else ""
            raise InputError(f"no {names} in {printable(os.fsencode(self.path))!r}{more}")
        return there

    def _images(self, table: Path) -> Path:
        folder = self.images or table.parent / "images"
        own = folder / table.stem
        if own.is_dir():
            return own
        if not self.include_test and (folder / "test").is_dir():
            # Photos of the test split have no row in this table, and would be told as such.
            raise InputError(
                f"no {table.stem!r} but 'test' in {printable(os.fsencode(folder))!r}; give the "
                "folder of this table's photos as images"
            )
        return folder if folder.is_dir() else table.parent
