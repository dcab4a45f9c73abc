"""The factors of belief: the prior, and what groups of evidence multiply it by.

See `agent.belief` for the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agent.calibration import MOST_WEIGHT
from geo import sphere
from geo.cells import area_km2, from_tokens, levels
from geo.errors import InputError
from geo.quads import Quads, quads_at
from tools.evidence import Candidate, Evidence

Floats = NDArray[np.float64]
Settlements = tuple[Floats, Floats, list[str]]
"""Points `[N, 2]`, populations `[N]`, ISO 3166-1 alpha-2 codes of `N` settlements."""

EARTH_KM2 = 510_065_600.0
PEOPLE_PER_KM2 = 1_500.0
"""Density that turns a population into a settlement's extent."""
BACKGROUND_SHARE = 0.1
"""Share of the prior that is spread evenly over the globe: photos are taken anywhere."""
DENSITY_LEVEL = 9
"""S2 cells, 18 km wide on average, that the prior's density is kept in."""
SMOOTHING_CELLS = 0.85
"""A settlement's photos spread around it like a normal of so many of these cells, 15 km."""
LEAST_DENSITY = 1 / 149e6
"""Photos per km2 of all land, of all photos. Where the prior has less, kernels that overlap are
no surprise: their tails reach out to sea and into deserts because they know no coast."""
INSIDE = 0.8
"""Share of a cell candidate's mass that is spread evenly over its cell; the rest is a kernel."""
BIN_DEG = 5.0
"""Sides of the squares that light points are counted by."""
BINS_DOWN, BINS_ACROSS = int(180 / BIN_DEG), int(360 / BIN_DEG)


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

    @cached_property
    def spread_km(self) -> Floats:
        """Root of the mean squared distance of a settlement's points from its centre, `[N]`."""
        return np.asarray(self.extent_km / np.sqrt(2), dtype=np.float64)

    @cached_property
    def area_km2(self) -> Floats:
        """Area that each settlement's mass is spread over in the density, `[N]`."""
        return np.asarray(self.mass / self.density(self.unit), dtype=np.float64)

    def density(self, unit: Floats) -> Floats:
        """Return the prior's density at unit vectors `[N, 3]`, per km2."""
        cells = quads_at(unit, DENSITY_LEVEL)
        held = self._settled[cells.face, cells.row, cells.column]
        return np.asarray(
            np.maximum(BACKGROUND_SHARE / EARTH_KM2 + (1 - BACKGROUND_SHARE) * held, LEAST_DENSITY)
        )

    @cached_property
    def _settled(self) -> NDArray[np.float32]:
        """Density of settlements in the cells of `DENSITY_LEVEL`: `[6, rows, columns]`, per km2."""
        from scipy.ndimage import gaussian_filter

        side = 2**DENSITY_LEVEL
        cells = quads_at(self.unit, DENSITY_LEVEL)
        faces = np.zeros((6, side, side))
        np.add.at(faces, (cells.face, cells.row, cells.column), self.mass)
        smooth = np.stack([gaussian_filter(one, SMOOTHING_CELLS, mode="nearest") for one in faces])
        row, column = np.divmod(np.arange(side * side), side)
        same = np.zeros_like(row)  # all six faces are alike
        area = Quads(same, column, row, same + DENSITY_LEVEL).area_km2().reshape(side, side)
        return np.asarray(smooth / smooth.sum() / area, dtype=np.float32)


def bins_of(points: Floats) -> NDArray[np.intp]:
    """Return the square of `BIN_DEG` a side that each point `[N, 2]` lies in, `[N]`."""
    rows = np.minimum(((points[:, 0] + 90) / BIN_DEG).astype(np.intp), BINS_DOWN - 1)
    columns = np.minimum(((points[:, 1] + 180) / BIN_DEG).astype(np.intp), BINS_ACROSS - 1)
    return rows * BINS_ACROSS + columns


KEPT_PRIORS = 4
"""Priors kept, of some MB each: a process may have several gazetteers open."""
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
        self.weight = min(MOST_WEIGHT, max(item.weight for item in items))
        self.shares: dict[str, float] = {}
        for item in items:
            for code, share in item.countries.items():
                if prior.by_country.get(code):
                    part = share * item.weight / total
                    self.shares[code] = self.shares.get(code, 0.0) + part
        self._prior = prior.by_country
        self._unknown = 1 - sum(self.shares.values())

    def ratio(self, codes: NDArray[np.str_]) -> Floats:
        """Return the factor on belief in each of these countries, `[N]`, never 0."""
        return np.array([self._factor(code) for code in codes.tolist()], dtype=np.float64)

    def _factor(self, code: str) -> float:
        named = self.shares[code] / self._prior[code] if code in self.shares else 0.0
        return self.weight * (named + self._unknown) + 1 - self.weight


