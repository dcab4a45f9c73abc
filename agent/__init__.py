"""The state machine, its drivers, belief, trace and report."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.entry import make_graph
    from agent.geolocator import Geolocator

__all__ = ["Answer", "Geolocator", "make_graph"]


def __getattr__(name: str) -> object:
    """Load public names on first use, so that `import agent` stays instant."""
    if name == "Geolocator":
        from agent.geolocator import Geolocator

        return Geolocator
    if name == "Answer":
        from agent.answer import Answer

        return Answer
    if name == "make_graph":
        from agent.entry import make_graph

        return make_graph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
