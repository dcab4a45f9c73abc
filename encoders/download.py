"""A file from a server: resumed where it stopped, followed through redirects, never trusted."""

import re
import time
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from encoders.partial import (
    Partial,
    Received,
    Tell,
    Wanted,
    check_size,
    check_space,
    settle,
)
from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5
ATTEMPTS = 4
"""Tries in a row that bring no byte before we give up."""
WAIT_S = 1.0
MAX_WAIT_S = 30.0
CONNECT_S = 10.0
READ_S = 30.0
UNKNOWN_LIMIT = 200_000_000
"""Most we take of a file whose size nobody states."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class NotOnServerError(UnavailableError):
    """The server has no such file."""


class _CutError(Exception):
    """This try is over; another one may bring the rest."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def download(
    url: str, path: Path, wanted: Wanted, tell: Tell, *, wait_s: float = WAIT_S
) -> Received:
    """Download a file to `path`, going on where an earlier call stopped.

    The caller makes sure that nobody else writes `path`.

    Args:
        url: https; http where the user names a server of their own.
        path: where it goes, once it is whole and checked.
        wanted: its size and checksum, as far as published. Without a checksum, the one that
            the hub states (`X-Linked-Etag`) is checked.
        tell: told of progress.
        wait_s: before the second try; doubled for each further one.

    Raises:
        NotOnServerError: the server has no such file.
        UnavailableError: unreachable, refused, stopped half-way, the wrong file, no space.
        InputError: the address is none.
    """
    import httpx

    own = _check_address(url, url).host in _LOOPBACK
    timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
    with (
        # A proxy of the environment is for the world outside.
        httpx.Client(timeout=timeout, trust_env=not own) as client,
        Partial(path, tell) as partial,
    ):
        transfer = _Transfer(client, url, wanted, partial)
        fruitless = 0
        while True:
            before = partial.size
            try:
                transfer.go_on()
                break
            except _CutError as cut:
                fruitless = 0 if partial.size > before else fruitless + 1
                if fruitless >= ATTEMPTS:
                    raise _stopped(url, path, partial, str(cut)) from None
                time.sleep(min(cut.wait_s or wait_s * 2 ** max(fruitless - 1, 0), MAX_WAIT_S))
        stated = wanted.sha256 or transfer.stated
        return settle(partial, wanted, stated, _host(url))


