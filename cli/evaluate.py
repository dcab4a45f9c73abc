"""`graticule evaluate`: how well does it locate, how sure may one be, and compared with what?"""

import click

from cli.lazy import LazyGroup

COMMANDS = {
    "run": ("cli.evaluate_run:run", "Locate every photo of a dataset with a recipe."),
    "score": ("cli.evaluate_score:score", "Score predictions in a table against the truth."),
    "compare": ("cli.evaluate_compare:compare", "Paired differences between two results."),
    "ledger": ("cli.evaluate_ledger:ledger", "Where in the pipeline photos are won and lost."),
    "calibrate": ("cli.evaluate_calibrate:calibrate", "Fit how far evidence can be trusted."),
    "fuse": ("cli.evaluate_fuse:fuse", "Compare rules that fuse several models' answers."),
    "report": ("cli.evaluate_report:report", "One page: tables, curves, maps, worst cases."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def evaluate() -> None:
    """Measure answers against the truth: accuracy, calibration, where photos are won and lost."""
