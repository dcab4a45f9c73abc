"""The factors of evidence that says inside or outside of an area.

What one person says is dependent, and all of it may hold at once: the statements of a group are
taken as right together as far as each weighs. With `u` even in 0..1, those that weigh more than `u`
are right, so a group multiplies belief by

    F(x) = sum over layers of (weight of the layer) * g(x) / Z + (1 - largest weight),

where `g` is 1 where all areas of the layer allow `x`, times the mean ratio of its country shares,
and `Z` is the prior mass of `g`. For one statement that is
`F(x) = w [x allowed] / (prior mass allowed) + (1 - w)`: it can be wrong and is never 0. Saying
something twice changes nothing. Where a layer allows less than a quarter of what statements that
know nothing of each other would, they contradict each other so far: in Chile, and outside a polygon
around all of it but an island, is rather a slip than that island. That part of the layer stands for
each of them as often as it weighs.

Where a polygon says inside, photos away from settlements count as well: `Wilds` are points spread
over such polygons that carry the even part of the prior there. Otherwise a region without a
settlement could not be believed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agent.calibration import MOST_WEIGHT
from agent.factors import BACKGROUND_SHARE, EARTH_KM2, CountryGroup, Floats, Prior, countries_of
from agent.mesh import MAX_LEVEL, SIDE_KM
from geo import sphere
from geo.areas import area_km2, contains
from geo.quads import Ints, Quads, quads_at
from geo.regions import country_codes, country_polygon
from geo.rings import Polygon, region_of, spread
from tools.evidence import Area, Evidence

Flags = NDArray[np.bool_]
SPREAD = 256
"""Points spread over a polygon: its cells are about as large as its parts."""
AREAS_KEPT = 64
AGREEING = 0.25
"""Of the product of what statements allow one by one: what they allow together if they agree."""
COARSE_DEGREES = 0.1


@dataclass(frozen=True)
class Wilds:
    """Points that carry the prior away from settlements, `[B]`.

    Attributes:
        quads: a cell around each.
        unit: `[B, 3]`.
        area_km2: that each stands for.
        country: index into `Prior.known_codes`.
    """

    quads: Quads
    unit: Floats
    area_km2: Floats
    country: NDArray[np.intp]

    @property
    def mass(self) -> Floats:
        """Prior mass, where that of all settlements is 1."""
        return self.area_km2 * (BACKGROUND_SHARE / EARTH_KM2)


class AreaGroup:
    """Dependent evidence that says inside or outside, and of which countries.

    Args:
        items: of one group, at least one of them with an area; none with candidates.
        prior: where photos are taken.
        wilds: of all evidence.
    """

    def __init__(self, items: Sequence[Evidence], prior: Prior, wilds: Wilds) -> None:
        self._prior = prior
        heavy = sorted({min(MOST_WEIGHT, item.weight) for item in items}, reverse=True)
        self._rest = 1 - heavy[0]
        below = [*heavy[1:], 0.0]
        self._layers = [
            layer
            for weight, lower in zip(heavy, below, strict=True)
            for layer in _layers(
                [item for item in items if item.weight >= weight], weight - lower, prior, wilds
            )
        ]

    @property
    def settled(self) -> Floats:
        """Logarithm of the factor at each settlement, `[S]`."""
        return self._log([layer.settled for layer in self._layers])

    def at(self, unit: Floats, country: NDArray[np.intp]) -> Floats:
        """Return the logarithm of the factor at unit vectors `[N, 3]` in countries `[N]`."""
        return self._log([layer.at(unit, country) for layer in self._layers])

    def _log(self, allowed: list[Floats]) -> Floats:
        factor = np.full(len(allowed[0]), self._rest)
        for layer, there in zip(self._layers, allowed, strict=True):
            factor += layer.weight * (there / layer.held if layer.held > 0 else 1.0)
        logs: Floats = np.log(factor)
        return logs


def _layers(items: Sequence[Evidence], weight: float, prior: Prior, wilds: Wilds) -> "list[_Layer]":
    """Return statements together; one by one as far as they contradict each other."""
    together = _Layer(items, weight, prior, wilds)
    if len(items) == 1:
        return [together]
    total = sum(item.weight for item in items)
    apart = [_Layer([item], weight * item.weight / total, prior, wilds) for item in items]
    expected = AGREEING * float(np.prod([one.held for one in apart]))
    agree = min(1.0, together.held / expected) if expected > 0 else float(together.held > 0)
    together.weight *= agree
    for one in apart:
        one.weight *= 1 - agree
    return [layer for layer in (together, *apart) if layer.weight > 0]


class _Layer:
    """Statements that are right together, and the weight of just these.

    Attributes:
        held: prior mass of what they allow.
    """

    def __init__(
        self, items: Sequence[Evidence], weight: float, prior: Prior, wilds: Wilds
    ) -> None:
        self.weight = weight
        self._prior = prior
        self._areas = [item.area for item in items if item.area is not None]
        named = [item for item in items if item.area is None]
        self._ratio = CountryGroup(named, prior).right(prior.known_codes) if named else None
        wild = wilds.mass @ self.at(wilds.unit, wilds.country)
        self.held = float(prior.mass @ self.settled + wild)

    @property
    def settled(self) -> Floats:
        places = (settlements_in(area, self._prior) == area.inside for area in self._areas)
        return self._joined(list(places), self._prior.known_country)

    def at(self, unit: Floats, country: NDArray[np.intp]) -> Floats:
        codes = self._prior.known_codes
        places = [_within(area, unit, country, codes) == area.inside for area in self._areas]
        return self._joined(places, country)

    def _joined(self, places: list[Flags], country: NDArray[np.intp]) -> Floats:
        there = np.ones(len(country)) if self._ratio is None else self._ratio[country]
        for allowed in places:
            there = there * allowed
        return there


def settlements_in(area: Area, prior: Prior) -> Flags:
    """Return which settlements lie in an area, whatever it says of them, `[S]`."""
    if (found := prior.in_areas.get(area)) is None:
        found = _within(area, prior.unit, prior.known_country, prior.known_codes)
        if len(prior.in_areas) >= AREAS_KEPT:
            prior.in_areas.clear()
        prior.in_areas[area] = found
    return found


def _within(area: Area, unit: Floats, country: NDArray[np.intp], codes: NDArray[np.str_]) -> Flags:
    found: Flags = np.isin(codes, area.countries)[country]
    if area.polygons and not found.all():
        rest = np.flatnonzero(~found)
        found[rest] = contains(region_of(area.polygons), sphere.points_of(unit[rest]))
    return found


def wilds_of(items: Sequence[Evidence], prior: Prior) -> Wilds:
    """Return the points spread over what evidence says inside of.

    A point stands for the less area the more polygons it may come from (the balance heuristic of
    Veach and Guibas, 1995): what two people's regions share counts once.
    """
    areas = sorted({item.area for item in items if item.area and item.area.inside}, key=repr)
    shapes = {polygons: None for area in areas if (polygons := _open_parts(area, prior))}
    spreads = [spread_over(polygons) for polygons in shapes]
    if not spreads:
        none = np.empty(0)
        no_quads = Quads.globe().taken(np.zeros(6, dtype=np.bool_))
        return Wilds(no_quads, none.reshape(0, 3), none, np.empty(0, dtype=np.intp))
    unit = np.concatenate([one.unit for one in spreads])
    points = sphere.points_of(unit)
    density = np.zeros(len(unit))
    for polygons, one in zip(shapes, spreads, strict=True):
        density += (len(one.unit) / one.area_km2) * contains(region_of(polygons), points)
    first = np.concatenate([np.full(len(s.unit), len(s.unit) / s.area_km2) for s in spreads])
    quads = Quads.joined([one.quads for one in spreads])
    # A point on an edge may be found beside its own polygon.
    return Wilds(quads, unit, 1 / np.maximum(density, first), countries_of(quads))


def splits_of(items: Sequence[Evidence]) -> Ints:
    """Return the cells that a mesh must split to show the polygons of evidence, by number."""
    shapes = {item.area.polygons: None for item in items if item.area and item.area.polygons}
    found = [np.empty(0, dtype=np.int64), *(spread_over(one).split for one in shapes)]
    return np.unique(np.concatenate(found))


@dataclass(frozen=True)
class Spread:
    """Points spread over polygons, and what cells show them.

    Attributes:
        unit: `[N, 3]`.
        area_km2: of the polygons.
        quads: a cell of about one point's share around each.
        split: numbers of all larger cells around them.
    """

    unit: Floats
    area_km2: float
    quads: Quads
    split: Ints


@lru_cache(maxsize=AREAS_KEPT)
def spread_over(polygons: tuple[Polygon, ...]) -> Spread:
    """Return points spread over polygons."""
    region = region_of(polygons)
    unit, area = spread(region, SPREAD), max(area_km2(region), 1e-6)
    level = int(np.searchsorted(-SIDE_KM, -np.sqrt(area / (SPREAD / 4))))
    level = min(level, MAX_LEVEL)
    split = [quads_at(unit, one).ids() for one in range(level)]
    numbers = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *split]))
    return Spread(unit, area, quads_at(unit, level), numbers)


def _open_parts(area: Area, prior: Prior) -> tuple[Polygon, ...]:
    """Return an area's polygons; of countries, those without a settlement (Antarctica)."""
    known = set(country_codes())
    bare = [c for c in area.countries if c in known and not prior.by_country.get(c)]
    return (*area.polygons, *(one for code in bare for one in _outline(code)))


@lru_cache(maxsize=AREAS_KEPT)
def _outline(code: str) -> tuple[Polygon, ...]:
    """Return a country's polygons, coarsely."""
    import shapely

    from geo.rings import rings_of

    return rings_of(shapely.simplify(country_polygon(code), COARSE_DEGREES))
