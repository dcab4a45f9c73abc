"""A hub on the loopback that serves ranges, and misbehaves as told."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """What it serves, how, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    linked: bool = False
    """State the file's SHA-256, as the hub does for large files."""
    lie: str = ""
    """A SHA-256 to state instead."""
    statuses: list[int] = field(default_factory=list)
    """Answer the next requests with these and nothing else."""
    cuts: list[int] = field(default_factory=list)
    """Close the connection after so many bytes, one request after the other."""
    stated_length: int | None = None
    shift: int = 0
    """Send the range that begins so many bytes away from what was asked."""
    redirect: str = ""
    """Send every request for a path below /hub there, with {path} put in."""
    encoding: str = ""
    retry_after: str = ""
    chunked: bool = False
    hold: threading.Event | None = None
    """Wait for it in the middle of a body."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of every request."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        with suppress(ConnectionError):  # whoever asked was killed
            self._answer()

    def _answer(self) -> None:
        hub, self.close_connection = self.hub, True
        hub.asked.append((self.path, self.headers.get("Range", "")))
        data = hub.files.get(self.path.removeprefix("/hub").removeprefix("/cdn"))
        if hub.statuses:
            return self._bare(hub.statuses.pop(0))
        if hub.redirect and not self.path.startswith("/cdn"):
            return self._bare(
                302, Location=hub.redirect.format(path=self.path), **self._linked(data)
            )
        if data is None:
            return self._bare(404)
        start = self._start() if hub.ranges else 0
        if start >= len(data) > 0 and start:
            return self._bare(416, **{"Content-Range": f"bytes */{len(data)}"})
        return self._body(data, start)

    def _start(self) -> int:
        asked = self.headers.get("Range", "bytes=0-")
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _linked(self, data: bytes | None) -> dict[str, str]:
        if data is None or not self.hub.linked:
            return {}
        return {"X-Linked-Etag": f'"{self.hub.lie or hashlib.sha256(data).hexdigest()}"'}

    def _bare(self, status: int, **headers: str) -> None:
        self.send_response(status)
        if self.hub.retry_after:
            self.send_header("Retry-After", self.hub.retry_after)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self, data: bytes, start: int) -> None:
        hub = self.hub
        partial = hub.ranges and "Range" in self.headers
        start = max(start + (hub.shift if partial else 0), 0)
        rest = data[start:]
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        for name, value in self._linked(data).items():
            self.send_header(name, value)
        if hub.encoding:
            self.send_header("Content-Encoding", hub.encoding)
        length = len(rest) if hub.stated_length is None else hub.stated_length
        if not hub.chunked:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        cut = hub.cuts.pop(0) if hub.cuts else len(rest)
        if hub.hold is None:
            self.wfile.write(rest[:cut])
            return
        self.wfile.write(rest[: cut // 2])
        self.wfile.flush()
        hub.hold.wait(30)
        self.wfile.write(rest[cut // 2 : cut])


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve for the time of a `with`."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
