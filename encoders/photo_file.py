"""Reading a photo's bytes without trusting them: the path, the size, the kind, the header.

Knows what may go wrong before a single pixel is decoded. The kind of a file is what its
first bytes say, never what its name says.
"""

import errno
import io
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFile

from geo.errors import InputError

SUPPORTED = "JPEG, PNG, WebP, HEIC, TIFF or GIF"
MIME = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WebP": "image/webp",
    "HEIC": "image/heic",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
}
MAX_NAME_LENGTH = 200

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_OTHER_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BM", "a BMP picture"),
    (b"8BPS", "a Photoshop document"),
    (b"FUJIFILMCCD-RAW", "a camera raw file"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)


@dataclass(frozen=True)
class Limits:
    """What a photo may cost before it is decoded; every refusal names the limit it broke."""

    max_bytes: int = 50_000_000
    """Size of the file, in bytes."""
    max_pixels: int = 100_000_000
    """Declared width times height."""
    max_side_px: int = 65_500
    """Longest side: what a JPEG file can hold, and photos are stored as JPEG."""
    max_scans: int = 64
    """Passes of a progressive JPEG; cameras write about ten, an attack thousands."""


def printable(text: str | bytes, limit: int = MAX_NAME_LENGTH) -> str:
    """Return `text` on one line, printable anywhere, at most `limit` characters.

    Bytes that are not UTF-8 (also as surrogate escapes) and control characters, the
    direction-changing ones included, come out as backslash escapes.
    """
    if isinstance(text, bytes):
        text = text[: 4 * limit + 4].decode("utf-8", "backslashreplace")
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def file_name(path: Path) -> str:
    """Return the last part of `path`, printable; a name may be any bytes on POSIX."""
    return printable(os.fsencode(path.name))


def read_photo_bytes(source: Path | bytes, limits: Limits) -> bytes:
    """Return the bytes of a photo, at most `limits.max_bytes` of them.

    Raises:
        InputError: nothing there, not a regular file, unreadable, empty or too large.
    """
    data = source if isinstance(source, bytes) else _read_file(source, limits.max_bytes)
    label = describe(source)
    if not data:
        raise InputError(f"{label} is empty (0 bytes); give {SUPPORTED}")
    if len(data) > limits.max_bytes:
        raise _too_large(label, len(data), limits.max_bytes)
    return data


def describe(source: Path | bytes) -> str:
    """Return how messages call a photo: `photo 'name.jpg'`, or its size where it has no name."""
    if isinstance(source, bytes):
        return f"photo of {len(source):,} bytes"
    return f"photo '{printable(os.fsencode(source))}'"


def _read_file(path: Path, max_bytes: int) -> bytes:
    label = describe(path)
    # A named pipe would block for ever on open, and again between a check and the open.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{label} is {_kind(status.st_mode)}; give the path of one photo")
            if status.st_size > max_bytes:
                raise _too_large(label, status.st_size, max_bytes)
            return file.read(max_bytes + 1)
    except InputError:
        raise
    except IsADirectoryError:
        raise InputError(f"{label} is a folder; give the path of one photo") from None
    except FileNotFoundError:
        raise InputError(f"{label} does not exist; check the path") from None
    except PermissionError:
        raise InputError(f"{label} may not be read by this user; check its permissions") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{label} cannot be read: {_reason(error)}; check the path") from None


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENXIO:
        return "it is a socket or a device, not a file"
    return error.strerror or "unknown" if isinstance(error, OSError) else printable(str(error))


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for test, name in kinds if test(mode)), "a device")


def _too_large(label: str, size: int, limit: int) -> InputError:
    return InputError(f"{label} has {size:,} bytes, limit {limit:,}; save a smaller copy")


def sniff(data: bytes) -> str:
    """Return the format that the first bytes declare, a key of `MIME`, or what else it is.

    Args:
        data: the whole file.

    Returns:
        One of `MIME`'s keys; otherwise a phrase such as `a PDF document`.
    """
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "a camera raw file (CR2)" if data[8:10] == b"CR" else "TIFF"
    if data[:4] == b"RIFF":
        return "WebP" if data[8:12] == b"WEBP" else "a RIFF file (WAV or AVI)"
    if data[4:8] == b"ftyp":
        return _iso_kind(data)
    return next((kind for magic, kind in _OTHER_KINDS if data.startswith(magic)), _textual(data))


