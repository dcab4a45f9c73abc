"""Sessions whose runs are scripted and quick: no language models, no galleries."""

import threading
from collections.abc import Callable
from pathlib import Path

from langchain_core.messages import AIMessage
from pydantic import JsonValue

from agent.budget import Left
from agent.drivers import Decision
from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import SessionOptions
from agent.session_store import SessionStore
from agent.sessions import Sessions
from agent.settings import Settings
from agent.state import State
from tests.fakes import BlankReader, FakeGazetteer, calling

Calls = list[tuple[str, dict[str, JsonValue]]]


class Steady:
    """Looks a place up, as often as asked for, and commits to what was found; for every revision.

    Args:
        looks: turns before the commit.
        gate: waited for in each turn, to hold a run where a test wants it.
    """

    name = "steady"
    converses = False

    def __init__(self, looks: int = 1, gate: threading.Event | None = None) -> None:
        self.looks, self.gate = looks, gate
        self.turns = 0
        self.began = threading.Event()

    def decide(self, state: State, left: Left) -> Decision:
        self.began.set()
        if self.gate is not None:
            assert self.gate.wait(30), "the gate stayed shut"
        self.turns += 1
        now = state["revision"] + 1
        done = [step for step in state["steps"] if step.revision == now and step.turn]
        if len(done) < self.looks:
            look: dict[str, JsonValue] = {"name": "Testdorf", "limit": now + len(done)}
            return Decision(_named(calling(("find_place", look)), f"{now}-{len(done)}"))
        ids: list[JsonValue] = [item.id for item in state["evidence"] if item.weight > 0]
        commit: dict[str, JsonValue] = {
            "evidence_ids": ids, "reason": "looked up", "undetermined": not ids,
        }  # fmt: skip
        return Decision(_named(calling(("commit_location", commit)), f"{now}-c"))


def _named(message: AIMessage, key: str) -> AIMessage:
    """Give calls ids that no other turn has."""
    calls = [{**call, "id": f"{key}-{n}"} for n, call in enumerate(message.tool_calls)]
    return AIMessage(message.content, tool_calls=calls)


def quick_geolocators(
    settings: Settings, settlements: Settlements, driver: Callable[[SessionOptions], Steady]
) -> Geolocators:
    """Return geolocators whose driver is scripted."""

    def make(options: SessionOptions) -> Geolocator:
        one = Geolocator(
            driver=driver(options), settings=settings, encoder=None, recipe="pipeline",
            without=options.without, budget=options.budget,
        )  # fmt: skip
        one.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        one.bench.reader = BlankReader()
        return one

    return Geolocators(settings, make=make)


def quick_sessions(
    home: Path,
    settlements: Settlements,
    driver: Steady | None = None,
    store: SessionStore | None = None,
) -> Sessions:
    """Return sessions of a home folder whose runs take milliseconds."""
    settings = Settings(home=home)
    held = driver or Steady()
    return Sessions(settings, quick_geolocators(settings, settlements, lambda _: held), store)
