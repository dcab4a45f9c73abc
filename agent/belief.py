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
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agent.belief_points import Belief, Drawn
from agent.factors import CandidateGroup, CountryGroup, Floats, Prior, Settlements, prior_of
from geo import sphere
from tools.evidence import Evidence, Latitude, Longitude, Record, Share

__all__ = ["Belief", "BeliefSummary", "Status", "believe", "summarise"]

LEAST_DENSITY = 1 / 149e6
"""Photos per km2 of all land, of all photos. Where the prior has less, kernels that overlap are
no surprise: their tails reach out to sea and into deserts because they know no coast."""


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
        return _joined(prior, mass, _NOTHING, np.empty(0), np.empty(0, dtype=np.str_))
    sampled = zip(*(kernel.samples() for kernel in kernels), strict=True)
    points, own, extent, countries = (np.concatenate(each) for each in sampled)
    codes, country = np.unique(countries, return_inverse=True)
    for share in shares:
        own = own * share.ratio(codes)[country]
    drawn = Drawn(points, sphere.unit_vectors(points), extent, country)
    if len(kernels) > 1:
        own = own * _some_right(kernels, prior, drawn, codes)
    return _joined(prior, mass, drawn, own, codes)


_NOTHING = Drawn(np.empty((0, 2)), np.empty((0, 3)), np.empty(0), np.empty(0, dtype=np.intp))


def _some_right(
    kernels: Sequence[CandidateGroup], prior: Prior, drawn: Drawn, codes: NDArray[np.str_]
) -> Floats:
    """Return the factor `[M]` that turns the mass of quantile points of all groups into belief.

    It is the density of belief in the case that at least one group is right, over the density
    of the points. For a single group it is 1.
    """
    density = prior.density_of([one for kernel in kernels for one in kernel.kernels])
    density = np.maximum(density, LEAST_DENSITY)
    count = len(density)
    drawn_from, right, none_right = np.zeros(count), np.zeros(count), np.ones(count)
    for kernel in kernels:
        own, wrong = kernel.density(drawn.unit), kernel.wrong(codes)[drawn.country]
        drawn_from += own
        ratio = own / density
        right = right * (ratio + wrong) + none_right * ratio
        none_right = none_right * wrong
    # Nothing is drawn where evidence presupposes countries that no photo is expected in.
    factor: Floats = np.divide(
        right * density, drawn_from, out=np.zeros_like(drawn_from), where=drawn_from > 0
    )
    return factor


def _joined(
    prior: Prior, mass: Floats, drawn: Drawn, own: Floats, names: NDArray[np.str_]
) -> Belief:
    """Return belief over the settlements and the points of evidence, its mass summing to 1.

    Args:
        prior: the settlements.
        mass: of each.
        drawn: points of evidence, their countries as indices into `names`.
        own: mass of each.
        names: country codes.
    """
    codes = np.concatenate([prior.codes, names[~np.isin(names, prior.codes)]])
    row = {code: row for row, code in enumerate(codes.tolist())}
    rows = np.array([row[code] for code in names.tolist()], dtype=np.intp)
    total = np.concatenate([mass, own])
    total /= total.sum()
    return Belief(prior, replace(drawn, country=rows[drawn.country]), total, codes)


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
