"""From what a person claims to evidence, in words that say who said it and how surely."""

from collections.abc import Sequence

import numpy as np

from geo.areas import circle_region
from geo.coordinate import Coordinate
from geo.regions import country_name
from geo.rings import Polygon, canonical, rings_of
from geo.sphere import haversine_km
from geo.world_regions import WorldRegion
from tools.evidence import Area, Candidate, Evidence
from tools.hint import LOCALITY_KM, coordinate_evidence, hint_evidence
from tools.said_grammar import ASKS, SAYS, SAYS_LIKELY, SAYS_MAYBE, SAYS_SURE, Claim
from tools.workbench import Workbench

TOOL, GROUP = "use_hint", "hint"
"""What one person says is dependent, in a hint, an answer or a message: all of it is one group."""
AREA_REACH = 1.6
"""Radii of a named area that are ruled out with it; half of its settlements lie within one."""
ADJECTIVE, LANGUAGE = 0.65, 0.4
"""At most so much weighs what is seen, and what language is written: no statement of a place."""
SAME_KM, SAME_REACH = 50.0, 3.0
"""So near, in km or radii, a place lies in another one that is named with it."""
NAMED = 6
"""Countries that a label lists."""
_VERTICES = 64
_SAYS = {
    SAYS_SURE: "The person is sure that it is",
    SAYS: "The person says that it is",
    SAYS_LIKELY: "The person says that it is probably",
    SAYS_MAYBE: "The person says that it may be",
    ASKS: "The person asks whether it is",
}


def evidence_of(claims: Sequence[Claim], bench: Workbench) -> list[Evidence]:
    """Return what claims amount to: one piece for what is said alike, denials apart."""
    found: list[Evidence] = []
    kinds: dict[tuple[bool, float, str], list[Claim]] = {}
    for claim in claims:
        kind = claim.name.kind if claim.name.kind in ("language", "side", "point") else "place"
        kinds.setdefault((claim.denied, _weight(claim), kind), []).append(claim)
    for (denied, weight, alike), same in kinds.items():
        if alike == "point":
            found += [_point(claim, denied, weight, bench) for claim in same]
        elif denied:
            found += _outside(same, weight, bench)
        else:
            found += _inside(same, weight, bench)
    return list({item.id: item for item in found}.values())


def _weight(claim: Claim) -> float:
    limit = {"people": ADJECTIVE, "side": ADJECTIVE, "language": LANGUAGE}.get(claim.name.kind, 1.0)
    return min(claim.weight, limit)


def _words(weight: float, denied: bool) -> str:
    """Return how a statement of this weight begins."""
    said = _SAYS[min(_SAYS, key=lambda one: abs(one - weight))]
    return f"{said} not" if denied else said


def _point(claim: Claim, denied: bool, weight: float, bench: Workbench) -> Evidence:
    assert claim.name.point is not None
    latitude, longitude = claim.name.point
    label = f"near {latitude:.5g}, {longitude:.5g}"
    if denied:
        shape = _circle(latitude, longitude, LOCALITY_KM)
        return _area(Area(polygons=shape, inside=False, label=label), weight)
    found = coordinate_evidence(Coordinate(latitude, longitude), claim.name.text)
    return _said(found, weight)


def _inside(claims: Sequence[Claim], weight: float, bench: Workbench) -> list[Evidence]:
    """Return positive claims: places as the hint tool reads them, else countries, and regions."""
    found = _placed(claims, bench)
    codes = sorted({code for claim in claims for code in claim.name.countries})
    regions = [claim.name.region for claim in claims if claim.name.region]
    kind = claims[0].name.kind
    if found is not None and found.candidates:
        return [_said(found, weight), *_regions(regions, [], weight)]
    if kind in ("language", "side"):
        return [_area(Area(countries=tuple(codes), label=_label(claims)), weight)]
    within = {code for region in regions for code in (*region.countries, *region.partly)}
    if regions and (set(codes) - within or any(region.box is None for region in regions)):
        inner = [code for code in codes if code in within]
        if not inner or set(codes) - within:
            return _regions(regions, codes, weight)
        codes = inner
    if not codes:
        return _regions(regions, [], weight)
    named = _countries(codes, weight)
    return [*named, *_regions([one for one in regions if one.box], [], weight)]


def _placed(claims: Sequence[Claim], bench: Workbench) -> Evidence | None:
    """Return the settlements and areas that claims name, as the hint tool reads them; or None.

    `Florence in Tuscany` is one place. `Tuscany or Provence` are two, of one half each.
    """
    places = [claim.name.text for claim in claims if claim.name.kind == "place"]
    around = [claim.name.text for claim in claims if claim.name.kind == "country"]
    if not places:
        return None
    joint = hint_evidence(", ".join([*places, *around])[:500], bench)
    found = [joint] if joint is not None and joint.candidates else []
    for place in places:
        own = hint_evidence(", ".join([place, *around])[:500], bench)
        known = [one for item in found for one in item.candidates]
        if own is not None and own.candidates and not _meet(own.candidates, known):
            found.append(own)
    if len(found) < 2:
        return joint
    return _either(found)


def _meet(some: Sequence[Candidate], others: Sequence[Candidate]) -> bool:
    """Whether one of some candidates is called like one of others, or lies about there."""
    return any(
        a.label.partition(",")[0] == b.label.partition(",")[0]
        or haversine_km(a.latitude, a.longitude, b.latitude, b.longitude)
        <= max(SAME_KM, SAME_REACH * max(a.radius_km, b.radius_km))
        for a in some
        for b in others
    )


