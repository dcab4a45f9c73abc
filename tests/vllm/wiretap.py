"""A loopback proxy before a chat server: it passes everything on and keeps what it saw.

What the product says of its requests is checked against what really went over the wire.
"""

import http.client
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TIMEOUT_S = 600.0
HEADERS = ("Content-Type", "Authorization", "Accept")


@dataclass
class Exchange:
    """One request and what came back."""

    path: str
    request: dict[str, Any]
    status: int = 0
    content_type: str = ""
    reply: bytes = b""
    left: bool = False
    """Whether the client hung up before the reply's end."""

    @property
    def streamed(self) -> bool:
        """Whether the reply came as server-sent events."""
        return self.content_type.startswith("text/event-stream")


@dataclass
class Wiretap:
    """The exchanges so far, and where the proxy listens."""

    url: str = ""
    exchanges: list[Exchange] = field(default_factory=list)

    def chats(self) -> list[Exchange]:
        """Return the chat requests, in the order they came."""
        return [one for one in self.exchanges if one.path.endswith("/chat/completions")]


@contextmanager
def tapped(server_url: str) -> Iterator[Wiretap]:
    """Yield a proxy before the server of this address (up to `/v1`)."""
    upstream = urllib.parse.urlsplit(server_url)
    tap = Wiretap()

    class Handler(_Handler):
        wiretap, host, port = tap, upstream.hostname or "", upstream.port or 80

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    tap.url = f"http://127.0.0.1:{proxy.server_address[1]}{upstream.path}"
    thread = threading.Thread(target=proxy.serve_forever, name="wiretap", daemon=True)
    thread.start()
    try:
        yield tap
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    wiretap: Wiretap
    host: str
    port: int

    def do_GET(self) -> None:
        self._pass_on(b"")

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _pass_on(self, body: bytes) -> None:
        exchange = Exchange(self.path, json.loads(body) if body else {})
        self.wiretap.exchanges.append(exchange)
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            headers = {name: self.headers[name] for name in HEADERS if name in self.headers}
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            exchange.status = response.status
            exchange.content_type = response.headers.get("Content-Type") or ""
            self._relay(response, exchange)
        except (BrokenPipeError, ConnectionResetError):
            exchange.left = True
        finally:
            connection.close()

    def _relay(self, response: http.client.HTTPResponse, exchange: Exchange) -> None:
        """Write each piece on as it comes; the end of the connection is the end of the reply."""
        self.send_response(response.status)
        self.send_header("Content-Type", exchange.content_type)
        self.end_headers()
        while piece := response.read1(65_536):
            exchange.reply += piece
            self.wfile.write(piece)
            self.wfile.flush()
