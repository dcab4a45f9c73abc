"""The notation of coordinates in text: decimals, degrees-minutes-seconds, hemispheres, labels.

A text is cut into tokens; tokens into two groups, one for each angle; a group must then be
exactly one angle. Whatever does not fit, or fits twice, is refused.
"""

import math
import re
import unicodedata
from typing import NamedTuple, NoReturn

from geo.errors import InputError

REMEDY = "write it like 48.8584, 2.2945 or 48°51'30\"N 2°17'40\"E, or paste a map link"

GLYPHS = str.maketrans(
    dict.fromkeys("°º˚ᵒ∘⁰◦゜", "°")
    | dict.fromkeys("'′’‘ʹʼ´`‛＇‵ʻˊ", "'")
    | dict.fromkeys('"″”“˝‟ʺ＂〃', '"')
    | dict.fromkeys("-−–‐‑‒﹣－", "-")
    | dict.fromkeys(",،，、", ",")
    | dict.fromkeys(";；؛", ";")
    | dict.fromkeys(":：∶", ":")
    | {"＋": "+", "٫": ".", "．": ".", "·": "."}
    # Invisible marks that copying from a web page leaves behind.
    | dict.fromkeys("\u200b\u200e\u200f\u202a\u202c\u2060\u2066\u2069\ufeff", "")
)
"""What people write for the signs of an angle, in plain signs; invisible marks become nothing."""
_WORDS = (
    ("degree", r"degrees?|degs?|d"),
    ("minute", r"minutes?|mins?|m"),
    ("second", r"seconds?|secs?"),
    ("hemisphere", r"north|south|east|west|[nsew]"),
    ("latitude", r"latitude|lat"),
    ("longitude", r"longitude|long|lon|lng"),
)
_TOKEN = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))"
    r"|(?P<second_sign>\"|'')|(?P<degree_sign>°)|(?P<minute_sign>')"
    r"|(?P<separator>[,;/|\n]+)|(?P<space>\s+)|"
    + "|".join(rf"(?P<{name}>(?:{words})(?![^\W\d_])\.?)" for name, words in _WORDS),
    re.IGNORECASE,
)
# What one angle may look like, one letter a token: sign and hemisphere are checked apart.
_SHAPES = {"n": 1, "nd": 1, "ndn": 2, "ndnm": 2, "ndnmn": 3, "ndnmns": 3}
_BARE_SHAPES = {"nn": 2, "nnn": 3, "nnm": 2, "nnmns": 3, "nnmn": 3}
_LETTER = {"number": "n", "degree": "d", "minute": "m", "second": "s"}
_MAXIMUM = {"latitude": 90.0, "longitude": 360.0}


class Token(NamedTuple):
    """A piece of the text: what it is and how it was written."""

    kind: str
    text: str


class Angle(NamedTuple):
    """One angle in degrees and which of the two it says it is, if it says so."""

    degrees: float
    axis: str
    """`latitude`, `longitude`, or empty where nothing says."""


def parse_pair(text: str) -> tuple[float, float]:
    """Return (latitude, longitude) in degrees as `text` states them; InputError otherwise."""
    plain = _plain(text)
    if re.fullmatch(r"[+-]?\d{1,2},\d{3}\.\d+", plain):
        _refuse(text, "may be one number with a thousands separator: put a space after the comma")
    groups = _groups(_tokens(plain, text), text)
    first, second = (_angle(group, text) for group in groups)
    if (first.axis == "") != (second.axis == ""):
        _refuse(text, "names only one of latitude and longitude: name both or neither")
    if first.axis and first.axis == second.axis:
        _refuse(text, f"gives two values of {first.axis} and none of the other: {REMEDY}")
    if first.axis == "longitude":
        first, second = second, first
    for name, angle in zip(_MAXIMUM, (first, second), strict=True):
        if abs(angle.degrees) > _MAXIMUM[name]:
            limit = f"outside -{_MAXIMUM[name]:g}..{_MAXIMUM[name]:g} degrees"
            _refuse(text, f"states {name} {angle.degrees!r}, {limit}: latitude comes first")
    return first.degrees, second.degrees


