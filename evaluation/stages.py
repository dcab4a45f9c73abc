"""What each stage of a run put forward: read from an answer's steps and evidence, nothing rerun.

Retrieval: photos that geometry verified, then what the searches of photos, places and cells list,
by turns, those of the whole photo everywhere before those of a part, of words or inside a region;
then whatever other tools name (text, place names, a hint). Clustering: the references as the
recipe re-ranked them, then the centres that `cluster_candidates` told. Generation: what the model
named, its last word first. Verification: pairs that geometry verified, then the pool by alignment.
Final: the answer's point alone.

A stage that did not run is absent; one that ran and named nothing is empty. Each place counts
once per stage; what is no place, (0, 0) included, is left out, as it is everywhere.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, cast

from pydantic import JsonValue

from agent.answer import Answer, Step
from agent.recipes import Recipe
from agent.short_answers import SIMILAR, VERIFY, found, ranked
from evaluation.runs import Point, StageName
from tools.evidence import Evidence
from tools.references import SAME_DIGITS, hits_of

if TYPE_CHECKING:
    from agent.state import State

PLACES, CELLS, CLUSTER, COMPARE = (
    "search_places", "search_cells", "cluster_candidates", "compare_photos",
)  # fmt: skip
SEARCHES = (SIMILAR, PLACES, CELLS)
SAID = ("verifier", "commit_location", "decide", "diversify", "prior")
"""Whose evidence is what the model named, the last word first."""
LATER = (*SAID, VERIFY, COMPARE)

JsonObject = dict[str, JsonValue]


def stages_of(answer: Answer, recipe: Recipe) -> dict[StageName, tuple[Point, ...]]:
    """Return the points that each stage of a run put forward, best first, each place once.

    Args:
        answer: what the run came to.
        recipe: that it followed.

    Returns:
        The stages that ran, in their order; `final` always, empty where the answer names no place.
    """
    rules = {
        "retrieval": _retrieval(answer),
        "clustering": _clustering(answer, recipe),
        "generation": _generation(answer),
        "verification": _verification(answer),
    }
    stages = {
        cast("StageName", name): tuple(_distinct(points))
        for name, points in rules.items()
        if points is not None
    }
    # As it is, were it (0, 0): the run answered so, and the ledger ends at what it answered.
    named = answer.latitude is not None and answer.longitude is not None
    point = cast("Point", (answer.latitude, answer.longitude))
    return stages | {"final": (point,) if named else ()}


def verbal_confidence_of(answer: Answer) -> float | None:
    """Return the model's own confidence, 0 to 1, as it last said it; None where it said none."""
    said: float | None = None
    for step in answer.steps:
        guess = step.data.get("guess") if step.tool == "prior" else None
        stated = guess.get("confidence") if isinstance(guess, dict) else None
        if isinstance(stated, int | float) and not isinstance(stated, bool) and 0 <= stated <= 1:
            said = float(stated)
    return said


def _retrieval(answer: Answer) -> list[Point] | None:
    """Return what tools found; None where none was asked, or none found and no search ran."""
    matches = _named(e for e in answer.evidence if e.tool == SIMILAR and e.kind == "match")
    lists = [_similar(answer), *_placed(answer, whole=True), *_celled(answer)]
    narrow = [*_narrow(answer), *_placed(answer, whole=False)]
    others = _named(
        item
        for item in answer.evidence
        if item.tool not in LATER and item.tool not in SEARCHES and _counts(item)
    )
    points = [*matches, *_by_turns(lists), *_by_turns(narrow), *others]
    ran = points or any(step.tool in SEARCHES and _ok(step) for step in answer.steps)
    return points if ran else None


def _counts(item: Evidence) -> bool:
    """A position that a file claims is no finding, unless the run was told to trust it."""
    return item.kind != "metadata" or item.weight > 0


def _similar(answer: Answer) -> list[Point]:
    """Return the photos most alike, as the recipes know them."""
    return [(one.latitude, one.longitude) for one in found(_state(answer), SIMILAR)]


def _narrow(answer: Answer) -> list[list[Point]]:
    """Return what each search by a part of the photo, by words or inside a region found."""
    whole: JsonValue = {"photo_id": answer.photo_id, "box": None}
    lists = []
    for step in answer.steps:
        if step.tool == SIMILAR and _ok(step):
            kept: list[JsonValue] = [
                cast("JsonValue", one)
                for one in _rows(step.data, "galleries")
                if one.get("query") != whole or one.get("region")
            ]
            hits = hits_of([{"galleries": kept}], apart_from=answer.photo_id)
            lists.append([(one.latitude, one.longitude) for one in hits])
    return lists


def _placed(answer: Answer, *, whole: bool) -> list[list[Point]]:
    """Return the regions and then the single places of each search of places."""
    lists = []
    for step in answer.steps:
        if step.tool == PLACES and _ok(step) and bool(step.data.get("region")) != whole:
            regions = [_point(row) for row in _rows(step.data, "candidates")]
            best = step.data.get("best_places")
            single = [_pair(row) for row in best] if isinstance(best, list) else []
            lists.append([point for point in (*regions, *single) if point])
    return lists


