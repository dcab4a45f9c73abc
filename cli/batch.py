"""`graticule batch`: every photo of a folder, into one table."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.geolocator_options import Chosen, geolocator_options
from cli.long_runs import GRACE_S, LOCATING, Stop, located_bar, statuses
from cli.paths import ExistingPath, NewFile
from encoders.photo_file import printable
from geo.errors import InputError

if TYPE_CHECKING:
    from agent.batch import BatchProgress
    from agent.batch_rows import BatchPhoto
    from agent.geolocator import Geolocator

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
    stop = Stop()
    with ExitStack() as stack:
        settings = load_settings()
        if settings.disclosure != "exact":
            raise InputError(
                f"rows hold exact positions, and GRATICULE_DISCLOSURE is {settings.disclosure}; "
                "unset it to write them"
            )
        geolocator = stack.enter_context(chosen.open(settings, quiet=as_json))
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

    def go(self, stop: Stop, *, quiet: bool, **options: Any) -> None:
        """Locate, and write the table of what is done, whatever ends it."""
        from agent.batch import locate_batch
        from agent.batch_output import write_rows
        from index_builder.build_report import kind_of

        try:
            with stop.taken_over(), located_bar(quiet=quiet) as (show, tell):
                tell(LOCATING, 0, len(self.photos))
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
            f"{out}: {len(self.photos):,} photos: {statuses(self.counts)}; "
            f"{self.kept:,} from earlier runs, {seconds:.1f} s"
        )
        for reason, count in self.reasons.most_common(SHOWN_REASONS):
            click.echo(f"  {count:,} failed: {reason}")
        if self.reasons:
            click.echo("  the column `reason` says it of each; --retry-failed tries them again")
