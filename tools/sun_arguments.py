"""What `check_sun` takes: a time, what was measured of the sun, and a place; read and refused."""

import math
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from tools.evidence import Latitude, Longitude, ToolError
from tools.sun_band import Span
from tools.sun_sky import DAY_S, Seen

FIRST_YEAR, LAST_YEAR = 1826, 2100
"""From the first photograph on, and as far as the formulas reach."""
LONGEST_DAYS = 366
TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?$"


class SunArguments(BaseModel):
    """Arguments of `check_sun`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    start: str = Field(
        description="Date and time, ISO 8601 with the offset from UTC: 2024-06-21T14:30+02:00 or "
        "2024-06-21T12:30Z. With local=true the clock of the place, without an offset.",
        pattern=TIME,
        min_length=16,
        max_length=25,
    )
    end: str | None = Field(
        default=None,
        description="End of the span of time, same form, at most 366 days later; leave out for "
        "one instant",
        pattern=TIME,
        min_length=16,
        max_length=25,
    )
    local: bool = Field(
        default=False,
        description="The times are those of the place's own clock, daylight saving included, and "
        "its zone is not known",
    )
    elevation_deg: float | None = Field(
        default=None, description="Height of the sun over the horizon, degrees", ge=0, le=90
    )
    length_ratio: float | None = Field(
        default=None,
        description="Height of an upright object divided by the length of its shadow on level "
        "ground; in place of elevation_deg",
        ge=0.01,
        le=100,
    )
    elevation_tolerance_deg: float = Field(
        default=3.0, description="How far the height may be off, degrees", ge=0.5, le=45
    )
    sun_azimuth_deg: float | None = Field(
        default=None,
        description="Direction towards the sun, degrees clockwise from true north",
        ge=0,
        le=360,
    )
    shadow_bearing_deg: float | None = Field(
        default=None,
        description="Direction into which shadows fall, degrees clockwise from true north; in "
        "place of sun_azimuth_deg",
        ge=0,
        le=360,
    )
    bearing_tolerance_deg: float = Field(
        default=10.0, description="How far the direction may be off, degrees", ge=1, le=90
    )
    at_latitude: Latitude | None = Field(
        default=None, description="A place to check, degrees north; with at_longitude"
    )
    at_longitude: Longitude | None = Field(
        default=None, description="A place to check, degrees east; with at_latitude"
    )


def span_of(asked: SunArguments) -> Span:
    """Return when it was.

    Raises:
        ToolError: a time that does not exist, with or without an offset against `local`, years
            out of reach, an end before the start, or more than 366 days.
    """
    start = _seconds("start", asked.start, asked.local)
    end = start if asked.end is None else _seconds("end", asked.end, asked.local)
    if end < start:
        raise ToolError(f"end {asked.end} is before start {asked.start}; swap them")
    if end - start > LONGEST_DAYS * DAY_S:
        raise ToolError(
            f"{(end - start) / DAY_S:.0f} days from start to end, limit {LONGEST_DAYS}; over a "
            "year every height of the sun comes back, shorten the span"
        )
    return Span(start, end, asked.local)


def _seconds(name: str, text: str, local: bool) -> float:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ToolError(f"{name} {text!r} is no date and time: {error}; correct it") from None
    if not FIRST_YEAR <= when.year <= LAST_YEAR:
        raise ToolError(f"{name} {text!r}: years {FIRST_YEAR} to {LAST_YEAR} can be computed")
    if local and when.tzinfo:
        raise ToolError(f"{name} {text!r} has an offset and local is true; leave one of them out")
    if not local and not when.tzinfo:
        raise ToolError(
            f"{name} {text!r} lacks its offset from UTC, such as Z or +02:00; add it, or set "
            "local to true for the clock of an unknown place"
        )
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp()


def seen_of(asked: SunArguments) -> Seen | None:
    """Return what was measured, or None where nothing was.

    Raises:
        ToolError: one thing was given in two ways.
    """
    if asked.elevation_deg is not None and asked.length_ratio is not None:
        raise ToolError("elevation_deg and length_ratio say the same; give one of them")
    if asked.sun_azimuth_deg is not None and asked.shadow_bearing_deg is not None:
        raise ToolError("sun_azimuth_deg and shadow_bearing_deg say the same; give one of them")
    height, towards = asked.elevation_deg, asked.sun_azimuth_deg
    if asked.length_ratio is not None:
        height = math.degrees(math.atan(asked.length_ratio))
    if asked.shadow_bearing_deg is not None:
        towards = (asked.shadow_bearing_deg + 180) % 360
    if height is None and towards is None:
        return None
    low, high = 0.0, 90.0
    if height is not None:
        low = max(0.0, height - asked.elevation_tolerance_deg)
        high = min(90.0, height + asked.elevation_tolerance_deg)
    return Seen(low, high, towards, asked.bearing_tolerance_deg if towards is not None else 0.0)


def place_of(asked: SunArguments) -> tuple[float, float] | None:
    """Return latitude and longitude of the place to check, or None where none was given.

    Raises:
        ToolError: half of it was given.
    """
    if (asked.at_latitude is None) != (asked.at_longitude is None):
        raise ToolError("one of at_latitude and at_longitude is missing; give both or none")
    if asked.at_latitude is None or asked.at_longitude is None:
        return None
    return asked.at_latitude, asked.at_longitude


def measured_text(asked: SunArguments, seen: Seen) -> str:
    """Return what was measured, in words."""
    parts = []
    if asked.elevation_deg is not None or asked.length_ratio is not None:
        parts.append(f"{seen.lowest_deg:.1f} to {seen.highest_deg:.1f} degrees high")
    if seen.azimuth_deg is not None:
        parts.append(f"towards {seen.azimuth_deg % 360:.1f} +- {seen.within_deg:g} degrees")
    return f"Sun {', '.join(parts)}"


def when_text(asked: SunArguments) -> str:
    """Return when it was, in words."""
    span = asked.start if asked.end is None else f"{asked.start} to {asked.end}"
    return f"{span} by the clock of the place" if asked.local else span
