"""Raw answers of several models to the same photos, read for what they are: hostile text.

Two forms of file:

* `.jsonl`: one object a line with `image_id`, `model` and `raw_response` (the text as the model
  wrote it, null where the request failed; `error` then says why). Other keys are left alone. This
  is what IMAGEO-Bench publishes. The coordinate is read by `agent.replies.read_guess`.
* `.csv`: columns `image_id`, `model`, `latitude`, `longitude` and, if wanted, `confidence`; an
  empty coordinate is an answer without one.

The stated confidence stays on the file's own scale, because a bare `4` has no known one
(`read_guess` drops it): it is the first number after the last key `confidence` of a reply, thinking
left out. Only its order is ever used.
"""

import csv
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.guess import ReadGuess
from agent.replies import read_guess
from encoders.photo_file import printable
from evaluation.runs import Point
from geo.errors import InputError
from tools.evidence import Evidence, Record
from tools.opinion import opinion

COLUMNS = ("image_id", "model", "latitude", "longitude")
REASON_LETTERS = 200
_THOUGHT = re.compile(r"<(think|thinking|thought)>.*?</\1>", re.IGNORECASE | re.DOTALL)
_CONFIDENCE = re.compile(
    r"\bconfidence\b[\"'”*_]{0,3}\s{0,3}[:=]\s{0,3}[\"'“*_]{0,3}(\d{1,3}(?:\.\d{1,6})?)(?![\d.])",
    re.IGNORECASE,
)


class ModelAnswer(Record):
    """What one model says of one photo.

    Attributes:
        point: latitude, longitude in degrees; None where it names none.
        confidence: as stated, on the file's own scale.
        place: name of a place, also where there is no coordinate.
        country: as the model writes it.
        why_none: why there is no coordinate, its kind before the first colon; empty where there
            is one.
    """

    image_id: str
    model: str
    point: Point | None = None
    confidence: float | None = None
    place: str = ""
    country: str = ""
    why_none: str = ""


@dataclass(frozen=True)
class Photo:
    """A photo, what every model says of it, and where it was taken.

    Attributes:
        answers: one for each model, in one order for all photos, missing ones included.
        truth: latitude, longitude in degrees.
        cluster: photos of one number are not independent: one author, or one true coordinate.
    """

    image_id: str
    answers: tuple[ModelAnswer, ...]
    truth: Point
    cluster: int

    @property
    def silent(self) -> bool:
        """Whether no model names any place at all."""
        return not any(one.point or one.place or one.country for one in self.answers)


def evidence_of(answer: ModelAnswer) -> Evidence | None:
    """Return an answer as evidence, one group for each model; None where it has no coordinate.

    Answers of different models are taken as independent here: how far they are not is what a
    fitted fusion has to find out.
    """
    if answer.point is None:
        return None
    latitude, longitude = answer.point
    said = opinion(
        "lmm_answers",
        f"{answer.model} names {latitude:.4f}, {longitude:.4f}"
        f"{' for ' + repr(answer.place[:60]) if answer.place else ''}.",
        latitude,
        longitude,
        label=answer.place,
        source=answer.model,
    )
    return said.model_copy(update={"group": f"model:{answer.model}"})


def read_answers(path: Path) -> list[ModelAnswer]:
    """Return all answers of a file, in its order.

    Raises:
        InputError: it cannot be read, is of another kind, holds nothing, a line breaks its form,
            or one model answers one photo twice.
    """
    readers = {".jsonl": _json_lines, ".csv": _csv_rows}
    if path.suffix.lower() not in readers:
        raise InputError(
            f"{_shown(path)} is no table of answers: give a .jsonl of raw answers or a .csv with "
            f"columns {', '.join(COLUMNS)}"
        )
    answers: dict[tuple[str, str], ModelAnswer] = {}
    for number, answer in readers[path.suffix.lower()](_text(path), path):
        key = answer.image_id, answer.model
        if key in answers:
            raise InputError(
                f"line {number} of {_shown(path)} is the second answer of model "
                f"{_quoted(answer.model)} to photo {_quoted(answer.image_id)}: keep one of them"
            )
        answers[key] = answer
    if not answers:
        raise InputError(f"{_shown(path)} holds no answer: give at least one")
    return list(answers.values())


