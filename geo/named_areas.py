"""Areas by name: first-level admin areas of the gazetteer, and regions that people name.

An area is known by the settlements in it. Its middle is their mean on the sphere, and half of them
lie within its radius: enough to say where a region is, not where it ends.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geo.names import fold
from geo.sphere import haversine_km, spherical_mean

Rows = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
Key = tuple[str, str]
"""ISO 3166-1 alpha-2 code and name of a first-level area, as the gazetteer has them."""
MINIMUM_RADIUS_KM = 5.0
_KIND_WORDS = (
    "province region county oblast krai kray voivodeship republic prefecture state city the "
    "governorate department district division municipality of"
)
_KINDS = frozenset(_KIND_WORDS.split())
"""Words that an area's name may be used without."""
_DIRECTION_WORDS = (
    "central centre center north south east west northern southern eastern western capital "
    "upper lower other metropolitan national federal islands coast highlands"
)
_DIRECTIONS = frozenset(_DIRECTION_WORDS.split())
"""Alone they name no area, whatever an area is called."""
OTHER_NAMES = {
    "toscana": "IT:Tuscany", "toskana": "IT:Tuscany", "toscane": "IT:Tuscany",
    "lombardia": "IT:Lombardy", "lombardei": "IT:Lombardy", "piemonte": "IT:Piedmont",
    "piemont": "IT:Piedmont", "puglia": "IT:Apulia", "apulien": "IT:Apulia",
    "sicilia": "IT:Sicily", "sizilien": "IT:Sicily", "sardegna": "IT:Sardinia",
    "sardinien": "IT:Sardinia", "latium": "IT:Lazio", "basilicata": "IT:Basilicate",
    "marche": "IT:The Marches", "le marche": "IT:The Marches",
    "south tyrol": "IT:Trentino-Alto Adige",
    "trentino": "IT:Trentino-Alto Adige", "alto adige": "IT:Trentino-Alto Adige",
    "sudtirol": "IT:Trentino-Alto Adige", "venetien": "IT:Veneto", "kalabrien": "IT:Calabria",
    "bayern": "DE:Bavaria", "baviera": "DE:Bavaria", "baviere": "DE:Bavaria",
    "sachsen": "DE:Saxony", "niedersachsen": "DE:Lower Saxony", "hessen": "DE:Hesse",
    "thuringen": "DE:Thuringia", "sachsen anhalt": "DE:Saxony-Anhalt",
    "nordrhein westfalen": "DE:North Rhine-Westphalia", "nrw": "DE:North Rhine-Westphalia",
    "rhineland palatinate": "DE:Rheinland-Pfalz", "baden wuerttemberg": "DE:Baden-Wurttemberg",
    "catalunya": "ES:Catalonia", "cataluna": "ES:Catalonia", "katalonien": "ES:Catalonia",
    "catalogne": "ES:Catalonia", "andalucia": "ES:Andalusia", "andalusien": "ES:Andalusia",
    "pais vasco": "ES:Basque Country", "euskadi": "ES:Basque Country",
    "islas canarias": "ES:Canary Islands", "canarias": "ES:Canary Islands",
    "islas baleares": "ES:Balearic Islands", "balearics": "ES:Balearic Islands",
    "navarra": "ES:Navarre", "castilla la mancha": "ES:Castille-La Mancha",
    "castilla y leon": "ES:Castille and León", "comunidad valenciana": "ES:Valencia",
    "bretagne": "FR:Brittany", "normandie": "FR:Normandy", "corse": "FR:Corsica",
    "korsika": "FR:Corsica", "provence": "FR:Provence-Alpes-Côte d'Azur",
    "cote d azur": "FR:Provence-Alpes-Côte d'Azur", "alsace": "FR:Grand Est",
    "burgundy": "FR:Bourgogne-Franche-Comté", "auvergne": "FR:Auvergne-Rhône-Alpes",
    "aquitaine": "FR:Nouvelle-Aquitaine", "tirol": "AT:Tyrol", "steiermark": "AT:Styria",
    "karnten": "AT:Carinthia", "niederosterreich": "AT:Lower Austria",
    "oberosterreich": "AT:Upper Austria", "graubunden": "CH:Grisons", "wallis": "CH:Valais",
    "tessin": "CH:Ticino", "vlaanderen": "BE:Flanders", "flandern": "BE:Flanders",
    "wallonie": "BE:Wallonia", "kriti": "GR:Crete",
    "kreta": "GR:Crete", "peloponnes": "GR:Peloponnese", "lappi": "FI:Lapland",
    "acores": "PT:Azores", "algarve": "PT:Faro",
    "java": "ID:West Java;ID:Central Java;ID:East Java;ID:Banten;ID:Jakarta;ID:Yogyakarta",
    "sumatra": "ID:Aceh;ID:North Sumatra;ID:West Sumatra;ID:South Sumatra;ID:Riau;ID:Jambi;"
    "ID:Bengkulu;ID:Lampung",
    "sulawesi": "ID:Central Sulawesi;ID:North Sulawesi;ID:South Sulawesi;ID:West Sulawesi;"
    "ID:Southeast Sulawesi;ID:Gorontalo",
    "patagonia": "AR:Chubut;AR:Neuquen;AR:Rio Negro;AR:Santa Cruz;AR:Tierra del Fuego;CL:Aysén;"
    "CL:Region of Magallanes",
    "papua": "ID:Papua;ID:Central Papua;ID:Highland Papua;ID:South Papua;ID:West Papua",
}  # fmt: skip
"""Folded names in use that GeoNames' English ones leave out: COUNTRY:AREA, several after `;`."""


