"""Training photos: a table or a folder of geotagged photos into examples, each complete.

Knows tables and what a family needs of a row, not pixels. A row becomes an example or a
rejection with its reason; nothing is guessed.
"""

import csv
import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from encoders.base import MAX_TEXT_LENGTH
from encoders.photo_file import printable
from geo.errors import InputError
from geo.geocoders import Geocoder
from index_builder.captions import PlaceNames, caption, name_places
from index_builder.positions import check_position
from index_builder.records import Rejected
from index_builder.sources.folder import FolderSource

if TYPE_CHECKING:
    from encoders.heads import Need

COLUMNS: dict[str, tuple[str, ...]] = {
    "image": ("image", "file", "filename", "path", "photo"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng"),
    "caption": ("caption", "text"),
    "city": ("city",),
    "state": ("state", "region"),
    "country": ("country",),
    "segmentation": ("segmentation", "segments"),
    "aerial": ("aerial",),
}
"""Columns of a training table, and other names that are understood."""
_FILES: "dict[Need, str]" = {"segments": "segmentation", "aerial": "aerial"}
_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Example:
    """A photo, where it was taken, and what else a family needs of it."""

    name: str
    """As the table calls it, printable."""
    photo: Path
    latitude: float
    longitude: float
    caption: str = ""
    segmentation: Path | None = None
    aerial: Path | None = None


Found = Example | Rejected


def read_examples(
    source: Path,
    needs: "frozenset[Need]",
    *,
    geocoder: Callable[[], Geocoder] | None = None,
    positions: Path | None = None,
) -> tuple[list[Example], list[Rejected]]:
    """Read a CSV of photos, or a folder of geotagged ones.

    Args:
        source: a CSV with the columns image, latitude, longitude; optional caption, or city,
            state and country; segmentation (path of a PNG of class numbers) and aerial (path of
            a tile). Paths are relative to it. Or a folder, see `index_builder.sources`.
        needs: of the family; a row that lacks one is rejected.
        geocoder: gives what names places whose caption the table lacks; asked when needed.
        positions: CSV of positions for a folder.

    Returns:
        Examples in the table's order, and what was rejected.

    Raises:
        InputError: `source` cannot be read, lacks a column, or no example is left.
    """
    if source.is_dir():
        found = _from_folder(source, needs, positions)
    else:
        found = _from_table(source, needs)
    examples: list[Example] = []
    rejected: list[Rejected] = []
    seen: set[Path] = set()
    for one in _captioned(found, geocoder) if "captions" in needs else found:
        if isinstance(one, Rejected):
            rejected.append(one)
        elif one.photo in seen:
            rejected.append(Rejected(one.name, "listed before; the first row is used"))
        else:
            seen.add(one.photo)
            examples.append(one)
    if not examples:
        raise nothing_left(source, rejected)
    return examples, rejected


def nothing_left(source: Path, rejected: Sequence[Rejected]) -> InputError:
    """Return the error of data in which nothing can be used."""
    shown = repr(printable(str(source)))
    if not rejected:
        return InputError(f"no photos in {shown}, at least 2 are needed; give rows or photos")
    first = rejected[0]
    return InputError(
        f"none of {len(rejected)} photos in {shown} can be used, for example {first.name!r}: "
        f"{first.reason}"
    )


def file_key(path: Path) -> int:
    """Return the identity of a file's content as a 64-bit number, from path, size and time.

    A file that was written anew has another one. Four million files share one with a
    probability below one in a million.

    Raises:
        InputError: there is no such file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise InputError(
            f"file {printable(os.fsencode(path))!r} cannot be read ({reason}); check the path"
        ) from None
    place = os.fsencode(os.path.abspath(path))
    return text_key(f"{status.st_size} {status.st_mtime_ns} ".encode() + place)


def text_key(data: bytes) -> int:
    """Return the identity of a text as a 64-bit number."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little")


def _from_folder(folder: Path, needs: "frozenset[Need]", positions: Path | None) -> Iterator[Found]:
    if missing := sorted(column for need, column in _FILES.items() if need in needs):
        raise InputError(
            f"a folder of photos has no {' and no '.join(missing)} of each; give a CSV with the "
            f"columns image, latitude, longitude, {', '.join(missing)}"
        )
    for record in FolderSource(folder, positions):
        if isinstance(record, Rejected):
            yield record
        elif isinstance(record.content, Path):
            at = record.position
            yield Example(record.name, record.content, at.latitude, at.longitude)


