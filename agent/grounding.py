"""Numbers in a model's own words: each is in a tool result, or it is not said.

A number is grounded where a source holds it: exactly; with other separators (1,234 and 1234, 48,86
and 48.86); or rounded, to fewer decimals or, of at least two digits, to tens, hundreds and so on
(1,234 as 1,200, but no year as another). A share may be said in percent. A minus sign must be in
the source too, or a letter S or W behind its number. Words and units are not converted.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

UNGROUNDED = "[number in no tool result]"
_IDS = re.compile(
    r"\b(?:call|chatcmpl|toolu)[-_][\w-]+"  # of tool calls, as providers write them
    r"|\b(?=[0-9a-f]{0,63}[a-f])(?=[0-9a-f]{0,63}\d)[0-9a-f]{8,64}\b"  # evidence, calls, photos
)
_NUMBER = re.compile(
    r"(?:(?<![\w).])[-−])?"  # a sign, not the dash of a range
    r"(?:"
    # Groups of three: 1,234,567.8 or 1.234.567,8 or 1'234.
    r"\d{1,3}(?:(?P<sep>[,.'’\u00a0\u2009\u202f])\d{3})(?:(?P=sep)\d{3})*(?!\d)"
    r"(?:(?!(?P=sep))[.,]\d+(?![.,]?\d))?"
    r"|\d+(?:[.,]\d+)?"
    r")(?:[eE][-+]?\d{1,3}(?!\w))?"
)
_LIST = re.compile(r"\[[-+\d.,eE]+\]")
"""JSON without spaces, where [10,120,200] looks like one number of three groups."""
_PLAIN = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_YEAR = re.compile(r"(?:19|20)\d\d")
_SOUTH_OR_WEST = re.compile(r"\s?°?\s?(?:[SW]\b|south\b|west\b)")
_PERCENT = re.compile(r"\s?(?:%|percent\b|per cent\b)")
_GROUPED = re.compile(r"\d{1,3}([,.'’\u00a0\u2009\u202f])\d{3}(?:\1\d{3})*(?!\d)")
_SPACING = str.maketrans(dict.fromkeys("'’\u00a0\u2009\u202f"))
_SLACK = 1e-9
"""Share of a rounding step that binary fractions may be off by."""
_LONGEST = 40
"""Numbers of more letters are no quantity; they are never grounded."""


def numbers_in(text: str) -> list[str]:
    """Return the numbers of a text as they stand there; ids of evidence, calls, photos are none."""
    return [match[0] for match in _numbers(text)]


def ground(text: str, sources: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Replace the numbers that occur in no source by `UNGROUNDED`.

    Args:
        text: a model's words.
        sources: texts of tool results, and their data as JSON.

    Returns:
        The text, and the numbers that were replaced, as they stood there.
    """
    found = list(_numbers(text))
    if not found:
        return text, ()
    held = _Held(sources)
    parts, replaced, at = list[str](), list[str](), 0
    for match in found:
        if not held.holds(match[0], bool(_PERCENT.match(text, match.end()))):
            parts += [text[at : match.start()], UNGROUNDED]
            replaced.append(match[0])
            at = match.end()
    return "".join([*parts, text[at:]]), tuple(replaced)


class _Held:
    """The numbers of all sources, sorted."""

    def __init__(self, sources: Sequence[str]) -> None:
        some: set[float] = set()
        below: set[float] = set()
        for source in sources:
            text = _LIST.sub(lambda match: match[0].replace(",", ", "), _IDS.sub(" ", source))
            for match in _NUMBER.finditer(text):
                values = _values(match[0])
                some |= values
                if match[0][0] in "-−" or _SOUTH_OR_WEST.match(text, match.end()):
                    below |= values
        self._all, self._below = sorted(some), sorted(below)

    def holds(self, token: str, percent: bool) -> bool:
        held = self._below if token[0] in "-−" else self._all
        for reading in _readings(token):
            if reading.among(held) or (percent and reading.scaled(0.01).among(held)):
                return True
        return False


def _numbers(text: str) -> Iterator[re.Match[str]]:
    """Yield the numbers that are not part of an id."""
    ids = [match.span() for match in _IDS.finditer(text)]
    for match in _NUMBER.finditer(text):
        while ids and ids[0][1] <= match.start():
            ids.pop(0)
        if not ids or match.end() <= ids[0][0]:
            yield match


@dataclass(frozen=True)
class _Reading:
    """What a number may mean, without its sign, and which numbers are rounded to it.

    Attributes:
        below: how far under it those may lie.
        above: how far over it.
    """

    value: float
    below: float
    above: float

    def scaled(self, factor: float) -> "_Reading":
        return _Reading(self.value * factor, self.below * factor, self.above * factor)

    def among(self, held: Sequence[float]) -> bool:
        """Whether one of these sorted numbers is this one, or rounds to it."""
        at = bisect_left(held, self.value - self.below * (1 + _SLACK))
        return at < len(held) and held[at] <= self.value + self.above * (1 + _SLACK)


def _values(token: str) -> set[float]:
    """Return what a number may mean, without its sign."""
    plain = token.lstrip("-−")
    if len(plain) <= _LONGEST and _PLAIN.fullmatch(plain) and not _GROUPED.match(plain):
        return {float(plain)}  # most are, and results hold many
    return {reading.value for reading in _readings(token)}


def _readings(token: str) -> Iterator[_Reading]:
    if len(token) > _LONGEST:
        return
    digits = "".join(str(unicodedata.decimal(s)) if s.isdecimal() else s for s in token)
    mantissa, _, exponent = digits.lstrip("-−").lower().partition("e")
    for number in _decimal_forms(mantissa):
        value = float(f"{number}e{exponent or 0}")
        whole, _, decimals = number.partition(".")
        places = -len(decimals) if decimals else _rounded_places(whole)
        half = float(f"0.5e{places + int(exponent or 0)}") if value else 0.0  # not 0 for 0.3
        # Under 100, 1,000 and so on numbers have a digit less: 96 is 96 in two digits, not 100.
        power = not decimals and places > 0 and whole.strip("0") == "1"
        if isfinite(value) and isfinite(half):
            yield _Reading(value, half / 10 if power else half, half)


def _decimal_forms(mantissa: str) -> Iterator[str]:
    """Yield a number's readings with a decimal point and without separators of groups."""
    plain = mantissa.translate(_SPACING)
    grouped = _GROUPED.match(mantissa)
    if grouped:
        whole = re.sub(r"\D", "", grouped[0])
        rest = mantissa[grouped.end() :].replace(",", ".")
        yield whole + rest
    if plain.count(".") + plain.count(",") <= 1:
        yield plain.replace(",", ".")


def _rounded_places(whole: str) -> int:
    """Return how many trailing zeros of a whole number may stem from rounding: two digits stay."""
    if _YEAR.fullmatch(whole):
        return 0
    digits = whole.lstrip("0")
    return max(0, len(digits) - max(2, len(digits.rstrip("0"))))
