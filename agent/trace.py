"""The trace: ordered, hash-chained events of a run, one JSON object a line.

Every event's `hash` is the SHA-256 of the bytes of its line before it, which hold the hash of the
event before: an edited, dropped or reordered line, down to a space, breaks the chain at an event
that `verify_trace` names (docs/traces.md has the ten lines of Python that anyone can check it by).
Lines are written whole and flushed one by one: a run stopped at any moment leaves a trace
that reads up to its last whole line. A last line without its end is such a stop, not an edit.
"""

import contextlib
import hashlib
import json
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Self, get_args

from pydantic import Field, JsonValue, ValidationError

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
from tools.evidence import Record

EventKind = Literal[
    "photo", "tool_call", "tool_result", "evidence", "belief", "rejection", "budget", "answer",
    "error", "model_call", "model_reply", "malformed", "retry", "context", "conflict", "question",
    "notice", "trajectory", "setup", "message", "node", "reply", "stopped", "resumed", "fork",
    "model_error", "decision",
]  # fmt: skip
GENESIS = "0" * 64
_KINDS = frozenset(get_args(EventKind))
_PLAIN = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_WHOLE = re.compile(rb',"hash":"[0-9a-f]{64}".{2,}', re.DOTALL)
"""The end of an event and more: no part of a line that was being written."""
_HASH = ',"hash":"'
"""Begins what is no part of an event's hash."""


class Event(Record):
    """One event; `data` is plain JSON."""

    number: int = Field(ge=1)
    seconds: float = Field(ge=0)
    """Since the run began; a session has several runs."""
    kind: EventKind
    data: dict[str, JsonValue]
    previous: str
    hash: str

    def computed_hash(self) -> str:
        """Return the hash this event must carry."""
        body = _body(self.number, self.seconds, self.kind, _encoded(self.data), self.previous)
        return hashlib.sha256(body.encode()).hexdigest()

    @property
    def line(self) -> bytes:
        """The event's line, as it was written."""
        body = _body(self.number, self.seconds, self.kind, _encoded(self.data), self.previous)
        return f'{body}{_HASH}{self.hash}"}}\n'.encode()


