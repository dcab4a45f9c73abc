"""`graticule evaluate score`: how good the predictions in a table, or of a run, are."""

from pathlib import Path
from typing import Any

import click

from cli.paths import ExistingPath
from cli.score_options import measuring_options, parts


@click.command()
@click.argument("predictions", metavar="PREDICTIONS", type=ExistingPath())
@click.argument("truth", metavar="[TRUTH]", type=ExistingPath(), required=False)
@measuring_options
@click.option(
    "--names",
    metavar="KIND,...",
    default=None,
    help="Names to compare: country, admin1, city (these look up settlements).  "
    "[default: country where the truth states it]",
)
@click.option("--price", type=float, help="Of a million tokens, to say what predictions cost.")
@click.option("--strict", is_flag=True, help="Refuse tables that are not of the same photos.")
def score(
    predictions: Path, truth: Path | None, names: str | None, as_json: bool, **options: Any
) -> None:
    """Score PREDICTIONS against TRUTH, both tables with image_id, latitude and longitude.

    CSV, TSV, JSON, JSON lines or parquet. PREDICTIONS may be the folder of a run, which knows its
    truth. A photo without a usable prediction is a miss at every threshold and stays in the
    denominator. Intervals over authors need a column author in TRUTH.
    """
    from evaluation.scoring import score as measure

    kinds: Any = None if names is None else parts(names)
    found = measure(predictions, truth, names=kinds, **options)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    from rich.console import Console

    from cli.score_table import print_score

    print_score(found, Console(highlight=False))
