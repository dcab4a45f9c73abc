"""JSON that a client chooses freely, held to what every store of ours can keep and give back."""

import json
import math
from collections.abc import Iterable
from typing import Any

from pydantic import AfterValidator, JsonValue

MOST_JSON = 200_000
DEEPEST_JSON = 32


def check_storable(value: Any, deepest: int = DEEPEST_JSON) -> None:
    """Refuse what a store would fail on, or give back as something else.

    Args:
        value: parsed JSON.
        deepest: levels of lists and objects.

    Raises:
        ValueError: a number of more than 64 bits or none at all, a zero character, which
            PostgreSQL has no place for, or a nest that is too deep.
    """
    if deepest < 0:
        raise ValueError("nested too deep; send fewer levels")
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("text with a zero character; leave it out")
        return
    if isinstance(value, float | int):
        _check_number(value)
        return
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = (*value.keys(), *value.values())
    elif isinstance(value, list):
        parts = value
    for part in parts:
        check_storable(part, deepest - 1)


def _check_number(value: float) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN or infinity is no number in JSON; leave it out")
    # Quick parsers make floats of longer whole numbers, without a word.
    if float(value).is_integer() and not -(2**63) <= value < 2**63:
        raise ValueError("a whole number of more than 64 bits; send it as text")


def _storable(value: JsonValue) -> JsonValue:
    check_storable(value)
    if len(json.dumps(value)) > MOST_JSON:
        raise ValueError(f"more than {MOST_JSON:,} characters as JSON")
    return value


Kept = AfterValidator(_storable)
"""Of JSON that a client chooses freely."""
