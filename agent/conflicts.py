"""Which independent pieces of evidence disagree: stated to the driver, never resolved here.

Evidence takes a side where what it says hangs together: at least half of its candidates' shares
lie within reach of the best one, or its countries hold at least half. Two sides disagree where

* the best candidates lie more than `APART_KM` and more than three times the sum of their radii
  apart, and each gives less than `OVERLAP` of its shares to candidates within reach of the other's
  best: within three radii lie 90 % of the truths of a kernel of `agent.belief`;
* no country has `OVERLAP` in both of what the likeliest one has there;
* a candidate's surroundings, three radii wide, get from the other's countries less than `OVERLAP`
  of what its likeliest one gets;
* one says that the place lies in an area, or outside of it, and less than `OVERLAP` of what the
  other names may lie there.

Evidence of one group is one source and never in conflict with itself. Evidence that presupposed
countries says where inside them: it is in conflict with nothing outside them, nor with countries.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations

import numpy as np

from agent.statements import share_allowed
from encoders.photo_file import printable
from geo import regions, sphere
from tools.evidence import Candidate, Evidence, Record, short_id

LEAST_WEIGHT = 0.05
"""Evidence that weighs less moves nothing; its disagreement is not worth a turn."""
TOLD_AT_ONCE = 3
REACH = 3.0
"""Radii within which a candidate's truth lies 9 times of 10."""
APART_KM = 200.0
"""Nearer than this, belief and its radius say enough."""
OVERLAP = 0.05
TAKES_A_SIDE = 0.5
SUMMARY_LETTERS = 240
KEPT_SIDES = 4096
"""Pieces of evidence of which it is kept what they stand for, some kilobytes each."""
_VERTICES = 12
_LONGEST_KM = 20_000.0
_WHEREABOUTS_STEP = 10.0
"""Unit vectors are rounded to tenths, some 600 km, to know a disagreement again."""


class Conflict(Record):
    """Two pieces of evidence that cannot both be right.

    Attributes:
        key: the same for either order, and for the same two sources naming the same two places.
        first: id of the heavier evidence, or of equals the one that sorts first.
        second: id of the other.
        first_text: what the first says, in one line that ends with its id.
        second_text: the same of the second.
        distance_km: between the best candidates, WGS84; None where one names only countries.
    """

    key: str
    first: str
    second: str
    first_text: str
    second_text: str
    distance_km: float | None = None

    @property
    def distance(self) -> str:
        """The distance in words; empty where there is none."""
        return "" if self.distance_km is None else f"{self.distance_km:,.0f} km"


def find_conflicts(evidence: Sequence[Evidence], told: Collection[str]) -> list[Conflict]:
    """Return the heaviest disagreements that were not told yet, at most three.

    Two groups are in conflict at most once at a time, by their heaviest evidence.

    Args:
        evidence: in any order; duplicates count once.
        told: keys of conflicts that the driver knows.
    """
    heaviest_last = sorted(evidence, key=lambda item: item.weight)
    unique = {item.id: item for item in heaviest_last if item.weight >= LEAST_WEIGHT}
    sides = [side for item in unique.values() if (side := _side_of(item)).taken]
    sides.sort(key=lambda side: (-side.item.weight, side.id))
    found: list[Conflict] = []
    between: set[frozenset[str]] = set()
    # Heaviest first and what was told skipped: most turns look at few pairs closely.
    for one, other in sorted(combinations(sides, 2), key=_rank):
        groups = frozenset((one.item.group, other.item.group))
        if len(groups) < 2 or groups in between or not _concern_each_other(one, other):
            continue
        if (key := _key(one, other)) in told:
            continue
        if _disagree(one, other):
            between.add(groups)
            found.append(_conflict(key, one, other))
            if len(found) == TOLD_AT_ONCE:
                break
    return found


