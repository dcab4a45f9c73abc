"""Which of the angles in a text were written as one position, and which numbers are no angles.

Two that say what they are, by label or hemisphere, are a pair where little stands between them.
Numbers that say nothing need a precision of their own, or words around them that speak of a
position; beside a unit, a currency or a word such as `version` they are none.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from geo.written_angles import Written, written_angles

NULL_ISLAND = "0, 0 is how a missing position is written"

_SEPARATOR = re.compile(r"[\s*_`'\"]{0,6}[,;/|][\s*_`'\"]{0,6}")
_BETWEEN = re.compile(
    r"[^\w.!?]{0,16}(?:\b(?:and|by|x|und|et|y|about|approximately)\b\W{0,4}){0,2}"
)
_STRONG = re.compile(
    r"(?:coord|koord|координат|坐标|座標|좌표|gps|geotag|wgs ?84|\blat\w{0,6}\W{1,4}lo?ng?"
    r"|@$|\bll=$)[^\d\n]{0,40}\n?[^\d\n]{0,20}$",
    re.IGNORECASE,
)
_WEAK = re.compile(
    r"\b(?:position|location|located|guess|answer|estimate|estimated|point|cent(?:er|re)|centroid"
    r"|boxed|place|near|around|at)\b[^\d\n]{0,40}$",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(?:versions?|v|scores?|ratings?|prices?|costs?|probabilit\w+|confidences?|ratios?|zoom"
    r"|sizes?|resolution|scales?|loss|bbox|box|crop|pixels?|temperatures?|python|weights?)\b"
    r"[^\d.,;\n]{0,30}$",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"[^\W\d_]|\s?[%‰€£¥$]|\s(?:km|k?m²?|cm|mm|ft|mi|miles?|met(?:er|re)s?|kilomet(?:er|re)s?|feet"
    r"|kg|px|pixels?|s|ms|sec|seconds?|min|minutes?|h|hours?|years?|dollars?|euros?|usd|eur|gbp"
    r"|million|billion|percent)\b",
    re.IGNORECASE,
)
_GLUED = re.compile(r"(?:[\w#\\-]|[$€£¥]\s?)\Z")
_RANGE = re.compile(r"\s*(?:-|–|—|~|to|and|or|through|until)\s*", re.IGNORECASE)
MARGIN = re.compile(r"\s?(?:±|\+/-)\s?[\d.]{1,20}")
_POINT = re.compile(r"\bPoint\b.{0,40}$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two angles that were written as one position, not yet checked."""

    first: Written
    second: Written
    refusal: str = ""


def written_pairs(text: str) -> Iterator[Pair]:
    """Yield neighbouring angles that were written as a pair."""
    angles = [angle for angle in written_angles(text) if not _is_margin(text, angle)]
    index = 0
    while index < len(angles):
        run = _run(text, angles, index)
        if _joined(text, angles, index):
            yield _named(text, angles, index)
            index += 2
        elif len(run) > 1:
            yield from _bare(text, run)
            index += len(run)
        else:
            if _half_named(text, angles, index):
                reason = "names only one of latitude and longitude: name both or neither"
                yield Pair(angles[index], angles[index + 1], reason)
                index += 1
            index += 1


def _is_margin(text: str, angle: Written) -> bool:
    return re.search(r"(?:±|\+/-)\s?$", text[max(0, angle.start - 4) : angle.start]) is not None


def _joined(text: str, angles: Sequence[Written], index: int) -> bool:
    """Tell whether the angle at `index` and the next name themselves latitude and longitude."""
    if index + 1 >= len(angles):
        return False
    one, two = angles[index : index + 2]
    if not one.axis or not two.axis or one.axis == two.axis:
        return False
    gap = MARGIN.sub("", text[one.end : two.start])
    if one.label and two.label:
        return len(gap) <= 80 and not any(letter.isdigit() for letter in gap)
    return len(gap) <= 40 and _BETWEEN.fullmatch(gap) is not None


def _half_named(text: str, angles: Sequence[Written], index: int) -> bool:
    if index + 1 >= len(angles) or _joined(text, angles, index + 1):
        return False
    one, two = angles[index : index + 2]
    close = _SEPARATOR.fullmatch(text[one.end : two.start]) is not None
    return close and bool(one.axis) != bool(two.axis) and bool(one.decimals and two.decimals)


def _named(text: str, angles: Sequence[Written], index: int) -> Pair:
    one, two = angles[index : index + 2]
    refusal = ""
    if (index and _ranged(text, angles[index - 1], one)) or (
        index + 2 < len(angles) and _ranged(text, two, angles[index + 2])
    ):
        refusal = "is a range, no position: name one latitude and one longitude"
    elif not (one.label and two.label) and not _shows(text, one, two):
        refusal = "has neither a degree sign nor decimals: it may be an address"
    return Pair(one, two, refusal)


def _ranged(text: str, one: Written, two: Written) -> bool:
    """Tell whether two neighbours are the ends of a range, `40 to 45°N`."""
    between = _RANGE.fullmatch(text[one.end : two.start]) if two.start - one.end < 20 else None
    same = one.axis == two.axis or not (one.axis and two.axis)
    return between is not None and same


