"""Raw answers of chat models: is every coordinate read, and none invented?

Beside `agent.replies` reads a second, independent reading: strict JSON after fences and text
around the braces are taken away, else plain patterns for decimals after `lat`, `lon` or
`coordinates`. It shares no code with ours. `python -m evaluation.bench_replies FILE` prints each
answer on which the two disagree, for a person to judge.
"""

import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.guess import ReadGuess
from agent.replies import read_guess
from evaluation.bench import Measurement

ANSWERS = "predictions/lmm_answers.jsonl"
"""One JSON object a line: `model`, `raw_response` (text, or null where the request failed)."""
Pair = tuple[float, float]
_DECIMAL = r"(-?\d{1,3}(?:\.\d+)?)"
_LABELLED = re.compile(
    rf"lat(?:itude)?[^\d\n-]{{0,25}}{_DECIMAL}.{{0,60}}?lon(?:gitude)?[^\d\n-]{{0,25}}{_DECIMAL}",
    re.IGNORECASE | re.DOTALL,
)
_LISTED = re.compile(rf"coordinates[^\d\n-]{{0,20}}{_DECIMAL}\s*,\s*{_DECIMAL}", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Judged:
    """One answer and both readings of it."""

    model: str
    text: str
    ours: ReadGuess
    other: Pair | None
    seconds: float

    @property
    def read(self) -> Pair | None:
        """Return our coordinate in degrees, latitude first."""
        guess = self.ours.guess
        if guess is None or guess.latitude is None or guess.longitude is None:
            return None
        return guess.latitude, guess.longitude

    @property
    def differs(self) -> bool:
        """Tell whether the two readings are not the same to the last digit."""
        return self.read != self.other


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield what both readings make of the answers below `data`, if there are any."""
    if data is None or not (data / ANSWERS).is_file():
        return
    yield from figures(judge(data / ANSWERS))


def judge(path: Path) -> list[Judged]:
    """Read all answers of a file, once by each reading; requests that failed are left out."""
    judged = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["raw_response"] is None:
            continue
        started = time.perf_counter()
        ours = read_guess(row["raw_response"])
        seconds = time.perf_counter() - started
        other = independent(row["raw_response"])
        judged.append(Judged(row["model"], row["raw_response"], ours, other, seconds))
    return judged


def figures(answers: Sequence[Judged]) -> Iterator[Measurement]:
    """Yield the counts; an answer that the other reading has and ours has not is a miss."""
    either = [answer for answer in answers if answer.read or answer.other]
    missed = [answer for answer in either if answer.read is None]
    moved = [answer for answer in either if answer.read and answer.other and answer.differs]
    more = [answer for answer in either if answer.read and answer.other is None]
    invented = [answer for answer in answers if not literal(answer)]
    yield Measurement("raw answers", len(answers), "")
    yield Measurement(
        "answers with a coordinate", len(either) - len(missed), f"of {len(either)} read",
        f"other reading {sum(answer.other is not None for answer in either)}",
        "every one that the other reads", not missed,
    )  # fmt: skip
    yield Measurement("coordinates that only ours reads", len(more), "answers")
    yield Measurement(
        "coordinates that the two read differently", len(moved), "answers", "", "0", not moved
    )
    yield Measurement(
        "coordinates whose digits the answer does not hold", len(invented), "", "", "0",
        not invented,
    )  # fmt: skip
    cut = [text for answer in answers for text in cuts_misread(answer)]
    yield Measurement(
        "answers cut short and read as another coordinate", len(cut), "", "", "0", not cut
    )
    refused = [answer for answer in answers if answer.ours.rejected]
    yield Measurement("answers with a rejected coordinate, such as 0, 0", len(refused), "")
    milliseconds = sorted(1000 * answer.seconds for answer in answers)
    if milliseconds:
        yield Measurement("reading per answer, median", milliseconds[len(answers) // 2], "ms")


def literal(answer: Judged) -> bool:
    """Tell whether each number of our coordinate stands in the answer, degrees of it at least.

    Degrees, minutes and seconds are summed, so of these the whole degrees are looked for.
    """
    written = {float(number) for number in _NUMBER.findall(answer.text)}
    sexagesimal = bool(re.search(r"\d\s?[°:]\s?\d", answer.text))
    numbers = [abs(number) for number in answer.read or ()]
    return all(n in written or (sexagesimal and float(int(n)) in written) for n in numbers)


def cuts_misread(answer: Judged) -> Iterator[str]:
    """Yield the beginnings of an answer that are read as a coordinate which it does not state."""
    for missing in range(1, 46, 4):
        text = answer.text[:-missing]
        guess = read_guess(text, finish="length").guess
        if (
            guess
            and guess.latitude is not None
            and answer.read != (guess.latitude, guess.longitude)
        ):
            yield text


def independent(text: str) -> Pair | None:
    """Return the coordinate that plain means find in an answer."""
    body = re.sub(r"```\w*", "", text)
    start, end = body.find("{"), body.rfind("}")
    try:
        pair = _in_json(json.loads(body[start : end + 1]))
    except ValueError:
        match = _LABELLED.search(body) or _LISTED.search(body)
        pair = (float(match[1]), float(match[2])) if match else None
    possible = pair and abs(pair[0]) <= 90 and abs(pair[1]) <= 180 and pair != (0, 0)
    return pair if possible else None


def _in_json(value: object) -> Pair | None:
    """Return the first latitude and longitude of one object that hold a number each."""
    if not isinstance(value, dict):
        return None
    stated = re.findall(r"-?\d+(?:\.\d+)?", f"{value.get('latitude')} {value.get('longitude')}")
    if len(stated) == 2:
        return float(stated[0]), float(stated[1])
    listed = re.findall(r"-?\d+(?:\.\d+)?", str(value.get("coordinates")))
    if isinstance(value.get("coordinates"), str) and len(listed) == 2:
        return float(listed[0]), float(listed[1])
    return next((pair for inner in value.values() if (pair := _in_json(inner))), None)


def main(arguments: Sequence[str]) -> int:
    """Print each answer that the two read differently, with both readings; 1 if there is any."""
    differing = [answer for answer in judge(Path(arguments[0])) if answer.differs]
    for answer in differing:
        print(f"--- {answer.model}: ours {answer.read}, other {answer.other}")
        print(answer.text.encode("unicode_escape").decode()[-1500:])
    print(f"{len(differing)} disagreements")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
