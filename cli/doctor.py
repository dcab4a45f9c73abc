"""`graticule doctor`: what is installed, what is reachable, what to do next."""

import json
from pathlib import Path

import click

from cli.paths import GalleryPlace
from geo.errors import UnavailableError

MARKS = {"ok": "ok     ", "absent": "absent ", "failed": "FAILED "}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--gallery", "galleries", type=GalleryPlace(), multiple=True, help="Check this too.")
def doctor(as_json: bool, galleries: tuple[Path | str, ...]) -> None:
    """Say what is installed, what is reachable, and what to do next."""
    from agent.doctor import examine
    from agent.settings import load_settings

    settings = load_settings()
    checks = list(examine(settings, galleries))
    if as_json:
        report = {
            "checks": [check.model_dump(mode="json") for check in checks],
            "settings": settings.model_dump(mode="json"),
        }
        click.echo(json.dumps(report, indent=2))
    else:
        for check in checks:
            click.echo(f"{MARKS[check.state]}{check.name:28s}{check.detail}")
            if check.remedy:
                click.echo(f"{'':35s}-> {check.remedy}")
    if failed := [check.name for check in checks if check.state == "failed"]:
        raise UnavailableError(f"not usable: {', '.join(failed)}; see the remedies above")