def read_raw(image_id: str, model: str, text: str | None, error: str = "") -> ModelAnswer:
    """Return what a raw reply says; None as text is a request that failed."""
    if text is None:
        why = f"the request failed: {_line(error) or 'no reason given'}"
        return ModelAnswer(image_id=image_id, model=model, why_none=why[:REASON_LETTERS])
    read = read_guess(text)
    guess = read.guess
    point = None
    if guess and guess.latitude is not None and guess.longitude is not None:
        point = guess.latitude, guess.longitude
    return ModelAnswer(
        image_id=image_id,
        model=model,
        point=point,
        confidence=stated_confidence(text),
        place=guess.place if guess else "",
        country=guess.country if guess else "",
        why_none="" if point else _why(read),
    )


def stated_confidence(text: str) -> float | None:
    """Return the number after the last key `confidence` of a reply; None where there is none."""
    found = _CONFIDENCE.findall(_THOUGHT.sub(" ", text))
    return float(found[-1]) if found else None


def _why(read: ReadGuess) -> str:
    if read.rejected:
        first = read.rejected[0]
        return f"rejected: {_line(first.value)[:60]!r}: {_line(first.reason)}"[:REASON_LETTERS]
    if read.guess:
        return "names a place without a coordinate"
    if any(problem.kind == "refusal" for problem in read.problems):
        return "declines to answer"
    return "names neither a coordinate nor a place"


def _json_lines(text: str, path: Path) -> Iterator[tuple[int, ModelAnswer]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = _object(line, number, path)
        names = [row.get(key) for key in ("image_id", "model")]
        raw, error = row.get("raw_response"), row.get("error")
        if not all(isinstance(name, str) and name.strip() for name in names) or not isinstance(
            raw, str | None
        ):
            raise InputError(
                f"line {number} of {_shown(path)} needs `image_id`, `model` and `raw_response` as "
                "text (null where a request failed)"
            )
        yield number, read_raw(str(names[0]), str(names[1]), raw, str(error or ""))


def _object(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise InputError(
            f"line {number} of {_shown(path)} is no JSON object: write one answer a line"
        )
    return row


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, ModelAnswer]]:
    rows = csv.DictReader(text.splitlines(), strict=True)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise InputError(
            f"{_shown(path)} has no column {', '.join(missing)}: a table of answers needs "
            f"{', '.join(COLUMNS)}"
        )
    try:
        for row in rows:
            yield rows.line_num, _csv_answer(row, f"line {rows.line_num} of {_shown(path)}")
    except csv.Error as error:
        raise InputError(f"line {rows.line_num} of {_shown(path)} is no CSV: {error}") from None


def _csv_answer(row: dict[str, str | None], where: str) -> ModelAnswer:
    image_id, model = ((row[name] or "").strip() for name in COLUMNS[:2])
    if not image_id or not model:
        raise InputError(f"{where} names no image_id or no model: fill in both")
    latitude, longitude = (_number(row[name], name, where) for name in COLUMNS[2:])
    if (latitude is None) != (longitude is None):
        raise InputError(f"{where} has one half of a coordinate: give both or neither")
    point = None
    if latitude is not None and longitude is not None:
        if abs(latitude) > 90 or abs(longitude) > 180:
            raise InputError(
                f"{where} names {latitude!r}, {longitude!r}: latitudes are within -90..90, "
                "longitudes within -180..180 degrees"
            )
        point = latitude, longitude
    return ModelAnswer(
        image_id=image_id,
        model=model,
        point=point,
        confidence=_number(row.get("confidence"), "confidence", where),
        why_none="" if point else "no coordinate in the table",
    )


def _number(text: str | None, name: str, where: str) -> float | None:
    if not (text or "").strip():
        return None
    try:
        value = float(str(text))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {name} {_quoted(str(text))} is no finite number")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{_shown(path)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{_shown(path)} is not UTF-8 text: save it as UTF-8") from None


def _line(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> str:
    return repr(text[:80])


def _shown(path: Path) -> str:
    return repr(printable(str(path).encode(errors="surrogateescape"), 200))


def models_of(answers: Sequence[ModelAnswer]) -> tuple[str, ...]:
    """Return the names of the models, sorted."""
    return tuple(sorted({answer.model for answer in answers}))
