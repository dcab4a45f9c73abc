import math
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from encoders.pixels import MetadataBlocks
from geo.errors import InputError
from index_builder.metadata import PhotoMetadata, claims_of, read_metadata
from index_builder.metadata_text import (
    number,
    position_in_name,
    sexagesimal,
    xmp_angle,
    xmp_fields,
)
from tests.unit.photo_samples import encoded, gps_exif, picture, segment, with_segments, xmp

PARIS = {
    "GPSLatitudeRef": "N",
    "GPSLatitude": (48.0, 51.0, 30.24),
    "GPSLongitudeRef": "E",
    "GPSLongitude": (2.0, 17.0, 40.2),
}


def claims(**changes: object) -> PhotoMetadata:
    tags = {name: value for name, value in {**PARIS, **changes}.items() if value is not None}
    return claims_of(MetadataBlocks(exif=gps_exif(**tags)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_position_is_read_from_every_format(kind: str) -> None:
    exif = gps_exif(**PARIS)
    if kind == "TIFF":  # Pillow writes the directory of a TIFF only as a tag
        directory = dict(exif.get_ifd(ExifTags.IFD.GPSInfo))
        data = encoded(picture(), kind, tiffinfo={int(ExifTags.IFD.GPSInfo): directory})
    else:
        data = encoded(picture(), kind, exif=exif)
    found = read_metadata(data).position
    assert found is not None
    assert found.source == "exif"
    assert (found.latitude, found.longitude) == pytest.approx((48.8584, 2.2945), abs=1e-6)


def test_a_position_is_read_from_heic() -> None:
    import io

    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture()).save(buffer, exif=gps_exif(**PARIS).tobytes())
    found = read_metadata(buffer.getvalue()).position
    assert found is not None
    assert found.latitude == pytest.approx(48.8584, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"GPSLatitudeRef": "S"}, (-48.8584, 2.2945)),
        ({"GPSLongitudeRef": "W"}, (48.8584, -2.2945)),
        ({"GPSLatitudeRef": "s\0"}, (-48.8584, 2.2945)),
        ({"GPSLatitude": (48.8584,)}, (48.8584, 2.2945)),
        ({"GPSLatitude": (48.0, 51.504)}, (48.8584, 2.2945)),
        ({"GPSLatitude": (90.0, 0.0, 0.0)}, (90.0, 2.2945)),
    ],
)
def test_usable_positions(changes: dict[str, object], expected: tuple[float, float]) -> None:
    found = claims(**changes).position
    assert found is not None
    assert (found.latitude, found.longitude) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"GPSLatitude": (0.0, 0.0, 0.0), "GPSLongitude": (0.0, 0.0, 0.0)}, "without a fix"),
        ({"GPSLatitude": (97.0, 0.0, 0.0)}, "outside"),
        ({"GPSLongitude": (181.0, 0.0, 0.0)}, "outside"),
        ({"GPSLatitude": (48.0, 75.0, 0.0)}, "not a finite"),
        ({"GPSLatitudeRef": None}, "hemisphere"),
        ({"GPSLongitudeRef": "X"}, "hemisphere"),
        ({"GPSLongitude": None}, "missing"),
        ({"GPSLatitude": (math.nan, 0.0, 0.0)}, "not a finite"),
        ({"GPSLatitude": ()}, "missing"),
        ({"GPSStatus": "V"}, "void"),
    ],
)
def test_unusable_positions_are_dropped_with_a_reason(
    changes: dict[str, object], reason: str
) -> None:
    found = claims(**changes)
    assert found.positions == ()
    assert reason in found.rejected[0].reason


def test_zero_denominators_are_no_numbers() -> None:
    from PIL.TiffImagePlugin import IFDRational

    assert number(IFDRational(1, 0)) is None
    assert number(IFDRational(0, 0)) is None
    assert sexagesimal((IFDRational(48, 1), IFDRational(0, 0), IFDRational(1, 1))) is None
    assert sexagesimal((IFDRational(48), IFDRational(30), IFDRational(0, 0))) == 48.5


