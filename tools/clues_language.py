"""What language a line is in, as a likelihood over languages; and so over countries.

lingua gives the likelihood of the letters, tables of everyday words that of the words, and the
writing system decides where lingua does not know a language. Each line is told apart on its
own: a sign in Danish above one in English speaks of a country that shows both.
"""

import functools
import itertools
import re
import threading
import time
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tools.clues_prior import Floats, load_table, second_languages, sign_languages
from tools.scripts import script_counts

if TYPE_CHECKING:
    from lingua import LanguageDetector

LETTER_POWER = 0.7
"""Neighbouring n-grams repeat each other: lingua's likelihood counts with this power."""
WORD_FACTOR = 10.0
"""How much rarer an everyday word is in a language whose table does not list it."""
MOST_WORDS = 5
"""Words beyond these say little that is new."""
MARK_FACTOR = 3.0
"""How much rarer a special letter is in a language that does not write it; readers confuse
accents, so it is far from impossible."""
WRONG_SHARE = 0.03
"""A line is a name, a slang word or misread this often whatever it seems to be."""
MIN_LETTERS = 3
SHORTEST_COMPOUND, LONGEST_WORD, LONG_PART = 6, 14, 4
"""Letters of the shortest word taken apart, of its longest part, and of one part at least."""
MAIN_SHARE = 0.7
"""A line of a sign in two languages is in the main one this often."""
SECOND_SHARE = 0.4
"""How often the signs of a photo show a second language."""

SCRIPT_LANGUAGES = {
    "Khmer": "km", "Lao": "lo", "Myanmar": "my", "Sinhala": "si", "Malayalam": "ml",
    "Kannada": "kn", "Ethiopic": "am", "Oriya": "or", "Tibetan": "dz", "Thaana": "dv",
    "Hangul": "ko", "Hiragana": "ja", "Katakana": "ja", "Thai": "th", "Hebrew": "he",
    "Georgian": "ka", "Armenian": "hy", "Tamil": "ta", "Telugu": "te", "Gujarati": "gu",
    "Gurmukhi": "pa", "Bengali": "bn", "Greek": "el", "Bopomofo": "zh",
}  # fmt: skip
"""Scripts that name their language. Hiragana or Katakana beside Han is Japanese too."""

EXTRA_LANGUAGES = ("mt", "km", "lo", "my", "si", "ml", "kn", "am", "or", "dz", "dv", "ne")
"""Languages told by words or script only: lingua does not know them."""

MARKS = {
    "ß": "de", "ő": "hu", "ű": "hu", "ř": "cs", "ů": "cs", "ě": "cs", "ĺ": "sk", "ŕ": "sk",
    "ľ": "sk", "ł": "pl", "ż": "pl", "ź": "pl hr", "ą": "pl lt", "ę": "pl lt", "ñ": "es eu tl",
    "¿": "es", "¡": "es", "å": "da nb nn sv fi", "ø": "da nb nn", "æ": "da nb nn is",
    "ä": "de sv fi et sk", "ö": "de sv fi et hu tr is az", "ü": "de et hu tr az es ca",
    "ð": "is", "þ": "is", "ı": "tr az", "ğ": "tr az", "ş": "tr az ro", "ț": "ro", "ș": "ro",
    "ă": "ro vi", "ã": "pt vi", "õ": "pt et vi", "ç": "fr pt ca tr sq az", "č": "cs sk sl hr lv lt",
    "ć": "pl hr bs sr", "đ": "hr bs vi", "ž": "cs sk sl hr lv lt et", "š": "cs sk sl hr lv lt et",
    "ā": "lv mi", "ē": "lv mi", "ū": "lv lt mi", "ģ": "lv", "ķ": "lv", "ļ": "lv", "ņ": "lv",
    "ė": "lt", "į": "lt", "ų": "lt", "ŵ": "cy", "ŷ": "cy", "ħ": "mt", "ċ": "mt", "ġ": "mt",
    "ơ": "vi", "ư": "vi", "ế": "vi", "ộ": "vi", "ạ": "vi", "ấ": "vi", "ệ": "vi", "ị": "vi",
    "·": "ca", "è": "fr it ca", "ò": "it ca vi", "ù": "it fr vi", "ê": "fr pt vi cy", "œ": "fr",
    "î": "fr ro", "â": "fr ro pt vi tr", "û": "fr", "ë": "fr nl sq",
    "ї": "uk", "є": "uk", "ґ": "uk", "ў": "be", "ы": "ru be kk", "э": "ru be kk mn",
    "ъ": "bg ru", "ђ": "sr", "ћ": "sr", "љ": "sr mk", "њ": "sr mk", "ј": "sr mk az", "ѓ": "mk",
    "ќ": "mk", "ѕ": "mk", "қ": "kk", "ұ": "kk", "ң": "kk", "ө": "mn kk", "ү": "mn kk",
    "پ": "fa ur", "چ": "fa ur", "گ": "fa ur", "ٹ": "ur", "ڈ": "ur", "ے": "ur", "ة": "ar",
}  # fmt: skip
"""Special letters and the languages that write them (Unicode CLDR exemplar characters)."""

