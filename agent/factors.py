"""The factors of belief: the prior, and what groups of evidence multiply it by.

See `agent.belief` for the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agent.calibration import MOST_WEIGHT
from geo import sphere
from geo.cells import area_km2, from_tokens, levels
from geo.errors import InputError
from geo.quads import Quads, quads_at
from geo.regions import load_atlas
from tools.evidence import Area, Candidate, Evidence

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
BIN_LEVEL = 4
"""S2 cells, 560 km wide on average, that light points are counted by."""


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
        self.in_areas: dict[Area, NDArray[np.bool_]] = {}
        """Which settlements lie in areas, kept by `agent.area_factors`."""

    @cached_property
    def by_country(self) -> dict[str, float]:
        """Mass per country."""
        mass = np.bincount(self.country_index, weights=self.mass)
        return dict(zip(self.codes.tolist(), mass.tolist(), strict=True))

    @cached_property
    def known_codes(self) -> NDArray[np.str_]:
        """Country codes: those of polygons, "" for the open sea, and others of settlements."""
        names = load_atlas().names.astype(np.str_)
        return np.concatenate([names, np.setdiff1d(self.codes, names)])

    @cached_property
    def known_country(self) -> NDArray[np.intp]:
        """Index of each settlement's country in `known_codes`, `[N]`."""
        order = np.argsort(self.known_codes)
        places = order[np.searchsorted(self.known_codes[order], self.codes)]
        return np.asarray(places[self.country_index], dtype=np.intp)

    @cached_property
    def bins(self) -> NDArray[np.intp]:
        """Cell of `BIN_LEVEL` that each settlement lies in, `[N]`."""
        return bins_of(quads_at(self.unit, BIN_LEVEL))

    @cached_property
    def spread_km2(self) -> Floats:
        """Mean squared distance of a settlement's points from its centre, `[N]`."""
        return np.asarray(self.extent_km**2 / 2, dtype=np.float64)

    @cached_property
    def area_km2(self) -> Floats:
        """Area that each settlement's mass is spread over in the density, `[N]`."""
        return np.asarray(self.mass / self.density(self.unit), dtype=np.float64)

    def density(self, unit: Floats) -> Floats:
        """Return the prior's density at unit vectors `[N, 3]`, per km2."""
        return self.density_in(quads_at(unit, DENSITY_LEVEL))

    def density_in(self, quads: Quads) -> Floats:
        """Return the prior's density at the centres of cells `[N]`, per km2."""
        cells = quads.at_level(DENSITY_LEVEL)
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


SNAP_KM = 25.0
"""So far out at sea the nearest coast's country counts."""


MOST_CELLS_KEPT = 200_000
"""Cells whose country is kept, 16 bytes each: belief asks for the same ones at every step."""
_countries: tuple[NDArray[np.int64], NDArray[np.intp]] = np.empty(0, np.int64), np.empty(0, np.intp)


def countries_of(quads: Quads) -> NDArray[np.intp]:
    """Return the country at the centres of cells: index into `Prior.known_codes`, `[N]`."""
    global _countries
    ids, (known, country) = quads.ids(), _countries  # both at once: threads may replace them
    place = np.minimum(np.searchsorted(known, ids), max(len(known) - 1, 0))
    fresh = known[place] != ids if len(known) else np.ones(len(ids), dtype=np.bool_)
    found = np.empty(len(ids), dtype=np.intp)
    found[~fresh] = country[place[~fresh]]
    if fresh.any():
        atlas = load_atlas()
        points = sphere.points_of(quads.taken(fresh).unit_vectors())
        asked = atlas.find(points[:, 0], points[:, 1], SNAP_KM)
        found[fresh] = np.where(asked < 0, len(atlas.codes), asked)
        if len(known) + len(asked) > MOST_CELLS_KEPT:
            known, country = known[:0], country[:0]
        known, place = np.unique(np.concatenate([ids[fresh], known]), return_index=True)
        _countries = known, np.concatenate([found[fresh], country])[place]
    return found


def bins_of(quads: Quads) -> NDArray[np.intp]:
    """Return the cell of `BIN_LEVEL` that holds the centre of each cell `[N]`, `[N]`."""
    cells = quads.at_level(BIN_LEVEL)
    return ((cells.face << BIN_LEVEL) + cells.column << BIN_LEVEL) + cells.row


@cache
def bin_centres() -> Floats:
    """Return the centres of all cells of `BIN_LEVEL` as unit vectors, `[B, 3]`."""
    face, column, row = np.indices((6, 2**BIN_LEVEL, 2**BIN_LEVEL)).reshape(3, -1)
    return Quads(face, column, row, np.full_like(face, BIN_LEVEL)).unit_vectors()


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

    def right(self, codes: NDArray[np.str_]) -> Floats:
        """Return the factor on belief in each of these countries if the group is right, `[N]`."""
        return np.array([self._if_right(code) for code in codes.tolist()], dtype=np.float64)

    def _factor(self, code: str) -> float:
        return self.weight * self._if_right(code) + 1 - self.weight

    def _if_right(self, code: str) -> float:
        named = self.shares[code] / self._prior[code] if code in self.shares else 0.0
        return named + self._unknown


