"""A file from a server that may stop, lie, redirect or refuse."""

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from encoders import partial
from encoders.download import NotOnServerError, download
from encoders.partial import Received, Wanted, copy
from geo.errors import InputError, UnavailableError
from tests.unit.hub_samples import Hub, serving

DATA = bytes(range(256)) * 12_000  # three chunks
SHA256 = hashlib.sha256(DATA).hexdigest()
WANTED = Wanted(len(DATA), SHA256)
UNKNOWN = Wanted()


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as one:
        one.files["/f.bin"] = DATA
        yield one


def silent(*_: Any) -> None:
    pass


def get(hub: Hub, path: Path, wanted: Wanted = WANTED, address: str = "/f.bin") -> Received:
    return download(hub.url + address, path, wanted, silent, wait_s=0.001)


def refused(hub: Hub, path: Path, wanted: Wanted = WANTED) -> str:
    with pytest.raises(UnavailableError) as caught:
        get(hub, path, wanted)
    message = str(caught.value)
    assert "\n" not in message
    assert not path.exists()
    return message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.bin"


def left(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def test_a_file_arrives_whole_checked_and_alone(hub: Hub, path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    found = download(hub.url + "/f.bin", path, WANTED, lambda *what: seen.append(what))
    assert found == Received(SHA256, len(DATA), "published")
    assert path.read_bytes() == DATA
    assert os.listdir(path.parent) == [path.name]
    assert seen[0] == ("downloading", 0, len(DATA))
    assert seen[-1] == ("downloading", len(DATA), len(DATA))


def test_what_is_there_is_not_asked_for_again(hub: Hub, path: Path) -> None:
    left(path).write_bytes(DATA[:1_000_003])
    assert get(hub, path).sha256 == SHA256
    assert hub.asked == [("/f.bin", "bytes=1000003-")]


def test_what_is_there_is_hashed_before_the_server_is_asked(hub: Hub, path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def tell(stage: str, *_: int) -> None:
        seen.append((stage, len(hub.asked)))

    left(path).write_bytes(DATA[:2_000_000])
    download(hub.url + "/f.bin", path, WANTED, tell)
    assert set(seen) == {("checking", 0), ("downloading", 1)}


def test_a_whole_partial_file_needs_no_server(path: Path) -> None:
    left(path).write_bytes(DATA)
    assert download("https://host.invalid/f", path, WANTED, silent).sha256 == SHA256


def test_a_server_without_ranges_starts_again(hub: Hub, path: Path) -> None:
    hub.ranges = False
    left(path).write_bytes(b"x" * 1000)
    assert get(hub, path).sha256 == SHA256
    assert path.read_bytes() == DATA


def test_a_cut_connection_goes_on_by_itself(hub: Hub, path: Path) -> None:
    hub.cuts = [1_500_000, 700_000]
    assert get(hub, path).sha256 == SHA256
    asked = [int(one.removeprefix("bytes=")[:-1] or 0) for _, one in hub.asked[1:]]
    assert len(asked) == 2
    assert 0 < asked[0] <= 1_500_000
    assert asked[0] < asked[1] <= 2_200_000


def test_a_connection_that_is_always_cut_keeps_what_came(hub: Hub, path: Path) -> None:
    hub.cuts = [1_500_000, 0, 0, 0, 0]
    message = refused(hub, path)
    assert "run again to resume" in message
    assert repr(str(path)) in message
    assert left(path).read_bytes() == DATA[: left(path).stat().st_size]
    assert left(path).stat().st_size > 1_000_000
    assert get(hub, path).sha256 == SHA256


def test_a_longer_body_than_published_is_refused_before_it_comes(hub: Hub, path: Path) -> None:
    message = refused(hub, path, Wanted(len(DATA) - 1, SHA256))
    assert f"{len(DATA):,}" in message
    assert f"{len(DATA) - 1:,}" in message
    assert not left(path).exists()


def test_a_body_without_length_is_limited(hub: Hub, path: Path) -> None:
    hub.chunked = True
    hub.ranges = False
    assert "more than" in refused(hub, path, Wanted(1_000_000, SHA256, exact=False))
    assert get(hub, path, WANTED).sha256 == SHA256


def test_a_length_that_is_too_large_is_a_cut(hub: Hub, path: Path) -> None:
    hub.stated_length, hub.ranges = len(DATA) + 5, False
    assert "stopped" in refused(hub, path, UNKNOWN)
    hub.ranges = True
    assert get(hub, path, UNKNOWN).size == len(DATA)  # asked for the rest, it says there is none


def test_a_range_that_was_not_asked_for_is_not_appended(hub: Hub, path: Path) -> None:
    hub.shift = -10
    left(path).write_bytes(DATA[:1000])
    assert get(hub, path).sha256 == SHA256
    assert [one for _, one in hub.asked] == ["bytes=1000-", ""]


@pytest.mark.parametrize("there", [DATA, DATA + b"more"])
def test_nothing_left_to_send(hub: Hub, path: Path, there: bytes) -> None:
    hub.linked = True
    left(path).write_bytes(there)
    assert get(hub, path, UNKNOWN).sha256 == SHA256


def test_a_wrong_checksum_is_put_aside_not_deleted(hub: Hub, path: Path) -> None:
    message = refused(hub, path, Wanted(len(DATA), "0" * 64))
    aside = path.with_name("f.bin.rejected")
    assert repr(str(aside)) in message
    assert SHA256[:12] in message
    assert aside.read_bytes() == DATA
    assert not left(path).exists()


def test_a_wrong_beginning_is_noticed(hub: Hub, path: Path) -> None:
    left(path).write_bytes(b"another file" * 100)
    assert "SHA-256" in refused(hub, path)
    assert get(hub, path).sha256 == SHA256


def test_the_hub_states_the_checksum_where_none_is_published(hub: Hub, path: Path) -> None:
    hub.linked = True
    assert get(hub, path, UNKNOWN).stated_by == "hub"
    path.unlink()
    hub.lie = "1" * 64
    assert "stated there" in refused(hub, path, UNKNOWN)


def test_without_any_checksum_it_is_recorded_and_said(hub: Hub, path: Path) -> None:
    assert get(hub, path, UNKNOWN) == Received(SHA256, len(DATA), "nobody")


def test_redirects_are_followed_and_only_the_hub_states_checksums(hub: Hub, path: Path) -> None:
    hub.linked = True
    hub.redirect = hub.url + "/cdn{path}"
    assert get(hub, path, UNKNOWN).stated_by == "hub"
    assert [one for one, _ in hub.asked] == ["/f.bin", "/cdn/f.bin"]
    path.unlink()
    with serving() as front:
        front.redirect = hub.url + "{path}"
        assert get(front, path, UNKNOWN).stated_by == "nobody"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{path}", "redirects"),
        ("ftp://127.0.0.1/f.bin", "not https"),
        ("file:///etc/passwd", "not https"),
        ("http://[bad", "cannot reach"),
        ("https://[::1", "Invalid URL"),
    ],
)
def test_bad_redirects_end(hub: Hub, path: Path, target: str, said: str) -> None:
    hub.redirect = target
    assert said in refused(hub, path)
    assert len(hub.asked) <= 6


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "licence"), (403, "licence"), (400, "HTTP 400"), (206, "stopped"), (418, "HTTP 418")],
)
def test_refusals_say_where_to_put_the_file(hub: Hub, path: Path, status: int, said: str) -> None:
    hub.statuses = [status] * 9
    message = refused(hub, path)
    assert said in message
    assert repr(str(path)) in message
    assert hub.url + "/f.bin" in message


