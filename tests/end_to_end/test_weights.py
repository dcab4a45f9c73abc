"""`graticule weights` as a user meets it: lists, downloads, kills, wrong files."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import Command, program, start
from tests.unit.hub_samples import Hub, serving

DATA = bytes(range(251)) * 24_000
ADDRESS = "/Jia-py/G3-checkpoint/resolve/main/g3.pth"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as one:
        one.files[ADDRESS] = DATA
        one.linked = True
        monkeypatch.setenv("GRATICULE_HUB_URL", one.url)
        yield one


@pytest.mark.parametrize(("kill", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_download_that_was_killed_goes_on_where_it_was(
    hub: Hub, home: Path, kill: signal.Signals, code: int
) -> None:
    hub.hold = threading.Event()
    partial = home / "weights" / "g3" / "g3.pth.partial"
    with start("weights", "get", "g3", home=home) as process:
        deadline = time.monotonic() + 60
        while not partial.is_file() or partial.stat().st_size < len(DATA) // 2:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(kill)
        assert process.wait(30) == code
        stderr = process.stderr.read() if process.stderr else ""
    assert "Traceback" not in stderr
    if kill == signal.SIGINT:
        assert "run the same command again" in stderr
    hub.hold.set()
    here = partial.stat().st_size
    listed = program("weights", "list", "--json", home=home).stdout
    states = {row["name"]: row["state"] for row in json.loads(listed)}
    assert states["g3"] == "incomplete"
    done = program("weights", "get", "g3", home=home)
    assert done.code == 0, done.stderr
    assert "as the hub states it" in done.stdout
    assert [asked for _, asked in hub.asked] == ["", f"bytes={here}-"]
    assert (home / "weights" / "g3" / "g3.pth").read_bytes() == DATA
    assert not partial.exists()


def test_get_list_and_path_agree(hub: Hub, home: Path, command: Command) -> None:
    document = json.loads(command("weights", "get", "g3", "--json").stdout)
    assert document[0]["path"] == str(home / "weights" / "g3" / "g3.pth")
    assert command("weights", "path", "g3").stdout == f"{home / 'weights' / 'g3'}\n"
    assert command("weights", "path").stdout == f"{home / 'weights'}\n"
    listed = command("weights", "list").stdout
    assert "g3                     present" in listed
    assert max(map(len, listed.splitlines())) <= 100


def test_what_goes_wrong_is_one_line(
    hub: Hub, home: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("weights", "get", "nothing").refused(2, "unknown weights 'nothing'")
    command("weights", "path", "nothing").refused(2, "unknown weights 'nothing'")
    command("weights", "get", "g3", "--from", "/none").refused(2, "'/none' does not exist")
    place = str(home / "weights" / "g3" / "g3.pth")
    hub.statuses = [403]
    command("weights", "get", "g3").refused(3, "licence", repr(place), hub.url + ADDRESS)
    hub.lie = "0" * 64
    command("weights", "get", "g3").refused(3, "SHA-256", "g3.pth.rejected")
    monkeypatch.setenv("GRATICULE_HUB_URL", "http://127.0.0.1:9")
    command("weights", "get", "g3").refused(3, "cannot reach 127.0.0.1:9", repr(place))
    monkeypatch.setenv("GRATICULE_HUB_URL", "nonsense")
    command("weights", "get", "g3").refused(2, "no https address")


def test_geoclip_is_imported_from_its_package(home: Path, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "encoder"
    card = command("weights", "import", "geoclip", "--out", out, "--json").document()
    assert card["family"] == "geoclip"
    assert (out / "heads.safetensors").is_file()
    again = command("weights", "import", "geoclip", "--out", out)
    assert (again.code, again.stdout.count("\n")) == (0, 1), again.stderr
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    for arguments, said in (
        (("g3", tmp_path / "module.pth"), "pickled module"),
        (("g3",), "no files to import g3 from"),
        (("g3", out / "heads.safetensors"), "this is a geoclip checkpoint"),
        (("g3", tmp_path / "none.pth"), "none.pth"),
        (("g3", out / "heads.safetensors", "--backbone", "none"), "none"),
    ):
        command("weights", "import", *arguments, "--out", tmp_path / "new").refused(2, said)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    command("weights", "import", "geoclip", "--out", tmp_path / "photos").refused(
        2, "holds other files"
    )
