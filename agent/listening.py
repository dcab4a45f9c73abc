"""Who is told of what happens in a run: a listener on the spot, or LangGraph's custom stream.

A listener is told in the thread that announces. That is many times cheaper than the stream, which
wakes the thread that reads it, and has another one wait, for each event.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from langgraph.config import get_stream_writer
from pydantic import JsonValue

from agent.trace import EventKind

Listener = Callable[[EventKind, dict[str, JsonValue]], object]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)

TRAJECTORY: ContextVar[int] = ContextVar("trajectory", default=0)
"""Which of several parallel investigations runs here, from 1; 0 where there is only one."""


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have a listener told of what is announced in this context and in copies of it."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(kind: EventKind, data: dict[str, JsonValue]) -> None:
    """Tell the listener here, or else the custom stream of the node that runs."""
    if (listener := _LISTENER.get()) is not None:
        listener(kind, data)
    else:
        get_stream_writer()({"kind": kind, "data": data})
