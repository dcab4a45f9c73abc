"""`graticule gallery info | check | merge | remove`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.bars import told
from cli.gallery_arguments import qdrant_key, table
from cli.paths import GalleryPlace, NewFile
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError

if TYPE_CHECKING:
    from index_builder.gallery_check import CheckReport
    from index_builder.removal_note import By
    from index_builder.upkeep import RemoveReport

SHOWN = 10
_JSON_HELP = "Print the result as JSON and nothing else."


@click.command()
@click.argument("gallery", type=GalleryPlace())
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
def info(gallery: Path | str, as_json: bool) -> None:
    """Say what GALLERY holds, how it was built and whether it can be opened.

    GALLERY is a folder, or http://HOST:6333/COLLECTION of a Qdrant server.
    """
    from cli.gallery_facts_text import facts_text
    from index_builder.gallery_facts import gallery_facts
    from index_builder.gallery_opening import open_gallery

    with open_gallery(gallery, api_key=qdrant_key()) as opened:
        facts = gallery_facts(opened)
        stated = opened.info()
    if as_json:
        disk = facts.disk.model_dump() | {"total": facts.disk.total} if facts.disk else None
        click.echo(json.dumps({**stated, "disk_bytes": disk}, indent=2))
    else:
        click.echo(facts_text(facts))


@click.command()
@click.argument("gallery", type=GalleryPlace())
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    help="Photos whose files are hashed again; their vectors and entries are read all.",
)
@click.option("--all", "everything", is_flag=True, help="Hash the files of all photos.")
@click.option(
    "--map", "picture", type=NewFile(b"\x89png\r\n"), help="Draw a map of the density: a PNG."
)
@click.option(
    "--photos", type=GalleryPlace(), help="Folder that was indexed: hash its photos again too."
)
@click.option("--strict", is_flag=True, help="Exit with 1 for what is doubtful, too.")
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
def check(
    gallery: Path | str,
    sample: int,
    everything: bool,
    picture: Path | None,
    photos: Path | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Look through GALLERY for damage, duplicates and positions that cannot be right.

    Nothing is changed. Exits with 1 where something is wrong: damage, not mere doubt.
    """
    from index_builder.gallery_check import check_gallery
    from index_builder.upkeep import open_for_upkeep

    if photos is not None and not Path(photos).is_dir():
        raise InputError(f"--photos {str(photos)!r} is not a folder; give the one that was indexed")
    with (
        open_for_upkeep(gallery, codebook=True, api_key=qdrant_key()) as opened,
        told(quiet=as_json) as tell,
    ):
        report = check_gallery(
            opened,
            sample=None if everything else sample,
            originals=Path(photos) if photos is not None else None,
            picture=picture,
            progress=tell,
        )
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    else:
        _print_check(report, picture)
    bad = len(report.findings) if strict else report.wrong
    if bad:
        kinds = "kind of fault" if bad == 1 else "kinds of fault"
        told_where = "in the JSON" if as_json else "above"
        raise GeolocationError(
            f"gallery {report.gallery!r} has {bad} {kinds}, limit 0; each is told {told_where} "
            "with its remedy"
        )


def _print_check(report: "CheckReport", picture: Path | None) -> None:
    files = f"{report.sampled:,} looked up and their files hashed again"
    if report.originals is not None:
        files += f", {report.originals:,} of their originals found"
    click.echo(f"Gallery {report.gallery}: {report.photos:,} {report.kind} read, {files}")
    rows = [("country", "", report.kind, "share", "per million sq km")]
    for one in report.coverage[:SHOWN]:
        density = "" if one.per_million_km2 is None else f"{one.per_million_km2:,.3g}"
        rows.append(
            (one.country or "-", one.name, f"{one.photos:,}", f"{100 * one.share:.1f} %", density)
        )
    click.echo(table(rows, right=(2, 3, 4)))
    if len(report.coverage) > SHOWN:
        click.echo(f"... and {len(report.coverage) - SHOWN} more countries")
    if report.uncovered:
        names = ", ".join(report.uncovered[:SHOWN])
        click.echo(f"Nothing in {len(report.uncovered)} countries and territories: {names} ...")
    same = report.duplicates
    near = (
        f"{same.near_hashes:,} pairs hash nearly alike"
        if same.near_compared
        else ("too many to look for hashes nearly alike")
    )
    click.echo(
        f"Duplicates: {same.same_vectors:,} share their vectors with another, "
        f"{same.same_hashes:,} hash the same, {near}"
    )
    if picture:
        click.echo(f"Map: {printable(str(picture))}")
    for finding in report.findings:
        click.echo(finding.line())
    if not report.findings:
        click.echo("Nothing wrong found")