class CandidateGroup:
    """Dependent evidence that speaks of coordinates: one mixture of kernels.

    Attributes:
        weight: how often the group is right.
        unit: `[K, 3]` centres of its kernels.
        radius_km: `[K]` their scales.
        share: `[K]` of the group's mass; sums to 1.
        cell: `[K]` the S2 cell that most of a kernel's mass is spread over; 0 for none.
    """

    def __init__(self, items: Sequence[Evidence], prior: Prior) -> None:
        self._given = frozenset(code for item in items for code in item.given_countries)
        inside = sum(prior.by_country.get(code, 0.0) for code in self._given)
        self.weight = min(MOST_WEIGHT, max(item.weight for item in items))
        self.scale = self.weight * (inside if self._given else 1.0)
        shares = _mixture(items)
        self.unit: Floats = sphere.unit_vectors([key[:2] for key in shares])
        self.radius_km: Floats = np.array([key[2] for key in shares])
        self.cell = np.array([key[3] for key in shares], dtype=np.uint64)
        self.share: Floats = np.array(list(shares.values()))

    @property
    def presupposes(self) -> bool:
        """Whether it speaks of some countries alone."""
        return bool(self._given)

    def wrong(self, codes: NDArray[np.str_]) -> Floats:
        """Return the factor on belief in each of these countries if the group is wrong, `[N]`."""
        affected = [not self._given or code in self._given for code in codes.tolist()]
        return np.where(affected, 1 - self.weight, 1.0)


@dataclass(frozen=True)
class Kernels:
    """All kernels of some groups side by side, `[K]`; group by group.

    Attributes:
        unit: `[K, 3]` centres.
        share: of their group's mass.
        cell: see `CandidateGroup`.
        first: `[G]` each group's first kernel.
    """

    unit: Floats
    radius_km: Floats
    share: Floats
    cell: NDArray[np.uint64]
    first: NDArray[np.intp]

    @classmethod
    def of(cls, groups: Sequence[CandidateGroup]) -> Self:
        """Return the kernels of groups, of which there is at least one."""
        return cls(
            np.concatenate([group.unit for group in groups]),
            np.concatenate([group.radius_km for group in groups]),
            np.concatenate([group.share for group in groups]),
            np.concatenate([group.cell for group in groups]),
            np.cumsum([0, *(len(group.share) for group in groups[:-1])]),
        )

    def density(self, unit: Floats) -> Floats:
        """Return the density of each group at unit vectors `[N, 3]`: `[N, G]`, per km2.

        In chords `c` instead of arcs the kernel `(1 + c^2 / r^2)^-2 / (pi r^2)` integrates over the
        sphere in closed form, since a cap's area is `pi c^2`.
        """
        earth_2, radius_2 = sphere.EARTH_RADIUS_KM**2, self.radius_km**2
        peak = self.share * (1 + radius_2 / (4 * earth_2)) / (np.pi * radius_2)
        peak = np.where(self.cell > 0, 1 - INSIDE, 1.0) * peak
        # 1 + c^2 / r^2 = 1 + 2 (R / r)^2 - 2 (R / r)^2 cos: one product, no threads of a BLAS.
        slope = 2 * earth_2 / radius_2
        towards = self.unit.T * -slope
        found = np.empty((len(unit), len(self.first)))
        for start in range(0, len(unit), _BLOCK):
            rows = slice(start, start + _BLOCK)
            reach = np.maximum(unit[rows] @ towards + (1 + slope), 1.0)
            np.multiply(reach, reach, out=reach)
            np.divide(peak, reach, out=reach)
            np.add.reduceat(reach, self.first, axis=1, out=found[rows])
        for k in np.flatnonzero(self.cell):
            group = int(np.searchsorted(self.first, k, side="right")) - 1
            found[:, group] += INSIDE * self.share[k] * _evenly(unit, self.cell[k])
        return found


_BLOCK = 128
"""Rows computed at once: they stay in the processor's cache."""


def _evenly(unit: Floats, cell: np.uint64) -> Floats:
    """Return the density of mass that is spread evenly over a cell, `[N]`, per km2."""
    level = int(levels([cell])[0])
    centre = quads_at(sphere.unit_vectors([_centre_of(int(cell))]), level)
    held = centre.find(quads_at(unit, level)) == 0
    return np.where(held, 1 / float(area_km2([cell])[0]), 0.0)


@lru_cache(maxsize=1024)
def _centre_of(cell: int) -> tuple[float, float]:
    from geo.cells import centres

    (centre,) = centres([cell])
    return float(centre[0]), float(centre[1])


Key = tuple[float, float, float, int]
"""Of a kernel: latitude, longitude, radius in km, cell (0 for none)."""


def _mixture(items: Sequence[Evidence]) -> dict[Key, float]:
    """Return the distinct kernels of a group and their shares, which sum to 1.

    A candidate has a kernel for each of its reaches. A candidate that several dependent calls
    bring is one with their mean share.
    """
    total = sum(item.weight for item in items)
    held: dict[Key, float] = {}
    for item in items:
        scores = sum(max(c.score, 1e-6) for c in item.candidates)
        for c in item.candidates:
            share = max(c.score, 1e-6) / scores * item.weight / total
            longitude = -180.0 if c.longitude == 180 else c.longitude + 0.0
            for radius_km, part in _reaches(c):
                key = (c.latitude + 0.0, longitude, radius_km, _cell_of(c))
                held[key] = held.get(key, 0.0) + share * part
    return dict(sorted(held.items()))


def _reaches(candidate: Candidate) -> list[tuple[float, float]]:
    """Return the radius and the share of each of a candidate's kernels."""
    total = sum(reach.share for reach in candidate.reaches)
    if not total:
        return [(candidate.radius_km, 1.0)]
    return [(reach.radius_km, reach.share / total) for reach in candidate.reaches if reach.share]


def _cell_of(candidate: Candidate) -> int:
    """Return the S2 cell of a cell candidate that names it by its token; 0 otherwise."""
    if candidate.kind != "cell" or candidate.reaches or not candidate.reference:
        return 0
    try:
        return int(from_tokens([candidate.reference])[0])
    except InputError:
        return 0
