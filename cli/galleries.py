"""`graticule gallery`: build and inspect galleries of geotagged photos."""

import json
from pathlib import Path

import click

from cli.gallery_build import build
from cli.paths import ExistingPath


@click.group()
def gallery() -> None:
    """Build and inspect galleries of geotagged photos."""


gallery.add_command(build)


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