def _from_table(path: Path, needs: "frozenset[Need]") -> Iterator[Found]:
    shown = repr(printable(os.fsencode(path)))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            separator = max(",;\t", key=header.count)
            rows = csv.DictReader(file, delimiter=separator)
            columns = _columns(rows.fieldnames or (), needs, shown)
            for row in rows:
                cells = {name: (row.get(given) or "").strip() for name, given in columns.items()}
                if any(cells.values()):
                    yield _example(cells, path.parent, needs, separator)
    except FileNotFoundError:
        raise InputError(f"no training data at {shown}; give a CSV or a folder") from None
    except UnicodeDecodeError:
        raise InputError(f"training table {shown} is not UTF-8; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise InputError(f"training table {shown} is not CSV ({error}); save it as CSV") from None
    except OSError as error:
        raise InputError(f"cannot read {shown} ({error.strerror}); give a CSV file") from None


def _columns(header: Sequence[str], needs: "frozenset[Need]", shown: str) -> dict[str, str]:
    """Return the header's own name of each column we know."""
    given = {name.strip().lower(): name for name in reversed(header) if name}
    known = {
        column: next((given[alias] for alias in aliases if alias in given), "")
        for column, aliases in COLUMNS.items()
    }
    wanted = ["image", "latitude", "longitude"]
    wanted += [column for need, column in _FILES.items() if need in needs]
    if missing := [column for column in wanted if not known[column]]:
        raise InputError(
            f"training table {shown} lacks the column {', '.join(missing)}; it has: "
            f"{printable(', '.join(given)) or 'none'}"
        )
    return {column: name for column, name in known.items() if name}


def _example(
    cells: Mapping[str, str], folder: Path, needs: "frozenset[Need]", separator: str
) -> Found:
    name = printable(cells["image"] or "row without an image")
    try:
        if not cells["image"]:
            raise InputError("the image column is empty; name a file")
        latitude = _degrees("latitude", cells["latitude"], separator)
        longitude = _degrees("longitude", cells["longitude"], separator)
        check_position(latitude, longitude)
        for need, column in _FILES.items():
            if need in needs and not cells[column]:
                raise InputError(f"the {column} column is empty, which this family needs")
        text = cells.get("caption", "") or caption(
            PlaceNames(*(cells.get(part, "") for part in PlaceNames._fields))
        )
        if len(text) > MAX_TEXT_LENGTH:
            raise InputError(f"caption of {len(text):,} characters, limit {MAX_TEXT_LENGTH:,}")
    except InputError as error:
        return Rejected(name, str(error))
    return Example(
        name,
        folder / cells["image"],
        latitude,
        longitude,
        text,
        folder / cells["segmentation"] if "segments" in needs else None,
        folder / cells["aerial"] if "aerial" in needs else None,
    )


def _degrees(column: str, text: str, separator: str) -> float:
    try:
        value = float(text.replace(",", ".") if separator == ";" else text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{column} {printable(text)!r} is not a number; write decimal degrees")
    return value


def _captioned(found: Iterator[Found], geocoder: Callable[[], Geocoder] | None) -> Iterator[Found]:
    """Give examples without a caption the sentence of their place's names, some at a time."""
    waiting: list[Found] = []
    for one in found:
        waiting.append(one)
        if len(waiting) == _AT_ONCE:
            yield from _name(waiting, geocoder)
            waiting = []
    yield from _name(waiting, geocoder)


def _name(found: Sequence[Found], geocoder: Callable[[], Geocoder] | None) -> Iterator[Found]:
    bare = [one for one in found if isinstance(one, Example) and not one.caption]
    texts: dict[Path, str] = {}
    if bare:
        if geocoder is None:
            raise InputError(
                f"photo {bare[0].name!r} has no caption and no country; add the column caption, "
                "or city, state and country, or let a gazetteer name places"
            )
        names = name_places([(one.latitude, one.longitude) for one in bare], geocoder())
        texts = {one.photo: caption(name) for one, name in zip(bare, names, strict=True)}
    for one in found:
        if isinstance(one, Rejected) or one.caption:
            yield one
        elif text := texts[one.photo]:
            yield replace(one, caption=text)
        else:
            yield Rejected(one.name, "at sea, in no country, which a caption needs")
