"""Budgets stop a run by outcome, at the limit and not before."""

import pytest

from agent.budget import Budget, Spent, exhausted, left_of


def test_nothing_is_exhausted_below_every_limit() -> None:
    assert exhausted(Budget(steps=3), Spent(steps=2)) == ""


@pytest.mark.parametrize(
    ("spent", "named"),
    [
        (Spent(steps=3), "steps: 3 of 3"),
        (Spent(tool_calls=9), "tool_calls: 9 of 5"),
        (Spent(tokens=10), "tokens: 10 of 10"),
        (Spent(seconds=1.5), "seconds: 1.5 of 1"),
    ],
)
def test_the_reached_limit_is_named(spent: Spent, named: str) -> None:
    budget = Budget(steps=3, tool_calls=5, tokens=10, seconds=1.0)
    assert exhausted(budget, spent) == named


def test_spending_adds_up_and_is_told() -> None:
    spent = Spent().plus(steps=1, tokens=100).plus(tool_calls=2, seconds=3)
    assert spent == Spent(steps=1, tool_calls=2, tokens=100, seconds=3)
    told = left_of(Budget(steps=4, tool_calls=10, tokens=1100, seconds=60), spent).text
    assert told == "3 turns, 8 tool calls, 1,000 tokens, 57 seconds left"
