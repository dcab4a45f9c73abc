"""Requests of many callers, encoded together by one thread.

Knows encoders and queues, not HTTP. While the encoder works, requests gather; what has gathered
is the next batch. Nobody waits for company that is not to be expected: a batch is held back for a
few milliseconds only where more requests were under way just now than are there yet.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from PIL import Image

from encoders.base import AlignedEncoder, Encoder, Vectors
from geo.errors import InputError, UnavailableError

Lane = Literal["images", "locations", "texts"]
Rows = Any
"""A list of photos, a `[N, 2]` array of coordinates, or a list of texts."""
Encoded = dict[str, Vectors]

MAX_IMAGES = 16
MAX_LOCATIONS = 4096
MAX_TEXTS = 16
MAX_WAITING = 64
MAX_WAIT_S = 0.005
FORGET_S = 0.25
"""After so long without a batch nothing is known of who else may be asking."""
FIRST_GUESS_S = 0.1
"""Time a batch takes, until one was measured."""
MAX_RETRY_S = 60
_SMOOTHING = 0.3

logger = logging.getLogger(__name__)


class BusyError(UnavailableError):
    """The queue is full; the same request may be made again.

    Attributes:
        retry_after_s: whole seconds until there should be room, from recent throughput.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, retryable=True)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class BatchLimits:
    """How much is encoded at once, and how much may wait for it."""

    images: int = MAX_IMAGES
    """Photos of one batch, and of one request."""
    locations: int = MAX_LOCATIONS
    """Coordinates of one batch, and of one request."""
    texts: int = MAX_TEXTS
    """Texts of one batch, and of one request."""
    waiting: int = MAX_WAITING
    """Requests of each kind that may wait for a batch."""
    max_wait_s: float = MAX_WAIT_S
    """Longest time that a batch is held back for requests that are to be expected."""

    def rows(self, lane: Lane) -> int:
        """Return the largest batch, and request, of a lane."""
        return {"images": self.images, "locations": self.locations, "texts": self.texts}[lane]


@dataclass(eq=False)
class _Job:
    rows: Rows
    arrived: float
    answer: "Future[Encoded]" = field(default_factory=Future)


class _Queue:
    """Requests of one kind; every method is called under the batcher's lock."""

    def __init__(self, encode: Callable[[Rows], Encoded], limits: BatchLimits, lane: Lane) -> None:
        self.encode = encode
        self.max_rows = limits.rows(lane)
        self.max_wait_s = limits.max_wait_s
        self.jobs: deque[_Job] = deque()
        self.expected = 1
        self.last_end = -math.inf
        self.batch_s = FIRST_GUESS_S
        self.batch_jobs = 1.0
        self.batches = self.encoded_rows = self.requests = 0

    def waiting_rows(self) -> int:
        return sum(len(job.rows) for job in self.jobs)

    def due(self, now: float) -> float:
        """Return the time at which the next batch starts, full or not."""
        expected = self.expected if now - self.last_end < FORGET_S else 1
        if self.waiting_rows() >= min(expected, self.max_rows):
            return now
        return max(self.jobs[0].arrived, self.last_end) + self.max_wait_s

    def take(self) -> list[_Job]:
        """Remove and return the next batch, without what was cancelled; maybe nothing."""
        batch: list[_Job] = []
        rows = 0
        while self.jobs and (not batch or rows + len(self.jobs[0].rows) <= self.max_rows):
            job = self.jobs.popleft()
            if job.answer.set_running_or_notify_cancel():
                batch.append(job)
                rows += len(job.rows)
        return batch

    def finished(self, batch: list[_Job], seconds: float, now: float) -> None:
        self.expected = sum(len(job.rows) for job in batch) + self.waiting_rows()
        self.last_end = now
        encoded = [job for job in batch if job.answer.exception() is None]
        self.batches += bool(encoded)
        self.requests += len(encoded)
        self.encoded_rows += sum(len(job.rows) for job in encoded)
        self.batch_s += _SMOOTHING * (seconds - self.batch_s)
        self.batch_jobs += _SMOOTHING * (len(batch) - self.batch_jobs)

    def retry_after_s(self) -> int:
        """Return when the requests that wait now should be done, in whole seconds."""
        seconds = (len(self.jobs) / max(self.batch_jobs, 1) + 1) * self.batch_s
        return min(max(math.ceil(seconds), 1), MAX_RETRY_S)


