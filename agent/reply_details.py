"""What a reply says beside a coordinate: place, country, radius, confidence, clues, reason."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agent.asking import Problem
from agent.guess import Clue, CropBox
from agent.loose_json import Array, Node, Object, Scalar
from agent.reply_positions import PASSED
from agent.reply_tree import Place, key_words, text_of, walk

Keyed = dict[str, Node]
MAXIMUM_CLUES = 20
HALF_ROUND_KM = 20_015.0
"""Half of the Earth's circumference, the farthest that anything can be away."""

_PLACE = ("place", "place name", "location name", "location", "landmark", "name", "site", "venue",
          "poi", "address", "full address", "formatted address")  # fmt: skip
_PARTS = (
    ("street", "road"), ("city", "town", "village", "municipality", "locality"),
    ("state", "province", "region", "county", "prefecture", "state province"),
)  # fmt: skip
_COUNTRY = ("country", "country name", "country code", "nation")
_REASON = ("reason", "reasoning", "rationale", "explanation", "justification", "analysis")
_CONFIDENCE = ("confidence", "confidence score", "confidence level", "certainty", "probability",
               "confidence percent", "confidence percentage")  # fmt: skip
_CLUES = ("clues", "visual clues", "key clues", "evidence", "observations")
_WHAT = ("what", "clue", "description", "text", "name", "label")
_RADIUS = frozenset(("radius", "uncertainty", "accuracy"))
_KILOMETRES = {"km": 1.0, "kilometer": 1.0, "kilometre": 1.0, "m": 0.001, "meter": 0.001,
               "metre": 0.001, "mi": 1.609344, "mile": 1.609344}  # fmt: skip
_UNIT = r"(?P<unit>km|kilomet(?:er|re)s?|met(?:er|re)s?|miles?|mi|m)\b"
_NUMBER = r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d{1,6})?|\d{1,9}(?:[.,]\d{1,6})?)"
_LENGTH = re.compile(
    rf"(?:[~≈±<≤]|about|around|approximately|approx\.?|roughly|within|up to|under|\s){{0,4}}"
    rf"{_NUMBER}\s?(?:{_UNIT})?\.?",
    re.IGNORECASE,
)
_WITHIN = re.compile(
    rf"(?:\bwithin|\bradius(?:\s(?:of|is))?|±|\baccurate to)[\s:*]{{0,3}}"
    rf"(?:(?:about|around|approximately|roughly|a|~|≈)\s?){{0,2}}{_NUMBER}[\s-]?{_UNIT}",
    re.IGNORECASE,
)
_SHARE = re.compile(r"(?P<value>\d{1,3}(?:[.,]\d{1,9})?)\s?(?:(?P<percent>%|percent\b)"
                    r"|(?:/|out of|of)\s?(?P<most>\d{1,3}))?(?:\s?\(.{0,60}\))?")  # fmt: skip
_SURE = re.compile(r"\b(\d{1,3}(?:\.\d{1,3})?)\s?% (?:confident|sure|certain|confidence)")
_BOXES = (
    ("left", "top", "right", "bottom"), ("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"),
)  # fmt: skip


@dataclass(slots=True)
class Details:
    """What could be read; empty or None where nothing is said or its scale is unknown."""

    place: str = ""
    country: str = ""
    radius_km: float | None = None
    confidence: float | None = None
    clues: tuple[Clue, ...] = ()
    reason: str = ""
    problems: list[Problem] = field(default_factory=list)


def read_details(
    roots: Sequence[Object], holder: Object | None, others: Sequence[Object], prose: str
) -> Details:
    """Return what is said of one position.

    Args:
        roots: all objects of the reply.
        holder: the object that holds the position; what stands nearest to it counts.
        others: objects that hold other positions; what they say is of those.
        prose: the reply's text outside its objects.
    """
    nodes = [_keyed(node) for node in _nearest(roots, holder, others)]
    details = Details()
    details.country = text_of(_first(nodes, _COUNTRY), 100)
    details.place = _place(nodes)
    details.reason = text_of(_first(nodes, _REASON), 2000)
    details.radius_km = _radius(nodes, prose, details.problems)
    details.confidence = _confidence(nodes, prose, details.problems)
    details.clues = tuple(_clues(nodes, details.problems))
    return details


def _nearest(
    roots: Sequence[Object], holder: Object | None, others: Sequence[Object]
) -> Iterator[Object]:
    """Yield the position's own object, those around it from the inside, then all that remain."""
    places: list[Place] = list(walk(roots, PASSED))
    own = next((place for place in places if place.node is holder), None)
    first = (own.node, *reversed(own.parents)) if own else ()
    yield from first
    apart = {id(node) for node in (*first, *others)}
    for place in places:
        if id(place.node) not in apart and not any(id(p) in apart - {id(f) for f in first}
                                                   for p in place.parents):  # fmt: skip
            yield place.node


def _keyed(node: Object) -> Keyed:
    """Return the values of an object by the words of their keys; what says nothing is left out."""
    keyed: Keyed = {}
    for key, value in node.pairs[:200]:
        if text_of(value, 50):
            keyed.setdefault(" ".join(key_words(key)), value)
    return keyed