_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_SKIPPED = frozenset({"LATIN", "ESPERANTO"})
_lock = threading.Lock()
_wanted = threading.Event()
"""Somebody has a line to look up."""
SHORTEST_PAUSE_S = 0.005
"""Between two languages, for whoever waits for the interpreter."""


@functools.cache
def _detector() -> "LanguageDetector":
    from lingua import Language, LanguageDetectorBuilder

    spoken = [language for language in Language.all() if language.name not in _SKIPPED]
    return LanguageDetectorBuilder.from_languages(*spoken).build()


def load_models() -> None:
    """Load lingua's models, one language after the other.

    Detectors share them. Left to the first line, all of them load in one go, for ten seconds in
    which lingua holds the interpreter: a server answers nobody meanwhile. Half of the time is
    left to other threads, until one of them has a line to look up.
    """
    from lingua import Language, LanguageDetectorBuilder

    spoken = [language for language in Language.all() if language.name not in _SKIPPED]
    with _lock:
        for pair in itertools.pairwise(spoken):  # a detector of one language is refused
            began = time.monotonic()
            LanguageDetectorBuilder.from_languages(*pair).with_preloaded_language_models().build()
            time.sleep(SHORTEST_PAUSE_S)
            _wanted.wait(time.monotonic() - began)


@functools.cache
def languages() -> tuple[str, ...]:
    """Return the codes (ISO 639) of all languages that are told apart, sorted."""
    from lingua import Language

    known = {
        language.iso_code_639_1.name.lower()
        for language in Language.all()
        if language.name not in _SKIPPED
    }
    return tuple(sorted(known | set(EXTRA_LANGUAGES)))


@functools.cache
def _words() -> dict[str, frozenset[str]]:
    """Return the languages of each everyday word, with and without its accents."""
    found: dict[str, set[str]] = {}
    for language, text in load_table("words").items():
        if language != "source":
            for word in str(text).split():
                found.setdefault(word, set()).add(language)
    for word in list(found):
        if len(word) >= 4:
            found.setdefault(fold(word), set()).update(found[word])
    return {word: frozenset(spoken) for word, spoken in found.items()}


def fold(text: str) -> str:
    """Return `text` in lower case without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c))


def line_likelihood(line: str) -> Floats | None:
    """Return the likelihood of a line in each of `languages()`, `[L]`, summing to 1.

    None where the line has too few letters to tell.
    """
    letters = script_counts(line)
    if sum(letters.values()) < (1 if set(letters) - {"Latin", "Han"} else MIN_LETTERS):
        return None
    score = LETTER_POWER * _letters_score(line, letters) + _words_score(line) + _marks_score(line)
    likelihood = np.exp(score - score.max())
    likelihood /= likelihood.sum()
    return np.asarray((1 - WRONG_SHARE) * likelihood + WRONG_SHARE / len(likelihood))


def _letters_score(line: str, letters: dict[str, int]) -> Floats:
    """Return log-likelihoods by lingua, or by the script where lingua does not know it."""
    script = max(letters, key=lambda name: (letters[name], name))
    if script == "Han" and ("Hiragana" in letters or "Katakana" in letters):
        script = "Hiragana"
    position = {code: index for index, code in enumerate(languages())}
    score = np.full(len(position), np.log(1e-4))
    named = SCRIPT_LANGUAGES.get(script)
    if named in position:
        score[position[named]] = 0.0
        return score
    for item in lingua_confidences(line):
        score[position[item[0]]] = np.log(max(item[1], 1e-4))
    if script == "Devanagari":
        score[position["ne"]] = score.max() - 1
    return score


@functools.lru_cache(maxsize=4096)
def lingua_confidences(line: str) -> tuple[tuple[str, float], ...]:
    """Return lingua's language codes and confidences for a line."""
    _wanted.set()
    with _lock:
        values = _detector().compute_language_confidence_values(line)
    return tuple((item.language.iso_code_639_1.name.lower(), item.value) for item in values)


