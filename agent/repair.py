"""What a model's reply asks for, whatever shape it came in: tool calls, problems, and prose.

A reply is hostile until it is read here. Nothing in it raises; nothing that was cut is completed.
Kinds of problems, and what becomes of the call:

- read nevertheless (`repaired`): `text-call` (written into the text), `fenced-json`, `broken-json`,
  `tool-name`, `call-id`, `argument-name`, `unknown-argument` (dropped), `wrong-type`, `photo-id`,
  `split-coordinate`, `bad-character`.
- to be told to the model (`answered`), the call stays and the tool refuses it: `unknown-tool` (of a
  real call), `wrong-type`, `missing-argument`, `out-of-range`, `not-finite`.
- to be told to the model (`answered`), there is no call: `unknown-tool` (in the text),
  `broken-json`, `truncated`, `empty`, `endless-thinking`, `refusal`.
- nothing follows (`rejected`): `repeated-call` (the same call twice in a reply), `too-many-calls`.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, ToolCall
from langchain_core.tools import BaseTool

from agent.arguments import BAD, clean_arguments, fields_of, fit_arguments
from agent.asking import Problem
from agent.call_json import CutJsonError, LooseJsonError, read_json
from agent.call_shapes import RawCall, ToolNames, make_problem, names_of, unknown_tool
from agent.thinking import split_thinking
from agent.written_calls import find_calls
from tools.evidence import short_id

MAXIMUM_CALLS = 32
"""Calls of one reply that are looked at; no budget allows more."""
CUT = frozenset({"length", "time"})
"""Ends of a reply that its model did not choose."""
REFUSAL_LETTERS = 500
"""A longer reply that begins with regrets goes on to say something."""
_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")
_THINKING_BLOCKS = frozenset({"reasoning", "reasoning_content", "thinking", "redacted_thinking"})
_REFUSAL = re.compile(
    r"\W*(?:(?:i['’]?m|i am|we are)\s+)?(?:(?:very |so |really )?sorry\b|i apologi[sz]e\b|"
    r"(?:unfortunately[, ]+)?(?:i|we)\s+(?:can(?:['’]t|not| not)|won['’]t|will not|am unable to|"
    r"am not able to)\s+(?:help|assist|comply|do that|identify|determine|provide|locate|answer|"
    r"fulfil|analy[sz]e|view|see|process)\b|抱歉|对不起|很遗憾|我无法)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ReadCalls:
    """What could be read from a reply.

    Attributes:
        calls: each with an id of its own; arguments are finite JSON, near what the tool wants.
        problems: what was wrong with the form, and what was done about it.
        text: the prose without thinking and without what was taken as calls.
    """

    calls: tuple[ToolCall, ...] = ()
    problems: tuple[Problem, ...] = ()
    text: str = ""


def read_calls(
    message: AIMessage,
    tools: Sequence[BaseTool],
    *,
    finish: str = "",
    photo_id: str = "",
    taken: Collection[str] = (),
) -> ReadCalls:
    """Read the tool calls of a reply; raises nothing.

    Args:
        message: as it came. Of an `AIMessageChunk` the text of the arguments is read: LangChain
            completes arguments that were cut in its `tool_calls`.
        tools: those that may be called.
        finish: why the reply ended, as `agent.asking.Reply` has it.
        photo_id: the run's photo, for calls that name it otherwise, or not at all.
        taken: ids of earlier calls of the run; some servers count from `call_0` in every reply.
    """
    names = names_of(tuple((tool.name, fields_of(tool)) for tool in tools))
    prose, thought = _prose(message)
    cut = finish in CUT
    raw, problems = _native(message, cut)
    written = find_calls(prose, names, cut=cut)
    if not raw:
        raw = list(written.calls)
        problems = [*problems, *written.problems]
    if len(raw) > MAXIMUM_CALLS:
        detail = f"{len(raw)} calls in one reply; the first {MAXIMUM_CALLS} are looked at"
        problems.append(make_problem("too-many-calls", detail, "rejected"))
    maker = _Maker({tool.name: tool for tool in tools}, photo_id, set(taken), problems)
    calls = [call for one in raw[:MAXIMUM_CALLS] if (call := maker.make(one, names))]
    text = BAD.sub("\ufffd", written.rest)
    if not calls and not any(problem.action == "answered" for problem in problems):
        problems += _silence(message, text, thought, finish)
    return ReadCalls(tuple(calls), tuple(problems), text)


@dataclass
class _Maker:
    """Makes calls of the run from raw ones."""

    tools: Mapping[str, BaseTool]
    photo_id: str
    taken: set[str]
    problems: list[Problem]
    made: set[str] = field(default_factory=set)

    def make(self, raw: RawCall, names: ToolNames) -> ToolCall | None:
        """Return the call, or None where its arguments cannot be read or it is one made already."""
        name = BAD.sub("\ufffd", names.resolve(raw.name) or raw.name)
        try:
            given = self.read(raw.arguments) if isinstance(raw.arguments, str) else raw.arguments
        except LooseJsonError as error:
            self.problems.append(_unreadable(name, str(raw.arguments), error))
            return None
        if given is None and raw.arguments is not None:
            detail = f"{name[:60]}: {str(raw.arguments)[:40]!r} read as no arguments"
            self.problems.append(make_problem("wrong-type", detail, "repaired"))
        arguments, problems = self.fitted(name, {} if given is None else given, raw)
        if name not in self.tools:
            problems.append(unknown_tool(name, names))
        elif name != raw.name:
            detail = f"{raw.name[:60]!r} read as {name!r}"
            problems.append(make_problem("tool-name", detail, "repaired"))
        content = json.dumps([name, arguments], sort_keys=True)
        if content in self.made:
            detail = f"{name[:60]!r} with the same arguments twice in one reply"
            self.problems.append(make_problem("repeated-call", detail, "rejected"))
            return None
        self.made.add(content)
        self.problems += problems
        return ToolCall(
            name=name, args=arguments, id=self.identity(raw, name, arguments), type="tool_call"
        )

    def read(self, text: str) -> object:
        """Return the value of arguments that came as text; JSON inside of JSON is read, too.

        Raises:
            LooseJsonError: it has no single reading.
        """
        value: object = text
        for _ in range(3):
            if not isinstance(value, str):
                break
            inner = re.sub(r"\A\s*```\w*|```\s*\Z", "", value).strip()
            if not inner:
                return {}
            read = read_json(inner)
            if inner[read.end :].strip(" \n\t\r}]"):
                raise LooseJsonError(f"more follows the object: {inner[read.end :][:40]!r}")
            surplus = ("surplus brackets",) if inner[read.end :].strip() else ()
            if wrong := (*read.repairs, *surplus):
                self.problems.append(make_problem("broken-json", ", ".join(wrong), "repaired"))
            value = read.value
        return value

    def fitted(
        self, name: str, given: object, raw: RawCall
    ) -> tuple[dict[str, Any], list[Problem]]:
        if (tool := self.tools.get(name)) is None:
            return clean_arguments(name, given)
        return fit_arguments(tool, given, photo_id=self.photo_id, texts=raw.texts)

    def identity(self, raw: RawCall, name: str, arguments: dict[str, Any]) -> str:
        """Return the call's own id where it is usable and new, else one made from its content."""
        made, number = raw.id or "", 0
        while not _ID.fullmatch(made) or made in self.taken:
            made, number = short_id([name, arguments, number], prefix="c"), number + 1
        if raw.id is not None and made != raw.id:
            detail = f"id {raw.id[:60]!r} is empty, taken or no id; it became {made}"
            self.problems.append(make_problem("call-id", detail, "repaired"))
        self.taken.add(made)
        return made


