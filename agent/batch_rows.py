"""What a batch says of each photo: one row, failures included, and nothing but plain values."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from encoders.photo_file import printable
from geo.errors import InputError
from tools.evidence import Latitude, Longitude, Record

if TYPE_CHECKING:
    from agent.answer import Answer

MAX_PATH_LENGTH = 4096
MAX_REASON_LENGTH = 1000
LISTS = (".csv", ".tsv", ".txt")
"""Endings of files that list photos."""
COLUMN = {"path": ("path", "photo", "image", "file", "filename", "name")}


class BatchPhoto(NamedTuple):
    """A photo of a batch."""

    name: str
    """What its row is called: its path in the folder, or as the list has it; printable."""
    path: Path


class BatchRow(Record):
    """One photo of a batch.

    Attributes:
        path: in the folder, or as the list has it; unique in a batch.
        photo_id: SHA-256 of its bytes; empty where they could not be read.
        status: `failed` where there is no answer, and `reason` says why.
        km_50: radius that holds half of belief, in km; `km_80` and `km_95` likewise.
        claimed_latitude: of a position in the file's metadata, never mixed with the answer unless
            metadata was trusted.
        seconds: inside the state machine's nodes.
        evidence: how many pieces of evidence there are.
    """

    path: str
    photo_id: str = ""
    status: Literal["located", "region", "undetermined", "failed"]
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    km_50: float | None = None
    km_80: float | None = None
    km_95: float | None = None
    country: str = ""
    country_name: str = ""
    admin1: str = ""
    place: str = ""
    explanation: str = ""
    stopped_because: str = ""
    seconds: float = 0.0
    tokens: int = 0
    steps: int = 0
    tool_calls: int = 0
    evidence: int = 0
    recipe: str = ""
    driver: str = ""
    claimed_latitude: Latitude | None = None
    claimed_longitude: Longitude | None = None
    trusted_metadata: bool = False
    trace_path: str = ""
    reason: str = ""


SHARED = {
    "status", "latitude", "longitude", "country", "country_name", "admin1", "place", "explanation",
    "stopped_because", "seconds", "recipe", "driver", "claimed_latitude", "claimed_longitude",
    "trusted_metadata", "trace_path", "photo_id",
}  # fmt: skip
"""Fields that a row takes from an answer as they are."""
SPENT = ("tokens", "steps", "tool_calls")


def row_of(photo: BatchPhoto, answer: "Answer") -> BatchRow:
    """Return the row of an answer."""
    said: dict[str, Any] = answer.model_dump(include=SHARED)
    said |= {key: int(answer.budget_spent.get(key, 0)) for key in SPENT}
    if answer.radii:
        said |= answer.radii.model_dump()
    return BatchRow(path=photo.name, evidence=len(answer.evidence), **said)


def failed_row(photo: BatchPhoto, photo_id: str, error: Exception, trace: Path) -> BatchRow:
    """Return the row of a photo without an answer."""
    text = printable(str(error), MAX_REASON_LENGTH)
    trace_path = printable(os.fsencode(trace), MAX_PATH_LENGTH) if trace.is_file() else ""
    reason = f"{type(error).__name__}: {text}"
    return BatchRow(
        path=photo.name, photo_id=photo_id, status="failed", trace_path=trace_path, reason=reason
    )


def as_photo(given: "Path | str | BatchPhoto") -> BatchPhoto:
    """Return a photo that was given by its path alone under this path's name."""
    if isinstance(given, BatchPhoto):
        return given
    return BatchPhoto(printable(os.fsencode(given), MAX_PATH_LENGTH), Path(given))


def find_photos(source: Path) -> tuple[list[BatchPhoto], list[str]]:
    """Return the photos of a folder or a list, in the order of their names, each once.

    Args:
        source: a folder, searched through (hidden folders left out), or a `.csv`, `.tsv` or
            `.txt` file of paths, relative to the folder it lies in.

    Returns:
        The photos; and the folders that could not be read, with the reason.

    Raises:
        InputError: neither, or without a single photo.
    """
    unread: list[OSError] = []
    shown = repr(printable(os.fsencode(source)))
    if source.is_dir():
        found = _in_folder(source, unread)
    elif source.suffix.lower() in LISTS and source.is_file():
        found = _in_list(source)
    else:
        raise InputError(
            f"{shown} is no folder, and no list of photos by its ending; give a folder, or a "
            f"{', '.join(LISTS)} file of paths"
        )
    if not found:
        why = f" ({_unread(unread[0])})" if unread else ""
        raise InputError(
            f"no photos in {shown}{why}; give JPEG, PNG, WebP, HEIC, TIFF or GIF files"
        )
    by_name = {photo.name: photo for photo in found}
    return [by_name[name] for name in sorted(by_name)], [_unread(error) for error in unread]


def _in_folder(folder: Path, unread: list[OSError]) -> list[BatchPhoto]:
    from index_builder.sources.folder import photo_files

    paths = [path for path, _ in photo_files(folder, on_error=unread.append)]
    return [BatchPhoto(_name(path.relative_to(folder)), path) for path in paths]


def _in_list(source: Path) -> list[BatchPhoto]:
    return [as_photo(name)._replace(path=source.parent / name) for name in _listed(source)]


def _listed(source: Path) -> Sequence[str]:
    from index_builder.rows import Columns, Table

    if source.suffix.lower() != ".txt":
        rows = Table(source, Columns(COLUMN, required=("path",)), "list of photos")
        return [row["path"] for _, row in rows if row["path"]]
    try:
        return [line for line in source.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(
            f"list of photos {printable(os.fsencode(source))!r} cannot be read ({reason}); give a "
            "text file of one path a line"
        ) from None


def _name(path: Path) -> str:
    return printable(os.fsencode(path.as_posix()), MAX_PATH_LENGTH)


def _unread(error: OSError) -> str:
    name = printable(os.fsencode(error.filename or "a folder"))
    return f"folder {name!r} cannot be read ({error.strerror}); its photos are left out"
