"""The encoder service under load and abuse: every request gets its own answer, or a refusal."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import numpy as np
import ormsgpack
import pytest
from PIL import Image
from safetensors.numpy import load, save

from encoders import wire
from encoders.batching import BatchLimits
from encoders.client import RemoteEncoder
from encoders.service import EncoderService, ServiceLimits
from encoders.serving import check_host, listen
from geo.errors import InputError, UnavailableError
from tests.service_samples import PlainEncoder, running
from tests.unit.encoder_samples import photos
from tests.unit.photo_samples import encoded, png, png_chunk

LIMITS = ServiceLimits(
    batch=BatchLimits(images=4, locations=50, texts=8, waiting=8),
    body_bytes=3_000_000,
    memory_bytes=20_000_000,
    deadline_s=20.0,
)
JPEG = {"content-type": "image/jpeg"}
JSON = {"content-type": wire.JSON}
PARIS = json.dumps({"coordinates": [[48.86, 2.29]]}).encode()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, EncoderService]]:
    with running(PlainEncoder(), LIMITS) as found:
        yield found


@pytest.fixture(scope="module")
def url(served: tuple[str, EncoderService]) -> str:
    return served[0]


def _refusal(reply: httpx.Response, status: int) -> str:
    assert reply.status_code == status, reply.text
    assert set(reply.json()) == {"error"}
    message = reply.json()["error"]
    assert isinstance(message, str)
    assert "\n" not in message
    assert ";" in message, "no remedy"
    return message


def _point(number: int) -> tuple[float, float]:
    return (number % 180 - 90.0, number / 2 - 50.0)


def test_two_hundred_at_once_against_a_queue_of_eight() -> None:
    encoder = PlainEncoder(delay_s=0.02)
    wanted = {n: PlainEncoder().encode_locations([_point(n)])["gps"] for n in range(200)}
    limits = replace(LIMITS, batch=replace(LIMITS.batch, locations=4))
    with running(encoder, limits) as (url, service), httpx.Client(timeout=60) as client:

        def ask(number: int) -> httpx.Response:
            body = json.dumps({"coordinates": [_point(number)]}).encode()
            return client.post(f"{url}/locations", content=body, headers=JSON)

        with ThreadPoolExecutor(200) as callers:
            replies = list(callers.map(ask, range(200)))
        for number, reply in enumerate(replies):
            if reply.status_code == 200:
                np.testing.assert_allclose(load(reply.content)["gps"], wanted[number], atol=1e-6)
            else:
                assert "limit 8" in _refusal(reply, 429)
                assert int(reply.headers["retry-after"]) >= 1
        answered = sum(reply.status_code == 200 for reply in replies)
        assert answered >= 8
        assert service.batcher.waiting()["locations"] == 0
        assert service.refused == 200 - answered


def test_many_clients_that_come_back_all_get_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("encoders.client.DEFAULT_WAIT_S", 0.05)
    monkeypatch.setattr("encoders.client._put_off_s", lambda _: 0.05)
    encoder = PlainEncoder(delay_s=0.005)
    limits = replace(LIMITS, batch=replace(LIMITS.batch, waiting=4))
    pictures = photos(48, seed=4)
    wanted = PlainEncoder().encode_images(pictures)["gps"]
    with running(encoder, limits) as (url, _):
        client = RemoteEncoder(url, retries=40)
        with ThreadPoolExecutor(24) as callers:
            found = list(callers.map(lambda one: client.encode_images([one])["gps"], pictures))
        client.close()
    np.testing.assert_allclose(np.concatenate(found), wanted, atol=1e-6)
    assert max(encoder.batches) > 1, "nothing was batched"


def test_photo_files_of_other_programs(url: str) -> None:
    pictures = photos(3)
    wanted = PlainEncoder().encode_images(pictures)["gps"]
    files = [("photo", (f"{n}.png", encoded(one, "PNG"))) for n, one in enumerate(pictures)]
    form = httpx.post(f"{url}/images", files=files, headers={"accept": wire.JSON})
    np.testing.assert_allclose(form.json()["vectors"]["gps"], wanted, atol=1e-6)
    assert form.json()["fingerprint"] == form.headers[wire.FINGERPRINT] == "f" * 64
    single = httpx.post(
        f"{url}/images", content=files[0][1][1], headers={"content-type": "image/png"}
    )
    np.testing.assert_allclose(load(single.content)["gps"], wanted[:1], atol=1e-6)
    packed = httpx.post(
        f"{url}/images",
        content=encoded(pictures[0], "JPEG", quality=100),
        headers=JPEG | {"accept": "text/html;q=0.1, application/msgpack"},
    )
    space = ormsgpack.unpackb(packed.content)["vectors"]["gps"]
    assert space["shape"] == [1, 8]
    vector = np.frombuffer(space["data"], "<f4")
    assert vector @ wanted[0] > 0.99


BOMB = png(30_000, 30_000, rows=b"")
TEXT_BOMB = png(8, 8, png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80_000_000), 9)))


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "said"),
    [
        ("images", JPEG, b"", 422, "empty"),
        ("images", JPEG, b"not a photo", 422, "is text"),
        ("images", JPEG, encoded(photos(1)[0])[:400], 422, "damaged or cut short"),
        ("images", JPEG, encoded(Image.new("RGB", (1, 1))), 422, "too small"),
        ("images", JPEG, encoded(Image.new("RGB", (400, 20))), 422, "too long a strip"),
        ("images", JPEG, BOMB, 422, "900,000,000 pixels"),
        ("images", JPEG, png(9_000, 9_000), 413, "bytes of memory"),
        ("images", JPEG, TEXT_BOMB, 422, "more text or profile"),
        ("images", JPEG, b"\xff" * 3_000_001, 413, "limit 3,000,000"),
        ("images", {"content-type": "text/html"}, b"x", 415, "not read here"),
        ("images", {}, b"x", 415, "not read here"),
        ("images", {"content-type": "multipart/form-data"}, b"x", 400, "form cannot be used"),
        ("images", {"content-type": wire.SAFETENSORS}, b"x" * 30, 400, "no complete safetensors"),
        ("images", {"content-type": wire.SAFETENSORS}, b"\xff" * 30, 400, "no complete"),
        ("images", {"content-type": wire.SAFETENSORS}, save({"a": np.zeros(3)}), 400, "'0'"),
        (
            "images",
            {"content-type": wire.SAFETENSORS},
            save({"0": np.zeros((9, 9, 4), np.uint8)}),
            400,
            "height, width, 3",
        ),
        ("images", {"content-type": wire.SAFETENSORS}, save({}), 422, "no photos"),
        ("locations", JPEG, PARIS, 415, "not read here"),
        ("locations", JSON, PARIS[:-4], 400, "no JSON"),
        ("locations", JSON, b"[" * 100_000, 400, "no JSON"),
        ("locations", JSON, b'{"points": []}', 400, "other fields"),
        ("locations", JSON, b'{"coordinates": null}', 422, "not all numbers"),
        ("locations", JSON, b'{"coordinates": [[true, false]]}', 422, "not all numbers"),
        ("locations", JSON, b'{"coordinates": [["1", "2"]]}', 422, "not all numbers"),
        ("locations", JSON, b'{"coordinates": [[1, 2], [3]]}', 422, "not all numbers"),
        ("locations", JSON, b'{"coordinates": [[NaN, 0]]}', 422, "limits -90"),
        ("locations", JSON, b'{"coordinates": [[1e999, 0]]}', 422, "limits -90"),
        ("locations", JSON, b'{"coordinates": []}', 422, "no coordinates"),
        ("locations", JSON, b'{"coordinates": 5}', 422, "are needed|is needed"),
        ("locations", JSON, b" " * 4_000_001, 413, "limit"),
        (
            "locations",
            {"content-type": wire.SAFETENSORS},
            save({"x": np.eye(2)}),
            400,
            "one tensor",
        ),
        (
            "locations",
            {"content-type": wire.SAFETENSORS},
            wire.pack_points(np.zeros((51, 2))),
            413,
            "51 locations in one request, limit 50",
        ),
        ("texts", JSON, b'{"texts": "abc"}', 400, "no list"),
        ("texts", JSON, b'{"texts": [5]}', 422, "text 0 has int"),
        ("texts", JSON, b'{"texts": ["\\ud800"]}', 422, "surrogate"),
        ("texts", JSON, json.dumps({"texts": ["a"] * 9}).encode(), 413, "limit 8"),
        ("locations", JSON | {"accept": "text/html"}, PARIS, 406, "accept"),
        ("locations", JSON | {"host": "evil.example"}, PARIS, 403, "not called"),
        ("nothing", JSON, PARIS, 404, "Not Found"),
        ("card", JSON, PARIS, 405, "Method Not Allowed"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_remedy(
    url: str, path: str, headers: dict[str, str], body: bytes, status: int, said: str
) -> None:
    reply = httpx.post(f"{url}/{path}", content=body, headers=headers, timeout=30)
    message = _refusal(reply, status)
    assert any(one in message for one in said.split("|")), message
    assert httpx.post(f"{url}/locations", content=PARIS, headers=JSON).status_code == 200


@pytest.mark.parametrize("count", [5, 10_000])
def test_too_many_photos_in_one_request(url: str, count: int) -> None:
    tiny = encoded(Image.new("RGB", (8, 8)), "GIF")
    files = [("photo", (f"{n}.gif", tiny)) for n in range(count)]
    reply = httpx.post(f"{url}/images", files=files, timeout=30)
    assert "at most 4" in _refusal(reply, 413)
    raw = save({str(n): np.zeros((8, 8, 3), np.uint8) for n in range(count)})
    reply = httpx.post(f"{url}/images", content=raw, headers={"content-type": wire.SAFETENSORS})
    assert "limit 4" in _refusal(reply, 413)


def test_a_form_that_is_cut_short_or_holds_a_field_is_refused_whole(url: str) -> None:
    picture = encoded(photos(1)[0])
    request = httpx.Request(
        "POST",
        f"{url}/images",
        files=[("photo", ("a.jpg", picture)), ("photo", ("b.jpg", picture))],
    )
    body = request.read()
    kind = {"content-type": request.headers["content-type"]}
    for cut in (len(body) // 2 + 300, len(body) - 20):
        reply = httpx.post(f"{url}/images", content=body[:cut], headers=kind)
        assert "closing boundary" in _refusal(reply, 400)
    reply = httpx.post(f"{url}/images", files={"photo": picture}, data={"note": "x"})
    assert "'note' is no file" in _refusal(reply, 400)
    reply = httpx.post(f"{url}/images", files=[("photo", picture), ("photo", b"junk")])
    assert "file 1 of 2" in _refusal(reply, 422)


def _raw(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def _head(size: int) -> bytes:
    return (
        b"POST /images HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: %d\r\n\r\n" % size
    )


def test_a_slow_client_is_given_up_and_holds_up_nobody() -> None:
    with running(PlainEncoder(), replace(LIMITS, receive_s=0.5)) as (url, _), _raw(url) as slow:
        slow.sendall(_head(1000) + b"\xff\xd8\xff")
        start = time.monotonic()
        assert httpx.post(f"{url}/locations", content=PARIS, headers=JSON).status_code == 200
        assert time.monotonic() - start < 5
        reply = http.client.HTTPResponse(slow)
        reply.begin()
        assert reply.status == 408
        assert "did not arrive within 0.5 s" in json.loads(reply.read())["error"]
        assert slow.recv(1) == b"", "the connection stays open"


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(
    served: tuple[str, EncoderService],
) -> None:
    url, service = served
    for _ in range(10):
        with _raw(url) as gone:
            gone.sendall(_head(100_000) + bytes(50_000))
    end = time.monotonic() + 20
    while service._memory.used:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert httpx.post(f"{url}/locations", content=PARIS, headers=JSON).status_code == 200


def test_work_of_a_client_that_left_is_dropped() -> None:
    encoder = PlainEncoder(delay_s=0.4)
    with running(encoder, LIMITS) as (url, service):
        before = len(encoder.batches)
        with ThreadPoolExecutor(1) as other:
            first = other.submit(httpx.post, f"{url}/locations", content=PARIS, headers=JSON)
            while not len(encoder.batches) > before:
                time.sleep(0.005)
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(
                    f"{url}/texts", content=wire.pack_texts(["a"]), headers=JSON, timeout=0.1
                )
            assert first.result().status_code == 200
        end = time.monotonic() + 20
        while any(service.batcher.waiting().values()):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert service.batcher.counts()["texts"]["batches"] == 0


def test_a_deadline_that_passes_is_504() -> None:
    encoder = PlainEncoder(delay_s=0.3)
    with running(encoder, replace(LIMITS, deadline_s=0.05)) as (url, _):
        reply = httpx.post(f"{url}/locations", content=PARIS, headers=JSON)
        assert "within 0.05 s" in _refusal(reply, 504)


def test_memory_is_shared_out_and_returned(served: tuple[str, EncoderService]) -> None:
    url, service = served
    picture = encoded(Image.new("RGB", (1500, 1000)))  # 6 MB decoded, of 20
    with ThreadPoolExecutor(16) as callers:
        replies = list(
            callers.map(
                lambda _: httpx.post(f"{url}/images", content=picture, headers=JPEG, timeout=60),
                range(32),
            )
        )
    statuses = {reply.status_code for reply in replies}
    assert 200 in statuses
    assert statuses <= {200, 429}
    assert service._memory.used == 0


class _Broken(PlainEncoder):
    def encode_locations(self, coordinates: object) -> dict[str, np.ndarray]:
        raise RuntimeError("secret detail")


def test_a_bug_is_500_and_says_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    with running(_Broken(), LIMITS) as (url, _):
        reply = httpx.post(f"{url}/locations", content=PARIS, headers=JSON)
        assert "secret" not in _refusal(reply, 500)
        assert "secret detail" in caplog.text
        assert httpx.get(f"{url}/health").json()["ready"] is True


def test_health_and_metrics(served: tuple[str, EncoderService]) -> None:
    url, _ = served
    health = httpx.get(f"{url}/health")
    assert health.status_code == 200
    assert health.json() == {
        "ready": True,
        "encoder": "plain",
        "device": "cpu",
        "waiting": {"images": 0, "locations": 0, "texts": 0},
    }
    httpx.post(f"{url}/texts", content=wire.pack_texts(["a", "b"]), headers=JSON)
    lines = dict(line.rsplit(" ", 1) for line in httpx.get(f"{url}/metrics").text.splitlines())
    assert int(lines['graticule_encoder_rows_total{lane="texts"}']) >= 2
    assert all(float(value) >= 0 for value in lines.values())


SERVER = """
import sys
sys.path.insert(0, {root!r})
import cli.main, encoders
from tests.service_samples import PlainEncoder
encoders.load_encoder = lambda *_, **__: PlainEncoder(delay_s=0.5)
sys.exit(cli.main.main())
"""


def test_sigterm_answers_what_was_taken_and_ends_with_zero() -> None:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    command = [sys.executable, "-c", SERVER.format(root=root)]
    command += ["serve", "encoder", "plain", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        url = next(word for word in first.split() if word.startswith("http://"))
        assert "ready" in process.stderr.readline()
        with ThreadPoolExecutor(6) as callers:
            replies = [
                callers.submit(httpx.post, f"{url}/locations", content=PARIS, headers=JSON)
                for _ in range(6)
            ]
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            assert {one.result().status_code for one in replies} == {200}
        rest = process.stderr.read()
        assert process.wait(20) == 0
        assert "stopped; 6 requests answered, 0 refused" in rest
        assert "Traceback" not in rest
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "", "example.org"])
def test_other_machines_stay_out_unless_let_in(host: str) -> None:
    with pytest.raises(InputError, match="asks nobody who they are"):
        check_host(host, allow_remote=False)
    assert check_host(host, allow_remote=True) is False


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_leave(host: str) -> None:
    assert check_host(host, allow_remote=False) is True


def test_a_taken_port_and_a_strange_host_are_one_line() -> None:
    with listen("127.0.0.1", 0) as taken:
        assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "answers wait 40 ms"
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"127.0.0.1:{port} .*give another --port"):
            listen("127.0.0.1", port)
    with pytest.raises(UnavailableError, match="give another --port or --host"):
        listen("192.0.2.1", 0)
