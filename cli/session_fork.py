"""Forks as the command line and conversations ask for them: at a step, under other options."""

import shutil
from collections.abc import Callable
from typing import Any

import click

from agent.session_records import Moment, SessionInfo
from agent.sessions import Sessions
from cli.session_options import NOTED
from geo.errors import InputError

FORK_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--name", default="", help="Of the branch."),
    click.option("--recipe", default="", help="Go on with another recipe."),
    click.option("--model", default="", help="Go on with another model of the same server."),
    click.option("--without", multiple=True, help="A tool that is not offered; repeatable."),
    click.option("--trajectories", type=click.IntRange(1, 4), help="Investigations in parallel."),
)


def forked(
    sessions: Sessions,
    session_id: str,
    *,
    step: int | None = None,
    checkpoint: str = "",
    name: str = "",
    **changed: Any,
) -> SessionInfo:
    """Branch off a session.

    Args:
        sessions: where it is kept.
        session_id: whose branch.
        step: of the graph, see `Sessions.history`; the latest moment of that number.
        checkpoint: its id instead; the latest by default.
        name: of the branch.
        changed: `recipe`, `model`, `without`, `trajectories`; what is empty stays as it was.

    Raises:
        UnknownSessionError: there is no such session or checkpoint.
        InputError: there is no such step, or an option does not fit.
    """
    info = sessions.get(session_id)
    given = {key: value for key, value in changed.items() if value}
    options = info.options.model_copy(update=given)
    sessions.geolocators.get(options)  # refused before there is a branch
    if step is not None:
        checkpoint = moment_at(sessions.history(session_id), step).checkpoint_id
    branch = sessions.fork(session_id, checkpoint, name=name, options=options if given else None)
    noted = sessions.folder(session_id) / NOTED
    if noted.exists():
        shutil.copy(noted, sessions.folder(branch.id) / NOTED)
    return branch


def moment_at(moments: list[Moment], step: int) -> Moment:
    """Return the latest moment of a step.

    Raises:
        InputError: there is none.
    """
    for moment in moments:
        if moment.step == step:
            return moment
    known = sorted({moment.step for moment in moments})
    held = f"it has steps {known[0]} to {known[-1]}" if known else "it has not begun"
    raise InputError(f"no step {step} in this session; {held}")
