"""`graticule batch`: every photo of a folder, into one table."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cli.geolocator_options import Chosen, geolocator_options
from cli.paths import ExistingPath, NewFile
from encoders.photo_file import printable

if TYPE_CHECKING:
    from agent.batch import BatchProgress
    from agent.batch_rows import BatchPhoto
    from agent.geolocator import Geolocator

GRACE_S = 1.0
"""How long photos that are being located may still take once we are told to stop."""
SHOWN_REASONS = 5


class Table(ExistingPath):
    """A table to write, of a kind that its ending says; nothing else is replaced."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Refuse a kind that cannot be written, and to overwrite something else."""
        from agent.batch_output import BEGINNINGS, check_output

        path = super().convert(value, param, ctx)
        check_output(path)
        return NewFile(BEGINNINGS[path.suffix.lower()]).convert(path, param, ctx)


@click.command()
@click.argument("source", metavar="FOLDER", type=ExistingPath())
@click.option("--out", required=True, type=Table(), help="Table: .parquet, .csv or .jsonl.")
@geolocator_options
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="Photos located at the same time.",
)
@click.option(
    "--traces", type=click.Path(path_type=Path), help="Folder of the traces, one for each photo."
)
@click.option("--limit", type=click.IntRange(min=1), help="Take only the first so many photos.")
@click.option("--retry-failed", is_flag=True, help="Locate again what failed before.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def batch(
    chosen: Chosen,
    source: Path,
    out: Path,
    concurrency: int,
    traces: Path | None,
    limit: int | None,
    retry_failed: bool,
    as_json: bool,
) -> None:
    """Locate every photo of FOLDER, or of a .csv, .tsv or .txt list of paths, into one table.

    Each photo has one row, in the order of their paths; one that cannot be located says why.
    Can be stopped at any moment and run again: what is done stands in OUT.journal.jsonl and is
    not done twice.
    """
    from agent.batch_rows import find_photos
    from agent.settings import load_settings

    photos, unread = find_photos(source)
    for line in unread:
        click.echo(f"graticule: {line}", err=True)
    stop = _Stop()
    with ExitStack() as stack:
        geolocator = stack.enter_context(chosen.open(load_settings(), quiet=as_json))
        run = _Run(geolocator, chosen, out, photos[:limit])
        stack.enter_context(run.journal)
        chosen.prepare(geolocator, quiet=as_json)
        run.go(
            stop, quiet=as_json, concurrency=concurrency, traces=traces, retry_failed=retry_failed
        )
        if stop.number:
            stack.pop_all()  # threads may still use the geolocator; the process ends with it open
            stop.leave()
    run.tell(as_json=as_json)


class _Run:
    """A batch under a progress bar: its journal, its rows counted, its table written."""

    def __init__(
        self, geolocator: "Geolocator", chosen: Chosen, out: Path, photos: "Sequence[BatchPhoto]"
    ) -> None:
        from agent.batch_journal import Journal
        from agent.batch_settings import settings_of

        self.geolocator, self.out, self.photos = geolocator, out, photos
        self.trust_metadata = chosen.trust_metadata
        shaping = chosen.shaping(geolocator)
        settings = settings_of(geolocator, trust_metadata=self.trust_metadata, **shaping)
        self.journal = Journal(out.with_name(f"{out.name}.journal.jsonl"), settings)
        self.counts: Mapping[str, int] = {}
        self.reasons: Counter[str] = Counter()
        self.kept = 0
        self.began = time.monotonic()

    def go(self, stop: "_Stop", *, quiet: bool, **options: Any) -> None:
        """Locate, and write the table of what is done, whatever ends it."""
        from agent.batch import locate_batch
        from agent.batch_output import write_rows
        from index_builder.build_report import kind_of

        try:
            with stop.taken_over(), _shown(quiet=quiet) as show:
                for row in locate_batch(
                    self.geolocator,
                    self.photos,
                    self.journal,
                    trust_metadata=self.trust_metadata,
                    stop=stop.event,
                    grace_s=GRACE_S,
                    on_progress=lambda progress: self._count(progress, show),
                    **options,
                ):
                    if row.reason:
                        self.reasons[kind_of(row.reason)] += 1
        finally:
            if len(self.journal):
                write_rows(self.out, self.journal.rows(photo.name for photo in self.photos))

    def _count(self, progress: "BatchProgress", show: "Callable[[BatchProgress], None]") -> None:
        self.counts, self.kept = progress.counts, progress.kept
        show(progress)

    def tell(self, *, as_json: bool) -> None:
        """Say what came of it."""
        seconds = time.monotonic() - self.began
        out, journal = (
            printable(os.fsencode(path), 4096) for path in (self.out, self.journal.path)
        )
        if as_json:
            report = {
                "path": out,
                "journal": journal,
                "photos": len(self.photos),
                "counts": dict(self.counts),
                "from_earlier_runs": self.kept,
                "reasons": dict(self.reasons.most_common()),
                "seconds": round(seconds, 3),
            }
            click.echo(json.dumps(report, indent=2))
            return
        click.echo(
            f"{out}: {len(self.photos):,} photos: {_statuses(self.counts)}; "
            f"{self.kept:,} from earlier runs, {seconds:.1f} s"
        )
        for reason, count in self.reasons.most_common(SHOWN_REASONS):
            click.echo(f"  {count:,} failed: {reason}")
        if self.reasons:
            click.echo("  the column `reason` says it of each; --retry-failed tries them again")


class _Stop:
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
def _shown(*, quiet: bool) -> "Iterator[Callable[[BatchProgress], None]]":
    """Yield what shows how far a batch is: a bar with its rate, the time left, and counts."""
    from cli.bars import progress_bar

    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("locating", total=None, rate="")

        def show(progress: "BatchProgress") -> None:
            bar.update(
                task,
                description=_statuses(progress.counts),
                completed=progress.done,
                total=progress.total,
                rate=f"{progress.photos_per_s:,.2f} photos/s" if progress.photos_per_s else "",
            )

        yield show


def _statuses(counts: Mapping[str, int]) -> str:
    order = ("located", "region", "undetermined", "failed")
    said = [f"{counts[status]:,} {status}" for status in order if status in counts]
    return ", ".join(said) or "none done"
