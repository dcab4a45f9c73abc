"""What is on this machine, and getting what is not."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from encoders import fetch, weights
from encoders.fetch import get_weights
from encoders.weights import WeightRow, catalogue, published, weights_folder
from encoders.weights_table import MAIN, PUBLISHED, PublishedFile, PublishedWeights
from geo.errors import InputError, UnavailableError
from tests.unit.hub_samples import Hub, serving

BIG, SMALL = b"weights" * 40_000, b'{"a": 1}\n'
ENTRY = PublishedWeights(
    name="toy",
    repository="owner/toy",
    revision="abc",
    licence="MIT",
    purpose="a toy",
    files=(
        PublishedFile("model.safetensors", len(BIG), hashlib.sha256(BIG).hexdigest()),
        PublishedFile("config.json"),
    ),
)
LOOSE = PublishedWeights(
    name="loose",
    repository="owner/loose",
    revision=MAIN,
    licence="MIT",
    purpose="a toy without a checksum",
    files=(PublishedFile("model.safetensors", 250_000, exact=False, instead="model.bin"),),
)


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PUBLISHED", (ENTRY, LOOSE))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as one:
        one.linked = True
        one.files = {
            "/owner/toy/resolve/abc/model.safetensors": BIG,
            "/owner/toy/resolve/abc/config.json": SMALL,
            "/owner/loose/resolve/main/model.bin": BIG,
        }
        yield one


def row(home: Path, name: str = "toy") -> WeightRow:
    return next(one for one in catalogue(home) if one.name == name)


def main_file(home: Path) -> Path:
    return home / "weights" / "toy" / "model.safetensors"


def test_the_table_is_consistent() -> None:
    names = [entry.name for entry in PUBLISHED]
    assert len(set(names)) == len(names)
    assert not {"embedded", "geoclip"} & set(names)
    for entry in PUBLISHED:
        assert entry.revision == MAIN or len(bytes.fromhex(entry.revision)) == 20, entry.name
        assert entry.licence
        assert len(entry.purpose) <= 75, "it must fit a terminal"
        for file in entry.files:
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32, entry.name
        if entry.revision == MAIN:
            assert not any(file.sha256 for file in entry.files), "main may change"


def test_missing_weights_say_how_to_get_them_and_where_they_go(tmp_path: Path) -> None:
    found = row(tmp_path)
    assert (found.state, found.present) == ("missing", False)
    assert "graticule weights get toy" in found.remedy
    assert str(tmp_path / "weights" / "toy") in found.remedy
    assert found.checksum == "published"
    assert row(tmp_path, "loose").checksum == "the hub's own"
    assert row(tmp_path, "embedded").present
    assert not (tmp_path / "weights").exists(), "looking makes nothing"


def test_what_is_got_is_listed_without_reading_it_again(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = get_weights("toy", tmp_path, hub_url=hub.url + "/")
    assert [one.stated_by for one in rows] == ["published", "hub"]
    assert main_file(tmp_path).read_bytes() == BIG
    found = row(tmp_path)
    assert (found.state, found.remedy) == ("present", "")
    assert "published checksum" in found.checksum
    hub.asked.clear()
    monkeypatch.setattr(fetch, "digest", None)
    assert get_weights("toy", tmp_path, hub_url=hub.url) == rows
    assert hub.asked == []


def test_the_receipt_can_be_checked_by_the_usual_tool(hub: Hub, tmp_path: Path) -> None:
    get_weights("toy", tmp_path, hub_url=hub.url)
    folder = main_file(tmp_path).parent
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "model.safetensors.sha256"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stdout


def test_another_name_is_asked_for_where_the_hub_lacks_the_first(hub: Hub, tmp_path: Path) -> None:
    (found,) = get_weights("loose", tmp_path, hub_url=hub.url)
    assert found.path.endswith("/weights/loose/model.bin")
    assert found.stated_by == "hub"
    assert row(tmp_path, "loose").present
    hub.files.clear()
    Path(found.path).unlink()
    with pytest.raises(UnavailableError, match=r"model\.safetensors"):
        get_weights("loose", tmp_path, hub_url=hub.url)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(BIG[:-1]), f"{len(BIG) - 1:,} bytes, not {len(BIG):,}"),
        (lambda path: path.write_bytes(b"x" + BIG[1:]), "changed since checked"),
        (lambda path: path.write_bytes(b""), "is empty"),
    ],
)
def test_a_damaged_file_is_noticed_and_replaced(
    hub: Hub, tmp_path: Path, spoil: object, said: str
) -> None:
    get_weights("toy", tmp_path, hub_url=hub.url)
    path = main_file(tmp_path)
    os.utime(path, ns=(1, 1))
    assert callable(spoil)
    spoil(path)
    found = row(tmp_path)
    assert (found.state, found.present) == ("damaged", False)
    assert said in found.remedy
    assert "graticule weights get toy" in found.remedy
    spoiled = path.read_bytes()
    get_weights("toy", tmp_path, hub_url=hub.url)
    assert path.read_bytes() == BIG
    assert path.with_name(path.name + ".rejected").read_bytes() == spoiled
    assert row(tmp_path).state == "present"


def test_a_touched_file_is_checked_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    get_weights("toy", tmp_path, hub_url=hub.url)
    os.utime(main_file(tmp_path), ns=(1, 1))
    assert row(tmp_path).state == "damaged"
    hub.asked.clear()
    get_weights("toy", tmp_path, hub_url=hub.url)
    assert row(tmp_path).state == "present"
    assert hub.asked == []


def test_files_put_there_by_hand_are_used_and_checked_when_asked(tmp_path: Path) -> None:
    folder = main_file(tmp_path).parent
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(SMALL)
    assert row(tmp_path).state == "incomplete"
    main_file(tmp_path).write_bytes(BIG)
    assert row(tmp_path).state == "present"
    assert "not checked" in row(tmp_path).checksum
    rows = get_weights("toy", tmp_path, hub_url="https://host.invalid")
    assert [one.stated_by for one in rows] == ["published", "nobody"]


def test_a_partial_file_counts_as_incomplete(tmp_path: Path) -> None:
    partial = main_file(tmp_path).with_name("model.safetensors.partial")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(BIG[:100_000])
    found = row(tmp_path)
    assert found.state == "incomplete"
    assert "100 kB are here" in found.remedy
    assert "graticule weights get toy" in found.remedy


@pytest.mark.parametrize("text", ["", "nonsense", "# 1 bytes", "\xff", "x" * 10_000])
def test_a_damaged_receipt_is_no_receipt(hub: Hub, tmp_path: Path, text: str) -> None:
    get_weights("toy", tmp_path, hub_url=hub.url)
    receipt = main_file(tmp_path).with_name("model.safetensors.sha256")
    receipt.write_bytes(text.encode("latin-1"))
    assert "not checked" in row(tmp_path).checksum
    get_weights("toy", tmp_path, hub_url=hub.url)
    assert "published checksum" in row(tmp_path).checksum


def test_weights_come_from_a_folder_or_an_address(hub: Hub, tmp_path: Path) -> None:
    source = tmp_path / "usb"
    source.mkdir()
    (source / "model.safetensors").write_bytes(BIG)
    with pytest.raises(InputError, match=r"no config\.json"):
        get_weights("toy", tmp_path / "a", source=str(source))
    (source / "config.json").write_bytes(SMALL)
    assert get_weights("toy", tmp_path / "a", source=str(source))[0].stated_by == "published"
    assert row(tmp_path / "a").present
    hub.files = {"/lab/model.safetensors": BIG, "/lab/config.json": SMALL} | hub.files
    assert get_weights("toy", tmp_path / "b", source=hub.url + "/lab/")[0].sha256
    assert [path for path, _ in hub.asked] == ["/lab/model.safetensors", "/lab/config.json"]
    assert get_weights("toy", tmp_path / "c", source=hub.url)[0].sha256, "a mirror of the hub"
    single = source / "model.safetensors"
    assert get_weights("loose", tmp_path / "a", source=str(single))[0].stated_by == "nobody"
    hub.files["/any/model.bin"] = BIG
    address = hub.url + "/any/model.bin"
    assert get_weights("loose", tmp_path / "b", source=address)[0].path.endswith("model.bin")


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        get_weights("toy", tmp_path, source=str(tmp_path / "none"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is one file, toy has 2"):
        get_weights("toy", tmp_path, source=str(tmp_path / "file"))
    with pytest.raises(InputError, match="no https address"):
        get_weights("toy", tmp_path, source="ftp://example.org/x")
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "model.safetensors").write_bytes(b"x" + BIG[1:])
    with pytest.raises(InputError, match="SHA-256"):
        get_weights("toy", tmp_path, source=str(wrong))
    assert row(tmp_path).state == "missing"


def test_names_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown weights '\.\./x'; there is: toy, loose"):
        published("../x")
    for name, said in (("embedded", "need no file"), ("geoclip", "pip install")):
        with pytest.raises(InputError, match=said):
            get_weights(name, tmp_path)
    assert weights_folder("toy", tmp_path) == tmp_path / "weights" / "toy"


def test_geoclip_without_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert weights_folder("geoclip", tmp_path).is_dir()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install" in row(tmp_path, "geoclip").remedy
    with pytest.raises(UnavailableError, match="pip install"):
        weights_folder("geoclip", tmp_path)


def test_two_at_once_do_not_write_one_file(hub: Hub, tmp_path: Path) -> None:
    def tell(*_: object) -> None:
        with pytest.raises(UnavailableError, match="another process") as caught:
            get_weights("toy", tmp_path, hub_url=hub.url)
        seen.append(caught.value.retryable)

    seen: list[bool] = []
    get_weights("toy", tmp_path, hub_url=hub.url, tell=tell)
    assert seen
    assert all(seen)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file")
    with pytest.raises(UnavailableError, match="cannot write"):
        get_weights("toy", tmp_path)
    assert row(tmp_path).state == "missing"


def test_listing_is_instant_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, pathlib; from encoders.weights import catalogue;"
        "catalogue(pathlib.Path('/nowhere'));"
        "print([m for m in ('torch', 'httpx', 'geoclip', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == []
