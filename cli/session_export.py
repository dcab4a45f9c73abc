"""Files that a conversation writes: the report, and every other format of `graticule export`."""

import os
from pathlib import Path

from agent.sessions import Sessions
from encoders.photo_file import printable
from geo.errors import InputError


def write_export(sessions: Sessions, session_id: str, form: str, path: Path) -> None:
    """Write a session in a format, no finer than the settings allow; nothing is replaced.

    Args:
        sessions: where it is kept.
        session_id: whose.
        form: see `agent.export.FORMATS`.
        path: a new file in a folder that exists.

    Raises:
        InputError: there is no such format, no answer, or the file is there or cannot be written.
    """
    from agent.case import case_of_session
    from agent.disclosure import disclosed_case
    from agent.export import export_case, format_named
    from agent.told_sessions import exact

    sessions = exact(sessions)  # coarsened here
    kind, level = format_named(form), sessions.settings.disclosure
    _check_new(path)
    case = case_of_session(sessions, session_id)
    if level != "exact":
        bench = sessions.geolocators.get(sessions.get(session_id).options).bench
        case = disclosed_case(case, level, bench.gazetteer)
    made = export_case(case, kind, sessions.photos, sessions.trace_path(session_id))
    _write(made.data, path)


def _check_new(path: Path) -> None:
    shown = f"'{printable(str(path))}'"
    if os.path.lexists(path):
        raise InputError(f"{shown} is there already; give another name")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{shown} lies in no folder that exists; give another")


def _write(data: bytes, path: Path) -> None:
    from index_builder.files import unwritable, write_atomically

    try:
        write_atomically(path, data)
    except OSError as error:
        raise unwritable(path, error) from None
