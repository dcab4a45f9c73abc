"""The whole application on a port of this machine, over scripted sessions."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from agent.sessions import Sessions
from agent.settings import Settings
from encoders.serving import listen
from server.app import make_app
from tests.unit.mcp_samples import scripted_sessions
from tests.unit.test_agentic import Model, commit


@contextmanager
def serving(
    settings: Settings, model: Callable[[], Model] = lambda: Model(commit)
) -> Iterator[tuple[str, Sessions]]:
    """Serve in a thread; yield the address and the sessions."""
    with scripted_sessions(settings, model) as sessions, listen("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(make_app(sessions), log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", sessions
        finally:
            server.should_exit = True
            thread.join(20)
