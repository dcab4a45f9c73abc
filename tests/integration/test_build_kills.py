"""A build killed at any moment goes on to the gallery of an undisturbed one, bit for bit."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from index_builder import open_gallery
from tests.integration.kill_samples import ProductEncoder, write_source

PHOTOS = 400


class Builder:
    """Forks builds; see `kill_samples`."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "error", "-m", "tests.integration.kill_samples"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, kill_after_s: float | None, **order: Any) -> tuple[int, float]:
        """Build, kill it after so long; return its exit code and how long it ran."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order, default=str) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        started = time.monotonic()
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            os.kill(pid, signal.SIGKILL)  # harmless where it has ended: nobody has asked how yet
        self.process.stdin.write("how\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        return code, time.monotonic() - started


@pytest.fixture
def quick() -> Iterator[Path]:
    """A folder in memory where there is one: a killed process loses nothing of either."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    builder = Builder()
    yield builder
    assert builder.process.stdin
    assert builder.process.stdout
    builder.process.stdin.close()
    builder.process.wait()
    builder.process.stdout.close()


def contents(folder: Path) -> dict[str, object]:
    """Return all that a gallery holds: points to the bit, files, and what its manifest says."""
    with open_gallery(folder) as gallery:
        points = {
            point.id: (point.payload, {k: v.tobytes() for k, v in point.vectors.items()})
            for point in gallery.store.scan(with_vectors=True)
        }
        counted = len(gallery)
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != "points"
    }
    manifest = json.loads(files.pop("manifest.json"))
    del manifest["created"], manifest["updated"], files["lock"]
    return {"points": points, "counted": counted, "files": files, "manifest": manifest}


def check_kills(builder: Builder, folder: Path, kills: int, seed: int, **order: Any) -> None:
    """Kill builds at random moments, each gallery until it is complete; compare each."""
    random_moment = random.Random(seed)
    code, whole_s = builder.run(None, out=folder / "whole", **order)
    assert code == 0
    expected = contents(folder / "whole")
    assert expected["counted"]
    killed = 0
    while killed < kills:
        out = folder / f"killed-{killed}"
        code = -signal.SIGKILL
        while code == -signal.SIGKILL:
            # What is done already makes later tries shorter; some die as the folder is made.
            after = random_moment.uniform(0, whole_s * random_moment.choice([0.1, 0.5, 1.1]))
            code, _ = builder.run(after if killed < kills else None, out=out, **order)
            killed += code == -signal.SIGKILL
        assert code == 0
        assert contents(out) == expected
        shutil.rmtree(out)


def test_the_encoder_of_these_tests_depends_on_the_batch(tmp_path: Path) -> None:
    from PIL import Image

    images = [Image.new("RGB", (20, 20), (i, 90, 255 - i)) for i in range(64)]
    together, alone = (
        ProductEncoder().encode_images(images),
        ProductEncoder().encode_images(images[:1]),
    )
    assert (together["a"][0] != alone["a"][0]).any()
    assert abs(together["a"][0] - alone["a"][0]).max() < 1e-5


@pytest.mark.slow
def test_ten_kills(builder: Builder, quick: Path) -> None:
    source = write_source(quick / "photos", PHOTOS // 2)
    check_kills(builder, quick, 10, seed=1, source=source, optimize_from=100)


@pytest.mark.slow
@pytest.mark.parametrize(("write", "kills"), [(64, 120), (256, 50)])
def test_many_kills(builder: Builder, tmp_path: Path, write: int, kills: int) -> None:
    source = write_source(tmp_path / "photos", PHOTOS)
    check_kills(builder, tmp_path, kills, seed=write, source=source, write=write, optimize_from=300)


@pytest.mark.slow
def test_kills_of_an_embedded_build(builder: Builder, tmp_path: Path) -> None:
    from tests.unit.gallery_samples import write_photos

    source = write_photos(tmp_path / "photos", scenes=40)
    check_kills(builder, tmp_path, 30, seed=5, source=source, embedded=True, optimize_from=50)
