"""The factors of belief: the prior, and what groups of evidence multiply it by.

See `agent.belief` for the model.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geo import sphere
from tools.evidence import Candidate, Evidence

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Settlements = tuple[Floats, Floats, list[str]]
"""Points `[N, 2]`, populations `[N]`, ISO 3166-1 alpha-2 codes of `N` settlements."""

EARTH_KM2 = 510_065_600.0
PEOPLE_PER_KM2 = 1_500.0
"""Density that turns a population into a settlement's extent."""
BACKGROUND_SHARE = 0.1
"""Share of the prior that is spread evenly over the globe: photos are taken anywhere."""
SMOOTHING_KM = 15.0
"""Distance over which a settlement's photos spread when the prior is read as a density."""
RINGS, SPOKES = 10, 6
"""Quantile points of a kernel: rings of equal mass times points on each ring."""
BIN_DEG = 5.0
"""Sides of the squares that light points are counted by."""
BINS_DOWN, BINS_ACROSS = int(180 / BIN_DEG), int(360 / BIN_DEG)
KEPT_DENSITIES = 4096
"""Kernels whose prior density is kept: most evidence is looked at turn after turn."""
Kernel = tuple[float, float, float]
"""Latitude, longitude, radius in km."""


class Prior:
    """Photo density: where photos are taken when nothing else is known.

    What does not depend on evidence is computed once; see `prior_of`.
    """

    def __init__(self, settlements: Settlements) -> None:
        self.points, population, countries = settlements
        self.countries = np.asarray(countries, dtype=np.str_)
        self.codes, self.country_index = np.unique(self.countries, return_inverse=True)
        weight = np.sqrt(np.maximum(population, 1.0))
        self.mass: Floats = weight / weight.sum()
        self.extent_km: Floats = np.sqrt(np.maximum(population, 1.0) / PEOPLE_PER_KM2 / np.pi)
        self.unit: Floats = sphere.unit_vectors(self.points)

    @cached_property
    def by_country(self) -> dict[str, float]:
        """Mass per country."""
        mass = np.bincount(self.country_index, weights=self.mass)
        return dict(zip(self.codes.tolist(), mass.tolist(), strict=True))

    @cached_property
    def bins(self) -> NDArray[np.intp]:
        """Square that each settlement lies in, `[N]`."""
        return bins_of(self.points)

    def density_of(self, kernels: Sequence[Kernel]) -> Floats:
        """Return the prior's density at the quantile points of kernels, per km2, `[M]`."""
        return np.concatenate([self._density_of(kernel) for kernel in kernels])

    @cached_property
    def _density_of(self) -> Callable[[Kernel], Floats]:
        return lru_cache(KEPT_DENSITIES)(lambda kernel: self.density(quantiles_of(*kernel)[0]))

    def density(self, points: Floats) -> Floats:
        """Return the prior's density at `[N, 2]` points, per km2."""
        chord = 2 * np.sin(4 * SMOOTHING_KM / sphere.EARTH_RADIUS_KM / 2)
        near = self._tree.query_ball_point(sphere.unit_vectors(points), chord)
        rows = np.repeat(np.arange(len(points)), [len(found) for found in near])
        held = np.array([one for found in near for one in found], dtype=np.intp)
        away = sphere.haversine_km(*self.points[held].T, *points[rows].T)
        kernel = np.exp(-0.5 * (away / SMOOTHING_KM) ** 2) / (2 * np.pi * SMOOTHING_KM**2)
        smooth = np.bincount(rows, weights=self.mass[held] * kernel, minlength=len(points))
        density = BACKGROUND_SHARE / EARTH_KM2 + (1 - BACKGROUND_SHARE) * smooth
        return np.asarray(density, dtype=np.float64)

    @cached_property
    def _tree(self) -> "cKDTree":
        from scipy.spatial import cKDTree

        return cKDTree(self.unit)


def bins_of(points: Floats) -> NDArray[np.intp]:
    """Return the square of `BIN_DEG` a side that each point `[N, 2]` lies in, `[N]`."""
    rows = np.minimum(((points[:, 0] + 90) / BIN_DEG).astype(np.intp), BINS_DOWN - 1)
    columns = np.minimum(((points[:, 1] + 180) / BIN_DEG).astype(np.intp), BINS_ACROSS - 1)
    return rows * BINS_ACROSS + columns


KEPT_PRIORS = 4
"""Priors kept, of a few MB each: a process may have several gazetteers open."""
_last: list[tuple[Settlements, Prior]] = []


def prior_of(settlements: Settlements) -> Prior:
    """Return the prior of these settlements, one made lately where they are the same object."""
    for held, prior in _last:
        if held is settlements:
            return prior
    prior = Prior(settlements)
    _last[:] = [(settlements, prior), *_last[: KEPT_PRIORS - 1]]
    return prior


