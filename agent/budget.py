"""Budgets: running out is an outcome that forces a commit, never an exception."""

from pydantic import ConfigDict, Field

from tools.evidence import Record


class Budget(Record):
    """What one run may spend at most."""

    # Not strict: from the environment every number comes as text.
    model_config = ConfigDict(strict=False)

    steps: int = Field(default=12, ge=1, le=200)
    """Turns of the driver."""
    tool_calls: int = Field(default=40, ge=1, le=1000)
    tokens: int = Field(default=200_000, ge=1)
    """Model tokens, in and out; the pipeline driver uses none."""
    seconds: float = Field(default=300.0, gt=0)
    """Time inside the state machine's own nodes."""


class Spent(Record):
    """What a run has spent so far."""

    steps: int = 0
    tool_calls: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def plus(
        self, *, steps: int = 0, tool_calls: int = 0, tokens: int = 0, seconds: float = 0.0
    ) -> "Spent":
        """Return the sum."""
        return Spent(
            steps=self.steps + steps,
            tool_calls=self.tool_calls + tool_calls,
            tokens=self.tokens + tokens,
            seconds=self.seconds + seconds,
        )


class Left(Spent):
    """What a run may still spend; nothing below zero."""

    @property
    def text(self) -> str:
        """What is left, in the words a driver is told."""
        return (
            f"{self.steps} turns, {self.tool_calls} tool calls, "
            f"{self.tokens:,} tokens, {self.seconds:.0f} seconds left"
        )


def exhausted(budget: Budget, spent: Spent) -> str:
    """Return which limit is reached, as `steps: 12 of 12`, or an empty string."""
    for name in Budget.model_fields:
        used, limit = getattr(spent, name), getattr(budget, name)
        if used >= limit:
            return f"{name}: {used:g} of {limit:g}"
    return ""


def left_of(budget: Budget, spent: Spent) -> Left:
    """Return what is left of a budget."""
    return Left(
        steps=max(0, budget.steps - spent.steps),
        tool_calls=max(0, budget.tool_calls - spent.tool_calls),
        tokens=max(0, budget.tokens - spent.tokens),
        seconds=max(0.0, budget.seconds - spent.seconds),
    )
