"""Photos and words as requests bring them: a form, JSON with base64, or the photo itself."""

import asyncio
import base64
import binascii
import contextlib
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from agent.sessions import Sessions
from encoders.photo_file import printable
from encoders.request_body import read_form
from encoders.wire import BodyError
from geo.errors import InputError
from server.schemas import FORM, JSON, kind_of, read_json
from tools.photo_store import Photo

DECODERS = 2
"""Photos decoded at once: one of 100 megapixels takes 300 MB."""
MOST_PARTS = 64
MOST_PHOTOS = 8
LONGEST_NAME = 200

Words = TypeVar("Words", bound=BaseModel)


class File(NamedTuple):
    """A photo as it arrived."""

    data: bytes
    name: str = ""


class Intake:
    """Puts arriving photos into the store, and takes back those that came to nothing.

    Args:
        sessions: whose photo store.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self._pool = ThreadPoolExecutor(DECODERS, thread_name_prefix="photos")
        self._arriving: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextlib.asynccontextmanager
    async def taken(self, files: Sequence[File]) -> AsyncIterator[list[Photo]]:
        """Store photos; where the block raises, those that no session has are removed again.

        Raises:
            InputError: one cannot be used.
            UnavailableError: the store cannot be written.
        """
        photos: list[Photo] = []
        loop = asyncio.get_running_loop()
        try:
            for file in files:
                photos.append(await loop.run_in_executor(self._pool, self._add, file))
            yield photos
        except BaseException:
            await asyncio.shield(loop.run_in_executor(self._pool, self._drop, photos))
            raise
        with self._lock:
            self._arriving.subtract(photo.id for photo in photos)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _add(self, file: File) -> Photo:
        photo = self.sessions.photos.add(file.data, base_name(file.name))
        with self._lock:
            self._arriving[photo.id] += 1
        return photo

    def _drop(self, photos: Sequence[Photo]) -> None:
        ids = {photo.id for photo in photos}
        used = {one for info in self.sessions.search() for one in info.photos} if ids else set()
        with self._lock:
            self._arriving.subtract(photo.id for photo in photos)
            for photo_id in ids - used:
                if self._arriving[photo_id] <= 0:
                    self.sessions.photos.remove(photo_id)
            self._arriving += Counter()  # forget what is zero


def base_name(name: str) -> str:
    """Return the last part of a file name of whatever system, printable."""
    return printable(name.replace("\\", "/").rpartition("/")[2], LONGEST_NAME)


async def read_request(
    request: Request, model: type[Words], images: str
) -> tuple[Words, list[File]]:
    """Read words and photos of a request.

    Args:
        request: form, JSON, or a photo alone with its words in the query.
        model: of the words; `images` is a field of it.
        images: its field with base64, one or several.

    Raises:
        BodyError: another content type (415), or a form that is damaged.
        InputError: base64 that is none, or too many photos.
        RequestValidationError: the words do not fit the model.
    """
    kind = kind_of(request)
    if kind == JSON:
        words = read_json(await request.body(), model)
        found = getattr(words, images)
        texts = [found] if isinstance(found, str) else list(found)
        return words, [File(decoded(text)) for text in texts if text]
    if kind == FORM:
        async with _form(request) as form:
            files = [await _file(part) for _, part in form.multi_items() if not _is_text(part)]
            return read_json(_fields(form, model), model, "form"), _few(files)
    if kind.startswith("image/") or kind == "application/octet-stream":
        words = read_json(_fields(request.query_params, model), model, "query")
        return words, [File(await request.body())]
    raise BodyError(
        f"content type {printable(kind, 80)!r} is not read here; send {JSON}, {FORM} or "
        "image/jpeg", 415,
    )  # fmt: skip


def decoded(text: str) -> bytes:
    """Return the bytes of base64, of a `data:` address too.

    Raises:
        InputError: it is neither.
    """
    head, comma, rest = text.partition(",")
    if comma and not (head.startswith("data:") and head.endswith(";base64")):
        raise InputError("an image is base64 or data:image/...;base64,...; encode it so")
    try:
        return base64.b64decode("".join((rest if comma else text).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"image is no base64 ({error}); encode the file's bytes") from None


@contextlib.asynccontextmanager
async def _form(request: Request) -> AsyncIterator[FormData]:
    form = await read_form(request, await request.body(), MOST_PARTS)
    try:
        yield form
    finally:
        await form.close()


def _is_text(part: object) -> bool:
    return isinstance(part, str)


async def _file(part: UploadFile | str) -> File:
    assert isinstance(part, UploadFile)
    return File(await part.read(), part.filename or "")


def _few(files: list[File]) -> list[File]:
    if len(files) > MOST_PHOTOS:
        raise InputError(f"{len(files)} photos, limit {MOST_PHOTOS}; send them in more requests")
    return files


def _fields(given: Any, model: type[BaseModel]) -> str:
    """Return the text fields of a form or a query as JSON, of the types that the model has."""
    found: dict[str, Any] = {}
    for name, values in _grouped(given):
        field = model.model_fields.get(name)
        kind = str(field.annotation) if field is not None else "str"
        if "tuple" in kind:
            found[name] = values
        elif len(values) > 1:
            raise InputError(f"{printable(name, 60)!r} is given {len(values)} times; give it once")
        else:
            found[name] = values[0] if kind == "<class 'str'>" else _typed(values[0])
    return json.dumps(found)


def _typed(text: str) -> Any:
    """Return a number, a truth value or an object written as JSON; other text as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _grouped(given: Any) -> Iterator[tuple[str, list[str]]]:
    items = [(name, value) for name, value in given.multi_items() if isinstance(value, str)]
    for name in dict.fromkeys(name for name, _ in items):
        yield name, [value for one, value in items if one == name]
