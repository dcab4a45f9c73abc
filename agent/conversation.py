"""The conversation as it goes over the wire: what servers accept, and what fits.

State keeps ids of photos, never pixels; here, and only here, they become images. Everything else
is made plain: text, standard tool calls, each with its result behind it, user and assistant in
turn. The same messages always give the same request, so that a server's prefix cache holds.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)

from agent.shown_pictures import PictureCache
from geo.errors import GeolocationError
from tools.photo_store import PhotoStore

KEPT_LETTERS = 1600
"""What is left of an old tool result at the first degree of shortening; halved at each more."""
LEAST_LETTERS = 50
EVIDENCE_LETTERS = 400
"""Longest line that is kept because it names evidence."""
ID_DIGITS = 12
"""Digits of a photo's id that a model is shown; tools take 8 or more."""
NO_REPLY = "(no answer)"
NOT_RUN = "Not run."
_EVIDENCE = re.compile(r"\be[0-9a-f]{10}\b")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_IMAGES = frozenset({"image", "image_url", "input_image"})
_PICTURES = PictureCache()

Part = dict[str, Any]


@dataclass(frozen=True)
class WireLimits:
    """What a server takes.

    Attributes:
        images: most images in one request; 0 sends none.
        side_px: longest side of an image, pixels.
        tool_messages: whether it takes tool calls and results; they become text otherwise.
        see: whether it takes images at all.
        drop_images: how many more of the oldest images are left out; the first photo goes last.
        shorten: how far old turns are shortened, 0 for not at all.
    """

    images: int = 6
    side_px: int = 1024
    tool_messages: bool = True
    see: bool = True
    drop_images: int = 0
    shorten: int = 0


@dataclass(frozen=True)
class Wired:
    """A request's messages.

    Attributes:
        messages: as the chat client takes them.
        images: ids of the photos that travel as images.
        dropped: what was left out or shortened, and why.
        characters: of all texts and arguments; images not counted.
    """

    messages: list[BaseMessage]
    images: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    characters: int = 0


def wire(messages: Sequence[AnyMessage], photos: PhotoStore, limits: WireLimits) -> Wired:
    """Return the messages of a state as a server takes them; raises nothing.

    Where no image is dropped and nothing shortened, messages that follow an assistant's leave
    those before it as they were.
    """
    writer = _Writer(photos, limits, _chosen(messages, limits))
    latest = max((i for i, m in enumerate(messages) if isinstance(m, AIMessage)), default=0)
    system = "\n\n".join(filter(None, (_text(m) for m in messages if _is_system(m))))
    at = 0
    while at < len(messages):
        message = messages[at]
        old = bool(limits.shorten) and at < latest
        at += 1
        if isinstance(message, AIMessage):
            end = next((i for i in range(at, len(messages)) if _starts_turn(messages[i])), None)
            segment = messages[at : len(messages) if end is None else end]
            at += len(segment)
            writer.turn(message, segment, old)
        elif isinstance(message, ToolMessage):
            writer.orphan(message, old)
        elif not _is_system(message):
            writer.user(message)
    done = writer.finish()
    return Wired(
        messages=[SystemMessage(system), *done] if system else done,
        images=tuple(writer.images),
        dropped=tuple(writer.dropped),
        characters=writer.characters + len(system),
    )


def _starts_turn(message: BaseMessage) -> bool:
    return isinstance(message, AIMessage)


def _is_system(message: BaseMessage) -> bool:
    return isinstance(message, SystemMessage) or message.type in ("system", "developer")


