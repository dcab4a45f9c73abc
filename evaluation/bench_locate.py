"""What a person waits for: help, the second demo, a warm `locate`; and the machine's own cost."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from evaluation.bench import Measurement

HELP_S = 0.5
DEMO_S = 60.0
LOCATE_S = 4.0


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield the waiting times of the command line and of a warm `Geolocator`."""
    yield _timed("graticule --help, median of 5", _help_seconds(), HELP_S)
    _demo_seconds()
    yield _timed("second demo", _demo_seconds(), DEMO_S)
    yield from _warm_locate()


def _timed(name: str, seconds: float, limit: float) -> Measurement:
    return Measurement(name, seconds, "s", target=f"under {limit:g} s", met=seconds < limit)


def _command(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "cli.main", *arguments], check=True, capture_output=True
    )
    return time.perf_counter() - began


def _help_seconds() -> float:
    return statistics.median(_command("--help") for _ in range(5))


def _demo_seconds() -> float:
    return _command("demo")


def _warm_locate() -> Iterator[Measurement]:
    """Locate the rendered world's queries at 1024 px, after one that loads everything."""
    from agent.geolocator import Geolocator
    from agent.settings import load_settings
    from evaluation.world import write_world
    from index_builder import build_gallery

    with tempfile.TemporaryDirectory() as folder:
        world = write_world(Path(folder) / "world")
        build_gallery(world.gallery_folder, Path(folder) / "gallery")
        settings = load_settings().model_copy(update={"home": Path(folder) / "home"})
        with Geolocator([Path(folder) / "gallery"], settings=settings, encoder=None) as geolocator:
            geolocator.locate(world.path(world.queries[0]))
            times = []
            for query in world.queries[1:7]:
                began = time.perf_counter()
                geolocator.locate(world.path(query))
                times.append(time.perf_counter() - began)
    yield _timed(
        f"locate at 1024 px with text reading, warm, slowest of {len(times)}", max(times), LOCATE_S
    )
