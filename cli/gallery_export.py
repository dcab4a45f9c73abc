"""`graticule gallery export`: a gallery as a file for other programs."""

import json
from pathlib import Path

import click

from cli.bars import told
from cli.gallery_arguments import filter_options, qdrant_key, size_text, where_of
from cli.paths import GalleryPlace
from encoders.photo_file import printable


@click.command()
@click.argument("gallery", type=GalleryPlace())
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--vectors", is_flag=True, help="The vectors too; for .parquet and .npz.")
@filter_options
@click.option("--source", "sources", multiple=True, help="Only this source; repeat.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def export(
    gallery: Path | str,
    file: Path,
    vectors: bool,
    countries: tuple[str, ...],
    within: tuple[float, float, float] | None,
    sources: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Write what GALLERY knows to FILE: .csv, .geojson, .jsonl, .parquet or .npz.

    FILE appears when it is whole. In a CSV, texts that a spreadsheet would run as a formula
    begin with an apostrophe.
    """
    from index_builder.exports import check_target, export_gallery
    from index_builder.upkeep import open_for_upkeep

    check_target(file, vectors=vectors, force=force)
    where = where_of(countries=countries, sources=sources, within=within)
    with open_for_upkeep(gallery, api_key=qdrant_key()) as opened, told(quiet=as_json) as tell:
        report = export_gallery(
            opened, file, where=where, vectors=vectors, force=force, progress=tell
        )
    if as_json:
        found = report.model_dump(mode="json", exclude={"path"})
        click.echo(json.dumps({"path": printable(str(file), 4096), **found}, indent=2))
        return
    with_vectors = f" with vectors of {', '.join(report.vectors)}" if report.vectors else ""
    click.echo(
        f"{printable(str(file))}: {report.photos:,} photos{with_vectors}, "
        f"{size_text(report.bytes)}, {report.seconds:.1f} s"
    )