def test_accuracy_altitude_and_heading_are_read() -> None:
    found = claims(
        GPSHPositioningError=12.5,
        GPSAltitude=35.0,
        GPSAltitudeRef=b"\x01",
        GPSImgDirection=360.0,
    ).position
    assert found is not None
    assert (found.accuracy_m, found.altitude_m, found.heading_deg) == (12.5, -35.0, 0.0)
    by_dop = claims(GPSDOP=2.0).position
    assert by_dop is not None
    assert by_dop.accuracy_m == 10.0


@pytest.mark.parametrize("error", [0.0, -5.0, math.inf, 1e12])
def test_an_impossible_accuracy_is_left_out(error: float) -> None:
    exif = gps_exif(**PARIS)
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSHPositioningError] = error
    found = claims_of(MetadataBlocks(exif=exif)).position
    assert found is not None
    assert found.accuracy_m is None


@pytest.mark.parametrize(
    ("text", "letters", "expected"),
    [
        ("48,51.504N", "NS", 48.8584),
        ("48,51,30.24N", "NS", 48.8584),
        ("48,51.504S", "NS", -48.8584),
        ("2,17.67W", "EW", -2.2945),
        ("-48.8584", "NS", -48.8584),
        ("48,51.504E", "NS", None),
        ("48,61.0N", "NS", None),
        ("N/A", "NS", None),
        ("", "NS", None),
        (None, "NS", None),
        ("9" * 10_000, "NS", None),
    ],
)
def test_xmp_angles(text: str | None, letters: str, expected: float | None) -> None:
    assert xmp_angle(text, letters) == (expected and pytest.approx(expected, abs=1e-9))


def test_a_position_is_read_from_xmp_in_a_file() -> None:
    packet = xmp('exif:GPSLatitude="48,51.504N" exif:GPSLongitude="2,17.67E"')
    header = b"http://ns.adobe.com/xap/1.0/\0"
    data = with_segments(encoded(picture()), segment(0xE1, header + packet))
    found = read_metadata(data).position
    assert found is not None
    assert found.source == "xmp"
    assert (found.latitude, found.longitude) == pytest.approx((48.8584, 2.2945))


@pytest.mark.parametrize(
    "packet",
    [
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
        '<!DOCTYPE x [<!ENTITY a "ha">]><x>&a;</x>'.encode("utf-16"),
        b"<unclosed",
        b"\xff\xfe\0\0",
        b"<a>" * 200_000,
        b"x" * 3_000_000,
    ],
)
def test_hostile_xmp_becomes_a_reason(packet: bytes) -> None:
    found = claims_of(MetadataBlocks(xmp=packet))
    assert found.positions == ()
    assert found.author is None
    assert found.rejected
    assert "root:" not in found.model_dump_json()


def test_a_very_deep_xmp_packet_costs_little() -> None:
    deep = b"<creator>" * 50_000 + b"</creator>" * 50_000
    started = time.perf_counter()
    assert claims_of(MetadataBlocks(xmp=deep)).author is None
    assert time.perf_counter() - started < 1


def test_xmp_author_is_read_from_a_list() -> None:
    packet = xmp("").replace(b"/></rdf:RDF>", b"><dc:creator><rdf:Seq><rdf:li>Ada</rdf:li>"
                             b"</rdf:Seq></dc:creator></rdf:Description></rdf:RDF>")  # fmt: skip
    assert xmp_fields(packet) == {"creator": "Ada"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("48.8584_2.2945.jpg", (48.8584, 2.2945)),
        ("48.8584,2.2945.jpg", (48.8584, 2.2945)),
        ("48.8584, -2.2945 tower.jpg", (48.8584, -2.2945)),
        ("geo:-33.8568,151.2153", (-33.8568, 151.2153)),
        ("view@51.5007,-0.1246,17z.png", (51.5007, -0.1246)),
        ("N48.8584E2.2945.jpg", (48.8584, 2.2945)),
        ("33.8568S_151.2153E.jpg", (-33.8568, 151.2153)),
        ("97.1234_2.2945.jpg", (97.1234, 2.2945)),
        ("IMG_20240101_123456.jpg", None),
        ("v1.2.3_4.5.6.jpg", None),
        ("1.5x2.5.jpg", None),
        ("paris.jpg", None),
        ("192.168.100.1234.jpg", None),
        ("DSC1.23456_2.34567.jpg", None),
        ("", None),
    ],
)
def test_positions_in_file_names(name: str, expected: tuple[float, float] | None) -> None:
    assert position_in_name(name) == expected


