"""A gallery's folder after accidents: parts lost, swapped or left over, and no right to write."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from geo.errors import InputError
from index_builder import build_gallery, open_gallery
from index_builder.files import FolderLock
from tests.unit.gallery_samples import write_photos

PHOTOS = 2


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("source") / "photos", scenes=1)


@pytest.fixture(scope="module")
def built(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_gallery(photos, tmp_path_factory.mktemp("built") / "gallery").path


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(built, tmp_path / "g"))


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as refused:
        open_gallery(folder)
    FolderLock(folder).release()  # free again, whatever went wrong
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "spaces", [{}, {"vlad": 1, "clip": 2}, {"vlad": 0}, {"vlad": -256}, {"vlad": 7}, {"x": 256}]
)
def test_spaces_that_are_not_the_encoders_are_refused(folder: Path, spaces: dict[str, int]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["encoder"]["spaces"] = spaces
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "is damaged; delete it and build it again" in refusal(folder)


@pytest.mark.parametrize("depth", [150, 900, 200_000])
def test_a_deeply_nested_manifest_is_refused(folder: Path, depth: int) -> None:
    whole = json.loads((folder / "manifest.json").read_text())
    text = json.dumps(whole | {"settings": {"a": "HERE"}})
    nested = text.replace('"HERE"', "[" * depth + "]" * depth)
    (folder / "manifest.json").write_text(nested)
    if depth > 200:
        assert "manifest of gallery" in refusal(folder)
    else:
        open_gallery(folder).close()


def test_numbers_of_thousands_of_digits_are_refused(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    changed = text.replace(f'"photos": {PHOTOS}', '"photos": ' + "9" * 5000)
    assert changed != text
    (folder / "manifest.json").write_text(changed)
    assert "damaged" in refusal(folder)


@pytest.mark.parametrize("name", ["manifest.json", "codebook.npz"])
def test_a_pipe_or_a_device_is_refused_at_once(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "a pipe or a device" in refusal(folder)
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    assert "a pipe or a device" in refusal(folder)


def test_a_file_where_the_points_belong_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "points")
    (folder / "points").touch()
    assert "build it again" in refusal(folder)


def test_lost_or_damaged_files_come_back_with_a_build(photos: Path, folder: Path) -> None:
    shutil.rmtree(folder / "features")
    assert build_gallery(photos, folder).added == PHOTOS
    copy, *_ = (folder / "photos").rglob("*.jpg")
    copy.unlink()
    (folder / "features" / copy.parent.name / f"{copy.stem}.npz").write_bytes(b"half")
    report = build_gallery(photos, folder)
    assert (report.added, report.skipped, report.photos) == (1, PHOTOS - 1, PHOTOS)
    with open_gallery(folder) as gallery:
        for photo in gallery.photos():
            assert len(gallery.features(photo.id)) > 100
            assert gallery.image(photo.id).width > 100


_OPEN = """
import os, sys
from pathlib import Path
from index_builder import open_gallery
os.chdir(sys.argv[1])
open_gallery("g").close()  # loads what may be out of reach for another user
locked = [Path(sys.argv[2]), *Path(sys.argv[2]).rglob("*")]
for path in [Path("g"), *Path("g").rglob("*")]:
    mode = 0o555 if path in locked else 0o777
    path.chmod(mode if path.is_dir() else mode & 0o666)
if os.geteuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    open_gallery("g")
except ValueError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("part", ["g", "g/points"])
def test_a_gallery_one_may_not_write_to_says_so(folder: Path, part: str) -> None:
    folder.parent.chmod(0o755)
    command = [sys.executable, "-c", _OPEN, str(folder.parent), part]
    result = subprocess.run(command, capture_output=True, text=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    said = result.stdout
    assert said.startswith("InputError gallery 'g' is read-only (Permission denied)"), result
    assert said.endswith("copy it to a folder you may write to\n")
    assert said.count("\n") == 1


def test_a_build_sweeps_up_temporary_files_and_no_others(photos: Path, folder: Path) -> None:
    partial = [folder / ".part-0", next((folder / "features").iterdir()) / ".part-1"]
    other = folder / "photos" / "note.part"
    for path in (*partial, other):
        path.touch()
    os.utime(partial[0], (time.time() - 90_000,) * 2)
    build_gallery(photos, folder)  # it holds the lock: nobody else is writing these
    assert [path for path in (*partial, other) if path.exists()] == [other]


def test_a_temporary_file_does_not_make_an_unfinished_gallery_a_strangers_folder(
    photos: Path, folder: Path
) -> None:
    (folder / "manifest.json").rename(folder / ".part-0")
    assert build_gallery(photos, folder).photos == PHOTOS
