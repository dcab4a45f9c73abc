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

from agent.factors import (
    CandidateGroup,
    CountryGroup,
    Floats,
    Prior,
    Settlements,
    prior_of,
)
from geo import sphere
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
BUCKETS = 4096
"""Rings that sort distances roughly before a radius is found; it does not depend on them."""


@dataclass(frozen=True)
class Belief:
    """Weighted points on the sphere.

    Attributes:
        points: `[N, 2]` latitude, longitude in degrees.
        unit: `[N, 3]` the same as unit vectors.
        mass: `[N]`, sums to 1.
        extent_km: `[N]` radius that each point stands for.
        country: `[N]` index into `codes`.
        codes: ISO 3166-1 alpha-2, empty at sea.
    """

    points: Floats
    unit: Floats
    mass: Floats
    extent_km: Floats
    country: NDArray[np.intp]
    codes: NDArray[np.str_]

    @property
    def countries(self) -> NDArray[np.str_]:
        """Country code of each point, `[N]`."""
        return self.codes[self.country]

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Latitude and longitude of the point with the highest expected score."""
        heavy = _heaviest(self.mass, EXACT_POINTS)
        tried = heavy[:CENTRES]
        light = np.ones(len(self.mass), dtype=np.bool_)
        light[heavy] = False
        tail, tail_mass = _binned(self.points, np.where(light, self.mass, 0.0))
        others = np.concatenate([self.unit[heavy], tail])
        mass = np.concatenate([self.mass[heavy], tail_mass]).astype(np.float32)
        # Cosines in double precision keep a metre; the rest needs three digits.
        cosine = self.unit[tried] @ others.T
        chord = np.sqrt(np.maximum(2 - 2 * cosine, 0.0).astype(np.float32))
        away = 2 * np.float32(sphere.EARTH_RADIUS_KM) * np.arcsin(np.minimum(chord / 2, 1))
        score = sum(np.exp(away / np.float32(-scale)) @ mass for scale in LOSS_SCALES_KM)
        best = self.points[tried[int(np.argmax(score))]]
        return float(best[0]), float(best[1])

    def radii_km(self, shares: Sequence[float], latitude: float, longitude: float) -> list[float]:
        """Return the distances from a point that hold these shares of belief, km."""
        cosine = self.unit @ sphere.unit_vectors([[latitude, longitude]])[0]
        chord = np.sqrt(np.maximum(2 - 2 * cosine, 0.0))
        away = 2 * sphere.EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1.0))
        return [_quantile(away + self.extent_km, self.mass, share) for share in shares]

    @cached_property
    def country_shares(self) -> dict[str, float]:
        """Belief per country, largest first."""
        shares = np.bincount(self.country, weights=self.mass, minlength=len(self.codes))
        order = np.lexsort((self.codes, -shares))
        return {
            str(self.codes[i]): float(min(1.0, shares[i]))
            for i in order
            if self.codes[i] and shares[i] > 0
        }


def believe(evidence: Iterable[Evidence], settlements: Settlements) -> Belief:
    """Return the belief that follows from the evidence.

    Args:
        evidence: in any order; duplicates count once.
        settlements: the support of the prior, from `Gazetteer.settlements`.
    """
    unique = {item.id: item for item in evidence if item.weight > 0}
    items = [unique[key] for key in sorted(unique)]
    prior = prior_of(settlements)
    shares = [CountryGroup(group, prior) for group in _groups(items, with_candidates=False)]
    kernels = [CandidateGroup(group, prior) for group in _groups(items, with_candidates=True)]

    factor = np.ones(len(prior.codes))
    for group in shares:
        factor = factor * group.ratio(prior.codes)
    for kernel in kernels:
        factor = factor * kernel.wrong(prior.codes)
    mass = prior.mass * factor[prior.country_index]
    if not kernels:
        return _joined(prior, mass, None)
    sampled = zip(*(kernel.samples() for kernel in kernels), strict=True)
    points, own, extent, codes = (np.concatenate(each) for each in sampled)
    for share in shares:
        own = own * share.ratio(codes)
    if len(kernels) > 1:
        own = own * _some_right(kernels, prior, points, codes)
    return _joined(prior, mass, (points, own, extent, codes))


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
    # Nothing is drawn where evidence presupposes countries that no photo is expected in.
    factor: Floats = np.divide(right * density, drawn, out=np.zeros_like(drawn), where=drawn > 0)
    return factor


def _heaviest(mass: Floats, count: int) -> NDArray[np.intp]:
    """Return the indices of the heaviest points, heaviest first, equal ones in their order."""
    if len(mass) <= count:
        return np.argsort(-mass, kind="stable")
    least = np.partition(mass, len(mass) - count)[len(mass) - count]
    above = np.flatnonzero(mass > least)
    equal = np.flatnonzero(mass == least)[: count - len(above)]
    chosen = np.concatenate([above, equal])
    return chosen[np.argsort(-mass[chosen], kind="stable")]


def _quantile(distance: Floats, mass: Floats, share: float) -> float:
    """Return the distance within which this share of the mass lies, exactly."""
    edges = np.minimum((distance * (BUCKETS / 25_000.0)).astype(np.intp), BUCKETS - 1)
    held = np.cumsum(np.bincount(edges, weights=mass, minlength=BUCKETS))
    bucket = min(int(np.searchsorted(held, share)), int(edges.max()))
    inside = np.flatnonzero(edges == bucket)
    if not len(inside):
        return float(distance.max())
    order = inside[np.argsort(distance[inside], kind="stable")]
    before = held[bucket - 1] if bucket else 0.0
    index = int(np.searchsorted(before + np.cumsum(mass[order]), share))
    return float(distance[order[min(index, len(order) - 1)]])


def _binned(points: Floats, mass: Floats) -> tuple[Floats, Floats]:
    """Return the centres `[B, 3]` of the squares that hold mass, as unit vectors, and the mass."""
    down, across = int(180 / BIN_DEG), int(360 / BIN_DEG)
    rows = np.minimum(((points[:, 0] + 90) / BIN_DEG).astype(np.intp), down - 1)
    columns = np.minimum(((points[:, 1] + 180) / BIN_DEG).astype(np.intp), across - 1)
    binned: Floats = np.bincount(
        rows * across + columns, weights=mass, minlength=down * across
    ).astype(np.float64)
    held = np.flatnonzero(binned)
    centres = np.stack([held // across, held % across], axis=1) + 0.5
    return sphere.unit_vectors(centres * BIN_DEG - (90.0, 180.0)), binned[held]


def _joined(
    prior: Prior, mass: Floats, own: tuple[Floats, Floats, Floats, NDArray[np.str_]] | None
) -> Belief:
    """Return belief over the settlements and the points of evidence, its mass summing to 1."""
    if own is None:
        return Belief(
            prior.points, prior.unit, mass / mass.sum(), prior.extent_km, prior.country_index,
            prior.codes,
        )  # fmt: skip
    points, weight, extent, countries = own
    new, where = np.unique(countries, return_inverse=True)
    codes = np.concatenate([prior.codes, new[~np.isin(new, prior.codes)]])
    index = {code: row for row, code in enumerate(codes.tolist())}
    country = np.array([index[code] for code in new.tolist()], dtype=np.intp)[where]
    total = np.concatenate([mass, weight])
    return Belief(
        points=np.concatenate([prior.points, points]),
        unit=np.concatenate([prior.unit, sphere.unit_vectors(points)]),
        mass=total / total.sum(),
        extent_km=np.concatenate([prior.extent_km, extent]),
        country=np.concatenate([prior.country_index, country]),
        codes=codes,
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


def summarise(belief: Belief, point: tuple[float, float] | None = None) -> BeliefSummary:
    """Return the point to report, the radii that hold 50, 80 and 95 %, and what that amounts to.

    Args:
        belief: as it follows from the evidence.
        point: latitude and longitude to report, degrees; None takes belief's own centre.
    """
    latitude, longitude = point or belief.centre
    km_50, km_80, km_95 = belief.radii_km((0.5, 0.8, 0.95), latitude, longitude)
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
