"""Many photos side by side: threads, a stop, outages told from failures, how far it is.

Shared by whatever locates many photos and keeps a row of each: `agent.batch`, evaluation.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from geo.errors import InputError, UnavailableError

CONCURRENCY = 4
MAX_CONCURRENCY = 256
OUTAGE_ROWS = 5
"""So many photos in a row that something missing keeps from an answer are an outage."""
LOOK_S = 0.2
"""How often a stop is looked for."""


class HasStatus(Protocol):
    """A row; `failed` is the status of a photo without an answer."""

    @property
    def status(self) -> str:
        """What became of the photo."""
        ...


Photo = TypeVar("Photo")
Out = TypeVar("Out")
Row = TypeVar("Row", bound=HasStatus)


class End(NamedTuple, Generic[Photo, Row]):
    """How a photo came out of its thread."""

    photo: Photo
    row: Row | None
    """None where an earlier run made it."""
    outage: UnavailableError | None = None


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is.

    Attributes:
        counts: rows by status, those of earlier runs included.
        kept: rows of earlier runs.
        photos_per_s: of this run, since its beginning.
    """

    done: int
    total: int
    counts: Mapping[str, int]
    kept: int
    photos_per_s: float


OnProgress = Callable[[BatchProgress], None]


def check_concurrency(concurrency: int) -> None:
    """Refuse to locate none, or too many, at the same time.

    Raises:
        InputError: out of range.
    """
    if not 1 <= concurrency <= MAX_CONCURRENCY:
        raise InputError(f"concurrency {concurrency}, limits 1 and {MAX_CONCURRENCY}; choose one")


def side_by_side(
    worker: Callable[[Photo], Out],
    photos: Iterable[Photo],
    concurrency: int,
    stop: threading.Event | None,
    grace_s: float | None,
) -> Generator[Out, None, None]:
    """Yield how photos came out as they do; no more are begun than are located at once.

    Args:
        worker: called in threads; what it raises ends everything.
        photos: begun in this order.
        concurrency: photos at the same time.
        stop: once set, no photo is begun.
        grace_s: how long those that are begun may then still take; None waits for them.
    """
    waiting = iter(photos)
    running: set[Future[Out]] = set()
    deadline = float("inf")
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="batch")
    try:
        while True:
            stopped = stop is not None and stop.is_set()
            if stopped and deadline == float("inf") and grace_s is not None:
                deadline = time.monotonic() + grace_s
            while not stopped and len(running) < concurrency:
                try:
                    photo = next(waiting)
                except StopIteration:
                    break
                running.add(pool.submit(worker, photo))
            if not running or time.monotonic() >= deadline:
                return
            ended, running = wait(running, LOOK_S, FIRST_COMPLETED)
            for future in ended:
                yield future.result()
    finally:
        # Whoever asked must not close the geolocator under threads that use it.
        pool.shutdown(wait=time.monotonic() < deadline, cancel_futures=True)


def journaled(
    ends: Generator[End[Photo, Row], None, None],
    held: Callable[[Photo], Row],
    write: Callable[[Row], None],
    stop: threading.Event,
) -> Generator[tuple[Row, bool], None, None]:
    """Yield each row and whether an earlier run made it; write those of this run down.

    Photos that something missing keeps from an answer wait: if the next one is answered, it was
    theirs alone and they failed; if none is, it is an outage, and they are left for another run.

    Args:
        ends: as they come.
        held: returns the row of an earlier run.
        write: keeps a row of this one.
        stop: whether it was set tells a run that ended from one that was stopped.

    Raises:
        UnavailableError: an outage.
    """

    def written(rows: Iterable[Row | None]) -> Generator[tuple[Row, bool], None, None]:
        for row in rows:
            if row is not None:
                write(row)
                yield row, False

    kept_back: list[End[Photo, Row]] = []
    answered = False
    with contextlib.closing(ends):
        for end in ends:
            if end.outage is not None:
                kept_back.append(end)
                if len(kept_back) >= OUTAGE_ROWS:
                    raise _outage(kept_back)
                continue
            if end.row is None:
                yield held(end.photo), True
                continue
            if end.row.status != "failed":
                answered = True
                yield from written([waiting.row for waiting in kept_back])
                kept_back = []
            yield from written([end.row])
    if kept_back and not answered:
        if stop.is_set():
            return
        raise _outage(kept_back)
    yield from written([waiting.row for waiting in kept_back])


def _outage(ends: Sequence[End[Photo, Row]]) -> UnavailableError:
    error = ends[-1].outage
    assert error is not None
    return UnavailableError(
        f"{len(ends)} photos in a row could not be located: {error}; rows that are done are kept, "
        "run the same command again to go on",
        retryable=error.retryable,
    )


class Tally:
    """Counts rows and tells how far a batch is.

    Args:
        total: photos.
        tell: called after each row.
    """

    def __init__(self, total: int, tell: OnProgress | None) -> None:
        self.counts: Counter[str] = Counter()
        self.kept = 0
        self._total = total
        self._tell = tell
        self._began = time.monotonic()

    def count(self, row: HasStatus, kept: bool) -> None:
        """Count a row and tell."""
        self.counts[row.status] += 1
        self.kept += kept
        if self._tell:
            done = self.counts.total()
            rate = (done - self.kept) / max(time.monotonic() - self._began, 1e-6)
            self._tell(BatchProgress(done, self._total, dict(self.counts), self.kept, rate))
