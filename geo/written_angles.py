"""Angles written in running text: where each stands, what it is called, which marks it carries.

This finds them; `geo.angles` reads them and `geo.mentions` makes pairs. Every pattern looks at a
bounded stretch of text, so that the time is linear in the text, whatever the text.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from geo.angles import GLYPHS

_PLAIN = {glyph: plain or " " for glyph, plain in GLYPHS.items()}
_MARKUP = re.compile(r"\^\{?\\circ\}?\$?|&deg;|&nbsp;|\\(?:text|mathrm)\{\s?[NSEW]\s?\}")
BEFORE, AFTER = 70, 24
"""Characters around a number in which its label, its hemisphere or its unit may stand."""
_D = r"\d{1,3}(?:[.,]\d{1,20})?(?![\d]|\.\d)"
_LATITUDE = "latitudine|latitude|latitud|lat|breitengrad|breite|широта|纬度|緯度|위도"
_LONGITUDE = (
    "longitudine|longitude|longitud|long|lon|lng|längengrad|länge|долгота|经度|經度|経度|경도"
)
_LABEL = rf"(?:(?:{_LATITUDE}|{_LONGITUDE})(?![^\W\d_]))"
_WORDS = {
    "N": "northern north nord norte север 北",
    "S": "southern south sud süd sur sul юг 南",
    "E": "eastern east este est ost leste восток 东 東",
    "W": "western west ouest oeste ovest запад 西",
}
_LETTERS = {word: letter for letter, words in _WORDS.items() for word in words.split()}
_HEMISPHERE = rf"(?:[NSEW]|(?i:{'|'.join(_LETTERS)}))(?![^\W\d_])"
# A dash held apart by a space, or a row of dots, leads to a number and is no sign of it.
_FILLER = (
    r"(?:[^\w+,;-]|-(?=[\s*])|\b(?:is|of|at|to be|about|around|approximately|approx|roughly|near"
    r"|circa|ca|estimated|value|degrees?|deg|decimal|wgs ?84)\b){0,16}+"
)
_DEGREE = r"\s?(?:°(?!\s?[CF]\b)|(?i:degrees?|degs?)\b\.?|d(?=\s?\d)|度)"
_MINUTE = r"\s?(?:'(?!')|(?i:minutes?|mins?)\b\.?|m(?=\s?[\dNSEW])|分)"
_SECOND = r"\s?(?:\"|''|(?i:seconds?|secs?)\b\.?|s(?![^\W\d_])|秒)"
_BODY = re.compile(
    rf"(?<![\w.])(?P<none>[+-]?(?:nan|inf(?:inity)?))\b"
    rf"|(?<![\d.])(?P<sign>(?<![\w)°%])[+-])?(?P<d>{_D})"
    rf"(?:(?P<mark>{_DEGREE})(?:\s?(?P<m>{_D}){_MINUTE}(?:\s?(?P<s>{_D}){_SECOND})?)?"
    rf"|:(?P<m2>{_D})(?::(?P<s2>{_D}))?)?",
    re.IGNORECASE,
)
_SPACED = re.compile(rf"(?P<sign>[+-])?(?P<d>{_D})\s(?P<m>\d{{1,2}}(?:\.\d{{1,20}})?)(?![\d.])"
                     rf"(?:\s(?P<s>\d{{1,2}}(?:\.\d{{1,20}})?)(?![\d.]))?")  # fmt: skip
_LED = re.compile(
    rf"(?:(?<![^\W_])(?P<ward>(?i:north|south|east|west))(?i:ern)?\s)?(?<![^\W_])(?P<label>(?i:{_LABEL}))"
    rf"(?:\s?\(\s?°?\s?(?P<inside>{_HEMISPHERE})\s?\))?(?i:{_FILLER})"
    rf"(?:(?P<near>{_HEMISPHERE})[\s:*_]{{0,3}})?$"
)
_ORDER = re.compile(
    rf"(?<![^\W_])(?P<first>{_LABEL})[\W_]{{1,4}}(?:and\s)?(?P<second>{_LABEL})"
    rf"(?P<rest>[^\d]{{0,40}})$",
    re.IGNORECASE,
)
_FRONT = re.compile(
    rf"(?<![^\W_])(?P<h>{_HEMISPHERE}|[北南][纬緯]|[东東西][经經経])[\s:*_]{{0,3}}$"
)
# `33.86 (S)` and `33.86, S` too: a letter that is passed over would be the wrong half of the Earth.
# A lone O is Ost or Oeste: it is kept, for `geo.angles` to refuse.
_BEHIND = re.compile(
    rf"(?:\s{{0,2}}|(?<=°)\s{{0,16}})(?P<h>{_HEMISPHERE})"
    rf"|\s?(?:\(\s?(?P<inside>{_HEMISPHERE})\s?\)|,\s?(?P<after>{_HEMISPHERE})(?=\s?(?:[,;)\n]|\Z)))"
    rf"|(?<=°)\s?(?P<small>[nsewO])(?![^\W_])"
)
_TRAIL = re.compile(rf"\s{{1,2}}(?P<label>{_LABEL})(?![^\w,;|\n]{{0,6}}[+-]?\d)", re.IGNORECASE)


class Written(NamedTuple):
    """One angle in a text, not yet checked."""

    start: int
    end: int
    label: str
    """`lat`, `lon`, or empty."""
    hemisphere: str
    """`N`, `S`, `E`, `W`, or empty."""
    sign: str
    numbers: tuple[str, ...]
    """Degrees, minutes, seconds as they are written; empty where it says `nan` or `inf`."""
    marked: bool
    """It carries a sign of degrees, or it is degrees and minutes apart; 48:51 may be a time."""
    order: str
    """`lat` or `lon`, whichever is said to come first, by `lat, lon` in front of it."""

    @property
    def axis(self) -> str:
        """Return `lat` or `lon` where label or hemisphere says which; the label is preferred."""
        letter = "lat" if self.hemisphere in ("N", "S") else "lon"
        return self.label or (letter if self.hemisphere else "")

    @property
    def decimals(self) -> int:
        """Return how many digits stand behind the point or comma of its degrees."""
        return (
            len(re.split("[.,]", self.numbers[0])[1]) if re.search("[.,]", self.numbers[0]) else 0
        )


def plain(text: str) -> str:
    """Return the text in plain glyphs, each where it was: same length, same places."""
    text = text.translate(_PLAIN)
    text = _MARKUP.sub(lambda match: _padded(match.group()), text)
    return text if text.isascii() else "".join(_ascii_digit(glyph) for glyph in text)


def _padded(markup: str) -> str:
    """Return the sign or letter that a piece of LaTeX or HTML stands for, as long as the piece."""
    if markup[0] == "\\":
        return next(letter for letter in reversed(markup) if letter in "NSEW").rjust(len(markup))
    return (" " if markup == "&nbsp;" else "°").ljust(len(markup))


def _ascii_digit(glyph: str) -> str:
    return str(unicodedata.decimal(glyph)) if glyph.isdecimal() else glyph


def written_angles(text: str) -> Iterator[Written]:
    """Yield all numbers of a `plain` text that could be angles, in order."""
    position = 0
    while match := _BODY.search(text, position):
        found = _written(text, position, match)
        yield found
        position = found.end


def _written(text: str, since: int, match: re.Match[str]) -> Written:
    before = text[max(since, match.start() - BEFORE) : match.start()]
    order = _ORDER.search(before)
    led = None if order else _LED.search(before)
    front = None if order or led else _FRONT.search(before)
    named = (led["near"] or led["inside"] or led["ward"]) if led else front["h"] if front else ""
    spaced = _spaced(text, match, bool(named))
    numbers, end = _numbers(spaced or match), (spaced or match).end()
    hemisphere = _letter(named)
    behind = None if front or (led and hemisphere) else _BEHIND.match(text, end)
    if behind:
        hemisphere, end = _letter(behind[behind.lastgroup or "h"]), behind.end()
    trail = None if led or order else _TRAIL.match(text, end)
    lead = led or front
    return Written(
        start=match.start() - len(before) + lead.start() if lead else match.start(),
        end=trail.end() if trail else end,
        label=_axis(led["label"] if led else trail["label"] if trail else ""),
        hemisphere=hemisphere,
        sign=match["sign"] or "",
        numbers=numbers,
        marked=bool(spaced or match["mark"]),
        order=_axis(order["first"]) if order and _axis(order["first"]) != _axis(order["second"])
        else "",
    )  # fmt: skip


def _spaced(text: str, match: re.Match[str], named: bool) -> re.Match[str] | None:
    """Return `48 51 30.2` as one angle, where a hemisphere says that it is one."""
    if match["none"] or match["mark"] or match["m2"]:
        return None
    spaced = _SPACED.match(text, match.start())
    return spaced if spaced and (named or _BEHIND.match(text, spaced.end())) else None


def _numbers(match: re.Match[str]) -> tuple[str, ...]:
    groups = match.groupdict()
    parts = (groups["d"], groups["m"] or groups.get("m2"), groups["s"] or groups.get("s2"))
    return tuple(part for part in parts if part)


def _letter(word: str | None) -> str:
    if not word:
        return ""
    return _LETTERS.get(word.lower()) or _LETTERS.get(word[0]) or word[0].upper()


def _axis(label: str) -> str:
    if not label:
        return ""
    return "lat" if re.fullmatch(_LATITUDE, label, re.IGNORECASE) else "lon"