class Trace:
    """Appends events to a JSONL file, or only chains them where `path` is None.

    Safe to share between threads: events stand in the order in which they were appended.

    Args:
        path: the file.
        onward: go on with what the file holds; part of a line at its end is cut off. Without, the
            file is begun anew.

    Raises:
        InputError: the file cannot be written, or what it holds is no trace.
    """

    def __init__(self, path: Path | None, *, onward: bool = False) -> None:
        self.path = path
        self._started = time.monotonic()
        self._number = 0
        self._previous = GENESIS
        self._lock = threading.Lock()
        self._file = None
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if onward and path.exists() and path.stat().st_size:
                    self._number, self._previous = _shortened(path)
                    self._file = path.open("ab", buffering=0)
                else:
                    self._file = path.open("wb", buffering=0)
                self._before = self._number
            except OSError as error:
                raise InputError(
                    f"cannot write the trace {_shown(path)} ({error.strerror}); choose another path"
                ) from None

    def append(self, kind: EventKind, data: dict[str, JsonValue]) -> Event:
        """Chain one event, write it, and return it.

        Raises:
            ValueError: the kind is unknown, or the data is no JSON.
            UnavailableError: the disk is full or gone.
        """
        return Event.model_validate_json(self.write(kind, data))

    def write(self, kind: EventKind, data: dict[str, JsonValue]) -> bytes:
        """Chain one event, write it, and return its line; raises as `append`."""
        if kind not in _KINDS:
            raise ValueError(f"event kind {kind!r:.40}; known are {', '.join(sorted(_KINDS))}")
        plain = _encoded(data)  # outside the lock: it is most of the work
        with self._lock:
            number, previous = self._number + 1, self._previous
            seconds = round(time.monotonic() - self._started, 4)
            body = _body(number, seconds, kind, plain, previous).encode()
            digest = hashlib.sha256(body).hexdigest()
            line = body + f'{_HASH}{digest}"}}\n'.encode()
            self._write(line)
            self._number, self._previous = number, digest
        return line

    def _write(self, line: bytes) -> None:
        """Write a line whole or not at all: half a line would spoil the next one."""
        if self._file is None:
            return
        begun, left = self._file.tell(), memoryview(line)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.seek(self._file.truncate(begun))
            raise UnavailableError(
                f"cannot write the trace {_shown(self.path)} ({error.strerror}); free space or "
                "choose another path with --trace"
            ) from None

    def close(self) -> None:
        """Close the file; the trace stays readable."""
        if self._file is not None and not self._file.closed:
            with contextlib.suppress(OSError):  # what could not be written, `append` has told
                self._file.close()
            assert self.path is not None
            for follower in (*_FOLLOWERS,):
                follower(self.path, self._before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Follower = Callable[[Path, int], object]
"""Told of a trace that was closed: its file, and the number of the last event before it was
opened."""
_FOLLOWERS: list[Follower] = []


def follow_traces(follower: Follower) -> Callable[[], None]:
    """Have it told of every trace that this process closes; return what ends that."""
    _FOLLOWERS.append(follower)
    return lambda: _FOLLOWERS.remove(follower)


class TraceCheck(NamedTuple):
    """What an unbroken trace holds."""

    events: int
    finished: bool
    """Its last event is an answer or an error. Without, the run was stopped or the end is lost."""
    cut: bool
    """After the events comes part of a line: the run was stopped while writing it."""


def read_trace(path: Path) -> Iterator[Event]:
    """Yield the events of a trace file; part of a line at its end is left out.

    Raises:
        InputError: the file cannot be read, or a line is not an event.
    """
    *lines, _ = _lines(path)
    for number, line in enumerate(lines, start=1):
        yield _event(path, number, line)


def check_trace(path: Path) -> TraceCheck:
    """Check the chain and say how far it goes.

    Raises:
        InputError: an event was edited, dropped, added or moved; the message names it.
    """
    *lines, rest = _lines(path)
    previous, number, kind = GENESIS, 0, ""
    for number, line in enumerate(lines, start=1):
        event = _event(path, number, line)
        shown = f"trace {_shown(path)}, event {event.number} ({event.kind})"
        if not _is_sealed(line):
            shown = f"trace {_shown(path)}, event {number} ({event.kind})"
            raise InputError(f"{shown} was edited; do not rely on this trace")
        if event.number != number or event.previous != previous:
            raise InputError(f"{shown} does not follow the one before; do not rely on this trace")
        previous, kind = event.hash, event.kind
    if _WHOLE.search(rest):  # whoever stops while writing leaves less than a whole event
        raise InputError(
            f"trace {_shown(path)}, event {number + 1} was edited at its end; do not rely on this "
            "trace"
        )
    return TraceCheck(number, kind in ("answer", "error"), bool(rest))


def verify_trace(path: Path) -> int:
    """Check the chain and return how many events it holds; raises as `check_trace`."""
    return check_trace(path).events


def _event(path: Path, number: int, line: bytes) -> Event:
    try:
        return Event.model_validate_json(line)
    except ValidationError as error:
        detail = error.errors()[0]["msg"]
        raise InputError(
            f"trace {_shown(path)}, line {number} is not an event ({detail}); give a file "
            "written with --trace"
        ) from None


def _is_sealed(line: bytes) -> bool:
    """Whether a line carries the hash of the bytes before it, and nothing more."""
    body, _, end = line.rpartition(_HASH.encode())
    return end == f'{hashlib.sha256(body).hexdigest()}"}}'.encode()


def _lines(path: Path) -> list[bytes]:
    """Return the whole lines of a file and, last, what follows them: nothing in a whole trace."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"trace {_shown(path)} is no regular file; give a file")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the trace {_shown(path)} ({error.strerror}); check the path"
        ) from None
    if not data:
        raise InputError(
            f"trace {_shown(path)} is empty (0 bytes): the run was stopped "
            "before its first event; run it again"
        )
    # Not splitlines: text from photos may hold separators that JSON leaves as they are.
    return data.split(b"\n")


def _shortened(path: Path) -> tuple[int, str]:
    """Cut off part of a line at a trace's end; return number and hash of its last event."""
    *lines, rest = _lines(path)
    if rest:
        with path.open("r+b") as file:
            file.truncate(sum(len(line) + 1 for line in lines))
    if not lines:
        return 0, GENESIS
    try:
        last = Event.model_validate_json(lines[-1])
    except ValidationError:
        raise InputError(
            f"trace {_shown(path)}, line {len(lines)} is not an event, so nothing can follow it; "
            "move the file away"
        ) from None
    return last.number, last.hash


def _shown(path: Path | None) -> str:
    return f"'{printable(str(path))}'"


def _encoded(data: dict[str, JsonValue]) -> str:
    """Return data as JSON in its own order.

    Halves of characters, which cannot be written as UTF-8, become question marks.
    """
    plain = _PLAIN.encode(data)
    try:
        plain.encode()
    except UnicodeEncodeError:
        plain = plain.encode(errors="replace").decode()
    return plain


def _body(number: int, seconds: float, kind: str, data: str, previous: str) -> str:
    """Return the part of an event's line that its hash is of; `data` is JSON."""
    head = f'{{"number":{number},"seconds":{seconds!r},"kind":"{kind}"'
    return f'{head},"data":{data},"previous":"{previous}"'
