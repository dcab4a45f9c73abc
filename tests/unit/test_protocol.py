"""A photo towards model and tools is pixels alone, under a name that says nothing."""

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from agent.calibration import Calibration
from encoders.photo_file import Limits
from encoders.pixels import open_photo
from evaluation import protocol
from evaluation.datasets import Dataset
from evaluation.protocol import (
    LISTED,
    Neutrals,
    listed,
    neutral_copy,
    neutral_name,
    photo_marks,
    placeholders,
    refuse_tuned,
)
from evaluation.runs import Truth
from evaluation.survey import Surveyed, look_at, uniform_share
from geo.errors import ConfigError, InputError
from index_builder.metadata import read_metadata
from index_builder.metadata_text import position_in_name
from tests.unit.photo_samples import encoded, gps_exif, picture, segment, with_segments, xmp

SECRET = b"Reykjavik-64.1466N"


def telling(orientation: int = 1) -> bytes:
    """A JPEG that says where it was taken in every place that a JPEG has for it."""
    exif = gps_exif(
        GPSLatitudeRef="N", GPSLatitude=(64.0, 8.0, 0.0),
        GPSLongitudeRef="W", GPSLongitude=(21.0, 56.0, 0.0),
    )  # fmt: skip
    exif[0x010E] = SECRET.decode()
    exif[0x0112] = orientation
    jpeg = encoded(picture(), exif=exif, comment=SECRET, icc_profile=b"x" * 200 + SECRET)
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + struct.pack(">I", 30) + SECRET + b"\0" * 12
    packet = b"http://ns.adobe.com/xap/1.0/\0" + xmp(f'dc:title="{SECRET.decode()}"')
    return with_segments(
        jpeg, segment(0xE1, packet), segment(0xED, iptc), segment(0xEB, SECRET),
        segment(0xFE, SECRET),
    )  # fmt: skip


def chunks(png: bytes) -> list[bytes]:
    position, found = 8, []
    while position < len(png):
        (length,) = struct.unpack_from(">I", png, position)
        found.append(png[position + 4 : position + 8])
        position += 12 + length
    return found


class TestPixels:
    def test_nothing_but_pixels_is_left(self) -> None:
        source = telling()
        assert source.count(SECRET) >= 5
        assert read_metadata(source).position is not None
        copy = neutral_copy(source)
        assert SECRET not in copy.data
        assert b"Reykjavik" not in copy.data
        assert set(chunks(copy.data)) == {b"IHDR", b"IDAT", b"IEND"}
        claimed = read_metadata(copy.data)
        assert (claimed.positions, claimed.camera_make, claimed.taken) == ((), None, None)

    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    def test_it_is_upright_and_loses_nothing(self, orientation: int) -> None:
        source = telling(orientation)
        upright = np.asarray(open_photo(source).image)
        copy = neutral_copy(source)
        assert copy.suffix == ".png"
        with Image.open(io.BytesIO(copy.data)) as image:
            assert image.size == ((48, 64) if orientation in (6, 8) else (64, 48))
            assert np.array_equal(np.asarray(image), upright)

    def test_a_large_photo_is_a_jpeg_and_the_protocol_says_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protocol, "LOSSLESS_UP_TO", 64 * 48 - 1)
        copy = neutral_copy(telling())
        assert (copy.suffix, copy.data[:2]) == (".jpg", b"\xff\xd8")
        assert b"Reykjavik" not in copy.data
        markers = set(re.findall(rb"\xff([\xe1-\xef\xfe])", copy.data.split(b"\xff\xda")[0]))
        assert markers == set()
        assert "16 megapixels JPEG" in protocol.PIXELS

    def test_the_same_pixels_give_the_same_bytes(self) -> None:
        png = encoded(picture(seed=3), "PNG")
        assert neutral_copy(png).data == neutral_copy(neutral_copy(png).data).data

    def test_what_an_open_picture_carries_is_not_written(self) -> None:
        image = picture()
        image.info = {"icc_profile": SECRET, "exif": b"Exif" + SECRET, "dpi": (72, 72)}
        copy = protocol.neutral_pixels(image)
        assert set(chunks(copy.data)) == {b"IHDR", b"IDAT", b"IEND"}
        assert SECRET not in copy.data

    def test_what_is_no_photo(self) -> None:
        with pytest.raises(InputError):
            neutral_copy(b"not a photo")


