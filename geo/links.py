"""Coordinates in `geo:` URIs (RFC 5870) and in the links of map sites.

A link's pin is preferred to the centre of its view. No link is ever opened.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from geo.angles import parse_pair
from geo.errors import InputError

Pair = tuple[float, float]
_NUMBER = r"[+-]?\d{1,4}(?:\.\d{0,20})?"
_PAIR = re.compile(rf"\s*(?:loc:)?\s*({_NUMBER})\s*[,~_]\s*({_NUMBER})\s*(?:\([^)]*\)|_.*)?\s*")
_GEO = re.compile(
    rf"geo:({_NUMBER}),({_NUMBER})(?:,[+-]?\d{{1,7}}(?:\.\d*)?)?"
    r"((?:;[\w.-]+(?:=[^;?]*)?)*)(\?.*)?",
    re.IGNORECASE,
)
_SITES = re.compile(
    r"(?:(?:maps?|www|earth|share|wego|yandex)\.)*"
    r"(?:google|openstreetmap|osm|apple|bing|goo\.gl|maps\.app\.goo\.gl|here|yandex)"
    r"\.?[a-z.]{0,8}/",
    re.IGNORECASE,
)
_SHORT = ("goo.gl", "maps.app.goo.gl", "osm.org/go", "share.here.com")
_PINS = (
    # Parameters that mark a place, then those that only aim the view; first found, first taken.
    ("mlat", "mlon"),
    ("q", ""),
    ("query", ""),
    ("coordinate", ""),
    ("sp", ""),
    ("address", ""),
    ("destination", ""),
    ("daddr", ""),
    ("ll", ""),
    ("cbll", ""),
    ("viewpoint", ""),
    ("center", ""),
    ("cp", ""),
    ("lat", "lon"),
    ("lat", "lng"),
    ("sll", ""),
)


def is_link(text: str) -> bool:
    """Tell whether the text is a URI, or starts like a map site without its scheme."""
    return bool(re.match(r"(?i)(?:geo:|https?://)", text) or _SITES.match(text))


def parse_link(link: str) -> Pair:
    """Return (latitude, longitude) in degrees as the link states them; InputError otherwise."""
    if link[:4].lower() == "geo:":
        return _parse_geo(link)
    try:
        parts = urlsplit(link if "://" in link[:8] else f"https://{link}")
        parameters = dict(parse_qsl(parts.query, max_num_fields=100))
    except ValueError:
        _refuse(link, "is not a valid link: copy it again from the address bar")
    path, fragment = unquote(parts.path), unquote(parts.fragment)
    if "/dir/" in path:
        _refuse(link, "is a route between places: paste the link of one of them")
    sources: tuple[Callable[[], Iterator[Pair]], ...] = (
        lambda: _data_pins(path),
        lambda: _parameters(parameters),
        lambda: _named_in_path(path),
        lambda: _matches(rf"@({_NUMBER}),({_NUMBER})(?=[,/]|$)", path),
        lambda: _matches(rf"map=\d+(?:\.\d+)?/({_NUMBER})/({_NUMBER})(?=[/&]|$)", fragment),
    )
    for source in sources:
        found = set(source())
        if len(found) > 1:
            _refuse(link, f"holds {len(found)} places: paste the link of one of them")
        if found:
            return found.pop()
    if any(short in link.lower() for short in _SHORT):
        _refuse(link, "is a short link, never opened here: paste the address it leads to")
    _refuse(link, "holds no coordinate: paste the latitude and longitude instead")


def _refuse(link: str, reason: str) -> NoReturn:
    shown = link if len(link) <= 80 else f"{link[:77]}..."
    raise InputError(f"link {shown!r} {reason}")


def _parse_geo(link: str) -> Pair:
    match = _GEO.fullmatch(link)
    if match is None or len(link) > 500:
        _refuse(link, "is not a geo URI: write it like geo:48.8584,2.2945")
    for parameter in match[3].lower().split(";"):
        if parameter.startswith("crs=") and parameter != "crs=wgs84":
            _refuse(link, f"uses {parameter}, only wgs84 is known: convert it first")
    asked = dict(parse_qsl((match[4] or "?")[1:])).get("q", "")
    if not asked or float(match[1]) or float(match[2]):
        return float(match[1]), float(match[2])
    # Android writes geo:0,0?q=lat,lon(label) for a pin: then 0,0 means nothing.
    pin = _pair_of(asked)
    if pin is None:
        _refuse(link, "asks for a place by its name: give its latitude and longitude")
    return pin


def _data_pins(path: str) -> Iterator[Pair]:
    """Yield Google's pins, `!3d` latitude `!4d` longitude, in the data part of a path."""
    yield from _matches(rf"!3d({_NUMBER})!4d({_NUMBER})(?=!|$|[/?])", path)


def _named_in_path(path: str) -> Iterator[Pair]:
    """Yield the pair that a path names as its place, decimal or in degrees and minutes."""
    match = re.search(r"/(?:place|search)/([^/@]{3,100})", path)
    found = _pair_of(match[1].replace(",+", ",").replace("+", " ")) if match else None
    if found is not None:
        yield found


def _matches(pattern: str, text: str) -> Iterator[Pair]:
    for match in re.finditer(pattern, text):
        yield float(match[1]), float(match[2])


def _parameters(parameters: Mapping[str, str]) -> Iterator[Pair]:
    """Yield the pair of the first parameter, of those that state one, that holds a pair."""
    for one, other in _PINS:
        stated = parameters.get(one, "")
        if other and other in parameters:
            stated = f"{stated},{parameters[other]}"
        elif other:
            continue
        found = _pair_of(stated.removeprefix("point."))
        if found is not None:
            yield found
            return


def _pair_of(text: str) -> Pair | None:
    """Return the pair a parameter states, None where it is a name or an address."""
    if match := _PAIR.fullmatch(text):
        return float(match[1]), float(match[2])
    if not re.search(r"[°'\"]", text):
        return None
    try:
        return parse_pair(text)
    except InputError:
        return None
