"""Slash commands that do something: say, change, fork, write."""

import json
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click

from cli.chat_talk import SHOWN_ID, Talk
from cli.session_fork import FORK_OPTIONS, forked
from cli.verdicts import assessment, place_in
from encoders.photo_file import printable
from geo.errors import InputError

MOST_REGION_BYTES = 5_000_000
_BOX = re.compile(r"\s*([\d.]+)\s*[,\s]\s*([\d.]+)\s*[,\s]\s*([\d.]+)\s*[,\s]\s*([\d.]+)\s*")


def photo(talk: Talk, rest: str) -> None:
    """Add another photo of the same place."""
    talk.say(photos=[_path(rest, "/photo PATH")])


def new(talk: Talk, rest: str) -> None:
    """Begin a session with another photo."""
    talk.begin(_path(rest, "/new PHOTO"))


def look(talk: Talk, rest: str) -> None:
    """Have a part of the photo looked at."""
    if not rest:
        raise InputError("nothing to look at; write /look 0.1,0.2,0.5,0.6 or /look the sign")
    box = _BOX.fullmatch(rest)
    if box is None:
        talk.say(f"look at {rest}")
        return
    edges = [float(one) for one in box.groups()]
    left, top, right, bottom = edges
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InputError(
            f"box {rest!r:.60} lies not in the photo; give left, top, right, bottom from 0 to 1, "
            "left < right and top < bottom"
        )
    talk.say(f"look at box {left:g},{top:g},{right:g},{bottom:g}")


def region(talk: Talk, rest: str) -> None:
    """Say that the photo was taken inside a polygon, or not."""
    name, _, last = rest.rpartition(" ")
    outside = last == "not" and bool(name)
    talk.say(
        region=region_of(_path(name if outside else rest, "/region FILE.geojson [not]"), outside)
    )


def region_of(path: Path, outside: bool) -> dict[str, Any]:
    """Return a polygon of a GeoJSON file as a feature.

    Raises:
        InputError: the file cannot be read, is too large, or holds no single geometry.
    """
    shown = f"region '{printable(str(path), 80)}'"
    try:
        if (size := path.stat().st_size) > MOST_REGION_BYTES:
            raise InputError(
                f"{shown} has {size:,} bytes, limit {MOST_REGION_BYTES:,}; simplify it"
            )
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{shown} cannot be read ({error.strerror}); check the path") from None
    except (ValueError, RecursionError):
        raise InputError(f"{shown} is no JSON; give a GeoJSON file") from None
    if isinstance(found, dict) and isinstance(found.get("features"), list):
        if len(found["features"]) != 1:
            raise InputError(f"{shown} has {len(found['features'])} features; give a file with one")
        found = found["features"][0]
    if not isinstance(found, dict):
        raise InputError(f"{shown} is no GeoJSON feature; give a Polygon or MultiPolygon")
    if found.get("type") != "Feature":
        found = {"type": "Feature", "properties": {}, "geometry": found}
    if outside:
        found = {**found, "properties": {**(found.get("properties") or {}), "inside": False}}
    return found


def withdraw(talk: Talk, rest: str) -> None:
    """Have evidence not count any more."""
    talk.say(withdraw=_ids(talk, rest, "/withdraw"))


def restore(talk: Talk, rest: str) -> None:
    """Have evidence count again."""
    talk.say(restore=_ids(talk, rest, "/restore"))


def _ids(talk: Talk, rest: str, command: str) -> list[str]:
    """Return ids of evidence, which may be given by their beginnings."""
    known = [item.id for item in talk.snapshot().values.get("evidence") or ()]
    found = []
    for word in rest.replace(",", " ").split():
        fitting = [one for one in known if one == word] or [
            one for one in known if len(word) > 2 and one.startswith(word)
        ]
        if len(fitting) != 1:
            raise InputError(
                f"{len(fitting)} pieces of evidence fit {printable(word, 40)!r}; /evidence lists "
                "the ids"
            )
        found += fitting
    if not found:
        raise InputError(f"which evidence? Write {command} ID; /evidence lists the ids")
    return found