def _either(found: Sequence[Evidence]) -> Evidence:
    """Return alternatives of a person as one piece of evidence."""
    held = [
        one.model_copy(update={"score": one.score / len(found)})
        for item in found
        for one in item.candidates
    ]
    held.sort(key=lambda one: -one.score)
    ranked = [one.model_copy(update={"rank": n}) for n, one in enumerate(held, start=1)]
    names = " or ".join(item.candidates[0].label for item in found)
    return found[0].model_copy(
        update={"summary": f"The person says that it is in {names}.", "candidates": tuple(ranked)}
    )


def _countries(codes: Sequence[str], weight: float) -> list[Evidence]:
    shares = {code: 1 / len(codes) for code in codes}
    named = " or ".join(country_name(code) for code in codes)
    plain = Evidence(
        tool=TOOL, kind="hint", summary=f"The person says that it is in {named}.",
        countries=shares, weight=SAYS, group=GROUP,
    )  # fmt: skip
    return [_said(plain, weight, named)]


def _regions(regions: Sequence[WorldRegion], codes: Sequence[str], weight: float) -> list[Evidence]:
    """Return regions, and countries beside them, as one area."""
    if not regions:
        return []
    members = {code for one in regions for code in (*one.countries, *one.partly)} | set(codes)
    shapes = [shape for one in regions if one.box for shape in _box(*one.box)]
    names = [*(one.name for one in regions), *(country_name(code) for code in codes)]
    area = Area(
        countries=tuple(sorted(members)), polygons=tuple(shapes),
        label=" or ".join(dict.fromkeys(names)),
    )  # fmt: skip
    return [_area(area, weight)]


def _outside(claims: Sequence[Claim], weight: float, bench: Workbench) -> list[Evidence]:
    """Return denials: none of what is named. Of a place in a country, the place."""
    found = _placed(claims, bench)
    shapes: list[Polygon] = []
    how = ""
    named = [claim for claim in claims if claim.name.kind != "place"]
    for one in found.candidates if found else ():
        reach = LOCALITY_KM if one.reference else AREA_REACH * one.radius_km
        shapes += _circle(one.latitude, one.longitude, min(reach, 5000.0))
        how = how or f", taken as the circle of {min(reach, 5000.0):,.0f} km around {_near(one)}"
    if found is not None and found.candidates:
        inner = {one.country for one in found.candidates}
        named = [claim for claim in named if not set(claim.name.countries) & inner]
    codes = {code for claim in named for code in claim.name.countries}
    for region in (claim.name.region for claim in named if claim.name.region):
        codes |= set(region.countries)
        shapes += _box(*region.box) if region.box else ()
    if not codes and not shapes:
        return []
    area = Area(
        countries=tuple(sorted(codes)), polygons=tuple(shapes), inside=False, label=_label(claims)
    )
    return [_area(area, weight, how)]


def _label(claims: Sequence[Claim]) -> str:
    """Return what claims name, as people read it."""
    found = []
    for claim in claims:
        name = claim.name
        if name.kind == "language":
            found.append(f"{name.text}-speaking countries")
        elif name.kind == "side":
            found.append(f"countries where {name.text}")
        elif name.region is not None:
            found.append(name.region.name)
        elif name.countries:
            found += [country_name(code) for code in name.countries]
        else:
            found.append(name.text)
    distinct = list(dict.fromkeys(found))
    more = f" and {len(distinct) - NAMED} more" if len(distinct) > NAMED else ""
    return " or ".join(distinct[:NAMED]) + more


def _near(one: Candidate) -> str:
    return f"{one.latitude:.1f}, {one.longitude:.1f}"


def _area(area: Area, weight: float, how: str = "") -> Evidence:
    place = area.label if area.label.startswith("near ") else f"in {area.label}"
    return Evidence(
        tool=TOOL,
        kind="hint",
        summary=f"{_words(weight, not area.inside)} {place}{how}.",
        area=area,
        weight=weight,
        group=GROUP,
    )


def _said(found: Evidence, weight: float, label: str = "") -> Evidence:
    """Return a hint as surely as it was said; as sure as any hint, it stays as it is."""
    if weight == SAYS:
        return found
    labels = [one.label for one in found.candidates[:3] if one.label]
    first = found.candidates[0] if found.candidates else None
    near = f"near {first.latitude:.5g}, {first.longitude:.5g}" if first else ""
    where = f"in {label or ' or '.join(labels)}" if first is None or not labels else ""
    where = where or f"in {' or '.join(labels)}"
    told = near if first is not None and first.radius_km < LOCALITY_KM else where
    summary = f"{_words(weight, denied=False)} {told}."
    return found.model_copy(update={"weight": weight, "summary": summary})


def _circle(latitude: float, longitude: float, radius_km: float) -> tuple[Polygon, ...]:
    return rings_of(circle_region(latitude, longitude, radius_km, _VERTICES))


def _box(south: float, west: float, north: float, east: float) -> tuple[Polygon, ...]:
    """Return a rectangle, its long sides cut so that no edge is ambiguous."""
    steps = np.linspace(west, east, 5)
    lower = [(south, at) for at in steps]
    upper = [(north, at) for at in steps[::-1]]
    return canonical([[np.array([*lower, *upper, (south, west)], dtype=np.float64)]])
