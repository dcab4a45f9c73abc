"""Belief: the probability over the sphere that follows from the evidence, and nothing else.

A pure function of the evidence list: order, duplicates and longitude wrap do not matter.

Model. The prior `p(x)` is photo density, taken as settlements weighted by the square root of
their population. Evidence of one group is dependent and averaged, not multiplied. Groups are
independent, and each may be wrong: a group of weight `w` multiplies belief by
`F(x) = w f(x) / p(x) + (1 - w)`, where `f` is what the group says if it is right.

* Country shares: `f` follows the shares between countries and the prior inside each.
* Candidates: `f` is a mixture of heavy-tailed kernels, a bivariate Student t with two degrees
  of freedom, whose median distance is the candidate's `radius_km`: half of the truths lie
  within it, 80 % within twice, 95 % within 4.4 times. A candidate with several `reaches` has
  such a kernel for each; one that is an S2 cell spreads most of its mass evenly over that cell.

  Where the evidence presupposed countries (`given_countries`), `f` is relative to the prior
  inside them, and belief outside them stays as it is: a town sought in a country that a sign
  pointed to says nothing more for that country.

A calibration (`agent.calibration`) replaces weights and reaches by measured ones, and raises every
`F` to the power `1 / temperature`: pools that are averaged are too vague where they agree, groups
that are multiplied too sure (Ranjan and Gneiting, JRSS B 72 (2010), on linear pools).

Belief in the case that all candidates are wrong stays on the prior's settlements. The rest is
integrated over the cells of an adaptive mesh (`agent.mesh`), which is split further where mass is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agent.abstain import AnswerLoss, Rule
from agent.belief_points import Belief, Patches
from agent.calibration import Calibration
from agent.factors import (
    CandidateGroup,
    CountryGroup,
    Floats,
    Kernels,
    Prior,
    Settlements,
    prior_of,
)
from agent.mesh import mesh_of
from geo import sphere
from geo.quads import FACES, Quads
from geo.regions import country_at
from tools.evidence import Evidence, Latitude, Longitude, Record, Share

__all__ = ["Belief", "BeliefSummary", "Rule", "Status", "Weighed", "believe", "summarise", "weigh"]

HEAVY = 0.01
"""A cell with more of belief is split, as long as it is larger than `LEAST_KM2`."""
LEAST_KM2 = 1e-4
ROUNDS = 3
"""Of splits, each into 16."""
MOST_CELLS = 20_000


def believe(
    evidence: Iterable[Evidence], settlements: Settlements, calibration: Calibration | None = None
) -> Belief:
    """Return the belief that follows from the evidence.

    Args:
        evidence: in any order; duplicates count once.
        settlements: the support of the prior, from `Gazetteer.settlements`.
        calibration: what was learned of how far evidence can be trusted; None takes it at its word.
    """
    temperature = calibration.temperature if calibration else 1.0
    return weigh(evidence, settlements, calibration).belief(temperature)


def weigh(
    evidence: Iterable[Evidence], settlements: Settlements, calibration: Calibration | None = None
) -> "Weighed":
    """Return the evidence in groups, seen on a mesh: belief but for its temperature."""
    unique = {item.id: item for item in evidence if item.weight > 0}
    items = [unique[key] for key in sorted(unique)]
    if calibration is not None:
        items = [item for item in map(calibration.applied, items) if item.weight > 0]
    prior = prior_of(settlements)
    shares = tuple(CountryGroup(group, prior) for group in _groups(items, with_candidates=False))
    groups = tuple(CandidateGroup(group, prior) for group in _groups(items, with_candidates=True))
    named = {(c.latitude, c.longitude): None for item in items for c in item.candidates}
    points = np.array(sorted(named), dtype=np.float64).reshape(-1, 2)
    seen = _look(_mesh(groups), groups, prior) if groups else _nothing_seen()
    return Weighed(prior, shares, groups, seen, points)


@dataclass(frozen=True)
class Seen:
    """Cells, and what is there, `[M]` each.

    Attributes:
        prior: photo density at their centres, per km2.
        groups: `[M, G]` density of each group, per km2.
    """

    quads: Quads
    unit: Floats
    area_km2: Floats
    prior: Floats
    groups: Floats

    @cached_property
    def codes(self) -> NDArray[np.str_]:
        """Country code at each centre, `[M]`."""
        return np.asarray(country_at(sphere.points_of(self.unit)), dtype=np.str_)

    def taken(self, rows: NDArray[np.bool_]) -> "Seen":
        """Return the cells of these rows."""
        quads, unit, area_km2 = self.quads.taken(rows), self.unit[rows], self.area_km2[rows]
        return Seen(quads, unit, area_km2, self.prior[rows], self.groups[rows])

    def plus(self, other: "Seen") -> "Seen":
        """Return the cells of both."""
        return Seen(
            Quads.joined([self.quads, other.quads]),
            np.concatenate([self.unit, other.unit]),
            np.concatenate([self.area_km2, other.area_km2]),
            np.concatenate([self.prior, other.prior]),
            np.concatenate([self.groups, other.groups]),
        )


@dataclass(frozen=True)
class Weighed:
    """Evidence in groups, and what each says on a mesh that is fine where it says much.

    Attributes:
        named: `[C, 2]` the candidates' coordinates.
    """

    prior: Prior
    shares: tuple[CountryGroup, ...]
    groups: tuple[CandidateGroup, ...]
    seen: Seen
    named: Floats

    def belief(self, temperature: float = 1.0) -> Belief:
        """Return belief at a temperature: 1 takes the groups at their word."""
        power, seen = 1 / temperature, self.seen
        alone = self._alone(power, self.prior.codes)[self.prior.country_index]
        settled = np.log(self.prior.mass) + alone
        for left in range(ROUNDS, -1, -1):
            held = self._cells(power, seen)
            top = max(settled.max(), held.max(initial=-np.inf))
            mass, rest = np.exp(held - top), np.exp(settled - top)
            heavy = mass > HEAVY * (mass.sum() + rest.sum())
            heavy &= seen.area_km2 > LEAST_KM2
            if not (left and heavy.any()) or len(mass) > MOST_CELLS:
                break
            finer = seen.quads.taken(heavy).children().children()
            seen = seen.taken(~heavy).plus(_look(finer, self.groups, self.prior))
        return self._joined(seen, rest, mass)

    def _alone(self, power: float, codes: NDArray[np.str_]) -> Floats:
        """Return the logarithm of the factor in each country if no candidate is right, `[C]`."""
        wrong = [np.log(group.wrong(codes)) for group in self.groups]
        ratios = [np.log(share.ratio(codes)) for share in self.shares]
        total: Floats = np.zeros(len(codes))
        return power * sum([*wrong, *ratios], start=total)

    def _cells(self, power: float, seen: Seen) -> Floats:
        """Return the logarithm of the mass of each cell where some candidate is right, `[M]`."""
        if not self.groups:
            return np.empty(0)
        wrong, alone = self._countries(power, seen)
        whole = np.maximum(np.einsum("i,ij->j", seen.area_km2, seen.groups), 1e-300)
        scale = np.array([group.scale for group in self.groups])
        right = seen.groups * (scale / whole) / (seen.prior[:, None] * wrong)
        # exp(x) - 1 of the factors together: the case that all are wrong stays on settlements.
        rise = np.maximum(power * np.log1p(right).sum(axis=1), 1e-300)
        more = rise + np.log(-np.expm1(-rise))
        return np.asarray(np.log(seen.prior * seen.area_km2) + alone + more, dtype=np.float64)

    def _countries(self, power: float, seen: Seen) -> tuple[Floats, Floats]:
        """Return, by the cells' countries, each group's factor if wrong and all of `_alone`.

        Shapes `[M, G]`, or `[G]` where it is the same in all countries, and `[M]` or `[1]`.
        """
        if not self.shares and not any(group.presupposes for group in self.groups):
            nowhere = np.array([""])
            wrong = np.array([float(group.wrong(nowhere)[0]) for group in self.groups])
            return wrong, self._alone(power, nowhere)
        codes, row = np.unique(seen.codes, return_inverse=True)
        by_country = np.stack([group.wrong(codes) for group in self.groups], axis=1)
        return by_country[row], self._alone(power, codes)[row]

    def _joined(self, seen: Seen, settled: Floats, cells: Floats) -> Belief:
        """Return belief over the settlements and the cells, its mass summing to 1."""
        names, row = np.unique(seen.codes, return_inverse=True)
        codes = np.concatenate([self.prior.codes, names[~np.isin(names, self.prior.codes)]])
        place = {code: index for index, code in enumerate(codes.tolist())}
        rows = np.array([place[name] for name in names.tolist()], dtype=np.intp)
        mass = np.concatenate([settled, cells])
        patches = Patches(seen.quads, seen.unit, seen.area_km2, rows[row])
        return Belief(self.prior, patches, mass / mass.sum(), codes, self.named)


def _mesh(groups: Sequence[CandidateGroup]) -> Quads:
    """Return the cells that the groups' kernels ask for."""
    kernels = Kernels.of(groups)
    weight = np.repeat([group.weight for group in groups], [len(group.share) for group in groups])
    return mesh_of(kernels.unit, kernels.radius_km, weight * kernels.share)


