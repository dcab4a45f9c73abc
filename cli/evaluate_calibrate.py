"""`graticule evaluate calibrate`: how honest a run's radii are, and a calibration that helps."""

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.paths import ExistingPath, NewFile
from encoders.photo_file import printable
from geo.errors import InputError

if TYPE_CHECKING:
    from agent.factors import Settlements
    from evaluation.calibrating import Calibrated

BEGINNING = b'{\n "fitted_on":'
"""How files of calibrations begin."""


@click.command()
@click.argument("runs", metavar="RUN...", type=ExistingPath(), nargs=-1, required=True)
@click.option(
    "--out",
    type=NewFile(BEGINNING),
    default="calibration.json",
    show_default=True,
    help="The calibration, for `graticule locate --calibration`.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 20),
    default=5,
    show_default=True,
    help="Parts of the photos that are judged by a fit to the others.",
)
@click.option(
    "--within-km",
    type=click.FloatRange(0, 20_000, min_open=True),
    default=25.0,
    show_default=True,
    help="An answer is right within this distance of the truth.",
)
@click.option(
    "--abstain-loss",
    type=click.FloatRange(0, 1000),
    default=0.3,
    show_default=True,
    help="What saying nothing costs, where a wrong answer costs 1.",
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
    help="An answer is right at distance <= limit (le), or < limit (lt).",
)
@click.option("--plots", type=click.Path(path_type=Path), help="Folder to draw pictures into.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def calibrate(
    runs: tuple[Path, ...],
    out: Path,
    within_km: float,
    abstain_loss: float,
    plots: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Fit how far the evidence of RUN can be trusted, and prove it on photos left out of the fit.

    Several runs of one recipe are pooled: more photos, or several seeds over the same. What is
    reported as "calibrated" is always of photos that the fit has not seen, nor their authors, nor
    their places.
    """
    from evaluation.abstention import Loss
    from evaluation.calibrating import calibrate_runs
    from evaluation.runs import Run

    _refuse_twice(runs)
    if plots is not None:
        from evaluation.reliability_plots import check_drawable

        check_drawable()
    read = [Run.read(folder) for folder in runs]
    loss = Loss(right_within_km=within_km, abstain=abstain_loss)
    found = calibrate_runs(read, _settlements(quiet=as_json), loss=loss, **options)
    drawn = _drawn(found, plots, within_km)
    _write(found, out)
    if as_json:
        written = {"path": _shown(out), "plots": [_shown(path) for path in drawn]}
        click.echo(json.dumps(written | found.report.model_dump(mode="json"), indent=2))
        return
    from cli.calibration_table import lines_of

    for warning in found.report.warnings:
        click.echo(f"graticule: {warning}", err=True)
    for line in lines_of(found.report):
        click.echo(line)
    click.echo(f"\n{_shown(out)}: {found.report.version}; use it so:")
    click.echo(f"  graticule locate --calibration {shlex.quote(_shown(out))} PHOTO")
    for path in drawn:
        click.echo(f"  drawn: {_shown(path)}")


def _refuse_twice(runs: tuple[Path, ...]) -> None:
    known = set()
    for folder in runs:
        if (place := folder.resolve()) in known:
            raise InputError(
                f"run {str(folder)!r} is given twice, which is no second run; give it once"
            )
        known.add(place)


def _settlements(*, quiet: bool) -> "Settlements":
    from agent.nodes import PRIOR_POPULATION
    from cli.progress import prepare_gazetteer
    from geo.gazetteer import Gazetteer

    prepare_gazetteer(quiet=quiet)
    return Gazetteer.open().settlements(PRIOR_POPULATION)


def _drawn(found: "Calibrated", folder: Path | None, within_km: float) -> list[Path]:
    if folder is None:
        return []
    from evaluation.reliability_plots import draw_all

    before = draw_all(found.before, folder / "before", within_km)
    return [*before, *draw_all(found.after, folder / "after", within_km)]


def _write(found: "Calibrated", out: Path) -> None:
    from agent.calibration import write_calibration

    write_calibration(found.report.calibration, out)


def _shown(path: Path) -> str:
    return printable(os.fsencode(path), 4096)
