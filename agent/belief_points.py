"""Belief as masses on the sphere, and what can be read from them.

Every method is exact for these masses, but for the choice of the reported point among those tried;
see `agent.belief` for where they come from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from agent.abstain import Rule
from agent.factors import BIN_DEG, BINS_ACROSS, BINS_DOWN, Floats, Prior, bins_of
from geo import sphere
from geo.quads import Quads

LOSS_SCALES_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""The field's thresholds; the reported point maximises the mean of exp(-distance / scale)."""
CENTRES = 96
"""How many of the heaviest points are tried as the reported point, besides those of evidence."""
EXACT_POINTS = 2_000
"""How many of the heaviest points count one by one when they are tried; the light rest of a
diffuse belief counts by squares of `BIN_DEG`."""
BLOCK = 16
"""Points tried at once: what is computed for them stays in the processor's cache, and the product
is too small for the threads of a BLAS, which would wait for each other at every belief."""
BUCKETS = 4096
"""Rings that sort distances roughly before a radius is found; it does not depend on them."""
Rated = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""What an answer is worth to a truth at some distances, km."""


@dataclass(frozen=True)
class Patches:
    """The cells of the mesh that evidence asked for.

    Attributes:
        quads: the cells.
        unit: `[M, 3]` their centres as unit vectors.
        area_km2: `[M]`.
        country: `[M]` index into the codes of the belief.
    """

    quads: Quads
    unit: Floats
    area_km2: Floats
    country: NDArray[np.intp]

    @cached_property
    def points(self) -> Floats:
        """Latitude and longitude of the centres in degrees, `[M, 2]`."""
        return sphere.points_of(self.unit)

    @cached_property
    def spread_km(self) -> Floats:
        """Root of the mean squared distance of a cell's points from its centre, `[M]`."""
        return np.sqrt(self.area_km2 / 6)


