"""Addresses that clients give are fetched from the public internet alone, or not at all."""

import asyncio
import contextlib
import gzip
import ipaddress
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.server_settings import ServerSettings
from geo.errors import InputError, UnavailableError
from server.fetching import Guard, fetch_photo, is_public
from server.problems import ProblemError
from tests.unit.server_samples import PHOTO

ON = ServerSettings(fetch_urls=True, fetch_s=1.0, fetch_bytes=100_000)
PUBLIC = ("93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "172.32.0.1", "100.128.0.1")
PRIVATE = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1",
    "172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1",
    "100.127.255.255", "192.0.0.8", "192.0.0.192", "192.0.2.1", "198.51.100.1", "203.0.113.1",
    "198.18.0.1", "198.19.255.255", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "168.63.129.16",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "2001::1",
    "2001:0:53aa:64c:0:ffff:80ff:fffe", "2001:db8::1", "2001:10::1", "2001:20::1",
    "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2606:4700::5efe:a00:1",
    "2606:4700::200:5efe:a9fe:a9fe",
)  # fmt: skip
"""RFC 6890 and its successors, metadata services, and IPv4 in its disguises."""


def resolving(**known: Sequence[str]) -> Callable[[str, int], Any]:
    async def resolve(host: str, port: int) -> Sequence[str]:
        if host not in known:
            raise OSError("unknown")
        return known[host]

    return resolve


@pytest.mark.parametrize("address", PRIVATE)
async def test_addresses_that_are_never_asked(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    shown = f"[{address}]" if ":" in address else address
    guard = Guard(resolving(evil=[address], mixed=[PUBLIC[0], address]), {"http": 80}, is_public)
    for host in (shown, "evil", "mixed"):
        with pytest.raises(ProblemError, match="public internet"):
            await guard.check(f"http://{host}/a.jpg")


@pytest.mark.parametrize("address", PUBLIC)
async def test_addresses_that_may_be_asked(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    guard = Guard(resolving(host=[address]), {"http": 80, "https": 443}, is_public)
    target = await guard.check("https://host/a.jpg?x=1#part")
    assert ipaddress.ip_address(target.url.host.strip("[]")) == ipaddress.ip_address(address)
    assert (target.host, target.header, target.url.raw_path) == ("host", "host", b"/a.jpg?x=1")


@given(st.integers(0, 2**32 - 1))
def test_no_private_ipv4_hides_in_ipv6(number: int) -> None:
    inner = ipaddress.IPv4Address(number)
    for prefix in ("::ffff:0:0", "64:ff9b::", "::"):
        assert not is_public(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | number))
    assert not is_public(ipaddress.IPv6Address((0x2002 << 112) | (number << 80)))
    if not inner.is_global:
        assert not is_public(inner)


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "//host/a", "file:///etc/passwd", "ftp://host/a", "gopher://host", "data:,x",
        "http://", "http:///a", "http://user@host/a", "http://user:pass@host/a", "http://@host/",
        "http://host:22/a", "http://host:8080/", "https://host:80/", "http://host:99999/",
        "http://ho st/a", "http://host/\r\nx: y", "http://hóst/a", "http://host\\@evil/",
        "http://%31%32%37.0.0.1/", "http://[::1", "http://[fe80::1%25eth0]/", "http://evil/",
        "http://host/" + "a" * 3000, "jar:http://host/", "http:host/a",
    ],
)  # fmt: skip
async def test_addresses_that_are_none(url: str) -> None:
    guard = Guard(resolving(host=[PUBLIC[0]]), {"http": 80, "https": 443}, is_public)
    with pytest.raises(ProblemError) as caught:
        await guard.check(url)
    assert caught.value.status == 422
    assert "\n" not in str(caught.value)


async def test_numbers_in_disguise_are_what_the_system_makes_of_them() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        import socket

        return [str(row[4][0]) for row in socket.getaddrinfo(host, port)]

    guard = Guard(resolve, {"http": 80}, is_public)
    for host in ("2130706433", "0x7f.1", "017700000001", "127.1", "localhost"):
        with pytest.raises(ProblemError):
            await guard.check(f"http://{host}/")


async def test_not_unless_enabled() -> None:
    with pytest.raises(ProblemError, match="FETCH_URLS"):
        await fetch_photo("http://host/a.jpg", ServerSettings())