def _iso_kind(data: bytes) -> str:
    """Tell HEIC from its siblings in the ISO base media format (ISO/IEC 23008-12)."""
    length = min(max(int.from_bytes(data[:4], "big"), 16), 256)
    brands = {data[8:12], *(data[i : i + 4] for i in range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return "an AVIF picture"
    return "HEIC" if brands & _HEIF_BRANDS else "a video (MP4 or QuickTime)"


def _textual(data: bytes) -> str:
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if head.startswith((b"<?xml", b"<svg")):
        return "an SVG or XML document"
    if not any(byte < 9 or 13 < byte < 32 for byte in head):
        return "text"
    return f"unknown content starting with {data[:8].hex(' ')}"


def open_header(data: bytes, label: str, limits: Limits) -> tuple[ImageFile.ImageFile, str]:
    """Return the lazily opened picture and its format; nothing is decoded yet.

    The plug-in is chosen from the content and called directly: Pillow's own `open` would
    warn above its global pixel limit, which is not ours to change.

    Raises:
        InputError: unsupported content, or declared sizes beyond `limits`.
    """
    kind = sniff(data)
    if kind not in MIME:
        raise InputError(f"{label} is {kind}; give {SUPPORTED}")
    if kind == "WebP":  # its decoder allocates the canvas on opening
        check_size(_webp_size(data), label, limits)
    if kind == "JPEG":
        check_scans(data, label, limits)
    if kind == "PNG" and b"IEND" not in data:  # its decoder is content without the end
        raise InputError(f"{label} is cut short (no IEND chunk); give the complete PNG")
    picture = _plugin(kind)(io.BytesIO(data))
    check_size(picture.size, label, limits)
    if kind == "TIFF":
        _check_tiff(picture, label, limits)
    return picture, kind


def _plugin(kind: str) -> type[ImageFile.ImageFile]:
    if kind == "HEIC":
        from pillow_heif import HeifImageFile

        plugin: type[ImageFile.ImageFile] = HeifImageFile
        return plugin
    from PIL import (
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    return {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "WebP": WebPImagePlugin.WebPImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "GIF": GifImagePlugin.GifImageFile,
    }[kind]


def check_size(size: tuple[int, int], label: str, limits: Limits) -> None:
    """Raise InputError where a declared size in pixels (width, height) breaks a limit."""
    width, height = size
    shown = f"{label} declares {width:,} x {height:,} px"
    if width < 1 or height < 1:
        raise InputError(f"{shown}, at least 1 x 1 is needed; the file is damaged")
    if width * height > limits.max_pixels:
        raise InputError(
            f"{shown} = {width * height:,} pixels, limit {limits.max_pixels:,}; scale it down"
        )
    if max(width, height) > limits.max_side_px:
        raise InputError(f"{shown}, limit {limits.max_side_px:,} px a side; crop or scale it down")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return the canvas size that a WebP header declares (RFC 9649, section 2.5 to 2.7)."""
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30:
        return (
            int.from_bytes(data[24:27], "little") + 1,
            int.from_bytes(data[27:30], "little") + 1,
        )
    if chunk == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 " and len(data) >= 30:
        return (
            int.from_bytes(data[26:28], "little") & 0x3FFF,
            int.from_bytes(data[28:30], "little") & 0x3FFF,
        )
    return 0, 0


_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def check_scans(data: bytes, label: str, limits: Limits) -> None:
    """Raise InputError where a JPEG has more scans than `limits` (each costs a full pass)."""
    position, scans = 2, 0
    while found := _SCAN_END.search(data, position):
        marker, position = data[found.start() + 1], found.end()
        if marker == 0xD9:
            return
        scans += marker == 0xDA
        if scans > limits.max_scans:
            raise InputError(
                f"{label} has over {limits.max_scans} progressive scans, limit {limits.max_scans}; "
                "save it again as a plain JPEG"
            )
        position += int.from_bytes(data[position : position + 2], "big")


def _check_tiff(picture: Image.Image, label: str, limits: Limits) -> None:
    """Refuse raw files posing as TIFF, and tiles larger than any photo (TIFF 6.0, DNG 1.7)."""
    tags = getattr(picture, "tag_v2", {})
    subfile = tags.get(254, 0)
    if 50706 in tags or (isinstance(subfile, int) and subfile & 1):
        raise InputError(f"{label} is a camera raw file; export it as JPEG or TIFF")
    tile = (tags.get(322, 1), tags.get(323, 1))
    if all(isinstance(side, int) for side in tile) and tile[0] * tile[1] > limits.max_pixels:
        raise InputError(
            f"{label} has tiles of {tile[0]:,} x {tile[1]:,} px, limit {limits.max_pixels:,} "
            "pixels; save it again"
        )
