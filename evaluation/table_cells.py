"""What a cell of a table says: a number, a degree, nothing, or something else."""

from typing import NamedTuple

MISSING = ("", "nan", "null", "none")
"""Written for no value; in lower case."""
TOO_FAR_NORTH = "latitude outside -90..90 degrees"


class Unanswered(NamedTuple):
    """Why a photo has no answer, and what stands there instead of one."""

    reason: str
    value: str = ""


def position(latitude: str, longitude: str) -> tuple[float, float] | Unanswered:
    """Return degrees as two cells state them, or what is wrong with them.

    Longitudes go to 360 on either side: some count them eastward alone.
    """
    north, east = _degrees("latitude", latitude, 90.0), _degrees("longitude", longitude, 360.0)
    if isinstance(north, Unanswered):
        turned = _degrees("longitude", latitude, 360.0), _degrees("latitude", longitude, 90.0)
        if north.reason == TOO_FAR_NORTH and not any(isinstance(t, Unanswered) for t in turned):
            return north._replace(reason=f"{TOO_FAR_NORTH}, swapped with the longitude?")
        return north
    return east if isinstance(east, Unanswered) else (north, east)


def _degrees(name: str, text: str, limit: float) -> float | Unanswered:
    if is_missing(text):
        return Unanswered(f"{name} is missing", text)
    value = number(text)
    if value is None:
        return Unanswered(f"{name} is no number", text)
    if not abs(value) <= limit:
        return Unanswered(f"{name} outside -{limit:.0f}..{limit:.0f} degrees", text)
    return value


def is_missing(text: str) -> bool:
    """Say whether a cell holds no value: it is blank, or a program wrote so."""
    return text.lower() in MISSING


def number(text: str) -> float | None:
    """Return the number that a cell states; Python's own `1_000` is none."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None
