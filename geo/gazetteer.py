"""Place names to coordinates and back, offline: GeoNames settlements in one SQLite file.

Settlements of 500 people or more with all alternate names in every script; no streets,
landmarks or regions. The file is built once (`geo.gazetteer_build`) from installed packages.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from geo.errors import InputError
from geo.gazetteer_build import Progress, Settlement, build
from geo.gazetteer_file import GazetteerFile
from geo.gazetteer_file import default_path as default_path
from geo.named_areas import AreaIndex, NamedArea
from geo.names import bears_accents, errors_allowed, fold, spelling_key, trigrams

if TYPE_CHECKING:
    from geo.nearest import NearestIndex

_COLUMNS = "p.geoname_id, p.name, p.latitude, p.longitude, p.country, p.admin1, p.population"
_OTHER_ACCENTS = 0.95
_WEAK = 0.7
_FUZZY = 0.9
_SHORTLIST = 1500


@dataclass(frozen=True)
class Place:
    """A settlement and how it was found."""

    geoname_id: int
    name: str
    latitude: float
    longitude: float
    country: str
    """ISO 3166-1 alpha-2."""
    admin1: str
    """Name of the first-level area; empty where unknown."""
    population: int
    matched: str = ""
    """The spelling in the gazetteer that agreed with the name looked up."""
    score: float = 1.0
    """How well it agreed, 0 to 1: 1 same spelling, 0.95 other accents, 0.7 a code or machine
    romanisation, 0.9 x similarity for a misspelling."""


class Gazetteer:
    """Look-ups in one gazetteer file; safe to share between threads."""

    source = "gazetteer"

    def __init__(self, path: Path) -> None:
        """Open an existing file; `Gazetteer.open` also builds a missing one.

        Raises:
            UnavailableError: the file is missing, unreadable or not a gazetteer.
        """
        self.path = path
        self._file = GazetteerFile(path)

    @classmethod
    def open(
        cls,
        path: Path | None = None,
        progress: Progress | None = None,
        settlements: Iterable[Settlement] | None = None,
    ) -> Self:
        """Open the gazetteer, building it first where it is missing (about 30 s).

        Args:
            path: the file; `default_path()` by default.
            progress: called with (done, total) while it is being built.
            settlements: what to build from; GeoNames cities500 by default.

        Raises:
            UnavailableError: it cannot be built, or the file is damaged.
        """
        path = default_path() if path is None else path
        if not path.exists():
            build(path, settlements, progress)
        return cls(path)

    def close(self) -> None:
        """Close the file; look-ups fail afterwards."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def find(
        self,
        name: str,
        countries: Collection[str] | None = None,
        limit: int = 10,
        fuzzy: bool = True,
    ) -> list[Place]:
        """Return the settlements called `name`, the best agreement first, then by population.

        Args:
            name: in any language and script; case, accents and punctuation are forgiven.
            countries: ISO 3166-1 alpha-2 codes to search in; everywhere by default.
            limit: how many at most, 1 to 1000.
            fuzzy: also look for misspellings where no settlement is called exactly so.

        Raises:
            InputError: `limit` is out of range.
            UnavailableError: the file is damaged.
        """
        if not 1 <= limit <= 1000:
            raise InputError(f"limit {limit} is out of range, use 1 to 1000")
        allowed = None if countries is None else sorted({code.upper() for code in countries})
        if allowed == []:
            return []
        return self._find(name, allowed, limit, fuzzy)

    def _find(self, name: str, countries: list[str] | None, limit: int, fuzzy: bool) -> list[Place]:
        """Try the whole name, then `place, area` or `place, country`, then misspellings."""
        if not (folded := fold(name)):
            return []
        if places := self._exact(name, folded, countries, limit):
            return places
        head, comma, tail = name.partition(",")
        if comma:
            return self._qualified(self._find(head, countries, 1000, fuzzy), tail)[:limit]
        return self._misspelt(folded, countries, limit) if fuzzy else []

    def _qualified(self, places: list[Place], qualifiers: str) -> list[Place]:
        """Keep the places that lie in a named area or country; all where none does."""
        names = {fold(part) for part in qualifiers.split(",")}
        codes = {code for name in names for code in self.find_country(name)}
        inside = [p for p in places if p.country in codes or fold(p.admin1) in names]
        return inside or places

    def _exact(
        self, name: str, folded: str, countries: list[str] | None, limit: int
    ) -> list[Place]:
        """Return the settlements with that folded name."""
        accents = bears_accents(name)
        depth = 1000 if accents else limit
        query = _lookup("n.folded = ?", countries, "a.weak, a.rank")
        rows = self._file.rows(query, (folded, *(countries or ()), depth))
        places = [_as_place(row, *_agreement(name, folded, accents, row)) for row in rows]
        if accents:
            places.sort(key=lambda place: -place.score)
        return places[:limit]

    def _misspelt(self, folded: str, countries: list[str] | None, limit: int) -> list[Place]:
        """Return the settlements whose name is a few letters off (Damerau-Levenshtein, OSA)."""
        similar = self._similar_names(folded)
        found: dict[int, Place] = {}
        for start in range(0, len(similar), 200):
            part = dict(similar[start : start + 200])
            where = f"n.id IN ({', '.join('?' * len(part))})"
            query = _lookup(where, countries, "a.weak, a.rank")
            for row in self._file.rows(query, (*part, *(countries or ()), 1000)):
                score = part[row[9]] * (_WEAK if row[8] else 1.0)
                if row[0] not in found or found[row[0]].score < score:
                    found[row[0]] = _as_place(row, row[7], round(score, 4))
        order = sorted(found.values(), key=lambda p: (-p.score, -p.population, p.geoname_id))
        return order[:limit]

    def _similar_names(self, folded: str) -> list[tuple[int, float]]:
        """Return (name id, score) of names within `errors_allowed` of a folded name.

        An edit destroys at most three trigrams of a name, so a name that keeps too few of them
        cannot be near enough (Ukkonen 1992); only the others are compared letter by letter.
        """
        limit = errors_allowed(len(folded))
        if limit == 0:
            return []
        buckets = trigrams([folded])[0].tolist()
        marks = ", ".join("?" * len(buckets))
        query = f"SELECT name_ids FROM trigram WHERE bucket IN ({marks})"  # noqa: S608
        postings = self._file.rows(query, buckets)
        if not postings:
            return []
        ids = np.concatenate([np.frombuffer(blob, dtype=np.int32) for (blob,) in postings])
        shared = np.bincount(ids)
        near = np.flatnonzero(shared >= max(1, len(buckets) - 3 * limit))
        lengths = self._name_lengths[near].astype(np.int64)
        near = near[np.abs(lengths - len(folded)) <= limit]
        near = near[np.argsort(-shared[near], kind="stable")][:_SHORTLIST]
        return self._scored(folded, near.tolist(), limit)

    def _scored(self, folded: str, ids: list[int], limit: int) -> list[tuple[int, float]]:
        """Compare the names with those ids letter by letter; keep those within `limit` edits."""
        from rapidfuzz.distance import OSA

        marks = ", ".join("?" * len(ids))
        rows = self._file.rows(f"SELECT id, folded FROM name WHERE id IN ({marks})", ids)  # noqa: S608
        scored = []
        for identifier, other in rows:
            edits = OSA.distance(folded, other, score_cutoff=limit)
            if edits <= limit:
                scored.append((identifier, _FUZZY * (1 - edits / max(len(folded), len(other)))))
        return sorted(scored, key=lambda pair: (-pair[1], pair[0]))

    def find_country(self, name: str) -> list[str]:
        """Return the ISO 3166-1 alpha-2 codes of countries called `name` in any language."""
        query = "SELECT country FROM country_name WHERE folded = ? ORDER BY country"
        rows = self._file.rows(query, (fold(name).removeprefix("the "),))
        return [code for (code,) in rows]

    def find_areas(self, name: str, countries: Collection[str] | None = None) -> list[NamedArea]:
        """Return the first-level areas and regions called `name`, the most populous first.

        Args:
            name: in English, or as some people call it themselves (`Toscana`).
            countries: ISO 3166-1 alpha-2 codes, in one of which a part of it must lie.

        Raises:
            UnavailableError: the file is damaged.
        """
        allowed = None if countries is None else {code.upper() for code in countries}
        return [
            area
            for area in self._areas.find(name)
            if allowed is None or any(country in allowed for country, _ in area.members)
        ]

    def nearest(
        self, latitude: float, longitude: float, country: str | None = None, limit: int = 1
    ) -> list[tuple[Place, float]]:
        """Return the nearest settlements and their distances in km (WGS84), nearest first.

        Args:
            latitude: degrees.
            longitude: degrees, any turn.
            country: ISO 3166-1 alpha-2 to stay in; territories with a code of their own (French
                Guiana, Greenland) are countries of their own here.
            limit: how many at most, 1 to 1000.

        Raises:
            InputError: the position or `limit` is out of range.
            UnavailableError: the file is damaged.
        """
        from geo.sphere import distance_km

        if not 1 <= limit <= 1000:
            raise InputError(f"limit {limit} is out of range, use 1 to 1000")
        if not (abs(latitude) <= 90 and np.isfinite(longitude)):
            raise InputError(
                f"position {latitude}, {longitude} is not on Earth (latitude -90 to 90)"
            )
        ranks = self._nearest_index.query(latitude, longitude, country, limit)
        if not ranks:
            return []
        kilometres = distance_km(latitude, longitude, *self._points[ranks].T)
        order = np.argsort(kilometres, kind="stable")[:limit]
        return [(self._place(ranks[i]), float(kilometres[i])) for i in order]

    def admin1_near(self, points: NDArray[np.float64], country: str) -> list[str]:
        """Return the first-level area of each point's nearest settlement of a country.

        Nearest by chord of the sphere; empty where it is unknown, or the country has none.

        Args:
            points: `[N, 2]` latitude and longitude in degrees.
            country: ISO 3166-1 alpha-2.
        """
        ranks = self._nearest_index.nearest(points, country)
        if not ranks:
            return [""] * len(points)
        wanted = sorted(set(ranks))
        named: dict[int, str] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ", ".join("?" * len(part))
            query = f"SELECT rank, admin1 FROM place WHERE rank IN ({marks})"  # noqa: S608
            named |= dict(self._file.rows(query, part))
        return [named[rank] for rank in ranks]

    def settlements(
        self, min_population: int = 0
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
        """Return all settlements of at least that population, the most populous first.

        Returns:
            Points [N, 2] (latitude, longitude), populations [N] and N country codes. The arrays
            are shared and read-only; asked again, it is the same tuple.
        """
        if (found := self._slices.get(min_population)) is None:
            count = int(np.searchsorted(-self._populations, -min_population, side="right"))
            found = self._points[:count], self._populations[:count], self._countries[:count]
            self._slices[min_population] = found
        return found

    def _place(self, rank: int) -> Place:
        """Return the settlement with that number."""
        rows = self._file.rows(f"SELECT {_COLUMNS} FROM place p WHERE rank = ?", (rank,))  # noqa: S608
        return _as_place(rows[0], rows[0][1], 1.0)

    @cached_property
    def _points(self) -> NDArray[np.float64]:
        return np.frombuffer(self._file.series("points"), dtype=np.float64).reshape(-1, 2)

    @cached_property
    def _slices(self) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64], list[str]]]:
        """What `settlements` returned: belief keeps what it computes from the same ones."""
        return {}

    @cached_property
    def _populations(self) -> NDArray[np.float64]:
        return np.frombuffer(self._file.series("populations"), dtype=np.float64)

    @cached_property
    def _countries(self) -> list[str]:
        codes = self._file.series("countries").decode("ascii")
        return [codes[start : start + 2] for start in range(0, len(codes), 2)]

    @cached_property
    def _name_lengths(self) -> NDArray[np.uint8]:
        return np.frombuffer(self._file.series("lengths"), dtype=np.uint8)

    @cached_property
    def _areas(self) -> AreaIndex:
        return AreaIndex(self._file.rows)

    @cached_property
    def _nearest_index(self) -> "NearestIndex":
        from geo.nearest import NearestIndex  # names are looked up without projections

        return NearestIndex(self._points, self._countries)


