"""The application over quick sessions, asked without a socket."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from fastapi import FastAPI

from agent.factors import Settlements
from agent.sessions import Sessions
from server.app import make_app
from tests.unit.photo_samples import encoded, picture
from tests.unit.session_samples import Steady, quick_geolocators

PHOTO = encoded(picture(120, 80, seed=1))
OTHER = encoded(picture(120, 80, seed=2))
JPEG = {"content-type": "image/jpeg"}
STREAM = {"accept": "text/event-stream"}
HERE = "http://localhost"


class Frame(NamedTuple):
    """One server-sent event."""

    id: str
    event: str
    data: Any


class Served(NamedTuple):
    """An application and what is behind it."""

    app: FastAPI
    sessions: Sessions
    http: httpx.AsyncClient


@asynccontextmanager
async def serving(
    home: Path,
    settlements: Settlements,
    driver: Steady | None = None,
    *,
    address: str = "127.0.0.1",
    prepare: Callable[[FastAPI], object] = lambda app: None,
    **server: Any,
) -> AsyncIterator[Served]:
    """Serve quick sessions; further arguments are `ServerSettings`."""
    from agent.server_settings import ServerSettings
    from agent.settings import Settings

    settings = Settings(home=home, server=ServerSettings(**server))
    held = driver or Steady()
    with Sessions(settings, quick_geolocators(settings, settlements, lambda _: held)) as sessions:
        app = make_app(sessions)
        prepare(app)
        transport = httpx.ASGITransport(app, client=(address, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url=HERE, timeout=30) as http:
            yield Served(app, sessions, http)


def frames(text: str) -> list[Frame]:
    """Return the events of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append(
                Frame(fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"]))
            )
    return found


def refused(reply: httpx.Response, status: int, code: str = "") -> dict[str, Any]:
    """Return the problem document of a refusal."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = reply.json()
    assert document["status"] == status
    assert document["title"]
    assert "\n" not in document["detail"]
    assert not code or document["code"] == code, document
    return document
