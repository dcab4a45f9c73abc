"""What a sentence does with the names in it: says, denies, doubts or asks.

No parser: marks stand for names (`tools.said_names`), phrases that deny or doubt become marks as
well, and each name is read by what stands before it in its clause. What could be read in two ways
has no effect, and that is said. English, with the commonest denials of some other languages.
"""

import re
from typing import NamedTuple

from tools.said_denials import NOT, may_deny
from tools.said_names import Marked, Name
from tools.said_phrases import (
    ABOUT,
    BARE_DENIAL,
    CONJUNCTION,
    CONTRAST,
    DENIES,
    DISCOURSE_NO,
    LATE_NO,
    LIKELY,
    LINKS,
    MAYBE,
    NEGATED_AUX,
    NO,
    NO_WAY,
    OPENING_NO,
    PERSONAL,
    REASON,
    RESTART,
    REWRITES,
    SENTENCES,
    SURE,
    TAG,
    UNSURE,
    WH,
)

_MARKS = NOT + SURE + LIKELY + MAYBE
SAYS_SURE, SAYS, SAYS_LIKELY, SAYS_MAYBE, ASKS = 0.9, 0.8, 0.65, 0.5, 0.3
"""Weights of statements by how sure the person is; choices of ours, in that order."""


class Claim(NamedTuple):
    """One name, what is said of it, and how much it weighs."""

    name: Name
    denied: bool
    weight: float
    clause: int
    """Names of one clause are alternatives, or places in each other."""


class Read(NamedTuple):
    """What a text claims, and what it names without a claim and why."""

    claims: list[Claim]
    unread: list[str]


def read_claims(marked: Marked) -> Read:
    """Return what a text with marked names claims."""
    read = Read([], [])
    asked: list[int] = []
    asks = False
    for number, found in enumerate(SENTENCES.finditer(marked.text)):
        sentence = found.group().strip()
        if asked and not marked.find(sentence) and BARE_DENIAL.match(sentence):
            for i in asked:
                read.claims[i] = read.claims[i]._replace(denied=True, weight=SAYS)
            continue
        for i in asked if asks and OPENING_NO.match(sentence) else ():
            read.claims[i] = read.claims[i]._replace(denied=True, weight=SAYS)
        asked, asks = [], sentence.endswith("?")
        if marked.find(sentence):
            before = len(read.claims)
            _read_sentence(sentence, 100 * number, marked, read)
            asked = list(range(before, len(read.claims)))
    return read


def _read_sentence(sentence: str, number: int, marked: Marked, read: Read) -> None:
    names = marked.find(sentence)
    tagged = bool(TAG.search(sentence))
    sentence = TAG.sub("", sentence)
    asks = sentence.rstrip().endswith("?")
    if asks and WH.match(sentence) and not ABOUT.match(sentence):
        read.unread.append(f"A question about {_listed(names)} says nothing.")
        return
    if PERSONAL.search(sentence.replace("’", "'")) and not re.search(
        r"\b(?:took|taken|photo|picture|shot)\b", sentence, re.IGNORECASE
    ):
        read.unread.append(f"{_listed(names)}: said of the person, not of the photo.")
        return
    if unread_why := _language(sentence, marked):
        read.unread.append(f"{_listed(names)}: {unread_why}.")
        return
    suggests = asks and bool(NEGATED_AUX.match(sentence))
    rewritten = _rewritten(sentence, marked)
    for claim in _claims(rewritten, number, marked, read.unread):
        weight = min(claim.weight, SAYS_LIKELY) if tagged else claim.weight
        denied = claim.denied and not suggests
        read.claims.append(claim._replace(denied=denied, weight=ASKS if asks else weight))


def _language(sentence: str, marked: Marked) -> str:
    """Return why a sentence may be a denial that is not read; empty where it is read."""
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", sentence)
    words = [word for word in words if not any(map(marked.is_mark, word))]
    unread = "in a language whose denials are not read; say it in English"
    if words and any(name.foreign for name in marked.find(sentence)):
        return unread
    denies = any(pattern.search(sentence) for pattern in DENIES)
    return unread if may_deny(words) and not denies else ""


def _rewritten(sentence: str, marked: Marked) -> str:
    """Return a sentence with marks for what denies and what doubts, denials before names."""
    text = NO_WAY.sub(f" {NOT} ", sentence)
    text = LATE_NO.sub(rf"\1 {NOT} ", text)
    text = DISCOURSE_NO.sub(" , ", text)
    for pattern, mark in REWRITES:
        text = pattern.sub(mark, text)
    text = NO.sub(f" {NOT} ", text)
    names = f"[{chr(0xE000)}-{chr(0xE000 + max(len(marked.names) - 1, 0))}]"
    run = rf"{names}(?:\s*(?:,|\bor\b|\band\b|\bnor\b)\s*{names})*"
    rest = rf"[^,;.!?{chr(0xE000)}-{chr(0xEFFF)}]*"
    after = rf"(?P<run>{run})\s+(?:{LINKS}\s+)*{NOT}{rest}(?=$|[,;.!?])"
    return re.sub(after, rf"{NOT} \g<run> ", text, flags=re.IGNORECASE)


