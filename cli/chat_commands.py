"""Slash commands of a conversation: their names, their help, and which one a line calls."""

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cli import chat_acts as acts
from cli import chat_looks as looks
from cli.chat_input import paths_like
from cli.chat_talk import Talk
from cli.run import labelled
from encoders.photo_file import printable
from geo.errors import InputError


class Command(NamedTuple):
    """One slash command."""

    arguments: str
    help: str
    run: Callable[[Talk, str], None]
    words: str = ""
    """What its arguments are completed with: `path`, `evidence` or `session`."""


def _help(talk: Talk, rest: str) -> None:
    """List the commands, or explain one."""
    if rest:
        name = rest.strip().lstrip("/")
        command = command_of(name)
        rows = [(f"/{name} {command.arguments}".strip(), command.help)]
    else:
        rows = [(f"/{name} {one.arguments}".strip(), one.help) for name, one in COMMANDS.items()]
    talk.console.print(labelled(rows))
    if not rest:
        talk.note("Everything else is said to the investigation: what you know, see or rule out.")


COMMANDS: dict[str, Command] = {
    "help": Command("[COMMAND]", "This list.", _help),
    "photo": Command("PATH", "Add another photo of the same place.", acts.photo, "path"),
    "new": Command("PHOTO", "Begin a session with another photo.", acts.new, "path"),
    "look": Command(
        "LEFT,TOP,RIGHT,BOTTOM | WORDS",
        "Look closer at a part: shares of width and height, or words such as the sign top left.",
        acts.look,
    ),
    "region": Command(
        "FILE.geojson [not]", "It was taken inside this polygon, or not.", acts.region, "path"
    ),
    "withdraw": Command("ID ...", "Evidence that shall not count.", acts.withdraw, "evidence"),
    "restore": Command("ID ...", "Evidence that shall count again.", acts.restore, "evidence"),
    "evidence": Command("", "What there is, and what it does to the answer.", looks.evidence),
    "steps": Command("[N]", "The steps, or one with all its details.", looks.steps),
    "why": Command("", "Why this answer, and why not the others.", looks.why),
    "belief": Command("", "Where belief lies: countries and alternatives.", looks.belief),
    "map": Command("[near|world]", "The answer on a map of dots.", looks.map_),
    "history": Command("", "The moments to fork from.", looks.history),
    "fork": Command(
        "[STEP] [--recipe R] [--model M] [--without TOOL] [--trajectories N] [--name TEXT]",
        "Branch off at a step, and go on differently.",
        acts.fork,
    ),
    "compare": Command("SESSION", "This answer beside another's.", looks.compare, "session"),
    "report": Command("FILE.html", "Write the report: one HTML file.", acts.report, "path"),
    "export": Command("FORMAT FILE", "Write the session in a format of `graticule export`.",
                      acts.export, "path"),
    "verdict": Command(
        "right|near|wrong|unknown [LAT, LON] [NOTES]", "Keep your verdict on this answer.",
        acts.verdict,
    ),
    "name": Command("TEXT", "Rename the session.", acts.name),
    "sessions": Command("[WORDS]", "List the sessions.", looks.sessions),
    "open": Command("SESSION", "Go over to another session.", acts.open_, "session"),
    "stop": Command("", "Stop; while steps arrive, Ctrl-C does.", acts.stop),
    "resume": Command("", "Go on where it was stopped.", acts.resume),
    "budget": Command("", "What the run spent, and what it may spend.", looks.budget),
    "json": Command("", "The answer as JSON.", looks.json_),
    "quit": Command("", "Leave; the session is kept.", acts.quit_),
}  # fmt: skip


def hear(talk: Talk, line: str) -> None:
    """Do what a line says: a command, a reply to a question, or something about the photo.

    Raises:
        GeolocationError: it cannot be done.
        InputError: there is no such command, or the line is the path of a file.
    """
    talk.failed = None
    word = line.split(maxsplit=1)[0] if line.strip() else ""
    if re.fullmatch(r"/[a-z]*", word):
        command_of(word[1:]).run(talk, line[len(word) :].strip())
    elif talk.waiting:
        talk.reply(line)
    elif line and (path := _file(line)) is not None:
        _photo(talk, path)
    elif line:
        talk.say(line)


def command_of(name: str) -> Command:
    """Return a command by its name, or by a beginning that no other one has.

    Raises:
        InputError: there is none; the nearest is named.
    """
    if name in COMMANDS:
        return COMMANDS[name]
    fitting = [one for one in COMMANDS if name and one.startswith(name)]
    if len(fitting) == 1:
        return COMMANDS[fitting[0]]
    near = fitting or difflib.get_close_matches(name, COMMANDS, 2, 0.5)
    meant = f"; did you mean /{' or /'.join(near)}?" if near else ""
    raise InputError(f"there is no command '/{printable(name, 40)}'{meant} /help lists all")


def completions(talk: Talk, line: str) -> list[str]:
    """Return what the last word of a line may become."""
    word = re.split(r"[ \t,]", line)[-1]
    if line.startswith("/") and " " not in line:
        found = [f"/{name} " for name in COMMANDS if name.startswith(line[1:])]
        return found or paths_like(word)
    command = COMMANDS.get(line[1:].split(" ")[0]) if line.startswith("/") else None
    kind = command.words if command else "path"
    if kind == "evidence" and talk.session_id:
        known = [item.id for item in talk.snapshot().values.get("evidence") or ()]
        return [one for one in known if one.startswith(word)]
    if kind == "session":
        return [one.id[:8] for one in talk.sessions.search() if one.id.startswith(word)]
    return paths_like(word) if kind == "path" else []


def _file(line: str) -> Path | None:
    """Return the file that a line is the path of: terminals paste that of a dropped file."""
    path = acts.path_of(line)
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def _photo(talk: Talk, path: Path) -> None:
    if not talk.session_id:
        talk.begin(path)
        return
    raise InputError(
        f"'{printable(str(path), 80)}' is a file; /photo adds it as another view of this place, "
        "/new locates it by itself"
    )
