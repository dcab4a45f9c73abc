"""Photos as clients of the Model Context Protocol hand them in and read them back."""

import base64
import binascii
import re
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError
from server.mcp_tools import PHOTO_URI
from tools.photos import Photo, PhotoStore

_DATA_URI = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


def decoded(text: str, most_bytes: int) -> bytes:
    """Return the bytes of an image given as base64, or as a `data:` URI of it.

    Args:
        text: padded or not, with line breaks or without.
        most_bytes: what a photo may hold.

    Raises:
        InputError: it is no base64, empty, or holds more.
    """
    body = text[match.end() :] if (match := _DATA_URI.match(text)) else text
    if len(body) > most_bytes * 4 // 3 + most_bytes // 16 + 4:
        raise InputError(
            f"an image of {len(body):,} base64 letters is larger than {most_bytes:,} bytes; send a "
            "smaller copy"
        )
    body = _SPACES.sub("", body).rstrip("=")
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InputError(
            f"the image beginning {printable(body, 24)!r} is no base64; send the file's bytes in "
            "base64 (A-Z a-z 0-9 + /), or a data:image/...;base64, URI of them"
        ) from None
    if not data:
        raise InputError("the image is empty; send the file's bytes in base64")
    return data


def photo_id_of(given: str) -> str:
    """Return the id in a photo id or a `photo://ID` address."""
    return given.strip().removeprefix(PHOTO_URI).strip("/")


def held_photo(photos: PhotoStore, photo: str, image_base64: str, name: str = "") -> Photo:
    """Return the photo that a client means, stored now where it was sent along.

    Args:
        photos: the store.
        photo: id, beginning of an id, or `photo://ID`; empty where the image is sent.
        image_base64: the image itself; empty where it is named.
        name: of the file that is sent, for people.

    Raises:
        InputError: both or none are given, or the image cannot be used.
        ToolError: there is no such photo.
    """
    if bool(photo.strip()) == bool(image_base64.strip()):
        raise InputError(
            "give either `photo` (an id or photo://ID that add_photo returned) or `image_base64`"
        )
    if photo.strip():
        return photos.get(photo_id_of(photo))
    return photos.add(decoded(image_base64, photos.limits.max_bytes), name or None)


def local_photo(photos: PhotoStore, path: str, name: str = "") -> Photo:
    """Return the photo of a file on this machine, stored now; see `graticule mcp --allow-paths`.

    Raises:
        InputError: there is no such file, or it is no photo.
    """
    if "\0" in path:
        raise InputError(f"path {printable(path, 80)!r} holds a zero character; correct it")
    return photos.add(Path(path).expanduser(), name or None)