def _lookup(where: str, countries: list[str] | None, order: str) -> str:
    """Return the query for settlements by name: columns of `Place`, spelling, weak, name id."""
    inside = f"AND p.country IN ({', '.join('?' * len(countries))})" if countries else ""
    return (
        f"SELECT {_COLUMNS}, a.spelling, a.weak, a.name_id FROM name n "  # noqa: S608
        "CROSS JOIN alias a ON a.name_id = n.id CROSS JOIN place p ON p.rank = a.rank "
        f"WHERE {where} {inside} ORDER BY {order} LIMIT ?"
    )


def _as_place(row: tuple[Any, ...], matched: str, score: float) -> Place:
    """Return the place of a row that begins with `_COLUMNS`."""
    values: tuple[Any, ...] = (*row[:7], matched, score)
    return Place(*values)


def _agreement(name: str, folded: str, accents: bool, row: tuple[Any, ...]) -> tuple[str, float]:
    """Return the spelling of a row that agrees best with a name folding to it, and how well."""
    main, spelling, weak = row[1], row[7], row[8]
    if not accents:
        return (main, 1.0) if fold(main) == folded else (spelling, _WEAK if weak else 1.0)
    key = spelling_key(name)
    for known in (main, spelling):
        if spelling_key(known) == key:
            return known, 1.0
    return spelling, _WEAK if weak else _OTHER_ACCENTS
