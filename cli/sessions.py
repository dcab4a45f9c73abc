"""`graticule sessions`: list, go on with, fork and compare what was talked about."""

import json
from typing import TYPE_CHECKING, Any

import click

from cli.geolocator_options import Chosen, geolocator_options
from geo.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from agent.sessions import Sessions

LISTED = 50
VERDICTS = ("right", "near", "wrong", "unknown")


@click.group()
def sessions() -> None:
    """List, go on with, fork and compare sessions. `graticule chat` begins one.

    SESSION is an id, the beginning of one, or a name.
    """


@sessions.command("list")
@click.argument("query", default="")
@click.option("--limit", default=LISTED, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(query: str, limit: int, as_json: bool) -> None:
    """List sessions, the latest first; QUERY is words of name, answer or id."""
    with _opened() as held:
        found = held.search(query, limit=limit + 1)
        more, found = found[limit:], found[:limit]
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
        return
    if not found:
        click.echo("no session fits" if query else "no sessions yet; graticule chat begins one")
        return
    from cli.session_tables import sessions_table

    _console().print(sessions_table(found))
    if more:
        click.echo(f"the latest {limit}; --limit shows more")


@sessions.command()
@click.argument("session")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(session: str, as_json: bool) -> None:
    """Show SESSION: what it is, its latest answer, and verdicts on it."""
    with _opened() as held:
        info = held.find(session)
        answer, verdicts = held.answer(info.id), held.assessments(info.id)
        trace = held.trace_path(info.id)
    if as_json:
        told: dict[str, Any] = info.model_dump(mode="json")
        told["answer"] = answer.model_dump(mode="json") if answer else None
        told["assessments"] = [one.model_dump(mode="json") for one in verdicts]
        click.echo(json.dumps(told, indent=2))
        return
    from cli.run import labelled, revision_panel
    from cli.session_tables import session_rows

    console = _console()
    console.print(labelled(session_rows(info, verdicts, trace)))
    if answer is not None:
        console.print(revision_panel(answer, info.name))


@sessions.command()
@click.argument("session")
@geolocator_options
def history(chosen: Chosen, session: str) -> None:
    """List the moments of SESSION that it can be forked from."""
    with _opened(chosen, session) as held:
        moments = held.history(held.find(session).id)
    from cli.session_tables import history_table

    _console().print(history_table(moments))


@sessions.command()
@click.argument("session")
@click.argument("reply", default="")
@geolocator_options
def resume(chosen: Chosen, session: str, reply: str) -> None:
    """Go on where SESSION stopped, or give REPLY to the question that it waits with."""
    from cli.chat import open_talk
    from cli.chat_input import interrupts

    with _opened(chosen, session) as held:
        talk = open_talk(held, chosen, plain=False)
        talk.session_id = held.find(session).id
        if reply and not talk.waiting:
            raise InputError(
                f"session {session!r} asks nothing, so {reply!r:.60} is no reply; say it in "
                f"graticule chat --session {session}"
            )
        with interrupts(talk.interrupt):
            if talk.waiting:
                talk.reply(reply)
            else:
                talk.resume()
            talk.part()
    if talk.failed is not None:
        raise talk.failed


@sessions.command()
@click.argument("session")
@click.option("--step", type=int, help="Of `graticule sessions history`; the latest by default.")
@click.option("--checkpoint", default="", help="The id of one, instead of a step.")
@geolocator_options
@click.option("--name", default="", help="Of the branch.")
@click.option("--without", multiple=True, help="A tool that is not offered; repeatable.")
def fork(
    chosen: Chosen,
    session: str,
    step: int | None,
    checkpoint: str,
    name: str,
    without: tuple[str, ...],
) -> None:
    """Branch off SESSION at a step; --recipe, --model and the like change how it goes on."""
    from cli.session_fork import forked

    if step is not None and checkpoint:
        raise InputError("--step and --checkpoint are both given; give one")
    with _opened(chosen, session) as held:
        branch = forked(
            held, held.find(session).id, step=step, checkpoint=checkpoint, name=name,
            recipe=chosen.recipe, model=chosen.model, without=without,
            trajectories=chosen.trajectories,
        )  # fmt: skip
    click.echo(branch.id)
    going = "resume" if branch.status == "stopped" else "chat --session"
    verb = f"sessions {going}" if going == "resume" else going
    click.echo(f"go on with: graticule {verb} {branch.id[:8]}", err=True)


@sessions.command()
@click.argument("first")
@click.argument("second")
@click.option("--revisions", nargs=2, type=int, default=(0, 0), help="Of each; 0 is the latest.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(first: str, second: str, revisions: tuple[int, int], as_json: bool) -> None:
    """Show two sessions side by side, or two revisions of one."""
    from agent.session_compare import compare_sessions

    with _opened() as held:
        ids = held.find(first).id, held.find(second).id
        found = compare_sessions(held, *ids, *revisions)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    from cli.session_tables import comparison_tables

    console = _console()
    for table in comparison_tables(found):
        console.print(table)


@sessions.command()
@click.argument("session")
@click.argument("verdict", type=click.Choice(VERDICTS))
@click.option("--at", "place", default="", help="LAT,LON where it was taken, if you know.")
@click.option("--notes", default="", help="Why you think so.")
@click.option("--by", default="", help="Who judges.")
@click.option("--revision", default=0, type=click.IntRange(0), help="Which answer; 0 the latest.")
def assess(session: str, verdict: str, place: str, notes: str, by: str, revision: int) -> None:
    """Keep a verdict on an answer of SESSION; exports have it as a label."""
    from cli.verdicts import assessment
    from geo.coordinate import Coordinate

    at = Coordinate.parse(place) if place else None
    with _opened() as held:
        info = held.find(session)
        answer = held.answer(info.id, revision)
        if answer is None:
            raise InputError(f"session {session!r} has no answer yet; nothing to judge")
        point = (at.latitude, at.longitude) if at else None
        kept = held.assess(info.id, assessment(verdict, answer.revision, point, notes, by))
    click.echo(f"kept for revision {kept.revision}: {kept.verdict}")


@sessions.command()
@click.argument("session")
@click.argument("name")
def rename(session: str, name: str) -> None:
    """Call SESSION by another NAME."""
    with _opened() as held:
        info = held.update(held.find(session).id, name=name)
    click.echo(f"{info.id[:8]}: {info.name}")


@sessions.command()
@click.argument("session")
def stop(session: str) -> None:
    """Say how SESSION is stopped, if it runs: only the process that runs it can."""
    with _opened() as held:
        info = held.find(session)
    if info.status != "busy":
        click.echo(f"{info.id[:8]} does not run: it is {info.status}")
        return
    raise InputError(
        f"session {info.id[:8]} runs in another process; press Ctrl-C there, or cancel the run "
        "over HTTP where `graticule serve` runs it"
    )


@sessions.command()
@click.argument("session")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(session: str, yes: bool) -> None:
    """Delete SESSION: checkpoints, trace, verdicts, and photos that no other session has."""
    with _opened() as held:
        info = held.find(session)
        others = {photo for one in held.search() if one.id != info.id for photo in one.photos}
        lost = len(set(info.photos) - others)
        told = f"session {info.id[:8]} {info.name!r}; photos that only it has: {lost}"
        if not yes and not click.confirm(f"Delete {told}?", err=True):
            raise click.Abort
        held.delete(info.id)
    click.echo(f"deleted {told}")


def _opened(chosen: Chosen | None = None, session: str = "") -> "Sessions":
    """Return the sessions; opened with what a session was begun with, where it is to run."""
    from agent.sessions import Sessions
    from agent.settings import load_settings
    from agent.told_sessions import told

    settings = load_settings()
    if chosen is None:
        return told(Sessions(settings))
    from cli.session_options import as_before, open_sessions

    return open_sessions(as_before(chosen, settings, session), settings)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)
