"""`graticule weights`: which encoder weights there are, and where they live."""

import json

import click


@click.group()
def weights() -> None:
    """List encoder weights and where they live."""


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
        state = "present" if row.present else "missing"
        click.echo(f"{row.name:10s} {state:8s} {row.size:>8s}  {row.licence:12s} {row.purpose}")
        if row.remedy:
            click.echo(f"{'':20s}{row.remedy}")
