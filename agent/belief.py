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

* Areas: `f` is the prior inside, or outside, of them; see `agent.area_factors`.

A calibration (`agent.calibration`) replaces weights and reaches by measured ones, and raises every
`F` to the power `1 / temperature`: pools that are averaged are too vague where they agree, groups
that are multiplied too sure (Ranjan and Gneiting, JRSS B 72 (2010), on linear pools).
The point is chosen under a temperature nearer to 1 (`POINTED`): radii must hold what they state,
while a point is best where most agree, whatever their sum is worth.

Belief in the case that all candidates are wrong stays on the prior's settlements. The rest is
integrated over the cells of an adaptive mesh (`agent.mesh`), which is split further where mass is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agent.abstain import AnswerLoss, Rule
from agent.area_factors import AreaGroup, Wilds, splits_of, wilds_of
from agent.belief_points import Belief, Patches
from agent.calibration import Calibration
from agent.factors import (
    CandidateGroup,
    CountryGroup,
    Floats,
    Kernels,
    Prior,
    Settlements,
    countries_of,
    prior_of,
)
from agent.mesh import mesh_of
from geo.quads import FACES, Ints, Quads
from tools.evidence import Evidence, Latitude, Longitude, Record, Share

__all__ = ["Belief", "BeliefSummary", "Rule", "Status", "Weighed", "believe", "summarise", "weigh"]

HEAVY = 0.01
"""A cell with more of belief is split, as long as it is larger than `LEAST_KM2`."""
LEAST_KM2 = 1e-4
POINTED = 0.75
"""Power of the temperature under which the point is chosen, between the evidence at its word (0)
and as calibrated (1). Over ten models' answers to 143 photos any from 0.5 to 0.8 differs by one
photo at 25 km, and both ends have two or three fewer."""
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
    named = _groups(item for item in items if not item.candidates and (item.countries or item.area))
    bounded = [group for group in named if _is_bounded(group)]
    shares = tuple(CountryGroup(group, prior) for group in named if not _is_bounded(group))
    groups = tuple(
        CandidateGroup(group, prior) for group in _groups(item for item in items if item.candidates)
    )
    called = {(c.latitude, c.longitude): None for item in items for c in item.candidates}
    points = np.array(sorted(called), dtype=np.float64).reshape(-1, 2)
    kernels = Kernels.of(groups) if groups else None
    weighed = Weighed(prior, shares, groups, kernels, points)
    return _bounded(weighed, bounded) if bounded else weighed


def _is_bounded(group: Sequence[Evidence]) -> bool:
    return any(item.area is not None for item in group)


def _bounded(weighed: "Weighed", groups: Sequence[Sequence[Evidence]]) -> "Weighed":
    """Return the same with groups that say inside or outside of areas."""
    items = [item for group in groups for item in group]
    wilds = wilds_of(items, weighed.prior)
    areas = tuple(AreaGroup(group, weighed.prior, wilds) for group in groups)
    return replace(weighed, areas=areas, wilds=wilds, split=splits_of(items))


@dataclass(frozen=True)
class Seen:
    """Cells, and what is there, `[M]` each.

    Attributes:
        prior: photo density at their centres, per km2.
        groups: `[M, G]` density of each group, per km2.
        kept: false for a cell that finer ones stand for.
        rise: see `Weighed`; empty before it is known.
        bounds: logarithm of what areas multiply belief by; empty without any.
    """

    quads: Quads
    unit: Floats
    area_km2: Floats
    prior: Floats
    groups: Floats
    kept: NDArray[np.bool_]
    rise: Floats
    bounds: Floats

    @cached_property
    def country(self) -> NDArray[np.intp]:
        """Country at each centre, `[M]`: index into `Prior.known_codes`."""
        return countries_of(self.quads)

    @cached_property
    def whole(self) -> Floats:
        """Mass of each group over the cells that are kept, `[G]`."""
        held: Floats = np.einsum("i,ij->j", self.area_km2 * self.kept, self.groups)
        return held


