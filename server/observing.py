"""Runs of sessions as metrics, whichever face began them.

What runs told is read when another begins and when metrics are asked for, so that counting costs
a run nothing and needs no thread.
"""

import threading
from itertools import islice
from typing import Any

from agent.session_run import SessionRun
from agent.sessions import Sessions
from agent.trace import Event
from server.operations import Metrics

OK = frozenset({"ok", "refused", "unavailable"})


class Observed:
    """Counts what runs tell.

    Args:
        sessions: whose runs; every one from now on.
        metrics: where it is counted.
    """

    def __init__(self, sessions: Sessions, metrics: Metrics) -> None:
        self._metrics = metrics
        self._seen: list[tuple[SessionRun, int]] = []
        self._lock = threading.Lock()
        self._tools: set[str] = set()
        sessions.observers.append(self._begun)

    def _begun(self, run: SessionRun) -> None:
        with self._lock:
            self._seen.append((run, 0))
        self.count()

    def count(self) -> None:
        """Count what happened since the last time."""
        with self._lock:
            going = []
            for run, known in self._seen:
                closed, length = run.parts.closed, len(run.parts)
                for _, part in islice(run.parts.follow(known), length - known):
                    if part.mode == "event":
                        self._event(part.data)
                if closed:
                    self._metrics.runs.labels(run.status).inc()
                else:
                    going.append((run, length))
            self._seen = going
            self._metrics.running.set(len(going))

    def _event(self, event: Event) -> None:
        data = event.data
        if event.kind == "setup" and isinstance(offered := data.get("tools"), dict):
            self._tools |= offered.keys()
        elif event.kind == "model_reply":
            for direction in ("in", "out"):
                self._metrics.tokens.labels(direction).inc(_number(data.get(f"tokens_{direction}")))
        elif event.kind == "tool_result" and data.get("outcome") in OK:
            tool = str(data.get("tool"))
            if data["outcome"] == "refused" and tool not in self._tools:
                tool = "unknown"  # a model made the name up: it may be long, or name the place
            self._metrics.tool_calls.labels(tool, str(data["outcome"])).inc()
            self._metrics.tool_seconds.labels(tool).inc(_number(data.get("seconds")))
        elif event.kind == "photo":
            self._metrics.photos.inc()


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value >= 0 else 0.0
