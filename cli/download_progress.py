"""Progress of files that are downloaded, copied or checked: bytes, speed, time that remains."""

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from encoders.fetch import get_weights
from encoders.partial import Stage
from encoders.weights import FileRow


def get_with_progress(
    name: str, home: Path, *, hub_url: str, source: str, quiet: bool = False
) -> list[FileRow]:
    """Get weights under a progress bar on standard error; see `get_weights`."""
    console = Console(file=sys.stderr, quiet=quiet)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # elsewhere it would leave blank lines among errors
    ) as bar:
        tasks: dict[tuple[str, Stage], TaskID] = {}

        def tell(file: str, stage: Stage, done: int, total: int) -> None:
            if (file, stage) not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                tasks[file, stage] = bar.add_task(f"{stage} {file}", completed=done, total=None)
            bar.update(tasks[file, stage], completed=done, total=total or None, visible=True)

        return get_weights(name, home, hub_url=hub_url, source=source, tell=tell)
