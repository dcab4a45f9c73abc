"""From an untrusted file to upright RGB pixels, and from pixels to a file that says nothing else.

Knows colour: modes, bit depths, transparency, colour profiles, orientation. What may be
opened at all is decided in `encoders.photo_file`.
"""

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import ExifTags, Image, ImageCms, ImageFile, PngImagePlugin

from encoders.photo_file import (
    MIME,
    SUPPORTED,
    Limits,
    describe,
    file_name,
    open_header,
    printable,
    read_photo_bytes,
)
from geo.errors import InputError

JPEG_QUALITY = 95
MAX_PROFILE_BYTES = 4_000_000
_WHITE = (255, 255, 255)
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

BROKEN_FILE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    ImageCms.PyCMSError,
)
"""What image libraries are known to raise on hostile bytes."""

_PNG_BOMBS = ("Decompressed data too large", "Too much memory used in text chunks")
"""What Pillow says of PNG chunks that inflate beyond its limits."""

_warnings_lock = threading.Lock()
_inside = 0
"""Threads inside `quiet`."""
_switch = warnings.catch_warnings()
"""Turns warnings back for the last of them."""


@dataclass(frozen=True)
class MetadataBlocks:
    """What a file says besides its pixels, as found, unchecked."""

    exif: Image.Exif = field(default_factory=Image.Exif)
    xmp: bytes = b""


