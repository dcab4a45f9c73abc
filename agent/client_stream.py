"""Receiving one reply with an end: whoever sends, and however slowly, the wait is limited.

A blocking read cannot be limited from its own thread: servers keep a silent stream alive with
comments, and model objects of other libraries have no timeout at all. So each reply is received
in a thread of its own, which is left behind when the time is up and ends at the next thing it
gets. Context variables travel with it: LangGraph finds its callbacks there.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue

from langchain_core.messages import AIMessage

from agent.stopping import wait

LEFT_BEHIND: ContextVar[threading.Event | None] = ContextVar("left_behind", default=None)
"""Set once nobody waits for the reply any more; readers of long streams look at it."""

KEPT_THREADS = 128
"""Idle threads kept for the next reply."""


@dataclass
class Received:
    """What came within the time.

    Attributes:
        seconds: until the end, or until it was cut off.
        cut: whether the time was up before the end.
    """

    messages: list[AIMessage] = field(default_factory=list)
    first_token_s: float | None = None
    seconds: float = 0.0
    cut: bool = False


def receive(ask: Callable[[], Iterator[AIMessage]], limit_s: float) -> Received:
    """Call `ask` and collect what it yields, for at most `limit_s` seconds.

    Raises:
        Exception: whatever `ask` or its iterator raises within the time.
        GraphDrained: the run was asked to stop.
    """
    began = time.monotonic()
    got, errors = Received(), list[Exception]()
    done, left = threading.Event(), threading.Event()

    def work() -> None:
        LEFT_BEHIND.set(left)
        try:
            _collect(ask(), got, began, left)
        except Exception as error:  # handed to the thread that waits
            errors.append(error)
        finally:
            done.set()

    _in_thread(partial(copy_context().run, work))
    try:
        finished = wait(done, limit_s)
    finally:
        left.set()
    if finished and errors:
        raise errors[0]
    return Received(list(got.messages), got.first_token_s, time.monotonic() - began, not finished)


_IDLE: deque[SimpleQueue[Callable[[], None]]] = deque()
"""Where threads that wait for work get it; a thread that is left behind is not among them."""


def _in_thread(work: Callable[[], None]) -> None:
    """Run work in a daemon thread, an idle one if there is any.

    Starting one takes the interpreter from all other sessions three times. No executor: it would
    hold up the end of the process until the last silent server has spoken.
    """
    try:
        inbox = _IDLE.pop()
    except IndexError:
        inbox = SimpleQueue()
        threading.Thread(target=_serve, args=(inbox,), daemon=True, name="model-reply").start()
    inbox.put(work)


def _serve(inbox: SimpleQueue[Callable[[], None]]) -> None:
    """Do what comes in, until enough other threads are idle."""
    while True:
        inbox.get()()
        if len(_IDLE) >= KEPT_THREADS:
            return
        _IDLE.append(inbox)


def _collect(
    stream: Iterator[AIMessage], got: Received, began: float, left: threading.Event
) -> None:
    try:
        for message in stream:
            if left.is_set():
                return
            if got.first_token_s is None and says_something(message):
                got.first_token_s = time.monotonic() - began
            got.messages.append(message)
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()  # hangs up, so that the server stops generating too


def says_something(message: AIMessage) -> bool:
    """Whether a message or part of one holds text, thoughts or calls."""
    return bool(
        message.content
        or message.tool_calls
        or message.invalid_tool_calls
        or getattr(message, "tool_call_chunks", None)
        or message.additional_kwargs
    )
