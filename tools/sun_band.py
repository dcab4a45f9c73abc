"""Where on land the sun was seen as measured: shares of place, land and countries.

The idea is that of ShadowFinder (Bellingcat, 2024): at one instant, places that see the sun at
one elevation lie on a circle around the point that has it overhead. Of a span of time each place
gets the share of instants that fit, which is how likely the measurement is there.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo.sphere import FloatArray
from tools.sun_sky import DAY_S, DEGREES_AN_HOUR, Frames, Seen, sun_vectors
from tools.sun_zones import offsets_s, zones_of

CELL_DEG = 0.5
"""Side of the cells of land that are looked at: 56 km, half a degree of elevation."""
ROWS, COLUMNS = round(180 / CELL_DEG), round(360 / CELL_DEG)
INSTANTS = 288
"""Most instants of a span over all land: one in 5 minutes of a day."""
PLACE_STEP_S = 60.0
"""The same at one place: a minute, in which the sun moves by at most 0.25 degrees."""
MOST_WIDENED_DEG = 0.75
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Span:
    """When it was: from `start_s` to `end_s`, seconds since 1970-01-01T00:00.

    Attributes:
        start_s: by UTC, or by the clock of the place.
        end_s: the same instant where only one is known.
        local: by the clock of the place.
    """

    start_s: float
    end_s: float
    local: bool = False

    def instants(self, most: int = INSTANTS) -> FloatArray:
        """Return up to `most` instants `[T]` spread over the span, the same ones every time."""
        length = self.end_s - self.start_s
        if length <= 0:
            return np.array([self.start_s])
        if length <= DAY_S:
            count = min(most, int(length // PLACE_STEP_S) + 2)
            return np.linspace(self.start_s, self.end_s, count)
        # Equal steps over many days may meet the same hours again and again: the hour of the
        # day goes by the golden ratio instead, which spreads it evenly over any number of days.
        number = np.arange(most)
        when = self.start_s + number * (length / most)
        hour = number * _GOLDEN % 1.0
        when += (hour - when / DAY_S % 1.0) % 1.0 * DAY_S
        return np.where(when > self.end_s, when - DAY_S, when)

    def minutes(self) -> FloatArray:
        """Return every minute of the span, `[T]`, with its ends."""
        count = int((self.end_s - self.start_s) // PLACE_STEP_S) + 1
        return np.append(self.start_s + np.arange(count) * PLACE_STEP_S, self.end_s)

    def widened(self, seen: Seen, instants: FloatArray) -> Seen:
        """Return what was measured with the tolerance that each instant's share of time adds.

        Shares of time come out larger for it, by the same factor everywhere: a quarter for a
        tolerance of 3 degrees over many days.
        """
        step_s = (self.end_s - self.start_s) / max(len(instants) - 1, 1)
        half = DEGREES_AN_HOUR * step_s / 3600 / 2
        return seen.widened(min(half, MOST_WIDENED_DEG))


class Places(NamedTuple):
    """Places and how much each counts."""

    points: FloatArray
    """`[N, 2]` latitude, longitude in degrees."""
    weights: FloatArray
    """`[N]`, sum to 1."""
    countries: NDArray[np.str_]
    """`[N]` ISO 3166-1 alpha-2 codes."""


class Land(NamedTuple):
    """The cells that are land."""

    cells: NDArray[np.intp]
    """`[N]` numbers of cells, row by row from the south-west."""
    places: Places
    """Their centres, which count by area."""


@cache
def land() -> Land:
    """Return the cells of half a degree whose centres are on land."""
    from geo.regions import country_at

    latitude = -90 + (np.arange(ROWS) + 0.5) * CELL_DEG
    longitude = -180 + (np.arange(COLUMNS) + 0.5) * CELL_DEG
    grid = np.stack(np.meshgrid(latitude, longitude, indexing="ij"), axis=-1).reshape(-1, 2)
    codes = np.asarray(country_at(grid, snap_km=0), dtype=np.str_)
    cells = np.flatnonzero(codes != "")
    area = np.cos(np.radians(grid[cells, 0]))
    return Land(cells, Places(grid[cells], area / area.sum(), codes[cells]))


def settled(settlements: tuple[FloatArray, FloatArray, list[str]]) -> Places:
    """Return settlements as places that count as photos do: by the root of their population.

    The same density as the prior of belief (`agent.factors`), so that a country's share says what
    the sun adds to it and no more.
    """
    points, population, codes = settlements
    weights = np.sqrt(np.maximum(population, 1.0))
    return Places(points, weights / weights.sum(), np.asarray(codes, dtype=np.str_))


def fitting(places: Places, span: Span, seen: Seen) -> FloatArray:
    """Return for each place the share `[N]` of the span at which the sun was as measured."""
    instants = span.instants()
    seen = span.widened(seen, instants)
    frames = Frames.of(places.points)
    if not span.local:
        return seen.share_of(frames, sun_vectors(instants))
    found = np.zeros(len(places.points))
    zones = zones_of(places.points, places.countries)
    for offsets, rows in _by_offset(zones, instants):
        found[rows] = seen.share_of(frames[rows], sun_vectors(instants - offsets))
    return found


def _by_offset(
    zones: NDArray[np.str_], instants: FloatArray
) -> list[tuple[FloatArray, NDArray[np.bool_]]]:
    """Return the distinct offsets `[T]` that zones have at these clock readings, and their rows."""
    names, which = np.unique(zones, return_inverse=True)
    table = np.array([offsets_s(str(name), instants) for name in names])
    distinct, group = np.unique(table, axis=0, return_inverse=True)
    mine = group.ravel()[which]
    return [(offsets, mine == number) for number, offsets in enumerate(distinct)]


def land_share(places: Places, shares: FloatArray) -> float:
    """Return how much of the places' weight fits at any instant, 0 to 1."""
    return float(places.weights[shares > 0].sum())


def country_shares(places: Places, shares: FloatArray, least: float = 0.0005) -> dict[str, float]:
    """Return the probability of each country given the measurement, the largest first.

    Args:
        places: settlements.
        shares: `[N]` how likely the measurement is at each.
        least: smaller probabilities are left out.
    """
    mass = places.weights * shares
    if mass.sum() <= 0:
        return {}
    codes, where = np.unique(places.countries, return_inverse=True)
    total = np.bincount(where.ravel(), weights=mass / mass.sum())
    order = np.argsort(-total, kind="stable")
    return {str(codes[i]): float(total[i]) for i in order if codes[i] and total[i] >= least}