@dataclass(frozen=True)
class OpenedPhoto:
    """A photo safely decoded."""

    image: Image.Image
    """RGB, 8 bits, upright, sRGB, complete; carries no metadata."""
    mime: str
    """What the content is, whatever the file is called."""
    data: bytes
    """The bytes of the file."""
    name: str
    """File name without folders, printable; empty for bytes."""
    blocks: MetadataBlocks


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the libraries' warnings: a damaged tag is the file's business, not the user's.

    Warnings are switched for the whole process. Threads that are inside together share one
    switch, which the last of them turns back; photos are decoded at the same time.
    """
    global _inside, _switch
    with _warnings_lock:
        if not _inside:
            _switch = warnings.catch_warnings()
            _switch.__enter__()
            warnings.simplefilter("ignore")
        _inside += 1
    try:
        yield
    finally:
        with _warnings_lock:
            _inside -= 1
            if not _inside:
                _switch.__exit__(None, None, None)


def open_photo(source: Path | bytes, limits: Limits | None = None) -> OpenedPhoto:
    """Decode a photo within limits: JPEG, PNG, WebP, HEIC, TIFF or GIF, the first frame.

    Sizes are checked from the header before anything is decoded. Transparency is laid on
    white, 16 bits are scaled to 8, colour profiles are converted to sRGB and the EXIF
    orientation is applied.

    Args:
        source: path of a file, or the bytes of one.
        limits: what it may cost; the defaults of `Limits` otherwise.

    Raises:
        InputError: the photo cannot be used; the message names value, limit and remedy.
    """
    limits = limits or Limits()
    data = read_photo_bytes(source, limits)
    name = "" if isinstance(source, bytes) else file_name(source)
    with decoding(describe(source)):
        picture, kind = open_header(data, describe(source), limits)
        with picture:
            picture.load()
            blocks = metadata_blocks(picture)
            image = _upright(_to_srgb(picture), blocks.exif)
    return OpenedPhoto(image=image, mime=MIME[kind], data=data, name=name, blocks=blocks)


@contextmanager
def decoding(label: str) -> Iterator[None]:
    """Turn whatever the image libraries raise about `label` into one InputError."""
    try:
        with quiet():
            yield
    except InputError:
        raise
    except BROKEN_FILE as error:
        reason = printable(str(error) or type(error).__name__, limit=120)
        if any(sign in reason for sign in _PNG_BOMBS):
            raise InputError(
                f"{label} holds more text or profile than the limit, "
                f"{PngImagePlugin.MAX_TEXT_CHUNK:,} bytes a chunk and "
                f"{PngImagePlugin.MAX_TEXT_MEMORY:,} in all, when inflated; save it again as "
                "JPEG, or without its text chunks"
            ) from None
        raise InputError(
            f"{label} is damaged or cut short ({reason}); give a complete {SUPPORTED}"
        ) from None


def read_blocks(source: Path | bytes, limits: Limits | None = None) -> MetadataBlocks:
    """Return the metadata of a photo from its header, without decoding its pixels.

    Raises:
        InputError: as `open_photo`.
    """
    limits = limits or Limits()
    data = read_photo_bytes(source, limits)
    with decoding(describe(source)):
        picture, kind = open_header(data, describe(source), limits)
        with picture:
            if kind == "PNG":  # its text may follow the pixels
                picture.load()
            return metadata_blocks(picture)


def metadata_blocks(picture: ImageFile.ImageFile) -> MetadataBlocks:
    """Return the EXIF and XMP blocks of an opened picture; damaged blocks come out empty."""
    found = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
    xmp = found if isinstance(found, bytes) else str(found).encode("utf-8", "replace")
    try:
        exif = picture.getexif()
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            exif.get_ifd(directory)  # kept by `exif`; TIFF reads it from the file, still open now
    except BROKEN_FILE:
        return MetadataBlocks(xmp=xmp)
    return MetadataBlocks(exif=exif, xmp=xmp)


def _upright(image: Image.Image, exif: Image.Exif) -> Image.Image:
    """Apply the EXIF orientation (CIPA DC-008, tag 0x0112) and drop all that hangs on it."""
    try:
        orientation = int(exif.get(_ORIENTATION_TAG, 1))
    except BROKEN_FILE:
        orientation = 1
    turn = _UPRIGHT.get(orientation)
    upright = image.transpose(turn) if turn is not None else image
    upright.info = {}
    return upright


def _to_srgb(picture: Image.Image) -> Image.Image:
    """Return new RGB pixels of a decoded picture of any mode."""
    profile = picture.info.get("icc_profile")
    opaque = _opaque(picture)
    if isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE_BYTES:
        converted = _apply_profile(opaque, profile)
        if converted is not None:
            return converted
    if opaque.mode == "LAB":
        return _convert_profile(opaque, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return opaque.convert("RGB") if opaque is picture or opaque.mode != "RGB" else opaque


def _opaque(picture: Image.Image) -> Image.Image:
    """Return L, RGB, CMYK or LAB pixels of 8 bits without transparency."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return _eight_bits(picture)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        ground = Image.new("RGB", rgba.size, _WHITE)
        ground.paste(rgba, mask=rgba.getchannel("A"))
        return ground
    if picture.mode in ("L", "RGB", "CMYK", "LAB"):
        return picture
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scale grey pixels of 16 bits by 1/257; of 32 bits or floats from their own range."""
    import numpy as np

    values = np.nan_to_num(np.asarray(picture, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = 0.0, 65_535.0
    if not picture.mode.startswith("I;16"):
        low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / (high - low) if high > low else 0.0)
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8))


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert to sRGB by an embedded ICC profile; None where it is sRGB already or unusable."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode == "RGB" and "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return _convert_profile(image, source)
    except BROKEN_FILE:
        return None


def _convert_profile(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.buildTransform(source, target, image.mode, "RGB").apply(image)


def encode_pixels(image: Image.Image) -> bytes:
    """Return `image` as a JPEG file (quality 95, no chroma subsampling) of pixels alone.

    The file holds no EXIF, XMP, IPTC, comment, profile or thumbnail. The same pixels give
    the same bytes. JPEG, also for drawings: everything downstream reads one format, and at
    this quality the error stays near one grey level.

    Raises:
        InputError: a side is longer than a JPEG file can hold.
    """
    if max(image.size) > Limits.max_side_px:
        raise InputError(
            f"picture of {image.width:,} x {image.height:,} px, limit {Limits.max_side_px:,} px "
            "a side; crop it"
        )
    bare = image.convert("RGB") if image.mode != "RGB" else image.copy()
    bare.info = {}  # the JPEG writer copies a comment found here
    buffer = io.BytesIO()
    bare.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4")
    return buffer.getvalue()
