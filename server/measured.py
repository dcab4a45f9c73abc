"""The server as benchmarks start it: `python -m server.measured quick|real HOME`, on a free port.

`quick` has a driver that costs nothing, so that what is measured is the server.
"""

import sys
from pathlib import Path

import click
from langchain_core.messages import AIMessage
from langchain_core.messages.tool import ToolCall

from agent.budget import Left
from agent.drivers import Decision
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.settings import Settings
from agent.state import State
from server import run_queue
from server.serving import run_server

LOOKS = 3
KEPT_BYTES = 1_000_000


class Quick:
    """A driver that looks places up and commits; it costs nothing."""

    name = "quick"
    converses = False

    def decide(self, state: State, left: Left) -> Decision:
        """Return the next call."""
        turn = sum(1 for step in state["steps"] if step.turn)
        name, args = "commit_location", {
            "evidence_ids": [], "reason": "the end", "undetermined": True,
        }  # fmt: skip
        if turn < LOOKS:
            ends = [{"latitude": 1, "longitude": turn}, {"latitude": 2, "longitude": 3}]
            name, args = "measure", {"points": ends}
        call = ToolCall(name=name, args=args, id=f"q{turn}", type="tool_call")
        return Decision(AIMessage("", tool_calls=[call]))


def child(kind: str, home: Path) -> None:
    """Serve, in the process that this is, until it is told to end."""
    settings = Settings(home=home)
    # Of ended runs' events so much is kept that only thousands of runs would fill it.
    run_queue.STREAMS_BYTES = KEPT_BYTES if kind == "quick" else run_queue.STREAMS_BYTES

    def make(options: SessionOptions) -> Geolocator:
        driver = None if kind == "real" else Quick()
        return Geolocator(driver=driver, settings=settings, encoder=None, recipe="pipeline")

    with Sessions(settings, Geolocators(settings, make=make)) as sessions:
        run_server(sessions, "127.0.0.1", 0, lambda line: click.echo(line, err=True))


if __name__ == "__main__":
    child(sys.argv[1], Path(sys.argv[2]))
