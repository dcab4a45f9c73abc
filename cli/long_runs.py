"""What commands that locate many photos have in common: how they are stopped, what they show."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from rich.progress import TaskID

    from agent.side_by_side import BatchProgress, OnProgress
    from cli.bars import Tell

LOCATING = "locating"
GRACE_S = 1.0
"""How long photos that are being located may still take once we are told to stop."""


class Stop:
    """SIGINT and SIGTERM as an event, so that a table of what is done can still be written.

    Asked again, the process ends as it would without us.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.number = 0
        self._former: dict[int, Any] = {}
        self._handler: Any = None

    @contextmanager
    def taken_over(self) -> Iterator[None]:
        """Take signals over, in the main thread; elsewhere they are not ours."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._ask)
        try:
            yield
        finally:
            self._give_back()

    def leave(self) -> NoReturn:
        """End as the signal that came would have ended us."""
        former = self._handler
        if callable(former):
            former(self.number, None)
        raise click.Abort

    def _ask(self, number: int, _: FrameType | None) -> None:
        self.number, self._handler = number, self._former[number]
        self.event.set()
        self._give_back()

    def _give_back(self) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        self._former = {}


@contextmanager
def located_bar(*, quiet: bool) -> "Iterator[tuple[OnProgress, Tell]]":
    """Yield what shows how far a batch is, and how far what comes before it.

    A bar with its rate, the time left, and counts by status; one more for each stage before.
    """
    from cli.bars import progress_bar

    tasks: dict[str, TaskID] = {}
    with progress_bar(quiet=quiet) as bar:

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total or None, rate="")
            bar.update(tasks[stage], completed=done, total=total or None)

        def show(progress: "BatchProgress") -> None:
            tell(LOCATING, progress.done, progress.total)
            rate = f"{progress.photos_per_s:,.2f} photos/s" if progress.photos_per_s else ""
            bar.update(tasks[LOCATING], description=statuses(progress.counts), rate=rate)

        yield show, tell


def statuses(counts: Mapping[str, int]) -> str:
    """Return how many photos have each status, in words."""
    order = ("located", "region", "undetermined", "failed")
    said = [f"{counts[status]:,} {status}" for status in order if status in counts]
    return ", ".join(said) or "none done"
