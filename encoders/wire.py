"""What passes between the encoder service and its clients: bodies, formats, the first greeting.

Knows bytes, not HTTP. Vectors travel as safetensors unless a client asks for msgpack or JSON.
Our own client sends photos as raw pixels in safetensors, because a vector must not depend on
where it was computed: JPEG would change pixels, and PNG costs thirty times as much as raw bytes
(25 ms instead of 0.6 ms for 640 x 480) to save a third of them. Other programs send photo files.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.numpy import load, save

from encoders.base import EncoderCard, Points, Vectors, check_coordinates, check_texts
from encoders.photo_file import Limits, describe, open_header, printable, read_photo_bytes
from encoders.pixels import decoding, open_photo
from geo.errors import InputError

PROTOCOL = 1
SAFETENSORS = "application/x-safetensors"
MSGPACK = "application/x-msgpack"
JSON = "application/json"
FORMATS = {
    "": SAFETENSORS,
    "*/*": SAFETENSORS,
    "application/*": SAFETENSORS,
    SAFETENSORS: SAFETENSORS,
    MSGPACK: MSGPACK,
    "application/msgpack": MSGPACK,
    JSON: JSON,
}
"""What a client may accept -> how it is answered."""
FINGERPRINT = "x-encoder-fingerprint"
"""Header of every answer that holds vectors."""
COORDINATES = "coordinates"


class BodyError(InputError):
    """A request that cannot be read, whatever it asks for.

    Attributes:
        status: of the HTTP answer.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class RequestLimits(BaseModel):
    """The largest request that a service takes; a client splits what is larger."""

    model_config = ConfigDict(frozen=True, strict=True)

    images: int = Field(ge=1)
    locations: int = Field(ge=1)
    texts: int = Field(ge=1)
    body_bytes: int = Field(ge=1)


class Greeting(BaseModel):
    """What `GET /card` answers."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    protocol: Literal[1]
    card: EncoderCard
    limits: RequestLimits

    @model_validator(mode="after")
    def _consistent(self) -> "Greeting":
        card = self.card
        named = {*card.image_spaces, *card.location_spaces, *card.text_spaces, *card.retrieval}
        if missing := (named | ({card.alignment} - {""})) - set(card.spaces):
            raise ValueError(f"spaces {sorted(missing)} have no width")
        if not card.spaces or min(card.spaces.values()) < 1 or not card.fingerprint:
            raise ValueError("no spaces, a width below 1 or no fingerprint")
        return self


def pack_greeting(card: EncoderCard, limits: RequestLimits) -> dict[str, Any]:
    """Return the JSON document that `read_greeting` reads."""
    shown = asdict(card) | {"spaces": dict(card.spaces)}
    return {"protocol": PROTOCOL, "card": shown, "limits": limits.model_dump()}


def read_greeting(data: bytes) -> Greeting:
    """Read the answer to `GET /card`.

    Raises:
        BodyError: something else than an encoder service of this protocol wrote it.
    """
    try:
        return Greeting.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BodyError(printable(f"{where}: {first['msg']}" if where else first["msg"])) from None


def pack_vectors(vectors: dict[str, Vectors], kind: str, fingerprint: str) -> bytes:
    """Return `{space: [N, D]}` as safetensors, msgpack or JSON.

    In msgpack each space is `{"shape": [N, D], "data": little-endian float32}`.
    """
    rows = {space: np.ascontiguousarray(found, "<f4") for space, found in vectors.items()}
    if kind == SAFETENSORS:
        return save(rows, {"fingerprint": fingerprint})
    if kind == MSGPACK:
        import ormsgpack

        spaces = {s: {"shape": list(r.shape), "data": r.tobytes()} for s, r in rows.items()}
        return ormsgpack.packb({"fingerprint": fingerprint, "vectors": spaces})
    lists = {space: found.tolist() for space, found in rows.items()}
    return json.dumps({"fingerprint": fingerprint, "vectors": lists}).encode()


def read_tensors(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Read safetensors.

    Raises:
        BodyError: damaged or cut short, or of a type that numpy has not.
    """
    try:
        return load(data)
    except (SafetensorError, KeyError, ValueError, OverflowError) as error:
        reason = printable(str(error), 120)
        raise BodyError(
            f"body of {len(data):,} bytes is no complete safetensors ({reason}); send it whole"
        ) from None


def pack_photos(images: Sequence[Image.Image]) -> bytes:
    """Return RGB photos as safetensors `0`, `1`, ... of `[height, width, 3]` uint8."""
    return save({str(number): np.asarray(image) for number, image in enumerate(images)})


