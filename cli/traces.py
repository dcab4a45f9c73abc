"""`graticule trace`: read a run again, check it, run it again, compare two, hand them on."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import click

from agent.trace import EventKind
from cli.paths import ExistingPath, NewFile

if TYPE_CHECKING:
    from agent.replay_results import Replayed


class NamedTrace(NamedTuple):
    """A trace, and how it was called."""

    path: Path
    shown: str


class TraceName(ExistingPath):
    """The file of a trace, a case file, or the name, the id or the first digits of a session."""

    name = "trace"

    def convert(  # type: ignore[override]  # a path with what was given for it
        self,
        value: str | NamedTrace,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> NamedTrace:
        """Return the file; that of a case file lasts as long as the command."""
        from agent.named_traces import trace_named, unpacked
        from encoders.photo_file import printable

        if isinstance(value, NamedTrace):
            return value
        path = super().convert(value, param, ctx)
        found = (ctx or click.get_current_context()).with_resource(unpacked(trace_named(path)))
        return NamedTrace(found, printable(str(path), 200))


@click.group()
def trace() -> None:
    """Show, verify, replay and compare what runs left behind.

    A trace is named by its file, a case file that holds it, or its session: its name, its id, or
    how that begins.
    """


@trace.command()
@click.argument("file", type=TraceName())
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON lines.")
@click.option("--kind", "kinds", type=click.Choice(get_args(EventKind)), multiple=True,
              help="Only events of this kind; may be given several times.")  # fmt: skip
@click.option("--step", "steps", type=int, multiple=True,
              help="Only events of this step of the graph; several times.")  # fmt: skip
def show(file: NamedTrace, as_json: bool, kinds: Sequence[str], steps: Sequence[int]) -> None:
    """Print the events of a trace in words, then what each step took; --json has all of them."""
    from agent.trace import read_trace
    from agent.trace_summary import steps_of

    events = list(read_trace(file.path))
    chosen = [
        (event, step) for event, step in steps_of(events)
        if (not kinds or event.kind in kinds) and (not steps or step in steps)
    ]  # fmt: skip
    if as_json:
        for event, _ in chosen:
            click.echo(event.line, nl=False)
        return
    from cli.trace_table import print_events, print_taken

    print_events(chosen)
    if not kinds:
        print_taken(events, steps)


@trace.command()
@click.argument("file", type=TraceName())
def verify(file: NamedTrace) -> None:
    """Check the hash chain; an edited event fails and is named.

    Of a case file, all its files are checked as well.
    """
    from agent.trace import check_trace

    checked = check_trace(file.path)
    notes = ""
    if checked.cut:
        notes = "; the last line is incomplete and not counted: the run was stopped there"
    elif not checked.finished:
        notes = "; no answer or error at the end: the run was stopped, or the end was cut off"
    click.echo(f"{checked.events} events, chain unbroken{notes}")


@trace.command()
@click.argument("file", type=TraceName())
@click.option("--anyway", is_flag=True,
              help="Go on where prompts, tools or packages have changed since.")  # fmt: skip
@click.option("--out", type=NewFile(b"{"), help="File for the trace of the replay.")
def replay(file: NamedTrace, anyway: bool, out: Path | None) -> None:
    """Run a trace again from what models and tools replied, and compare the answers.

    Nothing is asked of a network, a model, a gallery or a photo. A run that ended in an error is
    replayed up to it. The exit code is 0 where every answer is identical, 1 where something differs
    or could not be replayed.
    """
    from agent.replay import replay as run_again
    from encoders.photo_file import printable

    found = run_again(file.path, anyway=anyway, out=out)
    for told in found.changed:
        click.echo(f"changed since: {printable(told, 300)}", err=True)
    for told in found.diverged:
        click.echo(f"goes otherwise: {printable(told, 600)}")
    if found.untold:
        click.echo(f"cannot be replayed: {printable(found.untold, 600)}")
    for one in found.answers:
        same = not one.differs
        click.echo(f"answer at event {one.event}: {'identical' if same else 'differs'}")
        for told in one.differs:
            click.echo(f"  {printable(told, 600)}")
    for run in found.unanswered:
        click.echo(f"event {run.event}: {_NO_ANSWER[run.why]} {printable(run.words, 300)}".rstrip())
    click.echo(_summary(found))
    if not found.identical:
        sys.exit(1)


_NO_ANSWER = {
    "error": "a run ended in an error, and was replayed only up to it:",
    "stopped": "a run was stopped, and was replayed up to there:",
    "question": "a run waits for the analyst's reply, and was replayed up to there",
    "ended": "a run ended without a word, and was replayed as far as it was kept",
}


def _summary(found: "Replayed") -> str:
    """Return what a replay came to, in a line."""
    same = sum(not one.differs for one in found.answers)
    told = [f"{_counted(same, 'answer')} identical"]
    if other := len(found.answers) - same:
        told.append(f"{_counted(other, 'answer')} not")
    failed = sum(one.why == "error" for one in found.unanswered)
    if failed:
        told.append(f"{_counted(failed, 'run')} ended in an error and came to no answer")
    verdict = "identical" if found.identical else "not what was recorded"
    return (
        f"{_counted(found.runs, 'run')}, {_counted(found.nodes, 'step')}: {', '.join(told)}: "
        f"{verdict}"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@trace.command()
@click.argument("first", type=TraceName())
@click.argument("second", type=TraceName())
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def diff(first: NamedTrace, second: NamedTrace, as_json: bool) -> None:
    """Say what differs: answers, evidence, calls, replies, prompts, versions, budgets, times."""
    from agent.trace_diff import difference

    found = difference(first.path, second.path)
    if as_json:
        click.echo(json.dumps(found.json(), ensure_ascii=False, indent=1))
        return
    from cli.trace_table import print_difference

    print_difference(found, first.shown, second.shown)


@trace.command("export-spans")
@click.argument("file", type=TraceName())
@click.option("--endpoint", default="", metavar="URL",
              help="OTLP/HTTP collector; GRATICULE_TELEMETRY__ENDPOINT by default.")  # fmt: skip
def export_spans(file: NamedTrace, endpoint: str) -> None:
    """Send a trace to a collector as OpenInference spans, such as to Phoenix or Langfuse."""
    from agent.settings import load_settings
    from agent.span_export import export_trace

    settings = load_settings().telemetry
    if endpoint:
        settings = settings.model_copy(update={"endpoint": endpoint})
    sent = export_trace(file.path, settings)
    click.echo(f"{sent} spans sent to {settings.shown}")
