"""A pytest plugin: every trace that a test's runs leave behind is replayed, or the test fails.

`pytest -p tests.replayed_traces FILES` looks at any tests so; `tests/integration/test_replay.py`
does at those of recipes, galleries, encoders, calibrations and sessions.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from agent.geolocator import Geolocator
from agent.replay import replay
from agent.trace import follow_traces, read_trace
from geo.errors import InputError
from geo.gazetteer import Gazetteer
from tools.workbench import Workbench

COUNTED = pytest.StashKey[dict[str, int]]()


class Collected:
    """Traces that were closed since they were last asked for, as they were then."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="graticule-traces-"))
        self.benches: dict[str, Workbench] = {}
        self._paths: list[Path] = []
        self._lock, self._number = threading.Lock(), 0

    def __call__(self, path: Path, _before: int) -> None:
        """Keep a trace that was closed."""
        with self._lock:
            self._number += 1
            kept = self.folder / f"{self._number}.jsonl"
            shutil.copy(path, kept)
            self._paths.append(kept)

    def taken(self) -> list[Path]:
        """Return the traces, and forget them."""
        with self._lock:
            taken, self._paths = self._paths, []
        return taken

    def replayed(self, path: Path) -> str:
        """Return how a replay differs; empty where it does not, or where no run answered."""
        ats = [str(event.data["at"]) for event in read_trace(path) if event.kind == "setup"]
        bench = next((self.benches[at] for at in reversed(ats) if at in self.benches), None)
        found = replay(path, open_gazetteer=bench.open_gazetteer if bench else Gazetteer.open)
        told = [line for one in found.answers for line in one.differs]
        return "" if found.identical else f"{path}: {found.untold} {found.diverged[:3]} {told[:5]}"


def answered(path: Path) -> bool:
    """Whether a trace holds an answer; tests write some that are none."""
    try:
        return any(event.kind == "answer" for event in read_trace(path))
    except InputError:
        return False


def pytest_configure(config: pytest.Config) -> None:
    """Keep traces from now on, and which workbench they were made on: a replay needs its places."""
    collected = Collected()
    plain: Callable[[Geolocator], dict[str, Any]] = Geolocator.setup

    def setup(self: Geolocator) -> dict[str, Any]:
        told = plain(self)
        collected.benches[str(told["at"])] = self.bench
        return told

    Geolocator.setup = setup  # type: ignore[method-assign]
    follow_traces(collected)
    config.stash[COUNTED] = {"traces": 0, "otherwise": 0}
    config.pluginmanager.register(_Replaying(collected, config.stash[COUNTED]), "replaying")


class _Replaying:
    def __init__(self, collected: Collected, counted: dict[str, int]) -> None:
        self.collected, self.counted = collected, counted

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Replay what a test, and the fixtures before it, left behind."""
        result = yield
        for path in filter(answered, self.collected.taken()):
            self.counted["traces"] += 1
            if told := self.collected.replayed(path):
                self.counted["otherwise"] += 1
                pytest.fail(told)
        return result

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say how many there were."""
        terminalreporter.write_line(
            f"{self.counted['traces']} traces replayed, {self.counted['otherwise']} otherwise"
        )
        shutil.rmtree(self.collected.folder, ignore_errors=True)
