"""Entry point for the LangGraph development server and Studio (`langgraph.json`)."""

from agent.geolocator import Geolocator
from agent.graph import Graph


def graph() -> Graph:
    """Return the state machine with the default settings and the `pipeline` driver.

    Start it with `photo_id` of a photo in the store, or with a message that holds an image.
    """
    return Geolocator().graph
