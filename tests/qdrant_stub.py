"""A loopback server that speaks the part of Qdrant's REST interface that galleries use.

Points are kept by the client library's in-memory engine, so that the wire is real and the
answers are somebody else's. Faults are scripted: the next requests meet them, one each.
"""

import json
import socket
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel
from qdrant_client import QdrantClient
from qdrant_client.http import models

HANG_S = 30.0
API_KEY = "correct horse"


class Fault(NamedTuple):
    """What happens to one request instead of an answer."""

    kind: Literal["drop", "hang", "status", "lose", "busy"]
    """Cut before the request is carried out; no answer; an error; carried out, then cut; 429."""
    status: int = 503
    only: str = ""
    """Meets the first request whose `METHOD path` contains this."""


class QdrantStub:
    """The server; `url` is its address."""

    def __init__(self, *, api_key: str = "", forgets_metadata: bool = False) -> None:
        self.engine = QdrantClient(":memory:", force_disable_check_same_thread=True)
        self.faults: deque[Fault] = deque()
        self.requests: list[str] = []
        self.bodies: list[tuple[str, Any]] = []
        self.api_key, self.forgets_metadata = api_key, forgets_metadata
        self.lock = threading.Lock()
        self.port = 0
        self.status = "green"
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        stub = self

        class Handler(_Handler):
            owner = stub

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hung up is what the tests are about."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Go away; what was written stays."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def come_back_after(self, seconds: float) -> threading.Thread:
        """Go away now and come back later."""
        self.stop()
        thread = threading.Timer(seconds, self.start)
        thread.daemon = True
        thread.start()
        return thread

    def close(self) -> None:
        self.stop()
        self.engine.close()

    def next_fault(self, request: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.only in request:
                    self.faults.remove(fault)
                    return fault
        return None


class Refused(Exception):
    """An answer of another status."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    owner: QdrantStub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    do_PUT = do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: tests read `requests`."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urllib.parse.urlsplit(self.path).path
        name = f"{self.command} {path}"
        self.owner.requests.append(name)
        fault = self.owner.next_fault(name)
        if fault and fault.kind == "hang":
            time.sleep(HANG_S)
        if fault and fault.kind in ("drop", "hang"):
            return self._cut()
        if fault and fault.kind in ("status", "busy"):
            status = 429 if fault.kind == "busy" else fault.status
            return self._answer(status, {"status": {"error": "scripted"}}, busy=status == 429)
        status, answer = self._carried_out(path, body)
        if fault and fault.kind == "lose":
            return self._cut()
        return self._answer(status, answer)

    def _carried_out(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        key = self.owner.api_key
        if key and self.headers.get("api-key") != key:
            return 401, {"status": {"error": "Must provide an API key"}}
        try:
            with self.owner.lock:
                asked = json.loads(body) if body else {}
                self.owner.bodies.append((f"{self.command} {path}", asked))
                result = answer(self.owner, self.command, path, asked)
        except Refused as refused:
            return refused.status, {"status": {"error": str(refused)}, "time": 0.0}
        return 200, {"result": result, "status": "ok", "time": 0.0}

    def _answer(self, status: int, answer: dict[str, Any], *, busy: bool = False) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        if busy:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def answer(stub: QdrantStub, method: str, path: str, asked: Any) -> Any:
    """Carry out one request with the in-memory engine; return its result as JSON."""
    parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
    if parts[0] != "collections" or len(parts) < 2:
        raise Refused(404, "no such route")
    name, rest = parts[1], "/".join(parts[2:])
    if rest == "exists":
        return {"exists": stub.engine.collection_exists(name)}
    if (method, rest) == ("PUT", ""):
        return _create(stub, name, asked)
    if not stub.engine.collection_exists(name):
        raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
    route = ROUTES.get((method, rest))
    if route is None:
        raise Refused(404, f"no such route {method} {rest}")
    try:
        return as_json(route(stub, name, asked))
    except (ValueError, KeyError, AssertionError) as error:
        raise Refused(400, f"Wrong input: {error}") from None


def _create(stub: QdrantStub, name: str, asked: Any) -> bool:
    if stub.engine.collection_exists(name):
        raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
    wanted = models.CreateCollection.model_validate(asked)
    return stub.engine.create_collection(name, vectors_config=wanted.vectors)


def _details(stub: QdrantStub, name: str, _: Any) -> Any:
    found = as_json(stub.engine.get_collection(name))
    found["status"] = stub.status
    found["payload_schema"] = {
        body["field_name"]: {"data_type": body["field_schema"], "points": 0}
        for request, body in stub.bodies
        if request == f"PUT /collections/{urllib.parse.quote(name)}/index"
    }
    return found


def _update(stub: QdrantStub, name: str, asked: Any) -> bool:
    if stub.forgets_metadata:
        return True
    return stub.engine.update_collection(name, metadata=asked.get("metadata"))


def _upsert(stub: QdrantStub, name: str, asked: Any) -> Any:
    points = [models.PointStruct.model_validate(point) for point in asked["points"]]
    return stub.engine.upsert(name, points)


def _delete(stub: QdrantStub, name: str, asked: Any) -> Any:
    selector: Any = asked.get("points")
    if selector is None:
        selector = models.FilterSelector(filter=filter_of(asked))
    return stub.engine.delete(name, selector)


def _query(stub: QdrantStub, name: str, asked: Any) -> Any:
    query = asked["query"]
    return stub.engine.query_points(
        name,
        query["nearest"] if isinstance(query, dict) else query,
        using=asked.get("using"),
        query_filter=filter_of(asked),
        limit=asked["limit"],
        with_payload=asked.get("with_payload", False),
        with_vectors=asked.get("with_vector", False),
    )


def _scroll(stub: QdrantStub, name: str, asked: Any) -> Any:
    records, offset = stub.engine.scroll(
        name,
        filter_of(asked),
        limit=asked["limit"],
        offset=asked.get("offset"),
        with_payload=asked.get("with_payload", True),
        with_vectors=asked.get("with_vector", False),
    )
    return {"points": records, "next_page_offset": offset}


def _retrieve(stub: QdrantStub, name: str, asked: Any) -> Any:
    found = stub.engine.retrieve(
        name, asked["ids"], asked.get("with_payload", True), asked.get("with_vector", False)
    )
    return found[::-1]  # servers promise no order


ROUTES: dict[tuple[str, str], Callable[[QdrantStub, str, Any], Any]] = {
    ("GET", ""): _details,
    ("PATCH", ""): _update,
    ("DELETE", ""): lambda stub, name, _: stub.engine.delete_collection(name),
    ("PUT", "index"): lambda stub, name, _: {"operation_id": 0, "status": "completed"},
    ("PUT", "points"): _upsert,
    ("POST", "points"): _retrieve,
    ("POST", "points/query"): _query,
    ("POST", "points/scroll"): _scroll,
    ("POST", "points/delete"): _delete,
    ("POST", "points/count"): lambda stub, name, asked: stub.engine.count(name, filter_of(asked)),
    ("POST", "facet"): lambda stub, name, asked: stub.engine.facet(
        name, asked["key"], filter_of(asked), asked["limit"]
    ),
}


def filter_of(asked: Any) -> models.Filter | None:
    stated = asked.get("filter")
    return None if stated is None else models.Filter.model_validate(stated)


def as_json(result: Any) -> Any:
    """Return models, and lists and dictionaries of them, as JSON."""
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json")
    if isinstance(result, dict):
        return {key: as_json(value) for key, value in result.items()}
    return [as_json(value) for value in result] if isinstance(result, list) else result


@contextmanager
def qdrant_stub(*, api_key: str = "", forgets_metadata: bool = False) -> Iterator[QdrantStub]:
    """Run a stub for the time of a test."""
    stub = QdrantStub(api_key=api_key, forgets_metadata=forgets_metadata)
    try:
        yield stub
    finally:
        stub.close()
