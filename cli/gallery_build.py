"""`graticule gallery build`: any source of geotagged photos or coordinates into a gallery."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.gallery_arguments import qdrant_key
from cli.paths import ExistingPath
from encoders.photo_file import printable
from geo.errors import InputError

if TYPE_CHECKING:
    from index_builder.manifest import StoreSettings
    from index_builder.points import IndexSettings
    from index_builder.records import Source


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=ExistingPath())
@click.option(
    "--out", type=click.Path(path_type=Path), help="Gallery folder; SOURCE.gallery by default."
)
@click.option(
    "--encoder",
    help="embedded (default, needs no download), geoclip, g3, siglip, a folder of a trained one, "
    "or the http address of a service.",
)
@click.option(
    "--positions", type=ExistingPath(), help="CSV with file, latitude, longitude instead of EXIF."
)
@click.option("--images", type=ExistingPath(), help="Folder of the photos that a table names.")
@click.option("--format", "form", default="auto", help="Of SOURCE, where it is not recognised.")
@click.option("--source-name", help="What the gallery calls this source; its file's name if not.")
@click.option("--include-test", is_flag=True, help="Also take test splits of benchmarks.")
@click.option("--limit", type=click.IntRange(min=1), help="Take only the first so many records.")
@click.option(
    "--sample-per-cell",
    type=click.IntRange(min=1),
    metavar="K",
    help="Take a balanced subset: at most K records of each S2 cell.",
)
@click.option(
    "--cell-level",
    type=click.IntRange(0, 30),
    default=8,
    show_default=True,
    help="Level of those cells: 8 is about 37 km across, each level more halves that.",
)
@click.option("--copies/--no-copies", default=True, help="Keep small copies of the photos.")
@click.option(
    "--index",
    type=click.Choice(["int8", "binary", "none", "hnsw"]),
    help="How vectors are kept for search: int8 by default; hnsw adds a graph, for millions.",
)
@click.option("--server", metavar="URL", help="Keep the points in this Qdrant server.")
@click.option("--collection", metavar="NAME", help="In this collection of it; as OUT by default.")
@click.option("--shards", type=click.IntRange(1, 1024), default=1, help="Parts in a cluster.")
@click.option("--replicas", type=click.IntRange(1, 64), default=1, help="Copies of each part.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Build by so many workers on Ray; no --limit then.",
)
@click.option(
    "--fresh", is_flag=True, help="Discard what the gallery holds and build it anew from SOURCE."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def build(
    sources: tuple[Path, ...],
    out: Path | None,
    encoder: str | None,
    limit: int | None,
    sample_per_cell: int | None,
    cell_level: int,
    copies: bool,
    index: str | None,
    workers: int | None,
    fresh: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a gallery from SOURCE, or add to it what is new.

    A SOURCE is a folder of geotagged photos, a CSV or JSON table with photos or of coordinates
    alone, tar shards, parquet files, or a folder of aerial tiles; several go into one gallery.
    Can be stopped at any moment and run again: finished photos are not done twice. With --fresh
    nothing of the former gallery stays; a folder that is no gallery is left alone.
    """
    from cli.progress import build_with_progress
    from index_builder.sampling import SamplePerCell

    if workers and limit:
        raise InputError(f"--workers {workers} and --limit {limit}; give one of the two")
    out = out or sources[0].with_name(sources[0].name + ".gallery")
    report = build_with_progress(
        _source(sources, out, options),
        out,
        fresh=fresh,
        quiet=as_json,
        encoder=encoder,
        limit=limit,
        sample=SamplePerCell(sample_per_cell, cell_level) if sample_per_cell else None,
        copies=copies,
        index=_index(index),
        store=_store(options, out),
        api_key=qdrant_key(),
        workers=workers,
    )
    if as_json:
        result = {
            **asdict(report),
            "path": printable(os.fsencode(report.path), 4096),
            "rejects_path": printable(os.fsencode(report.rejects_path), 4096),
        }
        click.echo(json.dumps(result, indent=2))


def _source(sources: tuple[Path, ...], out: Path, options: dict[str, Any]) -> "Source":
    """Open the sources and join them to one."""
    from index_builder.sampling import JoinedSource, NamedSource
    from index_builder.sources import open_source

    found: list[Source] = [
        open_source(
            path,
            format=options["form"],
            positions=options["positions"],
            images=options["images"],
            include_test=options["include_test"],
            ignore=[out],
        )
        for path in sources
    ]
    joined = JoinedSource(found) if len(found) > 1 else found[0]
    name = options["source_name"]
    return NamedSource(joined, printable(name)) if name else joined


def _index(name: str | None) -> "IndexSettings | None":
    from index_builder.points import IndexSettings

    if name is None:
        return None
    if name == "hnsw":
        return IndexSettings(hnsw=True)
    return IndexSettings.model_validate({"quantization": name})


def _store(options: dict[str, Any], out: Path) -> "StoreSettings | None":
    from index_builder.manifest import StoreSettings

    url = options["server"]
    if url is None:
        if options["collection"] or options["shards"] > 1 or options["replicas"] > 1:
            raise InputError(
                "--collection, --shards and --replicas are for points in a Qdrant server; give its "
                "address with --server"
            )
        return None
    return StoreSettings(
        url=url,
        collection=options["collection"] or printable(os.fsencode(out.name)),
        shards=options["shards"],
        replicas=options["replicas"],
    )
