"""JSON as models write it in calls: read where only one reading is possible, never completed.

Read besides RFC 8259: single and curly quotes, keys without quotes, commas before a closing
bracket, Python's `True`, `False`, `None`, comments, line breaks and quotes inside strings, `.5`.
Libraries for broken JSON (json-repair 0.64, also with `strict`; LangChain's `parse_partial_json`)
read `{"latitude": 48.8` as 48.8, though nobody knows which digit would have come next. Here text
that ends too early is an error of its own, `CutJsonError`.
"""

import re
from dataclasses import dataclass, field

from pydantic import JsonValue

MAXIMUM_DEPTH = 60
"""Levels of brackets; what is deeper is no tool call."""
MAXIMUM_DIGITS = 300
"""Numbers of more digits are no quantity, and take long to read."""
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_LITERALS: dict[str, JsonValue] = {
    "true": True, "false": False, "null": None, "True": True, "False": False, "None": None,
    "NaN": float("nan"), "nan": float("nan"), "Infinity": float("inf"), "inf": float("inf"),
}  # fmt: skip
_STANDARD = frozenset({"true", "false", "null", "NaN", "Infinity"})
_SPACE = re.compile(r"(?:\s|//[^\n]{0,300}(?=\n)|/\*.{0,300}?\*/)*+", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.°%])")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_CUT_NUMBER = re.compile(r"[\d.+\-eE]+\Z")
_WORD = re.compile(r"[+-]?[A-Za-z_]\w*")
_PLAIN = re.compile(r"""[^"'“”‘’\\\x00-\x1f]+""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_LOW_HALF = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")


class LooseJsonError(ValueError):
    """Not JSON, or JSON that can be read in several ways."""


class CutJsonError(LooseJsonError):
    """It ends before the last bracket closes."""


@dataclass(frozen=True)
class Loose:
    """A value that was read from text.

    Attributes:
        value: what it says; NaN and infinity are still in it.
        end: where in the text it ends.
        repairs: what was not JSON about it, in words, without repetitions.
    """

    value: JsonValue
    end: int
    repairs: tuple[str, ...] = ()


def read_json(text: str, start: int = 0, *, closed: bool = False) -> Loose:
    """Read the one JSON value that begins at `start`, after spaces.

    Args:
        text: may go on behind the value.
        start: index of a character.
        closed: the text is known to end where its author meant it to (an end tag followed), so
            that brackets missing at its very end are forgotten, not cut off.

    Raises:
        CutJsonError: the text ends inside the value.
        LooseJsonError: anything else that has no single reading.
    """
    reader = _Reader(text, start, closed)
    reader.skip()
    value = reader.value(0)
    return Loose(value, reader.at, tuple(dict.fromkeys(reader.repairs)))


@dataclass
class _Reader:
    text: str
    at: int
    closed: bool
    repairs: list[str] = field(default_factory=list)

    def skip(self) -> None:
        after = _after_space(self.text, self.at)
        if "/" in self.text[self.at : after]:
            self.repairs.append("comments")
        self.at = after

    def peek(self) -> str:
        """Return the next character.

        Raises:
            CutJsonError: there is none.
        """
        if self.at >= len(self.text):
            raise CutJsonError(f"it ends in the middle: ...{self.text[-40:]!r}")
        return self.text[self.at]

    def wrong(self, wanted: str) -> LooseJsonError:
        found = self.text[self.at : self.at + 20]
        return LooseJsonError(f"at character {self.at + 1}: {wanted} is wanted, got {found!r}")

    def value(self, depth: int) -> JsonValue:
        if depth > MAXIMUM_DEPTH:
            raise LooseJsonError(f"more than {MAXIMUM_DEPTH} levels of brackets: use fewer")
        character = self.peek()
        if character == "{":
            return self.object(depth)
        if character == "[":
            return self.array(depth)
        if character in _QUOTES:
            return self.string()
        return self.number(depth) if character in "+-.0123456789" else self.literal()

    def object(self, depth: int) -> JsonValue:
        found: dict[str, JsonValue] = {}
        self.at += 1
        while not self.closes("}", bool(found)):
            key = self.key()
            self.skip()
            if self.peek() != ":":
                raise self.wrong("':'")
            self.at += 1
            self.skip()
            found[key] = self.value(depth + 1)
            if not self.goes_on("}"):
                return found
        return found

    def array(self, depth: int) -> JsonValue:
        found: list[JsonValue] = []
        self.at += 1
        while not self.closes("]", bool(found)):
            found.append(self.value(depth + 1))
            if not self.goes_on("]"):
                return found
        return found

    def closes(self, bracket: str, after_comma: bool) -> bool:
        """Go past `bracket` where it comes next; a comma before it is one too many."""
        self.skip()
        if self.peek() != bracket:
            return False
        if after_comma:
            self.repairs.append("a comma before a closing bracket")
        self.at += 1
        return True

    def goes_on(self, bracket: str) -> bool:
        """Go past what follows an item: a comma, or `bracket`, which ends the value."""
        whole = self.at < len(self.text) or self.text[-1] in "\"'”’}]"
        self.skip()
        if self.at >= len(self.text) and self.closed and whole:
            self.repairs.append("a missing bracket")
            return False
        if (character := self.peek()) not in (",", bracket):
            raise self.wrong(f"',' or '{bracket}'")
        self.at += 1
        return character == ","

    def key(self) -> str:
        if self.peek() in _QUOTES:
            return self.string()
        if (match := _WORD.match(self.text, self.at)) is None:
            raise self.wrong("a key in double quotes")
        self.repairs.append("keys without quotes")
        self.at = match.end()
        return match[0]

    def number(self, depth: int) -> JsonValue:
        if depth and (rest := _CUT_NUMBER.match(self.text, self.at)):
            raise CutJsonError(f"it ends in a number: ...{rest[0][-40:]!r}")
        if (match := _NUMBER.match(self.text, self.at)) is None:
            return self.literal()  # -Infinity, or nothing of ours
        digits = match[0]
        if len(digits) > MAXIMUM_DIGITS:
            raise LooseJsonError(f"a number of {len(digits)} digits; give at most {MAXIMUM_DIGITS}")
        if re.match(r"[+-]?0\d", digits):
            raise LooseJsonError(f"a number that begins with 0: {digits[:40]!r}")
        if not _JSON_NUMBER.fullmatch(digits):
            self.repairs.append("a number as JSON does not write it")
        self.at = match.end()
        return float(digits) if re.search(r"[.eE]", digits) else int(digits)

    def literal(self) -> JsonValue:
        match = _WORD.match(self.text, self.at)
        word = match[0] if match else ""
        name = word.lstrip("+-")
        if match and match.end() == len(self.text) and name not in _LITERALS:
            raise CutJsonError(f"it ends in the middle: ...{word[-40:]!r}")
        if match is None or name not in _LITERALS or (word != name and name[0] not in "NnIi"):
            raise self.wrong("a value")
        if name not in _STANDARD:
            self.repairs.append("Python's words for true, false and null")
        self.at = match.end()
        value = _LITERALS[name]
        return -value if isinstance(value, float) and word[0] == "-" else value

    def string(self) -> str:
        opening = self.text[self.at]
        if opening != '"':
            self.repairs.append("quotes other than double ones")
        closing, parts = _QUOTES[opening], list[str]()
        self.at += 1
        while True:
            if match := _PLAIN.match(self.text, self.at):
                parts.append(match[0])
                self.at = match.end()
            character = self.peek()
            if character == "\\":
                parts.append(self.escaped())
                continue
            self.at += 1
            if character == closing and self.ends_string():
                return "".join(parts)
            if character == closing or character < " ":
                self.repairs.append("line breaks or quotes inside a string")
            parts.append(character)

    def ends_string(self) -> bool:
        """A quote ends the string where something that follows a string follows."""
        end = _after_space(self.text, self.at)
        return end >= len(self.text) or self.text[end] in ",:}]"

    def escaped(self) -> str:
        self.at += 1
        character = self.peek()
        self.at += 1
        if character != "u":
            return _ESCAPES.get(character, character)
        digits = self.text[self.at : self.at + 4]
        if len(digits) < 4:
            raise CutJsonError(f"it ends in an escape: {digits!r}")
        if not re.fullmatch(r"[0-9a-fA-F]{4}", digits):
            raise self.wrong("four hexadecimal digits after \\u")
        self.at += 4
        low = _LOW_HALF.match(self.text, self.at)
        if 0xD800 <= int(digits, 16) < 0xDC00 and low:  # two halves of one character
            self.at = low.end()
            return (bytes.fromhex(digits) + bytes.fromhex(low[1])).decode("utf-16-be")
        return chr(int(digits, 16))


def _after_space(text: str, at: int) -> int:
    """Return the index behind spaces and comments."""
    match = _SPACE.match(text, at)
    return at if match is None else match.end()
