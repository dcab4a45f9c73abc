"""Work in threads: order, errors, and an end that comes at any moment."""

import threading
import time
from collections.abc import Generator

import pytest

from index_builder.flow import ahead, closed, in_order


class Signalled(BaseException):
    """Stands for SIGTERM, which may come anywhere."""


def numbers(count: int, pause_s: float = 0.0) -> Generator[int]:
    for number in range(count):
        time.sleep(pause_s)
        yield number


def test_results_come_in_order_whoever_is_faster() -> None:
    def late_first(number: int) -> int:
        time.sleep(0.02 / (number + 1))
        return number * number

    assert list(in_order(numbers(20), late_first, workers=3)) == [n * n for n in range(20)]
    assert list(ahead(numbers(50), 2)) == list(range(50))


def test_an_error_in_a_thread_is_the_callers() -> None:
    def broken() -> Generator[int]:
        yield 1
        raise ValueError("no more")

    stream = ahead(broken(), 1)
    assert next(stream) == 1
    with pytest.raises(ValueError, match="no more"):
        next(stream)


def test_whoever_stops_asking_stops_the_thread() -> None:
    finished = threading.Event()

    def endless() -> Generator[int]:
        try:
            yield from numbers(10**9)
        finally:
            finished.set()

    stream = ahead(endless(), 1)
    assert next(stream) == 0
    stream.close()
    assert finished.is_set()


def test_a_signal_while_a_thread_starts_is_told_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    running = threading.Event()

    def slow() -> Generator[int]:
        running.set()
        yield from numbers(3, pause_s=0.3)

    def started_and_signalled(thread: threading.Thread) -> None:
        start(thread)
        running.wait(5)
        raise Signalled

    read = slow()
    prepared = ahead(read, 1)
    monkeypatch.setattr(threading.Thread, "start", started_and_signalled)
    with pytest.raises(Signalled), closed(read, prepared):
        next(prepared)
    monkeypatch.undo()
    names = {thread.name for thread in threading.enumerate()}
    assert "ahead" not in names
