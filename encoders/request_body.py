"""Bodies of requests as they arrive: never more in memory than was agreed."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from encoders.batching import BusyError
from encoders.photo_file import printable
from encoders.wire import BodyError

LINGER_S = 2.0
"""How long a refused body is read on: closing at once would lose the refusal on its way."""
MULTIPART = "multipart/form-data"
RETRY_S = 1


class MemoryBudget:
    """Bytes that all requests may hold together; used by the event loop alone.

    Args:
        limit: in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    @contextmanager
    def share(self) -> "Iterator[MemoryShare]":
        """Give one request its share, and take all of it back at the end."""
        share = MemoryShare(self)
        try:
            yield share
        finally:
            self.used -= share.held


class MemoryShare:
    """What one request holds of a budget."""

    def __init__(self, budget: MemoryBudget) -> None:
        self.held = 0
        self._budget = budget

    def take(self, size: int) -> None:
        """Hold `size` bytes more.

        Raises:
            BodyError: it could never hold as much (413).
            BusyError: others hold too much at present.
        """
        budget = self._budget
        if self.held + size > budget.limit:
            raise BodyError(
                f"request needs {self.held + size:,} bytes of memory, limit {budget.limit:,}; "
                "send fewer or smaller photos",
                413,
            )
        if budget.used + size > budget.limit:
            raise BusyError(
                f"requests hold {budget.used:,} bytes of memory, limit {budget.limit:,}; ask "
                f"again in {RETRY_S} s",
                RETRY_S,
            )
        self.held += size
        budget.used += size


async def read_body(request: Request, limit: int, share: MemoryShare) -> bytes:
    """Return the whole body.

    Raises:
        BodyError: it has, or says it has, more than `limit` bytes (413).
        BusyError: there is no memory for it now.
        ClientDisconnect: it ended before its end.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(int(declared), limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        request.state.body_read = not message.get("more_body", False)
        if size > limit:
            raise _too_large(size, limit)
        share.take(len(chunk))
        chunks.append(chunk)
        if request.state.body_read:
            return b"".join(chunks)


def _too_large(size: int, limit: int) -> BodyError:
    return BodyError(f"body has {size:,} bytes or more, limit {limit:,}; split the request", 413)


async def drain(request: Request) -> bool:
    """Read and forget what is left of a body, for a short while; return whether it ended.

    A client that waits to be told to go on (`Expect: 100-continue`) has sent nothing yet.
    """
    if getattr(request.state, "body_read", False):
        return True
    if request.headers.get("expect"):
        return False
    end = time.monotonic() + LINGER_S
    while (left := end - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(request.receive(), left)
        except TimeoutError:
            return False
        if not message.get("more_body", False):
            return True
    return False


class _Form(MultiPartParser):
    """Keeps files in memory, and knows whether the form came to its end."""

    complete = False

    def on_end(self) -> None:
        """Note the closing boundary: without it the last part may be missing."""
        self.complete = True


async def read_files(
    request: Request, kind: str, body: bytes, most: int, share: MemoryShare
) -> list[bytes]:
    """Return the photo files of a body: one as it is, or those of a form.

    Raises:
        BodyError: another content type (415), a form that is damaged, cut short or holds
            something else (400), or more than `most` files (413).
        BusyError: there is no memory for it now.
    """
    if kind.startswith("image/") or kind == "application/octet-stream":
        return [body]
    if kind != MULTIPART:
        raise BodyError(
            f"content type {printable(kind, 80)!r} is not read here; send image/jpeg, image/png, "
            f"{MULTIPART} or application/x-safetensors",
            415,
        )
    share.take(len(body))
    form = await read_form(request, body, most)
    try:
        parts = form.multi_items()
        if other := [name for name, part in parts if not isinstance(part, UploadFile)]:
            raise BodyError(f"form part {printable(other[0])!r} is no file; send photos alone")
        if not parts:
            raise BodyError("form holds no file; send photos as file parts, curl -F photo=@FILE")
        return [await part.read() for _, part in parts if isinstance(part, UploadFile)]
    finally:
        await form.close()


async def read_form(
    request: Request, body: bytes, most: int, *, field_bytes: int = 1_000_000
) -> FormData:
    """Return the parts of a form whose body was read; close it after use.

    Args:
        request: with the headers.
        body: the whole of it.
        most: files, and fields, that are taken.
        field_bytes: of one field that is no file.

    Raises:
        BodyError: it is damaged or cut short (400), or has too many parts (413).
    """

    async def once() -> AsyncGenerator[bytes, None]:
        yield body
        if not parser.complete:
            raise MultiPartException("it ends before its closing boundary")

    parser = _Form(
        request.headers, once(), max_files=most, max_fields=most, max_part_size=field_bytes
    )
    parser.spool_max_size = len(body) + 1  # photos of strangers stay out of temporary files
    try:
        return await parser.parse()
    except MultiPartException as error:
        status = 413 if "Too many" in error.message else 400
        reason = printable(error.message)
    except (KeyError, ValueError, UnicodeError) as error:
        status, reason = 400, printable(str(error))
    raise BodyError(f"form cannot be used ({reason}); send at most {most} whole files", status)