def _refuse(text: str, reason: str) -> NoReturn:
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    raise InputError(f"coordinate {shown!r} {reason}")


def _plain(text: str) -> str:
    """Return the text in plain glyphs: ASCII digits, one sign for each unit, decimal points."""
    plain = text.translate(GLYPHS)
    plain = "".join(str(unicodedata.decimal(c, c)) for c in plain).strip()
    plain = re.sub(r"[\"']([A-Za-z]+)[\"'](?=\s*[:=])", r"\1", plain)  # {"lat": 1, "lon": 2}
    if re.fullmatch(r"\(.*\)|\[.*\]|\{.*\}", plain, re.DOTALL):
        plain = plain[1:-1].strip()
    plain = re.sub(r"(?i)\b(lat(?:itude)?|lon(?:g|gitude)?|lng)\s*[:=]", r"\1 ", plain)
    # 48d51m30s and 48:51:30; a lone s means south, so seconds are s only after d and m.
    number = r"(\d+(?:[.,]\d+)?)"
    plain = re.sub(rf"(?i)(\d+)\s*d\s*(\d+)\s*m\s*{number}\s*s", r"""\1°\2'\3" """, plain)
    plain = re.sub(rf"(\d+):(\d+):{number}(?![\d:])", r"""\1°\2'\3" """, plain)
    plain = re.sub(rf"(?<![\d:])(\d+):{number}(?![\d:])", r"""\1°\2' """, plain)
    return _decimal_points(plain)


def _decimal_points(plain: str) -> str:
    """Return the text with decimal commas turned into points, where they can be nothing else."""
    if re.search(r"\d\.\d", plain):
        return plain
    comma = r"(?<![\d,])(\d+),(\d+)(?![\d,])"
    # In front of a unit or a hemisphere (48°51,5'N), or in a pair held apart by another sign.
    plain = re.sub(comma + r"(?=\s*[°'\"NSEWnsew])", r"\1.\2", plain)
    value = r"[^\d,;/|]*\d+(?:,\d+)?[^\d,;/|]*"
    if re.fullmatch(rf"{value}[;/|\n]{value}", plain):
        return re.sub(comma, r"\1.\2", plain)
    both = r"[^\d,;]*\d+,\d+"
    if re.fullmatch(rf"{both}(?:,\s+|\s+){both}[^\d,]*", plain):
        return re.sub(r"(\d),(\d)", r"\1.\2", plain)
    return plain


def _tokens(plain: str, text: str) -> list[Token]:
    if re.search(r"(?i)\d\s*e\s*[+-]?\d", plain) and not re.search(r"(?i)[ns]", plain):
        _refuse(text, f"holds a number in scientific notation: {REMEDY}")
    tokens: list[Token] = []
    position = 0
    while position < len(plain):
        match = _TOKEN.match(plain, position)
        if match is None:
            _refuse(text, f"holds {plain[position : position + 12]!r}: {REMEDY}")
        kind = str(match.lastgroup).removesuffix("_sign")
        glued = bool(tokens) and tokens[-1].kind == "number"
        if kind == "number" and glued:
            _refuse(text, f"has numbers with nothing between them at {match.group()!r}: {REMEDY}")
        tokens.append(Token(kind, match.group()))
        position = match.end()
    return [token for token in tokens if token.kind != "space"]


