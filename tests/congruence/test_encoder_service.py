"""An encoder over HTTP does what it does in process: the same vectors, the same refusals."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from encoders import load_encoder, wire
from encoders.base import AlignedEncoder, EncoderCard, Vectors
from encoders.batching import BatchLimits
from encoders.client import RemoteEncoder
from encoders.service import ServiceLimits
from geo.errors import GeolocationError, InputError, UnavailableError
from tests.service_samples import PlainEncoder, running
from tests.unit.encoder_samples import photos, tiny_encoder

SMALL = ServiceLimits(batch=BatchLimits(images=4, locations=50, texts=3), body_bytes=2_000_000)
POINTS = np.array(
    [(90, 0), (-90, 0), (0, 180), (0, -180), (90, 180), (-90, -180), (0, 0), (48.86, 2.29)], float
)
TEXTS = ["a street in Lisbon", "東京", "x" * 300, "\N{PARTY POPPER}", "b", "c", "d"]
FAMILIES: dict[str, Callable[[], AlignedEncoder]] = {
    "plain": PlainEncoder,
    "geoclip": lambda: tiny_encoder("geoclip"),
    "g3": lambda: tiny_encoder("g3"),
}


@pytest.fixture(scope="module", params=FAMILIES)
def local(request: pytest.FixtureRequest) -> AlignedEncoder:
    return FAMILIES[request.param]()


@pytest.fixture(scope="module")
def remote(local: AlignedEncoder) -> Iterator[AlignedEncoder]:
    with running(local, SMALL) as (url, _):
        client = load_encoder(url)
        assert isinstance(client, RemoteEncoder)
        yield client
        client.close()


@pytest.fixture(params=["in process", "over HTTP"])
def encoder(
    request: pytest.FixtureRequest, local: AlignedEncoder, remote: AlignedEncoder
) -> AlignedEncoder:
    return local if request.param == "in process" else remote


def _equal(left: dict[str, Vectors], right: dict[str, Vectors], atol: float = 1e-6) -> None:
    assert left.keys() == right.keys()
    for space, vectors in left.items():
        np.testing.assert_allclose(vectors, right[space], rtol=0, atol=atol)


def _well_formed(found: dict[str, Vectors], spaces: tuple[str, ...], rows: int, card: Any) -> None:
    assert set(found) == set(spaces)
    for space, vectors in found.items():
        assert vectors.shape == (rows, card.spaces[space])
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_it_is_an_aligned_encoder_with_the_same_card(
    encoder: AlignedEncoder, local: AlignedEncoder
) -> None:
    assert isinstance(encoder, AlignedEncoder)
    assert encoder.card == local.card


def test_vectors_are_of_the_cards_spaces_and_of_unit_length(encoder: AlignedEncoder) -> None:
    card = encoder.card
    _well_formed(encoder.encode_images(photos(3)), card.image_spaces, 3, card)
    _well_formed(encoder.encode_locations(POINTS), card.location_spaces, len(POINTS), card)
    if card.text_spaces:
        _well_formed(encoder.encode_texts(TEXTS[:2]), card.text_spaces, 2, card)


def test_vectors_are_those_of_the_encoder_in_process(
    remote: AlignedEncoder, local: AlignedEncoder
) -> None:
    pictures = photos(11)  # three requests of the service
    _equal(remote.encode_images(pictures), local.encode_images(pictures))
    draw = np.random.default_rng(3)
    points = np.column_stack([draw.uniform(-90, 90, 120), draw.uniform(-180, 180, 120)])
    _equal(remote.encode_locations(points), local.encode_locations(points))
    if local.card.text_spaces:
        _equal(remote.encode_texts(TEXTS), local.encode_texts(TEXTS))


def test_a_row_depends_on_its_own_input_alone(encoder: AlignedEncoder) -> None:
    pictures = photos(6, seed=2)
    whole = encoder.encode_images(pictures)
    turned = encoder.encode_images(pictures[::-1])
    alone = [encoder.encode_images([picture]) for picture in pictures]
    _equal(whole, {space: rows[::-1] for space, rows in turned.items()}, 1e-5)
    _equal(whole, {s: np.concatenate([one[s] for one in alone]) for s in whole}, 1e-5)
    places = encoder.encode_locations(POINTS)
    single = [encoder.encode_locations([point]) for point in POINTS]
    _equal(places, {s: np.concatenate([one[s] for one in single]) for s in places}, 1e-5)


REFUSED: dict[str, Callable[[AlignedEncoder], object]] = {
    "RGB is needed": lambda e: e.encode_images([Image.new("L", (40, 40))]),
    "too small": lambda e: e.encode_images([*photos(1), Image.new("RGB", (1, 1))]),
    "too long a strip": lambda e: e.encode_images([Image.new("RGB", (800, 40))]),
    "no photos": lambda e: e.encode_images([]),
    "is a str": lambda e: e.encode_images(["photo.jpg"]),  # type: ignore[list-item]
    "limits -90 to 90": lambda e: e.encode_locations([(0, 0), (float("nan"), 0)]),
    "coordinate 1 is": lambda e: e.encode_locations([(0, 0), (91, 0)]),
    "no coordinates": lambda e: e.encode_locations([]),
    r"\[N, 2\] is needed": lambda e: e.encode_locations([1, 2, 3]),
    "not all numbers": lambda e: e.encode_locations([("north", "west")]),
    "no texts": lambda e: e.encode_texts([]),
    "text 1 has": lambda e: e.encode_texts(["a", "  "]),
    "2001 characters": lambda e: e.encode_texts(["a" * 2001]),
    "one string": lambda e: e.encode_texts("a"),
}


@pytest.mark.parametrize("said", REFUSED)
def test_bad_input_is_refused_in_the_same_words(
    said: str, remote: AlignedEncoder, local: AlignedEncoder
) -> None:
    with pytest.raises(InputError, match=said) as near:
        REFUSED[said](local)
    with pytest.raises(InputError, match=said) as far:
        REFUSED[said](remote)
    assert str(far.value) == str(near.value)


def test_texts_of_a_family_without_any_are_refused_alike() -> None:
    silent = tiny_encoder("geoclip")
    with running(silent) as (url, _):
        client = RemoteEncoder(url)
        for encoder in (silent, client):
            with pytest.raises(InputError, match="encodes no texts; use g3"):
                encoder.encode_texts(["a"])
        client.close()


class _NoTower(PlainEncoder):
    def encode_images(self, images: Any) -> dict[str, Vectors]:
        raise UnavailableError("the weights of 'x' are not here; run: graticule weights get x")


def test_without_the_tower_locations_work_and_photos_name_the_remedy() -> None:
    with running(_NoTower()) as (url, service):
        client = RemoteEncoder(url)
        _equal(client.encode_locations(POINTS), PlainEncoder().encode_locations(POINTS))
        with pytest.raises(UnavailableError, match="graticule weights get x") as refused:
            client.encode_images(photos(1))
        assert not refused.value.retryable
        assert "graticule weights get x" in service.photos_unavailable()
        client.close()


def test_a_photo_larger_than_the_service_takes_is_refused_before_it_is_sent() -> None:
    with running(PlainEncoder(), SMALL) as (url, service):
        client = RemoteEncoder(url)
        before = service.answered + service.refused
        with pytest.raises(InputError, match="limit of the service"):
            client.encode_images([Image.new("RGB", (1000, 1000))])
        assert service.answered + service.refused == before + 1  # the card alone was asked for
        many = [Image.new("RGB", (500, 500), (20 * n, 9, 9)) for n in range(6)]
        _equal(client.encode_images(many), PlainEncoder().encode_images(many))
        client.close()


# What a client makes of services that are down, strange, or not what they were.

Answers = Callable[[str], tuple[int, dict[str, str], bytes]]
CARD = PlainEncoder().card
GREETING = json.dumps(
    wire.pack_greeting(CARD, wire.RequestLimits(images=4, locations=4, texts=4, body_bytes=10**6))
).encode()


@contextmanager
def _stub(answers: Answers) -> Iterator[str]:
    """Serve whatever `answers` gives for a path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, body = answers(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _vectors(found: dict[str, Any], fingerprint: str = CARD.fingerprint) -> Answers:
    """Answer with a good card, then with `found`."""

    def answers(path: str) -> tuple[int, dict[str, str], bytes]:
        if path == "/card":
            return 200, {}, GREETING
        return 200, {wire.FINGERPRINT: fingerprint}, save(found)

    return answers


def _refused(answers: Answers, retries: int = 1) -> GeolocationError:
    with _stub(answers) as url:
        client = RemoteEncoder(url, retries=retries, timeout_s=5)
        with pytest.raises(GeolocationError) as refused:
            client.encode_locations([(0.0, 0.0)])
        client.close()
    assert "\n" not in str(refused.value)
    return refused.value


GOOD = np.eye(1, 8, dtype=np.float32)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"gps": np.eye(2, 8, dtype=np.float32)}, r"not float32 \(1, 8\)"),
        ({"gps": np.eye(1, 9, dtype=np.float32)}, r"not float32 \(1, 8\)"),
        ({"gps": GOOD.astype(np.float64)}, "float64"),
        ({"other": GOOD}, "are missing"),
        ({"gps": GOOD * np.nan}, "unit length, or not finite"),
        ({"gps": GOOD * 2}, "unit length"),
        ({"gps": GOOD, "more": np.zeros(100_000)}, "larger than"),
    ],
)
def test_answers_that_cannot_be_right_are_refused(found: dict[str, Any], said: str) -> None:
    error = _refused(_vectors(found))
    assert isinstance(error, UnavailableError)
    assert not error.retryable
    assert re.search(said, str(error))


