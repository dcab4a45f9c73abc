"""Exports: a case as a file of another program, or as a file that stands on its own.

A trace alone is enough for everything that needs no pixels; pictures come from the photo store.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from agent.case import Case
from geo.errors import InputError

if TYPE_CHECKING:
    from tools.photos import PhotoStore

ExportFormat = Literal["html", "geojson", "kml", "csv", "md", "json", "zip", "trace"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
MEDIA_TYPES: Mapping[ExportFormat, str] = {
    "html": "text/html; charset=utf-8",
    "geojson": "application/geo+json",
    "kml": "application/vnd.google-earth.kml+xml",
    "csv": "text/csv; charset=utf-8; header=present",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
    "zip": "application/zip",
    "trace": "application/jsonl",
}
ENDINGS: Mapping[ExportFormat, str] = {"trace": "trace.jsonl", "zip": "case.zip"}
"""Where a file's name ends otherwise than its format is called."""
_ID = re.compile(r"[0-9a-f-]{8,64}")


class Exported(NamedTuple):
    """A file.

    Attributes:
        name: safe on every system: letters, digits, `-` and `.`.
    """

    data: bytes
    media_type: str
    name: str


def export_case(
    case: Case, kind: ExportFormat, photos: "PhotoStore", trace: Path | None = None
) -> Exported:
    """Return a case in a format; its latest answer where the format holds one.

    Args:
        case: told as finely as it may be.
        kind: which format.
        photos: where pictures are; what is gone from there is named as missing.
        trace: file of the trace, for `trace` and `zip`.

    Raises:
        InputError: a trace is asked for that is not there, or must be told coarser.
    """
    data = _MAKERS[kind](case, photos, trace)
    return Exported(data, MEDIA_TYPES[kind], file_name(case, kind))


def file_name(case: Case, kind: ExportFormat) -> str:
    """Return a name for the file of a case, whatever people called it."""
    named = case.session or case.answer.photo_id
    short = named[:8] if _ID.fullmatch(named) else "answer"
    return f"graticule-{short}-{case.answer.revision}.{ENDINGS.get(kind, kind)}"


def format_named(name: str) -> ExportFormat:
    """Return a format by its name.

    Raises:
        InputError: there is none of this name.
    """
    for kind in FORMATS:
        if kind == name:
            return kind
    raise InputError(f"format {name!r:.40} is none of {', '.join(FORMATS)}; give one of these")


def trace_bytes(case: Case, trace: Path | None) -> bytes:
    """Return the whole lines of a case's trace.

    Raises:
        InputError: there is none, or the case is told coarser than it.
    """
    if case.disclosure != "exact":
        raise InputError(
            f"a trace holds everything and cannot be told by {case.disclosure} alone; export "
            "another format, or ask for --disclose exact where the settings allow it"
        )
    if trace is None or not trace.is_file():
        raise InputError("there is no trace to export; give a session, or the trace's file")
    lines = trace.read_bytes().split(b"\n")[: case.events]
    return b"".join(line + b"\n" for line in lines)


def _html(case: Case, photos: "PhotoStore", _: Path | None) -> bytes:
    from agent.report import render_report

    return render_report(case.answer, photos, case).encode(errors="replace")


def _geojson(case: Case, *_: object) -> bytes:
    from agent.export_geojson import geojson_of

    return geojson_of(case)


def _kml(case: Case, *_: object) -> bytes:
    from agent.export_kml import kml_of

    return kml_of(case)


def _csv(case: Case, *_: object) -> bytes:
    from agent.export_csv import csv_of

    return csv_of(case)


def _markdown(case: Case, *_: object) -> bytes:
    from agent.export_markdown import markdown_of

    return markdown_of(case)


def _json(case: Case, *_: object) -> bytes:
    from agent.export_geojson import as_json

    return as_json(case.answer.model_dump(mode="json"))


def _zip(case: Case, photos: "PhotoStore", trace: Path | None) -> bytes:
    from agent.case_file import case_file

    return case_file(case, photos, trace)


_MAKERS: Mapping[ExportFormat, Callable[[Case, "PhotoStore", Path | None], bytes]] = {
    "html": _html,
    "geojson": _geojson,
    "kml": _kml,
    "csv": _csv,
    "md": _markdown,
    "json": _json,
    "zip": _zip,
    "trace": lambda case, _, trace: trace_bytes(case, trace),
}