@dataclass(frozen=True)
class _Side:
    """What one piece of evidence stands for; with candidates, its countries are theirs."""

    item: Evidence
    id: str

    @cached_property
    def best(self) -> Candidate | None:
        return min(self.item.candidates, key=_preference) if self.item.candidates else None

    @cached_property
    def taken(self) -> bool:
        """Whether it takes a side at all."""
        if self.item.area is not None:
            return True
        if self.best is None:
            return sum(self.item.countries.values()) >= TAKES_A_SIDE
        return self.share_near(self.best) >= TAKES_A_SIDE

    @cached_property
    def _held(self) -> tuple[sphere.FloatArray, sphere.FloatArray]:
        """Its candidates `[N, 3]` as latitude, longitude, radius in km, and their shares `[N]`."""
        held = self.item.candidates
        rows = np.array([(one.latitude, one.longitude, one.radius_km) for one in held])
        score = np.array([max(one.score, 1e-6) for one in held])
        return rows, score / score.sum()

    def share_near(self, other: Candidate) -> float:
        """Return the share of its candidates that lie within reach of another one."""
        rows, share = self._held
        apart = sphere.haversine_km(rows[:, 0], rows[:, 1], other.latitude, other.longitude)
        limit = np.maximum(APART_KM, REACH * (rows[:, 2] + other.radius_km))
        return float(share[apart <= limit].sum())

    @cached_property
    def surroundings(self) -> frozenset[str]:
        """Countries within reach of the best candidate; at sea and on its own, none."""
        if (best := self.best) is None:
            return frozenset()
        around = _countries_around(best.latitude, best.longitude, best.radius_km)
        return around | {best.country} if best.country else around

    @cached_property
    def whereabouts(self) -> list[int | str]:
        """What it stands for, coarsely, to know a disagreement again."""
        if (area := self.item.area) is not None:
            return [area.label, str(area.inside)]
        if self.best is None:
            shares = self.item.countries
            return [min(shares, key=lambda code: (-shares[code], code))]
        vector = sphere.unit_vectors([(self.best.latitude, self.best.longitude)])[0]
        return [int(part) for part in np.rint(vector * _WHEREABOUTS_STEP)]

    @property
    def text(self) -> str:
        said = printable(" ".join(self.item.summary.split()), SUMMARY_LETTERS)
        return f"{said} [{self.id}]"


_SIDES: dict[tuple[str, float], _Side] = {}


def _side_of(item: Evidence) -> _Side:
    """Return what evidence stands for; the same evidence is looked at turn after turn."""
    key = item.id, item.weight
    if (side := _SIDES.get(key)) is None:
        if len(_SIDES) >= KEPT_SIDES:
            _SIDES.clear()
        side = _SIDES[key] = _Side(item, item.id)
    return side


def _rank(pair: tuple[_Side, _Side]) -> tuple[float, str, str]:
    """Sort key, heaviest first; ties do not depend on the order of the evidence."""
    return -pair[0].item.weight * pair[1].item.weight, pair[0].id, pair[1].id


def _key(one: _Side, other: _Side) -> str:
    sides = sorted([side.item.group, *map(str, side.whereabouts)] for side in (one, other))
    return short_id(sides, prefix="x")


def _preference(candidate: Candidate) -> tuple[float, int, float, float]:
    """Sort key, best first; ties do not depend on the order of the candidates."""
    return -candidate.score, candidate.rank, candidate.latitude, candidate.longitude


def _disagree(one: _Side, other: _Side) -> bool:
    for stated, beside in ((one, other), (other, one)):
        if stated.item.area is not None:
            return share_allowed(stated.item.area, beside.item) < OVERLAP
    if one.best and other.best:
        return (
            _out_of_reach(one.best, other.best)
            and one.share_near(other.best) < OVERLAP
            and other.share_near(one.best) < OVERLAP
        )
    if one.best or other.best:
        placed, named = (one, other) if one.best else (other, one)
        held = sum(named.item.countries.get(code, 0.0) for code in placed.surroundings)
        # Of the likeliest country's share: what fits a hundred countries excludes none of them.
        most = max(named.item.countries.values())
        return bool(placed.surroundings) and held < OVERLAP * most
    first, second = one.item.countries, other.item.countries
    most, most_other = max(first.values()), max(second.values())
    shared = (min(first[code] / most, second[code] / most_other) for code in first.keys() & second)
    return max(shared, default=0.0) < OVERLAP


def _concern_each_other(one: _Side, other: _Side) -> bool:
    return _concerns(one, other) and _concerns(other, one)


def _concerns(one: _Side, other: _Side) -> bool:
    """Whether what `one` presupposed leaves room for a disagreement with `other`."""
    given = frozenset(one.item.given_countries)
    return not given or bool(given & other.surroundings)


def _out_of_reach(one: Candidate, other: Candidate) -> bool:
    apart = sphere.haversine_km(one.latitude, one.longitude, other.latitude, other.longitude)
    return bool(apart > max(APART_KM, REACH * (one.radius_km + other.radius_km)))


@lru_cache(maxsize=4096)  # the same evidence is looked at turn after turn
def _countries_around(latitude: float, longitude: float, radius_km: float) -> frozenset[str]:
    """Return the countries at a point and on rings of one and three radii around it."""
    rings = [
        sphere.circle(latitude, longitude, min(reach * radius_km, _LONGEST_KM), _VERTICES)
        for reach in (1.0, REACH)
    ]
    points = np.concatenate([[(latitude, longitude)], *rings])
    return frozenset(regions.country_at(points)) - {""}


def _conflict(key: str, first: _Side, second: _Side) -> Conflict:
    apart = None
    if (a := first.best) and (b := second.best):
        apart = float(sphere.distance_km(a.latitude, a.longitude, b.latitude, b.longitude))
    return Conflict(
        key=key,
        first=first.id,
        second=second.id,
        first_text=first.text,
        second_text=second.text,
        distance_km=None if apart is None else round(apart, 1),
    )
