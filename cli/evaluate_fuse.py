"""`graticule evaluate fuse`: which rule makes the best one answer of several models' answers?"""

from pathlib import Path

import click

from cli.paths import ExistingPath


@click.command()
@click.argument("answers", metavar="ANSWERS", type=ExistingPath())
@click.argument("truth", metavar="TRUTH", type=ExistingPath())
@click.option(
    "--models", metavar="NAME,...", default="", help="Only these models; all in ANSWERS by default."
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    default=10,
    show_default=True,
    help="Parts of each cross-validation.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Random splits; a photo counts with the mean of its outcomes.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32),
    default=0,
    show_default=True,
    help="Of the first split; equal seeds give equal results.",
)
@click.option(
    "--plots",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write pictures there, as SVG.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def fuse(
    answers: Path,
    truth: Path,
    models: str,
    folds: int,
    repeats: int,
    seed: int,
    plots: Path | None,
    as_json: bool,
) -> None:
    """Compare rules that fuse several models' answers, each on photos it has not learned from.

    ANSWERS: .jsonl with image_id, model, raw_response (the reply as the model wrote it), or .csv
    with image_id, model, latitude, longitude and, if there is one, confidence. TRUTH: image_id,
    latitude, longitude and, if known, author.

    Photos of one author or one true coordinate are never split between training and test.
    Which models are strong, and what belief holds, is learned from the training photos alone.
    """
    from cli.bars import told
    from cli.fusion_table import print_fusion
    from cli.progress import prepare_gazetteer
    from evaluation.answer_panel import panel_of
    from evaluation.fusion_fits import REFERENCE, fits_of
    from evaluation.fusion_study import study
    from evaluation.lmm_answers import read_answers
    from evaluation.tables import read_truths

    names = [name.strip() for name in models.split(",") if name.strip()]
    truths = read_truths(truth)
    panel = panel_of(read_answers(answers), truths, names)
    if plots:
        from evaluation.fusion_plots import refuse_unless_drawable

        refuse_unless_drawable(plots)
    prepare_gazetteer(quiet=as_json)
    with told(quiet=as_json) as tell:
        report, crossed = study(
            panel, fits_of(), REFERENCE, folds=folds, repeats=repeats, seed=seed,
            without_truth=len(truths.missing), progress=tell,
        )  # fmt: skip
    if plots:
        from evaluation.fusion_plots import draw_fusion

        drawn = draw_fusion(panel, report, crossed, plots)
    if as_json:
        click.echo(report.model_dump_json(indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False)
    print_fusion(report, console)
    if plots:
        from cli.score_table import plain

        console.print(
            f"\nPictures: {', '.join(plain(str(path)) for path in drawn)}", soft_wrap=True
        )
