"""Names of places in what a person says: where they stand, and what they stand for.

A word is a name where it is written or used like one. `Nice photo`, `Reading the sign` and `Of
course` name no town: a settlement counts where a person says that the photo is there (`in Nice`,
`it is Nice`, `Nice, France`), or says nothing else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal, NamedTuple

from geo.demonyms import countries_of_word
from geo.gazetteer import Gazetteer
from geo.names import fold
from geo.regions import country_name
from geo.world_regions import WorldRegion, find_world_region
from tools.hint import ORDINARY
from tools.said_denials import is_read

Kind = Literal["country", "people", "region", "language", "side", "place", "point"]
LONGEST = 5
"""Words of the longest name."""
SMALL_TOWN = 50_000
"""People of the smallest settlement whose name may be written small inside a sentence."""
FIRST_MARK = 0xE000
"""Names are replaced by characters of private use, one each, before grammar is read."""
MOST_NAMES = 60

_WORD = re.compile(r"[^\W_]+(?:['’‘ʻʼ][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?;:\n]\s*$")
_BETWEEN = re.compile(r"(?:\s+|\s*-\s*|\.\s*)(?:the\s+)?", re.IGNORECASE)
_LOCATING_WORDS = (
    "in at near from around outside within inside of is it's its be was like maybe perhaps "
    "probably possibly think believe guess say not no nor neither either or and between towards "
    "en cerca de del es esta está cree creo que quizás quizá tal vez bei nach aus ist nahe um "
    "près pres dans est c'est à a du des vicino è nella nel em perto não nao nicht kein keine pas "
    "ni non nie w called definitely certainly surely also actually rather but than isn't"
)
_LOCATING = frozenset(_LOCATING_WORDS.split())
"""What stands before the name of the place, where a sentence says that the photo is there."""
_NEARBY_WORDS = "in near around at en cerca bei près pres dans nahe vicino from"
_NEARBY = frozenset(_NEARBY_WORDS.split())
_SMALL_WORDS_WORDS = (
    "of de la le les del di da do dos das el los las am an der im na upon sur sous los st"
)
_SMALL_WORDS = frozenset(_SMALL_WORDS_WORDS.split())
_CHAT_WORDS = (
    "nice mobile reading bath cork split orange most hull battle sandwich deal male bar same "
    "thanks thank great super cool wow ok okay hello hi hey good perfect awesome please sorry "
    "wrong right correct exactly again look check try zoom help why sure well then so hmm true "
    "false interesting funny beautiful lovely wonderful amazing best bye done go stop start new "
    "old big small long short read see sun moon summit park lake hill wood woods church bridge "
    "street sign plate car bus tree trees house island sea beach coast river mountain mountains "
    "photo image picture here there home work town city village country crop left top bottom "
    "middle centre center corner half police hotel restaurant school station market shop "
    "ignore answer commit system instruction instructions previous evidence tell give show use "
    "hola gracias danke merci bitte genau falsch richtig foto bild schild matricula"
)
_CHAT = frozenset(_CHAT_WORDS.split())
"""What people say that is a town somewhere; such a word is a name only after `in` or `it is`."""
_FOREIGN_WORDS = "island hindi kota nije chili male inde nauru iles domingo"
_FOREIGN = frozenset(_FOREIGN_WORDS.split())
"""Names of countries in some language that are words of another: names if written in capitals."""
_THINGS_WORDS = (
    "restaurant restaurants food cuisine pub bar car cars truck trucks brand tourist tourists dog "
    "dogs shepherd cat fries cheese pizza pizzeria flag friend friends wife husband colleague "
    "guy camera phone wine beer tea coffee bakery ink summer rug pastry muffin"
)
_THINGS = frozenset(_THINGS_WORDS.split())
"""What is called after a country wherever it is."""
_IN_A_LANGUAGE_WORDS = (
    "language languages text texts writing words word letters lettering script speaking speakers "
    "spoken inscription sign signs signage"
)
_IN_A_LANGUAGE = frozenset(_IN_A_LANGUAGE_WORDS.split())
_SPEAKING = frozenset({"speak", "speaks", "speaking", "spoke", "spoken", "written", "writes"})
_WRITTEN = re.compile(
    r"\b(?:languages?|texts?|writing|words?|letter(?:s|ing)|script|alphabet|inscriptions?)\b"
    r"[^,;]*\b(?:is|are|was|were|be|looks?|seems?|sounds?|appears?|in)(?:n't)?\b[^,;]*$",
    re.IGNORECASE,
)
"""Before an adjective: it says what language is written, not whose the thing is."""
_AREA_WORDS = frozenset({"area", "region", "surroundings", "suburbs", "outskirts", "vicinity"})
_IN_A_COUNTRY_WORDS = (
    "territory waters countryside city cities town towns village villages coast islands island "
    "mountains alps border province region street streets road roads soil territories"
)
_IN_A_COUNTRY = frozenset(_IN_A_COUNTRY_WORDS.split())
_SHORT = {"US": "US", "USA": "US", "UK": "GB", "UAE": "AE", "NZ": "NZ"}
_SIDES = re.compile(
    r"\b(?:driv\w*|traffic|keeps?|cars?)\b[^.;!?,]{0,40}?\b(?:on|to|keeps?)\s+(?:the\s+)?"
    r"(?P<a>left|right)\b(?:[\s\-]hand)?(?:\s+side)?(?:\s+of\s+the\s+road)?"
    r"|\b(?P<b>left|right)[\s\-]hand\s+traffic\b"
    r"|\b(?:on|side)\s+the\s+(?P<c>left|right)(?:[\s\-]hand)?\s+side\s+of\s+the\s+road\b",
    re.IGNORECASE,
)

_PAIR = re.compile(
    r"(?<![^\s(:])(?<!,\s)(?P<a>[+-]?\d{1,2}\.\d{1,15}),\s*(?P<b>[+-]?\d{1,3}\.\d{1,15})"
    r"(?!\d|\s*[%°x×*/]|[.,]\d|\s*,\s*\d|\s*(?:km|m|cm|mm|px|pixels?|miles?|feet|euros?|usd|s|h)\b)",
    re.ASCII,
)
"""Two numbers with a point each: coordinates, where a person writes them about a place."""


@dataclass(frozen=True)
class Name:
    """One name and what it stands for.

    Attributes:
        kind: `people` is an adjective or a people, `side` that of the road traffic keeps, `place`
            a settlement or an area that the gazetteer knows, `point` a coordinate.
        text: as it was written.
        countries: ISO 3166-1 alpha-2; of a place, empty.
        region: a part of the world.
        point: latitude, longitude in degrees.
        foreign: in a form of languages only whose denials are not read.
    """

    kind: Kind
    text: str
    countries: tuple[str, ...] = ()
    region: WorldRegion | None = None
    point: tuple[float, float] | None = None
    foreign: bool = False


class Marked(NamedTuple):
    """A text with a mark in the place of each name, and the names."""

    text: str
    names: list[Name]

    def find(self, text: str) -> list[Name]:
        """Return the names that are marked in a part of the text."""
        return [self.names[ord(letter) - FIRST_MARK] for letter in text if self.is_mark(letter)]

    def is_mark(self, letter: str) -> bool:
        """Whether a letter stands for a name."""
        return 0 <= ord(letter) - FIRST_MARK < len(self.names)


def mark_names(text: str, gazetteer: Gazetteer) -> Marked:
    """Return a text with its names marked.

    Args:
        text: of a person, without letters of private use.
        gazetteer: knows countries, settlements and areas.
    """
    marked = _mark_points(Marked(text, []))
    marked = _mark_sides(marked)
    words = list(_WORD.finditer(marked.text))
    pieces, at, i = list[str](), 0, 0
    while i < len(words) and len(marked.names) < MOST_NAMES:
        name, count = _name_at(marked.text, words, i, gazetteer, at if pieces else -1)
        if name is None:
            i += 1
            continue
        pieces += [marked.text[at : words[i].start()], _mark(name, marked)]
        at, i = words[i + count - 1].end(), i + count
    return Marked("".join([*pieces, marked.text[at:]]), marked.names)


def _mark(name: Name, marked: Marked) -> str:
    marked.names.append(name)
    return f" {chr(FIRST_MARK + len(marked.names) - 1)} "


def _mark_points(marked: Marked) -> Marked:
    from geo.mentions import find_coordinates

    found = [
        (one.start, one.end, (one.latitude, one.longitude))
        for one in find_coordinates(marked.text).found
    ]
    taken = [(start, end) for start, end, _ in found]
    for pair in _PAIR.finditer(marked.text):
        point = float(pair["a"]), float(pair["b"])
        free = all(pair.end() <= start or pair.start() >= end for start, end in taken)
        if free and abs(point[0]) <= 90 and abs(point[1]) <= 180 and any(point):
            found.append((*pair.span(), point))
    pieces, at = list[str](), 0
    for start, end, point in sorted(found)[:MOST_NAMES]:
        name = Name("point", marked.text[start:end], point=point)
        pieces += [marked.text[at:start], _mark(name, marked)]
        at = end
    return Marked("".join([*pieces, marked.text[at:]]), marked.names)


def _mark_sides(marked: Marked) -> Marked:
    from tools.clues_prior import countries, drives_left

    def replaced(found: re.Match[str]) -> str:
        side = next(part for part in found.groups() if part).casefold()
        left = drives_left()
        codes = left if side == "left" else set(countries()) - left
        name = Name("side", f"traffic keeps to the {side}", tuple(sorted(codes)))
        # A denial inside the words stays where grammar finds it.
        denial = " not " if re.search(r"n't\b|\bnot\b", found.group()) else ""
        return f" drive {denial}{_mark(name, marked)}"

    return Marked(_SIDES.sub(replaced, marked.text), marked.names)


def _name_at(
    text: str, words: list[re.Match[str]], i: int, gazetteer: Gazetteer, named_to: int
) -> tuple[Name | None, int]:
    """Return the longest name that begins at a word, and its number of words."""
    for count in range(min(LONGEST, len(words) - i), 0, -1):
        run = words[i : i + count]
        gaps = [text[a.end() : b.start()] for a, b in pairwise(run)]
        if any(not _BETWEEN.fullmatch(gap) for gap in gaps):
            continue
        phrase = text[run[0].start() : run[-1].end()]
        around = _Around.of(text, words, i, count, gazetteer, named_to)
        if name := _known(phrase, count, around, gazetteer):
            return name, count
    return None, 0


@dataclass(frozen=True)
class _Around:
    """What stands beside a run of words."""

    before: str
    after: str
    opens: bool
    """It begins a sentence."""
    alone: bool
    """It is the whole sentence, but for names."""
    beside_name: bool
    """A name stands directly before or after it, a comma or a conjunction between."""
    inside: tuple[str, ...] = ()
    """The country named after it, a comma or `in` between."""
    clause: str = ""
    """What its sentence says before it."""

    @classmethod
    def of(
        cls,
        text: str,
        words: list[re.Match[str]],
        i: int,
        count: int,
        gazetteer: Gazetteer,
        named_to: int,
    ) -> "_Around":
        """Look around words; `named_to` is where the name before them ends, -1 without one."""
        start, end = words[i].start(), words[i + count - 1].end()
        head, tail = text[:start], text[end:]
        opens = not head.strip() or bool(_SENTENCE_END.search(head))
        before = "" if opens or not i else words[i - 1].group().casefold()
        ends = not tail.strip() or bool(re.match(r"\s*[.!?;:\n]", tail))
        after = "" if ends or i + count >= len(words) else words[i + count].group().casefold()
        lone = opens and bool(re.match(r"\s*(?:[.!?;:\n,]|$)", tail))
        follows = named_to >= 0 and re.fullmatch(_LIST, text[named_to:start]) is not None
        gap = re.match(
            r"\s*(?:,|\bin\b|\bnear\b|\bor\b)\s*(?:the\s+)?(?=[^\W_])", tail, re.IGNORECASE
        )
        beyond = end + gap.end() if gap else -1
        next_ones = [word.group() for word in words[i + count :] if word.start() == beyond]
        listed = bool(gap) and tail[: gap.end() if gap else 0].strip().casefold() == "or"
        leads = any(
            _is_country(word, gazetteer) or (listed and _is_town(word, gazetteer))
            for word in next_ones
        )
        inside = tuple(code for word in next_ones for code in gazetteer.find_country(word))
        clause = re.split(r"[.!?;:\n]", head)[-1]
        return cls(before, after, opens, lone, follows or leads, inside, clause)


_LIST = re.compile(r"\s*(?:,|/|\bor\b|\band\b|\bnor\b|\boder\b|\bo\b|\bou\b)\s*")


def _is_country(word: str, gazetteer: Gazetteer) -> bool:
    """Whether a word beside another one says in which country or area that is."""
    return len(word) > 2 and bool(gazetteer.find_country(word) or gazetteer.find_areas(word))


def _is_town(word: str, gazetteer: Gazetteer) -> bool:
    return word[0].isupper() and bool(gazetteer.find(word, limit=1, fuzzy=False))


def _known(phrase: str, count: int, around: _Around, gazetteer: Gazetteer) -> Name | None:
    """Return what a phrase names; None where it names nothing."""
    folded = fold(phrase)
    if not folded or folded in ORDINARY or folded.isdigit():
        return None
    if region := find_world_region(phrase):
        if around.after in _THINGS:
            return None
        return Name("region", phrase, region=region)
    if code := _SHORT.get(phrase.replace(".", "")):
        return Name("country", phrase, (code,))
    if _may_be_a_country(phrase, folded) and (found := tuple(gazetteer.find_country(phrase))):
        others = set(around.inside) - set(found)
        if others and gazetteer.find_areas(phrase, others):
            return Name("place", phrase)  # Georgia, USA
        if folded not in {fold(country_name(code)) for code in found} and _area(phrase, gazetteer):
            return Name("place", phrase)  # Scotland lies in the country that it also means
        return Name("country", phrase, found, foreign=not is_read(phrase))
    if codes := countries_of_word(phrase):
        return _people(phrase, codes, around)
    return _place(phrase, count, around, gazetteer)


def _may_be_a_country(phrase: str, folded: str) -> bool:
    small = phrase[0].islower()
    if folded in _FOREIGN:
        return False
    return len(folded) > 3 or not phrase.isascii() or (not small and phrase.isupper())


def _people(phrase: str, codes: tuple[str, ...], around: _Around) -> Name | None:
    """Read an adjective: of a thing that is anywhere, of a language, or of a country."""
    if around.after in _THINGS:
        return None
    code = _languages().get(fold(phrase), "")
    spoken = around.after in _IN_A_LANGUAGE or (
        around.before == "in" and around.after not in _IN_A_COUNTRY
    )
    spoken |= around.before in _SPEAKING or bool(_WRITTEN.search(around.clause))
    if spoken and code:
        if speaking := countries_speaking(code):
            return Name("language", phrase, speaking)
        return None
    return Name("people", phrase, codes)


def _place(phrase: str, count: int, around: _Around, gazetteer: Gazetteer) -> Name | None:
    """Return a settlement or area, where it is used as one."""
    words = phrase.split()
    if any(fold(word) in ORDINARY for word in (words[0], words[-1])):
        return None
    lower = any(w[0].islower() for w in words if w.casefold() not in _SMALL_WORDS)
    chat = count == 1 and fold(phrase) in _CHAT
    if chat and (lower or not (around.before in _NEARBY | {"is", "it's"} or around.beside_name)):
        return None
    used = around.before in _LOCATING or around.alone or around.beside_name
    used |= around.before == "the" and around.after in _AREA_WORDS
    if lower:
        used = (around.before in _NEARBY and not around.after) or (around.alone and not chat)
    if not used or len(phrase) < 3:
        return None
    if _area(phrase, gazetteer):
        return Name("place", phrase)
    found = gazetteer.find(phrase, limit=1, fuzzy=False)
    found = [one for one in found if not _is_code(one.matched, phrase)]
    if not found or (lower and not around.alone and found[0].population < SMALL_TOWN):
        return None
    return Name("place", phrase)


def _is_code(matched: str, phrase: str) -> bool:
    """Whether a word met an airport's code; see `tools.hint`."""
    return len(matched) == 3 and matched.isascii() and matched.isupper() and not phrase.isupper()


