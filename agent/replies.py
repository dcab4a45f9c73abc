"""A guess from the text of a reply, whatever the model wrote; nothing is invented.

Read are JSON in any dress (fences, prose around it, broken, cut off; `agent.loose_json`), lines of
`Key: value`, and prose (`geo.mentions`). Which of several coordinates is the guess:

1. the last that is announced as the answer: under a key such as `final` or `answer`, or within 80
   characters after such a word (`Final answer:`);
2. otherwise the first in JSON that is not among alternatives, candidates or references; then the
   first of any in JSON;
3. otherwise, where no JSON speaks of a position, the first in prose.

Where JSON says that there is no position (`null`, `N/A`), one that prose mentions without
announcing it is none. A bare confidence of `4` or `high` has no known scale and is dropped.
"""

import re
from collections.abc import Sequence

from agent.asking import Problem, ProblemAction
from agent.guess import Guess, ReadGuess
from agent.loose_json import Object, Scalar, is_strict, read_objects
from agent.reply_details import Details, read_details
from agent.reply_positions import Position, Positions, read_positions
from agent.reply_tree import text_of, written_lines
from geo.mentions import Mention, find_coordinates
from tools.evidence import Rejection

MAXIMUM_TEXT = 100_000
"""Characters of a reply that are read, from its end, where answers stand."""
CUT = frozenset({"length", "time"})
"""Ends of a reply that its model did not choose (`Reply.finish`)."""
MOST_REJECTED = 20

