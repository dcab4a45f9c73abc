"""What a photo claims about itself: position, time, camera, author. Claims, never findings.

Everything read here was written by whoever made the file. It is kept apart from what is
inferred from pixels, every oddity becomes a reason instead of an error, and texts come out
bounded and printable.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from PIL import ExifTags, Image
from pydantic import BaseModel, ConfigDict, Field

from encoders.photo_file import file_name, printable
from encoders.pixels import BROKEN_FILE, MetadataBlocks, quiet, read_blocks
from index_builder.metadata_text import (
    in_range,
    is_placeholder,
    number,
    plain,
    position_in_name,
    sexagesimal,
    xmp_angle,
    xmp_fields,
)

ClaimSource = Literal["exif", "xmp", "file name"]
Found = TypeVar("Found")

_METRES_PER_DOP = 5.0
"""Position error of a consumer receiver under open sky at a dilution of precision of one."""
_MAX_ACCURACY_M = 1_000_000.0
_MAX_REJECTED = 20


class _Claim(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class ClaimedPosition(_Claim):
    """A position that the file states."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    source: ClaimSource
    accuracy_m: Annotated[float, Field(gt=0)] | None = None
    """Horizontal error that the receiver states, in metres; None where it states none."""
    altitude_m: float | None = None
    """Above sea level, in metres."""
    heading_deg: Annotated[float, Field(ge=0, lt=360)] | None = None
    """Direction the camera looked, clockwise from north."""


class RejectedClaim(_Claim):
    """A claim that was dropped, and why."""

    value: str
    reason: str


class PhotoMetadata(_Claim):
    """Everything a photo claims about itself; texts are quoted data, at most 200 characters."""

    positions: tuple[ClaimedPosition, ...] = ()
    """Every usable position: EXIF first, then XMP, then the file name."""
    taken: str | None = None
    """Local time of exposure, ISO 8601, with its UTC offset where the file states one."""
    camera_make: str | None = None
    camera_model: str | None = None
    author: str | None = None
    copyright: str | None = None
    rejected: tuple[RejectedClaim, ...] = ()

    @property
    def position(self) -> ClaimedPosition | None:
        """The position to speak of: the first of `positions`."""
        return self.positions[0] if self.positions else None


class _Rejections:
    """Collects what was dropped; whatever breaks while reading a claim becomes a reason."""

    def __init__(self) -> None:
        self.found: list[RejectedClaim] = []

    def add(self, value: object, reason: str) -> None:
        if len(self.found) < _MAX_REJECTED:
            self.found.append(RejectedClaim(value=plain(value) or "", reason=reason))

    def attempt(self, what: str, read: Callable[[], Found | None]) -> Found | None:
        try:
            return read()
        except BROKEN_FILE as error:
            self.add(what, f"unreadable: {printable(str(error), 120)}")
            return None


def read_metadata(source: Path | bytes, name: str | None = None) -> PhotoMetadata:
    """Return what a photo claims about itself, from its header.

    Args:
        source: path of a photo, or its bytes.
        name: file name to look for a position in; by default that of the path.

    Raises:
        InputError: the photo itself cannot be opened. Its metadata never raises.
    """
    if name is None:
        name = "" if isinstance(source, bytes) else file_name(source)
    return claims_of(read_blocks(source), name)


def claims_of(blocks: MetadataBlocks, name: str = "") -> PhotoMetadata:
    """Return the claims in the metadata blocks of an opened photo and in its file name."""
    rejections = _Rejections()
    with quiet():
        main = rejections.attempt("EXIF", lambda: dict(blocks.exif)) or {}
        detail = _directory(blocks.exif, ExifTags.IFD.Exif, rejections)
        gps = _directory(blocks.exif, ExifTags.IFD.GPSInfo, rejections)
        xmp = rejections.attempt("XMP", lambda: xmp_fields(blocks.xmp)) or {}
        positions = (
            rejections.attempt("EXIF position", lambda: _exif_position(gps, rejections)),
            rejections.attempt("XMP position", lambda: _xmp_position(xmp, rejections)),
            rejections.attempt("file name", lambda: _name_position(name, rejections)),
        )
        texts = {
            "camera_make": plain(main.get(ExifTags.Base.Make) or xmp.get("Make")),
            "camera_model": plain(main.get(ExifTags.Base.Model) or xmp.get("Model")),
            "author": plain(main.get(ExifTags.Base.Artist) or xmp.get("creator")),
            "copyright": plain(main.get(ExifTags.Base.Copyright) or xmp.get("rights")),
        }
        taken = rejections.attempt("date", lambda: _taken(main, detail, xmp, rejections))
    return PhotoMetadata(
        positions=tuple(position for position in positions if position is not None),
        taken=taken,
        rejected=tuple(rejections.found),
        **texts,
    )


def _directory(exif: Image.Exif, which: int, rejections: _Rejections) -> Mapping[int, object]:
    found = rejections.attempt(f"EXIF directory {which:#x}", lambda: exif.get_ifd(which))
    return found if isinstance(found, dict) else {}


