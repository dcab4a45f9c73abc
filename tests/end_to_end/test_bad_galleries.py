"""Galleries that cannot be used: exit code 2 where one is wrong, 3 where it is only busy."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from index_builder import open_gallery
from tests.end_to_end.conftest import PHOTOS, Command, program


def edit(gallery: Path, change: Callable[[dict[str, dict[str, object]]], object]) -> None:
    path = gallery / "manifest.json"
    stated = json.loads(path.read_text())
    change(stated)
    path.write_text(json.dumps(stated))


def _file_for_points(gallery: Path) -> None:
    shutil.rmtree(gallery / "points")
    (gallery / "points").touch()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "another encoder's": (
        lambda g: edit(g, lambda m: m["encoder"].update(fingerprint="0" * 64)),
        "encoder",
    ),
    "another encoder's name": (lambda g: edit(g, lambda m: m["encoder"].update(name="x")), "x:"),
    "of another format": (lambda g: edit(g, lambda m: m.update(version={})), "format"),
    "with half a manifest": (
        lambda g: (g / "manifest.json").write_bytes((g / "manifest.json").read_bytes()[:99]),
        "damaged",
    ),
    "with a binary manifest": (lambda g: (g / "manifest.json").write_bytes(b"\xff\0"), "damaged"),
    "with another manifest": (lambda g: (g / "manifest.json").write_text("[]"), "not a gallery"),
    "without a codebook": (lambda g: (g / "codebook.npz").unlink(), "codebook"),
    "with half a codebook": (
        lambda g: (g / "codebook.npz").write_bytes((g / "codebook.npz").read_bytes()[:999]),
        "codebook",
    ),
    "with an empty codebook": (lambda g: (g / "codebook.npz").write_bytes(b""), "codebook"),
    "with damaged points": (
        lambda g: (g / "points" / "edge_config.json").write_text("{"),
        "damaged",
    ),
    "with a file for points": (lambda g: _file_for_points(g), "points"),
    "with deep nesting": (lambda g: (g / "manifest.json").write_text("[" * 200_000), "damaged"),
    "without a space": (lambda g: edit(g, lambda m: m["encoder"].update(spaces={})), "damaged"),
    "with a pipe for a manifest": (lambda g: _pipe(g / "manifest.json"), "pipe"),
    "with a pipe for a codebook": (lambda g: _pipe(g / "codebook.npz"), "pipe"),
    "without points": (lambda g: shutil.rmtree(g / "points"), "empty"),
    "unfinished": (lambda g: (g / "manifest.json").unlink(), "unfinished"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_gallery_that_is(kind: str, gallery: Path, photo: Path, command: Command) -> None:
    damage, said = DAMAGES[kind]
    damage(gallery)
    command("locate", photo, "--gallery", gallery, "--json").refused(2, said, "gallery", "build")
    command("gallery", "info", gallery, "--json").refused(2, said)


def test_what_is_no_gallery(tmp_path: Path, photo: Path, command: Command) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("none", "folder", photo.name):
        outcome = command("locate", photo, "--gallery", tmp_path / name, "--json")
        outcome.refused(2, name, "gallery build")


def test_a_gallery_that_another_process_holds(gallery: Path, photo: Path, home: Path) -> None:
    with open_gallery(gallery):
        busy = program("locate", photo, "--gallery", gallery, "--json", home=home)
        busy.refused(3, str(os.getpid()), "wait")
    assert program("gallery", "info", gallery, "--json", home=home).document()["photos"] == PHOTOS


def test_a_gallery_named_twice_is_one(gallery: Path, photo: Path, command: Command) -> None:
    again = gallery.parent / "." / gallery.name
    outcome = command("locate", photo, "--gallery", gallery, "--gallery", again, "--json")
    assert outcome.document()["status"]


def test_a_gallery_may_be_read_by_others(built: Path) -> None:
    readable = built / "lock"  # made as the user's mask says
    for path in (built / "manifest.json", built / "codebook.npz"):
        assert path.stat().st_mode & 0o044 == readable.stat().st_mode & 0o044


def test_a_fresh_build_replaces_a_gallery_and_nothing_else(
    gallery: Path, photos: Path, tmp_path: Path, command: Command
) -> None:
    build = ("gallery", "build", photos, "--json", "--fresh", "--out")
    assert command(*build[:-2], "--out", gallery).document()["added"] == 0
    assert command(*build, gallery).document()["added"] == PHOTOS
    own = tmp_path / "own"
    shutil.copytree(photos, own)
    before = sorted(own.iterdir())
    command(*build, own).refused(2, "own", "not a gallery", "choose")
    assert sorted(own.iterdir()) == before
    assert "--fresh" in command("gallery", "build", "--help").stdout


def test_a_gallery_name_in_any_bytes(photos: Path, tmp_path: Path, command: Command) -> None:
    out = os.fsencode(tmp_path) + b"/g\xe9"
    outcome = command("gallery", "build", photos, "--out", out, "--json")
    assert outcome.document()["added"] == PHOTOS
    assert "g\\xe9" in str(outcome.document()["path"]) or "udce9" in str(outcome.document()["path"])
    assert command("gallery", "info", out, "--json").document()["photos"] == PHOTOS


class TestBuildingFromWhatCannotBeUsed:
    def test_sources(self, tmp_path: Path, photo: Path, command: Command) -> None:
        (tmp_path / "none-here").mkdir()
        for source, said in {"missing": "check the path", photo.name: "--format",
                             "none-here": "no photos"}.items():  # fmt: skip
            out = tmp_path / "out"
            outcome = command("gallery", "build", tmp_path / source, "--out", out, "--json")
            outcome.refused(2, source, said)
            assert not out.exists()

    def test_photos_without_positions(self, photo: Path, tmp_path: Path, command: Command) -> None:
        source, out = tmp_path / "source", tmp_path / "out"
        source.mkdir()
        shutil.copy(photo, source)
        outcome = command("gallery", "build", source, "--out", out, "--json")
        outcome.refused(2, "position", "--positions")
        assert not out.exists()

    def test_targets(self, photos: Path, photo: Path, tmp_path: Path, command: Command) -> None:
        for target, said in ((photo, "is a file"), (tmp_path, "other files"),
                             (Path("/proc/gallery"), "cannot make")):  # fmt: skip
            command("gallery", "build", photos, "--out", target).refused(2, str(target), said)
        assert photo.read_bytes()[:2] == b"\xff\xd8"

    def test_positions(self, photos: Path, photo: Path, tmp_path: Path, command: Command) -> None:
        out = tmp_path / "out"
        for table in (tmp_path / "none.csv", tmp_path, photo):
            outcome = command("gallery", "build", photos, "--out", out, "--positions", table)
            outcome.refused(2, table.name)
            assert not out.exists()
