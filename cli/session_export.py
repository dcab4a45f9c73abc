"""Exports of a session, as `/export` asks for them."""

import importlib
from pathlib import Path

from agent.sessions import Sessions
from geo.errors import UnavailableError


def write_export(sessions: Sessions, session_id: str, form: str, path: Path) -> Path:
    """Write a session in a format of `graticule export` and return where.

    Raises:
        InputError: there is no such format, or the file cannot be written.
        UnavailableError: this installation has no exports.
    """
    try:
        module = importlib.import_module("agent.export")
    except ImportError:
        raise UnavailableError(
            "this installation has no exports; /report FILE.html writes the report"
        ) from None
    module.export_session(sessions, session_id, form, path)
    return path
