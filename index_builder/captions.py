"""Captions of training photos: one fixed sentence of the place's names.

G3 (Jia et al., NeurIPS 2024, arXiv 2405.14702) trains photo to text on such a sentence, made of
city, state and country; a photo without a country has none. Names that a table lacks come from
the offline borders and gazetteer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy.typing as npt

from encoders.base import check_coordinates
from geo.geocoders import Geocoder
from geo.regions import country_at, country_name

MAX_CITY_KM = 50.0
"""A settlement farther away does not name a photo's place; the country alone does."""


class PlaceNames(NamedTuple):
    """What a place is called, in English where there is a choice; empty where unknown."""

    city: str
    state: str
    country: str


def caption(names: PlaceNames) -> str:
    """Return the sentence for a place; empty where its country is unknown."""
    if not names.country.strip():
        return ""
    parts = [part.strip() for part in names if part.strip()]
    # City states repeat themselves: Singapore, Singapore.
    return f"A street-level photo taken in {', '.join(dict.fromkeys(parts))}."


def name_places(points: npt.ArrayLike, geocoder: Geocoder) -> list[PlaceNames]:
    """Return the names of places `[N, 2]` latitude, longitude in degrees.

    The nearest settlement of the same country gives city and state, if it is near enough.

    Raises:
        InputError: an impossible coordinate.
        UnavailableError: the gazetteer is damaged.
    """
    checked = check_coordinates(points)
    codes: Sequence[str] = country_at(checked)
    names = []
    for (latitude, longitude), code in zip(checked, codes, strict=True):
        city = state = ""
        if code:
            near = geocoder.nearest(float(latitude), float(longitude), country=code)
            if near and near[0][1] <= MAX_CITY_KM:
                city, state = near[0][0].name, near[0][0].admin1
        names.append(PlaceNames(city, state, country_name(code) if code else ""))
    return names
