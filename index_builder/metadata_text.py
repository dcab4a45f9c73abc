"""Numbers and texts as metadata writes them: rationals, XMP angles, positions in file names.

Pure functions on hostile input; each returns None where there is nothing sound to return.
"""

import math
import re
from collections.abc import Sequence
from typing import SupportsFloat
from xml.etree import ElementTree

from encoders.photo_file import printable

MAX_TEXT_LENGTH = 200
MAX_XMP_BYTES = 2_000_000

_XMP_NAMES = frozenset(
    {
        "GPSLatitude",
        "GPSLongitude",
        "GPSHPositioningError",
        "DateTimeOriginal",
        "DateCreated",
        "CreateDate",
        "Make",
        "Model",
        "creator",
        "rights",
    }
)


def plain(value: object) -> str | None:
    """Return `value` as one printable line of at most 200 characters; None where empty."""
    if value is None:
        return None
    text = value if isinstance(value, bytes | str) else repr(value)
    shown = printable(
        text.strip(b"\0 \t\r\n") if isinstance(text, bytes) else text.strip("\0 \t\r\n")
    )
    return shown or None


def number(value: object) -> float | None:
    """Return `value` (number, rational or text) as a finite float, else None."""
    found: float = math.nan
    if isinstance(value, str):
        found = _fraction(value)
    elif isinstance(value, SupportsFloat):
        try:
            found = float(value)
        except (ValueError, ArithmeticError):
            return None
    return found if math.isfinite(found) else None


def _fraction(text: str) -> float:
    """Return a decimal or `numerator/denominator` text as a float; NaN where it is neither."""
    if match := re.fullmatch(r"\s*([-+]?\d{1,12})/(\d{1,12})\s*", text):
        return int(match[1]) / int(match[2]) if int(match[2]) else math.nan
    return float(text) if re.fullmatch(r"\s*[-+]?\d{1,12}(\.\d{0,15})?\s*", text) else math.nan


def sexagesimal(value: object) -> float | None:
    """Return unsigned degrees of up to three rationals (degrees, minutes, seconds).

    Zero denominators make a part unusable: in degrees the whole is None; seconds written as
    0/0 by some cameras count as zero.
    """
    parts = (
        value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)
    )
    if not 1 <= len(parts) <= 3:
        return None
    numbers = [number(part) for part in parts]
    if len(numbers) == 3 and numbers[2] is None:
        numbers[2] = 0.0
    if any(part is None or part < 0 for part in numbers):
        return None
    if any(part is not None and part >= 60.0005 for part in numbers[1:]):
        return None
    scales = (1.0, 60.0, 3600.0)
    return sum((part or 0.0) / scale for part, scale in zip(numbers, scales, strict=False))


def in_range(latitude: float, longitude: float) -> bool:
    """Tell whether degrees are a position on Earth."""
    return -90 <= latitude <= 90 and -180 <= longitude <= 180


def is_placeholder(latitude: float, longitude: float) -> bool:
    """Tell whether this is the (0, 0) that devices write when they know nothing."""
    return abs(latitude) < 1e-6 and abs(longitude) < 1e-6


_XMP_ANGLE = re.compile(
    r"\s*(\d{1,3}),(\d{1,2}(?:\.\d{1,12})?)(?:,(\d{1,2}(?:\.\d{1,12})?))?\s*([NSEW])\s*"
)


def xmp_angle(text: str | None, letters: str) -> float | None:
    """Return signed degrees of `DDD,MM.mmmmK` or `DDD,MM,SSK`, K one of two `letters`.

    Also takes the plain signed decimal degrees that some programs write instead.
    """
    if text is None:
        return None
    match = _XMP_ANGLE.fullmatch(text)
    if match is None:
        return number(text) if re.fullmatch(r"\s*[-+]?\d{1,3}\.\d{1,15}\s*", text) else None
    if match[4] not in letters or float(match[2]) >= 60 or float(match[3] or 0) >= 60:
        return None
    degrees = int(match[1]) + float(match[2]) / 60 + float(match[3] or 0) / 3600
    return -degrees if match[4] == letters[1] else degrees


def xmp_fields(packet: bytes) -> dict[str, str]:
    """Return the few XMP properties we use, by local name; the first of each wins.

    A packet with a document type or entity declaration is refused before parsing, so neither
    external entities nor entity expansion can happen.

    Raises:
        ValueError: oversized, declares entities, or is not XML.
    """
    packet = packet.strip(b"\0 \t\r\n")
    if not packet:
        return {}
    if len(packet) > MAX_XMP_BYTES:
        raise ValueError(f"{len(packet):,} bytes, limit {MAX_XMP_BYTES:,}")
    text = packet.decode("utf-8", "replace")
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise ValueError("declares a document type or entities")
    text = re.sub(r"<\?.*?\?>", "", text, flags=re.DOTALL).strip("\ufeff \0\t\r\n")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  declarations were refused above
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    return _collect(root)


def _collect(root: ElementTree.Element) -> dict[str, str]:
    found: dict[str, str] = {}
    wanted = set(_XMP_NAMES)
    for element in root.iter():
        for key, value in element.attrib.items():
            _keep(found, _local(key), value)
        if (name := _local(element.tag)) in wanted:
            wanted.remove(name)  # once each: the text of nested namesakes would cost their square
            _keep(found, name, " ".join(part.strip() for part in element.itertext()))
    return found


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _keep(found: dict[str, str], name: str, value: str) -> None:
    if name in _XMP_NAMES and value.strip():
        found.setdefault(name, printable(value.strip()))


_DECIMAL = r"[-+]?\d{1,3}\.\d{3,15}"
_NAME_FORMS = (
    # geo:48.8584,2.2945 (RFC 5870), and @48.8584,2.2945 as map links have it
    re.compile(rf"(?:geo[:_]|@)({_DECIMAL})[,_ ]({_DECIMAL})(?![\d.]*\d)"),
    # 48.8584_2.2945, 48.8584, 2.2945
    re.compile(rf"(?<![\d.\w-])({_DECIMAL})(?:, ?|[_ ])({_DECIMAL})(?!\d)"),
)
_LETTERED = re.compile(
    r"(?<![a-zA-Z\d])(?:([NS])(\d{1,2}\.\d{3,15})[,_ ]?([EW])(\d{1,3}\.\d{3,15})"
    r"|(\d{1,2}\.\d{3,15})([NS])[,_ ]?(\d{1,3}\.\d{3,15})([EW]))(?![a-zA-Z\d])"
)


def position_in_name(name: str) -> tuple[float, float] | None:
    """Return the (latitude, longitude) that a file name spells out, unchecked, or None.

    Only forms that little else looks like: two decimals with three or more digits after the
    point, side by side, or with hemisphere letters. Names of places are not positions.
    """
    if match := _LETTERED.search(name):
        first = match[1] is not None
        ns, lat, ew, lon = match.group(1, 2, 3, 4) if first else match.group(6, 5, 8, 7)
        return float(lat) * (-1 if ns == "S" else 1), float(lon) * (-1 if ew == "W" else 1)
    for form in _NAME_FORMS:
        if match := form.search(name):
            return float(match[1]), float(match[2])
    return None
