"""An encoder service in a thread of the test, reached over real loopback sockets."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders.base import (
    Encoder,
    EncoderCard,
    Vectors,
    check_coordinates,
    check_images,
    check_texts,
)
from encoders.service import EncoderService, ServiceLimits
from encoders.serving import LOOPBACK, EncoderServer, listen

START_S = 20.0


class PlainEncoder:
    """An aligned encoder that needs no torch: a fixed projection of what it is given."""

    def __init__(self, delay_s: float = 0.0, fingerprint: str = "f" * 64) -> None:
        spaces = ("gps",)
        self.card = EncoderCard(
            "plain", fingerprint, {"gps": 8}, "none", "none", spaces, spaces, spaces, spaces, "gps"
        )
        self.delay_s = delay_s
        self.batches: list[int] = []
        self._project = np.random.default_rng(0).normal(size=(64, 8))

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        check_images(images)
        small = [np.asarray(image.resize((4, 4)), np.float64).ravel() for image in images]
        return self._encode(np.stack(small) / 255)

    def encode_locations(self, coordinates: npt.ArrayLike) -> dict[str, Vectors]:
        points = np.radians(check_coordinates(coordinates))
        return self._encode(np.hstack([np.cos(points), np.sin(points), points]))

    def encode_texts(self, texts: Sequence[str]) -> dict[str, Vectors]:
        rows = [[float(ord(letter)) for letter in text[:48]] for text in check_texts(texts)]
        return self._encode(np.array([row + [0.0] * (48 - len(row)) for row in rows]))

    def _encode(self, rows: npt.NDArray[np.float64]) -> dict[str, Vectors]:
        self.batches.append(len(rows))
        time.sleep(self.delay_s)
        found = rows @ self._project[: rows.shape[1]] + 1e-3
        unit = found / np.linalg.norm(found, axis=1, keepdims=True)
        return {"gps": unit.astype(np.float32)}


@contextmanager
def running(
    encoder: Encoder, limits: ServiceLimits | None = None, port: int = 0
) -> Iterator[tuple[str, EncoderService]]:
    """Serve an encoder; gives its address and the service, which is ready."""
    limits = limits or ServiceLimits()
    with listen("127.0.0.1", port) as listening:
        service = EncoderService(encoder, limits, LOOPBACK)
        server = EncoderServer(service, limits.deadline_s)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            service.wait_until_warm()
            end = time.monotonic() + START_S
            while not server.started:
                assert time.monotonic() < end
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", service
        finally:
            server.should_exit = True
            thread.join(START_S)
            service.close()
    assert not thread.is_alive()
