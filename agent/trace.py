"""The trace: ordered, hash-chained events of a run, one JSON object a line.

Every event's `hash` is the SHA-256 of the previous hash and its own canonical JSON, so an
edited, dropped or reordered line breaks the chain at a line that `verify_trace` names.
Lines are written whole and flushed one by one: a run stopped at any moment leaves a trace
that reads up to its last whole line.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, ValidationError

from geo.errors import InputError
from tools.evidence import Record

EventKind = Literal[
    "photo", "tool_call", "tool_result", "evidence", "belief", "rejection", "budget", "answer",
    "error",
]  # fmt: skip
GENESIS = "0" * 64


class Event(Record):
    """One event; `data` is plain JSON."""

    number: int = Field(ge=1)
    seconds: float = Field(ge=0)
    """Since the run began."""
    kind: EventKind
    data: dict[str, JsonValue]
    previous: str
    hash: str

    def computed_hash(self) -> str:
        """Return the hash this event must carry."""
        return _chain(self.previous, self.model_dump(mode="json", exclude={"hash", "previous"}))


class Trace:
    """Appends events to a JSONL file, or only chains them where `path` is None."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._started = time.monotonic()
        self._number = 0
        self._previous = GENESIS
        self._file = None
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("w", encoding="utf-8")
            except OSError as error:
                raise InputError(
                    f"cannot write the trace {str(path)!r}: {error.strerror}; choose another path"
                ) from error

    def append(self, kind: EventKind, data: dict[str, JsonValue]) -> Event:
        """Chain one event, write it, and return it."""
        self._number += 1
        draft: dict[str, JsonValue] = {
            "number": self._number,
            "seconds": round(time.monotonic() - self._started, 4),
            "kind": kind,
            "data": data,
        }
        digest = _chain(self._previous, draft)
        event = Event.model_validate({**draft, "previous": self._previous, "hash": digest})
        self._previous = digest
        if self._file is not None:
            self._file.write(event.model_dump_json() + "\n")
            self._file.flush()
        return event

    def close(self) -> None:
        """Close the file; the trace stays readable."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_trace(path: Path) -> Iterator[Event]:
    """Yield the events of a trace file.

    Raises:
        InputError: the file cannot be read, or a line is not an event.
    """
    try:
        # Not splitlines: text from photos may hold separators that JSON leaves as they are.
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the trace {str(path)!r}: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            yield Event.model_validate_json(line)
        except ValidationError as error:
            detail = error.errors()[0]["msg"]
            raise InputError(f"{path.name!r} line {number} is not an event: {detail}") from error


def verify_trace(path: Path) -> int:
    """Check the chain and return how many events it holds.

    Raises:
        InputError: an event was edited, dropped, added or moved; the message names it.
    """
    previous, number = GENESIS, 0
    for number, event in enumerate(read_trace(path), start=1):
        if event.number != number or event.previous != previous:
            raise InputError(f"{path.name!r}: event {event.number} does not follow the one before")
        if event.hash != event.computed_hash():
            raise InputError(f"{path.name!r}: event {event.number} ({event.kind}) was edited")
        previous = event.hash
    return number


def _chain(previous: str, content: dict[str, JsonValue]) -> str:
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256((previous + canonical).encode("utf-8", "surrogatepass")).hexdigest()