class Batcher:
    """Encodes the requests of many threads in batches, in one thread of its own.

    A request fails alone: where a batch of several cannot be encoded, each is tried by itself.

    Args:
        encoder: used by no other thread meanwhile.
        limits: of batches and queues.
    """

    def __init__(self, encoder: Encoder, limits: BatchLimits | None = None) -> None:
        self.limits = limits or BatchLimits()
        self._changed = threading.Condition()
        self._closing = False
        self._queues: dict[Lane, _Queue] = {
            "images": _Queue(encoder.encode_images, self.limits, "images")
        }
        if isinstance(encoder, AlignedEncoder):
            locate, read = encoder.encode_locations, encoder.encode_texts
            self._queues["locations"] = _Queue(locate, self.limits, "locations")
            self._queues["texts"] = _Queue(read, self.limits, "texts")
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    def warm_up(self) -> "Future[Encoded]":
        """Encode one grey photo, so that weights are loaded before somebody waits for them."""
        return self.submit("images", [Image.new("RGB", (64, 64), (128, 128, 128))])

    def submit(self, lane: Lane, rows: Rows) -> "Future[Encoded]":
        """Queue one request; its answer has one row per row given.

        The future can be cancelled until its batch has started. It raises what the encoder
        raised for this request.

        Args:
            lane: kind of `rows`.
            rows: checked photos, `[N, 2]` coordinates in degrees, or texts.

        Raises:
            InputError: the encoder has no such lane, or the request is larger than a batch.
            BusyError: as many requests wait as may.
            UnavailableError: the batcher is closed.
        """
        if lane not in self._queues:
            raise InputError(f"this encoder encodes no {lane}; send images")
        if len(rows) > self.limits.rows(lane):
            raise InputError(
                f"{len(rows):,} {lane} in one request, limit {self.limits.rows(lane):,}; "
                "split the request"
            )
        job = _Job(rows, time.monotonic())
        with self._changed:
            if self._closing:
                raise UnavailableError("encoder is stopping; ask again later", retryable=True)
            self.check_room(lane)
            self._queues[lane].jobs.append(job)
            self._changed.notify()
        return job.answer

    def check_room(self, lane: Lane) -> None:
        """Raise BusyError where one more request of a lane would not be queued."""
        queue = self._queues.get(lane)
        if queue is None or len(queue.jobs) < self.limits.waiting:
            return
        with self._changed:  # those whose callers have gone hold no place
            queue.jobs = deque(job for job in queue.jobs if not job.answer.cancelled())
            retry_after_s = queue.retry_after_s()
        if len(queue.jobs) >= self.limits.waiting:
            raise BusyError(
                f"{len(queue.jobs)} requests for {lane} wait, limit {self.limits.waiting}; "
                f"ask again in {retry_after_s} s",
                retry_after_s,
            )

    def waiting(self) -> dict[str, int]:
        """Return how many requests wait in each lane."""
        return {lane: len(queue.jobs) for lane, queue in self._queues.items()}

    def counts(self) -> dict[str, dict[str, int]]:
        """Return batches, requests and rows encoded so far in each lane."""
        return {
            lane: {"batches": q.batches, "requests": q.requests, "rows": q.encoded_rows}
            for lane, q in self._queues.items()
        }

    def close(self) -> None:
        """Encode what waits, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (queue := self._next()) is not None:
            with self._changed:
                batch = queue.take()
            if not batch:
                continue
            start = time.monotonic()
            _answer(queue.encode, batch)
            end = time.monotonic()
            with self._changed:
                queue.finished(batch, end - start, end)

    def _next(self) -> _Queue | None:
        """Wait until a batch is due and return its queue; None when all is done and closed."""
        with self._changed:
            while True:
                now = time.monotonic()
                filled = [queue for queue in self._queues.values() if queue.jobs]
                ready = [queue for queue in filled if self._closing or queue.due(now) <= now]
                if ready:  # who came first, whatever the kind: no lane starves another
                    return min(ready, key=lambda queue: queue.jobs[0].arrived)
                if not filled and self._closing:
                    return None
                earliest = min((queue.due(now) for queue in filled), default=None)
                self._changed.wait(None if earliest is None else earliest - now)


def _answer(encode: Callable[[Rows], Encoded], batch: list[_Job]) -> None:
    """Encode a batch and give each request its rows, or the error that is its own."""
    rows = _joined([job.rows for job in batch])
    try:
        found = encode(rows)
        _check_rows(found, len(rows))
    except UnavailableError as error:
        for job in batch:
            job.answer.set_exception(error)
    except Exception as error:  # whatever a model raises, the thread goes on
        if len(batch) == 1:
            batch[0].answer.set_exception(error)
            return
        logger.info("a batch of %d requests failed, trying each alone: %s", len(batch), error)
        for job in batch:
            _answer(encode, [job])
    else:
        start = 0
        for job in batch:
            end = start + len(job.rows)
            job.answer.set_result({space: rows[start:end] for space, rows in found.items()})
            start = end


def _joined(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        joined: Rows = np.concatenate(parts)
        return joined
    return [row for part in parts for row in part]


def _check_rows(found: Encoded, count: int) -> None:
    """Refuse vectors that cannot be handed out: rows missing, or not finite."""
    for space, vectors in found.items():
        if len(vectors) != count or not np.isfinite(vectors).all():
            raise RuntimeError(
                f"encoder gave {len(vectors)} vectors of space {space!r} for {count} rows, or "
                "some that are not finite"
            )
