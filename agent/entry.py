"""Entry point for the LangGraph development server and Studio (`langgraph.json`)."""

import asyncio
from functools import cache

from agent.geolocator import Geolocator
from agent.graph import Graph


async def graph() -> Graph:
    """Return the state machine with the default settings and the `pipeline` driver.

    Start it with `photo_id` of a photo in the store, or with a message that holds an image.
    The server asks for the graph with every request, on its event loop; it is made once, in
    a thread.
    """
    return await asyncio.to_thread(_graph)


@cache
def _graph() -> Graph:
    return Geolocator().graph
