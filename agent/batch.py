"""Many photos, one row each: located side by side, kept in a journal, gone on with after a stop."""

import contextlib
import hashlib
import logging
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from pydantic import JsonValue

from agent.batch_journal import Journal
from agent.batch_rows import BatchPhoto, BatchRow, as_photo, failed_row, row_of
from agent.batch_settings import settings_of
from agent.side_by_side import (
    CONCURRENCY,
    OUTAGE_ROWS,
    BatchProgress,
    End,
    OnProgress,
    Tally,
    check_concurrency,
    journaled,
    side_by_side,
)
from encoders.photo_file import read_photo_bytes
from geo.errors import GeolocationError, InputError, UnavailableError
from index_builder.files import unwritable

if TYPE_CHECKING:
    from agent.geolocator import Geolocator

logger = logging.getLogger(__name__)
__all__ = ["OUTAGE_ROWS", "BatchProgress", "locate_batch"]


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
    check_concurrency(concurrency)
    named = {photo.name: photo for photo in map(as_photo, photos)}
    settings = settings_of(geolocator, trust_metadata=trust_metadata, **(stated or {}))
    with contextlib.ExitStack() as stack:
        if isinstance(journal, Path):
            journal = stack.enter_context(Journal(journal, settings))
        folder = writable(traces or geolocator.settings.traces)
        worker = _Worker(geolocator, journal, folder, trust_metadata, retry_failed)
        ends = side_by_side(worker, named.values(), concurrency, stop, grace_s)
        tally = Tally(len(named), on_progress)
        rows = journaled(ends, _rows_of(journal), journal.append, stop or threading.Event())
        with contextlib.closing(rows):
            for row, kept in rows:
                tally.count(row, kept)
                yield row


def _rows_of(journal: Journal) -> Callable[[BatchPhoto], BatchRow]:
    return lambda photo: journal.row(photo.name)


def writable(folder: Path) -> Path:
    """Return a folder for traces: one that cannot be written to would fail every photo.

    Raises:
        InputError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(folder, error) from None
    return folder


_End = End[BatchPhoto, BatchRow]


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
