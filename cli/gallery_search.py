"""`graticule gallery search`: photos of a gallery like a photo, like words, like one another."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.gallery_arguments import filter_options, qdrant_key, table, where_of
from cli.paths import ExistingPath, GalleryPlace
from encoders.photo_file import printable

if TYPE_CHECKING:
    from index_builder.gallery_photo import Hit


@click.command()
@click.argument("gallery", type=GalleryPlace())
@click.argument("photo", type=ExistingPath(), required=False)
@click.option("--text", default="", help="Search by words, where the encoder reads them.")
@click.option("--like", default="", metavar="ID", help="Search by a photo of the gallery.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=10, show_default=True)
@click.option("--dissimilar", is_flag=True, help="The least alike instead.")
@filter_options
@click.option("--source", "sources", multiple=True, help="Only this source; repeat.")
@click.option(
    "--exclude-author", "exclude_authors", multiple=True, help="Nothing by this author; repeat."
)
@click.option("--apart", is_flag=True, help="Leave out near duplicates of the photo.")
@click.option("--json", "as_json", is_flag=True, help="Print the hits as JSON and nothing else.")
def search(
    gallery: Path | str,
    photo: Path | None,
    text: str,
    like: str,
    limit: int,
    dissimilar: bool,
    countries: tuple[str, ...],
    within: tuple[float, float, float] | None,
    sources: tuple[str, ...],
    exclude_authors: tuple[str, ...],
    apart: bool,
    as_json: bool,
) -> None:
    """List the photos of GALLERY that are most like PHOTO, a text or an entry.

    A score is a cosine, or the sum of several; it says how alike two photos are, not where one
    was taken.
    """
    from index_builder.gallery_opening import open_gallery
    from index_builder.gallery_query import Query, query_gallery

    query = Query(photo, text.strip(), like)
    where = where_of(
        countries=countries, sources=sources, within=within, exclude_authors=exclude_authors
    )
    with open_gallery(gallery, api_key=qdrant_key()) as opened:
        name = opened.name
        hits = query_gallery(opened, query, limit, where=where, dissimilar=dissimilar, apart=apart)
    if as_json:
        rows = [
            {"rank": rank, "score": hit.score, **hit.photo.model_dump(mode="json")}
            for rank, hit in enumerate(hits, 1)
        ]
        click.echo(json.dumps({"gallery": name, "hits": rows}, indent=2))
        return
    click.echo(_listed(hits) if hits else f"No photo of gallery {name} passes; widen the filter")


def _listed(hits: "Sequence[Hit]") -> str:
    rows = [("rank", "score", "name", "position", "country", "author", "id")]
    for rank, hit in enumerate(hits, 1):
        photo = hit.photo
        position = f"{photo.latitude:.5f}, {photo.longitude:.5f}"
        author = printable(photo.author, 24) or "-"
        rows.append(
            (str(rank), f"{hit.score:.4f}", printable(photo.name, 40), position,
             photo.country or "-", author, photo.id[:12])
        )  # fmt: skip
    return table(rows, right=(0, 1))
