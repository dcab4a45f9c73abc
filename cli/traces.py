"""`graticule trace`: read a run again, and check that nobody edited it."""

from pathlib import Path

import click

from cli.paths import ExistingPath


@click.group()
def trace() -> None:
    """Show and verify the trace of a run."""


@trace.command()
@click.argument("file", type=ExistingPath())
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON lines.")
def show(file: Path, as_json: bool) -> None:
    """Print the events of a trace, in words; --json has all of them."""
    from agent.event_words import words_of
    from agent.trace import read_trace

    for event in read_trace(file):
        if as_json:
            click.echo(event.model_dump_json())
        else:
            told = f"{event.number:4d} {event.seconds:8.3f} s {event.kind:12s}"
            click.echo(f"{told} {words_of(event)}")


@trace.command()
@click.argument("file", type=ExistingPath())
def verify(file: Path) -> None:
    """Check the hash chain; an edited event fails and is named."""
    from agent.trace import check_trace

    checked = check_trace(file)
    notes = ""
    if checked.cut:
        notes = "; the last line is incomplete and not counted: the run was stopped there"
    elif not checked.finished:
        notes = "; no answer or error at the end: the run was stopped, or the end was cut off"
    click.echo(f"{checked.events} events, chain unbroken{notes}")
