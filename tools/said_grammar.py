"""What a sentence does with the names in it: says, denies, doubts or asks.

No parser: marks stand for names (`tools.said_names`), phrases that deny or doubt become marks as
well, and each name is read by what stands before it in its clause. What could be read in two ways
has no effect, and that is said. English, with the commonest denials of some other languages.
"""

import re
from typing import NamedTuple

from tools.said_names import Marked, Name

NOT, UNSURE, SURE, LIKELY, MAYBE = "\uf000", "\uf001", "\uf002", "\uf003", "\uf004"
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


_IDIOMS = [
    (r"\b(?:not|n't)\s+(?:so |too |very |that |all that )?far (?:away )?from\b", " near "),
    (r"\b(?:no|nicht) (?:muy )?(?:lejos de|weit von)\b|\bpas loin (?:de|du|d')\b", " near "),
    (r"\bnot (?:only|just|merely)\b", " "),
    (r"\b(?:nothing|nowhere|none|no other|no one) (?:but|other than|else than|than)\b", " "),
    (r"\b(?:without (?:a |any )?|no |beyond )(?:doubt|question)\b|\bundoubtedly\b", f" {SURE} "),
    (r"\bnot (?:impossible|unlikely|implausible|out of the question|ruled out)\b", f" {MAYBE} "),
    (
        r"\b(?:not|n't|never|no)\s+(?:at all |so |too |really |entirely |quite |fully |100 ?% |"
        r"very )?(?:sure|certain|convinced|positive|clear|seguro|sicher)\b|\bunsure\b|\buncertain\b"
        r"|\b(?:do not|don't|dont|can't|cannot|can not|couldn't) (?:really )?"
        r"(?:know|tell|say|remember)\b"
        r"|\bno (?:idea|clue)\b|\bnot necessarily\b|\bhard to (?:say|tell)\b|\bno (?:lo )?sé\b"
        r"|\bweiß nicht\b|\bje ne sais pas\b|\bwho knows\b",
        f" {UNSURE} ",
    ),
    (
        r"\b(?:anywhere|everywhere|anything|any place|any country|anyplace|all|somewhere|elsewhere)"
        r" (?:else )?(?:but|except(?: for)?|other than|outside(?: of)?|than)\b",
        f" {NOT} ",
    ),
    (
        r"\b(?:nothing like|rul(?:e|ed|es|ing) out|exclud(?:e|ed|es|ing)|eliminat(?:e|ed|es|ing)"
        r"|except(?: for)?|other than|rather than|instead of|unlike|outside(?: of)?|forget|drop"
        r"|out of the question|impossible|wrong|incorrect|unlikely|doubtful|improbable|implausible"
        r"|false|i doubt|we doubt|unmöglich|falsch|imposible|ausgeschlossen)\b",
        f" {NOT} ",
    ),
    (r"\b\w+n['’]t\b|\b(?:is|was|does|ca|wo|do|are|could|would)nt\b|\bcannot\b", f" {NOT} "),
    (r"\bne\s+(?=\w+\s+pas\b)|\bn['’](?=\w+\s+(?:pas|ni)\b)|\bne\s+(?=\w+\s+ni\b)", " "),
    (
        r"\b(?:not|never|neither|nor|nowhere|nicht|kein|keine|keinen|keinem|keiner|weder|noch|niemals"
        r"|außer|pas|jamais|ni|sauf|hormis|aucun|aucune|tampoco|nunca|excepto|salvo|tranne|né|neppure"
        r"|não|nao|nem|exceto|niet|geen|nie|ani|inte|ikke|ej|не|нет|ни)\b",
        f" {NOT} ",
    ),
    (
        r"\b(?:sure|certain|certainly|definitely|absolutely|100 ?%|clearly|obviously|i know"
        r"|positive|surely|must be|seguro|segura|sicher|bestimmt|certainement|sûr)\b",
        f" {SURE} ",
    ),
    (
        r"\b(?:probably|likely|presumably|most likely|wahrscheinlich|probablemente|probablement"
        r"|probabilmente|looks|looked|look like|seems?|appears?|sieht"
        r"|parece|resembles?|feels?|reminds? me)\b",
        f" {LIKELY} ",
    ),
    (
        r"\b(?:maybe|perhaps|possibly|might|may be|could be|could well be|can be|i guess|i suspect"
        r"|vielleicht|eventuell|quizás?|tal vez|peut[ -]être|forse|talvez|može|может|possible)\b",
        f" {MAYBE} ",
    ),
]  # fmt: skip
_REWRITES = [(re.compile(pattern, re.IGNORECASE), mark) for pattern, mark in _IDIOMS]
_DISCOURSE_NO = re.compile(
    r"(?:^|(?<=[.!?;,]))\s*(?:no|nope|nah|nein|non|não|нет)\s*(?=[,.!;:]|$|\s+(?:it|its|it's|this|that|i|we|the|they)\b)",
    re.IGNORECASE,
)
_NO = re.compile(r"\b(?:no|non)\b", re.IGNORECASE)
_NO_WAY = re.compile(r"\bno way\b|\bin no way\b|\bunder no circumstances\b", re.IGNORECASE)
_SENTENCES = re.compile(r"[^.!?;\n]*(?:[.!?;\n]+|$)")
_CONTRAST = re.compile(
    r"\b(?:but|rather|instead|however|sondern|sino|mais|pero|aber|ma|mas|maar|yet|though|although"
    r"|because|since|weil|porque|parce que|as|so)\b",
    re.IGNORECASE,
)
_RESTART = re.compile(
    r"\b(?:it|its|it's|this|that|they|he|she|must|es|ist|c'est|è|é|to|jest|это|here|more like"
    r"|the (?:plate|sign|car|road|place|photo|picture|language|text)\w*)\b",
    re.IGNORECASE,
)
_CONJUNCTION = re.compile(
    r"\b(?:or|and|nor|oder|und|o|y|ou|et|e|noch|ni|lub|i|или|и)\b\s*$", re.IGNORECASE
)
_LINKS = (
    r"(?:is|was|it|its|would|be|can|could|that|seems|looks|ist|es|est|è|é|jest|also|certainly|just|simply"
    rf"|really|{SURE}|{LIKELY}|{MAYBE})"
)
_WH = re.compile(
    r"^\W*(?:so |and |but )?(?:who|what|where|when|why|how|which|whose|are you|do you know)\b",
    re.IGNORECASE,
)
_ABOUT = re.compile(r"^\W*(?:and |so )?(?:what|how) about\b", re.IGNORECASE)
_TAG = re.compile(
    r",\s*(?:is(?:n't| it not) it|is it|right|no|correct|don't you think|or|eh|oder|verdad"
    r"|n'est-ce pas|nicht wahr)\s*\?\s*$",
    re.IGNORECASE,
)
_NEGATED_AUX = re.compile(
    r"^\W*(?:so |and |but )?(?:(?:is|are|was|could|can|would|does|do|must|might)n['’]?t"
    r"|can't|(?:is|could|can|would) (?:it|this|that) not)\b",
    re.IGNORECASE,
)
_PERSONAL = re.compile(
    r"\b(?:i am|i'm|im|we are|we're)\s+(?:an?\s+|from\s+)|\b(?:i|we)\s+"
    r"(?:live|come|work|grew|study|speak)\b|\bmy\s+(?:\w+\s+)?(?:friend|wife|husband|mother|father|boss|colleague|aunt|uncle|neighbou?r|"
    r"girlfriend|boyfriend|teacher|family|passport)\b|\bgreetings\b|\bi was born\b",
    re.IGNORECASE,
)
_BARE_DENIAL = re.compile(
    r"^\W*(?:no|nope|nein|never|wrong|non|definitely not|not at all)\W*$", re.IGNORECASE
)