@dataclass(frozen=True)
class Weighed:
    """Evidence in groups, and what each says on a mesh that is fine where it says much.

    Attributes:
        kernels: of all groups; None where there are none.
        named: `[C, 2]` the candidates' coordinates.
        areas: groups that say inside or outside.
        wilds: prior away from settlements, inside of areas; None without areas.
        split: cells that show the areas' polygons, by number.
    """

    prior: Prior
    shares: tuple[CountryGroup, ...]
    groups: tuple[CandidateGroup, ...]
    kernels: Kernels | None
    named: Floats
    areas: tuple[AreaGroup, ...] = ()
    wilds: Wilds | None = None
    split: Ints | None = None

    @cached_property
    def seen(self) -> Seen:
        """What is on the mesh that the kernels ask for."""
        if self.kernels is None:
            return _nothing_seen()
        weight = np.array([group.weight for group in self.groups])
        share = np.repeat(weight, [len(group.share) for group in self.groups]) * self.kernels.share
        kernels = self.kernels
        quads = mesh_of(kernels.unit, kernels.radius_km, share, kernels.first, self.split)
        return self._bounds(_look(quads, kernels, self.prior))

    def belief(self, temperature: float = 1.0) -> Belief:
        """Return belief at a temperature: 1 takes the groups at their word."""
        power = 1 / temperature
        parts = self._refined(power, self._alone(power))
        kept = [np.flatnonzero(part.kept) for part in parts]
        rises = [one[rows] for one, rows in zip(self._rises(parts), kept, strict=True)]
        cells = [
            Patches.of(p.quads, p.unit, p.area_km2, rows)
            for p, rows in zip(parts, kept, strict=True)
        ]
        if self.wilds is not None:
            cells.append(Patches(self.wilds.quads, self.wilds.unit, self.wilds.area_km2))
        mass = self._mass(power, parts, kept, rises)
        pointed = None if temperature == 1 else self._mass(power**POINTED, parts, kept, rises)
        return Belief(self.prior, Patches.joined(cells), mass, self.named, pointed)

    def _mass(
        self,
        power: float,
        parts: Sequence[Seen],
        kept: Sequence[NDArray[np.intp]],
        rises: Sequence[Floats],
    ) -> Floats:
        """Return the masses of settlements and of the cells that are kept, summing to 1."""
        alone = self._alone(power)
        held = np.concatenate(
            [
                *(
                    self._log_mass(power, alone, part, rise, rows)
                    for part, rise, rows in zip(parts, rises, kept, strict=True)
                ),
                self._log_wild(power, alone),
            ]
        )
        most = alone.max() + power * self._settled.max(initial=0.0)
        top = max(most + np.log(self.prior.mass.max()), held.max(initial=-np.inf))
        mass = np.concatenate([self._mass_of_settlements(power, alone, top), np.exp(held - top)])
        return np.asarray(mass / mass.sum(), dtype=np.float64)

    def _mass_of_settlements(self, power: float, alone: Floats, top: float) -> Floats:
        """Return the mass of each settlement, `[S]`, divided by `exp(top)`."""
        if not self.areas:
            settled: Floats = self.prior.mass * np.exp(alone - top)[self.prior.known_country]
            return settled
        there = alone[self.prior.known_country] + power * self._settled
        return np.asarray(self.prior.mass * np.exp(there - top), dtype=np.float64)

    @cached_property
    def _settled(self) -> Floats:
        """Logarithm of what areas multiply belief in settlements by, `[S]`; empty without any."""
        return np.sum([area.settled for area in self.areas], axis=0) if self.areas else np.empty(0)

    def _log_wild(self, power: float, alone: Floats) -> Floats:
        """Return the logarithm of the mass in the wilds if no candidate is right, `[B]`."""
        if self.wilds is None:
            return np.empty(0)
        wilds = self.wilds
        bounds = np.sum([area.at(wilds.unit, wilds.country) for area in self.areas], axis=0)
        return np.asarray(np.log(wilds.mass) + alone[wilds.country] + power * bounds)

    def _bounds(self, seen: Seen) -> Seen:
        """Return cells with what areas say of their centres."""
        if not self.areas:
            return seen
        bounds = np.sum([area.at(seen.unit, seen.country) for area in self.areas], axis=0)
        return replace(seen, bounds=bounds)

    def _refined(self, power: float, alone: Floats) -> list[Seen]:
        """Return the mesh, and after it cells in the place of those that hold much."""
        if self.kernels is None:
            return [self.seen]
        parts, part, top = list[Seen](), self.seen, alone.max()
        others, cells = self._elsewhere(power, alone, top), 0
        for _ in range(ROUNDS):
            rise = self._rise(part, self.seen.whole)
            mass = np.exp(self._log_mass(power, alone, part, rise) - top)
            heavy = (mass > HEAVY * (mass.sum() + others)) & (part.area_km2 > LEAST_KM2)
            cells += len(mass)
            if not heavy.any() or cells > MOST_CELLS:
                return [*parts, replace(part, rise=rise)]
            parts.append(replace(part, rise=rise, kept=~heavy))
            others += float(mass[~heavy].sum())
            finer = part.quads.taken(heavy).children().children()
            part = self._bounds(_look(finer, self.kernels, self.prior))
        return [*parts, replace(part, rise=self._rise(part, self.seen.whole))]

    def _elsewhere(self, power: float, alone: Floats, top: float) -> float:
        """Return the mass where no candidate is right, divided by `exp(top)`."""
        if not self.areas:
            held = np.bincount(self.prior.known_country, self.prior.mass, len(alone))
            return float(held @ np.exp(alone - top))
        settled = self._mass_of_settlements(power, alone, top)
        return float(settled.sum() + np.exp(self._log_wild(power, alone) - top).sum())

    def _alone(self, power: float) -> Floats:
        """Return the logarithm of the factor in each country if no candidate is right, `[C]`."""
        codes = self.prior.known_codes
        even = sum(float(np.log(1 - g.weight)) for g in self.groups if not g.presupposes)
        total: Floats = np.full(len(codes), float(even))
        for group in self.groups:
            if group.presupposes:
                total += np.log(group.wrong(codes))
        for share in self.shares:
            total += np.log(share.ratio(codes))
        return power * total

    def _rises(self, parts: Sequence[Seen]) -> list[Floats]:
        """Return what `_rise` says of all cells, now that all of them are known."""
        if self.kernels is None:
            return [np.empty(0)]
        old, new = self.seen.whole, np.sum([part.whole for part in parts], axis=0)
        moved = np.flatnonzero(np.abs(new - old) > UNMOVED * old)
        if not len(moved):
            return [part.rise for part in parts]
        return [
            part.rise + self._rise(part, new, moved) - self._rise(part, old, moved)
            for part in parts
        ]

    def _rise(self, seen: Seen, whole: Floats, only: NDArray[np.intp] | None = None) -> Floats:
        """Return the logarithm of what groups that may be right multiply belief by, `[M]`.

        Args:
            seen: cells.
            whole: `[G]` the sum over all cells of what a group says, about 1.
            only: these of the groups.
        """
        only = np.arange(len(self.groups)) if only is None else only
        few = len(only) < len(self.groups)
        scale = np.array([group.scale for group in self.groups]) / np.maximum(whole, 1e-300)
        scale = (scale / self._wrong)[:, only]
        each = (1 / seen.prior)[:, None]
        rise, step = np.empty(len(seen.unit)), max(BLOCK // len(only), 1)
        for start in range(0, len(rise), step):
            rows = slice(start, start + step)
            said = seen.groups[rows, only] if few else seen.groups[rows]
            right = said * (scale if len(scale) == 1 else scale[seen.country[rows]])
            right *= each[rows]
            right += 1.0
            rise[rows] = _log_product(right)
        return rise

    def _log_mass(
        self,
        power: float,
        alone: Floats,
        seen: Seen,
        rise: Floats,
        rows: NDArray[np.intp] | slice = slice(None),
    ) -> Floats:
        """Return the logarithm of the mass of cells where some candidate is right, `[R]`.

        Args:
            power: what factors are raised to.
            alone: `[C]` logarithms, see `_alone`.
            seen: cells.
            rise: `[R]`, see `_rise`.
            rows: which of the cells, `[R]`.
        """
        # exp(x) - 1 of the factors together: the case that all are wrong stays on settlements.
        rise = np.maximum(power * rise, 1e-300)
        more = rise + np.log(-np.expm1(-rise))
        even = not self.shares and len(self._wrong) == 1
        lone = alone[:1] if even else alone[seen.country[rows]]
        there = np.log(seen.prior[rows] * seen.area_km2[rows])
        if self.areas:
            there += power * seen.bounds[rows]
        return np.asarray(there + lone + more, dtype=np.float64)

    @cached_property
    def _wrong(self) -> Floats:
        """Each group's factor by country if it is wrong: `[C, G]`, or `[1, G]` if all are alike."""
        if any(group.presupposes for group in self.groups):
            codes = self.prior.known_codes
            return np.stack([group.wrong(codes) for group in self.groups], axis=1)
        return np.array([[1 - group.weight for group in self.groups]])


UNMOVED = 1e-3
"""A sum that finer cells change by less stays as it is."""
BLOCK = 32_768
"""Numbers computed at once: they stay in the processor's cache."""


def _log_product(factors: Floats) -> Floats:
    """Return the sum of the logarithms of factors `[N, G]` of 1 to 1e35, `[N]`.

    Of products of eight: a logarithm costs as much as ten products.
    """
    for _ in range(3):
        half, odd = divmod(factors.shape[1], 2)
        if not half:
            break
        product = factors[:, :half] * factors[:, half : 2 * half]
        if odd:
            product[:, 0] *= factors[:, -1]
        factors = product
    logs: Floats = np.log(factors).sum(axis=1)
    return logs


def _look(quads: Quads, kernels: Kernels, prior: Prior) -> Seen:
    """Return what is at the centres of cells."""
    unit = quads.unit_vectors()
    density, whole, none = kernels.density(unit), np.ones(len(unit), dtype=np.bool_), np.empty(0)
    return Seen(quads, unit, quads.area_km2(), prior.density_in(quads), density, whole, none, none)


def _nothing_seen() -> Seen:
    none = np.empty(0)
    quads = Quads.globe().taken(np.zeros(FACES, dtype=np.bool_))
    no_cells = none.reshape(0, 3), none, none, none.reshape(0, 0), none > 0, none, none
    return Seen(quads, *no_cells)


def _groups(items: Iterable[Evidence]) -> list[list[Evidence]]:
    groups: dict[str, list[Evidence]] = {}
    for item in items:
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
