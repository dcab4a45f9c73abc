"""JSON as models write it: in prose, unquoted, commented, cut off. Nothing is made up.

Values stay as they are written, so that a number that may have been cut off is never taken for
a whole one, `48.85 S` keeps its letter, and no digit is lost; json-repair 0.64 (MIT) reads the
first as whole and the second as 48.85. One pass, no recursion: time is linear in the text.
"""

import json
import re
from dataclasses import dataclass, field

MAXIMUM_OBJECTS = 300
MAXIMUM_DEPTH = 50
"""Objects deeper than this are passed over."""

# Every repetition is bounded or possessive, so that no text takes more than linear time.
_GAP = r"[\s*`]*+"
_SPACE = re.compile(r"(?:[\s*`]|//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z))*+")
_NAME = r"[^\W\d][\w .\-]{0,60}"
_KEY = rf"(?:[\"“][^\"“”\n]{{1,100}}+[\"”]|['‘][^'‘’\n]{{1,100}}+['’]|{_NAME}[\"']?)\s{{0,20}}:"
_START = re.compile(rf"\{{{_GAP}(?://[^\n]{{0,200}}+\s?{_GAP})?(?:{_KEY}|\}})")
_NEXT = re.compile(rf"{_GAP}(?:\Z|[}}\]]|(?:,{_GAP})?(?:{_KEY}|//|/\*)|,{_GAP}(?:[}}\]]|\Z))")
_NEXT_ITEM = re.compile(rf"{_GAP}(?:\Z|[}}\],])")
# Inside an object a comma ends a value only where a name follows: 48,8584 is one value.
_BARE_IN_OBJECT = re.compile(rf"[}}\]\n]|,(?={_GAP}(?:{_KEY}|[}}\]]|//|/\*|\Z))|\s//|/\*")
_BARE_IN_ARRAY = re.compile(r"[}\]\n,]|\s//|/\*")
_COLON = re.compile(r"\s*:")
_QUOTES = {'"': '"', "'": "'", "“": '"”', "‘": "'’"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string without its quotes, or the letters of a number, `null`, or a bare word.

    Attributes:
        cut: the text ends here, so that more of it may be missing.
    """

    text: str
    quoted: bool = False
    cut: bool = False


@dataclass(slots=True)
class Array:
    """A list of values."""

    items: "list[Node]" = field(default_factory=list)


@dataclass(slots=True)
class Object:
    """Names with values, in order; a name may come twice.

    Attributes:
        start: where in the text the object begins.
        end: first character after it.
        closed: its last brace was found.
    """

    pairs: "list[tuple[str, Node]]" = field(default_factory=list)
    start: int = 0
    end: int = 0
    closed: bool = False


Node = Scalar | Array | Object


def read_objects(text: str) -> list[Object]:
    """Return the first `MAXIMUM_OBJECTS` outermost objects of a text, in order; never raises."""
    found: list[Object] = []
    position = 0
    while len(found) < MAXIMUM_OBJECTS and (match := _START.search(text, position)):
        reader = _Reader(text, match.start())
        found.append(reader.read())
        position = max(found[-1].end, match.start() + 1)
    return found


def is_strict(text: str) -> bool:
    """Tell whether the text is JSON as RFC 8259 has it."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class _Reader:
    """Reads one object; `stack` holds what is open, outermost first."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.position = start + 1
        self.root = Object(start=start)
        self.stack: list[Object | Array] = [self.root]
        self.key = ""
        self.skipped = 0

    def read(self) -> Object:
        """Return the object; `closed` is false where the text ends before it."""
        while self.stack:
            self._skip()
            if self.position >= len(self.text):
                break
            self._step(self.text[self.position])
        self.root.end = self.position
        return self.root

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def _step(self, letter: str) -> None:
        if letter in "}]":
            self.position += 1
            self._close(letter)
        elif letter in ",:":
            self.position += 1
        elif isinstance(self.stack[-1], Object) and not self.key:
            self.key = self._name() or " "
        elif letter in "{[":
            self.position += 1
            self._open(Object(start=self.position - 1) if letter == "{" else Array())
        else:
            self._put(self._scalar())

    def _put(self, node: Node) -> None:
        top = self.stack[-1]
        if isinstance(top, Array):
            top.items.append(node)
        else:
            top.pairs.append((self.key.strip(), node))
            self.key = ""

    def _open(self, node: Object | Array) -> None:
        if self.skipped or len(self.stack) >= MAXIMUM_DEPTH:
            self.skipped += 1
            self.key = ""
            return
        self._put(node)
        self.stack.append(node)

    def _close(self, letter: str) -> None:
        """Close the innermost open thing of this kind, and what was left open inside it."""
        if self.skipped:
            self.skipped -= 1
            return
        kind = Object if letter == "}" else Array
        if not any(isinstance(node, kind) for node in self.stack):
            return
        self.key = ""
        while self.stack:
            node = self.stack.pop()
            if isinstance(node, kind):
                break
        if isinstance(node, Object):
            node.end, node.closed = self.position, True

    def _name(self) -> str:
        """Return the name before a colon; what is none is passed over."""
        if self.text[self.position] in _QUOTES:
            return self._string(as_name=True).text
        match = re.compile(r"[^:,{}\[\]\n]{1,120}").match(self.text, self.position)
        if match is None:
            self.position += 1
            return ""
        self.position = match.end()
        return match.group().strip().strip("\"'")

    def _scalar(self) -> Scalar:
        if self.text[self.position] in _QUOTES:
            return self._string(as_name=False)
        start = self.position
        inside = isinstance(self.stack[-1], Object)
        end = _BARE_IN_OBJECT if inside else _BARE_IN_ARRAY
        match = end.search(self.text, start)
        self.position = max(match.start() if match else len(self.text), start + 1)
        cut = match is None
        return Scalar(self.text[start : self.position].strip(" \t\r\n*`"), cut=cut)

    def _string(self, *, as_name: bool) -> Scalar:
        """Return a quoted string: its end is the quote after which the object goes on."""
        closing = _QUOTES[self.text[self.position]]
        start = self.position + 1
        inside = isinstance(self.stack[-1], Object)
        goes_on = _COLON if as_name else _NEXT if inside else _NEXT_ITEM
        search = re.compile(rf"\\.|[{closing}]", re.DOTALL)
        position, first = start, -1
        while match := search.search(self.text, position):
            position = match.end()
            if match.group()[0] == "\\":
                continue
            first = match.start() if first < 0 else first
            if goes_on.match(self.text, position):
                self.position = position
                return Scalar(_unescaped(self.text[start : match.start()]), quoted=True)
            if as_name:
                break
        if as_name and first >= 0:
            self.position = first + 1
            return Scalar(_unescaped(self.text[start:first]), quoted=True)
        self.position = len(self.text)
        return Scalar(_unescaped(self.text[start:]), quoted=True, cut=True)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_unescape, text) if "\\" in text else text


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        letter = chr(int(match[1], 16))
        return "\ufffd" if "\ud800" <= letter <= "\udfff" else letter
    return _ESCAPED.get(match[2], match[2])
