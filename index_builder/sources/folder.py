"""A folder of photos: positions from a table, from a JSON file beside each photo, or metadata.

Knows files and positions, not pixels: whether a photo decodes shows when it is built in.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from encoders.photo_file import Limits, printable, read_photo_bytes
from geo.errors import InputError
from index_builder.positions import Position, PositionTable, read_positions
from index_builder.records import Record, Rejected
from index_builder.sources.sidecars import position_beside
from index_builder.sources.stated import claimed_position

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".tif", ".tiff", ".gif"}
POSITION_FILES = (
    *("positions.csv", "positions.tsv", "positions.jsonl", "positions.json"),
    *("manifest.csv", "manifest.tsv", "manifest.jsonl"),
)
"""Files in the folder that are taken for the table of positions, the first one there."""


def check_folder(folder: Path) -> Path:
    """Return `folder` if it is one.

    Raises:
        InputError: no such folder, or not a folder.
    """
    if not folder.is_dir():
        remedy = "give the folder that holds it" if folder.exists() else "check the path"
        raise InputError(f"{printable(str(folder))!r} is not a folder of photos; {remedy}")
    return folder


@dataclass(frozen=True)
class FolderSource:
    """Every photo below a folder, in the order of the names' bytes.

    A photo's position is that of its row in the table, else that of a JSON file beside it
    (Google Takeout, or plain latitude and longitude), else what its own metadata claims.
    Satisfies `index_builder.records.Source`; holds the positions of the table and the names
    in one folder at a time.

    Attributes:
        folder: searched through, hidden folders and links left out.
        positions: table of positions; one of `POSITION_FILES` in the folder otherwise.
        ignore: folders below it that are not looked into.
    """

    folder: Path
    positions: Path | None = None
    ignore: Sequence[Path] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return printable(os.fsencode(self.folder.resolve().name or str(self.folder)))

    def __iter__(self) -> Iterator[Record | Rejected]:
        """Yield every photo with its position, or why it has none; then rows without a photo.

        Raises:
            InputError: no such folder, or the table cannot be used.
        """
        table = _find_table(check_folder(self.folder), self.positions)
        rows = _RowsByFile(table) if table else None
        unread: list[OSError] = []
        for path, beside in photo_files(self.folder, self.ignore, unread.append):
            yield _record(path, self.folder, rows, beside)
        for error in unread:
            yield unread_folder(error)
        if rows is not None:
            yield from rows.left_over()

    def parts(self) -> "Sequence[FolderSource]":
        """Return itself."""
        return (self,)

    def count(self) -> int:
        """Return how many photo files there are, by their names."""
        return sum(1 for _ in photo_files(check_folder(self.folder), self.ignore))


def _find_table(folder: Path, positions: Path | None) -> PositionTable | None:
    if positions is not None:
        return read_positions(positions)
    found = next((folder / name for name in POSITION_FILES if (folder / name).is_file()), None)
    return read_positions(found) if found else None


def photo_files(
    folder: Path,
    ignore: Sequence[Path] = (),
    on_error: Callable[[OSError], None] | None = None,
) -> Iterator[tuple[Path, frozenset[str]]]:
    """Yield the photo files below `folder` in the order of their names' bytes.

    With each come the names of the JSON files in its folder. `on_error` is told of folders
    that cannot be read.
    """
    skipped = {path.resolve() for path in ignore}
    for root, folders, files in os.walk(folder, onerror=on_error):
        here = Path(root)
        folders[:] = sorted(
            (f for f in folders if not f.startswith(".") and (here / f).resolve() not in skipped),
            key=os.fsencode,
        )
        beside = frozenset(name for name in files if name.lower().endswith(".json"))
        for name in sorted(files, key=os.fsencode):
            if is_photo_name(name):
                yield here / name, beside


def unread_folder(error: OSError) -> Rejected:
    """Return the reason why what lies in a folder is missing."""
    name = printable(os.fsencode(error.filename or "a folder"))
    return Rejected(name, f"folder cannot be read ({error.strerror}); check its permissions")


def is_photo_name(name: str) -> bool:
    """Say whether a path's last part is called as photos are, and is not hidden."""
    last = name.rpartition("/")[2]
    return last[:1] != "." and os.path.splitext(last)[1].lower() in PHOTO_SUFFIXES


def check_file(path: Path) -> None:
    """Refuse what cannot be a photo by its size alone; its content is not read.

    Raises:
        InputError: nothing there, not a regular file, empty or too large.
    """
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and 0 < status.st_size <= Limits().max_bytes:
            return
    except (OSError, ValueError):
        pass
    read_photo_bytes(path, Limits())  # says what is wrong


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

    def left_over(self) -> Iterator[Rejected]:
        """Yield the rows that belong to no photo of the folder."""
        for row in self._unused:
            yield Rejected(printable(row), "listed in the positions file, but no such photo")


def _record(
    path: Path, folder: Path, rows: _RowsByFile | None, beside: frozenset[str]
) -> Record | Rejected:
    relative = PurePosixPath(path.relative_to(folder).as_posix())
    name = printable(os.fsencode(str(relative)))
    try:
        found = rows.find(relative) if rows else None
        if isinstance(found, str):
            raise InputError(found)
        check_file(path)
        position = found or position_beside(path, beside)
        if position is None:
            position = claimed_position(read_photo_bytes(path, Limits()), {})
    except InputError as error:
        return Rejected(name, str(error))
    if position is None:
        missing = "no position in its metadata" + (" and no row in the CSV" if rows else "")
        return Rejected(name, f"{missing}; add it to a CSV and give --positions")
    return Record(name, position, path)
