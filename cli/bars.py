"""Progress bars on standard error, so that standard output stays clean."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

Tell = Callable[[str, int, int], None]


def progress_bar(*, quiet: bool = False) -> Progress:
    """Return a progress bar on standard error, so that standard output stays clean."""
    console = Console(file=sys.stderr, quiet=quiet)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # elsewhere it would leave blank lines among errors
    )


@contextmanager
def told(*, quiet: bool = False) -> Iterator[Tell]:
    """Yield what long work tells its progress: bars on standard error, if that is a terminal."""
    tasks: dict[str, TaskID] = {}
    bar = progress_bar(quiet=quiet)

    def tell(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total or None, rate="")
            bar.start()  # not before: questions are asked on the same terminal
        speed = bar.tasks[tasks[stage]].speed
        rate = f"{speed:,.0f}/s" if speed else ""
        bar.update(tasks[stage], completed=done, total=total or None, rate=rate)

    try:
        yield tell
    finally:
        bar.stop()
