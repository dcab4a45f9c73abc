"""What clients of the Model Context Protocol may read: photos, answers, reports, traces.

Photos are the store's re-encoded pixels, without the metadata of the file that was handed in.
Answers leave out what metadata claims, as tools do. Reports and traces are for the person: they
show claims, set apart from what was inferred.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import Annotations
from mcp_types import Resource as McpResource

from agent.sessions import Sessions
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError
from server.answers import summary_of
from server.mcp_tools import PHOTO_URI
from server.problems import masked
from server.telling import latest_answer, tells_all, told_report, told_trace
from tools.evidence import ToolError

T = TypeVar("T")
MOST_LISTED = 50
"""Sessions whose photo and report `resources/list` names; any other is read by its address."""
FOR_PERSON = Annotations(audience=["user"])
FOR_BOTH = Annotations(audience=["user", "assistant"])


def add_resources(server: "MCPServer[Any]", sessions: Sessions) -> None:
    """Offer what sessions hold, by address."""

    @server.resource(
        "photo://{photo_id}", name="photo", title="Photo", mime_type="image/jpeg",
        annotations=FOR_BOTH,
        description="Pixels of a photo, upright, re-encoded, without the file's metadata.",
    )  # fmt: skip
    async def photo(photo_id: str) -> bytes:
        return await _read(lambda: _pixels(sessions, photo_id))

    @server.resource(
        "session://{session_id}/answer", name="answer", title="Answer",
        mime_type="application/json", annotations=FOR_BOTH,
        description="Where the photo was taken, how sure we are, and why.",
    )  # fmt: skip
    async def answer(session_id: str) -> str:
        return await _read(
            lambda: summary_of(latest_answer(sessions, session_id)).model_dump_json()
        )

    @server.resource(
        "session://{session_id}/report", name="report", title="Report", mime_type="text/html",
        annotations=FOR_PERSON,
        description="One self-contained HTML file with every step, for the person.",
    )  # fmt: skip
    async def report(session_id: str) -> str:
        return await _read(lambda: told_report(sessions, session_id))

    @server.resource(
        "session://{session_id}/trace", name="trace", title="Trace",
        mime_type="application/jsonl", annotations=FOR_PERSON,
        description="Hash-chained events of the session, one JSON object a line, for the person.",
    )  # fmt: skip
    async def trace(session_id: str) -> str:
        return await _read(lambda: told_trace(sessions, session_id))


def listed_resources(sessions: Sessions) -> list[McpResource]:
    """Return the photos and reports of the latest sessions."""
    found: dict[str, McpResource] = {}
    for info in sessions.search(limit=MOST_LISTED):
        known = (info.headline or info.name) if tells_all(sessions) else ""
        name = printable(known or info.id, 120)
        if info.revision:
            uri = f"session://{info.id}/report"
            found[uri] = McpResource(
                uri=uri, name=f"report of {name}", mime_type="text/html", annotations=FOR_PERSON
            )
        for photo_id in info.photos:
            uri = PHOTO_URI + photo_id
            found[uri] = McpResource(
                uri=uri, name=f"photo {photo_id[:12]}", mime_type="image/jpeg", annotations=FOR_BOTH
            )
    return list(found.values())


async def _read(make: Callable[[], T]) -> T:
    try:
        return await anyio.to_thread.run_sync(make)
    except (InputError, ToolError) as error:
        raise ResourceNotFoundError(masked(str(error))) from None
    except GeolocationError as error:
        raise ResourceError(str(error)) from None


def _pixels(sessions: Sessions, photo_id: str) -> bytes:
    held = sessions.photos.get(photo_id)
    try:
        return sessions.photos.path(held.id).read_bytes()
    except OSError:
        raise InputError(f"photo {held.id[:12]} is gone from the store; add it again") from None
