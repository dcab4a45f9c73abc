"""`graticule gallery`: build and inspect galleries of geotagged photos."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from cli.paths import ExistingPath
from encoders.photo_file import printable


@click.group()
def gallery() -> None:
    """Build and inspect galleries of geotagged photos."""


@gallery.command()
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


@gallery.command()
@click.argument("folder", type=ExistingPath())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(folder: Path, as_json: bool) -> None:
    """Say what a gallery holds, how it was built and whether it can be opened."""
    from index_builder import open_gallery

    with open_gallery(folder) as opened:
        facts = opened.info()
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        for name, value in facts.items():
            click.echo(f"{name:20s}{value}")