def _claims(text: str, number: int, marked: Marked, unread: list[str]) -> list[Claim]:
    """Read names from left to right, clause by clause."""
    claims: list[Claim] = []
    denials, named, unsure, compared = 0, False, False, False
    pieces = re.split(rf"(,|\(|\)|:|—|{CONTRAST.pattern})", text, flags=re.IGNORECASE)
    inherited = SAYS
    for index, piece in enumerate(pieces):
        if not piece.strip():
            continue
        if CONTRAST.fullmatch(piece.strip()):
            denials, named, unsure, compared = 0, False, False, False
            number += 1
            continue
        listed = index > 0 and _is_list(piece, marked)
        head = _head(piece, marked)
        fresh = RESTART.match(piece.strip()) or any(mark in head for mark in _MARKS)
        fresh = fresh or (any(mark in piece for mark in (MAYBE, LIKELY)) and not denials)
        if index and fresh:
            denials, named, unsure, compared = 0, False, False, False
            number += 1
        unclear = bool(denials and index and not fresh and not (listed and named))
        unclear |= bool(denials and listed and named and not _goes_on(pieces[index:], marked))
        weight = _weight(piece, inherited)
        if not marked.find(piece):
            inherited = weight
            if claims and weight != SAYS and not any(marked.find(rest) for rest in pieces[index:]):
                claims = [one._replace(weight=weight) for one in claims]  # "Chile, I am sure"
        for part in _parts(piece, marked):
            if marked.find(part):
                (name,) = marked.find(part)
                why = _ignored(denials, unsure, compared, unclear)
                if why:
                    unread.append(f"{name.text!r}: {why}.")
                else:
                    claims.append(Claim(name, bool(denials), weight, number))
                named = True
                continue
            if re.search(r"\bthan\b", part, re.IGNORECASE):
                compared = True
            unsure |= UNSURE in part
            if named and CONJUNCTION.sub("", part).strip() and RESTART.search(part):
                denials, named, unsure = 0, False, False
            if count := part.count(NOT):
                denials = count if named or not denials else denials + count
                named = False
        if marked.find(piece):
            inherited = SAYS
    return _undenied(text, claims, marked, unread)


def _undenied(text: str, claims: list[Claim], marked: Marked, unread: list[str]) -> list[Claim]:
    """Return claims but for those that something after the last name may deny."""
    last = max((i for i, letter in enumerate(text) if marked.is_mark(letter)), default=len(text))
    rest = re.split(REASON, text[last + 1 :], maxsplit=1, flags=re.IGNORECASE)[0]
    if NOT not in rest and UNSURE not in rest:
        return claims
    (name,) = marked.find(text[last])
    unread += [
        f"{one.name.text!r}: it is open whether it is denied."
        for one in claims if one.name is name and not one.denied
    ]  # fmt: skip
    return [one for one in claims if one.name is not name or one.denied]


def _head(piece: str, marked: Marked) -> str:
    """Return what stands before the first name of a piece."""
    at = next((i for i, letter in enumerate(piece) if marked.is_mark(letter)), len(piece))
    return piece[:at]


def _parts(piece: str, marked: Marked) -> list[str]:
    """Return a piece cut into its names and what stands between them."""
    cut, parts = "", []
    for letter in piece:
        if marked.is_mark(letter):
            parts += [cut, letter]
            cut = ""
        else:
            cut += letter
    return [part for part in (*parts, cut) if part.strip()]


def _is_list(piece: str, marked: Marked) -> bool:
    """Whether a piece holds names and nothing but conjunctions and small words."""
    rest = [part for part in _parts(piece, marked) if not marked.find(part)]
    return bool(marked.find(piece)) and all(_is_small(part) for part in rest)


def _is_small(part: str) -> bool:
    words = re.findall(r"\w+", part.casefold())
    return all(word in _LISTING for word in words)


_LISTING_WORDS = (
    "or and nor oder und o y ou et e noch ni in the either any of en la el de le au aux"
)
_LISTING = frozenset(_LISTING_WORDS.split())


def _goes_on(pieces: list[str], marked: Marked) -> bool:
    """Whether a list goes on to a conjunction: `not in Spain, France or Italy`."""
    for piece in pieces:
        if piece.strip() in (",", ""):
            continue
        if not _is_list(piece, marked):
            return False
        if any(re.search(r"\b(?:or|nor|and|oder|ni|ou|y|o|et|und|noch)\b", part, re.IGNORECASE)
               for part in _parts(piece, marked)):  # fmt: skip
            return True
    return False


def _ignored(denials: int, unsure: bool, compared: bool, unclear: bool) -> str:
    """Return why a name says nothing; empty where it says something."""
    if compared:
        return "what something is compared with says nothing"
    if unclear:
        return "it is open whether it is denied"
    if denials > 1:
        return "denied twice"
    return "the person does not know" if unsure and not denials else ""


def _weight(piece: str, inherited: float) -> float:
    """Return how much a statement weighs by its own words, or by those said before it."""
    if MAYBE in piece:
        return SAYS_MAYBE
    if LIKELY in piece:
        return SAYS_LIKELY
    return SAYS_SURE if SURE in piece else inherited


def _listed(names: list[Name]) -> str:
    return ", ".join(repr(name.text) for name in names[:4])
