"""Who may ask at all: names, origins, keys and rates, before any route sees a request.

Pure ASGI, so that streams are not held up and websockets pass the same doors. A web page that a
person happens to visit must not reach a server on their machine: not under a name of its own
(DNS rebinding: the Host list) and not from its own origin (the Origin check). Other machines need
a key.
"""

import base64
import binascii
import ipaddress
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.settings import Settings
from encoders.photo_file import printable
from encoders.serving import LOOPBACK
from geo.errors import GeolocationError, InputError
from server.problems import REJECTED, ProblemError, code_of, problem_of
from server.security_keys import ApiKey, KeyRing
from server.security_rates import Rates, cost_of, rate_headers

OPEN_PATHS = frozenset({"/health", "/ready", "/ok"})
"""What tells nothing of anybody, and a monitor asks without a key."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
READING_POSTS = (
    "/search", "/count", "/history", "/state/checkpoint", "/versions", "/store/namespaces",
)  # fmt: skip
"""Of LangGraph's API: they ask, and change nothing."""
ACTING = ("/page/s/", "/page/_nicegui_ws/")
"""The page acts as soon as it is open: it needs a key that may, or it would be dead."""
KEY = "graticule.key"
"""Entry of a scope: the key that its request came with."""
DEFAULT_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": "frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer that does not say otherwise."""


def is_local(address: str) -> bool:
    """Whether a name or an address is this machine alone."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def check_binding(host: str, settings: Settings) -> bool:
    """Return whether an address to listen on is this machine's alone.

    Raises:
        InputError: others would reach it, and there is no key that they would need.
        ConfigError: the keys cannot be read.
    """
    local = is_local(host)
    if not local and not KeyRing(settings.home).keys():
        raise InputError(
            f"{printable(host)!r} lets other machines in, and there is no key that they would "
            "need; use 127.0.0.1, or run `graticule keys create NAME` first"
        )
    return local