@click.command()
@click.argument("galleries", nargs=-1, required=True, type=GalleryPlace())
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the new gallery."
)
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
def merge(galleries: tuple[Path | str, ...], out: Path, as_json: bool) -> None:
    """Put GALLERIES of one encoder into a new one, each photo once.

    Where two know a photo at different places, the first one's word counts, and it is told.
    Can be stopped and run again. The galleries merged stay as they are.
    """
    from index_builder.gallery_merge import merge_galleries

    with told(quiet=as_json) as tell:
        report = merge_galleries(galleries, out, progress=tell, api_key=qdrant_key())
    if as_json:
        found = report.model_dump(mode="json", exclude={"path"})
        click.echo(json.dumps({"path": printable(str(out), 4096), **found}, indent=2))
        return
    click.echo(
        f"Gallery {printable(str(out))}: {report.photos:,} photos of {report.given:,} given, "
        f"{report.duplicates:,} given twice, {report.seconds:.1f} s"
    )
    if report.missing_files:
        click.echo(f"  {report.missing_files:,} files are missing; check the galleries merged")
    if report.conflicts:
        click.echo(f"  {report.conflicts:,} are at different places, the first was kept:")
    for one in report.examples[:SHOWN]:
        click.echo(f"  {one.name}: {one.reason}")


@click.command()
@click.argument("gallery", type=GalleryPlace())
@click.option("--source", "sources", multiple=True, help="Everything of this source; repeat.")
@click.option("--author", "authors", multiple=True, help="Everything by this author; repeat.")
@click.option("--id", "ids", multiple=True, metavar="SHA256", help="This photo; repeat.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
def remove(
    gallery: Path | str,
    sources: tuple[str, ...],
    authors: tuple[str, ...],
    ids: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete photos from GALLERY with all that was made of them, for good.

    Names must agree to the letter. Entries, vectors, small copies and features are deleted and
    the store is written anew, so that none of their bytes stay. Can be stopped and run again.
    """
    from index_builder.upkeep import open_for_upkeep, remove_points

    by, values = _chosen(sources, authors, ids)

    def agreed(report: "RemoveReport") -> bool:
        if yes:
            return True
        _print_found(report)
        if not sys.stdin.isatty():
            raise InputError(
                f"{report.found:,} photos would be removed and nobody can be asked; give --yes "
                "to remove them, or --dry-run to see them"
            )
        return click.confirm(f"Remove these {report.found:,} for good?", err=True)

    with open_for_upkeep(gallery, api_key=qdrant_key()) as opened, told(quiet=as_json) as tell:
        report = remove_points(opened, by, values, agreed=agreed, dry_run=dry_run, progress=tell)
    if as_json:
        click.echo(report.model_dump_json(indent=2))
        return
    if report.finished:
        click.echo(f"Finished a removal that was stopped: {report.finished:,} photos")
    if dry_run:
        _print_found(report)
        click.echo(f"Gallery {report.gallery}: {report.found:,} would be removed, none was")
        return
    click.echo(
        f"Gallery {report.gallery}: {report.removed:,} removed with {report.files:,} files, "
        f"{report.photos:,} left"
    )
    if report.removed and not isinstance(gallery, str):
        click.echo("Their hashes are kept in removed.txt: later builds leave them out")
    elif report.removed:
        click.echo("Take them out of their source too: a build of it would add them again")


def _chosen(
    sources: tuple[str, ...], authors: tuple[str, ...], ids: tuple[str, ...]
) -> "tuple[By, tuple[str, ...]]":
    given: dict[By, tuple[str, ...]] = {"source": sources, "author": authors, "id": ids}
    chosen = [(by, values) for by, values in given.items() if values]
    if len(chosen) != 1:
        raise InputError(
            f"{len(chosen)} of --source, --author and --id given, limit 1; say what to remove"
        )
    return chosen[0]


def _print_found(report: "RemoveReport") -> None:
    names = ", ".join(repr(printable(value)) for value in report.values)
    click.echo(f"{report.found:,} photos of {report.by} {names}:", err=True)
    for name, count in sorted(report.sources.items()):
        click.echo(f"  {count:,} from source {printable(name) or '(unnamed)'}", err=True)
    for example in report.examples:
        click.echo(f"  such as {printable(example)}", err=True)
