"""The state machine for LangGraph users, its development server and Studio (`langgraph.json`)."""

import asyncio
import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from agent.checkpoints import RECORDS
from agent.geolocator import Geolocator
from agent.graph import Graph

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver


def make_graph(
    *,
    checkpointer: "BaseCheckpointSaver[str] | None" = None,
    analyst: bool = False,
    asynchronous: bool = False,
    **options: Any,
) -> Graph:
    """Return the compiled state machine, to run alone or inside another graph.

    Start it with `photo_id` of a photo in the store, or with a message that holds an image; the
    answer is in the state's `answer`. Custom events carry the trace.

    Args:
        checkpointer: keeps sessions. Inside a graph of your own it is that graph's that does;
            `agent.checkpoints.RECORDS` are the types its serializer then has to know.
        analyst: let the model ask the person; the graph then interrupts with Agent Inbox's
            `HumanInterrupt` and goes on with `Command(resume=...)`. Needs a checkpointer.
        asynchronous: for `ainvoke` and `astream` alone: many sessions wait for a model at once.
        options: of `Geolocator`: galleries, recipe, model, settings, budget, encoder, places, ...

    Raises:
        InputError: an option does not fit, see `Geolocator`.
        UnavailableError: something the recipe needs is missing.
    """
    geolocator = Geolocator(**options, analyst=analyst)
    return geolocator.compiled(checkpointer, asynchronous=asynchronous)


async def graph() -> Graph:
    """Return the state machine as the environment's settings say.

    The server asks for the graph with every request, on its event loop; it is made once, in
    a thread.
    """
    return await asyncio.to_thread(_graph)


class _Ours(logging.Filter):
    """Drops the warnings about our own records: the server's serializer cannot be told of them."""

    names = frozenset((record.__module__, record.__name__) for record in RECORDS)

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.args if isinstance(record.args, tuple) else ()
        return tuple(said[:2]) not in self.names or "unregistered" not in str(record.msg)


@cache
def _graph() -> Graph:
    logging.getLogger("langgraph.checkpoint.serde.jsonplus").addFilter(_Ours())
    # The server brings its own checkpointer, and people who can be asked.
    geolocator = Geolocator(analyst=True)
    return geolocator.compiled(asynchronous=True)
