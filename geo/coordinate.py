"""One coordinate: validation, parsing of what people write or paste, formatting.

`Coordinate.parse` reads decimal pairs, degrees-minutes-seconds, `geo:` URIs and map links. It
never guesses: text with more than one reading, or with anything left over, is an InputError.
`geo.angles` knows the notation of angles, `geo.links` that of links.
"""

import math
from dataclasses import dataclass
from typing import Self

from geo.angles import parse_pair
from geo.errors import InputError
from geo.links import is_link, parse_link

MAXIMUM_TEXT = 300
MAXIMUM_LINK = 4_000
"""Characters `Coordinate.parse` accepts; map links with places in them reach about 1,500."""


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A point on Earth, degrees WGS84, latitude first.

    Longitude is brought into [-180, 180). InputError for NaN, infinity, |latitude| > 90, or
    what is not a number.
    """

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        latitude = _number("latitude", self.latitude)
        longitude = _number("longitude", self.longitude)
        if abs(latitude) > 90:
            swapped = " (are latitude and longitude swapped?)" if abs(longitude) <= 90 else ""
            raise InputError(
                f"latitude {self.latitude!r} is outside -90..90 degrees: check it{swapped}"
            )
        object.__setattr__(self, "latitude", latitude)
        object.__setattr__(self, "longitude", _wrapped(longitude))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the coordinate that `text` states.

        Understood: `48.8584, 2.2945`; `48,8584; 2,2945`; `48.8584 N 2.2945 E`; `33°51'25"S
        151°12'55"E` in most glyphs and spellings; `lat: 48.8584, lon: 2.2945`; `geo:` URIs
        (RFC 5870); links of Google Maps, OpenStreetMap, Apple Maps and Bing Maps. Longitudes
        from 180 to 360 are read as degrees east. Raises InputError for everything else.
        """
        text = text.strip()
        read, limit = (parse_link, MAXIMUM_LINK) if is_link(text) else (parse_pair, MAXIMUM_TEXT)
        if len(text) > limit:
            raise InputError(
                f"coordinate {text[:40]!r}... has {len(text):,} characters: give at most {limit:,}"
            )
        return cls(*read(text))

    def decimal(self, digits: int = 6) -> str:
        """Return `48.858400, 2.294500`; 6 digits are 0.1 m."""
        return f"{self.latitude:.{digits}f}, {self.longitude:.{digits}f}"

    def dms(self) -> str:
        """Return `48°51'30.2"N 2°17'40.2"E`: degrees, minutes, seconds to 0.1 (3 m)."""
        return f"{_dms(self.latitude, 'NS')} {_dms(self.longitude, 'EW')}"

    def geo_uri(self, uncertainty_m: float | None = None) -> str:
        """Return `geo:48.8584,2.2945`, with `;u=` metres of uncertainty if given (RFC 5870)."""
        if uncertainty_m is not None and not 0 <= uncertainty_m < math.inf:
            raise InputError(f"uncertainty {uncertainty_m!r} m: give 0 or more metres")
        # All longitudes of a pole are one place; RFC 5870 section 3.4.4 asks for 0.
        longitude = 0.0 if abs(self.latitude) == 90 else self.longitude
        uncertainty = "" if uncertainty_m is None else f";u={_shortest(uncertainty_m)}"
        return f"geo:{_shortest(self.latitude)},{_shortest(longitude)}{uncertainty}"


def _number(name: str, value: float) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value.__float__())
    except (AttributeError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} {value!r:.40} is not a finite number: give decimal degrees")
    return number + 0.0  # turns -0.0 into 0.0


def _wrapped(longitude: float) -> float:
    if -180 <= longitude < 180:
        return longitude
    wrapped = math.fmod(longitude + 180, 360)
    wrapped = (wrapped + 360 if wrapped < 0 else wrapped) - 180
    return -180.0 if wrapped >= 180 else wrapped


def _dms(degrees: float, hemispheres: str) -> str:
    tenths = round(abs(degrees) * 36_000)  # carries 59.96 seconds into the next minute
    whole, rest = divmod(tenths, 36_000)
    minutes, tenths = divmod(rest, 600)
    return f"{whole}°{minutes:02d}'{tenths / 10:04.1f}\"{hemispheres[degrees < 0]}"


def _shortest(value: float) -> str:
    return f"{round(value, 7) + 0.0:.7f}".rstrip("0").rstrip(".")
