"""The command line in this process (fast) or as a program of its own, and things to feed it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cli.main import main
from geo.gazetteer import Gazetteer, default_path
from tests.unit.photo_samples import gps_exif

PHOTOS = 5


class Outcome(NamedTuple):
    code: int
    stdout: str
    stderr: str

    def refused(self, code: int, *said: str) -> None:
        """One line on standard error that says these words, nothing else, and this exit code."""
        assert self.code == code, self.stderr
        assert self.stdout == ""
        assert self.stderr.startswith("graticule: ")
        assert self.stderr.count("\n") == 1, self.stderr
        for word in said:
            assert word in self.stderr

    def document(self) -> dict[str, object]:
        """Exactly one JSON document on standard output."""
        assert self.code == 0, self.stderr
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def gazetteer() -> Path:
    """The gazetteer of this machine, built once where there is none."""
    Gazetteer.open().close()
    return default_path()


@pytest.fixture
def home(tmp_path: Path, gazetteer: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, but for the gazetteer."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / gazetteer.name).symlink_to(gazetteer)
    monkeypatch.setenv("GRATICULE_HOME", str(folder))
    return folder


@pytest.fixture
def command(home: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process."""

    def run(*arguments: str | bytes | Path) -> Outcome:
        capfd.readouterr()
        code = main([os.fsdecode(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return run


def start(*arguments: str | bytes | Path, home: Path) -> "subprocess.Popen[str]":
    """Start the command line as a program."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", "import sys; from cli.main import main;"
         "sys.exit(main())", *map(os.fsdecode, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "GRATICULE_HOME": str(home), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def program(*arguments: str | bytes | Path, home: Path) -> Outcome:
    """Run the command line as a program to its end."""
    with start(*arguments, home=home) as process:
        stdout, stderr = process.communicate(timeout=120)
    return Outcome(process.returncode, stdout, stderr)


def scene(seed: int, width: int = 480, height: int = 360) -> Image.Image:
    """Blocks of colour with corners enough to be recognised."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), (120, 140, 160))
    draw = ImageDraw.Draw(image)
    for _ in range(220):
        left, top, wide, high = (
            int(v) for v in random.integers((0, 0, 5, 5), (width, height, 60, 60))
        )
        red, green, blue = (int(v) for v in random.integers(0, 255, 3))
        draw.rectangle((left, top, left + wide, top + high), (red, green, blue), (0, 0, 0))
    return image


def write_photos(folder: Path, count: int = PHOTOS) -> Path:
    """Write photos with positions a minute of latitude apart."""
    folder.mkdir(parents=True)
    for number in range(count):
        exif = gps_exif(
            GPSLatitudeRef="N",
            GPSLatitude=(48.0, float(number), 0.0),
            GPSLongitudeRef="E",
            GPSLongitude=(2.0, 0.0, 0.0),
        )
        scene(number).save(folder / f"{number}.jpg", quality=92, exif=exif)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of geotagged photos."""
    return write_photos(tmp_path_factory.mktemp("photos") / "geotagged")


@pytest.fixture(scope="session")
def built(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery nobody may change."""
    folder = tmp_path_factory.mktemp("built") / "gallery"
    assert main(["gallery", "build", str(photos), "--out", str(folder), "--json"]) == 0
    return folder


@pytest.fixture
def gallery(built: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    folder = tmp_path / "gallery"
    shutil.copytree(built, folder)
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A good photo without a position, small, so that reading it is quick."""
    path = tmp_path / "good.jpg"
    Image.new("RGB", (64, 48), "teal").save(path)
    return path