def _area(phrase: str, gazetteer: Gazetteer) -> bool:
    return bool(gazetteer.find_areas(phrase))


LEAST_SPEAKERS = 20.0
"""Percent of a country's people who use a language that is official there, for its signs."""


@cache
def countries_speaking(language: str) -> tuple[str, ...]:
    """Return the countries where a language is official and much used (Unicode CLDR), sorted."""
    from babel.languages import get_territory_language_info

    from geo.regions import country_codes

    return tuple(
        code for code in country_codes()
        if any(_speaks(language, name, dict(facts))
               for name, facts in (get_territory_language_info(code) or {}).items())
    )  # fmt: skip


def _speaks(language: str, name: str, facts: dict[str, object]) -> bool:
    official = str(facts.get("official_status") or "")
    share = float(str(facts.get("population_percent") or 0))
    return name.split("_")[0] == language and bool(official) and share >= LEAST_SPEAKERS


@cache
def _languages() -> dict[str, str]:
    """Return ISO 639 codes by the folded English names of languages."""
    return dict(_named_languages())


def _named_languages() -> Iterator[tuple[str, str]]:
    from babel import Locale

    for code, name in Locale("en").languages.items():
        if "_" not in code:
            yield fold(str(name)), str(code)
    yield "mandarin", "zh"
