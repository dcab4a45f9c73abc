"""Belief: the probability over the sphere that follows from the evidence, and nothing else.

A pure function of the evidence list: order, duplicates and longitude wrap do not matter.

Model. The prior `p(x)` is photo density, taken as settlements weighted by the square root of
their population. Evidence of one group is dependent and averaged, not multiplied. Groups are
independent, and each may be wrong: a group of weight `w` multiplies belief by
`w f(x) / p(x) + (1 - w)`, where `f` is what the group says if it is right.

* Country shares: `f` follows the shares between countries and the prior inside each.
* Candidates: `f` is a mixture of heavy-tailed kernels, a bivariate Student t with two degrees
  of freedom, whose median distance is the candidate's `radius_km`: half of the truths lie
  within it, 80 % within twice, 95 % within 4.4 times. A candidate with several `reaches` has
  such a kernel for each.

  Where the evidence presupposed countries (`given_countries`), `f` is relative to the prior
  inside them, and belief outside them stays as it is: a town sought in a country that a sign
  pointed to says nothing more for that country.

The product over candidate groups, less the case that all are wrong, is integrated over the
quantile points of all kernels together, weighed by the balance heuristic (Veach and Guibas,
SIGGRAPH 1995): a broad kernel is also looked at where a narrow one lies. So two groups that agree
reinforce each other, however much one is the finer, and two that differ compete.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agent.factors import CandidateGroup, CountryGroup, Floats, Prior, Settlements
from geo import regions, sphere
from tools.evidence import Evidence, Latitude, Longitude, Record, Share

LOSS_SCALES_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""The field's thresholds; the reported point maximises the mean of exp(-distance / scale)."""
CENTRES = 96
"""How many of the heaviest points are tried as the reported point."""
EXACT_POINTS = 2_000
"""How many of the heaviest points count one by one when they are tried; the light rest of a
diffuse belief counts by squares of `BIN_DEG`."""
LEAST_DENSITY = 1 / 149e6
"""Photos per km2 of all land, of all photos. Where the prior has less, kernels that overlap are
no surprise: their tails reach out to sea and into deserts because they know no coast."""
BIN_DEG = 5.0