def read_raw_photos(data: bytes, most: int) -> list[Image.Image]:
    """Read what `pack_photos` wrote.

    Raises:
        BodyError: no such body, or more than `most` photos.
    """
    tensors = read_tensors(data)
    check_count(len(tensors), most, "images")
    photos = []
    for number in range(len(tensors)):
        pixels = tensors.get(str(number))
        if pixels is None or pixels.dtype != np.uint8 or pixels.shape[2:] != (3,):
            raise BodyError(
                f"tensor '{number}' is missing or not [height, width, 3] of U8; name photos 0, "
                "1, ... or send photo files"
            )
        if not pixels.size:
            raise BodyError(f"tensor '{number}' has no pixels; leave it out")
        photos.append(Image.fromarray(pixels))
    return photos


def declared_pixels(files: Sequence[bytes], limits: Limits) -> int:
    """Return how many pixels photo files say they have, before any is decoded.

    Raises:
        InputError: a file that cannot be a photo, or beyond `limits`.
    """
    total = 0
    for number, data in enumerate(files):
        with _of_file(number, len(files)), decoding(describe(data)):
            read_photo_bytes(data, limits)
            with open_header(data, describe(data), limits)[0] as picture:
                total += picture.width * picture.height
    return total


def read_photo_files(files: Sequence[bytes], limits: Limits) -> list[Image.Image]:
    """Decode JPEG, PNG, WebP, HEIC, TIFF or GIF files; see `encoders.pixels.open_photo`.

    Raises:
        InputError: a file that cannot be used; the message says which.
    """
    photos = []
    for number, data in enumerate(files):
        with _of_file(number, len(files)):
            photos.append(open_photo(data, limits).image)
    return photos


@contextmanager
def _of_file(number: int, count: int) -> Iterator[None]:
    """Say in a refusal which of several files it is about."""
    try:
        yield
    except InputError as error:
        raise InputError(
            f"file {number} of {count}: {error}" if count > 1 else str(error)
        ) from None


def check_count(count: int, most: int, lane: str) -> None:
    """Raise BodyError (413) where a request holds more than a batch."""
    if count > most:
        raise BodyError(f"{count:,} {lane} in one request, limit {most:,}; split it", 413)


def pack_points(points: Points) -> bytes:
    """Return `[N, 2]` degrees as safetensors `coordinates`, float64."""
    return save({COORDINATES: np.ascontiguousarray(points, "<f8")})


def read_points(data: bytes, kind: str, most: int) -> Points:
    """Read coordinates from safetensors, or from JSON `{"coordinates": [[lat, lon], ...]}`.

    Raises:
        BodyError: no such body, or more than `most`.
        InputError: see `check_coordinates`.
    """
    if kind == JSON:
        found = np.asarray(_numbers(_only_field(data, COORDINATES)))
    else:
        tensors = read_tensors(data)
        if set(tensors) != {COORDINATES} or tensors[COORDINATES].dtype.kind != "f":
            raise BodyError(f"body needs one tensor {COORDINATES!r}, [N, 2] of F64; send that")
        found = tensors[COORDINATES]
    check_count(len(found) if found.ndim else 1, most, "locations")
    return check_coordinates(found)


def _numbers(rows: Any) -> npt.NDArray[Any]:
    """Return JSON rows as an array; text and truth values are not taken for numbers."""
    try:
        found = np.asarray(rows)
    except ValueError:
        found = np.asarray("ragged")
    if found.size and found.dtype.kind not in "iuf":
        raise InputError(
            "coordinates are not all numbers in rows of two; give [[latitude, longitude], ...] in "
            "degrees"
        )
    return found


def pack_texts(texts: Sequence[str]) -> bytes:
    """Return texts as JSON `{"texts": [...]}`."""
    return json.dumps({"texts": list(texts)}).encode()


def read_texts(data: bytes, most: int) -> list[str]:
    """Read what `pack_texts` wrote.

    Raises:
        BodyError: no such body, or more than `most`.
        InputError: see `check_texts`; or text that has no UTF-8 (half a surrogate pair).
    """
    texts = _only_field(data, "texts")
    if not isinstance(texts, list):
        raise BodyError('"texts" is no list; send {"texts": ["...", ...]}')
    check_count(len(texts), most, "texts")
    for number, text in enumerate(check_texts(texts)):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"text {number} holds half a surrogate pair; correct it") from None
    return texts


def _only_field(data: bytes, name: str) -> Any:
    """Return the value of the one field of a JSON object."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = printable(str(error), 80)
        raise BodyError(
            f'body of {len(data):,} bytes is no JSON ({reason}); send {{"{name}": [...]}}'
        ) from None
    if not isinstance(document, dict) or set(document) != {name}:
        raise BodyError(f'body has other fields than "{name}"; send {{"{name}": [...]}}')
    return document[name]