def test_vectors_of_another_fingerprint_are_never_mixed_in() -> None:
    error = _refused(_vectors({"gps": GOOD}, "e" * 64))
    assert "now runs another encoder" in str(error)
    assert "do not mix" in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>router</html>"),
        (404, b""),
        (200, GREETING.replace(b'"protocol": 1', b'"protocol": 2')),
        (200, GREETING.replace(b'"gps": 8', b'"gps": 0')),
        (200, GREETING.replace(b'"gps": 8', b'"xyz": 8')),
        (200, b" " * 200_000),
    ],
    ids=["page", "missing", "protocol", "width", "space", "long"],
)
def test_something_else_at_the_address_is_said_so(status: int, body: bytes) -> None:
    error = _refused(lambda _: (status, {}, body))
    assert "answers, but not as an encoder service" in str(error)


def test_a_busy_service_is_asked_again_when_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("encoders.client.time.sleep", slept.append)
    calls = iter(range(100))

    def answers(path: str) -> tuple[int, dict[str, str], bytes]:
        if path != "/card" and next(calls) < 2:
            return 429, {"retry-after": "1"}, b'{"error": "busy"}'
        return _vectors({"gps": GOOD})(path)

    with _stub(answers) as url:
        client = RemoteEncoder(url)
        np.testing.assert_array_equal(client.encode_locations([(0, 0)])["gps"], GOOD)
        client.close()
    assert [1 <= wait <= 2 for wait in slept] == [True, True]


