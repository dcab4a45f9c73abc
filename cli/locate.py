"""`graticule locate`: one photo in, one answer out."""

from pathlib import Path

import click

from cli.geolocator_options import Chosen, geolocator_options
from cli.paths import ExistingPath, NewFile
from geo.errors import InputError


@click.command()
@click.argument("photo", type=ExistingPath())
@geolocator_options
@click.option("--ask", is_flag=True, help="Let the model ask you; an empty line is no answer.")
@click.option("--hint", default="", help="What you know already: weighed, not obeyed.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON and nothing else.")
@click.option("--report", type=NewFile(b"<!doctype html"), help="Write a report: one HTML file.")
@click.option("--trace", type=NewFile(b'{"number":'), help="Write the trace to this file.")
def locate(
    chosen: Chosen,
    photo: Path,
    ask: bool,
    hint: str,
    as_json: bool,
    report: Path | None,
    trace: Path | None,
) -> None:
    """Find out where PHOTO was taken, with tools, evidence and an honest radius."""
    if report is not None and trace is not None and report.absolute() == trace.absolute():
        raise InputError(f"--report and --trace both name {str(report)!r}; give two files")
    from agent.settings import load_settings
    from cli.ask import ask_on_terminal
    from cli.run import locate_with_output

    settings = load_settings()
    if ask and settings.disclosure != "exact":
        raise InputError(
            f"--ask: questions name places, and GRATICULE_DISCLOSURE is {settings.disclosure}; "
            "leave one of them out"
        )
    asked = ask_on_terminal if ask else None
    with chosen.open(settings, quiet=as_json, ask=asked) as geolocator:
        geolocator.bench.photos.add(photo)
        chosen.prepare(geolocator, quiet=as_json)
        answer = locate_with_output(
            geolocator,
            photo,
            hint=hint,
            trust_metadata=chosen.trust_metadata,
            trace=trace,
            report=report,
            quiet=as_json,
        )
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
