"""What a build says: how far it is, what it did, what it could not use."""

import contextlib
import json
import re
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from index_builder.files import PARTIAL, unwritable
from index_builder.records import Rejected

EXAMPLES = 10
"""Rejected records that a report names; the file names all."""
_KINDS = 50
"""Reasons that are told apart."""
_OTHER = "other reasons"
_WINDOW_S = 30.0


@dataclass(frozen=True)
class Progress:
    """How far a build is."""

    stage: str
    """`reading` names and bytes, `describing` photos for the codebook, `sampling`, `adding`,
    `optimizing` the index."""
    done: int
    total: int
    """0 while unknown."""
    photos_per_s: float
    """Of the last half minute."""
    remaining_s: float | None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    path: Path
    added: int
    updated: int
    """Known photos whose source now says something else of them."""
    skipped: int
    """Photos that were there already, or twice in the source."""
    rejected: int
    reasons: Mapping[str, int]
    """Why, names and numbers left out, and how many each."""
    examples: tuple[Rejected, ...]
    """The first of them."""
    rejects_path: Path
    """File of all of them."""
    seconds: float
    photos: int
    """How many the gallery holds now."""


@dataclass
class Clock:
    """Counts one stage and tells the caller."""

    stage: str
    total: int
    tell: OnProgress | None
    done: int = 0
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Start the clock."""
        self._recent.append((time.monotonic(), 0))

    def step(self, count: int = 1) -> None:
        """Count so many more and tell."""
        self.done += count
        if not self.tell:
            return
        now = time.monotonic()
        while len(self._recent) > 1 and self._recent[1][0] < now - _WINDOW_S:
            self._recent.popleft()
        began, before = self._recent[0]
        if now > self._recent[-1][0] + 0.1 or len(self._recent) == 1:
            self._recent.append((now, self.done))
        rate = (self.done - before) / max(now - began, 1e-6)
        left = max(0, self.total - self.done) / rate if self.total and rate else None
        self.tell(Progress(self.stage, self.done, self.total, rate, left))


@dataclass
class Unused:
    """How many records cannot be used, and the first of them."""

    count: int = 0
    first: Rejected | None = None

    def add(self, rejected: Rejected) -> None:
        """Count one."""
        self.count += 1
        self.first = self.first or rejected


class Rejects:
    """The file `rejects.jsonl`, written as it comes and put in place when the build is complete."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rejects.jsonl"
        self._partial = folder / f"{PARTIAL}{secrets.token_hex(8)}"
        self.count = 0
        self.examples: list[Rejected] = []
        self._reasons: Counter[str] = Counter()

    def __enter__(self) -> "Rejects":
        """Begin the file.

        Raises:
            InputError: it cannot be written.
        """
        try:
            self._file = open(self._partial, "x", encoding="utf-8")
        except OSError as error:
            raise unwritable(self.path, error) from None
        return self

    def add(self, rejected: Rejected) -> None:
        """Write one.

        Raises:
            InputError: the disk is full.
        """
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(rejected)
        kind = kind_of(rejected.reason)
        self._reasons[kind if kind in self._reasons or len(self._reasons) < _KINDS else _OTHER] += 1
        stated = {"name": rejected.name, "reason": rejected.reason}
        with self._guarded():
            self._file.write(json.dumps(stated, ensure_ascii=False) + "\n")

    @property
    def reasons(self) -> dict[str, int]:
        """Why records were rejected, the most frequent first."""
        return dict(self._reasons.most_common())

    def complete(self) -> None:
        """Put the file in place of the former one.

        Raises:
            InputError: the disk is full.
        """
        with self._guarded():
            self._file.close()
            self._partial.replace(self.path)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self.path, error) from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)


def kind_of(reason: str) -> str:
    """Return a reason without the names and numbers that make each one different."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", reason)
    return re.sub(r"[+-]?\d[\d.,]*", "N", bare)
