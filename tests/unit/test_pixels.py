"""Photos open upright, in RGB, without metadata, or are refused in one line."""

import io
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from encoders.photo_file import Limits, printable
from encoders.pixels import encode_pixels, open_photo
from tests.unit.photo_samples import FORMATS, encoded, picture, refusal, segment
from tests.unit.photo_samples import with_segments as segments_in

SAMPLES = {kind: encoded(picture(), kind) for kind in FORMATS}


def difference(one: Image.Image, other: Image.Image) -> float:
    pixels = [np.asarray(image, dtype=np.float64) for image in (one, other)]
    return float(np.abs(pixels[0] - pixels[1]).mean())


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_opens_as_upright_rgb_whatever_its_name(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.txt"
    path.write_bytes(SAMPLES[kind])
    opened = open_photo(path)
    assert opened.image.mode == "RGB"
    assert opened.image.size == (64, 48)
    assert opened.image.info == {}
    assert opened.name == "photo.txt"
    assert opened.mime == f"image/{'heic' if kind == 'HEIF' else kind.lower()}"
    assert difference(opened.image, picture()) < (8 if kind == "GIF" else 3)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused_never_half_shown(kind: str, share: float) -> None:
    data = SAMPLES[kind]
    refusal(data[: int(len(data) * share)])


def test_a_png_without_its_end_is_refused() -> None:
    assert "cut short" in refusal(SAMPLES["PNG"][:-12])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_a_progressive_jpeg_cut_after_its_first_scans_is_refused() -> None:
    data = encoded(picture(200, 200), progressive=True)
    refusal(data[: data.rfind(b"\xff\xda")])


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"%PDF-1.7 ...", "PDF"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"BM" + bytes(60), "BMP"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"just words", "text"),
        (bytes(range(64)), "unknown content"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "AVIF"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "video"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(50), "raw"),
        (b"RIFF\0\0\0\0WAVEfmt ", "RIFF"),
    ],
)
def test_other_content_is_named_in_the_refusal(data: bytes, named: str) -> None:
    message = refusal(data)
    assert named in message
    assert "JPEG, PNG, WebP, HEIC, TIFF or GIF" in message


def test_paths_that_are_no_readable_file_are_refused(tmp_path: Path) -> None:
    empty, pipe, plug = tmp_path / "empty.jpg", tmp_path / "pipe.jpg", tmp_path / "s"
    empty.touch()
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(plug))
        assert "socket" in refusal(plug)
    assert "0 bytes" in refusal(empty)
    assert "0 bytes" in refusal(b"")
    assert "a pipe" in refusal(pipe)
    assert "folder" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "none.jpg")
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))
    assert "cannot be read" in refusal(Path("a\0b"))
    assert "cannot be read" in refusal(empty / "below.jpg")
    assert "device" in refusal(Path("/dev/null"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(SAMPLES["JPEG"])
    path.chmod(0)
    assert "permissions" in refusal(path)


def test_permission_errors_name_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("encoders.photo_file.os.open", refuse)
    assert "permissions" in refusal(tmp_path / "secret.jpg")


def test_a_name_that_is_not_utf_8_opens_and_prints(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\x1b[31m\xe2\x80\xae.jpg"))
    path.write_bytes(SAMPLES["JPEG"])
    assert open_photo(path).name == "caf\\xe9\\x1b[31m\\u202e.jpg"
    path.write_bytes(b"words")
    assert "caf\\xe9\\x1b[31m" in refusal(path)


def test_printable_bounds_its_length() -> None:
    assert len(printable("\n" * 10_000)) == 200
    assert printable("Πλατεία 広場") == "Πλατεία 広場"
    assert printable("bad \udce9") == "bad \\udce9"


def test_a_file_over_the_size_limit_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(200_000_000_000)
    started = time.perf_counter()
    assert "200,000,000,000 bytes, limit 50,000,000" in refusal(path)
    assert time.perf_counter() - started < 1
    assert "limit 10" in refusal(SAMPLES["JPEG"], Limits(max_bytes=10))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied(orientation: int, kind: str) -> None:
    corners = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "bl", 7: "br", 8: "tr"}
    # where the red corner of the upright picture lies in the stored one (TIFF 6.0, tag 274)
    stored = Image.new("RGB", (48, 32) if orientation < 5 else (32, 48), "white")
    corner = corners[orientation]
    left = 0 if "l" in corner else stored.width - 16
    top = 0 if "t" in corner else stored.height - 16
    stored.paste((255, 0, 0), (left, top, left + 16, top + 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = open_photo(encoded(stored, kind, exif=exif)).image
    assert image.size == (48, 32)
    red, green, _ = image.getpixel((6, 6))  # type: ignore[misc]  # three bands in RGB
    assert red > 200
    assert green < 60


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_impossible_orientation_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert open_photo(encoded(picture(), exif=exif)).image.size == (64, 48)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        grey = np.asarray(open_photo(encoded(Image.fromarray(ramp), kind)).image)[..., 0]
        assert np.abs(grey.reshape(-1).astype(int) - np.arange(256)).max() <= 1


def test_floats_are_stretched_over_their_range() -> None:
    values = np.linspace(-3, 5, 64, dtype=np.float32).reshape(8, 8)
    values[0, 3] = np.nan
    grey = np.asarray(open_photo(encoded(Image.fromarray(values), "TIFF")).image)
    assert grey.min() == 0
    assert grey.max() == 255


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    source = picture()
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        stored = ImageCms.profileToProfile(source, srgb, lab, outputMode="LAB")
        assert stored is not None
    else:
        stored = source.convert(mode)
    kind = "TIFF" if mode in ("CMYK", "YCbCr", "LAB") else "PNG"
    image = open_photo(encoded(stored, kind)).image
    assert image.mode == "RGB"
    expected = source if mode == "LAB" else stored.convert("RGB")
    assert difference(image, expected) < 12


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    image = open_photo(encoded(picture().convert("CMYK"), quality=95)).image
    assert difference(image, picture()) < 3


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    stored = clear.convert("P") if mode == "PA" else clear.convert(mode)
    options = {"transparency": 0} if mode == "PA" else {}
    image = open_photo(encoded(stored, "PNG", **options)).image
    assert image.getpixel((3, 3)) == (255, 255, 255)


def test_only_the_first_frame_is_shown() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        red, green, blue = open_photo(data).image.getpixel((4, 4))  # type: ignore[misc]  # RGB
        assert red > 240
        assert max(green, blue) < 15


def test_a_damaged_profile_is_ignored() -> None:
    image = open_photo(encoded(picture(), icc_profile=b"no profile" * 50)).image
    assert difference(image, picture()) < 3


def test_damaged_exif_warns_nobody() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0" + b"\xff\xff" + b"\x12\x01\x09\x00" * 20
    opened = open_photo(segments_in(SAMPLES["JPEG"], segment(0xE1, exif)))
    assert opened.image.size == (64, 48)


def test_encoding_is_deterministic_and_close() -> None:
    image = picture()
    image.info["comment"] = b"secret"
    data = encode_pixels(image)
    assert data == encode_pixels(picture())
    assert b"secret" not in data
    assert image.info["comment"] == b"secret"
    assert difference(Image.open(io.BytesIO(data)), image) < 1.5
    assert Image.open(io.BytesIO(data)).info.keys() <= {
        "jfif", "jfif_version", "jfif_unit", "jfif_density",
    }  # fmt: skip


def test_photos_open_in_many_threads_at_once() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for data in SAMPLES.values():
                open_photo(data)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
