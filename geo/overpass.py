"""Places by what stands near them, asked of an Overpass server over OpenStreetMap.

Nothing is asked unless a server's address is configured. Queries are built here from tags and
numbers alone, every text quoted, and carry the limits that the server is to keep: 25 seconds,
64 MiB, a number of results. One request at a time goes to a server, whoever asks.

The language is Overpass QL: https://wiki.openstreetmap.org/wiki/Overpass_API/Overpass_QL.
"""

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from geo.errors import ConfigError, InputError, UnavailableError

if TYPE_CHECKING:
    import httpx

ATTRIBUTION = "© OpenStreetMap contributors, ODbL"
SERVER_TIMEOUT_S = 25
SERVER_MEMORY_BYTES = 64 * 2**20
GRACE_S = 10.0
"""How much longer than the server's own limit a reply is waited for."""
WAIT_S = 60.0
"""How long a request waits for another one to the same server."""
MAX_REPLY_BYTES = 4 * 2**20
MAX_TAG_LETTERS = 200
_RETRYABLE = frozenset({429, 502, 503, 504})

_turns: dict[str, Lock] = {}
_turns_lock = Lock()

Tags = tuple[tuple[str, str], ...]
"""Keys and values that an object must all have."""


@dataclass(frozen=True)
class Circle:
    """Everything within a distance of a point; degrees and kilometres."""

    latitude: float
    longitude: float
    radius_km: float

    def clause(self) -> str:
        """Return the filter of Overpass QL."""
        metres = _number(self.radius_km * 1000)
        return f"(around:{metres},{_number(self.latitude)},{_number(self.longitude)})"


@dataclass(frozen=True)
class Box:
    """Everything between two parallels and two meridians; west > east crosses 180 degrees."""

    south: float
    west: float
    north: float
    east: float

    def clause(self) -> str:
        """Return the filter of Overpass QL."""
        sides = (self.south, self.west, self.north, self.east)
        return f"({','.join(map(_number, sides))})"


@dataclass(frozen=True)
class Country:
    """The area of a country or territory by its ISO 3166-1 alpha-2 code."""

    code: str

    def clause(self) -> str:
        """Return the filter of Overpass QL; it needs `prologue` before it."""
        return "(area.where)"

    def prologue(self) -> str:
        """Return the statement that finds the area."""
        return f'area["ISO3166-1"={_quoted(self.code)}]->.where;\n'


Region = Circle | Box | Country


@dataclass(frozen=True)
class MapObject:
    """An object of OpenStreetMap, at its node or the middle of its bounds.

    Attributes:
        reference: `node/123`, `way/123` or `relation/123`.
        name: as mapped, printable, up to 200 letters; empty without one.
    """

    reference: str
    latitude: float
    longitude: float
    name: str = ""


@dataclass(frozen=True)
class Found:
    """What a server answered.

    Attributes:
        total: how many objects match, returned or not.
        objects: up to as many as were asked for.
        dropped: objects of the reply that had no usable position.
    """

    total: int
    objects: tuple[MapObject, ...] = field(default=())
    dropped: int = 0


def relation_query(features: Sequence[Tags], within_m: float, region: Region, limit: int) -> str:
    """Return the query for objects of the first feature that have all others nearby.

    Args:
        features: tags of the object sought, then of each that must stand near it.
        within_m: how near, metres; from its outline, not from its middle.
        region: where.
        limit: most objects returned; they are counted beyond it.

    Raises:
        InputError: no feature, a feature without tags, or a number that is none.
    """
    if not features or not all(features):
        raise InputError("a feature without tags would be everything; give each at least one tag")
    near = _number(within_m)
    lines = [f"[out:json][timeout:{SERVER_TIMEOUT_S}][maxsize:{SERVER_MEMORY_BYTES}];\n"]
    if isinstance(region, Country):
        lines.append(region.prologue())
    lines.append(f"nwr{_filters(features[0])}{region.clause()}->.found;\n")
    for tags in features[1:]:
        lines.append(f"nwr{_filters(tags)}(around.found:{near})->.beside;\n")
        lines.append(f"nwr.found(around.beside:{near})->.found;\n")
    lines.append(f".found out count;\n.found out tags center {int(limit)};\n")
    return "".join(lines)


