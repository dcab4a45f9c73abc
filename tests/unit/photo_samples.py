"""Small photos for tests: every format, and files that lie about themselves."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from encoders.photo_file import Limits
from encoders.pixels import open_photo
from geo.errors import InputError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "HEIF")


def picture(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """A smooth random picture, so that lossy formats stay close to it."""
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(4))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    if kind == "HEIF":
        import pillow_heif

        buffer = io.BytesIO()
        pillow_heif.from_pillow(image).save(buffer, quality=90)
        return buffer.getvalue()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *chunks: bytes, rows: bytes | None = None) -> bytes:
    """A grey PNG by hand: its header may declare any size whatever its data holds."""
    data = zlib.compress(b"\0" * (width + 1) * height if rows is None else rows, 9)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
            *chunks,
            png_chunk(b"IDAT", data),
            png_chunk(b"IEND", b""),
        )
    )


def segment(marker: int, body: bytes) -> bytes:
    """A JPEG marker segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """The JPEG with segments right after its start marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def gps_exif(**tags: object) -> Image.Exif:
    """EXIF with a GPS directory of the tags named as `PIL.ExifTags.GPS` does."""
    from PIL import ExifTags

    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"  # Pillow writes no EXIF without a main tag
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {ExifTags.GPS[name].value: value for name, value in tags.items()}
    )
    return exif


def xmp(properties: str) -> bytes:
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'{properties}/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def refusal(source: Path | bytes, limits: Limits | None = None) -> str:
    with pytest.raises(InputError) as caught:
        open_photo(source, limits)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert ";" in message, "no remedy"
    return message
