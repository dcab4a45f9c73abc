"""`graticule locate`: one photo in, one answer out."""

from pathlib import Path

import click

from cli.paths import ExistingPath, NewFile
from geo.errors import InputError


@click.command()
@click.argument("photo", type=ExistingPath())
@click.option(
    "--gallery", "galleries", type=ExistingPath(), multiple=True, help="Gallery folder to search."
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
@click.option("--hint", default="", help="What you know already: weighed, not obeyed.")
@click.option("--trust-metadata", is_flag=True, help="Let a position in the file's metadata count.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON and nothing else.")
@click.option("--report", type=NewFile(b"<!doctype html"), help="Write a report: one HTML file.")
@click.option("--trace", type=NewFile(b'{"number":'), help="Write the trace to this file.")
def locate(
    photo: Path,
    galleries: tuple[Path, ...],
    encoder: str,
    places: Path | None,
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
    from cli.progress import prepare_gazetteer, prepare_places
    from cli.run import locate_with_output

    with Geolocator(galleries, encoder=encoder, places=places) as geolocator:
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
