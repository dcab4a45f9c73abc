"""Clues by wording: legal forms, road signs, public bodies, spellings, names of countries.

Knows the tables and how to find their words in a line; not how clues are weighed together.
"""

import functools
import re
from collections.abc import Iterator, Mapping

from pydantic import Field

from tools.clues_prior import countries, load_table
from tools.evidence import Record, Share

COUNTRY_NAME_FLOOR = 0.4
"""Signs name other countries nearly as readily as their own."""
SHORTEST_NAME = 5
NAME_LOCALES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "da", "sv", "nb", "fi", "pl", "cs", "sk", "hu", "ro",
    "hr", "sl", "tr", "el", "ru", "uk", "bg", "sr", "ar", "he", "th", "vi", "id", "ja", "ko", "zh",
)  # fmt: skip


class Clue(Record):
    """One thing read that speaks for some countries."""

    text: str = Field(max_length=300)
    """The string, as data."""
    kind: str
    """`legal form`, `calling code`, `postal code` and so on; one kind is dependent evidence."""
    why: str
    """What was recognised, for people."""
    countries: dict[str, Share]
    """How well each country explains it, 1 the best; countries not named explain it by `floor`."""
    floor: float = Field(gt=0, lt=1)
    """How often it is seen elsewhere, against the countries named."""


def usage_clues(line: str) -> Iterator[Clue]:
    """Yield the words of a line that belong to a country more than to a language."""
    folded = line.casefold()
    for kind, floor, pattern, named in _patterns():
        for word in sorted(set(pattern.findall(folded))):
            codes = named.get(word) or next(
                (
                    codes
                    for key, codes in named.items()
                    if key[-1] == "*" and word.startswith(key[:-1])
                ),
                (),
            )
            shares = dict.fromkeys(codes, 1.0)
            yield Clue(text=line[:300], kind=kind, why=f"{word!r}", countries=shares, floor=floor)
    yield from _country_names(line)


@functools.cache
def _patterns() -> tuple[tuple[str, float, re.Pattern[str], dict[str, tuple[str, ...]]], ...]:
    made = []
    for kind, table in load_table("usage").items():
        if not isinstance(table, dict):
            continue
        named = {str(word): tuple(codes.split()) for word, codes in table["words"].items()}
        # Longest first, so that 'pvt ltd' is not read as 'ltd'.
        ordered = sorted(named, key=lambda word: (-len(word), word))
        parts = [re.escape(w[:-1]) + r"\w*" if w[-1] == "*" else re.escape(w) for w in ordered]
        pattern = re.compile(r"(?<![\w.])(?:" + "|".join(parts) + r")(?!\w)")
        made.append((kind, float(table["floor"]), pattern, named))
    return tuple(made)


def _country_names(line: str) -> Iterator[Clue]:
    names = _names()
    words = re.findall(r"[^\W\d_]+", line.casefold())
    for length in (1, 2, 3):
        for start in range(len(words) - length + 1):
            name = " ".join(words[start : start + length])
            if code := names.get(name):
                yield Clue(
                    text=line[:300],
                    kind="country name",
                    why=f"{name!r} names {code}",
                    countries={code: 1.0},
                    floor=COUNTRY_NAME_FLOOR,
                )


@functools.cache
def _names() -> Mapping[str, str]:
    """Return countries by name in many languages, those that name only one (Unicode CLDR)."""
    from babel import Locale

    found: dict[str, set[str]] = {}
    for tag in NAME_LOCALES:
        for code, name in Locale.parse(tag).territories.items():
            folded = " ".join(re.findall(r"[^\W\d_]+", str(name).casefold()))
            if code in countries() and (len(folded) >= SHORTEST_NAME or not folded.isascii()):
                found.setdefault(folded, set()).add(str(code))
    return {name: codes.pop() for name, codes in found.items() if len(codes) == 1}
