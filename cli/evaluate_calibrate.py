"""`graticule evaluate calibrate`: how honest a run's radii are, and a calibration that helps."""

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.numbers import Number
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
    help="File of the calibration, for `graticule locate --calibration`. [default: "
    "calibration.json; none with --install]",
)
@click.option(
    "--install",
    is_flag=True,
    help="Store it with its recipe: every run of that applies it, and needs no --calibration.",
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
    type=Number(0, 20_000, min_open=True),
    default=25.0,
    show_default=True,
    help="An answer is right within this distance of the truth.",
)
@click.option(
    "--abstain-loss",
    type=Number(0, 1000),
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
    out: Path | None,
    install: bool,
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
    if out is None and not install:
        out = _file(Path("calibration.json"))
    if install:
        _check_installable(read[0].manifest.recipe)
    loss = Loss(right_within_km=within_km, abstain=abstain_loss)
    found = calibrate_runs(read, _settlements(quiet=as_json), loss=loss, **options)
    drawn = _drawn(found, plots, within_km)
    written_to = _write(found, out, install=install)
    if as_json:
        written = {
            "path": _shown(written_to[0]),
            "installed": _shown(written_to[-1]) if install else "",
            "plots": [_shown(path) for path in drawn],
        }
        click.echo(json.dumps(written | found.report.model_dump(mode="json"), indent=2))
        return
    from cli.calibration_table import lines_of

    for warning in found.report.warnings:
        click.echo(f"graticule: {warning}", err=True)
    for line in lines_of(found.report):
        click.echo(line)
    _tell_use(found, out, written_to)
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


def _file(path: Path) -> Path:
    return NewFile(BEGINNING).convert(path, None, None)


def _check_installable(recipe: str) -> None:
    """Refuse before any work what could not be stored, or would replace something else."""
    from agent.settings import load_settings
    from agent.stored_calibrations import stored_path

    path = stored_path(load_settings().home, recipe)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{_shown(path.parent)!r} cannot be made ({error.strerror}); leave --install out, or "
            "set GRATICULE_HOME to a folder that can be written"
        ) from None
    _file(path)


def _write(found: "Calibrated", out: Path | None, *, install: bool) -> list[Path]:
    """Write the calibration and return where: to its own file, then with its recipe."""
    from agent.calibration import write_calibration
    from agent.settings import load_settings
    from agent.stored_calibrations import install_calibration

    calibration = found.report.calibration
    if out is not None:
        write_calibration(calibration, out)
    stored = [install_calibration(calibration, load_settings().home)] if install else []
    return [*([out] if out is not None else []), *stored]


def _tell_use(found: "Calibrated", out: Path | None, written_to: list[Path]) -> None:
    recipe, version = found.report.calibration.recipe, found.report.version
    click.echo(f"\n{' and '.join(map(_shown, written_to))}: {version}; use it so:")
    if out is None or len(written_to) > 1:
        click.echo(f"  graticule locate --recipe {recipe} PHOTO  (every run of it applies it now)")
        return
    click.echo(f"  graticule locate --calibration {shlex.quote(_shown(out))} PHOTO")
    click.echo("  --install stores it with its recipe, for every run")


def _shown(path: Path) -> str:
    return printable(os.fsencode(path), 4096)
