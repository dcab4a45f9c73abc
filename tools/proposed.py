"""Coordinates as a model proposes them: what is a place, which are one place, what was dropped.

Whatever is no place is dropped with its reason, never replaced. One place has one key, however
it is written: a turn of longitude further, at 180 or at -180, or a pole at any longitude.
"""

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from encoders.photo_file import printable
from tools.arguments import PLAIN
from tools.evidence import Rejection

SAME_DIGITS = 5
"""Coordinates closer than 1e-5 degree, a metre, are one candidate."""
LIMITS = (("latitude", 90), ("longitude", 540))
"""Degrees: a longitude may be one turn off, as some programs write it."""
NO_POSITION = "0, 0 is how a missing position is written"

Loose = Annotated[
    JsonValue, WithJsonSchema({"type": "number", "description": "Decimal degrees, WGS84."})
]
"""Taken as it comes: what is no number drops one candidate, not the whole call."""


def _one_line(label: object) -> object:
    """Escape control characters of a label: it says what to call a place, and decides nothing."""
    plain = isinstance(label, str) and not label.isprintable()
    return printable(str(label), 200) if plain else label


class ProposedPlace(BaseModel):
    """One coordinate given to `verify_locations`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    latitude: Loose
    longitude: Loose
    label: Annotated[str, BeforeValidator(_one_line)] = Field(
        default="", max_length=200, pattern=PLAIN, description="What to call it."
    )


def place_key(latitude: float, longitude: float) -> tuple[float, float]:
    """Return latitude and longitude by which one place is known, however it is written.

    Rounded to a metre, the longitude in [-180, 180), and 0 at a pole.
    """
    from geo.sphere import wrap_longitude

    north = round(float(latitude), SAME_DIGITS) + 0.0
    if abs(north) == 90:
        return north, 0.0
    # Rounded before and after it is wrapped, so that both sides of longitude 180 are one; adding
    # zero makes -0.0 the same key as 0.0.
    turned = float(wrap_longitude(round(float(longitude), SAME_DIGITS)))
    return north, round(turned, SAME_DIGITS) + 0.0


def distinct_places(
    candidates: Sequence[ProposedPlace],
) -> tuple[dict[tuple[float, float], str], list[Rejection]]:
    """Return the label of each distinct place among candidates, and why others were dropped.

    Longitudes come out in [-180, 180); a place named twice keeps the first label in the alphabet.
    """
    labels: dict[tuple[float, float], str] = {}
    rejected: dict[tuple[str, str], Rejection] = {}
    for one in candidates:
        place = read_place(one.latitude, one.longitude)
        if isinstance(place, str):
            value = f"{one.label!r} {_written(one.latitude)}, {_written(one.longitude)}"
            rejected[value, place] = Rejection(value=value, reason=place)
        else:
            held = labels.get(place, one.label)
            labels[place] = min(filter(None, (held, one.label)), default="")
    return labels, [rejected[key] for key in sorted(rejected)]


def read_place(latitude: JsonValue, longitude: JsonValue) -> tuple[float, float] | str:
    """Return the key of a coordinate, or why it is none."""
    for (name, limit), value in zip(LIMITS, (latitude, longitude), strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{name} is no number"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name} is not finite"
        if abs(value) > limit:
            return f"{name} is outside -{limit} to {limit} degrees"
    assert isinstance(latitude, int | float)
    assert isinstance(longitude, int | float)
    place = place_key(latitude, longitude)
    return NO_POSITION if place == (0, 0) else place


def told(candidates: Sequence[ProposedPlace], compared: int, left_out: int) -> str:
    """Return how many of the candidates given were compared, repeated and dropped; all add up.

    Args:
        candidates: as given.
        compared: distinct places that were compared.
        left_out: distinct places that were not, though they are places.
    """
    invalid = sum(isinstance(read_place(one.latitude, one.longitude), str) for one in candidates)
    dropped = invalid + left_out
    repeated = len(candidates) - compared - dropped
    counts = f"{compared} compared, {repeated} repeated, {dropped} dropped"
    return f"Of {len(candidates)} given: {counts}."


def _written(value: JsonValue) -> str:
    """Return what was given as text; Python writes no integer of thousands of digits."""
    if isinstance(value, int) and abs(value) > 1_000_000:
        return f"a number of {value.bit_length()} bits"
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else repr(value)[:60]
