"""`graticule weights`: which encoder weights there are, where they live, and getting them."""

import json
from pathlib import Path

import click

from cli.paths import ExistingPath


@click.group()
def weights() -> None:
    """List encoder weights, get them, and import checkpoints.

    Nothing is ever downloaded but by `get`. GRATICULE_HUB_URL names another hub or a mirror.
    """


@weights.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_weights(as_json: bool) -> None:
    """List the encoders, what each needs, and what is on this machine. Nothing is downloaded."""
    from agent.settings import load_settings
    from encoders.weights import catalogue

    rows = catalogue(load_settings().home)
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
        return
    for row in rows:
        click.echo(f"{row.name:22s} {row.state:10s} {row.size:>8s}  {row.licence}")
        click.echo(f"    {row.purpose}")
        if row.state == "missing" and row.source:
            click.echo(f"    run: graticule weights get {row.name}   (checksum: {row.checksum})")
        elif row.remedy or row.checksum:
            click.echo(f"    {row.remedy or row.checksum}")
    click.echo("Nothing is downloaded but by `get`; `path NAME` prints where to put files by hand.")


@weights.command()
@click.argument("name")
@click.option(
    "--from",
    "source",
    default="",
    metavar="URL_OR_FOLDER",
    help="Take the files from here, not from the hub.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the files as JSON and nothing else.")
def get(name: str, source: str, as_json: bool) -> None:
    """Download the weights called NAME, or go on with it, and check them.

    What is there and checked is not fetched again. Can be stopped at any moment: run it again
    to go on. A file that was put in place by hand is checked.
    """
    from agent.settings import load_settings
    from cli.download_progress import get_with_progress

    settings = load_settings()
    rows = get_with_progress(
        name, settings.home, hub_url=settings.hub_url, source=source, quiet=as_json
    )
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
        return
    for row in rows:
        by = {"published": "as published", "hub": "as the hub states it"}.get(row.stated_by)
        said = by or "recorded; nobody states one to compare with"
        click.echo(f"{row.path}: {row.size:,} bytes, SHA-256 {row.sha256[:12]}... {said}")


@weights.command()
@click.argument("name", default="")
def path(name: str) -> None:
    """Print the folder of all weights, or of those called NAME: put files there by hand."""
    from agent.settings import load_settings
    from encoders.weights import weights_folder

    home = load_settings().home
    click.echo(weights_folder(name, home) if name else home / "weights")


@weights.command("import")
@click.argument("family")
@click.argument("files", nargs=-1, type=ExistingPath())
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the encoder."
)
@click.option(
    "--backbone", default="clip-vit-l-14", show_default=True, help="Tower that it sits on."
)
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON and nothing else.")
def import_checkpoint(
    family: str, files: tuple[Path, ...], out: Path, backbone: str, as_json: bool
) -> None:
    """Make an encoder of published FILES: geoclip's three, G3's g3.pth, a dict of DualGeo.

    Only plain state dicts and safetensors are read, never code. Without FILES, geoclip is
    taken from the installed package.
    """
    from agent.settings import load_settings
    from encoders.torch_setup import need

    need("torch")
    from encoders.importing import import_encoder

    folder = load_settings().home / "weights"
    card = import_encoder(family, files, out, weights=folder, backbone=backbone)
    if as_json:
        click.echo(card.model_dump_json(indent=2))
    else:
        click.echo(f"Encoder {out}: {card.name} on {card.backbone.name}, numbers checked")