_THINKING = re.compile(r"<(/?)(?:think|thinking|thought)>", re.IGNORECASE)
_FINAL = re.compile(
    r"\b(?:final|answer|conclusion|corrected|revised|best (?:guess|estimate)|boxed)\b"
    r"[^\d{]{0,80}$",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\bI(?:['’]m| am)\s(?:\w+\s)?(?:sorry|unable|not able)\b|\bI apologi[sz]e\b"
    r"|\b(?:I|we)\s(?:can(?:['’]t|not| not)|won['’]t|will not|do not|don['’]t)\s(?:\w+\s)?"
    r"(?:help|assist|identify|determine|provide|locate|answer|analy[sz]e|view|see|process|comply)\b"
    r"|抱歉|对不起|我无法",
    re.IGNORECASE,
)
_BRACKETED = re.compile(
    r"((?:coord\w{0,8}|location|position|gps|answer)[\s*_`\"':=(]{0,8})\[([^\[\]\n]{3,80})\]",
    re.IGNORECASE,
)
_KINDS = (
    ("null-island", "missing position"),
    ("not-finite", "not a finite"),
    ("out-of-range", "outside"),
    ("truncated", "ends the reply"),
    ("incomplete", "only one of"),
)


def read_guess(text: str, *, finish: str = "") -> ReadGuess:
    """Return what can be read from a reply; never raises.

    Args:
        text: as the model wrote it, thinking included or not.
        finish: `Reply.finish`: where the reply was cut off, a number that ends it may be cut too.
    """
    problems: list[Problem] = []
    answer = _answer(text, problems)
    if not answer:
        return ReadGuess(problems=tuple(problems))
    objects = read_objects(answer)
    rest = _outside(answer, objects)
    problems += _form(answer, objects, rest)
    positions = read_positions(objects, [o for o in objects if _announced(answer, o.start)])
    _add_prose(positions, answer, rest, objects, cut=finish in CUT)
    chosen = _chosen(positions.found)
    roots = objects or [written_lines(answer)]
    holders = [position.holder for position in positions.found if position.holder]
    others = [holder for holder in holders if chosen and holder is not chosen.holder]
    details = read_details(roots, chosen.holder if chosen else None, others, rest)
    problems += _several(chosen, positions.found)
    rejected = tuple(positions.rejected[:MOST_REJECTED])
    problems += [
        _problem(_kind(r.reason), f"{r.value!r}: {r.reason}", "rejected") for r in rejected
    ]
    if chosen is None and not details.place and not details.country:
        problems += _nothing(answer)
        return ReadGuess(rejected=rejected, problems=tuple(problems))
    guess = _guess(chosen, details, "" if objects else answer)
    return ReadGuess(guess=guess, rejected=rejected, problems=(*problems, *details.problems))


def _answer(text: str, problems: list[Problem]) -> str:
    """Return the reply without what the model thought aloud, in letters that JSON can hold."""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
    kept, position, depth = "", 0, 0
    for match in _THINKING.finditer(text):
        if match[1]:
            # A server may take the opening mark away: all before a lone closing one was thought.
            kept = kept if depth else ""
            depth = 0
        elif not depth:
            kept += text[position : match.start()]
            depth = 1
        position = match.end()
    answer = (kept if depth else kept + text[position:]).strip()
    if not answer:
        problems.append(
            _problem("endless-thinking", "nothing but thinking", "rejected")
            if text.strip()
            else _problem("empty", "no text", "rejected")
        )
    if len(answer) > MAXIMUM_TEXT:
        detail = f"{len(answer):,} characters: the last {MAXIMUM_TEXT:,} were read"
        problems.append(_problem("overlong", detail, "repaired"))
    return answer[-MAXIMUM_TEXT:]


def _outside(text: str, objects: Sequence[Object]) -> str:
    """Return the text between the objects."""
    pieces, position = [], 0
    for node in objects:
        pieces.append(text[position : node.start])
        position = node.end
    return "\n".join((*pieces, text[position:]))


def _form(text: str, objects: Sequence[Object], rest: str) -> list[Problem]:
    """Return what is wrong with the form of a reply that should be one JSON object."""
    if not objects:
        return [_problem("prose", "no JSON object", "repaired")]
    problems = []
    if not objects[-1].closed:
        problems.append(_problem("truncated", "an object has no end", "repaired"))
    elif not all(is_strict(text[node.start : node.end]) for node in objects):
        problems.append(_problem("broken-json", "an object breaks the rules of JSON", "repaired"))
    if "```" in rest:
        problems.append(_problem("fenced-json", "JSON in a Markdown fence", "repaired"))
    if re.sub(r"```(?:json)?", "", rest).strip("[], \n\t"):
        problems.append(_problem("json-in-prose", "text around JSON", "repaired"))
    return problems


def _add_prose(
    positions: Positions, text: str, rest: str, objects: Sequence[Object], *, cut: bool
) -> None:
    """Add the coordinates in prose: all where no JSON speaks of any, or those announced."""
    searched = rest if positions.named else text
    searched = _BRACKETED.sub(r"\1(\2)", searched)
    mentions = find_coordinates(searched)
    open_end = cut or any(not node.closed for node in objects)
    for mention in mentions.found:
        if _may_be_cut(searched, mention, open_end=open_end):
            reason = "ends the reply: more digits may be missing"
            positions.rejected.append(Rejection(value=mention.text[:200], reason=reason))
            continue
        final = _announced(searched, mention.start)
        if positions.found or final or not positions.named:
            positions.found.append(
                Position(mention.latitude, mention.longitude, mention.text[:200], final,
                         aside=bool(positions.named))
            )  # fmt: skip
    if not positions.named:
        for rejected in mentions.rejected:
            positions.rejected.append(Rejection(value=rejected.text, reason=rejected.reason))


def _may_be_cut(text: str, mention: Mention, *, open_end: bool) -> bool:
    """Tell whether digits may be missing: nothing but marks follows, or `-84.` ends the reply."""
    after = text[mention.end :].rstrip()
    whole_end = re.search(r"\d[.,]\d+\D.*(?<![.,\d])\d+$", mention.text, re.DOTALL)
    return (open_end and not re.search(r"\w", after)) or bool(after in (".", ",") and whole_end)


def _announced(text: str, position: int) -> bool:
    return _FINAL.search(text[max(0, position - 100) : position]) is not None


def _chosen(found: Sequence[Position]) -> Position | None:
    """Return the position that is the guess; the module says which."""
    finals = [position for position in found if position.final]
    if finals:
        return finals[-1]
    return next((position for position in found if not position.aside), found[0] if found else None)


def _several(chosen: Position | None, found: Sequence[Position]) -> list[Problem]:
    others = [p for p in found if chosen and not p.near(chosen)]
    if not others or not chosen:
        return []
    named = "; ".join(position.text[:60] for position in others[:5])
    detail = f"{chosen.text[:60]} taken; also named, of {len(others)}: {named}"
    return [_problem("several-coordinates", detail, "repaired")]


def _nothing(text: str) -> list[Problem]:
    """Return a refusal as a problem; a reply that honestly says nothing of a place has none."""
    if match := _REFUSAL.search(text[:1000]):
        return [_problem("refusal", text[match.start() : match.start() + 120], "rejected")]
    return []


def _guess(chosen: Position | None, details: Details, prose: str) -> Guess:
    reason = details.reason or text_of(Scalar(prose, quoted=True), 2000)
    return Guess(
        latitude=chosen.latitude if chosen else None,
        longitude=chosen.longitude if chosen else None,
        radius_km=details.radius_km,
        place=details.place,
        country=details.country,
        confidence=details.confidence,
        clues=details.clues,
        reason=reason,
    )


def _kind(reason: str) -> str:
    return next((kind for kind, words in _KINDS if words in reason), "not-a-coordinate")


def _problem(kind: str, detail: str, action: ProblemAction) -> Problem:
    return Problem(kind=kind, detail=" ".join(detail.split())[:300], action=action)
