import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from PIL import Image

from encoders.photo_file import Limits
from encoders.pixels import encode_pixels
from geo.errors import InputError, UnavailableError
from tests.unit.photo_samples import (
    encoded,
    gps_exif,
    picture,
    png_chunk,
    segment,
    with_segments,
    xmp,
)
from tools.evidence import Box, ToolError, ToolOutcome
from tools.photos import Photo, PhotoStore, make_read_metadata, make_zoom, metadata_evidence
from tools.workbench import Workbench
from tools.zoom import cut, pixel_box

GPS = {
    "GPSLatitudeRef": "N", "GPSLatitude": (48.0, 51.0, 30.24),
    "GPSLongitudeRef": "E", "GPSLongitude": (2.0, 17.0, 40.2),
}  # fmt: skip
CANARIES = (b"CANARY", b"48.8584", b"C\0A\0N\0A\0R\0Y", b"Exif", b"GPS", b"xap", b"Photoshop")


@pytest.fixture
def store(tmp_path: Path) -> PhotoStore:
    return PhotoStore(tmp_path / "photos")


@pytest.fixture
def bench(store: PhotoStore) -> Workbench:
    return cast(Workbench, SimpleNamespace(photos=store))


def call(tool: object, **arguments: object) -> tuple[str, ToolOutcome]:
    message = tool.invoke(  # type: ignore[attr-defined]  # any tool
        {"type": "tool_call", "id": "c1", "name": "t", "args": arguments}
    )
    return message.content, message.artifact


def leaking_jpeg() -> bytes:
    from PIL import ExifTags

    exif = gps_exif(**GPS)
    exif[ExifTags.Base.Artist] = "CANARY artist"
    exif[ExifTags.Base.ImageDescription] = "CANARY 48.8584"
    iptc = (
        b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x10" + b"\x1c\x02\x5a\0\x06CANARY" + b"\0" * 5
    )
    packet = b"http://ns.adobe.com/xap/1.0/\0" + xmp('dc:creator="CANARY"')
    return (
        with_segments(
            encoded(picture(), exif=exif, comment=b"CANARY comment"),
            segment(0xE1, packet),
            segment(0xED, iptc),
            segment(0xFE, b"CANARY second comment"),
            segment(0xE2, b"ICC_PROFILE\0\x01\x01" + b"CANARY" * 30),
            segment(0xEF, b"CANARY maker"),
            segment(0xE0, b"JFXX\0\x13CANARY thumbnail"),
        )
        + b"CANARY after the end"
    )


def leaking_png() -> bytes:
    import zlib

    data = encoded(picture(), "PNG", exif=gps_exif(**GPS))
    chunks = (
        png_chunk(b"tEXt", b"Comment\0CANARY 48.8584"),
        png_chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"CANARY")),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp('dc:creator="CANARY"')),
        png_chunk(b"prVt", b"CANARY private"),
    )
    return data[:33] + b"".join(chunks) + data[33:] + b"CANARY after the end"


@pytest.mark.parametrize("make", [leaking_jpeg, leaking_png])
def test_stored_pixels_carry_nothing_the_file_said(make: object, tmp_path: Path) -> None:
    assert callable(make)
    path = tmp_path / "CANARY 48.8584_2.2945.jpg"
    path.write_bytes(make())
    for canary in (b"CANARY", b"48.8584"):
        assert canary in path.read_bytes()
    store = PhotoStore(tmp_path / "photos")
    photo = store.add(path)
    stored = store.path(photo.id)
    assert all(canary not in stored.read_bytes() for canary in CANARIES)
    assert "CANARY" not in stored.name
    assert photo.claimed.position is not None
    assert store.image(photo.id).info == {}
    crop = store.add_image(store.image(photo.id).crop((0, 0, 20, 20)), "crop")
    assert all(canary not in store.path(crop.id).read_bytes() for canary in CANARIES)


