"""What every route leans on: the sessions, as they may be told, and the settings."""

from dataclasses import dataclass

from fastapi import Request

from agent.sessions import Sessions
from agent.settings import Settings
from agent.told_sessions import told


@dataclass(frozen=True)
class Context:
    """Made once per application, kept in `app.state.context`.

    No route sees more of the sessions than the settings allow to tell, see `agent.told_sessions`.
    """

    sessions: Sessions
    settings: Settings

    def __post_init__(self) -> None:
        """Put what may be told in the place of the sessions."""
        object.__setattr__(self, "sessions", told(self.sessions))


def context_of(request: Request) -> Context:
    """Return the application's context."""
    found = request.app.state.context
    assert isinstance(found, Context)
    return found
