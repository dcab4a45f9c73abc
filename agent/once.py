"""Finding something out once for all who want to know, some of whom may be asked to stop."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Generic, TypeVar

from agent.stopping import wait

Found = TypeVar("Found")


class Once(Generic[Found]):
    """What is found out when it is first needed, in a thread of its own.

    Args:
        find: finds it out; takes its time.
    """

    def __init__(self, find: Callable[[], Found]) -> None:
        self._find = find
        self._finding: Future[Found] | None = None
        self._lock = threading.Lock()

    def get(self) -> Found:
        """Return it, after waiting for it.

        Raises:
            Exception: what `find` raised, to all who waited; who comes later has it try again.
            GraphDrained: the run was asked to stop; it is found out all the same.
        """
        with self._lock:
            finding = self._finding
            if finding is None:
                finding = self._finding = Future()
                work = partial(copy_context().run, self._work, finding)
                threading.Thread(target=work, name="find-out", daemon=True).start()
        if not finding.done():
            done = threading.Event()  # of this one who waits: a wish to stop sets it, too
            finding.add_done_callback(lambda _: done.set())
            wait(done)
        return finding.result()

    def _work(self, finding: Future[Found]) -> None:
        try:
            found = self._find()
        except Exception as error:  # handed to those who wait
            with self._lock:
                self._finding = None
            finding.set_exception(error)
        else:
            finding.set_result(found)
