"""What a person said before and takes back, and what their words changed.

A later statement that cannot be true together with an earlier one takes its place: the earlier one
is withdrawn, which is said, and can be restored. What is only doubted or asked takes nothing back.
"""

from collections.abc import Callable, Sequence

import numpy as np

from agent.belief import Belief
from agent.state import State, counting
from encoders.photo_file import printable
from geo import regions, sphere
from geo.areas import contains
from geo.rings import region_of
from tools.evidence import Area, Candidate, Evidence

FOLLOW_UP = "follow_up"
"""Stands for the tool in steps that hold what a person said."""
PLAIN_WEIGHT = 0.8
"""Of a plain statement: it takes back what was said more surely."""
NEAR_KM = 100.0
REACH = 3.0
"""Radii around a candidate that a person may mean by it."""
SPREAD = 64
VERTICES = 12
LONGEST_KM = 5000.0
WORDS_QUOTED = 120
LEAST_CHANGE = 0.005
Points = sphere.FloatArray


def taken_back(new: Sequence[Evidence], held: Sequence[Evidence]) -> list[str]:
    """Return the ids of earlier statements of a person that new ones contradict.

    Args:
        new: what the person says now.
        held: all evidence; what they said before is of the kind and group `hint`.
    """
    said = [item for item in held if item.kind == "hint" and item.group == "hint" and item.weight]
    fresh = {item.id for item in new}
    return sorted(
        old.id for old in said if old.id not in fresh and any(_overrides(one, old) for one in new)
    )


def taking_back(new: Sequence[Evidence], held: Sequence[Evidence]) -> tuple[list[str], list[str]]:
    """Return the ids of what new statements take back, and the sentences that say so."""
    back = taken_back(new, held)
    told = [f"It takes back: {item.summary} [{item.id}]" for item in held if item.id in back]
    return back, told


def _overrides(new: Evidence, old: Evidence) -> bool:
    if new.weight < min(old.weight, PLAIN_WEIGHT):
        return False
    denies, denied = _denial(new), _denial(old)
    if denies is not None and denied is not None:
        return False
    if denies is not None:
        return _lies_in(old, denies)
    if denied is not None:
        return _lies_in(new, denied)
    return not _may_agree(new, old)


def _denial(item: Evidence) -> Area | None:
    return item.area if item.area is not None and not item.area.inside else None


def _codes(item: Evidence) -> set[str]:
    return set(item.countries) | set(item.area.countries if item.area else ())


def _points(item: Evidence) -> Points:
    """Return what stands for candidates and polygons, `[N, 2]`: latitude, longitude."""
    found = [(one.latitude, one.longitude) for one in item.candidates]
    points = np.array(found, dtype=np.float64).reshape(-1, 2)
    if item.area is None or not item.area.polygons:
        return points
    return np.concatenate([points, _spread(item.area)])


def _inside(points: Points, codes: set[str], area: Area | None) -> sphere.FloatArray:
    """Return which points lie in countries or in an area's polygons, `[N]`."""
    found = np.isin(regions.country_at(points), sorted(codes)) if len(points) else np.empty(0, bool)
    if area is not None and area.polygons and len(points):
        found = found | contains(region_of(area.polygons), points)
    return np.asarray(found)


def _lies_in(item: Evidence, area: Area) -> bool:
    """Whether all that a statement names lies in what another one excludes."""
    if not _codes(item) <= set(area.countries):
        return False
    points = _points(item)
    return bool(_inside(points, set(area.countries), area).all()) and bool(
        len(points) or _codes(item)
    )


def _may_agree(one: Evidence, other: Evidence) -> bool:
    """Whether two statements share a place."""
    if _codes(one) & _codes(other):
        return True
    here, there = _points(one), _points(other)
    if _inside(here, _codes(other), other.area).any():
        return True
    if _inside(there, _codes(one), one.area).any():
        return True
    for a in one.candidates:
        for b in other.candidates:
            apart = sphere.haversine_km(a.latitude, a.longitude, b.latitude, b.longitude)
            if apart <= max(NEAR_KM, REACH * (a.radius_km + b.radius_km)):
                return True
    return False


def allows(area: Area, latitude: float, longitude: float) -> bool:
    """Return whether a point lies where an area says that the place lies."""
    there = _inside(np.array([(latitude, longitude)]), set(area.countries), area)
    return bool(there[0]) == area.inside


