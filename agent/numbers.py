"""Numbers that came as text, where the text has one reading as the field that it was given for."""

import re
from collections.abc import Mapping
from typing import Any

from geo.coordinate import Coordinate
from geo.errors import InputError

_PLAIN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_CONTINENTAL = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+")
_UNITS = {
    "km": ("kilometers", "kilometres", "kilometer", "kilometre", "km"),
    "m": ("meters", "metres", "meter", "metre", "m"),
    "px": ("pixels", "pixel", "px"),
    "s": ("seconds", "second", "sec", "s"),
    "deg": ("degrees", "degree", "deg", "°"),
}


def read_number(text: str, name: str, schema: Mapping[str, Any]) -> float | None:
    """Return the number that a text states; None where it states none, or perhaps another.

    Args:
        text: `48.85`, `48,85`, `20,015.5`, `1.234,5`; `25 km` for a field in that unit.
        name: the field; its last word is its unit.
        schema: bounds that choose between the readings of `1,234`.
    """
    bare = _without_unit(text.strip().strip("'\"").replace("−", "-"), name)
    if _PLAIN.fullmatch(bare) and len(bare) < 40:
        whole = re.fullmatch(r"[+-]?\d+", bare)
        return int(bare) if whole else float(bare)
    readings = set[float]()
    if _COMMA.fullmatch(bare):
        readings.add(float(bare.replace(",", ".")))
    if _THOUSANDS.fullmatch(bare):
        readings.add(float(bare.replace(",", "")))
    if _CONTINENTAL.fullmatch(bare):
        readings.add(float(bare.replace(".", "").replace(",", ".")))
    possible = [reading for reading in readings if _within(reading, schema)]
    return possible[0] if len(possible) == 1 else None


def _without_unit(text: str, name: str) -> str:
    for unit in _UNITS.get(name.rpartition("_")[2], ()):
        if text.lower().endswith(unit):
            return text[: -len(unit)].strip()
    return text


def _within(number: float, schema: Mapping[str, Any]) -> bool:
    least = schema.get("minimum", schema.get("exclusiveMinimum", number))
    most = schema.get("maximum", schema.get("exclusiveMaximum", number))
    return bool(least <= number <= most)


def degrees(text: str, name: str) -> float | None:
    """Return the degrees of one axis: `48°51'N` for a latitude, `2.29 E` for a longitude.

    None where the field is no axis, or the text names the other one.
    """
    if not re.search(r"[°º'′NSEWnsew]", text):
        return None
    try:
        if name.endswith("latitude") and not re.search(r"[EWew]", text):
            return Coordinate.parse(f"{text.strip()} {_zero(text, 'E')}").latitude
        if name.endswith("longitude") and not re.search(r"[NSns]", text):
            return Coordinate.parse(f"{_zero(text, 'N')} {text.strip()}").longitude
    except InputError:
        return None
    return None


def _zero(text: str, hemisphere: str) -> str:
    """Return the other axis at zero, written as this one is, for a parser of pairs."""
    if re.match(r"\s*[NSEWnsew]", text):
        return f"{hemisphere} 0°"
    return f"0° {hemisphere}" if re.search(r"[NSEWnsew]", text) else "0°"


def pair(value: object) -> tuple[float, float] | None:
    """Return latitude and longitude where a value meant as the latitude holds both.

    None for `48,85` and `1 234`, which may be one number.
    """
    if isinstance(value, list) and len(value) == 2:
        if any(isinstance(item, bool) or not isinstance(item, int | float) for item in value):
            return None
        value = f"{value[0]}, {value[1]}"
    if not isinstance(value, str) or re.fullmatch(r"[+\-\d]*[,\s]+[+\-\d]*", value.strip()):
        return None
    try:
        found = Coordinate.parse(value)
    except InputError:
        return None
    return found.latitude, found.longitude
