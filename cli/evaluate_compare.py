"""`graticule evaluate compare`: is B better than A, at which photos, and by more than chance?"""

from pathlib import Path
from typing import Any

import click

from cli.paths import ExistingPath
from cli.score_options import measuring_options


@click.command()
@click.argument("a", metavar="A", type=ExistingPath())
@click.argument("b", metavar="B", type=ExistingPath())
@click.argument("truth", metavar="[TRUTH]", type=ExistingPath(), required=False)
@measuring_options
@click.option(
    "--common", is_flag=True, help="Compare only photos that both have, where they differ."
)
@click.option(
    "--worst",
    type=click.IntRange(0, 10_000),
    default=10,
    show_default=True,
    help="How many of the photos that differ most to list.",
)
def compare(a: Path, b: Path, truth: Path | None, as_json: bool, **options: Any) -> None:
    """Hold B against A, over the same photos: paired differences, B minus A.

    A and B are tables with image_id, latitude and longitude, or folders of runs, which know their
    truth. A photo without a usable prediction is a miss, and stays in. Where the two are not of
    the same photos, this is an error; --common compares those that both have.
    """
    from evaluation.compare import compare as measure

    found = measure(a, b, truth, **options)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    from rich.console import Console

    from cli.compare_table import print_comparison

    print_comparison(found, Console(highlight=False))
