"""Running the application: the address it listens on, and how it comes to rest."""

import signal
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI

from agent.sessions import Sessions
from encoders.serving import BACKLOG, KEEP_ALIVE_S, listen
from server.app import make_app
from server.operations import Warmth
from server.security import check_binding

DRAIN_S = 20
"""How long the end waits for runs to finish their steps, and for answers to be fetched."""
Announce = Callable[[str], Any]


def run_server(sessions: Sessions, host: str, port: int, announce: Announce) -> None:
    """Serve sessions until SIGINT or SIGTERM.

    Runs then stop after their present step, which is on disk: they go on when they are resumed,
    here or elsewhere. Models and data load in the background; `/ready` tells when they have.

    Args:
        sessions: to serve; whoever opened them closes them.
        host: name or address of this machine to listen on.
        port: 0 takes a free one.
        announce: is told in lines what a person should know.

    Raises:
        InputError: the host is not of this machine, or open to others without any key.
        UnavailableError: the port is taken.
    """
    check_binding(host, sessions.settings)
    with listen(host, port) as listening:
        app = make_app(sessions)
        app.state.warmth = Warmth(sessions)
        server = SessionServer(app, sessions)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, server.handle_exit)
        shown = f"[{host}]" if ":" in host else host
        announce(f"serving on http://{shown}:{listening.getsockname()[1]}; Ctrl-C stops it")
        app.state.warmth.begin()
        server.run(sockets=[listening])
    announce("stopped; what ran goes on with its next message or `graticule sessions resume`")


class SessionServer(uvicorn.Server):
    """A uvicorn server whose runs stop at their next step when it is told to end.

    Args:
        app: the application.
        sessions: that it serves.
    """

    def __init__(self, app: FastAPI, sessions: Sessions) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=DRAIN_S,
        )
        super().__init__(config)
        self._app, self._sessions = app, sessions

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End: take no more requests, and let runs come to their next step."""
        super().handle_exit(sig, frame)
        # Locks are taken, which the thread that the signal came to may hold.
        threading.Thread(target=self._drain, name="draining", daemon=True).start()

    def _drain(self) -> None:
        self._app.state.runs.drain()
        for info in self._sessions.search():
            if info.status == "busy":
                self._sessions.stop(info.id)
