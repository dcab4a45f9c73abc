"""A list of coordinates without photos, for encoders of locations."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.positions import position_of, shown_at
from index_builder.records import Record, Rejected
from index_builder.rows import Table
from index_builder.sources.headers import COORDINATES


@dataclass(frozen=True)
class CoordinateSource:
    """Rows of latitude and longitude (also `LAT,LON`, as GeoCLIP's), read one at a time.

    A column `name`, and those of a position such as `country`, are taken where they are there; a
    coordinate without a name is called by its degrees. Repeated rows come as often as they
    stand in the table. Satisfies `index_builder.records.Source`.
    """

    table: Path

    @property
    def name(self) -> str:
        """The table's name."""
        return printable(os.fsencode(self.table.stem))

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield each coordinate, or why it cannot be one.

        Raises:
            InputError: the table cannot be read, or lacks a column.
        """
        for number, (_, cells) in enumerate(Table(self.table, COORDINATES), start=1):
            given = cells.get("name", "")
            try:
                at = position_of(cells)
            except InputError as error:
                yield Rejected(printable(given) if given else f"row {number:,}", str(error))
            else:
                name = printable(given) if given else shown_at(at.latitude, at.longitude)
                yield Record(name, at, None)

    def parts(self) -> "Sequence[CoordinateSource]":
        """Return itself."""
        return (self,)

    def count(self) -> int | None:
        """Return how many rows there are at most: the file's lines."""
        return Table(self.table, COORDINATES).count()
