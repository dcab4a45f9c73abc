"""Belief as masses on the sphere, and what can be read from them.

Every method is exact for these masses, but for the choice of the reported point among those tried;
see `agent.belief` for where they come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agent.abstain import Rule
from agent.factors import Floats, Prior, bin_centres, bins_of, countries_of
from agent.ratings import Rated, expected, nearness, score, truths
from geo import sphere
from geo.quads import Quads

CENTRES = 96
"""How many of the heaviest points are tried as the reported point, besides those of evidence."""
EXACT_POINTS = 2_000
"""How many of the heaviest points count one by one when they are tried."""
EXACT_MASS = 5e-6
"""Lighter points, and what remains of a diffuse belief, count by cells of `BIN_LEVEL`."""
BLOCK = 8
"""Points tried at once; see `agent.ratings.expected`."""
BUCKETS = 4096
"""Rings that sort distances roughly before a radius is found; it does not depend on them."""


@dataclass(frozen=True)
class Patches:
    """The cells of the mesh that evidence asked for.

    Attributes:
        quads: the cells.
        unit: `[M, 3]` their centres as unit vectors.
        area_km2: `[M]`.
    """

    quads: Quads
    unit: Floats
    area_km2: Floats

    @classmethod
    def of(cls, quads: Quads, unit: Floats, area_km2: Floats, rows: NDArray[np.intp]) -> Self:
        """Return the cells of these rows."""
        return cls(quads.taken(rows), unit[rows], area_km2[rows])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the cells of all parts."""
        return cls(
            Quads.joined([part.quads for part in parts]),
            np.concatenate([part.unit for part in parts]),
            np.concatenate([part.area_km2 for part in parts]),
        )

    @cached_property
    def country(self) -> NDArray[np.intp]:
        """Country of the centres, `[M]`: index into the codes of the belief."""
        return countries_of(self.quads)

    @cached_property
    def points(self) -> Floats:
        """Latitude and longitude of the centres in degrees, `[M, 2]`."""
        return sphere.points_of(self.unit)

    @cached_property
    def spread_km2(self) -> Floats:
        """Mean squared distance of a cell's points from its centre, `[M]`."""
        return self.area_km2 / 6


