"""`graticule gallery cells`: a gallery of photos, and aerial tiles, into a gallery of cells."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.bars import told
from cli.gallery_arguments import qdrant_key
from cli.paths import ExistingPath
from encoders.photo_file import printable

if TYPE_CHECKING:
    from index_builder.cells import CellsReport
    from index_builder.records import Source

SHOWN_REJECTS = 5


@click.command()
@click.argument("gallery", type=ExistingPath())
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the new gallery."
)
@click.option(
    "--tiles",
    type=ExistingPath(),
    help="Folder of aerial tiles, ZOOM/COLUMN/ROW.png or GeoTIFF, for codes of finer cells.",
)
@click.option(
    "--scheme",
    type=click.Choice(["xyz", "tms"]),
    default="xyz",
    show_default=True,
    help="How tiles count their rows: from the north or from the south.",
)
@click.option(
    "--level", type=int, default=15, show_default=True, help="S2 level of prototypes (281 m)."
)
@click.option(
    "--code-level",
    type=int,
    default=None,
    help="S2 level of the cells of tiles; one finer than --level by default.",
)
@click.option(
    "--encoder",
    default=None,
    help="What encoded the gallery's photos: a name, folder or address. By default as the "
    "gallery says; needed for tiles and learned prototypes.",
)
@click.option("--space", default="", help="Which of the gallery's spaces; the first by default.")
@click.option(
    "--kappa",
    type=float,
    default=None,
    help="Factor on prototypes beside tiles; calibrated by held-out photos by default.",
)
@click.option(
    "--min-photos", type=int, default=1, show_default=True, help="Fewer make no prototype."
)
@click.option("--replace", is_flag=True, help="Replace another gallery of cells at --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def cells(
    gallery: Path,
    out: Path,
    tiles: Path | None,
    scheme: str,
    level: int,
    code_level: int | None,
    encoder: str | None,
    space: str,
    kappa: float | None,
    min_photos: int,
    replace: bool,
    as_json: bool,
) -> None:
    """Make a gallery of cells from GALLERY of photos.

    Each S2 cell with photos gets the mean of their vectors, each photographer counted once, or
    the prototype that the encoder learned for it. With --tiles, finer cells get codes of
    prototype and aerial tile together, also where nobody took a photo. Can be stopped at any
    moment and run again: nothing half-made is left that opens, and tiles are not encoded twice.
    """
    from encoders import load_encoder
    from index_builder import open_gallery
    from index_builder.cell_plan import FINEST, check_levels
    from index_builder.cells import build_cells

    finer = min(level + 1, FINEST) if code_level is None else code_level
    check_levels(level, finer)
    source = _tile_source(tiles, scheme) if tiles else None
    with open_gallery(gallery, api_key=qdrant_key()) as photos, told(quiet=as_json) as tell:
        report = build_cells(
            photos,
            out,
            prototype_level=level,
            code_level=finer,
            tiles=source,
            encoder=load_encoder(encoder) if encoder and encoder != "embedded" else None,
            kappa=kappa,
            min_photos=min_photos,
            space=space,
            replace=replace,
            progress=tell,
        )
    click.echo(json.dumps(_facts(report), indent=2) if as_json else _words(report))


def _tile_source(folder: Path, scheme: str) -> "Source":
    from index_builder.sources.tiles import TileSource

    return TileSource(folder, scheme="tms" if scheme == "tms" else "xyz")


def _facts(report: "CellsReport") -> dict[str, object]:
    path = printable(os.fsencode(report.path), 4096)
    return {**asdict(report), "path": path, "rejected": [asdict(one) for one in report.rejected]}


def _words(report: "CellsReport") -> str:
    path = printable(os.fsencode(report.path), 4096)
    if report.unchanged:
        return f"Gallery {path}: these {report.cells:,} cells are there already"
    kappa = report.kappa
    lines = [
        f"Gallery {path}: {report.cells:,} cells, {report.aerial:,} with aerial tiles, of "
        f"{report.photos:,} photos ({report.prototypes:,} prototypes) and {report.tiles:,} tiles, "
        f"{len(report.rejected):,} rejected, {report.seconds:.1f} s"
    ]
    if report.tiles:
        by = f"{kappa.chosen}, {kappa.photos} held-out photos" if kappa.photos else kappa.chosen
        lines.append(f"  kappa {kappa.value:g} ({by})")
    if report.left_out:
        lines.append(f"  {report.left_out:,} photos left out: placed less well than a cell is wide")
    lines += [f"  rejected {one.name}: {one.reason}" for one in report.rejected[:SHOWN_REJECTS]]
    if len(report.rejected) > SHOWN_REJECTS:
        lines.append(f"  ... all of them in {path}/rejects.jsonl")
    return "\n".join(lines)
