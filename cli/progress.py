"""Progress bars for long work: what is done, how fast, how long it will take."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import TaskID

from cli.bars import progress_bar
from encoders.photo_file import printable
from geo.errors import UnavailableError
from geo.gazetteer import Gazetteer, default_path
from index_builder.build import BuildReport, build_gallery
from index_builder.build import Progress as BuildProgress

if TYPE_CHECKING:
    from agent.geolocator import Geolocator
    from index_builder.records import Source

SHOWN_REJECTS = 5


def build_with_progress(
    source: "Path | Source",
    out: Path,
    *,
    fresh: bool = False,
    quiet: bool = False,
    workers: int | None = None,
    **options: Any,
) -> BuildReport:
    """Build a gallery under a progress bar and say what came of it.

    Args:
        source: of the photos.
        out: folder of the gallery.
        fresh: discard what it holds.
        quiet: show nothing.
        workers: on Ray; None builds in this process.
        options: others of `build_gallery`.
    """
    with progress_bar(quiet=quiet) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(progress: BuildProgress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bar.add_task(progress.stage, total=None, rate="")
            bar.update(
                tasks[progress.stage],
                completed=progress.done,
                total=progress.total or None,
                rate=f"{progress.photos_per_s:,.1f} photos/s" if progress.photos_per_s else "",
            )

        if workers:
            from index_builder.scale import build_gallery_on_ray

            options.pop("limit", None)
            report = build_gallery_on_ray(
                source, out, progress=tell, resume=not fresh, workers=workers, **options
            )
        else:
            report = build_gallery(source, out, progress=tell, resume=not fresh, **options)
    _tell(report, Console(quiet=quiet, highlight=False, markup=False))
    return report


def _tell(report: BuildReport, console: Console) -> None:
    console.print(
        f"Gallery {printable(os.fsencode(report.path), 4096)}: {report.added:,} added, "
        f"{report.updated:,} updated, {report.skipped:,} there already, "
        f"{report.rejected:,} rejected, {report.photos:,} in all, {report.seconds:.1f} s",
        soft_wrap=True,
    )
    for rejected in report.examples[:SHOWN_REJECTS]:
        console.print(f"  rejected {rejected.name}: {rejected.reason}", soft_wrap=True)
    if report.rejected > SHOWN_REJECTS:
        for reason, count in list(report.reasons.items())[:SHOWN_REJECTS]:
            console.print(f"  {count:,} rejected: {reason}", soft_wrap=True)
        shown = printable(os.fsencode(report.rejects_path), 4096)
        console.print(f"  ... all of them in {shown}", soft_wrap=True)


def prepare_gazetteer(*, quiet: bool = False) -> None:
    """Build the gazetteer under a progress bar, where there is none yet."""
    if default_path().is_file():
        return
    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("building the gazetteer, once", total=None, rate="")

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        Gazetteer.open(progress=tell).close()


def prepare_places(geolocator: "Geolocator", *, required: bool, quiet: bool = False) -> None:
    """Load the encoder of worldwide search and embed its places, under a progress bar.

    Args:
        geolocator: whose encoder it is; nothing happens where it has none.
        required: fail where it cannot be had; otherwise say so and go on without.
        quiet: show nothing but that.
    """
    with progress_bar(quiet=quiet) as bar:
        tasks: list[TaskID] = []

        def tell(done: int, total: int) -> None:
            if not tasks:
                tasks.append(bar.add_task("embedding places, once", total=total, rate=""))
            bar.update(tasks[0], completed=done)

        try:
            geolocator.prepare_places(tell)
        except UnavailableError as error:
            if required:
                raise
            click.echo(f"graticule: going on without worldwide search: {error}", err=True)