@dataclass
class _Writer:
    """Writes messages one after the other, merging what a user says in a row."""

    photos: PhotoStore
    limits: WireLimits
    chosen: frozenset[str]
    done: list[BaseMessage] = field(default_factory=list)
    said: list[Part] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    mentioned: set[str] = field(default_factory=set)
    characters: int = 0

    def user(self, message: BaseMessage) -> None:
        for part in _blocks(message):
            if isinstance(part, str):
                self.say(part)
            elif part.get("type") == "photo":
                self.photo(str(part.get("photo_id") or ""), str(part.get("caption") or ""))
            elif str(part.get("type")) in _IMAGES:
                self.say("[an image; it is shown by its id]")
            else:
                self.say(str(part.get("text") or "[a file; it cannot be read]"))

    def say(self, text: str) -> None:
        if text.strip():
            self.said.append({"type": "text", "text": text})

    def photo(self, photo_id: str, caption: str) -> None:
        """Show a photo with a line before it, or say in its place why it is not shown."""
        name = photo_id[:ID_DIGITS]
        if photo_id in self.mentioned:
            self.say(f"[picture {name}: {caption}; see above]")
            return
        self.mentioned.add(photo_id)
        why = "the server takes no images"
        if self.limits.see and self.limits.images:
            why = f"limit {self.limits.images} images, {self.limits.drop_images} fewer for length"
        if photo_id not in self.chosen:
            state = "no longer shown" if self.limits.see and self.limits.images else "not shown"
            self.say(f"[picture {name}: {caption}; {state}]")
            self.dropped.append(f"picture {name} ({caption[:80]}): {why}")
            return
        try:
            picture = _PICTURES.show(self.photos, photo_id, self.limits.side_px)
        except GeolocationError as error:
            self.say(f"[picture {name}: {caption}; cannot be opened]")
            self.dropped.append(f"picture {name} ({caption[:80]}): {error!s:.200}")
            return
        size = f"{picture.size[0]} x {picture.size[1]} px"
        if picture.shown != picture.size:
            size += f", shown at {picture.shown[0]} x {picture.shown[1]}"
        self.say(f"Picture {name}: {caption} ({size})")
        self.said.append({"type": "image_url", "image_url": {"url": picture.uri}})
        self.images.append(photo_id)

    def turn(self, message: AIMessage, segment: Sequence[AnyMessage], old: bool) -> None:
        """Write what the assistant said and called, each result, and what the user then said."""
        self.flush()
        calls, results = message.tool_calls, _paired(message.tool_calls, segment)
        text = self.shortened(_text(message), "what was said before", old)
        if not self.limits.tool_messages:
            self.put(AIMessage(_structured(text, calls) if calls else text or NO_REPLY))
        elif calls or not text:
            made = [_standard(call) for call in calls]
            self.characters += sum(len(str(call["args"])) for call in made)
            self.put(AIMessage(content=text if calls else NO_REPLY, tool_calls=made))
        else:
            self.put(AIMessage(text))
        for call, result in zip(calls, results, strict=True):
            self.result(call, result, old)
        given = {id(result) for result in results if result is not None}
        for other in segment:
            if isinstance(other, ToolMessage):
                if id(other) not in given:
                    self.orphan(other, old)
            elif not _is_system(other):
                self.user(other)

    def result(self, call: ToolCall, result: ToolMessage | None, old: bool) -> None:
        text = NOT_RUN if result is None else _text(result) or "(no text)"
        text = self.shortened(text, f"result of {call['name'][:60]} ({call['id']})", old)
        if self.limits.tool_messages:
            self.put(_told_by_tool(text, call["id"] or ""))
        else:
            self.say(f"Result of {call['name'][:64]}:\n{text}")

    def orphan(self, message: ToolMessage, old: bool) -> None:
        """Tell a result that no call asked for as text: servers refuse it as a result."""
        name = str(message.name or "a tool")[:64]
        text = self.shortened(_text(message), f"result of {name}", old)
        self.say(f"Result of {name}:\n{text}")

    def shortened(self, text: str, what: str, old: bool) -> str:
        """Return the beginning of an old text and its lines that name evidence."""
        if not old:
            return text
        limit = max(LEAST_LETTERS, KEPT_LETTERS >> min(self.limits.shorten - 1, 20))
        if len(text) <= limit:
            return text
        named = [line for line in text[limit:].split("\n") if _EVIDENCE.search(line)]
        kept = [text[:limit] + " [...]", *(_around_evidence(line) for line in named)]
        short = "\n".join(kept)
        if len(short) >= len(text):
            return text
        self.dropped.append(f"{what}: {len(text)} characters shortened to {len(short)}")
        return short

    def put(self, message: BaseMessage) -> None:
        """Write a message of another than the user, who comes first."""
        if not self.done and not self.said:
            self.say("(The conversation begins.)")
        self.flush()
        self.done.append(message)
        self.characters += len(message.content)

    def flush(self) -> None:
        """Write what the user said as one message: plain text where there is no image."""
        if not self.said:
            return
        parts = list(_joined(self.said))
        self.characters += sum(len(part.get("text", "")) for part in parts)
        if [part["type"] for part in parts] == ["text"]:
            self.done.append(_told_by_user(str(parts[0]["text"])))
        else:
            self.done.append(HumanMessage([*parts]))
        self.said = []

    def finish(self) -> list[BaseMessage]:
        self.flush()
        return self.done


