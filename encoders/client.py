"""An encoder on another machine, or in another process: the same protocol over the wire.

Input is checked here first, so that what is refused is refused with the same words as in
process; what comes back is checked as well, for whatever answers at an address may be anything.
"""

import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders import wire
from encoders.base import EncoderCard, Vectors, check_coordinates, check_images, check_texts
from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError

TIMEOUT_S = 150.0
"""Longer than a service takes at most, so that it is the service that says what is wrong."""
CONNECT_S = 5.0
RETRIES = 8
KEEP_CONNECTION_S = 30.0
"""Shorter than a service keeps an idle one."""
MAX_WAIT_S = 60.0
DEFAULT_WAIT_S = 1.0
BACKOFF = 1.3
SPARE_BYTES = 65_536
"""What an answer may hold besides vectors: names, shapes, an error."""
UNIT_TOLERANCE = 1e-3
_HOST = re.compile(r"[\w.:-]+")


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: httpx.Headers
    body: bytes


class RemoteEncoder:
    """An `AlignedEncoder` that asks a service; safe to use from many threads.

    Proxies that the environment names are not used: the service is an address of one's own.

    Args:
        url: of the service, `http://host:port`.
        timeout_s: longest time to wait for one answer, and to be put off in all.
        retries: how often one request is made again when the service is busy or a connection
            breaks.

    Raises:
        InputError: `url` is none.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, retries: int = RETRIES) -> None:
        address = _address(url)
        self.url = printable(str(address.copy_with(username=None, password=None))).rstrip("/")
        self._timeout_s = timeout_s
        self._retries = retries
        self._lock = threading.Lock()
        self._greeting: wire.Greeting | None = None
        self._client = httpx.Client(
            base_url=address,
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
            limits=httpx.Limits(
                max_connections=None,
                max_keepalive_connections=64,
                keepalive_expiry=KEEP_CONNECTION_S,
            ),
            trust_env=False,
        )

    @property
    def card(self) -> EncoderCard:
        """Who the service's encoder is; asked once.

        Raises:
            UnavailableError: nothing answers there, or no encoder service.
        """
        return self._known().card

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        """Encode upright RGB photos; see `Encoder.encode_images`."""
        check_images(images)
        card, limits = self.card, self._known().limits
        spaces = card.image_spaces or tuple(card.spaces)
        parts = []
        for chunk in _photo_requests(images, limits):
            body = wire.pack_photos(chunk)
            parts.append(self._encode("images", body, wire.SAFETENSORS, len(chunk), spaces))
        return _joined(parts)

    def encode_locations(self, coordinates: npt.ArrayLike) -> dict[str, Vectors]:
        """Encode `[N, 2]` latitude, longitude; see `AlignedEncoder.encode_locations`."""
        points = check_coordinates(coordinates)
        card, most = self.card, self._known().limits.locations
        if not card.location_spaces:
            raise InputError(f"encoder {card.name!r} encodes no locations; use another family")
        parts = []
        for start in range(0, len(points), most):
            chunk = points[start : start + most]
            body = wire.pack_points(chunk)
            parts.append(
                self._encode("locations", body, wire.SAFETENSORS, len(chunk), card.location_spaces)
            )
        return _joined(parts)

    def encode_texts(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """Encode captions; see `AlignedEncoder.encode_texts`."""
        checked = check_texts(texts)
        card, most = self.card, self._known().limits.texts
        if not card.text_spaces:
            raise InputError(f"encoder {card.name!r} encodes no texts; use g3 or transgeoclip")
        parts = []
        for start in range(0, len(checked), most):
            chunk = checked[start : start + most]
            body = wire.pack_texts(chunk)
            parts.append(self._encode("texts", body, wire.JSON, len(chunk), card.text_spaces))
        return _joined(parts)

    def _known(self) -> wire.Greeting:
        with self._lock:
            if self._greeting is None:
                reply = self._ask("GET", "/card", b"", {}, SPARE_BYTES)
                if reply.status != 200:
                    raise self._stranger(f"it answers {reply.status} to GET /card")
                try:
                    self._greeting = wire.read_greeting(reply.body)
                except wire.BodyError as error:
                    raise self._stranger(str(error)) from None
            return self._greeting

    def _encode(
        self, lane: str, body: bytes, kind: str, rows: int, spaces: Sequence[str]
    ) -> dict[str, Vectors]:
        """Send one request and return its vectors, checked."""
        card = self.card
        most = SPARE_BYTES + 4 * rows * sum(card.spaces[space] for space in spaces)
        headers = {"content-type": kind, "accept": wire.SAFETENSORS}
        reply = self._ask("POST", f"/{lane}", body, headers, most)
        if reply.status != 200:
            raise self._refusal(reply)
        found = reply.headers.get(wire.FINGERPRINT, "")
        if found != card.fingerprint:
            raise UnavailableError(
                f"service {self.url} now runs another encoder (fingerprint "
                f"{printable(found, 12)!r}, was {card.fingerprint[:11]!r}); load it again and "
                "do not mix vectors of both"
            )
        try:
            vectors = wire.read_tensors(reply.body)
        except wire.BodyError as error:
            raise self._stranger(str(error)) from None
        return {space: self._checked(vectors.get(space), space, rows) for space in spaces}

    def _checked(self, vectors: npt.NDArray[np.generic] | None, space: str, rows: int) -> Vectors:
        """Return the vectors of one space if they can be the answer."""
        wanted = (rows, self.card.spaces[space])
        if vectors is None or vectors.shape != wanted or vectors.dtype != np.float32:
            shown = "missing" if vectors is None else f"{vectors.dtype} {vectors.shape}"
            raise self._stranger(f"vectors of space {space!r} are {shown}, not float32 {wanted}")
        found: Vectors = vectors.astype(np.float32)
        lengths = np.linalg.norm(found, axis=1)
        if not np.all((np.abs(lengths - 1) < UNIT_TOLERANCE) | (lengths == 0)):
            raise self._stranger(
                f"vectors of space {space!r} are not of unit length, or not finite"
            )
        return found

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str], most: int
    ) -> _Reply:
        """Make one request, again where that may help, and return the answer."""
        end = time.monotonic() + self._timeout_s
        for attempt in range(self._retries + 1):
            try:
                reply = self._once(method, path, body, headers, most)
            except httpx.TimeoutException as error:
                raise self._silent(error) from None
            except httpx.ConnectError as error:
                raise self._silent(error) from None
            except httpx.TransportError as error:
                # An idle connection that the service has just closed; asking twice is harmless.
                if attempt == self._retries:
                    raise self._silent(error) from None
                wait = 0.05 * 2**attempt
            else:
                if reply.status != 429:
                    return reply
                wait = _put_off_s(reply.headers) * BACKOFF**attempt * random.uniform(1, 1.25)
            if attempt == self._retries or time.monotonic() + wait > end:
                break
            time.sleep(wait)
        raise UnavailableError(
            f"encoder service {self.url} is busy: asked {attempt + 1} times within "
            f"{self._timeout_s:g} s; ask again later, or start another",
            retryable=True,
        )

    def _once(
        self, method: str, path: str, body: bytes, headers: dict[str, str], most: int
    ) -> _Reply:
        with self._client.stream(method, path, content=body or None, headers=headers) as reply:
            chunks, size = [], 0
            for chunk in reply.iter_raw(SPARE_BYTES):
                size += len(chunk)
                if size > most:
                    raise self._stranger(f"its answer is larger than {most:,} bytes")
                chunks.append(chunk)
            return _Reply(reply.status_code, reply.headers, b"".join(chunks))

    def _refusal(self, reply: _Reply) -> InputError | UnavailableError:
        """Return what the service says is wrong, as the error that it would be in process."""
        reason = _error_text(reply)
        if reason is None:
            return self._stranger(f"it answers {reply.status}")
        if reply.status in (400, 413, 415, 422):
            return InputError(reason)
        return UnavailableError(
            f"encoder service {self.url}: {reason}", retryable=reply.status in (408, 504)
        )

    def _stranger(self, reason: str) -> UnavailableError:
        return UnavailableError(
            f"{self.url} answers, but not as an encoder service ({reason}); check the address"
        )

    def _silent(self, error: httpx.TransportError) -> UnavailableError:
        reason = printable(str(error) or type(error).__name__, 120)
        return UnavailableError(
            f"encoder service {self.url} does not answer ({reason}); start it with "
            "'graticule serve encoder', or check the address",
            retryable=True,
        )


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if (
        address.scheme not in ("http", "https")
        or not _HOST.fullmatch(address.host)
        or address.query
    ):
        shown = printable(url.rpartition("@")[2])
        raise InputError(f"{shown!r} is no address of an encoder service; give http://HOST:PORT")
    return address


def _photo_requests(
    images: Sequence[Image.Image], limits: wire.RequestLimits
) -> Iterator[list[Image.Image]]:
    """Split photos into requests that the service takes."""
    chunk: list[Image.Image] = []
    size = 0
    for number, image in enumerate(images):
        needed = 3 * image.width * image.height + 256  # its line in the header
        if needed + SPARE_BYTES > limits.body_bytes:
            raise InputError(
                f"photo {number} of {image.width:,} x {image.height:,} px needs {needed:,} bytes, "
                f"limit of the service {limits.body_bytes - SPARE_BYTES:,}; scale it down"
            )
        if chunk and (
            len(chunk) == limits.images or size + needed + SPARE_BYTES > limits.body_bytes
        ):
            yield chunk
            chunk, size = [], 0
        chunk.append(image)
        size += needed
    yield chunk


def _put_off_s(headers: httpx.Headers) -> float:
    """Return the Retry-After of an answer in seconds (RFC 9110, 10.2.3; no dates)."""
    text = headers.get("retry-after", "")
    return min(float(text), MAX_WAIT_S) if text.isdigit() else DEFAULT_WAIT_S


def _error_text(reply: _Reply) -> str | None:
    try:
        text = httpx.Response(200, content=reply.body).json()["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return printable(text, 1000) if isinstance(text, str) else None


def _joined(parts: Sequence[dict[str, Vectors]]) -> dict[str, Vectors]:
    return {space: np.concatenate([part[space] for part in parts]) for space in parts[0]}
