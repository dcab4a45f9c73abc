"""Coordinates in the objects of a reply, whatever their keys and values look like."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.loose_json import Array, Node, Object, Scalar
from agent.reply_tree import Place, key_words, says_nothing, walk
from geo.errors import InputError
from geo.mentions import find_coordinates, parse_angle
from geo.written_pairs import NULL_ISLAND
from tools.evidence import Rejection

LATITUDE = frozenset(
    ("lat", "latitude", "latitud", "latitudine", "breite", "breitengrad", "широта", "纬度", "緯度")
)
LONGITUDE = frozenset(
    (
        "lon",
        "lng",
        "long",
        "longitude",
        "longitud",
        "longitudine",
        "länge",
        "längengrad",
        "долгота",
        "经度",
        "経度",
        "經度",
    )
)
_PAIR = frozenset(
    (
        "coordinates",
        "coordinate",
        "coords",
        "coord",
        "gps",
        "geo",
        "geolocation",
        "geotag",
        "latlon",
        "latlng",
        "latlong",
    )
)
_ANSWER = frozenset(
    ("location", "position", "answer", "guess", "prediction", "estimate", "result", "final")
)
_LISTED = frozenset(("location", "answer", "guess", "prediction", "estimate"))
_FINAL = frozenset(("final", "answer", "best", "conclusion", "chosen", "commit", "committed"))
_ASIDE = frozenset(
    (
        "alternative",
        "alternatives",
        "candidate",
        "candidates",
        "other",
        "others",
        "initial",
        "previous",
        "prior",
        "rejected",
        "reference",
        "references",
        "example",
        "examples",
    )
)
# A range of latitudes, or how sure they are, is no latitude.
_NO_VALUE = frozenset(
    (
        "min",
        "max",
        "minimum",
        "maximum",
        "range",
        "error",
        "uncertainty",
        "std",
        "sigma",
        "ref",
        "reference",
        "precision",
        "confidence",
        "bounds",
        "source",
        "direction",
        "hemisphere",
    )
)
PASSED = frozenset(("clue", "clues", "box", "bbox", "boxes", "crop", "pixels"))
"""What stands below such keys is measured in the picture."""


@dataclass(frozen=True, slots=True)
class Position:
    """One coordinate of a reply and what the reply says of it."""

    latitude: float
    longitude: float
    text: str
    final: bool = False
    aside: bool = False
    holder: Object | None = None

    def near(self, other: "Position") -> bool:
        """Tell whether both are the same but for rounding to about a kilometre."""
        return (
            max(abs(self.latitude - other.latitude), abs(self.longitude - other.longitude)) < 0.01
        )


@dataclass(slots=True)
class Positions:
    """What was read from the objects of a reply.

    Attributes:
        named: some key speaks of a position, if only to say that there is none.
    """

    found: list[Position] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    named: bool = False


def read_positions(roots: Sequence[Object], finals: Sequence[Object]) -> Positions:
    """Return the coordinates of all objects; `finals` are those announced as the answer."""
    positions = Positions()
    halves: dict[str, list[Node]] = {"latitude": [], "longitude": []}
    for place in walk(roots, PASSED):
        words = {word for key in place.path for word in key_words(key)}
        announced = any(node is final for node in (place.node, *place.parents) for final in finals)
        stand = (announced or bool(words & _FINAL), bool(words & _ASIDE))
        _read_object(place, stand, positions, halves)
    if not positions.found and all(len(nodes) == 1 for nodes in halves.values()):
        _join(halves["latitude"][0], halves["longitude"][0], Place(Object(), (), ()),
              (False, False), positions)  # fmt: skip
    else:
        for axis, nodes in halves.items():
            for node in nodes:
                _refuse_half(axis, node, positions)
    return positions


def _read_object(
    place: Place,
    stand: tuple[bool, bool],
    positions: Positions,
    halves: dict[str, list[Node]],
) -> None:
    latitudes: list[Node] = []
    longitudes: list[Node] = []
    for key, node in place.node.pairs:
        words = set(key_words(key))
        of_latitude, of_longitude = bool(words & LATITUDE), bool(words & LONGITUDE)
        if words & (_NO_VALUE | PASSED):
            continue
        if of_latitude != of_longitude:
            (latitudes if of_latitude else longitudes).append(node)
        elif of_latitude or words & (_PAIR | _ANSWER):
            _read_pair(key, node, place, stand, positions)
    positions.named = positions.named or bool(latitudes or longitudes)
    for latitude, longitude in zip(latitudes, longitudes, strict=False):
        _join(latitude, longitude, place, stand, positions)
    both = min(len(latitudes), len(longitudes))
    halves["latitude"] += latitudes[both:]
    halves["longitude"] += longitudes[both:]


def _join(
    latitude: Node, longitude: Node, place: Place, stand: tuple[bool, bool], positions: Positions
) -> None:
    """Add the position that two values state, or the reason why they state none."""
    shown = f"{_shown(latitude)}, {_shown(longitude)}"
    try:
        angles = (_angle(latitude, "latitude"), _angle(longitude, "longitude"))
    except InputError as error:
        positions.rejected.append(Rejection(value=shown, reason=str(error)))
        return
    if angles == (0, 0):
        positions.rejected.append(Rejection(value=shown, reason=NULL_ISLAND))
    elif angles[0] is not None and angles[1] is not None:
        final, aside = stand
        position = Position(angles[0], angles[1], shown, final, aside, place.node)
        positions.found.append(position)
    elif angles != (None, None):
        reason = "only one of latitude and longitude: name both or neither"
        positions.rejected.append(Rejection(value=shown, reason=reason))


def _refuse_half(axis: str, node: Node, positions: Positions) -> None:
    if any(letter.isdigit() for letter in _shown(node)):
        reason = "only one of latitude and longitude: name both or neither"
        positions.rejected.append(Rejection(value=f"{axis} {_shown(node)}", reason=reason))


def _angle(node: Node, axis: str) -> float | None:
    """Return the degrees that a value states, None for none; InputError where it states another."""
    if isinstance(node, Array) and len(node.items) == 1:
        node = node.items[0]
    if isinstance(node, Object):
        node = _sexagesimal(node)
    if not isinstance(node, Scalar):
        raise InputError(f"{axis} is a list, no angle: write it in decimal degrees")
    text = node.text.strip()
    if not any(letter.isdigit() for letter in text):
        if re.fullmatch(r"[+-]?(?:nan|inf(?:inity)?)", text, re.IGNORECASE):
            raise InputError(f"{axis} {text!r} is not a finite number")
        return None
    if node.cut:
        raise InputError(f"{axis} {text[:40]!r} ends the reply: more digits may be missing")
    return parse_angle(text, axis)


def _sexagesimal(node: Object) -> Scalar:
    """Return `{"degrees": 48, "minutes": 51, "direction": "N"}` or `{"value": 48.85}` as text."""
    parts = {
        word: value
        for key, value in node.pairs
        for word in key_words(key)
        if isinstance(value, Scalar) and not says_nothing(value.text)
    }
    for name in ("value", "decimal"):
        if name in parts:
            return parts[name]
    signs = (("degrees", "°"), ("minutes", "'"), ("seconds", '"'), ("direction", ""))
    text = "".join(parts[name].text + sign for name, sign in signs if name in parts)
    return Scalar(text, quoted=True, cut=any(part.cut for part in parts.values()))


def _read_pair(
    key: str, node: Node, place: Place, stand: tuple[bool, bool], positions: Positions
) -> None:
    """Read `[latitude, longitude]` or `"48.85, 2.29"` under a key for both."""
    words = set(key_words(key))
    strong = bool(words & (_PAIR | LATITUDE))
    listed = strong or bool(words & _LISTED)
    if isinstance(node, Array) and listed and all(isinstance(x, Scalar) for x in node.items):
        positions.named = True
        _read_list(key, node, place, stand, positions)
    elif isinstance(node, Scalar):
        positions.named = positions.named or strong
        said = f"coordinates: {node.text}" if strong else node.text
        mentions = find_coordinates(said)
        for rejected in mentions.rejected:
            positions.rejected.append(_rejection(rejected.text, rejected.reason))
        for found in mentions.found:
            if node.cut and not re.search(r"\w", said[found.end :]):
                reason = "ends the reply: more digits may be missing"
                positions.rejected.append(_rejection(found.text, reason))
                continue
            final = stand[0] or bool(set(key_words(key)) & _FINAL)
            positions.found.append(
                Position(found.latitude, found.longitude, found.text, final, stand[1], place.node)
            )


def _read_list(
    key: str, node: Array, place: Place, stand: tuple[bool, bool], positions: Positions
) -> None:
    """Read two values: latitude first, but in a GeoJSON point (RFC 7946) or where the key says."""
    if len(node.items) != 2:
        if any(letter.isdigit() for letter in _shown(node)):
            reason = f"is a list of {len(node.items)} values, no pair"
            positions.rejected.append(_rejection(_shown(node), reason))
        return
    kinds = [v.text for k, v in place.node.pairs if k.lower() == "type" and isinstance(v, Scalar)]
    words = [word for word in key_words(key) if word in LATITUDE | LONGITUDE]
    first, second = node.items
    if kinds == ["Point"] or (words and words[0] in LONGITUDE) or key.lower().startswith("lonlat"):
        first, second = second, first
    before = len(positions.found)
    _join(first, second, place, stand, positions)
    for position in positions.found[before:]:
        if max(abs(position.latitude), abs(position.longitude)) <= 1:
            positions.found.remove(position)
            reason = "are both within 1: they may be shares of a picture"
            positions.rejected.append(_rejection(position.text, reason))


def _shown(node: Node) -> str:
    if isinstance(node, Scalar):
        return node.text[:60]
    items = node.items if isinstance(node, Array) else [value for _, value in node.pairs]
    return ", ".join(item.text[:30] if isinstance(item, Scalar) else "..." for item in items[:6])


def _rejection(value: str, reason: str) -> Rejection:
    return Rejection(value=value[:200], reason=reason)
