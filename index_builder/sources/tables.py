"""A table that names photos and their positions, and the folder that holds the photos."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.positions import Position, shown_at
from index_builder.records import Record, Rejected
from index_builder.rows import Cells, Table
from index_builder.sources.folder import check_file
from index_builder.sources.layouts import PLAIN, Layout
from index_builder.sources.seen import SeenNames, same_position


@dataclass(frozen=True)
class TableSource:
    """Rows of a CSV or TSV with their photos, in the order of the rows.

    Satisfies `index_builder.records.Source`. Rows are read one at a time; of those before, 27 to
    54 bytes a name are kept (see `seen`), so that a name that comes again is noticed: the first
    row is used, each later one rejected, with both positions where they differ.

    Attributes:
        table: the file.
        images: folder of the photos; the table's own otherwise.
        layout: which columns it has and where photos lie.
        label: what a gallery calls the source; the table's name otherwise.
    """

    table: Path
    images: Path | None = None
    layout: Layout = PLAIN
    label: str = ""

    @property
    def name(self) -> str:
        """The label, or the table's name."""
        return self.label or printable(os.fsencode(self.table.stem))

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield each row with its photo, or why it cannot be used.

        Raises:
            InputError: the table cannot be read, or lacks a column.
        """
        rows = Table(self.table, self.layout.columns)
        photos = _Photos(self.images or self.table.parent, self.layout)
        seen = SeenNames()
        for number, (_, cells) in enumerate(rows, start=1):
            name = self.layout.name_of(cells)
            try:
                if not name:
                    raise InputError("the column of the image is empty; name a file")
                position = self.layout.position(cells)
                _check_new(seen, name, position)
                path = photos.find(name, cells)
            except InputError as error:
                yield Rejected(printable(name) if name else f"row {number:,}", str(error))
            else:
                yield Record(printable(name), position, path)

    def parts(self) -> "Sequence[TableSource]":
        """Return itself: a row that comes twice is known only where all are read."""
        return (self,)

    def count(self) -> int | None:
        """Return how many rows there are at most: the file's lines."""
        return Table(self.table, self.layout.columns).count()


def _check_new(seen: SeenNames, name: str, position: Position) -> None:
    here = (position.latitude, position.longitude)
    first = seen.first(name, *here)
    if first is None:
        return
    if same_position(first, here):
        raise InputError("listed before at the same position; the first row is used")
    raise InputError(
        f"listed before at {shown_at(*first)}, here at {shown_at(*here)}; the first row is used: "
        "keep the right one"
    )


class _Photos:
    """Finds the file of a row; where the last one lay is looked at first."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._folder = os.fspath(folder)
        self._shown = printable(os.fsencode(folder))
        self._layout = layout
        self._last = 0

    def find(self, name: str, cells: Cells) -> Path:
        """Return the path of a row's photo.

        Raises:
            InputError: there is none, or it is empty or too large.
        """
        places = self._layout.files(name, cells)
        for number in sorted(range(len(places)), key=lambda place: place != self._last):
            found = os.path.join(self._folder, places[number])  # a Path is slow to make
            if os.path.exists(found):
                self._last = number
                path = Path(found)
                check_file(path)
                return path
        raise InputError(f"no such photo below {self._shown!r}; give the photos' folder as images")
