"""`graticule` as a program whose runs are scripted: `python -m tests.chat_child SECONDS chat ...`.

Each turn of the driver takes SECONDS, so that a test can stop or kill it in the middle.
"""

import sys
import time
from typing import Any

import numpy as np

from agent.budget import Left
from agent.drivers import Decision
from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.settings import Settings
from agent.state import State
from cli import session_options
from cli.geolocator_options import Chosen
from cli.main import main
from tests.fakes import BlankReader, FakeGazetteer
from tests.unit.session_samples import Steady

LOOKS = 4
TOWNS = [(52.52, 13.405, 3.7e6, "DE"), (48.137, 11.576, 1.5e6, "DE"), (48.857, 2.352, 2.1e6, "FR")]


class Slow(Steady):
    """Takes its time over each turn; needs nothing of an earlier process."""

    def __init__(self, turn_s: float) -> None:
        super().__init__(LOOKS)
        self.turn_s = turn_s

    def decide(self, state: State, left: Left) -> Decision:
        time.sleep(self.turn_s)
        return super().decide(state, left)


def settlements() -> Settlements:
    """Return a world of three towns."""
    points = np.array([row[:2] for row in TOWNS], dtype=np.float64)
    return points, np.array([row[2] for row in TOWNS]), [row[3] for row in TOWNS]


def opened(turn_s: float, settings: Settings) -> Sessions:
    """Return sessions whose driver takes `turn_s` a turn."""

    def make(options: SessionOptions) -> Geolocator:
        one = Geolocator(
            driver=Slow(turn_s), settings=settings, encoder=None, recipe="pipeline",
            without=options.without,
        )  # fmt: skip
        one.bench.open_gazetteer = lambda: FakeGazetteer(settlements())
        one.bench.reader = BlankReader()
        return one

    return Sessions(settings, Geolocators(settings, make=make))


def run() -> int:
    """Run the command line with scripted sessions."""
    turn_s = float(sys.argv.pop(1))

    def open_sessions(chosen: Chosen, settings: Settings, **_: Any) -> Sessions:
        return opened(turn_s, settings)

    session_options.open_sessions = open_sessions
    Chosen.prepare = lambda *_, **__: None  # type: ignore[method-assign]
    return main()


if __name__ == "__main__":
    sys.exit(run())