def read_claims(marked: Marked) -> Read:
    """Return what a text with marked names claims."""
    read = Read([], [])
    asked: list[int] = []
    for number, found in enumerate(_SENTENCES.finditer(marked.text)):
        sentence = found.group().strip()
        if asked and _BARE_DENIAL.match(sentence):
            for i in asked:
                read.claims[i] = read.claims[i]._replace(denied=True, weight=SAYS)
            continue
        asked = []
        if marked.find(sentence):
            before = len(read.claims)
            _read_sentence(sentence, 100 * number, marked, read)
            if sentence.endswith("?"):
                asked = list(range(before, len(read.claims)))
    return read


def _read_sentence(sentence: str, number: int, marked: Marked, read: Read) -> None:
    names = marked.find(sentence)
    tagged = bool(_TAG.search(sentence))
    sentence = _TAG.sub("", sentence)
    asks = sentence.rstrip().endswith("?")
    if asks and _WH.match(sentence) and not _ABOUT.match(sentence):
        read.unread.append(f"A question about {_listed(names)} says nothing.")
        return
    if _PERSONAL.search(sentence.replace("’", "'")) and not re.search(
        r"\b(?:took|taken|photo|picture|shot)\b", sentence, re.IGNORECASE
    ):
        read.unread.append(f"{_listed(names)}: said of the person, not of the photo.")
        return
    suggests = asks and bool(_NEGATED_AUX.match(sentence))
    rewritten = _rewritten(sentence, marked)
    for claim in _claims(rewritten, number, marked, read.unread):
        weight = min(claim.weight, SAYS_LIKELY) if tagged else claim.weight
        denied = claim.denied and not suggests
        read.claims.append(claim._replace(denied=denied, weight=ASKS if asks else weight))


