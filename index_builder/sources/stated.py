"""What a row, a JSON file or a photo's own header states of where it was taken.

A statement is a valid position, none at all, or a reason why it cannot be: nothing is guessed
from half a statement, and a position refused is never replaced by another one.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

from geo.errors import InputError
from index_builder.positions import (
    POSITION_COLUMNS,
    Position,
    check_position,
    position_of,
    texts_of,
)


def stated_cells(given: Mapping[str, object]) -> dict[str, str]:
    """Return what is stated under any of the names of `POSITION_COLUMNS`, as text.

    Names are compared without regard to case; nulls and empty texts are not statements, nor is
    a float that is not a number, except where it stands for a coordinate.
    """
    by_name = {str(name).strip().lower(): value for name, value in given.items()}
    cells: dict[str, str] = {}
    for column, names in POSITION_COLUMNS.items():
        for name in names:
            value = by_name.get(name)
            if isinstance(value, float) and math.isnan(value) and column not in _COORDINATE:
                continue
            if text := _text(value):
                cells[column] = text
                break
    return cells


def stated_position(given: Mapping[str, object]) -> Position | None:
    """Return the position that a row or an object states, or None where it states none.

    Raises:
        InputError: it states half a position, or one that cannot be.
    """
    cells = stated_cells(given)
    stated = [column for column in _COORDINATE if column in cells]
    if not stated:
        return None
    if len(stated) == 1:
        raise InputError(f"{stated[0]} without the other coordinate; state both")
    return position_of(cells)


def claimed_position(data: bytes, given: Mapping[str, object]) -> Position | None:
    """Return the position that a photo's header claims, or None where it claims none.

    Args:
        data: the photo's bytes; only its header is read.
        given: what else is stated of the photo: author, licence and the like come from there,
            and from the header where nothing is stated.

    Raises:
        InputError: no photo, or it claims a position that cannot be.
    """
    from index_builder.metadata import read_metadata

    claims = read_metadata(data, name="")
    if claims.position is None:
        if claims.rejected:
            raise InputError(f"position in its metadata refused: {claims.rejected[0].reason}")
        return None
    claimed = claims.position
    check_position(claimed.latitude, claimed.longitude)
    accuracy_km = claimed.accuracy_m / 1000 if claimed.accuracy_m else None
    own = Position(
        claimed.latitude,
        claimed.longitude,
        accuracy_km,
        author=claims.author or "",
        date=claims.taken or "",
    )
    texts = texts_of(stated_cells(given))
    return replace(
        own,
        author=texts.get("author") or own.author,
        date=texts.get("date") or own.date,
        licence=texts.get("licence", ""),
        source=texts.get("source", ""),
        country=texts.get("country", ""),
        region=texts.get("region", ""),
        city=texts.get("city", ""),
    )


_COORDINATE = ("latitude", "longitude")


def _text(value: object) -> str:
    """Return a plain value as text; lists and objects are no statement of ours."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return ""
    try:
        return str(value).strip()
    except ValueError:  # an integer of thousands of digits
        return "a number beyond all limits"
