"""Stopped at any moment: one line, its exit code, and everything usable afterwards."""

import signal
import time
from pathlib import Path

import pytest

from tests.end_to_end.conftest import PHOTOS, program, start

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
PATIENCE_S = 5.0


def stop(
    *arguments: str | Path, home: Path, number: signal.Signals, when: "tuple[Path, str] | float"
) -> None:
    """Run until some time has passed, or a file of a pattern exists, and signal."""
    with start(*arguments, home=home) as process:
        if isinstance(when, tuple):
            folder, pattern = when
            while process.poll() is None and not any(folder.glob(pattern)):
                time.sleep(0.01)
        else:
            time.sleep(when)
        running = process.poll() is None
        process.send_signal(number)
        began = time.monotonic()
        stdout, stderr = process.communicate(timeout=60)
    if not running or process.returncode == 0:
        return
    assert time.monotonic() - began < PATIENCE_S
    assert process.returncode == CODES[number], stderr
    assert stdout == ""
    said = "" if number == signal.SIGKILL else "graticule: stopped; "
    assert stderr.startswith(said)
    assert stderr.count("\n") == bool(said), stderr


LATER_FILES = ("codebook.npz", "manifest.json")


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "pattern",
    ["", "features/*/*.npz", *(pytest.param(p, marks=pytest.mark.slow) for p in LATER_FILES)],
)
def test_a_stopped_build_is_told_and_resumed(
    number: signal.Signals, pattern: str, photos: Path, home: Path, tmp_path: Path
) -> None:
    out = tmp_path / "gallery"
    build = ("gallery", "build", photos, "--out", out, "--json")
    stop(*build, home=home, number=number, when=(out, pattern) if pattern else 0.3)
    info = program("gallery", "info", out, "--json", home=home)
    if info.code:
        info.refused(2, "gallery build")
    assert program(*build, home=home).document()["photos"] == PHOTOS
    assert program("gallery", "info", out, "--json", home=home).document()["photos"] == PHOTOS
    assert len(list(out.glob("photos/*/*.jpg"))) == PHOTOS


@pytest.mark.parametrize(
    ("number", "events"),
    [
        (signal.SIGINT, 3),
        *(
            pytest.param(number, events, marks=pytest.mark.slow)
            for number in CODES
            for events in (0, 3, 5)
            if (number, events) != (signal.SIGINT, 3)
        ),
    ],
)
def test_a_stopped_run_leaves_its_trace_readable(
    number: signal.Signals, events: int, photos: Path, gallery: Path, home: Path, tmp_path: Path
) -> None:
    trace, report = tmp_path / "trace.jsonl", tmp_path / "report.html"
    photo = photos / "0.jpg"
    arguments = ("locate", photo, "--gallery", gallery, "--json", "--trace", trace,
                 "--report", report)  # fmt: skip
    with start(*arguments, home=home) as process:
        while process.poll() is None and _lines(trace) < events:
            time.sleep(0.01)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode in (CODES[number], 0), stderr
    assert stderr.count("\n") <= 1
    assert report.exists() == (process.returncode == 0)
    assert not list(tmp_path.glob(".*"))
    checked = program("trace", "verify", trace, home=home)
    if _lines(trace):
        assert checked.code == 0
        assert "chain unbroken" in checked.stdout
        assert ("the run was stopped" in checked.stdout) == (process.returncode != 0)
    else:
        assert checked.code == 2
    held = program("gallery", "info", gallery, "--json", home=home)  # no lock is left behind
    assert held.document()["photos"] == PHOTOS


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else -1
