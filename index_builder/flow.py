"""Work that flows through threads in order: one stage ahead of the next, by so much and no more.

Knows nothing of photos. An error in any thread surfaces where the results are asked for; whoever
stops asking stops the threads.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from queue import Empty, Full, Queue
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_POLL_S = 0.1
_JOIN_S = 5.0


class _End:
    """What a thread puts last: nothing more comes, or this error."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Generator[T], size: int) -> Generator[T]:
    """Yield `items`, which a thread of its own asks for, at most `size` of them ahead.

    Args:
        items: closed in that thread when nobody asks any more.
        size: of the queue between; one more is in the making.
    """
    queue: Queue[T | _End] = Queue(size)
    stop = threading.Event()

    def put(one: T | _End) -> bool:
        while not stop.is_set():
            try:
                queue.put(one, timeout=_POLL_S)
            except Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            with closing(items):
                for item in items:
                    if not put(item):
                        return
            put(_End())
        except BaseException as error:  # whatever it is, it belongs to whoever asks
            put(_End(error))

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    try:
        thread.start()
        while True:
            try:
                one = queue.get(timeout=_POLL_S)  # short, so that a signal is seen
            except Empty:
                continue
            if isinstance(one, _End):
                if one.error is not None:
                    raise one.error
                return
            yield one
    finally:
        stop.set()
        with suppress(RuntimeError):  # a signal came before it had started
            thread.join(_JOIN_S)  # one that hangs in a read ends with the process


@contextmanager
def closed(*generators: Generator[Any]) -> Iterator[None]:
    """Close generators at the end, the last first.

    One that a thread is still in cannot be closed by another; that thread does.
    """
    try:
        yield
    finally:
        for one in reversed(generators):
            with suppress(ValueError):
                one.close()


def in_order(
    items: Iterator[T],
    work: Callable[[T], R],
    *,
    workers: int,
    ready: Callable[[], object] | None = None,
) -> Generator[R]:
    """Yield `work(item)` of every item in their order, done by several threads.

    Args:
        items: asked for in the caller's thread, one more than there are workers ahead of it.
        work: what to do with each.
        workers: how many threads.
        ready: called once in each thread before its first item.
    """
    pending: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, "encode", initializer=ready)
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            while len(pending) > workers + 1 or (pending and pending[0].done()):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
