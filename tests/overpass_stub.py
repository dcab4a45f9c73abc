"""An Overpass server on the loopback device: answers what it is told to and remembers queries."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import httpx

from geo.overpass import Overpass

CHURCHES: list[dict[str, object]] = [
    {"type": "node", "id": 1, "lat": 48.1, "lon": 11.5, "tags": {"name": "St. Anna"}},
    {"type": "way", "id": 2, "center": {"lat": 48.2, "lon": 11.6}, "tags": {}},
]


def answer(objects: list[dict[str, object]], total: int | None = None) -> dict[str, object]:
    """Return what Overpass answers to `out count` and `out tags center`."""
    count = {"total": str(len(objects) if total is None else total), "nodes": "0"}
    return {"version": 0.6, "elements": [{"type": "count", "id": 0, "tags": count}, *objects]}


class Stub(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.queries: list[str] = []
        self.agents: list[str] = []
        self.body: object = answer(CHURCHES)
        self.status = 200
        self.delay_s = 0.0
        self.at_once = 0
        self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Address of the interpreter."""
        return f"http://127.0.0.1:{self.server_address[1]}/api/interpreter"

    def client(self, timeout_s: float = 5.0, wait_s: float = 20.0) -> Overpass:
        """Return a client that asks it directly, whatever proxies are configured."""
        return Overpass(
            self.url,
            contact="someone@example.org",
            timeout_s=timeout_s,
            wait_s=wait_s,
            transport=httpx.HTTPTransport(),
        )


class _Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_POST(self) -> None:
        with self.server.lock:
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.queries.append(parse_qs(sent)["data"][0])
        self.server.agents.append(self.headers["User-Agent"])
        time.sleep(self.server.delay_s)
        body = self.server.body
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.server.lock:
            self.server.at_once -= 1
        try:
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass  # a client that has given up

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Stub]:
    """Run a server for the length of a `with` block."""
    stub = Stub()
    thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        stub.shutdown()
        thread.join()
        stub.server_close()
