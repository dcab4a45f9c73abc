import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from encoders.base import EncoderCard, Vectors
from encoders.batching import Batcher, BatchLimits, BusyError
from geo.errors import InputError, UnavailableError

WAIT_S = 20.0


class GatedEncoder:
    """Encodes a text to the number it holds; every batch waits until it is let through."""

    def __init__(self, *, open_gate: bool = False) -> None:
        self.card = EncoderCard("gated", "0" * 64, {"a": 2})
        self.batches: list[list[str]] = []
        self.started = threading.Semaphore(0)
        self.gate = threading.Event()
        if open_gate:
            self.gate.set()

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        return self.encode_texts([str(image.width) for image in images])

    def encode_locations(self, coordinates: npt.ArrayLike) -> dict[str, Vectors]:
        return self.encode_texts([str(lat) for lat, _ in np.asarray(coordinates)])

    def encode_texts(self, texts: Sequence[str]) -> dict[str, Vectors]:
        self.batches.append(list(texts))
        self.started.release()
        assert self.gate.wait(WAIT_S)
        if "down" in texts:
            raise UnavailableError("tower is not there; get it")
        if "missing row" in texts:
            return {"a": np.zeros((len(texts) - 1, 2), np.float32)}
        return {"a": np.array([[float(text), 1.0] for text in texts], np.float32)}


@contextmanager
def batching(encoder: GatedEncoder, **limits: float) -> Iterator[Batcher]:
    batcher = Batcher(encoder, BatchLimits(**{"texts": 4, "max_wait_s": 0.0, **limits}))  # type: ignore[arg-type]
    try:
        yield batcher
    finally:
        encoder.gate.set()
        batcher.close()


def answer(future: "Future[dict[str, Vectors]]") -> list[float]:
    found: list[float] = future.result(WAIT_S)["a"][:, 0].tolist()
    return found


def _until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_what_gathers_during_a_batch_is_the_next_one_and_rows_stay_with_their_request() -> None:
    encoder = GatedEncoder()
    with batching(encoder) as batcher:
        first = batcher.submit("texts", ["1"])
        assert encoder.started.acquire(timeout=WAIT_S)
        others = [batcher.submit("texts", row) for row in (["2", "3"], ["4"], ["5"], ["6"])]
        encoder.gate.set()
        assert answer(first) == [1.0]
        assert [answer(one) for one in others] == [[2.0, 3.0], [4.0], [5.0], [6.0]]
    assert encoder.batches == [["1"], ["2", "3", "4", "5"], ["6"]]


def test_a_lone_request_does_not_wait_for_company() -> None:
    encoder = GatedEncoder(open_gate=True)
    with batching(encoder, max_wait_s=WAIT_S) as batcher:
        start = time.monotonic()
        for number in range(5):
            assert answer(batcher.submit("texts", [str(number)])) == [number]
        assert time.monotonic() - start < WAIT_S / 2


def test_a_batch_is_held_back_for_those_who_asked_just_now() -> None:
    encoder = GatedEncoder()
    with batching(encoder, max_wait_s=0.2) as batcher:
        batcher.submit("texts", ["0"])
        assert encoder.started.acquire(timeout=WAIT_S)
        pair = [batcher.submit("texts", ["1"]), batcher.submit("texts", ["2"])]
        encoder.gate.set()
        assert [answer(one) for one in pair] == [[1.0], [2.0]]
        again = [batcher.submit("texts", ["3"])]
        time.sleep(0.02)
        again.append(batcher.submit("texts", ["4"]))
        assert [answer(one) for one in again] == [[3.0], [4.0]]
    assert encoder.batches[-1] == ["3", "4"]


