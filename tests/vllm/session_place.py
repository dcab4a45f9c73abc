"""Sessions and the whole HTTP application in front of the real server, and what is asked of both.

What every test ends with stands here: traces verify, malformed replies are accounted for, and a
replay without the server comes to the same answers.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.budget import Budget
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.replay import replay
from agent.session_records import SessionInfo, SessionOptions
from agent.session_run import SessionRun
from agent.sessions import Sessions
from agent.settings import Settings
from agent.trace import Event, check_trace, read_trace
from server.app import make_app
from tests.aligned_fakes import GlobeEncoder
from tests.protocol_samples import served
from tests.vllm.conftest import model_at
from tests.vllm.judge import unaccounted
from tests.vllm.wiretap import Wiretap, tapped

if TYPE_CHECKING:
    from index_builder.gallery import Gallery

BUDGET = Budget(steps=4, tool_calls=10, seconds=240)
LONGEST_S = 400.0
"""A run that takes longer hangs; its budget is below."""
QUESTIONS = 8
"""A model that asks more often than so has a budget that is none."""
REPLY = "Germany"
logger = logging.getLogger(__name__)


@dataclass
class Place:
    """A home folder's sessions, where they are served, and the wire to the model."""

    sessions: Sessions
    url: str
    tap: Wiretap
    questions: int = 0
    checked: list[str] = field(default_factory=list)

    def begin(self, photo: Path, **options: Any) -> SessionInfo:
        """Begin a session of a short budget."""
        given = {"recipe": "agentic", "budget": BUDGET, "ask": False, **options}
        return self.sessions.create(photo, options=SessionOptions(**given))

    def settle(self, run: SessionRun) -> SessionRun:
        """Wait for a run, and answer whatever the model asks, until it has ended."""
        for _ in range(QUESTIONS):
            run.wait(LONGEST_S)
            if run.status != "waiting":
                return run
            self.questions += 1
            run = self.sessions.resume(run.session_id, REPLY)
        raise AssertionError(f"{QUESTIONS} questions and no end")

    def events(self, kind: str, session_id: str = "") -> list[Event]:
        """Return the events of a kind, of one session or all."""
        ids = [session_id] if session_id else [one.id for one in self.sessions.search()]
        return [e for one in ids for e in self.sessions.events(one) if e.kind == kind]

    def check(self) -> None:
        """Check what every trace must be, whatever the model said."""
        rows = self.sessions.search()
        assert rows
        for info in rows:
            assert info.status in ("idle", "stopped"), f"{info.name}: {info.status} {info.error}"
            self._check(self.sessions.trace_path(info.id), info)

    def _check(self, path: Path, info: SessionInfo) -> None:
        assert not check_trace(path).cut, info.name
        events = list(read_trace(path))
        assert unaccounted(events) == [], info.name
        assert [event.data for event in events if event.kind == "error"] == []
        told = [event for event in events if event.kind == "answer"]
        again = replay(path)
        assert again.identical, (info.name, again.diverged, again.untold, again.answers)
        assert [one.event for one in again.answers] == [event.number for event in told]
        self.checked.append(info.id)
        malformed = [str(e.data["kind"]) for e in events if e.kind == "malformed"]
        replies = sum(event.kind == "model_reply" for event in events)
        logger.info("%s: %s, %d answers replayed; %d replies, malformed: %s",
                    info.name, info.status, len(again.answers), replies, malformed)  # fmt: skip


@contextmanager
def placed(
    server_url: str, home: Path, gallery: "Gallery", encoder: GlobeEncoder, seeds: Sequence[int]
) -> Iterator[Place]:
    """Open sessions whose geolocators take one seed after the other, and serve them."""
    left = list(seeds)
    with tapped(server_url) as tap:
        settings = Settings(home=home, model=model_at(tap.url), recipe="agentic")

        def make(options: SessionOptions) -> Geolocator:
            seed = left.pop(0) if len(left) > 1 else left[0]
            return Geolocator(
                [gallery], recipe=options.recipe, model=model_at(tap.url, seed), encoder=encoder,
                settings=settings, budget=options.budget, trajectories=options.trajectories,
                analyst=options.ask, without=options.without,
            )  # fmt: skip

        with (
            Sessions(settings, Geolocators(settings, make=make)) as sessions,
            served(make_app(sessions)) as url,
        ):
            yield Place(sessions, url, tap)