def _native(message: AIMessage, cut: bool) -> tuple[list[RawCall], list[Problem]]:
    """Return the calls that the server took out of the reply, with arguments as they came."""
    chunks = getattr(message, "tool_call_chunks", None)
    if chunks:  # their text, not what LangChain completed it to
        found = [
            _raw(chunk.get("name"), chunk.get("args") or "", chunk.get("id")) for chunk in chunks
        ]
    else:
        found = [
            _raw(one.get("name"), one.get("args"), one.get("id")) for one in message.tool_calls
        ]
    problems = list[Problem]()
    if cut and found and not message.invalid_tool_calls and not found[-1].arguments:
        problems.append(_cut(found.pop().name, "no arguments yet"))
    for bad in () if chunks else message.invalid_tool_calls:
        found.append(_raw(bad.get("name"), bad.get("args") or "", bad.get("id")))
    return found or _legacy(message.additional_kwargs), problems


def _raw(name: object, arguments: object, identity: object) -> RawCall:
    return RawCall(
        name=name if isinstance(name, str) else "",
        arguments=arguments,
        id=identity if isinstance(identity, str) else "",
    )


def _legacy(extra: Mapping[str, Any]) -> list[RawCall]:
    """Return calls in the fields of the protocol that LangChain did not read."""
    one, several = extra.get("function_call"), extra.get("tool_calls")
    bodies = [one] if isinstance(one, dict) else []
    for item in several if isinstance(several, list) else ():
        if isinstance(item, dict) and isinstance(body := item.get("function"), dict):
            bodies.append({**body, "id": item.get("id")})
    return [_raw(body.get("name"), body.get("arguments"), body.get("id")) for body in bodies]