def _first(nodes: Sequence[Keyed], names: Sequence[str]) -> Node | None:
    """Return the first value under one of the keys."""
    return next((node[name] for node in nodes for name in names if name in node), None)


def _place(nodes: Sequence[Keyed]) -> str:
    for node in nodes:
        value = _first([node], _PLACE)
        said = text_of(value, 200) if isinstance(value, Scalar) else ""
        if said and not re.fullmatch(r"[\W\d]*(?:[NSEW][\W\d]*){0,2}", said):
            return said
    parts = (text_of(_first(nodes, names), 100) for names in _PARTS)
    return ", ".join(dict.fromkeys(part for part in parts if part))[:200]


def _radius(nodes: Sequence[Keyed], prose: str, problems: list[Problem]) -> float | None:
    """Return the radius in kilometres, by its own unit or by the one in its key."""
    for node in nodes:
        for key, value in node.items():
            words = key.split()
            said = text_of(value, 60)
            if not _RADIUS & set(words) or not any(letter.isdigit() for letter in said):
                continue
            radius = None if isinstance(value, Scalar) and value.cut else _length(said, words)
            if radius is None:
                problems.append(_dropped("radius", f"{key[:40]} {said!r}"))
            return radius
    match = _WITHIN.search(prose)
    return _kilometres(match) if match else None


def _length(said: str, words: Sequence[str]) -> float | None:
    match = _LENGTH.fullmatch(said)
    if match is None:
        return None
    return _kilometres(match, next((word for word in words if word.rstrip("s") in _KILOMETRES), ""))


def _kilometres(match: re.Match[str], unit: str = "") -> float | None:
    number = match["number"]
    thousands = re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", number)
    value = float(number.replace(",", "") if thousands else number.replace(",", "."))
    stated = (match["unit"] or unit).lower()
    scale = _KILOMETRES.get(stated) or _KILOMETRES.get(stated.rstrip("s"))
    radius = value * scale if scale else 0.0
    return radius if 0 < radius <= HALF_ROUND_KM else None


def _confidence(nodes: Sequence[Keyed], prose: str, problems: list[Problem]) -> float | None:
    """Return a share; of a bare `4` or `high` nobody knows what it is a share of."""
    value = _first(nodes, _CONFIDENCE)
    said = text_of(value, 80)
    if not said:
        match = _SURE.search(prose)
        return _share(float(match[1]) / 100) if match else None
    match = _SHARE.fullmatch(said)
    share = _scaled(match) if match and not (isinstance(value, Scalar) and value.cut) else None
    if share is None:
        problems.append(_dropped("unknown-scale", f"confidence {said!r}"))
    return share


def _scaled(match: re.Match[str]) -> float | None:
    value = float(match["value"].replace(",", "."))
    if match["percent"]:
        return _share(value / 100)
    if match["most"]:
        return _share(value / float(match["most"])) if float(match["most"]) else None
    # 1 may be the least of five or all there is; 1.0 and 0 have one reading.
    return _share(value) if match["value"] != "1" else None


def _share(value: float) -> float | None:
    return value if 0 <= value <= 1 else None


def _clues(nodes: Sequence[Keyed], problems: list[Problem]) -> Iterator[Clue]:
    value = _first(nodes, _CLUES)
    if value is None:
        return
    if isinstance(value, Array):
        items = value.items
    else:
        items = [inner for _, inner in value.pairs] if isinstance(value, Object) else [value]
    for item in items[:MAXIMUM_CLUES]:
        named = _first([_keyed(item)], _WHAT) if isinstance(item, Object) else item
        if said := text_of(named, 300):
            yield Clue(what=said, box=_box(item, problems) if isinstance(item, Object) else None)


def _box(clue: Object, problems: list[Problem]) -> CropBox | None:
    """Return a clue's box if it is one in shares of the photo: pixels are of an unknown size."""
    for key, node in clue.pairs:
        if not set(key_words(key)) & {"box", "bbox", "crop"} or not text_of(node, 50):
            continue
        sides = _sides(node)
        if len(sides) == 4 and 0 <= sides[0] < sides[2] <= 1 and 0 <= sides[1] < sides[3] <= 1:
            left, top, right, bottom = sides
            return CropBox(left=left, top=top, right=right, bottom=bottom)
        problems.append(_dropped("bad-box", f"box {text_of(node, 80)!r}"))
    return None


def _sides(node: Node) -> list[float]:
    """Return left, top, right, bottom; fewer where one is missing or no number."""
    if isinstance(node, Array):
        items: Sequence[Node | None] = node.items
    else:
        named = {k.strip().lower(): v for k, v in node.pairs} if isinstance(node, Object) else {}
        items = next(
            ([named[n] for n in names] for names in _BOXES if set(names) <= set(named)), []
        )
    texts = [item.text for item in items if isinstance(item, Scalar) and not item.cut]
    numbers = [float(text) for text in texts if re.fullmatch(r"-?\d{1,5}(?:\.\d{1,20})?", text)]
    return [number for number in numbers if math.isfinite(number)]


def _dropped(kind: str, what: str) -> Problem:
    return Problem(kind=kind, detail=what[:200], action="rejected")