def test_the_id_is_the_hash_of_the_original_bytes(store: PhotoStore, tmp_path: Path) -> None:
    import hashlib

    data = encoded(picture(), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    photo = store.add(path)
    assert photo.id == hashlib.sha256(data).hexdigest()
    assert (photo.width, photo.height, photo.mime, photo.name) == (64, 48, "image/png", "a.png")
    assert {one.name for one in store.root.iterdir()} == {f"{photo.id}.jpg", f"{photo.id}.json"}


def test_adding_twice_changes_nothing(store: PhotoStore) -> None:
    first = store.add(encoded(picture()), "a.jpg")
    written = store.path(first.id).stat().st_mtime_ns
    assert store.add(encoded(picture())) == first
    assert PhotoStore(store.root).add(encoded(picture()), "a.jpg") == first
    assert store.path(first.id).stat().st_mtime_ns == written


def test_a_new_name_brings_its_own_claim(store: PhotoStore) -> None:
    assert store.add(encoded(picture()), "a.jpg").claimed.position is None
    assert store.add(encoded(picture()), "48.8584_2.2945.jpg").claimed.position is not None


def test_another_process_finds_what_was_stored(store: PhotoStore) -> None:
    photo = store.add(encoded(picture()), "a.jpg")
    other = PhotoStore(store.root)
    assert other.get(photo.id[:8].upper()) == photo
    assert other.image(photo.id[:12]).size == (64, 48)


@pytest.mark.parametrize("wrong", ["", "abc", "g" * 64, "../../../etc/passwd", "*" * 8, "a" * 65])
def test_a_malformed_id_is_refused(store: PhotoStore, wrong: str) -> None:
    photo = store.add(encoded(picture()))
    with pytest.raises(ToolError, match=photo.id[:12]):
        store.get(wrong)


def test_an_unknown_or_ambiguous_id_names_those_known(store: PhotoStore) -> None:
    with pytest.raises(ToolError, match="empty"):
        store.get("0" * 8)
    photo = store.add(encoded(picture()))
    with pytest.raises(ToolError, match=photo.id[:12]):
        store.get("0" * 8)
    twin = photo.model_copy(update={"id": photo.id[:20] + "0" * 44})
    (store.root / f"{twin.id}.json").write_text(twin.model_dump_json())
    with pytest.raises(ToolError, match="2 photos"):
        store.get(photo.id[:10])
    assert store.get(photo.id) == photo


def test_a_damaged_record_is_rebuilt_when_the_photo_is_added_again(store: PhotoStore) -> None:
    photo = store.add(encoded(picture()), "a.jpg")
    (store.root / f"{photo.id}.json").write_text("{")
    fresh = PhotoStore(store.root)
    with pytest.raises(ToolError):
        fresh.get(photo.id)
    assert fresh.add(encoded(picture()), "a.jpg") == photo


def test_a_refused_photo_leaves_nothing_behind(store: PhotoStore, tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(picture())[:500])
    with pytest.raises(InputError, match=r"cut\.jpg"):
        store.add(path)
    assert not store.root.exists()
    with pytest.raises(InputError, match="limit 100"):
        PhotoStore(store.root, Limits(max_pixels=100)).add(encoded(picture()))


def test_an_interruption_while_writing_leaves_nothing_half_written(
    store: PhotoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.add(encoded(picture()))
    assert list(store.root.iterdir()) == []
    assert store.add(encoded(picture())).width == 64


def test_a_store_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError, match="GRATICULE_HOME"):
        PhotoStore(tmp_path / "file").add(encoded(picture()))


def test_many_threads_may_add_the_same_photo(store: PhotoStore) -> None:
    found: list[Photo] = []
    data = encoded(picture(400, 300))
    threads = [
        threading.Thread(target=lambda: found.append(PhotoStore(store.root).add(data)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(list(store.root.iterdir())) == 2


def test_a_drawing_is_stored_by_its_own_pixels(store: PhotoStore) -> None:
    drawing = store.add_image(picture().convert("RGBA"), "two\nlines", parent="a" * 64)
    assert store.path(drawing.id).read_bytes() == encode_pixels(picture())
    assert drawing.name == "two\\nlines"
    assert store.add_image(picture(), "again").id == drawing.id


def test_metadata_weighs_nothing_unless_trusted(bench: Workbench) -> None:
    photo = bench.photos.add(encoded(picture(), exif=gps_exif(**GPS, GPSHPositioningError=12.0)))
    shown = metadata_evidence(photo, trusted=False)
    used = metadata_evidence(photo, trusted=True)
    assert shown is not None
    assert used is not None
    assert (shown.weight, used.weight) == (0.0, 0.9)
    assert shown.candidates == used.candidates
    assert shown.candidates[0].kind == "claimed_position"
    assert shown.candidates[0].radius_km == pytest.approx(0.012)


def test_claims_that_repeat_are_one_and_that_contradict_share(bench: Workbench) -> None:
    data = encoded(picture(), exif=gps_exif(**GPS))
    same = metadata_evidence(bench.photos.add(data, "48.8584_2.2945.jpg"), trusted=True)
    other = metadata_evidence(bench.photos.add(data, "10.1234_20.1234.jpg"), trusted=True)
    assert same is not None
    assert other is not None
    assert [one.score for one in same.candidates] == [1.0]
    assert [one.score for one in other.candidates] == [0.5, 0.5]


def test_a_driver_sees_no_claimed_position_unless_trusted(bench: Workbench) -> None:
    photo = bench.photos.add(encoded(picture(), exif=gps_exif(**GPS)), "Paris 48.8584_2.2945.jpg")
    text, outcome = call(make_read_metadata(bench), photo_id=photo.id)
    assert "48.8" not in text
    assert "Paris" not in text
    assert "withheld" in text
    assert outcome.evidence[0].weight == 0
    assert '"Camera"' in text
    text, outcome = call(make_read_metadata(bench, trusted=True), photo_id=photo.id)
    assert "48.85840, 2.29450" in text
    assert outcome.evidence[0].weight == 0.9


def test_a_photo_that_claims_nothing_gives_no_evidence(bench: Workbench) -> None:
    photo = bench.photos.add(encoded(picture()))
    text, outcome = call(make_read_metadata(bench), photo_id=photo.id[:8])
    assert outcome.evidence == ()
    assert "none claimed" in text


def test_dropped_claims_are_reported(bench: Workbench) -> None:
    zero = {**GPS, "GPSLatitude": (0.0, 0.0, 0.0), "GPSLongitude": (0.0, 0.0, 0.0)}
    photo = bench.photos.add(encoded(picture(), exif=gps_exif(**zero)))
    text, outcome = call(make_read_metadata(bench), photo_id=photo.id)
    assert "1 claim(s) dropped" in text
    assert "without a fix" in outcome.rejected[0].reason


def test_zoom_returns_a_new_photo_of_the_part_asked_for(bench: Workbench) -> None:
    image = Image.new("RGB", (200, 100), "white")
    image.paste("red", (100, 50, 200, 100))
    photo = bench.photos.add(encoded(image, "PNG"))
    text, outcome = call(
        make_zoom(bench), photo_id=photo.id, left=0.5, top=0.5, right=1, bottom=1, upscale=4
    )
    new = bench.photos.get(outcome.pictures[0].photo_id)
    assert new.id in text
    assert (new.width, new.height, new.parent) == (400, 200, photo.id)
    assert new.box == Box(left=100, top=50, right=200, bottom=100)
    red, green, _ = bench.photos.image(new.id).getpixel((5, 5))  # type: ignore[misc]  # RGB
    assert red > 250
    assert green < 5
    _, again = call(
        make_zoom(bench), photo_id=photo.id[:8], left=100, top=50, right=200, bottom=100,
        unit="pixel", upscale=4,
    )  # fmt: skip
    assert again.pictures == outcome.pictures


def test_zoom_never_returns_more_than_a_model_takes() -> None:
    box = Box(left=0, top=0, right=3000, bottom=9)
    assert cut(Image.new("RGB", (3000, 10)), box, 8.0).size == (1568, 5)


@pytest.mark.parametrize(
    ("edges", "unit", "message"),
    [
        ((0.0, 0.0, 300.0, 100.0), "fraction", "set unit to pixel"),
        ((0.0, 0.0, 300.0, 100.0), "pixel", "leaves the photo"),
        ((0.6, 0.0, 0.5, 1.0), "fraction", "inverted"),
        ((0.5, 0.0, 0.5, 1.0), "fraction", "inverted"),
        ((0.0, 0.0, 0.01, 1.0), "fraction", "under 8 px"),
    ],
)
def test_a_bad_box_is_refused_with_the_limit(
    edges: tuple[float, float, float, float], unit: str, message: str
) -> None:
    photo = Photo(id="a" * 64, width=200, height=100, mime="image/png")
    with pytest.raises(ToolError, match=message):
        pixel_box(photo, edges, unit)


@pytest.mark.parametrize(
    "wrong", [{"left": -1.0}, {"right": float("nan")}, {"unit": "mile"}, {"upscale": 100}, {"x": 1}]
)
def test_zoom_arguments_are_strict(bench: Workbench, wrong: dict[str, object]) -> None:
    from pydantic import ValidationError

    photo = bench.photos.add(encoded(picture()))
    arguments = {"photo_id": photo.id, "left": 0, "top": 0, "right": 1, "bottom": 1, **wrong}
    with pytest.raises(ValidationError):
        call(make_zoom(bench), **arguments)


def test_a_store_sweeps_up_what_killed_writers_left(tmp_path: Path) -> None:
    stale, recent = tmp_path / ".old.part", tmp_path / ".new.part"
    for path in (stale, recent):
        path.touch()
    os.utime(stale, (0, 0))
    PhotoStore(tmp_path)
    assert [path for path in (stale, recent) if path.exists()] == [recent]