def fork(talk: Talk, rest: str) -> None:
    """Branch off at a step, under other options, and go over to the branch."""
    parent = talk.info
    branch = forked(talk.sessions, parent.id, **_fork_words(rest))
    talk.session_id = branch.id
    talk.note(f"Branch {branch.id[:SHOWN_ID]} of {parent.id[:SHOWN_ID]}: {printable(branch.name)}")
    if branch.status == "stopped":
        talk.note("/resume goes on from there, or say something else first.")
    else:
        talk.note("It has answered; say something, or fork at an earlier step of /history.")


def _fork_words(rest: str) -> dict[str, Any]:
    """Return what is written after `/fork` as arguments of `forked`."""

    def nothing(**given: Any) -> None: ...

    for option in FORK_OPTIONS:
        nothing = option(nothing)
    command = click.command(add_help_option=False)(
        click.argument("step", type=int, required=False)(nothing)
    )
    try:
        with command.make_context("/fork", words_of(rest)) as context:
            return dict(context.params)
    except click.ClickException as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        raise InputError(f"/fork: {message}; see /help fork") from None


def verdict(talk: Talk, rest: str) -> None:
    """Keep a verdict on the answer."""
    word, _, more = rest.partition(" ")
    place, notes = place_in(more)
    kept = talk.sessions.assess(talk.info.id, assessment(word, talk.answer.revision, place, notes))
    told = f", at {place[0]:g}, {place[1]:g}" if place else ""
    talk.note(
        f"Kept for revision {kept.revision}: {kept.verdict}{told}. `graticule export` has it."
    )


def report(talk: Talk, rest: str) -> None:
    """Write the report."""
    _write(talk, "html", _path(rest, "/report FILE.html"))


def export(talk: Talk, rest: str) -> None:
    """Write the session in another format."""
    form, _, name = rest.strip().partition(" ")
    if not name:
        raise InputError("which format, and where to? Write /export FORMAT FILE")
    _write(talk, form, path_of(name))


def _write(talk: Talk, form: str, path: Path) -> None:
    from cli.session_export import write_export

    write_export(talk.sessions, talk.info.id, form, path)
    talk.note(f"Written: {printable(str(path))}, {path.stat().st_size:,} bytes")


def name(talk: Talk, rest: str) -> None:
    """Rename the session."""
    if not rest:
        raise InputError("which name? Write /name TEXT")
    info = talk.sessions.update(talk.info.id, name=rest)
    talk.note(f"Session {info.id[:SHOWN_ID]}: {printable(info.name)}")


def open_(talk: Talk, rest: str) -> None:
    """Go over to another session."""
    if not rest:
        raise InputError("which session? Write /open ID; /sessions lists them")
    talk.open(rest)


def stop(talk: Talk, _: str) -> None:
    """Stop the run, which is none while a command is typed."""
    if not talk.sessions.stop(talk.info.id):
        talk.note("Nothing runs. While steps arrive, Ctrl-C stops after the present one.")


def resume(talk: Talk, _: str) -> None:
    """Go on where it was stopped."""
    talk.resume()


def quit_(talk: Talk, _: str) -> None:
    """Leave."""
    talk.left = True


def path_of(text: str) -> Path:
    """Return a path as it was typed or pasted: quoted, with backslashes, or as a file's address."""
    text = text.strip()
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    if len(words) == 1:
        text = words[0]
    if text.startswith("file://"):
        text = unquote(text.removeprefix("file://"))
    return Path(text).expanduser() if text.startswith("~") else Path(text)


def words_of(text: str) -> list[str]:
    """Return the words of a line, quoted ones together."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"{text!r:.60}: {error}; close the quotes") from None


def _path(text: str, usage: str) -> Path:
    if not text.strip():
        raise InputError(f"which file? Write {usage}")
    return path_of(text)