def _celled(answer: Answer) -> list[list[Point]]:
    """Return the cells of each gallery: of the first one's encoder first, by the best cosine."""
    searched = [
        (gallery, rows)
        for step in answer.steps
        if step.tool == CELLS and _ok(step)
        for gallery in _rows(step.data, "galleries")
        if (rows := _rows(gallery, "candidates"))
    ]
    encoders = [gallery.get("encoder") for gallery, _ in searched]

    def order(one: tuple[JsonObject, list[JsonObject]]) -> tuple[int, float]:
        gallery, rows = one
        return encoders.index(gallery.get("encoder")), -_number(rows[0].get("cosine"))

    ordered = sorted(searched, key=order)
    return [[point for row in rows if (point := _point(row))] for _, rows in ordered]


def _clustering(answer: Answer, recipe: Recipe) -> list[Point] | None:
    """Return re-ranked references, where a rule used them, and then the told clusters."""
    used = recipe.pick == "first" or any(step.tool == "diversify" for step in answer.steps)
    points: list[Point] = []
    if recipe.clustering is not None and used:
        again = ranked(recipe, _state(answer))
        points = [(one.latitude, one.longitude) for one in again]
    told = [step for step in answer.steps if step.tool == CLUSTER and _ok(step)]
    points += [point for step in told for point in _told(step)]
    return points if points or told else None


def _told(step: Step) -> Iterator[Point]:
    """Yield DualGeo's order, or the middle of each cluster and then what is in none."""
    listed = _rows(step.arguments, "candidates")
    medoids: list[JsonValue] = [one.get("medoid") for one in _rows(step.data, "clusters")]
    alone = step.data.get("order" if step.data.get("rule") == "dualgeo" else "alone")
    for index in [*medoids, *(alone if isinstance(alone, list) else ())]:
        if isinstance(index, int) and 0 <= index < len(listed) and (point := _point(listed[index])):
            yield point


def _generation(answer: Answer) -> list[Point] | None:
    """Return what the model named; None where it was not asked."""
    points: list[Point] = []
    for tool in SAID:
        points += _named(item for item in reversed(answer.evidence) if item.tool == tool)
    asked = ("prior", "diversify")
    return points if points or any(step.tool in asked for step in answer.steps) else None


def _verification(answer: Answer) -> list[Point] | None:
    """Return verified pairs, then the pools by alignment, the last first, then judged looks."""
    compared = [item for item in answer.evidence if item.tool == COMPARE]
    pools = [step for step in reversed(answer.steps) if step.tool == VERIFY and _ok(step)]
    points = _named(item for item in compared if item.kind == "match")
    for step in pools:
        rows = _rows(step.data, "candidates")
        nearby = [near for row in rows if isinstance(near := row.get("nearby"), dict)]
        points += [point for row in (*rows, *nearby) if (point := _point(row))]
    points += _named(item for item in compared if item.kind != "match")
    return points if points or pools else None


def _state(answer: Answer) -> "State":
    """Return as much of the run's state as the references are read from."""
    return cast("State", {"steps": answer.steps, "photo_id": answer.photo_id})


def _ok(step: Step) -> bool:
    return step.outcome == "ok"


def _named(evidence: Iterable[Evidence]) -> list[Point]:
    """Return the candidates of evidence in its order, each one's by rank."""
    return [
        (one.latitude, one.longitude)
        for item in evidence
        for one in sorted(item.candidates, key=lambda candidate: candidate.rank)
    ]


def _by_turns(lists: Iterable[Sequence[Point]]) -> list[Point]:
    """Return the first of each list, then the second of each: their scores do not compare."""
    return [point for turn in zip_longest(*lists) for point in turn if point is not None]


def _distinct(points: Iterable[Point]) -> Iterator[Point]:
    """Yield each place once, as it came first; 1e-5 degree, a metre, is no other place."""
    seen = set()
    for latitude, longitude in points:
        turned = (round(longitude, SAME_DIGITS) + 180) % 360 - 180
        key = round(latitude, SAME_DIGITS) + 0.0, round(turned, SAME_DIGITS) + 0.0
        if key not in seen and key != (0, 0):
            seen.add(key)
            yield latitude, longitude


def _rows(data: JsonObject, name: str) -> list[JsonObject]:
    """Return the objects of a list that a step keeps; none where it keeps no such list."""
    rows = data.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _point(row: JsonObject) -> Point | None:
    return _pair([row.get("latitude"), row.get("longitude")])


def _pair(row: JsonValue) -> Point | None:
    """Return a latitude and a longitude as a point; None where they are none."""
    if not isinstance(row, list) or len(row) < 2:
        return None
    latitude, longitude = _number(row[0]), _number(row[1])
    inside = abs(latitude) <= 90 and abs(longitude) <= 180
    return (latitude, longitude) if inside else None


def _number(value: JsonValue) -> float:
    """Return a number as such; NaN, which is inside no limit, for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)