class Doors:
    """ASGI middleware: the name that a client calls, and the page that it calls from.

    Args:
        app: what is behind.
        settings: with names and origins.
        keys: where there are some, addresses may stand for names: rebinding needs a name.
    """

    def __init__(self, app: ASGIApp, settings: Settings, keys: KeyRing) -> None:
        self.app, self.keys = app, keys
        self.hosts = LOOPBACK | {host.lower() for host in settings.server.hosts}
        self.origins = frozenset(one.lower().rstrip("/") for one in settings.server.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        guarded = _with_headers(send) if scope["type"] == "http" else send
        try:
            headers = Headers(scope=scope)
            self._check_host(headers)
            self._check_origin(scope, headers)
        except (ProblemError, GeolocationError) as refusal:
            await refuse(scope, receive, guarded, refusal)
            return
        await self.app(scope, receive, guarded)

    def _check_host(self, headers: Headers) -> None:
        named = headers.getlist("host")
        host = _host_name(named[0]) if len(named) == 1 else ""
        if host in self.hosts or (_is_address(host) and self.keys.keys()):
            return
        shown = printable(named[0] if named else "", 100)
        raise ProblemError(
            421, "unknown_host",
            f"this server is not called {shown!r}; use localhost, or name it in "
            "GRATICULE_SERVER__HOSTS",
        )  # fmt: skip

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origins = headers.getlist("origin")
        if not origins:
            self._check_fetch(scope, headers)
            return
        origin = origins[0].lower().rstrip("/") if len(origins) == 1 else ""
        if origin in self.origins or _same(origin, headers.get("host", "")):
            return
        raise _foreign(origins[0])

    def _check_fetch(self, scope: Scope, headers: Headers) -> None:
        """Refuse what a page elsewhere embeds; a link that somebody follows is no such thing."""
        if headers.get("sec-fetch-site", "none") not in ("cross-site", "same-site"):
            return
        if headers.get("sec-fetch-mode") == "navigate" and scope.get("method") == "GET":
            return
        raise _foreign("another page")


class KeyDoor:
    """ASGI middleware: keys, what they may do and how often.

    Args:
        app: what is behind.
        settings: with the rate of keys that have none of their own.
        keys: the keys there are; without any, this machine alone may ask.
        rates: what is left to each.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, keys: KeyRing, rates: Rates | None = None
    ) -> None:
        self.app, self.settings, self.keys = app, settings, keys
        self.rates = rates or Rates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, or refuse."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        try:
            key = self._key(scope)
            told = self._counted(key, scope) if key else {}
        except (ProblemError, GeolocationError) as refusal:
            await refuse(scope, receive, send, refusal)
            return
        scope[KEY] = key
        await self.app(scope, receive, _with_rate(send, told) if told else send)

    def _key(self, scope: Scope) -> ApiKey | None:
        headers = Headers(scope=scope)
        if not self.keys.keys():
            _check_near(scope)
            return None
        key = self.keys.find(token_of(headers))
        if key is None:
            page = "text/html" in headers.get("accept", "")
            challenge = 'Basic realm="graticule", charset="UTF-8"' if page else "Bearer"
            raise ProblemError(
                401, "no_key",
                "no key, or one that is not known; send it as x-api-key or as Authorization: "
                "Bearer; `graticule keys create` makes one",
                {"www-authenticate": challenge},
            )  # fmt: skip
        needed = needed_scope(scope)
        if needed not in key.scopes:
            raise ProblemError(
                403, "scope", f"this key may {' and '.join(key.scopes)}, not {needed}; use another"
            )
        return key

    def _counted(self, key: ApiKey, scope: Scope) -> dict[str, str]:
        limit = key.rate_per_minute or self.settings.server.rate_per_minute
        turn = self.rates.take(key.id, limit, cost_of(scope["path"], scope.get("method", "")))
        told = rate_headers(limit, turn)
        if not turn.allowed:
            raise ProblemError(
                429, "rate",
                f"this key may ask {limit:,} times a minute; ask again in {turn.wait_s} s",
                {**told, "retry-after": str(turn.wait_s)},
            )  # fmt: skip
        return told


def token_of(headers: Headers) -> str:
    """Return the key that a request came with, empty without one.

    `x-api-key` is LangGraph's way, `Bearer` that of OpenAI and MCP clients, and the password of
    `Basic` that of a browser, which asks the person for it.
    """
    if given := headers.get("x-api-key"):
        return given
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def needed_scope(scope: Scope) -> str:
    """Return what a key must be allowed for a request: `read`, `write` or `operate`."""
    path, method = scope["path"], scope.get("method", "")
    if path == "/metrics":
        return "operate"
    if path in ("/page", "/page/") or path.startswith(ACTING):
        return "write"
    if method in READING or (method == "POST" and path.endswith(READING_POSTS)):
        return "read"
    return "write"


async def refuse(scope: Scope, receive: Receive, send: Send, error: Exception) -> None:
    """Answer with a problem document; a websocket is closed before it opens."""
    answer = problem_of(error)
    scope[REJECTED] = code_of(error)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": str(error)[:120]})
        return
    await answer(scope, receive, send)


def _host_name(host: str) -> str:
    """Return the name of a Host header without its port, in lower case."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
    return "" if "@" in host or "/" in host else name.removesuffix(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _same(origin: str, host: str) -> bool:
    """Whether an origin is this very server; a proxy may have taken TLS off."""
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and bool(rest) and rest == host.lower()


def _foreign(origin: str) -> ProblemError:
    return ProblemError(
        403, "foreign_origin",
        f"{printable(origin, 100)!r} may not call this server; name it in "
        "GRATICULE_SERVER__ORIGINS",
    )  # fmt: skip


def _check_near(scope: Scope) -> None:
    """Refuse other machines: nobody asks them who they are.

    A proxy on this machine brings them under the name by which they know the server.
    """
    address = (scope.get("client") or ("",))[0]
    named = Headers(scope=scope).get("host", "")
    host = named.rpartition(":")[0] if re.search(r":\d+$", named) else named
    far = _is_address(address) and not ipaddress.ip_address(address).is_loopback
    if far or (host and not is_local(host.strip("[]"))):
        raise ProblemError(
            403, "no_keys",
            "other machines need a key, and this server has none; run `graticule keys create NAME`"
            " on it",
        )  # fmt: skip


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in DEFAULT_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


def _with_rate(send: Send, told: dict[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(told)
        await send(message)

    return sending
