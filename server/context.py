"""What every route leans on: the sessions, the settings, and who may do what."""

from dataclasses import dataclass

from fastapi import Request

from agent.sessions import Sessions
from agent.settings import Settings


@dataclass(frozen=True)
class Context:
    """Made once per application, kept in `app.state.context`."""

    sessions: Sessions
    settings: Settings


def context_of(request: Request) -> Context:
    """Return the application's context."""
    found = request.app.state.context
    assert isinstance(found, Context)
    return found
