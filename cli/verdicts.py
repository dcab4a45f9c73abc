"""Verdicts of analysts as they are typed."""

import re

from agent.session_records import Assessment
from encoders.photo_file import printable
from geo.coordinate import Coordinate
from geo.errors import InputError

VERDICTS = ("right", "near", "wrong", "unknown")
MOST_NOTES = 10_000
_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_PAIR = re.compile(rf"({_NUMBER})(?:\s*,\s*|\s+)({_NUMBER})(?=[\s,;]|$)")


def place_in(text: str) -> tuple[tuple[float, float] | None, str]:
    """Return a coordinate that a text begins with, if any, and the rest of it.

    Raises:
        InputError: the coordinate is off the globe.
    """
    found = _PAIR.match(text.strip())
    if found is None:
        return None, text.strip()
    place = Coordinate.parse(f"{found[1]}, {found[2]}")
    return (place.latitude, place.longitude), text.strip()[found.end() :].strip(" ,;")


def assessment(
    word: str,
    revision: int,
    place: tuple[float, float] | None = None,
    notes: str = "",
    by: str = "",
) -> Assessment:
    """Return a verdict for the records.

    Args:
        word: one of `VERDICTS`.
        revision: of the answer that is judged.
        place: latitude, longitude where the photo was taken, if it is known.
        notes: free text.
        by: who judges.

    Raises:
        InputError: there is no such verdict, or a text is too long.
    """
    if word not in VERDICTS:
        raise InputError(
            f"verdict {printable(word, 40)!r}; give one of {', '.join(VERDICTS)}, then LAT, LON "
            "if you know, then notes"
        )
    for name, text, most in (("notes", notes, MOST_NOTES), ("the judge's name", by, 200)):
        if len(text) > most:
            raise InputError(f"{name}: {len(text):,} characters, limit {most:,}; shorten it")
    latitude, longitude = place or (None, None)
    return Assessment.model_validate(
        {"verdict": word, "revision": revision, "latitude": latitude, "longitude": longitude,
         "notes": notes, "by": by}
    )  # fmt: skip
