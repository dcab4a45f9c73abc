"""`graticule export`: a session or a trace as a report, a map, a table or a case file."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from cli.paths import ExistingPath
from encoders.photo_file import printable
from geo.errors import InputError

if TYPE_CHECKING:
    from agent.case import Case, DisclosureLevel
    from agent.settings import Settings
    from geo.gazetteer import Gazetteer
    from tools.photos import PhotoStore

FORMATS = ("html", "geojson", "kml", "csv", "md", "json", "zip", "trace")
LEVELS = ("exact", "city", "region", "country", "none")
WHOLE = ("html", "zip")
"""Formats that get a file of their own where none is named; others go to standard output."""


@click.command()
@click.argument("source", metavar="[SESSION|TRACE|CASE]", required=False)
@click.option("--format", "kind", type=click.Choice(FORMATS), help="What to write.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File to write, - for standard output. [default: standard output; for html and zip a "
    "file in this folder]",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option(
    "--revision", type=click.IntRange(min=1), default=None, help="Which answer. [default: latest]"
)
@click.option(
    "--disclose",
    type=click.Choice(LEVELS),
    default=None,
    help="How finely to tell the place; never finer than GRATICULE_DISCLOSURE. [default: that]",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="Write the verdicts of all sessions as truth for `graticule evaluate`, and beside it "
    "what was answered.",
)
@click.option("--verify", type=ExistingPath(), help="Check that nobody changed a case file.")
def export(
    source: str | None,
    kind: str | None,
    out: Path | None,
    force: bool,
    revision: int | None,
    disclose: str | None,
    labels: Path | None,
    verify: Path | None,
) -> None:
    """Write SESSION as a report, a map, a table, or a case file that stands on its own.

    SESSION is an id that `graticule sessions list` shows, or the beginning of one. A trace's file,
    or a case file, does as well.
    """
    from agent.settings import load_settings

    if verify is not None:
        _verify(verify)
        return
    settings = load_settings()
    if labels is not None:
        _write_labels(settings, labels, force=force)
        return
    if source is None or kind is None:
        raise click.UsageError(
            "give a session, a trace or a case file and its --format, --labels or --verify"
        )
    _export(settings, source, kind, out, force=force, revision=revision, disclose=disclose)


def _export(
    settings: "Settings",
    source: str,
    kind: str,
    out: Path | None,
    *,
    force: bool,
    revision: int | None,
    disclose: str | None,
) -> None:
    from agent.disclosure import disclosed_case, level_named, stricter
    from agent.export import export_case, format_named

    asked = level_named(disclose or settings.disclosure)
    level = stricter(asked, settings.disclosure)
    if level != asked:
        click.echo(f"graticule: told as {level}: GRATICULE_DISCLOSURE allows no finer", err=True)
    with _opened(settings, source) as found:
        case = disclosed_case(found.case.until(revision or 0), level, _gazetteer(level))
        made = export_case(case, format_named(kind), found.photos, found.trace)
    if out is None and kind in WHOLE:
        out = Path(made.name)
    _write(made.data, out, force=force)


class _Found(NamedTuple):
    case: "Case"
    photos: "PhotoStore"
    trace: Path


@contextlib.contextmanager
def _opened(settings: "Settings", source: str) -> Iterator[_Found]:
    """Open what is to be exported: a session, a trace's file, or a case file."""
    import tempfile

    from agent.case import case_of_session, case_of_trace
    from tools.photos import PhotoStore

    path = Path(source)
    if not path.is_file():
        from agent.sessions import Sessions

        with Sessions(settings) as sessions:
            info = sessions.find(source)
            case = case_of_session(sessions, info.id)
            yield _Found(case, sessions.photos, sessions.trace_path(info.id))
        return
    with tempfile.TemporaryDirectory(prefix="case-") as folder:
        if _is_zip(path):
            from agent.case_file import extract_trace

            path = extract_trace(path, Path(folder))
        yield _Found(case_of_trace(path), PhotoStore(settings.photos), path)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _gazetteer(level: "DisclosureLevel") -> "Gazetteer | None":
    """Return what names cities and regions, where a level needs it."""
    if level not in ("city", "region"):
        return None
    from cli.progress import prepare_gazetteer
    from geo.gazetteer import Gazetteer

    prepare_gazetteer(quiet=True)
    return Gazetteer.open()


def _verify(path: Path) -> None:
    from agent.case_file import verify_case

    found = verify_case(path)
    chain = f"trace of {found.events:,} events unbroken" if found.events else "without a trace"
    told = "" if found.disclosure == "exact" else f", told as {found.disclosure}"
    click.echo(f"{found.files} files unchanged, {found.answers} answers, {chain}{told}")


def _write_labels(settings: "Settings", path: Path, *, force: bool) -> None:
    from agent.export_labels import labels_of
    from agent.sessions import Sessions

    if settings.disclosure != "exact":
        raise InputError(
            f"labels hold exact positions, and GRATICULE_DISCLOSURE is {settings.disclosure}; "
            "unset it to export them"
        )
    with Sessions(settings) as sessions:
        found = labels_of(sessions)
    if not found.photos:
        raise InputError("no session was judged yet; give a verdict in `graticule chat` first")
    beside = path.with_name(f"{path.stem}-predictions.csv")
    _refuse_there([path, beside], force=force)
    _write(found.truth, path, force=True)
    _write(found.predictions, beside, force=True)
    told = f"{found.photos} photos judged, {found.placed} with a position"
    if found.superseded:
        told += f"; {found.superseded} earlier verdicts of the same photos left out"
    click.echo(f"{told}\n  graticule evaluate score {_shown(beside)} {_shown(path)}")


def _refuse_there(paths: list[Path], *, force: bool) -> None:
    for path in paths:
        if path.exists() and not (force and path.is_file()):
            raise InputError(
                f"{_shown(path)!r} is there already; give another name, or --force to replace it"
            )


def _write(data: bytes, path: Path | None, *, force: bool) -> None:
    """Write to a file, whole or not at all, or to standard output."""
    if path is None or str(path) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    from index_builder.files import write_atomically

    _refuse_there([path], force=force)
    write_atomically(path, data)
    click.echo(f"{_shown(path)}: {len(data):,} bytes", err=True)


def _shown(path: Path) -> str:
    return printable(str(path), 4096)