def test_a_name_is_read_from_a_path_even_if_not_utf_8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9 48.8584_2.2945.jpg"))
    path.write_bytes(encoded(picture()))
    found = read_metadata(path).position
    assert found is not None
    assert found.source == "file name"


def test_an_impossible_position_in_a_name_is_dropped_with_a_reason() -> None:
    found = claims_of(MetadataBlocks(), "97.1234_2.2945.jpg")
    assert found.positions == ()
    assert found.rejected[0].reason.startswith("file name: outside")


def test_claims_are_listed_exif_first() -> None:
    packet = xmp('exif:GPSLatitude="10,0.0N" exif:GPSLongitude="20,0.0E"')
    found = claims_of(MetadataBlocks(gps_exif(**PARIS), packet), "48.8584_2.2945.jpg")
    assert [one.source for one in found.positions] == ["exif", "xmp", "file name"]


@pytest.mark.parametrize(
    ("date", "offset", "expected"),
    [
        ("2024:05:06 07:08:09", None, "2024-05-06T07:08:09"),
        ("2024:05:06 07:08:09", "+02:00", "2024-05-06T07:08:09+02:00"),
        ("2024:05:06 07:08:09", "rubbish", "2024-05-06T07:08:09"),
        ("0000:00:00 00:00:00", None, None),
        ("    :  :     :  :  ", None, None),
        ("yesterday", None, None),
    ],
)
def test_the_time_taken(date: str, offset: str | None, expected: str | None) -> None:
    exif = Image.Exif()
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    detail[ExifTags.Base.DateTimeOriginal] = date
    if offset is not None:
        detail[ExifTags.Base.OffsetTimeOriginal] = offset
    assert read_metadata(encoded(picture(), exif=exif)).taken == expected


def test_texts_are_bounded_and_printable() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Canon\n\x1b[31m" + "x" * 5000
    exif[0x013B] = "‮drawkcab"
    found = claims_of(MetadataBlocks(exif=exif))
    assert found.camera_make is not None
    assert found.camera_make.isprintable()
    assert len(found.camera_make) <= 200
    assert found.author == "\\u202edrawkcab"


def test_a_photo_without_metadata_claims_nothing() -> None:
    assert read_metadata(encoded(picture())) == PhotoMetadata()


def test_what_is_no_photo_is_refused() -> None:
    with pytest.raises(InputError, match="text"):
        read_metadata(b"words")


def test_claims_survive_json() -> None:
    found = claims(GPSHPositioningError=3.0, GPSImgDirection=math.pi)
    assert PhotoMetadata.model_validate_json(found.model_dump_json()) == found


@hypothesis_settings(max_examples=150, deadline=2000)
@given(st.binary(max_size=300), st.binary(max_size=200), st.text(max_size=60))
def test_hostile_metadata_never_raises(exif: bytes, packet: bytes, name: str) -> None:
    block = with_segments(encoded(picture()), segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + exif))
    read_metadata(block, name)
    found = claims_of(MetadataBlocks(xmp=packet), name)
    assert len(found.rejected) <= 20


@hypothesis_settings(max_examples=150, deadline=2000)
@given(
    st.dictionaries(
        st.integers(0, 31),
        st.one_of(
            st.none(), st.text(max_size=9), st.binary(max_size=9), st.floats(), st.integers(),
            st.lists(st.floats(), max_size=4).map(tuple),
        ),
    )
)  # fmt: skip
def test_hostile_gps_values_never_raise(tags: dict[int, object]) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(tags)
    claims_of(MetadataBlocks(exif=exif))
