"""`graticule recipes`: the ways to locate a photo, what each needs, and which can run here."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.paths import GalleryPlace

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from agent.availability import Availability


@click.command()
@click.option(
    "--gallery",
    "galleries",
    type=GalleryPlace(),
    multiple=True,
    help="Count with this gallery: its folder, or its address in a Qdrant server.",
)
@click.option(
    "--encoder",
    default="auto",
    show_default=True,
    help="Count with this encoder: a family, a saved one's folder, none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recipes(galleries: tuple[Path | str, ...], encoder: str, as_json: bool) -> None:
    """List the recipes: what each does, what it needs, and whether it can run here.

    A chat model is taken to be there where the settings name one; `graticule doctor` asks it.
    """
    from agent.availability import availability
    from agent.settings import load_settings

    rows = availability(load_settings(), galleries, encoder)
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
        return
    from rich.console import Console

    Console(highlight=False).print(_table(rows))


def _table(rows: "list[Availability]") -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, leading=1)
    table.add_column("Recipe", no_wrap=True, style="bold")
    table.add_column("Runs here", no_wrap=True)
    table.add_column("What it does, where it comes from, what it needs", overflow="fold")
    for row in rows:
        here = Text("yes", "green") if row.can_run else Text("no", "yellow")
        table.add_row(Text(row.recipe.name), here, _said(row))
    return table


def _said(row: "Availability") -> "Text":
    from rich.text import Text

    text = Text(row.recipe.summary)
    if row.recipe.source:
        text.append(f"\nFrom: {row.recipe.source}", "dim")
    text.append(f"\nNeeds: {'; '.join(row.needs) or 'nothing'}")
    if row.calibration:
        text.append(f"\nCalibration: {row.calibration}", "dim")
    for line in row.missing:
        text.append(f"\n-> {line}", "yellow")
    return text
