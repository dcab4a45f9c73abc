"""Belief as weighted points on the sphere, and what can be read from them.

Every method is exact but for the choice of the reported point among those tried; see `agent.belief`
for where the points come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agent.factors import BIN_DEG, BINS_ACROSS, BINS_DOWN, Floats, Prior, bins_of
from geo import sphere

LOSS_SCALES_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""The field's thresholds; the reported point maximises the mean of exp(-distance / scale)."""
CENTRES = 96
"""How many of the heaviest points are tried as the reported point."""
EXACT_POINTS = 2_000
"""How many of the heaviest points count one by one when they are tried; the light rest of a
diffuse belief counts by squares of `BIN_DEG`."""
BLOCK = 16
"""Points tried at once: what is computed for them stays in the processor's cache, and the product
is too small for the threads of a BLAS, which would wait for each other at every belief."""
BUCKETS = 4096
"""Rings that sort distances roughly before a radius is found; it does not depend on them."""


@dataclass(frozen=True)
class Drawn:
    """The quantile points of evidence.

    Attributes:
        points: `[M, 2]` latitude, longitude in degrees.
        unit: `[M, 3]` the same as unit vectors.
        extent_km: `[M]` radius that each point stands for.
        country: `[M]` index into the codes of the belief.
    """

    points: Floats
    unit: Floats
    extent_km: Floats
    country: NDArray[np.intp]


@dataclass(frozen=True)
class Belief:
    """Weighted points on the sphere: the settlements `S` of the prior, then what evidence drew.

    What is known of the settlements stays where it is: copying it would cost more than all that is
    computed from it.

    Attributes:
        prior: the settlements.
        drawn: the `M` points of evidence.
        mass: `[N]`, `N = S + M`, sums to 1.
        codes: ISO 3166-1 alpha-2 codes, empty at sea: the prior's, then others.
    """

    prior: Prior
    drawn: Drawn
    mass: Floats
    codes: NDArray[np.str_]

    @cached_property
    def points(self) -> Floats:
        """Latitude and longitude in degrees, `[N, 2]`."""
        return np.concatenate([self.prior.points, self.drawn.points])

    @cached_property
    def countries(self) -> NDArray[np.str_]:
        """Country code of each point, `[N]`."""
        rows = np.concatenate([self.prior.country_index, self.drawn.country])
        countries: NDArray[np.str_] = self.codes[rows]
        return countries

    def heaviest_in(self, code: str) -> tuple[float, float]:
        """Return latitude and longitude of the heaviest point of a country that has any."""
        (row,) = np.flatnonzero(self.codes == code)
        parts = self.prior.country_index == row, self.drawn.country == row
        inside = np.flatnonzero(np.concatenate(parts))
        best = self._taken("points", inside[[np.argmax(self.mass[inside])]])[0]
        return float(best[0]), float(best[1])

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Latitude and longitude of the point with the highest expected score."""
        heavy = _heaviest(self.mass, EXACT_POINTS)
        tried = self._taken("unit", heavy[:CENTRES])
        tail, tail_mass = self._binned(heavy)
        others = np.concatenate([self._taken("unit", heavy), tail])
        mass = np.concatenate([self.mass[heavy], tail_mass]).astype(np.float32)
        blocks = [tried[row : row + BLOCK] for row in range(0, len(tried), BLOCK)]
        score = np.concatenate([_scores(block, others, mass) for block in blocks])
        best = self._taken("points", heavy[[np.argmax(score)]])[0]
        return float(best[0]), float(best[1])

    def radii_km(self, shares: Sequence[float], latitude: float, longitude: float) -> list[float]:
        """Return the distances from a point that hold these shares of belief, km."""
        here = sphere.unit_vectors([[latitude, longitude]])[0]
        cosines = [np.einsum("ij,j->i", unit, here) for unit in (self.prior.unit, self.drawn.unit)]
        away = np.concatenate(cosines)
        half = np.sqrt(np.clip(np.subtract(1.0, away, out=away), 0.0, 2.0, out=away) * 0.5)
        away = np.arcsin(half) * (2 * sphere.EARTH_RADIUS_KM)
        away[: len(self.prior.unit)] += self.prior.extent_km
        away[len(self.prior.unit) :] += self.drawn.extent_km
        return _quantiles(away, self.mass, shares)

    @cached_property
    def country_shares(self) -> dict[str, float]:
        """Belief per country, largest first."""
        settled, drawn, count = self.prior.country_index, self.drawn.country, len(self.codes)
        shares = np.bincount(settled, weights=self.mass[: len(settled)], minlength=count)
        shares += np.bincount(drawn, weights=self.mass[len(settled) :], minlength=count)
        order = np.lexsort((self.codes, -shares))
        held = zip(self.codes[order].tolist(), shares[order].tolist(), strict=True)
        return {code: min(1.0, share) for code, share in held if code and share > 0}

    def _taken(self, name: Literal["points", "unit"], rows: NDArray[np.intp]) -> Floats:
        """Return the rows of an array of all points."""
        settled: Floats = getattr(self.prior, name)
        drawn: Floats = getattr(self.drawn, name)
        taken = np.empty((len(rows), settled.shape[1]))
        ours = rows >= len(settled)
        taken[~ours] = settled[rows[~ours]]
        taken[ours] = drawn[rows[ours] - len(settled)]
        return taken

    def _binned(self, without: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return the centres `[B, 3]` of the squares that hold mass, as unit vectors, and the mass.

        Args:
            without: rows of points that do not count.
        """
        light = self.mass.copy()
        light[without] = 0.0
        settled, count = len(self.prior.points), len(bin_centres())
        mass: Floats = np.zeros(count)
        mass += np.bincount(self.prior.bins, weights=light[:settled], minlength=count)
        mass += np.bincount(bins_of(self.drawn.points), weights=light[settled:], minlength=count)
        held = np.flatnonzero(mass)
        return bin_centres()[held], mass[held]


def _scores(tried: Floats, others: Floats, mass: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the expected score of each point tried, `[B]`, were the others the truth."""
    # Cosines in double precision keep a metre; the rest needs three digits.
    cosine = tried @ others.T
    chord = np.subtract(1.0, cosine, out=cosine).astype(np.float32)
    half = np.sqrt(np.clip(chord, 0.0, 2.0, out=chord) * np.float32(0.5))
    away = np.arcsin(half) * np.float32(-2 * sphere.EARTH_RADIUS_KM)
    score = np.zeros_like(away)
    for scale in LOSS_SCALES_KM:
        score += np.exp(away * np.float32(1 / scale))
    held: NDArray[np.float32] = np.sum(score * mass, axis=1)
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
def bin_centres() -> Floats:
    """Return the centres of all squares as unit vectors, `[B, 3]`."""
    rows, columns = np.divmod(np.arange(BINS_DOWN * BINS_ACROSS), BINS_ACROSS)
    centres = np.stack([rows, columns], axis=1) + 0.5
    return sphere.unit_vectors(centres * BIN_DEG - (90.0, 180.0))