@dataclass(frozen=True)
class Belief:
    """Masses on the sphere: of the prior's `S` settlements, then of `M` cells of the mesh.

    What is known of the settlements stays where it is: copying it would cost more than all that is
    computed from it.

    Attributes:
        prior: the settlements.
        patches: the cells.
        mass: `[N]`, `N = S + M`, sums to 1.
        codes: ISO 3166-1 alpha-2 codes, empty at sea: the prior's, then others.
        named: `[K, 2]` points that evidence names: latitude, longitude in degrees.
    """

    prior: Prior
    patches: Patches
    mass: Floats
    codes: NDArray[np.str_]
    named: Floats

    @cached_property
    def points(self) -> Floats:
        """Latitude and longitude in degrees, `[N, 2]`."""
        return np.concatenate([self.prior.points, self.patches.points])

    @cached_property
    def countries(self) -> NDArray[np.str_]:
        """Country code of each point, `[N]`."""
        rows = np.concatenate([self.prior.country_index, self.patches.country])
        countries: NDArray[np.str_] = self.codes[rows]
        return countries

    def heaviest_in(self, code: str) -> tuple[float, float]:
        """Return latitude and longitude of the heaviest point of a country that has any."""
        (row,) = np.flatnonzero(self.codes == code)
        parts = self.prior.country_index == row, self.patches.country == row
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
        return self.centre if rule == "loss" else self._best(_nearness)

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Latitude and longitude of the point with the highest expected score."""
        return self._best(_scores)

    @cached_property
    def _densest(self) -> tuple[float, float]:
        best = int(np.argmax(self.mass / self._area_km2))
        latitude, longitude = self._points_of(np.array([best]))[0]
        return float(latitude), float(longitude)

    def radii_km(self, shares: Sequence[float], latitude: float, longitude: float) -> list[float]:
        """Return the distances from a point that hold these shares of belief, km."""
        return _quantiles(self._away_km(latitude, longitude), self.mass, shares)

    def mass_within(self, radii_km: Sequence[float], latitude: float, longitude: float) -> Floats:
        """Return the shares of belief within these distances of a point, `[R]`."""
        away = self._away_km(latitude, longitude)
        return np.array([min(1.0, self.mass[away <= radius].sum()) for radius in radii_km])

    @cached_property
    def entropy_bits(self) -> float:
        """Differential entropy relative to one square kilometre: log2 of belief's area in km2."""
        held = self.mass > 0
        density = self.mass[held] / self._area_km2[held]
        return float(-(self.mass[held] * np.log2(density)).sum())

    @cached_property
    def country_shares(self) -> dict[str, float]:
        """Belief per country, largest first."""
        settled, mesh, count = self.prior.country_index, self.patches.country, len(self.codes)
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

    def _away_km(self, latitude: float, longitude: float) -> Floats:
        """Return the distance of each mass from a point, `[N]`: what its points have on average."""
        here = sphere.unit_vectors([[latitude, longitude]])[0]
        settled = len(self.prior.unit)
        away = np.empty(len(self.mass))
        # Not `@`: threads of a BLAS would wait for each other at every belief.
        np.einsum("ij,j->i", self.prior.unit, here, out=away[:settled])
        np.einsum("ij,j->i", self.patches.unit, here, out=away[settled:])
        half = np.sqrt(np.clip(np.subtract(1.0, away, out=away), 0.0, 2.0, out=away) * 0.5)
        away = np.arcsin(half) * (2 * sphere.EARTH_RADIUS_KM)
        away[:settled] = np.hypot(away[:settled], self.prior.spread_km)
        away[settled:] = np.hypot(away[settled:], self.patches.spread_km)
        return away

    def _best(self, rated: Rated) -> tuple[float, float]:
        """Return the point with the highest expected rating: heavy ones, or named by evidence."""
        heavy = _heaviest(self.mass, EXACT_POINTS)
        tried = np.concatenate([self.named, self._points_of(heavy[:CENTRES])])
        tail, tail_mass = self._binned(heavy)
        others = np.concatenate([self._units_of(heavy), tail])
        mass = np.concatenate([self.mass[heavy], tail_mass]).astype(np.float32)
        unit = sphere.unit_vectors(tried)
        blocks = [unit[row : row + BLOCK] for row in range(0, len(unit), BLOCK)]
        score = np.concatenate([_expected(block, others, mass, rated) for block in blocks])
        latitude, longitude = tried[np.argmax(score)]
        return float(latitude), float(longitude)

    def _points_of(self, rows: NDArray[np.intp]) -> Floats:
        settled = len(self.prior.points)
        found = np.empty((len(rows), 2))
        ours = rows >= settled
        found[~ours] = self.prior.points[rows[~ours]]
        found[ours] = sphere.points_of(self.patches.unit[rows[ours] - settled])
        return found

    def _units_of(self, rows: NDArray[np.intp]) -> Floats:
        settled = len(self.prior.unit)
        found = np.empty((len(rows), 3))
        ours = rows >= settled
        found[~ours] = self.prior.unit[rows[~ours]]
        found[ours] = self.patches.unit[rows[ours] - settled]
        return found

    def _binned(self, without: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return the centres `[B, 3]` of the squares that hold mass, as unit vectors, and the mass.

        Args:
            without: rows of points that do not count.
        """
        light = self.mass.copy()
        light[without] = 0.0
        settled, count = len(self.prior.points), len(_bin_centres())
        mass: Floats = np.zeros(count)
        mass += np.bincount(self.prior.bins, weights=light[:settled], minlength=count)
        rest = light[settled:]
        held = np.flatnonzero(rest)
        bins = bins_of(sphere.points_of(self.patches.unit[held]))
        mass += np.bincount(bins, weights=rest[held], minlength=count)
        held = np.flatnonzero(mass)
        return _bin_centres()[held], mass[held]


def _scores(away_km: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the score of a truth at these distances."""
    score = np.zeros_like(away_km)
    for scale in LOSS_SCALES_KM:
        score += np.exp(away_km * np.float32(-1 / scale))
    return score


def _nearness(away_km: NDArray[np.float32]) -> NDArray[np.float32]:
    return -away_km


def _expected(
    tried: Floats, others: Floats, mass: NDArray[np.float32], rated: Rated
) -> NDArray[np.float32]:
    """Return the expected rating of each point tried, `[B]`, were the others the truth."""
    # Cosines in double precision keep a metre; the rest needs three digits.
    cosine = tried @ others.T
    chord = np.subtract(1.0, cosine, out=cosine).astype(np.float32)
    half = np.sqrt(np.clip(chord, 0.0, 2.0, out=chord) * np.float32(0.5))
    away = np.arcsin(half) * np.float32(2 * sphere.EARTH_RADIUS_KM)
    held: NDArray[np.float32] = np.sum(rated(away) * mass, axis=1)
    return held


def _heaviest(mass: Floats, count: int) -> NDArray[np.intp]:
    """Return the indices of the heaviest points, heaviest first, equal ones in their order."""
    if len(mass) <= count:
        return np.argsort(-mass, kind="stable")
    least = np.partition(mass, len(mass) - count)[len(mass) - count]
    above = np.flatnonzero(mass > least)
    equal = np.flatnonzero(mass == least)[: count - len(above)]
    chosen = np.concatenate([above, equal])
    return chosen[np.argsort(-mass[chosen], kind="stable")]


def _quantiles(distance: Floats, mass: Floats, shares: Sequence[float]) -> list[float]:
    """Return the distances within which these shares of the mass lie, exactly."""
    edges = np.minimum((distance * (BUCKETS / 25_000.0)).astype(np.intp), BUCKETS - 1)
    held: Floats = np.zeros(BUCKETS)
    held += np.cumsum(np.bincount(edges, weights=mass, minlength=BUCKETS))
    return [_within(distance, mass, edges, held, share) for share in shares]


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


@cache
def _bin_centres() -> Floats:
    """Return the centres of all squares as unit vectors, `[B, 3]`."""
    rows, columns = np.divmod(np.arange(BINS_DOWN * BINS_ACROSS), BINS_ACROSS)
    centres = np.stack([rows, columns], axis=1) + 0.5
    return sphere.unit_vectors(centres * BIN_DEG - (90.0, 180.0))