@dataclass(frozen=True)
class Belief:
    """Weighted points on the sphere.

    Attributes:
        points: `[N, 2]` latitude, longitude in degrees.
        mass: `[N]`, sums to 1.
        extent_km: `[N]` radius that each point stands for.
        countries: `N` ISO 3166-1 alpha-2 codes, empty at sea.
    """

    points: Floats
    mass: Floats
    extent_km: Floats
    countries: NDArray[np.str_]

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Latitude and longitude of the point with the highest expected score."""
        order = np.argsort(-self.mass, kind="stable")
        tried = self.points[order[:CENTRES]]
        near, rest = order[:EXACT_POINTS], order[EXACT_POINTS:]
        tail, tail_mass = _binned(self.points[rest], self.mass[rest])
        points = np.concatenate([self.points[near], tail])
        mass = np.concatenate([self.mass[near], tail_mass])
        distance = sphere.haversine_km(
            tried[:, None, 0], tried[:, None, 1], points[None, :, 0], points[None, :, 1]
        )
        score = sum(np.exp(-distance / scale) @ mass for scale in LOSS_SCALES_KM)
        best = tried[int(np.argmax(score))]
        return float(best[0]), float(best[1])

    def radius_km(self, share: float, latitude: float, longitude: float) -> float:
        """Return the distance from a point that holds `share` of belief, km."""
        distance = self.extent_km + sphere.haversine_km(
            self.points[:, 0], self.points[:, 1], latitude, longitude
        )
        order = np.argsort(distance, kind="stable")
        index = int(np.searchsorted(np.cumsum(self.mass[order]), share))
        return float(distance[order[min(index, len(order) - 1)]])

    @cached_property
    def country_shares(self) -> dict[str, float]:
        """Belief per country, largest first."""
        codes, where = np.unique(self.countries, return_inverse=True)
        shares = np.bincount(where, weights=self.mass)
        order = np.lexsort((codes, -shares))
        return {str(codes[i]): float(min(1.0, shares[i])) for i in order if codes[i]}


def believe(evidence: Iterable[Evidence], settlements: Settlements) -> Belief:
    """Return the belief that follows from the evidence.

    Args:
        evidence: in any order; duplicates count once.
        settlements: the support of the prior, from `Gazetteer.settlements`.
    """
    unique = {item.id: item for item in evidence if item.weight > 0}
    items = [unique[key] for key in sorted(unique)]
    prior = Prior(settlements)
    shares = [CountryGroup(group, prior) for group in _groups(items, with_candidates=False)]
    kernels = [CandidateGroup(group, prior) for group in _groups(items, with_candidates=True)]

    factor = np.ones(len(prior.mass))
    for group in shares:
        factor = factor * group.ratio(prior.countries)
    for kernel in kernels:
        factor = factor * kernel.wrong(prior.countries)
    parts = [(prior.points, prior.mass * factor, prior.extent_km, prior.countries)]
    if kernels:
        sampled = zip(*(kernel.samples() for kernel in kernels), strict=True)
        points, mass, extent = (np.concatenate(each) for each in sampled)
        codes = np.asarray(regions.country_at(points), dtype=np.str_)
        for share in shares:
            mass = mass * share.ratio(codes)
        if len(kernels) > 1:
            mass = mass * _some_right(kernels, prior, points, codes)
        parts.append((points, mass, extent, codes))
    return _normalised(parts)


def _some_right(
    kernels: Sequence[CandidateGroup], prior: Prior, points: Floats, codes: NDArray[np.str_]
) -> Floats:
    """Return the factor `[M]` that turns the mass of quantile points of all groups into belief.

    It is the density of belief in the case that at least one group is right, over the density
    of the points. For a single group it is 1.
    """
    density = np.maximum(prior.density(points), LEAST_DENSITY)
    drawn, right, none_right = np.zeros(len(points)), np.zeros(len(points)), np.ones(len(points))
    for kernel in kernels:
        own, wrong = kernel.density(points), kernel.wrong(codes)
        drawn += own
        right = right * (own / density + wrong) + none_right * own / density
        none_right = none_right * wrong
    return np.asarray(right * density / drawn, dtype=np.float64)


def _binned(points: Floats, mass: Floats) -> tuple[Floats, Floats]:
    """Return the centres `[B, 2]` of the squares that hold the points, and their mass `[B]`."""
    rows, columns = np.floor(points / BIN_DEG).T
    squares, where = np.unique(np.stack([rows, columns], axis=1), axis=0, return_inverse=True)
    centres = np.clip((squares + 0.5) * BIN_DEG, (-90, -180), (90, 180))
    binned = np.bincount(where.ravel(), weights=mass, minlength=len(centres))
    return centres, binned.astype(np.float64)


def _normalised(parts: list[tuple[Floats, Floats, Floats, NDArray[np.str_]]]) -> Belief:
    mass = np.concatenate([part[1] for part in parts])
    return Belief(
        points=np.concatenate([part[0] for part in parts]),
        mass=mass / mass.sum(),
        extent_km=np.concatenate([part[2] for part in parts]),
        countries=np.concatenate([part[3] for part in parts]),
    )


def _groups(items: Sequence[Evidence], *, with_candidates: bool) -> list[list[Evidence]]:
    groups: dict[str, list[Evidence]] = {}
    for item in items:
        if bool(item.candidates) == with_candidates and (item.candidates or item.countries):
            groups.setdefault(item.group, []).append(item)
    return [groups[name] for name in sorted(groups)]


Status = Literal["located", "region", "undetermined"]
LOCATED_KM = 25.0
"""An answer is `located` where half of belief lies within a city's reach of it."""
REGION_KM = 2500.0
REGION_SHARE = 0.5
"""It is a `region` where 80 % of belief lies within a continent's reach, or half in a country."""

NAMED_COUNTRIES, NAMED_SHARE = 10, 0.005
"""At most so many countries are named, and only those that hold at least this much."""


class BeliefSummary(Record):
    """What drivers, the trace and the answer are told of a belief."""

    status: Status
    latitude: Latitude
    longitude: Longitude
    km_50: float = Field(gt=0)
    km_80: float = Field(gt=0)
    km_95: float = Field(gt=0)
    countries: dict[str, Share]
    """The largest, ISO 3166-1 alpha-2 code to share of belief."""


def summarise(belief: Belief) -> BeliefSummary:
    """Return the point to report, the radii that hold 50, 80 and 95 %, and what that amounts to."""
    latitude, longitude = belief.centre
    km_50, km_80, km_95 = (belief.radius_km(s, latitude, longitude) for s in (0.5, 0.8, 0.95))
    named = list(belief.country_shares.items())[:NAMED_COUNTRIES]
    top = named[0][1] if named else 0.0
    if km_50 <= LOCATED_KM:
        status: Status = "located"
    elif km_80 <= REGION_KM or top >= REGION_SHARE:
        status = "region"
    else:
        status = "undetermined"
    return BeliefSummary(
        status=status,
        latitude=latitude,
        longitude=longitude,
        km_50=km_50,
        km_80=km_80,
        km_95=km_95,
        countries={code: share for code, share in named if share >= NAMED_SHARE},
    )