class Site:
    """A web server on loopback that answers by path, and remembers what it was asked."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers, self.asked, self.port = answers, [""] * 0, 0
        self.over = asyncio.Event()
        self.open: set[asyncio.Task[None] | None] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.decode())
        writer.write(self.answers.get(head.split()[1].decode(), b"HTTP/1.1 404 Gone\r\n\r\n"))
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            if b"/never" in head:
                await self.over.wait()
            writer.close()
            await writer.wait_closed()


def reply(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    named = {
        "content-length": str(len(body)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def moved(where: str, status: int = 302) -> bytes:
    return reply(b"", f"{status} Moved", location=where)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site({})
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found
        found.over.set()
        await asyncio.gather(*(one for one in found.open if one is not None))


async def fetched(site: Site, url: str, limits: ServerSettings = ON) -> tuple[bytes, str]:
    """Fetch where loopback stands for the public internet."""
    resolve = resolving(host=["127.0.0.1"], inner=["10.0.0.1"], mixed=["127.0.0.1", "10.0.0.1"])
    return await fetch_photo(
        url, limits, resolve=resolve, ports={"http": site.port},
        allowed=lambda address: address.is_loopback,
    )  # fmt: skip


async def test_a_photo_comes_from_the_address_that_was_checked(site: Site) -> None:
    site.answers["/pictures/quay%20side.jpg?x=1"] = reply(PHOTO)
    found = await fetched(site, "http://host/pictures/quay%20side.jpg?x=1")
    assert found == (PHOTO, "quay side.jpg")
    (asked,) = site.asked
    assert f"host: host:{site.port}\r\n" in asked.lower()
    assert "accept-encoding: identity" in asked.lower()
    assert "cookie" not in asked.lower()


async def test_a_name_is_asked_for_once(site: Site) -> None:
    site.answers["/a"] = reply(PHOTO)
    times = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        times.append(host)
        return ["127.0.0.1"] if len(times) == 1 else ["10.0.0.1"]

    found = await fetch_photo(
        "http://host/a", ON, resolve=rebinding, ports={"http": site.port},
        allowed=lambda address: address.is_loopback,
    )  # fmt: skip
    assert found[0] == PHOTO
    assert times == ["host"]


async def test_redirects_are_checked_again(site: Site) -> None:
    site.answers |= {
        "/a": reply(PHOTO), "/1": moved("/a", 301), "/2": moved("http://host/1", 308),
        "/3": moved("/2", 303), "/4": moved("/3"), "/in": moved("http://inner/a"),
        "/file": moved("file:///etc/passwd"), "/mixed": moved("http://mixed/a"),
        "/port": moved("http://host:1/a"), "/user": moved("http://u@host/a"),
        "/loop": moved("/loop"),
        "/meta": moved("http://169.254.169.254/latest"), "/where": reply(b"", "302 Moved"),
    }  # fmt: skip
    for path in ("/1", "/2", "/3"):
        assert (await fetched(site, f"http://host{path}"))[0] == PHOTO
    for path in ("/4", "/in", "/file", "/mixed", "/port", "/user", "/loop", "/meta", "/where"):
        with pytest.raises(ProblemError) as caught:
            await fetched(site, f"http://host{path}")
        assert caught.value.code == "refused_address"


async def test_what_is_too_large_too_slow_or_packed(site: Site) -> None:
    large = b"x" * 100_001
    packed = gzip.compress(b"\0" * 10_000_000)
    site.answers |= {
        "/said": reply(large[:9], content_length="100001"), "/large": reply(large),
        "/chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"186a1\r\n" + large + b"\r\n0\r\n\r\n",
        "/packed": reply(packed, content_encoding="gzip"), "/gone": reply(b"", "410 Gone"),
        "/partial": reply(PHOTO, "206 Partial"), "/cut": reply(PHOTO[:9], content_length="99"),
        "/noise": b"noise\r\n\r\n", "/never": b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
    }  # fmt: skip
    for path in ("/said", "/large", "/chunked"):
        with pytest.raises(InputError, match=r"limit 100,000"):
            await fetched(site, f"http://host{path}")
    with pytest.raises(ProblemError, match="packed"):
        await fetched(site, "http://host/packed")
    for path in ("/gone", "/partial", "/none"):
        with pytest.raises(InputError, match="status"):
            await fetched(site, f"http://host{path}")
    for path in ("/cut", "/noise"):
        with pytest.raises(UnavailableError):
            await fetched(site, f"http://host{path}")
    short = ServerSettings(fetch_urls=True, fetch_s=0.1)
    with pytest.raises(UnavailableError, match=r"0\.1 s"):
        await fetched(site, "http://host/never", short)