@dataclass(frozen=True)
class Belief:
    """Masses on the sphere: of the prior's `S` settlements, then of `M` cells of the mesh.

    What is known of the settlements stays where it is: copying it would cost more than all that is
    computed from it.

    Attributes:
        prior: the settlements.
        patches: the cells.
        mass: `[N]`, `N = S + M`, sums to 1.
        named: `[K, 2]` points that evidence names: latitude, longitude in degrees.
        pointed: `[N]` masses that `centre` is chosen by; None takes `mass`.
    """

    prior: Prior
    patches: Patches
    mass: Floats
    named: Floats
    pointed: Floats | None = None

    @property
    def codes(self) -> NDArray[np.str_]:
        """ISO 3166-1 alpha-2 codes, empty at sea."""
        return self.prior.known_codes

    @cached_property
    def points(self) -> Floats:
        """Latitude and longitude in degrees, `[N, 2]`."""
        return np.concatenate([self.prior.points, self.patches.points])

    @cached_property
    def countries(self) -> NDArray[np.str_]:
        """Country code of each point, `[N]`."""
        rows = np.concatenate([self.prior.known_country, self.patches.country])
        countries: NDArray[np.str_] = self.codes[rows]
        return countries

    def heaviest_in(self, code: str) -> tuple[float, float]:
        """Return latitude and longitude of the heaviest point of a country that has any."""
        (row,) = np.flatnonzero(self.codes == code)
        parts = self.prior.known_country == row, self.patches.country == row
        inside = np.flatnonzero(np.concatenate(parts))
        best = self._points_of(inside[[np.argmax(self.mass[inside])]])[0]
        return float(best[0]), float(best[1])

    def point(self, rule: Rule = "loss") -> tuple[float, float]:
        """Return the point to report: latitude and longitude in degrees.

        Args:
            rule: `loss` maximises the expected mean of exp(-distance / scale) over the field's
                thresholds; `mode` is the densest point; `mean` the spherical mean (the densest
                point, where there is none: antipodal halves); `medoid` has the least expected
                distance to the truth.
        """
        if rule == "mode":
            return self._densest
        if rule == "mean":
            mean = sphere.spherical_mean(self.points, self.mass)
            return self._densest if mean is None else (float(mean[0]), float(mean[1]))
        return self.centre if rule == "loss" else self._best(nearness)

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Latitude and longitude of the point with the highest expected score."""
        if self.pointed is not None:
            return replace(self, mass=self.pointed, pointed=None).centre
        return self._best(score)

    @cached_property
    def _densest(self) -> tuple[float, float]:
        best = int(np.argmax(self.mass / self._area_km2))
        latitude, longitude = self._points_of(np.array([best]))[0]
        return float(latitude), float(longitude)

    def radii_km(self, shares: Sequence[float], latitude: float, longitude: float) -> list[float]:
        """Return the distances from a point that hold these shares of belief, km."""
        return _quantiles(self._away_km2(latitude, longitude), self.mass, shares)

    def mass_within(self, radii_km: Sequence[float], latitude: float, longitude: float) -> Floats:
        """Return the shares of belief within these distances of a point, `[R]`."""
        away = self._away_km2(latitude, longitude)
        half = np.minimum(np.asarray(radii_km) / (2 * sphere.EARTH_RADIUS_KM), np.pi / 2)
        reach = np.where(half < np.pi / 2, (2 * sphere.EARTH_RADIUS_KM * np.sin(half)) ** 2, np.inf)
        return np.array([min(1.0, self.mass[away <= one].sum()) for one in reach])

    @cached_property
    def entropy_bits(self) -> float:
        """Differential entropy relative to one square kilometre: log2 of belief's area in km2."""
        held = self.mass > 0
        density = self.mass[held] / self._area_km2[held]
        return float(-(self.mass[held] * np.log2(density)).sum())

    @cached_property
    def country_shares(self) -> dict[str, float]:
        """Belief per country, largest first."""
        settled, mesh, count = self.prior.known_country, self.patches.country, len(self.codes)
        shares = np.bincount(settled, weights=self.mass[: len(settled)], minlength=count)
        shares += np.bincount(mesh, weights=self.mass[len(settled) :], minlength=count)
        order = np.lexsort((self.codes, -shares))
        held = zip(self.codes[order].tolist(), shares[order].tolist(), strict=True)
        return {code: min(1.0, share) for code, share in held if code and share > 0}

    def heaviest(self, count: int) -> tuple[Floats, Floats]:
        """Return the heaviest points, heaviest first: `[C, 2]` in degrees, and their mass `[C]`."""
        rows = _heaviest(self.mass, count)
        return self._points_of(rows), self.mass[rows]

    @cached_property
    def _area_km2(self) -> Floats:
        """Area that each mass is spread over, `[N]`: of settlements, what the prior gives them."""
        return np.concatenate([self.prior.area_km2, self.patches.area_km2])

    def _away_km2(self, latitude: float, longitude: float) -> Floats:
        """Return the squared distance of each mass from a point, `[N]`: the mean of its points'.

        In chords: through the Earth, which is 2 % shorter at 4,400 km.
        """
        here = sphere.unit_vectors([[latitude, longitude]])[0] * (-2 * sphere.EARTH_RADIUS_KM**2)
        settled = len(self.prior.unit)
        away = np.empty(len(self.mass))
        # Not `@`: threads of a BLAS would wait for each other at every belief.
        np.einsum("ij,j->i", self.prior.unit, here, out=away[:settled])
        np.einsum("ij,j->i", self.patches.unit, here, out=away[settled:])
        away += 2 * sphere.EARTH_RADIUS_KM**2
        np.maximum(away, 0.0, out=away)
        away[:settled] += self.prior.spread_km2
        away[settled:] += self.patches.spread_km2
        return away

    def _best(self, rated: Rated) -> tuple[float, float]:
        """Return the point with the highest expected rating: heavy ones, or named by evidence."""
        heavy = _heaviest(self.mass, EXACT_POINTS, EXACT_MASS)
        top = _heaviest(self.mass, CENTRES) if len(heavy) < CENTRES else heavy[:CENTRES]
        tried = np.concatenate([self.named, self._points_of(top)])
        tail, tail_mass = self._binned(heavy)
        others = np.concatenate(
            [truths(*self._units_of(heavy)), truths(tail, np.zeros(len(tail)))], axis=1
        )
        mass = np.concatenate([self.mass[heavy], tail_mass]).astype(np.float32)
        unit = sphere.unit_vectors(tried)
        blocks = [unit[row : row + BLOCK] for row in range(0, len(unit), BLOCK)]
        worth = np.concatenate([expected(block, others, mass, rated) for block in blocks])
        latitude, longitude = tried[np.argmax(worth)]
        return float(latitude), float(longitude)

    def _points_of(self, rows: NDArray[np.intp]) -> Floats:
        settled = len(self.prior.points)
        found = np.empty((len(rows), 2))
        ours = rows >= settled
        found[~ours] = self.prior.points[rows[~ours]]
        found[ours] = sphere.points_of(self.patches.unit[rows[ours] - settled])
        return found

    def _units_of(self, rows: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return unit vectors of masses, `[C, 3]`, and how far they are spread, km `[C]`."""
        settled = len(self.prior.unit)
        found, spread = np.empty((len(rows), 3)), np.empty(len(rows))
        ours = rows >= settled
        found[~ours] = self.prior.unit[rows[~ours]]
        found[ours] = self.patches.unit[rows[ours] - settled]
        spread[~ours] = self.prior.spread_km2[rows[~ours]]
        spread[ours] = self.patches.spread_km2[rows[ours] - settled]
        return found, np.sqrt(spread)

    def _binned(self, without: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return the centres `[B, 3]` of the bins that hold mass, as unit vectors, and the mass.

        Args:
            without: rows of points that do not count.
        """
        settled, centres = len(self.prior.points), bin_centres()
        light = np.ones(len(self.mass), dtype=np.bool_)
        light[without] = False
        towns = np.where(light[:settled], self.mass[:settled], 0.0)
        mass: Floats = np.zeros(len(centres))
        mass += np.bincount(self.prior.bins, weights=towns, minlength=len(centres))
        rest = np.flatnonzero(light[settled:])
        bins = bins_of(self.patches.quads.taken(rest))
        mass += np.bincount(bins, weights=self.mass[settled + rest], minlength=len(centres))
        held = np.flatnonzero(mass)
        return centres[held], mass[held]


def _heaviest(mass: Floats, count: int, least: float = 0.0) -> NDArray[np.intp]:
    """Return the indices of the heaviest points, heaviest first, equal ones in their order.

    Args:
        mass: `[N]`.
        count: how many at most.
        least: what they must hold.
    """
    for floor in (EXACT_MASS, 0.0):
        found = np.flatnonzero(mass > max(floor, least))
        if len(found) >= count or floor <= least:
            break
    held = mass[found]
    if len(found) > count:
        bound = np.partition(held, len(held) - count)[len(held) - count]
        above, equal = found[held > bound], found[held == bound]
        found = np.concatenate([above, equal[: count - len(above)]])
    return found[np.argsort(-mass[found], kind="stable")]


def _quantiles(away_km2: Floats, mass: Floats, shares: Sequence[float]) -> list[float]:
    """Return the distances within which these shares of the mass lie, exactly."""
    edges = (np.sqrt(away_km2) * (BUCKETS / (2 * sphere.EARTH_RADIUS_KM))).astype(np.intp)
    np.minimum(edges, BUCKETS - 1, out=edges)
    held: Floats = np.zeros(BUCKETS)
    held += np.cumsum(np.bincount(edges, weights=mass, minlength=BUCKETS))
    return [_arc_km(_within(away_km2, mass, edges, held, share)) for share in shares]


def _arc_km(chord_km2: float) -> float:
    """Return the distance along the ground of a squared chord."""
    half = min(float(np.sqrt(chord_km2)) / (2 * sphere.EARTH_RADIUS_KM), 1.0)
    return float(np.arcsin(half)) * 2 * sphere.EARTH_RADIUS_KM


def _within(
    distance: Floats, mass: Floats, edges: NDArray[np.intp], held: Floats, share: float
) -> float:
    """Return one quantile: of the points in the ring that holds it, sorted."""
    bucket = min(int(np.searchsorted(held, share)), int(edges.max()))
    inside = np.flatnonzero(edges == bucket)
    if not len(inside):
        return float(distance.max())
    order = inside[np.argsort(distance[inside], kind="stable")]
    before = held[bucket - 1] if bucket else 0.0
    index = int(np.searchsorted(before + np.cumsum(mass[order]), share))
    return float(distance[order[min(index, len(order) - 1)]])