class CountryGroup:
    """Dependent evidence that speaks of countries: the mean of its shares."""

    def __init__(self, items: Sequence[Evidence], prior: Prior) -> None:
        total = sum(item.weight for item in items)
        self.weight = max(item.weight for item in items)
        self.shares: dict[str, float] = {}
        for item in items:
            for code, share in item.countries.items():
                if prior.by_country.get(code):
                    part = share * item.weight / total
                    self.shares[code] = self.shares.get(code, 0.0) + part
        self._prior = prior.by_country
        self._unknown = 1 - sum(self.shares.values())

    def ratio(self, countries: NDArray[np.str_]) -> Floats:
        """Return the factor on belief at points in these countries, `[N]`."""
        codes, where = np.unique(countries, return_inverse=True)
        factors = [self._factor(str(code)) for code in codes]
        return np.asarray(factors, dtype=np.float64)[where]

    def _factor(self, code: str) -> float:
        named = self.shares[code] / self._prior[code] if code in self.shares else 0.0
        return self.weight * (named + self._unknown) + 1 - self.weight


class CandidateGroup:
    """Dependent evidence that speaks of coordinates: one mixture of kernels."""

    def __init__(self, items: Sequence[Evidence], prior: Prior) -> None:
        self._given = frozenset(code for item in items for code in item.given_countries)
        inside = sum(prior.by_country.get(code, 0.0) for code in self._given)
        self._weight = min(0.999, max(item.weight for item in items))
        self._scale = self._weight * (inside if self._given else 1.0)
        shares = _mixture(items)
        self.kernels: tuple[Kernel, ...] = tuple(shares)
        self.unit: Floats = sphere.unit_vectors([kernel[:2] for kernel in shares])
        self.radius_km: Floats = np.array([radius_km for _, _, radius_km in shares])
        self.share: Floats = np.array(list(shares.values()))

    def samples(self) -> tuple[Floats, Floats, Floats, NDArray[np.str_]]:
        """Return quantile points `[M, 2]`, their mass `[M]`, extent `[M]` in km and countries."""
        quantiles = [quantiles_of(*kernel) for kernel in self.kernels]
        count = RINGS * SPOKES
        mass = np.repeat(self._scale * self.share / count, count)
        points = np.concatenate([points for points, _ in quantiles])
        codes = np.concatenate([codes for _, codes in quantiles])
        return points, mass, np.repeat(self.radius_km * 0.1, count), codes

    def density(self, unit: Floats) -> Floats:
        """Return weight times the mixture's density at unit vectors `[N, 3]`, per km2."""
        # Differences keep a millimetre, where cosines lose tens of metres.
        squared = sum(np.subtract.outer(unit[:, k], self.unit[:, k]) ** 2 for k in range(3))
        away = 2 * sphere.EARTH_RADIUS_KM * np.arcsin(np.minimum(np.sqrt(squared) / 2, 1.0))
        kernel = (1 + (away / self.radius_km) ** 2) ** -2 / (np.pi * self.radius_km**2)
        return np.asarray(self._scale * np.einsum("ij,j->i", kernel, self.share), dtype=np.float64)

    def wrong(self, countries: NDArray[np.str_]) -> Floats:
        """Return the factor on belief at points in these countries if the group is wrong, `[N]`."""
        affected = np.isin(countries, list(self._given)) if self._given else True
        return np.where(affected, 1 - self._weight, np.ones(len(countries)))


@lru_cache(maxsize=4096)
def quantiles_of(
    latitude: float, longitude: float, radius_km: float
) -> tuple[Floats, NDArray[np.str_]]:
    """Return the quantile points `[RINGS * SPOKES, 2]` of a kernel and their countries."""
    from geo.regions import country_at

    quantile = (np.arange(RINGS) + 0.5) / RINGS
    bearing = (np.arange(SPOKES) + 0.5 * (np.arange(RINGS) % 2)[:, None]) * 360 / SPOKES
    reach = np.sqrt(quantile / (1 - quantile))[:, None] * np.ones(SPOKES)
    distance = np.minimum(radius_km * reach.ravel(), 20_000.0)
    points = sphere.destination(latitude, longitude, bearing.ravel(), distance).reshape(-1, 2)
    codes = np.asarray(country_at(points), dtype=np.str_)
    points.setflags(write=False)
    codes.setflags(write=False)
    return points, codes


def _mixture(items: Sequence[Evidence]) -> dict[Kernel, float]:
    """Return the distinct kernels of a group and their shares, which sum to 1.

    A kernel is a latitude, a longitude and a radius; a candidate has one for each of its
    reaches. A candidate that several dependent calls bring is one with their mean share.
    """
    total = sum(item.weight for item in items)
    held: dict[Kernel, float] = {}
    for item in items:
        scores = sum(max(c.score, 1e-6) for c in item.candidates)
        for c in item.candidates:
            share = max(c.score, 1e-6) / scores * item.weight / total
            for radius_km, part in _reaches(c):
                key = (c.latitude, c.longitude, radius_km)
                held[key] = held.get(key, 0.0) + share * part
    return dict(sorted(held.items()))


def _reaches(candidate: Candidate) -> list[tuple[float, float]]:
    """Return the radius and the share of each of a candidate's kernels."""
    total = sum(reach.share for reach in candidate.reaches)
    if not total:
        return [(candidate.radius_km, 1.0)]
    return [(reach.radius_km, reach.share / total) for reach in candidate.reaches]
