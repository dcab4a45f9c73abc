"""Photos in archives or in folders that the table does not name, joined with the table's rows.

Photos come in the order in which they are stored, so that archives are read once, from front to
back; the table is not in memory, only where in it each photo's row begins.
"""

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.positions import Position, listed_twice
from index_builder.records import Record, Rejected
from index_builder.rows import Cells, Table, opened
from index_builder.sources.folder import check_file
from index_builder.sources.layouts import Layout
from index_builder.sources.seen import same_position
from index_builder.sources.stored import Stored, stored_photos
from index_builder.sources.tar_stream import TarDamage

MAX_LEFT_OVER = 1000
"""So many rows without a photo are named one by one, the others counted."""
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class StoredSource:
    """Photos in a folder and its archives with their rows of a table.

    Satisfies `index_builder.records.Source`. Reads the table once to find the rows: 17 bytes a
    row are kept, 48 while they are sorted (5 million rows: 85 and 240 MB).

    Attributes:
        table: the file; not packed, rows are read where they stand.
        images: folder of photos and of tar or zip files with them, or one such file.
        layout: which columns the table has and how photos are called.
        label: what a gallery calls the source; the table's name otherwise.
        ignore: folders below that of the photos that are not looked into.
    """

    table: Path
    images: Path
    layout: Layout
    label: str = ""
    ignore: Sequence[Path] = ()

    @property
    def name(self) -> str:
        """The label, or the table's name."""
        return self.label or printable(os.fsencode(self.table.stem))

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield the stored photos with their positions, then rows without a photo.

        Raises:
            InputError: the table cannot be read, or lacks a column; no such folder.
        """
        if not self.images.exists():
            shown = printable(os.fsencode(self.images))
            raise InputError(f"no photos at {shown!r}; give the photos' folder as images")
        rows = _RowIndex(Table(self.table, self.layout.columns), self.layout)
        with opened(self.table, "table") as file:
            for photo in stored_photos(self.images, self.ignore):
                yield photo if isinstance(photo, Rejected) else self._record(photo, rows, file)
            yield from rows.left_over(file)

    def parts(self) -> "Sequence[StoredSource]":
        """Return itself: rows without a photo are known only where all photos are."""
        return (self,)

    def count(self) -> int | None:
        """Return None: photos without a row are known only when they are read."""
        return None

    def _record(self, photo: Stored, rows: "_RowIndex", file: IO[bytes]) -> Record | Rejected:
        shown = printable(photo.name)
        try:
            position = rows.find(photo.name, file)
            if position is None:
                table = printable(os.fsencode(self.table.name))
                raise InputError(f"in no row of the table {table!r}")
            content = photo.content()
            if isinstance(content, Path):
                check_file(content)
        except (InputError, TarDamage) as error:
            return Rejected(shown, str(error))
        except (OSError, ValueError) as error:
            reason = printable(str(error), 120)
            return Rejected(shown, f"cannot be unpacked ({reason}); fetch its archive again")
        return Record(shown, position, content)


class _RowIndex:
    """Where in a table the row of each photo begins, by a hash of the photo's key."""

    def __init__(self, table: Table, layout: Layout) -> None:
        if table.count() is None:
            shown = printable(str(table.path))
            raise InputError(f"table {shown!r} is packed, and its photos in archives; unpack it")
        self._table, self._layout = table, layout
        hashes, offsets = array("Q"), array("Q")
        for offset, cells in table:
            if name := layout.name_of(cells):
                hashes.append(hash(layout.key(name)) & _MASK)
                offsets.append(offset)
        order = np.argsort(np.frombuffer(hashes, dtype=np.uint64), kind="stable")
        self._hashes: NDArray[np.uint64] = np.frombuffer(hashes, dtype=np.uint64)[order]
        self._offsets: NDArray[np.uint64] = np.frombuffer(offsets, dtype=np.uint64)[order]
        self._used = np.zeros(len(order), dtype=bool)

    def find(self, photo: str, file: IO[bytes]) -> Position | None:
        """Return the position of a photo by its path, or None where no row is its.

        Raises:
            InputError: its row has none, or its rows contradict each other.
        """
        rows = self._rows(photo, file)
        positions = [self._layout.position(cells) for cells in rows]
        for other in positions[1:]:
            first = positions[0]
            here, there = ((p.latitude, p.longitude) for p in (first, other))
            if not same_position(here, there):
                raise InputError(listed_twice(first, other))
        return positions[0] if positions else None

    def _rows(self, photo: str, file: IO[bytes]) -> list[Cells]:
        key = self._layout.key(photo)
        sought = np.uint64(hash(key) & _MASK)
        start = int(np.searchsorted(self._hashes, sought))
        found: list[tuple[int, str, Cells]] = []
        while start < len(self._hashes) and self._hashes[start] == sought:
            cells = self._table.at(file, int(self._offsets[start]))
            name = self._layout.name_of(cells)
            if self._layout.key(name) == key:
                found.append((start, name, cells))
            start += 1
        if len({name for _, name, _ in found}) > 1:
            # Photos of one name in several folders: each row is of the path that it ends.
            whole = PurePosixPath("/", photo).as_posix()
            found = [one for one in found if whole.endswith(f"/{one[1]}")]
        for row, _, _ in found:
            self._used[row] = True
        return [cells for _, _, cells in found]

    def left_over(self, file: IO[bytes]) -> Iterator[Rejected]:
        """Yield the rows that no photo was found for: a thousand by name, then their number."""
        offsets = np.sort(self._offsets[~self._used])
        for offset in offsets[:MAX_LEFT_OVER]:
            name = self._layout.name_of(self._table.at(file, int(offset)))
            yield Rejected(printable(name), "listed in the table, but no such photo")
        if (more := len(offsets) - MAX_LEFT_OVER) > 0:
            table = printable(os.fsencode(self._table.path.name))
            yield Rejected(table, f"lists {more:,} more photos that are not there")