def _look(quads: Quads, groups: Sequence[CandidateGroup], prior: Prior) -> Seen:
    """Return what is at the centres of cells."""
    unit = quads.unit_vectors()
    density = Kernels.of(groups).density(unit)
    return Seen(quads, unit, quads.area_km2(), prior.density(unit), density)


def _nothing_seen() -> Seen:
    none = np.empty(0)
    quads = Quads.globe().taken(np.zeros(FACES, dtype=np.bool_))
    return Seen(quads, none.reshape(0, 3), none, none, none.reshape(0, 0))


def _groups(items: Sequence[Evidence], *, with_candidates: bool) -> list[list[Evidence]]:
    groups: dict[str, list[Evidence]] = {}
    for item in items:
        if bool(item.candidates) == with_candidates and (item.candidates or item.countries):
            groups.setdefault(item.group, []).append(item)
    return [groups[name] for name in sorted(groups)]


Status = Literal["located", "region", "undetermined"]
EVEN = AnswerLoss()
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


def summarise(
    belief: Belief, point: tuple[float, float] | None = None, loss: AnswerLoss = EVEN
) -> BeliefSummary:
    """Return the point to report, the radii that hold 50, 80 and 95 %, and what that amounts to.

    Args:
        belief: as it follows from the evidence.
        point: latitude and longitude to report, degrees; None takes belief's own centre.
        loss: what answers cost, which decides whether one is `located`.
    """
    latitude, longitude = point or belief.centre
    threshold = min(max(loss.threshold, 0.0), 1.0)
    shares = (0.5, 0.8, 0.95, threshold)[: 3 if threshold in (0.0, 0.5) else 4]
    km_50, km_80, km_95, *more = belief.radii_km(shares, latitude, longitude)
    needed_km = more[0] if more else km_50 if threshold else 0.0
    named = list(belief.country_shares.items())[:NAMED_COUNTRIES]
    top = named[0][1] if named else 0.0
    if needed_km <= loss.right_within_km:
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
