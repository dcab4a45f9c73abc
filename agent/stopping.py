"""Asking a run to stop: at the end of its step, or at once where it only waits for a model.

A model may think for minutes. Who waits for its reply looks here and leaves it: the step is given
up, no checkpoint knows of it, and it is done again when the run goes on.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from langgraph.errors import GraphDrained


class Stopping:
    """A wish to stop, which those who wait are told of."""

    def __init__(self) -> None:
        self.why = ""
        self._waiting: set[threading.Event] = set()
        self._lock = threading.Lock()

    def request(self, why: str) -> None:
        """Ask to stop, and wake those who wait."""
        with self._lock:
            self.why = why
            waiting = tuple(self._waiting)
        for one in waiting:
            one.set()

    @contextmanager
    def waking(self, event: threading.Event) -> Iterator[None]:
        """Have an event set by a request that comes, or has come."""
        with self._lock:
            self._waiting.add(event)
            if self.why:
                event.set()
        try:
            yield
        finally:
            with self._lock:
                self._waiting.discard(event)


STOPPING: ContextVar[Stopping | None] = ContextVar("stopping", default=None)


def wait(event: threading.Event, limit_s: float | None = None) -> bool:
    """Wait until an event is set, without a limit by default, and return whether it was in time.

    Raises:
        GraphDrained: the run was asked to stop; the event may be set by that.
    """
    if (stopping := STOPPING.get()) is None:
        return event.wait(limit_s)
    with stopping.waking(event):
        found = event.wait(limit_s)
    if stopping.why:
        raise GraphDrained(stopping.why)
    return found
