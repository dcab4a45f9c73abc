"""Photos made to harm: bombs, impossible sizes, and mutated bytes."""

import contextlib
import struct
import time
import zlib

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from encoders.photo_file import Limits, sniff
from encoders.pixels import encode_pixels, open_photo, read_blocks
from geo.errors import InputError
from tests.unit.photo_samples import FORMATS, encoded, picture, png, png_chunk, refusal

SAMPLES = {kind: encoded(picture(), kind) for kind in FORMATS}


def webp_canvas(width: int, height: int) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sizes
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_of(width: int, height: int) -> bytes:
    data = SAMPLES["JPEG"]
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def gif_of(width: int, height: int) -> bytes:
    return SAMPLES["GIF"][:6] + struct.pack("<HH", width, height) + SAMPLES["GIF"][10:]


def tiff_of(width: int, height: int) -> bytes:
    plain = encoded(Image.new("L", (7, 9)), "TIFF")
    tags = plain.replace(struct.pack("<HHII", 256, 4, 1, 7), struct.pack("<HHII", 256, 4, 1, width))
    return tags.replace(struct.pack("<HHII", 257, 4, 1, 9), struct.pack("<HHII", 257, 4, 1, height))


@pytest.mark.parametrize("make", [png, jpeg_of, webp_canvas, gif_of, tiff_of])
def test_declared_sizes_are_refused_before_decoding(make: object) -> None:
    assert callable(make)
    data = make(30_000, 30_000, rows=b"") if make is png else make(30_000, 30_000)
    started = time.perf_counter()
    message = refusal(data)
    assert time.perf_counter() - started < 0.5
    assert "30,000 x 30,000 px" in message
    assert "limit 100,000,000" in message


def test_a_side_longer_than_jpeg_can_hold_is_refused() -> None:
    assert "limit 65,500 px a side" in refusal(png(70_000, 1))
    with pytest.raises(InputError, match="65,500"):
        encode_pixels(Image.new("L", (70_000, 1)))


def test_pillows_global_pixel_limit_is_neither_changed_nor_met() -> None:
    before = Image.MAX_IMAGE_PIXELS
    image = open_photo(png(9_500, 9_500)).image  # over the 89 MP at which Pillow would warn
    assert image.size == (9_500, 9_500)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(200_000_000), 9)),
        png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(200_000_000), 9)),
        png_chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(200_000_000), 9)),
    ],
    ids=["iCCP", "zTXt", "iTXt"],
)
def test_a_compressed_bomb_in_png_metadata_is_refused_quickly(chunk: bytes) -> None:
    started = time.perf_counter()
    message = refusal(png(8, 8, chunk))
    assert "limit, 1,048,576 bytes" in message
    assert "as JPEG" in message
    assert "damaged" not in message
    assert time.perf_counter() - started < 1


def test_pixel_data_beyond_the_declared_size_is_never_inflated() -> None:
    data = png(8, 8, rows=bytes(300_000_000))
    started = time.perf_counter()
    assert open_photo(data).image.size == (8, 8)
    assert time.perf_counter() - started < 0.5


def test_a_jpeg_of_thousands_of_scans_is_refused_quickly() -> None:
    data = encoded(picture(), progressive=True)
    last = data.rfind(b"\xff\xda")
    assert "64 progressive scans" in refusal(data[:last] + data[last:-2] * 3000 + b"\xff\xd9")
    assert open_photo(data).image.size == (64, 48)


def test_a_tiff_tile_larger_than_any_photo_is_refused() -> None:
    from PIL import TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in (65_000, 65_001):
        tags.tagtype[tag] = 4  # LONG
        tags[tag] = 60_000
    data = encoded(picture(), "TIFF", tiffinfo=tags)
    for tag, name in ((65_000, 322), (65_001, 323)):  # TileWidth, TileLength
        data = data.replace(struct.pack("<HHI", tag, 4, 1), struct.pack("<HHI", name, 4, 1))
    message = refusal(data)
    assert "60,000 x 60,000" in message


def test_raw_files_posing_as_tiff_are_refused() -> None:
    from PIL import TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254] = 1
    assert "raw" in refusal(encoded(picture(), "TIFF", tiffinfo=tags))


def survives(data: bytes) -> None:
    for read in (open_photo, read_blocks):
        with contextlib.suppress(InputError):
            read(data, Limits(max_pixels=1_000_000))


fuzzing = hypothesis_settings(
    max_examples=150, deadline=5000, suppress_health_check=[HealthCheck.too_slow]
)


@fuzzing
@given(st.sampled_from([sample[:16] for sample in SAMPLES.values()]), st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_input_errors(start: bytes, rest: bytes) -> None:
    survives(rest)
    survives(start + rest)


@fuzzing
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(
        st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6
    ),
)
def test_mutated_photos_raise_nothing_but_input_errors(
    kind: str, edits: list[tuple[int, bytes]]
) -> None:
    data = bytearray(SAMPLES[kind])
    for position, patch in edits:
        at = position % min(len(data), 700)
        data[at : at + len(patch)] = patch
    survives(bytes(data))


def test_sniffing_needs_no_minimum_length() -> None:
    for length in range(12):
        for sample in SAMPLES.values():
            assert sniff(sample[:length])
