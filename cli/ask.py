"""The analyst at the terminal: the model's questions, and what is typed."""

import select
import shutil
import sys
import textwrap
from collections.abc import Sequence

import click

from encoders.photo_file import printable

ASK_TIMEOUT_S = 300.0
"""Longest wait for an answer; the run then goes on with the evidence at hand."""


def ask_on_terminal(question: str, options: Sequence[str]) -> str | None:
    """Show a question of the model on the terminal and return what is typed, or None.

    An option may be chosen by its number. Nothing typed within five minutes, or an empty line, is
    no answer. What was typed before the question was shown answers nothing.
    """
    click.echo(f"\n{_wrapped('The model asks: ', printable(question, 500))}", err=True)
    for number, option in enumerate(options, start=1):
        click.echo(_wrapped(f"  {number}. ", printable(option, 120)), err=True)
    choice = "A number, or your own words" if options else "Your answer"
    told = f"{choice} (empty for none, {ASK_TIMEOUT_S / 60:.0f} min): "
    click.echo(told, nl=False, err=True)
    _forget_typed()
    ready, _, _ = select.select([sys.stdin], [], [], ASK_TIMEOUT_S)
    typed = sys.stdin.readline().strip() if ready else ""
    if not ready:
        click.echo("no answer", err=True)
    if typed.isdecimal() and 1 <= int(typed[:3]) <= len(options):
        return options[int(typed[:3]) - 1]
    return typed or None


def _wrapped(head: str, text: str) -> str:
    width = max(shutil.get_terminal_size().columns - 1, 20)
    return textwrap.fill(
        text, width, initial_indent=head, subsequent_indent=" " * min(len(head), 5)
    )


def _forget_typed() -> None:
    """Drop what was typed ahead: it was meant for something else. Pipes hold answers, not keys."""
    if sys.stdin.isatty():
        import termios

        termios.tcflush(sys.stdin, termios.TCIFLUSH)