def _shows(text: str, one: Written, two: Written) -> bool:
    """Tell whether a pair with hemispheres alone is one of angles: `5 S, 10 W` is an address."""
    if not (one.numbers and two.numbers):
        return False
    angular = one.marked or two.marked or (len(one.numbers) > 1 and len(two.numbers) > 1)
    precise = min(one.decimals, two.decimals) >= 1 and (
        max(one.decimals, two.decimals) >= 2 or bool(one.sign or two.sign)
    )
    near = text[max(0, one.start - 70) : one.start]
    decimals = one.decimals or two.decimals
    return angular or precise or bool(decimals and (_STRONG.search(near) or _WEAK.search(near)))


def _run(text: str, angles: Sequence[Written], index: int) -> list[Written]:
    """Return the numbers without a name, from `index` on, that only separators hold apart."""
    run: list[Written] = []
    for place in range(index, len(angles)):  # a slice would copy the rest for each number
        angle = angles[place]
        if angle.axis or not angle.numbers:
            break
        if run and not _SEPARATOR.fullmatch(text[run[-1].end : angle.start]):
            told = run[-1].order or (run[-1].marked and angle.marked)
            if len(run) > 1 or not told or text[run[-1].end : angle.start].strip():
                break
        run.append(angle)
    return run


def _bare(text: str, run: Sequence[Written]) -> Iterator[Pair]:
    """Yield the pairs of a run of numbers: of two, or of more where the separators say so."""
    if len(run) == 3 and re.match(r"[^\W\d_]|\s(?:k?m|met(?:er|re)s?)\b", text[run[2].end :][:8]):
        run = run[:2]  # @48.85,2.29,15z and 48.85, 2.29, 35 m
    chunks: list[list[Written]] = [[run[0]]]
    for one, two in itertools.pairwise(run):
        gap = text[one.end : two.start]
        if len(run) > 2 and re.search(r"[;|/\n]", gap):
            chunks.append([])
        chunks[-1].append(two)
    if all(len(chunk) == 2 for chunk in chunks):
        for one, two in chunks:
            yield from _judged(text, one, two)
    elif sum(angle.decimals > 2 for angle in run) > 1:
        count = f"is a list of {len(run)} numbers: which are a pair is open"
        yield Pair(run[0], run[-1], count)


def _judged(text: str, one: Written, two: Written) -> Iterator[Pair]:
    """Yield a bare pair if it may be a position, with the reason where it may be another thing."""
    near = text[max(0, one.start - 70) : one.start]
    after = text[two.end : two.end + 12]
    gap = text[one.end : two.start]
    strong = bool(one.order or _STRONG.search(near))
    if _unlike(near, gap, after, one, two) or (_OTHER.search(near) and not one.order):
        return
    degrees = [float(angle.numbers[0].replace(",", ".")) for angle in (one, two)]
    least, most = sorted((one.decimals, two.decimals))
    told = strong and (most >= 1 or bool(one.sign or two.sign) or bool(one.order))
    weak = _WEAK.search(near) is not None and (least >= 2 or (least and most >= 3))
    alone = near.endswith("(") and after.startswith(")") and least >= 2
    minutes = one.marked and two.marked and len(one.numbers) > 1 and len(two.numbers) > 1
    if not any(degrees) and (strong or weak or most or near.strip() in ("", "(", "[")):
        yield Pair(one, two, NULL_ISLAND)
    elif not (told or weak or alone or minutes or (least >= 1 and most >= 3)):
        if strong:
            yield Pair(one, two, "are whole numbers: say which is the latitude")
    elif max(degrees) <= 1 and not one.order:
        yield Pair(one, two, "are both within 1: they may be shares of a picture")
    else:
        yield _ordered(near, gap, after, one, two, strong=strong)


def _unlike(near: str, gap: str, after: str, one: Written, two: Written) -> bool:
    """Tell whether units, currencies or letters beside two numbers say that they are others."""
    times = any(len(angle.numbers) > 1 and not angle.marked for angle in (one, two))
    glued = _GLUED.search(near) or (gap and _GLUED.search(gap[-2:]) is not None)
    return times or bool(glued) or _UNIT.match(after) is not None


def _ordered(near: str, gap: str, after: str, one: Written, two: Written, *, strong: bool) -> Pair:
    """Return a bare pair with the reason for which its order or its decimals are open, if any."""
    commas = ["," in angle.numbers[0] for angle in (one, two)]
    refusal = ""
    if commas[0] != commas[1] and one.decimals and two.decimals:
        refusal = "has a decimal comma and a decimal point: use one of them"
    elif any(commas) and gap.strip() == "," and not gap[-1:].isspace():
        refusal = "can be read in more ways than one: put ; between the numbers"
    elif all(commas) and one.decimals == two.decimals == 3 and not strong:
        refusal = "may be numbers with a thousands separator: use decimal points"
    first = one.order
    if near.rstrip().endswith("[") and after.lstrip().startswith("]") and not first:
        if _POINT.search(near):
            first = "lon"  # a GeoJSON point, RFC 7946
        else:
            refusal = "in square brackets may come longitude first: say which is the latitude"
    other = {"lat": "lon", "lon": "lat", "": ""}[first]
    return Pair(one._replace(label=first), two._replace(label=other), refusal)
