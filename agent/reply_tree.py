"""Where the fields of a reply stand: keys in any spelling and nesting; words that say nothing."""

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from agent.loose_json import Array, Node, Object, Scalar

MAXIMUM_OBJECTS = 1000
MAXIMUM_LINES = 300

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_A-Za-z]+")
_NOTHING = re.compile(
    r"\W*|(?:(?:n/?a|none|null|nil|nan|tbd|string|unknown|unspecified|undetermined|unavailable"
    r"|unidentified|unclear|uncertain|indeterminate|inconclusive|ambiguous|undefined|not|unable"
    r"|cannot|can['’]?t|could not|couldn['’]t|no visible|none visible)\b.{0,200}"
    r"|no\b.{0,60}\b(?:data|information|available|visible|provided|specified|determined|location"
    r"|address|idea)\b.{0,100}|<[^<>]*>|\[[^\[\]]*\])",
    re.IGNORECASE | re.DOTALL,
)
_LINE = re.compile(
    r"^[ \t>*+•#-]{0,20}(?:\d{1,2}[.)]\s{0,4})?[*_`]{0,3}"
    r"(?P<key>[^\W\d][\w ./()-]{0,40}?)[*_`]{0,3}[ \t]?[:=：]"
    r"[ \t]?[*_`]{0,3}[ \t]?(?P<value>[^\n]{1,2000})$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Place:
    """An object of a reply and the keys that lead to it, outermost first."""

    node: Object
    path: tuple[str, ...]
    parents: tuple[Object, ...]


def key_words(key: str) -> tuple[str, ...]:
    """Return the words of a key in lower case: `GPSLatitude (deg)` is gps, latitude, deg."""
    return tuple(word.lower() for word in _WORD.findall(key[:100]))


def says_nothing(text: str) -> bool:
    """Tell whether a text stands for a missing value: `N/A`, `Not visible`, `<latitude>`."""
    return _NOTHING.fullmatch(text.strip()[:400]) is not None


def walk(roots: Sequence[Object], passed: Collection[str]) -> Iterator[Place]:
    """Yield objects in order, a thousand at most, but none below a key with a word of `passed`."""
    waiting: list[Place] = [Place(root, (), ()) for root in reversed(roots)]
    for _ in range(MAXIMUM_OBJECTS):
        if not waiting:
            return
        here = waiting.pop()
        yield here
        parents = (*here.parents, here.node)
        for key, node in reversed(here.node.pairs):
            if not set(key_words(key)) & set(passed):
                below = [Place(o, (*here.path, key), parents) for o in _objects(node)]
                waiting.extend(reversed(below))


def _objects(node: Node) -> list[Object]:
    """Return the nearest objects in a value."""
    if isinstance(node, Object):
        return [node]
    if isinstance(node, Array):
        return [inner for item in node.items for inner in _objects(item)]
    return []


def written_lines(text: str) -> Object:
    """Return the lines `Key: value` of a text as an object; list marks and emphasis fall away."""
    lines = Object()
    for match in itertools.islice(_LINE.finditer(text), MAXIMUM_LINES):
        value = match["value"].strip().strip("*_`").strip()
        lines.pairs.append((match["key"].strip(), Scalar(value, quoted=True)))
    return lines


def text_of(node: Node | None, limit: int) -> str:
    """Return what a value says in one line of at most `limit` characters; empty for nothing."""
    if node is None:
        return ""
    parts = [" ".join(part.split()) for part in _texts(node, limit)]
    said = "; ".join(part for part in parts if not says_nothing(part))
    return "".join(letter if letter.isprintable() else " " for letter in said)[:limit].strip()


def _texts(node: Node, limit: int) -> Iterator[str]:
    if isinstance(node, Scalar):
        bare = not node.quoted and node.text.lower() in ("true", "false")
        yield "" if bare else node.text[: 2 * limit]
    else:
        inner = node.items if isinstance(node, Array) else [value for _, value in node.pairs]
        for item in inner[:50]:
            yield from _texts(item, limit)