class _Transfer:
    """The tries of one download."""

    def __init__(self, client: "httpx.Client", url: str, wanted: Wanted, partial: Partial) -> None:
        self.client, self.url, self.wanted, self.partial = client, url, wanted, partial
        self.stated: str | None = None
        self.asking = url
        self.answered = False

    def go_on(self) -> None:
        """Get what is missing.

        Raises:
            _CutError: something is still missing, but it may be worth another try.
            UnavailableError: it is not.
        """
        import httpx

        wanted, partial = self.wanted, self.partial
        if wanted.sha256 and wanted.exact and partial.size == wanted.size:
            return
        if wanted.exact and wanted.size and partial.size > wanted.size:
            partial.restart()
        partial.catch_up()
        try:
            with closing(self._answer()) as response:
                self.answered = True
                self._take(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            if self.answered:
                raise _CutError(_reason(error)) from None
            text = f"cannot reach {_host(self.asking)} ({_reason(error)})"
            raise UnavailableError(self._by_hand(text), retryable=True) from None
        except httpx.TransportError as error:
            raise _CutError(_reason(error)) from None

    def _answer(self) -> "httpx.Response":
        """Ask, and follow redirects within limits."""
        headers = {"Accept-Encoding": "identity", "User-Agent": "graticule"}
        if self.partial.size:
            headers["Range"] = f"bytes={self.partial.size}-"
        url = self.asking = self.url
        for _ in range(MAX_REDIRECTS + 1):
            request = self.client.build_request("GET", url, headers=headers)
            response = self.client.send(request, stream=True)
            etag = response.headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
            # Only the server that was asked may state it, not where it sends us.
            if _SHA256.fullmatch(etag) and _host(url) == _host(self.url):
                self.stated = etag
            if not response.has_redirect_location:
                return response
            response.close()
            url = _joined(url, response.headers["location"])
            _check_address(url, self.url)
            self.asking = url
        raise self._refused(f"more than {MAX_REDIRECTS} redirects")

    def _take(self, response: "httpx.Response") -> None:
        partial, status = self.partial, response.status_code
        where = _RANGE.fullmatch(response.headers.get("content-range", ""))
        total = int(where[2]) if where and where[2] != "*" else 0
        if status == 416:
            if not total or total != partial.size:
                partial.restart()
                raise _CutError("the server does not have the rest of what is here")
            return
        if status == 206:
            if not where or where[1] is None or int(where[1]) != partial.size:
                partial.restart()
                raise _CutError("the server sent another part than was asked for")
        elif status == 200:
            partial.restart()  # it knows no ranges
            total = int(response.headers.get("content-length") or 0)
        else:
            self._refuse(response)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._refused("it compresses the file, which was not asked for")
        check_size(total, self.wanted, _host(self.url), UnavailableError)
        check_space(partial.target, (total or self.wanted.size) - partial.size)
        self._stream(response, total)

    def _stream(self, response: "httpx.Response", total: int) -> None:
        partial, wanted = self.partial, self.wanted
        limit = total or 2 * wanted.size or UNKNOWN_LIMIT
        partial.tell("downloading", partial.size, total)
        for chunk in response.iter_raw():
            partial.write(chunk)
            partial.tell("downloading", partial.size, total)
            if partial.size > limit:
                partial.restart()
                raise self._refused(f"it sends more than {limit:,} bytes")
        if total and partial.size < total:
            raise _CutError(f"the connection ended after {partial.size:,} of {total:,} bytes")

    def _refuse(self, response: "httpx.Response") -> None:
        status = response.status_code
        if status in (429, 500, 502, 503, 504):
            raise _CutError(f"HTTP {status}", _retry_after(response.headers.get("retry-after", "")))
        if status in (404, 410):
            raise NotOnServerError(self._by_hand(f"{_host(self.url)} has no such file"))
        if status in (401, 403):
            raise UnavailableError(
                self._by_hand(
                    f"{_host(self.url)} refuses it (HTTP {status}): its licence may have to be "
                    "accepted there first"
                )
            )
        raise self._refused(f"HTTP {status}")

    def _refused(self, reason: str) -> UnavailableError:
        return UnavailableError(self._by_hand(f"{_host(self.url)} cannot be used: {reason}"))

    def _by_hand(self, text: str) -> str:
        return by_hand(text, self.url, self.partial.target)


def by_hand(text: str, url: str, path: Path) -> str:
    """Return a message that ends with how to do without the download."""
    return f"{text}; get {_shown(url)} by other means and put it at {str(path)!r}"


def _check_address(url: str, asked: str) -> "httpx.URL":
    """Allow https, and http only on the loopback or where the user asked for http."""
    import httpx

    try:
        found, origin = httpx.URL(url), httpx.URL(asked)
    except (httpx.InvalidURL, ValueError):
        found = origin = httpx.URL("")
    plain = found.scheme == "http" and (found.host in _LOOPBACK or origin.scheme == "http")
    if (found.scheme == "https" or plain) and found.host:
        return found
    shown = printable(url, 200)
    if url == asked:
        raise InputError(f"{shown!r} is no https address; give one, or a folder")
    raise UnavailableError(
        f"{_host(asked)} redirects to {shown!r}, which is not https; use another server (--from)"
    )


def _stopped(url: str, path: Path, partial: Partial, reason: str) -> UnavailableError:
    kept = f"{partial.size:,} bytes are kept; run again to resume" if partial.size else "run again"
    return UnavailableError(
        f"download of {path.name} from {_host(url)} stopped ({reason}); {kept}, or put the file "
        f"at {str(path)!r} by hand, from {_shown(url)}",
        retryable=True,
    )


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _host(url: str) -> str:
    import httpx

    return printable(httpx.URL(url).netloc.decode("ascii", "replace"), 100)


def _shown(url: str) -> str:
    """Return an address without the password that may stand in it."""
    import httpx

    return printable(str(httpx.URL(url).copy_with(userinfo=b"")), 400)


def _reason(error: Exception) -> str:
    return printable(" ".join(str(error).split()), 120) or type(error).__name__


def _retry_after(text: str) -> float:
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except ValueError:
        return 0.0
