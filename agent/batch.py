"""Many photos, one row each: located side by side, kept in a journal, gone on with after a stop."""

import contextlib
import hashlib
import logging
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from pydantic import JsonValue

from agent.batch_journal import Journal
from agent.batch_rows import BatchPhoto, BatchRow, as_photo, failed_row, row_of
from agent.batch_settings import settings_of
from encoders.photo_file import read_photo_bytes
from geo.errors import GeolocationError, InputError, UnavailableError
from index_builder.files import unwritable

if TYPE_CHECKING:
    from agent.geolocator import Geolocator

logger = logging.getLogger(__name__)
CONCURRENCY = 4
MAX_CONCURRENCY = 256
OUTAGE_ROWS = 5
"""So many photos in a row that something missing keeps from an answer are an outage."""
LOOK_S = 0.2
"""How often a stop is looked for."""


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


def locate_batch(
    geolocator: "Geolocator",
    photos: Sequence[Path | str | BatchPhoto],
    journal: Path | Journal,
    *,
    concurrency: int = CONCURRENCY,
    trust_metadata: bool = False,
    traces: Path | None = None,
    retry_failed: bool = False,
    stated: Mapping[str, JsonValue] | None = None,
    stop: threading.Event | None = None,
    grace_s: float | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[BatchRow]:
    """Locate photos and yield one row each, failures included, in the order in which they end.

    What the journal holds of the same file under the same settings is not located again; its
    rows are yielded too. What a photo's file holds is told by its SHA-256.

    Args:
        geolocator: asked from several threads.
        photos: paths, or photos with names of their own; a name that comes twice counts once.
        journal: file of the rows, or the open journal; `agent.batch_journal` says how it is kept.
        concurrency: photos located at the same time.
        trust_metadata: see `Geolocator.locate`.
        traces: folder of the traces, one for each run; the settings' own by default.
        retry_failed: locate again what failed in an earlier run.
        stated: what else shapes the answers, for the journal; see `settings_of`.
        stop: once set, no photo is begun.
        grace_s: how long photos that are being located may then still take; what has not ended by
            then is left alone in its thread. None waits for them.
        on_progress: called after each row, in the caller's thread.

    Raises:
        InputError: the journal or the folder of traces cannot be used, or `concurrency` is out of
            range.
        ConfigError: the journal was made under other settings.
        UnavailableError: another batch writes this journal; it cannot be written; or nothing can
            be located for now. What is done is in the journal.
    """
    if not 1 <= concurrency <= MAX_CONCURRENCY:
        raise InputError(f"concurrency {concurrency}, limits 1 and {MAX_CONCURRENCY}; choose one")
    named = {photo.name: photo for photo in map(as_photo, photos)}
    settings = settings_of(geolocator, trust_metadata=trust_metadata, **(stated or {}))
    with contextlib.ExitStack() as stack:
        if isinstance(journal, Path):
            journal = stack.enter_context(Journal(journal, settings))
        folder = _writable(traces or geolocator.settings.traces)
        worker = _Worker(geolocator, journal, folder, trust_metadata, retry_failed)
        ends = _side_by_side(worker, named.values(), concurrency, stop, grace_s)
        tally = _Tally(len(named), on_progress)
        with contextlib.closing(_journaled(ends, journal, stop or threading.Event())) as rows:
            for row, kept in rows:
                tally.count(row, kept)
                yield row


def _writable(folder: Path) -> Path:
    """Return a folder for traces: one that cannot be written to would fail every photo."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(folder, error) from None
    return folder


class _End(NamedTuple):
    """How a photo came out of its thread."""

    photo: BatchPhoto
    row: BatchRow | None
    """None where the journal has it."""
    outage: UnavailableError | None = None


@dataclass
class _Worker:
    """Locates one photo; called from several threads, which only read the journal."""

    geolocator: "Geolocator"
    journal: Journal
    traces: Path
    trust_metadata: bool
    retry_failed: bool
    _turns: "WeakValueDictionary[str, threading.Lock]" = field(default_factory=WeakValueDictionary)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, photo: BatchPhoto) -> _End:
        """Return the row of a photo, whatever happens."""
        photo_id, unread, trace = "", None, self._trace(photo)
        try:
            data = read_photo_bytes(photo.path, self.geolocator.bench.photos.limits)
            photo_id = hashlib.sha256(data).hexdigest()
        except InputError as error:
            unread = failed_row(photo, "", error, trace)
        if self.journal.holds(photo.name, photo_id, failed=not self.retry_failed):
            return _End(photo, None)
        return _End(photo, unread) if unread else self._located(photo, photo_id, trace)

    def _located(self, photo: BatchPhoto, photo_id: str, trace: Path) -> _End:
        try:
            with self._turn(photo_id):
                answer = self.geolocator.locate(
                    photo.path, trust_metadata=self.trust_metadata, trace=trace
                )
            return _End(photo, row_of(photo, answer))
        except Exception as error:
            if not isinstance(error, GeolocationError):
                logger.exception("photo %r", photo.name)
            outage = error if isinstance(error, UnavailableError) else None
            return _End(photo, failed_row(photo, photo_id, error, trace), outage)

    def _turn(self, photo_id: str) -> threading.Lock:
        """Return the lock of a photo: copies of one under several names share a place in the store.

        Each run must find its own name there, which is a claim about the place like any other.
        """
        with self._lock:
            return self._turns.setdefault(photo_id, threading.Lock())

    def _trace(self, photo: BatchPhoto) -> Path:
        """Return a file that no other run has: rows of earlier runs still point to theirs."""
        stem = re.sub(r"[^\w.-]", "_", Path(photo.name).stem, flags=re.ASCII)[:60]
        name = hashlib.sha256(photo.name.encode()).hexdigest()[:12]
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        return self.traces / f"{stem}-{name}-{stamp}.jsonl"


def _side_by_side(
    worker: Callable[[BatchPhoto], _End],
    photos: Iterable[BatchPhoto],
    concurrency: int,
    stop: threading.Event | None,
    grace_s: float | None,
) -> "Generator[_End, None, None]":
    """Yield how photos came out as they do; no more are begun than are located at once."""
    waiting = iter(photos)
    running: set[Future[_End]] = set()
    deadline = float("inf")
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="batch")
    try:
        while True:
            stopped = stop is not None and stop.is_set()
            if stopped and deadline == float("inf") and grace_s is not None:
                deadline = time.monotonic() + grace_s
            while not stopped and len(running) < concurrency:
                if (photo := next(waiting, None)) is None:
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


def _journaled(
    ends: "Generator[_End, None, None]", journal: Journal, stop: threading.Event
) -> "Generator[tuple[BatchRow, bool], None, None]":
    """Yield each row and whether an earlier run made it; write those of this run down.

    Photos that something missing keeps from an answer wait: if the next one is answered, it was
    theirs alone and they failed; if none is, it is an outage, and they are left for another run.

    Raises:
        UnavailableError: an outage.
    """
    kept_back: list[_End] = []
    answered = False
    with contextlib.closing(ends):
        for end in ends:
            if end.outage is not None:
                kept_back.append(end)
                if len(kept_back) >= OUTAGE_ROWS:
                    raise _outage(kept_back)
                continue
            if end.row is None:
                yield journal.row(end.photo.name), True
                continue
            if end.row.status != "failed":
                answered = True
                yield from _written(journal, [held.row for held in kept_back])
                kept_back = []
            yield from _written(journal, [end.row])
    if kept_back and not answered:
        if stop.is_set():
            return
        raise _outage(kept_back)
    yield from _written(journal, [held.row for held in kept_back])


def _written(journal: Journal, rows: Iterable[BatchRow | None]) -> Iterator[tuple[BatchRow, bool]]:
    for row in rows:
        if row is not None:
            journal.append(row)
            yield row, False


def _outage(ends: Sequence[_End]) -> UnavailableError:
    error = ends[-1].outage
    assert error is not None
    return UnavailableError(
        f"{len(ends)} photos in a row could not be located: {error}; rows that are done are kept, "
        "run the same command again to go on",
        retryable=error.retryable,
    )


class _Tally:
    """Counts rows and tells how far the batch is."""

    def __init__(self, total: int, tell: OnProgress | None) -> None:
        self._total = total
        self._tell = tell
        self._counts: Counter[str] = Counter()
        self._kept = 0
        self._began = time.monotonic()

    def count(self, row: BatchRow, kept: bool) -> None:
        """Count a row and tell."""
        self._counts[row.status] += 1
        self._kept += kept
        if self._tell:
            done = self._counts.total()
            rate = (done - self._kept) / max(time.monotonic() - self._began, 1e-6)
            self._tell(BatchProgress(done, self._total, dict(self._counts), self._kept, rate))
