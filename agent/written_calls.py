"""Tool calls that a model wrote into its text, because its server did not take them out.

Formats: Hermes and Qwen (`<tool_call>{"name", "arguments"}</tool_call>`), Qwen3-Coder
(`<function=NAME><parameter=P>..</parameter></function>`), Mistral (`[TOOL_CALLS] [..]` and
`[TOOL_CALLS]NAME[ARGS]{..}`), Llama (`<|python_tag|>{..}`, bare `{"name", "parameters"}`), the body
of an OpenAI reply (`{"tool_calls": [..]}`), any of these in Markdown fences, and our own structured
form `{"thought", "calls": [{"tool", "arguments"}]}`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from agent.asking import Problem
from agent.call_json import CutJsonError, LooseJsonError, read_json
from agent.call_shapes import (
    CONTAINERS,
    RawCall,
    ToolNames,
    calls_of,
    make_problem,
    unknown_tool,
)

MAXIMUM_TEXT = 64_000
"""Characters of a reply that are searched for calls."""
MAXIMUM_TRIES = 64
"""Opening brackets of a reply where a call may begin."""
MAXIMUM_ENDLESS = 8
"""Of these, those without a closing one: each is read to the end of the reply."""
SHOWN = 120

_MARKED = re.compile(
    r"<(?P<tag>tool_calls?|function_calls?|tools)\s*>(?P<body>.*?)"
    r"(?P<end></(?P=tag)\s*>|(?=<(?P=tag)\s*>)|\Z)",
    re.DOTALL,
)
_FUNCTION = re.compile(
    r"<function(?:=|\s+name=)[\"']?(?P<name>[^>\s\"']{1,100})[\"']?\s*>(?P<body>.*?)"
    r"(?P<end></function>|(?=<function[=\s])|\Z)",
    re.DOTALL,
)
_PARAMETER = re.compile(
    r"<parameter(?:=|\s+name=)[\"']?(?P<name>[^>\s\"']{1,100})[\"']?\s*>\n?(?P<value>.*?)\n?"
    r"(?P<end></parameter>|(?=<parameter[=\s])|\Z)",
    re.DOTALL,
)
_MARKER = re.compile(r"\[TOOL_CALLS\]|<\|python_tag\|>|<\|action_start\|>\s*(?:<\|plugin\|>)?")
_NAMED = re.compile(r"\s*([\w.\-]{1,100})\s*(?:\[CALL_ID\][\w\-]*)?(?:\[ARGS\])?\s*(?=\{)")
_OPENING = re.compile(r"\{|\[(?=\s*\{)")
_BETWEEN = re.compile(r"[\s;,]*(?:```(?:json)?\s*)?")
_TOKEN = re.compile(r"<\|[a-z_0-9]{1,30}\|>")
_FENCE_BEFORE = re.compile(r"```[ \t]*[\w-]*[ \t]*\n?\s*\Z")
_FENCE_AFTER = re.compile(r"\s*```")
_NAME_IN_JSON = re.compile(r"""["'](?:name|tool|function)["']\s*:\s*["']([\w.\- ]{1,60})""")


@dataclass(frozen=True)
class Written:
    """What was found in a text: calls of known tools, problems, and the prose around them."""

    calls: tuple[RawCall, ...]
    problems: tuple[Problem, ...]
    rest: str


def find_calls(text: str, names: ToolNames, *, cut: bool = False) -> Written:
    """Find the calls in a text; only those of tools in `names` are taken out of it.

    Args:
        text: a reply without its thinking.
        names: the tools that exist.
        cut: the server says that the reply ends too early.
    """
    finder = _Finder(text[:MAXIMUM_TEXT], names, cut)
    finder.run()
    return Written(tuple(finder.calls), tuple(finder.problems), finder.rest() + text[MAXIMUM_TEXT:])


@dataclass
class _Finder:
    text: str
    names: ToolNames
    cut: bool
    calls: list[RawCall] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    cut_at: int = -1
    """Where a call without an end begins; what was whole inside of it is taken all the same."""

    def run(self) -> None:
        for match in _MARKED.finditer(self.text):
            closed = bool(match["end"]) or match.end() < len(self.text)
            start, stop = match.span("body")
            self.span(match.start(), self.body(start, stop, closed), match.end(), closed)
        for match in _FUNCTION.finditer(self.text):
            if not self.covered(match.start()):
                self.function(match, bool(match["end"]) or match.end() < len(self.text))
                self.spans.append(match.span())
        for match in _MARKER.finditer(self.text):
            if not self.covered(match.start()):
                self.spans.append((match.start(), self.values(match.end(), len(self.text), False)))
        self.unmarked()

    def span(self, start: int, read: int, stop: int, closed: bool) -> None:
        """Cut a marked call out: to its end tag, or, without one, as far as it could be read."""
        self.spans.append((start, stop if closed else read))

    def body(self, start: int, stop: int, closed: bool) -> int:
        """Read what stands between call tags; return where it ends."""
        functions = list(_FUNCTION.finditer(self.text, start, stop))
        for match in functions:
            self.function(match, bool(match["end"]) or match.end() < stop or closed)
        return functions[-1].end() if functions else self.values(start, stop, closed)

    def function(self, match: re.Match[str], closed: bool) -> None:
        """Read one call in XML."""
        name, body = match["name"], match["body"]
        if body.lstrip().startswith("{"):
            self.values_of(body, closed, name)
            return
        arguments: dict[str, object] = {}
        whole = closed
        for parameter in _PARAMETER.finditer(body):
            arguments[parameter["name"]] = parameter["value"]
            whole = closed or bool(parameter["end"])
        if not whole or (self.cut and not closed):
            self.problems.append(_cut(name, body))
        else:
            self.add([RawCall(name, arguments, texts=True)], "a call in XML in the text")

    def values(self, start: int, stop: int, closed: bool) -> int:
        """Read JSON values one after the other, as they follow a marker; return where they end."""
        text = self.text[:stop]
        at, first = start, True
        while True:
            between = _BETWEEN.match(text, at)
            begin = between.end() if between else at
            named = _NAMED.match(text, begin)
            opening = named.end() if named else begin
            if opening >= len(text) or text[opening] not in "{[":
                if first and text[start:].strip():
                    self.problems.append(_broken("", text[start:], "no JSON object follows"))
                return stop if first else at
            try:
                read = read_json(text, opening, closed=closed)
            except LooseJsonError as error:
                self.problems.append(_broken(named[1] if named else "", text[begin:], error))
                return stop
            self.note_repairs(read.repairs)
            raw = (
                [RawCall(named[1], read.value)] if named else list(calls_of(read.value, self.names))
            )
            if raw:
                self.add(raw, "a call in the text")
            else:
                self.problems.append(_broken("", text[begin : read.end], "it names no tool"))
            at, first = read.end, False

    def values_of(self, body: str, closed: bool, name: str) -> None:
        """Read the arguments of a call whose name is known."""
        try:
            read = read_json(body, closed=closed)
        except LooseJsonError as error:
            self.problems.append(_broken(name, body, error))
            return
        self.note_repairs(read.repairs)
        self.add([RawCall(name, read.value)], "a call in the text")

    def unmarked(self) -> None:
        """Take out the JSON values in the prose that are calls of known tools."""
        at, endless = 0, 0
        for _ in range(MAXIMUM_TRIES):
            if endless == MAXIMUM_ENDLESS or (match := _OPENING.search(self.text, at)) is None:
                return
            at = match.start() + 1
            if self.covered(match.start()):
                continue
            try:
                read = read_json(self.text, match.start())
            except CutJsonError:
                self.note_cut(match.start())
                endless += 1
                continue
            except LooseJsonError:
                continue
            if self.take(read.value, match.start(), read.end):
                self.note_repairs(read.repairs)
                at = read.end

    def take(self, value: JsonValue, start: int, end: int) -> bool:
        """Take one JSON value out of the prose if it calls; ours is no fault where it is all."""
        found = list(calls_of(value, self.names))
        ours = isinstance(value, dict) and "calls" in value
        known = [call for call in found if self.names.resolve(call.name)]
        if not known and not (ours and isinstance(value, dict) and value["calls"] == []):
            if found and isinstance(value, dict) and any(key in value for key in CONTAINERS):
                self.problems += [unknown_tool(call.name, self.names) for call in found]
            return False
        if isinstance(value, dict) and isinstance(thought := value.get("thought"), str):
            self.thoughts.append(thought)
        before = _FENCE_BEFORE.search(self.text, max(0, start - 30), start)
        after = _FENCE_AFTER.match(self.text, end) if before else None
        alone = not self.text[:start].strip() and not self.text[end:].strip(" \n\t\r}]")
        if before:
            self.problems.append(make_problem("fenced-json", "a call in a code fence", "repaired"))
        self.spans.append((before.start() if before else start, after.end() if after else end))
        self.add(found, "" if before or (ours and alone) else "a call as JSON in the text")
        return True

    def add(self, calls: Sequence[RawCall], why: str) -> None:
        known = [call for call in calls if self.names.resolve(call.name)]
        self.problems += [unknown_tool(c.name, self.names) for c in calls if c not in known]
        self.calls += known
        if known and why:
            self.note_text(known[0].name, why)

    def note_text(self, name: str, why: str = "a call in the text") -> None:
        self.problems.append(make_problem("text-call", f"{why}: {name[:60]!r}", "repaired"))

    def note_repairs(self, repairs: Sequence[str]) -> None:
        if repairs:
            self.problems.append(make_problem("broken-json", ", ".join(repairs), "repaired"))

    def note_cut(self, start: int) -> None:
        """A value without an end is a call that was cut if it names a tool as calls do."""
        head = self.text[start : start + 2000]
        known = [name for name in _NAME_IN_JSON.findall(head) if self.names.resolve(name)]
        if known and self.cut_at < 0:
            self.cut_at = start
            self.problems.append(_cut(known[-1], self.text[start:]))

    def covered(self, at: int) -> bool:
        return any(start <= at < end for start, end in self.spans)

    def rest(self) -> str:
        """Return the prose between what was taken out."""
        parts, at = [*self.thoughts], 0
        last = self.cut_at if self.cut_at >= 0 else len(self.text)
        for start, end in sorted(self.spans):
            parts.append(self.text[at : min(start, last)])
            at = max(at, end)
        parts.append(self.text[at:last])
        kept = (_TOKEN.sub("", part).strip() for part in parts)
        return "\n".join(part for part in kept if part.strip(" \n}]"))


def _cut(name: str, text: str) -> Problem:
    return make_problem(
        "truncated",
        f"the call of {name[:60]!r} ends in the middle: ...{text[-SHOWN:]!r}; send it again whole",
        "answered",
    )


def _broken(name: str, text: str, error: object) -> Problem:
    if not name and (named := _NAME_IN_JSON.search(text)):
        name = named[1]
    if isinstance(error, CutJsonError):
        return _cut(name or "a tool", text)
    shown = str(error).encode("utf-8", "replace").decode()
    return make_problem(
        "broken-json",
        f"the call {name[:60]!r} is not JSON, {shown[:160]}: {text[:SHOWN]!r}; send it again as "
        'one JSON object {"name": ..., "arguments": {...}}',
        "answered",
    )