def share_allowed(area: Area, item: Evidence) -> float:
    """Return how much of what evidence names may lie where an area says that the place lies.

    Of candidates the share that lies there within a radius; of countries their share of what the
    likeliest one has, at most 1: what fits a hundred countries contradicts none of them.
    """
    if item.candidates:
        shares = np.array([max(one.score, 1e-6) for one in item.candidates])
        there = [_reaches(area, one) for one in item.candidates]
        return float(shares[there].sum() / shares.sum())
    if item.area is not None:
        return float(not _lies_in(item, area)) if not area.inside else float(_meets(item, area))
    most = max(item.countries.values(), default=0.0)
    named = set(area.countries)
    if area.inside and area.polygons:
        named |= set(regions.country_at(_spread(area)))
    held = sum(share for code, share in item.countries.items() if (code in named) == area.inside)
    return min(1.0, held / most) if most else 1.0


def _meets(item: Evidence, area: Area) -> bool:
    """Whether an area in evidence shares a place with one that is said to hold the place."""
    assert item.area is not None
    stated = Evidence(tool="", kind="hint", summary="", area=area, weight=0.0, group="")
    return not _lies_in(stated, item.area) if not item.area.inside else _may_agree(item, stated)


def _reaches(area: Area, one: Candidate) -> bool:
    """Whether a candidate or something within its radius lies where an area allows it."""
    ring = sphere.circle(one.latitude, one.longitude, min(one.radius_km, LONGEST_KM), VERTICES)
    points = np.concatenate([[(one.latitude, one.longitude)], ring])
    return bool((_inside(points, set(area.countries), area) == area.inside).any())


def _spread(area: Area) -> Points:
    from agent.area_factors import spread_over

    spread = spread_over(area.polygons).unit
    return sphere.points_of(spread[:: max(1, len(spread) // SPREAD)])


def change_words(
    state: State, belief: Belief, believe: Callable[[Sequence[Evidence]], Belief]
) -> str:
    """Return what the person's words since the last answer did to it; empty where none were said.

    Args:
        state: at the end of a run, its evidence whole.
        belief: with all that counts.
        believe: how belief follows from evidence.
    """
    now = state["revision"] + 1
    steps = [s for s in state["steps"] if s.tool == FOLLOW_UP and s.revision == now]
    if not steps:
        return ""
    said = {name for step in steps for name in step.evidence_ids}
    back = {str(n) for s in steps for n in _listed(s.data.get("taken_back"))}
    words = [str(s.arguments["message"]) for s in steps if "message" in s.arguments]
    quoted = " and ".join(repr(printable(one, WORDS_QUOTED)) for one in words)
    drew = any("region" in step.arguments for step in steps)
    told = " and ".join(filter(None, (f"said {quoted}" if words else "", "drew a region" * drew)))
    if not told:
        return ""
    if not said and not back:
        return f" You {told}: that changes nothing by itself."
    if not back and said <= _said_before(state):
        return f" You {told}, as before: that changes nothing."
    without = set(state["withdrawn"]) - back
    rest = believe(counting([e for e in state["evidence"] if e.id not in said], without))
    return f" You {told}: {_shift(rest, belief)}."


def _said_before(state: State) -> set[str]:
    """Return the ids of what the person said before the last answer and did not take back.

    What is said once more after it was taken back counts anew.
    """
    steps = [step for step in state["steps"] if step.tool == FOLLOW_UP]
    known = {n for s in steps if s.revision <= state["revision"] for n in s.evidence_ids}
    gone = {str(n) for s in steps for n in _listed(s.data.get("taken_back"))}
    return known - gone - set(state["withdrawn"])


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _shift(before: Belief, after: Belief) -> str:
    """Return which country gained or lost most, in words."""
    old, new = before.country_shares, after.country_shares
    codes = sorted(old.keys() | new.keys())
    moved = {code: new.get(code, 0.0) - old.get(code, 0.0) for code in codes}
    most = max(codes, key=lambda code: abs(moved[code]), default="")
    apart = float(sphere.haversine_km(*before.centre, *after.centre))
    if not most or abs(moved[most]) < LEAST_CHANGE:
        return f"the best point moves by {apart:,.0f} km" if apart >= 1 else "belief stays as it is"
    name = regions.country_name(most)
    return f"belief in {name} goes from {old.get(most, 0.0):.0%} to {new.get(most, 0.0):.0%}"
