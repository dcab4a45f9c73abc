"""What the page's map shows, as data that `static/map.js` draws; texts are never markup."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from agent.answer import Answer, Verdict
from agent.report_format import distance, percent
from agent.report_page import LIKELY_SHARE, STATUS_WORDS, headline_of
from agent.report_shapes import KM_PER_DEGREE, unwrapped
from geo.sphere import circle
from server.web_story import Story

MOST_CANDIDATES = 400
SURROUNDINGS_KM = 150.0
"""Outlines are too coarse for streets: the first view reaches at least so far."""
WIDE_KM = 4000.0
"""A circle so large is drawn as a line alone: its fill would tint the whole map."""
EDGE_DEG = 85.0
"""Web Mercator ends there."""


LEGEND = {
    "answer": "answer, 50 / 80 / 95 %", "rings": "where belief lies so far", "kept": "kept",
    "dropped": "dropped", "open": "not judged yet", "alternative": "alternative",
    "cluster": "cluster", "claimed": "claimed by the file", "inside": "drawn: there",
    "outside": "drawn: not there", "shaded": "belief by country",
}  # fmt: skip


def legend_of(data: dict[str, Any]) -> dict[str, str]:
    """Return what is on the map, and what it means; nothing that is not there."""
    fates = {one["fate"] for one in data["candidates"]}
    shown = {
        "answer": data["answer"], "rings": data["rings"] and not data["answer"],
        "kept": "kept" in fates, "dropped": "dropped" in fates, "open": "open" in fates,
        "alternative": data["alternatives"], "cluster": data["clusters"],
        "claimed": data["claimed"], "shaded": data["countries"],
        "inside": any(one["inside"] for one in data["regions"]),
        "outside": any(not one["inside"] for one in data["regions"]),
    }  # fmt: skip
    return {kind: words for kind, words in LEGEND.items() if shown[kind]}


def map_data(story: Story) -> dict[str, Any]:
    """Return everything to be drawn for a story, latitudes and longitudes in degrees."""
    answer = None if story.fresh else story.answer
    point = _point(story, answer)
    middle = point[1] if point else 0.0
    radii = _radii(story, answer) if point else []
    located = answer is not None and answer.status == "located"
    shares = (
        {} if located else dict(answer.countries if answer else story.belief.get("countries", {}))
    )
    return {
        "middle": middle,
        "answer": _answer_pin(answer),
        "rings": _rings(point, radii) if point else [],
        "countries": shares,
        "candidates": _verdicts(story, answer) if answer else _open(story),
        "clusters": list(_clusters(story)),
        "alternatives": _alternatives(answer),
        "claimed": _claimed(answer),
        "regions": list(_regions(story)),
        "fit": _fit(point, max(_reach(radii), SURROUNDINGS_KM)) if point else None,
        "close": _fit(point, _reach(radii)) if point else None,
    }  # fmt: skip


def ring_points(latitude: float, longitude: float, radius_km: float) -> list[list[float]]:
    """Return a circle as `[[latitude, longitude], ...]`, longitudes continuous around its centre.

    One around a pole is closed along the map's edge; one around both is the whole map.
    """
    poles = [s for s in (1, -1) if (90.0 - s * latitude) * KM_PER_DEGREE < radius_km]
    if len(poles) == 2:
        west, east = longitude - 180, longitude + 180
        corners = [(-EDGE_DEG, west), (EDGE_DEG, west), (EDGE_DEG, east), (-EDGE_DEG, east)]
        return [list(corner) for corner in corners]
    edge = circle(latitude, longitude, radius_km, vertices=96)
    line = unwrapped(np.vstack((edge, edge[:1])))
    line[:, 1] += 360 * round((longitude - float(line[:, 1].mean())) / 360)
    if poles:
        limit = EDGE_DEG * poles[0]
        line = np.vstack((line, [[limit, line[-1, 1]], [limit, line[0, 1]]]))
    line[:, 0] = np.clip(line[:, 0], -EDGE_DEG, EDGE_DEG)
    points: list[list[float]] = line.round(6).tolist()
    return points


def _point(story: Story, answer: Answer | None) -> tuple[float, float] | None:
    if answer is not None:
        if answer.latitude is None or answer.longitude is None:
            return None
        return answer.latitude, answer.longitude
    if "latitude" in story.belief and story.belief.get("status") != "undetermined":
        return float(story.belief["latitude"]), float(story.belief["longitude"])
    return None


def _radii(story: Story, answer: Answer | None) -> list[tuple[int, float]]:
    if answer is not None:
        radii = answer.radii
        return [(50, radii.km_50), (80, radii.km_80), (95, radii.km_95)] if radii else []
    found = ((percent, story.belief.get(f"km_{percent}")) for percent in (50, 80, 95))
    return [(percent, float(km)) for percent, km in found if km]


def _rings(point: tuple[float, float], radii: Iterable[tuple[int, float]]) -> list[dict[str, Any]]:
    return [
        {
            "percent": percent,
            "wide": km > WIDE_KM,
            "points": ring_points(*point, min(km, 20_000.0)),
        }
        for percent, km in radii
    ]


def _reach(radii: list[tuple[int, float]]) -> float:
    """Return the largest radius that still makes a view of its own, in km."""
    fitting = [km for _, km in radii if km < WIDE_KM]
    return max(fitting, default=SURROUNDINGS_KM) * 1.15


def _fit(point: tuple[float, float], km: float) -> list[list[float]]:
    latitude, longitude = point
    up = km / KM_PER_DEGREE
    across = up / max(math.cos(math.radians(latitude)), 0.05)
    south, north = max(latitude - up, -EDGE_DEG), min(latitude + up, EDGE_DEG)
    return [[south, longitude - across], [north, longitude + across]]


def _answer_pin(answer: Answer | None) -> dict[str, Any] | None:
    if answer is None or answer.latitude is None or answer.longitude is None:
        return None
    radii = answer.radii
    held = f"95 % of belief within {distance(radii.km_95)}" if radii else ""
    lines = [f"{answer.latitude:.5f}, {answer.longitude:.5f}",
             f"{STATUS_WORDS[answer.status][0]}. {held}", answer.caution]  # fmt: skip
    return {"lat": answer.latitude, "lon": answer.longitude, "title": headline_of(answer),
            "lines": lines}  # fmt: skip


def _verdicts(story: Story, answer: Answer) -> list[dict[str, Any]]:
    ordered = ordered_verdicts(answer)
    return [
        _dot(story, number, one.evidence_id, one.candidate.model_dump(mode="json"),
             "kept" if one.kept else "dropped", one.reason)
        for number, one in enumerate(ordered[:MOST_CANDIDATES], start=1)
        if one.candidate.kind != "claimed_position"
    ]  # fmt: skip


def ordered_verdicts(answer: Answer) -> list[Verdict]:
    """Return every candidate ever considered, the kept ones first, then by score."""
    return sorted(answer.verdicts, key=lambda one: (not one.kept, -one.candidate.score))


def _open(story: Story) -> list[dict[str, Any]]:
    """Return the candidates of a run that goes on: nothing is decided yet."""
    rows = [
        (key, candidate)
        for key, told in story.evidence.items()
        for candidate in told.data.get("candidates", ())
    ]
    rows = [row for row in rows if row[1].get("kind") != "claimed_position"][:MOST_CANDIDATES]
    return [
        _dot(story, number, key, candidate, "open", "not judged yet")
        for number, (key, candidate) in enumerate(rows, start=1)
    ]


def _dot(
    story: Story, number: int, evidence: str, candidate: dict[str, Any], fate: str, reason: str
) -> dict[str, Any]:
    named = candidate.get("label") or candidate.get("source") or "a candidate"
    seen = story.number(evidence)
    lines = [
        f"{candidate['latitude']:.5f}, {candidate['longitude']:.5f}",
        f"{'Kept' if fate == 'kept' else 'Dropped' if fate == 'dropped' else 'Open'}: {reason}",
        f"Score {percent(candidate['score'])} of evidence {seen or evidence}",
    ]
    return {"lat": candidate["latitude"], "lon": candidate["longitude"], "fate": fate,
            "kept": fate != "dropped", "ev": evidence, "title": f"{number}. {named}",
            "lines": lines}  # fmt: skip


def _clusters(story: Story) -> Iterable[dict[str, Any]]:
    """Yield the clusters that the clustering tool found last."""
    found = [step for step in story.steps.values() if step.get("tool") == "cluster_candidates"]
    for step in found[-1:]:
        points = step.get("arguments", {}).get("candidates") or []
        data = step.get("data") or {}
        for number, cluster in enumerate(data.get("clusters") or (), start=1):
            at = cluster.get("medoid", -1)
            if not 0 <= at < len(points):
                continue
            middle, km = points[at], max(float(cluster.get("radius_km") or 0), 0.05) * 2
            title = f"Cluster {number}: {len(cluster.get('members', ()))} candidates"
            yield {"points": ring_points(middle["latitude"], middle["longitude"], km),
                   "title": title, "lines": [str(step.get("text", ""))[:200]]}  # fmt: skip


def _alternatives(answer: Answer | None) -> list[dict[str, Any]]:
    return [
        {"lat": one.latitude, "lon": one.longitude, "title": f"Alternative: {one.label}",
         "lines": [f"{percent(one.share)} of belief",
                   "probable" if one.share >= LIKELY_SHARE else "still possible"]}
        for one in (answer.alternatives if answer else ())
    ]  # fmt: skip


def _claimed(answer: Answer | None) -> dict[str, float] | None:
    if answer is None or answer.claimed_latitude is None or answer.claimed_longitude is None:
        return None
    return {"lat": answer.claimed_latitude, "lon": answer.claimed_longitude}


def _regions(story: Story) -> Iterable[dict[str, Any]]:
    """Yield what the person drew and did not take back, latitude first."""
    gone = [
        (step.get("arguments") or {}).get("region")
        for step in story.steps.values()
        if set(step.get("evidence_ids") or ()) & story.withdrawn
    ]
    for drawn in story.regions:
        if drawn in gone:
            continue
        inside = (drawn.get("properties") or {}).get("inside") is not False
        shape = drawn.get("geometry") or drawn
        polygons = shape.get("coordinates") or []
        for polygon in [polygons] if shape.get("type") == "Polygon" else polygons:
            rings = [[[pair[1], pair[0]] for pair in ring] for ring in polygon]
            yield {"inside": inside, "rings": rings}