class CandidateGroup:
    """Dependent evidence that speaks of coordinates: one mixture of kernels.

    Attributes:
        weight: how often the group is right.
        keys: `[K]` its kernels.
        share: `[K]` of the group's mass; sums to 1.
    """

    def __init__(self, items: Sequence[Evidence], prior: Prior) -> None:
        self._given = frozenset(code for item in items for code in item.given_countries)
        inside = sum(prior.by_country.get(code, 0.0) for code in self._given)
        self.weight = min(MOST_WEIGHT, max(item.weight for item in items))
        self.scale = self.weight * (inside if self._given else 1.0)
        mixture = _mixture(items)
        self.keys = list(mixture)
        self.share: Floats = np.array(list(mixture.values()))

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
        keys = [key for group in groups for key in group.keys]
        return cls(
            sphere.unit_vectors([key[:2] for key in keys]),
            np.array([key[2] for key in keys]),
            np.concatenate([group.share for group in groups]),
            np.array([key[3] for key in keys], dtype=np.uint64),
            np.cumsum([0, *(len(group.keys) for group in groups[:-1])]),
        )

    @cached_property
    def _peak(self) -> Floats:
        """Density of each at its centre, `[K]`, per km2."""
        earth_2, radius_2 = sphere.EARTH_RADIUS_KM**2, self.radius_km**2
        peak = self.share * (1 + radius_2 / (4 * earth_2)) / (np.pi * radius_2)
        return np.where(self.cell > 0, 1 - INSIDE, 1.0) * peak

    @cached_property
    def _peaks(self) -> Floats:
        """The same in a column for each group, `[K, G]`."""
        group = np.searchsorted(self.first, np.arange(len(self.share)), side="right") - 1
        return np.where(group[:, None] == np.arange(len(self.first)), self._peak[:, None], 0.0)

    @cached_property
    def _towards(self) -> Floats:
        """What a unit vector and a 1 beside it are multiplied by for `1 + c^2 / r^2`, `[4, K]`.

        1 + c^2 / r^2 = 1 + 2 (R / r)^2 - 2 (R / r)^2 cos: one product, no threads of a BLAS.
        """
        slope = 2 * sphere.EARTH_RADIUS_KM**2 / self.radius_km**2
        return np.concatenate([self.unit.T * -slope, [1 + slope]])

    def density(self, unit: Floats) -> Floats:
        """Return the density of each group at unit vectors `[N, 3]`: `[N, G]`, per km2.

        In chords `c` instead of arcs the kernel `(1 + c^2 / r^2)^-2 / (pi r^2)` integrates over the
        sphere in closed form, since a cap's area is `pi c^2`.
        """
        places = np.ones((len(unit), 4))
        places[:, :3] = unit
        found = np.empty((len(unit), len(self.first)))
        alone, few = len(self.first) == len(self.share), len(self.first) <= FEW_GROUPS
        for start in range(0, len(unit), _BLOCK):
            rows = slice(start, start + _BLOCK)
            reach = places[rows] @ self._towards
            np.maximum(reach, 1.0, out=reach)  # the difference of large numbers
            np.multiply(reach, reach, out=reach)
            if alone:
                np.divide(self._peak, reach, out=found[rows])
            elif few:
                np.matmul(np.reciprocal(reach, out=reach), self._peaks, out=found[rows])
            else:
                np.add.reduceat(
                    np.divide(self._peak, reach, out=reach), self.first, axis=1, out=found[rows]
                )
        for k in np.flatnonzero(self.cell):
            group = int(np.searchsorted(self.first, k, side="right")) - 1
            found[:, group] += INSIDE * self.share[k] * _evenly(unit, self.cell[k])
        return found


_BLOCK = 128
"""Rows computed at once: they stay in the processor's cache."""
FEW_GROUPS = 4
"""So many are summed by a product, which is too small for the threads of a BLAS."""


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


LEAST_RADIUS_KM = 1e-3
"""A metre: less is finer than the finest cell."""


def _reaches(candidate: Candidate) -> list[tuple[float, float]]:
    """Return the radius and the share of each of a candidate's kernels."""
    total = sum(reach.share for reach in candidate.reaches)
    if not total:
        return [(max(candidate.radius_km, LEAST_RADIUS_KM), 1.0)]
    return [
        (max(reach.radius_km, LEAST_RADIUS_KM), reach.share / total)
        for reach in candidate.reaches
        if reach.share
    ]


def _cell_of(candidate: Candidate) -> int:
    """Return the S2 cell of a cell candidate that names it by its token; 0 otherwise."""
    if candidate.kind != "cell" or candidate.reaches or not candidate.reference:
        return 0
    try:
        return int(from_tokens([candidate.reference])[0])
    except InputError:
        return 0
