"""`graticule evaluate run`: a dataset through a recipe, into a folder that is scored from."""

import json
import os
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.geolocator_options import Chosen, geolocator_options
from cli.long_runs import GRACE_S, Stop, located_bar, statuses
from cli.paths import ExistingPath
from encoders.photo_file import printable
from geo.errors import InputError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from evaluation.datasets import Dataset
    from evaluation.run import RunReport
    from evaluation.scoring import Score

SHOWN_REASONS = 5


@click.command()
@click.argument("source", metavar="DATASET")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the run; made where it is missing, gone on with where it holds this run.",
)
@click.option("--truth", type=ExistingPath(), help="Table of truth: .csv, .tsv, .json or .jsonl.")
@click.option("--images", type=ExistingPath(), help="Folder of the photos. [default: beside it]")
@geolocator_options
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="Photos located at the same time.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Take only the first so many photos.")
@click.option("--retry-failed", is_flag=True, help="Locate again what failed before.")
@click.option(
    "--without-placeholders",
    is_flag=True,
    help="Leave probable placeholders ('no longer available') out of the denominator.",
)
@click.option(
    "--overlays",
    is_flag=True,
    help="Read every photo first, a second each, and list those that show a position in writing.",
)
@click.option(
    "--accept-cells",
    is_flag=True,
    help="Search galleries of cells, which were made without the test's photographers and photos.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def run(
    chosen: Chosen,
    source: str,
    out: Path,
    truth: Path | None,
    images: Path | None,
    concurrency: int,
    limit: int | None,
    retry_failed: bool,
    without_placeholders: bool,
    overlays: bool,
    accept_cells: bool,
    as_json: bool,
) -> None:
    """Locate every photo of DATASET with a recipe and keep what came of each in a folder.

    DATASET is im2gps, im2gps3k, yfcc4k, yfcc26k, gws15k or osv5m, with --truth and --images; a
    table of truth (.csv, .tsv, .json, .jsonl); or a folder of photos whose positions stand in a
    table in it, beside them, or in their metadata.

    Photos are passed on as pixels alone under neutral names; galleries are searched without the
    dataset's photographers and near duplicates; what fails stays in the denominator. Can be
    stopped at any moment and run again: what is done is not done twice.
    """
    from agent.settings import load_settings
    from evaluation.datasets import open_dataset
    from evaluation.run import run_dataset

    if chosen.trust_metadata:
        raise InputError(
            "--trust-metadata would let photos tell their own place, and neutral copies have no "
            "metadata; leave it out"
        )
    dataset = open_dataset(source, truth=truth, images=images)
    stop = Stop()
    with ExitStack() as stack:
        geolocator = stack.enter_context(chosen.open(load_settings(), quiet=as_json))
        chosen.prepare(geolocator, quiet=as_json)
        with stop.taken_over(), located_bar(quiet=as_json) as (show, tell):
            report = run_dataset(
                geolocator,
                dataset,
                out,
                concurrency=concurrency,
                retry_failed=retry_failed,
                limit=limit,
                without_placeholders=without_placeholders,
                read_overlays=overlays,
                accept_cells=accept_cells,
                stated=chosen.shaping(geolocator),
                stop=stop.event,
                grace_s=GRACE_S,
                on_progress=show,
                tell=tell,
            )
        if stop.number:
            stack.pop_all()  # threads may still use the geolocator; the process ends with it open
            stop.leave()
    _tell(dataset, report, as_json=as_json)


def _tell(dataset: "Dataset", report: "RunReport", *, as_json: bool) -> None:
    """Say what came of it: answered, accuracy, where the run is, and what to do with it."""
    from evaluation.scoring import score

    scored = score(report.folder, bootstrap=0)
    if as_json:
        click.echo(json.dumps(_document(dataset, report, scored), indent=2))
        return
    out = printable(os.fsencode(report.folder), 4096)
    click.echo(
        f"{out}: {dataset.title}, {report.photos:,} photos: {statuses(report.counts)}; "
        f"{report.kept:,} from earlier runs, {report.seconds:.1f} s"
    )
    _tell_score(scored)
    for reason, count in list(report.reasons.items())[:SHOWN_REASONS]:
        click.echo(f"  {count:,} failed: {reason}")
    if report.counts.get("failed"):
        click.echo("  failures count as misses; --retry-failed tries them again")
    for line in report.told:
        click.echo(f"  note: {printable(line, 500)}")
    folder = shlex.quote(out)
    click.echo(f"next: graticule evaluate score {folder}")
    click.echo(f"      graticule evaluate ledger {folder}")
    click.echo(f"      graticule evaluate report {folder}")


def _tell_score(scored: "Score") -> None:
    from evaluation.metrics import DISTANCES, SIGNS

    answered = f"answered {scored.answered_percent:.1f} % of {scored.photos:,}"
    shares = ", ".join(f"{one.threshold_km:g} km {one.value:.1f} %" for one in scored.accuracies)
    click.echo(f"  {answered}; accuracy at {shares}")
    click.echo(f"  distance {DISTANCES[scored.distance]}, {SIGNS[scored.operator]} threshold")


def _document(dataset: "Dataset", report: "RunReport", scored: "Score") -> "dict[str, JsonValue]":
    return {
        "path": printable(os.fsencode(report.folder), 4096),
        "dataset": dataset.name,
        "photos": report.photos,
        "counts": dict(report.counts),
        "from_earlier_runs": report.kept,
        "reasons": dict(report.reasons),
        "notes": list(report.told),
        "score": scored.model_dump(mode="json"),
        "seconds": round(report.seconds, 3),
    }
