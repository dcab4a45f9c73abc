"""CSV of a case, RFC 4180: its answers, then the candidates of the latest, one row each.

No text begins a formula: spreadsheets would run it. What might gets an apostrophe, as they
themselves write it.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from agent.answer import Answer
from agent.case import Case
from agent.report_format import visible
from index_builder.exports import FORMULA

Cell = str | int | float | bool | None
Row = Mapping[str, Cell]
COLUMNS = (
    "record", "revision", "number", "status", "latitude", "longitude", "km_50", "km_80", "km_95",
    "label", "place", "admin1", "country", "country_name", "kind", "source", "reference", "rank",
    "score", "reason", "evidence", "distance_km", "photo_sha256", "photo_name", "session",
    "disclosure", "caution",
)  # fmt: skip
BEGINNINGS = (*FORMULA, "\n", "＝", "＋", "－", "＠")
"""Full-width ones too: some spreadsheets read them as the plain ones."""


def csv_of(case: Case) -> bytes:
    """Return the answers and candidates of a case, UTF-8."""
    return table(COLUMNS, rows_of(case))


def table(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    """Return rows as CSV; what a row lacks is left empty."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(row.get(column)) for column in columns])
    return written.getvalue().encode()


def cell(value: Cell) -> Cell:
    """Return what a spreadsheet shows as it is; controls are spelled out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    risky = value.startswith(BEGINNINGS) or value.lstrip().startswith(BEGINNINGS)
    return ("'" if risky else "") + visible(value)


def rows_of(case: Case) -> Iterator[Row]:
    """Yield the answers, first to latest, then what the latest knows beside its coordinate."""
    shared: Row = {"session": case.session, "disclosure": case.disclosure}
    for one in case.revisions:
        yield {**_answer(one.answer), **shared}
    answer = case.answer
    for row in _others(answer):
        yield {"revision": answer.revision, "photo_sha256": answer.photo_id, **shared, **row}


def _answer(answer: Answer) -> Row:
    radii = answer.radii.model_dump() if answer.radii else {}
    return {
        "record": "answer", "revision": answer.revision, "status": answer.status,
        "latitude": answer.latitude, "longitude": answer.longitude, **radii,
        "place": answer.place, "admin1": answer.admin1, "country": answer.country,
        "country_name": answer.country_name, "source": answer.driver,
        "reason": answer.explanation, "photo_sha256": answer.photo_id,
        "photo_name": answer.photo_name, "caution": answer.caution,
    }  # fmt: skip


def _others(answer: Answer) -> Iterator[Row]:
    away = _distances(answer)
    for number, verdict in enumerate(answer.verdicts, start=1):
        item = verdict.candidate
        yield {
            "record": "candidate", "number": number, "label": item.label,
            "status": "kept" if verdict.kept else "dropped",
            "latitude": item.latitude, "longitude": item.longitude, "km_50": item.radius_km,
            "country": item.country, "kind": item.kind, "source": item.source,
            "reference": item.reference, "rank": item.rank, "score": item.score,
            "reason": verdict.reason, "evidence": verdict.evidence_id,
            "distance_km": away[number - 1] if away else None,
        }  # fmt: skip
    for number, place in enumerate(answer.alternatives, start=1):
        yield {
            "record": "alternative", "number": number, "latitude": place.latitude,
            "longitude": place.longitude, "label": place.label, "score": place.share,
        }  # fmt: skip
    if answer.claimed_latitude is not None:
        yield {
            "record": "claimed_position", "latitude": answer.claimed_latitude,
            "longitude": answer.claimed_longitude, "source": "metadata of the file",
            "status": "used" if answer.trusted_metadata else "not used",
        }  # fmt: skip


def _distances(answer: Answer) -> list[float]:
    """Return how far each candidate lies from the answer in km, WGS84; empty without an answer."""
    from geo.sphere import distance_km

    if answer.latitude is None or answer.longitude is None or not answer.verdicts:
        return []
    latitudes = [verdict.candidate.latitude for verdict in answer.verdicts]
    longitudes = [verdict.candidate.longitude for verdict in answer.verdicts]
    found = distance_km(answer.latitude, answer.longitude, latitudes, longitudes)
    return [round(float(km), 3) for km in found]