def test_a_missing_file_is_told_apart(hub: Hub, path: Path) -> None:
    with pytest.raises(NotOnServerError, match="no such file"):
        get(hub, path, address="/none")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(hub: Hub, path: Path, status: int) -> None:
    hub.statuses, hub.retry_after = [status] * 2, "0"
    assert get(hub, path).sha256 == SHA256
    path.unlink()
    hub.statuses = [status] * 9
    assert f"HTTP {status}" in refused(hub, path)
    assert len(hub.asked) == 3 + 4


def test_a_compressed_answer_is_refused(hub: Hub, path: Path) -> None:
    hub.encoding = "gzip"
    assert "compresses" in refused(hub, path)


def test_an_unreachable_hub_is_one_line_with_the_way_out(path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/f.bin"
    with pytest.raises(UnavailableError) as caught:
        download(url, path, WANTED, silent)
    assert caught.value.retryable
    message = str(caught.value)
    assert message.startswith("cannot reach 127.0.0.1")
    assert url in message
    assert message.endswith(f"put it at {str(path)!r}")
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("url", ["ftp://example.org/f", "https://", "nonsense://", "/f", "://"])
def test_addresses_that_are_none(path: Path, url: str) -> None:
    with pytest.raises(InputError, match="https"):
        download(url, path, WANTED, silent)


def test_passwords_in_addresses_are_not_shown(hub: Hub, path: Path) -> None:
    hub.statuses = [400]
    with pytest.raises(UnavailableError) as caught:
        download(hub.url.replace("//", "//me:secret@") + "/f.bin", path, WANTED, silent)
    assert "secret" not in str(caught.value)


def test_a_full_disk_is_said_before_the_first_byte(
    hub: Hub, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "SPARE_BYTES", 10**18)
    assert "free space" in refused(hub, path)
    assert not left(path).exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
def test_a_disk_that_fills_up_is_said(hub: Hub, path: Path) -> None:
    left(path).symlink_to("/dev/full")
    with pytest.raises(UnavailableError, match="No space left"):
        get(hub, path)
    assert not path.exists()


def test_an_empty_file_arrives(hub: Hub, path: Path) -> None:
    hub.files["/f.bin"] = b""
    get(hub, path, UNKNOWN)
    assert path.read_bytes() == b""
    assert os.listdir(path.parent) == [path.name]


def test_a_local_file_is_copied_and_checked(tmp_path: Path, path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    assert copy(source, path, WANTED, silent).stated_by == "published"
    assert path.read_bytes() == DATA
    with pytest.raises(InputError, match=r"bytes, the published one"):
        copy(source, path, Wanted(5, SHA256), silent)
    with pytest.raises(InputError, match="SHA-256"):
        copy(source, path, Wanted(len(DATA), "0" * 64), silent)
    with pytest.raises(InputError, match="cannot copy"):
        copy(tmp_path, path, WANTED, silent)
    assert path.read_bytes() == DATA
