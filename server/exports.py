"""Exports of a session: report, GeoJSON, KML, CSV, Markdown, case file."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from agent.case import DisclosureLevel, case_of_session
from agent.disclosure import disclosed_case, stricter
from agent.export import Exported, ExportFormat, export_case
from agent.told_sessions import exact
from server.context import Context, context_of

router = APIRouter()
PAGE_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox"
)
"""Of the report: even if something in it were a script, it could not run, send or frame."""


@router.get("/v1/sessions/{session_id}/export/{format}", response_class=Response)
def export(
    request: Request,
    session_id: str,
    format: ExportFormat,
    revision: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    disclose: DisclosureLevel | None = None,
) -> Response:
    """Return a session in a format.

    Args:
        request: its `If-None-Match` may say that the client has it already.
        session_id: whose.
        format: `html`, `geojson`, `kml`, `csv`, `md`, `json`, `zip` or `trace`.
        revision: which answer; 0 for the latest.
        disclose: how finely places are told; never finer than the server's settings allow.
    """
    made = exported(context_of(request), session_id, format, revision, disclose)
    tag = f'"{hashlib.sha256(made.data).hexdigest()[:32]}"'
    headers = {**_headers(made, format), "ETag": tag}
    if _has(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(made.data, media_type=made.media_type, headers=headers)


def exported(
    context: Context,
    session_id: str,
    kind: ExportFormat,
    revision: int = 0,
    disclose: DisclosureLevel | None = None,
) -> Exported:
    """Return a session as a file, told no finer than the settings allow.

    Raises:
        UnknownSessionError: there is none of this id.
        InputError: it has no answer yet, or not this revision; or a trace is to be told coarser.
    """
    sessions, allowed = exact(context.sessions), context.settings.disclosure
    level = stricter(disclose or allowed, allowed)
    case = case_of_session(sessions, session_id).until(revision)
    gazetteer = None
    if level in ("city", "region"):
        from geo.gazetteer import Gazetteer

        gazetteer = Gazetteer.open()
    case = disclosed_case(case, level, gazetteer)
    return export_case(case, kind, sessions.photos, sessions.trace_path(session_id))


def _headers(made: Exported, kind: ExportFormat) -> dict[str, str]:
    """Return what a browser shall do with a file: show the report in a sandbox, save the rest.

    The name is one of ours and needs no quoting (RFC 6266).
    """
    shown = "inline" if kind == "html" else "attachment"
    return {
        "Content-Disposition": f'{shown}; filename="{made.name}"',
        "Content-Security-Policy": PAGE_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, no-cache",
    }


def _has(stated: str, tag: str) -> bool:
    """Whether `If-None-Match` names a tag, weakly compared as RFC 9110 says."""
    return stated.strip() == "*" or tag in (
        one.strip().removeprefix("W/") for one in stated.split(",")
    )
