"""Bad input on a real socket: each with its status and problem, in one table."""

import base64
import json
import logging
import threading
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.factors import Settlements
from tests.integration.test_server_hostile import connected, running
from tests.unit.server_samples import PHOTO
from tests.unit.session_samples import Steady

pytestmark = pytest.mark.slow
logger = logging.getLogger(__name__)
LIMIT = 100_000
NOBODY = str(uuid.UUID(int=7))
FORM = "multipart/form-data; boundary=b"
PLAIN = "application/json"


def part(name: str, data: bytes = PHOTO, end: bytes = b"\r\n--b--\r\n") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="photo"; filename="{name}"\r\n\r\n'
    return head.encode() + data + end


def request(path: str, kind: str, body: bytes, length: int | None = None, more: str = "") -> bytes:
    size = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n{more}"
    return f"{head}content-length: {size}\r\nconnection: close\r\n\r\n".encode() + body


IMAGE = base64.b64encode(PHOTO).decode()
ROWS: tuple[tuple[str, bytes, int, str], ...] = (
    ("a photo past the limit", request("/v1/locate", "image/jpeg", b"x" * LIMIT * 2), 413,
     "bad_body"),
    ("a length past the limit, said beforehand",
     request("/v1/locate", "image/jpeg", b"x", LIMIT * 9), 413, "bad_body"),
    ("a form cut off", request("/v1/locate", FORM, part("a.jpg", end=b"")), 400, "bad_body"),
    ("a form without its boundary", request("/v1/locate", "multipart/form-data", b"x"), 400,
     "bad_body"),
    ("a form without a file", request("/v1/locate", FORM, b"--b--\r\n"), 422, "bad_input"),
    ("two photos to locate", request("/v1/locate", FORM,
     part("a.jpg", end=b"\r\n") + part("b.jpg")), 422, "bad_input"),
    ("a body that trickles", request("/v1/locate", "image/jpeg", b"x", 500), 408, "bad_body"),
    ("text instead of a photo", request("/v1/locate", "image/jpeg", b"hello"), 422, "bad_input"),
    ("a photo cut off", request("/v1/locate", "image/jpeg", PHOTO[:400]), 422, "bad_input"),
    ("nothing", request("/v1/locate", "image/jpeg", b""), 422, "bad_input"),
    ("another content type", request("/v1/locate", "text/html", b"<p>"), 415, "bad_body"),
    ("a packed body", request("/v1/locate", "image/jpeg", PHOTO, more="content-encoding: gzip\r\n"),
     415, "encoded"),
    ("JSON cut off", request("/v1/locate", PLAIN, b'{"image": "'), 400, "malformed"),
    ("JSON that does not fit", request("/v1/locate", PLAIN, b'{"imag": ""}'), 422, "unfitting"),
    ("no base64", request("/v1/locate", PLAIN, b'{"image": "?"}'), 422, "bad_input"),
    ("an address to fetch", request("/v1/locate", PLAIN, b'{"url": "http://127.0.0.1/"}'), 403,
     ""),
    ("a path for a photo", request("/v1/locate", PLAIN, b'{"image": "../../etc/passwd"}'), 422,
     "bad_input"),
    ("a budget of no step", request("/v1/locate", PLAIN,
     json.dumps({"image": IMAGE, "budget": {"steps": 0}}).encode()), 422, "unfitting"),
    ("an unknown session", request(f"/v1/sessions/{NOBODY}/messages", PLAIN, b'{"text": "x"}'),
     404, "unknown_session"),
    ("a session that is a path", request("/v1/sessions/..%2f..%2fetc/messages", PLAIN, b"{}"), 404,
     ""),
    ("an unknown thread", request(f"/threads/{NOBODY}/runs/wait", PLAIN,
     b'{"assistant_id": "graticule"}'), 404, "unknown_session"),
    ("an unknown assistant", request("/runs/wait", PLAIN,
     b'{"assistant_id": "x", "input": {}}'), 404, "unknown_assistant"),
    ("a thread by another content type", request("/threads", "text/plain", b"{}"), 415,
     "wrong_type"),
    ("another host", request("/threads", PLAIN, b"{}").replace(b"localhost", b"evil.example"), 421,
     "unknown_host"),
    ("another origin", request("/threads", PLAIN, b"{}", more="origin: http://evil.example\r\n"),
     403, "foreign_origin"),
    ("a method that is none here", request("/v1/locate", PLAIN, b"{}").replace(b"POST", b"PUT", 1),
     405, ""),
)  # fmt: skip


def answered(url: str, sent: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes as they are; return the status and the problem document."""
    with connected(url) as one:
        one.sendall(sent)
        got = b""
        while chunk := one.recv(65536):
            got += chunk
            head, _, body = got.partition(b"\r\n\r\n")
            if b"content-length: " in head and len(body) >= int(
                head.partition(b"content-length: ")[2].split(b"\r\n")[0]
            ):
                break
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, got[:500]
    return int(head.split()[1]), json.loads(body)


def test_every_refusal_is_a_problem_document(tmp_path: Path, settlements: Settlements) -> None:
    with running(tmp_path, settlements, body_bytes=LIMIT, receive_s=1.0) as (url, sessions):
        table, wrong = [], []
        for what, sent, status, code in ROWS:
            found, problem = answered(url, sent)
            table.append(f"{what:42} {found}  {problem['code']:18} {problem['detail'][:90]}")
            if found != status or code not in ("", problem["code"]):
                wrong.append(table[-1])
            assert problem["status"] == found
        logger.info("\n%s", "\n".join(table))
        assert not wrong, "\n".join(wrong)
        assert sessions.search() == []
        assert list((tmp_path / "photos").glob("*")) == []


def test_names_with_paths_lead_nowhere(tmp_path: Path, settlements: Settlements) -> None:
    with running(tmp_path, settlements) as (url, sessions):
        for name in ("../../etc/passwd", "..\\..\\boot.ini", "/etc/shadow", "a\\x00b.jpg", "CON"):
            reply = httpx.post(
                f"{url}/v1/locate", content=part(name), headers={"content-type": FORM}, timeout=60
            )
            assert reply.status_code == 200, reply.text
        for info in sessions.search():
            assert "/" not in info.name
            assert "\\" not in info.name
        held = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
        assert held <= {"photos", "sessions", "traces", "sessions.sqlite", "sessions.sqlite-wal",
                        "sessions.sqlite-shm"}  # fmt: skip


def test_the_second_writer_is_told_to_wait(tmp_path: Path, settlements: Settlements) -> None:
    gate = threading.Event()
    with running(tmp_path, settlements, Steady(1, gate)) as (url, sessions):
        made = sessions.create(PHOTO)
        sessions.send(made.id)
        said: dict[str, Any] = {"json": {"text": "it is not Spain"}, "timeout": 60}
        refused = httpx.post(f"{url}/v1/sessions/{made.id}/messages", **said)
        assert (refused.status_code, refused.json()["code"]) == (409, "session_busy")
        assert "retry-after" in refused.headers
        gate.set()
        sessions.running(made.id).wait(30)  # type: ignore[union-attr]
        again = httpx.post(f"{url}/v1/sessions/{made.id}/messages", **said)
        assert again.status_code == 200, again.text
