"""Places to write to, settings and readers that fail: refused before the work, or one line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from geo.gazetteer import default_path
from tests.end_to_end.conftest import Command, program

ROOT = os.geteuid() == 0


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a run begins."""
    import agent.geolocator

    monkeypatch.delattr(agent.geolocator, "Geolocator")


@pytest.mark.usefixtures("no_work")
class TestOutputsAreCheckedBeforeTheWork:
    @pytest.mark.parametrize("option", ["--report", "--trace"])
    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("none/x", "No such file or directory"),
            ("folder", "is a folder"),
            ("good.jpg", "would be lost"),
            ("good.jpg/x", "Not a directory"),
            ("/dev/null", "is a device"),
            ("/proc/x", "No such file or directory"),
            ("", "empty"),
        ],
    )
    def test_places(
        self,
        option: str,
        path: str,
        said: str,
        photo: Path,
        command: Command,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(photo.parent)
        (photo.parent / "folder").mkdir()
        before = photo.read_bytes()
        command("locate", photo, "--json", option, path).refused(2, option, path, said)
        assert photo.read_bytes() == before

    @pytest.mark.skipif(ROOT, reason="root may write everywhere")
    @pytest.mark.parametrize("option", ["--report", "--trace"])
    def test_read_only_folder(
        self, option: str, photo: Path, tmp_path: Path, command: Command
    ) -> None:
        folder = tmp_path / "locked"
        folder.mkdir(mode=0o500)
        outcome = command("locate", photo, "--json", option, folder / "x")
        outcome.refused(2, "Permission denied")

    def test_one_file_for_both(self, photo: Path, tmp_path: Path, command: Command) -> None:
        both = tmp_path / "both"
        outcome = command("locate", photo, "--json", "--report", both, "--trace", both)
        outcome.refused(2, "two files")


def test_outputs_named_in_any_bytes(photo: Path, tmp_path: Path, command: Command) -> None:
    report, trace = (os.fsencode(tmp_path) + b"/\xe9" + end for end in (b".html", b".jsonl"))
    for _ in range(2):  # the second run replaces what the first wrote
        outcome = command("locate", photo, "--json", "--report", report, "--trace", trace)
        assert r"\xe9" in str(outcome.document()["trace_path"]) or "udce9" in outcome.stdout
    assert Path(os.fsdecode(report)).read_bytes().startswith(b"<!DOCTYPE html>")
    assert "chain unbroken\n" in command("trace", "verify", trace).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("locate",), "PHOTO"),
        (("locate", "--bogus", "x"), "--bogus"),
        (("nosuch",), "nosuch"),
        (("trace", "verify", "none"), "check the path"),
        (("trace", "verify", "."), "no regular file"),
        (("trace", "show", "/dev/zero"), "no regular file"),
        (("demo", "--photos", "none"), "none"),
        (("demo", "--work", "/dev/null"), "--work"),
    ],
)
def test_wrong_calls(arguments: tuple[str, ...], said: str, command: Command) -> None:
    command(*arguments).refused(2, said)


def test_a_demo_without_photos_leaves_no_folder_behind(tmp_path: Path, command: Command) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "kept").mkdir()
    for work in ("new", "new/deeper", "kept"):
        outcome = command("demo", "--photos", tmp_path / "empty", "--work", tmp_path / work)
        outcome.refused(2, "no photo in", "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "home", "kept"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUDGET__STEPS", "many"),
        ("BUDGET__STEPS", "0"),
        ("BUDGET__SECONDS", "nan"),
        ("BUDGET__SECONDS", "-1"),
        ("BUDGET__NOSUCH", "1"),
        ("BUDGET", '{"steps":'),
        ("BUDGET", "5"),
        ("GEOCODER", "elsewhere"),
        ("GEOCODER", "photon"),
    ],
)
def test_settings_that_do_not_fit(
    name: str, value: str, photo: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"GRATICULE_{name}", value)
    command("locate", photo, "--json").refused(2, f"GRATICULE_{name.split('_')[0]}")


def test_a_budget_from_the_environment_is_kept(
    photo: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRATICULE_BUDGET__STEPS", "1")
    answer = command("locate", photo, "--json").document()
    assert str(answer["stopped_because"]).startswith("steps")


class TestHomesThatFail:
    @pytest.mark.parametrize("place", ["/proc/x", "/dev/null"])
    def test_not_writable(
        self, place: str, photo: Path, command: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GRATICULE_HOME", place)
        command("locate", photo, "--json").refused(3, place, "GRATICULE_HOME")

    def test_damaged_gazetteer(self, photo: Path, home: Path, command: Command) -> None:
        path = home / default_path().name
        path.unlink(missing_ok=True)
        path.write_text("no database " * 1000)
        command("locate", photo, "--json").refused(3, path.name, "delete it")
        checked = command("doctor", "--json")
        assert checked.code == 3
        assert "gazetteer" in checked.stderr

    @pytest.mark.slow
    def test_full_disk(self, photo: Path, home: Path, tmp_path: Path) -> None:
        trace = tmp_path / "trace.jsonl"
        code = (
            "import resource, sys; from cli.main import main;"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000));"
            "sys.exit(main())"
        )
        arguments = ["locate", str(photo), "--json", "--trace", str(trace)]
        result = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "GRATICULE_HOME": str(home)},
        )
        assert result.returncode == 3
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        assert "free space" in result.stderr
        assert "the last line is incomplete" in program("trace", "verify", trace, home=home).stdout


class TestReadersThatGoAway:
    @pytest.mark.parametrize("options", ["--json", ""])
    def test_a_closed_pipe_is_quiet(self, options: str, built: Path, home: Path) -> None:
        line = f"{sys.executable} -m cli.main gallery info {built} {options} | true"
        result = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            env={**os.environ, "GRATICULE_HOME": str(home)},
        )
        assert (result.stdout, result.stderr) == ("", "")

    def test_full_standard_output_is_one_line(self, built: Path, home: Path) -> None:
        with Path("/dev/full").open("w") as full:
            result = subprocess.run(
                [sys.executable, "-m", "cli.main", "gallery", "info", built, "--json"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "GRATICULE_HOME": str(home)},
            )
        assert result.returncode == 3
        assert result.stderr.count("\n") == 1, result.stderr


@pytest.mark.slow
def test_json_stays_one_document_while_the_gazetteer_is_built(photo: Path, home: Path) -> None:
    for path in home.iterdir():
        path.unlink()
    outcome = program("locate", photo, "--json", home=home)
    assert outcome.document()["status"] == "undetermined"
    assert outcome.stderr == ""
    assert json.loads(outcome.stdout)
    assert not list(home.glob("*.part*"))
    shutil.rmtree(home)