# Every turn sends all that was said before: what has not changed is not made again.
@lru_cache(maxsize=2048)
def _told_by_tool(text: str, call_id: str) -> ToolMessage:
    return ToolMessage(text, tool_call_id=call_id)


@lru_cache(maxsize=2048)
def _told_by_user(text: str) -> HumanMessage:
    return HumanMessage(text)


def _chosen(messages: Sequence[AnyMessage], limits: WireLimits) -> frozenset[str]:
    """Return the photos to show: the first longest, of the others those named last."""
    if not limits.see or limits.images <= 0:
        return frozenset()
    named: dict[str, None] = {}
    first: str | None = None
    for message in messages:
        if isinstance(message, AIMessage | ToolMessage) or isinstance(message.content, str):
            continue
        for block in message.content:
            if isinstance(block, dict) and block.get("type") == "photo":
                photo_id = str(block.get("photo_id") or "")
                first = photo_id if first is None else first
                named.pop(photo_id, None)
                named[photo_id] = None  # a dict remembers the order of its keys
    by_age = [photo_id for photo_id in named if photo_id != first]
    order = by_age if first is None else [*by_age, first]
    leave_out = max(0, len(order) - limits.images) + max(0, limits.drop_images)
    return frozenset(order[leave_out:])


def _paired(calls: Sequence[ToolCall], segment: Sequence[AnyMessage]) -> list[ToolMessage | None]:
    """Return each call's result, in the order of the calls; None where it has none."""
    waiting: dict[str, list[ToolMessage]] = {}
    for message in segment:
        if isinstance(message, ToolMessage):
            waiting.setdefault(message.tool_call_id, []).append(message)
    return [found.pop(0) if (found := waiting.get(call["id"] or "")) else None for call in calls]


def _standard(call: ToolCall) -> ToolCall:
    """Return a call with a name that every server takes."""
    name = call["name"]
    if not _NAME.fullmatch(name):
        name = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "unknown"
    return ToolCall(name=name, args=call["args"], id=call["id"] or "", type="tool_call")


def _structured(text: str, calls: Sequence[ToolCall]) -> str:
    """Return calls as text, in the form that a model without tool calls is asked to answer in."""
    listed = [{"tool": call["name"], "arguments": call["args"]} for call in calls]
    return json.dumps({"thought": text, "calls": listed}, ensure_ascii=False, default=str)


def _blocks(message: BaseMessage) -> Iterator[str | Part]:
    """Yield the texts and other blocks of a message's content."""
    content = message.content
    for block in [content] if isinstance(content, str) else content:
        if isinstance(block, dict) and block.get("type") in ("text", "input_text", "output_text"):
            yield str(block.get("text") or "")
        elif isinstance(block, str | dict):
            yield block


def _text(message: BaseMessage) -> str:
    """Return the text of a message, nothing else of it."""
    if isinstance(message.content, str):
        return message.content.strip()
    return "\n".join(part for part in _blocks(message) if isinstance(part, str)).strip()


def _joined(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield parts with texts in a row made one."""
    texts: list[str] = []
    for part in parts:
        if part["type"] == "text":
            texts.append(part["text"])
            continue
        if texts:
            yield {"type": "text", "text": "\n\n".join(texts)}
            texts = []
        yield part
    if texts:
        yield {"type": "text", "text": "\n\n".join(texts)}


def _around_evidence(line: str) -> str:
    """Return a line that names evidence; of a very long one the part around its first name."""
    match = _EVIDENCE.search(line)
    if match is None or len(line) <= EVIDENCE_LETTERS:
        return line
    start = max(0, match.start() - EVIDENCE_LETTERS // 2)
    return line[start : start + EVIDENCE_LETTERS]
