"""How place names are compared: one folding for every script, and trigrams for misspellings."""

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 16
"""Trigrams are hashed into this many buckets; a collision only lengthens a shortlist."""

_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
    | {"ħ": "h", "ŧ": "t", "ŋ": "n", "ĸ": "k", "ə": "a", "ـ": ""}
)
# Accents of Latin, Greek and Cyrillic, points of Hebrew, harakat of Arabic. Marks of other
# scripts (Thai, Devanagari, Japanese voicing) carry the vowels or consonants and stay.
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")
_APOSTROPHES = re.compile("['’‘ʼʻ`´ʹʿʾ\u200b-\u200f\ufeff]")
_ASCII_SEPARATORS = re.compile(r"[^a-z0-9]+")


def fold(name: str) -> str:
    """Return `name` as it is compared: no case, accents or punctuation, single spaces.

    Unicode compatibility decomposition and case folding (UAX #15, UAX #44), then letters that
    do not decompose (`ø`, `ł`, `ı`, `æ`). `ß` becomes `ss`, `Saint-Denis` `saint denis`,
    `Xi'an` `xian`; the vowel signs of Indic and south-east Asian scripts are kept.
    """
    if name.isascii():
        return _ASCII_SEPARATORS.sub(" ", name.lower().replace("'", "").replace("`", "")).strip()
    # NFKD leaves the dot of the Turkish capital I behind as an accent, which goes with the rest.
    # Some capitals (of mathematics) have a case only once they are decomposed.
    text = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", name)).casefold()
    text = unicodedata.normalize("NFKD", text)
    text = _ACCENTS.sub("", text).translate(_LETTERS)
    return _separated(text)


def _separated(text: str) -> str:
    """Replace whatever is no letter, digit or vowel sign by single spaces."""
    if text.replace(" ", "").isalnum():
        return " ".join(text.split())
    kept = (c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text)
    return " ".join("".join(kept).split())


def spelling_key(name: str) -> str:
    """Return `name` without case and punctuation but with its accents."""
    text = _APOSTROPHES.sub("", name).replace("İ", "i").casefold().replace("ı", "i")
    return _separated(unicodedata.normalize("NFKC", text))


def bears_accents(name: str) -> bool:
    """Say whether folding loses more of `name` than case and punctuation."""
    return not name.isascii() and spelling_key(name) != unicodedata.normalize("NFKC", fold(name))


def errors_allowed(length: int) -> int:
    """Return how many letters of a folded name of `length` letters may be wrong: 0 to 3.

    One slip in four letters still names the place; two in six usually name another one.
    """
    return 0 if length < 4 else 1 if length < 8 else 2 if length < 13 else 3


def trigrams(names: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the distinct trigram buckets of folded names and whose they are.

    Args:
        names: N folded names; each is framed by a start and an end mark first.

    Returns:
        Buckets [T] in ascending order and, for each, the index [T] of the name it occurs in.
    """
    text = "".join(f"\x02{name}\x03" for name in names)
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    owner = np.repeat(np.arange(len(names), dtype=np.int32), [len(name) + 2 for name in names])
    inside = owner[:-2] == owner[2:]
    first, second, third = (
        codes[start : len(codes) - 2 + start] * np.uint32(prime)
        for start, prime in enumerate((961748927, 982451653, 715225739))
    )
    mixed = (first + second + third)[inside]
    bucket = (mixed ^ (mixed >> np.uint32(15))).astype(np.uint16)
    owner = owner[:-2][inside]
    order = np.argsort(bucket, kind="stable")  # radix sort: seconds faster than np.unique
    bucket, owner = bucket[order].astype(np.int32), owner[order]
    fresh = np.ones(len(bucket), dtype=bool)
    fresh[1:] = (np.diff(bucket) != 0) | (np.diff(owner) != 0)
    return bucket[fresh], owner[fresh]
