"""A list that grows while many follow it, threads and event loops alike, each as it likes."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Feed(Generic[T]):
    """Items in order of arrival, numbered from 1; closed once nothing will come any more."""

    def __init__(self) -> None:
        self._items: list[T] = []
        self._closed = False
        self._changed = threading.Condition()
        self._wake: set[Callable[[], object]] = set()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more."""
        return self._closed

    def append(self, item: T) -> int:
        """Append an item and return its number."""
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()
            number, wake = len(self._items), tuple(self._wake)
        for one in wake:
            one()
        return number

    def close(self) -> None:
        """Let followers come to their end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            wake = tuple(self._wake)
        for one in wake:
            one()

    def follow(self, after: int = 0) -> Iterator[tuple[int, T]]:
        """Yield items with their numbers, those held first, until the feed is closed.

        Args:
            after: number of the last item that is known already.
        """
        while True:
            with self._changed:
                while len(self._items) <= after and not self._closed:
                    self._changed.wait()
                found = self._items[after:]
            if not found:
                return
            for item in found:
                after += 1
                yield after, item

    async def afollow(self, after: int = 0) -> AsyncIterator[tuple[int, T]]:
        """Yield items as `follow` does, without blocking the event loop."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # its loop has ended
                loop.call_soon_threadsafe(news.set)

        with self._changed:
            self._wake.add(wake)
        try:
            while True:
                news.clear()
                with self._changed:
                    found, closed = self._items[after:], self._closed
                for item in found:
                    after += 1
                    yield after, item
                if not found:
                    if closed:
                        return
                    await news.wait()
        finally:
            with self._changed:
                self._wake.discard(wake)
