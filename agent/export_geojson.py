"""GeoJSON of a case, RFC 7946: the answer, its circles, every candidate, what was claimed, drawn.

Each feature says by its property `role` what it is. A claimed position is a feature of its own and
never the answer.
"""

import json
from collections.abc import Iterator

from pydantic import JsonValue

from agent.answer import Answer
from agent.case import Case
from agent.export_shapes import DIGITS, Ring, circles_of, drawn_area, drawn_inside, polygons_of
from agent.report_page import headline_of

Feature = dict[str, JsonValue]


def geojson_of(case: Case) -> bytes:
    """Return the latest answer of a case as a FeatureCollection, UTF-8."""
    answer = case.answer
    collection: Feature = {
        "type": "FeatureCollection",
        "caution": answer.caution,
        "disclosure": case.disclosure,
        "features": list(features_of(case)),
    }
    return as_json(collection)


def as_json(value: JsonValue) -> bytes:
    """Return JSON as people read it; halves of characters, which UTF-8 has not, are escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, indent=1).encode() + b"\n"


def features_of(case: Case) -> Iterator[Feature]:
    """Yield the features, the answer first."""
    answer = case.answer
    yield _answer(case, answer)
    for percent, km, polygons in circles_of(answer):
        yield _feature(_area(polygons), role="circle", belief_percent=percent, radius_km=km)
    for number, verdict in enumerate(answer.verdicts, start=1):
        item = verdict.candidate
        yield _feature(
            _point(item.latitude, item.longitude), role="candidate", number=number,
            kept=verdict.kept, reason=verdict.reason, label=item.label, kind=item.kind,
            source=item.source, reference=item.reference, country=item.country, rank=item.rank,
            score=item.score, radius_km=item.radius_km, evidence=verdict.evidence_id,
        )  # fmt: skip
    for place in answer.alternatives:
        point = _point(place.latitude, place.longitude)
        yield _feature(point, role="alternative", label=place.label, belief=place.share)
    if answer.claimed_latitude is not None and answer.claimed_longitude is not None:
        point = _point(answer.claimed_latitude, answer.claimed_longitude)
        note = "claimed by the file's metadata, not inferred"
        yield _feature(point, role="claimed_position", used=answer.trusted_metadata, note=note)
    yield from _drawn(case)


def _answer(case: Case, answer: Answer) -> Feature:
    known = answer.latitude is not None and answer.longitude is not None
    point = _point(answer.latitude or 0.0, answer.longitude or 0.0) if known else None
    return _feature(
        point, role="answer", status=answer.status, headline=headline_of(answer),
        country=answer.country, country_name=answer.country_name, admin1=answer.admin1,
        place=answer.place, countries=dict(answer.countries),
        radii_km=answer.radii.model_dump() if answer.radii else None,
        revision=answer.revision, session=case.session, photo_sha256=answer.photo_id,
        photo_name=answer.photo_name, recipe=answer.recipe, driver=answer.driver,
        explanation=answer.explanation, trace_head=case.head, caution=answer.caution,
    )  # fmt: skip


def _drawn(case: Case) -> Iterator[Feature]:
    for one in case.revisions:
        for said in one.said:
            area = drawn_area(said.region) if said.region else None
            if area is not None and said.region:
                yield _feature(
                    _area(polygons_of(area)), role="drawn_region",
                    inside=drawn_inside(said.region), revision=one.answer.revision,
                )  # fmt: skip


def _feature(geometry: JsonValue, **properties: JsonValue) -> Feature:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _point(latitude: float, longitude: float) -> JsonValue:
    return {"type": "Point", "coordinates": [round(longitude, DIGITS), round(latitude, DIGITS)]}


def _area(polygons: list[list[Ring]]) -> JsonValue:
    found: list[JsonValue] = [[list(map(list, ring)) for ring in rings] for rings in polygons]
    if len(found) == 1:
        return {"type": "Polygon", "coordinates": found[0]}
    return {"type": "MultiPolygon", "coordinates": found}
