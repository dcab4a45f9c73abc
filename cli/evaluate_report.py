"""`graticule evaluate report`: one page of one or several runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.paths import ExistingPath, NewFile
from encoders.photo_file import printable
from geo.errors import InputError

if TYPE_CHECKING:
    from evaluation.metrics import Distance, Operator


@click.command()
@click.argument("runs", metavar="RUN...", type=ExistingPath(), nargs=-1, required=True)
@click.option(
    "--out",
    type=NewFile(b"<!doctype html"),
    help="Page to write, .html.  [default: report.html in the folder of the only RUN]",
)
@click.option("--truth", type=ExistingPath(), help="Truth of RUNs that are tables of predictions.")
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the photos, for thumbnails of the worst cases.",
)
@click.option(
    "--distance",
    type=click.Choice(["haversine", "wgs84"]),
    default="haversine",
    show_default=True,
    help="Sphere of 6371 km, as most published tables, or geodesics on the ellipsoid.",
)
@click.option(
    "--operator",
    type=click.Choice(["le", "lt"]),
    default="le",
    show_default=True,
    help="A photo counts at distance <= threshold (le), or < threshold (lt).",
)
def report(
    runs: tuple[Path, ...],
    out: Path | None,
    truth: Path | None,
    photos: Path | None,
    distance: "Distance",
    operator: "Operator",
) -> None:
    """Write one page of one or several RUNs, which opens from disk and needs no network.

    RUN is a folder of `graticule evaluate run`, or a table with image_id, latitude and longitude,
    whose truth is given with --truth. Several runs stand side by side, held against the first.
    """
    from evaluation.report import write_evaluation
    from evaluation.report_run import read_shown

    out = out or _beside(runs)
    shown = read_shown(runs, truth, distance=distance, operator=operator)
    size = write_evaluation(shown, out, photos)
    many = "1 run" if len(shown) == 1 else f"{len(shown)} runs"
    click.echo(f"{printable(str(out), 4096)}: {many}, {size / 1e6:.1f} MB")


def _beside(runs: tuple[Path, ...]) -> Path:
    """Return the page in the folder of the only run.

    Raises:
        InputError: there are several, or it is a table.
    """
    if len(runs) > 1 or not runs[0].is_dir():
        raise InputError("--out is missing: only the page of one run's folder has a place; give it")
    return NewFile(b"<!doctype html").convert(runs[0] / "report.html", None, None)
