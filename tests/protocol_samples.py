"""The HTTP application on a port of this machine, over sessions whose runs are scripted."""

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from pydantic import JsonValue

from agent.drivers import Decision
from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.settings import Settings
from agent.state import State
from server.app import make_app
from tests.fakes import BlankReader, FakeGazetteer, calling
from tests.unit.photo_samples import encoded, picture

PLEASE = "ask me"
"""In a message, makes the driver ask a question before it commits."""


class Talker:
    """Looks a place up, asks if it is told to, and commits; announces nothing by itself.

    Args:
        looks: turns before the commit.
        pause_s: of every turn.
    """

    name = "talker"
    converses = False

    def __init__(self, looks: int = 2, pause_s: float = 0.0) -> None:
        self.looks, self.pause_s = looks, pause_s
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()

    def decide(self, state: State, left: Any) -> Decision:
        self.waiting.set()
        assert self.gate.wait(30), "the gate stayed shut"
        time.sleep(self.pause_s)
        now = state["revision"] + 1
        mine = [step for step in state["steps"] if step.revision == now and step.turn]
        heard = [one.text for one in state["messages"] if one.type == "human"]
        call: tuple[str, dict[str, JsonValue]]
        if len(mine) < self.looks:
            look: dict[str, JsonValue] = {"name": "Testdorf", "countries": ["DE"]}
            call = ("find_place", {**look, "limit": now + len(mine)})
        elif any(PLEASE in one for one in heard) and not _asked(state):
            call = ("ask_analyst", {"question": "Which country?", "options": ["DE", "FR"]})
        else:
            ids: list[JsonValue] = [item.id for item in state["evidence"] if item.weight > 0]
            call = ("commit_location", {"evidence_ids": ids, "reason": "looked up"})
            call[1]["undetermined"] = not ids
        message = calling(call, text=f"Turn {len(mine) + 1}")
        named = [
            {**one, "id": f"{now}-{len(mine)}-{n}"} for n, one in enumerate(message.tool_calls)
        ]
        return Decision(message.model_copy(update={"tool_calls": named}))


def _asked(state: State) -> bool:
    return any(step.tool == "ask_analyst" for step in state["steps"])


def make_sessions(home: Path, settlements: Settlements, talker: Talker) -> Sessions:
    """Return sessions of a home folder that the talker drives."""
    settings = Settings(home=home)

    def make(options: SessionOptions) -> Geolocator:
        one = Geolocator(
            driver=talker, settings=settings, encoder=None, recipe="pipeline", analyst=options.ask,
            without=options.without, budget=options.budget,
        )  # fmt: skip
        one.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        one.bench.reader = BlankReader()
        return one

    return Sessions(settings, Geolocators(settings, make=make))


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on a free port; yield its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=5, ws="none"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server ended"
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


class Service:
    """A served application, its sessions and its driver."""

    def __init__(self, sessions: Sessions, talker: Talker, url: str) -> None:
        self.sessions, self.talker, self.url = sessions, talker, url
        self.client = httpx.Client(base_url=url, timeout=60)

    def thread(self, **given: Any) -> str:
        """Make a thread and return its id."""
        made = self.client.post("/threads", json=given)
        assert made.status_code == 200, made.text
        return str(made.json()["thread_id"])


@contextlib.contextmanager
def service(
    home: Path, settlements: Settlements, talker: Talker | None = None
) -> Iterator[Service]:
    """Serve sessions of a home folder."""
    talker = talker or Talker()
    with make_sessions(home, settlements, talker) as sessions, served(make_app(sessions)) as url:
        held = Service(sessions, talker, url)
        with held.client:
            yield held


def photo(seed: int = 1, width: int = 320, height: int = 240) -> bytes:
    """Return a JPEG that no other seed gives."""
    return encoded(picture(width, height, seed=seed))


def big_photo() -> bytes:
    """Return a JPEG of some six megabytes."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (3300, 3200, 3), dtype=np.uint8)
    return encoded(Image.fromarray(noise))


def shown(data: bytes, text: str = "Where is this?", style: str = "url") -> dict[str, Any]:
    """Return an input whose message holds an image, as one of the kinds of client sends it."""
    base = base64.b64encode(data).decode()
    kinds: dict[str, dict[str, Any]] = {
        "url": {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base}"}},
        "chat-ui": {"type": "image", "mimeType": "image/jpeg", "data": base},
        "langchain": {"type": "image", "mime_type": "image/jpeg", "base64": base},
    }
    content = [{"type": "text", "text": text}, kinds[style]]
    return {"messages": [{"type": "human", "content": content}]}


def events_in(text: str) -> list[tuple[int, str, Any]]:
    """Return id, name and data of the events of a stream."""
    found = []
    for block in text.split("\r\n\r\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\r\n") if ": " in line[1:])
        if "event" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found
