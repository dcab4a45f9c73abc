"""Following a run from an event loop: its steps, and its end when nobody listens any more."""

from collections.abc import AsyncGenerator

from agent.session_run import SessionRun
from agent.trace import Event

SILENT = frozenset({"setup", "message", "node", "answer", "reply", "resumed"})
"""Kinds of events that tell a follower nothing that it does not know."""


async def steps_of(run: SessionRun, gone: str) -> AsyncGenerator[Event, None]:
    """Yield the steps of a run as they happen.

    Args:
        run: to follow to its end.
        gone: why the run is stopped where the follower goes before that: cancelled, or vanished.
    """
    try:
        async for event in run.aevents():
            if event.kind not in SILENT:
                yield event
    finally:
        if run.status == "busy":
            run.stop(gone)
