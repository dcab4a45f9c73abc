"""Coordinates in running text: what people and models write, found where it stands.

Read are pairs that say what they are, by labels (`lat 48.85, lon 2.29`), hemispheres
(`48°51'30"N 2°17'40"E`), a map link, or the words around them; and bare decimal pairs, latitude
first, of a precision that only coordinates have. Years, prices, sizes, times and shares of a
picture are none. What could be read in two ways is rejected with the reason, never guessed.
"""

import re
from dataclasses import dataclass

from geo.angles import parse_pair
from geo.coordinate import Coordinate
from geo.errors import InputError
from geo.written_angles import Written, plain, written_angles
from geo.written_pairs import MARGIN, NULL_ISLAND, Pair, written_pairs

MAXIMUM_TEXT = 100_000
"""Characters of a text that are read; a text longer than that is said to be."""
MOST_REJECTED = 50

_LINK = re.compile(r"(?:https?://|(?<![^\W_])geo:)[^\s<>\"`|{}]{1,2000}", re.IGNORECASE)
_ABOUT = re.compile(
    r"(?:[\s*_`\"'(:=~≈]|(?:approximately|approx|about|around|roughly|circa|ca|estimated|near)\b\.?)*+",
    re.IGNORECASE,
)
_EXPONENT = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{0,30})?[eE][+-]?[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Mention:
    """One coordinate in a text, degrees WGS84, stated by its characters `start` to `end`."""

    latitude: float
    longitude: float
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class RejectedMention:
    """What was written like a coordinate and is none, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mentions:
    """The coordinates of a text, in the order of the text."""

    found: tuple[Mention, ...] = ()
    rejected: tuple[RejectedMention, ...] = ()


def find_coordinates(text: str) -> Mentions:
    """Return the coordinates that `text` states; never raises.

    Longitudes outside -180..180, latitudes outside -90..90, `nan`, (0, 0), ranges, and pairs
    whose order or decimal sign is open are rejected. `-84.4° W` is read as 84.4 degrees west; a
    minus that contradicts its letter is rejected. Of a text longer than `MAXIMUM_TEXT` the
    beginning is read.
    """
    rejected: list[RejectedMention] = []
    if len(text) > MAXIMUM_TEXT:
        reason = f"text of {len(text):,} characters: the first {MAXIMUM_TEXT:,} were read"
        rejected.append(RejectedMention(f"{text[:40]}...", reason))
        text = text[:MAXIMUM_TEXT]
    found: list[Mention] = []
    masked = _links(text, found, rejected)
    for pair in written_pairs(masked):
        start, end = pair.first.start, pair.second.end
        try:
            latitude, longitude = _read(pair)
        except InputError as error:
            rejected.append(RejectedMention(text[start:end][:200], str(error)))
        else:
            found.append(Mention(latitude, longitude, start, end, text[start:end]))
    found.sort(key=lambda mention: mention.start)
    return Mentions(tuple(found), tuple(rejected[:MOST_REJECTED]))


def parse_angle(text: str, axis: str) -> float:
    """Return the degrees of one angle, `48.8584`, `48°51'30"N`, `48,8584` or `2.29° West`.

    Args:
        text: the angle, at most 100 characters, and nothing else but `about` in front of it.
        axis: `latitude` (-90..90) or `longitude` (-180..180).

    Raises:
        InputError: not one angle, of the other axis, outside its limits or not finite.
    """
    shown = f"{axis} {text[:40]!r}"
    label = {"latitude": "lat", "longitude": "lon"}[axis]
    if _EXPONENT.fullmatch(text):  # JSON may write one
        number = float(text)
    else:
        read = MARGIN.sub("", plain(text[:101]))
        written = list(written_angles(read))
        if len(text) > 100 or len(written) != 1 or not _whole(read, written[0]):
            raise InputError(f"{shown} is not one angle: write it in decimal degrees")
        if written[0].label not in ("", label):
            raise InputError(f"{shown} is called {written[0].label}: name each value once")
        number = _degrees(written[0]._replace(label=label), shown)
    limit = 90 if label == "lat" else 180
    if not abs(number) <= limit:
        swapped = " (are latitude and longitude swapped?)" if abs(number) <= 180 else ""
        raise InputError(f"{shown} is outside -{limit}..{limit} degrees{swapped}")
    return number + 0.0


def _degrees(written: Written, shown: str) -> float:
    """Return the degrees of one labelled angle, beside a neutral one of the other axis."""
    if not written.numbers:
        raise InputError(f"{shown} is not a finite number")
    if len(written.numbers) == 1 and not written.hemisphere:
        return float(written.sign + written.numbers[0].replace(",", "."))
    if written.label == "lat":
        return parse_pair(f"{_canonical(written)}; lon 1")[0]
    return parse_pair(f"lat 1; {_canonical(written)}")[1]


def _whole(text: str, written: Written) -> bool:
    """Tell whether the angle is all that the text states, but for `about` and a note behind it."""
    before, after = text[: written.start], text[written.end :]
    return (
        _ABOUT.fullmatch(before) is not None
        and re.fullmatch(r"[\s.,;)*_`\"'°]*(?:\([^\d()]*\))?[\s.]*", after) is not None
    )


def _links(text: str, found: list[Mention], rejected: list[RejectedMention]) -> str:
    """Read the map links and `geo:` URIs; return the text in plain glyphs without them."""
    masked = list(plain(text))
    for match in _LINK.finditer(text):
        link = match.group().rstrip(").,;:!?*]'")
        start, end = match.start(), match.start() + len(link)
        masked[start:end] = " " * len(link)
        try:
            place = Coordinate.parse(link)
        except InputError as error:
            if link[:4].lower() == "geo:" and any(letter.isdigit() for letter in link):
                rejected.append(RejectedMention(link[:200], str(error)))
            continue
        if place == Coordinate(0, 0):
            rejected.append(RejectedMention(link[:200], NULL_ISLAND))
        else:
            found.append(Mention(place.latitude, place.longitude, start, end, link))
    return "".join(masked)


def _read(pair: Pair) -> tuple[float, float]:
    """Return the latitude and longitude in degrees of a pair; InputError with the reason."""
    if pair.refusal:
        raise InputError(pair.refusal)
    angles = (pair.first, pair.second)
    if not all(angle.numbers for angle in angles):
        raise InputError("is not a finite number")
    degrees = [float(angle.numbers[0].replace(",", ".")) for angle in angles]
    if pair.first.axis == "lon":
        degrees.reverse()
    if degrees[0] > 90:
        swapped = " (are latitude and longitude swapped?)" if degrees[1] <= 90 else ""
        raise InputError(f"latitude {degrees[0]:g} is outside -90..90 degrees{swapped}")
    latitude, longitude = parse_pair(f"{_canonical(angles[0])}; {_canonical(angles[1])}")
    if abs(longitude) > 180:
        raise InputError(f"longitude {longitude:g} is outside -180..180 degrees")
    if latitude == longitude == 0:
        raise InputError(NULL_ISLAND)
    return latitude + 0.0, longitude + 0.0


def _canonical(angle: Written) -> str:
    """Return an angle in the notation of `geo.angles`."""
    numbers = [number.replace(",", ".") for number in angle.numbers]
    body = "".join(f"{part}{sign}" for part, sign in zip(numbers, "°'\"", strict=False))
    # A minus beside S or W repeats what the letter says; beside N or E it contradicts it.
    same = ("-", "S"), ("-", "W"), ("+", "N"), ("+", "E")
    sign = "" if (angle.sign, angle.hemisphere) in same else angle.sign
    return f"{angle.label} {sign}{body}{angle.hemisphere}"
