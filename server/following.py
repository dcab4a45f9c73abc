"""Following a run from an event loop: its steps in words, and its end when nobody listens."""

from collections.abc import AsyncGenerator

from agent.event_words import words_of
from agent.session_run import SessionRun
from agent.trace import Event

SILENT = frozenset({"setup", "message", "node", "answer", "reply", "resumed"})
"""Kinds of events that tell a follower nothing that it does not know."""


async def steps_of(run: SessionRun, gone: str) -> AsyncGenerator[tuple[Event, str], None]:
    """Yield the steps of a run as they happen, each with its words on one printable line.

    Args:
        run: to follow to its end.
        gone: why the run is stopped where the follower goes before that: cancelled, or vanished.
    """
    try:
        async for event in run.aevents():
            if event.kind not in SILENT:
                yield event, words_of(event)
    finally:
        if run.status == "busy":
            run.stop(gone)
