"""The page: a face of the sessions in the browser, mounted at `/page`.

NiceGUI has one application a process and takes a second to import. It is begun with the first
request for the page, so that servers which nobody looks at do without it.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from agent.page_settings import PageSettings
from agent.sessions import Sessions
from geo.errors import UnavailableError
from server import web_files, web_said

PATH = "/page"
POLICY = (
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Vue compiles templates in the browser
    "style-src 'self' 'unsafe-inline'",
    "font-src 'self' data:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)
"""What else could load or send anything is shut, should a text ever become markup."""


def mount_page(app: FastAPI, sessions: Sessions) -> None:
    """Mount the page of sessions at `/page`; `/` leads there.

    Args:
        app: with `state.context`.
        sessions: what the page shows.
    """
    page = Page(sessions)
    app.include_router(web_files.router)
    app.include_router(web_said.router)
    app.add_api_route("/", _there, include_in_schema=False)
    app.mount(PATH, page)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with inner(app) as state:
            try:
                yield state
            finally:
                await page.close()

    app.router.lifespan_context = lifespan


def _there() -> RedirectResponse:
    return RedirectResponse(f"{PATH}/")


class Page:
    """NiceGUI's application, begun when it is first asked for; an ASGI application.

    Args:
        sessions: what the page shows.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self._inner: FastAPI | None = None
        self._begun = asyncio.Lock()
        self._policy = policy_of(sessions.settings.page)
        self._stack = AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a page, or what it needs.

        Raises:
            UnavailableError: NiceGUI is not installed.
        """
        async with self._begun:
            if self._inner is None:
                self._inner = await self._begin()
        scope["graticule.sessions"] = self.sessions
        await self._inner(scope, receive, self._guarded(send))

    def _guarded(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", self._policy)
            await send(message)

        return sending

    async def _begin(self) -> FastAPI:
        inner = await run_in_threadpool(_host)
        await self._stack.enter_async_context(inner.router.lifespan_context(inner))
        return inner

    async def close(self) -> None:
        """End what was begun."""
        self._inner = None
        await self._stack.aclose()


def policy_of(page: PageSettings) -> str:
    """Return the Content-Security-Policy: the page asks nobody but this server and its tiles."""
    urls = [urlsplit(layer.url) for layer in page.tiles]
    hosts = [f"{url.scheme}://{url.netloc.replace('{s}', '*')}" for url in urls if url.netloc]
    return "; ".join((*POLICY, " ".join(("img-src 'self' data: blob:", *sorted(set(hosts))))))


@lru_cache(maxsize=1)
def _host() -> FastAPI:
    try:
        pages = importlib.import_module("server.web_pages")
    except ImportError as error:
        raise UnavailableError(
            f"package {error.name!r} is not installed; run pip install 'graticule[server]'"
        ) from None
    found: FastAPI = pages.host()
    return found
