"""Which writing system a letter belongs to, from its Unicode name."""

import functools
import unicodedata
from collections import Counter

_FIRST_WORDS = {
    "LATIN": "Latin", "CYRILLIC": "Cyrillic", "GREEK": "Greek", "ARABIC": "Arabic",
    "HEBREW": "Hebrew", "THAI": "Thai", "LAO": "Lao", "KHMER": "Khmer", "MYANMAR": "Myanmar",
    "DEVANAGARI": "Devanagari", "BENGALI": "Bengali", "TAMIL": "Tamil", "TELUGU": "Telugu",
    "KANNADA": "Kannada", "MALAYALAM": "Malayalam", "GUJARATI": "Gujarati",
    "GURMUKHI": "Gurmukhi", "SINHALA": "Sinhala", "ORIYA": "Oriya", "GEORGIAN": "Georgian",
    "ARMENIAN": "Armenian", "ETHIOPIC": "Ethiopic", "HANGUL": "Hangul", "HIRAGANA": "Hiragana",
    "KATAKANA": "Katakana", "CJK": "Han", "BOPOMOFO": "Bopomofo", "TIBETAN": "Tibetan",
    "MONGOLIAN": "Mongolian", "THAANA": "Thaana", "FULLWIDTH": "Latin", "FEMININE": "Latin",
    "MASCULINE": "Latin",
}  # fmt: skip


@functools.lru_cache(maxsize=8192)
def script_of(character: str) -> str:
    """Return the script of one letter or vowel sign, `Latin` say; empty for anything else."""
    if unicodedata.category(character)[0] not in "LM":
        return ""
    return _FIRST_WORDS.get(unicodedata.name(character, "").split(" ")[0].split("-")[0], "")


def script_counts(text: str) -> dict[str, int]:
    """Return how many letters of each script `text` has."""
    counts = Counter(script_of(character) for character in text)
    counts.pop("", None)
    return dict(counts)
