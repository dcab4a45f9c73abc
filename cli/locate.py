"""`graticule locate`: one photo in, one answer out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.paths import ExistingPath, GalleryPlace, NewFile
from geo.errors import InputError

if TYPE_CHECKING:
    from agent.settings import Settings


@click.command()
@click.argument("photo", type=ExistingPath())
@click.option(
    "--gallery",
    "galleries",
    type=GalleryPlace(),
    multiple=True,
    help="Gallery to search: its folder, or http://HOST:6333/COLLECTION of a Qdrant server.",
)
@click.option(
    "--encoder",
    default="auto",
    show_default=True,
    help="Encoder for worldwide search: a family, a saved one's folder, a service's URL, none; "
    "auto is geoclip where its weights are on this machine.",
)
@click.option(
    "--places", type=ExistingPath(), help="CSV with latitude, longitude: further places to search."
)
@click.option(
    "--download", is_flag=True, help="Get the encoder's weights first, where they are missing."
)
@click.option("--hint", default="", help="What you know already: weighed, not obeyed.")
@click.option("--trust-metadata", is_flag=True, help="Let a position in the file's metadata count.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON and nothing else.")
@click.option("--report", type=NewFile(b"<!doctype html"), help="Write a report: one HTML file.")
@click.option("--trace", type=NewFile(b'{"number":'), help="Write the trace to this file.")
def locate(
    photo: Path,
    galleries: tuple[Path | str, ...],
    encoder: str,
    places: Path | None,
    download: bool,
    hint: str,
    trust_metadata: bool,
    as_json: bool,
    report: Path | None,
    trace: Path | None,
) -> None:
    """Find out where PHOTO was taken, with tools, evidence and an honest radius."""
    if report is not None and trace is not None and report.absolute() == trace.absolute():
        raise InputError(f"--report and --trace both name {str(report)!r}; give two files")
    from agent.geolocator import Geolocator
    from agent.settings import load_settings
    from cli.progress import prepare_gazetteer, prepare_places
    from cli.run import locate_with_output

    settings = load_settings()
    if download:
        _download(encoder, settings, quiet=as_json)
    with Geolocator(galleries, settings=settings, encoder=encoder, places=places) as geolocator:
        geolocator.bench.photos.add(photo)
        prepare_gazetteer(quiet=as_json)
        prepare_places(geolocator, required=encoder != "auto", quiet=as_json)
        answer = locate_with_output(
            geolocator,
            photo,
            hint=hint,
            trust_metadata=trust_metadata,
            trace=trace,
            report=report,
            quiet=as_json,
        )
    if as_json:
        click.echo(answer.model_dump_json(indent=2))


def _download(encoder: str, settings: "Settings", *, quiet: bool) -> None:
    """Get what the encoder lacks and a hub has; what a package brings, its own error names."""
    from agent.worldwide import missing_rows
    from cli.download_progress import get_with_progress

    for row in missing_rows(encoder, settings.home):
        if row.source:
            get_with_progress(
                row.name, settings.home, hub_url=settings.hub_url, source="", quiet=quiet
            )
