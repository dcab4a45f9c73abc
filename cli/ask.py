"""The analyst at the terminal: the model's questions, and what is typed."""

import select
import sys
from collections.abc import Sequence

import click

from encoders.photo_file import printable

ASK_TIMEOUT_S = 300.0
"""Longest wait for an answer; the run then goes on with the evidence at hand."""


def ask_on_terminal(question: str, options: Sequence[str]) -> str | None:
    """Show a question of the model on the terminal and return what is typed, or None.

    An option may be chosen by its number. Nothing typed within five minutes, or an empty line, is
    no answer.
    """
    click.echo(f"\nThe model asks: {printable(question, 500)}", err=True)
    for number, option in enumerate(options, start=1):
        click.echo(f"  {number}. {printable(option, 120)}", err=True)
    click.echo(f"Your answer (empty for none, {ASK_TIMEOUT_S / 60:.0f} min): ", nl=False, err=True)
    ready, _, _ = select.select([sys.stdin], [], [], ASK_TIMEOUT_S)
    typed = sys.stdin.readline().strip() if ready else ""
    if typed.isdigit() and 1 <= int(typed) <= len(options):
        return options[int(typed) - 1]
    return typed or None