def test_lanes_take_turns_in_order_of_arrival() -> None:
    encoder = GatedEncoder()
    with batching(encoder) as batcher:
        futures = [batcher.submit("texts", ["0"])]
        assert encoder.started.acquire(timeout=WAIT_S)
        futures.append(batcher.submit("images", [Image.new("RGB", (11, 8))]))
        futures.append(batcher.submit("locations", np.array([[5.0, 6.0], [7.0, 8.0]])))
        futures.append(batcher.submit("images", [Image.new("RGB", (12, 8))]))
        encoder.gate.set()
        assert [answer(one) for one in futures] == [[0.0], [11.0], [5.0, 7.0], [12.0]]
    assert encoder.batches == [["0"], ["11", "12"], ["5.0", "7.0"]]


def test_a_request_fails_alone() -> None:
    encoder = GatedEncoder()
    with batching(encoder) as batcher:
        batcher.submit("texts", ["0"])
        assert encoder.started.acquire(timeout=WAIT_S)
        futures = [batcher.submit("texts", [text]) for text in ("1", "no number", "3")]
        encoder.gate.set()
        assert answer(futures[0]) == [1.0]
        assert answer(futures[2]) == [3.0]
        with pytest.raises(ValueError, match="no number"):
            futures[1].result(WAIT_S)
        with pytest.raises(RuntimeError, match="0 vectors"):
            batcher.submit("texts", ["missing row"]).result(WAIT_S)
        assert answer(batcher.submit("texts", ["9"])) == [9.0]
        _until(lambda: batcher.counts()["texts"]["requests"] == 4)


def test_a_tower_that_is_not_there_fails_all_at_once() -> None:
    encoder = GatedEncoder()
    with batching(encoder) as batcher:
        batcher.submit("texts", ["0"])
        assert encoder.started.acquire(timeout=WAIT_S)
        futures = [batcher.submit("texts", [text]) for text in ("1", "down")]
        encoder.gate.set()
        for future in futures:
            with pytest.raises(UnavailableError, match="not there"):
                future.result(WAIT_S)
    assert encoder.batches == [["0"], ["1", "down"]]


def test_a_cancelled_request_is_never_encoded() -> None:
    encoder = GatedEncoder()
    with batching(encoder) as batcher:
        batcher.submit("texts", ["0"])
        assert encoder.started.acquire(timeout=WAIT_S)
        gone, kept = batcher.submit("texts", ["1"]), batcher.submit("texts", ["2"])
        assert gone.cancel()
        encoder.gate.set()
        assert answer(kept) == [2.0]
    assert encoder.batches == [["0"], ["2"]]


def test_a_full_queue_says_when_to_come_back_and_forgets_who_left() -> None:
    encoder = GatedEncoder()
    with batching(encoder, waiting=2) as batcher:
        batcher.submit("texts", ["0"])
        assert encoder.started.acquire(timeout=WAIT_S)
        waiting = [batcher.submit("texts", [text]) for text in ("1", "2")]
        with pytest.raises(BusyError, match="2 requests for texts wait, limit 2") as refused:
            batcher.submit("texts", ["3"])
        assert refused.value.retryable
        assert 1 <= refused.value.retry_after_s <= 60
        images = batcher.submit("images", [Image.new("RGB", (9, 9))])
        waiting[0].cancel()
        waiting.append(batcher.submit("texts", ["4"]))
        encoder.gate.set()
        assert [answer(one) for one in (*waiting[1:], images)] == [[2.0], [4.0], [9.0]]


def test_a_request_larger_than_a_batch_is_refused() -> None:
    encoder = GatedEncoder(open_gate=True)
    with batching(encoder) as batcher, pytest.raises(InputError, match="5 texts in one request"):
        batcher.submit("texts", ["1"] * 5)


def test_closing_encodes_what_waits_and_then_refuses() -> None:
    encoder = GatedEncoder()
    with batching(encoder) as batcher:
        futures = [batcher.submit("texts", [str(number)]) for number in range(9)]
        encoder.gate.set()
        batcher.close()
        assert [answer(one) for one in futures] == [[float(number)] for number in range(9)]
        with pytest.raises(UnavailableError, match="stopping"):
            batcher.submit("texts", ["1"])