def _prose(message: AIMessage) -> tuple[str, str]:
    """Return what the reply says and what it thinks."""
    said, thought = list[str](), list[str]()
    blocks = message.content if isinstance(message.content, list) else [message.content]
    for block in blocks:
        if isinstance(block, str):
            said.append(block)
        elif isinstance(block, dict):
            kind = str(block.get("type"))
            text = block.get("text") or block.get("thinking") or block.get("reasoning")
            if isinstance(text, str):
                (thought if kind in _THINKING_BLOCKS else said).append(text)
    for key in ("reasoning_content", "reasoning"):
        if isinstance(text := message.additional_kwargs.get(key), str):
            thought.append(text)
    text, inside = split_thinking("".join(said))
    return text.strip(), "\n".join([*thought, inside]).strip()


def _silence(message: AIMessage, text: str, thought: str, finish: str) -> list[Problem]:
    """Return why a reply without calls has none, where its form says so."""
    blocks = message.content if isinstance(message.content, list) else []
    refused = message.additional_kwargs.get("refusal") or next(
        (b.get("refusal") for b in blocks if isinstance(b, dict) and b.get("type") == "refusal"), ""
    )
    regrets = len(text) <= REFUSAL_LETTERS and _REFUSAL.match(text)
    if refused or finish == "content_filter" or regrets:
        said = str(refused or text) or finish
        return [make_problem("refusal", f"the model refuses: {said[:200]!r}", "answered")]
    if finish in CUT:
        if text:
            return [_cut("a tool", text)]
        limit = "length" if finish == "length" else "time"
        if thought:
            detail = f"nothing but thinking until the limit of {limit}; think less and call a tool"
            return [make_problem("endless-thinking", detail, "answered")]
    if not text:
        detail = "thinking, and then nothing" if thought else "nothing at all"
        return [make_problem("empty", f"{detail}; call a tool", "answered")]
    return []


def _unreadable(name: str, text: str, error: LooseJsonError) -> Problem:
    if isinstance(error, CutJsonError):
        return _cut(name, text)
    detail = (
        f"the arguments of {name[:60]!r} are not JSON, {str(error)[:120]}: {text[:120]!r}; send "
        "the call again"
    )
    return make_problem("broken-json", detail, "answered")


def _cut(name: str, text: str) -> Problem:
    detail = (
        f"the call of {name[:60]!r} ends in the middle: ...{text[-100:]!r}; send it again whole"
    )
    return make_problem("truncated", detail, "answered")
