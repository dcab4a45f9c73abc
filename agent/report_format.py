"""How the report writes numbers and foreign text: short units, nothing that can disguise itself."""

import json
import math
import re
from collections.abc import Mapping

from markupsafe import Markup, escape
from pydantic import JsonValue

KM_PER_DEGREE = 111.2
LONGEST_DATA = 40_000
"""Characters of one step's structured data shown in the report; the trace holds all of it."""

# Controls except tab and newline, the bidirectional overrides, embeddings and isolates, and lone
# surrogates (undecodable bytes of file names): invisible, able to reorder a line, or unwritable.
_DISGUISE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """Return the text with control, bidirectional and undecodable characters spelled out."""
    return _DISGUISE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def finalize(value: object) -> object:
    """Make every text a template prints visible; what is already HTML stays as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def linked(text: str, anchors: Mapping[str, str]) -> Markup:
    """Escape the text and turn the ids it names into links inside the page.

    Args:
        text: what to show.
        anchors: id of evidence or of a tool call to the name of its place on the page.
    """
    parts, start = [], 0
    for found in _pattern(anchors).finditer(text):
        parts.append(escape(visible(text[start : found.start()])))
        link = Markup('<a class="id" href="#{}">{}</a>')
        parts.append(link.format(anchors[found[0]], visible(found[0])))
        start = found.end()
    parts.append(escape(visible(text[start:])))
    return Markup("").join(parts)


def _pattern(ids: Mapping[str, str]) -> re.Pattern[str]:
    """Return what finds whole ids; the longest first, so that none hides another."""
    any_id = "|".join(re.escape(name) for name in sorted(ids, key=len, reverse=True) if name)
    return re.compile(rf"(?<![\w-])(?:{any_id})(?![\w-])" if any_id else r"(?!)")


def digits_for(radius_km: float) -> int:
    """Return the decimals of a degree worth giving for a radius: steps of a twentieth or less."""
    return min(max(math.ceil(-math.log10(radius_km / KM_PER_DEGREE / 20)), 2), 6)


def distance(km: float) -> str:
    """Write a distance with two or three significant digits: `320 m`, `4.2 km`, `1,200 km`."""
    if km < 0.9995:
        return f"{_significant(km * 1000):,.0f} m"
    return f"{km:.1f} km" if km < 9.95 else f"{_significant(km, 3):,.0f} km"


def area(radius_km: float) -> str:
    """Write the area of a circle on the sphere: `3 km²`, `1.2 million km²`."""
    return square_km(
        2 * math.pi * 6371.0088**2 * (1 - math.cos(min(radius_km / 6371.0088, math.pi)))
    )


def square_km(km2: float) -> str:
    """Write an area: `3 km²`, `1.2 million km²`."""
    if km2 < 1:
        return f"{_significant(km2 * 1e6):,.0f} m²"
    if km2 >= 1e6:
        return f"{km2 / 1e6:,.3g} million km²"
    return f"{km2:.2g} km²" if km2 < 10 else f"{_significant(km2):,.0f} km²"


def _significant(value: float, digits: int = 2) -> float:
    if value == 0:
        return 0.0
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def percent(share: float) -> str:
    """Write a probability as a whole percentage, `< 1 %` and `> 99 %` at the ends."""
    if 0 < share < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < share < 1 else f"{share * 100:.0f} %"


def duration(seconds: float) -> str:
    """Write a duration: `40 ms`, `1.3 s`, `2 min 5 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def pretty(data: JsonValue) -> str:
    """Write structured data as JSON, indented unless it fits a line, cut at `LONGEST_DATA`."""
    text = json.dumps(data, ensure_ascii=False)
    if len(text) > 80:
        text = json.dumps(data, ensure_ascii=False, indent=2)
    if len(text) <= LONGEST_DATA:
        return text
    left = len(text) - LONGEST_DATA
    return f"{text[:LONGEST_DATA]}\n… {left:,} more characters: the trace holds them"