def _rewritten(sentence: str, marked: Marked) -> str:
    """Return a sentence with marks for what denies and what doubts, denials before names."""
    text = _NO_WAY.sub(f" {NOT} ", sentence)
    text = _DISCOURSE_NO.sub(" , ", text)
    for pattern, mark in _REWRITES:
        text = pattern.sub(mark, text)
    text = _NO.sub(f" {NOT} ", text)
    names = f"[{chr(0xE000)}-{chr(0xE000 + max(len(marked.names) - 1, 0))}]"
    run = rf"{names}(?:\s*(?:,|\bor\b|\band\b|\bnor\b)\s*{names})*"
    rest = rf"[^,;.!?{chr(0xE000)}-{chr(0xEFFF)}]*"
    after = rf"(?P<run>{run})\s+(?:{_LINKS}\s+)*{NOT}{rest}(?=$|[,;.!?])"
    return re.sub(after, rf"{NOT} \g<run> ", text, flags=re.IGNORECASE)


def _claims(text: str, number: int, marked: Marked, unread: list[str]) -> list[Claim]:
    """Read names from left to right, clause by clause."""
    claims: list[Claim] = []
    denials, named, unsure, compared = 0, False, False, False
    pieces = re.split(rf"(,|\(|\)|:|—|{_CONTRAST.pattern})", text, flags=re.IGNORECASE)
    inherited = SAYS
    for index, piece in enumerate(pieces):
        if not piece.strip():
            continue
        if _CONTRAST.fullmatch(piece.strip()):
            denials, named, unsure, compared = 0, False, False, False
            number += 1
            continue
        listed = index > 0 and _is_list(piece, marked)
        head = _head(piece, marked)
        fresh = _RESTART.match(piece.strip()) or any(mark in head for mark in _MARKS)
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
            if named and _CONJUNCTION.sub("", part).strip() and _RESTART.search(part):
                denials, named, unsure = 0, False, False
            if count := part.count(NOT):
                denials = count if named or not denials else denials + count
                named = False
        if marked.find(piece):
            inherited = SAYS
    return claims


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