def _checked_position(
    latitude: float | None,
    longitude: float | None,
    shown: str,
    source: ClaimSource,
    rejections: _Rejections,
    **details: float | None,
) -> ClaimedPosition | None:
    if latitude is None or longitude is None:
        rejections.add(shown, f"{source}: the position is not two finite numbers")
    elif not in_range(latitude, longitude):
        rejections.add(shown, f"{source}: outside latitude -90..90, longitude -180..180")
    elif is_placeholder(latitude, longitude):
        rejections.add(shown, f"{source}: 0, 0 is what devices write without a fix")
    else:
        return ClaimedPosition(latitude=latitude, longitude=longitude, source=source, **details)
    return None


def _exif_position(gps: Mapping[int, object], rejections: _Rejections) -> ClaimedPosition | None:
    """Read the GPS directory of EXIF (CIPA DC-008-2024, section 4.6.6)."""
    tags = ExifTags.GPS
    raw = (gps.get(tags.GPSLatitude), gps.get(tags.GPSLongitude))
    if raw == (None, None):
        return None
    shown = ", ".join(f"{plain(value)}" for value in raw)
    if plain(gps.get(tags.GPSStatus)) == "V":
        rejections.add(shown, "exif: the receiver marked its fix void")
        return None
    latitude = _signed(raw[0], gps.get(tags.GPSLatitudeRef), "N", "S")
    longitude = _signed(raw[1], gps.get(tags.GPSLongitudeRef), "E", "W")
    if latitude is None or longitude is None:
        reason = "exif: a degree, minute or hemisphere is missing or not a finite number"
        rejections.add(shown, reason)
        return None
    return _checked_position(
        latitude,
        longitude,
        shown,
        "exif",
        rejections,
        accuracy_m=_accuracy(gps),
        altitude_m=_altitude(gps),
        heading_deg=_heading(gps),
    )


def _signed(value: object, reference: object, positive: str, negative: str) -> float | None:
    """Return signed degrees; None without a hemisphere letter, for a guess may be 180° off."""
    degrees = sexagesimal(value)
    letter = (plain(reference) or "")[:1].upper()
    if degrees is None or letter not in (positive, negative):
        return None
    return -degrees if letter == negative else degrees


def _accuracy(gps: Mapping[int, object]) -> float | None:
    stated = number(gps.get(ExifTags.GPS.GPSHPositioningError))
    if stated is None and (dop := number(gps.get(ExifTags.GPS.GPSDOP))) is not None:
        stated = dop * _METRES_PER_DOP
    return stated if stated is not None and 0 < stated <= _MAX_ACCURACY_M else None


def _altitude(gps: Mapping[int, object]) -> float | None:
    altitude = number(gps.get(ExifTags.GPS.GPSAltitude))
    below = gps.get(ExifTags.GPS.GPSAltitudeRef) in (1, b"\x01", 3, b"\x03")
    return None if altitude is None else -altitude if below else altitude


def _heading(gps: Mapping[int, object]) -> float | None:
    heading = number(gps.get(ExifTags.GPS.GPSImgDirection))
    return heading % 360 if heading is not None and 0 <= heading <= 360 else None


def _xmp_position(xmp: Mapping[str, str], rejections: _Rejections) -> ClaimedPosition | None:
    """Read `exif:GPSLatitude="48,51.504N"` (XMP specification part 2, GPSCoordinate)."""
    raw = (xmp.get("GPSLatitude"), xmp.get("GPSLongitude"))
    if raw == (None, None):
        return None
    shown = f"{raw[0]}, {raw[1]}"
    latitude, longitude = xmp_angle(raw[0], "NS"), xmp_angle(raw[1], "EW")
    error_m = number(xmp.get("GPSHPositioningError"))
    if error_m is not None and not 0 < error_m <= _MAX_ACCURACY_M:
        error_m = None
    return _checked_position(latitude, longitude, shown, "xmp", rejections, accuracy_m=error_m)


def _name_position(name: str, rejections: _Rejections) -> ClaimedPosition | None:
    found = position_in_name(name)
    return found and _checked_position(*found, name, "file name", rejections)


def _taken(
    main: Mapping[int, object],
    detail: Mapping[int, object],
    xmp: Mapping[str, str],
    rejections: _Rejections,
) -> str | None:
    """Return the exposure time as ISO 8601; EXIF keeps the offset from UTC apart."""
    tags = ExifTags.Base
    raw = plain(detail.get(tags.DateTimeOriginal) or detail.get(tags.DateTimeDigitized))
    offset = plain(detail.get(tags.OffsetTimeOriginal) or detail.get(tags.OffsetTime)) or ""
    raw = raw or plain(main.get(tags.DateTime)) or plain(xmp.get("DateTimeOriginal"))
    raw = raw or plain(xmp.get("DateCreated")) or plain(xmp.get("CreateDate"))
    if raw is None or not raw.strip(" :0-"):
        return None
    day, _, clock = raw.replace("T", " ").partition(" ")
    text = f"{day.replace(':', '-')}T{clock or '00:00:00'}"
    for candidate in (text + offset, text):
        try:
            return datetime.fromisoformat(candidate).isoformat()
        except ValueError:
            continue
    rejections.add(raw, "the date is not one")
    return None
