"""Drivers: who decides the next tool call.

A driver sees the state and answers with an `AIMessage` whose tool calls `act` will run.
"""

from typing import Protocol

from langchain_core.messages import AIMessage

from agent.state import State


class Driver(Protocol):
    """Decides the next tool calls from the state alone."""

    name: str

    def decide(self, state: State, remaining: str) -> AIMessage:
        """Return a message with the next tool calls.

        Args:
            state: the whole state; a driver never changes it.
            remaining: what is left of the budget, in words.
        """
        ...