def _groups(tokens: list[Token], text: str) -> tuple[list[Token], list[Token]]:
    """Return the tokens of the two angles, without the separators around them."""
    kinds = [token.kind for token in tokens]
    named = [i for i, kind in enumerate(kinds) if kind in ("latitude", "longitude")]
    letters = [i for i, kind in enumerate(kinds) if kind == "hemisphere"]
    separators = [i for i, kind in enumerate(kinds) if kind == "separator"]
    inner = [i for i in separators if 0 < i < len(tokens) - 1]
    if len(named) == 2:
        cut = named[1] if named[0] == 0 else named[0] + 1
    elif len(letters) == 2:
        cut = letters[1] if letters[0] == 0 else letters[0] + 1
    elif len(inner) == 1:
        cut = inner[0]
    else:
        cut = _cut_without_marks(kinds, text)
    halves = (tokens[:cut], tokens[cut:])
    return (_stripped(halves[0]), _stripped(halves[1]))


def _cut_without_marks(kinds: list[str], text: str) -> int:
    """Return where the second of two numbers starts: 48.8 2.2, or 48°51' 2°17'."""
    numbers = [i for i, kind in enumerate(kinds) if kind == "number"]
    degrees = [i for i, kind in enumerate(kinds) if kind == "degree"]
    if len(degrees) == 2 and kinds[degrees[1] - 1] == "number":
        return degrees[1] - 1
    if len(numbers) == 2 and not degrees:
        return numbers[1]
    if len(numbers) < 2 or len(degrees) == 1:
        _refuse(text, f"is no pair of latitude and longitude: {REMEDY}")
    _refuse(text, f"can be read in more ways than one: {REMEDY}")


def _stripped(group: list[Token]) -> list[Token]:
    start = 1 if group and group[0].kind == "separator" else 0
    stop = -1 if len(group) > start and group[-1].kind == "separator" else None
    return group[start:stop]


def _angle(group: list[Token], text: str) -> Angle:
    """Return the one angle a group of tokens states."""
    letters = [token.text[0].upper() for token in group if token.kind == "hemisphere"]
    labels = [token.kind for token in group if token.kind in _MAXIMUM]
    middle = [token for token in group if token.kind not in ("hemisphere", *_MAXIMUM)]
    shape = "".join(_LETTER.get(token.kind, "?") for token in middle)
    known = _SHAPES | (_BARE_SHAPES if letters else {})
    if shape not in known or len(letters) > 1 or len(labels) > 1 or _out_of_place(group):
        _refuse(text, f"is no pair of latitude and longitude: {REMEDY}")
    numbers = [token.text for token in middle if token.kind == "number"]
    axes = {*labels, *("latitude" if letter in "NS" else "longitude" for letter in letters)}
    if len(axes) > 1:
        _refuse(text, "calls one value latitude and longitude at once: name each once")
    if letters and numbers[0][0] in "+-":
        _refuse(text, f"has both the sign of {numbers[0]} and {letters[0]}: keep one of them")
    degrees = _sexagesimal(numbers, text)
    negative = numbers[0].startswith("-") or letters in (["S"], ["W"])
    return Angle(-degrees if negative else degrees, next(iter(axes), ""))


def _out_of_place(group: list[Token]) -> bool:
    """Tell whether a hemisphere or label stands inside the angle instead of at its ends."""
    inner = [token.kind for token in group[1:-1]]
    if group[0].kind in _MAXIMUM and inner[:1] == ["hemisphere"]:
        inner = inner[1:]
    if group[-1].kind in _MAXIMUM and inner[-1:] == ["hemisphere"]:
        inner = inner[:-1]
    return any(kind in ("hemisphere", *_MAXIMUM) for kind in inner)


def _sexagesimal(numbers: list[str], text: str) -> float:
    """Return the absolute degrees of [degrees, minutes, seconds], each under 60 and whole."""
    for part in numbers[1:]:
        if part[0] in "+-" or float(part) >= 60:
            _refuse(text, f"has {part} minutes or seconds: they go from 0 to under 60")
    for part in numbers[:-1]:
        if "." in part:
            _refuse(text, f"has a fraction in {part} and smaller units after it: keep one of them")
    return math.fsum(abs(float(part)) / 60.0**power for power, part in enumerate(numbers))