@dataclass(frozen=True)
class NamedArea:
    """A region by the settlements in it."""

    name: str
    """As the gazetteer has it; of several areas, as it was looked up."""
    members: tuple[Key, ...]
    latitude: float
    longitude: float
    radius_km: float
    """Half of its settlements lie within, haversine, 5 km at least."""
    population: int
    """Of its settlements; boroughs count beside their city."""

    @property
    def country(self) -> str:
        """ISO 3166-1 alpha-2; empty where it lies in several."""
        codes = {country for country, _ in self.members}
        return codes.pop() if len(codes) == 1 else ""


class AreaIndex:
    """Names of first-level areas; safe to share between threads.

    Args:
        rows: runs a query on the gazetteer's file.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._names: defaultdict[str, set[Key]] = defaultdict(set)
        known = rows("SELECT DISTINCT country, admin1 FROM place WHERE admin1 != ''", ())
        for country, name in known:
            for folded in _spellings(name):
                self._names[folded].add((country, name))

    def find(self, name: str) -> list[NamedArea]:
        """Return the areas called `name`, the most populous first; empty where none is."""
        folded = fold(name).removeprefix("the ")
        if folded in OTHER_NAMES:
            members = tuple(_key(one) for one in OTHER_NAMES[folded].split(";"))
            found = [self._area(members[0][1] if len(members) == 1 else name, members)]
        else:
            found = [self._area(key[1], (key,)) for key in sorted(self._names.get(folded, ()))]
        return sorted((area for area in found if area), key=lambda area: -area.population)

    def _area(self, name: str, members: tuple[Key, ...]) -> NamedArea | None:
        """Return an area by the settlements of its members; None where there are none."""
        query = "SELECT latitude, longitude, population FROM place WHERE country = ? AND admin1 = ?"
        rows = [row for key in members for row in self._rows(query, key)]
        if not rows:
            return None
        points = np.array([row[:2] for row in rows], dtype=np.float64)
        middle = spherical_mean(points)
        latitude, longitude = (float(n) for n in (points[0] if middle is None else middle))
        away = haversine_km(latitude, longitude, points[:, 0], points[:, 1])
        radius = max(MINIMUM_RADIUS_KM, round(float(np.median(away)), 1))
        return NamedArea(
            name, members, latitude, longitude, radius, sum(int(row[2]) for row in rows)
        )


def _spellings(name: str) -> set[str]:
    """Return the folded names by which an area is found: whole, and without the kind of area."""
    whole = fold(name).removeprefix("the ")
    bare = " ".join(word for word in whole.split() if word not in _KINDS)
    return {one for one in (whole, bare) if one and not set(one.split()) <= _DIRECTIONS | _KINDS}


def _key(written: str) -> Key:
    country, _, name = written.partition(":")
    return country, name
