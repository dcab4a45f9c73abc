"""`graticule chat`: talk about a photo until satisfied."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.geolocator_options import Chosen, geolocator_options
from cli.paths import ExistingPath
from geo.errors import GeolocationError, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from agent.sessions import Sessions
    from cli.chat_talk import Talk

WELCOME = "Say what you know or see, or /help. Answers are leads, not proof."
LEAVE = "Ctrl-C again or /quit leaves; the session is kept."


@click.command()
@click.argument("photo", type=ExistingPath(), required=False)
@geolocator_options
@click.option("--session", default="", help="Go on with a session: its id, or the name it has.")
@click.option("--plain", is_flag=True, help="No colours, no pictures.")
def chat(chosen: Chosen, photo: Path | None, session: str, plain: bool) -> None:
    """Talk about PHOTO: watch it being located, say what you know, ask again.

    Each message becomes evidence, and is answered in a revision. /help lists commands. Ctrl-C
    stops a run after its step; the session stays, and goes on with --session on another day.
    Messages may also come from a pipe, one a line.
    """
    if photo is not None and session:
        raise InputError(
            f"photo {str(photo)!r} and --session {session!r} are both given; give one, and add "
            "photos with /photo"
        )
    from agent.settings import load_settings
    from cli.session_options import as_before, open_sessions

    settings = load_settings()
    chosen = as_before(chosen, settings, session)
    with open_sessions(chosen, settings, quiet=plain) as sessions:
        talk = open_talk(sessions, chosen, plain=plain)
        _begin(talk, photo, session)
    if talk.failed is not None and not talk.reader.typed:
        raise talk.failed


def open_talk(sessions: "Sessions", chosen: Chosen, *, plain: bool) -> "Talk":
    """Return a conversation on this terminal, or with whatever is piped in and out."""
    from cli.chat_commands import completions
    from cli.chat_input import Reader
    from cli.chat_talk import Talk
    from cli.terminal_pictures import way_of

    console = _console(plain)
    reader = Reader(lambda line: completions(talk, line), lambda line: talk.note(line))
    talk = Talk(sessions, console, reader, way_of(console), chosen)
    return talk


def _console(plain: bool) -> "Console":
    from rich.console import Console

    if plain:
        return Console(highlight=False, color_system=None, force_terminal=False)
    return Console(highlight=False)


def _begin(talk: "Talk", photo: Path | None, session: str) -> None:
    from cli.chat_input import interrupts

    with interrupts(talk.interrupt):
        if session:
            talk.open(session)
        elif photo is not None:
            talk.begin(photo)
        if talk.reader.typed:
            talk.note(WELCOME)
        converse(talk)
        talk.part()


def converse(talk: "Talk") -> None:
    """Hear lines until nobody says anything any more.

    Raises:
        KeyboardInterrupt: Ctrl-C, where nobody types.
    """
    from cli.chat_commands import hear

    warned = False
    while not talk.left:
        try:
            line = talk.reader.read("reply> " if talk.waiting else "you> ")
            if line is None:
                return
            hear(talk, line)
            warned = False
        except GeolocationError as error:
            talk.fail(error)
        except KeyboardInterrupt:
            if warned or not talk.reader.typed:
                raise
            talk.note(f"\n{LEAVE}")
            warned = True