def words_of(line: str) -> list[str]:
    """Return the words of a line in lower case."""
    return [word.casefold() for word in _WORD.findall(line)]


def _words_score(line: str) -> Floats:
    score = np.zeros(len(languages()))
    known = [spoken for word in words_of(line) if (spoken := _speakers(word))][:MOST_WORDS]
    for spoken in known:
        absent = np.array([code not in spoken for code in languages()])
        score -= absent * np.log(WORD_FACTOR)
    return score


@functools.lru_cache(maxsize=4096)
def _speakers(word: str) -> frozenset[str]:
    """Return the languages of an everyday word, or of a compound of several of them."""
    if found := _words().get(word) or _words().get(fold(word)):
        return found
    if len(word) < SHORTEST_COMPOUND:
        return frozenset()
    return frozenset(code for code in load_table("words") if _is_compound(word, code))


def _is_compound(word: str, language: str) -> bool:
    """Return whether a word is made of everyday words of a language, one of them long.

    German, Dutch and Nordic signs write compounds, and readers lose spaces between words.
    """
    reached = {0: 0}
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - LONGEST_WORD), end):
            part = word[start:end]
            if start in reached and language in _words().get(part, ()):
                reached[end] = max(reached.get(end, 0), reached[start], len(part))
    return reached.get(len(word), 0) >= LONG_PART


def _marks_score(line: str) -> Floats:
    score = np.zeros(len(languages()))
    for mark in sorted(set(line.casefold()) & set(MARKS))[:MOST_WORDS]:
        writes = set(MARKS[mark].split())
        absent = np.array([code not in writes for code in languages()])
        score -= absent * np.log(MARK_FACTOR)
    return score


def likely_languages(lines: Sequence[str]) -> list[tuple[str, float]]:
    """Return the three likeliest languages of each line's best, by letters, largest first."""
    total = np.zeros(len(languages()))
    for line in lines:
        likelihood = line_likelihood(line)
        if likelihood is not None:
            total += likelihood * sum(character.isalpha() for character in line)
    if total.sum() > 0:
        total /= total.sum()
    order = np.argsort(-total, kind="stable")[:3]
    return [(languages()[i], float(total[i])) for i in order if total[i] > 0.05]


def country_shares_of_lines(lines: Sequence[tuple[str, float]]) -> Floats:
    """Return the log-likelihood of lines together by country, `[C]`, up to a constant.

    A sign has a main language and may have a second one; each line is in either. Which two
    they are is one choice of the country, however many lines follow it.

    Args:
        lines: text and confidence of each.
    """
    written = sign_languages(languages())
    count = len(languages())
    pairs = np.zeros((count, count))
    for line, sure in lines:
        likelihood = line_likelihood(line)
        if likelihood is not None:
            either = MAIN_SHARE * likelihood[:, None] + (1 - MAIN_SHARE) * likelihood[None, :]
            pairs += sure**2 * np.log(either)
    top = pairs.max()
    chance = np.exp(pairs - top)
    alone = written @ np.diag(chance)
    both = np.einsum("cm,mc->c", written, chance @ second_languages(languages()).T)
    return np.asarray(top + np.log((1 - SECOND_SHARE) * alone + SECOND_SHARE * both))
