"""Photos that cannot be used: one line, exit code 2, and nothing half-written."""

import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from tests.end_to_end.conftest import Command, scene
from tests.unit.photo_samples import encoded, png, png_chunk

ROOT = os.geteuid() == 0


def inflating_to(megabytes: int) -> bytes:
    """Zeros, compressed a thousand times smaller."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def small_png(*chunks: bytes, data: bytes) -> bytes:
    """A PNG that declares 64 x 48 px."""
    header = struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 0)
    parts = (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", data), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


BOMB = inflating_to(300)
PIXELS = zlib.compress(bytes(65 * 48))
BAD = {
    "empty.jpg": (b"", "0 bytes"),
    "notes.jpg": (b"dear diary " * 100, "is text"),
    "page.png": (b"<!DOCTYPE html><html></html>", "HTML"),
    "half.jpg": (encoded(scene(1))[:9_000], "cut short"),
    "half.png": (encoded(scene(1), "PNG")[:3_000], "cut short"),
    "huge.png": (encoded(Image.new("1", (30_000, 30_000)), "PNG"), "30,000 x 30,000"),
    "declared.png": (png(30_000, 30_000, rows=b""), "limit 100,000,000"),
    "text-bomb.png": (
        small_png(png_chunk(b"zTXt", b"C\0\0" + BOMB), data=PIXELS),
        "1,048,576 bytes",
    ),
    "international-bomb.png": (
        small_png(png_chunk(b"iTXt", b"C\0\1\0\0\0" + BOMB), data=PIXELS),
        "1,048,576 bytes",
    ),
    "profile-bomb.png": (
        small_png(png_chunk(b"iCCP", b"p\0\0" + BOMB), data=PIXELS),
        "1,048,576 bytes",
    ),
    "many-texts.png": (
        small_png(
            *(png_chunk(b"zTXt", b"C\0\0" + zlib.compress(bytes(60_000), 9)) for _ in range(3000)),
            data=PIXELS,
        ),
        "text",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bytes_that_are_no_photo(name: str, tmp_path: Path, home: Path, command: Command) -> None:
    data, said = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    command("locate", path, "--json").refused(2, name, said, "; ")
    assert not list(home.rglob("*.jp*g"))
    assert not list(home.rglob("*.jsonl"))


def test_pixels_that_inflate_beyond_what_is_declared_are_not_inflated(tmp_path: Path) -> None:
    import resource

    from encoders.pixels import open_photo

    path = tmp_path / "bomb.png"
    path.write_bytes(small_png(data=BOMB))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert open_photo(path).image.size == (64, 48)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 100


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no.jpg", "does not exist"),
        ("", "empty"),
        (".", "is a folder"),
        ("file/x.jpg", "Not a directory"),
        ("two\nlines.jpg", r"two\nlines.jpg"),
        ("x" * 300, "too long"),
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        ("/dev/zero", "is a device"),
        ("pipe", "is a pipe"),
    ],
)
def test_paths_that_lead_to_no_photo(
    path: str | bytes,
    said: str,
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    command("locate", path, "--json").refused(2, said)


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_a_photo_that_may_not_be_read(photo: Path, command: Command) -> None:
    photo.chmod(0)
    command("locate", photo, "--json").refused(2, "may not be read", "permissions")


@pytest.mark.parametrize(
    ("name", "kind"), [(b"png.jpg", "PNG"), (b"jpeg", "JPEG"), (b"caf\xe9.gif", "WEBP")]
)
def test_a_wrong_extension_and_a_name_in_any_bytes_just_work(
    name: bytes, kind: str, photo: Path, tmp_path: Path, command: Command
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_bytes(encoded(Image.open(photo), kind))
    outcome = command("locate", path, "--json")
    assert outcome.document()["status"] == "undetermined"
    assert outcome.stderr == ""


@pytest.mark.parametrize(("hint", "said"), [("a" * 501, "limit 500"), (b"\xff\xfe", "UTF-8")])
def test_hints_that_cannot_be_used(
    hint: str | bytes, said: str, photo: Path, command: Command
) -> None:
    command("locate", photo, "--json", "--hint", hint).refused(2, said)
