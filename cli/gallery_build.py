"""`graticule gallery build`: any source of geotagged photos into a gallery."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from cli.paths import ExistingPath
from encoders.photo_file import printable


@click.command()
@click.argument("folder", type=ExistingPath())
@click.option(
    "--out", type=click.Path(path_type=Path), help="Gallery folder; FOLDER.gallery by default."
)
@click.option(
    "--positions", type=ExistingPath(), help="CSV with file, latitude, longitude instead of EXIF."
)
@click.option(
    "--fresh", is_flag=True, help="Discard what the gallery holds and build it anew from FOLDER."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def build(
    folder: Path, out: Path | None, positions: Path | None, fresh: bool, as_json: bool
) -> None:
    """Make a gallery from FOLDER of geotagged photos, or add what is new to it.

    Can be stopped at any moment and run again: finished photos are not done twice. With
    --fresh nothing of the former gallery stays; a folder that is no gallery is left alone.
    """
    from cli.progress import build_with_progress

    out = out or folder.with_name(folder.name + ".gallery")
    report = build_with_progress(folder, out, positions=positions, fresh=fresh, quiet=as_json)
    if as_json:
        rejected = [asdict(item) for item in report.rejected]
        result = {
            **asdict(report),
            "path": printable(os.fsencode(report.path), 4096),
            "rejected": rejected,
        }
        click.echo(json.dumps(result, indent=2))
