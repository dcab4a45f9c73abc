"""The HTTP application: one FastAPI app of all faces."""

from fastapi import FastAPI

from agent.sessions import Sessions
from server import (
    about,
    assistants,
    completions,
    exports,
    galleries,
    items,
    locating,
    operations,
    runs,
    threads,
)
from server.context import Context
from server.installing import install
from server.mcp import mount_mcp
from server.run_queue import Runs
from server.web import mount_page

ROUTERS = (
    operations.router, locating.router, galleries.router, exports.router, completions.router,
    about.router, assistants.router, threads.router, runs.router, items.router,
)  # fmt: skip


def make_app(sessions: Sessions) -> FastAPI:
    """Return the application around sessions, which whoever made them closes.

    Args:
        sessions: what all faces share.
    """
    app = FastAPI(title="Graticule", docs_url=None, redoc_url=None)
    app.state.context = Context(sessions, sessions.settings)
    sessions = app.state.context.sessions  # no face has others: it tells what may be told
    app.state.runs = Runs(sessions)
    for router in ROUTERS:
        app.include_router(router)
    mount_mcp(app, sessions, sessions.settings.server.hosts, sessions.settings.server.origins)
    mount_page(app, sessions)
    install(app)
    return app
