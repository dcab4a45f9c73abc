"""Which maps a report shows, and what is marked on them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.answer import Answer
from agent.report_format import distance
from agent.report_frame import Window
from agent.report_map import (
    LARGEST_HALF_KM,
    SMALLEST_HALF_KM,
    MapView,
    Mark,
    Outline,
    RegionPath,
    local_map,
    world_map,
)
from agent.report_shapes import (
    KM_PER_DEGREE,
    LOCAL_HEIGHT,
    LOCAL_WIDTH,
    azimuthal,
    equal_earth,
    path_of,
    turned,
)

if TYPE_CHECKING:
    from agent.report_page import Page
    from agent.session_report import Drawn

MOST_MARKS = 300
MOST_LABELS = 40
LEAST_SHADED = 0.01
MOST_WORLD_LABELS = 12
FINEST_HALF_KM = 10.0
"""Natural Earth 1:10m is drawn to about half a kilometre: closer, its coasts would mislead."""
_WORLD_TOLERANCE_DEG = 0.25
_NO_COAST = "; coasts and borders are not known finely enough to be drawn here"


def maps_of(page: "Page") -> tuple[MapView, ...]:
    """Return the world map and up to two closer ones; only shaded countries without a point."""
    drawn = page.session.drawn if page.session else ()
    return tuple(replace(view, regions=tuple(paths)) if (paths := _drawn(page, view, drawn))
                 else view for view in _maps_of(page))  # fmt: skip


def _drawn(page: "Page", view: MapView, drawn: "Sequence[Drawn]") -> list[RegionPath]:
    """Return the paths of drawn regions on a map."""
    paths = []
    for one in drawn:
        if view.name == "world":
            middle = _middle(page.position[1]) if page.position else 0.0
            path = path_of(turned(one.area, -middle), equal_earth)
        elif page.position is not None:
            project = azimuthal(*page.position, view.half_km)
            path = path_of(Window.around(page.position, view.half_km).cut(one.area), project, 0.5)
        if path:
            paths.append(RegionPath(path, one.inside))
    return paths


def _maps_of(page: "Page") -> tuple[MapView, ...]:
    from geo.outlines import outlines

    shares = _shaded(page.answer)
    if page.position is None:
        if not shares:
            return ()
        return (world_map(outlines(_WORLD_TOLERANCE_DEG), _marks(page), (), shares),)
    middle = _middle(page.position[1])
    circles = tuple((*page.position, km, percent) for percent, km in reversed(page.radii))
    marks = _marks(page)
    crowded = len(page.candidates) > MOST_WORLD_LABELS
    distant = [mark._replace(label="") for mark in marks] if crowded else marks
    maps = [world_map(outlines(_WORLD_TOLERANCE_DEG), distant, circles, shares, middle)]
    halves = half_sizes_km([km for _, km in page.radii])
    for index, half_km in enumerate(halves):
        name, title = ("around", "Surroundings") if index == 0 else ("close", "Close view")
        across = distance(2 * half_km * LOCAL_WIDTH / LOCAL_HEIGHT)
        closer_km = halves[index + 1] if index + 1 < len(halves) else 0.0
        rings = _rings_near(page.position, half_km)
        maps.append(
            local_map(
                rings,
                page.position,
                half_km,
                name,
                f"{title}, {across} across" + ("" if rings is not None else _NO_COAST),
                marks,
                circles,
                shares,
                closer_km,
            )
        )
    return tuple(maps)


def _shaded(answer: Answer) -> dict[str, float]:
    """Return the countries worth shading; a located answer has its point instead."""
    if answer.status == "located":
        return {}
    return {code: share for code, share in answer.countries.items() if share >= LEAST_SHADED}


def _rings_near(centre: tuple[float, float], half_km: float) -> list[Outline] | None:
    """Return the outlines a local map needs, or None where they are too coarse to be drawn."""
    from geo.outlines import outlines

    if half_km < FINEST_HALF_KM:
        return None
    tolerance_deg = 1.5 * half_km / LOCAL_HEIGHT / KM_PER_DEGREE
    boxes = Window.around(centre, half_km).boxes
    return [ring for box in boxes for ring in outlines(tolerance_deg, box)]


def _middle(longitude: float) -> float:
    """Return the world map's middle: Greenwich, or the Pacific for an answer near its seam.

    A map around 150 degrees east is cut at 30 degrees west, where hardly any land lies.
    """
    return 150.0 if abs(longitude) > 140 else 0.0


def half_sizes_km(radii_km: list[float]) -> list[float]:
    """Return `half_km` of the local maps, widest first, from the 50, 80 and 95 % radii.

    The closest shows the largest radius that fits a local map; where that is too close for any
    border to be in sight, a wider one precedes it. Empty where even half the belief does not fit.
    """
    fitting = [km for km in radii_km if 1.25 * km <= LARGEST_HALF_KM]
    if not fitting:
        return []
    close_km = max(1.25 * max(fitting), SMALLEST_HALF_KM)
    if close_km >= 250:
        return [close_km]
    return [min(max(12 * close_km, 450.0), 1200.0), close_km]


def _marks(page: "Page") -> list[Mark]:
    """Return what is marked, the answer last: later marks lie on top."""
    marks = []
    numbers = {view.number: view.evidence.tool for view in page.evidence}
    for view in reversed(page.candidates[:MOST_MARKS]):
        candidate = view.verdict.candidate
        if page.claimed and candidate.kind == "claimed_position":
            continue  # It has a mark of its own.
        if page.model and numbers.get(view.evidence_number or 0) == "diversify":
            continue  # It has a mark of its own, too.
        fate = "kept" if view.verdict.kept else "dropped"
        title = f"Candidate {view.number} ({fate}): {candidate.label or candidate.source}"
        label = str(view.number) if view.number <= MOST_LABELS else ""
        marks.append(Mark(candidate.latitude, candidate.longitude, fate, title, label))
    for short in reversed(page.model.shorts if page.model else ()):
        title = f"{short.share} short answers: {short.label}"
        marks.append(Mark(short.latitude, short.longitude, "short", title, short.share))
    for place in page.answer.alternatives:
        title = f"Alternative: {place.label} ({place.share:.0%})"
        marks.append(Mark(place.latitude, place.longitude, "alternative", title))
    if page.claimed:
        marks.append(Mark(*page.claimed, "claimed", "Position claimed by the file"))
    if page.position:
        reach = f", 95 % within {distance(page.radii[-1][1])}" if page.radii else ""
        marks.append(Mark(*page.position, "answer", f"Answer{reach}"))
    return marks