class Overpass:
    """A client of one Overpass server; safe to share between threads."""

    def __init__(
        self,
        url: str,
        *,
        contact: str = "",
        timeout_s: float = SERVER_TIMEOUT_S + GRACE_S,
        wait_s: float = WAIT_S,
        transport: "httpx.BaseTransport | None" = None,
    ) -> None:
        """Prepare to ask a server; nothing is sent yet.

        Args:
            url: of its interpreter, `https://overpass.example.org/api/interpreter`.
            contact: e-mail or page put into the user agent, as public servers ask for.
            timeout_s: seconds to wait for one reply.
            wait_s: seconds to wait for one's turn.
            transport: in place of the network's default, which follows the proxies configured.

        Raises:
            ConfigError: the URL is not one.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigError(
                f"Overpass URL {url!r} is no http(s) address; set GRATICULE_OVERPASS_URL to "
                "https://HOST/api/interpreter"
            )
        self.url = url
        self.timeout_s, self.wait_s, self._transport = timeout_s, wait_s, transport
        self._agent = f"graticule/{version('graticule')}" + (f" ({contact})" if contact else "")
        with _turns_lock:
            self._turn = _turns.setdefault(parts.netloc, Lock())

    def ask(self, query: str) -> Found:
        """Send a query that counts and lists, as `relation_query` builds them.

        Raises:
            UnavailableError: the server does not answer in time, refuses, runs out of its limits,
                or answers with something else; retryable where that may pass by itself.
        """
        if not self._turn.acquire(timeout=self.wait_s):
            raise UnavailableError(
                f"Overpass server {self.url} is still busy with another request after "
                f"{self.wait_s:g} s; ask again later",
                retryable=True,
            )
        try:
            return self._read(self._body(query))
        finally:
            self._turn.release()

    def _body(self, query: str) -> bytes:
        """Return the reply's bytes."""
        import httpx

        agent = {"User-Agent": self._agent, "Accept": "application/json"}
        try:
            with (
                httpx.Client(
                    headers=agent, timeout=self.timeout_s, transport=self._transport
                ) as client,
                client.stream("POST", self.url, data={"data": query}) as reply,
            ):
                body, until = b"", time.monotonic() + self.timeout_s
                for part in reply.iter_bytes():
                    body += part
                    if time.monotonic() > until:  # httpx limits each read, not all together
                        raise httpx.ReadTimeout("reply too slow")
                    if len(body) > MAX_REPLY_BYTES:
                        raise self._failed(
                            f"answers with more than {MAX_REPLY_BYTES:,} bytes; narrow the region "
                            "or the features"
                        )
                self._refuse_status(reply.status_code, body)
                return body
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._failed(
                f"failed ({type(error).__name__}: {str(error)[:120]}; {self.timeout_s:g} s are "
                "waited); check GRATICULE_OVERPASS_URL or go on without it",
                retryable=isinstance(error, httpx.TransportError)
                and not isinstance(error, httpx.UnsupportedProtocol),
            ) from error

    def _refuse_status(self, status: int, body: bytes) -> None:
        """Raise where the server did not answer with a result."""
        if status == 200:
            return
        said = _printable(re.sub(r"<[^>]*>", " ", body[:2000].decode("utf-8", "replace")))[:160]
        why = {429: "too many requests", 504: "overloaded"}.get(status, said or "no reason given")
        raise self._failed(f"refuses with status {status}: {why!r}", retryable=status in _RETRYABLE)

    def _read(self, body: bytes) -> Found:
        """Return what a reply of status 200 says; a remark in it means that it is not whole."""
        try:
            reply = json.loads(body)
            elements = reply["elements"]
            remark = reply.get("remark")
            if remark:
                raise self._failed(
                    f"did not finish: {_printable(str(remark))[:160]!r}; narrow the region or the "
                    "features"
                )
            counts = [one for one in elements if one["type"] == "count"]
            total = int(counts[0]["tags"]["total"])
            others = [one for one in elements if one["type"] != "count"]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise self._failed(
                f"does not answer like Overpass ({type(error).__name__}); check "
                "GRATICULE_OVERPASS_URL"
            ) from None
        objects = [found for one in others if (found := _object(one))]
        return Found(max(total, len(objects)), tuple(objects), len(others) - len(objects))

    def _failed(self, what: str, *, retryable: bool = False) -> UnavailableError:
        return UnavailableError(f"Overpass server {self.url} {what}", retryable=retryable)


def _object(element: Mapping[str, Any]) -> MapObject | None:
    """Read one element; None without a usable position."""
    try:
        kind, number = element["type"], element["id"]
        place = element.get("center", element)
        latitude, longitude = float(place["lat"]), float(place["lon"])
        name = element.get("tags", {}).get("name", "")
    except (LookupError, TypeError, ValueError, AttributeError):
        return None
    known = kind in ("node", "way", "relation") and isinstance(number, int)
    # NaN fails every comparison.
    if not (known and abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    return MapObject(f"{kind}/{number}", latitude, longitude, _printable(str(name)))


def _filters(tags: Tags) -> str:
    return "".join(f"[{_quoted(key)}={_quoted(value)}]" for key, value in tags)


def _quoted(text: str) -> str:
    """Return a string of Overpass QL that means exactly `text`.

    Raises:
        InputError: it holds a control character, which no tag has.
    """
    if not text or not text.isprintable():
        raise InputError(f"{text[:40]!r} is no tag: give printable letters")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _number(value: float) -> str:
    """Return a number as Overpass reads it: digits and a point, never an exponent."""
    if not math.isfinite(value):
        raise InputError(f"{value!r} is not a finite number; give degrees or metres")
    return f"{value:.7f}".rstrip("0").rstrip(".")


def _printable(text: str) -> str:
    """Return text without what moves a cursor, in one line."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[:2000])
    return " ".join(shown.split())[:MAX_TAG_LETTERS]
