"""The JSON file beside a photo: Google Takeout's, or a plain one with latitude and longitude.

Takeout calls the file after the photo, with an addition that it cuts so that the whole name has
at most 51 characters, and moves the number of a repeated name behind it:
`a(1).jpg` goes with `a.jpg.supplemental-metadata(1).json`, formerly `a.jpg(1).json`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.positions import Position
from index_builder.sources.stated import stated_position

MAX_SIDECAR_BYTES = 1_000_000
_TAKEOUT = ".supplemental-metadata"
_TAKEOUT_NAME_LENGTH = 46
_NUMBERED = re.compile(r"(.*)(\(\d+\))(\.[^.]*)")
_EDITED = re.compile(r"(.*)-edited(\(\d+\))?(\.[^.]*)")


def position_beside(photo: Path, beside: Set[str]) -> Position | None:
    """Return the position that the JSON file beside a photo states, or None.

    A file that states none, or Takeout's 0, 0 for none, does not speak of the position.

    Args:
        photo: its path; it is not read.
        beside: names of the JSON files in its folder.

    Raises:
        InputError: the file is no JSON, or states a position that cannot be.
    """
    for name in _names(photo.name):
        if name in beside:
            return _stated(_read(photo.parent / name), printable(name))
    return None


def _names(photo: str) -> Iterator[str]:
    """Yield what the JSON file of a photo may be called, best first."""
    yield f"{photo}.json"
    yield from _takeout_names(photo, "")
    if numbered := _NUMBERED.fullmatch(photo):
        stem, number, suffix = numbered.groups()
        yield f"{stem}{suffix}{number}.json"
        yield from _takeout_names(stem + suffix, number)
    if edited := _EDITED.fullmatch(photo):
        yield from _names(edited[1] + (edited[2] or "") + edited[3])
    yield f"{photo.rpartition('.')[0]}.json"


def _takeout_names(photo: str, number: str) -> Iterator[str]:
    yield f"{(photo + _TAKEOUT)[:_TAKEOUT_NAME_LENGTH]}{number}.json"


def _read(path: Path) -> Mapping[str, object]:
    shown = printable(path.name)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIDECAR_BYTES + 1)
        if len(data) > MAX_SIDECAR_BYTES:
            raise InputError(f"{shown!r} beside it is over {MAX_SIDECAR_BYTES:,} bytes; shorten it")
        content = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{shown!r} beside it cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise InputError(f"{shown!r} beside it is not JSON; correct or remove it") from None
    return content if isinstance(content, dict) else {}


def _stated(content: Mapping[str, object], shown: str) -> Position | None:
    try:
        if "geoData" in content or "geoDataExif" in content:
            return _takeout(content)
        return stated_position(content)
    except InputError as error:
        raise InputError(f"{shown!r} beside it: {error}") from None


def _takeout(content: Mapping[str, object]) -> Position | None:
    """Return the place the user gave (`geoData`), else the camera's (`geoDataExif`)."""
    for key in ("geoData", "geoDataExif"):
        place = content.get(key)
        if not isinstance(place, dict):
            continue
        if not place.get("latitude") and not place.get("longitude"):
            continue
        if position := stated_position(place):
            return replace(position, date=_taken(content.get("photoTakenTime")))
    return None


def _taken(time: object) -> str:
    """Return the time of exposure, ISO 8601 in UTC, from Takeout's seconds since 1970."""
    if not isinstance(time, dict):
        return ""
    try:
        return datetime.fromtimestamp(int(time["timestamp"]), UTC).isoformat()
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return ""
