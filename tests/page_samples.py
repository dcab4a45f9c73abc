"""A server with sessions of a scripted model, for tests of the page and its pictures."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from langchain_core.messages import AIMessage, BaseMessage
from pydantic import JsonValue

from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.settings import Settings
from server.app import make_app
from tests.fakes import BlankReader, FakeGazetteer, ScriptedChat, calling
from tests.unit.test_agentic import commit, everything, text_of

PRIOR = {
    "latitude": 48.15, "longitude": 11.55, "radius_km": 30, "place": "Munich",
    "country": "Germany", "confidence": 0.7, "reason": "an onion dome",
    "clues": [{"what": "onion dome <img src=x onerror=alert(1)>",
               "box": {"left": 0.1, "top": 0.1, "right": 0.5, "bottom": 0.5}}],
}  # fmt: skip
SHORT = {"latitude": 48.14, "longitude": 11.57, "radius_km": 10, "place": "Munich", "country": "DE"}
QUESTION = "Was it taken in summer <script>document.title='hacked'</script>?"
SLOW_S = 0.7
OPTIONS: list[JsonValue] = ["In summer", "In winter"]


class PageModel:
    """Guesses, asks the person once where the hint says so, and commits.

    Args:
        delay_s: how long each reply takes.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.chat = ScriptedChat(replies=[self.reply])

    def reply(self, messages: Sequence[BaseMessage], given: dict[str, Any]) -> AIMessage:
        """Answer by what is asked."""
        time.sleep(self.delay_s)
        said = text_of(messages[-1])
        if "You have no tools now" in said:
            return AIMessage(json.dumps(PRIOR))
        if not given.get("tools") and "no other word" in said:
            return AIMessage(json.dumps(SHORT))
        whole = everything(messages)
        if "slowly" in whole:
            time.sleep(SLOW_S)
        turns = sum(isinstance(message, AIMessage) for message in messages)
        if "please ask" in whole and "The analyst" not in whole and QUESTION not in whole:
            return calling(("ask_analyst", {"question": QUESTION, "options": OPTIONS}))
        if turns < 3 and self.delay_s:
            ends: list[JsonValue] = [
                {"latitude": 48.1, "longitude": 11.5},
                {"latitude": 48.2, "longitude": turns},
            ]
            return calling(("measure", {"points": ends}), text="Let me measure that first.")
        return commit(messages)


def page_sessions(
    settings: Settings, settlements: Settlements, model: PageModel | None = None
) -> Sessions:
    """Return sessions whose geolocators a scripted model drives."""
    chat = (model or PageModel()).chat

    def make(options: SessionOptions) -> Geolocator:
        geolocator = Geolocator(
            model=chat, settings=settings, encoder=None, recipe=options.recipe or "agentic",
            analyst=options.ask, without=options.without,
        )  # fmt: skip
        geolocator.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        geolocator.bench.reader = BlankReader()
        return geolocator

    return Sessions(settings, Geolocators(settings, make=make))


@contextlib.contextmanager
def serving(sessions: Sessions) -> Iterator[str]:
    """Serve sessions on a free port of this machine; yield the address."""
    config = uvicorn.Config(make_app(sessions), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server has not begun")
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(15)


def picture_file(folder: Path, seed: int = 3) -> Path:
    """Write a photo and return its path."""
    from tests.unit.photo_samples import encoded, picture

    path = folder / f"photo <b>{seed}.jpg"
    path.write_bytes(encoded(picture(640, 480, seed=seed)))
    return path