def test_a_service_that_stays_busy_is_unavailable_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("encoders.client.time.sleep", lambda _: None)
    busy = (429, {"retry-after": "1"}, b"{}")
    error = _refused(lambda path: (200, {}, GREETING) if path == "/card" else busy, retries=2)
    assert isinstance(error, UnavailableError)
    assert error.retryable
    assert "busy: asked 3 times" in str(error)


def test_what_the_service_says_comes_through_on_one_line() -> None:
    shown = json.dumps({"error": "two\nlines \x1b[31m"}).encode()
    error = _refused(lambda path: (200, {}, GREETING) if path == "/card" else (422, {}, shown))
    assert isinstance(error, InputError)
    assert str(error) == "two\\nlines \\x1b[31m"


def test_nothing_at_the_address_is_one_line() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = load_encoder(f"http://me:secret@127.0.0.1:{port}")
    with pytest.raises(UnavailableError, match="does not answer") as refused:
        _ = client.card
    assert refused.value.retryable
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8801", "ftp://a", "http://", "http://[", "a\nb"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InputError, match="no address of an encoder service"):
        RemoteEncoder(url)


def test_a_service_that_was_restarted_is_found_again_and_another_encoder_is_not() -> None:
    card: EncoderCard = replace(CARD)
    with running(PlainEncoder()) as (url, _):
        client = RemoteEncoder(url, retries=1)
        client.encode_locations(POINTS)
        assert client.card == card
    port = int(url.rpartition(":")[2])
    with pytest.raises(UnavailableError, match="does not answer"):
        client.encode_locations(POINTS)
    with running(PlainEncoder(), port=port):
        client.encode_locations(POINTS)
    with (
        running(PlainEncoder(fingerprint="e" * 64), port=port),
        pytest.raises(UnavailableError, match="another encoder"),
    ):
        client.encode_locations(POINTS)
    client.close()
