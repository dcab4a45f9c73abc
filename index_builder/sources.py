"""Sources of geotagged photos: a folder of files, with positions in their metadata or a CSV.

Knows files and positions, not pixels: whether a photo decodes shows when it is built in.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from encoders.photo_file import Limits, printable, read_photo_bytes
from geo.errors import InputError
from index_builder.positions import Position, PositionTable, check_position, read_positions

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".tif", ".tiff", ".gif"}
POSITION_FILES = ("positions.csv", "manifest.csv")


@dataclass(frozen=True)
class PhotoRecord:
    """A photo file with a position."""

    id: str
    """SHA-256 hex of the file's bytes."""
    path: Path
    name: str
    """Path inside its folder, printable."""
    position: Position


@dataclass(frozen=True)
class RejectedPhoto:
    """A file or a row that gives no photo with a position, and why."""

    name: str
    reason: str


def read_records(
    folder: Path, *, positions: Path | None = None, ignore: Sequence[Path] = ()
) -> Iterator[PhotoRecord | RejectedPhoto]:
    """Yield every photo below `folder` in the order of names, with its position or a reason.

    Args:
        folder: searched through, hidden folders and links left out.
        positions: CSV of positions; `positions.csv` or `manifest.csv` in the folder otherwise.
            A photo without a row may still carry a position in its metadata.
        ignore: folders below it that are not looked into.

    Raises:
        InputError: no such folder, or the CSV cannot be used.
    """
    if not folder.is_dir():
        remedy = "give the folder that holds it" if folder.exists() else "check the path"
        raise InputError(f"{printable(str(folder))!r} is not a folder of photos; {remedy}")
    table = _find_table(folder, positions)
    rows = _RowsByFile(table) if table else None
    for path in _photo_files(folder, ignore):
        yield _record(path, folder, rows)
    if rows is not None:
        yield from rows.left_over()


def _find_table(folder: Path, positions: Path | None) -> PositionTable | None:
    if positions is not None:
        return read_positions(positions)
    found = next((folder / name for name in POSITION_FILES if (folder / name).is_file()), None)
    return read_positions(found) if found else None


def _photo_files(folder: Path, ignore: Sequence[Path]) -> Iterator[Path]:
    """Yield the photo files below `folder`, in the order of their names' bytes."""
    skipped = {path.resolve() for path in ignore}
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(
            (f for f in folders if not f.startswith(".") and (here / f).resolve() not in skipped),
            key=os.fsencode,
        )
        for name in sorted(files, key=os.fsencode):
            if not name.startswith(".") and Path(name).suffix.lower() in PHOTO_SUFFIXES:
                yield here / name


class _RowsByFile:
    """Finds the row of a file by its path from the folder, else its name, else its stem."""

    def __init__(self, table: PositionTable) -> None:
        self._table = table
        self._unused = dict.fromkeys((*table.positions, *table.reasons))
        self._row_of: dict[str, str | None] = {}
        for row in self._unused:
            for key in {row, f"*/{PurePosixPath(row).name}", f"*/{PurePosixPath(row).stem}.*"}:
                # A short name two rows share names neither.
                self._row_of[key] = None if key in self._row_of else row

    def find(self, relative: PurePosixPath) -> Position | str | None:
        """Return the position of a file, the reason it has none, or None without a row."""
        for key in (str(relative), f"*/{relative.name}", f"*/{relative.stem}.*"):
            if row := self._row_of.get(key):
                self._unused.pop(row, None)
                return self._table.positions.get(row) or self._table.reasons[row]
        return None

    def left_over(self) -> Iterator[RejectedPhoto]:
        """Yield the rows that belong to no photo of the folder."""
        for row in self._unused:
            yield RejectedPhoto(printable(row), "listed in the positions file, but no such photo")


def _record(path: Path, folder: Path, rows: _RowsByFile | None) -> PhotoRecord | RejectedPhoto:
    relative = PurePosixPath(path.relative_to(folder).as_posix())
    name = printable(os.fsencode(str(relative)))
    found = rows.find(relative) if rows else None
    try:
        if isinstance(found, str):
            raise InputError(found)
        data = read_photo_bytes(path, Limits())
        position = found or _position_in_metadata(data)
    except InputError as error:
        return RejectedPhoto(name, str(error))
    if position is None:
        missing = "no position in its metadata" + (" and no row in the CSV" if rows else "")
        return RejectedPhoto(name, f"{missing}; add it to a CSV and give --positions")
    return PhotoRecord(hashlib.sha256(data).hexdigest(), path, name, position)


def _position_in_metadata(data: bytes) -> Position | None:
    """Return the claimed position a photo carries, or None.

    Raises:
        InputError: it carries one that cannot be.
    """
    from index_builder.metadata import read_metadata

    stated = read_metadata(data, name="")
    if not stated.positions:
        if stated.rejected:
            raise InputError(f"position in its metadata refused: {stated.rejected[0].reason}")
        return None
    claimed = stated.positions[0]
    check_position(claimed.latitude, claimed.longitude)
    accuracy_km = claimed.accuracy_m / 1000 if claimed.accuracy_m else None
    return Position(
        claimed.latitude,
        claimed.longitude,
        accuracy_km,
        author=stated.author or "",
        date=stated.taken or "",
    )
