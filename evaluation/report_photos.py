"""Photos one by one: the worst answers, and those without any."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from agent.report_pictures import data_uri
from evaluation.report_run import ShownRun
from evaluation.runs import RunRow
from geo.errors import GeolocationError
from geo.sphere import FloatArray

WORST, REASONS, EXAMPLES = 20, 20, 3
THUMBNAIL_PX, THUMBNAIL_BYTES = 220, 14_000
ENDINGS = ("", ".jpg", ".jpeg", ".png", ".webp", ".heic", ".tif")


@dataclass(frozen=True)
class WorstCase:
    """One of the photos whose answers are farthest off.

    Attributes:
        picture: `data:` URI, empty where the photo is out of reach.
        trace: where its trace is, as the run's folder calls it.
        link: to the trace from the page, empty where it is not beside the page.
        held: smallest of 50, 80, 95 whose radius holds the truth; 0 where none does, None where
            there are no radii.
    """

    image_id: str
    truth: FloatArray
    answer: FloatArray
    error_km: float
    truth_country: str
    answer_place: str
    row: RunRow | None
    held: int | None
    picture: str
    trace: str
    link: str


@dataclass(frozen=True)
class Failure:
    """Photos without an answer for one reason."""

    reason: str
    photos: int
    examples: tuple[str, ...]


def worst_indices(shown: ShownRun) -> list[int]:
    """Return the places of the worst answers, worst first; ties in the order of ids."""
    answered = np.flatnonzero(np.isfinite(shown.errors))
    ranked = sorted(answered.tolist(), key=lambda i: (-shown.errors[i], shown.truths.ids[i]))
    return ranked[:WORST]


def worst_cases(shown: ShownRun, photos: Path | None, page: Path | None) -> tuple[WorstCase, ...]:
    """Return the worst answers.

    Args:
        shown: the run.
        photos: folder of the dataset's photos, for thumbnails.
        page: where the page is written; traces beside it are linked.
    """
    from geo.regions import country_at, country_name

    places = worst_indices(shown)
    if not places:
        return ()
    truths, answers = shown.truths.points[places], shown.paired.points[places]
    names = [country_name(code) or code for code in country_at(np.concatenate((truths, answers)))]
    cases = []
    for number, place in enumerate(places):
        image_id = shown.truths.ids[place]
        row = shown.rows.get(image_id)
        cases.append(
            WorstCase(
                image_id=image_id,
                truth=truths[number],
                answer=answers[number],
                error_km=float(shown.errors[place]),
                truth_country=names[number] or "at sea",
                answer_place=_place(row, names[len(places) + number]),
                row=row,
                held=_held(row, float(shown.errors[place])),
                picture=thumbnail(photos, image_id) if photos else "",
                trace=row.trace_path if row else "",
                link=_link(shown.folder, row, page),
            )
        )
    return tuple(cases)


def _place(row: RunRow | None, country: str) -> str:
    names = (row.place, row.admin1) if row else ()
    return ", ".join(dict.fromkeys(filter(None, (*names, country)))) or "at sea"


def _held(row: RunRow | None, error_km: float) -> int | None:
    if row is None or row.radii is None:
        return None
    radii = ((50, row.radii.km_50), (80, row.radii.km_80), (95, row.radii.km_95))
    return next((share for share, km in radii if error_km <= km), 0)


def _link(folder: Path | None, row: RunRow | None, page: Path | None) -> str:
    """Return the way from the page to a trace, if both lie under the page's folder."""
    if folder is None or page is None or row is None or not row.trace_path:
        return ""
    beside, inside = page.parent.resolve(), folder.resolve()
    trace = (inside / row.trace_path).resolve()
    if not (trace.is_relative_to(inside) and trace.is_relative_to(beside) and trace.is_file()):
        return ""
    return "./" + quote(os.fsencode(trace.relative_to(beside)))


def thumbnail(folder: Path, image_id: str) -> str:
    """Return a photo of the folder as a small `data:` URI; empty where it cannot be shown.

    An id is foreign text: nothing outside the folder is opened, whatever it says.
    """
    from encoders.pixels import open_photo

    inside = folder.resolve()
    for ending in ENDINGS:
        try:
            path = (inside / f"{image_id}{ending}").resolve()
            if path.is_relative_to(inside) and path.is_file():
                return data_uri(open_photo(path).image, THUMBNAIL_PX, THUMBNAIL_BYTES)
        except (GeolocationError, OSError, ValueError):
            continue
    return ""


def failures(shown: ShownRun) -> tuple[Failure, ...]:
    """Return why photos have no answer, the most frequent reason first, with some of them."""
    examples: dict[str, list[str]] = {}
    known = shown.predictions.unanswered
    for image_id, error in zip(shown.truths.ids, shown.errors.tolist(), strict=True):
        if error != error:  # NaN: no answer
            why = known[image_id].reason if image_id in known else "no prediction"
            examples.setdefault(why, []).append(image_id)
    return tuple(
        Failure(reason, count, tuple(examples.get(reason, ())[:EXAMPLES]))
        for reason, count in shown.paired.reasons.items()
    )


def unreached(cases: Sequence[WorstCase]) -> int:
    """Return how many of the worst cases have no picture."""
    return sum(not case.picture for case in cases)
