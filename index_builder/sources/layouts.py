"""How a data set's table is read: its columns, where its photos lie, what its cells mean."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from geo.errors import InputError
from index_builder.positions import Position, position_of, row_name
from index_builder.rows import Cells, Columns
from index_builder.sources.folder import PHOTO_SUFFIXES, is_photo_name
from index_builder.sources.headers import MP16, OSV5M, TABLE

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_FOLDERS = ("", "images/")
_HASHED = re.compile(r"(?:.*/)?([0-9a-f]{2,3})[/_]([0-9a-f]{2,3})[/_](\d+)(\.\w+)?")

# The half width in km of a map tile at the equator, by zoom. Flickr's levels of accuracy are the
# zoom of the map on which a photo was placed: 1 the world, 3 a country, 6 a region, 11 a city,
# 16 a street (flickr.photos.geo.setLocation).
_FLICKR_KM = {level: 40_075.0 / 2**level / 2 for level in range(1, 17)}


@dataclass(frozen=True)
class Layout:
    """The layout of a table of photos; its functions are of modules, so that it pickles.

    Attributes:
        columns: those read.
        name_of: what a row calls its photo; "" where it names none.
        files: paths below the folder of photos where that one may lie, best first; always as
            many for a layout, so that the place of one photo tells that of the next.
        key: what a photo and its row have in common: of the name in the row, or of a file.
        position: of a row; raises InputError.
    """

    columns: Columns
    name_of: Callable[[Cells], str]
    files: Callable[[str, Cells], list[str]]
    key: Callable[[str], str]
    position: Callable[[Cells], Position]


def photo_key(name: str) -> str:
    """Return a photo's name without its folders and its suffix."""
    last = name.rpartition("/")[2]
    stem, suffix = os.path.splitext(last)
    return stem if suffix.lower() in PHOTO_SUFFIXES else last


def _named_files(name: str, cells: Cells) -> list[str]:
    names = [name] if is_photo_name(name) else [name, *(name + suffix for suffix in _SUFFIXES)]
    return [folder + one for folder in _FOLDERS for one in names]


PLAIN = Layout(TABLE, row_name, _named_files, photo_key, position_of)


def _hashed_key(name: str) -> str:
    """Return the Flickr id at the end of `ab/cd/1234.jpg` or `ab_cd_1234.jpg`."""
    match = _HASHED.fullmatch(name)
    return match[3] if match else photo_key(name)


def _hashed_files(name: str, cells: Cells) -> list[str]:
    flat = name.replace("/", "_")
    places = [name, flat, flat, flat, flat]
    if match := _HASHED.fullmatch(name):
        one, two, number, suffix = match.groups(default="")
        places[2:] = [f"{one}/{two}/{flat}", f"{one}/{two}/{number}{suffix}", f"{one}/{flat}"]
    return [folder + place for folder in _FOLDERS for place in places]


MP16_LAYOUT = Layout(MP16, row_name, _hashed_files, _hashed_key, position_of)


def _osv5m_position(cells: Cells) -> Position:
    found = position_of(cells)
    return replace(found, date=_date(cells.get("date", "")), licence="CC-BY-SA 4.0")


def _date(milliseconds: str) -> str:
    """Return the ISO 8601 time of milliseconds since 1970; what is none stays as it is."""
    if not milliseconds.isdecimal():
        return milliseconds
    try:
        return datetime.fromtimestamp(int(milliseconds) // 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


OSV5M_LAYOUT = Layout(OSV5M, row_name, _named_files, photo_key, _osv5m_position)


def _yfcc_name(cells: Cells) -> str:
    return f"{cells['id']}.{cells['extension'] or 'jpg'}" if cells["id"] else ""


def _yfcc_files(name: str, cells: Cells) -> list[str]:
    """Return where copies of the data set hold a photo: by its id, or by the media hash."""
    digest = cells.get("hash", "") or photo_key(name)
    # The copies of the photos are JPEG whatever the extension of the original was.
    by_hash = f"{digest[:3]}/{digest[3:6]}/{digest}.jpg"
    places = [name, f"{cells['id']}.jpg", by_hash, f"{digest}.jpg", f"data/images/{by_hash}"]
    return [folder + place for folder in _FOLDERS for place in places]


def _yfcc_position(cells: Cells) -> Position:
    if cells["video"] == "1":
        raise InputError("a video; galleries hold photos")
    if not cells["latitude"] and not cells["longitude"]:
        raise InputError("no position in its row")
    texts = {name: unquote_plus(cells[name]) for name in ("author", "date")}
    texts["licence"] = _yfcc_licence(cells)
    found = position_of({**texts, **{k: cells[k] for k in ("latitude", "longitude")}})
    level = cells.get("level", "")
    return replace(found, accuracy_km=_FLICKR_KM.get(int(level)) if level.isdecimal() else None)


def _yfcc_licence(cells: Cells) -> str:
    name, url = unquote_plus(cells["licence"]), unquote_plus(cells["licence_url"])
    return f"{name} ({url})" if name and url else name or url


def yfcc_layout(columns: Columns) -> Layout:
    """Return the layout of rows of YFCC100M with these columns."""
    return Layout(columns, _yfcc_name, _yfcc_files, photo_key, _yfcc_position)