class TestNames:
    @given(st.text(min_size=1), st.text(min_size=1))
    def test_a_name_says_nothing_and_holds_no_position(self, image_id: str, key: str) -> None:
        name = neutral_name(image_id, key)
        assert re.fullmatch("[a-p]{20}", name)
        assert position_in_name(f"{name}.png") is None
        assert name == neutral_name(image_id, key)
        assert name != neutral_name(image_id, key + "x")
        assert name != neutral_name(image_id + "x", key)

    def test_a_copy_is_lent_and_gone(self, tmp_path: Path) -> None:
        photo = tmp_path / "Paris_48.85_2.35.jpg"
        photo.write_bytes(telling())
        truth = Truth(image_id="Paris", latitude=48.85, longitude=2.35)
        dataset = Dataset("d", (truth,), {"Paris": photo}, {"Rome": "lost"})
        lend = Neutrals(dataset, tmp_path / "copies", Limits())
        with lend("Paris") as path:
            assert path.is_file()
            assert "Paris" not in path.name
            assert not any(character.isdigit() for character in path.name)
        assert not path.exists()
        with pytest.raises(InputError, match="lost"), lend("Rome"):
            pass


def seen(image_id: str, pixels: str, uniform: float = 0.1) -> Surveyed:
    return Surveyed(image_id=image_id, size=1, modified_ns=1, pixels=pixels, uniform=uniform)


def truths(*places: tuple[float, float]) -> list[Truth]:
    return [Truth(image_id=str(n), latitude=a, longitude=o) for n, (a, o) in enumerate(places)]


class TestPlaceholders:
    def test_one_picture_cannot_be_at_two_places(self) -> None:
        places = truths((0, 0.1), (0, 0.2), (10, 10), (10, 10), (20, 20), (30, 30))
        pixels = "aabbcc"
        views = {str(n): seen(str(n), pixels[n]) for n in range(6)}
        found = placeholders(places, views)
        assert [one.image_id for one in found] == ["4", "5"]
        assert "km apart" in found[0].reason

    def test_three_copies_are_one_too_many(self) -> None:
        views = {str(n): seen(str(n), "a") for n in range(3)}
        assert len(placeholders(truths((1, 1), (1, 1), (1, 1)), views)) == 3

    def test_across_the_antimeridian_is_near(self) -> None:
        views = {str(n): seen(str(n), "a") for n in range(2)}
        assert placeholders(truths((0, 179.95), (0, -179.95)), views) == ()

    def test_a_notice_is_told_from_photos(self, tmp_path: Path) -> None:
        notice = Image.new("RGB", (500, 374), (242, 242, 242))
        ImageDraw.Draw(notice).text((120, 180), "This photo is no longer available", (120,) * 3)
        assert uniform_share(notice) > 0.95
        fog = np.linspace(150, 190, 500 * 374).reshape(374, 500).astype(np.uint8)
        assert uniform_share(Image.fromarray(fog)) < 0.4
        notice.save(tmp_path / "n.png")
        views = {"0": look_at("0", tmp_path / "n.png", Limits())}
        (found,) = placeholders(truths((1, 2)), views)
        assert "of it is one grey level" in found.reason

    def test_photos_that_cannot_be_opened_are_no_copies_of_each_other(self) -> None:
        views = {str(n): seen(str(n), "", 0.0) for n in range(4)}
        assert placeholders(truths((1, 1), (50, 50), (2, 2), (3, 3)), views) == ()

    def test_long_lists_are_counted_and_known_by_their_hash(self) -> None:
        stated = listed(map(str, range(LISTED + 1)))
        assert stated["photos"] == LISTED + 1
        assert len(stated["ids"]) == LISTED  # type: ignore[arg-type]
        other = listed(["x", *map(str, range(LISTED))])
        assert other["sha256_of_all"] != stated["sha256_of_all"]


class TestTuning:
    def test_a_calibration_of_these_photos_is_refused(self) -> None:
        dataset = Dataset("im2gps3k", tuple(truths((1, 2), (3, 4))), {}, {})
        refuse_tuned(None, dataset)
        refuse_tuned(Calibration(recipe="g3", fitted_on="yfcc4k", photos=3), dataset)
        for name in ("im2gps3k", "Im2GPS3k", dataset.fingerprint):
            with pytest.raises(ConfigError, match="tuning on the test"):
                refuse_tuned(Calibration(recipe="g3", fitted_on=name, photos=3), dataset)

    def test_marks_say_more_than_a_name(self) -> None:
        class Marked(Calibration):
            marks: tuple[str, ...] = ()

        dataset = Dataset("photos", tuple(truths((1, 2), (3, 4))), {}, {})
        other = tuple(photo_marks(truths((7, 8))))
        refuse_tuned(Marked(recipe="g3", fitted_on="photos", photos=1, marks=other), dataset)
        mine = tuple(photo_marks(dataset.truths[1:]))
        with pytest.raises(ConfigError, match="1 of the 2 photos"):
            refuse_tuned(Marked(recipe="g3", fitted_on="x", photos=1, marks=mine), dataset)

    def test_marks_know_photos_again_under_another_name(self) -> None:
        one, two, three = truths((1, 2), (3, 4), (5, 6))
        assert photo_marks([one, two]) & photo_marks([two, three]) == photo_marks([two])
        assert all(re.fullmatch("[0-9a-f]{12}", mark) for mark in photo_marks([one, two]))
