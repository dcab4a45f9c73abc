"""`graticule evaluate ledger`: where in a run photos are won and lost, stage by stage."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.paths import ExistingPath, NewFile
from geo.errors import InputError

if TYPE_CHECKING:
    from evaluation.ledger import Ledger

BEGINNINGS = {".svg": b"<?xml", ".png": b"\x89png"}


class PlotFile(NewFile):
    """A plot to write, in the format that its name says."""

    def __init__(self) -> None:
        super().__init__(b"")

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Refuse other endings, and what `NewFile` refuses."""
        ending = Path(value).suffix.lower()
        if ending not in BEGINNINGS:
            raise InputError(f"--plot {str(value)!r:.200} is no plot: end its name in .svg or .png")
        return NewFile(BEGINNINGS[ending]).convert(value, param, ctx)


@click.command()
@click.argument("runs", metavar="RUN...", type=ExistingPath(), nargs=-1, required=True)
@click.option(
    "--threshold",
    "thresholds_km",
    type=float,
    multiple=True,
    metavar="KM",
    help="Distance at which a point is right; may be given several times.  "
    "[default: 1, 25, 200, 750, 2500]",
)
@click.option(
    "--distance",
    type=click.Choice(["wgs84", "haversine"]),
    default="wgs84",
    show_default=True,
    help="Geodesics on the ellipsoid, or a sphere of 6371 km, as most published tables.",
)
@click.option(
    "--operator",
    type=click.Choice(["le", "lt"]),
    default="le",
    show_default=True,
    help="A point is right at distance <= threshold (le), or < threshold (lt).",
)
@click.option("--photos", is_flag=True, help="Name photos that were fixed, broken and lost.")
@click.option("--plot", type=PlotFile(), help="Draw it as a waterfall: FILE.svg or FILE.png.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON and nothing else; names every photo."
)
def ledger(
    runs: tuple[Path, ...],
    thresholds_km: tuple[float, ...],
    *,
    photos: bool,
    plot: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Show what each stage of a RUN had, fixed and broke, and where the rest was lost.

    Numbers telescope: right after the first stage, plus fixed, minus broken, is right at the end.
    Several runs of one recipe over the same photos (seeds) give means, with least to most.
    """
    from evaluation.ledger import ledgers_of
    from evaluation.metrics import THRESHOLDS_KM
    from evaluation.runs import Run

    _refuse_twice(runs)
    read = [Run.read(folder) for folder in runs]
    found = ledgers_of(read, thresholds_km=thresholds_km or THRESHOLDS_KM, **options)
    if plot:
        from evaluation.ledger_plot import draw

        draw(found, plot)
    if as_json:
        click.echo(_json(runs, found))
        return
    from rich.console import Console

    from cli.ledger_table import print_ledgers

    print_ledgers(found, Console(highlight=False), photos=photos)


def _refuse_twice(runs: tuple[Path, ...]) -> None:
    known = set()
    for folder in runs:
        if (place := folder.resolve()) in known:
            raise InputError(f"run {str(folder)!r} is given twice, which is no second run")
        known.add(place)


def _json(runs: tuple[Path, ...], found: "list[Ledger]") -> str:
    from evaluation.ledger_means import means_of

    several = len(found) > 1
    means = [one.model_dump(mode="json") for one in means_of(found)] if several else None
    told = [
        {"run": os.fsencode(folder).decode(errors="replace"), **one.model_dump(mode="json")}
        for folder, one in zip(runs, found, strict=True)
    ]
    return json.dumps({"runs": told, "means": means}, indent=2)
