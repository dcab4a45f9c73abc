"""The note of a removal under way, the step of it that must not be taken twice, and what is gone.

`removing.json` lists what is to go before anything goes. A store written anew without it takes
the old one's place by two renames; the note says whether the new one is whole, so that whoever
opens the gallery next knows which of the two to keep. `removed.txt` keeps the hashes of photos
that were removed, and nothing else of them, so that a build of the same source leaves them out.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from geo.errors import InputError
from index_builder.files import read_regular, write_atomically
from index_builder.manifest import damaged, shown_path

By = Literal["source", "author", "id"]
JOURNAL = "removing.json"
REMOVED = "removed.txt"
NEW, OLD = "points.part-new", "points.part-old"
"""Names of a store being written, and of the one it replaces."""


class Removal(BaseModel):
    """A removal under way, as `removing.json` keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: By
    values: tuple[str, ...]
    ids: tuple[str, ...]
    swapping: bool = False
    """Whether the new store is whole and takes the old one's place."""


def read_removal(folder: Path) -> Removal | None:
    """Return the removal that was stopped in this gallery, if any.

    Raises:
        InputError: the note of it is damaged.
    """
    try:
        return Removal.model_validate_json(read_regular(folder / JOURNAL))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise InputError(
            f"{JOURNAL} of gallery {shown_path(folder)} is damaged; delete that file and run "
            "`graticule gallery remove` again"
        ) from None


def read_removed(folder: Path) -> frozenset[str]:
    """Return the ids of photos that were removed from this gallery, or from those it was merged of.

    Raises:
        InputError: the list cannot be read.
    """
    try:
        return frozenset(read_regular(folder / REMOVED).decode("ascii", "replace").split())
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise InputError(
            f"{REMOVED} of gallery {shown_path(folder)} cannot be read ({error.strerror}); it "
            "keeps removed photos out: restore it, or delete it to let them in"
        ) from None


def remember_removed(folder: Path, ids: Iterable[str]) -> None:
    """Add ids to the list of removed photos.

    Raises:
        InputError: the list cannot be read or written.
    """
    known = read_removed(folder)
    if more := set(ids) - known:
        text = "".join(f"{one}\n" for one in sorted(known | more))
        write_atomically(folder / REMOVED, text.encode())


def finish_swap(folder: Path) -> None:
    """Put a new store into the old one's place, where a removal had come so far; locked.

    Raises:
        InputError: the folder cannot be written to.
    """
    try:
        removal = read_removal(folder)
    except InputError:
        return  # said by what needs the journal
    if removal is None or not removal.swapping:
        return
    new, old, points = folder / NEW, folder / OLD, folder / "points"
    try:
        if new.exists():
            shutil.rmtree(old, ignore_errors=True)
            if points.exists():
                points.rename(old)
            new.rename(points)
        if not points.exists():
            raise damaged(shown_path(folder))
        # From here on a store called new is one half made, which must never be taken.
        done = removal.model_copy(update={"swapping": False})
        write_atomically(folder / JOURNAL, done.model_dump_json().encode())
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"gallery {shown_path(folder)} cannot be rewritten ({error.strerror}); free the disk "
            "or its permissions and run the same command again"
        ) from None
