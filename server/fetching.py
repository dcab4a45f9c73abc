"""Photos from addresses that clients give: only where enabled, and never from inside.

A server that fetches what strangers name reaches places that strangers cannot: this machine, its
network, the cloud's metadata. So the name is resolved once, every address it has must be public,
the connection goes to exactly the address that was checked (no rebinding between check and use),
redirects are checked the same way, and size, time and packing are bounded.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from agent.server_settings import ServerSettings
from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
from server.problems import ProblemError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
"""Of a host."""
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
PORTS = {"http": 80, "https": 443}
MOST_REDIRECTS = 3
LONGEST_URL = 2_000
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
"""RFC 6052, RFC 8215: IPv4 behind a translator."""
NOT_PUBLIC = tuple(
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8",  # this network, RFC 791
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "168.63.129.16/32",  # Azure's own services, a public address only by its number
        "::/96",  # IPv4-compatible, RFC 4291
        "100::/64",  # discard, RFC 6666
        "100:0:0:1::/64",  # dummy, RFC 9780
        "2001::/23",  # protocol assignments with Teredo, RFC 2928, RFC 4380
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056
        "3fff::/20",  # documentation, RFC 9637
        "5f00::/16",  # segment routing, RFC 9602
        "fc00::/7",  # unique local, RFC 4193
        "fec0::/10",  # site-local, RFC 3879
    )
)


class Target(NamedTuple):
    """Where a request goes."""

    url: httpx.URL
    """With the checked address for a host."""
    host: str
    """The name that was asked for, for the Host header and the certificate."""
    header: str


async def fetch_photo(
    url: str,
    limits: ServerSettings,
    *,
    resolve: "Resolve | None" = None,
    transport: httpx.AsyncBaseTransport | None = None,
    ports: dict[str, int] | None = None,
    allowed: Callable[[Address], bool] | None = None,
) -> tuple[bytes, str]:
    """Fetch a photo and return its bytes and the name that its address ends with.

    Args:
        url: http or https, as a client gave it.
        limits: whether at all, how much, how long.
        resolve: gives the addresses of a name; the system's by default.
        transport: sends requests; httpx's own by default.
        ports: by scheme; the usual ones by default.
        allowed: tells public addresses; `is_public` by default.

    Raises:
        ProblemError: it is not enabled (403), or the address may not be fetched (422).
        InputError: it is too large, or answers with an error.
        UnavailableError: it does not answer in time.
    """
    if not limits.fetch_urls:
        raise ProblemError(
            403, "no_fetching",
            "this server fetches no addresses; send the photo itself, or set "
            "GRATICULE_SERVER__FETCH_URLS=true on it",
        )  # fmt: skip
    door = Guard(resolve or system_resolve, ports or PORTS, allowed or is_public)
    try:
        async with asyncio.timeout(limits.fetch_s):
            return await _fetch(url, limits.fetch_bytes, door, transport)
    except TimeoutError:
        raise UnavailableError(
            f"{_shown(url)} was not fetched within {limits.fetch_s:g} s; send the photo itself",
            retryable=True,
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        raise UnavailableError(
            f"{_shown(url)} cannot be fetched ({type(error).__name__}); send the photo itself",
            retryable=True,
        ) from None


async def _fetch(
    url: str, most: int, guard: "Guard", transport: httpx.AsyncBaseTransport | None
) -> tuple[bytes, str]:
    for _ in range(MOST_REDIRECTS + 1):
        target = await guard.check(url)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            request = client.build_request(
                "GET", target.url,
                headers={
                    "host": target.header, "accept": "image/*", "accept-encoding": "identity",
                    "user-agent": "graticule",
                },
                extensions={"sni_hostname": target.host},
            )  # fmt: skip
            reply = await client.send(request, stream=True)
            try:
                if reply.status_code not in REDIRECTS:
                    return await _body(reply, url, most), _name(url)
                url = _next(url, reply)
            finally:
                await reply.aclose()
    raise _refused(url, f"it was redirected more than {MOST_REDIRECTS} times")


async def _body(reply: httpx.Response, url: str, most: int) -> bytes:
    """Read an answer as it is: what comes packed, though it was not asked for so, is refused."""
    if reply.status_code != 200:
        raise InputError(
            f"{_shown(url)} answers with status {reply.status_code}; send the photo itself"
        )
    if reply.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise _refused(url, "it comes packed")
    declared = reply.headers.get("content-length", "0")
    chunks: list[bytes] = []
    size = int(declared) if declared.isascii() and declared.isdigit() else 0
    if size <= most:
        size = 0
        async for chunk in reply.aiter_raw():
            size += len(chunk)
            chunks.append(chunk)
            if size > most:
                break
    if size > most:
        raise InputError(
            f"{_shown(url)} has {size:,} bytes or more, limit {most:,}; send a smaller copy"
        )
    return b"".join(chunks)


class Guard:
    """Checks addresses before anything is sent to them.

    Args:
        resolve: gives the addresses of a name.
        ports: the only port of each scheme.
        allowed: tells which addresses may be asked.
    """

    def __init__(
        self, resolve: Resolve, ports: dict[str, int], allowed: Callable[[Address], bool]
    ) -> None:
        self._resolve, self._ports, self._allowed = resolve, ports, allowed

    async def check(self, url: str) -> Target:
        """Return where a request for an address goes.

        Raises:
            ProblemError: it may not be fetched; the message says why.
        """
        scheme, host, port = self._parts(url)
        addresses = await self._addresses(url, host, port)
        # One address that is not public is enough: which one is taken would be chance.
        if not addresses or not all(self._allowed(one) for one in addresses):
            raise _refused(url, "it is not on the public internet")
        shown = f"[{addresses[0]}]" if addresses[0].version == 6 else str(addresses[0])
        header = f"[{host}]" if ":" in host else host
        if port != PORTS[scheme]:
            header += f":{port}"
        parts = urlsplit(url)
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        return Target(httpx.URL(f"{scheme}://{shown}:{port}{path}"), host, header)

    def _parts(self, url: str) -> tuple[str, str, int]:
        if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or "\\" in url:
            raise _refused(url, f"it is longer than {LONGEST_URL} or not plain ASCII")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise _refused(url, "it is no address") from None
        if parts.scheme not in self._ports or not host or " " in url:
            raise _refused(url, "it is not http or https")
        if parts.username is not None or parts.password is not None or "@" in parts.netloc:
            raise _refused(url, "it holds a user name")
        wanted = self._ports[parts.scheme]
        if port not in (None, wanted):
            raise _refused(url, f"its port is {port}, not {wanted}")
        if "%" in host:
            raise _refused(url, "its host is not plain")
        return parts.scheme, host, wanted

    async def _addresses(self, url: str, host: str, port: int) -> list[Address]:
        try:
            return [ipaddress.ip_address(host)]
        except ValueError:
            pass
        try:
            found = await self._resolve(host, port)
            return [ipaddress.ip_address(one) for one in dict.fromkeys(found)]
        except (OSError, UnicodeError, ValueError):
            raise _refused(url, "its host is not known") from None


async def system_resolve(host: str, port: int) -> list[str]:
    """Return all addresses that the system knows of a name."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, whatever IPv4 it may carry inside."""
    inner = _inside(address)
    if inner is not None:
        return False  # a tunnel or a translator: nobody publishes photos under such an address
    listed = any(address in one for one in NOT_PUBLIC if one.version == address.version)
    return address.is_global and not address.is_multicast and not address.is_reserved and not listed


def _inside(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one carries: mapped, 6to4, Teredo, NAT64, ISATAP."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address.teredo is not None:
        return last
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in one for one in NAT64):
        return last
    isatap = (int(address) >> 32) & 0xFDFFFFFF == 0x5EFE  # RFC 5214, with and without the u bit
    return last if isatap else None


def _next(url: str, reply: httpx.Response) -> str:
    where: str = reply.headers.get("location", "")
    if not where:
        raise _refused(url, "it is redirected to nowhere")
    return urljoin(url, where)


def _name(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _shown(url: str) -> str:
    return f"address {printable(url, 200)!r}"


def _refused(url: str, why: str) -> ProblemError:
    return ProblemError(
        422, "refused_address", f"{_shown(url)} is not fetched: {why}; send the photo itself"
    )
